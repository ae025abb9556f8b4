"""The segment of every account: product, bucket, balance band and region, as the spec asks."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from models.planning.spec import PlanSpec

UNKNOWN = "unknown"
"""An account without a region, in a segment that is cut by region."""
WHOLE_BOOK = "all"
DIVISION = re.compile(r"[0-9]{6}", re.ASCII)


def segments_of(accounts: pd.DataFrame, spec: PlanSpec, currency: str) -> pd.Series:
    """One name per account, parts joined by `/`: `card/M3/1000-5000/31`; a category, so that a million cost little.

    accounts: `product`, `bucket`, `balance_minor` (of that currency), `region`.
    """
    parts = [_part(name, accounts, spec, currency) for name in spec.segments.by]
    combined = np.zeros(len(accounts), dtype=np.int64)
    for codes, names in parts:
        combined = combined * len(names) + codes
    found, codes = np.unique(combined, return_inverse=True)
    texts = [_name(int(code), [names for _, names in parts]) for code in found]
    rising = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.empty(len(texts), dtype=np.int64)
    place[rising] = np.arange(len(texts))
    categories = pd.Index([texts[at] for at in rising], dtype="str")
    return pd.Series(pd.Categorical.from_codes(place[codes], categories), index=accounts.index)


def _name(code: int, parts: Sequence[Sequence[str]]) -> str:
    """The parts' names that a combined code stands for."""
    words = []
    for names in reversed(parts):
        code, at = divmod(code, len(names))
        words.append(names[at])
    return "/".join(reversed(words)) or WHOLE_BOOK


def _part(
    name: str, accounts: pd.DataFrame, spec: PlanSpec, currency: str
) -> tuple[npt.NDArray[np.int64], Sequence[str]]:
    """A code per account, and what the codes mean."""
    if name == "balance":
        edges = spec.segments.balance_edges
        minor = np.array([spec.minor(edge, currency) for edge in edges], dtype=np.int64)
        return np.searchsorted(minor, accounts["balance_minor"].to_numpy(), side="right"), band_names(edges)
    codes, values = pd.factorize(accounts[name].astype("str"))
    given = [str(value) for value in values]
    if name == "region":
        given = [_region(value, spec.segments.region_digits) for value in given]
    # the last name takes code -1: what is missing
    names = [*dict.fromkeys(value.replace("/", "-") for value in given), UNKNOWN]
    merged = np.array([*(names.index(value.replace("/", "-")) for value in given), len(names) - 1], dtype=np.int64)
    return merged[codes], names


def region_names(regions: pd.Series[str], digits: int) -> pd.Series[str]:
    """Each region by so many digits of its division code; others whole, and what is missing by a name of its own."""
    codes, values = pd.factorize(regions.astype("str"))
    names = pd.array([*(_region(str(value), digits) for value in values), UNKNOWN], dtype="str")
    return pd.Series(names.take(codes), index=regions.index)


def _region(value: str, digits: int) -> str:
    return value[:digits] if DIVISION.fullmatch(value) else value


def band_names(edges: Sequence[int]) -> list[str]:
    """`<1000`, `1000-5000`, `5000+`."""
    if not edges:
        return [WHOLE_BOOK]
    return [f"<{edges[0]}", *(f"{low}-{high}" for low, high in pairwise(edges)), f"{edges[-1]}+"]

"""Segments: product × balance band × age at placement × round × score band (S1). Agencies compare only within one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from models.scoring.parameters import Parameters

MOST_SEGMENTS = 500
"""A segment has at least one in so many of all placements, or is merged with its like."""

FACETS = ("lender", "currency", "product", "age", "balance", "round", "score")
"""In the order of their labels. Where a segment is too small, the facet goes first that says the least of who pays."""
ONLY = "*"
"""The one segment of accounts that are all alike."""
KEPT_FACETS = 3
"""Lender, currency and product are never given up."""
GIVEN_UP = tuple(range(len(FACETS) - 1, KEPT_FACETS - 1, -1))
"""In this order where no payments are known, and where facets say as much."""


@dataclass(frozen=True)
class Segments:
    """`code`: per placement, the position of its segment in `labels`."""

    code: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    given_up: tuple[int, ...] = GIVEN_UP
    """positions in FACETS, in the order in which small segments give them up"""


@dataclass(frozen=True)
class Payments:
    """Per placement: in how many months it paid, and how many days it could have."""

    count: npt.NDArray[np.int64]
    days: npt.NDArray[np.int64]


def segments(placements: pd.DataFrame, parameters: Parameters, payments: Payments | None = None) -> Segments:
    """The segment of each placement, small ones merged; the same placements in another order have the same labels.

    placements: `lender currency product score_band round balance_minor dpd`, one row each; a missing score
    band is one too. payments: tell which facet says the least, and goes first where segments are merged.
    """
    facets = facets_of(placements, parameters)
    sizes = [len(names) for names, _ in facets]
    key = np.zeros(len(placements), dtype=np.int64)
    for size, (_, code) in zip(sizes, facets, strict=True):
        key = key * size + code
    keys, code, counts = np.unique(key, return_inverse=True, return_counts=True)
    cells = np.array(np.unravel_index(keys, sizes)).T if len(keys) else np.empty((0, len(sizes)), dtype=np.int64)
    smallest = max(parameters.smallest, len(placements) // MOST_SEGMENTS)
    given_up = GIVEN_UP if payments is None else _least_telling(facets, payments)
    merged = _merged(cells, counts, smallest, given_up)
    shown = [facet for facet, size in enumerate(sizes) if size > 1]
    labels = [_label(cell, [names for names, _ in facets], shown) for cell in merged]
    order, position = np.unique(np.array(labels, dtype=object), return_inverse=True)
    return Segments(position[code].astype(np.int64), tuple(order.tolist()), given_up)


def dpd_bands(edges: Sequence[int]) -> tuple[str, ...]:
    """0–30, 31–60 … in days past due."""
    lows = (0, *edges)
    return (*(f"{low}–{high - 1}d" for low, high in zip(lows, edges, strict=False)), f"{lows[-1]}d+")


def balance_bands(edges: Sequence[int]) -> tuple[str, ...]:
    """<1k, 1k–5k … in major units."""
    short = [_short(edge) for edge in edges]
    between = (f"{low}–{high}" for low, high in itertools.pairwise(short))
    return (f"<{short[0]}", *between, f"≥{short[-1]}")


def _short(edge: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if edge >= unit and edge % unit == 0:
            return f"{edge // unit}{name}"
    return str(edge)


def facets_of(placements: pd.DataFrame, parameters: Parameters) -> list[tuple[list[str], npt.NDArray[np.int64]]]:
    """Per facet of FACETS: the names that its values have in labels, and each row's position among them."""
    lender, currency, product = (_coded(placements[name]) for name in ("lender", "currency", "product"))
    dpd = placements["dpd"].to_numpy()
    age = list(dpd_bands(parameters.dpd_edges)), np.searchsorted(parameters.dpd_edges, dpd, side="right")
    round_ = np.clip(placements["round"].to_numpy(), 1, parameters.rounds) - 1
    rounds = [*(f"r{number}" for number in range(1, parameters.rounds)), f"r{parameters.rounds}+"]
    balance = _balances(placements["balance_minor"].to_numpy(), *currency, parameters)
    return [lender, currency, product, age, balance, (rounds, round_), _coded(placements["score_band"])]


def _balances(
    minor: npt.NDArray[np.int64], currencies: list[str], currency: npt.NDArray[np.int64], parameters: Parameters
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Bands differ between currencies; those of one name are one, for the segment holds the currency as well."""
    names: dict[str, int] = {}
    band = np.zeros(len(minor), dtype=np.int64)
    for position, unit in enumerate(currencies):
        edges = parameters.balance_edges.get(unit, parameters.balance_edges["default"])
        mine = currency == position
        found = np.searchsorted(np.array(edges, dtype=np.int64) * 10 ** exponent(unit), minor[mine], side="right")
        places = [names.setdefault(label, len(names)) for label in balance_bands(edges)]
        band[mine] = np.array(places)[found]
    return list(names) or ["all"], band


def _coded(cells: pd.Series[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    codes, names = pd.factorize(cells.fillna(""), sort=True)
    return [str(name) for name in names] or [""], codes.astype(np.int64)


def _least_telling(facets: list[tuple[list[str], npt.NDArray[np.int64]]], payments: Payments) -> tuple[int, ...]:
    """The facets that may be given up, the least telling first: by the deviance that each explains, less its values."""
    rate = payments.count.sum() / max(payments.days.sum(), 1)

    def told(facet: int) -> float:
        names, code = facets[facet]
        came = np.bincount(code, payments.count, minlength=len(names))
        due = np.bincount(code, payments.days, minlength=len(names)) * rate
        some = (came > 0) & (due > 0)
        explained = 2 * float((came[some] * np.log(came[some] / due[some])).sum() - came.sum() + due.sum())
        return explained - (np.count_nonzero(due) - 1)

    return tuple(sorted(GIVEN_UP, key=told))


def _merged(
    cells: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], smallest: int, given_up: Sequence[int]
) -> npt.NDArray[np.int64]:
    """The cells with facets given up (-1) in that order, until each has `smallest` or only the kept ones."""
    merged = cells.copy()
    for facet in given_up:
        _, group = np.unique(merged, axis=0, return_inverse=True)
        group = group.reshape(-1)
        size = np.bincount(group, counts)
        merged[size[group] < smallest, facet] = -1
    return merged


def _label(cell: npt.NDArray[np.int64], names: list[list[str]], shown: list[int]) -> str:
    parts = ["*" if cell[facet] < 0 else names[facet][cell[facet]] or "–" for facet in shown]
    return " | ".join(parts) or ONLY

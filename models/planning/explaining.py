"""Why an optimised plan is as it is: what agencies are worth where, what binds, what was given up, who is next best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.money import exponent
from models.planning.allocation import CHALLENGER, MENDED
from models.planning.bounds import CAPACITY, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    from models.planning.worth import Valued

PER: Final = 10_000
"""Worth is told per 10,000 of balance, in whole numbers."""


def worth_table(accounts: pd.DataFrame, segment: pd.Series, valued: Valued, shares: pd.DataFrame) -> dict[str, Any]:
    """Expected net-back per 10,000 of balance: `agencies`, and a list in their order per segment; null where closed."""
    worth = valued.worth
    codes = segment.cat.codes.to_numpy().astype(np.int64)
    names = [str(name) for name in segment.cat.categories]
    cells = len(worth.net)
    pairs, at = np.unique(codes * cells + valued.cell, return_inverse=True)
    sums = np.bincount(at, valued.base, minlength=len(pairs))
    money = np.zeros((len(names), len(worth.agencies)))
    np.add.at(money, pairs // cells, sums[:, None] * worth.net[pairs % cells])
    money -= np.bincount(codes, minlength=len(names))[:, None] * worth.cost
    balance = np.bincount(codes, accounts["balance_minor"].to_numpy(dtype=np.float64), minlength=len(names))
    rate = money / np.maximum(balance, 1.0)[:, None] * PER
    can = shares.reindex(index=names, columns=list(worth.agencies)).to_numpy(dtype=np.float64) > 0
    return {
        "agencies": list(worth.agencies),
        "segments": {
            name: [round(float(one)) if there else None for one, there in zip(row, open_, strict=True)]
            for name, row, open_ in zip(names, rate, can, strict=True)
        },
    }


def expected_net(lines: pd.DataFrame, valued: Valued, placed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Net-back expected of each line, minor units. placed: which of the valued accounts the lines are of."""
    worth = valued.worth
    agency = np.searchsorted(np.array(worth.agencies), lines["agency"].to_numpy(dtype=str))
    net = worth.net[valued.cell[placed], agency]
    found: npt.NDArray[np.float64] = valued.base[placed] * net - worth.cost[agency]
    return found


def reasons_of(
    agency: str, lines: pd.DataFrame, table: Mapping[str, Any], told: Mapping[str, Any], currency: str
) -> list[str]:
    """Sentences about one agency of an optimised plan."""
    mine = lines[lines["agency"] == agency]
    sentences = []
    if best := _best_in(agency, mine, table):
        more = f" and {len(best) - 1} more segments" if len(best) > 1 else ""
        sentences.append(f"best net-back in {best[0]}{more}")
    for word, text in ((CHALLENGER, "by its floor as a challenger"), (MENDED, "moved so that bounds hold")):
        if count := int((mine["why"] == word).sum()):
            sentences.append(f"{count:,} {text}")
    binds = [price for price in told["prices"] if price["agency"] == agency and "region" not in price]
    return sentences + [_binding(price, currency) for price in binds]


def _best_in(agency: str, mine: pd.DataFrame, table: Mapping[str, Any]) -> list[str]:
    """Segments that the agency is worth most in, and has accounts of; the most accounts first."""
    counts = mine.groupby("segment", observed=True).size().sort_values(ascending=False, kind="stable")
    at = table["agencies"].index(agency)
    found = []
    for segment in counts.index:
        row = table["segments"][str(segment)]
        if row[at] is not None and row[at] == max(value for value in row if value is not None):
            found.append(str(segment))
    return found


def _binding(price: Mapping[str, Any], currency: str) -> str:
    what = "cap" if price["kind"] == CAPACITY else WORDS[price["kind"]]
    each = "account" if price["per"] == "account" else f"{money(price['per_minor'], currency)} of balance"
    return f"{what} binds: one more {each} would bring {money(price['price_minor'], currency)}"


def money(minor: int, currency: str) -> str:
    """An amount in figures, without its currency."""
    digits = exponent(currency)
    return f"{minor / 10**digits:,.{digits}f}"


def given_up(told: Mapping[str, Any], names: Mapping[str, str], currency: str) -> list[str]:
    """A sentence per bound that was given up, with its price."""
    sentences = []
    for one in told["relaxed"]:
        amount, bound = (
            money(one[key], currency) if one["of"] == "balance" else f"{one[key]:,}" for key in ("by", "bound")
        )
        where = f" in region {one['region']}" if "region" in one else ""
        under = "short of its least" if one["end"] == "least" else "above its most"
        sentences.append(
            f"{WORDS[one['kind']]} given up: {names.get(one['agency'], one['agency'])}{where} is {amount} {one['of']} "
            f"{under} of {bound}, at a price of {money(one['price_minor'], currency)} for each account's worth"
        )
    return sentences


def alternatives(table: Mapping[str, Any], segment: str, balance_minor: int) -> list[tuple[str, int]]:
    """Agencies that may work the segment with the net-back expected of such a balance, minor units, the best first."""
    row = table["segments"].get(segment, [])
    found = [
        (agency, round(rate * balance_minor / PER))
        for agency, rate in zip(table["agencies"], row, strict=False)
        if rate is not None
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))

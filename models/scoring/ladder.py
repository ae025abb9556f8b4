"""Chain-ladder with Mack's error: what a triangle of placement vintages will come to (S4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ladder:
    """Per vintage (oldest first): what it comes to, what is still to come, and the standard error of that."""

    ultimate: Floats
    to_come: Floats
    error: Floats
    total_to_come: float
    total_error: float
    factors: Floats


def chain_ladder(triangle: Floats) -> Ladder:
    """The ladder of a cumulative triangle: row = vintage, oldest first; column = month on book; NaN = too young.

    Each row is known from its first column up to some one; rows may be equally old, and the oldest reaches the last
    column. From a column in which nothing had come nothing is extrapolated: its factor is 1.
    Source: T. Mack, ASTIN Bulletin 23 (1993), 213–225.
    """
    last = (~np.isnan(triangle)).sum(axis=1) - 1
    factors, spreads, carried = _development(triangle, last)
    columns = len(factors)
    # what one unit in a column comes to
    ahead = np.append(np.cumprod(factors[::-1])[::-1], 1.0)
    known = triangle[np.arange(len(triangle)), last]
    ultimate = known * ahead[last]
    relative = np.divide(spreads, factors**2, out=np.zeros(columns), where=factors > 0)
    estimate = np.divide(relative, carried, out=np.zeros(columns), where=carried > 0)
    to_go = np.arange(columns) >= last[:, None]
    # a vintage's U²/C in a column to come is U times what a unit in that column comes to
    process = ultimate * (to_go * (relative * ahead[:-1])).sum(axis=1)
    parameter = np.append(np.cumsum(estimate[::-1])[::-1], 0.0)
    shared = parameter[np.maximum(last[:, None], last[None, :])] * np.outer(ultimate, ultimate)
    variance = np.maximum(process + np.diag(shared), 0.0)
    total = max(float(process.sum() + shared.sum()), 0.0)
    to_come = ultimate - known
    return Ladder(ultimate, to_come, np.sqrt(variance), float(to_come.sum()), float(np.sqrt(total)), factors)


def _development(triangle: Floats, last: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Factors from column to column, Mack's sigma squared, and the sums that the factors rest on.

    Where one vintage alone has a factor, its sigma continues the row of the others.
    """
    columns = triangle.shape[1] - 1
    factors, spreads, carried = np.ones(columns), np.zeros(columns), np.zeros(columns)
    for column in range(columns):
        rows = last > column
        before, after = triangle[rows, column], triangle[rows, column + 1]
        carried[column] = before.sum()
        if carried[column] <= 0:
            continue
        factors[column] = after.sum() / carried[column]
        if rows.sum() > 1:
            miss = (after - factors[column] * before) ** 2
            spreads[column] = np.divide(miss, before, out=np.zeros(len(miss)), where=before > 0).sum() / (
                rows.sum() - 1
            )
        elif column > 1:
            one, two = spreads[column - 1], spreads[column - 2]
            spreads[column] = min(one**2 / two, one, two) if two > 0 else 0.0
    return factors, spreads, carried

"""Chain-ladder with Mack's error: what a triangle of placement vintages will come to (S4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Ladder:
    """Per vintage (oldest first): what it comes to, what is still to come, and the standard error of that."""

    ultimate: npt.NDArray[np.float64]
    to_come: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    total_to_come: float
    total_error: float
    factors: npt.NDArray[np.float64]


def chain_ladder(triangle: npt.NDArray[np.float64]) -> Ladder:
    """The ladder of a cumulative triangle: row = vintage, oldest first; column = month on book; NaN = too young.

    Square, with row i known up to column n − 1 − i. Source: T. Mack, ASTIN Bulletin 23 (1993), 213–225.
    """
    size = len(triangle)
    known = [size - row for row in range(size)]
    factors, spreads = _development(triangle, known)
    full = triangle.copy()
    for row in range(size):
        for column in range(known[row], size):
            full[row, column] = full[row, column - 1] * factors[column - 1]
    ultimate = full[:, -1]
    to_come = ultimate - np.array([triangle[row, known[row] - 1] for row in range(size)])
    variance, total = np.zeros(size), 0.0
    column_sums = [triangle[: size - column - 1, column].sum() for column in range(size - 1)]
    for row in range(1, size):
        ratio = [spreads[k] / factors[k] ** 2 for k in range(size - 1)]
        ahead = range(size - row - 1, size - 1)
        variance[row] = ultimate[row] ** 2 * sum(ratio[k] * (1 / full[row, k] + 1 / column_sums[k]) for k in ahead)
        shared = sum(2 * ratio[k] / column_sums[k] for k in ahead)
        total += variance[row] + ultimate[row] * ultimate[row + 1 :].sum() * shared
    return Ladder(ultimate, to_come, np.sqrt(variance), float(to_come.sum()), float(np.sqrt(total)), factors)


def _development(
    triangle: npt.NDArray[np.float64], known: list[int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Factors from column to column and Mack's sigma squared; the last sigma continues the row of the others."""
    size = len(known)
    factors, spreads = np.ones(size - 1), np.zeros(size - 1)
    for column in range(size - 1):
        rows = size - column - 1
        before, after = triangle[:rows, column], triangle[:rows, column + 1]
        factors[column] = after.sum() / before.sum()
        if rows > 1:
            spreads[column] = (before * (after / before - factors[column]) ** 2).sum() / (rows - 1)
    if size > 3:  # noqa: PLR2004 - two earlier sigmas are needed
        last, before_last = spreads[-2], spreads[-3]
        spreads[-1] = min(last**2 / before_last, before_last, last) if before_last > 0 else 0.0
    return factors, spreads

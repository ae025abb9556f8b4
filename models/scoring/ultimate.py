"""What each agency's placements will come to: its vintages by chain-ladder, with Mack's error (S4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from models.scoring.inputs import Component
from models.scoring.ladder import chain_ladder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from models.scoring.book import Book
    from models.scoring.ladder import Ladder

    Floats = npt.NDArray[np.float64]

FEWEST_VINTAGES = 3
"""Fewer say nothing about how much vintages differ."""
TOO_YOUNG = "too_young"


def ultimate(book: Book) -> Iterator[Component]:
    """The share of the balance placed that comes back by the longest month on book any of its vintages has lived.

    `actual`: what has come so far; `weight` is none, for it is a forecast. The interval is log-normal.
    """
    cells, placed, lived = _vintages(book)
    for position, agency in enumerate(book.agencies):
        rows = (lived[position] > 0) & (placed[position] > 0)
        ladder = _ladder(cells[position, rows], lived[position, rows])
        balance = float(placed[position, rows].sum())
        comes_to = 0.0 if ladder is None else float(ladder.ultimate.sum())
        if ladder is None or comes_to <= 0:
            yield Component(agency, "ultimate", note=TOO_YOUNG if book.placed[position] else "")
            continue
        spread = np.sqrt(np.log1p((ladder.total_error / comes_to) ** 2)) * norm.ppf(1 - book.parameters.tail)
        low, high = (comes_to / balance * float(np.exp(sign * spread)) for sign in (-1, 1))
        so_far, months = comes_to - ladder.total_to_come, len(ladder.factors) + 1
        yield Component(agency, "ultimate", comes_to / balance, low, high, actual=so_far / balance, note=f"{months}")


def _ladder(cells: Floats, lived: npt.NDArray[np.int64]) -> Ladder | None:
    """The ladder of money per vintage and month; None where there are too few vintages, or none has two months."""
    if len(lived) < FEWEST_VINTAGES or lived.max() < 2:  # noqa: PLR2004 - from one month to the next
        return None
    triangle = np.cumsum(cells[:, : int(lived.max())], axis=1)
    triangle[np.arange(triangle.shape[1]) >= lived[:, None]] = np.nan
    return chain_ladder(triangle)


def _vintages(book: Book) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Money [agency, vintage, month], balance placed and whole months lived by the youngest [agency, vintage]."""
    month_placed = book.placements["placed_on"].to_numpy().astype("datetime64[M]")
    vintages, vintage = np.unique(month_placed, return_inverse=True)
    months = book.parameters.months - 1
    shape = (len(book.agencies), len(vintages))
    place = book.agency * shape[1] + vintage
    size = shape[0] * shape[1]
    placed = np.bincount(place, book.balance, minlength=size).reshape(shape)
    youngest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(youngest, place, book.clock.age_days)
    lived = np.minimum(youngest // book.parameters.month_days, months)
    lived = np.where(placed > 0, lived.reshape(shape), 0)
    whole = book.month < months
    where = place[book.row[whole]] * months + book.month[whole]
    cells = np.bincount(where, book.money[whole], minlength=size * months).reshape(*shape, months)
    return cells.astype(np.float64), placed.astype(np.float64), lived.astype(np.int64)

"""A forecast from the store, with what the same method would have said before and what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from infra.store import scores
from models.errors import UsageError
from models.forecast import Forecast, back_tested, forecast, truncated
from models.scoring.parameters import standard

if TYPE_CHECKING:
    from infra.wiring import Desk

SEED = 20261122
"""Of the bags that debtors are drawn in: the same seed, the same forecast."""
TESTED = 6
"""So many month ends back are tried."""


@dataclass(frozen=True)
class Told:
    """A forecast and how its method did.

    tested: models.forecast.back_tested, empty where nothing was tried; coverage: the share of months that the interval
    held; bias: what came over what was expected, less 1. Both None where no month could be tried.
    """

    lender: str | None
    forecast: Forecast
    tested: pd.DataFrame

    @property
    def coverage(self) -> float | None:
        """How often the interval held what came."""
        return float(self.tested["held"].mean()) if len(self.tested) else None

    @property
    def bias(self) -> float | None:
        """How much more came than was expected, as a share of that."""
        expected = float(self.tested["expected_minor"].sum()) if len(self.tested) else 0.0
        return float(self.tested["actual_minor"].sum()) / expected - 1 if expected else None


def make(desk: Desk, lender: str | None, months: int, as_of: date | None = None, *, test: bool = False) -> Told:
    """What to expect in so many months after the day (today unless told), all lenders' or one's; writes nothing.

    test: also try the method on the month ends before. Raises UsageError where there is no history to go by.
    """
    parameters = standard()
    day = as_of or desk.today()
    with desk.database.read() as connection:
        inputs = scores.inputs(connection, lender, day, parameters.acknowledge_days)
    told = forecast(truncated(inputs, day), day, months, SEED, parameters)
    if told is None:
        raise UsageError(
            "there is no history to forecast from", fix="forecast again when placements are two months old, and paid"
        )
    tested = pd.DataFrame()
    if test:
        tested = back_tested(inputs, day, _month_ends(day, TESTED), months, SEED, parameters)
    return Told(lender, told, tested)


def _month_ends(day: date, count: int) -> list[date]:
    """The last days of so many months before, oldest first."""
    found: list[date] = []
    last = day.replace(day=1)
    while len(found) < count:
        end = last - timedelta(days=1)
        found.append(end)
        last = end.replace(day=1)
    return found[::-1]

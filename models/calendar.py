"""Business days, and when what was agreed is due: spans of hours, days or business days, over columns of instants.

A calendar is a value: who makes one knows where holidays are written down (infra/clocks.py). China works on some
weekends to make up for long holidays; those days are business days like any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import ConfigurationError

Unit = Literal["hours", "days", "business days", "months"]
Days = npt.NDArray[np.datetime64]

SPAN: Final = re.compile(r"(\d{1,5}) (hour|day|business day|month)s?")


class SpanFault(ConfigurationError):
    """A span of time cannot be read."""


@dataclass(frozen=True)
class Span:
    """So much time: `4 hours`, `5 days`, `2 business days`."""

    number: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Span:
        """The span that the text states. Raises SpanFault."""
        found = SPAN.fullmatch(text.strip())
        if found is None:
            raise SpanFault(
                f"{text!r} is no span of time", fix='write "24 hours", "5 days", "2 business days" or "1 month"'
            )
        units: dict[str, Unit] = {
            "hour": "hours", "day": "days", "business day": "business days", "month": "months",
        }  # fmt: skip
        return cls(int(found[1]), units[found[2]])

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.number} {self.unit if self.number != 1 else self.unit.removesuffix('s')}"


@dataclass(frozen=True)
class Calendar:
    """Which days are business days: weekdays that are no day off, and weekend days that are worked."""

    name: str
    days_off: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()
    """weekend days that are business days"""
    known_years: frozenset[int] | None = field(default=None)
    """years whose days off are all known; None: every year's"""
    weekend: frozenset[int] = frozenset({5, 6})
    """Monday is 0"""

    def is_known(self, year: int) -> bool:
        """Whether every day off of that year is known."""
        return self.known_years is None or year in self.known_years

    def business(self, days: Days) -> npt.NDArray[np.bool_]:
        """Which of these days (datetime64[D]) are business days."""
        # 1970-01-01, day 0, was a Thursday
        weekday = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7
        working = ~np.isin(weekday, sorted(self.weekend)) & ~np.isin(days, _column(self.days_off))
        result: npt.NDArray[np.bool_] = working | np.isin(days, _column(self.worked))
        return result

    def after(self, days: Days, number: int) -> Days:
        """The `number`-th business day after each day; 0 is the day itself where it is one, else the next."""
        if not len(days):
            return days.astype("datetime64[D]")
        days = days.astype("datetime64[D]")
        # a week without a business day has a day off in it
        reach = 7 * (number + len(self.days_off) + 2)
        every = np.arange(days.min(), days.max() + np.timedelta64(reach, "D"), dtype="datetime64[D]")
        business = every[self.business(every)]
        # the first business day that is later than the day, or the day itself where nothing is counted
        first = np.searchsorted(business, days, side="left" if number == 0 else "right")
        found: Days = business[first + max(number - 1, 0)]
        return found


def _column(days: frozenset[date]) -> Days:
    return np.array(sorted(days), dtype="datetime64[D]")


@overload
def due_on(days: date, span: Span, calendar: Calendar) -> date: ...
@overload
def due_on(days: pd.Series, span: Span, calendar: Calendar) -> pd.Series: ...
def due_on(days: pd.Series | date, span: Span, calendar: Calendar) -> pd.Series | date:
    """The last day on which something asked for on each day is in time: a date for a date, a column for a column.

    Hours count as whole days begun. Columns are datetime64 at midnight, dates of the zone that the contract is kept in.
    """
    if isinstance(days, date):
        return date.fromisoformat(str(_days_after(np.array([days], dtype="datetime64[D]"), span, calendar)[0]))
    moved = _days_after(days.to_numpy(dtype="datetime64[D]"), span, calendar)
    return pd.Series(moved.astype("datetime64[us]"), index=days.index)


def due_at(since: pd.Series, span: Span, calendar: Calendar, zone: str) -> pd.Series:
    """The instant (UTC) at which what was asked for at each instant is late.

    Hours run from the instant itself; days and business days end with their last day where the agency is.
    """
    if span.unit == "hours":
        return since + pd.Timedelta(hours=span.number)
    local = since.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    last = pd.Series(
        _days_after(local.to_numpy(dtype="datetime64[D]"), span, calendar).astype("datetime64[us]"), index=since.index
    )
    return ends_at(last, zone)


def ends_at(days: pd.Series, zone: str) -> pd.Series:
    """The instant (UTC) at which each day (datetime64 at midnight) is over in the zone."""
    midnight = (days + pd.Timedelta(days=1)).dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    return midnight.dt.tz_convert(UTC).astype("datetime64[us, UTC]")


def due_after(since: datetime, span: Span, calendar: Calendar, zone: str) -> datetime:
    """As `due_at`, for one instant."""
    column = pd.Series([since]).astype("datetime64[us, UTC]")
    found: datetime = due_at(column, span, calendar, zone).iloc[0].to_pydatetime()
    return found


def _days_after(days: Days, span: Span, calendar: Calendar) -> Days:
    if span.unit == "business days":
        return calendar.after(days, span.number)
    if span.unit == "months":
        return _months_after(days.astype("datetime64[D]"), span.number)
    number = span.number if span.unit == "days" else -(-span.number // 24)
    return np.asarray(days.astype("datetime64[D]") + np.timedelta64(number, "D"), dtype="datetime64[D]")


def _months_after(days: Days, number: int) -> Days:
    """The same day of a later month, or the last day of a shorter one (Regulation 1182/71, art. 3(2)(c))."""
    month = days.astype("datetime64[M]")
    later = month + np.timedelta64(number, "M")
    last = (later + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    same = later.astype("datetime64[D]") + (days - month.astype("datetime64[D]"))
    return np.asarray(np.minimum(same, last))

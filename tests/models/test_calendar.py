"""Business days and due instants: laws that hold over every calendar, and days that people can check."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar import Calendar, Span, SpanFault, due_after, due_at, due_on, ends_at

SHANGHAI = "Asia/Shanghai"
WEEKDAYS = Calendar("weekends")
FEBRUARY = Calendar(
    "spring festival of 2026",
    days_off=frozenset(date(2026, 2, day) for day in range(15, 24)),
    worked=frozenset({date(2026, 2, 14), date(2026, 2, 28)}),
)
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
CALENDARS = st.builds(
    lambda off, worked: Calendar("any", frozenset(off - worked), frozenset(worked)),
    st.sets(DAYS, max_size=30),
    st.sets(DAYS, max_size=10),
)


@pytest.mark.parametrize(
    ("asked", "within", "due"),
    [
        (date(2026, 2, 12), "1 business day", date(2026, 2, 13)),  # Thursday → Friday
        (date(2026, 2, 13), "1 business day", date(2026, 2, 14)),  # the Saturday before the festival is worked
        (date(2026, 2, 13), "2 business days", date(2026, 2, 24)),
        (date(2026, 2, 18), "1 business day", date(2026, 2, 24)),  # asked on a day off
        (date(2026, 2, 27), "2 business days", date(2026, 3, 2)),  # Saturday 28 is worked, Sunday is not
        (date(2026, 2, 13), "5 days", date(2026, 2, 18)),
        (date(2026, 2, 13), "36 hours", date(2026, 2, 15)),
        (date(2026, 2, 16), "0 business days", date(2026, 2, 24)),
    ],
)
def test_chinas_days_off_and_working_weekends_count_as_they_are(asked: date, within: str, due: date) -> None:
    assert due_on(asked, Span.parse(within), FEBRUARY) == due


@given(DAYS, st.integers(1, 30), CALENDARS)
def test_so_many_business_days_lie_between_asking_and_the_due_day(asked: date, number: int, calendar: Calendar) -> None:
    due = due_on(asked, Span(number, "business days"), calendar)
    between = np.arange(np.datetime64(asked) + 1, np.datetime64(due) + 1)
    assert calendar.business(between).sum() == number
    assert calendar.business(np.array([due], dtype="datetime64[D]"))[0]


@given(st.lists(DAYS, min_size=1, max_size=20), st.integers(0, 20), CALENDARS)
def test_a_column_is_due_as_its_cells_are(asked: list[date], number: int, calendar: Calendar) -> None:
    span = Span(number, "business days")
    column = due_on(pd.Series(pd.to_datetime(asked)), span, calendar)
    assert [day.date() for day in column] == [due_on(day, span, calendar) for day in asked]


@given(DAYS, DAYS, st.integers(0, 20), CALENDARS)
def test_who_is_asked_later_is_never_due_earlier(one: date, other: date, number: int, calendar: Calendar) -> None:
    first, second = sorted((one, other))
    span = Span(number, "business days")
    assert due_on(first, span, calendar) <= due_on(second, span, calendar)


def test_a_day_ends_where_the_agency_is() -> None:
    evening = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)  # 01:00 of the 3rd in Shanghai
    due = due_after(evening, Span(1, "business days"), WEEKDAYS, SHANGHAI)
    assert due == datetime(2026, 3, 5, tzinfo=ZoneInfo(SHANGHAI))
    assert due_after(evening, Span(1, "business days"), WEEKDAYS, "UTC") == datetime(2026, 3, 4, tzinfo=UTC)


def test_hours_run_from_the_instant_itself() -> None:
    friday = datetime(2026, 3, 6, 15, 30, tzinfo=UTC)
    assert due_after(friday, Span(4, "hours"), WEEKDAYS, SHANGHAI) == friday + timedelta(hours=4)


def test_a_day_on_which_the_clock_is_put_forward_at_midnight_ends_all_the_same() -> None:
    # Beirut's clocks went from 23:59 on 29 March 2025 to 01:00
    days = pd.Series(pd.to_datetime([date(2025, 3, 29)])).astype("datetime64[us]")
    assert ends_at(days, "Asia/Beirut").iloc[0] == pd.Timestamp("2025-03-29 22:00", tz="UTC")


def test_a_column_without_rows_stays_one() -> None:
    nothing = pd.Series([], dtype="datetime64[us, UTC]")
    assert due_at(nothing, Span(2, "business days"), WEEKDAYS, SHANGHAI).empty


@pytest.mark.parametrize("text", ["", "2", "two days", "-1 days", "2 weeks", "1.5 hours", "2 business"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SpanFault) as it:
        Span.parse(text)
    assert "business days" in it.value.fix


@given(st.integers(0, 99_999), st.sampled_from(["hours", "days", "business days"]))
def test_a_span_is_read_as_it_is_written(number: int, unit: str) -> None:
    span = Span(number, unit)  # type: ignore[arg-type] # one of the literals
    assert Span.parse(str(span)) == span

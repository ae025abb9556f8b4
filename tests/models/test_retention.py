"""Periods reach back as the calendar does, and a schedule keeps the duties of its law."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import retention
from models.retention import CLASSES, Period, Schedule, ScheduleInvalid

DAYS = st.dates(date(1970, 1, 1), date(2200, 1, 1))
PERIODS = st.builds(Period, st.integers(0, 40), st.sampled_from(("days", "months", "years")))
OWN = """
name = "harbour"
version = "1"
jurisdiction = "CN"
base = "cn"
about = "Own."
about_zh = "自有。"

[[class]]
id = "{id}"
keep = "{keep}"
clause = "a decision"
verified = "text"
set_by = "house"
text = "why"
text_zh = "原因"
"""


@pytest.mark.parametrize(
    ("period", "day", "before"),
    [
        ("90 days", date(2026, 4, 1), date(2026, 1, 1)),
        ("1 month", date(2026, 3, 31), date(2026, 2, 28)),
        ("6 months", date(2026, 8, 31), date(2026, 2, 28)),
        ("5 years", date(2028, 2, 29), date(2023, 2, 28)),
        ("0 days", date(2026, 4, 1), date(2026, 4, 1)),
    ],
)
def test_a_period_reaches_back_by_the_calendar(period: str, day: date, before: date) -> None:
    assert Period.parse(period).before(day) == before
    assert Period.parse(str(Period.parse(period))) == Period.parse(period)


@given(PERIODS, DAYS)
def test_a_period_never_reaches_forward_and_a_later_day_never_earlier(period: Period, day: date) -> None:
    assert period.before(day) <= day
    assert period.before(day) <= period.before(day + timedelta(days=1))


@pytest.mark.parametrize("text", ["", "five years", "5 weeks", "-1 days", "99999 days"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ScheduleInvalid, match="no period"):
        Period.parse(text)


@pytest.mark.parametrize("name", retention.shipped())
def test_every_shipped_schedule_says_something_of_every_class_with_its_clause(name: str) -> None:
    schedule = retention.load(name)
    assert list(schedule.rules) == list(CLASSES)
    assert all(rule.clause and rule.text_zh for rule in schedule.rules.values())
    assert all(bool(rule.counsel) is (rule.verified != "text") for rule in schedule.rules.values())


def test_collection_records_of_chinese_lenders_are_kept_for_five_years() -> None:
    assert str(retention.load("cn").rules["collection"].at_least) == "5 years"


def test_an_own_schedule_takes_what_it_does_not_state_from_its_base() -> None:
    own = Schedule.parse(OWN.format(id="identity", keep="30 days"))
    assert str(own.rules["identity"].keep) == "30 days"
    assert own.rules["contact"] == retention.load("cn").rules["contact"]


@pytest.mark.parametrize(
    ("base", "record_class", "keep", "wrong"),
    [("cn", "contact", "4 years", "shorter than the duty"), ("us", "identity", "3 years", "longer than the law")],
)
def test_an_own_schedule_keeps_the_duties_of_its_base(base: str, record_class: str, keep: str, wrong: str) -> None:
    text = OWN.format(id=record_class, keep=keep).replace('base = "cn"', f'base = "{base}"')
    with pytest.raises(ScheduleInvalid, match=f"class {record_class}: .* {wrong}"):
        Schedule.parse(text)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ('id = "identity"', 'id = "socks"', "use one of|is 'socks'"),
        ('clause = "a decision"\n', "", "clause is missing"),
        ('version = "1"', "", "version is missing"),
        ('base = "cn"\n', "", "no class"),
        ('base = "cn"', 'base = "mars"', "no retention schedule"),
        ('set_by = "house"', 'set_by = "me"', "set_by"),
        ('text = "why"', 'text = "why"\nwhy = "x"', "unknown why"),
        ('name = "harbour"', 'name = "H"', "name must be"),
        ("[[class]]", "[[class", "not TOML"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_named(old: str, new: str, wrong: str) -> None:
    text = OWN.format(id="identity", keep="30 days")
    assert old in text
    with pytest.raises(ScheduleInvalid, match=wrong):
        Schedule.parse(text.replace(old, new))

"""Clocks by contract, and calendars: China's as it is published, a country's, and one's own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import insert

from infra import clocks, onboarding
from infra.settings import Settings
from infra.store import exchange, schema
from infra.wiring import Desk
from models.calendar import Span
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.calendar import Calendar

NOW = datetime(2026, 1, 10, 4, tzinfo=UTC)
TERMS = 'currency = "CNY"\n[[tier]]\nrate = "0.2"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk of January 2026 with one lender and two agencies."""
    at = Desk(Settings(home=tmp_path, calendars=tmp_path / "calendars.toml"), clock=lambda: NOW, actor="li.wei")
    (tmp_path / "calendars.toml").write_text("")
    schema.ensure(at.database)
    with at.database.write() as connection:
        connection.execute(insert(exchange.LENDERS).values(
            lender="harbour", name="Harbour", country="CN", timezone="Asia/Shanghai", created_at=NOW,
        ))  # fmt: skip
        for code, zone in (("quayside", "Asia/Shanghai"), ("thames", "Europe/London")):
            connection.execute(insert(exchange.AGENCIES).values(
                agency=code, name=code, state="live", suite="age", drop="{}", layout="package", channels="phone",
                remits="gross", term_days=90, timezone=zone, created_at=NOW,
            ))  # fmt: skip
    yield at
    at.database.close()


def working(calendar: Calendar, *days: date) -> list[bool]:
    return list(map(bool, calendar.business(np.array(days, dtype="datetime64[D]"))))


def test_china_works_the_weekends_that_make_up_for_its_holidays(desk: Desk) -> None:
    china = clocks.calendar(desk, "CN", NOW.date())
    assert working(china, date(2025, 1, 26), date(2025, 1, 28), date(2026, 2, 14), date(2026, 2, 16)) == [
        True, False, True, False,
    ]  # fmt: skip
    assert china.is_known(2025)
    assert china.is_known(2026)


def test_a_year_that_is_not_published_counts_its_weekdays_and_says_so(desk: Desk) -> None:
    later = clocks.calendar(desk, "CN", date(2031, 5, 1))
    assert not later.is_known(2031)
    assert working(later, date(2031, 3, 3), date(2031, 3, 8)) == [True, False]
    far = clocks.calendar(desk, "CN", date(2150, 5, 1))
    assert working(far, date(2150, 5, 4), date(2150, 5, 9)) == [True, False]


def test_the_year_can_be_stated_before_the_package_knows_it(desk: Desk) -> None:
    assert desk.settings.calendars is not None
    desk.settings.calendars.write_text("[CN]\ndays_off = [2031-03-03]\nworked = [2031-03-08]\nknown_years = [2031]\n")
    china = clocks.calendar(desk, "CN", date(2031, 5, 1))
    assert china.is_known(2031)
    assert working(china, date(2031, 3, 3), date(2031, 3, 8)) == [False, True]


def test_a_lender_has_days_of_its_own(desk: Desk) -> None:
    assert desk.settings.calendars is not None
    desk.settings.calendars.write_text('[harbour]\nlike = "CN"\ndays_off = [2026-01-12]\n')
    with desk.database.read() as connection:
        own = clocks.clock(connection, desk, "quayside", "harbour", NOW.date()).calendar
        other = clocks.clock(connection, desk, "quayside", "meridian", NOW.date()).calendar
    assert working(own, date(2026, 1, 12), date(2026, 2, 16)) == [False, False]
    assert working(other, date(2026, 1, 12)) == [True]


@pytest.mark.parametrize(
    "text",
    ["CN = 1", "[CN]\nholidays = []", '[CN]\ndays_off = ["2026-01-12"]', "[CN]\nknown_years = [2026-01-01]", "[CN"],
)
def test_a_calendar_that_is_written_wrong_is_named(desk: Desk, text: str) -> None:
    assert desk.settings.calendars is not None
    desk.settings.calendars.write_text(text)
    with pytest.raises(ConfigurationError, match=r"calendars\.toml"):
        clocks.calendar(desk, "CN", NOW.date())


def test_a_calendar_like_itself_or_like_none_is_named(desk: Desk) -> None:
    assert desk.settings.calendars is not None
    desk.settings.calendars.write_text('[a]\nlike = "b"\n[b]\nlike = "a"\n')
    with pytest.raises(ConfigurationError, match="like itself"):
        clocks.calendar(desk, "a", NOW.date())
    with pytest.raises(ConfigurationError, match="no calendar"):
        clocks.calendar(desk, "Atlantis", NOW.date())


def test_the_contract_says_by_when_and_the_settings_where_it_does_not(desk: Desk) -> None:
    desk.settings.two_people = False
    terms = TERMS + '[clocks]\nacknowledge_within = "4 hours"\nconfirm_recall_within = "1 business day"\n'
    onboarding.contract(desk, "quayside", "harbour", terms, date(2026, 1, 5))
    onboarding.contract(desk, "quayside", "harbour", TERMS, date(2026, 2, 1))
    with desk.database.read() as connection:
        now = clocks.clock(connection, desk, "quayside", "harbour", NOW.date())
        then = clocks.clock(connection, desk, "quayside", "harbour", date(2026, 2, 1))
        every = clocks.clocks(connection, desk, [("quayside", "harbour"), ("thames", "harbour")], NOW.date())
        by = clocks.due_by(connection, desk, date(2026, 1, 16), lambda agreed: agreed.confirm_recall_within)
        assert by("harbour", "quayside") == date(2026, 1, 19)  # Friday → Monday
        assert by("harbour", "thames") == date(2026, 1, 21)  # five days by default
    assert now.acknowledge_within == Span(4, "hours")
    assert then.acknowledge_within == Span(2, "business days")
    assert every["quayside", "harbour"] == now
    assert every["thames", "harbour"].zone == "Europe/London"


def test_clocks_that_cannot_be_read_are_refused_before_they_are_in_force(desk: Desk) -> None:
    for wrong in ('acknowledge_within = "soon"', "acknowledge_within = 2", 'within = "2 days"', "calendar = 1"):
        with pytest.raises(ConfigurationError, match="clocks"):
            onboarding.contract(desk, "quayside", "harbour", f"{TERMS}[clocks]\n{wrong}\n", date(2026, 1, 5))


def test_what_is_not_known_of_a_calendar_in_use_is_told(desk: Desk) -> None:
    with desk.database.read() as connection:
        assert clocks.unknown_years(connection, desk) == []
        desk.clock = lambda: datetime(2031, 12, 1, tzinfo=UTC)
        assert clocks.unknown_years(connection, desk) == [("CN", 2031), ("CN", 2032)]


def test_an_owners_deadline_is_a_business_day_too(desk: Desk) -> None:
    saturday = datetime(2026, 1, 10, 4, tzinfo=UTC)
    with desk.database.read() as connection:
        due = clocks.owner_deadline(connection, desk, "1 business day", "quayside", saturday)
    assert due == datetime(2026, 1, 12, 16, tzinfo=UTC)  # the end of Monday in Shanghai

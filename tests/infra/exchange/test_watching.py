"""What is late or stuck becomes an exception when its time is over, not before, and is resolved when it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from infra import exceptions, onboarding, watching
from infra.store import exchange, placing

if TYPE_CHECKING:
    import pandas as pd

Gateway = Any  # tests/infra/exchange/conftest.py
TODAY = date(2026, 1, 10)  # a Saturday, 09:00 in Shanghai
TERMS = 'currency = "CNY"\n[[tier]]\nrate = "0.2"\n[clocks]\n'


@pytest.fixture
def store_url(database_url: str) -> str:
    """On both stores."""
    return database_url


def look(gateway: Gateway) -> dict[str, list[str]]:
    """By code: what is late now."""
    return {code: [one.subject for one in found] for code, found in watching.look(gateway.world.desk).items() if found}


def detail(gateway: Gateway, code: str) -> dict[str, Any]:
    (found,) = watching.look(gateway.world.desk)[code]
    return dict(found.detail or {})


def unresolved(gateway: Gateway) -> list[str]:
    with gateway.world.desk.database.read() as connection:
        return sorted(exceptions.listed(connection)["code"])


def at(gateway: Gateway, *when: int) -> None:
    """It is that time in Shanghai."""
    gateway.world.clock.now = datetime(*when, tzinfo=UTC) - timedelta(hours=8)  # type: ignore[misc, arg-type]


def agreed(gateway: Gateway, clocks: str) -> None:
    onboarding.contract(gateway.world.desk, "quayside", "harbour", TERMS + clocks, date(2026, 1, 2))


def placed(gateway: Gateway, **columns: Any) -> pd.DataFrame:
    """Six accounts are with the agency since now, and acknowledged where their file is."""
    accounts: pd.DataFrame = gateway.place("acknowledged" if columns.get("state") == "acknowledged" else "placed")
    with gateway.world.desk.database.write() as connection:
        connection.execute(update(exchange.TRANSMISSIONS).values({"delivered_at": gateway.world.desk.now()} | columns))
    return accounts


def test_an_acknowledgement_is_late_after_the_business_days_of_the_contract(gateway: Gateway) -> None:
    agreed(gateway, 'acknowledge_within = "2 business days"\nreport_activity_every = "90 days"\n')
    accounts = placed(gateway)
    at(gateway, 2026, 1, 13, 23, 59)  # Monday and Tuesday are the two days
    assert look(gateway) == {}
    at(gateway, 2026, 1, 14, 0, 1)
    assert list(look(gateway)) == ["late_acknowledgement"]
    assert detail(gateway, "late_acknowledgement")["placements"] == 6
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == ["late_acknowledgement"]
    gateway.send("acknowledgement", gateway.acknowledging(accounts[:4]))
    gateway.collect()
    assert detail(gateway, "late_acknowledgement")["placements"] == 2
    gateway.send("acknowledgement", gateway.acknowledging(accounts[4:]))
    gateway.collect()
    assert look(gateway) == {}
    (done,) = [one for one in watching.watch(gateway.world.desk) if one.resolved]
    assert (done.code, done.resolved) == ("late_acknowledgement", 1)
    assert unresolved(gateway) == []


def test_a_festival_gives_more_days(gateway: Gateway) -> None:
    agreed(gateway, 'acknowledge_within = "1 business day"\nreport_activity_every = "90 days"\n')
    at(gateway, 2026, 2, 14, 9, 0)  # the Saturday before the spring festival is worked; the 15th to 23rd are not
    placed(gateway)
    at(gateway, 2026, 2, 24, 23, 0)
    assert look(gateway) == {}
    at(gateway, 2026, 2, 25, 0, 1)
    assert list(look(gateway)) == ["late_acknowledgement"]


def recalled(gateway: Gateway) -> pd.DataFrame:
    accounts = placed(gateway, state="acknowledged")
    with gateway.world.desk.database.write() as connection:
        due = accounts[["placement_id"]][:2].assign(lender="harbour", agency="quayside", reason="hold")
        placing.recall(connection, due, TODAY, lambda _lender, _agency: date(2026, 1, 15), "li.wei", lambda _: ".age")
    return accounts


def test_a_recall_is_unconfirmed_when_its_last_day_is_over_where_the_agency_is(gateway: Gateway) -> None:
    agreed(gateway, 'report_activity_every = "90 days"\n')
    accounts = recalled(gateway)
    gateway.collect()
    at(gateway, 2026, 1, 15, 23, 59)
    assert "unconfirmed_recall" not in look(gateway)
    at(gateway, 2026, 1, 16, 0, 1)
    assert detail(gateway, "unconfirmed_recall")["placements"] == 2
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == ["unconfirmed_recall"]
    gateway.send("return", accounts[["account"]][:2].assign(
        reason="recalled", returned_on="2026-01-15", currency="CNY", final_balance="1000.00"
    ))  # fmt: skip
    gateway.collect()
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == []


def test_what_is_due_in_new_york_is_not_late_in_shanghais_night(gateway: Gateway) -> None:
    agreed(gateway, 'report_activity_every = "90 days"\n')
    recalled(gateway)
    gateway.collect()
    with gateway.world.desk.database.write() as connection:
        connection.execute(update(exchange.AGENCIES).values(timezone="America/New_York"))
    at(gateway, 2026, 1, 16, 12, 0)  # 23:00 of the 15th there
    assert "unconfirmed_recall" not in look(gateway)
    at(gateway, 2026, 1, 16, 14, 0)
    assert "unconfirmed_recall" in look(gateway)


def test_an_erasure_is_overdue_until_it_is_certified(gateway: Gateway) -> None:
    agreed(gateway, 'report_activity_every = "90 days"\n')
    accounts = placed(gateway, state="acknowledged")
    gateway.send("return", accounts[["account"]].assign(
        reason="untraceable", returned_on="2026-01-10", currency="CNY", final_balance="1000.00"
    ))  # fmt: skip
    gateway.collect()
    with gateway.world.desk.database.write() as connection:
        placing.request_erasures(
            connection, "harbour", TODAY, lambda _lender, _agency: date(2026, 1, 20), lambda _: ".age"
        )
    gateway.collect()
    at(gateway, 2026, 1, 21, 9, 0)
    assert detail(gateway, "overdue_erasure")["placements"] == 6
    watching.watch(gateway.world.desk)
    with gateway.world.desk.database.read() as connection:
        (found,) = exceptions.listed(connection).to_dict("records")
    assert (found["code"], found["owner"]) == ("overdue_erasure", "compliance")


def test_an_agency_is_silent_after_the_last_report_of_what_it_holds(gateway: Gateway) -> None:
    agreed(gateway, 'acknowledge_within = "90 days"\nreport_activity_every = "7 days"\n')
    accounts = placed(gateway)
    at(gateway, 2026, 1, 17, 23, 0)
    assert look(gateway) == {}
    at(gateway, 2026, 1, 18, 0, 1)
    assert look(gateway) == {"silent_agency": ["activity:harbour.quayside"]}
    watching.watch(gateway.world.desk)
    gateway.send("activity", accounts[["account"]][:1].assign(
        at="2026-01-17T10:00:00+08:00", channel="phone", outcome="no_answer"
    ))  # fmt: skip
    took = gateway.collect()
    assert (took.accepted, took.lines_refused) == (1, 0)
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == []
    at(gateway, 2026, 1, 26, 0, 1)
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == ["silent_agency"]


def test_a_delivery_that_is_presumed_for_long_is_asked_about(gateway: Gateway) -> None:
    agreed(gateway, 'acknowledge_within = "90 days"\nreport_activity_every = "90 days"\n')
    placed(gateway, state="presumed")
    assert look(gateway) == {}
    at(gateway, 2026, 1, 13, 0, 1)  # Monday was the business day
    assert list(look(gateway)) == ["presumed_long"]


def test_a_file_that_waits_for_long_is_stuck_until_it_is_out(gateway: Gateway) -> None:
    agreed(gateway, 'report_activity_every = "90 days"\n')
    with gateway.world.desk.database.write() as connection:
        work = exchange.Work("test:stuck", "harbour", "quayside", "receipt", TODAY, ".age", {"file_id": 1})
        exchange.prepare(connection, work)
    at(gateway, 2026, 1, 11, 3, 59)  # four hours after the end of the day
    assert look(gateway) == {}
    at(gateway, 2026, 1, 11, 4, 1)
    (subject,) = look(gateway)["transmission_stuck"]
    assert ".receipt." in subject
    watching.watch(gateway.world.desk)
    with gateway.world.desk.database.write() as connection:
        connection.execute(update(exchange.TRANSMISSIONS).values(state="delivered"))
    watching.watch(gateway.world.desk)
    assert unresolved(gateway) == []


def test_looking_again_changes_nothing(gateway: Gateway) -> None:
    placed(gateway)
    at(gateway, 2026, 3, 1, 9, 0)
    first = watching.watch(gateway.world.desk)
    assert sum(one.opened for one in first) == 2  # nobody has acknowledged, and nobody reports
    again = watching.watch(gateway.world.desk)
    assert [(one.opened, one.resolved) for one in again] == [(0, 0)] * len(first)


def test_a_year_that_no_calendar_knows_is_said_in_time(gateway: Gateway) -> None:
    at(gateway, 2031, 11, 1, 9, 0)
    assert look(gateway)["calendar_unknown"] == ["calendar:CN:2031"]
    at(gateway, 2031, 12, 1, 9, 0)
    assert look(gateway)["calendar_unknown"] == ["calendar:CN:2031", "calendar:CN:2032"]


@pytest.mark.parametrize("state", ["claimed", "opened"])
def test_a_file_that_nobody_took_up_again_is_somebodys(gateway: Gateway, state: str) -> None:
    gateway.send("acknowledgement", gateway.acknowledging(placed(gateway)))
    gateway.collect()
    with gateway.world.desk.database.write() as connection:
        connection.execute(update(exchange.FILES).values(state=state))
    watching.watch(gateway.world.desk)
    assert "file_unjudged" not in unresolved(gateway)
    gateway.world.clock.now += timedelta(hours=5)
    watching.watch(gateway.world.desk)
    assert "file_unjudged" in unresolved(gateway)

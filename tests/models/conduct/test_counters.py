"""The counters against plain loops over the same contacts, and the time where a debtor is."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.conduct.counters import FAILED, REACHED, SPOKEN, UNANSWERED, breaches, contacts_of
from models.conduct.packs import Rule, load
from models.conduct.zones import local_times, zones_of

CN, US = load("cn"), load("us")
OUTCOMES = ("connected", "no_answer", "busy", "invalid", "promise", "refused", "third_party")
CALLS = st.lists(
    st.tuples(
        st.integers(1, 3),  # the account; accounts 1 and 2 are one debtor's
        st.integers(0, 10 * 24 * 4),  # quarters of an hour
        st.sampled_from(OUTCOMES),
        st.sampled_from(["p1", "p2", None]),
    ),
    max_size=60,
)


def rule_of(pack: Any, rule_id: str) -> Rule:
    found: Rule | None = pack.rule(rule_id)
    assert found is not None
    return found


def frame_of(calls: list[tuple[int, int, str, str | None]], region: str | None = "310000") -> pd.DataFrame:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        (1, number, "quayside", account, account, 1 if account == 2 else account,
         start + timedelta(minutes=15 * quarter), 480, "phone", point, outcome, region, "phone,sms", True)
        for number, (account, quarter, outcome, point) in enumerate(calls, 1)
    ]  # fmt: skip
    names = [
        "file_id", "line", "agency", "placement_id", "account_id", "debtor_id", "at", "offset_minutes", "channel",
        "contact_point_ref", "outcome", "region", "mandate", "fresh",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=names)
    text = ("agency", "channel", "contact_point_ref", "outcome", "region", "mandate")
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True).astype("datetime64[us, UTC]")).astype(
        dict.fromkeys(text, "str") | {"fresh": bool}
    )


def placements() -> pd.DataFrame:
    nobody = pd.Series([pd.NaT] * 3).astype("datetime64[us]")
    return pd.DataFrame({
        "placement_id": [1, 2, 3], "agency": "quayside", "account_id": [1, 2, 3],
        "placed_on": pd.Timestamp(2026, 1, 1).as_unit("us"), "ended_on": nobody,
        "recalled_at": nobody.dt.tz_localize("UTC"), "recall_reason": pd.Series([None] * 3, dtype="str"),
    })  # fmt: skip


def found_by(calls: list[Any], rule: Rule, jurisdiction: str = "CN", region: str | None = "310000") -> set[int]:
    zone = "Asia/Shanghai" if jurisdiction == "CN" else "America/New_York"
    contacts = contacts_of(frame_of(calls, region), placements(), jurisdiction, zone)
    mask, _ = breaches(contacts, rule)
    return set(contacts.frame["line"].to_numpy()[mask])


def in_time(calls: list[Any]) -> list[tuple[int, Any]]:
    return sorted(enumerate(calls, 1), key=lambda one: (one[1][1], one[0]))


def shanghai(quarter: int) -> datetime:
    return datetime(2026, 3, 1, 8) + timedelta(minutes=15 * quarter)  # noqa: DTZ001 - local


@given(CALLS)
@settings(max_examples=25)
def test_counts_per_day_are_what_a_loop_counts(calls: list[Any]) -> None:
    connected, dialled = set(), set()
    spoken: dict[Any, int] = defaultdict(int)
    tried: dict[Any, int] = defaultdict(int)
    for line, (account, quarter, outcome, point) in in_time(calls):
        debtor, day = 1 if account == 2 else account, shanghai(quarter).date()
        if outcome in SPOKEN:
            spoken[debtor, day] += 1
            if spoken[debtor, day] > 3:
                connected.add(line)
        if outcome in UNANSWERED and point is not None:
            tried[debtor, point, day] += 1
            if tried[debtor, point, day] > 6:
                dialled.add(line)
    assert found_by(calls, rule_of(CN, "GBT45251-calls")) == connected
    assert found_by(calls, rule_of(CN, "CBA2026-dials")) == dialled


@given(CALLS)
@settings(max_examples=25)
def test_nights_and_third_parties_are_what_a_loop_finds(calls: list[Any]) -> None:
    nights, thirds = set(), set()
    failed: dict[int, int] = defaultdict(int)
    invalid: dict[int, bool] = defaultdict(bool)
    for line, (account, quarter, outcome, _point) in in_time(calls):
        debtor, hour = 1 if account == 2 else account, shanghai(quarter).hour
        if (hour >= 22 or hour < 8) and outcome != "invalid":
            nights.add(line)
        if outcome in REACHED:
            failed[debtor], invalid[debtor] = 0, False
        failed[debtor] += outcome in FAILED
        invalid[debtor] |= outcome == "invalid"
        if outcome == "third_party" and failed[debtor] < 3 and not invalid[debtor]:
            thirds.add(line)
    assert found_by(calls, rule_of(CN, "CBA2026-hours")) == nights
    assert found_by(calls, rule_of(CN, "CBA2026-third")) == thirds


@given(CALLS)
@settings(max_examples=25)
def test_calls_per_debt_and_days_of_quiet_are_what_a_loop_finds(calls: list[Any]) -> None:
    often, disturbed = set(), set()
    days: dict[int, list[date]] = defaultdict(list)
    last: dict[int, date] = {}
    for line, (account, quarter, outcome, _point) in in_time(calls):
        day = (datetime(2026, 3, 1) + timedelta(minutes=15 * quarter) - timedelta(hours=5)).date()  # noqa: DTZ001
        if datetime(2026, 3, 1) + timedelta(minutes=15 * quarter) >= datetime(2026, 3, 8, 7):  # noqa: DTZ001
            day = (datetime(2026, 3, 1) + timedelta(minutes=15 * quarter) - timedelta(hours=4)).date()  # noqa: DTZ001
        if outcome in {"busy", "invalid"}:
            continue
        days[account].append(day)
        if sum(day - timedelta(days=6) <= one <= day for one in days[account]) > 7:
            often.add(line)
        if account in last and (day - last[account]).days <= 6:
            disturbed.add(line)
        if outcome in SPOKEN:
            last[account] = day
    assert found_by(calls, rule_of(US, "REGF-14b-7"), "US", "NY") == often
    assert found_by(calls, rule_of(US, "REGF-14b-after"), "US", "NY") == disturbed


@given(CALLS, st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_the_order_of_lines_in_a_frame_does_not_matter(calls: list[Any], random: Any) -> None:
    frame = frame_of(calls)
    mixed = frame.sample(frac=1, random_state=random.randint(0, 1_000)) if len(frame) else frame
    for rule in CN.rules:
        if not rule.judged or rule.counter in {"silent_account", "remittance_without_contact", "record_gap"}:
            continue
        told = []
        for one in (frame, mixed):
            contacts = contacts_of(one, placements(), "CN", "Asia/Shanghai")
            mask, _ = breaches(contacts, rule)
            told.append(set(contacts.frame["line"].to_numpy()[mask]))
        assert told[0] == told[1]


@given(CALLS, st.integers(0, 60))
@settings(max_examples=15)
def test_a_verdict_hangs_on_nothing_later(calls: list[Any], cut: int) -> None:
    calls = [call for _, call in in_time(calls)]
    sooner = calls[:cut]
    for rule_id in ("GBT45251-calls", "CBA2026-dials", "CBA2026-third", "CBA2026-hours"):
        whole = found_by(calls, rule_of(CN, rule_id))
        assert {line for line in whole if line <= len(sooner)} == found_by(sooner, rule_of(CN, rule_id))


def test_zones_come_from_the_region_and_else_from_the_offset() -> None:
    assert zones_of("CN", None) == ("Asia/Shanghai",)
    assert zones_of("US", "us-ca") == ("America/Los_Angeles",)
    assert zones_of("US", "ZZ") == zones_of("EU", None) == ()
    assert zones_of("EU", "DE-BY") == ("Europe/Berlin",)
    at = pd.Series(pd.to_datetime(["2026-07-01T12:00Z", "2026-01-01T12:00Z"], utc=True)).astype("datetime64[us, UTC]")
    told = local_times("US", at, np.array([0, 60]), pd.Series(["NY", None], dtype="str"))
    assert [str(one) for one in told.earliest] == ["2026-07-01T08:00:00.000000", "2026-01-01T13:00:00.000000"]
    assert list(told.zone) == ["America/New_York", "offset"]

"""The rules of the books: entries balance, stand in an open month, and a mirror undoes what it mirrors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import chart, packaged, postings
from models.chart import Chart, ChartInvalid
from models.closing import FINDINGS, uncovered
from models.ledger import Unbalanced, balanced, booked

DAY = date(2026, 4, 3)
MINOR = st.integers(-(10**12), 10**12)
EVENTS: dict[str, tuple[Callable[..., pd.DataFrame], tuple[int, ...], dict[str, int]]] = {
    "line_accepted": (postings.line_accepted, (100, 30), {"1200": 100, "1100": -70, "2200": -30}),
    "commission": (postings.commission, (20, 3), {"5100": 20, "1300": 3, "2100": -23}),
    "net_retention": (postings.net_retention, (23,), {"2100": 23, "1200": -23}),
    "receipt": (postings.receipt, (77,), {"1010": 77, "1250": -77}),
    "cash": (postings.cash, (70, 4, 3), {"1250": 73, "1200": -74, "5950": 1}),
    "agency_paid": (postings.agency_paid, (23,), {"2100": 23, "1250": -23}),
    "refund_paid": (postings.refund_paid, (30,), {"2200": 30, "1250": -30}),
    "clawback": (postings.clawback, (9,), {"1350": 9, "2100": -9}),
    "clawback_paid": (postings.clawback_paid, (9,), {"1250": 9, "1350": -9}),
    "reverse_charge": (postings.reverse_charge, (6,), {"1300": 6, "2300": -6}),
    "write_off": (postings.write_off, (5, 2), {"1200": -5, "1250": 2, "5950": 3}),
}


def entry_of(name: str) -> pd.DataFrame:
    return postings.event(name, f"{name}:1", "bank-a", "alpha", DAY, "CNY", 7)


def entry(name: str, *amounts: int) -> pd.DataFrame:
    return EVENTS[name][0](entry_of(name), *(pd.Series([amount]) for amount in amounts))


def sums(*journals: pd.DataFrame) -> dict[str, int]:
    total = pd.concat(journals).groupby("ledger")["amount_minor"].sum()
    return {str(ledger): int(minor) for ledger, minor in total.items() if minor}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_moves_the_ledgers_that_the_page_says(name: str) -> None:
    _, amounts, moved = EVENTS[name]
    journal = balanced(entry(name, *amounts))
    assert sums(journal) == moved
    assert set(journal["ledger"]) <= set(chart.LEDGERS.values())


@given(st.sampled_from(sorted(EVENTS)), st.data())
@settings(max_examples=40)
def test_every_event_balances_and_the_turned_signs_are_its_mirror(name: str, data: st.DataObject) -> None:
    amounts = [data.draw(MINOR) for _ in EVENTS[name][1]]
    journal = balanced(entry(name, *amounts))
    assert sums(journal, balanced(entry(name, *(-amount for amount in amounts)))) == {}


@given(st.lists(st.tuples(MINOR, st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_a_line_and_its_reversal_in_parts_leave_nothing(parts: list[tuple[int, int, int]]) -> None:
    gross, fee, vat = (pd.Series([sum(column), *(-part for part in column)]) for column in zip(*parts, strict=True))
    rows = pd.concat([entry_of("line_accepted")] * len(gross), ignore_index=True)
    assert sums(postings.line_accepted(rows, gross, fee), postings.commission(rows, fee, vat)) == {}


def test_an_exchange_is_even_in_each_currency() -> None:
    rows = postings.event("exchange", "fx", "bank-a", "alpha", DAY, ["USD", "CNY"])
    journal = balanced(postings.exchange(rows, pd.Series([100, 0]), pd.Series([0, 716])))
    assert sums(journal[journal["currency"] == "USD"]) == {"1200": -100, "1290": 100}
    assert sums(journal[journal["currency"] == "CNY"]) == {"1250": 716, "1290": -716}


def test_an_entry_that_does_not_sum_to_0_is_named() -> None:
    journal = entry("receipt", 5)
    with pytest.raises(Unbalanced, match="receipt:1 does not sum to 0 in CNY"):
        balanced(journal.assign(amount_minor=[5, -4]))


DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(st.lists(DAYS, min_size=1, max_size=20), st.none() | DAYS.map(lambda day: f"{day:%Y-%m}"), DAYS)
def test_an_entry_stands_in_its_own_month_or_the_first_open_one(
    days: list[date], closed: str | None, today: date
) -> None:
    found = booked(pd.Series(pd.to_datetime(days), index=range(5, 5 + len(days))), closed, today)
    assert list(found.index) == list(range(5, 5 + len(days)))
    for day, period, on in zip(days, found["period"], found["posted_on"].dt.date, strict=True):
        assert f"{on:%Y-%m}" == period
        assert closed is None or period > closed
        if closed is None or f"{day:%Y-%m}" > closed:
            assert on == day
        else:
            first = np.datetime64(closed, "M") + 1
            assert period == str(first)
            assert f"{today:%Y-%m}" != period or on == today


def test_the_shipped_charts_fill_every_role() -> None:
    for name in chart.shipped():
        assert set(chart.load(name).codes) == set(chart.LEDGERS.values())
    assert all(ledger == code for ledger, code in chart.load("default").codes.items())


@pytest.mark.parametrize(
    ("find", "put", "match"),
    [
        ('role = "bank"', 'role = "unapplied"', "no account for bank"),
        ('code = "1010"', 'code = "1100"', "code 1100"),
        ('role = "bank"', 'role = "vault"', "unknown role 'vault'"),
        ('kind = "asset"', 'kind = "thing"', "unknown kind 'thing'"),
        ('code = "1010"', 'code = "10 10"', "no code"),
        ('code = "1010"', "code = 1010", "`code` is no text"),
        ('name = "bank"', 'name = "bank; rm"', "no name"),
        ('name = "bank"', 'title = "bank"', "unknown in account"),
        ('title = "The', 'motto = "The', "unknown in the chart"),
        ("[[account]]", "[account]", "not TOML"),
    ],
)
def test_a_chart_that_cannot_be_used_is_refused_and_says_why(find: str, put: str, match: str) -> None:
    text = packaged.text("models", "charts", "default")
    assert find in text
    with pytest.raises(ChartInvalid, match=match):
        Chart.parse(text.replace(find, put))


MARCH = (date(2026, 3, 1), date(2026, 3, 31))


@pytest.mark.parametrize(
    ("statements", "missing"),
    [
        ([], ["2026-03-01 to 2026-03-31 on no statement"]),
        ([MARCH], []),
        ([(date(2026, 2, 1), date(2026, 4, 2))], []),
        ([(date(2026, 3, 10), date(2026, 3, 31))], []),  # the account is new
        ([(date(2026, 4, 1), date(2026, 4, 30))], []),  # and here newer than the month
        ([(date(2026, 1, 1), date(2026, 1, 31))], ["2026-03-01 to 2026-03-31 on no statement"]),
        (
            [(date(2026, 2, 1), date(2026, 2, 28)), (date(2026, 3, 3), date(2026, 3, 30))],
            ["2026-03-01 to 2026-03-02 on no statement", "2026-03-31 to 2026-03-31 on no statement"],
        ),
        ([MARCH, (date(2026, 3, 5), date(2026, 3, 6))], []),
    ],
)
def test_days_of_the_month_on_no_statement_are_named(statements: list[tuple[date, date]], missing: list[str]) -> None:
    assert uncovered(statements, *MARCH) == missing


@given(st.lists(st.tuples(DAYS, st.integers(0, 40)), min_size=1, max_size=8))
def test_statements_that_follow_each_other_leave_no_gap(pieces: list[tuple[date, int]]) -> None:
    days = sorted(day for day, _ in pieces)
    statements = [(a, b) for a, b in pairwise([*days, date(2028, 1, 31)])]
    assert uncovered(statements, *MARCH) == []


def test_every_finding_says_what_to_do() -> None:
    assert all(kind.about and kind.fix for kind in FINDINGS.values())

"""Pages by keyset: every row once and in order, however the pages are cut; and no address that was tampered with."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from infra.store import browsing, bulk, keyset, schema
from infra.store.browsing import PlacementFilter, RecallFilter
from infra.store.database import Database
from infra.store.keyset import CursorInvalid, Order
from models.tables import Agency, Erasure, Lender, Placement, Recall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from infra.store.keyset import Page

NOW = pd.Timestamp("2026-03-01", tz="UTC")
TODAY = date(2026, 3, 1)
COUNT = 137
AGENCIES = ("north", "south", "west")
LENDERS = ("harbour", "lotus")
STATES = ("placed", "acknowledged", "recalled", "closed")
PLACEMENTS = bulk.table_of(Placement)


def filled(database: Database) -> None:
    """Placements of two lenders with three agencies, many due on one day; recalls of the latter half."""
    schema.ensure(database)
    numbers = pd.Series(range(1, COUNT + 1))
    due = [pd.Timestamp("2026-02-20") + timedelta(days=number % 11) for number in numbers]
    recalled = numbers[numbers % 4 >= 2].reset_index(drop=True)
    closed = recalled[recalled % 4 == 3].reset_index(drop=True)
    with database.write() as connection:
        bulk.append(connection, Lender, pd.DataFrame({"lender": LENDERS, "name": LENDERS, "created_at": NOW}))
        bulk.append(
            connection, Agency, pd.DataFrame({"agency": AGENCIES, "name": AGENCIES, "drop": "{}", "created_at": NOW})
        )
        bulk.append(
            connection, Placement,
            pd.DataFrame({
                "placement_id": numbers, "plan_id": 1, "lender": [LENDERS[one % 2] for one in numbers],
                "agency": [AGENCIES[one % 3] for one in numbers], "account_id": numbers + 1000, "debtor_id": numbers,
                "round": 1, "stage": "phone", "segment": "card/M3", "currency": "CNY", "balance_minor": numbers * 100,
                "dpd": 60, "bucket": "M2", "placed_on": pd.Timestamp("2026-01-01"), "due_back_on": due,
                "state": [STATES[one % 4] for one in numbers],
            }),
        )  # fmt: skip
        bulk.append(
            connection, Recall,
            pd.DataFrame({
                "recall_id": recalled, "placement_id": recalled, "agency": [AGENCIES[one % 3] for one in recalled],
                "reason": ["term" if one % 3 else "paid" for one in recalled],
                "requested_on": pd.Timestamp("2026-02-20"), "requested_by": "chen.yu",
                "due_on": [pd.Timestamp("2026-02-25") + timedelta(days=one % 9) for one in recalled],
                "confirmed_on": pd.Series([pd.Timestamp("2026-02-26") if one % 4 == 3 else None for one in recalled]),
            }),
        )  # fmt: skip
        bulk.append(
            connection, Erasure,
            pd.DataFrame({
                "erasure_id": closed, "placement_id": closed, "agency": [AGENCIES[one % 3] for one in closed],
                "requested_on": pd.Timestamp("2026-02-27"), "due_on": pd.Timestamp("2026-03-20"),
                "verified_at": pd.Series([NOW if one % 5 else None for one in closed]),
            }),
        )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('keyset') / 'store.sqlite'}", durable=False)
    filled(database)
    yield database
    database.close()


def walked(asked: Callable[[str | None], Page]) -> list[Page]:
    """Every page, from the first to the last."""
    pages = [asked(None)]
    while pages[-1].after is not None:
        pages.append(asked(pages[-1].after))
    return pages


@settings(max_examples=25)
@given(rows=st.integers(1, COUNT + 3), falling=st.booleans())
def test_every_row_is_on_one_page_however_long_the_pages_are(store: Database, rows: int, *, falling: bool) -> None:
    order = Order((PLACEMENTS.c.due_back_on, PLACEMENTS.c.placement_id), falling=falling)
    with store.read() as connection:
        pages = walked(lambda after: keyset.page(connection, select(PLACEMENTS), order, after, rows))
    keys = [(row["due_back_on"], row["placement_id"]) for page in pages for row in page.rows]
    assert keys == sorted(keys, reverse=falling)
    assert len(keys) == len(set(keys)) == COUNT
    assert all(len(page.rows) == rows for page in pages[:-1])
    assert pages[-1].rows


@pytest.mark.parametrize("falling", [False, True])
def test_several_parts_are_one_list(store: Database, *, falling: bool) -> None:
    order = Order((PLACEMENTS.c.due_back_on, PLACEMENTS.c.placement_id), falling=falling)
    keys = [select(*order.columns).where(PLACEMENTS.c.agency == agency) for agency in AGENCIES]
    with store.read() as connection:
        together = walked(lambda after: keyset.page_of(connection, select(PLACEMENTS), keys, order, after, 10))
        alone = walked(lambda after: keyset.page(connection, select(PLACEMENTS), order, after, 10))
    assert together == alone


@pytest.mark.parametrize(
    "cursor", ["x", "%%%", "bnVsbA", "WzFd", "WyJhIiwgImIiXQ", "W3RydWUsIDFd", "WyIyMDI2LTAxLTAxIiwgIjEiXQ"]
)
def test_an_address_that_was_tampered_with_is_refused(store: Database, cursor: str) -> None:
    with store.read() as connection, pytest.raises(CursorInvalid):
        browsing.placements(connection, PlacementFilter(), cursor)


def test_counting_stops_where_nobody_reads_on(store: Database) -> None:
    with store.read() as connection:
        assert keyset.counted(connection, [select(PLACEMENTS)]) == COUNT
        assert keyset.counted(connection, [select(PLACEMENTS), select(PLACEMENTS)], to=200) == 201
        assert keyset.counted(connection, [], to=200) == 0


@pytest.mark.parametrize("tab", browsing.PLACEMENT_TABS)
@pytest.mark.parametrize(("lender", "agency"), [("", ""), ("harbour", ""), ("", "north"), ("lotus", "south")])
def test_placements_are_found_by_every_filter(store: Database, tab: str, lender: str, agency: str) -> None:
    wanted = PlacementFilter(tab, lender, agency)
    with store.read() as connection:
        pages = walked(lambda after: browsing.placements(connection, wanted, after))
        counts = browsing.placements_counted(connection, wanted)
    found = [row for page in pages for row in page.rows]
    expected = {
        number
        for number in range(1, COUNT + 1)
        if STATES[number % 4] in browsing.PLACEMENT_TABS[tab]
        and lender in {"", LENDERS[number % 2]}
        and agency in {"", AGENCIES[number % 3]}
    }
    assert {row["placement_id"] for row in found} == expected
    assert counts[tab] == len(found) == len(expected)


def test_placements_are_found_by_account_and_by_day(store: Database) -> None:
    with store.read() as connection:
        one = browsing.placements(connection, PlacementFilter("closed", account_id=1003))
        early = browsing.placements(connection, PlacementFilter("out", back_by=date(2026, 2, 20)))
    assert [row["placement_id"] for row in one.rows] == [3]
    assert early.rows
    assert all(row["due_back_on"] <= date(2026, 2, 20) for row in early.rows)


@pytest.mark.parametrize("tab", browsing.RECALL_TABS)
@pytest.mark.parametrize(("lender", "agency", "reason"), [("", "", ""), ("harbour", "", ""), ("", "west", "paid")])
def test_recalls_are_found_by_every_filter(store: Database, tab: str, lender: str, agency: str, reason: str) -> None:
    wanted = RecallFilter(tab, lender, agency, reason)
    with store.read() as connection:
        rows = recalls_of(connection, wanted)
        counts = browsing.recalls_counted(connection, wanted, TODAY)
    assert len({row["recall_id"] for row in rows}) == len(rows) == counts[tab]
    assert all(agency in {"", row["agency"]} and lender in {"", row["lender"]} for row in rows)
    assert all(reason in {"", row["reason"]} for row in rows)
    assert all((row["confirmed_on"] is None) is (tab in {"open", "overdue"}) for row in rows)
    if tab == "overdue":
        assert all(row["due_on"] < TODAY for row in rows)
    if tab == "uncertified":
        assert all(row["erasure_verified_at"] is None and row["erasure_id"] for row in rows)


def recalls_of(connection: Connection, wanted: RecallFilter) -> list[dict[str, Any]]:
    pages = walked(lambda after: browsing.recalls(connection, wanted, TODAY, after))
    return [row for page in pages for row in page.rows]


def test_lists_are_the_same_on_either_store(database_url: str, store: Database) -> None:
    other = Database(database_url, durable=False)
    filled(other)
    for tab in browsing.RECALL_TABS:
        with store.read() as here, other.read() as there:
            assert recalls_of(here, RecallFilter(tab)) == recalls_of(there, RecallFilter(tab))
    with store.read() as here, other.read() as there:
        assert browsing.placements(here, PlacementFilter()) == browsing.placements(there, PlacementFilter())
    other.close()

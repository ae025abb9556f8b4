"""Lists that look at little per page, on both databases: accounts that move, and who is one person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlmodel import SQLModel

from infra.store import bulk, joint, moves
from infra.store.browsing import LINES
from infra.store.consolidation import LINKED
from infra.store.database import Database
from models.tables import Account, ConsolidationBasis, Placement, PlanLine

TODAY = date(2026, 3, 2)
AT = datetime(2026, 3, 2, tzinfo=UTC)
AGENCIES = st.sampled_from(["north", "south", "west"])
PLANS = st.dictionaries(st.integers(1, 3 * moves.ACCOUNTS_AT_ONCE), AGENCIES, max_size=30)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    SQLModel.metadata.create_all(made.engine)
    yield made
    made.close()


def kept(database: Database, plans: dict[int, dict[int, str]]) -> None:
    """The plans' lines, and no others."""
    rows = [(number, account, agency) for number, lines in plans.items() for account, agency in lines.items()]
    frame = pd.DataFrame(rows, columns=["plan_id", "account_id", "agency"])
    frame = frame.astype({"plan_id": "int64", "account_id": "int64", "agency": "str"})
    with database.write() as connection:
        connection.execute(delete(LINES))
        bulk.append(connection, PlanLine, frame.assign(
            debtor_id=frame["account_id"], segment="all", balance_minor=100, dpd=90, bucket="M3", round=1, why="share",
            version=1,
        ))  # fmt: skip


@settings(suppress_health_check=list(HealthCheck), max_examples=15, deadline=None)
@given(first=PLANS, second=PLANS)
def test_page_by_page_exactly_the_accounts_that_move_are_told_in_their_order(
    database: Database, first: dict[int, str], second: dict[int, str]
) -> None:
    kept(database, {1: first, 2: second})
    wanted = [
        (account, first.get(account, "-"), second.get(account, "-"))
        for account in sorted({*first, *second})
        if first.get(account) != second.get(account)
    ]
    told, after = [], None
    with database.read() as connection:
        while True:
            page = moves.moved(connection, 1, 2, after)
            told += [(row["account_id"], row["was"], row["becomes"]) for row in page.rows]
            if (after := page.after) is None:
                break
        some = moves.moved(connection, 1, 2, source="north", there="south").rows
    assert told == wanted
    assert {row["account_id"] for row in some} <= {number for number, *pair in wanted if pair == ["north", "south"]}


def test_persons_are_those_of_lenders_whose_bases_count_and_divided_who_is_with_several_agencies(
    database: Database,
) -> None:
    lenders = ["harbour", "lotus"]
    linked = pd.DataFrame({
        "circle": "delta", "debtor_id": [1, 2, 3, 4, 5], "lender": ["harbour", "lotus", "harbour", "lotus", "harbour"],
        "link": ["a", "a", "b", "b", "c"], "linked_at": pd.Timestamp(AT),
    })  # fmt: skip
    placed = pd.DataFrame({
        "placement_id": [1, 2, 3, 4], "account_id": [1, 2, 3, 4], "debtor_id": [1, 2, 3, 4],
        "lender": ["harbour", "lotus"] * 2, "agency": ["north", "north", "north", "south"], "balance_minor": 100,
        "dpd": 90, "currency": "CNY", "bucket": "M3",
    })  # fmt: skip
    with database.write() as connection:
        bulk.append(connection, LINKED, linked)
        bulk.append(connection, Account, placed.drop(columns=["placement_id", "agency"]).assign(
            ref_index=["a", "b", "c", "d"], portfolio_id=1, product="card", as_of=pd.Timestamp(TODAY), status="open",
        ))  # fmt: skip
        bulk.append(connection, Placement, placed.assign(
            plan_id=1, round=1, stage="phone", segment="all", placed_on=pd.Timestamp(TODAY),
            due_back_on=pd.Timestamp(TODAY), state="acknowledged",
        ))  # fmt: skip
    with database.session() as session:
        session.add_all(
            ConsolidationBasis(
                circle="delta", scope="external", lender=lender, basis="x", evidence="y", valid_from=TODAY,
                valid_until=TODAY, split_order="pro_rata", state="in_force", proposed_by="a", proposed_at=AT,
            )
            for lender in lenders
        )  # fmt: skip
    with database.read() as connection:
        whole, divided = (joint.persons(connection, "delta", TODAY, divided=only) for only in (False, True))
        later = joint.persons(connection, "delta", date(2026, 3, 3))
    assert [row["debtor_id"] for row in whole.rows] == [1, 3], "who shares a link with nobody is no person of several"
    assert [one["agencies"] for one in whole.rows[1]["members"]] == [["north"], ["south"]]
    assert [row["debtor_id"] for row in divided.rows] == [3]
    assert later.rows == []

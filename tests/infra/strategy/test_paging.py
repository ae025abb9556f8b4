"""Runs, moves, stages, proposed recalls and instalment plans by pages on either store: no row twice, none left out."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import update

from infra.store import agreements, stages
from infra.store import strategy as store
from infra.store.agreements import Wanted
from infra.store.instalments import PLANS
from infra.store.stages import Group
from models.tables import Instalment, InstalmentPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.store.keyset import Page

TODAY = date(2026, 11, 22)


def pages(ask: Callable[[str | None], Page], key: str) -> list[int]:
    """The keys of every page, one page after the other."""
    found: list[int] = []
    after: str | None = None
    while True:
        page = ask(after)
        found += [int(row[key]) for row in page.rows]
        after = page.after
        if after is None:
            return found


def kept(house: Any, count: int) -> int:
    """A run that moves so many accounts: every third to a visit, by another rule."""
    ids = list(range(1, count + 1))
    visits = [number % 3 == 0 for number in ids]
    lines = pd.DataFrame({
        "account_id": ids, "debtor_id": ids, "currency": "CNY", "balance_minor": 500_000, "version": 1,
        "from_stage": "reminder", "to_stage": ["field" if one else "phone" for one in visits], "days": 20,
        "rule": ["visit" if one else "telephone" for one in visits], "why": "rule",
    })  # fmt: skip
    with house.desk.database.write() as connection:
        return store.keep_run(
            connection, lines, lender="harbour", strategy="cn-soft-first", version="1", strategy_sha256="0" * 64,
            as_of=TODAY, accounts=count, moves=count, content_sha256="1" * 64, summary="{}", created_by="chen.yu",
            created_at=house.desk.now(),
        )  # fmt: skip


GROUPS = [
    {"from_stage": "reminder", "to_stage": to, "rule": rule, "why": "rule", "currency": "CNY", "accounts": 1}
    for to, rule in (("phone", "telephone"), ("field", "visit"))
]


def test_every_move_of_a_group_is_on_one_page_and_on_one_alone(house: Any) -> None:
    run_id = kept(house, 170)
    with house.desk.database.read() as connection:

        def moves(wanted: Group) -> list[int]:
            return pages(lambda after: stages.moves(connection, run_id, wanted, GROUPS, after), "account_id")

        every, visits = moves(Group()), moves(Group(to_stage="field", rule="visit"))
        either, none = moves(Group(why="rule")), moves(Group(rule="nothing"))
    assert every == either == list(range(1, 171))
    assert visits == [number for number in every if number % 3 == 0]
    assert none == []


def test_an_accepted_run_s_accounts_stand_in_their_stages_and_are_counted_there(house: Any) -> None:
    run_id = kept(house, 9)
    with house.desk.database.write() as connection:
        store.put_in_stages(connection, store.run(connection, run_id), TODAY)
    house.place(10, TODAY - timedelta(days=5))
    with house.desk.database.read() as connection:
        counted = {row["stage"]: (row["accounts"], row["out"]) for row in stages.standing(connection, "harbour")}
        there = pages(lambda after: stages.accounts(connection, "harbour", "field", after), "account_id")
        waits = stages.waiting(connection, ["harbour", "lotus"])
        newest = stages.runs(connection, "harbour", "proposed").rows
    assert counted == {"field": (3, 0), "phone": (6, 1)}
    assert there == [3, 6, 9]
    assert waits == {"harbour": {"run": run_id}, "lotus": {}}
    assert [row["run_id"] for row in newest] == [run_id]


def test_proposed_recalls_are_listed_and_counted_alike(house: Any) -> None:
    lines = pd.DataFrame({
        "placement_id": range(101, 111), "account_id": range(1, 11), "agency": ["quayside"] * 6 + ["harbour"] * 4,
        "rule": "not-worked", "reason": "no_activity", "level": "primary", "next_level": "secondary",
        "next_stage": "field", "balance_minor": 500_000, "days_held": 40, "days_without_payment": 40,
        "days_without_activity": 40,
    })  # fmt: skip
    with house.desk.database.write() as connection:
        number = store.keep_proposal(
            connection, lines, lender="harbour", strategy="cn-soft-first", version="1", strategy_sha256="0" * 64,
            as_of=TODAY, placements=10, balance_minor=5_000_000, content_sha256="1" * 64, created_by="chen.yu",
            created_at=house.desk.now(),
        )  # fmt: skip
    with house.desk.database.read() as connection:
        counted = {row["agency"]: row for row in stages.proposed_counted(connection, number)}
        theirs = stages.proposed(connection, number, "quayside", "not-worked").rows
        waits = stages.proposals(connection, "harbour", "proposed").rows
    assert {agency: (row["placements"], row["balance_minor"]) for agency, row in counted.items()} == {
        "quayside": (6, 3_000_000), "harbour": (4, 2_000_000),
    }  # fmt: skip
    assert [row["placement_id"] for row in theirs] == list(range(101, 107))
    assert [row["proposal_id"] for row in waits] == [number]


def test_an_agreed_plan_is_in_one_tab_whichever_day_it_is(house: Any) -> None:
    place = house.place(1, TODAY - timedelta(days=60))
    first = TODAY + timedelta(days=10)
    house.add(
        InstalmentPlan(
            instalment_plan_id=1, agency="quayside", lender="harbour", plan_ref="P-1", placement_id=place,
            currency="CNY", total_minor=300, instalments=2, first_due_on=first, last_due_on=first + timedelta(days=30),
            state="approved", file_id=1, proposed_at=house.desk.now(),
        ),
        *(
            Instalment(instalment_plan_id=1, number=number, due_on=first + timedelta(days=30 * (number - 1)),
                       amount_minor=150)
            for number in (1, 2)
        ),
    )  # fmt: skip

    def tabs(days: int) -> set[str]:
        with house.desk.database.read() as connection:
            counts = agreements.counted(connection, Wanted(agency="quayside"), TODAY + timedelta(days=days))
            own = agreements.of_agency(connection, "quayside").rows
        assert [row["plan_ref"] for row in own] == ["P-1"]
        return {tab for tab, count in counts.items() if count}

    assert tabs(0) == tabs(10) == {"agreed"}
    assert tabs(11) == {"late"}
    with house.desk.database.write() as connection:
        connection.execute(update(PLANS).values(paid_minor=150))
    assert tabs(11) == tabs(40) == {"kept"}
    assert tabs(41) == {"late"}

"""As a portfolio manager would: reminders in house, telephone, a payment by instalments, another agency's visit."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import select, update

from flows.collect import collect
from flows.instalments import approve_instalments, follow_instalments, refuse_instalments
from flows.intake import intake
from flows.place import place
from flows.plan import approve as approve_plan
from flows.plan import submit
from flows.recall import recall
from flows.strategy import Changed, SecondPerson, approve, approve_recalls, preview, strategise
from infra.packages import account_pseudonyms
from infra.sandbox import debtors
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk
from infra.store import instalments as plans_store
from infra.store import strategy as store
from models.errors import RefusedByPolicy
from models.tables import (
    Account,
    AccountStage,
    Agency,
    Hold,
    InstalmentPlan,
    Placement,
    PlanLine,
    Recall,
    RemittanceLine,
    StrategyRun,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.sandbox.agency import SandboxAgency

START = date(2026, 1, 5)
CAST = (
    Cast("quayside", "Quayside Recoveries", share=0.5),
    Cast("northgate", "Northgate Collections", share=0.5),
    Cast("doorstep", "Doorstep Visits", share=1.0),
)
ROWS = 40


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One lender with forty accounts, two agencies that telephone, and one that visits."""
    with open_world(
        tmp_path / "home", seed=7, start=START, cast=CAST, lenders={"harbour": "Harbour"}, sftp=False,
        engine="direct", delivery_attempts=1, term_days=400,
    ) as opened:  # fmt: skip
        source = debtors.write(debtors.portfolio(5, ROWS, "harbour", START), tmp_path / "accounts.csv")
        agencies = bulk.table_of(Agency)
        with opened.desk.database.write() as connection:
            visits = update(agencies).where(agencies.c.agency == "doorstep").values(channels="field")
            connection.execute(visits)
        intake(source=source, profile="consign", lender="harbour", as_of=START, threshold="0.01")
        accounts = bulk.table_of(Account)
        with opened.desk.database.write() as connection:
            connection.execute(update(accounts).values(dpd=150, bucket="M6", balance_minor=900_000))
        opened.desk.actor = "chen.yu"
        yield opened


def rows(world: World, row: Any, **where: Any) -> pd.DataFrame:
    table = bulk.table_of(row)
    with world.desk.database.read() as connection:
        return bulk.read(connection, select(table).where(*(table.c[name] == value for name, value in where.items())))


def acting(world: World, who: str) -> None:
    world.desk.actor = who


def moved(world: World) -> Any:
    """Moves are proposed by one and approved by another."""
    acting(world, "chen.yu")
    report = strategise("harbour")
    acting(world, "li.wei")
    return approve(report.runs[0])


def sent(world: World, plan_id: int) -> None:
    """The drafted plan is submitted, approved and placed; agencies acknowledge."""
    submit(plan_id)  # by whoever approved the run: the plan is theirs
    acting(world, "chen.yu")
    approve_plan(plan_id)
    place(plan_id)
    exchanged(world)


def exchanged(world: World, *, give_back: bool = False) -> None:
    """Agencies open their mail and answer it; what they sent is collected."""
    day = world.desk.today()
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(day, world.clock.now)
        if give_back:
            agency.give_back(day, world.clock.now)
    collect()


def turned(world: World, days: int) -> date:
    day = world.desk.today() + timedelta(days=days)
    world.clock.turn(day)
    return day


def file(world: World, agency: SandboxAgency, kind: str, frame: pd.DataFrame) -> None:
    """The agency sends a file, and it is collected."""
    agency._send(kind, "harbour", world.desk.today(), world.clock.now, frame)
    collect()


def account_of(world: World, agency: str, place: int = 0) -> tuple[int, int, str]:
    """The agency's n-th account: placement, account, and the name it has there."""
    mine = rows(world, Placement, agency=agency, state="acknowledged").sort_values("placement_id").iloc[place]
    key = world.desk.keyring.pseudonym_key(agency)
    name = account_pseudonyms(key, pd.Series([mine["account_id"]]))[0]
    return int(mine["placement_id"]), int(mine["account_id"]), str(name)


def proposal(world: World, ref: str, account: str, amounts: list[int], band: str | None = None) -> pd.DataFrame:
    """A plan's lines: monthly instalments from fifteen days on."""
    first = pd.Timestamp(world.desk.today()) + pd.Timedelta(days=15)
    return pd.DataFrame({
        "plan_ref": ref, "account": account, "instalment": range(1, len(amounts) + 1),
        "due_on": [first + pd.Timedelta(days=30 * place) for place in range(len(amounts))], "currency": "CNY",
        "amount_minor": amounts, "income_band": pd.Series([band] * len(amounts), dtype="str"),
    })  # fmt: skip


def contact(world: World, account: str, outcome: str = "promise") -> pd.DataFrame:
    return pd.DataFrame({
        "account": [account], "at": [f"{world.desk.today()}T10:00:00+08:00"], "channel": ["phone"],
        "contact_point_ref": ["p1"], "outcome": [outcome], "collector_ref": ["c1"],
    })  # fmt: skip


def payment(world: World, txn: str, account: str, minor: int) -> pd.DataFrame:
    return pd.DataFrame({
        "agency_txn_id": [txn], "account": [account], "type": ["recovery"], "currency": ["CNY"], "gross_minor": [minor],
        "commission_minor": pd.array([None], dtype="Int64"), "vat_minor": pd.array([None], dtype="Int64"),
        "net_minor": [minor], "value_date": [pd.Timestamp(world.desk.today())], "batch_ref": ["QUAYSIDE-HARBOUR-1"],
    })  # fmt: skip


def at_phone(world: World) -> None:
    """The accounts have been reminded, and are with the two agencies that telephone."""
    moved(world)
    turned(world, 16)
    done = moved(world)
    sent(world, done.plans["phone CNY"])


def test_accounts_go_softest_first_each_step_approved_by_a_second_person(world: World) -> None:
    before = preview("harbour")
    assert set(before.moves.lines["to_stage"]) == {"reminder"}, "in house before anybody is placed"
    report = strategise("harbour")
    assert (len(report.runs), report.moves, report.recall_proposals) == (1, ROWS, [])
    assert strategise("harbour").unchanged == 1, "the same again is not proposed twice"
    with pytest.raises(SecondPerson):
        approve(report.runs[0])
    acting(world, "li.wei")
    done = approve(report.runs[0])
    assert (done.moves, done.plans) == (ROWS, {}), "a stage in house needs no plan"

    turned(world, 14)
    assert strategise("harbour").runs == [], "their time with the reminder is not over"
    turned(world, 2)
    done = moved(world)
    plan_id = done.plans["phone CNY"]
    assert isinstance(plan_id, int)
    lines = rows(world, PlanLine, plan_id=plan_id)
    assert len(lines) == ROWS
    assert set(lines["agency"]) == {"quayside", "northgate"}, "nobody works beyond a mandate"
    stages = rows(world, AccountStage)
    assert set(stages["stage"]) == {"phone"}
    history = rows(world, StrategyRun)
    assert list(history["state"]) == ["approved", "approved"]
    assert set(history["decided_by"]) == {"li.wei"}


def test_a_run_whose_data_changed_expires_instead_of_being_approved(world: World) -> None:
    run_id = strategise("harbour").runs[0]
    accounts = bulk.table_of(Account)
    with world.desk.database.write() as connection:
        connection.execute(update(accounts).where(accounts.c.account_id == 1).values(balance_minor=1, version=2))
    acting(world, "li.wei")
    with pytest.raises(Changed):
        approve(run_id)
    assert rows(world, StrategyRun, run_id=run_id)["state"].item() == "expired"
    assert rows(world, AccountStage).empty


def test_who_did_not_recover_loses_the_account_to_another_agency_and_a_harder_stage(world: World) -> None:
    at_phone(world)
    tried = rows(world, Placement).set_index("account_id")["agency"]
    turned(world, 91)
    for agency in ("quayside", "northgate"):
        names = [account_of(world, agency, number)[2] for number in range(int((tried == agency).sum()))]
        calls = pd.concat([contact(world, name, "no_answer") for name in names])
        file(world, world.agencies[agency], "activity", calls)
    acting(world, "chen.yu")
    report = strategise("harbour")
    assert report.placements == ROWS
    with world.desk.database.read() as connection:
        lines = store.proposal_lines(connection, report.recall_proposals[0])
    assert set(lines["rule"]) == {"primary-without-payment"}
    assert set(zip(lines["level"], lines["next_level"], lines["next_stage"], strict=True)) == {
        ("primary", "secondary", "field")
    }
    with pytest.raises(SecondPerson):
        approve_recalls(report.recall_proposals[0])
    acting(world, "li.wei")
    done = approve_recalls(report.recall_proposals[0])
    assert (done.recalled, done.files, done.files_delivered) == (ROWS, 2, 2)
    assert set(rows(world, Recall)["reason"]) == {"performance"}

    exchanged(world, give_back=True)
    assert set(rows(world, Placement)["state"]) == {"closed"}
    done = moved(world)
    assert set(done.plans) == {"field CNY"}
    lines = rows(world, PlanLine, plan_id=done.plans["field CNY"])
    assert set(lines["agency"]) == {"doorstep"}
    assert set(lines["round"]) == {2}


def test_a_plan_within_the_limits_is_one_person_s_to_approve_and_keeps_the_account_where_it_is(world: World) -> None:
    at_phone(world)
    placement_id, account_id, name = account_of(world, "quayside")
    quayside = world.agencies["quayside"]
    file(world, quayside, "activity", contact(world, name))
    file(world, quayside, "plan", proposal(world, "P-1", name, [150_000] * 6))
    assert rows(world, InstalmentPlan)["state"].item() == "proposed"
    assert follow_instalments().judged == 1
    plan = rows(world, InstalmentPlan).iloc[0]
    assert (plan["verdict"], plan["ability"], plan["willingness"], plan["codes"]) == ("within", "medium", "medium", "")
    acting(world, "li.wei")
    decided = approve_instalments(int(plan["instalment_plan_id"]))
    assert (decided.state, decided.files_delivered) == ("approved", 1)
    assert "plan_answer" in quayside.open_mail(world.clock.now)
    hold = rows(world, Hold, account_id=account_id).iloc[0]
    assert hold["reason"] == "payment_plan"

    recall()
    turned(world, 300)
    recall()
    assert rows(world, Recall, placement_id=placement_id).empty, "neither its hold nor anything else takes it back"


def test_a_plan_beyond_the_limits_needs_two_people_and_one_beyond_all_is_refused_with_its_codes(world: World) -> None:
    at_phone(world)
    _, _, first = account_of(world, "quayside")
    _, _, second = account_of(world, "quayside", 1)
    quayside = world.agencies["quayside"]
    file(world, quayside, "activity", pd.concat([contact(world, first), contact(world, second)]))
    file(world, quayside, "plan", pd.concat([
        proposal(world, "P-1", first, [90_000] * 9), proposal(world, "P-2", second, [50_000] * 9),
    ]))  # fmt: skip
    report = follow_instalments()
    assert (report.judged, report.refused, report.files) == (2, 1, 1)
    plans = rows(world, InstalmentPlan).set_index("plan_ref")
    assert (plans.loc["P-2", "state"], plans.loc["P-2", "codes"]) == ("refused", "discount_too_large")
    assert (plans.loc["P-1", "verdict"], plans.loc["P-1", "codes"]) == ("beyond", "discount_too_large")
    plan_id = int(plans["instalment_plan_id"]["P-1"])
    acting(world, "li.wei")
    assert approve_instalments(plan_id).state == "awaiting_second"
    with pytest.raises(RefusedByPolicy, match="cannot be the second"):
        approve_instalments(plan_id)
    acting(world, "zhou.min")
    assert approve_instalments(plan_id).state == "approved"
    with pytest.raises(RefusedByPolicy, match="is approved and cannot become refused"):
        refuse_instalments(plan_id, "changed my mind")


def test_a_plan_that_is_broken_frees_the_account_and_the_cascade_takes_it_back(world: World) -> None:
    at_phone(world)
    placement_id, account_id, name = account_of(world, "quayside")
    quayside = world.agencies["quayside"]
    file(world, quayside, "plan", proposal(world, "P-1", name, [300_000] * 3))
    acting(world, "li.wei")
    approve_instalments(int(rows(world, InstalmentPlan)["instalment_plan_id"].item()))
    turned(world, 15)
    file(world, quayside, "remittance", payment(world, "T-1", name, 300_000))
    turned(world, 30)
    follow_instalments()
    assert rows(world, InstalmentPlan)["state"].item() == "approved", "within the days of grace"
    turned(world, 6)
    assert follow_instalments().broken == 1
    plan = rows(world, InstalmentPlan).iloc[0]
    assert (plan["state"], plan["paid_minor"], plan["answered_as"]) == ("broken", 300_000, "broken")
    assert rows(world, Hold, account_id=account_id)["lifted_at"].notna().all()
    acting(world, "chen.yu")
    report = strategise("harbour")
    with world.desk.database.read() as connection:
        lines = store.proposal_lines(connection, report.recall_proposals[0]).set_index("placement_id")
    assert lines.loc[placement_id, "reason"] == "plan_broken"


def test_a_plan_that_is_fulfilled_settles_the_account_and_nobody_collects_it_again(world: World) -> None:
    at_phone(world)
    placement_id, account_id, name = account_of(world, "quayside")
    quayside = world.agencies["quayside"]
    file(world, quayside, "activity", contact(world, name))
    file(world, quayside, "plan", proposal(world, "P-1", name, [290_000] * 3, "medium"))
    plan_id = int(rows(world, InstalmentPlan)["instalment_plan_id"].item())
    acting(world, "li.wei")
    assert approve_instalments(plan_id).verdict == "within"
    turned(world, 20)
    file(world, quayside, "remittance", payment(world, "T-1", name, 870_000))
    assert follow_instalments().fulfilled == 1
    taken = rows(world, Recall, placement_id=placement_id)
    assert taken["reason"].item() == "settled", "less than was owed, and agreed"
    exchanged(world, give_back=True)
    acting(world, "chen.yu")
    found = preview("harbour")
    left = found.moves.left.set_index("account_id")["reason"]
    assert left[account_id] == "hold:payment_plan"
    with world.desk.database.read() as connection:
        assert plans_store.untold(connection) == []


def test_what_is_paid_under_a_settlement_earns_the_contract_s_rate_for_settlements(world: World) -> None:
    from infra import onboarding

    terms = """
currency = "CNY"
tail_days = 30
[[tier]]
stage = "settlement"
rate = "0.10"
[[tier]]
rate = "0.30"
"""
    onboarding.contract(world.desk, "quayside", "harbour", terms, START + timedelta(days=1), 0.5)
    at_phone(world)
    _, _, name = account_of(world, "quayside")
    _, _, other = account_of(world, "quayside", 1)
    quayside = world.agencies["quayside"]
    file(world, quayside, "activity", contact(world, name))
    file(world, quayside, "plan", proposal(world, "P-1", name, [290_000] * 3))
    acting(world, "li.wei")
    approve_instalments(int(rows(world, InstalmentPlan)["instalment_plan_id"].item()))
    turned(world, 5)
    lines = pd.concat([payment(world, "T-1", name, 100_000), payment(world, "T-2", other, 100_000)])
    file(world, quayside, "remittance", lines)
    paid = rows(world, RemittanceLine).set_index("txn_ref")["due_commission_minor"]
    assert (paid["T-1"], paid["T-2"]) == (10_000, 30_000)

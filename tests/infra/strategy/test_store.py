from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import update

from flows.plan import LIVE
from infra import strategy
from infra.store import bulk, placing
from infra.store import strategy as store
from models.lives import IllegalMove
from models.strategy.rules import load
from models.tables import (
    Account,
    AccountStage,
    Activity,
    Hold,
    InboundFile,
    InstalmentPlan,
    RemittanceLine,
    StageMove,
    StrategyRun,
)

TODAY = date(2026, 11, 22)
SOFT = load("cn-soft-first")


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def stages(house: Any) -> dict[int, tuple[str, Any]]:
    with house.desk.database.read() as connection:
        found = store.accounts(connection, "harbour")
    days = [None if pd.isna(day) else day.date() for day in found["since"]]
    return dict(zip(found["account_id"], zip(found["stage"], days, strict=True), strict=True))


def ran(house: Any, lines: pd.DataFrame, run_id: int = 1) -> int:
    now = house.desk.now()
    with house.desk.database.write() as connection:
        return store.keep_run(
            connection, lines, lender="harbour", strategy="cn-soft-first", version="1", strategy_sha256="0" * 64,
            as_of=TODAY, accounts=10, moves=len(lines), content_sha256=str(run_id) * 64, summary="{}",
            created_by="chen.yu", created_at=now,
        )  # fmt: skip


def moved(*ids: int, to: str = "phone") -> pd.DataFrame:
    return pd.DataFrame({
        "account_id": ids, "debtor_id": ids, "currency": "CNY", "balance_minor": 500_000, "version": 1,
        "from_stage": "reminder", "to_stage": to, "days": 20, "rule": "telephone", "why": "rule",
    })  # fmt: skip


def test_an_account_is_in_the_stage_of_its_newest_placement_or_of_the_last_run_whichever_is_later(house: Any) -> None:
    house.add(
        *(
            AccountStage(account_id=number, lender="harbour", stage=stage, since=ago(30), run_id=1)
            for number, stage in ((2, "reminder"), (3, "phone"), (4, "field"))
        )
    )
    house.place(1, ago(50), stage="field")
    house.place(3, ago(20))
    house.place(4, ago(60), "closed")
    house.place(5, ago(90), "closed", placement_id=50)
    house.place(5, ago(40), stage="field", placement_id=51)
    house.place(6, ago(3), "planned")
    found = stages(house)
    assert found[1] == ("field", ago(50))
    assert found[2] == ("reminder", ago(30))
    assert found[3] == ("phone", ago(30)), "its time in the stage goes on while placements follow each other in it"
    assert found[4] == ("field", ago(30))
    assert found[5] == ("field", ago(40))
    assert found[6] == ("new", None), "a plan that was not sent has placed nothing"


def test_an_approved_run_puts_accounts_into_their_stages_and_who_stays_keeps_the_day(house: Any) -> None:
    house.add(
        AccountStage(account_id=1, lender="harbour", stage="phone", since=ago(70), run_id=0),
        AccountStage(account_id=2, lender="harbour", stage="reminder", since=ago(70), run_id=0),
        AccountStage(account_id=9, lender="harbour", stage="legal", since=ago(5), run_id=0),
    )
    run_id = ran(house, moved(1, 2, 3))
    with house.desk.database.write() as connection:
        row = store.run(connection, run_id)
        store.decide_run(connection, row, "approved", "li.wei", house.desk.now())
        store.put_in_stages(connection, row, TODAY)
    found = house.rows(AccountStage).set_index("account_id").sort_index()
    assert list(zip(found["stage"], found["since"].dt.date, strict=True)) == [
        ("phone", ago(70)), ("phone", TODAY), ("phone", TODAY), ("legal", ago(5)),
    ]  # fmt: skip
    with house.desk.database.write() as connection, pytest.raises(IllegalMove):
        store.decide_run(connection, store.run(connection, run_id), "refused", "li.wei", house.desk.now())


def test_of_two_people_who_decide_at_once_one_is_too_late(house: Any) -> None:
    run_id = ran(house, moved(1))
    with house.desk.database.read() as connection:
        seen = store.run(connection, run_id)
    with house.desk.database.write() as connection:
        store.decide_run(connection, seen, "approved", "li.wei", house.desk.now())
    with house.desk.database.write() as connection, pytest.raises(IllegalMove, match="is approved"):
        store.decide_run(connection, seen, "refused", "zhou.min", house.desk.now(), "no")


def test_a_newer_run_of_the_lender_lets_the_open_one_expire(house: Any) -> None:
    first, second = ran(house, moved(1)), ran(house, moved(1, 2), 2)
    states = house.rows(StrategyRun).set_index("run_id")["state"]
    assert (states[first], states[second]) == ("expired", "proposed")
    assert len(house.rows(StageMove, run_id=second)) == 2


def test_days_without_payment_and_activity_are_read_from_lines_that_count_and_files_that_were_accepted(
    house: Any,
) -> None:
    for number in (1, 2, 3):
        house.place(number, ago(100))
    line: dict[str, Any] = {
        "lender": "harbour", "agency": "quayside", "file_id": 1, "line": 1, "currency": "CNY", "net_minor": 1,
    }  # fmt: skip
    house.add(
        *(
            RemittanceLine(
                line_id=number, content_id=str(number), placement_id=100 + account, account_id=account,
                gross_minor=gross, value_date=ago(days), state=state, **line,
            )
            for number, account, gross, days, state in (
                (1, 1, 100, 20, "matched"), (2, 1, -100, 5, "matched"), (3, 2, 100, 10, "rejected"),
                (4, 2, 100, 40, "in_break"),
            )
        ),
        *(
            InboundFile(
                file_id=number, agency="quayside", name="f", state=state, sealed_sha256=str(number), sealed_size=1,
                stored_path="", received_at=house.desk.now(),
            )
            for number, state in ((1, "accepted"), (2, "refused"))
        ),
        *(
            Activity(
                file_id=file_id, line=1, agency="quayside", placement_id=101,
                at=datetime.combine(ago(days), datetime.min.time(), house.desk.now().tzinfo), offset_minutes=480,
                channel="phone", outcome="connected",
            )
            for file_id, days in ((1, 30), (2, 1))
        ),
    )  # fmt: skip
    with house.desk.database.read() as connection:
        found = store.placed(connection, "harbour", TODAY).set_index("placement_id")
    paid = found["last_paid_on"].dt.date
    assert (paid[101], paid[102]) == (ago(20), ago(40)), "no reversal is a payment, and no line that was rejected"
    assert pd.isna(paid[103])
    assert found["last_activity_on"].dt.date[101] == ago(30)
    assert found["last_activity_on"].notna().sum() == 1


def plan(number: int, placement_id: int, state: str) -> InstalmentPlan:
    return InstalmentPlan(
        instalment_plan_id=number, agency="quayside", lender="harbour", plan_ref=f"P-{number}",
        placement_id=placement_id, currency="CNY", total_minor=500_000, instalments=1, first_due_on=TODAY,
        last_due_on=TODAY, state=state, file_id=1, proposed_at=datetime(2026, 11, 1, tzinfo=None).astimezone(),
    )  # fmt: skip


def test_what_comes_back_says_where_its_account_would_go_next(house: Any) -> None:
    for number in (1, 2, 3):
        house.place(number, ago(100))
    house.add(plan(1, 101, "approved"), plan(2, 102, "broken"))
    accounts = bulk.table_of(Account)
    with house.desk.database.write() as connection:
        connection.execute(update(accounts).where(accounts.c.account_id.in_((1, 2, 3))).values(rounds=1))
        connection.execute(update(accounts).where(accounts.c.account_id == 2).values(dpd=150))
    with house.desk.database.read() as connection:
        found = strategy.falling_back(connection, SOFT, "harbour", TODAY).set_index("placement_id")
    assert list(found.index) == [102, 103]
    assert (found.loc[102, "rule"], found.loc[102, "next_stage"], found.loc[102, "next_level"]) == (
        "broken-plan", "field", "secondary",
    )  # fmt: skip
    assert (found.loc[103, "rule"], found.loc[103, "next_stage"]) == ("not-worked", "phone")


def test_only_the_plan_s_own_hold_and_the_term_leave_a_kept_plan_alone(house: Any) -> None:
    for number in (1, 2, 3, 4):
        house.place(number, ago(100))
    house.add(
        *(plan(number, 100 + number, "approved") for number in (1, 2)), plan(3, 103, "broken"),
        *(
            Hold(debtor_id=number, account_id=number, reason=reason, since=ago(9), placed_by="desk")
            for number, reason in ((1, "payment_plan"), (2, "payment_plan"), (2, "complaint"), (3, "payment_plan"))
        ),
    )  # fmt: skip
    with house.desk.database.read() as connection:
        now = placing.due_for_recall(connection, "harbour", TODAY)
        later = placing.due_for_recall(connection, "harbour", date(2027, 2, 1))
    reasons = dict(zip(now["placement_id"], now["reason"], strict=True))
    assert reasons == {102: "complaint", 103: "payment_plan"}
    assert dict(zip(later["placement_id"], later["reason"], strict=True)) == {**reasons, 104: "term"}


def test_a_simulation_keeps_nothing(house: Any) -> None:
    with house.desk.database.read() as connection:
        found = strategy.proposed(connection, SOFT, "harbour", TODAY, LIVE)
    assert set(found.moves.lines["to_stage"]) == {"reminder"}
    assert house.rows(StrategyRun).empty
    other = strategy.compared(found.moves, found.moves)
    assert other.empty

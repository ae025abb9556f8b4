"""Instalment plans: judge what agencies propose, approve or refuse, follow what was agreed, and tell the agencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flows.engine import Schedule, verb
from flows.exchange import days, reported, send_pending, suffix_for
from flows.recall import recall_due
from flows.strategy import reason_given
from infra import instalments
from infra.instalments import Followed
from infra.store import bulk, exchange, plans
from infra.store import instalments as store
from infra.wiring import desk

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from sqlalchemy import Connection


@dataclass(frozen=True)
class InstalmentReport:
    """What following did, over all lenders, and what agencies were told."""

    judged: int
    refused: int
    fulfilled: int
    broken: int
    ended: int
    answers: int
    files: int
    files_delivered: int


@dataclass(frozen=True)
class PlanDecided:
    """What became of one plan."""

    instalment_plan_id: int
    state: str
    verdict: str | None
    codes: str
    files_delivered: int


@verb(schedule=Schedule("40 6 * * *"))
def follow_instalments(lender: str | None = None) -> InstalmentReport:
    """Judge proposed plans, see which agreed ones are kept, broken or fulfilled, tell agencies; safe to run again."""
    at = desk()
    total = Followed()
    with at.database.write() as connection:
        exchange.take_turn(connection)
        busy = set(store.lenders_with(connection, (*store.OPEN, store.RUNNING)))
        for code, today in days(connection, lender):
            if code in busy:
                total += instalments.follow(connection, at, code, today, partial(_taken_back, connection, today))
        answers, files = _tell(connection)
    return reported(
        send_pending, lambda sent: InstalmentReport(**vars(total), answers=answers, files=files,
                                                    files_delivered=sent.delivered)
    )  # fmt: skip


@verb()
def approve_instalments(instalment_plan_id: int) -> PlanDecided:
    """Approve a proposed plan: one person within the limits, two beyond them; the agency is told."""
    approve(instalment_plan_id)
    return reported(send_pending, lambda sent: _decided(instalment_plan_id, sent.delivered))


def refuse_instalments(instalment_plan_id: int, because: str) -> PlanDecided:
    """A person refuses the plan; the agency is told that it was declined, and the reason is kept with us."""
    refuse(instalment_plan_id, because)
    return reported(send_pending, lambda sent: _decided(instalment_plan_id, sent.delivered))


def approve(instalment_plan_id: int) -> PlanDecided:
    """As `approve_instalments`; the answer waits for the next delivery."""
    at = desk()
    with at.database.write() as connection:
        exchange.take_turn(connection)
        lender = store.one(connection, instalment_plan_id).lender
        today = plans.lender_today(connection, lender, at.now())
        instalments.approve(connection, at, instalment_plan_id, today)
        _tell(connection)
    return _decided(instalment_plan_id)


def refuse(instalment_plan_id: int, because: str) -> PlanDecided:
    """As `refuse_instalments`; the answer waits for the next delivery."""
    at = desk()
    with at.database.write() as connection:
        exchange.take_turn(connection)
        lender = store.one(connection, instalment_plan_id).lender
        today = plans.lender_today(connection, lender, at.now())
        instalments.refuse(connection, at, instalment_plan_id, today, reason_given(because))
        _tell(connection)
    return _decided(instalment_plan_id)


def _taken_back(connection: Connection, today: date, due: pd.DataFrame) -> int:
    """The placements are recalled today. Returns the number of files."""
    return recall_due(connection, due, today)


def _decided(plan_id: int, delivered: int = 0) -> PlanDecided:
    with desk().database.read() as connection:
        row = store.one(connection, plan_id)
    return PlanDecided(plan_id, row.state, row.verdict, row.codes, delivered)


def _tell(connection: Connection) -> tuple[int, int]:
    """Outcomes that agencies do not know are on their way. Returns how many, and in how many files."""
    at = desk()
    answers = files = 0
    for lender, agency in store.untold(connection):
        today = at.today(exchange.lender_timezone(connection, lender))
        number = bulk.reserve(connection, "plan_answer", 1)
        work = exchange.Work(
            f"plan_answer:{number}", lender, agency, "plan_answer", today, suffix_for(connection)(agency), {}
        )
        transmission_id, _ = exchange.prepare(connection, work)
        answers += store.put_in(connection, lender, agency, transmission_id)
        files += 1
    return answers, files

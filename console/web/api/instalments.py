"""Instalment plans through the API: what is asked for, agreed, kept and broken, and the limits of it."""

from __future__ import annotations

from datetime import date
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api import rules
from console.web.api.book import Because, Id
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.rules import AnyVersion, Differs, Name, PutUp, Reason, Rules, Version, VersionShape, WholeRules
from console.web.api.shapes import Listed, Word, of_table
from console.web.frames import records, told
from console.web.pages.instalments import due_by_due
from flows import instalments as verbs
from infra import instalments, jobs
from infra.store import agreements, exchange, placing, plans
from infra.store import instalments as store
from infra.store.agreements import Wanted
from infra.wiring import seated_here
from models.instalments import difference
from models.tables import InstalmentPlan, RemittanceLine

router = APIRouter(responses=PROBLEMS)

PlanShape = of_table("InstalmentPlan", InstalmentPlan, only=set(agreements.COLUMNS), due_minor=(int, ...))
PaymentShape = of_table(
    "PaymentTowards", RemittanceLine, only={"line_id", "value_date", "kind", "gross_minor", "currency", "state"}
)
Tab = Literal["asked", "agreed", "kept", "late", "broken", "finished", "refused"]


class Due(BaseModel):
    """One instalment, and what of it is paid: payments fill them in their order."""

    number: int
    due_on: date
    amount_minor: int
    paid_minor: int
    stands: Literal["paid", "part", "late", "to_come"]


class Weighed(BaseModel):
    """A plan against one limit: days or minor units."""

    code: str
    value: int
    within: int = Field(description="what one person may approve")
    beyond: int = Field(description="what two may")
    verdict: Literal["within", "beyond", "refused"]


class WholePlan(of_table("WholeInstalmentPlan", InstalmentPlan, but={"hold_id"})):  # type: ignore[misc]  # made from it
    """A plan with its schedule, payments, and the limits one by one; an open one as it is judged now."""

    account_id: int
    schedule: list[Due]
    payments: list[PaymentShape]  # type: ignore[valid-type]  # made from the table
    weighed: list[Weighed]


@router.get("/instalments", dependencies=[needs("instalments.see")])
def list_instalment_plans(
    call: Calling, tab: Tab = "asked", lender: Word = "", agency: Word = "", after: Word = ""
) -> Listed[PlanShape]:  # type: ignore[valid-type]
    """Instalment plans by how they stand, the newest first; `due_minor`: what was due before today."""
    with call.desk.database.read() as connection:
        page = agreements.listed(connection, Wanted(tab, lender, agency), call.desk.today(), after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/instalments/{plan_id}", dependencies=[needs("instalments.see")])
def get_instalment_plan(call: Calling, plan_id: Id) -> WholePlan:
    """One plan: its schedule, payments, limits; an open one as it is judged now."""
    return _plan(call, plan_id)


def _plan(call: Calling, plan_id: int) -> WholePlan:
    at = call.desk
    with seated_here(at), at.database.read() as connection:
        row = told(store.one(connection, plan_id))
        today = plans.lender_today(connection, row["lender"], at.now())
        zone = exchange.lender_timezone(connection, row["lender"])
        paid = agreements.paid_towards(connection, row["account_id"], agreements.day_in(row["proposed_at"], zone))
        judged = records(instalments.judge(connection, at, row["lender"], today, plan_id))
        _rule, weighed = instalments.weighed(connection, at, plan_id, today)
        schedule = placing.instalments_of(connection, plan_id)
    names = ("verdict", "codes", "ability", "willingness", "balance_minor", "limits")
    row |= {name: judged[0][name] for name in names} if judged else {}
    row |= {
        "schedule": due_by_due(schedule, sum(line["gross_minor"] for line in paid), today),
        "payments": paid,
        "weighed": records(weighed),
    }
    whole: WholePlan = WholePlan.model_validate(row)
    return whole


@router.post("/instalments/{plan_id}/approve", dependencies=[needs("instalments.decide")])
def approve_instalment_plan(call: Calling, plan_id: Id) -> WholePlan:
    """The plan is agreed, or waits for a second person where it is beyond the limits; a job tells the agency."""
    with seated_here(call.desk):
        done = verbs.approve(plan_id)
    if done.state != "awaiting_second":
        jobs.ask(call.desk, "deliver", {})
    return _plan(call, plan_id)


@router.post("/instalments/{plan_id}/refuse", dependencies=[needs("instalments.decide")])
def refuse_instalment_plan(call: Calling, plan_id: Id, given: Because) -> WholePlan:
    """The plan is declined; a job tells the agency so, and the reason stays here."""
    with seated_here(call.desk):
        verbs.refuse(plan_id, given.because)
    jobs.ask(call.desk, "deliver", {})
    return _plan(call, plan_id)


@router.get("/instalment-limits", dependencies=[needs("instalments.see")])
def list_instalment_limits(call: Calling) -> Listed[Rules]:
    """Limits in force, proposed, and drafted on the server."""
    return rules.listed(call, instalments.BOOK)


@router.post("/instalment-limits", dependencies=[needs("instalments.limits")], status_code=201)
def propose_instalment_limits(call: Calling, given: PutUp) -> WholeRules:
    """A version is up for approval by a second person; its text never changes."""
    return rules.propose(call, instalments.BOOK, given)


@router.get("/instalment-limits/{name}", dependencies=[needs("instalments.see")])
def get_instalment_limits(call: Calling, name: Name, version: AnyVersion = "") -> WholeRules:
    """Limits with their text."""
    return rules.whole(call, instalments.BOOK, name, version)


@router.get("/instalment-limits/{name}/versions", dependencies=[needs("instalments.see")])
def list_versions_of_instalment_limits(call: Calling, name: Name) -> Listed[VersionShape]:  # type: ignore[valid-type]
    """Every version that was proposed, and what became of it."""
    return rules.history(call, instalments.BOOK, name)


@router.get("/instalment-limits/{name}/difference", dependencies=[needs("instalments.see")])
def compare_versions_of_instalment_limits(
    call: Calling, name: Name, against: Version, version: AnyVersion = ""
) -> Listed[Differs]:
    """What the version says otherwise than the one that it is held against."""
    before, after = rules.pair(call, instalments.BOOK, name, against, version)
    return Listed(items=[Differs.model_validate(one) for one in difference.differences(before, after)])


@router.post(
    "/instalment-limits/{name}/{version}/approve", dependencies=[needs("instalments.limits_approve")], status_code=204
)
def approve_instalment_limits(call: Calling, name: Name, version: Version) -> None:
    """The proposed version is in force: by a second person."""
    rules.approve(call, instalments.BOOK, name, version)


@router.post(
    "/instalment-limits/{name}/{version}/withdraw", dependencies=[needs("instalments.limits")], status_code=204
)
def withdraw_instalment_limits(call: Calling, name: Name, version: Version, given: Reason) -> None:
    """The version counts no more, or the proposal is taken back."""
    rules.withdraw(call, instalments.BOOK, name, version, given.reason)

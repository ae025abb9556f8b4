"""The close of a month: the checklist, what somebody lets pass, the lock, and opening it again by two people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Response

from console.web import terms
from console.web.pages.statements import last_month
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visit, Visiting, needs
from infra import closing, jobs
from infra.store import balances, browsing, money
from models.closing import Finding
from models.errors import ConsignError

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**62)]
Text = Annotated[str, Form()]


@router.get("/closing", dependencies=[needs("closing.see")])
def checklist(visit: Visiting, lender: str = "", period: str = "") -> Response:
    """What stands in the way of closing the month, and what was closed before."""
    return _shown(visit, lender, period)


def _shown(visit: Visit, lender: str, period: str, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        lender = lender or next(iter(lenders), "")
        months = balances.months(connection, lender)
    period = period or (last_month(visit) if last_month(visit) in months or not months else months[0])
    told = closing.listed(visit.desk, lender)
    counted = None
    if lender:
        with visit.desk.database.read() as connection:
            moved = money.moved(connection, lender)
        # a large house's checklist reads every line of a month: it is looked through anew when the month itself moved
        key = ("closing", lender, period, *moved)
        counted = FIGURES.count(visit.desk, key, lambda: closing.check(visit.desk, lender, period), list[Finding])
    found = counted.value if counted else []
    here = [one for one in told["closings"] if one["period"] == period and one["state"] == "closed"]
    asked = [one for one in told["reopenings"] if one["state"] == "waiting"]
    return visit.page(
        "finance/closing.html", status=status_of(problem) if problem else 200, problem=problem, lender=lender,
        period=period, lenders=lenders, months=sorted({*months, period}, reverse=True), found=found, terms=terms,
        closed=here[0] if here else None, closings=told["closings"], asked=asked,
        stops=[one.finding for one in found if one.stops], counted_at=counted.at if counted else None,
    )  # fmt: skip


def _back(lender: str, period: str) -> str:
    return "/closing" + query(lender=lender, period=period)


@router.post("/closing/accept", dependencies=[needs("closing.change")])
def accept(visit: Visiting, lender: Text = "", period: Text = "", finding: Text = "", why: Text = "") -> Response:
    """A finding may pass, as it stands now."""
    try:
        closing.accept(visit.desk, lender, period, finding, why)
    except ConsignError as problem:
        return _shown(visit, lender, period, problem)
    return visit.go(_back(lender, period), visit.say("It may pass, as it stands now."))


@router.post("/closing/close", dependencies=[needs("closing.change")])
def close(visit: Visiting, lender: Text = "", period: Text = "") -> Response:
    """The month is closed, as a job: hashing a large one takes its time."""
    try:
        closing.refuse_stopped(visit.desk, lender, period)
    except closing.MonthStopped as problem:
        return _shown(visit, lender, period, problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'close', {'lender': lender, 'period': period})}")


@router.post("/closing/reopen", dependencies=[needs("closing.change")])
def reopen(visit: Visiting, lender: Text = "", period: Text = "", why: Text = "") -> Response:
    """The last closed month is asked to be opened again; a second person approves it."""
    try:
        closing.ask_reopening(visit.desk, lender, period, why)
    except ConsignError as problem:
        return _shown(visit, lender, period, problem)
    return visit.go(_back(lender, period), visit.say("Asked: somebody else must agree."))


@router.post("/closing/reopenings/{reopening_id}/approve", dependencies=[needs("closing.approve")])
def approve(visit: Visiting, reopening_id: Id, lender: Text = "", period: Text = "") -> Response:
    """The second person opens the month again."""
    try:
        closing.approve_reopening(visit.desk, reopening_id)
    except ConsignError as problem:
        return _shown(visit, lender, period, problem)
    return visit.go(_back(lender, period), visit.say("The month is open again."))


@router.post("/closing/reopenings/{reopening_id}/withdraw", dependencies=[needs("closing.change")])
def withdraw(visit: Visiting, reopening_id: Id, lender: Text = "", period: Text = "") -> Response:
    """Nothing comes of the request."""
    try:
        closing.withdraw_reopening(visit.desk, reopening_id)
    except ConsignError as problem:
        return _shown(visit, lender, period, problem)
    return visit.go(_back(lender, period), visit.say("Withdrawn: the month stays closed."))

"""Plans: previewed, submitted, approved by a second person, sent; and why each account goes where it goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import sheets, standings
from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from flows import plan as flow
from infra import jobs
from infra.store import browsing, plans, scores, seeds
from infra.wiring import seated_here
from models.errors import ConsignError, RefusedByPolicy, UsageError
from models.planning.sentences import translated

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from console.web.visits import Visit
    from infra.previews import Explanation
    from infra.store.keyset import Page
    from models.tables import Plan

router = APIRouter()

TABS: Final = ("preview", "segments", "held_back", "accounts", "account")
CHECKED_AT_ONCE: Final = 50_000
"""Accounts of a plan that are held against the store while its page is made; larger ones are checked when asked."""
STEPS: Final = {"draft": 3, "submitted": 4, "approved": 5, "placed": 6}
LONGEST_REASON: Final = 500


@router.get("/plans", dependencies=[needs("plans.see")])
def every(visit: Visiting, lender: str = "", state: str = "", after: str = "") -> Response:
    """Plans, the newest first."""
    with visit.desk.database.read() as connection:
        page = browsing.plans(connection, lender, state, after)
        lenders = browsing.lenders(connection)
    return visit.page(
        "portfolio/plans.html", page=page, lenders=lenders, lender=lender, state=state, after=after,
        states=standings.PLAN, stages=standings.STAGES,
    )  # fmt: skip


@router.get("/plans/{plan_id}", dependencies=[needs("plans.see")])
def one(
    visit: Visiting, plan_id: int, tab: str = "preview", agency: str = "", reason: str = "", account: str = "",
    after: str = "",
) -> Response:  # fmt: skip
    """A plan: who gets how much and why, what would be disclosed, who approved it."""
    asked.one_of(tab, TABS)
    return _one(visit, plan_id, tab, agency=agency, reason=reason, account=account, after=after)


def _one(
    visit: Visit, plan_id: int, tab: str, *, agency: str = "", reason: str = "", account: str = "", after: str = "",
    error: ConsignError | None = None, status: int = 200,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
        about = {
            "lenders": browsing.lenders(connection),
            "committed": seeds.of_plan(connection, plan_id),
            "rows": _rows(connection, plan_id, tab, agency or reason, after),
        }
        first = browsing.plan_lines(connection, plan_id, rows=1).rows if known.accounts else []
        names = browsing.agencies(connection)
    account = account or (f"#{first[0]['account_id']}" if first else "")
    explained, unexplained = _explained(visit, plan_id, account) if tab in {"preview", "account"} else (None, None)
    checked = known.accounts <= CHECKED_AT_ONCE
    return visit.page(
        "portfolio/plan.html", status=status, plan=known, **about, **_summed_up(known), tab=tab, agency=agency,
        reason=reason, account=account, after=after, explained=explained, error=error or unexplained, checked=checked,
        because=_stale(visit, known) if checked else None, scores=_scores(visit), step=STEPS.get(known.state),
        told=_told(visit), job=_job(visit, plan_id), states=standings.PLAN, stages=standings.STAGES,
        bounds=standings.BOUNDS, exclusions=standings.EXCLUSIONS, holds=standings.HOLDS, names=names,
        before=[names.get(code, code) for code in explained.tried_before] if explained else [],
    )  # fmt: skip


def _rows(connection: Connection, plan_id: int, tab: str, of: str, after: str) -> Page | None:
    """The list that the tab shows; None where it shows none."""
    if tab == "held_back":
        return browsing.left_out(connection, plan_id, of, after)
    return browsing.plan_lines(connection, plan_id, of, after) if tab == "accounts" else None


def _summed_up(known: Plan) -> dict[str, Any]:
    """The plan's summary and spec, days as days."""
    summary = json.loads(known.summary)
    for told in summary["disclosed"]:
        told["delete_by"] = asked.day(told["delete_by"])
    return {"summary": summary, "spec": json.loads(known.spec)}


def _told(visit: Visit) -> Any:
    """Translates what a plan's summary says in English."""
    return lambda sentence: translated(sentence, visit.say.code)


def _stale(visit: Visit, known: Plan) -> str | None:
    """Why an open plan no longer holds."""
    with seated_here(visit.desk):
        return flow.stale(known.plan_id)


def _explained(visit: Visit, plan_id: int, account: str) -> tuple[Explanation | None, ConsignError | None]:
    """Why the plan does with an account what it does."""
    if not account:
        return None, None
    try:
        with seated_here(visit.desk):
            return flow.explain(plan_id, account), None
    except UsageError as error:
        return None, error


def _scores(visit: Visit) -> dict[str, float]:
    """The newest score of each agency that has one, out of a hundred."""

    def read() -> dict[str, float]:
        with visit.desk.database.read() as connection:
            run_id = scores.latest(connection)
            return {} if run_id is None else scores.overall(connection, run_id)

    return FIGURES.count(visit.desk, "scores", read).value


def _job(visit: Visit, plan_id: int) -> Any:
    """The newest job that sends this plan; None where nobody asked for one."""
    return jobs.newest(visit.desk, "place", {"plan_id": plan_id})


@router.get("/plans/{plan_id}/holds", dependencies=[needs("plans.see")])
def still_holds(visit: Visiting, plan_id: int) -> Response:
    """Whether a large plan still holds, looked at now: a part of its page, or the page."""
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
    because = FIGURES.count(visit.desk, ("stale", plan_id), lambda: _stale(visit, known))
    if not visit.is_partial:
        return visit.go(f"/plans/{plan_id}")
    return visit.page("portfolio/still_holds.html", plan=known, because=because.value, told=_told(visit))


@router.get("/plans/{plan_id}/sending", dependencies=[needs("plans.see")])
def sending(visit: Visiting, plan_id: int, waited: str = "") -> Response:
    """How far the sending is, agency by agency: a part of the plan's page; the page anew once all is sent."""
    job = _job(visit, plan_id)
    moving = job is not None and job.state in {"waiting", "running"}
    if not visit.is_partial or (waited and not moving):
        return visit.go(f"/plans/{plan_id}")
    with visit.desk.database.read() as connection:
        known, names = plans.plan(connection, plan_id), browsing.agencies(connection)
    return visit.page(
        "portfolio/sending.html", plan=known, job=job, moving=moving, files=_files(visit, plan_id), names=names,
        sent=standings.SENT,
    )  # fmt: skip


def _files(visit: Visit, plan_id: int) -> list[dict[str, Any]]:
    with visit.desk.database.read() as connection:
        return browsing.files_of_plan(connection, plan_id)


@router.post("/plans/{plan_id}/account", dependencies=[needs("plans.see")])
def account(visit: Visiting, plan_id: int, number: Annotated[str, Form()] = "") -> Response:
    """Why one account, by the lender's own number: it is looked up by its keyed index, and stands in no address."""
    found, error = _explained(visit, plan_id, number.strip())
    if found is None:
        return _one(visit, plan_id, "account", error=error or UsageError("give a number"), status=422)
    return visit.go(f"/plans/{plan_id}?tab=account&account=%23{found.account_id}")


@router.post("/plans/{plan_id}/submit", dependencies=[needs("plans.change")])
def submit(visit: Visiting, plan_id: int) -> Response:
    """The draft waits for a second person."""
    return _moved(visit, plan_id, "submit", visit.say("Submitted. Now another person approves it."))


@router.post("/plans/{plan_id}/approve", dependencies=[needs("plans.approve")])
def approve(visit: Visiting, plan_id: int, content: Annotated[str, Form()] = "") -> Response:
    """Whoever neither made nor submitted it says yes to what they looked at."""
    return _moved(visit, plan_id, "approve", visit.say("Approved. It can be sent."), content)


@router.post("/plans/{plan_id}/reject", dependencies=[needs("plans.change")])
def reject(visit: Visiting, plan_id: int, because: Annotated[str, Form()] = "") -> Response:
    """The plan has ended: somebody said no."""
    told = because.strip()[:LONGEST_REASON]
    if not told:
        error = UsageError(visit.say("Say why."), fix=visit.say("One sentence is enough; it stays on record."))
        return _one(visit, plan_id, "preview", error=error, status=422)
    return _moved(visit, plan_id, "reject", visit.say("Discarded."), told)


def _moved(visit: Visit, plan_id: int, verb: str, done: str, *more: str) -> Response:
    try:
        with seated_here(visit.desk):
            getattr(flow, verb)(plan_id, *more)
    except (RefusedByPolicy, UsageError) as error:
        return _one(visit, plan_id, "preview", error=error, status=403 if isinstance(error, RefusedByPolicy) else 422)
    return visit.go(f"/plans/{plan_id}", done)


@router.post("/plans/{plan_id}/send", dependencies=[needs("plans.send")])
def send(visit: Visiting, plan_id: int) -> Response:
    """The approved plan's accounts go to their agencies, by a job; asking again sends nothing twice."""
    try:
        with seated_here(visit.desk):
            flow.ready(plan_id)
    except RefusedByPolicy as error:
        return _one(visit, plan_id, "preview", error=error, status=403)
    jobs.ask(visit.desk, "place", {"plan_id": plan_id})
    return visit.go(f"/plans/{plan_id}")


@router.get("/plans/{plan_id}/export", dependencies=[needs("plans.see")])
def export(visit: Visiting, plan_id: int) -> Response:
    """The preview as a workbook: agencies, segments, what is held back, what would be disclosed."""
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
    content = sheets.workbook(_sheets(visit, known, json.loads(known.summary)))
    return sheets.download(content, f"plan-{plan_id}.xlsx")


def _sheets(visit: Visit, known: Plan, summary: dict[str, Any]) -> list[tuple[str, list[str], list[list[Any]]]]:
    say, currency = visit.say, known.currency

    def money(minor: int) -> float:
        return sheets.units(minor, currency)

    agencies = [
        [row["name"], row["accounts"], row["difference"], money(row["balance_minor"]), row["capacity_used"],
         "; ".join(translated(why, say.code) for why in row["why"])]
        for row in summary["agencies"]
    ]  # fmt: skip
    segments = [
        [row["segment"], row["accounts"], money(row["balance_minor"]),
         ", ".join(f"{agency} {count:,}" for agency, count in row["agencies"].items())]
        for row in summary["segments"]
    ]  # fmt: skip
    held = [[_reason(visit, reason), count] for reason, count in summary["exclusions"].items()]
    fields = [
        [", ".join(told["agencies"]), how, name]
        for told in summary["disclosed"]
        for how, names in (
            (say("sent"), told["sent"]), (say("pseudonymised"), told["pseudonymised"]),
            (say("generalised"), told["generalised"]), (say("never sent"), told["never_sent"]),
        )
        for name in names
    ]  # fmt: skip
    balance = f"{say('Balance')} {currency}"
    return [
        (
            say("Agencies"),
            [say("Agency"), say("Accounts"), say("Δ vs last"), balance, say("Capacity used"), say("Why")],
            agencies,
        ),
        (say("Segments"), [say("Segment"), say("Accounts"), balance, say("By agency")], segments),
        (say("Held back"), [say("Reason"), say("Accounts")], held),
        (say("Disclosed"), [say("Agencies"), say("How"), say("Field")], fields),
    ]


def _reason(visit: Visit, reason: str) -> str:
    """`hold:complaint` in words."""
    head, _, rest = reason.partition(":")
    told = visit.say(standings.EXCLUSIONS.get(head, head))
    return f"{told}: {visit.say(standings.HOLDS.get(rest, rest))}" if rest else told

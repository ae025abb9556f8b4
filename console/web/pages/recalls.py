"""Recalls: what is due, what was asked for, who has confirmed and erased, and what agencies object to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import pandas as pd
from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.datastructures import FormData

from console.web import standings
from console.web.language import later
from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from flows.exchange import days
from flows.recall import decide, take_back
from infra import jobs
from infra.store import browsing, placing
from infra.wiring import seated_here
from models.errors import ConsignError, RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()

TABS: Final = {
    "open": later("Not confirmed"),
    "overdue": later("Overdue"),
    "uncertified": later("Erasure not certified"),
    "confirmed": later("Confirmed"),
}
REASONS: Final = ("request", "performance", "complaint", "dispute", "other")
"""For what a person may recall; holds, payments and terms recall by themselves."""
AT_ONCE: Final = 500
"""Placements that one form may recall."""


async def _form(request: Request) -> FormData:
    return await request.form()


Sent = Annotated[FormData, Depends(_form)]


@router.get("/recalls", dependencies=[needs("recalls.see")])
def every(
    visit: Visiting, tab: str = "open", lender: str = "", agency: str = "", reason: str = "", after: str = ""
) -> Response:
    """Recalls by state: the soonest due first, of the confirmed the newest."""
    wanted = browsing.RecallFilter(asked.one_of(tab, TABS), lender, agency, reason)
    today = visit.desk.today()

    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return browsing.recalls_counted(connection, wanted, today)

    with visit.desk.database.read() as connection:
        page = browsing.recalls(connection, wanted, today, after)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
        objections = len(browsing.objections(connection).rows)
    counts = FIGURES.count(visit.desk, ("recalls", lender, agency, reason, today), count, dict[str, int]).value
    return visit.page(
        "portfolio/recalls.html", page=page, tab=tab, lender=lender, agency=agency, reason=reason, after=after,
        lenders=lenders, agencies=agencies, tabs=TABS, counts=counts, objections=objections, today=today,
        reasons=standings.RECALLS,
    )  # fmt: skip


# -- by rule -----------------------------------------------------------------------------------------------------------


@router.get("/recalls/due", dependencies=[needs("recalls.see")])
def due(visit: Visiting) -> Response:
    """What would be recalled today by rule: on hold, paid, at its term; counted by lender, agency and reason."""

    def count() -> list[dict[str, Any]]:
        with visit.desk.database.read() as connection:
            parts = [placing.due_for_recall(connection, code, today) for code, today in days(connection, None)]
        found = pd.concat([pd.DataFrame(columns=["lender", "agency", "reason"]), *parts])
        counted = found.groupby(["lender", "agency", "reason"]).size().rename("placements").reset_index()
        return [{str(name): value for name, value in row.items()} for row in counted.to_dict("records")]

    counted = FIGURES.count(visit.desk, ("due", visit.desk.today()), count, list[dict[str, Any]])
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "portfolio/due.html", counted=counted, lenders=lenders, agencies=agencies, reasons=standings.RECALLS
    )


@router.post("/recalls/due", dependencies=[needs("recalls.change")])
def recall_due(visit: Visiting) -> Response:
    """A job recalls what is due, and delivers the recalls before anything else."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'recall', {'lender': None})}")


# -- by name -----------------------------------------------------------------------------------------------------------


@router.post("/recalls/preview", dependencies=[needs("recalls.change")])
def preview(visit: Visiting, given: Sent) -> Response:
    """The placements that were ticked, before anything happens."""
    return _preview(visit, _ticked(given))


def _ticked(given: FormData) -> list[int]:
    """The placements that a form names. Raises UsageError where there are none, or too many."""
    found = [number for value in given.getlist("placement") if (number := asked.number(str(value))) is not None]
    if not found:
        raise UsageError("no placement is ticked", fix="tick some in the list of placements")
    if len(found) > AT_ONCE:
        raise UsageError(f"more than {AT_ONCE} placements are ticked", fix="recall them in several steps")
    return sorted(set(found))


def _preview(visit: Visit, ids: list[int], *, error: ConsignError | None = None, status: int = 200) -> Response:
    with visit.desk.database.read() as connection:
        page = browsing.some_placements(connection, ids)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "portfolio/recall_preview.html", status=status, page=page, lenders=lenders, agencies=agencies, error=error,
        out=placing.OUT, reasons={code: standings.RECALLS[code] for code in REASONS}, states=standings.PLACEMENT,
    )  # fmt: skip


@router.post("/recalls", dependencies=[needs("recalls.change")])
def recall(visit: Visiting, given: Sent) -> Response:
    """The placements are recalled for the reason given; a job delivers the recalls."""
    ids = _ticked(given)
    reason = str(given.get("reason", ""))
    if reason not in REASONS:
        error = UsageError(visit.say("Say why they are recalled."), fix=visit.say("Choose a reason."))
        return _preview(visit, ids, error=error, status=422)
    with seated_here(visit.desk):
        placements, files = take_back(ids, reason)
    if files:
        jobs.ask(visit.desk, "deliver", {})
    told = visit.say("%(count)s placements are recalled; %(files)s files go out.", count=placements, files=files)
    return visit.go("/recalls", told)


# -- objections --------------------------------------------------------------------------------------------------------


@router.get("/recalls/objections", dependencies=[needs("recalls.see")])
def objections(visit: Visiting, tab: str = "open", after: str = "") -> Response:
    """What agencies object to, oldest first."""
    return _objections(visit, asked.one_of(tab, ("open", "decided")), after)


def _objections(
    visit: Visit, tab: str, after: str = "", *, error: ConsignError | None = None, status: int = 200
) -> Response:
    with visit.desk.database.read() as connection:
        page = browsing.objections(connection, decided=tab == "decided", after=after)
        agencies = browsing.agencies(connection)
    return visit.page(
        "portfolio/objections.html", status=status, page=page, tab=tab, after=after, agencies=agencies, error=error,
        states=standings.OBJECTION, reasons=standings.RECALLS, today=visit.desk.today(),
    )  # fmt: skip


@router.post("/recalls/objections/{objection_id}", dependencies=[needs("recalls.change")])
def answer(
    visit: Visiting,
    objection_id: int,
    verdict: Annotated[str, Form()] = "",
    keep_until: Annotated[str, Form()] = "",
) -> Response:
    """The objection is upheld until a day, or dismissed; a job sends the answer."""
    try:
        until = asked.day(keep_until)
        if asked.one_of(verdict, ("uphold", "dismiss")) == "uphold" and until is None:
            raise UsageError(
                visit.say("Until when may the agency keep it?"),
                fix=visit.say("Give the day, or dismiss the objection."),
            )
        with seated_here(visit.desk):
            decide(objection_id, until if verdict == "uphold" else None)
    except (UsageError, RefusedByPolicy) as error:
        return _objections(visit, "open", error=error, status=422)
    jobs.ask(visit.desk, "deliver", {})
    return visit.go("/recalls/objections" + query(), visit.say("Decided. The agency is told."))

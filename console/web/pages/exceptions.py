"""Exceptions of the exchange: what went amiss, who has it, until when; taken, noted, resolved."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from console.web.language import later
from console.web.problems import status_of
from console.web.visits import Visit, Visiting, needs
from infra import exceptions
from infra.store import browsing
from models.errors import ConsignError
from models.exceptions import CODES, ROLES

router = APIRouter()

Text = Annotated[str, Form()]
AT_MOST: Final = 200
TABS: Final = {
    "open": later("Open to all"),
    "mine": later("Mine"),
    "overdue": later("Overdue"),
    "all": later("Resolved too"),
}
SEVERITIES: Final = {
    "critical": (later("critical"), "bad"), "high": (later("high"), "warn"),
    "normal": (later("normal"), "plain"), "low": (later("low"), "plain"),
}  # fmt: skip
STATES: Final = {
    "open": (later("open"), "warn"), "taken": (later("taken"), "info"), "resolved": (later("resolved"), "good")
}  # fmt: skip


@router.get("/exceptions", dependencies=[needs("exceptions.see")])
def listed(visit: Visiting, tab: str = "open", agency: str = "", code: str = "") -> Response:
    """The gravest and soonest due first."""
    now = visit.desk.now()
    with visit.desk.database.read() as connection:
        found = exceptions.listed(
            connection,
            agency=agency or None,
            code=code or None,
            owner=visit.who.actor if tab == "mine" else None,
            overdue_at=now if tab == "overdue" else None,
            resolved=tab == "all",
            limit=AT_MOST,
        )
        agencies = browsing.agencies(connection)
    return visit.page(
        "house/exceptions.html", rows=list(found.itertuples(index=False)), tab=tab, tabs=TABS, agency=agency,
        code=code, codes=sorted(CODES), now=now, severities=SEVERITIES, states=STATES, agencies=agencies,
    )  # fmt: skip


@router.get("/exceptions/{exception_id}", dependencies=[needs("exceptions.see")])
def one(visit: Visiting, exception_id: int) -> Response:
    """Everything about one."""
    return _one(visit, exception_id, None)


@router.post("/exceptions/{exception_id}/assign", dependencies=[needs("exceptions.work")])
def assign(visit: Visiting, exception_id: int, to: Text = "") -> Response:
    """Somebody has it: whoever is signed in, where nobody else is named."""
    try:
        exceptions.assign(visit.desk, exception_id, to.strip() or visit.who.actor)
    except ConsignError as problem:
        return _one(visit, exception_id, problem)
    return visit.go(f"/exceptions/{exception_id}", visit.say("Assigned.") if to else visit.say("It is yours."))


@router.post("/exceptions/{exception_id}/comment", dependencies=[needs("exceptions.work")])
def comment(visit: Visiting, exception_id: int, text: Text = "") -> Response:
    """A note stands beside it."""
    try:
        exceptions.comment(visit.desk, exception_id, text)
    except ConsignError as problem:
        return _one(visit, exception_id, problem)
    return visit.go(f"/exceptions/{exception_id}", visit.say("Noted."))


@router.post("/exceptions/{exception_id}/resolve", dependencies=[needs("exceptions.work")])
def resolve(visit: Visiting, exception_id: int, reason: Text = "") -> Response:
    """It is resolved, and how is on record."""
    try:
        exceptions.resolve(visit.desk, exception_id, reason)
    except ConsignError as problem:
        return _one(visit, exception_id, problem)
    return visit.go(f"/exceptions/{exception_id}", visit.say("Resolved."))


def _one(visit: Visit, exception_id: int, problem: ConsignError | None) -> Response:
    with visit.desk.database.read() as connection:
        told = exceptions.whole(connection, exception_id)
        agencies = browsing.agencies(connection)
    status = 200 if problem is None else status_of(problem)
    return visit.page(
        "house/exception.html", status=status, one=told, problem=problem, owners=ROLES, now=visit.desk.now(),
        agencies=agencies, severities=SEVERITIES, states=STATES,
    )  # fmt: skip

"""The gate that everything leaves by: what it found in files of late, and false alarms that two people let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Response

from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from infra import allowances
from infra.store import browsing
from infra.store import gate as store
from models.errors import ConsignError, UsageError
from models.kinds import OUTBOUND

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]
CHECKS_SHOWN: Final = 50
VERDICTS: Final = {"passed": (later("passed"), "good"), "stopped": (later("stopped"), "bad")}
STATES: Final = {
    "waiting": (later("Waits for a second person"), "warn"), "approved": (later("May pass"), "good"),
    "withdrawn": (later("Ended"), "plain"),
}  # fmt: skip


@router.get("/gate", dependencies=[needs("allowances.see")])
def every(visit: Visiting, agency: str = "", stopped: str = "") -> Response:
    """The newest looks of the gate, and the false alarms."""
    return _shown(visit, agency, stopped)


def _shown(
    visit: Visit, agency: str = "", stopped: str = "", problem: ConsignError | None = None,
    given: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        checks = records(store.checks(connection, agency=agency or None, stopped=bool(stopped), limit=CHECKS_SHOWN))
        alarms = records(store.allowances(connection))
        agencies = browsing.agencies(connection)
    return visit.page(
        "compliance/gate_checks.html", checks=checks, allowances=alarms, agencies=agencies, agency=agency,
        stopped=stopped, verdicts=VERDICTS, states=STATES, kinds=sorted(OUTBOUND), identifiers=allowances.IDENTIFIERS,
        today=visit.desk.today(), problem=problem, status=200 if problem is None else status_of(problem),
        given={"kind": "", "column": "", "identifier": "", "reason": "", "until": "", "to": ""} | (given or {}),
    )  # fmt: skip


@router.get("/gate/files/{file}", dependencies=[needs("allowances.see")])
def one(visit: Visiting, file: str) -> Response:
    """What the gate found in one file: column, line and kind, never a value; and how alike its lines are."""
    with visit.desk.database.read() as connection:
        told = store.told(store.check(connection, file))
    return visit.page("compliance/gate_check.html", told=told, verdicts=VERDICTS)


@router.post("/gate/allowances", dependencies=[needs("allowances.ask")])
def ask(
    visit: Visiting, kind: Text = "", column: Text = "", identifier: Text = "", reason: Text = "", until: Text = "",
    to: Text = "",
) -> Response:  # fmt: skip
    """A kind of identifier that is none in one column may pass, once a second person agrees."""
    try:
        day = asked.day(until)
        if day is None:
            raise UsageError(visit.say("Until which day?"), fix=visit.say("Give the last day on which it counts."))
        allowances.ask(
            visit.desk, allowances.Asked(kind, column.strip(), identifier, reason.strip(), day, to or None)
        )  # fmt: skip
    except ConsignError as problem:
        given = {"kind": kind, "column": column, "identifier": identifier, "reason": reason, "until": until, "to": to}
        return _shown(visit, problem=problem, given=given)
    return visit.go("/gate", visit.say("Asked: a second person must agree."))


@router.post("/gate/allowances/{number}/approve", dependencies=[needs("allowances.approve")])
def approve(visit: Visiting, number: int) -> Response:
    """It may pass from now on."""
    return _done(visit, lambda: allowances.approve(visit.desk, number), visit.say("It may pass from now on."))


@router.post("/gate/allowances/{number}/withdraw", dependencies=[needs("allowances.ask")])
def withdraw(visit: Visiting, number: int) -> Response:
    """It counts no more, or never did."""
    return _done(visit, lambda: allowances.withdraw(visit.desk, number), visit.say("It counts no more."))


def _done(visit: Visit, act: Callable[[], None], said: str) -> Response:
    """The act is done, or the page says why not."""
    try:
        act()
    except ConsignError as problem:
        return _shown(visit, problem=problem)
    return visit.go("/gate", said)

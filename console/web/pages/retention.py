"""Keeping and forgetting: what is kept how long and by which clause, what is due, legal holds, what was deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from infra import jobs, retention, shredding
from infra.store import assurance, browsing, keeping, trail
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.retention import CLASSES, Period

if TYPE_CHECKING:
    from console.web.remembered import Figure
    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]

TABS: Final = {
    "due": later("What is due"), "schedule": later("How long what is kept"), "holds": later("Legal holds"),
    "deleted": later("What was deleted"), "shreddings": later("Forgotten for good"),
}  # fmt: skip
ACTS: Final = {"erase": later("is erased"), "delete": later("is deleted"), "keep": later("is never deleted here")}
"""By what Consign does when the time is over: how a sentence ends."""
SCOPES: Final = {
    "everything": later("everything"), "lender": later("a lender's"), "portfolio": later("a portfolio"),
    "debtor": later("a debtor"), "class": later("a class of records"),
}  # fmt: skip
STATES: Final = {
    "waiting": (later("Waits for a second person"), "warn"), "begun": (later("Begun"), "info"),
    "done": (later("Done"), "good"), "withdrawn": (later("Withdrawn"), "plain"),
}  # fmt: skip
KINDS: Final = {"debtor": later("Debtor"), "portfolio": later("Portfolio"), "retention": later("By the schedule")}


@router.get("/retention", dependencies=[needs("retention.see")])
def every(
    visit: Visiting, tab: str = "due", schedule: str = "", ended: str = "", after: str = ""
) -> Response:  # fmt: skip
    """What is due, how long what is kept, what holds keep, what was deleted, what was forgotten for good."""
    return _shown(visit, asked.one_of(tab, TABS), schedule, ended, after)


def _shown(
    visit: Visit, tab: str, schedule: str = "", ended: str = "", after: str = "",
    problem: ConsignError | None = None, given: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    told = _READERS[tab](visit, schedule, ended, after)
    return visit.page(
        "compliance/retention.html", tab=tab, problem=problem, classes=CLASSES, acts=ACTS, scopes=SCOPES,
        verified=standings.READ, period=Period.parse,
        states=STATES, kinds=KINDS, today=visit.desk.today(), after=after,
        given={"scope": "lender", "lender": "", "number": "", "record_class": "", "why": "", "until": "", "form": ""}
        | (given or {}),
        tab_entries=[(visit.say(words), None, query(tab=code), code == tab) for code, words in TABS.items()],
        status=200 if problem is None else status_of(problem), **told,
    )  # fmt: skip


# -- what is due -------------------------------------------------------------------------------------------------------


def _key(visit: Visit) -> tuple[str, str]:
    return ("due", visit.desk.today().isoformat())


def _due(visit: Visit) -> Figure[list[retention.Line]]:
    """What is due today, looked through now unless that was done a short while ago."""

    def look() -> list[retention.Line]:
        with seated_here(visit.desk), visit.desk.database.read() as connection:
            return retention.due(connection, visit.desk)

    return FIGURES.count(visit.desk, _key(visit), look)


def _told_due(visit: Visit, _schedule: str, _ended: str, _after: str) -> dict[str, Any]:
    known = FIGURES.find(visit.desk, _key(visit))
    return {"counted": known and _due(visit), "lenders": _lenders(visit)}


@router.get("/retention/due", dependencies=[needs("retention.see")])
def due(visit: Visiting) -> Response:
    """What is due, looked through now: a part of the page, or back to it."""
    counted = _due(visit)
    if not visit.is_partial:
        return visit.go("/retention")
    return visit.page(
        "compliance/retention_due.html",
        counted=counted,
        classes=CLASSES,
        acts=ACTS,
        period=Period.parse,
        lenders=_lenders(visit),
    )


@router.post("/retention/run", dependencies=[needs("retention.run")])
def run(visit: Visiting, seen: Text = "") -> Response:
    """A job deletes what is due: so much as the person has seen, and nothing that nobody has looked at."""
    total = sum(line.due or 0 for line in _due(visit).value if line.held_by is None)
    if asked.number(seen) != total:
        problem = UsageError(
            visit.say("What is due has changed since you looked."), fix=visit.say("Look at it again, then delete.")
        )
        return _shown(visit, "due", problem=problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'retain', {})}")


# -- how long ----------------------------------------------------------------------------------------------------------


def _told_schedule(visit: Visit, schedule: str, _ended: str, _after: str) -> dict[str, Any]:
    with seated_here(visit.desk), visit.desk.database.read() as connection:
        names = retention.SHELF.names()
        used = {lender: found.name for lender, _, found in retention.schedules(connection)}
        first = next(iter(used.values()), names[0])
        chosen = retention.SHELF.find(asked.one_of(schedule or first, names))
    lenders = _lenders(visit)
    return {
        "schedule": chosen, "schedules": [(name, name) for name in names], "used": used, "lenders": lenders,
        "users": [lenders[lender] for lender, name in used.items() if name == chosen.name],
    }  # fmt: skip


# -- legal holds -------------------------------------------------------------------------------------------------------


def _told_holds(visit: Visit, _schedule: str, ended: str, after: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        page = keeping.holds(connection, visit.desk.today(), ended=bool(ended), after=after or None)
    return {"page": page, "next": page.after or "", "ended": ended, "lenders": _lenders(visit)}


@router.post("/retention/holds", dependencies=[needs("retention.hold")])
def hold(
    visit: Visiting, scope: Text = "", lender: Text = "", number: Text = "", record_class: Text = "", why: Text = "",
    until: Text = "",
) -> Response:  # fmt: skip
    """What the hold covers is neither deleted nor erased until a second person lifts it."""
    try:
        retention.hold(
            visit.desk, scope, why, lender=lender or None, subject_id=asked.number(number),
            record_class=record_class or None, until=asked.day(until),
        )  # fmt: skip
    except ConsignError as problem:
        given = {"scope": scope, "lender": lender, "number": number, "record_class": record_class, "why": why,
                 "until": until}  # fmt: skip
        return _shown(visit, "holds", problem=problem, given=given)
    return visit.go("/retention?tab=holds", visit.say("Held: nothing of it is deleted or erased."))


@router.post("/retention/holds/{legal_hold_id}/lift", dependencies=[needs("retention.lift")])
def lift(visit: Visiting, legal_hold_id: int) -> Response:
    """The hold counts no more; what is due goes with the next run."""
    return _done(
        visit, "holds", lambda: retention.lift(visit.desk, legal_hold_id),
        visit.say("Lifted: what is due goes with the next run."),
    )  # fmt: skip


def _done(
    visit: Visit, tab: str, act: Callable[[], object], said: str, given: dict[str, str] | None = None
) -> Response:  # fmt: skip
    """The act is done, or the page says why not, with what was typed."""
    try:
        act()
    except ConsignError as problem:
        return _shown(visit, tab, problem=problem, given=given)
    return visit.go(f"/retention?tab={tab}", said)


# -- what was deleted --------------------------------------------------------------------------------------------------


def _told_deleted(visit: Visit, _schedule: str, _ended: str, after: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        page = assurance.events(connection, action="retention.", after=after or None)
        signed = trail.newest_signed(connection)
    details = {row["seq"]: json.loads(row["details"]) for row in page.rows}
    return {
        "page": page, "next": page.after or "", "details": details, "signed": signed, "lenders": _lenders(visit),
        "looked_back": assurance.LOOKED_BACK,
    }  # fmt: skip


# -- forgotten for good ------------------------------------------------------------------------------------------------


def _told_shreddings(visit: Visit, _schedule: str, _ended: str, after: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        page = keeping.shreddings(connection, after=after or None)
        waiting = keeping.shreddings(connection, state="waiting").rows
    return {"page": page, "waiting": waiting, "next": page.after or "", "lenders": _lenders(visit)}


@router.post("/retention/shreddings", dependencies=[needs("shreddings.ask")])
def ask_for_shredding(visit: Visiting, number: Text = "", why: Text = "") -> Response:
    """A portfolio is to be forgotten for good, once a second person approves."""

    def act() -> None:
        portfolio = asked.number(number)
        if portfolio is None:
            raise UsageError(visit.say("Which portfolio?"), fix=visit.say("Give its number."))
        shredding.ask_portfolio(visit.desk, portfolio, why)

    said = visit.say("Asked: a second person must approve it.")
    return _done(visit, "shreddings", act, said, {"form": "portfolio", "number": number, "why": why})


@router.post("/retention/debtors", dependencies=[needs("shreddings.ask")])
def ask_for_debtor(visit: Visiting, lender: Text = "", who: Text = "", why: Text = "") -> Response:
    """One debtor is to be forgotten for good, once a second person approves; their number stands in no address."""
    return _done(
        visit, "shreddings", lambda: shredding.ask_debtor(visit.desk, lender, who.strip(), why),
        visit.say("Asked: a second person must approve it."), {"form": "debtor", "lender": lender, "why": why},
    )  # fmt: skip


@router.post("/retention/shreddings/{shredding_id}/approve", dependencies=[needs("shreddings.approve")])
def approve_shredding(visit: Visiting, shredding_id: int) -> Response:
    """The second person agrees: a job forgets the debtor, or every identity of the portfolio."""
    try:
        shredding.approve(visit.desk, shredding_id)
    except ConsignError as problem:
        return _shown(visit, "shreddings", problem=problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'shred', {'shredding_id': shredding_id})}")


@router.post("/retention/shreddings/{shredding_id}/withdraw", dependencies=[needs("shreddings.ask")])
def withdraw_shredding(visit: Visiting, shredding_id: int) -> Response:
    """Nothing comes of the request."""
    return _done(
        visit, "shreddings", lambda: shredding.withdraw(visit.desk, shredding_id), visit.say("Withdrawn.")
    )  # fmt: skip


def _lenders(visit: Visit) -> dict[str, str]:
    with visit.desk.database.read() as connection:
        return browsing.lenders(connection)


_READERS: Final[dict[str, Callable[[Visit, str, str, str], dict[str, Any]]]] = {
    "due": _told_due, "schedule": _told_schedule, "holds": _told_holds, "deleted": _told_deleted,
    "shreddings": _told_shreddings,
}  # fmt: skip

"""Complaints and breaches of conduct rules, the gates that they close, and erasures with their certificates."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from infra import complaints, conduct, gates, jobs, rulepacks
from infra.store import assurance, browsing
from infra.store import complaints as complaint_rows
from infra.store import conduct as conduct_rows
from infra.store import gates as gate_rows
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]

COMPLAINT_STATES: Final = {
    "open": (later("open"), "warn"), "taken": (later("being answered"), "info"), "closed": (later("closed"), "plain")
}  # fmt: skip
CATEGORIES: Final = {
    "conduct": later("conduct"), "threat": later("threat"), "violence": later("violence"),
    "third_party": later("told a third party"), "frequency": later("too often"), "hours": later("at forbidden hours"),
    "wrong_debtor": later("wrong person"), "amount": later("wrong amount"), "privacy": later("privacy"),
    "other": later("something else"),
}  # fmt: skip
OUTCOMES: Final = {
    "upheld": later("upheld"), "partly": later("upheld in part"), "dismissed": later("dismissed"),
    "withdrawn": later("taken back"),
}  # fmt: skip
SEVERITIES: Final = {
    "serious": (later("serious"), "bad"), "normal": (later("normal"), "warn"), "low": (later("low"), "plain")
}  # fmt: skip
BREACH_TABS: Final = {
    "open": later("To be heard"), "upheld": later("Upheld"), "dismissed": later("Dismissed"),
    "withdrawn": later("Withdrawn"),
}  # fmt: skip
GATES: Final = {
    "closed": (later("closed"), "bad"), "asked": (later("lifting asked for"), "warn"),
    "lifted": (later("lifted"), "info"), "open": (later("open"), "good"),
}  # fmt: skip
ERASURE_TABS: Final = {
    "overdue": later("Overdue"), "unsatisfied": later("Unsatisfied"), "requested": later("Asked for"),
    "certified_late": later("Certified late"), "certified": later("Certified"),
}  # fmt: skip
RATE_DAYS: Final = 90


# -- complaints --------------------------------------------------------------------------------------------------------


@router.get("/complaints", dependencies=[needs("complaints.see")])
def every_complaint(
    visit: Visiting, tab: str = "open", agency: str = "", mine: str = "", overdue: str = "", after: str = ""
) -> Response:
    """The register of complaints, those due first in front."""
    return _complaints(visit, asked.one_of(tab, ("open", "closed")), agency, mine, overdue, after)


def _complaints(
    visit: Visit, tab: str = "open", agency: str = "", mine: str = "", overdue: str = "", after: str = "",
    problem: ConsignError | None = None, given: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    today = visit.desk.today()
    with visit.desk.database.read() as connection:
        page = assurance.complaints(
            connection, closed=tab == "closed", agency=agency, owner=visit.who.actor if mine else "",
            overdue_on=today if overdue else None, after=after or None,
        )  # fmt: skip
        agencies, lenders = browsing.agencies(connection), browsing.lenders(connection)

    def rated() -> list[dict[str, Any]]:
        since = date.fromordinal(today.toordinal() - RATE_DAYS)
        with visit.desk.database.read() as connection:
            return records(complaint_rows.rates(connection, None, since, today))

    rates = FIGURES.count(visit.desk, ("complaint rates", today), rated, list[dict[str, Any]]).value
    return visit.page(
        "compliance/complaints.html", page=page, next=page.after or "", tab=tab, agency=agency, mine=mine,
        overdue=overdue, after=after, rates=rates, days=RATE_DAYS, agencies=agencies, lenders=lenders, today=today,
        states=COMPLAINT_STATES, categories=CATEGORIES, severities=SEVERITIES, outcomes=OUTCOMES, problem=problem,
        given=defaultdict(str, given or {}), status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/complaints", dependencies=[needs("complaints.work")])
def add_complaint(
    visit: Visiting, agency: Text = "", lender: Text = "", ref: Text = "", account: Text = "", received: Text = "",
    category: Text = "conduct", severity: Text = "normal",
) -> Response:  # fmt: skip
    """The complaint is in the register, and its debtor on hold."""
    try:
        told = complaints.add(
            visit.desk, lender, agency, ref.strip(), account_ref=account.strip() or None,
            received_on=asked.day(received), category=category, severity=severity,
        )  # fmt: skip
    except ConsignError as problem:
        given = {"agency": agency, "lender": lender, "ref": ref, "received": received, "category": category,
                 "severity": severity}  # fmt: skip
        return _complaints(visit, problem=problem, given=given)
    if not told.complaint_ids:
        return visit.go("/complaints", visit.say("A complaint with this reference was in the register already."))
    return visit.go(f"/complaints/{told.complaint_ids[0]}", visit.say("Registered; the debtor is on hold."))


@router.get("/complaints/{complaint_id}", dependencies=[needs("complaints.see")])
def one_complaint(visit: Visiting, complaint_id: int) -> Response:
    """One complaint: its clock, who answers it, how it ended."""
    return _complaint(visit, complaint_id)


def _names(connection: Connection) -> dict[str, dict[str, str]]:
    """What agencies and lenders are called, by code."""
    return {"agencies": browsing.agencies(connection), "lenders": browsing.lenders(connection)}


def _complaint(visit: Visit, complaint_id: int, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        row = complaint_rows.complaint(connection, complaint_id)
        names = _names(connection)
    return visit.page(
        "compliance/complaint.html", row=row, **names, states=COMPLAINT_STATES, categories=CATEGORIES,
        severities=SEVERITIES, outcomes=OUTCOMES, today=visit.desk.today(), problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/complaints/{complaint_id}/take", dependencies=[needs("complaints.work")])
def take_complaint(visit: Visiting, complaint_id: int, owner: Text = "") -> Response:
    """Somebody answers it."""
    try:
        complaints.take(visit.desk, complaint_id, owner.strip() or None)
    except ConsignError as problem:
        return _complaint(visit, complaint_id, problem)
    return visit.go(f"/complaints/{complaint_id}", visit.say("Taken."))


@router.post("/complaints/{complaint_id}/close", dependencies=[needs("complaints.work")])
def close_complaint(
    visit: Visiting, complaint_id: int, outcome: Text = "", reason: Text = "", category: Text = ""
) -> Response:
    """It has ended."""
    try:
        complaints.close(visit.desk, complaint_id, outcome, reason, category=category or None)
    except ConsignError as problem:
        return _complaint(visit, complaint_id, problem)
    return visit.go(f"/complaints/{complaint_id}", visit.say("Closed; the hold on the debtor stays."))


# -- breaches and gates ------------------------------------------------------------------------------------------------


@router.get("/breaches", dependencies=[needs("conduct.see")])
def every_breach(
    visit: Visiting, tab: str = "open", agency: str = "", rule: str = "", severity: str = "", after: str = ""
) -> Response:
    """Breaches by clause, the newest first; and the gates that they closed."""
    asked.one_of(tab, BREACH_TABS)
    with visit.desk.database.read() as connection:
        page = assurance.breaches(connection, tab, agency=agency, rule=rule, severity=severity, after=after or None)
        stopping = gate_rows.listed(connection, visit.desk.today())
        last = conduct_rows.last_run(connection)
        agencies = browsing.agencies(connection)
    return visit.page(
        "compliance/breaches.html", page=page, next=page.after or "", tab=tab, tabs=BREACH_TABS,
        agency=agency, rule=rule, severity=severity, after=after, clauses=_clauses(visit), gates=stopping,
        gate_states=GATES, last=last, agencies=agencies, severities=SEVERITIES,
        tab_entries=[
            (visit.say(words), None, query(tab=code, agency=agency, rule=rule, severity=severity), code == tab)
            for code, words in BREACH_TABS.items()
        ],
    )  # fmt: skip


def _clauses(visit: Visit) -> list[dict[str, Any]]:
    def count() -> list[dict[str, Any]]:
        with visit.desk.database.read() as connection:
            return assurance.by_clause(connection)

    return FIGURES.count(visit.desk, "clauses", count, list[dict[str, Any]]).value


@router.post("/breaches/audit", dependencies=[needs("conduct.decide")])
def audit_conduct(visit: Visiting) -> Response:
    """What agencies reported since the last time is held against the rules, as a job."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'conduct', {})}")


@router.get("/breaches/{breach_id}", dependencies=[needs("conduct.see")])
def one_breach(visit: Visiting, breach_id: int) -> Response:
    """One breach: rule, clause, evidence, the names that the agency knows account and debtor by."""
    return _breach(visit, breach_id)


def _breach(visit: Visit, breach_id: int, problem: ConsignError | None = None) -> Response:
    row = conduct.whole(visit.desk, breach_id)
    with visit.desk.database.read() as connection:
        names = _names(connection)
    return visit.page(
        "compliance/breach.html", row=row, **names, tabs=BREACH_TABS, severities=SEVERITIES, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/breaches/{breach_id}/decide", dependencies=[needs("conduct.decide")])
def decide(visit: Visiting, breach_id: int, there: Text = "", reason: Text = "") -> Response:
    """The agency was heard: the breach stands, or it was none."""
    try:
        conduct.decide(visit.desk, breach_id, asked.one_of(there, ("upheld", "dismissed")), reason)
    except ConsignError as problem:
        return _breach(visit, breach_id, problem)
    return visit.go(f"/breaches/{breach_id}", visit.say("Decided."))


@router.get("/gates/{gate_id}", dependencies=[needs("conduct.see")])
def one_gate(visit: Visiting, gate_id: int) -> Response:
    """One gate: what it measures, what it stops, who asked to lift it."""
    return _gate(visit, gate_id)


def _gate(visit: Visit, gate_id: int, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        row = gate_rows.gate(connection, gate_id)
        names = _names(connection)
    return visit.page(
        "compliance/gate.html", row=row, **names, states=GATES, today=visit.desk.today(), longest=gates.LONGEST_DAYS,
        problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/gates/{gate_id}/ask", dependencies=[needs("gates.ask")])
def ask_to_lift(visit: Visiting, gate_id: int, until: Text = "", reason: Text = "") -> Response:
    """Lifting it is asked for; it counts when somebody else grants it."""
    try:
        day = asked.day(until)
        if day is None:
            raise UsageError("until when?", fix="name the last day on which it is lifted")
        gates.ask(visit.desk, gate_id, day, reason)
    except ConsignError as problem:
        return _gate(visit, gate_id, problem)
    return visit.go(f"/gates/{gate_id}", visit.say("Asked for: a second person must grant it."))


@router.post("/gates/{gate_id}/grant", dependencies=[needs("gates.grant")])
def grant(visit: Visiting, gate_id: int) -> Response:
    """It is lifted until the day asked for."""
    try:
        gates.grant(visit.desk, gate_id)
    except ConsignError as problem:
        return _gate(visit, gate_id, problem)
    return visit.go(f"/gates/{gate_id}", visit.say("Lifted."))


@router.post("/gates/{gate_id}/refuse", dependencies=[needs("gates.ask")])
def refuse(visit: Visiting, gate_id: int) -> Response:
    """What was asked for is refused, or taken back; or a lifted gate is closed again."""
    try:
        gates.refuse(visit.desk, gate_id)
    except ConsignError as problem:
        return _gate(visit, gate_id, problem)
    return visit.go(f"/gates/{gate_id}", visit.say("Closed."))


@router.get("/rules", dependencies=[needs("conduct.see")])
def rules(visit: Visiting, pack: str = "") -> Response:
    """By which packs each lender's agencies are audited, and the rules: clause, number, from when, how it was read."""
    return _rules(visit, pack)


def _rules(visit: Visit, pack: str = "", problem: ConsignError | None = None) -> Response:
    with seated_here(visit.desk), visit.desk.database.read() as connection:
        names = rulepacks.names()
        chosen = rulepacks.find(asked.one_of(pack or names[0], names))
        every = {name: rulepacks.find(name) for name in names}
        used = {one.lender: [found.name for found in rulepacks.of(one)] for one in conduct_rows.lenders(connection)}
        lenders = browsing.lenders(connection)
    return visit.page(
        "compliance/rules.html", pack=chosen, packs=[(name, name) for name in names], every=every, used=used,
        lenders=lenders, verified=standings.READ, severities=SEVERITIES,
        today=visit.desk.today(), problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/rules/{lender}", dependencies=[needs("rules.change")])
def use_packs(
    visit: Visiting,
    lender: str,
    packs: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI makes a new one for each form
) -> Response:
    """The lender's agencies are audited by these packs from the next audit on; by its country's where none is named."""
    try:
        with seated_here(visit.desk):
            conduct.use_packs(visit.desk, lender, packs)
    except ConsignError as problem:
        return _rules(visit, problem=problem)
    return visit.go("/rules", visit.say("From the next audit on these packs count."))


# -- erasures ----------------------------------------------------------------------------------------------------------


@router.get("/erasures", dependencies=[needs("erasures.see")])
def erasures(visit: Visiting, tab: str = "", agency: str = "", after: str = "") -> Response:
    """Erasures by how they stand, those due first in front."""
    today = visit.desk.today()
    counts = erasures_counted(visit, today, agency)
    with visit.desk.database.read() as connection:
        shown: str = asked.one_of(tab, ERASURE_TABS) if tab else _first_of(counts)
        page = assurance.erasures(connection, today, shown, agency=agency, after=after or None)
        agencies = browsing.agencies(connection)
    return visit.page(
        "compliance/erasures.html", page=page, next=page.after or "", tab=shown, tabs=ERASURE_TABS,
        agency=agency, agencies=agencies, after=after, today=today,
        tab_entries=[
            (visit.say(words), counts[code], query(tab=code, agency=agency), code == shown)
            for code, words in ERASURE_TABS.items()
        ],
    )  # fmt: skip


def erasures_counted(visit: Visit, today: date, agency: str) -> dict[str, int]:
    """How many erasures are in each state, of that agency or (empty) of all."""

    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return assurance.erasure_counts(connection, today, agency)

    return FIGURES.count(visit.desk, ("erasures", agency, today), count, dict[str, int]).value


def _first_of(counts: dict[str, Any]) -> str:
    """The first state that something is in."""
    return next((state for state in ERASURE_TABS if counts[state]), "requested")


@router.post("/erasures/ask", dependencies=[needs("erasures.ask")])
def ask_for_erasures(visit: Visiting) -> Response:
    """The erasure of every placement that has ended is asked for, as a job."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'erase', {})}")

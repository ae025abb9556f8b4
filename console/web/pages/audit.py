"""The audit trail, that nobody rewrote it, and proofs of it; and the drafts that rest on it."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from console.web.codes import term
from console.web.language import later, say
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.sheets import download
from console.web.visits import Visiting, needs
from infra import jobs, proving, witnesses
from infra.reports import drafts, pages
from infra.reports.report import Report
from infra.store import assurance, browsing, trail
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.visits import Visit
    from infra.audit import Verification
    from infra.wiring import Desk

router = APIRouter()

HEADS_SHOWN: Final = 20
KINDS: Final = {
    "impact": later("Impact assessment"), "processing": later("Record of processing"),
    "agencies": later("Agencies, for publication"),
}  # fmt: skip
FORMS: Final = ("html", "csv")
GROUPS: Final = {
    "channels": "channel",
    "stage": "stage",
    "purpose": "purpose",
    "kind": "file",
    "value": "switch",
    "policy": "policy",
}
"""Columns of the drafts whose cells are codes, by the group of console.web.codes."""


@router.get("/audit", dependencies=[needs("audit.see")])
def every(visit: Visiting, subject: str = "", actor: str = "", action: str = "", after: str = "") -> Response:
    """What happened, the newest first."""
    return _list(visit, subject.strip(), actor.strip(), action.strip(), after)


def _list(
    visit: Visit, subject: str = "", actor: str = "", action: str = "", after: str = "",
    verified: Verification | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        page = assurance.events(
            connection, subject=subject, actor=actor, action=action, after=after or None
        )  # fmt: skip
        signed = trail.newest_signed(connection)
        newest = trail.newest(connection)
    return visit.page(
        "compliance/audit.html", page=page, next=page.after or "", subject=subject, actor=actor,
        action=action, after=after, signed=signed, newest=newest, verified=verified, noted=witnesses.noted(visit.desk),
        details={row["seq"]: json.loads(row["details"]) for row in page.rows}, looked_back=assurance.LOOKED_BACK,
        status=200 if verified is None or verified.ok else 409,
    )  # fmt: skip


@router.post("/audit/verify", dependencies=[needs("audit.see")])
def verify(visit: Visiting) -> Response:
    """Chain, tree and heads are followed from where they were found whole the last time."""
    return _list(visit, verified=witnesses.verify(visit.desk, new_only=True))


@router.post("/audit/verify-all", dependencies=[needs("audit.see")])
def verify_all(visit: Visiting) -> Response:
    """The same from the first event on, as a job."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'verify_audit', {})}")


@router.get("/audit/{seq}/proof.json", dependencies=[needs("audit.see")])
def proof(visit: Visiting, seq: int) -> Response:
    """The proof that the event is in the trail; anybody can check it without the store."""
    with visit.desk.database.read() as connection:
        made = proving.prove(connection, visit.desk.keyring.audit_publics().values(), seq)
    return download(json.dumps(made, ensure_ascii=False, indent=1) + "\n", f"event-{seq}.json", "application/json")


# -- drafts ------------------------------------------------------------------------------------------------------------


@router.get("/assessments", dependencies=[needs("reports.see")])
def assessments(visit: Visiting, kind: str = "impact", lender: str = "") -> Response:
    """A draft, read from what is configured and recorded; what a person must settle stands first."""
    asked.one_of(kind, KINDS)
    report, problem = None, None
    try:
        # drafted from everything that was disclosed, which takes most of a second in a large house
        key = ("report", kind, lender)
        report = FIGURES.count(visit.desk, key, lambda: drafted(visit.desk, kind, lender), Report).value
    except ConsignError as error:
        problem = error
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    return visit.page(
        "compliance/assessments.html", report=report, t=pages.words(visit.say.code, retold(visit.say.code)), kind=kind,
        lender=lender, lenders=lenders, problem=problem,
        tab_entries=[(visit.say(words), None, query(kind=code, lender=lender), code == kind)
                     for code, words in KINDS.items()], status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.get("/assessments/{kind}.{form}", dependencies=[needs("reports.see")])
def assessment(visit: Visiting, kind: str, form: str, lender: str = "") -> Response:
    """The draft as a page to print, or its table as CSV."""
    asked.one_of(kind, KINDS)
    report = drafted(visit.desk, kind, lender)
    if asked.one_of(form, FORMS) == "html":
        page = pages.html(report, visit.say.code, retold(visit.say.code))
        return download(page, f"{kind}.html", "text/html; charset=utf-8")
    return download(pages.csv(report), f"{kind}.csv", "text/csv; charset=utf-8")


@cache
def retold(language: str) -> Callable[[str, str], str]:
    """What a policy or a register says in a cell of that column, in that language."""
    told = say(language)
    return lambda column, text: term(language, text, GROUPS[column]) if column in GROUPS else told.explained(text)


def drafted(desk: Desk, kind: str, lender: str) -> Report:
    """The draft of that kind, of one lender or of all."""
    match kind:
        case "impact":
            return drafts.impact(desk, lender or None)
        case "processing":
            return drafts.processing(desk, lender or None)
        case _:
            return drafts.agency_list(desk)

"""What debtors ask about their data: access, correction, erasure, restriction; by when, and what agencies still owe."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Response

from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.sheets import download
from console.web.visits import Visiting, needs
from infra import corrections, jobs, subjects
from infra.store import assurance, browsing
from models.errors import ConsignError
from models.kinds import CORRECTABLE
from models.subject import BASES, GROUNDS, KINDS, OPEN, RECALLED_FOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.web.visits import Visit

router = APIRouter()

KIND_WORDS: Final = {
    "access": later("access"), "correction": later("correction"), "erasure": later("erasure"),
    "restriction": later("restriction"),
}  # fmt: skip
STATES: Final = {
    "received": (later("received"), "warn"), "verified": (later("verified"), "info"),
    "in_progress": (later("to be answered by us"), "info"), "waiting": (later("agencies owe an answer"), "info"),
    "answered": (later("answered"), "good"), "refused": (later("refused"), "plain"),
}  # fmt: skip

Text = Annotated[str, Form()]


@router.get("/requests", dependencies=[needs("subjects.see")])
def every(visit: Visiting, tab: str = "open", lender: str = "", kind: str = "", after: str = "") -> Response:
    """Requests, those due first in front."""
    return _list(visit, asked.one_of(tab, ("open", "ended")), lender, kind, after)


def _list(
    visit: Visit, tab: str = "open", lender: str = "", kind: str = "", after: str = "",
    problem: ConsignError | None = None, given: Mapping[str, object] | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        key = after or None
        page = assurance.requests(connection, ended=tab == "ended", lender=lender, kind=kind, after=key)
        lenders = browsing.lenders(connection)
    return visit.page(
        "compliance/requests.html", page=page, next=page.after or "", tab=tab, lender=lender, kind=kind,
        after=after, lenders=lenders, kinds=KIND_WORDS, states=STATES, today=visit.desk.today(),
        grounds=_grounds(visit), correctable=CORRECTABLE, problem=problem, given=defaultdict(str, given or {}),
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/requests", dependencies=[needs("subjects.work")])
def open_(
    visit: Visiting, who: Text = "", lender: Text = "", kind: Text = "", ground: Text = "asked", ref: Text = "",
    received: Text = "", fields: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:  # fmt: skip
    """The request's clock runs; a restriction puts the debtor on hold at once."""
    try:
        opened = subjects.open_request(
            visit.desk, lender, who.strip(), kind, ground=ground, ref=ref, received_on=asked.day(received),
            fields=fields if kind == "correction" else (),
        )  # fmt: skip
    except ConsignError as problem:
        given = {"lender": lender, "kind": kind, "ground": ground, "ref": ref, "received": received, "fields": fields}
        return _list(visit, problem=problem, given=given)
    said = later("The same request is under way already.") if opened.known_before else later("The request is open.")
    return visit.go(f"/requests/{opened.request_id}", visit.say(said))


@router.get("/requests/{request_id}", dependencies=[needs("subjects.see")])
def one(visit: Visiting, request_id: int) -> Response:
    """One request: its clock, what agencies owe, what may be done next."""
    return _one(visit, request_id)


def _one(visit: Visit, request_id: int, problem: ConsignError | None = None) -> Response:
    row = subjects.standing(visit.desk, request_id)
    return visit.page(
        "compliance/request.html", row=row, kinds=KIND_WORDS, states=STATES, about=KINDS[row["kind"]],
        today=visit.desk.today(), is_open=row["state"] in OPEN, problem=problem,
        bases={
            code: visit.say.explained(basis.about) for code, basis in BASES.items() if row["kind"] in basis.kinds
        },
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _grounds(visit: Visit) -> dict[str, str]:
    """Why processing is restricted, by code."""
    return {code: visit.say.explained(words) for code, words in GROUNDS.items()}


@router.post("/requests/{request_id}/verify", dependencies=[needs("subjects.work")])
def verify(visit: Visiting, request_id: int, proof: Text = "") -> Response:
    """The debtor has proved to be the one; agencies are asked for what the request needs."""
    try:
        kind, _ = subjects.verify(visit.desk, request_id, proof)
    except ConsignError as problem:
        return _one(visit, request_id, problem)
    if kind in RECALLED_FOR:
        return visit.go(f"/jobs/{jobs.ask(visit.desk, 'attend', {})}")
    return visit.go(f"/requests/{request_id}", visit.say("Verified."))


@router.post("/requests/{request_id}/correct", dependencies=[needs("subjects.work")])
def correct(
    visit: Visiting, request_id: int, field: Text = "", value: Text = "", account: Text = "", remove: Text = ""
) -> Response:
    """The right value is taken in, and told to every agency that was told it."""
    try:
        done = corrections.correct(
            visit.desk, request_id, field, None if remove else value.strip(), account_ref=account.strip() or None
        )
    except ConsignError as problem:
        return _one(visit, request_id, problem)
    if done.files:
        return visit.go(f"/jobs/{jobs.ask(visit.desk, 'attend', {})}")
    return visit.go(f"/requests/{request_id}", visit.say("Corrected."))


@router.post("/requests/{request_id}/answer", dependencies=[needs("subjects.work")])
def answer(visit: Visiting, request_id: int, how: Text = "", keep: Text = "", reason: Text = "") -> Response:
    """The request was done and the debtor answered; of an access request the answer is the file that comes back."""
    try:
        if how == "access":
            evidence, _ = subjects.answer_access(visit.desk, request_id)
            text = json.dumps(evidence, ensure_ascii=False, indent=1) + "\n"
            return download(text, f"request-{request_id}.json", "application/json")
        subjects.answer(
            visit.desk, request_id, keep=keep or None if how == "keep" else None, forget=how == "forget", reason=reason
        )
    except ConsignError as problem:
        return _one(visit, request_id, problem)
    return visit.go(f"/requests/{request_id}", visit.say("Answered."))


@router.post("/requests/{request_id}/refuse", dependencies=[needs("subjects.work")])
def refuse(visit: Visiting, request_id: int, basis: Text = "", reason: Text = "") -> Response:
    """The request is refused by a legal reason."""
    try:
        subjects.refuse(visit.desk, request_id, basis, reason)
    except ConsignError as problem:
        return _one(visit, request_id, problem)
    return visit.go(f"/requests/{request_id}", visit.say("Refused."))


@router.post("/requests/{request_id}/evidence", dependencies=[needs("disclosures.ask")])
def prove(visit: Visiting, request_id: int, why: Text = "") -> Response:
    """What agencies were told about who asked, as evidence that anybody can check; also when the identity is gone."""
    try:
        made, _ = subjects.prove(visit.desk, request_id, why)
    except ConsignError as problem:
        return _one(visit, request_id, problem)
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    return download(text, f"request-{request_id}-evidence.json", "application/json")

"""What needs somebody, as a part of the API: exceptions of the exchange, gates, debtors' requests."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from console.web.frames import records
from infra import exceptions, gates, subjects
from infra.store import assurance
from infra.store import gates as gate_rows
from infra.store import subjects as request_rows
from models.tables import ExchangeException, GateState, SubjectRequest

if TYPE_CHECKING:
    from sqlalchemy import Row

router = APIRouter(responses=PROBLEMS)

MOST = 500
ExceptionShape = of_table("Exception", ExchangeException, but={"detail"})
GateShape = of_table("Gate", GateState)
RequestShape = of_table("SubjectRequest", SubjectRequest, but={"debtor_id", "hold_id"})


class Assigned(Given):
    """Who has it; empty: whoever calls."""

    owner: Word = ""


class Said(Given):
    """Words beside it; no debtor's values."""

    text: Text = Field(min_length=1)


class Lift(Given):
    """Until when a gate is to be lifted, and why."""

    until: date
    reason: Word = Field(min_length=1)


class NewRequest(Given):
    """What a debtor asks for; who it is is looked up and kept nowhere."""

    lender: Word
    who: Word = Field(description="account number, ID number or telephone number")
    kind: Literal["access", "correction", "erasure", "restriction"]
    ground: Word = "asked"
    fields: list[Word] = Field(default=[], max_length=50)
    received_on: date | None = None
    ref: Word = ""


class Proved(Given):
    """How the debtor proved to be the one; no document's number."""

    proof: Text = Field(min_length=1)


class Refusal(Given):
    """The legal reason, and in words."""

    basis: Word
    reason: Text = Field(min_length=1)


@router.get("/exceptions", dependencies=[needs("exceptions.see")])
def list_exceptions(
    call: Calling, agency: Word = "", code: Word = "", owner: Word = "", resolved: bool = False
) -> Listed[ExceptionShape]:  # type: ignore[valid-type]  # fmt: skip
    """Exceptions, the gravest and soonest due first; 500 at most."""
    with call.desk.database.read() as connection:
        found = exceptions.listed(
            connection, agency=agency or None, code=code or None, owner=owner or None, overdue_at=None,
            resolved=resolved, limit=MOST,
        )  # fmt: skip
    return Listed(items=records(found))


@router.post("/exceptions/{exception_id}/assign", dependencies=[needs("exceptions.work")], status_code=204)
def assign_exception(call: Calling, exception_id: Number, given: Assigned) -> None:
    """Somebody has it."""
    exceptions.assign(call.desk, exception_id, given.owner or call.who.actor)


@router.post("/exceptions/{exception_id}/notes", dependencies=[needs("exceptions.work")], status_code=204)
def add_exception_note(call: Calling, exception_id: Number, given: Said) -> None:
    """A note stands beside it."""
    exceptions.comment(call.desk, exception_id, given.text)


@router.post("/exceptions/{exception_id}/resolve", dependencies=[needs("exceptions.work")], status_code=204)
def resolve_exception(call: Calling, exception_id: Number, given: Said) -> None:
    """It is resolved, and how is on record."""
    exceptions.resolve(call.desk, exception_id, given.text)


@router.get("/gates", dependencies=[needs("conduct.see")])
def list_gates(call: Calling) -> Listed[GateShape]:  # type: ignore[valid-type]
    """Gates that stop new placements, or are lifted."""
    with call.desk.database.read() as connection:
        return Listed(items=gate_rows.listed(connection, call.desk.today()))


@router.post("/gates/{gate_id}/ask", dependencies=[needs("gates.ask")], status_code=204)
def ask_to_lift_gate(call: Calling, gate_id: Number, given: Lift) -> None:
    """Lifting it is asked for; it counts when somebody else grants it."""
    gates.ask(call.desk, gate_id, given.until, given.reason)


@router.post("/gates/{gate_id}/grant", dependencies=[needs("gates.grant")], status_code=204)
def grant_lifting_gate(call: Calling, gate_id: Number) -> None:
    """It is lifted until the day asked for."""
    gates.grant(call.desk, gate_id)


@router.post("/gates/{gate_id}/refuse", dependencies=[needs("gates.ask")], status_code=204)
def refuse_lifting_gate(call: Calling, gate_id: Number) -> None:
    """What was asked for is refused, or taken back."""
    gates.refuse(call.desk, gate_id)


@router.get("/subject-requests", dependencies=[needs("subjects.see")])
def list_subject_requests(
    call: Calling, ended: bool = False, lender: Word = "", kind: Word = "", after: Word = ""
) -> Listed[RequestShape]:  # type: ignore[valid-type]  # fmt: skip
    """What debtors asked, those due first in front."""
    with call.desk.database.read() as connection:
        page = assurance.requests(connection, ended=ended, lender=lender, kind=kind, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/subject-requests/{request_id}", dependencies=[needs("subjects.see")])
def get_subject_request(call: Calling, request_id: Number) -> RequestShape:  # type: ignore[valid-type]
    """One request."""
    return _request(call, request_id)


@router.post("/subject-requests", dependencies=[needs("subjects.work")], status_code=201)
def open_subject_request(call: Calling, given: NewRequest) -> RequestShape:  # type: ignore[valid-type]
    """A request is opened and its clock runs; the same, while it lasts, is one."""
    opened = subjects.open_request(
        call.desk, given.lender, given.who, given.kind, ground=given.ground, fields=given.fields,
        received_on=given.received_on, ref=given.ref,
    )  # fmt: skip
    assert opened.request_id is not None  # noqa: S101 - nothing was tried alone
    return _request(call, opened.request_id)


@router.post("/subject-requests/{request_id}/verify", dependencies=[needs("subjects.work")])
def verify_subject_request(call: Calling, request_id: Number, given: Proved) -> RequestShape:  # type: ignore[valid-type]
    """The debtor has proved to be the one."""
    subjects.verify(call.desk, request_id, given.proof)
    return _request(call, request_id)


@router.post("/subject-requests/{request_id}/refuse", dependencies=[needs("subjects.work")])
def refuse_subject_request(call: Calling, request_id: Number, given: Refusal) -> RequestShape:  # type: ignore[valid-type]
    """The request is refused by a legal reason."""
    subjects.refuse(call.desk, request_id, given.basis, given.reason)
    return _request(call, request_id)


def _request(call: Calling, request_id: int) -> Row[Any]:
    with call.desk.database.read() as connection:
        return request_rows.request(connection, request_id)

"""What compliance takes and answers, by program: complaints, debtors' requests; what the gate saw; who asked what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.house import RequestShape
from console.web.api.proof import ComplaintShape
from console.web.api.shapes import Given, Listed, Number, Text, Word
from console.web.frames import records
from infra import complaints, corrections, jobs, subjects
from infra.store import complaints as complaint_rows
from infra.store import gate
from infra.store import register as register_rows
from infra.store import subjects as request_rows

if TYPE_CHECKING:
    from sqlalchemy import Row

router = APIRouter(responses=PROBLEMS)

LOOKS: Final = 100
"""So many of the gate's newest looks."""


class ComplaintTaken(Given):
    """Who answers it."""

    owner: Word | None = Field(default=None, description="null: whoever calls")


class Corrected(Given):
    """The right value of one field."""

    field: Word
    value: Word | None = Field(description="as the lender's file would have it; null: there is none. It is sealed")
    account: Word | None = Field(default=None, description="the lender's number, of a fact, where there are several")


class Answered(Given):
    """How a request ended; of an erasure, whether the identity is destroyed here or kept, and why."""

    keep: Word | None = Field(default=None, description="the legal basis to store it on")
    forget: bool = Field(default=False, description="an erasure: destroy the identity here, for good")
    reason: Text = ""


class Reason(Given):
    """Why it is asked."""

    why: Text = Field(min_length=1, description="in a sentence, without a debtor's data; it is kept")


class Look(BaseModel):
    """What the gate saw of one file."""

    name: str
    agency: str
    kind: str
    verdict: str
    rows: int
    stopping: int
    k_before: int | None
    k_after: int | None
    suppressed: int
    checked_at: datetime


class QuestionShape(BaseModel):
    """One question to the register of disclosures."""

    question_id: int
    actor: str
    asked_at: datetime
    why: str
    lender: str
    agency: str | None
    accounts: int


@router.post("/complaints/{complaint_id}/take", dependencies=[needs("complaints.work")])
def take_complaint(call: Calling, complaint_id: Number, given: ComplaintTaken) -> ComplaintShape:  # type: ignore[valid-type]
    """Somebody answers it."""
    complaints.take(call.desk, complaint_id, given.owner)
    with call.desk.database.read() as connection:
        row: Row[Any] = complaint_rows.complaint(connection, complaint_id)
    return row


@router.post("/subject-requests/{request_id}/correct", dependencies=[needs("subjects.work")])
def correct_subject_request(call: Calling, request_id: Number, given: Corrected) -> RequestShape:  # type: ignore[valid-type]
    """The right value is taken in, and a job tells every agency that was told the field."""
    done = corrections.correct(call.desk, request_id, given.field, given.value, account_ref=given.account)
    if done.files:
        jobs.ask(call.desk, "attend", {})
    return _request(call, request_id)


@router.post("/subject-requests/{request_id}/answer", dependencies=[needs("subjects.work")])
def answer_subject_request(call: Calling, request_id: Number, given: Answered) -> RequestShape:  # type: ignore[valid-type]
    """It was done and the debtor answered. Of an access request the answer itself is made at the console alone."""
    subjects.answer(call.desk, request_id, keep=given.keep, forget=given.forget, reason=given.reason)
    return _request(call, request_id)


@router.post("/subject-requests/{request_id}/evidence", dependencies=[needs("disclosures.ask")])
def prove_subject_request(call: Calling, request_id: Number, given: Reason) -> dict[str, Any]:
    """Evidence of what agencies were told about who asked; also when the identity is gone. Asking is on record."""
    made, _ = subjects.prove(call.desk, request_id, given.why)
    return made


def _request(call: Calling, request_id: int) -> Row[Any]:
    with call.desk.database.read() as connection:
        return request_rows.request(connection, request_id)


@router.get("/gate/files", dependencies=[needs("allowances.see")])
def list_gate_looks(call: Calling, agency: Word = "", stopped: bool = False) -> Listed[Look]:
    """The gate's newest looks at files that were to leave."""
    with call.desk.database.read() as connection:
        found = gate.checks(connection, agency=agency or None, stopped=stopped, limit=LOOKS)
    return Listed(items=[Look(**{name: row[name] for name in Look.model_fields}) for row in records(found)])


@router.get("/gate/files/{file}", dependencies=[needs("allowances.see")])
def get_gate_look(call: Calling, file: Word) -> dict[str, Any]:
    """What it found in one file: column, line and kind, never a value; and how alike its lines are."""
    with call.desk.database.read() as connection:
        return gate.told(gate.check(connection, file))


@router.get("/disclosures/asked", dependencies=[needs("disclosures.ask")])
def list_questions(
    call: Calling, actor: Word = "", rows: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> Listed[QuestionShape]:
    """Who asked whose disclosures, when and why; never what was shown."""
    with call.desk.database.read() as connection:
        found = register_rows.questions(connection, actor or None, rows)
    return Listed(items=[QuestionShape(**row) for row in records(found)])

"""Finance's part of the API: breaks and what is done about them, statements, payment runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from infra import closing, jobs, resolving
from infra.payments import runs
from infra.store import money, worklist
from infra.store import resolutions as resolution_rows
from models.tables import BreakNote, PaymentRun, Resolution, Statement

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]

router = APIRouter(responses=PROBLEMS)

StatementShape = of_table("Statement", Statement)
RunShape = of_table("PaymentRun", PaymentRun)
ResolutionShape = of_table("Resolution", Resolution, but={"body", "sha256"})
NoteShape = of_table("BreakNote", BreakNote, only={"note_id", "break_id", "at", "by", "text"})


class WorklistRow(BaseModel):
    """One row of the worklist, whichever tab it is of; amounts in minor units of the currency."""

    model_config = ConfigDict(from_attributes=True)
    key: str
    id: int
    kind: str
    reference: str
    lender: str
    agency: str | None
    agency_minor: int
    ledger_minor: int
    difference_minor: int
    currency: str
    value_date: date | None
    since: datetime
    owner: str | None


class Owner(Given):
    """Who works on it; empty: nobody."""

    owner: Word = ""


class Note(Given):
    """A note beside a break; no debtor's values."""

    text: Text = Field(min_length=1)


class Proposed(Given):
    """What is to be done about breaks."""

    kind: Literal["match", "unmatch", "write_off", "count", "reject", "not_ours", "settle", "refund", "undo"]
    reason: Word = Field(description="a code of docs/reference/breaks.md")
    note: Text = ""
    break_id: Number | None = None
    about: dict[Word, int | Word | list[Number] | dict[Word, int] | None] = Field(
        default={}, max_length=10, description="what the kind takes, as lines, receipts, amounts, match_id"
    )


class Finding(BaseModel):
    """One line of a month's checklist."""

    model_config = ConfigDict(from_attributes=True)
    finding: str
    weight: str
    found: int
    stops: bool
    detail: str
    fix: str
    accepted_by: str | None


class Accepted(Given):
    """A finding that may pass, and why."""

    finding: Word
    why: Text = Field(min_length=1)


class JobNumber(BaseModel):
    """The job that does it."""

    job_id: int


class Why(Given):
    """Why."""

    why: Text = Field(min_length=1)


@router.get("/breaks", dependencies=[needs("breaks.see")])
def list_breaks(
    call: Calling,
    tab: Literal["open", "proposed", "to_approve", "matched", "written_off"] = "open",
    lender: Word = "",
    agency: Word = "",
    kind: Word = "",
    owner: Word = "",
    text: Word = "",
    after: Word = "",
) -> Listed[WorklistRow]:
    """The worklist: breaks, proposed matches, what waits for approval, by the tab."""
    wanted = worklist.Wanted(tab=tab, lender=lender, agency=agency, kind=kind, owner=owner, text=text)
    with call.desk.database.read() as connection:
        page = worklist.page(connection, wanted, after or None)
    return Listed(items=[WorklistRow.model_validate(row) for row in page.rows], next=page.after)


@router.get("/breaks/{break_id}", dependencies=[needs("breaks.see")])
def get_break(call: Calling, break_id: Number) -> WorklistRow:
    """One break."""
    with call.desk.database.read() as connection:
        return WorklistRow.model_validate(worklist.one(connection, break_id))


@router.post("/breaks/{break_id}/assign", dependencies=[needs("breaks.work")])
def assign_break(call: Calling, break_id: Number, given: Owner) -> WorklistRow:
    """Somebody works on it."""
    resolving.assign(call.desk, break_id, given.owner)
    return get_break(call, break_id)


@router.get("/breaks/{break_id}/notes", dependencies=[needs("breaks.see")])
def list_break_notes(call: Calling, break_id: Number) -> Listed[NoteShape]:  # type: ignore[valid-type]
    """What people wrote beside it, the oldest first."""
    with call.desk.database.read() as connection:
        worklist.one(connection, break_id)
        return Listed(items=resolving.beside(connection, break_id)["notes"])


@router.post("/breaks/{break_id}/notes", dependencies=[needs("breaks.work")], status_code=201)
def add_break_note(call: Calling, break_id: Number, given: Note) -> Listed[NoteShape]:  # type: ignore[valid-type]
    """A note stands beside it."""
    resolving.comment(call.desk, break_id, given.text)
    with call.desk.database.read() as connection:
        return Listed(items=resolving.beside(connection, break_id)["notes"])


@router.post("/resolutions", dependencies=[needs("breaks.work")], status_code=201)
def propose_resolution(call: Calling, given: Proposed) -> ResolutionShape:  # type: ignore[valid-type]
    """A match, a write-off or what else ends breaks: done at once, or waiting for others as its amount asks for."""
    return resolving.propose(call.desk, given.kind, given.reason, given.note, given.break_id, given.about)


@router.get("/resolutions/{resolution_id}", dependencies=[needs("breaks.see")])
def get_resolution(call: Calling, resolution_id: Number) -> ResolutionShape:  # type: ignore[valid-type]
    """One resolution, as it stands."""
    with call.desk.database.read() as connection:
        return resolution_rows.one(connection, resolution_id)


@router.post("/resolutions/{resolution_id}/approve", dependencies=[needs("breaks.approve")])
def approve_resolution(call: Calling, resolution_id: Number) -> ResolutionShape:  # type: ignore[valid-type]
    """Somebody else agrees."""
    return resolving.approve(call.desk, resolution_id)


@router.post("/resolutions/{resolution_id}/refuse", dependencies=[needs("breaks.approve")])
def refuse_resolution(call: Calling, resolution_id: Number, given: Why) -> ResolutionShape:  # type: ignore[valid-type]
    """Somebody else says no."""
    resolving.refuse(call.desk, resolution_id, given.why)
    return get_resolution(call, resolution_id)


@router.get("/statements", dependencies=[needs("statements.see")])
def list_statements(
    call: Calling, lender: Word = "", agency: Word = "", period: Word = "", after: Word = ""
) -> Listed[StatementShape]:  # type: ignore[valid-type]
    """Statements to agencies, the newest first."""
    with call.desk.database.read() as connection:
        page = money.statements(connection, lender=lender, agency=agency, period=period, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/months/{lender}/{period}", dependencies=[needs("closing.see")])
def check_month(call: Calling, lender: Word, period: Month) -> Listed[Finding]:
    """What stands in the way of closing the month, or is worth a look."""
    items = [Finding.model_validate(one) for one in closing.check(call.desk, lender, period)]
    return Listed(items=items)


@router.post("/months/{lender}/{period}/accept", dependencies=[needs("closing.change")], status_code=204)
def accept_finding(call: Calling, lender: Word, period: Month, given: Accepted) -> None:
    """A finding may pass, as it stands now."""
    closing.accept(call.desk, lender, period, given.finding, given.why)


@router.post("/months/{lender}/{period}/close", dependencies=[needs("closing.change")], status_code=202)
def close_month(call: Calling, lender: Word, period: Month) -> JobNumber:
    """A job closes the month; refused while a finding stops it."""
    closing.refuse_stopped(call.desk, lender, period)
    return JobNumber(job_id=jobs.ask(call.desk, "close", {"lender": lender, "period": period}))


@router.post("/months/{lender}/{period}/reopen", dependencies=[needs("closing.change")], status_code=204)
def ask_to_reopen_month(call: Calling, lender: Word, period: Month, given: Why) -> None:
    """The last closed month is asked to be opened again; somebody else must agree."""
    closing.ask_reopening(call.desk, lender, period, given.why)


@router.post("/reopenings/{reopening_id}/approve", dependencies=[needs("closing.approve")], status_code=204)
def approve_reopening(call: Calling, reopening_id: Number) -> None:
    """The second person opens the month again."""
    closing.approve_reopening(call.desk, reopening_id)


@router.get("/payment-runs", dependencies=[needs("payments.see")])
def list_payment_runs(call: Calling, lender: Word = "", state: Word = "", after: Word = "") -> Listed[RunShape]:  # type: ignore[valid-type]
    """Payment runs, the newest first."""
    with call.desk.database.read() as connection:
        page = money.runs(connection, state=state, lender=lender, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/payment-runs/{run_id}/approve", dependencies=[needs("payments.approve")], status_code=204)
def approve_payment_run(call: Calling, run_id: Number) -> None:
    """Somebody else than who proposed it agrees."""
    runs.approve(call.desk, run_id)


@router.post("/payment-runs/{run_id}/withdraw", dependencies=[needs("payments.change")], status_code=204)
def withdraw_payment_run(call: Calling, run_id: Number) -> None:
    """Nothing comes of it."""
    runs.withdraw(call.desk, run_id)

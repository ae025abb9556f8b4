"""Keeping, forgetting and looking after the house, by program: retention, holds, rule packs, the gate, backups."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.money import JobNumber
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from console.web.frames import records
from console.web.pages import asked
from infra import allowances, backups, conduct, escrow, health, jobs, retention, rulepacks, shredding
from infra.store import conduct as conduct_rows
from infra.store import gate as gate_rows
from infra.store import keeping
from infra.wiring import seated_here
from models.tables import Escrow, GateAllowance, LegalHold, Shredding

router = APIRouter(responses=PROBLEMS)

HoldShape = of_table("LegalHold", LegalHold)
ShreddingShape = of_table("Shredding", Shredding)
EscrowShape = of_table("Escrow", Escrow)
AllowanceShape = of_table("GateAllowance", GateAllowance)


class Due(BaseModel):
    """One class of records of a lender's, or of the house, and how much of it is due."""

    model_config = ConfigDict(from_attributes=True)
    lender: str = Field(description="empty: of the house")
    record_class: str
    act: str
    keep: str
    before: date = Field(description="what began before this day is due")
    due: int | None = Field(description="null for what is never deleted")
    oldest: date | None
    held_by: int | None = Field(description="the legal hold that keeps the whole class")
    clause: str


class NewHold(Given):
    """What is kept although its time is over, and why."""

    scope: Literal["everything", "lender", "portfolio", "debtor", "class"]
    why: Text = Field(min_length=1)
    lender: Word | None = None
    number: Number | None = Field(default=None, description="of the portfolio or the debtor")
    record_class: Word | None = None
    until: date | None = None


class Held(BaseModel):
    """The hold's number."""

    legal_hold_id: int


class Lifted(BaseModel):
    """Whether it was in force until now."""

    lifted: bool


class NewShredding(Given):
    """A portfolio to be forgotten for good, and why."""

    portfolio_id: Number
    why: Text = Field(min_length=1)


class NewDebtorShredding(Given):
    """A debtor to be forgotten for good, and why."""

    lender: Word
    who: Word = Field(min_length=1, description="an account, ID or telephone number; it is looked up, and kept nowhere")
    why: Text = Field(min_length=1)


class ShreddingNumber(BaseModel):
    """The request's number."""

    shredding_id: int


class Packs(BaseModel):
    """By which rule packs a lender's agencies are audited."""

    lender: str
    packs: list[str]


class NewPacks(Given):
    """The packs in order; none: by the lender's country."""

    packs: list[Word] = Field(max_length=20)


class NewAllowance(Given):
    """A kind of identifier that is none in one column of one kind of file, and why."""

    kind: Word = Field(description="of file")
    column: Word
    identifier: Word = Field(description="what it looks like, as the gate names it")
    reason: Word = Field(min_length=1)
    until: date
    agency: Word | None = Field(default=None, description="null: whoever the file goes to")


class AllowanceNumber(BaseModel):
    """The allowance's number."""

    allowance_id: int


class BackupShape(BaseModel):
    """One backup, as its manifest says."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    made_at: datetime
    made_by: str
    kind: str
    schema_: str = Field(alias="schema")
    size: int
    sha256: str


class Removed(Given):
    """Why a backup is to be unreadable for good."""

    why: Word = Field(min_length=1, description="up to 200 ASCII characters; it stays on record")


class FindingShape(BaseModel):
    """One thing that the doctor looked at."""

    model_config = ConfigDict(from_attributes=True)
    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    fix: str = Field(description="what to do about it, where it is not ok")


class NewEscrow(Given):
    """To whom the whole keyring is to be let out, and why. Nothing of it ever comes through here."""

    holder: Word = Field(min_length=1, description="who is to hold it")
    recipient: Word = Field(description="the holder's age recipient, age1…: public, never the secret key")
    why: Text = Field(description="in a sentence, and under which decision")


class EscrowNumber(BaseModel):
    """The request's number."""

    escrow_id: int


class Said(Given):
    """What the second person read elsewhere: the recipient, or the file's SHA-256."""

    said: Text


@router.get("/retention/due", dependencies=[needs("retention.see")])
def list_due(call: Calling) -> Listed[Due]:
    """Every class of records of every lender and of the house, and how much of it is due today."""
    with seated_here(call.desk), call.desk.database.read() as connection:
        return Listed(items=[Due.model_validate(line) for line in retention.due(connection, call.desk)])


@router.post("/retention/run", dependencies=[needs("retention.run")], status_code=202)
def delete_what_is_due(call: Calling) -> JobNumber:
    """A job deletes what is due and no legal hold keeps."""
    return JobNumber(job_id=jobs.ask(call.desk, "retain", {}))


@router.get("/legal-holds", dependencies=[needs("retention.see")])
def list_legal_holds(call: Calling, ended: bool = False, after: Word = "") -> Listed[HoldShape]:  # type: ignore[valid-type]
    """Legal holds in force, or those that were lifted or have ended; the newest first."""
    with call.desk.database.read() as connection:
        page = keeping.holds(connection, call.desk.today(), ended=ended, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/legal-holds", dependencies=[needs("retention.hold")], status_code=201)
def place_legal_hold(call: Calling, given: NewHold) -> Held:
    """What the hold covers is neither deleted nor erased while it counts."""
    number = retention.hold(
        call.desk, given.scope, given.why, lender=given.lender, subject_id=given.number,
        record_class=given.record_class, until=given.until,
    )  # fmt: skip
    return Held(legal_hold_id=number)


@router.post("/legal-holds/{legal_hold_id}/lift", dependencies=[needs("retention.lift")])
def lift_legal_hold(call: Calling, legal_hold_id: Number) -> Lifted:
    """The hold counts no more; never by whoever placed it."""
    return Lifted(lifted=retention.lift(call.desk, legal_hold_id))


@router.get("/shreddings", dependencies=[needs("retention.see")])
def list_shreddings(
    call: Calling, state: Literal["", "waiting", "begun", "done", "withdrawn"] = "", after: Word = ""
) -> Listed[ShreddingShape]:  # type: ignore[valid-type]  # fmt: skip
    """What was forgotten for good and what waits for a second person, the newest first."""
    with call.desk.database.read() as connection:
        page = keeping.shreddings(connection, state=state, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/shreddings", dependencies=[needs("shreddings.ask")], status_code=201)
def ask_for_shredding(call: Calling, given: NewShredding) -> ShreddingNumber:
    """A portfolio is to be forgotten for good, once a second person approves."""
    return ShreddingNumber(shredding_id=shredding.ask_portfolio(call.desk, given.portfolio_id, given.why))


@router.post("/shreddings/debtors", dependencies=[needs("shreddings.ask")], status_code=201)
def ask_for_debtor_shredding(call: Calling, given: NewDebtorShredding) -> ShreddingNumber:
    """One debtor is to be forgotten for good, once a second person approves."""
    number = shredding.ask_debtor(call.desk, given.lender, given.who.strip(), given.why)
    return ShreddingNumber(shredding_id=number)


@router.post("/shreddings/{shredding_id}/approve", dependencies=[needs("shreddings.approve")], status_code=202)
def approve_shredding(call: Calling, shredding_id: Number) -> JobNumber:
    """The second person agrees, and a job forgets the debtor, or every identity of the portfolio."""
    shredding.approve(call.desk, shredding_id)
    return JobNumber(job_id=jobs.ask(call.desk, "shred", {"shredding_id": shredding_id}))


@router.post("/shreddings/{shredding_id}/withdraw", dependencies=[needs("shreddings.ask")], status_code=204)
def withdraw_shredding(call: Calling, shredding_id: Number) -> None:
    """Nothing comes of the request."""
    shredding.withdraw(call.desk, shredding_id)


@router.get("/rule-packs", dependencies=[needs("conduct.see")])
def list_packs_in_force(call: Calling) -> Listed[Packs]:
    """By which rule packs each lender's agencies are audited."""
    with seated_here(call.desk), call.desk.database.read() as connection:
        return Listed(items=[
            Packs(lender=one.lender, packs=[f"{pack.name} {pack.version}" for pack in rulepacks.of(one)])
            for one in conduct_rows.lenders(connection)
        ])  # fmt: skip


@router.post("/rule-packs/{lender}", dependencies=[needs("rules.change")])
def use_packs(call: Calling, lender: Word, given: NewPacks) -> Packs:
    """The lender's agencies are audited by these packs from the next audit on."""
    with seated_here(call.desk):
        return Packs(lender=lender, packs=conduct.use_packs(call.desk, lender, given.packs))


@router.get("/gate/allowances", dependencies=[needs("allowances.see")])
def list_allowances(call: Calling) -> Listed[AllowanceShape]:  # type: ignore[valid-type]
    """False alarms of the gate that may pass, that wait for a second person, and that ended; the newest first."""
    with call.desk.database.read() as connection:
        return Listed(items=records(gate_rows.allowances(connection)))


@router.post("/gate/allowances", dependencies=[needs("allowances.ask")], status_code=201)
def ask_for_allowance(call: Calling, given: NewAllowance) -> AllowanceNumber:
    """A kind of identifier that is none in one column may pass until a day, once a second person agrees."""
    asked = allowances.Asked(given.kind, given.column, given.identifier, given.reason, given.until, given.agency)
    return AllowanceNumber(allowance_id=allowances.ask(call.desk, asked))


@router.post("/gate/allowances/{allowance_id}/approve", dependencies=[needs("allowances.approve")], status_code=204)
def approve_allowance(call: Calling, allowance_id: Number) -> None:
    """It may pass from now on; never by whoever asked for it."""
    allowances.approve(call.desk, allowance_id)


@router.post("/gate/allowances/{allowance_id}/withdraw", dependencies=[needs("allowances.ask")], status_code=204)
def withdraw_allowance(call: Calling, allowance_id: Number) -> None:
    """It counts no more, or never did."""
    allowances.withdraw(call.desk, allowance_id)


@router.get("/findings", dependencies=[needs("operations.see")])
def list_findings(call: Calling) -> Listed[FindingShape]:
    """What the doctor finds of this installation."""
    return Listed(items=[FindingShape.model_validate(one) for one in health.findings(call.desk)])


@router.get("/backups", dependencies=[needs("operations.see")])
def list_backups(call: Calling) -> Listed[BackupShape]:
    """The backups of the store, the newest first."""
    return Listed(items=[BackupShape.model_validate(one) for one in backups.listed(call.desk)])


@router.post("/backups", dependencies=[needs("backups.make")], status_code=202)
def back_up(call: Calling) -> JobNumber:
    """A job backs the store up, sealed, and copies the keyring."""
    return JobNumber(job_id=jobs.ask(call.desk, "back_up", {}))


@router.post("/backups/{name}/check", dependencies=[needs("backups.make")], status_code=202)
def check_backup(call: Calling, name: Word) -> JobNumber:
    """A job opens the backup, compares it with its manifest, and looks through its pages and its trail."""
    backups.found(call.desk, name)
    return JobNumber(job_id=jobs.ask(call.desk, "check_backup", {"name": name}))


@router.post("/backups/{name}/remove", dependencies=[needs("backups.remove")], status_code=204)
def remove_backup(call: Calling, name: Word, given: Removed) -> None:
    """The backup is gone, and its key: no copy of it opens any more. The newest one stays."""
    backups.remove_by_hand(call.desk, name, given.why)


@router.get("/escrows", dependencies=[needs("operations.see")])
def list_escrows(call: Calling) -> Listed[EscrowShape]:  # type: ignore[valid-type]
    """Requests to let the whole keyring out or to take one in, the newest first."""
    return Listed(items=escrow.listed(call.desk))


@router.post("/escrows", dependencies=[needs("escrows.ask")], status_code=201)
def ask_for_escrow(call: Calling, given: NewEscrow) -> EscrowNumber:
    """The keyring is to be let out to a holder, once a second person agrees; a shell lets it out."""
    holder = asked.plain(given.holder, "the holder's name")
    return EscrowNumber(escrow_id=escrow.ask_export(call.desk, holder, given.recipient.strip(), given.why))


@router.post("/escrows/{escrow_id}/approve", dependencies=[needs("escrows.approve")])
def approve_escrow(call: Calling, escrow_id: Number, given: Said) -> EscrowShape:  # type: ignore[valid-type]
    """A second person agrees, with the recipient as the holder read it out, or the file's SHA-256."""
    return escrow.approve(call.desk, escrow_id, given.said)


@router.post("/escrows/{escrow_id}/withdraw", dependencies=[needs("escrows.withdraw")], status_code=204)
def withdraw_escrow(call: Calling, escrow_id: Number) -> None:
    """Nothing comes of the request."""
    escrow.withdraw(call.desk, escrow_id)

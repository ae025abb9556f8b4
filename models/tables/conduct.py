"""What agencies did against the rules, what was looked at for it, and what stops new placements."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class ConductRun(SQLModel, table=True):
    """One audit of conduct: what it read and found."""

    __tablename__ = "conduct_run"
    run_id: int = big(primary_key=True)
    at: datetime
    by: str
    packs: str = Field(description="JSON: by lender, name@version#sha256 of each pack")
    files: int = Field(description="activity files that no run had read before")
    contacts: int = big(description="contacts judged")
    found: int = Field(description="breaches that were new")
    withdrawn: int = Field(
        description="breaches that no longer stand: their file was refused, or a report excuses them"
    )
    summary: str = Field(default="{}", description="JSON: new breaches by rule, rules that were not judged and why")


class AuditedFile(SQLModel, table=True):
    """An activity file that the audit of conduct has read."""

    __tablename__ = "audited_file"
    file_id: int = big(primary_key=True)
    run_id: int = big()


class Breach(SQLModel, table=True):
    """A rule that was broken, with its clause and its evidence: open → upheld | dismissed | withdrawn."""

    __table_args__ = (
        UniqueConstraint("pack", "rule_id", "evidence"),
        Index("breach_listed", "state", "at", "breach_id"),
    )
    breach_id: int | None = serial()
    pack: str
    pack_version: str
    rule_id: str = Field(index=True)
    clause: str
    severity: str = Field(description="serious | normal | low")
    counter: str
    evidence: str = Field(description="activity:<file>:<line>, remittance:<file>:<line>, placement:<id>, gap:…")
    agency: str = Field(index=True)
    lender: str
    file_id: int | None = big(None, index=True)
    line: int | None = None
    placement_id: int | None = big(None, index=True)
    debtor_id: int | None = big(None)
    at: datetime = Field(description="of the contact; of a missing record, when it should have been there")
    zone: str = Field(description="in which the time was judged; `offset`: the one that the agency reported")
    counted: int | None = Field(default=None, description="what the counter had reached")
    run_id: int = big()
    found_at: datetime
    state: str = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None


class GateState(SQLModel, table=True):
    """A limit that an agency exceeds for a lender: closed → asked → lifted → closed | open."""

    __tablename__ = "gate"
    __table_args__ = (UniqueConstraint("agency", "lender", "pack", "gate"),)
    gate_id: int | None = serial()
    agency: str
    lender: str
    pack: str
    gate: str
    state: str
    measured: float
    bound: float = Field(description="the limit when it was last looked at")
    detail: str = Field(default="", description="what is missing, or what was counted")
    since: datetime = Field(description="when it last closed or opened")
    looked_at: datetime
    asked_by: str | None = None
    asked_at: datetime | None = None
    reason: str | None = Field(default=None, description="why it is to be lifted")
    lift_until: date | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None


class DueDiligence(SQLModel, table=True):
    """Evidence about an agency: a document by its hash, or a reference, and from when to when it counts."""

    __tablename__ = "due_diligence"
    diligence_id: int | None = serial()
    agency: str = Field(index=True)
    kind: str = Field(description="licence | whitelist | evaluation | contract | training | insurance …")
    reference: str = Field(default="", description="number or place of the document")
    sha256: str | None = None
    stored_path: str | None = Field(default=None, description="below home/diligence")
    valid_from: date
    valid_until: date | None = None
    added_by: str
    added_at: datetime
    withdrawn_at: datetime | None = None

"""What debtors ask for as the law lets them, what was corrected at agencies, and who looked into the register."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class SubjectRequest(SQLModel, table=True):
    """A debtor's request: received → verified → in_progress ⇄ waiting → answered | refused (models/lives.py)."""

    __tablename__ = "subject_request"
    request_id: int | None = serial()
    lender: str = Field(index=True)
    debtor_id: int = big(index=True)
    kind: str = Field(description="access | correction | erasure | restriction")
    ground: str = Field(default="", description="of a restriction: objection | consent_withdrawn | accuracy …")
    fields: str = Field(default="", description="of a correction: what is wrong, comma-separated")
    ref: str = Field(default="", description="the house's own reference of the letter; no debtor's data")
    state: str = Field(default="received", index=True)
    received_on: date
    due_on: date
    within: str = Field(description="the clock that due_on was counted by")
    clause: str = Field(description="and where it is written")
    opened_by: str
    opened_at: datetime
    hold_id: int | None = big(None, description="the hold that the request put on the debtor")
    proof: str | None = Field(default=None, description="how the debtor proved to be the one; no number of a document")
    verified_by: str | None = None
    verified_at: datetime | None = None
    waiting_since: datetime | None = Field(default=None, description="when agencies were first asked for something")
    outcome: str | None = Field(default=None, description="whole | partly | refused")
    basis: str | None = Field(default=None, description="of a refusal, or of what was kept: the legal reason")
    reason: str | None = Field(default=None, description="in words; no debtor's data")
    answer_sha256: str | None = Field(default=None, description="of the evidence that the debtor was given")
    ended_by: str | None = None
    ended_at: datetime | None = None


class Correction(SQLModel, table=True):
    """A corrected field that one agency was told for one placement, until it confirms."""

    __tablename__ = "correction"
    __table_args__ = (UniqueConstraint("transmission_id", "placement_id", "field"),)
    correction_id: int = big(primary_key=True)
    request_id: int = big(index=True)
    agency: str
    placement_id: int = big(index=True)
    account_id: int = big()
    field: str
    transmission_id: int = big(index=True)
    state: str = Field(default="told", description="told | corrected | not_held")
    confirmed_on: date | None = None
    confirmed_by_file_id: int | None = big(None)


class RegisterQuestion(SQLModel, table=True):
    """Somebody asked what was disclosed about a debtor: who, when, why; what was asked for is kept nowhere."""

    __tablename__ = "register_question"
    question_id: int | None = serial()
    actor: str = Field(index=True)
    asked_at: datetime
    why: str
    lender: str
    agency: str | None = Field(default=None, description="about what this one was told; none: about all")
    accounts: int = Field(default=0, description="how many were found; 0: nobody")

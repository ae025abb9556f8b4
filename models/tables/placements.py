"""An account with an agency for a term, what the agency did, and how it ended."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial

OWED = text("verified_at IS NULL")
"""Of an erasure: no certificate has satisfied."""


class Placement(SQLModel, table=True):
    """Its life: planned → placed → acknowledged → recalled → closed (models/lives.py)."""

    __table_args__ = (
        UniqueConstraint("plan_id", "account_id"),
        Index("placement_agency_account", "agency", "account_id"),
        Index("placement_account_state", "account_id", "state"),
        Index("placement_listed", "lender", "agency", "state", "due_back_on", "placement_id"),
    )
    placement_id: int = big(primary_key=True)
    plan_id: int = big()
    lender: str
    agency: str
    account_id: int = big()
    debtor_id: int = big(index=True)
    round: int
    stage: str
    segment: str
    currency: str
    balance_minor: int = big(description="at placement")
    dpd: int = Field(description="at placement")
    bucket: str
    score_band: str | None = Field(default=None, description="at placement")
    placed_on: date
    due_back_on: date
    state: str = "planned"
    key_generation: str = Field(default="", description="the agency's pseudonym key that named it")
    transmission_id: int | None = big(None, index=True)
    acknowledged_at: datetime | None = None
    booked_minor: int | None = big(None, description="the balance the agency booked")
    told_minor: int | None = big(None, description="the balance the agency was last told")
    ended_on: date | None = Field(default=None, description="when the agency gave it back or lost it")
    end_reason: str | None = None


class Recall(SQLModel, table=True):
    """The creditor takes a placement back; open until the agency has confirmed."""

    __table_args__ = (Index("recall_listed", "agency", "confirmed_on", "due_on", "recall_id"),)
    recall_id: int = big(primary_key=True)
    placement_id: int = big(unique=True)
    agency: str
    reason: str = Field(description="paid | term | complaint | hold | performance | request …")
    requested_on: date
    due_on: date
    requested_by: str
    transmission_id: int | None = big(None, index=True)
    confirmed_on: date | None = None
    confirmed_by_file_id: int | None = big(None)


class Erasure(SQLModel, table=True):
    """The agency must delete what it was told about a placement, and certify it."""

    __table_args__ = (
        Index("erasure_listed", "agency", "verified_at", "due_on", "erasure_id"),
        Index("erasure_owed", "due_on", "erasure_id", sqlite_where=OWED, postgresql_where=OWED),
    )
    erasure_id: int = big(primary_key=True)
    placement_id: int = big(unique=True)
    agency: str
    requested_on: date
    due_on: date
    transmission_id: int | None = big(None, index=True)
    certificate_file_id: int | None = big(None)
    erased_at: datetime | None = None
    method: str | None = Field(default=None, description="how, as the agency says")
    certified_by: str | None = None
    verified_at: datetime | None = None
    finding: str | None = Field(default=None, description="why the certificate does not satisfy")


class Activity(SQLModel, table=True):
    """One contact attempt, as the agency reported it."""

    __table_args__ = (UniqueConstraint("file_id", "line"),)
    activity_id: int | None = serial()
    file_id: int = big()
    line: int
    agency: str
    placement_id: int = big(index=True)
    at: datetime
    offset_minutes: int
    channel: str
    contact_point_ref: str | None = None
    outcome: str
    collector_ref: str | None = None


class Complaint(SQLModel, table=True):
    """A complaint about an agency's work."""

    __table_args__ = (UniqueConstraint("agency", "complaint_ref"),)
    complaint_id: int | None = serial()
    agency: str
    complaint_ref: str
    placement_id: int | None = big(None, index=True)
    received_on: date
    category: str
    severity: str = "normal"
    state: str = "open"
    file_id: int | None = big(None)
    lender: str = ""
    source: str = Field(default="agency", description="agency (its file) | console | csv")
    due_on: date | None = Field(default=None, description="by when it is to be answered")
    owner: str | None = None
    outcome: str | None = Field(default=None, description="upheld | partly | dismissed | withdrawn")
    reason: str | None = Field(default=None, description="why it ended so; no debtor's data")
    closed_by: str | None = None
    closed_at: datetime | None = None


class RecallObjection(SQLModel, table=True):
    """An agency asks to keep an account that was recalled; the recall stands until a person says otherwise."""

    __tablename__ = "recall_objection"
    __table_args__ = (UniqueConstraint("file_id", "line"),)
    objection_id: int | None = serial()
    file_id: int = big()
    line: int
    agency: str
    placement_id: int = big(index=True)
    reason: str
    keep_until: date
    state: str = Field(default="open", description="open | upheld | dismissed")
    decided_by: str | None = None
    decided_at: datetime | None = None
    transmission_id: int | None = big(None, description="the recall sent again as the answer")


class InstalmentPlan(SQLModel, table=True):
    """What a debtor offers to pay by instalments, as the agency proposed it."""

    __tablename__ = "instalment_plan"
    __table_args__ = (
        UniqueConstraint("agency", "lender", "plan_ref"),
        Index("instalment_plan_state", "state", "instalment_plan_id"),
        Index("instalment_plan_agency", "agency", "instalment_plan_id"),
    )
    instalment_plan_id: int = big(primary_key=True)
    agency: str
    lender: str
    plan_ref: str
    placement_id: int = big(index=True)
    currency: str
    total_minor: int = big()
    instalments: int
    first_due_on: date
    last_due_on: date
    state: str = Field(
        default="proposed", description="proposed | awaiting_second | approved | refused | fulfilled | broken | ended"
    )
    file_id: int = big()
    proposed_at: datetime
    income_band: str | None = Field(default=None, description="low | medium | high, as the debtor states it")
    limits: str | None = Field(default=None, description="name@version of the limits that it was last judged by")
    verdict: str | None = Field(default=None, description="within | beyond | refused")
    codes: str = Field(default="", description="comma-separated: what is beyond the limits, or why it was refused")
    ability: str | None = Field(default=None, description="low | medium | high, as judged")
    willingness: str | None = Field(default=None, description="low | medium | high, as judged")
    balance_minor: int | None = big(None, description="what was owed when it was last judged")
    first_by: str | None = Field(default=None, description="the first of the two who approve what is beyond the limits")
    decided_by: str | None = None
    decided_at: datetime | None = None
    agreed_on: date | None = Field(default=None, description="from the day after on, what is paid is paid under it")
    ended_on: date | None = Field(default=None, description="up to this day")
    hold_id: int | None = big(None)
    paid_minor: int = big(0, description="under it, less what was undone")
    answered_as: str | None = Field(default=None, description="the outcome that the agency was told last")
    answered_id: int | None = big(None, index=True, description="the transmission that told it")


class Instalment(SQLModel, table=True):
    """One payment of an instalment plan."""

    __table_args__ = (UniqueConstraint("instalment_plan_id", "number"),)
    instalment_id: int | None = serial()
    instalment_plan_id: int = big()
    number: int
    due_on: date
    amount_minor: int = big()

"""The outbox and the inbox: what must happen once is a row first."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Transmission(SQLModel, table=True):
    """One file to an agency: prepared → sealed → delivered | presumed → acknowledged."""

    __table_args__ = (
        UniqueConstraint("work_key"),
        UniqueConstraint("lender", "agency", "kind", "sequence"),
    )
    transmission_id: int = big(primary_key=True)
    work_key: str = Field(description="names the work (plan:7:agency:x), so that asking twice makes one file")
    lender: str
    agency: str
    kind: str
    sequence: int
    name: str = Field(description="the delivered file's name, suffix included")
    state: str = Field(default="prepared", index=True)
    prepared_on: date
    spec: str = Field(
        default="{}", description="JSON: what its rows are drawn from (plan id, file id, period); no debtor's data"
    )
    rows: int = 0
    control_minor: int | None = big(None)
    currency: str | None = None
    policy_version: str | None = None
    layout: str | None = Field(
        default=None, description="the layout profile that it is written in: name@version#sha256; none: a package"
    )
    key_ids: str | None = Field(default=None, description="JSON: fingerprints and generations used to seal and to name")
    package_sha256: str | None = Field(default=None, description="of the plain package")
    sealed_sha256: str | None = None
    sealed_size: int | None = big(None)
    sealed_path: str | None = Field(default=None, description="below the outbox folder; kept until acknowledged")
    previous_sha256: str | None = None
    audit_head: str | None = None
    sealed_at: datetime | None = None
    intent_at: datetime | None = None
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    attempts: int = 0
    last_error: str | None = Field(default=None, description="the error's type and step, never its text")


class InboundFile(SQLModel, table=True):
    """One file from an agency: claimed → opened → accepted | refused; the same bytes again are a no-op."""

    __tablename__ = "inbound_file"
    __table_args__ = (UniqueConstraint("agency", "sealed_sha256"),)
    file_id: int = big(primary_key=True)
    agency: str
    lender: str | None = None
    name: str
    kind: str | None = None
    sequence: int | None = None
    state: str = Field(default="claimed", index=True)
    sealed_sha256: str = Field(description="`unread:…` where the file was never fetched")
    sealed_size: int = big()
    stored_path: str = Field(description="below the inbox folder; empty where it was never fetched")
    package_sha256: str | None = None
    previous_sha256: str | None = None
    signer: str | None = None
    layout: str | None = Field(
        default=None, description="the layout profile that it was read with: name@version#sha256; none: a package"
    )
    rows: int = 0
    rows_refused: int = 0
    sums: str | None = Field(
        default=None, description="JSON: by currency, the control column over the lines that count, in minor units"
    )
    refusal_code: str | None = None
    refusal_fix: str | None = None
    finding: str | None = Field(
        default=None, description="what somebody must look at though it was taken: sequence_gap …"
    )
    received_at: datetime
    accepted_at: datetime | None = None
    receipt_transmission_id: int | None = big(None)


class InboundReject(SQLModel, table=True):
    """Why a line of an agency's file was refused: place, code and fix, never the value."""

    __tablename__ = "inbound_reject"
    reject_id: int | None = serial()
    file_id: int = big(index=True)
    table_name: str
    line: int
    column: str
    code: str
    fix: str


class Lease(SQLModel, table=True):
    """Who alone may do something with an agency until when: one sender, one collector."""

    name: str = Field(primary_key=True, description="send:<agency> or collect:<agency>")
    owner: str = Field(description="host, process and its beginning (infra/workers.py)")
    until: datetime


class Circuit(SQLModel, table=True):
    """Whether an agency's server is asked: closed → open → half_open → closed | open."""

    agency: str = Field(primary_key=True)
    state: str = "closed"
    failures: int = Field(default=0, description="to connect, in a row")
    pauses: int = Field(default=0, description="in a row: each is longer than the one before")
    reason: str | None = Field(default=None, description="the last error's type, never its text")
    since: datetime = Field(description="when it last closed, or opened after being closed")
    retry_at: datetime | None = Field(
        default=None, description="when it is asked again; half open, until when it is another's turn to"
    )


class ExchangeException(SQLModel, table=True):
    """Something in the exchange that a person must look at: open → taken → resolved."""

    __tablename__ = "exchange_exception"
    __table_args__ = (UniqueConstraint("code", "subject", "occurrence"),)
    exception_id: int | None = serial()
    code: str = Field(description="of models.exceptions.CODES")
    agency: str | None = Field(default=None, index=True)
    lender: str | None = None
    kind: str | None = None
    subject: str = Field(description="what it is about: file:12, transmission:<name>, agency:<code> …")
    occurrence: int = 1
    detail: str = Field(default="{}", description="JSON: codes, counts and references; no debtor's data")
    severity: str
    state: str = Field(default="open", index=True)
    owner: str = Field(description="a role, until a person takes it")
    opened_at: datetime
    due_at: datetime = Field(description="by when it is to be resolved")
    ended_at: datetime | None = Field(
        default=None, description="when what it is about had ended, whoever resolved it; until then it opens no other"
    )
    told_at: datetime | None = Field(default=None, description="when people were told that it is there")
    told_overdue_at: datetime | None = Field(default=None, description="when they were told that its time is over")
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution: str | None = None


class ExceptionComment(SQLModel, table=True):
    """What somebody noted beside an exception."""

    __tablename__ = "exception_comment"
    comment_id: int | None = serial()
    exception_id: int = big(index=True)
    at: datetime
    by: str
    text: str

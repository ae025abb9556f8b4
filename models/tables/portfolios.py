"""What a lender hands in: portfolios, the debtors and accounts in them, and the identities sealed away."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class IdCounter(SQLModel, table=True):
    """The next free number of each kind of id; a range is reserved in the transaction that uses it."""

    __tablename__ = "id_counter"
    name: str = Field(primary_key=True)
    next_id: int = big()


class Lender(SQLModel, table=True):
    """A creditor whose accounts are placed."""

    lender: str = Field(primary_key=True, description="code, [a-z0-9-]{2,20}")
    name: str
    country: str = "CN"
    timezone: str = "Asia/Shanghai"
    rule_packs: str = Field(default="", description="comma-separated; empty: the pack of its country")
    created_at: datetime


class Portfolio(SQLModel, table=True):
    """One snapshot as it came in: a file or query, as of a date. The same source twice is a no-op."""

    __table_args__ = (UniqueConstraint("lender", "profile", "source_sha256", "as_of"),)
    portfolio_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    profile: str
    source: str = Field(description="the file's name or the query's name, never its content")
    source_sha256: str
    as_of: date
    received_at: datetime
    rows_read: int
    rows_accepted: int
    rows_refused: int
    rows_new: int = 0
    rows_updated: int = 0
    currency: str
    balance_minor: int = big()
    state: str = Field(default="accepted", description="accepted | refused | erased")


class IntakeReject(SQLModel, table=True):
    """Why a line was refused: never the value."""

    __tablename__ = "intake_reject"
    reject_id: int | None = serial()
    portfolio_id: int = big(index=True)
    line: int
    field: str
    code: str
    fix: str


class Debtor(SQLModel, table=True):
    """One person at one lender, known by a keyed index of their canonical identity."""

    __table_args__ = (UniqueConstraint("lender", "identity_index"),)
    debtor_id: int = big(primary_key=True)
    lender: str
    identity_index: str = Field(description="hex of the keyed blind index, the lender's own: no way back without key")
    linkage: str | None = Field(
        default=None, description="hex of the linkage pseudonym in the lender's own domain; None without an ID number"
    )
    created_at: datetime
    erased_at: datetime | None = None


class Account(SQLModel, table=True):
    """The facts of an account in clear columns; who it belongs to is in `identity`, sealed."""

    __table_args__ = (UniqueConstraint("lender", "ref_index"),)
    account_id: int = big(primary_key=True)
    lender: str
    ref_index: str = Field(description="hex of the keyed blind index of the lender's own account number")
    debtor_id: int = big(index=True)
    portfolio_id: int = big(index=True, description="the snapshot that last spoke of it")
    product: str
    currency: str
    original_minor: int | None = big(None, description="credit granted")
    principal_minor: int | None = big(None)
    interest_minor: int | None = big(None)
    fees_minor: int | None = big(None)
    balance_minor: int = big(description="what is owed as of `as_of`")
    dpd: int = Field(description="days past due as of `as_of`")
    bucket: str = Field(description="M0 M1 M2 …, derived from dpd")
    region: str | None = Field(default=None, description="division code (CN: six digits) or state")
    opened_on: date | None = None
    due_on: date | None = Field(default=None, description="when the oldest unpaid instalment fell due")
    last_paid_on: date | None = None
    score_band: str | None = None
    as_of: date
    status: str = Field(default="open", description="open | paid | closed | erased")
    rounds: int = Field(default=0, description="placements so far")
    version: int = Field(default=1, description="rises with every change, so that a plan knows it is stale")


class Identity(SQLModel, table=True):
    """Who an account belongs to: each cell sealed by AES-256-GCM, bound to its row and column."""

    account_id: int = big(primary_key=True)
    portfolio_id: int = big(index=True, description="the import that sealed these cells")
    data_key_id: str = Field(index=True, description="the key in the keyring that seals them, and some thousand others")
    account_ref: bytes
    name: bytes | None = None
    id_number: bytes | None = None
    phone: bytes | None = None
    phone_alt: bytes | None = None
    email: bytes | None = None
    address: bytes | None = None
    employer: bytes | None = None
    contact_name: bytes | None = None
    contact_phone: bytes | None = None
    phone_index: int | None = big(
        None, index=True, description="64 bits of the keyed blind index of the telephone number; to find by it"
    )
    phone_alt_index: int | None = big(None, index=True)


class Hold(SQLModel, table=True):
    """Why a debtor may not be placed, and must be recalled if already out."""

    hold_id: int | None = serial()
    debtor_id: int = big(index=True)
    account_id: int | None = big(None, description="None: every account of the debtor")
    reason: str = Field(description="complaint | dispute | deceased | insolvent | vulnerable | breathing_space | …")
    since: date
    until: date | None = None
    placed_by: str
    lifted_at: datetime | None = None

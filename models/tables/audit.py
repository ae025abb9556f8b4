"""What happened, in an order that cannot be rewritten unseen; and who has been told what."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class AuditEvent(SQLModel, table=True):
    """Append-only; `hash` covers the event's canonical JSON and the hash before it."""

    __tablename__ = "audit_event"
    seq: int = big(primary_key=True)
    at: datetime
    actor: str
    action: str
    subject: str
    details: str = Field(description="canonical JSON, no debtor's values")
    previous_hash: str
    hash: str


class AuditHead(SQLModel, table=True):
    """A signed head: the chain up to `seq` ended in `hash`, and the tree over its events had this root."""

    __tablename__ = "audit_head"
    seq: int = big(primary_key=True)
    hash: str
    root: str
    signed_at: datetime
    signature: str
    key_fingerprint: str


class AuditNode(SQLModel, table=True):
    """A complete subtree of the tree over the events, 2**level of them; the lowest levels are not kept."""

    __tablename__ = "audit_node"
    level: int = Field(primary_key=True)
    position: int = Field(primary_key=True, sa_type=BigInteger)
    hash: str


class Disclosure(SQLModel, table=True):
    """One field of one transmission: how it left, under which policy and basis, to be deleted by when."""

    __table_args__ = (UniqueConstraint("transmission_id", "field"),)
    disclosure_id: int | None = serial()
    transmission_id: int = big()
    agency: str
    field: str
    treatment: str = Field(description="release | mask | band | month | pseudonym")
    value_class: str
    purpose: str
    basis: str
    policy: str
    policy_version: str
    rows: int
    disclosed_at: datetime
    erase_by: date


class DisclosureAccount(SQLModel, table=True):
    """Which accounts a transmission spoke of."""

    __tablename__ = "disclosure_account"
    __table_args__ = {"sqlite_with_rowid": False}  # as large as what was placed, and all of it key
    transmission_id: int = big(primary_key=True)
    account_id: int = big(primary_key=True, index=True)
    placement_id: int | None = big(None, index=True)
    told_minor: int | None = big(None, description="the balance that an update tells")

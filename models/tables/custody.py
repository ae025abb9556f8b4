"""What two persons decide about the keyring: its escrow, and taking one in again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Escrow(SQLModel, table=True):
    """A request to let the keyring out, sealed to somebody, or to take an escrow in: waiting → approved → done."""

    escrow_id: int | None = serial()
    kind: str = Field(description="export | import")
    holder: str = Field(description="export: who is to hold it; import: empty")
    recipient: str = Field(description="export: the holder's age recipient; import: empty")
    sha256: str = Field(default="", description="of the sealed file: what was let out, or may be taken in")
    why: str
    state: str = Field(default="waiting", description="waiting | approved | done | withdrawn")
    asked_by: str
    asked_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    until: datetime | None = Field(default=None, description="when the approval ends")
    done_by: str | None = None
    done_at: datetime | None = None


class Reidentification(SQLModel, table=True):
    """A person asked whom an account belongs to: who, when, why, which fields, and what became of it."""

    reidentification_id: int | None = serial()
    actor: str = Field(index=True)
    asked_at: datetime
    why: str
    fields: str = Field(description="comma-separated")
    whole: bool = Field(description="False: masked")
    agency: str | None = Field(default=None, description="whose pseudonym was given; None: an account number was")
    account_id: int | None = big(None)
    outcome: str = Field(default="asked", description="asked | shown | unknown | refused")

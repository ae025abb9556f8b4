"""What people did about breaks: notes and attachments beside them, and resolutions with those who agreed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class BreakNote(SQLModel, table=True):
    """A comment, or a file, beside a break."""

    __tablename__ = "break_note"
    note_id: int | None = serial()
    break_id: int = big(index=True)
    at: datetime
    by: str
    text: str = Field(description="a person's words, refused where they hold a number as long as a phone's")
    file_suffix: str | None = Field(
        default=None,
        description="of an attached file; its bytes lie sealed, and its name, which may name somebody, is not kept",
    )
    file_sha256: str | None = Field(default=None, description="of the file as it was given")
    file_bytes: int | None = big(None)
    data_key_id: str | None = Field(default=None, description="the key that seals it, of this attachment alone")


class Resolution(SQLModel, table=True):
    """Something done about breaks, lines or receipts by people: waiting → done → undone; refused, withdrawn, stale."""

    resolution_id: int | None = serial()
    kind: str = Field(description="match | unmatch | write_off | count | reject | not_ours | settle | refund | undo")
    state: str = Field(default="waiting", index=True)
    lender: str = Field(index=True)
    agency: str | None = None
    currency: str
    amount_minor: int = big(description="what it is about: cash tied, money given up, the line's gross")
    reason: str = Field(description="a code of models.reconcile.resolutions.REASONS")
    note: str = ""
    body: str = Field(description="JSON: the ids and amounts, and what they were when it was proposed")
    sha256: str = Field(index=True, description="of kind, lender and body: proposing it twice proposes it once")
    break_id: int | None = big(None, index=True)
    others: int = Field(description="how many people besides the proposer must agree")
    limits_version: str
    proposed_by: str
    proposed_at: datetime
    agreed_by: str = Field(default="[]", description="JSON: who has agreed, in order")
    decided_at: datetime | None = None
    why_not: str = Field(default="", description="of one refused or stale")
    match_id: int | None = big(None, description="the match that it made")
    before: str = Field(default="{}", description="JSON: the states that it changed, so that it can be undone")
    undone_by: int | None = big(None, description="the resolution that took it back")

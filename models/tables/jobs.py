"""What takes long and was asked for at the console: who asked for what, and how far it is."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Job(SQLModel, table=True):
    """One piece of work that a worker does: a verb and identifiers, never a debtor's data."""

    __tablename__ = "job"
    job_id: int | None = serial()
    verb: str = Field(description="one of flows.jobs.VERBS")
    identifiers: str = Field(description="canonical JSON: codes and numbers")
    state: str = Field(index=True, description="waiting | running | done | failed")
    actor: str
    asked_at: datetime
    started_at: datetime | None = None
    seen_at: datetime | None = Field(default=None, description="when its worker was last heard of")
    ended_at: datetime | None = None
    done: int = big(0)
    of: int | None = big(None)
    step: str = Field(default="", description="what is being done now, in a code")
    result: str = Field(default="", description="canonical JSON: codes, counts, references")
    error: str = Field(default="", description="the sentence of the error, or its type where it is none of ours")
    fix: str = ""

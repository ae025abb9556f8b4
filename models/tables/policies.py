"""Release policies, version by version, as they were proposed, approved and in force."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big


class ReleasePolicy(SQLModel, table=True):
    """One version of a policy; its text never changes: proposed → in force → superseded, or withdrawn."""

    __tablename__ = "release_policy"
    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    state: str = Field(description="proposed | in_force | superseded | withdrawn")
    origin: str = Field(description="shipped (with Consign) | own")
    toml: str
    sha256: str = Field(description="over the text")
    over: str | None = Field(default=None, description="the policy that it stands over for some agencies")
    audit_seq: int = big(description="the event that says what this text is: proposed, then approved")
    proposed_by: str | None = Field(default=None, description="nobody, where it came with Consign")
    proposed_at: datetime
    approved_by: str | None = Field(default=None, description="the second person")
    approved_at: datetime | None = None
    in_force_from: datetime | None = None
    in_force_until: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    reason: str | None = Field(default=None, description="why it was withdrawn")

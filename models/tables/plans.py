"""A plan proposes which agency gets which debtor, and says why."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Plan(SQLModel, table=True):
    """Its life: draft → submitted → approved → placed; or rejected, or expired when its data change."""

    plan_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    name: str
    state: str = "draft"
    stage: str = Field(default="phone", description="reminder | phone | field | legal")
    purpose: str = "collection"
    policy: str = Field(description="name of the release policy")
    policy_version: str
    policy_sha256: str
    allocator: str = "shares"
    seed: int = big()
    spec: str = Field(description="JSON: what was asked for (filters, shares, capacities, bands, term)")
    summary: str = Field(description="JSON: accounts, balance, per agency and segment, difference to last time, why")
    inputs_sha256: str = Field(description="over every account's id and version that the plan read")
    content_sha256: str = Field(description="over the plan's lines: what an approver approves")
    accounts: int
    balance_minor: int = big()
    currency: str
    as_of: date
    term_days: int
    created_by: str
    created_at: datetime
    submitted_by: str | None = None
    submitted_at: datetime | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    expires_at: datetime | None = None
    ended_because: str | None = None


class PlanLine(SQLModel, table=True):
    """One account of a plan."""

    __tablename__ = "plan_line"
    __table_args__ = (
        Index("plan_line_agency", "plan_id", "agency"),
        {"sqlite_with_rowid": False},  # a plan's lines lie together, found by its number
    )
    plan_id: int = big(primary_key=True)
    account_id: int = big(primary_key=True)
    debtor_id: int = big()
    agency: str
    segment: str
    balance_minor: int = big()
    dpd: int
    bucket: str
    round: int
    version: int = Field(default=1, description="of the account when the plan read it; another one now: stale")
    why: str = Field(description="share | value | challenger | mended | incumbent | overflow:<agency that was full>")
    probability: float | None = Field(
        default=None, description="with which the draw sent the debtor there; null where it was not the draw alone"
    )


class SeedCommitment(SQLModel, table=True):
    """A plan's seed whose hash was told before its accounts were chosen; used once, and told with the plan."""

    __tablename__ = "seed_commitment"
    commitment_id: int | None = serial()
    lender: str
    name: str = Field(description="of the plan")
    sha256: str = Field(description="what was told: over lender, name and seed")
    seed: int = big(description="told when the plan is made")
    committed_by: str
    committed_at: datetime
    plan_id: int | None = big(None, description="the plan that used it")
    revealed_at: datetime | None = None


class PlanExclusion(SQLModel, table=True):
    """An account that the plan left out, and why."""

    __tablename__ = "plan_exclusion"
    __table_args__ = (Index("plan_exclusion_reason", "plan_id", "reason", "account_id"),)
    plan_id: int = big(primary_key=True)
    account_id: int = big(primary_key=True)
    reason: str

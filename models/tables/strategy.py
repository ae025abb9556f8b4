"""Strategy: rules as they were approved, the stage that every account is in, and what was proposed and done."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.tables.columns import big


class Rulebook(SQLModel, table=True):
    """One version of a file of rules; its text never changes: proposed → in force → superseded, or withdrawn."""

    sort: str = Field(primary_key=True, description="strategy | instalments | propensity_use")
    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    state: str = Field(description="proposed | in_force | superseded | withdrawn")
    toml: str
    sha256: str = Field(description="over the text")
    audit_seq: int = big(description="the event that says what this text is: proposed, then approved")
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = Field(default=None, description="the second person")
    approved_at: datetime | None = None
    in_force_from: datetime | None = None
    in_force_until: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    reason: str | None = Field(default=None, description="why it was withdrawn")


class StrategyRun(SQLModel, table=True):
    """Which accounts of a lender should move to which stage: proposed → approved, refused or expired."""

    __tablename__ = "strategy_run"
    run_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    state: str = "proposed"
    strategy: str
    version: str
    strategy_sha256: str
    as_of: date
    accounts: int = Field(description="looked at")
    moves: int
    content_sha256: str = Field(description="over every move: what an approver approves")
    summary: str = Field(description="JSON: counts by stage and rule, who was left and why, mandates")
    plans: str = Field(default="{}", description="JSON: the plan drafted per stage and currency, or why there is none")
    created_by: str
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    ended_because: str | None = None


class StageMove(SQLModel, table=True):
    """One account of a run: from which stage to which, and by which rule; of an approved run, what happened to it."""

    __tablename__ = "stage_move"
    __table_args__ = (
        Index("stage_move_account", "account_id"),
        Index("stage_move_group", "run_id", "to_stage", "rule", "why", "from_stage", "account_id"),
        {"sqlite_with_rowid": False},
    )
    run_id: int = big(primary_key=True)
    account_id: int = big(primary_key=True)
    debtor_id: int = big()
    currency: str
    balance_minor: int = big()
    version: int = Field(description="of the account when the run read it")
    from_stage: str = Field(description="new: none yet")
    to_stage: str
    days: int = Field(description="in the stage before")
    rule: str
    why: str = Field(description="rule | softer_first | not_yet | not_back")


class AccountStage(SQLModel, table=True):
    """The stage that an account is in, as an approved run last said; a placement since then says it anew."""

    __tablename__ = "account_stage"
    __table_args__ = (Index("account_stage_at", "lender", "stage", "account_id"),)
    account_id: int = big(primary_key=True)
    lender: str
    stage: str
    since: date
    run_id: int = big(description="the run that moved it there")


class RecallProposal(SQLModel, table=True):
    """Placements of a lender that a cascade would take back: proposed → approved, refused or expired."""

    __tablename__ = "recall_proposal"
    proposal_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    state: str = "proposed"
    strategy: str
    version: str
    strategy_sha256: str
    as_of: date
    placements: int
    balance_minor: int = big()
    content_sha256: str
    created_by: str
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    ended_because: str | None = None


class RecallProposalLine(SQLModel, table=True):
    """One placement that would be taken back, by which rule, and where its account would go next."""

    __tablename__ = "recall_proposal_line"
    __table_args__ = ({"sqlite_with_rowid": False},)
    proposal_id: int = big(primary_key=True)
    placement_id: int = big(primary_key=True)
    account_id: int = big()
    agency: str
    rule: str
    reason: str
    level: str = Field(description="primary | secondary | tertiary | legal | exhausted")
    next_level: str
    next_stage: str = Field(description="none: no rule sends it anywhere")
    balance_minor: int = big()
    days_held: int
    days_without_payment: int
    days_without_activity: int

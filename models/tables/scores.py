"""What an agency achieved against what was to be expected, and how sure that is."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class ScoreRun(SQLModel, table=True):
    """One scoring: the same inputs, model version and seed give the same scores."""

    __tablename__ = "score_run"
    run_id: int = big(primary_key=True)
    lender: str | None = None
    as_of: date
    model_version: str
    seed: int = big()
    inputs_sha256: str
    placements: int
    made_at: datetime
    summary: str = Field(default="{}", description="JSON: curves and tables behind the scorecards")


class Score(SQLModel, table=True):
    """One component for one agency; None where there is nothing to go by."""

    score_id: int | None = serial()
    run_id: int = big(index=True)
    agency: str
    component: str = Field(description="recovery | net_back | speed | data_quality | complaints | invoice_accuracy …")
    segment: str = "all"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    actual: float | None = None
    weight: float | None = None
    note: str = ""


class Evaluation(SQLModel, table=True):
    """What the scores proposed at the end of a cycle: proposed → approved | rejected | superseded."""

    evaluation_id: int = big(primary_key=True)
    kind: str = Field(description="periodic | yearly: the one that regulation asks for, which becomes evidence")
    lender: str | None = None
    run_id: int = big(description="the scoring that it rests on")
    as_of: date
    rules_version: str = Field(description="of models/scoring/evaluation.toml")
    content: str = Field(description="JSON: shares, changes, reviews, and the figures behind them")
    content_sha256: str = Field(description="over the content: what an approver approves")
    state: str = "proposed"
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = Field(default=None, description="the second person")
    decided_at: datetime | None = None
    reason: str | None = Field(default=None, description="why it was rejected")

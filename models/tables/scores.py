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

"""Models of propensity, version by version, and what the one in use says of each account."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.tables.columns import big


class PropensityModel(SQLModel, table=True):
    """One version of a lender's model; its numbers never change: proposed → in use → superseded, or withdrawn."""

    __tablename__ = "propensity_model"
    model_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    state: str = Field(default="proposed", description="proposed | in_use | superseded | withdrawn")
    horizon_days: int
    as_of: date
    first_placed_on: date = Field(description="of the placements it was made of")
    last_placed_on: date
    placements: int
    version: str = Field(description="of its parameters")
    seed: int = big()
    inputs_sha256: str = Field(description="over every value it was made of")
    numbers: str = Field(description="JSON: the model itself")
    sha256: str = Field(description="over `numbers`")
    measured: str = Field(description="JSON: how it did on placements it had not seen")
    audit_seq: int = big(description="the event that says what these numbers are")
    made_by: str
    made_at: datetime
    approved_by: str | None = Field(default=None, description="the second person")
    approved_at: datetime | None = None
    ended_at: datetime | None = None
    withdrawn_by: str | None = None
    reason: str | None = Field(default=None, description="why it was withdrawn")


class PropensityScore(SQLModel, table=True):
    """What the model in use says of an account, the last time it was asked."""

    __tablename__ = "propensity_score"
    __table_args__ = (Index("propensity_score_lender", "lender", "account_id"),)
    account_id: int = big(primary_key=True)
    lender: str
    model_id: int = big()
    scored_on: date
    chance: float = Field(description="that anything is paid within the model's horizon of a placement")
    share: float = Field(description="of the balance, if anything is paid")
    expected_minor: int = big(description="chance × share × balance")
    band: str = Field(description="P1 (likeliest) to P5")
    written_band: str | None = Field(default=None, description="what stands in the account's score_band by us")
    lender_band: str | None = Field(default=None, description="what the lender had there, to be put back")

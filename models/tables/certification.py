"""Which agency has shown what, until when it counts, and who let one work without."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Certification(SQLModel, table=True):
    """One run of an agency towards a level, and its certificate once it has passed."""

    certification_id: int = big(primary_key=True)
    agency: str = Field(index=True)
    level: str = Field(description="exchange | work | money")
    state: str = Field(default="open", description="open | passed | stopped | given_up")
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None = None
    seed: int = big(description="of the synthetic accounts")
    after_file_id: int = big(0, description="what came before the run, in the certification's own store")
    told_sha256: str | None = Field(default=None, description="of the status that the agency was last told")
    certificate_id: str | None = Field(default=None, unique=True)
    certificate: str | None = Field(default=None, description="canonical JSON, as it was signed")
    signature: str | None = Field(default=None, description="SSHSIG over exactly that text")
    issued_on: date | None = None
    valid_until: date | None = None
    suite: str | None = None
    layout: str | None = None
    agency_keys: str | None = Field(default=None, description="fingerprints that were compared, comma-separated")


class CertificationStep(SQLModel, table=True):
    """How one step of a run stands, and since when."""

    __tablename__ = "certification_step"
    certification_id: int = big(primary_key=True)
    step: str = Field(primary_key=True)
    level: str
    state: str = Field(description="waiting | open | done | failed")
    code: str | None = None
    since: datetime
    by: str | None = Field(default=None, description="the person, where a person has done it")


class CertificateWaiver(SQLModel, table=True):
    """Why an agency may work without a certificate for a while: asked for by one person, granted by another."""

    __tablename__ = "certificate_waiver"
    waiver_id: int | None = serial()
    agency: str = Field(index=True)
    level: str
    reason: str
    asked_by: str
    asked_at: datetime
    granted_by: str | None = None
    granted_at: datetime | None = None
    valid_until: date | None = None


class FileRefusal(SQLModel, table=True):
    """What an agency says of a file of ours that it cannot take."""

    __tablename__ = "file_refusal"
    refusal_id: int | None = serial()
    agency: str
    transmission_id: int = big(index=True)
    file_id: int = big(description="the agency's file that says so")
    at_line: int | None = big(None)
    at_column: str | None = None
    code: str

"""The agencies, how to reach them, and what was agreed with them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class Agency(SQLModel, table=True):
    """A third-party collection agency."""

    agency: str = Field(primary_key=True, description="code, [a-z0-9-]{2,20}")
    name: str
    state: str = Field(default="prospect", description="prospect | certified | live | suspended | closed")
    suite: str = Field(default="age", description="age | openpgp")
    drop: str = Field(
        description="JSON of the drop's settings without secrets: kind sftp | folder, host, port, host_keys …"
    )
    layout: str = Field(
        default="package", description="package, or the layout profile of its plain files: name@version#sha256"
    )
    channels: str = Field(default="phone,sms", description="the mandate, comma-separated")
    capacity_accounts: int | None = None
    remits: str = Field(default="gross", description="gross | net")
    term_days: int = 180
    timezone: str = "Asia/Shanghai"
    created_at: datetime
    probe: str | None = Field(default=None, description="JSON of what its server can do, as last tried out")
    probed_at: datetime | None = None


class LayoutProfile(SQLModel, table=True):
    """A layout profile as it was reviewed; a version never changes (docs/reference/layouts.md)."""

    __tablename__ = "layout_profile"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    toml: str
    sha256: str = Field(index=True)
    added_by: str
    added_at: datetime


class AgencyContract(SQLModel, table=True):
    """The contract between a lender and an agency from a date on; the terms are TOML (docs/glossary.md#contract)."""

    __tablename__ = "agency_contract"
    __table_args__ = (UniqueConstraint("agency", "lender", "effective_from"),)
    contract_id: int | None = serial()
    agency: str
    lender: str
    effective_from: date
    terms: str
    sha256: str
    created_by: str
    created_at: datetime
    approved_by: str | None = None
    share: float | None = Field(default=None, description="the agency's target share of new placements, 0..1")
    capacity_minor: int | None = big(None)

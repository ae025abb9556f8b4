"""What the gate found in each file that was to leave, and the false alarms that two people let pass."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class GateCheck(SQLModel, table=True):
    """The last look at a transmission: whether it passed, what was found, how far its debtors can be told apart."""

    __tablename__ = "gate_check"
    transmission_id: int = big(primary_key=True)
    verdict: str = Field(index=True, description="passed | stopped")
    checked_at: datetime
    checked_by: str
    package_sha256: str | None = Field(default=None, description="of the plain package that passed; none: it stays")
    rows: int
    cells: int = big(description="text cells that were looked at")
    hits: str = Field(
        default="[]", description="JSON: column, kind, certainty, count, lines, stops, allowance; never a value"
    )
    stopping: int = Field(description="hits because of which it stays")
    quasi: str = Field(default="[]", description="JSON: the fields that count as quasi-identifiers")
    limits: str = Field(default="{}", description="JSON: k, l, unique_share …, as the policy has them")
    coarser: str = Field(default="{}", description="JSON: by field, the level that it was raised to")
    steps: str = Field(default="[]", description="JSON: field and level in the order in which they were taken")
    suppressed: int = Field(default=0, description="lines that lost their quasi-identifiers")
    k_before: int | None = None
    k_after: int | None = Field(default=None, description="none: nothing is told that could tell lines apart")
    l_before: int | None = None
    l_after: int | None = None
    unique_before: int = Field(default=0, description="lines that were alone in what they look like")
    unique_after: int = 0
    sizes_before: str = Field(default="[]", description="JSON: lines in classes of 1, 2-4, 5-9, 10-49, 50 and more")
    sizes_after: str = "[]"


class GateAllowance(SQLModel, table=True):
    """A kind of identifier that is none in one column of one kind of file: waiting → approved → withdrawn."""

    __tablename__ = "gate_allowance"
    allowance_id: int | None = serial()
    kind: str = Field(description="of file")
    column_name: str
    identifier: str = Field(description="the kind of identifier that it looks like")
    agency: str | None = Field(default=None, description="none: whoever the file goes to")
    reason: str
    until: date = Field(description="the last day on which it counts")
    state: str = Field(default="waiting", index=True)
    asked_by: str
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None

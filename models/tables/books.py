"""The books: entries and their lines, the accounts they stand on, and the months that are closed.

What these tables promise is kept by triggers as well as by code (infra/migrations/versions/0003_laws_of_the_books.py).
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class JournalBatch(SQLModel, table=True):
    """Entries that were posted in one act. Its row comes last, and only if they all balance: then they are sealed."""

    __tablename__ = "journal_batch"
    batch_id: int = big(primary_key=True)
    entries: int
    lines: int
    posted_at: datetime


class JournalEntry(SQLModel, table=True):
    """One double entry; its lines sum to zero per currency. No transaction ends before its batch is sealed."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        ForeignKeyConstraint(["batch_id"], ["journal_batch.batch_id"], deferrable=True, initially="DEFERRED"),
    )
    entry_id: int = big(primary_key=True)
    entry_key: str = Field(unique=True, description="event and subject, so that posting twice posts once")
    event: str
    lender: str
    agency: str | None = None
    value_date: date = Field(description="when it happened")
    period: str = Field(description="YYYY-MM: in whose month it stands, open when it was posted")
    posted_on: date = Field(description="on which day of that month")
    posted_at: datetime
    batch_id: int = big(index=True)
    reverses_id: int | None = big(None, unique=True, description="the entry that this one is the mirror of")


class JournalLine(SQLModel, table=True):
    """One leg: debit positive, credit negative."""

    __tablename__ = "journal_line"
    journal_line_id: int = big(primary_key=True)
    entry_id: int = big(index=True)
    ledger: str = Field(description="1010 bank, 1100 placed receivable, 1200 agency clearing …")
    code: str = Field(description="its account in the chart that was in force")
    agency: str | None = None
    account_id: int | None = big(None, index=True)
    currency: str
    amount_minor: int = big()


class LedgerAccount(SQLModel, table=True):
    """An account that lines were posted to, as the chart then named it; a code means one ledger for ever."""

    __tablename__ = "ledger_account"
    code: str = Field(primary_key=True)
    ledger: str
    name: str
    zh: str
    kind: str = Field(description="asset | liability | equity | income | expense")
    chart: str
    since: datetime


class AccountingPeriod(SQLModel, table=True):
    """A lender's month that was closed, and whether it still is; a month without a row was never closed."""

    __tablename__ = "accounting_period"
    lender: str = Field(primary_key=True)
    period: str = Field(primary_key=True, description="YYYY-MM")
    state: str = Field(description="closed | open (opened again)")
    closing_id: int = big(description="the last closing of it")


class PeriodClosing(SQLModel, table=True):
    """One closing of a month: what the books and the statements were then, by their hashes. Append-only."""

    __tablename__ = "period_closing"
    __table_args__ = (UniqueConstraint("lender", "period", "revision"),)
    closing_id: int = big(primary_key=True)
    lender: str
    period: str
    revision: int = Field(description="1, and one more each time it is closed again")
    since: str | None = Field(default=None, description="the month closed before; None: from the beginning")
    entries: int
    lines: int
    journal_sha256: str
    balance_sha256: str
    statements: str = Field(default="[]", description="JSON: each agency's statement, its sums and its files' hashes")
    sha256: str = Field(description="of the three before")
    accepted: str = Field(default="[]", description="JSON: findings that were accepted, by whom and why")
    closed_at: datetime
    closed_by: str


class PeriodAcceptance(SQLModel, table=True):
    """Somebody has looked at a finding that stands in the way of a closing, and closes in spite of it."""

    __tablename__ = "period_acceptance"
    acceptance_id: int | None = serial()
    lender: str = Field(index=True)
    period: str
    finding: str
    found: int = Field(description="how many there were; more of them are not accepted")
    why: str
    accepted_by: str
    accepted_at: datetime


class PeriodReopening(SQLModel, table=True):
    """A closed month is asked to be opened again, by one person, and is, by another."""

    __tablename__ = "period_reopening"
    __table_args__ = (CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name="two_people"),)
    reopening_id: int | None = serial()
    lender: str = Field(index=True)
    period: str
    closing_id: int = big(description="the closing that is undone")
    why: str
    state: str = Field(description="waiting | done | withdrawn")
    asked_by: str
    asked_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None

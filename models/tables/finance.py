"""Money: what agencies say they recovered, what the bank says arrived, and the books between."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.tables.columns import big

UNSETTLED = text("status IN ('suggested', 'ambiguous')")
OPEN_LINES = text("state IN ('awaiting_cash', 'part_matched')")
OPEN_RECEIPTS = text("state IN ('unapplied', 'part_matched')")


def _by_beginning(table: str, column: str) -> Index:
    """An index that PostgreSQL finds beginnings of references by too, whatever the language of its store."""
    return Index(f"ix_{table}_{column}", column, postgresql_ops={column: "varchar_pattern_ops"})


class RemittanceLine(SQLModel, table=True):
    """One recovery or reversal, in exactly one state (models/reconcile)."""

    __tablename__ = "remittance_line"
    __table_args__ = (
        Index("remittance_agency_state", "agency", "state", "value_date"),
        Index("remittance_state_day", "state", "value_date"),
        # what may belong to a receipt is looked for from its amount up and down
        Index(
            "remittance_open", "lender", "agency", "state", "net_minor", "value_date",
            sqlite_where=OPEN_LINES, postgresql_where=OPEN_LINES,
        ),
        _by_beginning("remittance_line", "txn_ref"),
        _by_beginning("remittance_line", "batch_ref"),
    )  # fmt: skip
    line_id: int = big(primary_key=True)
    content_id: str = Field(index=True, description="hash of what identifies it whatever file it came in (R1)")
    file_id: int = big(index=True)
    line: int
    lender: str
    agency: str
    placement_id: int | None = big(None, index=True)
    account_id: int | None = big(None, index=True)
    txn_ref: str | None = Field(default=None, description="the agency's transaction id")
    original_txn_ref: str | None = None
    original_line_id: int | None = big(None, description="of a reversal: the line it undoes")
    batch_ref: str | None = None
    kind: str = Field(default="recovery", description="recovery | reversal | direct")
    gross_minor: int = big(description="signed: a reversal is negative")
    commission_minor: int = big(0, description="as withheld by a net remitter, else 0")
    vat_minor: int = big(0)
    net_minor: int = big(description="what the agency hands over for it")
    due_commission_minor: int | None = big(None, description="as the contract computes it")
    due_vat_minor: int | None = big(None)
    rate: Decimal | None = Field(default=None, max_digits=9, decimal_places=6)
    currency: str
    value_date: date
    state: str = "awaiting_cash"
    cash_minor: int = big(0, description="of net_minor, how much is tied to receipts or to its own undoing")
    why: str | None = Field(default=None, description="why it is not matched (models.reconcile.outcome.REASONS)")
    why_minor: int | None = big(None)
    why_days: int | None = None
    why_count: int | None = None
    posted_at: datetime | None = None
    by_hand: bool = Field(default=False, description="a person untied it: the rules leave it to people")
    statement_id: int | None = big(None, description="the statement to the agency that it stands on")


class InvoiceLine(SQLModel, table=True):
    """Commission as the agency claims it."""

    __tablename__ = "invoice_line"
    invoice_line_id: int = big(primary_key=True)
    file_id: int = big(index=True)
    line: int
    lender: str
    agency: str
    invoice_no: str
    txn_ref: str | None = None
    account_id: int | None = big(None)
    line_id: int | None = big(None, index=True, description="the remittance line that commission is claimed on")
    base_minor: int = big()
    commission_minor: int = big()
    vat_minor: int = big(0)
    currency: str
    period: str
    state: str = Field(default="received", description="received | agreed | disputed")
    answered_as: str | None = Field(default=None, description="agreed | disputed: what the agency was told last")
    answered_id: int | None = big(None, index=True, description="the transmission that told it")


class BankAccount(SQLModel, table=True):
    """An account of a lender's at a bank, or a wallet, in one currency."""

    __tablename__ = "bank_account"
    __table_args__ = (UniqueConstraint("account", "currency"),)
    bank_account_id: int = big(primary_key=True)
    account: str = Field(description="as the bank's files have it, without blanks")
    currency: str
    lender: str
    ledger: str = Field(default="1010", description="what the lender's own books call it")
    layout: str | None = Field(default=None, description="whose files without an account's number are this account's")
    added_at: datetime
    added_by: str


class BankStatement(SQLModel, table=True):
    """One statement of one bank account, or a report before it; the same bytes again are a no-op."""

    __tablename__ = "bank_statement"
    statement_id: int = big(primary_key=True)
    sha256: str = Field(unique=True)
    lender: str
    source: str
    bank_account: str = Field(index=True)
    form: str = Field(default="camt.053", description="camt.052 to .054 | mt940 | mt942 | a layout's name@version")
    is_advance: bool = Field(default=False, description="a report or notification, which a statement will say again")
    number: str | None = None
    sequence: int | None = Field(default=None, description="the bank's running number of statements")
    currency: str
    opening_minor: int | None = big(None)
    closing_minor: int | None = big(None)
    from_on: date | None = None
    to_on: date | None = None
    entries: int
    imported_at: datetime


class BankReceipt(SQLModel, table=True):
    """One entry of a bank statement, batched entries taken apart."""

    __tablename__ = "bank_receipt"
    __table_args__ = (
        # and what may belong to a line likewise
        Index(
            "bank_receipt_open", "lender", "agency", "state", "amount_minor", "value_date",
            sqlite_where=OPEN_RECEIPTS, postgresql_where=OPEN_RECEIPTS,
        ),
        _by_beginning("bank_receipt", "reference"),
    )  # fmt: skip
    receipt_id: int = big(primary_key=True)
    statement_id: int = big(index=True)
    entry: int
    lender: str
    agency: str | None = Field(default=None, description="whose money it is, by account or reference")
    amount_minor: int = big(description="signed: credit to us is positive")
    currency: str
    booked_on: date
    value_date: date
    reference: str | None = Field(default=None, description="end-to-end id or remittance information")
    counterparty: str | None = None
    is_reversal: bool = False
    of_entry: int = Field(default=0, description="which of the statement's own entries it is (part of)")
    bank_ref: str | None = Field(default=None, description="the bank's own name of that entry")
    return_reason: str | None = Field(default=None, description="why it came back, as a code of the bank's")
    charges_minor: int | None = big(None, description="what the bank says it took of it")
    instructed_minor: int | None = big(None, description="what was ordered, where that is another amount or currency")
    instructed_currency: str | None = None
    confirmed_by: int | None = big(None, description="taken from a report: the statement that said it again")
    state: str = "unapplied"
    applied_minor: int = big(0)
    account_id: int | None = big(None, description="of a payment that the debtor made to the lender directly")
    placement_id: int | None = big(None, description="the placement in whose time it was paid directly")
    why: str | None = Field(default=None, description="why it is not matched (models.reconcile.outcome.REASONS)")
    why_minor: int | None = big(None)
    why_days: int | None = None
    why_count: int | None = None
    by_hand: bool = Field(default=False, description="a person untied it: the rules leave it to people")


class Match(SQLModel, table=True):
    """What was tied to what, by which rule, and what else was considered."""

    __table_args__ = (
        # what waits for a person is few among many: the worklist walks it without reading the others
        Index("match_unsettled", "match_id", sqlite_where=UNSETTLED, postgresql_where=UNSETTLED),
    )
    match_id: int = big(primary_key=True)
    rule: str
    rule_version: int = 1
    status: str = Field(default="confirmed", description="confirmed | suggested | ambiguous | undone")
    lender: str
    agency: str | None = None
    currency: str
    amount_minor: int = big()
    candidates: int = 1
    made_at: datetime
    made_by: str = "consign"


class MatchPart(SQLModel, table=True):
    """One side's share of a match; amounts on both sides sum to the same."""

    __tablename__ = "match_part"
    part_id: int = big(primary_key=True)
    match_id: int = big(index=True)
    line_id: int | None = big(None, index=True)
    receipt_id: int | None = big(None, index=True)
    amount_minor: int = big()


class MatchRival(SQLModel, table=True):
    """A candidate that a match was preferred to; the best few of them."""

    __tablename__ = "match_rival"
    rival_id: int = big(primary_key=True)
    match_id: int = big(index=True)
    line_id: int | None = big(None)
    receipt_id: int | None = big(None)
    off_minor: int = big(description="by how much the rival is more than what the match has in its place")
    off_days: int = Field(description="by how many days it is later")


class Break(SQLModel, table=True):
    """A difference that a person must look at."""

    __table_args__ = (
        UniqueConstraint("break_key"),
        Index("break_by_age", "state", "opened_at", "break_id"),
        Index("break_by_size", "state", "size_minor", "break_id"),
        Index("break_of_agency", "agency", "state", "opened_at", "break_id"),
    )
    break_id: int = big(primary_key=True)
    break_key: str = Field(description="code and subject, so that finding it twice opens it once")
    code: str = Field(index=True)
    state: str = Field(default="open", description="open | closed")
    lender: str
    agency: str | None = None
    line_id: int | None = big(None, index=True)
    receipt_id: int | None = big(None, index=True)
    invoice_line_id: int | None = big(None)
    account_id: int | None = big(None)
    amount_minor: int = big()
    size_minor: int = big(0, description="the amount without its sign: what the worklist sorts by")
    currency: str
    opened_at: datetime
    closed_at: datetime | None = None
    closed_because: str | None = None
    owner: str | None = Field(default=None, index=True, description="who works on it; nobody: null")
    detail: str = Field(default="{}", description="JSON: what was expected and found, in references and amounts")


class Statement(SQLModel, table=True):
    """Commission and money per agency and period, as it was stated, with the hash of its bytes."""

    __table_args__ = (UniqueConstraint("lender", "agency", "period", "currency"),)
    statement_id: int = big(primary_key=True)
    lender: str
    agency: str
    period: str = Field(description="YYYY-MM")
    currency: str
    lines: int
    gross_minor: int = big()
    commission_minor: int = big()
    vat_minor: int = big()
    net_minor: int = big(description="gross less commission and VAT of the lines")
    adjusted_commission_minor: int = big(0, description="what the month as a whole changed (commission_adjustment)")
    adjusted_vat_minor: int = big(0)
    retained_minor: int = big(0, description="what a net remitter kept back")
    paid_minor: int = big(0, description="payments to the agency, less those that came back")
    opening_minor: int = big(0, description="owed to the agency before; negative: the agency owes")
    closing_minor: int = big(0, description="owed after: what is paid, or invoiced to the agency")
    late_lines: int = Field(default=0, description="lines of an earlier month that came after it was stated")
    csv_path: str
    xlsx_path: str
    pdf_path: str = ""
    sha256: str
    xlsx_sha256: str = ""
    pdf_sha256: str = ""
    made_at: datetime
    transmission_id: int | None = big(None)

"""What agencies are owed beside their lines' commission, contracts that wait for a second person, and what is paid."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class ContractProposal(SQLModel, table=True):
    """Terms that somebody proposes from a date on; in force once a second person has approved them."""

    __tablename__ = "contract_proposal"
    proposal_id: int | None = serial()
    agency: str = Field(index=True)
    lender: str
    effective_from: date
    terms: str
    sha256: str
    share: float | None = None
    state: str = Field(default="waiting", description="waiting | approved | withdrawn")
    why: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None


class CommissionAdjustment(SQLModel, table=True):
    """What a month as a whole changed of an agency's commission when it was stated (models/contract/settling.py)."""

    __tablename__ = "commission_adjustment"
    adjustment_id: int = big(primary_key=True)
    adjustment_key: str = Field(unique=True, description="kind and subject, so that a month is settled once")
    kind: str = Field(
        description="case_fee | volume | rounding | clawback | account_limit | month_limit | reverse_charge"
    )
    lender: str
    agency: str
    statement_id: int = big(index=True)
    line_id: int | None = big(None, index=True)
    placement_id: int | None = big(None, index=True)
    account_id: int | None = big(None)
    currency: str
    commission_minor: int = big()
    vat_minor: int = big(0)
    own_vat_minor: int = big(0, description="VAT that we owe ourselves: reverse charge")
    value_date: date


class PaymentRun(SQLModel, table=True):
    """Payments to agencies that are proposed, approved and sent to the bank together: one pain.001."""

    __tablename__ = "payment_run"
    run_id: int = big(primary_key=True)
    lender: str = Field(index=True)
    currency: str
    payer_name: str
    payer_account: str
    payer_bank: str | None = Field(default=None, description="BIC or CNAPS code")
    pay_on: date
    payments: int
    amount_minor: int = big()
    state: str = Field(default="proposed", description="proposed | approved | exported | withdrawn")
    message_id: str = Field(unique=True)
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = None
    second_approved_by: str | None = Field(default=None, description="where the sum is above the limit")
    approved_at: datetime | None = None
    exported_by: str | None = None
    exported_at: datetime | None = None
    withdrawn_by: str | None = None
    sha256: str | None = Field(default=None, description="of the pain.001 that was let out")


class AgencyPayment(SQLModel, table=True):
    """What one agency is paid in a run, or (without a run, below zero) has paid; known once the bank has shown it."""

    __tablename__ = "agency_payment"
    __table_args__ = (UniqueConstraint("run_id", "agency"),)
    payment_id: int = big(primary_key=True)
    run_id: int | None = big(None, index=True)
    lender: str
    agency: str
    currency: str
    amount_minor: int = big()
    end_to_end_id: str = Field(unique=True, description="what the bank's statement repeats")
    payee_name: str = ""
    payee_account: str = ""
    payee_bank: str | None = Field(default=None, description="BIC, or CNAPS code of twelve digits")
    up_to_statement_id: int | None = big(None, description="the newest statement that it pays for")
    state: str = Field(default="proposed", description="proposed | withdrawn | sent | paid | returned")
    receipt_id: int | None = big(None, description="the entry of the bank's statement that shows it")
    paid_on: date | None = None
    statement_id: int | None = big(None, description="the statement to the agency that it stands on")
    returned_receipt_id: int | None = big(None)
    returned_on: date | None = None
    returned_statement_id: int | None = big(None)

"""Consolidated collection: on what basis debtors are linked, who is linked, and how joint payments were split."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import big, serial


class ConsolidationBasis(SQLModel, table=True):
    """Why the debtors of one lender may be linked with those of the other lenders of a circle.

    proposed → in force → withdrawn; in force it counts from `valid_from` to `valid_until`.
    """

    __tablename__ = "consolidation_basis"
    basis_id: int | None = serial()
    circle: str = Field(index=True, description="whose lenders are linked with one another; [a-z0-9-]{2,20}")
    scope: str = Field(description="internal (departments of one lender) | external (several lenders)")
    lender: str = Field(index=True)
    basis: str = Field(description="the legal basis, in words")
    evidence: str = Field(description="where the document is")
    evidence_sha256: str | None = Field(default=None, description="of the document, where it was at hand")
    valid_from: date
    valid_until: date | None = None
    split_order: str = Field(description="oldest_first | pro_rata | lender_order: how a joint payment is split")
    split_rank: int = Field(default=1, description="the lender's place in lender_order; the same one: together")
    state: str = Field(description="proposed | in_force | withdrawn")
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = Field(default=None, description="the second person")
    approved_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    reason: str | None = Field(default=None, description="why it was withdrawn")


class LinkedDebtor(SQLModel, table=True):
    """A debtor who is the same person as another debtor of the circle; nobody else has a row."""

    __tablename__ = "linked_debtor"
    __table_args__ = (Index("linked_debtor_link", "circle", "link"),)
    circle: str = Field(primary_key=True)
    debtor_id: int = big(primary_key=True, index=True)
    lender: str
    link: str = Field(description="the linkage pseudonym in the circle's own domain; never leaves")
    linked_at: datetime


class JointPayment(SQLModel, table=True):
    """What a debtor paid an agency for all of their accounts together."""

    __tablename__ = "joint_payment"
    __table_args__ = (UniqueConstraint("agency", "payment_ref"),)
    payment_id: int = big(primary_key=True)
    agency: str
    payment_ref: str = Field(description="the agency's own; no lender is told it")
    circle: str
    split_order: str
    currency: str
    amount_minor: int = big()
    surplus_minor: int = big(description="paid beyond what was owed: the debtor's")
    paid_on: date
    recorded_by: str
    recorded_at: datetime


class JointShare(SQLModel, table=True):
    """One account's part of a joint payment; the shares and the surplus are the payment, to the minor unit."""

    __tablename__ = "joint_share"
    share_ref: str = Field(primary_key=True, description="the agency remits it under this reference; of one lender")
    payment_id: int = big(index=True)
    lender: str = Field(index=True)
    agency: str
    account_id: int = big(index=True)
    placement_id: int = big()
    currency: str
    amount_minor: int = big()
    paid_on: date

"""Make the tables."""

# ruff: noqa: PLR0915 - as many statements as there are tables

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("ref_index", sa.String(), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("original_minor", sa.BigInteger(), nullable=True),
        sa.Column("principal_minor", sa.BigInteger(), nullable=True),
        sa.Column("interest_minor", sa.BigInteger(), nullable=True),
        sa.Column("fees_minor", sa.BigInteger(), nullable=True),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("dpd", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("opened_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("last_paid_on", sa.Date(), nullable=True),
        sa.Column("score_band", sa.String(), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
        sa.UniqueConstraint("lender", "ref_index"),
    )
    op.create_index(op.f("ix_account_debtor_id"), "account", ["debtor_id"], unique=False)
    op.create_index(op.f("ix_account_portfolio_id"), "account", ["portfolio_id"], unique=False)
    op.create_table(
        "account_stage",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index("account_stage_at", "account_stage", ["lender", "stage", "account_id"], unique=False)
    op.create_table(
        "accounting_period",
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("closing_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lender", "period"),
    )
    op.create_table(
        "activity",
        sa.Column("activity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offset_minutes", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("contact_point_ref", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("collector_ref", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("activity_id"),
        sa.UniqueConstraint("file_id", "line"),
    )
    op.create_index(op.f("ix_activity_placement_id"), "activity", ["placement_id"], unique=False)
    op.create_table(
        "actor_role",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "role"),
    )
    op.create_table(
        "agency",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("drop", sa.String(), nullable=False),
        sa.Column("layout", sa.String(), nullable=False),
        sa.Column("channels", sa.String(), nullable=False),
        sa.Column("capacity_accounts", sa.Integer(), nullable=True),
        sa.Column("remits", sa.String(), nullable=False),
        sa.Column("term_days", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probe", sa.String(), nullable=True),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "agency_contract",
        sa.Column("contract_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("capacity_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("contract_id"),
        sa.UniqueConstraint("agency", "lender", "effective_from"),
    )
    op.create_table(
        "agency_payment",
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("end_to_end_id", sa.String(), nullable=False),
        sa.Column("payee_name", sa.String(), nullable=False),
        sa.Column("payee_account", sa.String(), nullable=False),
        sa.Column("payee_bank", sa.String(), nullable=True),
        sa.Column("up_to_statement_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("statement_id", sa.BigInteger(), nullable=True),
        sa.Column("returned_receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("returned_on", sa.Date(), nullable=True),
        sa.Column("returned_statement_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("payment_id"),
        sa.UniqueConstraint("end_to_end_id"),
        sa.UniqueConstraint("run_id", "agency"),
    )
    op.create_index(op.f("ix_agency_payment_run_id"), "agency_payment", ["run_id"], unique=False)
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "audit_head",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "audited_file",
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id"),
    )
    op.create_table(
        "bank_account",
        sa.Column("bank_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("layout", sa.String(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("bank_account_id"),
        sa.UniqueConstraint("account", "currency"),
    )
    op.create_table(
        "bank_receipt",
        sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("statement_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("counterparty", sa.String(), nullable=True),
        sa.Column("is_reversal", sa.Boolean(), nullable=False),
        sa.Column("of_entry", sa.Integer(), nullable=False),
        sa.Column("bank_ref", sa.String(), nullable=True),
        sa.Column("return_reason", sa.String(), nullable=True),
        sa.Column("charges_minor", sa.BigInteger(), nullable=True),
        sa.Column("instructed_minor", sa.BigInteger(), nullable=True),
        sa.Column("instructed_currency", sa.String(), nullable=True),
        sa.Column("confirmed_by", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("applied_minor", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("why_minor", sa.BigInteger(), nullable=True),
        sa.Column("why_days", sa.Integer(), nullable=True),
        sa.Column("why_count", sa.Integer(), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id"),
    )
    op.create_index(
        "bank_receipt_open",
        "bank_receipt",
        ["lender", "agency", "state", "amount_minor", "value_date"],
        unique=False,
        sqlite_where=sa.text("state IN ('unapplied', 'part_matched')"),
        postgresql_where=sa.text("state IN ('unapplied', 'part_matched')"),
    )
    op.create_index(
        "ix_bank_receipt_reference",
        "bank_receipt",
        ["reference"],
        unique=False,
        postgresql_ops={"reference": "varchar_pattern_ops"},
    )
    op.create_index(op.f("ix_bank_receipt_statement_id"), "bank_receipt", ["statement_id"], unique=False)
    op.create_table(
        "bank_statement",
        sa.Column("statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("bank_account", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("is_advance", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=True),
        sa.Column("closing_minor", sa.BigInteger(), nullable=True),
        sa.Column("from_on", sa.Date(), nullable=True),
        sa.Column("to_on", sa.Date(), nullable=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("statement_id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index(op.f("ix_bank_statement_bank_account"), "bank_statement", ["bank_account"], unique=False)
    op.create_table(
        "breach",
        sa.Column("breach_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pack", sa.String(), nullable=False),
        sa.Column("pack_version", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("clause", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("counter", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("debtor_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("breach_id"),
        sa.UniqueConstraint("pack", "rule_id", "evidence"),
    )
    op.create_index("breach_listed", "breach", ["state", "at", "breach_id"], unique=False)
    op.create_index(op.f("ix_breach_agency"), "breach", ["agency"], unique=False)
    op.create_index(op.f("ix_breach_file_id"), "breach", ["file_id"], unique=False)
    op.create_index(op.f("ix_breach_placement_id"), "breach", ["placement_id"], unique=False)
    op.create_index(op.f("ix_breach_rule_id"), "breach", ["rule_id"], unique=False)
    op.create_table(
        "break",
        sa.Column("break_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("break_key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("invoice_line_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("size_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_because", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("break_id"),
        sa.UniqueConstraint("break_key"),
    )
    op.create_index("break_by_age", "break", ["state", "opened_at", "break_id"], unique=False)
    op.create_index("break_by_size", "break", ["state", "size_minor", "break_id"], unique=False)
    op.create_index("break_of_agency", "break", ["agency", "state", "opened_at", "break_id"], unique=False)
    op.create_index(op.f("ix_break_code"), "break", ["code"], unique=False)
    op.create_index(op.f("ix_break_line_id"), "break", ["line_id"], unique=False)
    op.create_index(op.f("ix_break_owner"), "break", ["owner"], unique=False)
    op.create_index(op.f("ix_break_receipt_id"), "break", ["receipt_id"], unique=False)
    op.create_table(
        "break_note",
        sa.Column("note_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("break_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("file_suffix", sa.String(), nullable=True),
        sa.Column("file_sha256", sa.String(), nullable=True),
        sa.Column("file_bytes", sa.BigInteger(), nullable=True),
        sa.Column("data_key_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("note_id"),
    )
    op.create_index(op.f("ix_break_note_break_id"), "break_note", ["break_id"], unique=False)
    op.create_table(
        "certificate_waiver",
        sa.Column("waiver_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("waiver_id"),
    )
    op.create_index(op.f("ix_certificate_waiver_agency"), "certificate_waiver", ["agency"], unique=False)
    op.create_table(
        "certification",
        sa.Column("certification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("after_file_id", sa.BigInteger(), nullable=False),
        sa.Column("told_sha256", sa.String(), nullable=True),
        sa.Column("certificate_id", sa.String(), nullable=True),
        sa.Column("certificate", sa.String(), nullable=True),
        sa.Column("signature", sa.String(), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("suite", sa.String(), nullable=True),
        sa.Column("layout", sa.String(), nullable=True),
        sa.Column("agency_keys", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("certification_id"),
        sa.UniqueConstraint("certificate_id"),
    )
    op.create_index(op.f("ix_certification_agency"), "certification", ["agency"], unique=False)
    op.create_table(
        "certification_step",
        sa.Column("certification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("certification_id", "step"),
    )
    op.create_table(
        "circuit",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("pauses", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "client_key_use",
        sa.Column("use_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("first_accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("use_id"),
        sa.UniqueConstraint("agency", "fingerprint"),
    )
    op.create_table(
        "commission_adjustment",
        sa.Column("adjustment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("adjustment_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("statement_id", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("own_vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("adjustment_id"),
        sa.UniqueConstraint("adjustment_key"),
    )
    op.create_index(op.f("ix_commission_adjustment_line_id"), "commission_adjustment", ["line_id"], unique=False)
    op.create_index(
        op.f("ix_commission_adjustment_placement_id"), "commission_adjustment", ["placement_id"], unique=False
    )
    op.create_index(
        op.f("ix_commission_adjustment_statement_id"), "commission_adjustment", ["statement_id"], unique=False
    )
    op.create_table(
        "complaint",
        sa.Column("complaint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("complaint_ref", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("complaint_id"),
        sa.UniqueConstraint("agency", "complaint_ref"),
    )
    op.create_index(op.f("ix_complaint_placement_id"), "complaint", ["placement_id"], unique=False)
    op.create_table(
        "conduct_run",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("packs", sa.String(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("contacts", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "consolidation_basis",
        sa.Column("basis_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("evidence_sha256", sa.String(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("split_order", sa.String(), nullable=False),
        sa.Column("split_rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("basis_id"),
    )
    op.create_index(op.f("ix_consolidation_basis_circle"), "consolidation_basis", ["circle"], unique=False)
    op.create_index(op.f("ix_consolidation_basis_lender"), "consolidation_basis", ["lender"], unique=False)
    op.create_table(
        "contract_proposal",
        sa.Column("proposal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("proposal_id"),
    )
    op.create_index(op.f("ix_contract_proposal_agency"), "contract_proposal", ["agency"], unique=False)
    op.create_table(
        "correction",
        sa.Column("correction_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("confirmed_on", sa.Date(), nullable=True),
        sa.Column("confirmed_by_file_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("correction_id"),
        sa.UniqueConstraint("transmission_id", "placement_id", "field"),
    )
    op.create_index(op.f("ix_correction_placement_id"), "correction", ["placement_id"], unique=False)
    op.create_index(op.f("ix_correction_request_id"), "correction", ["request_id"], unique=False)
    op.create_index(op.f("ix_correction_transmission_id"), "correction", ["transmission_id"], unique=False)
    op.create_table(
        "debtor",
        sa.Column("debtor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("identity_index", sa.String(), nullable=False),
        sa.Column("linkage", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("debtor_id"),
        sa.UniqueConstraint("lender", "identity_index"),
    )
    op.create_table(
        "disclosure",
        sa.Column("disclosure_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("treatment", sa.String(), nullable=False),
        sa.Column("value_class", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("disclosed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erase_by", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("disclosure_id"),
        sa.UniqueConstraint("transmission_id", "field"),
    )
    op.create_table(
        "disclosure_account",
        sa.Column("transmission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("told_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("transmission_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_disclosure_account_account_id"), "disclosure_account", ["account_id"], unique=False)
    op.create_index(op.f("ix_disclosure_account_placement_id"), "disclosure_account", ["placement_id"], unique=False)
    op.create_table(
        "due_diligence",
        sa.Column("diligence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("stored_path", sa.String(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("diligence_id"),
    )
    op.create_index(op.f("ix_due_diligence_agency"), "due_diligence", ["agency"], unique=False)
    op.create_table(
        "erased_account",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shredding_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index(op.f("ix_erased_account_debtor_id"), "erased_account", ["debtor_id"], unique=False)
    op.create_index(op.f("ix_erased_account_shredding_id"), "erased_account", ["shredding_id"], unique=False)
    op.create_table(
        "erased_mark",
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("lender", "mark"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=True),
        sa.Column("certificate_file_id", sa.BigInteger(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("method", sa.String(), nullable=True),
        sa.Column("certified_by", sa.String(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("erasure_id"),
        sa.UniqueConstraint("placement_id"),
    )
    op.create_index("erasure_listed", "erasure", ["agency", "verified_at", "due_on", "erasure_id"], unique=False)
    op.create_index(
        "erasure_owed",
        "erasure",
        ["due_on", "erasure_id"],
        unique=False,
        sqlite_where=sa.text("verified_at IS NULL"),
        postgresql_where=sa.text("verified_at IS NULL"),
    )
    op.create_index(op.f("ix_erasure_transmission_id"), "erasure", ["transmission_id"], unique=False)
    op.create_table(
        "escrow",
        sa.Column("escrow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.String(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("escrow_id"),
    )
    op.create_table(
        "evaluation",
        sa.Column("evaluation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("evaluation_id"),
    )
    op.create_table(
        "exception_comment",
        sa.Column("comment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("exception_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("comment_id"),
    )
    op.create_index(op.f("ix_exception_comment_exception_id"), "exception_comment", ["exception_id"], unique=False)
    op.create_table(
        "exchange_exception",
        sa.Column("exception_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("lender", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("resolution", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("exception_id"),
        sa.UniqueConstraint("code", "subject", "occurrence"),
    )
    op.create_index(op.f("ix_exchange_exception_agency"), "exchange_exception", ["agency"], unique=False)
    op.create_index(op.f("ix_exchange_exception_state"), "exchange_exception", ["state"], unique=False)
    op.create_table(
        "file_refusal",
        sa.Column("refusal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("at_line", sa.BigInteger(), nullable=True),
        sa.Column("at_column", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("refusal_id"),
    )
    op.create_index(op.f("ix_file_refusal_transmission_id"), "file_refusal", ["transmission_id"], unique=False)
    op.create_table(
        "gate",
        sa.Column("gate_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("pack", sa.String(), nullable=False),
        sa.Column("gate", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("measured", sa.Float(), nullable=False),
        sa.Column("bound", sa.Float(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("lift_until", sa.Date(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("gate_id"),
        sa.UniqueConstraint("agency", "lender", "pack", "gate"),
    )
    op.create_table(
        "gate_allowance",
        sa.Column("allowance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("column_name", sa.String(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("allowance_id"),
    )
    op.create_index(op.f("ix_gate_allowance_state"), "gate_allowance", ["state"], unique=False)
    op.create_table(
        "gate_check",
        sa.Column("transmission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_by", sa.String(), nullable=False),
        sa.Column("package_sha256", sa.String(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("cells", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.String(), nullable=False),
        sa.Column("stopping", sa.Integer(), nullable=False),
        sa.Column("quasi", sa.String(), nullable=False),
        sa.Column("limits", sa.String(), nullable=False),
        sa.Column("coarser", sa.String(), nullable=False),
        sa.Column("steps", sa.String(), nullable=False),
        sa.Column("suppressed", sa.Integer(), nullable=False),
        sa.Column("k_before", sa.Integer(), nullable=True),
        sa.Column("k_after", sa.Integer(), nullable=True),
        sa.Column("l_before", sa.Integer(), nullable=True),
        sa.Column("l_after", sa.Integer(), nullable=True),
        sa.Column("unique_before", sa.Integer(), nullable=False),
        sa.Column("unique_after", sa.Integer(), nullable=False),
        sa.Column("sizes_before", sa.String(), nullable=False),
        sa.Column("sizes_after", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("transmission_id"),
    )
    op.create_index(op.f("ix_gate_check_verdict"), "gate_check", ["verdict"], unique=False)
    op.create_table(
        "hold",
        sa.Column("hold_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hold_id"),
    )
    op.create_index(op.f("ix_hold_debtor_id"), "hold", ["debtor_id"], unique=False)
    op.create_table(
        "host_key",
        sa.Column("host_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("others_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_by", sa.String(), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("host_key_id"),
    )
    op.create_index(op.f("ix_host_key_agency"), "host_key", ["agency"], unique=False)
    op.create_table(
        "id_counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("next_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "identity",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("data_key_id", sa.String(), nullable=False),
        sa.Column("account_ref", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.Column("id_number", sa.LargeBinary(), nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_alt", sa.LargeBinary(), nullable=True),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("employer", sa.LargeBinary(), nullable=True),
        sa.Column("contact_name", sa.LargeBinary(), nullable=True),
        sa.Column("contact_phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.BigInteger(), nullable=True),
        sa.Column("phone_alt_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index(op.f("ix_identity_data_key_id"), "identity", ["data_key_id"], unique=False)
    op.create_index(op.f("ix_identity_phone_alt_index"), "identity", ["phone_alt_index"], unique=False)
    op.create_index(op.f("ix_identity_phone_index"), "identity", ["phone_index"], unique=False)
    op.create_index(op.f("ix_identity_portfolio_id"), "identity", ["portfolio_id"], unique=False)
    op.create_table(
        "identity_key",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shredding_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index(op.f("ix_identity_key_destroyed_at"), "identity_key", ["destroyed_at"], unique=False)
    op.create_table(
        "inbound_file",
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sealed_sha256", sa.String(), nullable=False),
        sa.Column("sealed_size", sa.BigInteger(), nullable=False),
        sa.Column("stored_path", sa.String(), nullable=False),
        sa.Column("package_sha256", sa.String(), nullable=True),
        sa.Column("previous_sha256", sa.String(), nullable=True),
        sa.Column("signer", sa.String(), nullable=True),
        sa.Column("layout", sa.String(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("rows_refused", sa.Integer(), nullable=False),
        sa.Column("sums", sa.String(), nullable=True),
        sa.Column("refusal_code", sa.String(), nullable=True),
        sa.Column("refusal_fix", sa.String(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_transmission_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("file_id"),
        sa.UniqueConstraint("agency", "sealed_sha256"),
    )
    op.create_index(op.f("ix_inbound_file_state"), "inbound_file", ["state"], unique=False)
    op.create_table(
        "inbound_reject",
        sa.Column("reject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("fix", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("reject_id"),
    )
    op.create_index(op.f("ix_inbound_reject_file_id"), "inbound_reject", ["file_id"], unique=False)
    op.create_table(
        "instalment",
        sa.Column("instalment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instalment_plan_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instalment_id"),
        sa.UniqueConstraint("instalment_plan_id", "number"),
    )
    op.create_table(
        "instalment_plan",
        sa.Column("instalment_plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("plan_ref", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("instalments", sa.Integer(), nullable=False),
        sa.Column("first_due_on", sa.Date(), nullable=False),
        sa.Column("last_due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("income_band", sa.String(), nullable=True),
        sa.Column("limits", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("codes", sa.String(), nullable=False),
        sa.Column("ability", sa.String(), nullable=True),
        sa.Column("willingness", sa.String(), nullable=True),
        sa.Column("balance_minor", sa.BigInteger(), nullable=True),
        sa.Column("first_by", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agreed_on", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("answered_as", sa.String(), nullable=True),
        sa.Column("answered_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instalment_plan_id"),
        sa.UniqueConstraint("agency", "lender", "plan_ref"),
    )
    op.create_index("instalment_plan_agency", "instalment_plan", ["agency", "instalment_plan_id"], unique=False)
    op.create_index("instalment_plan_state", "instalment_plan", ["state", "instalment_plan_id"], unique=False)
    op.create_index(op.f("ix_instalment_plan_answered_id"), "instalment_plan", ["answered_id"], unique=False)
    op.create_index(op.f("ix_instalment_plan_placement_id"), "instalment_plan", ["placement_id"], unique=False)
    op.create_table(
        "intake_reject",
        sa.Column("reject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("fix", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("reject_id"),
    )
    op.create_index(op.f("ix_intake_reject_portfolio_id"), "intake_reject", ["portfolio_id"], unique=False)
    op.create_table(
        "invoice_line",
        sa.Column("invoice_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("invoice_no", sa.String(), nullable=False),
        sa.Column("txn_ref", sa.String(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("base_minor", sa.BigInteger(), nullable=False),
        sa.Column("commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answered_as", sa.String(), nullable=True),
        sa.Column("answered_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("invoice_line_id"),
    )
    op.create_index(op.f("ix_invoice_line_answered_id"), "invoice_line", ["answered_id"], unique=False)
    op.create_index(op.f("ix_invoice_line_file_id"), "invoice_line", ["file_id"], unique=False)
    op.create_index(op.f("ix_invoice_line_line_id"), "invoice_line", ["line_id"], unique=False)
    op.create_table(
        "job",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("identifiers", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("of", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("fix", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_index(op.f("ix_job_state"), "job", ["state"], unique=False)
    op.create_table(
        "joint_payment",
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("payment_ref", sa.String(), nullable=False),
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("split_order", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("surplus_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("payment_id"),
        sa.UniqueConstraint("agency", "payment_ref"),
    )
    op.create_table(
        "joint_share",
        sa.Column("share_ref", sa.String(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("share_ref"),
    )
    op.create_index(op.f("ix_joint_share_account_id"), "joint_share", ["account_id"], unique=False)
    op.create_index(op.f("ix_joint_share_lender"), "joint_share", ["lender"], unique=False)
    op.create_index(op.f("ix_joint_share_payment_id"), "joint_share", ["payment_id"], unique=False)
    op.create_table(
        "journal_batch",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    op.create_table(
        "journal_line",
        sa.Column("journal_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal_line_id"),
    )
    op.create_index(op.f("ix_journal_line_account_id"), "journal_line", ["account_id"], unique=False)
    op.create_index(op.f("ix_journal_line_entry_id"), "journal_line", ["entry_id"], unique=False)
    op.create_table(
        "key_request",
        sa.Column("request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("encrypt", sa.String(), nullable=False),
        sa.Column("verify", sa.String(), nullable=False),
        sa.Column("encrypt_fingerprint", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("others_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index(op.f("ix_key_request_agency"), "key_request", ["agency"], unique=False)
    op.create_table(
        "layout_profile",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("toml", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_index(op.f("ix_layout_profile_sha256"), "layout_profile", ["sha256"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "ledger_account",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("zh", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("chart", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "legal_hold",
        sa.Column("legal_hold_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("record_class", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("legal_hold_id"),
    )
    op.create_table(
        "lender",
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("rule_packs", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("lender"),
    )
    op.create_table(
        "linked_debtor",
        sa.Column("circle", sa.String(), nullable=False),
        sa.Column("debtor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("circle", "debtor_id"),
    )
    op.create_index(op.f("ix_linked_debtor_debtor_id"), "linked_debtor", ["debtor_id"], unique=False)
    op.create_index("linked_debtor_link", "linked_debtor", ["circle", "link"], unique=False)
    op.create_table(
        "match",
        sa.Column("match_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("match_id"),
    )
    op.create_index(
        "match_unsettled",
        "match",
        ["match_id"],
        unique=False,
        sqlite_where=sa.text("status IN ('suggested', 'ambiguous')"),
        postgresql_where=sa.text("status IN ('suggested', 'ambiguous')"),
    )
    op.create_table(
        "match_part",
        sa.Column("part_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("match_id", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part_id"),
    )
    op.create_index(op.f("ix_match_part_line_id"), "match_part", ["line_id"], unique=False)
    op.create_index(op.f("ix_match_part_match_id"), "match_part", ["match_id"], unique=False)
    op.create_index(op.f("ix_match_part_receipt_id"), "match_part", ["receipt_id"], unique=False)
    op.create_table(
        "match_rival",
        sa.Column("rival_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("match_id", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("receipt_id", sa.BigInteger(), nullable=True),
        sa.Column("off_minor", sa.BigInteger(), nullable=False),
        sa.Column("off_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rival_id"),
    )
    op.create_index(op.f("ix_match_rival_match_id"), "match_rival", ["match_id"], unique=False)
    op.create_table(
        "payment_run",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("payer_name", sa.String(), nullable=False),
        sa.Column("payer_account", sa.String(), nullable=False),
        sa.Column("payer_bank", sa.String(), nullable=True),
        sa.Column("pay_on", sa.Date(), nullable=False),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("second_approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exported_by", sa.String(), nullable=True),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
        sa.UniqueConstraint("message_id"),
    )
    op.create_index(op.f("ix_payment_run_lender"), "payment_run", ["lender"], unique=False)
    op.create_table(
        "period_acceptance",
        sa.Column("acceptance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("finding", sa.String(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("acceptance_id"),
    )
    op.create_index(op.f("ix_period_acceptance_lender"), "period_acceptance", ["lender"], unique=False)
    op.create_table(
        "period_closing",
        sa.Column("closing_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("since", sa.String(), nullable=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("journal_sha256", sa.String(), nullable=False),
        sa.Column("balance_sha256", sa.String(), nullable=False),
        sa.Column("statements", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("accepted", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("closing_id"),
        sa.UniqueConstraint("lender", "period", "revision"),
    )
    op.create_table(
        "period_reopening",
        sa.Column("reopening_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("closing_id", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name="two_people"),
        sa.PrimaryKeyConstraint("reopening_id"),
    )
    op.create_index(op.f("ix_period_reopening_lender"), "period_reopening", ["lender"], unique=False)
    op.create_table(
        "person",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=True),
        sa.Column("password_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_confirmed", sa.Boolean(), nullable=False),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor"),
    )
    op.create_index(op.f("ix_person_agency"), "person", ["agency"], unique=False)
    op.create_table(
        "placement",
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("dpd", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("score_band", sa.String(), nullable=True),
        sa.Column("placed_on", sa.Date(), nullable=False),
        sa.Column("due_back_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("key_generation", sa.String(), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booked_minor", sa.BigInteger(), nullable=True),
        sa.Column("told_minor", sa.BigInteger(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("placement_id"),
        sa.UniqueConstraint("plan_id", "account_id"),
    )
    op.create_index(op.f("ix_placement_debtor_id"), "placement", ["debtor_id"], unique=False)
    op.create_index(op.f("ix_placement_transmission_id"), "placement", ["transmission_id"], unique=False)
    op.create_index("placement_account_state", "placement", ["account_id", "state"], unique=False)
    op.create_index("placement_agency_account", "placement", ["agency", "account_id"], unique=False)
    op.create_index(
        "placement_listed", "placement", ["lender", "agency", "state", "due_back_on", "placement_id"], unique=False
    )
    op.create_table(
        "plan",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("policy_sha256", sa.String(), nullable=False),
        sa.Column("allocator", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("inputs_sha256", sa.String(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("term_days", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("plan_id"),
    )
    op.create_index(op.f("ix_plan_lender"), "plan", ["lender"], unique=False)
    op.create_table(
        "plan_exclusion",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "account_id"),
    )
    op.create_index("plan_exclusion_reason", "plan_exclusion", ["plan_id", "reason", "account_id"], unique=False)
    op.create_table(
        "plan_line",
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("dpd", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("plan_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("plan_line_agency", "plan_line", ["plan_id", "agency"], unique=False)
    op.create_table(
        "portfolio",
        sa.Column("portfolio_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_sha256", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows_read", sa.Integer(), nullable=False),
        sa.Column("rows_accepted", sa.Integer(), nullable=False),
        sa.Column("rows_refused", sa.Integer(), nullable=False),
        sa.Column("rows_new", sa.Integer(), nullable=False),
        sa.Column("rows_updated", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("portfolio_id"),
        sa.UniqueConstraint("lender", "profile", "source_sha256", "as_of"),
    )
    op.create_index(op.f("ix_portfolio_lender"), "portfolio", ["lender"], unique=False)
    op.create_table(
        "propensity_model",
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("first_placed_on", sa.Date(), nullable=False),
        sa.Column("last_placed_on", sa.Date(), nullable=False),
        sa.Column("placements", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("inputs_sha256", sa.String(), nullable=False),
        sa.Column("numbers", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("measured", sa.String(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("model_id"),
    )
    op.create_index(op.f("ix_propensity_model_lender"), "propensity_model", ["lender"], unique=False)
    op.create_table(
        "propensity_score",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("scored_on", sa.Date(), nullable=False),
        sa.Column("chance", sa.Float(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("expected_minor", sa.BigInteger(), nullable=False),
        sa.Column("band", sa.String(), nullable=False),
        sa.Column("written_band", sa.String(), nullable=True),
        sa.Column("lender_band", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index("propensity_score_lender", "propensity_score", ["lender", "account_id"], unique=False)
    op.create_table(
        "recall",
        sa.Column("recall_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_on", sa.Date(), nullable=True),
        sa.Column("confirmed_by_file_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("recall_id"),
        sa.UniqueConstraint("placement_id"),
    )
    op.create_index(op.f("ix_recall_transmission_id"), "recall", ["transmission_id"], unique=False)
    op.create_index("recall_listed", "recall", ["agency", "confirmed_on", "due_on", "recall_id"], unique=False)
    op.create_table(
        "recall_objection",
        sa.Column("objection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("keep_until", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transmission_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("objection_id"),
        sa.UniqueConstraint("file_id", "line"),
    )
    op.create_index(op.f("ix_recall_objection_placement_id"), "recall_objection", ["placement_id"], unique=False)
    op.create_table(
        "recall_proposal",
        sa.Column("proposal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("strategy_sha256", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("placements", sa.Integer(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("proposal_id"),
    )
    op.create_index(op.f("ix_recall_proposal_lender"), "recall_proposal", ["lender"], unique=False)
    op.create_table(
        "recall_proposal_line",
        sa.Column("proposal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("next_level", sa.String(), nullable=False),
        sa.Column("next_stage", sa.String(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("days_held", sa.Integer(), nullable=False),
        sa.Column("days_without_payment", sa.Integer(), nullable=False),
        sa.Column("days_without_activity", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", "placement_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "register_question",
        sa.Column("question_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("question_id"),
    )
    op.create_index(op.f("ix_register_question_actor"), "register_question", ["actor"], unique=False)
    op.create_table(
        "reidentification",
        sa.Column("reidentification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("reidentification_id"),
    )
    op.create_index(op.f("ix_reidentification_actor"), "reidentification", ["actor"], unique=False)
    op.create_table(
        "release_policy",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("toml", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("over", sa.String(), nullable=True),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=True),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "remittance_line",
        sa.Column("line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_id", sa.String(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("txn_ref", sa.String(), nullable=True),
        sa.Column("original_txn_ref", sa.String(), nullable=True),
        sa.Column("original_line_id", sa.BigInteger(), nullable=True),
        sa.Column("batch_ref", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_commission_minor", sa.BigInteger(), nullable=True),
        sa.Column("due_vat_minor", sa.BigInteger(), nullable=True),
        sa.Column("rate", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cash_minor", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("why_minor", sa.BigInteger(), nullable=True),
        sa.Column("why_days", sa.Integer(), nullable=True),
        sa.Column("why_count", sa.Integer(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("statement_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("line_id"),
    )
    op.create_index(op.f("ix_remittance_line_account_id"), "remittance_line", ["account_id"], unique=False)
    op.create_index(
        "ix_remittance_line_batch_ref",
        "remittance_line",
        ["batch_ref"],
        unique=False,
        postgresql_ops={"batch_ref": "varchar_pattern_ops"},
    )
    op.create_index(op.f("ix_remittance_line_content_id"), "remittance_line", ["content_id"], unique=False)
    op.create_index(op.f("ix_remittance_line_file_id"), "remittance_line", ["file_id"], unique=False)
    op.create_index(op.f("ix_remittance_line_placement_id"), "remittance_line", ["placement_id"], unique=False)
    op.create_index(
        "ix_remittance_line_txn_ref",
        "remittance_line",
        ["txn_ref"],
        unique=False,
        postgresql_ops={"txn_ref": "varchar_pattern_ops"},
    )
    op.create_index("remittance_agency_state", "remittance_line", ["agency", "state", "value_date"], unique=False)
    op.create_index(
        "remittance_open",
        "remittance_line",
        ["lender", "agency", "state", "net_minor", "value_date"],
        unique=False,
        sqlite_where=sa.text("state IN ('awaiting_cash', 'part_matched')"),
        postgresql_where=sa.text("state IN ('awaiting_cash', 'part_matched')"),
    )
    op.create_index("remittance_state_day", "remittance_line", ["state", "value_date"], unique=False)
    op.create_table(
        "resolution",
        sa.Column("resolution_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("break_id", sa.BigInteger(), nullable=True),
        sa.Column("others", sa.Integer(), nullable=False),
        sa.Column("limits_version", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agreed_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why_not", sa.String(), nullable=False),
        sa.Column("match_id", sa.BigInteger(), nullable=True),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("undone_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("resolution_id"),
    )
    op.create_index(op.f("ix_resolution_break_id"), "resolution", ["break_id"], unique=False)
    op.create_index(op.f("ix_resolution_lender"), "resolution", ["lender"], unique=False)
    op.create_index(op.f("ix_resolution_sha256"), "resolution", ["sha256"], unique=False)
    op.create_index(op.f("ix_resolution_state"), "resolution", ["state"], unique=False)
    op.create_table(
        "rulebook",
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("toml", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("sort", "name", "version"),
    )
    op.create_table(
        "score",
        sa.Column("score_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("expected", sa.Float(), nullable=True),
        sa.Column("actual", sa.Float(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("score_id"),
    )
    op.create_index(op.f("ix_score_run_id"), "score", ["run_id"], unique=False)
    op.create_table(
        "score_run",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("inputs_sha256", sa.String(), nullable=False),
        sa.Column("placements", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "seed_commitment",
        sa.Column("commitment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("committed_by", sa.String(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=True),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("commitment_id"),
    )
    op.create_table(
        "shredding",
        sa.Column("shredding_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.Column("debtors", sa.BigInteger(), nullable=False),
        sa.Column("resealed", sa.BigInteger(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("shredding_id"),
    )
    op.create_index(op.f("ix_shredding_state"), "shredding", ["state"], unique=False)
    op.create_table(
        "sign_in_failure",
        sa.Column("subject_hash", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_hash"),
    )
    op.create_table(
        "stage_move",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_stage", sa.String(), nullable=False),
        sa.Column("to_stage", sa.String(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("stage_move_account", "stage_move", ["account_id"], unique=False)
    op.create_index(
        "stage_move_group",
        "stage_move",
        ["run_id", "to_stage", "rule", "why", "from_stage", "account_id"],
        unique=False,
    )
    op.create_table(
        "statement",
        sa.Column("statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("adjusted_commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("adjusted_vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("retained_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("closing_minor", sa.BigInteger(), nullable=False),
        sa.Column("late_lines", sa.Integer(), nullable=False),
        sa.Column("csv_path", sa.String(), nullable=False),
        sa.Column("xlsx_path", sa.String(), nullable=False),
        sa.Column("pdf_path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("xlsx_sha256", sa.String(), nullable=False),
        sa.Column("pdf_sha256", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transmission_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("statement_id"),
        sa.UniqueConstraint("lender", "agency", "period", "currency"),
    )
    op.create_table(
        "strategy_run",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("strategy_sha256", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("plans", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index(op.f("ix_strategy_run_lender"), "strategy_run", ["lender"], unique=False)
    op.create_table(
        "subject_request",
        sa.Column("request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("within", sa.String(), nullable=False),
        sa.Column("clause", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.Column("proof", sa.String(), nullable=True),
        sa.Column("verified_by", sa.String(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("basis", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("answer_sha256", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index(op.f("ix_subject_request_debtor_id"), "subject_request", ["debtor_id"], unique=False)
    op.create_index(op.f("ix_subject_request_lender"), "subject_request", ["lender"], unique=False)
    op.create_index(op.f("ix_subject_request_state"), "subject_request", ["state"], unique=False)
    op.create_table(
        "transmission",
        sa.Column("transmission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("work_key", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("prepared_on", sa.Date(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("control_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=True),
        sa.Column("layout", sa.String(), nullable=True),
        sa.Column("key_ids", sa.String(), nullable=True),
        sa.Column("package_sha256", sa.String(), nullable=True),
        sa.Column("sealed_sha256", sa.String(), nullable=True),
        sa.Column("sealed_size", sa.BigInteger(), nullable=True),
        sa.Column("sealed_path", sa.String(), nullable=True),
        sa.Column("previous_sha256", sa.String(), nullable=True),
        sa.Column("audit_head", sa.String(), nullable=True),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("intent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("transmission_id"),
        sa.UniqueConstraint("lender", "agency", "kind", "sequence"),
        sa.UniqueConstraint("work_key"),
    )
    op.create_index(op.f("ix_transmission_state"), "transmission", ["state"], unique=False)
    op.create_table(
        "access_token",
        sa.Column("token_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["actor"], ["person.actor"]),
        sa.PrimaryKeyConstraint("token_id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index(op.f("ix_access_token_actor"), "access_token", ["actor"], unique=False)
    op.create_table(
        "journal_entry",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry_key", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("lender", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("reverses_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["journal_batch.batch_id"], initially="DEFERRED", deferrable=True),
        sa.PrimaryKeyConstraint("entry_id"),
        sa.UniqueConstraint("entry_key"),
        sa.UniqueConstraint("reverses_id"),
    )
    op.create_index(op.f("ix_journal_entry_batch_id"), "journal_entry", ["batch_id"], unique=False)
    op.create_table(
        "person_session",
        sa.Column("session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cookie_hash", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("factors", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("browser", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["person.actor"]),
        sa.PrimaryKeyConstraint("session_id"),
        sa.UniqueConstraint("cookie_hash"),
    )
    op.create_index(op.f("ix_person_session_actor"), "person_session", ["actor"], unique=False)
    op.create_table(
        "recovery_code",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["actor"], ["person.actor"]),
        sa.PrimaryKeyConstraint("actor", "code_hash"),
    )


def downgrade() -> None:
    op.drop_table("recovery_code")
    op.drop_index(op.f("ix_person_session_actor"), table_name="person_session")
    op.drop_table("person_session")
    op.drop_index(op.f("ix_journal_entry_batch_id"), table_name="journal_entry")
    op.drop_table("journal_entry")
    op.drop_index(op.f("ix_access_token_actor"), table_name="access_token")
    op.drop_table("access_token")
    op.drop_index(op.f("ix_transmission_state"), table_name="transmission")
    op.drop_table("transmission")
    op.drop_index(op.f("ix_subject_request_state"), table_name="subject_request")
    op.drop_index(op.f("ix_subject_request_lender"), table_name="subject_request")
    op.drop_index(op.f("ix_subject_request_debtor_id"), table_name="subject_request")
    op.drop_table("subject_request")
    op.drop_index(op.f("ix_strategy_run_lender"), table_name="strategy_run")
    op.drop_table("strategy_run")
    op.drop_table("statement")
    op.drop_index("stage_move_group", table_name="stage_move")
    op.drop_index("stage_move_account", table_name="stage_move")
    op.drop_table("stage_move")
    op.drop_table("sign_in_failure")
    op.drop_index(op.f("ix_shredding_state"), table_name="shredding")
    op.drop_table("shredding")
    op.drop_table("seed_commitment")
    op.drop_table("score_run")
    op.drop_index(op.f("ix_score_run_id"), table_name="score")
    op.drop_table("score")
    op.drop_table("rulebook")
    op.drop_index(op.f("ix_resolution_state"), table_name="resolution")
    op.drop_index(op.f("ix_resolution_sha256"), table_name="resolution")
    op.drop_index(op.f("ix_resolution_lender"), table_name="resolution")
    op.drop_index(op.f("ix_resolution_break_id"), table_name="resolution")
    op.drop_table("resolution")
    op.drop_index("remittance_state_day", table_name="remittance_line")
    op.drop_index(
        "remittance_open",
        table_name="remittance_line",
        sqlite_where=sa.text("state IN ('awaiting_cash', 'part_matched')"),
        postgresql_where=sa.text("state IN ('awaiting_cash', 'part_matched')"),
    )
    op.drop_index("remittance_agency_state", table_name="remittance_line")
    op.drop_index(
        "ix_remittance_line_txn_ref", table_name="remittance_line", postgresql_ops={"txn_ref": "varchar_pattern_ops"}
    )
    op.drop_index(op.f("ix_remittance_line_placement_id"), table_name="remittance_line")
    op.drop_index(op.f("ix_remittance_line_file_id"), table_name="remittance_line")
    op.drop_index(op.f("ix_remittance_line_content_id"), table_name="remittance_line")
    op.drop_index(
        "ix_remittance_line_batch_ref",
        table_name="remittance_line",
        postgresql_ops={"batch_ref": "varchar_pattern_ops"},
    )
    op.drop_index(op.f("ix_remittance_line_account_id"), table_name="remittance_line")
    op.drop_table("remittance_line")
    op.drop_table("release_policy")
    op.drop_index(op.f("ix_reidentification_actor"), table_name="reidentification")
    op.drop_table("reidentification")
    op.drop_index(op.f("ix_register_question_actor"), table_name="register_question")
    op.drop_table("register_question")
    op.drop_table("recall_proposal_line")
    op.drop_index(op.f("ix_recall_proposal_lender"), table_name="recall_proposal")
    op.drop_table("recall_proposal")
    op.drop_index(op.f("ix_recall_objection_placement_id"), table_name="recall_objection")
    op.drop_table("recall_objection")
    op.drop_index("recall_listed", table_name="recall")
    op.drop_index(op.f("ix_recall_transmission_id"), table_name="recall")
    op.drop_table("recall")
    op.drop_index("propensity_score_lender", table_name="propensity_score")
    op.drop_table("propensity_score")
    op.drop_index(op.f("ix_propensity_model_lender"), table_name="propensity_model")
    op.drop_table("propensity_model")
    op.drop_index(op.f("ix_portfolio_lender"), table_name="portfolio")
    op.drop_table("portfolio")
    op.drop_index("plan_line_agency", table_name="plan_line")
    op.drop_table("plan_line")
    op.drop_index("plan_exclusion_reason", table_name="plan_exclusion")
    op.drop_table("plan_exclusion")
    op.drop_index(op.f("ix_plan_lender"), table_name="plan")
    op.drop_table("plan")
    op.drop_index("placement_listed", table_name="placement")
    op.drop_index("placement_agency_account", table_name="placement")
    op.drop_index("placement_account_state", table_name="placement")
    op.drop_index(op.f("ix_placement_transmission_id"), table_name="placement")
    op.drop_index(op.f("ix_placement_debtor_id"), table_name="placement")
    op.drop_table("placement")
    op.drop_index(op.f("ix_person_agency"), table_name="person")
    op.drop_table("person")
    op.drop_index(op.f("ix_period_reopening_lender"), table_name="period_reopening")
    op.drop_table("period_reopening")
    op.drop_table("period_closing")
    op.drop_index(op.f("ix_period_acceptance_lender"), table_name="period_acceptance")
    op.drop_table("period_acceptance")
    op.drop_index(op.f("ix_payment_run_lender"), table_name="payment_run")
    op.drop_table("payment_run")
    op.drop_index(op.f("ix_match_rival_match_id"), table_name="match_rival")
    op.drop_table("match_rival")
    op.drop_index(op.f("ix_match_part_receipt_id"), table_name="match_part")
    op.drop_index(op.f("ix_match_part_match_id"), table_name="match_part")
    op.drop_index(op.f("ix_match_part_line_id"), table_name="match_part")
    op.drop_table("match_part")
    op.drop_index(
        "match_unsettled",
        table_name="match",
        sqlite_where=sa.text("status IN ('suggested', 'ambiguous')"),
        postgresql_where=sa.text("status IN ('suggested', 'ambiguous')"),
    )
    op.drop_table("match")
    op.drop_index("linked_debtor_link", table_name="linked_debtor")
    op.drop_index(op.f("ix_linked_debtor_debtor_id"), table_name="linked_debtor")
    op.drop_table("linked_debtor")
    op.drop_table("lender")
    op.drop_table("legal_hold")
    op.drop_table("ledger_account")
    op.drop_table("lease")
    op.drop_index(op.f("ix_layout_profile_sha256"), table_name="layout_profile")
    op.drop_table("layout_profile")
    op.drop_index(op.f("ix_key_request_agency"), table_name="key_request")
    op.drop_table("key_request")
    op.drop_index(op.f("ix_journal_line_entry_id"), table_name="journal_line")
    op.drop_index(op.f("ix_journal_line_account_id"), table_name="journal_line")
    op.drop_table("journal_line")
    op.drop_table("journal_batch")
    op.drop_index(op.f("ix_joint_share_payment_id"), table_name="joint_share")
    op.drop_index(op.f("ix_joint_share_lender"), table_name="joint_share")
    op.drop_index(op.f("ix_joint_share_account_id"), table_name="joint_share")
    op.drop_table("joint_share")
    op.drop_table("joint_payment")
    op.drop_index(op.f("ix_job_state"), table_name="job")
    op.drop_table("job")
    op.drop_index(op.f("ix_invoice_line_line_id"), table_name="invoice_line")
    op.drop_index(op.f("ix_invoice_line_file_id"), table_name="invoice_line")
    op.drop_index(op.f("ix_invoice_line_answered_id"), table_name="invoice_line")
    op.drop_table("invoice_line")
    op.drop_index(op.f("ix_intake_reject_portfolio_id"), table_name="intake_reject")
    op.drop_table("intake_reject")
    op.drop_index(op.f("ix_instalment_plan_placement_id"), table_name="instalment_plan")
    op.drop_index(op.f("ix_instalment_plan_answered_id"), table_name="instalment_plan")
    op.drop_index("instalment_plan_state", table_name="instalment_plan")
    op.drop_index("instalment_plan_agency", table_name="instalment_plan")
    op.drop_table("instalment_plan")
    op.drop_table("instalment")
    op.drop_index(op.f("ix_inbound_reject_file_id"), table_name="inbound_reject")
    op.drop_table("inbound_reject")
    op.drop_index(op.f("ix_inbound_file_state"), table_name="inbound_file")
    op.drop_table("inbound_file")
    op.drop_index(op.f("ix_identity_key_destroyed_at"), table_name="identity_key")
    op.drop_table("identity_key")
    op.drop_index(op.f("ix_identity_portfolio_id"), table_name="identity")
    op.drop_index(op.f("ix_identity_phone_index"), table_name="identity")
    op.drop_index(op.f("ix_identity_phone_alt_index"), table_name="identity")
    op.drop_index(op.f("ix_identity_data_key_id"), table_name="identity")
    op.drop_table("identity")
    op.drop_table("id_counter")
    op.drop_index(op.f("ix_host_key_agency"), table_name="host_key")
    op.drop_table("host_key")
    op.drop_index(op.f("ix_hold_debtor_id"), table_name="hold")
    op.drop_table("hold")
    op.drop_index(op.f("ix_gate_check_verdict"), table_name="gate_check")
    op.drop_table("gate_check")
    op.drop_index(op.f("ix_gate_allowance_state"), table_name="gate_allowance")
    op.drop_table("gate_allowance")
    op.drop_table("gate")
    op.drop_index(op.f("ix_file_refusal_transmission_id"), table_name="file_refusal")
    op.drop_table("file_refusal")
    op.drop_index(op.f("ix_exchange_exception_state"), table_name="exchange_exception")
    op.drop_index(op.f("ix_exchange_exception_agency"), table_name="exchange_exception")
    op.drop_table("exchange_exception")
    op.drop_index(op.f("ix_exception_comment_exception_id"), table_name="exception_comment")
    op.drop_table("exception_comment")
    op.drop_table("evaluation")
    op.drop_table("escrow")
    op.drop_index(op.f("ix_erasure_transmission_id"), table_name="erasure")
    op.drop_index(
        "erasure_owed",
        table_name="erasure",
        sqlite_where=sa.text("verified_at IS NULL"),
        postgresql_where=sa.text("verified_at IS NULL"),
    )
    op.drop_index("erasure_listed", table_name="erasure")
    op.drop_table("erasure")
    op.drop_table("erased_mark")
    op.drop_index(op.f("ix_erased_account_shredding_id"), table_name="erased_account")
    op.drop_index(op.f("ix_erased_account_debtor_id"), table_name="erased_account")
    op.drop_table("erased_account")
    op.drop_index(op.f("ix_due_diligence_agency"), table_name="due_diligence")
    op.drop_table("due_diligence")
    op.drop_index(op.f("ix_disclosure_account_placement_id"), table_name="disclosure_account")
    op.drop_index(op.f("ix_disclosure_account_account_id"), table_name="disclosure_account")
    op.drop_table("disclosure_account")
    op.drop_table("disclosure")
    op.drop_table("debtor")
    op.drop_index(op.f("ix_correction_transmission_id"), table_name="correction")
    op.drop_index(op.f("ix_correction_request_id"), table_name="correction")
    op.drop_index(op.f("ix_correction_placement_id"), table_name="correction")
    op.drop_table("correction")
    op.drop_index(op.f("ix_contract_proposal_agency"), table_name="contract_proposal")
    op.drop_table("contract_proposal")
    op.drop_index(op.f("ix_consolidation_basis_lender"), table_name="consolidation_basis")
    op.drop_index(op.f("ix_consolidation_basis_circle"), table_name="consolidation_basis")
    op.drop_table("consolidation_basis")
    op.drop_table("conduct_run")
    op.drop_index(op.f("ix_complaint_placement_id"), table_name="complaint")
    op.drop_table("complaint")
    op.drop_index(op.f("ix_commission_adjustment_statement_id"), table_name="commission_adjustment")
    op.drop_index(op.f("ix_commission_adjustment_placement_id"), table_name="commission_adjustment")
    op.drop_index(op.f("ix_commission_adjustment_line_id"), table_name="commission_adjustment")
    op.drop_table("commission_adjustment")
    op.drop_table("client_key_use")
    op.drop_table("circuit")
    op.drop_table("certification_step")
    op.drop_index(op.f("ix_certification_agency"), table_name="certification")
    op.drop_table("certification")
    op.drop_index(op.f("ix_certificate_waiver_agency"), table_name="certificate_waiver")
    op.drop_table("certificate_waiver")
    op.drop_index(op.f("ix_break_note_break_id"), table_name="break_note")
    op.drop_table("break_note")
    op.drop_index(op.f("ix_break_receipt_id"), table_name="break")
    op.drop_index(op.f("ix_break_owner"), table_name="break")
    op.drop_index(op.f("ix_break_line_id"), table_name="break")
    op.drop_index(op.f("ix_break_code"), table_name="break")
    op.drop_index("break_of_agency", table_name="break")
    op.drop_index("break_by_size", table_name="break")
    op.drop_index("break_by_age", table_name="break")
    op.drop_table("break")
    op.drop_index(op.f("ix_breach_rule_id"), table_name="breach")
    op.drop_index(op.f("ix_breach_placement_id"), table_name="breach")
    op.drop_index(op.f("ix_breach_file_id"), table_name="breach")
    op.drop_index(op.f("ix_breach_agency"), table_name="breach")
    op.drop_index("breach_listed", table_name="breach")
    op.drop_table("breach")
    op.drop_index(op.f("ix_bank_statement_bank_account"), table_name="bank_statement")
    op.drop_table("bank_statement")
    op.drop_index(op.f("ix_bank_receipt_statement_id"), table_name="bank_receipt")
    op.drop_index(
        "ix_bank_receipt_reference", table_name="bank_receipt", postgresql_ops={"reference": "varchar_pattern_ops"}
    )
    op.drop_index(
        "bank_receipt_open",
        table_name="bank_receipt",
        sqlite_where=sa.text("state IN ('unapplied', 'part_matched')"),
        postgresql_where=sa.text("state IN ('unapplied', 'part_matched')"),
    )
    op.drop_table("bank_receipt")
    op.drop_table("bank_account")
    op.drop_table("audited_file")
    op.drop_table("audit_node")
    op.drop_table("audit_head")
    op.drop_table("audit_event")
    op.drop_index(op.f("ix_agency_payment_run_id"), table_name="agency_payment")
    op.drop_table("agency_payment")
    op.drop_table("agency_contract")
    op.drop_table("agency")
    op.drop_table("actor_role")
    op.drop_index(op.f("ix_activity_placement_id"), table_name="activity")
    op.drop_table("activity")
    op.drop_table("accounting_period")
    op.drop_index("account_stage_at", table_name="account_stage")
    op.drop_table("account_stage")
    op.drop_index(op.f("ix_account_portfolio_id"), table_name="account")
    op.drop_index(op.f("ix_account_debtor_id"), table_name="account")
    op.drop_table("account")

"""What the disclosure register is read from: files that spoke of accounts, their fields, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, literal, null, select, union

from infra.store import bulk
from infra.store.exchange import DISCLOSURES, ERASURES, FILES, MEMBERS, PLACEMENTS, RECALLS, TRANSMISSIONS
from models.tables import (
    Account,
    Activity,
    Complaint,
    Correction,
    InstalmentPlan,
    InvoiceLine,
    RecallObjection,
    RegisterQuestion,
    RemittanceLine,
    Statement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd

ACCOUNTS = bulk.table_of(Account)
CORRECTIONS = bulk.table_of(Correction)
QUESTIONS = bulk.table_of(RegisterQuestion)
LINES = bulk.table_of(RemittanceLine)
INVOICES = bulk.table_of(InvoiceLine)
STATEMENTS = bulk.table_of(Statement)


def told(connection: Connection, account_ids: Sequence[int]) -> pd.DataFrame:
    """One row per account, file and field of every file that spoke of one of them and was sealed, oldest first.

    Columns: account_id, placement_id (none: a statement), transmission_id, agency, kind, file, state, package_sha256,
    sealed_sha256, delivered_at, field, treatment, value_class, purpose, basis, policy, policy_version, disclosed_at,
    erase_by (as the file's own policy has it).
    """
    named = select(MEMBERS.c.transmission_id, MEMBERS.c.account_id, MEMBERS.c.placement_id).where(
        MEMBERS.c.account_id.in_(account_ids)
    )
    stated = (
        select(STATEMENTS.c.transmission_id, LINES.c.account_id, null().label("placement_id"))
        .join(LINES, LINES.c.statement_id == STATEMENTS.c.statement_id)
        .where(LINES.c.account_id.in_(account_ids), STATEMENTS.c.transmission_id.is_not(None))
    )
    spoken = union(named, stated).subquery()
    return bulk.read(
        connection,
        select(
            spoken.c.account_id, spoken.c.placement_id, spoken.c.transmission_id, DISCLOSURES.c.agency,
            TRANSMISSIONS.c.kind, TRANSMISSIONS.c.name.label("file"), TRANSMISSIONS.c.state,
            TRANSMISSIONS.c.package_sha256, TRANSMISSIONS.c.sealed_sha256, TRANSMISSIONS.c.delivered_at,
            DISCLOSURES.c.field, DISCLOSURES.c.treatment, DISCLOSURES.c.value_class, DISCLOSURES.c.purpose,
            DISCLOSURES.c.basis, DISCLOSURES.c.policy, DISCLOSURES.c.policy_version, DISCLOSURES.c.disclosed_at,
            DISCLOSURES.c.erase_by,
        )
        .select_from(spoken)
        .join(DISCLOSURES, DISCLOSURES.c.transmission_id == spoken.c.transmission_id)
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == spoken.c.transmission_id)
        .where(TRANSMISSIONS.c.state != "cancelled")
        .order_by(DISCLOSURES.c.disclosed_at, DISCLOSURES.c.disclosure_id, spoken.c.account_id),
    )  # fmt: skip


def placements(connection: Connection, account_ids: Sequence[int]) -> pd.DataFrame:
    """One row per placement of the accounts, with its recall, its erasure and the certificate that answered it.

    Columns: placement_id, account_id, debtor_id, agency, key_generation, stage, placed_on, due_back_on, state,
    ended_on, end_reason, erase_by (by the policy it was placed under; none: nothing was sealed), recalled_on,
    recall_reason, recall_due_on, recall_confirmed_on, erasure_requested_on, erasure_due_on, erased_at, certified_by,
    verified_at, finding, certificate, certificate_sha256, certificate_signer, certificate_at.
    """
    erase_by = (
        select(func.max(DISCLOSURES.c.erase_by))
        .where(DISCLOSURES.c.transmission_id == PLACEMENTS.c.transmission_id)
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )
    columns = (
        "placement_id", "account_id", "debtor_id", "agency", "key_generation", "stage", "placed_on", "due_back_on",
        "state", "ended_on", "end_reason",
    )  # fmt: skip
    return bulk.read(
        connection,
        select(
            *(PLACEMENTS.c[name] for name in columns), erase_by.label("erase_by"),
            RECALLS.c.requested_on.label("recalled_on"), RECALLS.c.reason.label("recall_reason"),
            RECALLS.c.due_on.label("recall_due_on"), RECALLS.c.confirmed_on.label("recall_confirmed_on"),
            ERASURES.c.requested_on.label("erasure_requested_on"), ERASURES.c.due_on.label("erasure_due_on"),
            ERASURES.c.erased_at, ERASURES.c.certified_by, ERASURES.c.verified_at, ERASURES.c.finding,
            FILES.c.name.label("certificate"), FILES.c.sealed_sha256.label("certificate_sha256"),
            FILES.c.signer.label("certificate_signer"), FILES.c.accepted_at.label("certificate_at"),
        )
        .outerjoin(RECALLS, RECALLS.c.placement_id == PLACEMENTS.c.placement_id)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .outerjoin(FILES, FILES.c.file_id == ERASURES.c.certificate_file_id)
        .where(PLACEMENTS.c.account_id.in_(account_ids))
        .order_by(PLACEMENTS.c.placement_id),
    )  # fmt: skip


def heard(connection: Connection, account_ids: Sequence[int]) -> pd.DataFrame:
    """The agencies' own files that spoke of the accounts, and the receipt that answered each, oldest first.

    Columns: agency, kind, file, received_at, sealed_sha256, receipt.  Acknowledgements and returns leave no line of
    their own: what they said is in `placements`.
    """
    mine = select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.account_id.in_(account_ids))
    spoke = []
    for row in (Activity, Complaint, InstalmentPlan, RecallObjection):
        table = bulk.table_of(row)
        spoke.append(select(table.c.file_id).where(table.c.placement_id.in_(mine)))
    paid = LINES.c.account_id.in_(account_ids)
    spoke += [
        select(LINES.c.file_id).where(paid),
        select(INVOICES.c.file_id).where(INVOICES.c.line_id.in_(select(LINES.c.line_id).where(paid))),
    ]
    spoke += [
        select(RECALLS.c.confirmed_by_file_id).where(RECALLS.c.placement_id.in_(mine)),
        select(ERASURES.c.certificate_file_id).where(ERASURES.c.placement_id.in_(mine)),
        select(CORRECTIONS.c.confirmed_by_file_id).where(CORRECTIONS.c.placement_id.in_(mine)),
    ]
    files = union(*spoke).subquery()
    return bulk.read(
        connection,
        select(
            FILES.c.agency, FILES.c.kind, FILES.c.name.label("file"), FILES.c.received_at, FILES.c.sealed_sha256,
            TRANSMISSIONS.c.name.label("receipt"),
        )
        .join(files, files.c.file_id == FILES.c.file_id)
        .outerjoin(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == FILES.c.receipt_transmission_id)
        .order_by(FILES.c.received_at, FILES.c.file_id),
    )  # fmt: skip


def asked_since(connection: Connection, actor: str, since: datetime) -> int:
    """How often the person has asked since then."""
    mine = select(literal(1)).where(QUESTIONS.c.actor == actor, QUESTIONS.c.asked_at > since)
    return bulk.count(connection, mine)


def questions(connection: Connection, actor: str | None = None, limit: int = 200) -> pd.DataFrame:
    """The newest questions, of that person or of all: what was found is a number, what was asked for is not kept."""
    statement = select(QUESTIONS).order_by(QUESTIONS.c.question_id.desc()).limit(limit)
    return bulk.read(connection, statement if actor is None else statement.where(QUESTIONS.c.actor == actor))

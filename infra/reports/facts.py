"""What reports rest on: the policies that plans are under, the register, the agencies, the settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, distinct, func, select

from infra import certificates, policies
from infra.store import bulk
from infra.store.exchange import AGENCIES, DISCLOSURES, ERASURES, MEMBERS, TRANSMISSIONS
from models.errors import ConsignError
from models.release import VALUE_CLASSES
from models.tables import Account, Lender, Placement, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from infra.reports.report import Row
    from infra.wiring import Desk
    from models.release import Policy

ACCOUNTS = bulk.table_of(Account)
LENDERS = bulk.table_of(Lender)
PLACEMENTS = bulk.table_of(Placement)
PLANS = bulk.table_of(Plan)
AT_AGENCY = ("placed", "acknowledged", "recalled")
"""States of a placement in which the agency still holds what it was told."""


def lenders(connection: Connection, lender: str | None) -> Sequence[Row]:
    """The lenders: code, name, country, time zone."""
    rows = select(LENDERS.c.lender, LENDERS.c.name, LENDERS.c.country, LENDERS.c.timezone).order_by(LENDERS.c.lender)
    return _rows(connection, rows if lender is None else rows.where(LENDERS.c.lender == lender))


def policies_in_use(
    connection: Connection, lender: str | None, named: str | None = None
) -> tuple[list[Policy], list[str]]:
    """The release policies that plans are under, or the one that is named; and the names of those changed since.

    Each stands for itself: what stands over another one for some agencies follows it.
    """
    if named:
        return policies.named(connection, named).parts, []
    rows = select(PLANS.c.policy, PLANS.c.policy_sha256, func.max(PLANS.c.plan_id)).group_by(
        PLANS.c.policy, PLANS.c.policy_sha256
    )
    used = connection.execute(rows if lender is None else rows.where(PLANS.c.lender == lender)).all()
    found: dict[str, Policy] = {}
    changed: set[str] = set()
    for name, sha256, _ in used:
        try:
            found[name] = policies.find(connection, name)
        except ConsignError:
            changed.add(name)
            continue
        if found[name].sha256 != sha256:
            changed.add(name)
    return [part for name in sorted(found) for part in found[name].parts], sorted(changed)


def purposes(used: Iterable[Policy]) -> list[Row]:
    """Each policy's purposes, their legal basis, how it was read, and until when agencies must delete."""
    return [
        {
            "policy": policy.name, "version": policy.version, "purpose": purpose.name, "basis": purpose.basis,
            "verified": purpose.verified, "erase_after_days": purpose.erase_after_days,
        }
        for policy in used
        for purpose in policy.purposes.values()
    ]  # fmt: skip


def released(used: Iterable[Policy]) -> list[Row]:
    """Each field that a policy lets leave: to whom, and how."""
    return [
        {
            "policy": policy.name, "purpose": entry.purpose, "stage": entry.stages, "channels": entry.channels,
            "agencies": entry.agencies, "field": name, "value_class": VALUE_CLASSES[name], "treatment": how.words,
            "legal_basis": entry.legal_basis or policy.purposes[entry.purpose].basis,
        }
        for policy in used
        for entry in policy.entries
        for name, how in entry.treatments.items()
        if how.how != "drop"
    ]  # fmt: skip


def withheld(used: Iterable[Policy]) -> list[Row]:
    """Each field that a policy holds back in so many words, and why."""
    return [
        {
            "policy": policy.name, "stage": entry.stages, "field": name, "value_class": VALUE_CLASSES[name],
            "because": how.because,
        }
        for policy in used
        for entry in policy.entries
        for name, how in entry.treatments.items()
        if how.how == "drop"
    ]  # fmt: skip


def disclosed(connection: Connection, lender: str | None) -> Sequence[Row]:
    """What the register says has left: by agency, purpose, field and treatment."""
    key = (
        DISCLOSURES.c.agency, DISCLOSURES.c.purpose, DISCLOSURES.c.field, DISCLOSURES.c.value_class,
        DISCLOSURES.c.treatment, DISCLOSURES.c.policy, DISCLOSURES.c.policy_version,
    )  # fmt: skip
    rows = (
        select(
            *key, func.count(distinct(DISCLOSURES.c.transmission_id)).label("files"),
            func.sum(DISCLOSURES.c.rows).label("lines"), func.max(DISCLOSURES.c.disclosed_at).label("last_at"),
            func.max(DISCLOSURES.c.erase_by).label("erase_by"),
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == DISCLOSURES.c.transmission_id)
        .where(TRANSMISSIONS.c.state != "cancelled")
        .group_by(*key)
        .order_by(*key)
    )  # fmt: skip
    return _rows(connection, rows if lender is None else rows.where(TRANSMISSIONS.c.lender == lender))


def agencies(connection: Connection, desk: Desk) -> list[dict[str, Any]]:
    """Each agency, its mandate, its certificate, and how much it holds now."""
    held = {
        row.agency: row
        for row in connection.execute(
            select(
                PLACEMENTS.c.agency, func.count().label("accounts"),
                func.count(distinct(PLACEMENTS.c.debtor_id)).label("debtors"),
            )
            .where(PLACEMENTS.c.state.in_(AT_AGENCY))
            .group_by(PLACEMENTS.c.agency)
        )
    }  # fmt: skip
    told = []
    for row in connection.execute(select(AGENCIES).order_by(AGENCIES.c.agency)):
        standing = certificates.standing(connection, desk, row.agency)
        told.append({
            "agency": row.agency, "name": row.name, "state": row.state, "channels": row.channels.split(","),
            "timezone": row.timezone, "suite": row.suite, "term_days": row.term_days,
            "since": row.created_at.date(), "certificate": standing.state, "certified_until": standing.valid_until,
            "accounts_held": held[row.agency].accounts if row.agency in held else 0,
            "debtors_held": held[row.agency].debtors if row.agency in held else 0,
        })  # fmt: skip
    return told


def erasures(connection: Connection, today: date) -> list[dict[str, Any]]:
    """Per agency: how many erasures were asked for, certified, and are overdue."""
    open_ = ERASURES.c.erased_at.is_(None) | ERASURES.c.finding.is_not(None)
    return _rows(
        connection,
        select(
            ERASURES.c.agency, func.count().label("requested"),
            func.count().filter(~open_).label("certified"),
            func.count().filter(open_, ERASURES.c.due_on < today).label("overdue"),
        )
        .group_by(ERASURES.c.agency)
        .order_by(ERASURES.c.agency),
    )  # fmt: skip


def measures(desk: Desk) -> list[Row]:
    """The settings that protect, as they are in force."""
    settings = desk.settings
    return [
        {"measure": "two_people", "value": settings.two_people},
        {"measure": "roles", "value": settings.roles},
        {"measure": "require_certificate", "value": settings.require_certificate},
        {"measure": "require_diligence", "value": settings.require_diligence},
        {"measure": "durable", "value": settings.durable},
        {"measure": "database", "value": "SQLite" if desk.database.is_sqlite else "PostgreSQL"},
        {"measure": "own_key_days", "value": settings.own_key_days},
    ]


def retention(desk: Desk) -> list[Row]:
    """The periods that are set here; what a policy sets stands with its purposes."""
    settings = desk.settings
    return [
        {"measure": "recall_days", "value": settings.recall_days},
        {"measure": "erasure_days", "value": settings.erasure_days},
        {"measure": "keep_sealed_days", "value": settings.keep_sealed_days},
    ]


def files_sent(
    connection: Connection, agency: str, begins: date | None, ends: date | None, file: str | None
) -> list[dict[str, Any]]:
    """The files that an agency was sent: of those days (both included), or the one of that name."""
    rows = select(
        TRANSMISSIONS.c.transmission_id, TRANSMISSIONS.c.name.label("file"), TRANSMISSIONS.c.lender,
        TRANSMISSIONS.c.kind, TRANSMISSIONS.c.state, TRANSMISSIONS.c.prepared_on, TRANSMISSIONS.c.rows.label("lines"),
        TRANSMISSIONS.c.package_sha256,
    ).where(
        TRANSMISSIONS.c.agency == agency, TRANSMISSIONS.c.sealed_at.is_not(None), TRANSMISSIONS.c.state != "cancelled"
    )  # fmt: skip
    if begins is not None:
        rows = rows.where(TRANSMISSIONS.c.prepared_on >= begins)
    if ends is not None:
        rows = rows.where(TRANSMISSIONS.c.prepared_on <= ends)
    if file is not None:
        rows = rows.where(TRANSMISSIONS.c.name == file)
    return _rows(connection, rows.order_by(TRANSMISSIONS.c.transmission_id))


def affected(connection: Connection, transmissions: list[int]) -> tuple[Sequence[Row], dict[str, int]]:
    """By field: its class, how it left, in how many files, of how many accounts and debtors; and the totals.

    `erased`: accounts whose erasure the agency has certified, counted among them all the same.
    """
    mine = MEMBERS.c.transmission_id.in_(transmissions)
    people = (func.count(distinct(MEMBERS.c.account_id)), func.count(distinct(ACCOUNTS.c.debtor_id)))
    fields = _rows(
        connection,
        select(
            DISCLOSURES.c.value_class, DISCLOSURES.c.field, DISCLOSURES.c.treatment,
            func.count(distinct(DISCLOSURES.c.transmission_id)).label("files"),
            people[0].label("accounts"), people[1].label("debtors"),
        )
        .select_from(DISCLOSURES)
        .join(MEMBERS, MEMBERS.c.transmission_id == DISCLOSURES.c.transmission_id)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == MEMBERS.c.account_id)
        .where(mine)
        .group_by(DISCLOSURES.c.value_class, DISCLOSURES.c.field, DISCLOSURES.c.treatment)
        .order_by(DISCLOSURES.c.value_class, DISCLOSURES.c.field, DISCLOSURES.c.treatment),
    )  # fmt: skip
    total = connection.execute(
        select(
            people[0], people[1],
            func.count(distinct(MEMBERS.c.account_id)).filter(
                ERASURES.c.erased_at.is_not(None), ERASURES.c.finding.is_(None)
            ),
        )
        .select_from(MEMBERS)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == MEMBERS.c.account_id)
        .outerjoin(ERASURES, ERASURES.c.placement_id == MEMBERS.c.placement_id)
        .where(mine)
    ).one()  # fmt: skip
    return fields, {"accounts": total[0], "debtors": total[1], "erased": total[2]}


def _rows(connection: Connection, statement: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001 - SQLAlchemy's public name

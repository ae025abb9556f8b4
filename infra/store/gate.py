"""The rows of the gate: what was found in each file that was to leave, and what two people let pass."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from infra.store import bulk
from infra.store.exchange import TRANSMISSIONS
from models.errors import UsageError
from models.tables import GateAllowance, GateCheck

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd

    from models.gate.verdict import Verdict

CHECKS = bulk.table_of(GateCheck)
ALLOWANCES = bulk.table_of(GateAllowance)


def record(
    connection: Connection, transmission_id: int, verdict: Verdict, by: str, at: datetime, package_sha256: str | None
) -> None:
    """The last look at the transmission is this one."""
    connection.execute(delete(CHECKS).where(CHECKS.c.transmission_id == transmission_id))
    risk = verdict.decision
    connection.execute(
        insert(CHECKS).values(
            transmission_id=transmission_id,
            verdict="stopped" if verdict.stopping else "passed",
            checked_at=at,
            checked_by=by,
            package_sha256=package_sha256,
            rows=verdict.rows,
            cells=verdict.cells,
            hits=json.dumps([asdict(hit) for hit in verdict.hits]),
            stopping=len(verdict.stopping),
            **({} if risk is None else {
                "quasi": json.dumps(risk.quasi), "limits": json.dumps(risk.limits), "coarser": json.dumps(risk.levels),
                "steps": json.dumps(risk.steps), "suppressed": risk.after.suppressed,
                "k_before": risk.before.k, "k_after": risk.after.k, "l_before": risk.before.l,
                "l_after": risk.after.l, "unique_before": risk.before.unique, "unique_after": risk.after.unique,
                "sizes_before": json.dumps(risk.before.by_size), "sizes_after": json.dumps(risk.after.by_size),
            }),
        )
    )  # fmt: skip


def passed(connection: Connection, transmission_id: int, package_sha256: str | None) -> bool:
    """Whether this very package passed the gate."""
    row = select(CHECKS.c.transmission_id).where(
        CHECKS.c.transmission_id == transmission_id,
        CHECKS.c.verdict == "passed",
        CHECKS.c.package_sha256 == package_sha256,
    )
    return connection.execute(row).first() is not None


def check(connection: Connection, file: str) -> Row[Any]:
    """The last look at a transmission, by its number or its name. Raises UsageError where there was none."""
    wanted = TRANSMISSIONS.c.name == file
    if file.isdecimal():
        wanted = or_(wanted, TRANSMISSIONS.c.transmission_id == int(file))
    row = connection.execute(
        select(
            *CHECKS.c, TRANSMISSIONS.c.name, TRANSMISSIONS.c.agency, TRANSMISSIONS.c.lender, TRANSMISSIONS.c.kind,
            TRANSMISSIONS.c.state,
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == CHECKS.c.transmission_id)
        .where(wanted)
    ).one_or_none()  # fmt: skip
    if row is None:
        raise UsageError(f"the gate has not looked at {file}", fix="`consign gate list` shows what it has looked at")
    return row


def told(row: Row[Any]) -> dict[str, Any]:
    """A look as people are told of it: lists and tables instead of their JSON."""
    found = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row's columns
    for name in ("hits", "quasi", "limits", "coarser", "steps", "sizes_before", "sizes_after"):
        found[name] = json.loads(found[name])
    return found


def checks(connection: Connection, *, agency: str | None, stopped: bool, limit: int) -> pd.DataFrame:
    """The last looks, the newest first."""
    rows = (
        select(
            CHECKS.c.transmission_id, TRANSMISSIONS.c.name, TRANSMISSIONS.c.agency, TRANSMISSIONS.c.kind,
            CHECKS.c.verdict, CHECKS.c.rows, CHECKS.c.stopping, CHECKS.c.k_before, CHECKS.c.k_after, CHECKS.c.coarser,
            CHECKS.c.suppressed, CHECKS.c.checked_at,
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == CHECKS.c.transmission_id)
        .order_by(CHECKS.c.checked_at.desc(), CHECKS.c.transmission_id.desc())
        .limit(limit)
    )  # fmt: skip
    if agency is not None:
        rows = rows.where(TRANSMISSIONS.c.agency == agency)
    if stopped:
        rows = rows.where(CHECKS.c.verdict == "stopped")
    return bulk.read(connection, rows)


def risk_figures(connection: Connection, lender: str | None) -> list[dict[str, Any]]:
    """Per agency, of the placements that passed: files, lines, the least k and l, lines alone, lines suppressed."""
    rows = (
        select(
            TRANSMISSIONS.c.agency,
            func.count().label("files"),
            func.sum(CHECKS.c.rows).label("lines"),
            func.min(CHECKS.c.k_before).label("k_before"),
            func.min(CHECKS.c.k_after).label("k_after"),
            func.min(CHECKS.c.l_after).label("l_after"),
            func.sum(CHECKS.c.unique_before).label("unique_before"),
            func.sum(CHECKS.c.unique_after).label("unique_after"),
            func.sum(CHECKS.c.suppressed).label("suppressed"),
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == CHECKS.c.transmission_id)
        .where(TRANSMISSIONS.c.kind == "placement", CHECKS.c.verdict == "passed", CHECKS.c.quasi != "[]")
        .group_by(TRANSMISSIONS.c.agency)
        .order_by(TRANSMISSIONS.c.agency)
    )
    if lender is not None:
        rows = rows.where(TRANSMISSIONS.c.lender == lender)
    return [dict(row) for row in connection.execute(rows).mappings()]


# -- false alarms that may pass ----------------------------------------------------------------------------------------


def add_allowance(connection: Connection, **columns: Any) -> int:
    """A new allowance; its number."""
    return int(
        connection.execute(insert(ALLOWANCES).values(**columns).returning(ALLOWANCES.c.allowance_id)).scalar_one()
    )


def allowance(connection: Connection, allowance_id: int) -> Row[Any]:
    """The allowance's row. Raises UsageError where there is none."""
    row = connection.execute(select(ALLOWANCES).where(ALLOWANCES.c.allowance_id == allowance_id)).one_or_none()
    if row is None:
        raise UsageError(f"no allowance {allowance_id}", fix="`consign gate allowances` lists them")
    return row


def note_allowance(connection: Connection, allowance_id: int, **columns: Any) -> None:
    """Columns of an allowance."""
    connection.execute(update(ALLOWANCES).where(ALLOWANCES.c.allowance_id == allowance_id).values(**columns))


def allowances(connection: Connection) -> pd.DataFrame:
    """Every allowance, the newest first."""
    return bulk.read(connection, select(ALLOWANCES).order_by(ALLOWANCES.c.allowance_id.desc()))


def in_force(connection: Connection, kind: str, agency: str, today: date) -> dict[tuple[str, str], int]:
    """By column and kind of identifier, the allowance that lets it pass in files of that kind to that agency."""
    rows = select(ALLOWANCES.c.column_name, ALLOWANCES.c.identifier, func.max(ALLOWANCES.c.allowance_id)).where(
        ALLOWANCES.c.state == "approved",
        ALLOWANCES.c.kind == kind,
        ALLOWANCES.c.until >= today,
        or_(ALLOWANCES.c.agency.is_(None), ALLOWANCES.c.agency == agency),
    )
    found = connection.execute(rows.group_by(ALLOWANCES.c.column_name, ALLOWANCES.c.identifier))
    return {(row[0], row[1]): int(row[2]) for row in found}

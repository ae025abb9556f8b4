"""What an agency's own people see: every query is bounded by the agency, whatever number it is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from infra.store import bulk, keyset
from infra.store.exchange import AGENCIES, AT_AGENCY, CONTRACTS, ERASURES, FILES, PLACEMENTS
from infra.store.traffic import REJECTS
from models.tables import Lender, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

STATEMENTS: Final = bulk.table_of(Statement)
LENDERS: Final = bulk.table_of(Lender)


def row(connection: Connection, agency: str) -> dict[str, Any]:
    """The agency: name, state, suite, mandate, layout, capacity, term."""
    columns = ("agency", "name", "state", "suite", "channels", "layout", "capacity_accounts", "term_days", "remits")
    found = connection.execute(select(*(AGENCIES.c[name] for name in columns)).where(AGENCIES.c.agency == agency))
    return dict(found.mappings().one())


def figures(connection: Connection, agency: str) -> dict[str, int]:
    """How many accounts it holds, files of its last ten were refused, erasures it owes."""
    held = select(func.count()).where(
        PLACEMENTS.c.lender.in_(select(LENDERS.c.lender)),  # the index that answers by itself begins with it
        PLACEMENTS.c.agency == agency,
        PLACEMENTS.c.state.in_(AT_AGENCY),
    )
    owed = select(func.count()).where(ERASURES.c.agency == agency, ERASURES.c.verified_at.is_(None))
    newest = select(FILES.c.state).where(FILES.c.agency == agency).order_by(FILES.c.file_id.desc()).limit(10).subquery()
    refused = select(func.count()).select_from(newest).where(newest.c.state == "refused")
    return {
        name: int(connection.execute(asked).scalar_one())
        for name, asked in (("held", held), ("owed", owed), ("refused", refused))
    }


def came(connection: Connection, agency: str, file_id: int) -> dict[str, Any] | None:
    """One file of the agency's own, with its sums by currency; None where it has none of that number."""
    found = connection.execute(select(FILES).where(FILES.c.file_id == file_id, FILES.c.agency == agency))
    told = found.mappings().one_or_none()
    if told is None:
        return None
    return keyset.aware(dict(told)) | {"sums": json.loads(told["sums"] or "{}")}


def refusals(connection: Connection, agency: str, file_id: int) -> Sequence[Any]:
    """Every refused line of a file of the agency's own: table, line, column, code, fix; never the value."""
    return connection.execute(
        select(REJECTS.c.table_name, REJECTS.c.line, REJECTS.c.column, REJECTS.c.code, REJECTS.c.fix)
        .join(FILES, FILES.c.file_id == REJECTS.c.file_id)
        .where(REJECTS.c.file_id == file_id, FILES.c.agency == agency)
        .order_by(REJECTS.c.reject_id)
    ).all()


def statements(connection: Connection, agency: str) -> Sequence[Any]:
    """The agency's statements, the newest first, with the lender's name."""
    return connection.execute(
        select(STATEMENTS, LENDERS.c.name.label("lender_name"))
        .outerjoin(LENDERS, LENDERS.c.lender == STATEMENTS.c.lender)
        .where(STATEMENTS.c.agency == agency)
        .order_by(STATEMENTS.c.period.desc(), STATEMENTS.c.statement_id.desc())
    ).all()


def statement(connection: Connection, agency: str, statement_id: int) -> Any:
    """One of them; None where it has none of that number."""
    return connection.execute(
        select(STATEMENTS).where(STATEMENTS.c.statement_id == statement_id, STATEMENTS.c.agency == agency)
    ).one_or_none()


def contracts(connection: Connection, agency: str) -> Sequence[Any]:
    """What was agreed with it, the newest first."""
    return connection.execute(
        select(CONTRACTS).where(CONTRACTS.c.agency == agency).order_by(CONTRACTS.c.effective_from.desc())
    ).all()

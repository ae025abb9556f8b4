"""Evaluations in the store: what they are drawn from besides a score, and what was proposed and decided."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import distinct, func, insert, select, true, update

from infra.store import keyset
from infra.store.bulk import reserve, table_of
from infra.store.keyset import Order
from models.errors import UsageError
from models.tables import Agency, Evaluation, Placement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy import Connection, Row, RowMapping

    from infra.store.keyset import Page

EVALUATIONS, PLACEMENTS, AGENCIES = table_of(Evaluation), table_of(Placement), table_of(Agency)


def placed(connection: Connection, lender: str | None, as_of: date, days: int) -> dict[str, int]:
    """Debtors placed with each agency in so many days up to the day."""
    rows = connection.execute(
        select(PLACEMENTS.c.agency, func.count(distinct(PLACEMENTS.c.debtor_id)))
        .where(
            PLACEMENTS.c.state != "planned",
            PLACEMENTS.c.placed_on <= as_of,
            PLACEMENTS.c.placed_on > as_of - timedelta(days=days),
            true() if lender is None else PLACEMENTS.c.lender == lender,
        )
        .group_by(PLACEMENTS.c.agency)
    )
    return {str(agency): int(count) for agency, count in rows}


def agency_states(connection: Connection) -> dict[str, str]:
    """Every agency's state."""
    return {str(row.agency): str(row.state) for row in connection.execute(select(AGENCIES.c.agency, AGENCIES.c.state))}


def add(connection: Connection, **columns: Any) -> int:
    """The evaluation is kept; its number."""
    number = reserve(connection, "evaluation", 1)
    connection.execute(insert(EVALUATIONS).values(evaluation_id=number, **columns))
    return number


def note(connection: Connection, evaluation_id: int, **columns: Any) -> None:
    """Some columns of an evaluation are other ones now."""
    connection.execute(update(EVALUATIONS).where(EVALUATIONS.c.evaluation_id == evaluation_id).values(**columns))


def evaluation(connection: Connection, evaluation_id: int) -> Row[Any]:
    """The evaluation's row. Raises UsageError where there is none."""
    row = connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.evaluation_id == evaluation_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no evaluation {evaluation_id}", fix="`consign evaluate list` lists them")
    return row


def of_scope(
    connection: Connection, kind: str, lender: str | None, state: str, content_sha256: str = ""
) -> Sequence[Row[Any]]:
    """Evaluations of that kind, lender and state (and content, where given), the newest first."""
    return connection.execute(
        select(EVALUATIONS)
        .where(
            EVALUATIONS.c.kind == kind,
            EVALUATIONS.c.lender.is_(None) if lender is None else EVALUATIONS.c.lender == lender,
            EVALUATIONS.c.state == state,
            true() if not content_sha256 else EVALUATIONS.c.content_sha256 == content_sha256,
        )
        .order_by(EVALUATIONS.c.evaluation_id.desc())
    ).all()


def listed(connection: Connection) -> Sequence[RowMapping]:
    """All of them, the newest first, without what they say."""
    shown = [column for column in EVALUATIONS.c if column.name != "content"]
    return connection.execute(select(*shown).order_by(EVALUATIONS.c.evaluation_id.desc())).mappings().all()


def page(connection: Connection, lender: str = "", state: str = "", after: str | None = None) -> Page:
    """Evaluations without what they say, the newest first; of a lender: its own."""
    statement = select(*(column for column in EVALUATIONS.c if column.name != "content"))
    for column, wanted in ((EVALUATIONS.c.lender, lender), (EVALUATIONS.c.state, state)):
        if wanted:
            statement = statement.where(column == wanted)
    return keyset.page(connection, statement, Order((EVALUATIONS.c.evaluation_id,), falling=True), after)

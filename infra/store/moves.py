"""Accounts that two plans give to different agencies, a page at a time: however few there are, a page reads little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, literal, or_, select, union_all

from infra.store import keyset
from infra.store.browsing import LINES
from infra.store.keyset import Page
from models.planning.comparing import NOWHERE

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

ACCOUNTS_AT_ONCE: Final = 10_000
"""Numbers of accounts that one question spans."""
QUESTIONS: Final = 2
"""That a page asks; where they find too few, the list goes on behind them."""


def moved(
    connection: Connection, first: int, second: int, after: str | None = None, *, source: str = "", there: str = ""
) -> Page:
    """`account_id`, `was`, `becomes`, `balance_minor`, by account; NOWHERE where a plan leaves the account out.

    source, there: only moves from that agency, to that one. A page may hold few rows, or none, and still go on.
    """
    lowest = _next(connection, first, second, keyset.behind(after))
    rows: list[dict[str, Any]] = []
    for _ in range(QUESTIONS):
        if lowest is None:
            return Page(rows, None)
        beyond = lowest + ACCOUNTS_AT_ONCE
        rows += map(dict, connection.execute(_between(first, second, lowest, beyond, source, there)).mappings())
        if len(rows) > keyset.ROWS:
            return Page(rows[: keyset.ROWS], str(rows[keyset.ROWS - 1]["account_id"]))
        lowest = _next(connection, first, second, beyond - 1)
    return Page(rows, None if lowest is None else str(lowest - 1))


def _next(connection: Connection, first: int, second: int, behind: int) -> int | None:
    """The first account of either plan behind that number."""
    found = [
        connection.execute(
            select(func.min(LINES.c.account_id)).where(LINES.c.plan_id == plan_id, LINES.c.account_id > behind)
        ).scalar_one()
        for plan_id in (first, second)
    ]
    return min((int(number) for number in found if number is not None), default=None)


def _between(first: int, second: int, lowest: int, beyond: int, source: str, there: str) -> Select[Any]:
    """What moves among these accounts: those of the first plan, and those that only the second one has."""
    one, other = LINES.alias("one"), LINES.alias("other")

    def span(lines: Any, plan_id: int) -> ColumnElement[bool]:
        return and_(lines.c.plan_id == plan_id, lines.c.account_id >= lowest, lines.c.account_id < beyond)

    def beside(lines: Any, others: Any, plan_id: int) -> Any:
        return lines.outerjoin(others, and_(others.c.plan_id == plan_id, others.c.account_id == lines.c.account_id))

    becomes = func.coalesce(other.c.agency, NOWHERE)
    of_first = (
        select(one.c.account_id, one.c.agency.label("was"), becomes.label("becomes"), one.c.balance_minor)
        .select_from(beside(one, other, second))
        .where(span(one, first), or_(other.c.agency.is_(None), other.c.agency != one.c.agency))
    )
    of_second = (
        select(
            other.c.account_id, literal(NOWHERE).label("was"), other.c.agency.label("becomes"), other.c.balance_minor
        )
        .select_from(beside(other, one, first))
        .where(span(other, second), one.c.agency.is_(None))
    )
    both = union_all(of_first, of_second).subquery()
    statement = select(both).order_by(both.c.account_id).limit(keyset.ROWS + 1)
    for column, wanted in ((both.c.was, source), (both.c.becomes, there)):
        if wanted:
            statement = statement.where(column == wanted)
    return statement

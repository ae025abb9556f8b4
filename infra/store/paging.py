"""Pages of a list by the key of its last row: the thousandth page costs what the first one does, never an OFFSET."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, and_, or_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

ROWS: Final = 50
"""On a page, unless asked otherwise."""


@dataclass(frozen=True)
class Key:
    """A column of the order; together they name one row. None of them is ever null."""

    column: ColumnElement[Any]
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """Some rows, and the key of the last of them where more follow."""

    rows: Sequence[Row[Any]]
    after: tuple[Any, ...] | None
    """of the order's columns; None on the last page"""


def page(
    connection: Connection,
    statement: Select[Any],
    order: Sequence[Key],
    after: Sequence[Any] | None = None,
    rows: int = ROWS,
) -> Page:
    """The rows that follow `after` in the order; the statement selects every column of the order, under its name.

    after: a `Page.after`; None: from the beginning. The last key of the order is unique.
    """
    if after is not None:
        statement = statement.where(_behind(order, after))
    ordered = statement.order_by(*(key.column.desc() if key.descending else key.column.asc() for key in order))
    found = connection.execute(ordered.limit(rows + 1)).all()
    shown = found[:rows]
    more = len(found) > rows
    return Page(shown, tuple(getattr(shown[-1], str(key.column.key)) for key in order) if more else None)


def _behind(order: Sequence[Key], after: Sequence[Any]) -> ColumnElement[bool]:
    """(a, b) > (x, y), whichever way each goes, with the first column's bound apart so that an index is used."""
    ways = []
    for place, (key, value) in enumerate(zip(order, after, strict=True)):
        same = [earlier.column == before for earlier, before in zip(order[:place], after[:place], strict=True)]
        ways.append(and_(*same, key.column < value if key.descending else key.column > value))
    first = order[0]
    bound = first.column <= after[0] if first.descending else first.column >= after[0]
    return and_(bound, or_(*ways))

"""One page of a long list after the other: by the keys of the last row, never by counting rows away.

A list has an order: columns that together name a row, rising or falling alike, none of them null. The next page begins
after the last row's keys, which the page's address carries as a text; an index over the columns finds it at once,
however deep in the list it lies.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import column as named
from sqlalchemy import func, literal, select, tuple_, union_all

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select

ROWS: Final = 50
"""On a page, unless told otherwise."""
COUNTED_TO: Final = 10_000
"""Counting stops here: nobody reads so far, and a million rows would take their time."""
LONGEST_NUMBER: Final = 18
"""Digits: what the store's largest numbers have."""
STATEMENTS_AT_ONCE: Final = 200
"""SQLite takes no more than 500 parts in one UNION."""


class CursorInvalid(UsageError):
    """An address says to go on after a row in words that are none of ours."""


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and where the next ones begin: None on the last page."""

    rows: list[dict[str, Any]]
    after: str | None

    def __bool__(self) -> bool:
        """Whether there is any row."""
        return bool(self.rows)


@dataclass(frozen=True)
class Order:
    """The columns that a list is sorted by, in the list's own select; the last of them tells rows apart."""

    columns: tuple[ColumnElement[Any], ...]
    falling: bool = False

    def after(self, cursor: str | None) -> list[ColumnElement[bool]]:
        """What holds of the rows behind the cursor: nothing is asked without one. Raises CursorInvalid."""
        if not cursor:
            return []
        values = _read(cursor, self.columns)
        if len(self.columns) == 1:
            key, value = self.columns[0], values[0]
            return [key < value if self.falling else key > value]
        here = tuple_(*self.columns)
        there = tuple_(*(literal(value, column.type) for value, column in zip(values, self.columns, strict=True)))
        return [here < there if self.falling else here > there]

    def by(self) -> list[ColumnElement[Any]]:
        """What goes into ORDER BY."""
        return [column.desc() if self.falling else column.asc() for column in self.columns]

    def named(self) -> list[ColumnElement[Any]]:
        """What goes into the ORDER BY of a UNION, which knows its columns by their names alone."""
        names: list[ColumnElement[Any]] = [named(one.key or "") for one in self.columns]
        return [name.desc() if self.falling else name.asc() for name in names]

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The row's keys as a text for an address."""
        return _written([row[column.key or ""] for column in self.columns])

    def place(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The row's keys, to sort rows of several lists by."""
        return tuple(row[column.key or ""] for column in self.columns)


def page(
    connection: Connection, statement: Select[Any], order: Order, after: str | None = None, rows: int = ROWS
) -> Page:
    """The rows of the statement behind the cursor, so many at most. Raises CursorInvalid."""
    chosen = statement.where(*order.after(after)).order_by(*order.by()).limit(rows + 1)
    return _cut(map(dict, connection.execute(chosen).mappings()), order, rows)


def page_of(
    connection: Connection,
    whole: Select[Any],
    keys: Sequence[Select[Any]],
    order: Order,
    after: str | None = None,
    rows: int = ROWS,
) -> Page:
    """As `page`, of a list that lies in several parts of an index.

    keys: for each part a select of the order's columns, which an index answers by itself. whole: the rows as they are
    wanted; only those of this page are read.
    """
    behind, by = order.after(after), order.by()
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(keys), STATEMENTS_AT_ONCE):
        parts = [
            select(one.where(*behind).order_by(*by).limit(rows + 1).subquery())
            for one in keys[first : first + STATEMENTS_AT_ONCE]
        ]
        chosen: Select[Any] | CompoundSelect[Any] = parts[0]
        if len(parts) > 1:  # the store merges them: 50 rows come out of twenty times 50
            chosen = union_all(*parts).order_by(*order.named()).limit(rows + 1)
        found += map(tuple, connection.execute(chosen))
    some: Callable[..., list[tuple[Any, ...]]] = heapq.nlargest if order.falling else heapq.nsmallest
    best = some(rows + 1, found)
    numbers = [key[-1] for key in best[:rows]]
    read = connection.execute(whole.where(order.columns[-1].in_(numbers))).mappings()
    shown = sorted(map(dict, read), key=order.place, reverse=order.falling)
    return Page([aware(row) for row in shown], order.cursor(shown[-1]) if len(best) > rows else None)


def behind(after: str | None) -> int:
    """The number that a list of numbers goes on behind; 0 at its beginning. Raises CursorInvalid."""
    if not after:
        return 0
    if not after.isascii() or not after.isdecimal() or len(after) > LONGEST_NUMBER:
        raise CursorInvalid("the address does not say where the list goes on", fix="begin at the first page")
    return int(after)


def counted(connection: Connection, statements: Iterable[Select[Any]], to: int = COUNTED_TO) -> int:
    """How many rows the statements have together; more than `to` are `to` + 1."""
    total = 0
    for one in statements:
        if (left := to + 1 - total) > 0:
            # without columns of its own an index may do, and no row is read
            bare = one.with_only_columns(literal(1).label("one"), maintain_column_froms=True)
            some = select(func.count()).select_from(bare.limit(left).subquery())
            total += int(connection.execute(some).scalar_one())
    return total


def listed(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    """All rows of a short list. Where a page shows a dozen rows a frame of them costs more than reading them."""
    return [aware(dict(row)) for row in connection.execute(statement).mappings()]


def _cut(found: Iterator[dict[str, Any]], order: Order, rows: int) -> Page:
    shown = list(islice(found, rows))
    more = next(chain(found, [None]), None)
    return Page([aware(row) for row in shown], order.cursor(shown[-1]) if more is not None else None)


def aware(row: dict[str, Any]) -> dict[str, Any]:
    """SQLite gives instants back without their zone, which is UTC."""
    for name, value in row.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            row[name] = value.replace(tzinfo=UTC)
    return row


def _written(values: Sequence[Any]) -> str:
    told = [value.isoformat() if isinstance(value, date) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _read(cursor: str, columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(columns):
            raise ValueError
        return [_typed(value, column) for value, column in zip(values, columns, strict=True)]
    except (ValueError, TypeError, binascii.Error):
        raise CursorInvalid("the address does not say where the list goes on", fix="begin at the first page") from None


def _typed(value: object, column: ColumnElement[Any]) -> object:
    kind = column.type
    wanted = getattr(kind, "impl_instance", kind).python_type  # a decorated type does not know its own
    if wanted in {date, datetime} and isinstance(value, str):
        return wanted.fromisoformat(value)
    if type(value) is not wanted:
        raise TypeError
    return value

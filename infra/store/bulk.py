"""Frames into tables and back, inside the caller's transaction: COPY on PostgreSQL, executemany on SQLite.

Frames carry text as pandas `str`, `bytes` as object, dates as `datetime64[us]` at midnight, instants as
`datetime64[us, UTC]`, whole numbers as `int64` (or `Int64` where one is null), `Decimal` as object.

ADBC would read SQLite in half the time, but its driver brings a second copy of SQLite into the process, and two copies
undo each other's locks on one file (sqlite.org/howtocorrupt.html, 2.2.1). So rows come through the transaction's own
connection, some hundred at a time, and are columns before the next ones are fetched.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    CursorResult,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Select,
    Table,
    and_,
    func,
    select,
    update,
)
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from models.tables import IdCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy.types import TypeEngine
    from sqlmodel import SQLModel

BYTES = pa.large_binary()
FETCH_ROWS = 500
"""Their cells are still in the processor's cache when they become columns; 100,000 at once take half as long again."""
APPEND_ROWS = 10_000
"""How many rows are cells of Python's at once."""
VALUES_ROWS = 100
"""How many rows one INSERT of SQLite's has: a statement per row costs twice as much, and with triggers four times."""
DEPTH = "staged"
"""Where a connection counts its temporary tables, in `info`: an aborted block leaves its number behind, unused."""


def table_of(target: type[SQLModel] | Table) -> Table:
    """The SQLAlchemy table behind a row class."""
    return target if isinstance(target, Table) else target.__table__  # type: ignore[attr-defined]


def reserve(connection: Connection, name: str, count: int) -> int:
    """The first of `count` fresh ids; the range is ours when the transaction commits.

    One upsert: two first users of a counter cannot collide.
    """
    counter = table_of(IdCounter)
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    statement = (
        insert(counter)
        .values(name=name, next_id=1 + count)
        .on_conflict_do_update(index_elements=[counter.c.name], set_={"next_id": counter.c.next_id + count})
        .returning(counter.c.next_id)
    )
    return int(connection.execute(statement).scalar_one()) - count


def append(connection: Connection, target: type[SQLModel] | Table, frame: pd.DataFrame) -> int:
    """Rows of `frame` inserted into `target`; the frame's columns are a subset of the table's. Returns the count.

    Scalar column defaults fill what the frame leaves out. Raises the driver's IntegrityError on a repeated key.
    """
    table = table_of(target)
    if frame.empty:
        return 0
    frame = _with_defaults(table, frame)
    columns = [table.c[name] for name in frame.columns]
    kinds = [_kind(column.type) for column in columns]
    names = ", ".join(f'"{column.name}"' for column in columns)
    cursor: Any = connection.connection.cursor()
    try:
        for first in range(0, len(frame), APPEND_ROWS):
            part = frame.iloc[first : first + APPEND_ROWS]
            cells = [_out(part[column.name], kind) for column, kind in zip(columns, kinds, strict=True)]
            if _is_sqlite(connection):
                insert = f'INSERT INTO "{table.name}" ({names}) VALUES '  # noqa: S608 - names of our own tables
                _insert_rows(cursor, insert, list(map(_for_sqlite, cells, kinds)))
            else:
                with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT csv)') as copy:
                    copy.write(_for_copy(cells))
    finally:
        cursor.close()
    return len(frame)


def _insert_rows(cursor: Any, insert: str, cells: Sequence[Sequence[Any]]) -> None:
    """The columns' rows are inserted, `VALUES_ROWS` per statement, and the few left over one by one."""
    marks = f"({', '.join('?' * len(cells))})"
    count = len(cells[0])
    whole = count - count % VALUES_ROWS
    if whole:
        parts = ([column[first : first + VALUES_ROWS] for column in cells] for first in range(0, whole, VALUES_ROWS))
        many = (list(chain.from_iterable(zip(*part, strict=True))) for part in parts)
        cursor.executemany(insert + ", ".join([marks] * VALUES_ROWS), many)
    cursor.executemany(insert + marks, zip(*(column[whole:] for column in cells), strict=True))


def read(connection: Connection, statement: Select[Any]) -> pd.DataFrame:
    """The statement's rows as one typed frame (empty, with its columns and types, where there are none)."""
    chunks = list(_chunks(connection.execute(statement), statement, 1 << 62, sqlite=_is_sqlite(connection)))
    return chunks[0]


def read_chunks(connection: Connection, statement: Select[Any], rows: int = 1_000_000) -> Iterator[pd.DataFrame]:
    """The statement's rows in frames of at most `rows`; at least one frame, empty where there are none."""
    return _chunks(connection.execute(statement), statement, rows, sqlite=_is_sqlite(connection))


def _chunks(result: CursorResult[Any], statement: Select[Any], rows: int, *, sqlite: bool) -> Iterator[pd.DataFrame]:
    columns = list(statement.selected_columns)
    names = [column.key or str(column) for column in columns]
    kinds = [_kind(column.type) for column in columns]
    wires = [_wire(kind, sqlite=sqlite) for kind in kinds]
    # SQLAlchemy's row processing costs more than the query: the driver's own rows are turned into columns at once
    cursor: Any = result.cursor
    try:
        sent = False
        while True:
            parts, count = _fetch(cursor, wires, rows)
            if not count and sent:
                return
            series = [_in(_joined(part, wire), kind) for part, wire, kind in zip(parts, wires, kinds, strict=True)]
            yield pd.DataFrame(dict(zip(names, series, strict=True)), columns=names)
            sent = True
            if count < rows:
                return
    finally:
        result.close()


def set_columns(connection: Connection, target: type[SQLModel] | Table, frame: pd.DataFrame, key: Sequence[str]) -> int:
    """Rows of `target` that share `key` with a row of `frame` take its other columns. Returns how many changed.

    One temporary table and one UPDATE … FROM, whatever the size; `key` is unique in the frame.
    """
    table = table_of(target)
    if frame.empty:
        return 0
    with staged(connection, table, frame) as stage:
        statement = (
            update(table)
            .where(and_(*(table.c[name] == stage.c[name] for name in key)))
            .values({table.c[name]: stage.c[name] for name in frame.columns if name not in key})
        )
        return connection.execute(statement).rowcount


class staged:  # noqa: N801 - used as a verb in a with statement
    """A frame as a temporary table of this connection, its columns typed as in `like`, gone at the block's end."""

    def __init__(self, connection: Connection, like: Table, frame: pd.DataFrame) -> None:
        self.connection = connection
        self.frame = frame
        self.like = like

    def __enter__(self) -> Table:
        """The temporary table, filled."""
        depth = self.connection.info[DEPTH] = self.connection.info.get(DEPTH, 0) + 1
        self.table = _stage(self.like, tuple(self.frame.columns), depth)
        self.table.create(self.connection)
        append(self.connection, self.table, self.frame)
        return self.table

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Drop it; after an error the transaction is undone anyway."""
        if kind is None:
            self.table.drop(self.connection)
            self.connection.info[DEPTH] -= 1


@cache
def _stage(like: Table, names: tuple[str, ...], depth: int) -> Table:
    """The same table for the same columns: what is asked of it is compiled once in a process, not once a call."""
    columns = (Column(name, like.c[name].type) for name in names)
    return Table(f"stage_{depth}_{like.name}", MetaData(), *columns, prefixes=["TEMPORARY"])


def is_text(column: Column[Any]) -> bool:
    """Whether the column holds text."""
    return _kind(column.type) == "text"


def count(connection: Connection, statement: Select[Any]) -> int:
    """How many rows the statement has."""
    return int(connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one())


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _fetch(cursor: Any, wires: Sequence[pa.DataType], rows: int) -> tuple[list[list[Any]], int]:
    """At most so many rows as pieces of columns (the cells themselves where they are bytes), and how many they are."""
    parts: list[list[Any]] = [[] for _ in wires]
    count = 0
    while count < rows:
        some = cursor.fetchmany(min(FETCH_ROWS, rows - count))
        if not some:
            break
        count += len(some)
        for part, wire, cells in zip(parts, wires, zip(*some, strict=True), strict=True):
            if wire == BYTES:
                part.extend(cells)
            else:
                part.append(pa.array(cells, type=wire))
    return parts, count


def _joined(parts: list[Any], wire: pa.DataType) -> Any:
    if wire == BYTES or len(parts) == 1:
        return parts if wire == BYTES else parts.pop()
    whole = pa.concat_arrays(parts) if parts else pa.array([], type=wire)
    parts.clear()  # the pieces go as soon as the whole is there
    return whole


def _with_defaults(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    missing = {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in frame.columns and isinstance(column.default, ScalarElementColumnDefault)
    }
    return frame.assign(**missing) if missing else frame


# -- one column --------------------------------------------------------------------------------------------------------

Kind = Literal["instant", "date", "boolean", "integer", "float", "bytes", "text"]


def _kind(type_: TypeEngine[Any]) -> Kind | Numeric[Any]:
    """What a column holds; a decimal with its scale."""
    type_ = getattr(type_, "impl_instance", type_)
    if isinstance(type_, Numeric) and not isinstance(type_, Float):
        return type_
    for kind, of in _KINDS:
        if isinstance(type_, of):
            return kind
    return "text"


_KINDS: Final[tuple[tuple[Kind, type[TypeEngine[Any]]], ...]] = (
    ("instant", DateTime), ("date", Date), ("boolean", Boolean), ("integer", Integer), ("float", Float),
    ("bytes", LargeBinary),
)  # fmt: skip


def _wire(kind: Kind | Numeric[Any], *, sqlite: bool) -> pa.DataType:
    """How the driver hands the cells over: SQLite keeps dates and instants as text, booleans as numbers."""
    if not isinstance(kind, str):
        return pa.float64() if sqlite else pa.decimal128(38, kind.scale or 0)
    return (_FROM_SQLITE if sqlite else _FROM_POSTGRESQL)[kind]


_FROM_POSTGRESQL: Final[Mapping[Kind, pa.DataType]] = {
    "instant": pa.timestamp("us", "UTC"), "date": pa.date32(), "boolean": pa.bool_(), "integer": pa.int64(),
    "float": pa.float64(), "bytes": BYTES, "text": pa.large_string(),
}  # fmt: skip
_FROM_SQLITE: Final[Mapping[Kind, pa.DataType]] = {
    **_FROM_POSTGRESQL, "instant": pa.large_string(), "date": pa.large_string(), "boolean": pa.int64(),
}  # fmt: skip


def _in(cells: Any, kind: Kind | Numeric[Any]) -> pd.Series:
    """A column of the store as a typed series."""
    if isinstance(kind, str):
        return _SERIES[kind](cells)
    exact = cells.cast(pa.decimal128(38, kind.scale or 0))  # SQLite keeps a float: its scale says which was meant
    return pd.Series(exact.to_pylist(), dtype="object")


def _instants(cells: pa.Array) -> pd.Series:
    if pa.types.is_large_string(cells.type):
        cells = cells.cast(pa.timestamp("us"))
    plain = cells.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return pd.Series(pd.DatetimeIndex(plain).tz_localize("UTC"))  # a seventh of to_pandas() where there are few


def _dates(cells: pa.Array) -> pd.Series:
    days = cells.cast(pa.date32()).cast(pa.timestamp("us"))
    return pd.Series(days.to_numpy(zero_copy_only=False)).astype("datetime64[us]")


def _truths(cells: pa.Array) -> pd.Series:
    truths = cells.cast(pa.bool_())
    if truths.null_count:
        return pd.Series(truths.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get))
    return pd.Series(truths.to_numpy(zero_copy_only=False), dtype="bool")


def _integers(cells: pa.Array) -> pd.Series:
    if cells.null_count:
        return pd.Series(cells.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))
    return pd.Series(cells.to_numpy())


_SERIES: Final[Mapping[Kind, Callable[[Any], pd.Series]]] = {
    "instant": _instants,
    "date": _dates,
    "boolean": _truths,
    "integer": _integers,
    "float": lambda cells: pd.Series(cells.to_numpy(zero_copy_only=False), dtype="float64"),
    "bytes": lambda cells: pd.Series(cells, dtype="object"),
    "text": lambda cells: pd.Series(pd.array(cells, dtype="str")),
}


def _out(cells: pd.Series, kind: Kind | Numeric[Any]) -> Any:
    """A column of a frame as one Arrow array of its column's own type; decimals as text, bytes as they are."""
    if isinstance(kind, str):
        return _ARRAYS[kind](cells)
    return pa.array([None if gone else str(cell) for cell, gone in zip(cells, cells.isna(), strict=True)], pa.string())


_ARRAYS: Final[Mapping[Kind, Callable[[pd.Series], Any]]] = {
    "instant": lambda cells: _array(pd.to_datetime(cells, utc=True)).cast(pa.timestamp("us", "UTC"), safe=False),
    "date": lambda cells: _array(pd.to_datetime(cells)).cast(pa.date32(), safe=False),
    "boolean": lambda cells: _array(cells).cast(pa.bool_()),
    "integer": lambda cells: _array(cells if cells.dtype.kind in "iu" else cells.astype("Int64")).cast(pa.int64()),
    "float": lambda cells: _array(cells).cast(pa.float64()),
    "bytes": lambda cells: cells.astype("object").where(cells.notna(), None).tolist(),
    "text": lambda cells: _array(cells).cast(pa.large_string()),
}


def _array(cells: pd.Series) -> pa.Array:
    array = pa.array(cells, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _for_sqlite(cells: Any, kind: Kind | Numeric[Any]) -> list[Any]:
    """The cells as sqlite3 binds them, dates and instants in SQLAlchemy's own text form."""
    if isinstance(cells, list):
        return cells
    if kind == "instant":
        cells = cells.cast(pa.timestamp("us")).cast(pa.string())
    elif kind == "date":
        cells = cells.cast(pa.string())
    elif not isinstance(kind, str):
        cells = cells.cast(pa.float64())
    if not cells.null_count or not pa.types.is_primitive(cells.type):
        values: list[Any] = cells.to_numpy(zero_copy_only=False).tolist()
        return values
    # a number's null would come out as NaN
    nothing = False if pa.types.is_boolean(cells.type) else 0
    found = cells.fill_null(nothing).to_numpy(zero_copy_only=False).astype("object")
    found[cells.is_null().to_numpy(zero_copy_only=False)] = None
    numbers: list[Any] = found.tolist()
    return numbers


def _for_copy(columns: Sequence[Any]) -> bytes:
    """The columns as PostgreSQL's COPY reads CSV: null is an empty field without quotes."""
    written = [_hex(column) if isinstance(column, list) else column for column in columns]
    sink = pa.BufferOutputStream()
    options = pacsv.WriteOptions(include_header=False, quoting_style="needed")
    pacsv.write_csv(pa.table(written, names=[str(place) for place in range(len(written))]), sink, options)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _hex(cells: list[bytes | None]) -> pa.Array:
    """The form that PostgreSQL reads bytes in."""
    return pa.array([None if cell is None else "\\x" + cell.hex() for cell in cells], type=pa.large_string())

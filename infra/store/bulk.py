"""Frames into tables and back, inside the caller's transaction: COPY on PostgreSQL, one executemany on SQLite.

Frames carry text as pandas `str`, `bytes` as object, dates as `datetime64[us]` at midnight, instants as
`datetime64[us, UTC]`, whole numbers as `int64` (or `Int64` where a column may be null), `Decimal` as object.
"""

from __future__ import annotations

import itertools
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
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

from models.tables import IdCounter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.types import TypeEngine
    from sqlmodel import SQLModel

FETCH_ROWS = 50_000


def table_of(target: type[SQLModel] | Table) -> Table:
    """The SQLAlchemy table behind a row class."""
    return target if isinstance(target, Table) else target.__table__  # type: ignore[attr-defined,no-any-return]


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
    values = [_out(frame[column.name], column.type, sqlite=_is_sqlite(connection)) for column in columns]
    names = ", ".join(f'"{column.name}"' for column in columns)
    if _is_sqlite(connection):
        marks = ", ".join("?" * len(columns))
        cursor = connection.connection.cursor()
        cursor.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', zip(*values, strict=True))  # noqa: S608 - names come from our own tables
        cursor.close()
    else:
        cursor = connection.connection.cursor()
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in zip(*values, strict=True):
                copy.write_row(row)
        cursor.close()
    return len(frame)


def read(connection: Connection, statement: Select[Any]) -> pd.DataFrame:
    """The statement's rows as one typed frame (empty, with its columns and types, where there are none)."""
    chunks = list(read_chunks(connection, statement))
    return chunks[0] if len(chunks) == 1 else pd.concat(chunks, ignore_index=True)


def read_chunks(connection: Connection, statement: Select[Any], rows: int = 1_000_000) -> Iterator[pd.DataFrame]:
    """The statement's rows in frames of at most `rows`; at least one frame, empty where there are none."""
    columns = list(statement.selected_columns)
    names = [column.key or str(column) for column in columns]
    types = [column.type for column in columns]
    result = connection.execute(statement)
    # SQLAlchemy's row processing costs more than the query: the driver's own rows are turned into columns at once
    cursor = result.cursor
    try:
        sent = False
        while True:
            fetched = _fetch(cursor, rows)
            if not fetched and sent:
                return
            cells = list(zip(*fetched, strict=True)) if fetched else [() for _ in names]
            yield pd.DataFrame(
                {name: _in(cell, type_) for name, type_, cell in zip(names, types, cells, strict=True)}, columns=names
            )
            sent = True
            if len(fetched) < rows:
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
        self.table = Table(
            f"stage_{uuid.uuid4().hex[:12]}",
            MetaData(),
            *(Column(name, like.c[name].type) for name in frame.columns),
            prefixes=["TEMPORARY"],
        )

    def __enter__(self) -> Table:
        """The temporary table, filled."""
        self.table.create(self.connection)
        append(self.connection, self.table, self.frame)
        return self.table

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Drop it; after an error the transaction is undone anyway."""
        if kind is None:
            self.table.drop(self.connection)


def count(connection: Connection, statement: Select[Any]) -> int:
    """How many rows the statement has."""
    return int(connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one())


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _fetch(cursor: Any, rows: int) -> list[Any]:
    fetched: list[Any] = []
    while len(fetched) < rows:
        some = cursor.fetchmany(min(FETCH_ROWS, rows - len(fetched)))
        if not some:
            break
        fetched.extend(some)
    return fetched


def _with_defaults(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    missing = {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in frame.columns and column.default is not None and column.default.is_scalar
    }
    return frame.assign(**missing) if missing else frame


def _out(cells: pd.Series, type_: TypeEngine[Any], *, sqlite: bool) -> Sequence[Any]:
    """A column's cells as the driver wants them; SQLite gets SQLAlchemy's own text form of dates and instants."""
    type_ = getattr(type_, "impl_instance", type_)
    if isinstance(type_, DateTime):
        stamps = pd.to_datetime(cells, utc=True)
        if sqlite:
            return _text(stamps.dt.tz_localize(None), "%Y-%m-%d %H:%M:%S.%f")
        return _nullable(stamps.astype("object"), stamps)
    if isinstance(type_, Date):
        days = pd.to_datetime(cells)
        if sqlite:
            return _text(days, "%Y-%m-%d")
        return _nullable(days.dt.date, days)
    if isinstance(type_, Numeric) and not isinstance(type_, Float):
        return (
            [None if cell is None else str(cell) for cell in cells]
            if not sqlite
            else [None if cell is None else float(cell) for cell in cells]
        )
    if isinstance(type_, Integer) and not isinstance(type_, Boolean):
        if not cells.hasnans and cells.dtype.kind in "iu":  # a nullable Int64 says "i" too
            return cells.to_numpy(dtype="int64").tolist()
        # through numpy, for the elements of an Int64 are numpy's, and sqlite3 stores those as blobs
        return _nullable(cells.astype("Int64").to_numpy(dtype="int64", na_value=0).tolist(), cells)
    if cells.dtype == object or isinstance(type_, LargeBinary):
        return _nullable(cells, cells)
    if cells.hasnans:
        return _nullable(cells, cells)
    return cells.tolist()


def _nullable(values: Any, original: pd.Series) -> list[Any]:
    empty = original.isna().to_numpy()
    if not empty.any():
        return list(values)
    return [None if gone else value for value, gone in zip(values, empty, strict=True)]


def _text(stamps: pd.Series, form: str) -> list[Any]:
    return _nullable(stamps.dt.strftime(form), stamps)


def _in(cells: Sequence[Any], type_: TypeEngine[Any]) -> pd.Series:
    """A column of the store as a typed series; SQLite hands dates and instants over as text, PostgreSQL as objects."""
    type_ = getattr(type_, "impl_instance", type_)
    if isinstance(type_, DateTime):
        if any(isinstance(cell, str) for cell in itertools.islice((c for c in cells if c is not None), 1)):
            array = pa.array(cells, type=pa.string()).cast(pa.timestamp("us"))
            return pd.Series(array.to_numpy(zero_copy_only=False)).dt.tz_localize("UTC").astype("datetime64[us, UTC]")
        return pd.Series(pd.to_datetime(pd.Series(list(cells), dtype="object"), utc=True)).astype("datetime64[us, UTC]")
    if isinstance(type_, Date):
        text = any(isinstance(cell, str) for cell in itertools.islice((c for c in cells if c is not None), 1))
        array = pa.array(cells, type=pa.string() if text else pa.date32()).cast(pa.date32()).cast(pa.timestamp("us"))
        return pd.Series(array.to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    if isinstance(type_, Boolean):
        return pd.Series(
            [None if cell is None else bool(cell) for cell in cells], dtype="boolean" if None in cells else "bool"
        )
    if isinstance(type_, Integer):
        array = pa.array(cells, type=pa.int64())
        if array.null_count == 0:
            return pd.Series(array.to_numpy())
        return array.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if isinstance(type_, Float):
        return pd.Series(list(cells), dtype="float64")
    if isinstance(type_, Numeric):
        return pd.Series([None if cell is None else _decimal(cell, type_) for cell in cells], dtype="object")
    if isinstance(type_, LargeBinary):
        return pd.Series(list(cells), dtype="object")
    return pd.Series(pa.array(cells, type=pa.large_string()).to_pandas(), dtype="str")


def _decimal(cell: Any, type_: Numeric[Any]) -> Decimal:
    """SQLite keeps a NUMERIC as a float: its scale says which decimal was meant."""
    exact = cell if isinstance(cell, Decimal) else Decimal(str(cell))
    return exact.quantize(Decimal(1).scaleb(-(type_.scale or 0)))

"""Frames go into tables and come back as they were, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    func,
    literal,
    select,
)
from sqlmodel import SQLModel

from infra.store import bulk, schema
from infra.store.database import Database
from models.tables import Agency, IdCounter

REPEATED = (sqlite3.IntegrityError, psycopg.errors.UniqueViolation)

THINGS = Table(
    "things",
    MetaData(),
    Column("thing_id", BigInteger, primary_key=True),
    Column("many", BigInteger),
    Column("few", Integer),
    Column("words", String),
    Column("truth", Boolean),
    Column("share", Float),
    Column("rate", Numeric(9, 6)),
    Column("cell", LargeBinary),
    Column("day", Date),
    Column("at", DateTime(timezone=True)),
    Column("state", String, default="new", nullable=False),
)
TYPES = {
    "thing_id": "int64", "many": "Int64", "few": "Int64", "words": "str", "truth": "boolean", "share": "float64",
    "rate": "object", "cell": "object", "day": "datetime64[us]", "at": "datetime64[us, UTC]", "state": "str",
}  # fmt: skip

YEARS = (datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - hypothesis adds no zone, the frame does
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "many": st.none() | st.integers(-(2**63), 2**63 - 1),
            "few": st.none() | st.integers(-(2**31), 2**31 - 1),
            "words": st.none() | words,
            "truth": st.none() | st.booleans(),
            "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "rate": st.none() | st.decimals(-999, 999, places=6),
            "cell": st.none() | st.binary(max_size=20),
            "day": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
            "at": st.none() | st.datetimes(*YEARS),
            "state": words,
        }
    ),
    max_size=12,
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    THINGS.metadata.create_all(database.engine)
    SQLModel.metadata.create_all(database.engine, tables=[bulk.table_of(IdCounter)])
    yield database
    database.close()


def frame_of(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """A frame with the types that `bulk` promises to give back."""
    columns: dict[str, pd.Series] = {"thing_id": pd.Series(range(len(cells)), dtype="int64")}
    for name in list(TYPES)[1:]:
        values = [cell[name] for cell in cells]
        if name == "at":
            columns[name] = pd.to_datetime(pd.Series(values, dtype="object"), utc=True).astype("datetime64[us, UTC]")
        elif name == "day":
            columns[name] = pd.to_datetime(pd.Series(values, dtype="object")).astype("datetime64[us]")
        else:
            columns[name] = pd.Series(values, dtype=TYPES[name])
    return pd.DataFrame(columns)


def plain(frame: pd.DataFrame) -> list[list[Any]]:
    """The cells as Python's own, a missing one as None."""
    return [
        [None if gone else cell for cell, gone in zip(frame[n].tolist(), frame[n].isna(), strict=True)] for n in frame
    ]


def everything(database: Database) -> pd.DataFrame:
    with database.read() as connection:
        return bulk.read(connection, select(THINGS).order_by(THINGS.c.thing_id))


def emptied(database: Database) -> None:
    with database.write() as connection:
        connection.execute(THINGS.delete())


# -- there and back ----------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cells=rows)
def test_every_type_comes_back_as_it_went_nulls_too(database: Database, cells: list[dict[str, Any]]) -> None:
    emptied(database)
    frame = frame_of(cells)
    with database.write() as connection:
        assert bulk.append(connection, THINGS, frame) == len(cells)
    back = everything(database)
    assert list(back.columns) == list(frame.columns)
    assert plain(back) == plain(frame)


def test_the_types_are_those_that_are_promised(database: Database) -> None:
    empty = {"many": None, "few": None, "words": None, "truth": None, "share": None, "rate": None, "cell": None,
             "day": None, "at": None, "state": "x"}  # fmt: skip
    for cells in ([], [empty]):
        emptied(database)
        with database.write() as connection:
            bulk.append(connection, THINGS, frame_of(cells))
        found = everything(database).dtypes.astype(str).to_dict()
        without_nulls = {"many": "int64", "few": "int64", "truth": "bool"} if not cells else {}
        assert found == TYPES | without_nulls


def test_without_nulls_numbers_and_truths_are_plain(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1], "many": [2], "few": [3], "truth": [True]}))
    found = everything(database)
    assert found[["many", "few", "truth"]].dtypes.astype(str).tolist() == ["int64", "int64", "bool"]
    assert found["state"].tolist() == ["new"]  # the column's own default


def test_frames_of_other_types_are_taken_for_what_their_columns_are(database: Database) -> None:
    frame = pd.DataFrame(
        {
            "thing_id": np.array([1, 2], dtype="int32"),
            "many": pd.Series([5.0, None]),
            "few": pd.Series([None, 7], dtype="object"),
            "words": pd.Series(["a", "b"], dtype="category"),
            "truth": pd.Series([None, True], dtype="object"),
            "share": pd.Series([1, 2]),
            "day": [date(2026, 1, 5), None],
            "at": pd.Series(pd.to_datetime(["2026-01-05T09:00:00+08:00", "NaT"], utc=True)).dt.tz_convert(
                "Asia/Shanghai"
            ),
        }
    )
    with database.write() as connection:
        bulk.append(connection, THINGS, frame)
    back = everything(database)
    assert plain(back[["many", "few", "words", "truth", "share"]]) == [
        [5, None],
        [None, 7],
        ["a", "b"],
        [None, True],
        [1.0, 2.0],
    ]
    assert plain(back[["day"]]) == [[pd.Timestamp("2026-01-05"), None]]
    assert plain(back[["at"]]) == [[pd.Timestamp("2026-01-05T01:00:00Z"), None]]


def test_what_sqlalchemy_reads_is_what_bulk_wrote(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({
            "thing_id": [1], "day": [pd.Timestamp("2026-01-05")], "at": [pd.Timestamp("2026-01-05T01:02:03.000004Z")],
            "rate": [Decimal("0.225")], "truth": [False], "cell": [b"\x00\xff"],
        }))  # fmt: skip
    with database.read() as connection:
        row = connection.execute(select(THINGS)).one()
    assert row.day == date(2026, 1, 5)
    assert row.at.replace(tzinfo=UTC) == datetime(2026, 1, 5, 1, 2, 3, 4, tzinfo=UTC)
    assert (row.rate, row.truth, bytes(row.cell)) == (Decimal("0.225000"), False, b"\x00\xff")


def test_more_rows_than_are_fetched_at_once_keep_their_order(database: Database) -> None:
    count = 2 * bulk.FETCH_ROWS + 1
    frame = pd.DataFrame({"thing_id": range(count), "words": [str(n) if n % 3 else None for n in range(count)]})
    with database.write() as connection:
        bulk.append(connection, THINGS, frame)
    back = everything(database)
    assert back["thing_id"].tolist() == list(range(count))
    assert plain(back[["words"]]) == plain(frame[["words"]].astype("str"))


def test_more_rows_than_are_appended_at_once_all_arrive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "APPEND_ROWS", 4)
    with database.write() as connection:
        assert bulk.append(connection, THINGS, pd.DataFrame({"thing_id": range(10)})) == 10
    assert everything(database)["thing_id"].tolist() == list(range(10))


def test_chunks_are_the_whole_and_no_larger_than_asked(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": range(10)}))
        statement = select(THINGS.c.thing_id).order_by(THINGS.c.thing_id)
        for size, lengths in ((3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10]), (99, [10])):
            chunks = list(bulk.read_chunks(connection, statement, size))
            assert [len(chunk) for chunk in chunks] == lengths
            assert [n for chunk in chunks for n in chunk["thing_id"]] == list(range(10))
        assert [len(c) for c in bulk.read_chunks(connection, statement.where(THINGS.c.thing_id < 0))] == [0]


def test_chunks_left_half_read_do_no_harm(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": range(10)}))
        chunks = bulk.read_chunks(connection, select(THINGS.c.thing_id), 3)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
        assert bulk.count(connection, select(THINGS)) == 10


def test_labels_and_functions_are_columns_too(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1, 2], "day": [pd.Timestamp("2026-01-05")] * 2}))
        found = bulk.read(
            connection,
            select(func.count().label("n"), func.min(THINGS.c.day).label("first"), literal("x").label("told")),
        )
    assert found.to_dict("records") == [{"n": 2, "first": pd.Timestamp("2026-01-05"), "told": "x"}]


# -- keeping and changing ----------------------------------------------------------------------------------------------


def test_a_repeated_key_is_refused_and_nothing_of_it_stays(database: Database) -> None:
    with pytest.raises(REPEATED), database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1, 2, 1]}))
    assert everything(database).empty


def test_a_missing_value_that_must_be_there_is_refused(database: Database) -> None:
    wrong = (sqlite3.IntegrityError, psycopg.errors.NotNullViolation)
    with pytest.raises(wrong), database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1], "state": pd.Series([None], dtype="str")}))


def test_a_column_that_the_table_lacks_is_refused(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1], "colour": ["red"]}))


def test_an_error_later_in_the_transaction_undoes_the_rows(database: Database) -> None:
    def fails() -> None:
        with database.write() as connection:
            bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1]}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert everything(database).empty


def test_columns_are_set_where_the_key_is_met_and_nowhere_else(database: Database) -> None:
    with database.write() as connection:
        bulk.append(
            connection, THINGS, pd.DataFrame({"thing_id": [1, 2, 3], "words": ["a", "b", "c"], "few": [1, 1, 1]})
        )
        change = pd.DataFrame({"thing_id": [2, 9], "words": pd.Series([None, "z"], dtype="str"), "few": [5, 5]})
        assert bulk.set_columns(connection, THINGS, change, ["thing_id"]) == 1
        assert bulk.set_columns(connection, THINGS, change.iloc[:0], ["thing_id"]) == 0
    assert plain(everything(database)[["thing_id", "words", "few"]]) == [[1, 2, 3], ["a", None, "c"], [1, 5, 1]]


def test_a_stage_is_there_inside_the_block_alone(database: Database) -> None:
    with database.write() as connection:
        bulk.append(connection, THINGS, pd.DataFrame({"thing_id": [1, 2]}))
        with bulk.staged(connection, THINGS, pd.DataFrame({"thing_id": [2, 3]})) as stage:
            both = select(THINGS.c.thing_id).join(stage, stage.c.thing_id == THINGS.c.thing_id)
            assert bulk.read(connection, both)["thing_id"].tolist() == [2]
        with bulk.staged(connection, THINGS, pd.DataFrame({"thing_id": pd.Series(dtype="int64")})) as empty:
            assert bulk.count(connection, select(empty)) == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(counts=st.lists(st.integers(1, 1_000), min_size=1, max_size=8))
def test_ranges_of_ids_follow_on_one_another_and_never_overlap(database: Database, counts: list[int]) -> None:
    with database.write() as connection:
        connection.execute(bulk.table_of(IdCounter).delete())
        firsts = [bulk.reserve(connection, "thing", count) for count in counts]
        assert bulk.reserve(connection, "other", 1) == 1
    assert firsts == [1 + sum(counts[:place]) for place in range(len(counts))]


def test_a_range_that_was_not_committed_is_given_again(database: Database) -> None:
    def fails() -> None:
        with database.write() as connection:
            assert bulk.reserve(connection, "thing", 5) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    with database.write() as connection:
        assert bulk.reserve(connection, "thing", 5) == 1


def test_the_planner_is_told_how_tables_are_filled(database_url: str) -> None:
    database = Database(database_url)
    schema.ensure(database)
    with database.write() as connection:
        connection.execute(bulk.table_of(Agency).insert(), [
            {"agency": f"a{number}", "name": "x", "drop": "{}", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
            for number in range(20)
        ])  # fmt: skip
    database.look_at_tables()
    if database.is_sqlite:
        with database.read() as connection:
            told = connection.exec_driver_sql("SELECT stat FROM sqlite_stat1 WHERE tbl = 'agency'").scalars().all()
        assert told
        assert all(str(stat).startswith("20 ") for stat in told)
    database.close()

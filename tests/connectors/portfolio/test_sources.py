"""Every kind of source gives the same text, in shards, with the same line numbers; damage is told without a value."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xlsxwriter
from sqlalchemy import create_engine

from connectors.portfolio.errors import ColumnsMissing, SourceMissing, SourceUnreadable
from connectors.portfolio.profiles import Profile, parse_profile
from connectors.portfolio.sources import open_source

SECRET = "Wang Xiaoming"
PLAIN = """
name = "t"
version = 1
[columns]
account_ref = "ref"
name = "who"
product = { constant = "card" }
currency = { constant = "CNY" }
balance = "owed"
dpd = "days"
"""
ROWS = [[f"00{place}", f"{SECRET} {place}", f"{place}.50", str(place)] for place in range(1, 8)]
HEADER = ["ref", "who", "owed", "days"]


def profile(extra: str = "") -> Profile:
    return parse_profile(PLAIN + extra, "t.toml")


def read(path: Path | str, chosen: Profile | None = None, rows: int = 3, query: str = "") -> pd.DataFrame:
    """Every shard together, with the line numbers and the malformed lines (whose cells are missing)."""
    source = open_source(str(path), chosen or profile(), query)
    parts: list[pd.DataFrame] = []
    for chunk in source.chunks(rows):
        assert chunk.table.num_rows == len(chunk.lines) <= rows
        parts += [
            chunk.table.to_pandas().assign(line=chunk.lines, good=True),
            pd.DataFrame({"line": chunk.malformed, "good": False}),
        ]
    together: pd.DataFrame = pd.concat(parts, ignore_index=True).sort_values("line", ignore_index=True)
    return together


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def as_csv(rows: list[list[str]] | None = None, header: list[str] | None = None, delimiter: str = ",") -> str:
    return "".join(delimiter.join(row) + "\r\n" for row in [header or HEADER, *(rows or ROWS)])


@pytest.fixture
def expected(tmp_path: Path) -> pd.DataFrame:
    """What the plain CSV gives."""
    found = read(written(tmp_path / "plain.csv", as_csv()))
    assert found["line"].tolist() == list(range(1, 8))
    assert found["ref"].tolist() == [row[0] for row in ROWS]
    return found


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_shards_of_any_size_give_the_same_lines(rows: int, expected: pd.DataFrame, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(read(tmp_path / "plain.csv", rows=rows), expected)


def test_columns_in_another_order_and_beside_others_give_the_same(expected: pd.DataFrame, tmp_path: Path) -> None:
    rows = [[row[3], "x", row[1], row[0], row[2], "x"] for row in ROWS]
    path = written(tmp_path / "p.csv", as_csv(rows, ["days", "more", "who", "ref", "owed", "more"]))
    pd.testing.assert_frame_equal(read(path), expected)


def test_gzip_and_a_byte_order_mark_change_nothing(expected: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(as_csv().encode()))
    pd.testing.assert_frame_equal(read(tmp_path / "z.csv.gz"), expected)
    pd.testing.assert_frame_equal(read(written(tmp_path / "b.csv", as_csv(), "utf-8-sig")), expected)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk", "big5", "utf-16"])
def test_each_encoding_gives_the_same_names(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "e.csv", as_csv([["1", "王小明", "1", "1"]]), encoding)
    assert read(path, profile(f'[source]\nencoding = "{encoding}"\n'))["who"].tolist() == ["王小明"]


def test_western_single_bytes_are_read_strictly_too(tmp_path: Path) -> None:
    path = written(tmp_path / "w.csv", as_csv([["1", "Müller €", "1", "1"]]), "cp1252")
    assert read(path, profile('[source]\nencoding = "cp1252"\n'))["who"].tolist() == ["Müller €"]


def test_parquet_gives_what_the_csv_gives(expected: pd.DataFrame, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=HEADER)
    frame.astype({"days": "int16"}).to_parquet(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "p.parquet"), expected)


@pytest.mark.parametrize("sheet", ["", "accounts"])
def test_a_workbook_gives_what_the_csv_gives(sheet: str, expected: pd.DataFrame, tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "b.xlsx"), {"strings_to_numbers": False}) as book:
        page = book.add_worksheet("accounts")
        for place, row in enumerate([HEADER, *ROWS]):
            page.write_row(place, 0, [int(cell) if column == 3 and place else cell for column, cell in enumerate(row)])
        book.add_worksheet("notes").write(0, 0, "nothing")
    found = read(tmp_path / "b.xlsx", profile(f'[source]\nsheet = "{sheet}"\n'))
    pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(SourceUnreadable, match="no sheet 'other'"):
        read(tmp_path / "b.xlsx", profile('[source]\nsheet = "other"\n'))


@pytest.fixture
def lender_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lender's database with the accounts, named by an environment variable."""
    path = tmp_path / "lender.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE accounts (ref TEXT, who TEXT, owed TEXT, days INTEGER)")
        for row in ROWS:
            connection.exec_driver_sql("INSERT INTO accounts VALUES (?, ?, ?, ?)", tuple(row))
    engine.dispose()
    monkeypatch.setenv("LENDER_DB", f"sqlite:///{path}")
    return path


@pytest.mark.usefixtures("lender_database")
def test_a_query_gives_what_the_csv_gives(expected: pd.DataFrame) -> None:
    found = read("env:LENDER_DB", query="SELECT days, owed, who, ref FROM accounts ORDER BY ref")
    pd.testing.assert_frame_equal(found[expected.columns], expected)


@pytest.mark.usefixtures("lender_database")
def test_the_digest_of_a_query_is_of_its_rows_not_of_its_shards_or_column_order() -> None:
    digests = set()
    for rows, query in ((1, "SELECT * FROM accounts"), (100, "SELECT days, owed, who, ref FROM accounts")):
        source = open_source("env:LENDER_DB", profile(), query)
        assert source.sha256() is None
        assert sum(len(chunk.lines) for chunk in source.chunks(rows)) == len(ROWS)
        digests.add(source.sha256())
    changed = open_source("env:LENDER_DB", profile(), "SELECT ref, who, owed, days + 1 AS days FROM accounts")
    list(changed.chunks(10))
    assert len(digests) == 1
    assert changed.sha256() not in digests


@pytest.mark.usefixtures("lender_database")
def test_a_query_that_fails_tells_neither_itself_nor_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnreadable) as told:
        read("env:LENDER_DB", query=f"SELECT * FROM nowhere WHERE who = '{SECRET}'")
    assert SECRET not in str(told.value)
    assert told.value.__suppress_context__
    monkeypatch.setenv("LENDER_DB", "nonsense://user:hunter2@host/db")
    with pytest.raises(SourceMissing) as refused:
        read("env:LENDER_DB", query="SELECT 1")
    assert "hunter2" not in str(refused.value)


def test_a_url_with_its_password_is_not_taken_as_an_argument() -> None:
    with pytest.raises(SourceMissing) as told:
        open_source("postgresql://me:hunter2@host/db", profile())
    assert "hunter2" not in str(told.value)
    with pytest.raises(SourceMissing, match="NOT_SET"):
        open_source("env:NOT_SET", profile())


def test_numbers_with_types_of_their_own_keep_their_digits_or_show_that_they_lost_them(tmp_path: Path) -> None:
    frame = pa.table(
        {
            "ref": pa.array([622848000123456789.0, 12345.0]),
            "who": pa.array([date(2026, 1, 2), None]),
            "owed": pa.array([Decimal("12.50"), Decimal("0.10")]),
            "days": pa.array([np.int64(5), None]),
        }
    )
    import pyarrow.parquet as pq

    pq.write_table(frame, tmp_path / "typed.parquet")
    found = read(tmp_path / "typed.parquet", parse_profile('date_format = "%d/%m/%Y"\n' + PLAIN, "t.toml"))
    assert found["ref"].str.contains("e", regex=False).tolist() == [True, False]
    assert found["who"].fillna("").tolist() == ["02/01/2026", ""]
    assert found["owed"].tolist() == ["12.50", "0.10"]
    assert found["days"].fillna("").tolist() == ["5", ""]


def test_a_workbooks_numbers_and_dates_come_as_the_profile_spells_them(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "b.xlsx")) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, HEADER)
        page.write_number(1, 0, 622848000123456789)
        page.write_datetime(1, 1, date(2026, 1, 2), book.add_format({"num_format": "yyyy-mm-dd"}))
        page.write_number(1, 2, 1234.5)
        page.write_number(1, 3, 30)
    found = read(tmp_path / "b.xlsx")
    assert "e+17" in found["ref"][0]
    assert found[["who", "owed", "days"]].to_numpy().tolist() == [["2026-01-02", "1234.5", "30"]]


def test_lines_before_the_header_and_after_the_data_are_skipped_as_the_profile_says(tmp_path: Path) -> None:
    text = 'Extract of 30 June\r\n"made by, us"\r\n' + as_csv() + "TOTAL,7\r\nEND\r\n"
    found = read(written(tmp_path / "t.csv", text), profile("[source]\nskip_rows = 2\ntrailer_rows = 2\n"))
    assert found["line"].tolist() == list(range(1, 8))
    assert found["good"].all()


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_a_line_with_too_few_or_too_many_columns_is_told_by_number(rows: int, tmp_path: Path) -> None:
    text = as_csv([ROWS[0], ["only", "two"], ROWS[1], [*ROWS[2], "more"], ROWS[3], [*ROWS[4], "more"]])
    found = read(written(tmp_path / "m.csv", text), rows=rows)
    assert found["line"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["good"].tolist() == [True, False, True, False, True, False]
    assert found.loc[found["good"], "ref"].tolist() == ["001", "002", "004"]


def test_quoted_delimiters_quotes_and_line_breaks_stay_inside_their_cell(tmp_path: Path) -> None:
    text = 'ref,who,owed,days\n1,"a, ""b""\nc",1,1\n2,d,1,1\n'
    found = read(written(tmp_path / "q.csv", text))
    assert found["who"].tolist() == ['a, "b"\nc', "d"]
    assert found["line"].tolist() == [1, 2]


def test_a_semicolon_and_an_apostrophe_are_the_profiles_to_choose(tmp_path: Path) -> None:
    path = written(tmp_path / "s.csv", as_csv([["1", "'x;y'", "1", "1"]], delimiter=";"))
    assert read(path, profile("[source]\ndelimiter = ';'\nquote = \"'\"\n"))["who"].tolist() == ["x;y"]


def test_the_wrong_encoding_is_told_with_the_line_and_no_value(tmp_path: Path) -> None:
    text = as_csv([*ROWS[:2], ["3", "王小明", "1", "1"]])
    with pytest.raises(SourceUnreadable, match=r"not text in utf-8 \(first at line 4") as told:
        read(written(tmp_path / "g.csv", text, "gb18030"))
    assert told.value.__suppress_context__
    assert "王" not in str(told.value)


def test_missing_columns_are_told_with_their_nearest_and_repeated_ones_by_name(tmp_path: Path) -> None:
    with pytest.raises(ColumnsMissing) as told:
        read(written(tmp_path / "h.csv", as_csv(header=["ref", "who", "ovved", "days"])))
    assert "'owed' is not there (near: ovved)" in str(told.value)
    with pytest.raises(ColumnsMissing, match="'ref' is there 2 times"):
        read(written(tmp_path / "r.csv", as_csv(header=["ref", "who", "owed", "ref"])))


def test_without_a_header_the_first_debtor_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(ColumnsMissing) as told:
        read(written(tmp_path / "n.csv", ",".join(ROWS[0]) + "\n"))
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("cut.csv.gz", gzip.compress(as_csv(ROWS * 500).encode())[:-60]),
        ("no.csv.gz", b"not gzip"),
        ("open.csv", ('ref,who,owed,days\n1,"' + f"{SECRET}\n" * 900_000).encode()),
        ("no.xlsx", b"PK\x03\x04 not a workbook"),
        ("no.parquet", b"PAR1 not parquet"),
        ("what.pdf", b"%PDF"),
    ],
)
def test_a_damaged_or_foreign_file_is_told_and_nothing_of_it(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceUnreadable) as told:
        read(tmp_path / name)
    assert name in str(told.value)
    assert SECRET not in str(told.value)
    assert told.value.fix


def test_a_half_written_last_line_is_a_malformed_line(tmp_path: Path) -> None:
    found = read(written(tmp_path / "half.csv", as_csv()[:-9]))
    assert found["good"].tolist() == [True] * 6 + [False]


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing) as told:
        open_source(str(tmp_path / "none.csv"), profile())
    assert told.value.exit_code == 2


def test_the_digest_of_a_file_is_of_its_bytes(tmp_path: Path) -> None:
    one, other = (written(tmp_path / f"{name}.csv", as_csv()) for name in "ab")
    assert open_source(str(one), profile()).sha256() == open_source(str(other), profile()).sha256()
    written(other, as_csv() + " ")
    assert open_source(str(one), profile()).sha256() != open_source(str(other), profile()).sha256()

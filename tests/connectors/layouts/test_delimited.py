"""Delimited text is read as it stands, a bad line refuses that line, and nothing takes more than its bounds."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from connectors.layouts import delimited
from connectors.layouts.delimited import (
    ENCODINGS,
    MAX_COLUMNS,
    MAX_LINE,
    Dialect,
    DialectUnknown,
    FileRefused,
    Read,
    read_delimited,
)

ENOUGH = 1 << 30
CR, LF, QUOTE, COMMA = b"\r\n", b"\n", ord('"'), ord(",")


def read(raw: bytes, dialect: Dialect | None = None, **limits: int) -> Read:
    return read_delimited(raw, dialect or Dialect(), **{"max_bytes": ENOUGH, **limits})


def rows(found: Read) -> list[tuple[str, ...]]:
    columns = [column.to_pylist() for column in found.table.columns]
    return list(zip(*columns, strict=True))


def refused(found: Read) -> list[tuple[int, str, str]]:
    told = found.rejects
    return list(zip(told["line"].tolist(), told["column"].tolist(), told["code"].tolist(), strict=True))


def code_of(raw: bytes, dialect: Dialect | None = None, **limits: int) -> str:
    with pytest.raises(FileRefused) as error:
        read(raw, dialect, **limits)
    return error.value.code


# -- what is read ------------------------------------------------------------------------------------------------------


def test_every_cell_is_text_and_nothing_is_guessed() -> None:
    found = read("账号,b,c\r\n007,1E5,\r\nNA,null,  x \r\n110101199003070011,2026-01-01,=1+1".encode())
    assert found.header == ["账号", "b", "c"]
    assert rows(found) == [
        ("007", "1E5", ""),
        ("NA", "null", "  x "),
        ("110101199003070011", "2026-01-01", "=1+1"),
    ]
    assert {str(column.type) for column in found.table.columns} == {"string"}


def test_lines_are_counted_as_a_text_editor_counts_them() -> None:
    found = read(b'a,b\n1,"two\nlines"\n\n2,x\r3,"p\r\nq\rr"\r\n4\n5,y\n')
    assert rows(found) == [("1", "two\nlines"), ("2", "x"), ("3", "p\r\nq\rr"), ("5", "y")]
    assert found.lines.tolist() == [2, 5, 6, 10]
    assert found.records.tolist() == [1, 2, 3, 5]
    assert refused(found) == [(9, "", "ragged_line")]
    assert found.count == 5


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system_and_the_last_one_not_at_all(end: str) -> None:
    for last in ("", end):
        found = read(f"a,b{end}1,2{end}3,4{last}".encode())
        assert rows(found) == [("1", "2"), ("3", "4")]
        assert found.lines.tolist() == [2, 3]


def test_a_table_of_one_column_may_have_empty_cells() -> None:
    assert rows(read(b"a\nx\n\ny\n")) == [("x",), ("",), ("y",)]
    assert rows(read(b"a,b\n1,2\n\n3,4\n")) == [("1", "2"), ("3", "4")]


def test_only_a_file_s_first_byte_order_mark_is_no_text() -> None:
    assert rows(read("\ufeffa,b\n1,2\n\ufeff3,4\n".encode())) == [("1", "2"), ("\ufeff3", "4")]
    assert rows(read("a\n\ufeffx\n\n".encode())) == [("\ufeffx",), ("",)]


def test_a_repeated_or_empty_name_reaches_the_check_of_the_header() -> None:
    found = read(b"a,,a\n1,2,3\n")
    assert found.header == ["a", "", "a"]
    assert [column.to_pylist() for column in found.table.columns] == [["1"], ["2"], ["3"]]


def test_a_header_may_be_quoted_and_have_lines() -> None:
    found = read(b'"a,\nb","c ""d"""\n1,2\n')
    assert found.header == ["a,\nb", 'c "d"']
    assert found.lines.tolist() == [3]


@pytest.mark.parametrize("encoding", sorted(ENCODINGS - {"ascii", "latin-1", "cp1252"}))
def test_chinese_comes_through_in_every_encoding_that_has_it(encoding: str) -> None:
    text = "姓名,城市\n王明,北京\n李安,上海\n"
    found = read(text.encode(encoding), Dialect(encoding=encoding))
    assert found.header == ["姓名", "城市"]
    assert rows(found) == [("王明", "北京"), ("李安", "上海")]


def test_other_marks_may_be_agreed() -> None:
    found = read(b"skipped \"\nthis too\na|b\n'x|y'|\"\nT|1\n", Dialect("|", "'", skip=2, trailer="T"))
    assert rows(found) == [("x|y", '"')]
    assert found.trailer == ["T", "1"]
    assert found.lines.tolist() == [4]
    assert rows(read(b'a\tb\n"x\ty"\n', Dialect("\t", None))) == [('"x', 'y"')]


def test_without_a_header_the_first_record_sets_the_columns() -> None:
    found = read(b"1,2\n3,4\n5\n", Dialect(header=False))
    assert found.header == ["column_1", "column_2"]
    assert rows(found) == [("1", "2"), ("3", "4")]
    assert found.lines.tolist() == found.records.tolist() == [1, 2]
    assert refused(found) == [(3, "", "ragged_line")]


def test_a_line_that_only_looks_like_the_trailer_is_a_line() -> None:
    found = read(b"a,b\nT,1\nx,2\n", Dialect(trailer="T"))
    assert rows(found) == [("T", "1"), ("x", "2")]
    assert found.trailer is None


@pytest.mark.parametrize(
    "wrong",
    [{"delimiter": ""}, {"delimiter": ",,"}, {"delimiter": "，"}, {"delimiter": "\n"}, {"quote": ","}, {"quote": ""},
     {"encoding": "utf-7"}, {"encoding": "unicode_escape"}, {"skip": -1}, {"trailer": ""}],
)  # fmt: skip
def test_a_dialect_that_leaves_a_doubt_is_none(wrong: dict[str, Any]) -> None:
    if wrong == {"quote": ""}:
        assert Dialect(quote="").quote == ""  # said otherwise: no quotes
        return
    with pytest.raises(DialectUnknown):
        Dialect(**wrong)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (b"1", "", "ragged_line"),
        (b"1,2,3", "", "ragged_line"),
        (b',,"', "", "bad_quote"),
        (b'1,"2', "", "bad_quote"),
        (b'1,"2"x', "", "bad_quote"),
        (b'1,2"', "", "bad_quote"),
        (b'1, "2"', "", "bad_quote"),
        (b"1,\x00", "b", "nul"),
        (b"\x00,2", "a", "nul"),
        (b"1,\xff", "b", "encoding"),
        ("王,2".encode("gb18030"), "a", "encoding"),
        (b"1,\xed\xa0\x80", "b", "encoding"),  # half a surrogate
        (b"1,\xc0\xaf", "b", "encoding"),  # a slash, written too long
        (b"1," + b"x" * MAX_LINE, "", "line_too_long"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_that_cannot_be_read_is_refused_and_no_other(line: bytes, column: str, code: str, end: bytes) -> None:
    found = read(end.join([b"a,b", b"before,1", line, b"after,2", b'"after, ""too""",3']))
    assert rows(found) == [("before", "1"), ("after", "2"), ('after, "too"', "3")]
    assert refused(found) == [(3, column, code)]
    assert found.lines.tolist() == [2, 4, 5]
    assert found.unread["line"].tolist() == [2]


def test_an_open_quote_swallows_no_more_than_its_line() -> None:
    lines = [f'{number},"x"' for number in range(1_000)]
    lines[500] = '500,"x'
    found = read("a,b\n{}\n".format("\n".join(lines)).encode())
    assert refused(found) == [(502, "", "bad_quote")]
    assert found.table.num_rows == 999


def test_a_quoted_cell_over_many_lines_may_be_no_longer_than_a_line() -> None:
    found = read(b'a,b\n1,"' + b"x\n" * 40 + b'"\n2,y\n', max_line_bytes=50)
    assert refused(found)[0] == (2, "", "bad_quote")
    assert rows(found) == [("2", "y")]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed_csv"),
        (b"\n", "malformed_csv"),
        (b'"a,b\n1,2\n', "malformed_csv"),
        (b'a"b",c\n', ""),
        (b'"a"b,c\n', "malformed_csv"),
        (b"a" * (MAX_LINE + 1), "malformed_csv"),
        (b"," * MAX_COLUMNS + b"\n", "malformed_csv"),
        ("账号,b\n".encode("gb18030"), "encoding"),
        ("a,b\n1,2\n".encode("utf-16"), "encoding"),
        ("a,b\n1,2\n".encode("utf-16-le"), "encoding"),
        ("a,b\n1,2\n".encode("utf-32"), "encoding"),
    ],
)
def test_a_file_without_a_header_that_can_be_read_is_refused_whole(raw: bytes, code: str) -> None:
    if code:
        assert code_of(raw) == code
    else:
        assert read(raw).header == ['a"b"', "c"]


def test_utf_16_that_does_not_say_which_way_round_is_refused() -> None:
    assert code_of("a,b\n".encode("utf-16-le"), Dialect(encoding="utf-16")) == "encoding"


def test_a_file_larger_than_allowed_is_refused_whole() -> None:
    raw = b"a,b\n" + b"1,2\n" * 1_000
    assert read(raw, max_bytes=len(raw)).table.num_rows == 1_000
    assert code_of(raw, max_bytes=len(raw) - 1) == "too_large"


def test_a_table_of_empty_cells_is_refused_for_the_memory_that_it_would_take() -> None:
    empty = b",".join([b"a"] * 200) + b"\n" + (b"," * 199 + b"\n") * 40_000
    assert code_of(empty, max_bytes=len(empty)) == "too_large"
    assert read(empty[: len(empty) // 8], max_bytes=len(empty)).table.num_columns == 200


def test_a_file_of_unreadable_lines_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_UNREADABLE", 10)
    assert read(b"a,b\n" + b"1\n" * 10).count == 10
    assert code_of(b"a,b\n" + b"1\n" * 11) == "malformed_csv"


# -- laws --------------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), min_size=width,
                     max_size=width), min_size=1, max_size=12,
        )
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16"]),
)  # fmt: skip
def test_what_a_stranger_writes_is_what_is_read(table: list[list[str]], end: str, quoting: Any, encoding: str) -> None:
    # a writer that quotes only where it must forgets that a carriage return is a line's end for others
    assume(quoting == csv.QUOTE_ALL or not any("\r" in cell for row in table for cell in row))
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=quoting).writerows([["h"] * len(table[0]), *table])
    found = read(out.getvalue().encode(encoding), Dialect(encoding=encoding))
    assert rows(found) == [tuple(row) for row in table]
    assert found.rejects.empty


@dataclass
class Scanner:
    """The rules once more, byte by byte: slow, and plain enough to be believed."""

    text: bytes
    max_line: int
    good: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    bad: list[tuple[int, int, str]] = field(default_factory=list)

    def scan(self) -> Scanner:
        breaks = [at for at in range(len(self.text)) if self._line_end(at) == at + 1 and self.text[at : at + 1] in CR]
        header, at = self._record(0) or ([], 0)
        number = 0
        while at < len(self.text):
            end = self._line_end(at)
            if len(header) > 1 and self.text[at : at + 1] in (b"\r", b"\n"):
                at = end
                continue
            number += 1
            line = 1 + sum(1 for one in breaks if one < at)
            found = self._record(at)
            if found is None or found[1] - at > self.max_line:
                self.bad.append((line, number, "line_too_long" if end - at > self.max_line else "bad_quote"))
                at = end
                continue
            self._judge(line, number, len(header), found[0], self.text[at : found[1]])
            at = found[1]
        return self

    def _judge(self, line: int, number: int, width: int, cells: list[bytes], whole: bytes) -> None:
        if b"\0" in whole:
            self.bad.append((line, number, "nul"))
        elif len(cells) != width:
            self.bad.append((line, number, "ragged_line"))
        else:
            try:
                self.good.append((line, number, tuple(cell.decode() for cell in cells)))
            except UnicodeDecodeError:
                self.bad.append((line, number, "encoding"))

    def _line_end(self, at: int) -> int:
        while at < len(self.text):
            if self.text[at] == LF[0]:
                return at + 1
            if self.text[at] == CR[0]:
                return at + 2 if self.text[at + 1 : at + 2] == LF else at + 1
            at += 1
        return at

    def _cell(self, at: int) -> tuple[bytes, int] | None:
        text, cell = self.text, bytearray()
        if text[at : at + 1] == b'"':
            at += 1
            while text[at : at + 1] != b'"' or text[at : at + 2] == b'""':
                if at >= len(text):
                    return None
                at += 1 + (text[at] == QUOTE)
                cell.append(text[at - 1])
            at += 1
            return (bytes(cell), at) if at == len(text) or text[at] in b",\r\n" else None
        while at < len(text) and text[at] not in b",\r\n":
            if text[at] == QUOTE:
                return None
            cell.append(text[at])
            at += 1
        return bytes(cell), at

    def _record(self, at: int) -> tuple[list[bytes], int] | None:
        cells = []
        while (found := self._cell(at)) is not None:
            cells.append(found[0])
            at = found[1]
            if at == len(self.text) or self.text[at] != COMMA:
                return cells, self._line_end(at)
            at += 1
        return None


PIECES = (
    b"a",
    b"b",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b'"',
    b'""',
    b"x,y\n",
    b'"q,q"',
    b',"',
    b'",',
    b"\0",
    b"\xff",
    b"\xc3\xa9",
)


@settings(max_examples=400)
@given(
    body=st.lists(st.sampled_from(PIECES), max_size=60),
    header=st.sampled_from([b"a,b\n", b"a\n", b"a,b,c\r\n", b'"a",b\r']),
    max_line=st.sampled_from([12, 30, MAX_LINE]),
    block=st.sampled_from([1, 3, 7, 1 << 20]),
    part=st.sampled_from([1, 9, 1 << 20]),
)
@example(body=[b"\r", b"\n", b"\xff", b"\r", b"\0", b"\n"], header=b"a\n", max_line=12, block=1, part=1)
@example(body=[b'"', b"a", b"\r", b"a" * 30, b"\r", b"\n", b"x,y\n"], header=b"a,b\n", max_line=12, block=1, part=1)
def test_however_the_text_is_cut_into_blocks_it_is_read_by_the_rules(
    body: list[bytes], header: bytes, max_line: int, block: int, part: int
) -> None:
    text = header + b"".join(body)
    expected = Scanner(text, max_line).scan()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK", block)
        patch.setattr(delimited, "_PART", part)
        found = read(text, max_line_bytes=max_line)
    told = list(zip(found.lines.tolist(), found.records.tolist(), rows(found), strict=True))
    assert told == expected.good
    unread = found.rejects
    assert list(zip(unread["line"], unread["record"], unread["code"], strict=True)) == expected.bad


@settings(max_examples=200)
@given(raw=st.binary(max_size=300), encoding=st.sampled_from(sorted(ENCODINGS)))
def test_any_bytes_are_a_table_or_refused(raw: bytes, encoding: str) -> None:
    try:
        found = read(raw, Dialect(encoding=encoding))
    except FileRefused:
        return
    assert found.table.num_columns == len(found.header)
    assert found.table.num_rows == len(found.lines) == len(found.records)
    assert set(found.records.tolist()).isdisjoint(found.rejects["record"])


def test_a_stream_is_read_as_its_bytes_are(tmp_path: Path) -> None:
    raw = b"a,b\n" + b'1,"x,y"\n' * 300 + b"2\n"
    (tmp_path / "t.csv").write_bytes(raw)
    found = [read(raw), *(read_delimited(one, max_bytes=ENOUGH) for one in (tmp_path / "t.csv", io.BytesIO(raw)))]
    assert all(one.table.equals(found[0].table) and refused(one) == refused(found[0]) for one in found)
    assert isinstance(found[0].table, pa.Table)


MEASURE = """
import sys
from connectors.layouts.delimited import FileRefused, read_delimited
class Endless:
    def __init__(self, pattern, size):
        self.pattern, self.left = pattern, size
    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return (self.pattern * (size // len(self.pattern) + 1))[:size]
class Chained:
    def __init__(self, *parts):
        self.parts = list(parts)
    def read(self, size):
        while self.parts:
            block = self.parts[0].read(size)
            if block:
                return block
            self.parts.pop(0)
        return b""
import io
before = peak_kb()
body = Endless(eval(sys.argv[1]), 1 << 30)
try:
    found = read_delimited(Chained(io.BytesIO(b"a,b\\n1,2\\n"), body, io.BytesIO(b"\\n3,4\\n")), max_bytes=2 << 30)
    said = (found.table.num_rows, found.rejects["code"].tolist())
except FileRefused as error:
    said = error.code
print(said, (peak_kb() - before) >> 10)
"""


@pytest.mark.parametrize(
    ("pattern", "said"),
    [(b"x", "(2, ['line_too_long'])"), (b"\xff", "(2, ['line_too_long'])"), (b",", "(2, ['line_too_long'])"),
     (b"\0", "(2, ['line_too_long'])"), (b'"', "(2, ['line_too_long'])"), (b'"\n', "malformed_csv"),
     (b"x\n", "malformed_csv")],
    ids=["text", "no UTF-8", "cells", "NUL", "quotes", "open quotes", "ragged lines"],
)  # fmt: skip
def test_a_gibibyte_of_nonsense_takes_a_few_blocks_of_memory(pattern: bytes, said: str, peak_in_child: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", peak_in_child + MEASURE, repr(pattern)], capture_output=True, text=True, check=True,
        timeout=100, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    told, mebibytes = done.stdout.strip().rsplit(" ", 1)
    assert told == said
    assert int(mebibytes) < 200  # ragged lines: 152, for 64 MiB of them as for 1 GiB

"""Records of fixed width: bytes or characters as agreed, a record refused by itself, and no file too hostile."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.layouts.delimited import FileRefused
from connectors.layouts.flat import Flat, read_flat
from connectors.layouts.judging import in_their_words, judged
from connectors.layouts.naming import Named
from connectors.layouts.profiles import parse_layout
from models.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name = "own"
version = 1
date_format = "%Y%m%d"
[file]
format = "fixed"
encoding = "{encoding}"
positions = "{positions}"
[amounts]
unit = "minor"
[kinds.complaint]
record_length = 40
[kinds.complaint.columns]
complaint_ref = "编号"
account = "委外编号"
received_on = "日期"
category = "类别"
[kinds.complaint.positions]
"编号" = [1, 6]
"委外编号" = [7, 10]
"日期" = [17, 8]
"类别" = [25, 10]
"""
NAMED = Named("harbour", "quayside", "complaint", date(2026, 1, 3), 1)


def read(tmp_path: Path, raw: bytes, encoding: str = "gb18030", positions: str = "bytes") -> Flat:
    path = tmp_path / "file"
    path.write_bytes(raw)
    layout = parse_layout(TEXT.format(encoding=encoding, positions=positions), "own.toml")
    return read_flat(path, layout, NAMED, max_bytes=1 << 20)


def told(flat: Flat) -> list[tuple[int, str, str]]:
    rejects = in_their_words(flat, judged(KINDS["complaint"], flat, None).rejects)
    return list(zip(rejects["line"], rejects["column"], rejects["code"], strict=True))


GOOD = "C-1   R1        20260103态度      ".encode("gb18030").ljust(40)


def test_bytes_are_counted_in_the_encoding(tmp_path: Path) -> None:
    flat = read(tmp_path, GOOD + b"\r\n" + GOOD.replace(b"C-1", b"C-2") + b"\n")
    assert flat.table.to_pylist() == [
        {"complaint_ref": ref, "account": "R1", "received_on": "2026-01-03", "category": "态度"}
        for ref in ("C-1", "C-2")
    ]
    assert told(flat) == []


def test_characters_are_counted_where_that_is_agreed(tmp_path: Path) -> None:
    line = "C-1   R1        20260103态度恶劣😀    ".ljust(40)
    for encoding in ("utf-8", "utf-16", "gb18030"):
        flat = read(tmp_path, f"{line}\n".encode(encoding), encoding, "characters")
        assert flat.table.column("category").to_pylist() == ["态度恶劣😀"]
    flat = read(tmp_path, b"\xef\xbb\xbf" + line.encode() + b"\n", "utf-8", "characters")
    assert flat.table.num_rows == 1


def test_a_record_of_another_length_is_refused_by_itself(tmp_path: Path) -> None:
    flat = read(tmp_path, b"\n".join([GOOD, GOOD.rstrip(), b"", GOOD.replace(b"C-1", b"C-3") + b" ", GOOD]))
    assert told(flat) == [(2, "", "record_length"), (3, "", "record_length"), (4, "编号", "repeated")]
    assert "40 bytes in gb18030" in in_their_words(flat, judged(KINDS["complaint"], flat, None).rejects)["fix"].iloc[0]


def test_a_character_cut_in_two_is_refused_in_its_column(tmp_path: Path) -> None:
    cut = b"C-9   R1        20260103" + "态度恶劣吗".encode("gb18030")[:9] + b" " * 7
    flat = read(tmp_path, GOOD + b"\n" + cut + b"\n")
    assert told(flat) == [(2, "类别", "cut_character")]


@pytest.mark.parametrize(
    ("raw", "encoding", "positions", "code"),
    [
        (b"\n" * 600_000, "gb18030", "bytes", "malformed_csv"),
        (b"x\n" * 500_000, "gb18030", "bytes", "malformed_csv"),
        (b"\xff" * 40, "utf-8", "characters", "encoding"),
        (b"", "utf-8", "bytes", "malformed_csv"),
        (b" " * (1 << 20) + b" ", "utf-8", "bytes", "too_large"),
    ],
)
def test_what_is_no_such_file_is_refused_whole(
    tmp_path: Path, raw: bytes, encoding: str, positions: str, code: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        read(tmp_path, raw, encoding, positions)
    assert refused.value.code == code


@given(raw=st.binary(max_size=300), positions=st.sampled_from(["bytes", "characters"]))
def test_no_bytes_make_it_fail_otherwise_than_by_refusing(raw: bytes, positions: str, tmp_path_factory: Any) -> None:
    try:
        flat = read(tmp_path_factory.getbasetemp(), raw, "gb18030", positions)
    except FileRefused:
        return
    checked = judged(KINDS["complaint"], flat, None)
    assert len(checked.good) + checked.refused == flat.rows

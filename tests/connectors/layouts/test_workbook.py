"""A workbook is a ZIP of XML that a stranger wrote: what it says is read exactly, and what it tries does not work."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.layouts.delimited import FileRefused
from connectors.layouts.flat import read_flat
from connectors.layouts.judging import in_their_words, judged
from connectors.layouts.naming import Named
from connectors.layouts.profiles import load_layout, parse_layout
from connectors.layouts.spelling import DAY, NUMBER, WORD, WRONG
from connectors.layouts.workbook import rows_of
from models.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

BOOK = """<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>
 <sheet name="one" sheetId="1" r:id="rId1"/></sheets></workbook>"""
RELATIONS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
 <Relationship Id="rId1" Type="x" Target="{target}"{mode}/></Relationships>"""
SHEET = """<?xml version="1.0"?>{doctype}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<sheetData>{rows}</sheetData></worksheet>"""


def workbook(
    path: Path, rows: str, *, doctype: str = "", target: str = "worksheets/sheet1.xml", mode: str = ""
) -> Path:
    """A workbook put together by hand."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", BOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", RELATIONS.format(target=target, mode=mode))
        archive.writestr("xl/worksheets/sheet1.xml", SHEET.format(rows=rows, doctype=doctype))
    return path


def read(path: Path, sheet: str = "", max_bytes: int = 1 << 24) -> list[tuple[int, list[str], list[int]]]:
    return [(row.number, row.texts, row.shapes) for row in rows_of(path, sheet, max_bytes=max_bytes)]


def refused(path: Path, **how: Any) -> str:
    with pytest.raises(FileRefused) as error:
        read(path, **how)
    return error.value.code


@settings(max_examples=30, deadline=None)
@given(cells=st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=4), min_size=1, max_size=5))
def test_texts_come_back_as_they_were(cells: list[list[str]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.xlsx"
    plain = [
        ["".join(c for c in text if ord(c) > 31 and ord(c) not in {0xFFFE, 0xFFFF}) for text in row] for row in cells
    ]
    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(plain):
            for place, text in enumerate(row):
                sheet.write_string(number, place, text)
    found = {number: texts for number, texts, _ in read(path)}
    for number, row in enumerate(plain, 1):
        assert [text for text in found.get(number, []) if text] == [text for text in row if text]


def test_numbers_days_and_errors_show_as_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "typed.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_number(0, 0, 1234.5)
        sheet.write_number(0, 1, 0.1 + 0.2)
        sheet.write_number(0, 2, 123456789012345678)
        sheet.write_datetime(0, 3, date(2026, 1, 3), book.add_format({"num_format": "yyyy/m/d"}))
        sheet.write_datetime(
            0, 4, datetime(2026, 1, 3, 9, 30, tzinfo=UTC).replace(tzinfo=None), book.add_format({"num_format": 22})
        )
        sheet.write_number(0, 5, 46025)
        sheet.write_number(0, 6, 12.5, book.add_format({"num_format": '0.00"day"'}))
        sheet.write_formula(0, 7, "=1/0", None, "#DIV/0!")
        sheet.write_boolean(0, 8, True)
        sheet.write_formula(0, 9, '="a"&"b"', None, "ab")
        sheet.write_datetime(0, 10, date(2026, 1, 3), book.add_format({"num_format": 'yyyy"年"m"月"d"日"'}))
    ((number, texts, shapes),) = read(path)
    assert number == 1
    assert texts[:7] == ["1234.5", "0.3", "1.234567890123457E+17", "2026-01-03", "2026-01-03T09:30:00", "46025", "12.5"]
    assert shapes[:7] == [NUMBER, NUMBER, NUMBER, DAY, DAY, NUMBER, NUMBER]
    assert shapes[7:] == [WRONG, WRONG, WORD, DAY]
    assert texts[9:] == ["ab", "2026-01-03"]


def test_an_id_that_went_through_a_spreadsheet_is_refused_by_its_own_code(tmp_path: Path) -> None:
    layout = load_layout("cn-xlsx")
    path = tmp_path / "remittance.xlsx"
    good = ["流水1", "R1", "还款", "CNY", 100, 0, 0, 100, date(2026, 1, 3), "B1", ""]
    lines = [
        good,
        [123456789012345678, *good[1:]],
        [12345, *good[1:]],
        ["1.23457E+17", *good[1:]],
        [*good[:9], date(2026, 1, 1), ""],
        [*good[:4], "１００", "", "", "1,00", "2026-1-3", "B1", ""],
    ]
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("还款明细")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, layout.kinds["remittance"].order)
        for number, line in enumerate(lines, 1):
            for place, cell in enumerate(line):
                if isinstance(cell, date):
                    sheet.write_datetime(number, place, cell, day)
                else:
                    sheet.write(number, place, cell)
    flat = read_flat(path, layout, Named("harbour", "quayside", "remittance", date(2026, 1, 3), 1), max_bytes=1 << 20)
    checked = judged(KINDS["remittance"], flat, None)
    told = in_their_words(flat, checked.rejects)
    assert list(zip(told["line"], told["column"], told["code"], strict=True)) == [
        (2, "流水号", "spreadsheet_number"),
        (3, "流水号", "spreadsheet_number"),
        (4, "流水号", "spreadsheet_number"),
        (5, "汇款批次号", "spreadsheet_number"),
        (6, "净额", "not_amount"),
    ]
    assert checked.good["gross_minor"].tolist() == [10_000]
    whole = parse_layout(layout.text.replace('"refuse"', '"whole"'), "whole.toml")
    flat = read_flat(path, whole, Named("harbour", "quayside", "remittance", date(2026, 1, 3), 1), max_bytes=1 << 20)
    told = judged(KINDS["remittance"], flat, None).rejects
    assert told["line"].tolist() == [2, 4, 5, 6]


CELL = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


def test_entities_are_not_followed(tmp_path: Path) -> None:
    assert read(workbook(tmp_path / "a.xlsx", CELL.format("plain"))) == [(1, ["plain"], [WORD])]
    for number, doctype in enumerate((LAUGHS, OUTSIDE)):
        assert refused(workbook(tmp_path / f"{number}.xlsx", CELL.format("&a;"), doctype=doctype)) == "wrong_format"


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ('<row r="2"/><row r="1"/>', "wrong_format"),
        ('<row r="9999999"><c r="A9999999"><v>1</v></c></row>', "wrong_format"),
        ('<row r="1"><c r="ZZZZZZ1"><v>1</v></c></row>', "wrong_format"),
        ('<row r="1"><c r="XFD1"><v>1</v></c></row>', "wrong_format"),
        ('<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>2</v></c></row>', "wrong_format"),
        ('<row r="1"><c r="A1" t="s"><v>7</v></c></row>', "wrong_format"),
        ('<row r="x"><c r="A1"><v>1</v></c></row>', "wrong_format"),
        ("<row><c>", "wrong_format"),
    ],
)
def test_a_sheet_that_is_put_together_wrongly_is_no_sheet(tmp_path: Path, rows: str, code: str) -> None:
    assert refused(workbook(tmp_path / "a.xlsx", rows)) == code


def test_numbers_without_end_are_errors_and_not_work(tmp_path: Path) -> None:
    rows = "".join(
        f'<c r="{column}1"><v>{text}</v></c>'
        for column, text in zip("ABC", ("1e999999999", "9" * 5_000, "0x1"), strict=True)
    )
    ((_, _, shapes),) = read(workbook(tmp_path / "a.xlsx", f'<row r="1">{rows}</row>'))
    assert shapes == [WRONG, WRONG, WRONG]


def test_a_lonely_cell_far_down_costs_nothing(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", '<row r="1048576"><c r="ALL1048576" t="inlineStr"><is><t>x</t></is></c></row>')
    ((number, texts, _),) = read(path)
    assert (number, len(texts), texts[-1]) == (1_048_576, 1_000, "x")


def test_what_unpacks_to_more_than_allowed_is_too_large(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c></row>' for number in range(1, 50_000))
    assert refused(workbook(tmp_path / "a.xlsx", rows), max_bytes=100_000) == "too_large"
    long = CELL.format("x" * 20_000_000)
    assert refused(workbook(tmp_path / "b.xlsx", long), max_bytes=1 << 30) == "wrong_format"


def test_a_sheet_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    for number, (target, mode) in enumerate(
        [("http://127.0.0.1/sheet.xml", ' TargetMode="External"'), ("../../../etc/hostname", ""), ("/etc/hostname", "")]
    ):
        path = workbook(tmp_path / f"{number}.xlsx", "", target=target, mode=mode)
        assert refused(path) == "wrong_format"
    assert refused(workbook(tmp_path / "named.xlsx", ""), sheet="two") == "missing_sheet"


def test_an_archive_of_countless_parts_is_not_opened(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", CELL.format("x"))
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(2_000):
            archive.writestr(f"xl/media/{number}", b"")
    assert refused(path) == "wrong_format"


def test_two_parts_of_one_name_are_none(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", CELL.format("x"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("xl/worksheets/sheet1.xml", "other")
    assert refused(path) == "wrong_format"


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_workbook_is_refused_or_read(at: int, byte: int, cut: bool, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    whole = io.BytesIO()
    with xlsxwriter.Workbook(whole) as book:
        sheet = book.add_worksheet()
        for number in range(20):
            sheet.write_row(number, 0, [f"a{number}", number, 0.5])
    raw = bytearray(whole.getvalue())
    at %= len(raw)
    raw[at] = byte
    path.write_bytes(raw[:at] if cut else raw)
    with suppress(FileRefused):
        read(path)

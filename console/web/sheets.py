"""Files that a browser takes away: workbooks of a list, and what else is downloaded."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import xlsxwriter
from fastapi import Response

from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WIDEST: Final = 60


def sheet(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A workbook of one sheet. Text is text: no cell of it is a formula or a link, whatever it begins with."""
    return workbook([(title, columns, rows)])


def workbook(sheets: Iterable[tuple[str, Sequence[str], Iterable[Sequence[Any]]]]) -> bytes:
    """A workbook of sheets, each with its title, columns and rows; likewise without formulas."""
    kept = io.BytesIO()
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(kept, plain) as book:
        bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
        money = book.add_format({"num_format": "#,##0.00"})
        for title, columns, rows in sheets:
            page = book.add_worksheet("".join(letter for letter in title if letter not in "[]:*?/\\'")[:31])
            widths = [len(name) for name in columns]
            for place, name in enumerate(columns):
                page.write_string(0, place, name, bold)
            for number, row in enumerate(rows, 1):
                for place, cell in enumerate(row):
                    widths[place] = max(widths[place], len(str(cell)))
                    _write(page, number, place, cell, day, money)
            for place, width in enumerate(widths):
                page.set_column(place, place, min(width + 2, WIDEST))
            page.freeze_panes(1, 0)
    return kept.getvalue()


def _write(page: Any, number: int, place: int, cell: Any, day: Any, money: Any) -> None:
    if cell is None:
        return
    if isinstance(cell, datetime):
        page.write_datetime(number, place, cell.replace(tzinfo=None), day)
    elif isinstance(cell, date):
        page.write_datetime(number, place, datetime(cell.year, cell.month, cell.day), day)  # noqa: DTZ001 - a day
    elif isinstance(cell, float):
        page.write_number(number, place, cell, money)
    elif isinstance(cell, int):
        page.write_number(number, place, cell)
    else:
        page.write_string(number, place, str(cell))


def units(minor: int, currency: str) -> float:
    """An amount as a spreadsheet has numbers: in units of the currency."""
    return minor / float(10 ** exponent(currency))


def download(content: bytes | str, name: str, kind: str = XLSX) -> Response:
    """The content as a file of that name; never shown in the browser, whatever is in it, and kept by no cache."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=kind, headers={"Content-Disposition": disposition, "Cache-Control": "no-store"})

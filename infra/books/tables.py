"""The books as tables: CSV of every line, and a workbook with the trial balance of each month before them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Final

import pandas as pd

from infra.books.rows import SPOT, Books, amounts
from models.money import exponent
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER: Final = ("period", "posted_on", "value_date", "entry", "event", "code", "account", "agency", "currency",
                 "amount", "number")  # fmt: skip
"""Of the lines; `amount`: debit positive, credit negative; `number`: our internal one of the debtor's account."""
BALANCE: Final = ("period", "code", "account", "agency", "currency", "opening", "moved", "balance")
SHEET_ROWS: Final = 1_000_000
"""A sheet ends at 1,048,576 rows."""
WIDTH: Final = 18
NEVER: Final = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
"""An entry's key holds an agency's words: it must never become a formula or a link."""


def csv(books: Books, out: IO[str]) -> int:
    """Every line, under HEADER; how many."""
    out.write(",".join(HEADER) + "\r\n")
    written = 0
    for rows in _lines(books):
        defused(rows).to_csv(out, index=False, header=False, lineterminator="\r\n")
        written += len(rows)
    return written


def workbook(books: Books, path: Path) -> int:
    """Sheets `balances` (each month's trial balance) and `lines`, continued where one is full; how many lines."""
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, **NEVER})
    # a fixed day: the same books, the same bytes
    book.set_properties({"title": f"{books.lender} {books.since} {books.until}", "created": datetime(2000, 1, 1)})  # noqa: DTZ001
    sheets = _Sheets(book)
    sheets.begin("balances", BALANCE)
    for rows in _balances(books):
        sheets.fill(rows)
    sheets.begin("lines", HEADER)
    written = 0
    for rows in _lines(books):
        sheets.fill(rows)
        written += len(rows)
    book.close()
    return written


class _Sheets:
    """Fills one sheet after the other; amounts are numbers with their currency's digits, all else is text."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.bold = book.add_format({"bold": True})
        self.money = [book.add_format({"num_format": f"0.{'0' * digits}".rstrip(".")}) for digits in range(5)]

    def begin(self, name: str, header: tuple[str, ...]) -> None:
        """A new sheet, or the next one of the same name."""
        self.name, self.header = name, header
        number = sum(sheet.get_name().startswith(name) for sheet in self.book.worksheets())
        self.sheet = self.book.add_worksheet(f"{name} {number + 1}" if number else name)
        self.sheet.freeze_panes(1, 0)
        self.sheet.set_column(0, len(header) - 1, WIDTH)
        self.sheet.write_row(0, 0, header, self.bold)
        self.row = 1

    def fill(self, rows: pd.DataFrame) -> None:
        """The rows follow."""
        digits = rows["currency"].map(exponent)
        money = {place for place, name in enumerate(self.header) if name in {"amount", "opening", "moved", "balance"}}
        cells = rows.astype("object").where(rows.notna(), None)
        for line, places in zip(zip(*(cells[name] for name in self.header), strict=True), digits, strict=True):
            if self.row >= SHEET_ROWS:
                self.begin(self.name, self.header)
            for place, cell in enumerate(line):
                if cell is not None and place in money:
                    self.sheet.write_number(self.row, place, Decimal(cell), self.money[places])
                elif cell is not None:
                    self.sheet.write_string(self.row, place, str(cell))
            self.row += 1


def _lines(books: Books) -> Iterator[pd.DataFrame]:
    """Every line as text under HEADER, some thousand at a time."""
    names = books.accounts.set_index("code")["name"]
    for _, part in books.parts():
        told = {
            "period": part["period"],
            "posted_on": part["posted_on"].dt.strftime("%Y-%m-%d"),
            "value_date": part["value_date"].dt.strftime("%Y-%m-%d"),
            "entry": part["entry_key"],
            "event": part["event"],
            "code": part["code"],
            "account": part["code"].map(names),
            "agency": part["agency"],
            "currency": part["currency"],
            "amount": amounts(part),
            "number": part["account_id"],
        }
        yield pd.DataFrame(told, columns=list(HEADER))


def _balances(books: Books) -> Iterator[pd.DataFrame]:
    """Each month's trial balance under BALANCE."""
    names = books.accounts.set_index("code")["name"]
    before = books.balance("")
    for month in books.months:
        after = books.balance(month)
        rows = after.merge(before, on=SPOT, how="left", suffixes=("", "_before"))
        opening = rows["amount_minor_before"].fillna(0).astype("int64")
        figures = {"opening": opening, "moved": rows["amount_minor"] - opening, "balance": rows["amount_minor"]}
        told = {name: amounts(rows.assign(amount_minor=minor)) for name, minor in figures.items()}
        yield rows.assign(period=month, account=rows["code"].map(names), **told)[list(BALANCE)]
        before = after

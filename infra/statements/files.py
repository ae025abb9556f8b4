"""Statements as files: a CSV and an XLSX per agency, month and currency, the same bytes whenever they are written."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from keys.files import replacing
from models.kinds import KINDS
from models.money import exponent
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

FIELDS = KINDS["statement"].fields
HEADER = [field.name for field in FIELDS]
SHEET_ROWS = 1_000_000
"""A sheet ends at 1,048,576 rows."""
WIDTH = 18


def write(
    shards: Callable[[], Iterable[pd.DataFrame]], folder: Path, stem: str, account: Sequence[Sequence[object]] = ()
) -> tuple[Path, Path, str]:
    """`stem`.csv and `stem`.xlsx are in the folder, whole or not at all; their paths, and the SHA-256 of the CSV.

    `shards()`: the statement's lines from the first on, columns as the kind `statement` has them. `account`: the rows
    of the workbook's last sheet, texts and Decimals.
    """
    csv, xlsx = folder / f"{stem}.csv", folder / f"{stem}.xlsx"
    digest = hashlib.sha256()
    with replacing(csv) as part, part.open("wb") as out:
        for number, shard in enumerate(shards()):
            text = defused(_texts(shard)).to_csv(index=False, header=number == 0, lineterminator="\r\n").encode()
            digest.update(text)
            out.write(text)
    with replacing(xlsx) as part:
        _workbook(shards(), part, stem, account)
    return csv, xlsx, digest.hexdigest()


def _texts(shard: pd.DataFrame) -> pd.DataFrame:
    """Every column as text, amounts with the currency's digits."""
    currency = str(shard["currency"].iloc[0]) if len(shard) else ""
    columns = {}
    for field in FIELDS:
        cells = shard[field.column]
        if field.type == "amount":
            whole = pa.array(cells, type=pa.int64()).cast(pa.decimal128(38, 0))
            cells = whole.view(pa.decimal128(38, exponent(currency))).cast(pa.string()).to_pandas()
        elif field.type == "date":
            cells = cells.dt.strftime("%Y-%m-%d")
        columns[field.name] = cells.to_numpy()
    return pd.DataFrame(columns, columns=HEADER)


def _workbook(shards: Iterable[pd.DataFrame], path: Path, title: str, account: Sequence[Sequence[object]]) -> None:
    import xlsxwriter

    # an agency's own reference must never become a formula or a link
    never = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, **never})
    book.set_properties({"title": title, "created": datetime(2000, 1, 1)})  # noqa: DTZ001 - fixed: same lines, same bytes
    money = [book.add_format({"num_format": f"0.{'0' * digits}".rstrip(".")}) for digits in range(5)]
    bold = book.add_format({"bold": True})

    def headed() -> Any:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(HEADER) - 1, WIDTH)
        sheet.write_row(0, 0, HEADER, bold)
        return sheet

    sheet, row = headed(), 1
    for line, digits in _rows(shards):
        if row >= SHEET_ROWS:
            sheet, row = headed(), 1
        for column, cell in enumerate(line):
            if isinstance(cell, Decimal):
                sheet.write_number(row, column, cell, money[digits])
            elif isinstance(cell, str):
                sheet.write_string(row, column, cell)
        row += 1
    if account:
        _account(book.add_worksheet("account"), account)
    book.close()


def _account(sheet: Any, account: Sequence[Sequence[object]]) -> None:
    """The sums behind the lines, as the page has them."""
    sheet.set_column(0, 0, 3 * WIDTH)
    sheet.set_column(1, 6, WIDTH)
    for row, cells in enumerate(account):
        for column, cell in enumerate(cells):
            if isinstance(cell, Decimal):
                sheet.write_number(row, column, cell)
            else:
                sheet.write_string(row, column, str(cell))


def _rows(shards: Iterable[pd.DataFrame]) -> Iterator[tuple[tuple[object, ...], int]]:
    """Each line's cells (amounts as Decimal) and its currency's digits."""
    for shard in shards:
        if shard.empty:
            continue
        texts = _texts(shard)
        for field in FIELDS:
            if field.type == "amount":
                texts[field.name] = texts[field.name].map(Decimal)
        digits = exponent(str(shard["currency"].iloc[0]))
        texts = texts.astype("object").where(texts.notna(), None)
        texts["rate"] = texts["rate"].map(str, na_action="ignore")
        yield from ((line, digits) for line in zip(*(texts[name] for name in HEADER), strict=True))

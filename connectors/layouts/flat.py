"""A plain file of an agency, read by its layout profile to what a package would be: our columns as text, line by line.

What refuses the whole file is what would refuse a package: another format or encoding, a header that is not the
agreed one, a record of totals that is missing or does not tell what the lines tell. Anything else refuses a line.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from connectors.layouts.delimited import MAX_COLUMNS, MAX_LINE, Dialect, FileRefused, Read, read_delimited
from connectors.layouts.fixed import read_fixed, record_length
from connectors.layouts.package import Package
from connectors.layouts.sniffing import content_of
from connectors.layouts.spelling import Cells, amount_of, day_of, standard
from connectors.layouts.workbook import MAX_CELLS, Columns, Row, rows_of
from models.checking import CODES
from models.intake.readings import TEXT
from models.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from connectors.layouts.naming import Named
    from connectors.layouts.profiles import KindForm, Layout, Record

_CODECS: Final = {"utf-8-sig": "utf-8", "iso-8859-1": "latin-1"}
_MANY: Final = 100_000
"""lines that cannot be read beyond which the file is refused whole"""


@dataclass(frozen=True)
class Flat(Package):
    """A plain file that keeps its word, as a package: `read` holds our columns, its rejects name our fields."""

    layout: Layout
    form: KindForm
    head: pd.DataFrame
    """refusals of the header (line 0), in the agency's words"""
    faults: pd.DataFrame
    """cells that could not be read and were emptied: `line` (1 is the first after the header), `column`, `code`"""
    stated: Mapping[str, str] = field(default_factory=dict)
    """the sums that its header or trailer record states: `sum`, or `sum:CNY` for each currency"""

    def holds(self, sums: Mapping[str, int]) -> bool:
        """True where the lines' sums (minor units per currency) are the stated ones; nothing stated always holds."""
        if not self.stated:
            return True
        there = {currency: total for currency, total in sums.items() if total}
        if "sum" in self.stated:
            if len(there) > 1:
                return False
            currency = next(iter(there or sums or {"CNY": 0}))
            return amount_of(self.layout, self.stated["sum"], currency) == there.get(currency, 0)
        told = {place[4:]: amount_of(self.layout, text, place[4:]) for place, text in self.stated.items()}
        return set(there) <= set(told) and all(there.get(one, 0) == total for one, total in told.items())

    def told(self, rejects: pd.DataFrame) -> pd.DataFrame:
        """The refusals in the agency's words: its own columns, and fixes that speak of its own forms."""
        if rejects.empty:
            return rejects
        kind = KINDS[self.form.kind]
        pairs = rejects[["column", "code"]].drop_duplicates()
        fixes = {
            (column, code): fix_for(self.layout, self.form, column, code)
            for column, code in pairs.itertuples(index=False)
        }
        names = {one.name: self.form.shown.get(one.name, one.name) for one in kind.fields}
        keys = list(zip(rejects["column"], rejects["code"], strict=True))
        return rejects.assign(
            column=pd.array([names.get(column, column) for column, _ in keys], dtype="str"),
            fix=pd.array([fixes[key] for key in keys], dtype="str"),
        )


def read_flat(path: Path, layout: Layout, named: Named, *, max_bytes: int, by_name: bool = True) -> Flat:
    """The plain file at `path`, which its name says what it is. Raises FileRefused with the code.

    by_name: whether its records are held against what its name says; without it, only against its lines.

    The sums are checked by the caller once amounts are typed (`Flat.holds`).
    """
    form = layout.kinds[named.kind]
    with path.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    content = content_of(path)
    if content != ("workbook" if layout.file.format == "xlsx" else "text"):
        raise FileRefused("malformed_csv" if content == "empty" else "wrong_format")
    raw = _READERS[layout.file.format](path, layout, form, max_bytes)
    head, present = _head(form, raw.header)
    stated: dict[str, str] = {}
    if head.empty:  # else the records are of some other file, and the header says so better
        told = _Records(layout, form, named if by_name else None, raw.count)
        stated |= told.by("header_record", form.header_record, raw.header_record)
        stated |= told.by("trailer_record", form.trailer_record, raw.trailer_record)
    kind = KINDS[form.kind]
    rows = len(raw.records)
    if len(head):
        table = pa.table({name: pa.array([], pa.string()) for name in present})
        found = []
    else:
        empty = Cells(pa.repeat(pa.scalar("", TEXT), rows))
        cells = {name: raw.columns.get(name, empty) for name in form.order}
        table, faults = standard(layout, form, kind, cells, rows)
        found = [(one.field, one.code, raw.records[one.rows], raw.lines[one.rows]) for one in faults]
    cut = [one for one in raw.rejects if one[0]]
    read = Read(table.column_names, table, _rejects([one for one in raw.rejects if not one[0]]), raw.lines, raw.records)
    cells_of = _rejects([*cut, *found]).drop(columns="line").rename(columns={"record": "line"})
    manifest = {
        "lender": named.lender, "agency": named.agency, "kind": named.kind, "sequence": named.sequence,
        "rows": raw.count, "layout": layout.recorded,
    }  # fmt: skip
    return Flat(manifest, kind.table, read, digest, layout, form, head, cells_of, stated)


@dataclass(frozen=True)
class _Raw:
    """A file taken apart, its cells as they stand in it."""

    header: list[str] | None
    columns: Mapping[str, Cells]
    """by the file's names"""
    records: np.ndarray
    lines: np.ndarray
    rejects: Sequence[tuple[str, str, np.ndarray, np.ndarray]]
    """field, code, records, lines"""
    header_record: Sequence[str] | None
    trailer_record: Sequence[str] | None
    count: int


def _delimited(path: Path, layout: Layout, form: KindForm, max_bytes: int) -> _Raw:
    read = read_delimited(path, dialect_of(layout, form), max_bytes=max_bytes)
    if not layout.file.header and len(read.header) != len(form.order):
        raise FileRefused("malformed_csv")
    header = [name.strip() for name in read.header] if layout.file.header else list(form.order)
    columns = {
        name: Cells(read.table.column(place).combine_chunks().cast(TEXT))
        for place, name in enumerate(header)
        if name in form.order
    }
    rejects = [
        ("", str(code), part["record"].to_numpy(), part["line"].to_numpy())
        for code, part in read.rejects.groupby("code", sort=True)
    ]
    first = _first_record(path, layout) if form.header_record else None
    return _Raw(header, columns, read.records, read.lines, rejects, first, read.trailer, read.count)


def dialect_of(layout: Layout, form: KindForm) -> Dialect:
    """How the file's lines are read."""
    file, last = layout.file, form.trailer_record
    return Dialect(
        delimiter=file.delimiter,
        quote=file.quote or None,
        encoding=_CODECS.get(file.encoding, file.encoding),
        header=file.header,
        skip=file.skip_rows + (form.header_record is not None),
        trailer=None if last is None else last.marker + (file.delimiter if len(last.cells) > 1 else ""),
    )


def _first_record(path: Path, layout: Layout) -> list[str] | None:
    """The cells of the header record; None where there is none that can be read."""
    file = layout.file
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig" if file.encoding == "utf-8" else file.encoding, newline="")
        try:
            for _ in range(file.skip_rows):
                text.readline(MAX_LINE)
            line = text.readline(MAX_LINE).rstrip("\r\n")
            if not file.quote:
                return line.split(file.delimiter)
            return next(csv.reader([line], delimiter=file.delimiter, quotechar=file.quote, strict=True), None)
        except (UnicodeError, csv.Error):
            return None


def _fixed(path: Path, layout: Layout, form: KindForm, max_bytes: int) -> _Raw:
    read = read_fixed(path, layout, form, max_bytes=max_bytes)
    fields = {name: one.field for one in form.columns.values() for name in one.columns}
    line_of = dict(zip(read.records.tolist(), read.lines.tolist(), strict=True))
    rejects = [
        (fields.get(name, name), code, records, np.array([line_of.get(one, one) for one in records.tolist()], np.int64))
        for name, code, records in read.faults
    ]
    return _Raw(None, read.columns, read.records, read.lines, rejects, read.header, read.trailer, read.count)


def _workbook(path: Path, layout: Layout, form: KindForm, max_bytes: int) -> _Raw:
    rows = (row for row in rows_of(path, form.sheet, max_bytes=max_bytes) if row.number > layout.file.skip_rows)
    first = next(rows, None) if form.header_record else None
    header = [text.strip() for text in next(rows, Row(0)).texts] if layout.file.header else list(form.order)
    while header and not header[-1]:
        header.pop()
    if not header:
        raise FileRefused("malformed_csv")
    columns = Columns(len(header))
    ragged: list[tuple[int, int]] = []
    held: Row | None = None
    records: list[int] = []
    count = 0
    marker = form.trailer_record.marker if form.trailer_record else None
    for row, last in _with_last(rows):
        if last and marker is not None and row.texts[0] == marker:
            held = row
            break
        count += 1
        if columns.add(row):
            records.append(count)
            if len(records) * columns.count > 4 * MAX_CELLS:  # empty ones too: a wide header over many lines
                raise FileRefused("too_large")
        else:
            ragged.append((count, row.number))
            if len(ragged) > _MANY:
                raise FileRefused("malformed_csv")
    cells = {
        name: Cells(pa.array(columns.texts[place], TEXT), columns.shape(place))
        for place, name in enumerate(header)
        if name in form.order
    }
    cut = np.array(ragged, dtype=np.int64).reshape(-1, 2)
    rejects = [("", "ragged_line", cut[:, 0], cut[:, 1])] if ragged else []
    return _Raw(
        header if layout.file.header else None, cells, np.array(records, np.int64),
        np.frombuffer(columns.numbers, np.int64) if records else np.zeros(0, np.int64), rejects,
        None if first is None else first.texts, None if held is None else held.texts, count,
    )  # fmt: skip


def _with_last(rows: Iterator[Row]) -> Iterator[tuple[Row, bool]]:
    """The rows, and whether each is the last."""
    held = next(rows, None)
    for row in rows:
        if held is not None:
            yield held, False
        held = row
    if held is not None:
        yield held, True


_READERS = {"delimited": _delimited, "fixed": _fixed, "xlsx": _workbook}


def _head(form: KindForm, header: list[str] | None) -> tuple[pd.DataFrame, list[str]]:
    """Refusals of the header (line 0), and which of our fields the file has."""
    kind = KINDS[form.kind]
    there = set(form.order if header is None else header)
    present = [
        one.name for one in kind.fields if one.name in form.columns and set(form.columns[one.name].columns) <= there
    ]
    if header is None:
        return _in_head([]), present
    known = {*form.order, *form.ignored}
    found: list[tuple[str, str]] = []
    for one in kind.fields:
        column = form.columns.get(one.name)
        if column is not None and one.required:
            found += [(name, "missing_column") for name in column.columns if name not in there]
    if form.ignored != ("*",):
        found += [(f"#{place}", "unknown_column") for place, name in enumerate(header, 1) if name not in known]
    found += [(name, "repeated_column") for name in form.order if header.count(name) > 1]
    if len(header) > MAX_COLUMNS:
        raise FileRefused("malformed_csv")
    return _in_head(list(dict.fromkeys(found))), present


def _in_head(found: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame({
        "line": np.zeros(len(found), dtype=np.int64),
        "column": pd.array([name for name, _ in found], dtype="str"),
        "code": pd.array([code for _, code in found], dtype="str"),
        "fix": pd.array([CODES[code] for _, code in found], dtype="str"),
    })  # fmt: skip


def _rejects(found: Sequence[tuple[str, str, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({
            "line": lines, "record": records, "column": pd.array([name] * len(records), dtype="str"),
            "code": pd.array([code] * len(records), dtype="str"),
        })
        for name, code, records, lines in found
    ]  # fmt: skip
    empty = pd.DataFrame({
        "line": pd.Series(dtype="int64"), "record": pd.Series(dtype="int64"),
        "column": pd.Series(dtype="str"), "code": pd.Series(dtype="str"),
    })  # fmt: skip
    whole = pd.concat([empty, *parts], ignore_index=True)
    return whole.drop_duplicates().sort_values(["record", "column"], kind="stable", ignore_index=True)


# -- header and trailer records ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Records:
    """What header and trailer records are held against: the number of lines, and the file's name where it is known."""

    layout: Layout
    form: KindForm
    named: Named | None
    count: int

    def by(self, code: str, record: Record | None, cells: Sequence[str] | None) -> dict[str, str]:
        """The sums that the record states. Raises FileRefused where it is missing, or tells other things."""
        if record is None:
            return {}
        if cells is None or len(cells) < len(record.cells) or any(cells[len(record.cells) :]):
            raise FileRefused(code)
        sums = {}
        for cell, place, text in zip(record.cells, record.places, cells, strict=False):
            said = text.strip()
            if place == "rows":
                if _whole(said) != self.count:
                    raise FileRefused("rows")
            elif place.startswith("sum"):
                if said or not KINDS[self.form.kind].to_agency:  # ours has none where the amount may not leave
                    sums[place] = said
            elif not self._agrees(place, said, cell.strip()):
                raise FileRefused(code)
        return sums

    def _agrees(self, place: str, said: str, cell: str) -> bool:
        if not place:
            return said == cell
        if self.named is None:
            return True
        if place == "date":
            return day_of(self.layout, said) == self.named.day
        if place == "sequence":
            return _whole(said) == self.named.sequence
        return said == word_of(self.form, place, self.named)


def _whole(text: str) -> int:
    """The whole number; -1 where it is none."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else -1  # noqa: PLR2004 - digits of 64 bits


def word_of(form: KindForm, place: str, named: Named) -> str:
    """What a record says for the lender or the agency: the agency's word, where it has one."""
    if place == "agency":
        return named.agency
    words = {} if form.pattern is None else {ours: theirs for theirs, ours in form.pattern.lenders.items()}
    return words.get(named.lender, named.lender)


# -- what a receipt says -----------------------------------------------------------------------------------------------


def fix_for(layout: Layout, form: KindForm, field: str, code: str) -> str:
    """The fix, in the forms of this layout; what the code says to everybody where the layout adds nothing."""
    column = form.columns.get(field)
    if code == "not_one_of" and column is not None and column.map:
        return f"Use one of {', '.join(column.map)}."
    if code == "not_one_of" and field in form.constants:
        return f"Write {form.constants[field]} here, as the layout has it."
    if code == "record_length":
        unit = "characters" if layout.file.positions == "characters" else f"bytes in {layout.file.encoding}"
        return f"Make the record {record_length(form)} {unit} long, without what ends the line."
    example = EXAMPLES.get(code)
    return CODES[code] if example is None else example(layout)


def _amount_like(layout: Layout) -> str:
    return f"Write the amount as the layout has it: {example_amount(layout)}."


EXAMPLES: Final[Mapping[str, Callable[[Layout], str]]] = {
    "not_amount": _amount_like,
    "not_date": lambda layout: f"Write the day as the layout has it: {example_day(layout)}, a day that exists.",
    "not_datetime": lambda layout: f"Write the time as the layout has it: {example_instant(layout)}.",
    "not_yearmonth": lambda layout: f"Write the month as the layout has it: {example_month(layout)}.",
}


def example_amount(layout: Layout) -> str:
    """1,234.50 (of a currency with two digits) as the layout writes it, and the same below zero."""
    from connectors.layouts.spelling import written_amounts  # noqa: PLC0415 - for a person only

    above, below = written_amounts(layout, pa.array(["1234.50", "-1234.50"], TEXT)).to_pylist()
    return f"{above}, below zero {below}"


def example_day(layout: Layout) -> str:
    """The third of January 2026 as the layout writes it."""
    return pd.Timestamp("2026-01-03").strftime(layout.date_format)


def example_instant(layout: Layout) -> str:
    """Half past nine on that day as the layout writes it."""
    return pd.Timestamp("2026-01-03T09:30:00", tz=layout.timezone).strftime(layout.datetime_format)


def example_month(layout: Layout) -> str:
    """That month as the layout writes it."""
    return pd.Timestamp("2026-01-03").strftime(layout.month_format)

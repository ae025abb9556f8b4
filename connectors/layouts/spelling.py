"""The cells of an agency's file as our standard text, and the other way: dates, amounts, words, numbers.

Standard text is what a table inside a package holds: ISO dates, decimal text with the currency's digits, our own words.
Both directions work on whole columns. What cannot be read becomes an empty cell and a fault with its code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.checking import MAX_TEXT
from models.intake.readings import TEXT, AmountForm, Mask, Reading, dates, exact, mask, matches, minor_units, texts
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.layouts.profiles import Amounts, Column, KindForm, Layout
    from models.kinds import Field, Kind

WORD, NUMBER, DAY, WRONG = 0, 1, 2, 3
"""What a workbook's cell is: text, a number, a day or instant (as ISO text), or an error or truth value."""
SAFE_DIGITS: Final = 15
"""A spreadsheet's number has so many; whatever is behind them is lost."""
IDENTIFIERS: Final = frozenset(
    {
        "account",
        "debtor",
        "joint_debtor",
        "agency_txn_id",
        "original_txn_id",
        "invoice_no",
        "batch_ref",
        "complaint_ref",
        "id_number",
    }
)
_AMOUNT_CODES: Final = {"spreadsheet_number": "spreadsheet_number"}
_FULL_WIDTH: Final = {0x3000: " ", 0x2212: "-"} | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_IS_FULL_WIDTH: Final = r"[\x{ff01}-\x{ff5e}\x{3000}\x{2212}]"
_PLAIN: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_ADJACENT: Final = re.compile(r"%-?[A-Za-z]%")


@dataclass(frozen=True)
class Cells:
    """One column of the file: texts without null (empty is no value), and in a workbook what each cell is."""

    text: pa.Array
    shapes: np.ndarray | None = None
    """uint8; None: all are text"""

    def are(self, shape: int) -> Mask:
        """Which cells are of that shape."""
        if self.shapes is None:
            return np.full(len(self.text), shape == WORD)
        found: Mask = self.shapes == shape
        return found


@dataclass(frozen=True)
class Fault:
    """Cells of one field that could not be read."""

    field: str
    code: str
    rows: Mask


# -- their file to ours ------------------------------------------------------------------------------------------------


def standard(
    layout: Layout, form: KindForm, kind: Kind, file: Mapping[str, Cells], rows: int
) -> tuple[pa.Table, list[Fault]]:
    """Our fields as standard text, one column for each that the layout maps, and what could not be read."""
    reading = _Reading(layout, file, rows)
    # the currency first: it says how many digits an amount has
    fields = sorted((one for one in kind.fields if one.name in form.columns), key=lambda one: one.name != "currency")
    read: dict[str, pa.Array] = {one.name: reading.field(one, form.columns[one.name]) for one in fields}
    faults = [*reading.faults, *_changed_constants(form, file)]
    names = [one.name for one in kind.fields if one.name in read]
    return pa.table([read[name].cast(pa.string()) for name in names], names=names), faults


def _changed_constants(form: KindForm, file: Mapping[str, Cells]) -> list[Fault]:
    found = []
    for name, value in form.constants.items():
        if name in file:
            other = mask(pc.not_equal(file[name].text, pa.scalar(value, TEXT)))
            if other.any():
                found.append(Fault(name, "not_one_of", other))
    return found


class _Reading:
    """A file's columns being read."""

    def __init__(self, layout: Layout, file: Mapping[str, Cells], rows: int) -> None:
        self.layout = layout
        self.file = file
        self.rows = rows
        self.faults: list[Fault] = []
        self.currency: pa.Array = pa.repeat(pa.scalar("", TEXT), rows)

    def field(self, field: Field, column: Column) -> pa.Array:
        """The field's standard text; empty where there is none, and where it could not be read."""
        if column.constant is not None:
            text = pa.repeat(pa.scalar(column.constant, TEXT), self.rows)
        elif field.type == "amount":
            text = self._amount(field, column)
        else:
            read = _READERS.get(field.type, _strings)(self, field, column, self.file[column.column])
            text = self._kept(field.name, read)
        if field.name == "currency":
            self.currency = text
        return text

    def _kept(self, name: str, reading: Reading) -> pa.Array:
        bad = reading.bad()
        self.faults += [Fault(name, code, rows) for code, rows in reading.faults]
        empty = pa.scalar("", TEXT)
        values = pc.fill_null(reading.values.cast(TEXT), empty)
        return pc.if_else(pa.array(bad), empty, values) if bad.any() else values

    def plain(self, cells: Cells) -> pa.Array:
        """The texts of a value that is no free text: without blanks around, full-width marks folded; null: empty."""
        text = cells.text
        if self.layout.amounts.full_width:
            text = _folded(text)
        cut = pc.utf8_trim_whitespace(text)
        return pc.if_else(pc.equal(cut, pa.scalar("", TEXT)), pa.scalar(None, TEXT), cut)

    # -- amounts ---

    def _amount(self, field: Field, column: Column) -> pa.Array:
        if column.credit:
            reading = self._of_two(self.file[column.credit], self.file[column.debit])
        else:
            reading = self._signed(self.file[column.column], column)
        return self._kept(field.name, reading)

    def _signed(self, cells: Cells, column: Column) -> Reading:
        text, wrong = self._number(cells, signed=column.sign is None)
        reading = Reading(text, wrong)
        if column.sign is not None:
            says = self.plain(self.file[column.sign.column])
            below = mask(pc.equal(says, pa.scalar(column.sign.negative, TEXT)))
            known = below | mask(pc.equal(says, pa.scalar(column.sign.positive, TEXT)))
            reading.refuse("not_one_of", mask(pc.is_valid(text)) & ~known)
            reading.values = pc.if_else(pa.array(below), _negated(text), text)
        return self._minor(reading)

    def _of_two(self, credit: Cells, debit: Cells) -> Reading:
        above, above_wrong = self._number(credit, signed=False)
        below, below_wrong = self._number(debit, signed=False)
        zero = r"^[0.,]*$"
        both = mask(pc.is_valid(above)) & mask(pc.is_valid(below))
        below = pc.if_else(pa.array(both & matches(below, zero)), pa.scalar(None, TEXT), below)
        above = pc.if_else(pa.array(mask(pc.is_valid(below)) & matches(above, zero)), pa.scalar(None, TEXT), above)
        reading = Reading(pc.coalesce(above, _negated(below)), above_wrong + below_wrong)
        reading.refuse("not_amount", mask(pc.is_valid(above)) & mask(pc.is_valid(below)))
        return self._minor(reading)

    def _number(self, cells: Cells, *, signed: bool) -> tuple[pa.Array, list[tuple[str, Mask]]]:
        """The amounts as `exact` reads them with this layout's marks, below zero with a minus in front."""
        form = self.layout.amounts
        text = self.plain(cells)
        reading = Reading(text)
        typed = cells.are(NUMBER)
        if typed.any():  # a workbook's number has a point, whatever people's amounts have
            theirs = pc.if_else(pa.array(typed), _as_written(text, form), text)
            reading.refuse("spreadsheet_number", typed & matches(text, r"[eE]"))
            text = theirs
        wrong = cells.are(WRONG)
        reading.refuse("spreadsheet_error", wrong)
        reading.refuse("not_amount", cells.are(DAY))
        text, misread = _unsigned(text, form, signed=signed)
        reading.refuse("not_amount", misread)
        hidden = pa.array(reading.bad())
        return pc.if_else(hidden, pa.scalar(None, TEXT), text), reading.faults

    def _minor(self, reading: Reading) -> Reading:
        """Standard text of the amounts, refused where they are none."""
        form = AmountForm(self.layout.amounts.unit, self.layout.amounts.decimal, self.layout.amounts.thousands)
        read = exact(reading.values, form)
        minor = minor_units(read, self.currency, form)
        told = Reading(amount_text(minor.values, self.currency), list(reading.faults))
        already = reading.bad()
        for code, rows in minor.faults:
            told.refuse(_AMOUNT_CODES.get(code, "not_amount"), rows & ~already)
        return told


def _folded(text: pa.Array) -> pa.Array:
    if not mask(pc.match_substring_regex(text, _IS_FULL_WIDTH)).any():
        return text
    encoded = text.dictionary_encode()
    plain = pa.array([one.translate(_FULL_WIDTH) for one in encoded.dictionary.to_pylist()], TEXT)
    return plain.take(encoded.indices)


def _as_written(text: pa.Array, form: Amounts) -> pa.Array:
    """A workbook's numbers in the layout's own marks, so that one reader reads both."""
    if form.decimal == ",":
        text = pc.replace_substring(text, ".", ",")
    if form.sign == "trailing":
        return pc.replace_substring_regex(text, r"^-(.*)$", r"\1-")
    return pc.replace_substring_regex(text, r"^-(.*)$", r"(\1)") if form.sign == "parentheses" else text


def _unsigned(text: pa.Array, form: Amounts, *, signed: bool) -> tuple[pa.Array, Mask]:
    """Below zero has a minus in front; which ones have a sign that was not agreed."""
    if not signed:
        return text, matches(text, r"^[-+(]|[-)]$")
    if form.sign == "trailing":
        return pc.replace_substring_regex(text, r"^([^-+(]+)-$", r"-\1"), matches(text, r"^[-+(]")
    if form.sign == "parentheses":
        return pc.replace_substring_regex(text, r"^\(([^-+()]+)\)$", r"-\1"), matches(text, r"^[-+]")
    return text, matches(text, r"^\(|[-)]$")


def _negated(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar("-", TEXT), text, pa.scalar("", TEXT))


def amount_text(minor: pa.Array, currencies: pa.Array) -> pa.Array:
    """Minor units as standard text, each in its currency's digits; null stays null."""
    encoded = currencies.dictionary_encode()
    digits = np.array([exponent(code) for code in encoded.dictionary.to_pylist()] or [2], dtype=np.int64)
    of_row = digits[pc.fill_null(encoded.indices, 0).to_numpy()] if len(currencies) else digits
    result = pa.nulls(len(minor), TEXT)
    wide = minor.cast(pa.decimal128(38, 0))
    for one in np.unique(of_row).tolist():
        text = wide.view(pa.decimal128(38, one)).cast(pa.string()).cast(TEXT)
        result = text if len(np.unique(of_row)) == 1 else pc.if_else(pa.array(of_row == one), text, result)
    return result


def _strings(at: _Reading, field: Field, column: Column, cells: Cells) -> Reading:
    text = pc.utf8_trim_whitespace(cells.text) if at.layout.file.trim or column.map is not None else cells.text
    filled = pc.if_else(pc.equal(text, pa.scalar("", TEXT)), pa.scalar(None, TEXT), text)
    reading = Reading(filled)
    if cells.shapes is not None:
        reading.refuse("spreadsheet_error", cells.are(WRONG))
        whole = matches(text, rf"^-?[0-9]{{1,{SAFE_DIGITS}}}$") & (at.layout.file.number_cells == "whole")
        reading.refuse("spreadsheet_number", (cells.are(NUMBER) & ~whole) | cells.are(DAY))
    if field.name in IDENTIFIERS:
        lost = [
            rows for code, rows in texts(filled, max_chars=MAX_TEXT, digits=True).faults if code == "spreadsheet_number"
        ]
        for rows in lost:
            reading.refuse("spreadsheet_number", rows & ~reading.bad())
    if column.map is not None:
        theirs = pa.array(list(column.map), type=TEXT)
        ours = pa.array(list(column.map.values()), type=TEXT).take(pc.index_in(filled, value_set=theirs))
        reading.refuse("not_one_of", mask(pc.is_valid(filled)) & ~mask(pc.is_valid(ours)))
        reading.values = ours
    if column.default is not None:
        reading.values = pc.fill_null(reading.values, pa.scalar(column.default, TEXT))
    return reading


def _by_spelling(text: pa.Array, read: Callable[[pd.Series], pd.Series]) -> pa.Array:
    """Every distinct text read once; null where it could not be."""
    encoded = text.dictionary_encode()
    found = read(pd.Series(encoded.dictionary.to_pylist(), dtype="str"))
    return pa.array(found, type=TEXT, from_pandas=True).take(encoded.indices)


def _told(column: Column, cells: Cells, text: pa.Array, values: pa.Array, code: str) -> Reading:
    """The values, refused by this code where there was a text that could not be read."""
    reading = Reading(values)
    wrong = cells.are(WRONG)
    reading.refuse("spreadsheet_error", wrong)
    reading.refuse(code, mask(pc.is_valid(text)) & ~mask(pc.is_valid(values)) & ~wrong)
    if column.default is not None:
        empty = mask(pc.is_null(text))
        reading.values = pc.if_else(pa.array(empty), pa.scalar(column.default, TEXT), reading.values)
    return reading


def readable(form: str) -> str:
    """The form as it is read: whether a month is written 1 or 01 matters only when it is written."""
    return form.replace("%-", "%")


def _of_length(text: pa.Array, form: str) -> pa.Array:
    """Only texts that can be cut in one way: where digits stand side by side, none may be missing."""
    if not _ADJACENT.search(form):
        return text
    length = len(pd.Timestamp("2026-11-23T14:05:06Z").strftime(form))
    fits = pc.equal(pc.utf8_length(text), length)
    return pc.if_else(fits, text, pa.scalar(None, TEXT))


def _dates(at: _Reading, field: Field, column: Column, cells: Cells) -> Reading:  # noqa: ARG001 - one of `_READERS`
    text, days = at.plain(cells), cells.are(DAY)
    form = at.layout.date_format
    read = dates(_of_length(text, form), readable(form)).values.cast(pa.string()).cast(TEXT)
    if days.any():
        iso = dates(text, "%Y-%m-%d").values.cast(pa.string()).cast(TEXT)
        read = pc.if_else(pa.array(days), iso, read)
    return _told(column, cells, text, read, "not_date")


def _instants(at: _Reading, field: Field, column: Column, cells: Cells) -> Reading:  # noqa: ARG001 - one of `_READERS`
    text, days = at.plain(cells), cells.are(DAY)
    form, zone = at.layout.datetime_format, ZoneInfo(at.layout.timezone)
    read = _by_spelling(
        _of_length(text, form) if "%z" not in form else text, lambda one: _iso(one, readable(form), zone)
    )
    if days.any():
        local = _by_spelling(text, lambda one: _iso(one, "%Y-%m-%dT%H:%M:%S", zone))
        read = pc.if_else(pa.array(days), local, read)
    return _told(column, cells, text, read, "not_datetime")


def _iso(spelt: pd.Series, form: str, zone: ZoneInfo) -> pd.Series:
    """Instants in ISO 8601 with their offset; missing where a clock never showed, or showed twice, that time."""
    if "%z" in form:
        at = pd.to_datetime(spelt, format=form, errors="coerce", utc=True).dt.tz_convert(zone)
    else:
        local = pd.to_datetime(spelt, format=form, errors="coerce")
        at = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return _with_offset(at)


def _with_offset(at: pd.Series) -> pd.Series:
    text: pd.Series = at.dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    text = text.str.replace(r"\.0+(?=[+-])", "", regex=True)
    told: pd.Series = text.str.replace(r"([+-]\d\d)(\d\d)$", r"\1:\2", regex=True)
    return told


def _months(at: _Reading, field: Field, column: Column, cells: Cells) -> Reading:  # noqa: ARG001 - one of `_READERS`
    text, days = at.plain(cells), cells.are(DAY)
    form = at.layout.month_format
    shaped = _of_length(text, form)
    read = _by_spelling(
        shaped, lambda one: pd.to_datetime(one, format=readable(form), errors="coerce").dt.strftime("%Y-%m")
    )
    if days.any():
        read = pc.if_else(pa.array(days), pc.utf8_slice_codeunits(text, 0, 7), read)
    return _told(column, cells, text, read, "not_yearmonth")


def _numbers(at: _Reading, field: Field, column: Column, cells: Cells) -> Reading:
    text = at.plain(cells)
    reading = Reading(text)
    reading.refuse("spreadsheet_error", cells.are(WRONG))
    reading.refuse("not_integer" if field.type == "integer" else "not_rate", cells.are(DAY))
    if column.default is not None:
        reading.values = pc.fill_null(text, pa.scalar(column.default, TEXT))
    return reading


_READERS: Mapping[str, Callable[[_Reading, Field, Column, Cells], Reading]] = {
    "string": _strings,
    "date": _dates,
    "datetime": _instants,
    "yearmonth": _months,
    "integer": _numbers,
    "rate": _numbers,
}


def amount_of(layout: Layout, text: str, currency: str) -> int | None:
    """One amount in minor units, in the layout's form or a workbook's; None where it is none."""
    reading = _Reading(layout, {}, 1)
    reading.currency = pa.array([currency], TEXT)
    for shapes in (None, np.array([NUMBER], np.uint8)):
        number, wrong = reading._number(Cells(pa.array([text], TEXT), shapes), signed=True)  # noqa: SLF001 - its own module
        form = AmountForm(layout.amounts.unit, layout.amounts.decimal, layout.amounts.thousands)
        minor = minor_units(exact(number, form), reading.currency, form)
        if minor.values[0].is_valid and not wrong and not minor.faults:
            return int(minor.values[0].as_py())
        if layout.file.format != "xlsx":
            break
    return None


def day_of(layout: Layout, text: str) -> date | None:
    """One day in the layout's form, or a workbook's; None where it is none."""
    cells = pa.array([text], TEXT)
    told = dates(_of_length(cells, layout.date_format), readable(layout.date_format)).values[0].as_py()
    if told is None and layout.file.format == "xlsx":
        told = dates(cells, "%Y-%m-%d").values[0].as_py()
    return told if isinstance(told, date) else None


# -- ours to their file ------------------------------------------------------------------------------------------------


def spelt(layout: Layout, form: KindForm, kind: Kind, ours: Mapping[str, pa.Array], rows: int) -> dict[str, pa.Array]:
    """The file's columns as text, from standard text (null: no value). Fields that are not given stay empty."""
    empty = pa.repeat(pa.scalar("", TEXT), rows)
    told: dict[str, pa.Array] = {
        name: pa.repeat(pa.scalar(form.constants[name], TEXT), rows) if name in form.constants else empty
        for name in form.order
    }
    signs: list[tuple[Column, pa.Array]] = []
    for name, column in form.columns.items():
        if name not in ours or column.constant is not None:
            continue
        text = pc.fill_null(ours[name].cast(TEXT), "")
        one = kind.field(name)
        if one.type != "amount":
            told[column.column] = _WRITERS.get(one.type, _spelt_string)(layout, column, text)
        elif column.credit:
            below = pa.array(matches(text, "^-"))
            size = written_amounts(layout, pc.replace_substring_regex(text, "^-", ""))
            told[column.credit] = pc.if_else(below, pa.scalar("", TEXT), size)
            told[column.debit] = pc.if_else(below, size, pa.scalar("", TEXT))
        elif column.sign is not None:
            signs.append((column, text))
            told[column.column] = written_amounts(layout, pc.replace_substring_regex(text, "^-", ""))
        else:
            told[column.column] = written_amounts(layout, text)
    for column, text in signs:
        _say_sign(told, column, text)
    return told


def _say_sign(told: dict[str, pa.Array], column: Column, text: pa.Array) -> None:
    """The sign's column says it, where nothing else is said there already."""
    sign = column.sign
    assert sign is not None  # noqa: S101 - only columns with one come here
    says = pc.if_else(pa.array(matches(text, "^-")), pa.scalar(sign.negative, TEXT), pa.scalar(sign.positive, TEXT))
    here = told[sign.column]
    unsaid = pc.and_(pc.equal(here, pa.scalar("", TEXT)), pc.not_equal(text, pa.scalar("", TEXT)))
    told[sign.column] = pc.if_else(unsaid, says, here)


def written_amounts(layout: Layout, text: pa.Array) -> pa.Array:
    """Standard text of amounts as the layout writes them; empty stays empty."""
    form = layout.amounts
    if form.unit == "minor":
        text = pc.replace_substring_regex(pc.replace_substring(text, ".", ""), r"^(-?)0+(\d)", r"\1\2")
    if form.thousands:
        encoded = text.dictionary_encode()
        grouped = [_grouped(one, form) for one in encoded.dictionary.to_pylist()]
        text = pa.array(grouped, TEXT).take(encoded.indices)
    elif form.decimal == ",":
        text = pc.replace_substring(text, ".", ",")
    if form.sign == "trailing":
        return pc.replace_substring_regex(text, r"^-(.*)$", r"\1-")
    return pc.replace_substring_regex(text, r"^-(.*)$", r"(\1)") if form.sign == "parentheses" else text


def _grouped(text: str, form: Amounts) -> str:
    whole, point, rest = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return (
        f"{sign}{int(digits):,}".replace(",", form.thousands) + (form.decimal if point else "") + rest if digits else ""
    )


def _spelt_string(layout: Layout, column: Column, text: pa.Array) -> pa.Array:  # noqa: ARG001 - one of `_WRITERS`
    if column.map is None:
        return text
    theirs = {ours: word for word, ours in reversed([*column.map.items()])}
    places = pc.index_in(text, value_set=pa.array(list(theirs), type=TEXT))
    return pc.coalesce(pa.array(list(theirs.values()), type=TEXT).take(places), text)


def _spelt_by(text: pa.Array, write: Callable[[pd.Series], pd.Series]) -> pa.Array:
    encoded = text.dictionary_encode()
    done = write(pd.Series(encoded.dictionary.to_pylist(), dtype="str"))
    return pc.fill_null(pa.array(done, type=TEXT, from_pandas=True).take(encoded.indices), "")


def _spelt_date(layout: Layout, column: Column, text: pa.Array) -> pa.Array:  # noqa: ARG001 - one of `_WRITERS`
    form = layout.date_format
    return _spelt_by(text, lambda one: pd.to_datetime(one, format="%Y-%m-%d", errors="coerce").dt.strftime(form))


def _spelt_month(layout: Layout, column: Column, text: pa.Array) -> pa.Array:  # noqa: ARG001 - one of `_WRITERS`
    form = layout.month_format
    return _spelt_by(text, lambda one: pd.to_datetime(one, format="%Y-%m", errors="coerce").dt.strftime(form))


def _spelt_instant(layout: Layout, column: Column, text: pa.Array) -> pa.Array:  # noqa: ARG001 - one of `_WRITERS`
    zone, form = ZoneInfo(layout.timezone), layout.datetime_format

    def write(one: pd.Series) -> pd.Series:
        at = pd.to_datetime(one, format="ISO8601", errors="coerce", utc=True)
        return at.dt.tz_convert(zone).dt.strftime(form)

    return _spelt_by(text, write)


_WRITERS: Mapping[str, Callable[[Layout, Column, pa.Array], pa.Array]] = {
    "date": _spelt_date,
    "datetime": _spelt_instant,
    "yearmonth": _spelt_month,
}


def plain_number(raw: str) -> str:
    """A workbook's number as it was meant: fifteen digits, no exponent where it is short; else as it stands."""
    if len(raw) <= SAFE_DIGITS and _PLAIN.fullmatch(raw):
        return raw
    value = Decimal(raw)
    meant = Decimal(format(float(value), f".{SAFE_DIGITS}g"))
    if not value.is_finite() or abs(value) >= 10**SAFE_DIGITS or abs(value - meant) > abs(value) * Decimal("1e-14"):
        return raw
    text = format(meant.normalize(), "f")
    return "0" if text == "-0" else text

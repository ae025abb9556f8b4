"""Columns of text read as amounts, whole numbers and dates: exactly, or not at all, with a code that says why.

Nothing is guessed. A cell that a spreadsheet has ruined is told apart from one that was mistyped, because its
digits are gone and only the lender can bring them back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = pa.large_string()
EXACT: Final = pa.decimal128(37, 18)
"""Published amounts carry up to 17 decimals where a float was printed: all of them are read before any rounding."""

_AMOUNT: Final = r"^-?\d{1,16}(\.\d{1,18})?$"
_WHOLE: Final = r"^-?\d{1,18}$"
_SCIENTIFIC: Final = r"^[+-]?\d+([.,]\d*)?[eE][+-]?\d+$"
_FILLER: Final = r"^(#+|#(N/A|NA|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!))$"
_GROUPED: Final = r"^[+-]?\d{1,3}([,.'’\x{00a0}\x{202f} ]\d{3})+([.,]\d+)?$"
_DAY_NUMBER: Final = r"^[1-9]\d{4}(\.\d+)?$"
_LONG_DIGITS: Final = r"^\d{17,}$"
_LOST_DIGITS: Final = r"^\d{15}0{2,}$"
_FLOAT_TAIL: Final = r"^\d+\.0+$"
_CONTROL: Final = r"[\x00-\x1f\x7f-\x{009f}\x{200b}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]"
_SAFE_INTEGERS: Final = 10**15
"""Minor units beyond this are no consumer's debt; sums of ten million of them still fit 64 bits."""

Mask = np.ndarray
"""bool, one per row"""


@dataclass(frozen=True)
class AmountForm:
    """How amounts are written in a file. rounding: what to do with more decimals than the currency has."""

    unit: Literal["major", "minor"] = "major"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", "'", " "] = ""
    rounding: Literal["", "half_up"] = ""


@dataclass
class Reading:
    """One column read: its values (null where there is none), and the rows that could not be read, by code."""

    values: pa.Array
    faults: list[tuple[str, Mask]] = field(default_factory=list)

    def refuse(self, code: str, rows: Mask) -> None:
        """Note the rows that are refused for this reason, if there are any."""
        if rows.any():
            self.faults.append((code, rows))

    def bad(self) -> Mask:
        """Rows with any fault."""
        found = np.zeros(len(self.values), dtype=bool)
        for _, rows in self.faults:
            found |= rows
        return found


def mask(condition: pa.Array | pa.ChunkedArray) -> Mask:
    """The condition as numpy booleans; null is false."""
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), dtype=bool)  # noqa: FBT003 - Arrow takes it by position


def matches(texts: pa.Array, pattern: str) -> Mask:
    """Rows whose text matches the pattern (RE2); a missing text does not."""
    return mask(pc.match_substring_regex(texts, pattern))


def trimmed(texts: pa.Array) -> pa.Array:
    """The texts without white space around them; empty is missing."""
    cut = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(cut, pa.scalar("", TEXT)), pa.scalar(None, TEXT), cut)


def folded(texts: pd.Series) -> pd.Series:
    """The texts in one spelling for comparing: NFKC (full-width digits become plain), no white space around them."""
    cells = pc.utf8_trim_whitespace(pc.utf8_normalize(pa.array(texts, type=TEXT, from_pandas=True), form="NFKC"))
    return pd.Series(pd.array(cells, dtype="str"), index=texts.index)


def texts(cells: pa.Array, *, max_chars: int, digits: bool, check_lost_digits: bool = True) -> Reading:
    """The texts as they are, refused where they hide something, are too long, or went through a spreadsheet.

    digits: an identifier made of digits. One with more than 15 ends in zeros after a spreadsheet; that is refused only
    where more than half of the column's long ones do, since one in a thousand ends so by itself.
    """
    reading = Reading(cells)
    reading.refuse("control_character", matches(cells, _CONTROL))
    reading.refuse("too_long", mask(pc.greater(pc.utf8_length(cells), max_chars)))
    if digits:
        reading.refuse("spreadsheet_error", matches(cells, _FILLER))
        reading.refuse("spreadsheet_number", matches(cells, _SCIENTIFIC) | matches(cells, _FLOAT_TAIL))
        if check_lost_digits:
            lost = matches(cells, _LOST_DIGITS)
            if 2 * lost.sum() > matches(cells, _LONG_DIGITS).sum():
                reading.refuse("spreadsheet_number", lost)
    return reading


def exact(cells: pa.Array, form: AmountForm) -> Reading:
    """The amounts as exact decimals (37, 18) of the unit they are written in."""
    plain = _plain_number(cells, form)
    good = matches(plain, _AMOUNT)
    reading = Reading(pc.if_else(pa.array(good), plain, pa.scalar(None, TEXT)).cast(EXACT))
    unread = mask(pc.is_valid(cells)) & ~good
    if unread.any():
        for code, rows in _why_unread(cells, form):
            reading.refuse(code, unread & rows)
            unread &= ~rows
        reading.refuse("not_amount", unread)
    return reading


def _plain_number(cells: pa.Array, form: AmountForm) -> pa.Array:
    """The numbers with a point and no thousands marks, where they are written as the form says."""
    plain = pc.replace_substring_regex(cells, r"^\+(\d)", r"\1")
    if form.thousands:
        mark = re.escape(form.thousands)
        grouped = matches(plain, rf"^-?\d{{1,3}}({mark}\d{{3}})+(\{form.decimal}\d+)?$")
        plain = pc.if_else(pa.array(grouped), pc.replace_substring(plain, form.thousands, ""), plain)
    if form.decimal == ",":
        european = matches(plain, r"^-?\d+(,\d+)?$")
        plain = pc.if_else(pa.array(european), pc.replace_substring(plain, ",", "."), pa.scalar(None, TEXT))
    return plain


def _why_unread(cells: pa.Array, form: AmountForm) -> Iterator[tuple[str, Mask]]:
    """The causes that can be told, the surest first."""
    other = "," if form.decimal == "." else "."
    yield "spreadsheet_number", matches(cells, _SCIENTIFIC)
    yield "spreadsheet_error", matches(cells, _FILLER)
    yield "thousands_separator", matches(cells, _GROUPED)
    yield "decimal_mark", matches(cells, rf"^[+-]?\d+\{other}\d+$")
    yield "too_many_decimals", matches(cells, rf"^[+-]?\d{{1,16}}\{form.decimal}\d{{19,}}$")
    yield "amount_too_large", matches(cells, r"^[+-]?\d{17,}")


def minor_units(amounts: Reading, currencies: pa.Array, form: AmountForm) -> Reading:
    """The amounts as int64 minor units of their currency (ISO 4217 exponent); faults carried on.

    Half-up means away from zero at the half, as money is rounded.
    """
    rounded = Reading(amounts.values, list(amounts.faults))
    rows = len(amounts.values)
    minor = np.zeros(rows, dtype=np.int64)
    known = mask(pc.is_valid(amounts.values))
    inexact, large = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
    for digits, here in _by_exponent(currencies, form):
        values = amounts.values if here is None else pc.if_else(pa.array(here), amounts.values, pa.scalar(None, EXACT))
        nearest = pc.round(values, ndigits=digits, round_mode="half_towards_infinity")
        if not form.rounding:
            inexact |= mask(pc.not_equal(nearest, values))
        limit = pa.scalar(_SAFE_INTEGERS // 10**digits, pa.int64()).cast(EXACT)
        large |= mask(pc.greater(pc.abs(nearest), limit))
        fitting = pc.if_else(pa.array(large), pa.scalar(None, EXACT), nearest).cast(pa.decimal128(38, digits))
        minor += np.where(mask(pc.is_valid(fitting)), _unscaled(fitting), 0)
    rounded.refuse("too_many_decimals", inexact)
    rounded.refuse("amount_too_large", large)
    rounded.values = pa.array(minor, mask=~known | inexact | large)
    return rounded


def _by_exponent(currencies: pa.Array, form: AmountForm) -> Iterator[tuple[int, Mask | None]]:
    """Digits after the point, and the rows with a currency of so many (None: all of them)."""
    if form.unit == "minor":
        yield 0, None
        return
    encoded = currencies.dictionary_encode()
    digits = np.array([exponent(code) for code in encoded.dictionary.to_pylist()] or [2], dtype=np.int64)
    if (digits == digits[0]).all():
        yield int(digits[0]), None
        return
    of_row = digits[pc.fill_null(encoded.indices, 0).to_numpy()]
    for one in np.unique(digits):
        yield int(one), of_row == one


def _unscaled(decimals: pa.Array) -> np.ndarray:
    """The low 64 bits of the decimals' 128: the number itself wherever it fits, and `_SAFE_INTEGERS` saw to that."""
    words = np.frombuffer(decimals.buffers()[1], dtype=np.int64, count=2 * (decimals.offset + len(decimals)))
    return words.reshape(-1, 2)[decimals.offset :, 0]


def whole_numbers(cells: pa.Array) -> Reading:
    """The numbers as int64."""
    good = matches(cells, _WHOLE)
    reading = Reading(pc.if_else(pa.array(good), cells, pa.scalar(None, TEXT)).cast(pa.int64()))
    unread = mask(pc.is_valid(cells)) & ~good
    if unread.any():
        scientific = matches(cells, _SCIENTIFIC)
        reading.refuse("spreadsheet_number", unread & scientific)
        reading.refuse("spreadsheet_error", unread & matches(cells, _FILLER))
        reading.refuse("not_integer", unread & ~reading.bad())
    return reading


def dates(cells: pa.Array, form: str) -> Reading:
    """The dates as date32, each distinct spelling read once.

    form: as in strftime. A spreadsheet's day number (45658) is told apart from a misspelt date.
    """
    encoded = cells.dictionary_encode()
    spelt = pd.Series(encoded.dictionary.to_pandas(), dtype="str")
    days = pd.to_datetime(spelt, format=form, errors="coerce", exact=True)
    days = days.where(days.isna() | (days == days.dt.normalize()))
    readable = pa.Array.from_pandas(days.dt.date, type=pa.date32()) if len(days) else pa.array([], type=pa.date32())
    reading = Reading(readable.take(encoded.indices))
    unread = mask(pc.is_valid(cells)) & ~mask(pc.is_valid(reading.values))
    if unread.any():
        reading.refuse("spreadsheet_date", unread & matches(cells, _DAY_NUMBER))
        reading.refuse("spreadsheet_error", unread & matches(cells, _FILLER))
        reading.refuse("not_date", unread & ~reading.bad())
    return reading

"""The rules a line must pass to become an account: one implementation, over columns, naming lines and never values."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.intake import identities
from models.intake.buckets import buckets
from models.intake.codes import CODES, REFUSALS
from models.intake.currencies import CURRENCIES
from models.intake.fields import ACCOUNT_FIELDS, AMOUNTS, REQUIRED
from models.intake.readings import TEXT, Mask, Reading, mask
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

MAX_DPD: Final = 36_500
_FIRST_DAY: Final = np.datetime64("1900-01-01", "D")
FIELDS: Final = ("line", *ACCOUNT_FIELDS)
"""What a finding can be about: a field, or the line as a whole."""
_FIELD: Final = pd.CategoricalDtype(list(FIELDS))
_CODE: Final = pd.CategoricalDtype(list(CODES))


@dataclass(frozen=True)
class Limits:
    """What balance is believable, in major units of the account's currency."""

    min_balance: Decimal = Decimal(0)
    max_balance: Decimal = Decimal(100_000_000)
    lost_digits: bool = True
    """refuse long digit strings that end in zeros where most of the column does: a spreadsheet was here"""


@dataclass(frozen=True)
class Checked:
    """Lines that passed, typed, and what was found on lines.

    good: `line`, the profile's fields (amounts as `<name>_minor`, dates as datetime64), `bucket`.
    refused, warned: `line`, `field`, `code`; a line may have several. Lines count from 1, the first after the header.
    """

    good: pd.DataFrame
    refused: pd.DataFrame
    warned: pd.DataFrame


@dataclass
class Seen:
    """Texts met so far, as sorted 64-bit hashes (two of ten million clash by chance: 3 times in a million)."""

    hashes: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64), repr=False)

    def repeats(self, texts: pd.Series, candidates: Mask) -> Mask:
        """Candidates whose text an earlier candidate has; the others are remembered."""
        repeated = np.zeros(len(texts), dtype=bool)
        places = np.flatnonzero(candidates)
        hashes = _hashes(texts)[places]
        repeated[places] = pd.Series(hashes).duplicated().to_numpy() | is_among(hashes, self.hashes)
        self._remember(hashes[~repeated[places]])
        return repeated

    def met(self, texts: pd.Series) -> Mask:
        """Which of the texts were met in earlier calls; all are remembered."""
        hashes = _hashes(texts)
        before = is_among(hashes, self.hashes)
        self._remember(hashes[~before])
        return before

    def _remember(self, hashes: np.ndarray) -> None:
        # two sorted runs: a stable sort merges them in one pass
        self.hashes = np.sort(np.concatenate([self.hashes, np.sort(hashes)]), kind="stable")


def _hashes(texts: pd.Series) -> np.ndarray:
    return pd.util.hash_array(texts.to_numpy(dtype=object), categorize=False)


def is_among(numbers: np.ndarray, ascending: np.ndarray) -> Mask:
    """Which of the numbers are in the sorted ones."""
    if not len(ascending):
        return np.zeros(len(numbers), dtype=bool)
    places = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    return np.asarray(ascending[places] == numbers)


@dataclass
class _Findings:
    lines: np.ndarray
    found: list[tuple[str, str, np.ndarray]] = field(default_factory=list)
    refused: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.refused = np.zeros(len(self.lines), dtype=bool)

    def note(self, field_name: str, code: str, rows: Mask) -> None:
        if not rows.any():
            return
        self.found.append((field_name, code, rows))
        if code in REFUSALS:
            self.refused |= rows

    def frame(self, *, refusals: bool) -> pd.DataFrame:
        """The findings of one kind; warnings of lines that were refused anyway are left out."""
        parts = [
            findings(self.lines[rows if refusals else rows & ~self.refused], field_name, code)
            for field_name, code, rows in self.found
            if (code in REFUSALS) == refusals
        ]
        return joined(parts)


def findings(lines: np.ndarray, field_name: str, code: str) -> pd.DataFrame:
    """One finding per line, all the same; `field` and `code` are categories, so that a million of them are small."""
    same = np.zeros(len(lines), dtype=np.int64)
    return pd.DataFrame(
        {
            "line": np.asarray(lines, dtype=np.int64),
            "field": pd.Categorical.from_codes(same + FIELDS.index(field_name), dtype=_FIELD),
            "code": pd.Categorical.from_codes(same + list(CODES).index(code), dtype=_CODE),
        }
    )


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Several tables of findings as one, by line."""
    if not parts:
        return findings(np.zeros(0, dtype=np.int64), "line", "missing")
    return pd.concat(parts, ignore_index=True).sort_values("line", kind="stable", ignore_index=True)


def with_fixes(found: pd.DataFrame) -> pd.DataFrame:
    """The findings with what to do about each, as text."""
    fixes = pd.Series([CODES[code] for code in CODES], dtype="str")
    return found.assign(
        field=found["field"].astype("str"),
        code=found["code"].astype("str"),
        fix=fixes.take(found["code"].cat.codes.to_numpy()).to_numpy(),
    )


def check(readings: Mapping[str, Reading], lines: np.ndarray, as_of: date, limits: Limits, seen: Seen) -> Checked:
    """The lines that may become accounts, and what was found on the others.

    readings: one per field that the profile maps, all as long as `lines`; amounts are minor units already.
    seen: remembers the account numbers of earlier shards of the same file.
    """
    noted = _Findings(lines)
    for name, reading in readings.items():
        for code, rows in reading.faults:
            noted.note(name, code, rows)
    for name in REQUIRED:
        # a cell that could not be read is there, and has been refused for what it is
        noted.note(name, "missing", ~mask(pc.is_valid(readings[name].values)) & ~readings[name].bad())
    _check_money(noted, readings, limits)
    _check_days(noted, readings, np.datetime64(as_of, "D"))
    _check_identity(noted, readings)
    refs = pd.Series(readings["account_ref"].values.to_pandas(), dtype="str")
    noted.note("account_ref", "repeated", seen.repeats(refs, ~noted.refused))
    return Checked(_good(readings, lines, ~noted.refused), noted.frame(refusals=True), noted.frame(refusals=False))


def _check_money(noted: _Findings, readings: Mapping[str, Reading], limits: Limits) -> None:
    encoded = readings["currency"].values.dictionary_encode()
    codes = encoded.dictionary.to_pylist()
    of_row = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)
    present = mask(pc.is_valid(readings["currency"].values))
    known = np.array([code in CURRENCIES for code in codes] or [False])[of_row] if codes else ~present
    noted.note("currency", "not_currency", present & ~known)
    scale = [10 ** exponent(code) for code in codes] or [1]
    balance, owed = _numbers(readings["balance"].values)
    low = np.array([int(limits.min_balance * one) for one in scale])[of_row if codes else 0 * of_row]
    high = np.array([int(limits.max_balance * one) for one in scale])[of_row if codes else 0 * of_row]
    noted.note("balance", "negative_balance", owed & (balance < 0))
    noted.note("balance", "absurd_balance", owed & (balance >= 0) & ((balance < low) | (balance > high)))
    parts, counted = np.zeros(len(balance), dtype=np.int64), owed.copy()
    for name in AMOUNTS:
        if name == "balance" or name not in readings:
            continue
        amount, there = _numbers(readings[name].values)
        noted.note(name, "negative_amount", there & (amount < 0))
        if name != "original":
            parts += np.where(there, amount, 0)
            counted &= there
    if {"principal", "interest", "fees"} <= set(readings):
        noted.note("balance", "parts_differ", counted & (parts != balance))


def _check_days(noted: _Findings, readings: Mapping[str, Reading], today: np.datetime64) -> None:
    dpd, counted = _numbers(readings["dpd"].values)
    noted.note("dpd", "dpd_out_of_range", counted & ((dpd < 0) | (dpd > MAX_DPD)))
    for name in ("opened_on", "due_on", "last_paid_on"):
        if name in readings:
            days = _days(readings[name].values)
            noted.note(name, "date_out_of_range", days < _FIRST_DAY)
            # an account that is not overdue yet has its next instalment before it
            late = (days > today) & (dpd > 0) if name == "due_on" else days > today
            noted.note(name, "future_date", late)
    if {"opened_on", "last_paid_on"} <= set(readings):
        opened, paid = _days(readings["opened_on"].values), _days(readings["last_paid_on"].values)
        noted.note("last_paid_on", "date_order", paid < opened)


def _check_identity(noted: _Findings, readings: Mapping[str, Reading]) -> None:
    nobody = np.ones(len(noted.lines), dtype=bool)
    for name, doubtful in (
        ("id_number", identities.doubtful_id_numbers),
        ("phone", identities.doubtful_phones),
        ("phone_alt", identities.doubtful_phones),
        ("contact_phone", identities.doubtful_phones),
        ("email", identities.doubtful_emails),
    ):
        if name not in readings:
            continue
        code = {"id_number": "id_number_check", "email": "email_doubtful"}.get(name, "phone_doubtful")
        noted.note(name, code, doubtful(readings[name].values))
        if name in {"id_number", "phone"}:
            nobody &= ~mask(pc.is_valid(readings[name].values))
    noted.note("id_number", "no_identity", nobody)


def _numbers(values: pa.Array) -> tuple[np.ndarray, Mask]:
    """The whole numbers (0 where there is none), and where there is one."""
    return pc.fill_null(values, 0).to_numpy(zero_copy_only=False), mask(pc.is_valid(values))


def _days(values: pa.Array) -> np.ndarray:
    """The days; NaT where there is none, which is neither before nor after anything."""
    return np.asarray(values.cast(pa.timestamp("s")).to_numpy(zero_copy_only=False)).astype("datetime64[D]")


def _good(readings: Mapping[str, Reading], lines: np.ndarray, rows: Mask) -> pd.DataFrame:
    places = pa.array(np.flatnonzero(rows))
    columns: dict[str, object] = {"line": lines[rows]}
    for name, one in ACCOUNT_FIELDS.items():
        if name in readings:
            columns[one.column] = _column(readings[name].values.take(places), required=one.required)
    good = pd.DataFrame(columns)
    return good.assign(bucket=buckets(good["dpd"].to_numpy(dtype=np.int64)))


def _column(values: pa.Array, *, required: bool) -> pd.Series:
    if values.type == TEXT:
        return pd.Series(pd.array(values, dtype="str"))
    if pa.types.is_date32(values.type):
        return pd.Series(values.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    if required:
        return pd.Series(values.to_numpy(zero_copy_only=False).astype(np.int64))
    return pd.Series(values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))

"""A profile applied to a shard of a source: our fields, read column by column."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.fields import ACCOUNT_FIELDS
from models.intake.readings import TEXT, AmountForm, Mask, Reading, dates, exact, mask, minor_units, texts, trimmed
from models.intake.readings import whole_numbers as read_whole_numbers
from models.intake.rules import findings, joined

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import pandas as pd

    from connectors.portfolio.profiles import Condition, Expression, Profile

_DAYS_A_MONTH: Final = 30
_COMPARE: Final[dict[str, Callable[[pa.Array, pa.Scalar], pa.Array]]] = {
    "above": pc.greater,
    "at_least": pc.greater_equal,
    "below": pc.less,
    "at_most": pc.less_equal,
}


@dataclass(frozen=True)
class Mapped:
    """What the profile makes of a shard: readings of the lines it means, and what became of the others.

    refused: findings about lines whose filter could not be read. left_out: lines the profile's filter does not mean.
    """

    readings: dict[str, Reading]
    lines: np.ndarray
    refused: pd.DataFrame
    left_out: int


def mapped(profile: Profile, table: pa.Table, lines: np.ndarray, as_of: date) -> Mapped:
    """The shard's lines through the profile. table: text columns by the source's names; lines: their numbers."""
    columns = {name: trimmed(_whole(table[name])) for name in profile.needed}
    meant, unreadable = _meant(profile, columns, len(lines))
    refused = joined([findings(lines[unreadable], "line", "unreadable_filter")] if unreadable.any() else [])
    left_out = int((~meant & ~unreadable).sum())
    if not meant.all():
        places = pa.array(np.flatnonzero(meant))
        columns = {name: cells.take(places) for name, cells in columns.items()}
        lines = lines[meant]
    return Mapped(_readings(profile, columns, len(lines), as_of), lines, refused, left_out)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _meant(profile: Profile, columns: dict[str, pa.Array], rows: int) -> tuple[Mask, Mask]:
    """Lines the filter means, and lines that it cannot judge."""
    meant, unreadable = np.ones(rows, dtype=bool), np.zeros(rows, dtype=bool)
    for condition in profile.where:
        fits, unread = _fits(condition, columns[condition.column], profile.amounts)
        unreadable |= meant & unread
        meant &= fits
    return meant, unreadable & ~meant


def _fits(condition: Condition, cells: pa.Array, form: AmountForm) -> tuple[Mask, Mask]:
    if condition.one_of:
        return mask(pc.is_in(cells, value_set=pa.array(condition.one_of, type=TEXT))), np.zeros(len(cells), dtype=bool)
    numbers = exact(cells, form)
    fits = np.ones(len(cells), dtype=bool)
    for word, bound in condition.comparisons:
        fits &= mask(_COMPARE[word](numbers.values, pa.scalar(bound, numbers.values.type)))
    return fits, numbers.bad()


def _readings(profile: Profile, columns: dict[str, pa.Array], rows: int, as_of: date) -> dict[str, Reading]:
    read: dict[str, Reading] = {}
    synthetic = _synthetic(columns[profile.synthetic_identity]) if profile.synthetic_identity else {}
    # the currency first: it says how many digits an amount has
    for name in ("currency", *(name for name in profile.fields if name != "currency")):
        if name in synthetic:
            read[name] = Reading(synthetic[name])
            continue
        expression, field = profile.columns[name], ACCOUNT_FIELDS[name]
        if field.type == "amount":
            read[name] = minor_units(
                _amount(expression, columns, rows, profile.amounts), read["currency"].values, profile.amounts
            )
        elif field.type == "integer":
            read[name] = _whole_number(expression, columns, rows, profile.date_format, as_of)
        else:
            spelt = _text(expression, columns, rows)
            if field.type == "date":
                found = dates(spelt.values, profile.date_format)
            else:
                found = texts(
                    spelt.values,
                    max_chars=field.max_chars,
                    digits=field.digits,
                    check_lost_digits=profile.limits.lost_digits,
                )
            read[name] = Reading(found.values, spelt.faults + found.faults)
    return read


def _text(expression: Expression, columns: dict[str, pa.Array], rows: int) -> Reading:
    """The field's text before it is read: constant, or the first filled column, cut out and looked up."""
    if expression.kind == "constant":
        return Reading(pa.repeat(pa.scalar(expression.constant, TEXT), rows))
    reading = Reading(_first(expression.columns, columns))
    if expression.pattern is not None:
        cut = pc.extract_regex(reading.values, pattern=_named(expression.pattern))
        kept = pc.struct_field(cut, "kept")
        reading.refuse("pattern_mismatch", mask(pc.is_valid(reading.values)) & ~mask(pc.is_valid(cut)))
        reading.values = kept.cast(TEXT)
    if expression.map is not None:
        keys = pa.array(list(expression.map), type=TEXT)
        places = pc.index_in(reading.values, value_set=keys)
        found = pa.array(list(expression.map.values()), type=TEXT).take(places)
        if expression.otherwise is not None:
            found = pc.fill_null(found, expression.otherwise)
        else:
            reading.refuse("unmapped_value", mask(pc.is_valid(reading.values)) & ~mask(pc.is_valid(found)))
        reading.values = found
    return reading


def _named(pattern: str) -> str:
    """The pattern with its one group named, as Arrow wants it."""
    place = 0
    while True:
        place = pattern.index("(", place)
        if (place == 0 or pattern[place - 1] != "\\") and pattern[place + 1 : place + 2] != "?":
            return f"{pattern[:place]}(?P<kept>{pattern[place + 1 :]}"
        place += 1


def _first(names: tuple[str, ...], columns: dict[str, pa.Array]) -> pa.Array:
    return pc.coalesce(*(columns[name] for name in names)) if len(names) > 1 else columns[names[0]]


def _amount(expression: Expression, columns: dict[str, pa.Array], rows: int, form: AmountForm) -> Reading:
    if expression.kind not in {"minus", "plus"}:
        spelt = _text(expression, columns, rows)
        found = exact(spelt.values, form)
        return Reading(found.values, spelt.faults + found.faults)
    combine = pc.subtract if expression.kind == "minus" else pc.add
    total: Reading | None = None
    for name in expression.columns:
        part = exact(columns[name], form)
        if total is None:
            total = part
        else:
            total = Reading(combine(total.values, part.values).cast(part.values.type), total.faults + part.faults)
    assert total is not None, "a profile's minus and plus name two columns or more"  # noqa: S101 - told to the type checker
    return total


def _whole_number(
    expression: Expression, columns: dict[str, pa.Array], rows: int, date_format: str, as_of: date
) -> Reading:
    if expression.kind == "days_since":
        reading = dates(_first(expression.columns, columns), date_format)
        since = reading.values.cast(pa.int32()).cast(pa.int64())
        until = pa.scalar(as_of, pa.date32()).cast(pa.int32()).cast(pa.int64())
        reading.values = pc.subtract(until, since)
    elif expression.kind == "months_to_dpd":
        reading = read_whole_numbers(_first(expression.columns, columns))
        months = pc.max_element_wise(reading.values, pa.scalar(0, pa.int64()), skip_nulls=False)
        reading.values = pc.multiply(pc.min_element_wise(months, pa.scalar(10**6), skip_nulls=False), _DAYS_A_MONTH)
    else:
        spelt = _text(expression, columns, rows)
        reading = read_whole_numbers(spelt.values)
        reading.faults = spelt.faults + reading.faults
    if expression.at_least is not None:
        reading.values = pc.max_element_wise(
            reading.values, pa.scalar(expression.at_least, pa.int64()), skip_nulls=False
        )
    return reading


def _synthetic(keys: pa.Array) -> dict[str, pa.Array]:
    """A made-up identity per line, the same for the same key, and not to be taken for anybody's.

    The name and number say that they are synthetic; telephones begin with 154, which no carrier holds, and mail goes
    to example.com (RFC 2606). For public data that come without people.
    """
    distinct = keys.dictionary_encode()
    numbers = [zlib.crc32((key or "").encode()) % 10**8 for key in distinct.dictionary.to_pylist()]
    phones = pa.array([f"154{number:08d}" for number in numbers], type=TEXT).take(distinct.indices)
    return {
        "name": _around("Synthetic Debtor ", keys, ""),
        "id_number": _around("SYNTHETIC-", keys, ""),
        "phone": phones,
        "email": _around("debtor.", pc.utf8_lower(keys), "@example.com"),
        "address": _around("1 Nowhere Street, apartment ", keys, ""),
    }


def _around(before: str, cells: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(before, TEXT), cells, pa.scalar(after, TEXT), pa.scalar("", TEXT))

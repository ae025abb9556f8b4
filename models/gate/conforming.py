"""Whether a frame is what its release says: its columns and no other, each treated as it must be.

This does not ask how the frame was made; it looks at what is there. So a fault in minimising, in a composer or in a
policy's reading lets nothing out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.gate.columns import is_text, texts_of, whole
from models.gate.scanning import LINES_KEPT, Hit
from models.gate.shapes import PSEUDONYM, masked
from models.intake.readings import mask
from models.release import PSEUDONYMS, VALUE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.kinds import Field
    from models.release import Release

NOT_RELEASED: Final = "not_released"
"""A column that no release names, or one that is there twice."""
NOT_AS_RELEASED: Final = "not_as_released"
"""A cell that is not treated as the release says, or not of its column's type."""
MISSING: Final = "missing"
"""A column that the file is to have and the frame has not."""
DAYS_AT_MOST: Final = 36_525
MINOR_AT_MOST: Final = 10**15
"""As intake has it: beyond this no amount is a consumer's debt, and a number may be something else."""
_COARSENED: Final = {"city": r"[0-9]{4}00|[A-Z]{2}", "province": r"[0-9]{2}0000|[A-Z]{2}"}
_CALENDAR: Final = {"month": r"[0-9]{4}-[0-9]{2}", "year": r"[0-9]{4}"}


def columns(frame: pd.DataFrame, fields: Sequence[Field], release: Release | None) -> list[Hit]:
    """What is wrong with the frame's columns: under a release exactly its own, else the kind's own, each once.

    What no policy speaks of (the day that a correction counts from) is a column of the kind's own.
    """
    there = [str(name) for name in frame.columns]
    wanted = [one.column for one in fields]
    found = [_beside(name, MISSING) for name in wanted if name not in there]
    found += [_beside(name, NOT_RELEASED) for name in sorted({*there}) if there.count(name) > 1]
    if release is not None:
        let_out = {one.column for one in release.fields}
        kinds_own = {one.column for one in fields if one.name not in VALUE_CLASSES}
        found += [_beside(name, NOT_RELEASED) for name in sorted({*there, *wanted} - let_out - kinds_own)]
    return found


def cells(frame: pd.DataFrame, fields: Sequence[Field], release: Release | None, first: int) -> Iterator[Hit]:
    """What is wrong with its cells; its first row is that line."""
    for one in fields:
        column = frame[one.column]
        wrong = _of_wrong_type(one, column, release)
        if wrong is None:
            wrong = _wrongly_treated(one, column, release)
        if wrong is not None and wrong.any():
            rows = np.flatnonzero(wrong)
            lines = tuple(int(row) + first for row in rows[:LINES_KEPT])
            yield Hit(one.column, NOT_AS_RELEASED, "proved", len(rows), lines)


def _beside(column: str, kind: str) -> Hit:
    return Hit(column, kind, "proved", 1, (0,))


def _of_wrong_type(one: Field, column: pd.Series, release: Release | None) -> np.ndarray | None:
    """The rows that are of another type than the field's, or out of bounds; None where the type has nothing to say.

    Numbers that no policy speaks of may be text: a receipt of a file without amounts has none.
    """
    if one.type in {"amount", "integer"} and is_text(column):
        return None if release is None else np.asarray(column.notna(), dtype=bool)
    if one.type in {"amount", "integer"}:
        numbers = pd.to_numeric(column, errors="coerce")
        most = DAYS_AT_MOST if one.name in _COUNTS else MINOR_AT_MOST
        return np.asarray((numbers.abs() > most).fillna(value=False), dtype=bool)
    return None


_COUNTS: Final = frozenset({"dpd", "round", "instalment", "generation"})


def _wrongly_treated(one: Field, column: pd.Series, release: Release | None) -> np.ndarray | None:
    """The rows that are not as the release treats the field; None where they leave whole."""
    how = None if release is None else release.treatments.get(one.name)
    if release is not None and one.name in PSEUDONYMS:
        return _unlike(column, PSEUDONYM)
    if how is None or how.how == "release":
        return None
    if not is_text(column):
        return np.ones(len(column), dtype=bool)
    if how.how == "band":
        texts = texts_of(column)
        allowed = pc.is_in(texts, value_set=pa.array([*how.labels, None], texts.type))
        return ~mask(allowed)
    pattern = {
        "mask": lambda: masked(how, one.name),
        "coarsen": lambda: _COARSENED[how.to],
        "month": lambda: _CALENDAR["month"],
        "year": lambda: _CALENDAR["year"],
    }[how.how]()
    return _unlike(column, pattern)


def _unlike(column: pd.Series, pattern: str) -> np.ndarray:
    """Rows that hold something, and not what the pattern says."""
    texts = texts_of(column)
    found: np.ndarray = ~whole(texts, pattern) & ~texts.is_null().to_numpy(zero_copy_only=False)
    return found

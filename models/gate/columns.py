"""A frame's columns as texts, and what is asked of all their cells at once."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.readings import matches

if TYPE_CHECKING:
    from models.intake.readings import Mask

TEXT: Final = pa.large_string()
FEW: Final = 200
"""So many texts are sooner read one by one than Arrow has made a machine of the pattern."""


def is_text(column: pd.Series) -> bool:
    """Whether the column's cells are texts, and not numbers, days or instants."""
    return not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype))


def texts_of(column: pd.Series) -> pa.LargeStringArray:
    """The cells as texts: days as YYYY-MM-DD, numbers in digits, what is missing null."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pa.array(column, from_pandas=True).cast(pa.date32(), safe=False).cast(TEXT)
    found = pa.array(column, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found if found.type == TEXT else found.cast(TEXT)


def folded(texts: pa.Array) -> pa.Array:
    """The texts as they are compared: one width, small letters, letters and digits alone."""
    one_width = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.replace_substring_regex(one_width, r"[^\p{L}\p{N}]+", "")


def whole(texts: pa.Array, pattern: str) -> Mask:
    """Rows whose text is, from its first letter to its last, what the pattern says; a missing text is not.

    Patterns are written so that Arrow (RE2) and Python read them alike: no classes by their names. Arrow reads a
    pattern anew at every call, which costs more than a few texts do.
    """
    if len(texts) > FEW:
        return matches(texts, rf"\A(?:{pattern})\z")
    ours = _compiled(pattern)
    return np.array([text is not None and ours.fullmatch(text) is not None for text in texts.to_pylist()], dtype=bool)


def within(texts: pa.Array, pattern: str) -> Mask:
    """Rows in whose text the pattern is found; as `whole`."""
    if len(texts) > FEW:
        return matches(texts, pattern)
    ours = _compiled(pattern)
    return np.array([text is not None and ours.search(text) is not None for text in texts.to_pylist()], dtype=bool)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def letters_of(*categories: str) -> str:
    """All letters of Unicode's general categories, as they stand in a class of a pattern: ranges, nothing escaped."""
    codes = [code for code in range(_LAST_PLANE) if unicodedata.category(chr(code)) in categories]
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(re.escape(chr(low)) + (f"-{re.escape(chr(high))}" if high > low else "") for low, high in ranges)


_LAST_PLANE: Final = 0x20000
"""Digits, spaces and signs all lie below."""

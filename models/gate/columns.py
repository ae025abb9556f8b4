"""A frame's columns as texts, and what is asked of all their cells at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.readings import matches

if TYPE_CHECKING:
    from models.intake.readings import Mask

TEXT: Final = pa.large_string()


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
    """Rows whose text is, from its first letter to its last, what the pattern (RE2) says; a missing text is not."""
    return matches(texts, rf"\A(?:{pattern})\z")

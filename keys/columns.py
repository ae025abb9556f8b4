"""The one way a column of text goes from pandas to Arrow and back, without a copy per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = pa.large_string()


def arrow_text(texts: pd.Series) -> pa.LargeStringArray:
    """Return the column as one Arrow array of large strings; missing values are null."""
    found = pa.array(texts, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found if found.type == TEXT else found.cast(TEXT)


def text_series(texts: pa.Array, index: pd.Index | None = None) -> pd.Series:
    """Return pandas' own Arrow-backed `str` column over these texts; null is missing."""
    return pd.Series(pd.array(texts, dtype="str"), index=index)


def fixed_width_text(letters: np.ndarray) -> pa.LargeStringArray:
    """Return one string per row of a (rows, width) array of ASCII codes, sharing its memory."""
    rows, width = letters.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int64) if rows else np.zeros(1, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(letters))


def over_distinct(texts: pd.Series, digest: Callable[[bytes], str]) -> pd.Series:
    """Return `digest` of every text, computed once for each distinct one; missing stays missing."""
    encoded = arrow_text(texts).dictionary_encode()
    distinct = encoded.dictionary.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    digests = pa.array(list(map(digest, distinct)), type=TEXT)
    return text_series(digests.take(encoded.indices), texts.index)

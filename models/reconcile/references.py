"""References as small whole numbers, so that a rule compares columns of int64 and never text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

Codes = npt.NDArray[np.int64]

NONE = -1
BETWEEN_WORDS = (r"[^0-9A-Z._/+:#-]+", r"[^0-9A-Z._#-]+")
"""What separates the words of a bank's free text; references are made of the rest. Banks also write `/ROC/T1//`."""


@dataclass(frozen=True)
class References:
    """The references of both sides on one scale; NONE where there is none, or the lines know no such reference."""

    transaction: Codes
    batch: Codes
    receipt: Codes
    count: int


def coded(transaction: pd.Series, batch: pd.Series, receipt: pd.Series) -> References:
    """The references of lines (`transaction`, `batch`) and of receipts, compared without case and outer space.

    A receipt whose text is no reference as a whole has that of its words which is one, if exactly one is.
    """
    lines = pa.chunked_array([_canonical(transaction), _canonical(batch)]).combine_chunks()
    encoded = (lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines).dictionary_encode()
    codes = pc.fill_null(encoded.indices, NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    known = encoded.dictionary
    text = _canonical(receipt)
    found = _looked_up(text, known)
    rest = np.flatnonzero(found == NONE)
    rest = rest[_separated(text, rest, BETWEEN_WORDS[-1])]  # the others are one word, and looked up already
    for between in BETWEEN_WORDS:
        some = rest[found[rest] == NONE]
        some = some[_separated(text, some, between)]
        if len(some):
            found[some] = _word_of(text.take(pa.array(some)), between, known)
    return References(codes[: len(transaction)], codes[len(transaction) :], found, len(known))


def _separated(text: pa.Array, rows: Codes, between: str) -> npt.NDArray[np.bool_]:
    found = pc.match_substring_regex(text.take(pa.array(rows)), between)
    return np.asarray(pc.fill_null(found, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def _word_of(text: pa.Array, between: str, known: pa.Array) -> Codes:
    words = pc.split_pattern_regex(text, between)
    codes = _looked_up(words.flatten(), known)
    hit = codes != NONE
    pairs = np.unique(np.column_stack([pc.list_parent_indices(words).to_numpy()[hit], codes[hit]]), axis=0)
    texts, hits = np.unique(pairs[:, 0], return_counts=True)
    one = np.isin(pairs[:, 0], texts[hits == 1])
    result = np.full(len(text), NONE, dtype=np.int64)
    result[pairs[one, 0]] = pairs[one, 1]
    return result


def _looked_up(text: pa.Array, known: pa.Array) -> Codes:
    at = pc.index_in(text, value_set=known, skip_nulls=True)
    codes: Codes = pc.fill_null(at, NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _canonical(cells: pd.Series) -> pa.Array:
    array = pa.Array.from_pandas(cells)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    trimmed = pc.utf8_upper(pc.utf8_trim_whitespace(array.cast(pa.large_string())))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.large_string()), trimmed)

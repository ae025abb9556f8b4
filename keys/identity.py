"""The canonical spelling of an ID number or a telephone number, so that one debtor has one spelling.

Source: GB 11643-1999 (citizen identification number: 18 digits, ISO 7064 MOD 11-2 check character; the fifteen-digit
form of 1984 lacks the century and the check character). NFKC folds full-width digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keys.columns import TEXT, arrow_text, fixed_width_text, text_series

if TYPE_CHECKING:
    import pandas as pd

_FIFTEEN: Final = r"^\d{8}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}$"
_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK_LETTERS: Final = np.frombuffer(b"10X98765432", dtype=np.uint8)
_ZERO: Final = ord("0")
_MOBILE: Final = r"1[3-9]\d{9}"


def canonical_identity(id_numbers: pd.Series, phones: pd.Series | None = None) -> pd.Series:
    """Return one text per debtor: `id:` and the ID number, else `phone:` and the telephone number, else missing.

    phones: used only where there is no ID number; weaker, because numbers change hands.
    """
    identity = _labelled("id:", canonical_id_numbers(id_numbers))
    if phones is not None:
        identity = pc.coalesce(identity, _labelled("phone:", canonical_phones(phones)))
    return text_series(identity, id_numbers.index)


def _labelled(label: str, texts: pd.Series) -> pa.LargeStringArray:
    return pc.binary_join_element_wise(pa.scalar(label, TEXT), arrow_text(texts), pa.scalar("", TEXT))


def canonical_id_numbers(id_numbers: pd.Series) -> pd.Series:
    """Return ID numbers in NFKC, upper case, without spaces, dots and hyphens; 15-digit resident IDs as 18 digits.

    A number of another country, or with a wrong check character, is only respelt: judging it is intake's work.
    """
    column = pc.utf8_upper(pc.utf8_normalize(arrow_text(id_numbers), form="NFKC"))
    column = _blank_to_null(pc.replace_substring_regex(column, r"[\s.\-]", ""))
    old = pc.fill_null(pc.match_substring_regex(column, _FIFTEEN), False)  # noqa: FBT003 - Arrow takes it by position
    if pc.any(old).as_py():
        column = pc.replace_with_mask(column, old, _eighteen(column.filter(old)))
    return text_series(column, id_numbers.index)


def _eighteen(fifteen: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return the 18-character form of 15-digit resident IDs: the century and the check character put in."""
    start = fifteen.buffers()[1][:8]
    first = int(np.frombuffer(start, dtype=np.int64)[0])
    letters = np.frombuffer(fifteen.buffers()[2], dtype=np.uint8, count=len(fifteen) * 15, offset=first)
    digits = np.empty((len(fifteen), 18), dtype=np.uint8)
    digits[:, :6] = letters.reshape(-1, 15)[:, :6]
    digits[:, 6:8] = np.frombuffer(b"19", dtype=np.uint8)
    digits[:, 8:17] = letters.reshape(-1, 15)[:, 6:]
    digits[:, 17] = _CHECK_LETTERS[((digits[:, :17].astype(np.int64) - _ZERO) @ _WEIGHTS) % 11]
    return fixed_width_text(digits)


def canonical_phones(phones: pd.Series) -> pd.Series:
    """Return telephone numbers as digits: mainland mobiles bare, mainland landlines with their 0, all others with +.

    An extension after `ext`, `转` or `#` is dropped. No digits at all is missing.
    """
    column = pc.utf8_lower(pc.utf8_normalize(arrow_text(phones), form="NFKC"))
    column = pc.replace_substring_regex(column, r"(ext|转|轉|#|x).*$", "")
    column = pc.replace_substring_regex(column, r"[^\d+]", "")
    column = pc.replace_substring_regex(column, r"^00", "+")
    column = pc.replace_substring_regex(column, rf"^(?:\+?86)0?({_MOBILE})$", r"\1")
    column = pc.replace_substring_regex(column, r"^\+860?(\d{9,11})$", r"0\1")
    column = pc.replace_substring_regex(column, rf"^0({_MOBILE})$", r"\1")
    return text_series(_blank_to_null(column), phones.index)


def _blank_to_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(pc.binary_length(column), 0), pa.scalar(None, type=column.type), column)

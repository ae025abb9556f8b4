"""Doubts about an identity that do not keep an account out: resident IDs, telephones, e-mail.

Source: GB 11643-1999 (date of birth in places 7 to 14; ISO 7064 MOD 11-2 check character in place 18).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from models.intake.readings import Mask, mask, matches

if TYPE_CHECKING:
    import pyarrow as pa

_RESIDENT: Final = r"^\d{17}[\dX]$"
_WIDTH: Final = 18
_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK_LETTERS: Final = np.frombuffer(b"10X98765432", dtype=np.uint8)
_PHONE: Final = r"^\+?[\d ()./-]{5,24}(\s*(ext|x|转|轉|#)\.?\s*\d{1,6})?$"
_MAIL: Final = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"


def doubtful_id_numbers(id_numbers: pa.Array) -> Mask:
    """Rows whose number has the shape of a resident ID, but no such day or another check character."""
    upper = pc.utf8_upper(id_numbers)
    shaped = matches(upper, _RESIDENT)
    doubtful = np.zeros(len(id_numbers), dtype=bool)
    places = np.flatnonzero(shaped)
    if len(places):
        doubtful[places] = ~_valid(upper.take(places))
    return doubtful


def _valid(numbers: pa.Array) -> Mask:
    """Whether each 18-character number has an existing birth date and the right check character."""
    start = np.frombuffer(numbers.buffers()[1], dtype=np.int64)[numbers.offset]
    letters = np.frombuffer(numbers.buffers()[2], dtype=np.uint8, count=len(numbers) * _WIDTH, offset=int(start))
    letters = letters.reshape(-1, _WIDTH)
    sums = (letters[:, :17].astype(np.int64) - ord("0")) @ _WEIGHTS
    checked = _CHECK_LETTERS[sums % 11] == letters[:, 17]
    born = pc.utf8_slice_codeunits(numbers, 6, 14).dictionary_encode()
    days = pd.to_datetime(pd.Series(born.dictionary.to_pandas(), dtype="str"), format="%Y%m%d", errors="coerce")
    exists = days.notna().to_numpy(dtype=bool)[born.indices.to_numpy()]
    return np.asarray(checked & exists)


def doubtful_phones(phones: pa.Array) -> Mask:
    """Rows with a telephone that has too few or too many digits, or letters."""
    return np.asarray(mask(pc.is_valid(phones)) & ~matches(phones, _PHONE))


def doubtful_emails(emails: pa.Array) -> Mask:
    """Rows with an e-mail address that has no two parts around an @."""
    return np.asarray(mask(pc.is_valid(emails)) & ~matches(emails, _MAIL))

"""Amounts and days as banks write them, over columns."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.money import exponent

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TEXT: Final = pa.string()
AMOUNT: Final = r"^0*(?P<whole>[0-9]{1,14})(?:\.(?P<digits>[0-9]*))?$"
"""Fourteen digits and four behind the point are 64 bits."""
LONGEST_NUMBER: Final = 9


def flags(cells: pa.Array) -> Flags:
    """The same as numpy's truths; unknown is False."""
    return np.asarray(pc.fill_null(cells, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def minor_of(text: pa.Array, currency: pa.Array | str) -> tuple[Ints, Flags]:
    """Minor units of amounts without a sign, and which are none: no number, or digits beyond the currency's."""
    found = pc.extract_regex(text, AMOUNT)
    bad = flags(pc.is_null(found))
    whole, digits = (pc.fill_null(pc.struct_field(found, name), "") for name in ("whole", "digits"))
    if isinstance(currency, str):
        minor, beyond = _in_minor(whole, digits, currency)
        return minor, bad | beyond
    minor = np.zeros(len(text), dtype=np.int64)
    for code in pc.unique(currency).to_pylist():
        here = flags(pc.equal(currency, code))
        of_code, beyond = _in_minor(whole, digits, code)
        minor[here] = of_code[here]
        bad |= here & beyond
    return minor, bad


def _in_minor(whole: pa.Array, digits: pa.Array, currency: str) -> tuple[Ints, Flags]:
    places = exponent(currency)
    kept = pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, places), places, "0") if places else pa.scalar("", TEXT)
    beyond = pc.utf8_rtrim(pc.utf8_slice_codeunits(digits, places), "0")
    units = pc.binary_join_element_wise(pa.scalar("0", TEXT), whole, kept, pa.scalar("", TEXT))
    return pc.cast(units, pa.int64()).to_numpy(), flags(pc.not_equal(beyond, ""))


def number_of(text: str) -> int | None:
    """A count or running number, as a bank writes it; None where it is none, or longer than any."""
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) <= LONGEST_NUMBER else None


def days_of(text: pa.Array, form: str = "%Y-%m-%d") -> tuple[pd.Series, Flags]:
    """The days written so (datetime64[us]; NaT where the text is empty), and which are none."""
    coded = (text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text).dictionary_encode()
    spelt = pd.Series(coded.dictionary.to_pandas(), dtype="str")
    known = pd.to_datetime(spelt.where(spelt.map(str.isascii).astype(bool)), format=form, errors="coerce")
    days = known.astype("datetime64[us]").take(coded.indices.to_numpy()).reset_index(drop=True)
    return days, days.isna().to_numpy() & flags(pc.not_equal(text, ""))


def nullable(text: pa.Array) -> pa.Array:
    """The same, where empty means unknown."""
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, TEXT), text)

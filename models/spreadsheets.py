"""Text that a spreadsheet would run, made text again: for the CSV files that people open, and for those alone.

A cell of a CSV that starts with one of `= + - @`, a tab or a line's end is a formula to Excel, LibreOffice and WPS: it
can call programs and send other cells away. An agency's reference may be such a text. In a file for people it gets an
apostrophe in front, which a spreadsheet shows as text. Inside exchange packages nothing is touched: there the bytes are
the contract, and no spreadsheet is asked. Workbooks (XLSX) need nothing: their cells say that they are text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

STARTS = "=+-@\t\r\n＝＋－＠"
"""what makes a formula, the full-width forms included: a Chinese Excel takes them for the narrow ones"""
_FORMULA = rf"\s*[{re.escape(STARTS)}]"
_NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?"


def defused(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with no text in it that a spreadsheet would run, its columns' names included; plain numbers stay."""
    safe = {place: _defused(frame.iloc[:, place]) for place in range(frame.shape[1])}
    told = pd.DataFrame(safe, index=frame.index)
    told.columns = pd.Index(defused_names(frame.columns))
    return told


def defused_names(names: Iterable[object]) -> list[str]:
    """Likewise, of a header."""
    return _defused(pd.Series([str(name) for name in names], dtype="str")).tolist()


def _defused(cells: pd.Series) -> pd.Series:
    if not (pd.api.types.is_string_dtype(cells.dtype) or pd.api.types.is_object_dtype(cells.dtype)):
        return cells
    texts = cells.astype("str")
    runs = texts.str.match(_FORMULA, na=False) & ~texts.str.fullmatch(_NUMBER, na=False)
    return cells.where(~runs, "'" + texts) if runs.any() else cells

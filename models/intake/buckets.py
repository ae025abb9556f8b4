"""Buckets of delinquency: bands of days past due (docs/glossary.md#bucket)."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

BUCKETS: Final = ("M0", "M1", "M2", "M3", "M4", "M5", "M6", "M6+")
_LAST_DAYS: Final = (0, 30, 60, 90, 120, 150, 180)
"""The last day of each bucket but the open one: M0 is not overdue, M1 is days 1 to 30, M6+ is beyond 180."""


def buckets(dpd: np.ndarray) -> pd.Series:
    """The bucket of each count of days past due."""
    places = np.searchsorted(np.array(_LAST_DAYS), dpd, side="left")
    return pd.Series(pd.array(pa.array(BUCKETS, type=pa.large_string()).take(places), dtype="str"))

"""What a costlier treatment gained at its threshold: in a table that somebody has, or in the store's own placements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra.propensity.versions import sampled
from infra.store import propensity as store
from models.errors import UsageError
from models.propensity.thresholds import Study, study

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from infra.wiring import Desk

    Floats = npt.NDArray[np.float64]

VALUES: Final = ("dpd", "balance")
"""By what of a placement a treatment may begin."""


def in_table(path: Path, value: str, outcome: str, at: float, within: float, checks: Sequence[str] = ()) -> Study:
    """The study of a CSV's columns (gzip too). A check of texts is told apart as its most frequent text, and the rest.

    Raises UsageError for a file or column that cannot be read, TooFewAtThreshold.
    """
    try:
        frame = pd.read_csv(path, usecols=[value, outcome, *checks])
    except (OSError, ValueError) as broken:
        raise UsageError(
            f"{path} cannot be read: {type(broken).__name__}", fix="name a CSV file in UTF-8, and columns that it has"
        ) from None
    columns = {name: _numbers(frame[name], name, texts=name in checks) for name in (value, outcome, *checks)}
    known = ~np.isnan(columns[value]) & ~np.isnan(columns[outcome])
    measured = {name: columns[name][known] for name in checks}
    return study(columns[value][known], columns[outcome][known], at, within, measured)


def in_store(desk: Desk, lender: str, value: str, at: float, within: float, horizon_days: int) -> Study:
    """The study of the lender's placements: what came within the horizon, in major units, by dpd or by balance.

    Both are in the lender's most frequent currency; placements in others are left out. Checks: the other of the two,
    and months since the credit was opened. Raises UsageError, TooFewAtThreshold.
    """
    if value not in VALUES:
        raise UsageError(f"nothing begins by {value!r} here", fix=f"by {' or '.join(VALUES)}")
    today = desk.today()
    with desk.database.read() as connection:
        known = store.placed(connection, lender, today)
    if known.placements.empty:
        raise UsageError(f"{lender} has no placement", fix="check the lender; `consign plan list` shows plans")
    found = sampled(known, today, horizon_days, usual={known.accounts["currency"].mode().iloc[0]: 0.0})
    # in that currency's major units: others have no usual balance, and no number
    mine = found.only(~np.isnan(found.balance))
    columns: dict[str, Floats] = {"dpd": mine.values["dpd"], "balance": mine.balance}
    others: dict[str, Any] = {name: columns[name] for name in VALUES if name != value}
    months = mine.values["months_open"]
    if not np.isnan(months).any():
        others["months_open"] = months
    return study(columns[value], mine.money, at, within, others)


def _numbers(column: pd.Series[Any], name: str, *, texts: bool) -> Floats:
    if texts and not pd.api.types.is_numeric_dtype(column):
        return np.asarray((column == column.mode().iloc[0]).to_numpy(dtype=np.float64))
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().sum() > column.isna().sum():
        raise UsageError(f"column {name} holds texts", fix="name a column of numbers")
    return np.asarray(numbers.to_numpy(dtype=np.float64))

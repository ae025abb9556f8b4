"""Liquidation curves: recoveries less reversals over the balance placed, by month on book.

A month that not every placement of a vintage has lived through has no value: it is too young, not empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from models.scoring.parameters import Parameters

    Floats = npt.NDArray[np.float64]


def liquidation_curves(placements: pd.DataFrame, recoveries: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """One row per `agency segment vintage currency month`, month from 1.

    Beside them: `placements placed_minor recovered_minor rate cumulative`.

    placements: `agency segment vintage currency balance_minor age_days`, a range index; recoveries: `at` (row of the
    placement), `month` (from 0), `gross_minor` signed. Rates are None where nothing was placed.
    Only months that the whole vintage has lived through are there.
    """
    keys = ["agency", "segment", "vintage", "currency"]
    grouped = placements.groupby(keys, observed=True, sort=True)
    cells = grouped.agg(
        placements=("balance_minor", "size"), placed_minor=("balance_minor", "sum"), youngest=("age_days", "min")
    ).reset_index()
    lived = np.minimum(cells["youngest"].to_numpy(dtype=np.int64) // parameters.month_days, parameters.months - 1)
    rows = np.repeat(np.arange(len(cells)), lived)
    month = np.arange(len(rows)) - np.repeat(np.cumsum(lived) - lived, lived)
    cell_of = grouped.ngroup().to_numpy()
    sums = np.zeros(len(cells) * parameters.months, dtype=np.int64)
    where = cell_of[recoveries["at"].to_numpy()] * parameters.months + recoveries["month"].to_numpy()
    np.add.at(sums, where, recoveries["gross_minor"].to_numpy())
    curve = cells.drop(columns="youngest").iloc[rows].reset_index(drop=True)
    curve["month"] = month + 1
    curve["recovered_minor"] = sums[rows * parameters.months + month]
    so_far = curve.groupby(rows)["recovered_minor"].cumsum()
    placed = curve["placed_minor"].where(curve["placed_minor"] > 0)
    return curve.assign(rate=curve["recovered_minor"] / placed, cumulative=so_far / placed)


def pooled_curves(
    recovered: Floats, placed: Floats, draws: npt.NDArray[np.float64], tail: float
) -> tuple[Floats, Floats, Floats]:
    """Cumulative rate [agencies, months] over all vintages, with its interval; NaN where nobody has lived so long.

    recovered, placed: [bags, agencies, months], of the placements old enough for the month. draws: [replicates, bags],
    how often each bag of debtors is drawn.
    """
    point = _cumulative(recovered.sum(0), placed.sum(0))
    bags, agencies, months = recovered.shape
    drawn = _cumulative(
        (draws @ recovered.reshape(bags, -1)).reshape(-1, agencies, months),
        (draws @ placed.reshape(bags, -1)).reshape(-1, agencies, months),
    )
    missing = np.isnan(drawn).all(axis=0)
    low, high = np.nanquantile(np.where(missing, 0.0, drawn), [tail, 1 - tail], axis=0)
    return point, np.where(missing, np.nan, low), np.where(missing, np.nan, high)


def _cumulative(recovered: Floats, placed: Floats) -> Floats:
    rate = np.divide(recovered, placed, out=np.full(recovered.shape, np.nan), where=placed > 0)
    return np.asarray(np.cumsum(rate, axis=-1))

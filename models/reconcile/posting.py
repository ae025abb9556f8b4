"""What the matches of a run move in the books, day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from models.reconcile.outcome import Outcome


def moved(outcome: Outcome, booked: pd.Series) -> pd.DataFrame:
    """Per day `value_date`, `paid_minor`, `short_minor` and `over_minor`: what models.postings.cash takes.

    booked: ids of the lines that are in the books; the others take nothing out of what is unapplied. What undid
    itself without money moves nothing.
    """
    parts, day = outcome.parts, outcome.paid_on
    match = parts["match"].to_numpy()
    confirmed = (outcome.matches["status"] == "confirmed").to_numpy()
    counts = (confirmed & (day > 0))[match]
    line = parts["line_id"].to_numpy(dtype=np.int64, na_value=-1)
    receipt = parts["receipt_id"].to_numpy(dtype=np.int64, na_value=-1)
    amount = parts["amount_minor"].to_numpy()
    paid = counts & (line >= 0) & np.isin(line, booked.to_numpy(dtype=np.int64))
    used = counts & (receipt >= 0)
    first = int(day.min(initial=0))
    sums = np.zeros((3, int(day.max(initial=0)) - first + 1), dtype=np.int64)
    np.add.at(sums[0], day[match[paid]] - first, amount[paid])
    for row, which, ids, frame, key in (
        (1, paid, line, outcome.lines, "line_id"), (2, used, receipt, outcome.receipts, "receipt_id"),
    ):  # fmt: skip
        off = frame.loc[frame["written_off_minor"] != 0].set_index(key)["written_off_minor"]
        forgiven = which & np.isin(ids, off.index.to_numpy(dtype=np.int64))
        np.add.at(sums[row], day[match[forgiven]] - first, off.loc[ids[forgiven]].to_numpy())
    some = np.flatnonzero(sums.any(axis=0))
    dates = (some + first).astype("datetime64[D]").astype("datetime64[us]")
    columns = dict(zip(("paid_minor", "short_minor", "over_minor"), sums[:, some], strict=True))
    return pd.DataFrame({"value_date": dates} | columns)

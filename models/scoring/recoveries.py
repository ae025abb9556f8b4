"""Which money counts for an agency, and when: what the debtor paid while the account was its to collect (S6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from datetime import date

    import numpy.typing as npt

    from models.scoring.parameters import Parameters

COUNTED = "counted"
DIRECT, EARLY, AFTER_END, IN_BREAK, UNPLACED = "direct", "early", "after_end", "in_break", "unplaced"
APART = (DIRECT, EARLY, AFTER_END, IN_BREAK, UNPLACED)
"""Why a line does not count: paid to the lender itself; on its way before the agency could act; after the placement's
end; held up by a difference that keeps it out of the books; tied to no placement of this agency that is scored."""


@dataclass(frozen=True)
class Clock:
    """Per placement: `age_days` since placed, and `exposed_days` of them in which the agency answers for it."""

    age_days: npt.NDArray[np.int64]
    exposed_days: npt.NDArray[np.int64]


def clock(placements: pd.DataFrame, as_of: date, parameters: Parameters) -> Clock:
    """How long each placement has been, and was, the agency's; the day of placement is day 0, `as_of` is included.

    A recall by the lender stops the exposure. An agency that gave the account back by its own choice, or was paid
    in full, answers for it to the end of the term.
    """
    placed = days_of(placements["placed_on"])
    today = int(np.datetime64(as_of, "D").astype(np.int64)) + 1
    age = np.maximum(today - placed, 0)
    ended, due_back = days_of(placements["ended_on"]), days_of(placements["due_back_on"])
    # a day is counted until it is over, so an end on the day itself still holds that day
    over = (ended >= 0) & (ended < today)
    own = placements["end_reason"].isin(parameters.own_ends).to_numpy()
    end = np.where(over, np.where(own, np.maximum(ended, due_back), ended) + 1, today)
    return Clock(age, np.clip(end - placed, 0, age))


def classed(
    lines: pd.DataFrame, placements: pd.DataFrame, exposed_days: npt.NDArray[np.int64], parameters: Parameters
) -> pd.DataFrame:
    """The lines with `at` (row of their placement, -1: none), `day` (since placed) and `standing` (COUNTED or why not).

    lines: `placement_id agency kind gross_minor value_date …`, `kind` being IN_BREAK for what is held up. The reversal
    of a payment that does not count does not count either.
    """
    at = pd.Index(placements["placement_id"]).get_indexer(pd.Index(lines["placement_id"].fillna(-1).astype("int64")))
    # what another agency hands over for a placement is no merit of the one that holds it
    own = placements["agency"].take(at).to_numpy() == lines["agency"].to_numpy()
    at = np.where(own, at, -1)
    day = np.where(at >= 0, days_of(lines["value_date"]) - days_of(placements["placed_on"])[at], -1)
    kind = lines["kind"]
    standing = np.select(
        [
            (kind == IN_BREAK).to_numpy(),
            at < 0,
            (kind == DIRECT).to_numpy(),
            day < parameters.settle_days,
            day >= exposed_days[at],
        ],
        [IN_BREAK, UNPLACED, DIRECT, EARLY, AFTER_END],
        COUNTED,
    )
    reversal = (kind == "reversal").to_numpy()
    if reversal.any():
        apart = np.isin(standing, (DIRECT, EARLY)) & ~reversal
        amounts = lines["gross_minor"].to_numpy()
        undone = pd.MultiIndex.from_arrays([at[apart], amounts[apart]])
        follows = pd.MultiIndex.from_arrays([at, -amounts]).isin(undone) & reversal & (at >= 0)
        standing = np.where(follows & (standing == COUNTED), EARLY, standing)
        # what was counted when it came is uncounted when it goes, however late
        standing = np.where(reversal & (standing == AFTER_END), COUNTED, standing)
    return lines.assign(at=at, day=day, standing=standing)


def month_of(day: npt.NDArray[np.int64], parameters: Parameters) -> npt.NDArray[np.int64]:
    """The month on book, from 0; the last is open-ended."""
    return np.clip(day // parameters.month_days, 0, parameters.months - 1)


def days_of(dates: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    """Days since 1970; -1 where there is no date."""
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(days < 0, -1, days)

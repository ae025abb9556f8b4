"""Time to first payment: Kaplan–Meier, what has not paid yet being censored, not unpaid (S4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Survival:
    """`share[d]`: the share still unpaid after day d, with Greenwood's variance of it; `at_risk[d]` before day d."""

    share: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    at_risk: npt.NDArray[np.int64]

    def median(self) -> int | None:
        """The first day by which half have paid; None where that day has not come."""
        return self.quantile(0.5)

    def quantile(self, paid: float) -> int | None:
        """The first day by which that share has paid; None where it has not."""
        reached = np.flatnonzero(self.share <= 1 - paid + 1e-12)
        return int(reached[0]) if len(reached) else None

    def paid_by(self, day: int, credible: float = 0.9) -> tuple[float, float, float] | None:
        """The share that has paid by the day with its log–log interval; None where nobody was watched that long."""
        if day >= len(self.share) or self.at_risk[day] == 0:
            return None
        share, variance = float(self.share[day]), float(self.variance[day])
        if share in {0.0, 1.0}:
            # no event (or nothing but events): the exact binomial bound of the extreme
            count = int(self.at_risk[0])
            bound = 1 - ((1 - credible) / 2) ** (1 / count)
            return (0.0, 0.0, bound) if share == 1.0 else (1.0, 1 - bound, 1.0)
        log_share = np.log(share)
        width = norm.ppf((1 + credible) / 2) * np.sqrt(variance) / share / abs(log_share)
        low, high = (float(1 - share ** np.exp(sign * width)) for sign in (-1, 1))
        return 1 - share, low, high


def incidence(day: npt.NDArray[np.int64], cause: npt.NDArray[np.int64], causes: int) -> npt.NDArray[np.float64]:
    """The share that each cause has ended by each day, [causes, days]: of several that compete for one end.

    day: as above. cause: 0 where it was still watched, else 1 … causes. Where one cause alone is left, this is 1 less
    Kaplan and Meier's share. Source: Aalen & Johansen 1978.
    """
    longest = int(day.max(initial=-1)) + 1
    leaving = np.bincount(day, minlength=longest)
    at_risk = leaving[::-1].cumsum()[::-1]
    events = np.stack([np.bincount(day[cause == one], minlength=longest) for one in range(1, causes + 1)])
    hazard = np.divide(events, at_risk, out=np.zeros(events.shape), where=at_risk > 0)
    before = np.concatenate([[1.0], np.cumprod(1 - hazard.sum(axis=0))[:-1]]) if longest else np.ones(0)
    return np.asarray(np.cumsum(before * hazard, axis=1))


def kaplan_meier(day: npt.NDArray[np.int64], paid: npt.NDArray[np.bool_]) -> Survival:
    """The survival of `unpaid`, one element per placement: the day it paid, or the last day it was watched.

    Days are whole and ≥ 0. At equal days payments come before censoring. Source: Kaplan & Meier 1958, Greenwood 1926.
    """
    longest = int(day.max(initial=-1)) + 1
    events = np.bincount(day[paid], minlength=longest)
    leaving = np.bincount(day, minlength=longest)
    at_risk = leaving[::-1].cumsum()[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.cumprod(np.where(at_risk > 0, 1 - events / at_risk, 1.0)).astype(np.float64)
        step = np.where(at_risk > events, events / (at_risk * (at_risk - events)), 0.0)
    return Survival(share, share**2 * np.cumsum(step), at_risk.astype(np.int64))

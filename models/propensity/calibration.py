"""From a model's log-odds to a probability that comes true: fitted on later placements than the model was.

Platt's two numbers; or isotonic (any shape that never falls) where there is enough to go by, and where each half of the
placements is foretold better by the other half's isotonic shape than by its two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from models.propensity import logistic, measures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]

FLATTEST = 0.05
"""Platt's slope is at least that: a model that ranks the wrong way round is brought to nearly one chance for all."""
CERTAIN = 30.0
"""Log-odds beyond which a computer says 0 or 1; no chance is ever either."""
LEAST_IN_BLOCK = 25
"""Rows: a step of an isotonic fit has so many at least, or its height is chance."""


@dataclass(frozen=True)
class Calibration:
    """`method`: platt | isotonic. points: log-odds of the model; logits: of the calibrated chance, straight between.

    Platt has two points, and goes on straight beyond them; isotonic ends level.
    """

    method: str
    points: tuple[float, ...]
    logits: tuple[float, ...]

    def __call__(self, log_odds: Floats) -> Floats:
        """The calibrated probability of each; it never falls where the log-odds rise."""
        if self.method == "platt":
            (x0, x1), (y0, y1) = self.points, self.logits
            straight = y0 + (log_odds - x0) * (y1 - y0) / (x1 - x0)
            return np.asarray(expit(np.clip(straight, -CERTAIN, CERTAIN)))
        return np.asarray(expit(np.interp(log_odds, self.points, self.logits)))

    def as_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"method": self.method, "points": list(self.points), "logits": list(self.logits)}


def from_plain(told: Mapping[str, Any]) -> Calibration:
    """The calibration that `as_plain` told."""
    return Calibration(told["method"], tuple(told["points"]), tuple(told["logits"]))


def calibrated(log_odds: Floats, paid: Floats, parameters: Parameters) -> Calibration:
    """The calibration of these log-odds by what came (1 paid, 0 not, or a share between)."""
    payers = float(paid.sum())
    if min(payers, len(paid) - payers) < parameters.isotonic_from:
        return _platt(log_odds, paid)
    losses = [_loss_by_halves(log_odds, paid, method) for method in (_isotonic, _platt)]
    return _isotonic(log_odds, paid) if losses[0] < losses[1] else _platt(log_odds, paid)


def _loss_by_halves(log_odds: Floats, paid: Floats, method: Callable[[Floats, Floats], Calibration]) -> float:
    """The log loss of each half, calibrated by the other; every second placement is in one."""
    halves = (slice(0, None, 2), slice(1, None, 2))
    return sum(
        measures.log_loss(method(log_odds[other], paid[other])(log_odds[own]), paid[own])
        for own, other in zip(halves, reversed(halves), strict=True)
    )


def _platt(log_odds: Floats, paid: Floats) -> Calibration:
    """Slope and height, with a prior worth a few rows around leaving everything as it is."""
    centre = float(log_odds.mean())
    # the prior: half a payer and half another beside the data, at the slope 1
    shifted = log_odds - centre
    rows = np.column_stack([np.ones(len(shifted) + 2), np.append(shifted, [-1.0, 1.0])])
    aims = np.append(paid, expit(np.array([centre - 1.0, centre + 1.0])))
    height, slope = logistic.fit(rows, aims, 1e-6 * np.eye(2)).coefficients
    slope = max(float(slope), FLATTEST)
    return Calibration("platt", (centre, centre + 1.0), (float(height), float(height) + slope))


def _isotonic(log_odds: Floats, paid: Floats) -> Calibration:
    """Steps that never fall, as one point in the middle of each; straight between, level beyond."""
    order = np.argsort(log_odds, kind="stable")
    x, y = log_odds[order], paid[order]
    blocks = isotonic_regression(y).blocks
    starts = _wide(blocks)
    count = np.diff(np.append(starts, len(x))).astype(np.float64)
    # half a payer of each sort keeps a step off 0 and 1
    height = (np.add.reduceat(y, starts) + 0.5) / (count + 1)
    middle = np.add.reduceat(x, starts) / count
    points, first = np.unique(middle, return_index=True)
    rising = np.maximum.accumulate(logit(height[first]))
    return Calibration("isotonic", tuple(map(float, points)), tuple(map(float, rising)))


def _wide(blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Starts of steps with at least LEAST_IN_BLOCK rows each; neighbours are joined until they have."""
    starts, end = [0], int(blocks[-1])
    for start in blocks[1:-1].tolist():
        if start - starts[-1] >= LEAST_IN_BLOCK and end - start >= LEAST_IN_BLOCK:
            starts.append(start)
    return np.array(starts, dtype=np.int64)

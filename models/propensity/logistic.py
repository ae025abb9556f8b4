"""Penalised logistic regression by Newton's steps, in blocks of rows, so that a million of them need no second copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.float32] | npt.NDArray[np.float64]

BLOCK_ROWS = 65_536
STEPS = 50
CLOSE = 1e-9
HALVINGS = 30


@dataclass(frozen=True)
class Fitted:
    """coefficients, and their covariance given prior and data (Laplace)."""

    coefficients: Floats
    covariance: Floats


class NoFit(ArithmeticError):
    """Newton's steps did not settle: the penalty leaves a direction open in which nothing was observed."""


def fit(design: Rows, target: Floats, penalty: Floats) -> Fitted:
    """The coefficients that minimise the logistic loss + ½ β'·penalty·β.

    design: [rows, columns]; target: one element per row, 0, 1 or a share between; penalty: [columns, columns], the
    prior's precision. Rows count alike. Raises NoFit.
    """
    beta = np.zeros(design.shape[1])
    loss, slope, bend = _sums(design, target, penalty, beta)
    for _ in range(STEPS):
        step = np.linalg.solve(bend, slope)
        gain = float(slope @ step)
        if gain < CLOSE * (1 + abs(loss)):
            return Fitted(beta, np.asarray(np.linalg.inv(bend), dtype=np.float64))
        for halving in range(HALVINGS):
            tried = beta - step / 2**halving
            found = _sums(design, target, penalty, tried)
            if found[0] <= loss:
                break
        else:
            # no shorter step is better: as good as the digits allow
            return Fitted(beta, np.asarray(np.linalg.inv(bend), dtype=np.float64))
        beta, (loss, slope, bend) = tried, found
    raise NoFit


def _sums(design: Rows, target: Floats, penalty: Floats, beta: Floats) -> tuple[float, Floats, Floats]:
    """The loss with its penalty, its slope and its bend at `beta`."""
    pull = penalty @ beta
    loss, slope, bend = 0.5 * float(beta @ pull), pull.copy(), penalty.copy()
    for first in range(0, len(design), BLOCK_ROWS):
        rows = design[first : first + BLOCK_ROWS].astype(np.float64)
        aim = target[first : first + BLOCK_ROWS]
        logit = rows @ beta
        chance = expit(logit)
        loss += float((np.logaddexp(0, logit) - aim * logit).sum())
        slope += rows.T @ (chance - aim)
        bend += rows.T @ (rows * (chance * (1 - chance))[:, None])
    return loss, slope, bend

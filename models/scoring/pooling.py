"""Two classical ways to pull many rates towards what they share, kept as yardsticks for `shrinkage`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logsumexp

if TYPE_CHECKING:
    import numpy.typing as npt


def james_stein(means: npt.NDArray[np.float64], variance: float) -> tuple[float, npt.NDArray[np.float64]]:
    """The shrinking factor c and the means pulled to their grand mean, mean + c (y − mean); each has the variance.

    Source: Efron & Morris, Scientific American 236 (1977), 119–127. Never below 0 (the positive part).
    """
    grand = means.mean()
    factor = max(0.0, 1 - (len(means) - 3) * variance / float(((means - grand) ** 2).sum()))
    return factor, grand + factor * (means - grand)


@dataclass(frozen=True)
class Rates:
    """Posterior means and standard deviations of each unit's probability, and the population's mean."""

    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    population: float


def logit_normal(events: npt.NDArray[np.int64], trials: npt.NDArray[np.int64], points: int = 81) -> Rates:
    """Probabilities whose logits are normal around a common one: by quadrature over centre, spread and logit.

    The spread's precision has the prior Gamma(0.001, 0.001), the centre a flat one, as in the Surgical example of the
    BUGS book (Spiegelhalter et al.), whose published posterior it gives.
    """
    pooled = float(np.log((events.sum() + 0.5) / (trials.sum() - events.sum() + 0.5)))
    centre = np.linspace(pooled - 2, pooled + 2, points)
    spread = np.exp(np.linspace(np.log(0.01), np.log(3), points))
    logit = np.linspace(pooled - 6, pooled + 6, 16 * points)
    likelihood = events[:, None] * logit - trials[:, None] * np.logaddexp(0, logit)
    precision = spread**-2
    # p(log spread) for Gamma(a, a) on the precision
    prior = 0.001 * np.log(precision) - 0.001 * precision
    log_weight = np.empty((points, points))
    inner, square = np.empty((2, points, points, len(events)))
    chance = expit(logit)
    for i, sigma in enumerate(spread):
        density = -0.5 * ((logit[None, :] - centre[:, None]) / sigma) ** 2 - np.log(sigma)
        joint = density[:, None, :] + likelihood[None, :, :]
        peak = joint.max(axis=2, keepdims=True)
        mass = np.exp(joint - peak)
        total = mass.sum(axis=2)
        inner[i], square[i] = ((mass * power).sum(axis=2) / total for power in (chance, chance**2))
        log_weight[i] = (peak[..., 0] + np.log(total)).sum(axis=1) + prior[i]
    weight = np.exp(log_weight - logsumexp(log_weight))
    mean, squares = ((weight[..., None] * part).sum(axis=(0, 1)) for part in (inner, square))
    return Rates(mean, np.sqrt(squares - mean**2), float((weight.sum(axis=0) * expit(centre)).sum()))

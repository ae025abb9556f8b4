"""Actual over expected, pulled towards what agencies have in common as far as the data leave room (S2, S3).

actual ~ Poisson(expected · θ), θ ~ Gamma with a mean μ and a spread τ between agencies. Neither is known, so both are
integrated over by quadrature; plugging in their best values would make every interval too narrow. Nothing is drawn
at random here: relabelling the agencies permutes the answer, to the last digit that summing in another order leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, gammaln

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SPREADS = np.exp(np.linspace(np.log(0.003), np.log(1.5), 40))
CENTRE_STEPS = np.linspace(-3.5, 3.5, 11)
NEGLIGIBLE = 1e-5
"""Nodes with less than this share of the heaviest one's weight are left out."""
ERROR_STEPS = np.array([-np.sqrt(3), 0.0, np.sqrt(3)])
ERROR_WEIGHTS = np.array([1, 4, 1]) / 6
"""Gauss–Hermite with three points."""
GRID = 240
JOINT_GRID = 400


@dataclass(frozen=True)
class Prior:
    """Before any data: log μ is normal around 0, τ half-Cauchy."""

    centre_sd: float = 0.3
    spread_scale: float = 0.3


@dataclass(frozen=True)
class Posterior:
    """Per agency; NaN in the last three where it is not ranked."""

    mean: Floats
    low: Floats
    high: Floats
    weight_of_prior: Floats
    p_best: Floats
    p_worst: Floats
    expected_rank: Floats
    spread: float
    centre: float


@dataclass(frozen=True)
class _Nodes:
    """Quadrature nodes over spread and centre: Gamma(shape, rate) and the node's weight."""

    shape: Floats
    rate: Floats
    spread: Floats
    centre: Floats
    weight: Floats


def posterior(
    actual: Floats,
    expected: Floats,
    *,
    log_error: Floats | None = None,
    ranked: npt.NDArray[np.bool_] | None = None,
    credible: float = 0.9,
    prior: Prior = Prior(),
) -> Posterior:
    """What is known of each agency's θ.

    actual, expected: in payments or their equivalent (need not be whole), ≥ 0; an agency with neither gets the prior.
    log_error: standard error of log expected. ranked: who takes part in the ranking; all by default.
    """
    error = np.zeros_like(expected) if log_error is None else log_error
    nodes = _nodes(actual, expected, prior)
    low, high = _quantiles(actual, expected, error, nodes, ((1 - credible) / 2, (1 + credible) / 2))
    shape = nodes.shape[:, None] + actual
    known = nodes.rate[:, None] + expected
    # E[1 / expected] under the error is the mean's only trace of it; three points see it
    means = sum(
        share * shape / (nodes.rate[:, None] + expected * np.exp(step * error))
        for step, share in zip(ERROR_STEPS, ERROR_WEIGHTS, strict=True)
    )
    best, worst, rank = _ranking(
        actual, expected, error, nodes, np.ones(len(actual), bool) if ranked is None else ranked
    )
    return Posterior(
        mean=nodes.weight @ means,
        low=low,
        high=high,
        weight_of_prior=nodes.weight @ (nodes.rate[:, None] / known),
        p_best=best,
        p_worst=worst,
        expected_rank=rank,
        spread=float(nodes.weight @ nodes.spread),
        centre=float(nodes.weight @ nodes.centre),
    )


def _nodes(actual: Floats, expected: Floats, prior: Prior) -> _Nodes:
    seen = expected > 0
    o, e = actual[seen], expected[seen]
    spreads, centres, logs = [], [], []
    # half a payment keeps an agency without one from pulling the search to minus infinity
    log_ratio, noise = np.log((o + 0.5) / (e + 0.5)), 1 / (o + 0.5)
    for spread in SPREADS:
        precision = 1 / (spread**2 + noise)
        total = precision.sum() + prior.centre_sd**-2
        centre = np.exp((precision * log_ratio).sum() / total + CENTRE_STEPS / np.sqrt(total))
        shape = spread**-2
        rate = (shape / centre)[:, None]
        fit = (
            gammaln(shape + o) - gammaln(shape) + shape * np.log(rate / (rate + e)) + o * np.log(e / (rate + e))
        ).sum(1)
        before = -0.5 * (np.log(centre) / prior.centre_sd) ** 2 - np.log1p((spread / prior.spread_scale) ** 2)
        # the steps in the centre are as wide as 1/√total, those in the spread as wide as the spread
        logs.append(fit + before - 0.5 * np.log(total) + np.log(spread))
        spreads.append(np.full(len(centre), spread))
        centres.append(centre)
    log_weight = np.concatenate(logs)
    weight = np.exp(log_weight - log_weight.max())
    heavy = weight > NEGLIGIBLE
    spread, centre = np.concatenate(spreads)[heavy], np.concatenate(centres)[heavy]
    return _Nodes(spread**-2, spread**-2 / centre, spread, centre, weight[heavy] / weight[heavy].sum())


def _below(shape: Floats, rate: Floats, expected: Floats, error: Floats, at: Floats) -> Floats:
    """P(θ ≤ at) given the nodes, the expectation's error integrated over; arguments broadcast together."""
    if not error.any():
        return np.asarray(gammainc(shape, (rate + expected) * at))
    parts = (
        share * gammainc(shape, (rate + expected * np.exp(step * error)) * at)
        for step, share in zip(ERROR_STEPS, ERROR_WEIGHTS, strict=True)
    )
    return np.asarray(sum(parts))


def _grid(actual: Floats, expected: Floats, error: Floats, nodes: _Nodes, points: int) -> Floats:
    """Per agency (rows), where its θ may lie: evenly spaced over what holds practically all of it."""
    shape = nodes.shape[:, None] + actual
    rate = nodes.rate[:, None] + expected
    mean = nodes.weight @ (shape / rate)
    square = nodes.weight @ (shape * (shape + 1) / rate**2 * np.exp(error**2))
    sd = np.sqrt(np.maximum(square - mean**2, 1e-12))
    bottom, top = np.maximum(mean - 6 * sd, mean * 1e-3), mean + 9 * sd
    return np.asarray(bottom[:, None] + (top - bottom)[:, None] * np.linspace(0, 1, points) ** 1.5)


def _quantiles(
    actual: Floats, expected: Floats, error: Floats, nodes: _Nodes, levels: tuple[float, float]
) -> tuple[Floats, Floats]:
    grid = _grid(actual, expected, error, nodes, GRID)
    found = np.empty((2, len(actual)))
    for agency, points in enumerate(grid):
        below = nodes.weight @ _below(
            (nodes.shape + actual[agency])[:, None], nodes.rate[:, None], expected[agency], error[agency], points
        )
        found[:, agency] = np.interp(levels, below, points)
    return found[0], found[1]


def _ranking(
    actual: Floats, expected: Floats, error: Floats, nodes: _Nodes, ranked: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """P(best), P(worst), expected rank among the ranked; NaN elsewhere, and for everybody where fewer than two are."""
    best, worst, rank = (np.full(len(actual), np.nan) for _ in range(3))
    o, e, err = actual[ranked], expected[ranked], error[ranked]
    if len(o) > 1:
        # everybody's likely places, so that no agency falls between two points
        grid = np.unique(_grid(o, e, err, nodes, max(16, JOINT_GRID // len(o))))
        sums = np.zeros((3, len(o)))
        for shape, rate, weight in zip(nodes.shape, nodes.rate, nodes.weight, strict=True):
            below = _below((shape + o)[:, None], rate, e[:, None], err[:, None], grid)
            below = np.hstack([np.zeros((len(o), 1)), below, np.ones((len(o), 1))])
            here, middle = np.diff(below), (below[:, 1:] + below[:, :-1]) / 2
            sums += weight * np.stack(
                [
                    (here * _product_of_others(middle)).sum(1),
                    (here * _product_of_others(1 - middle)).sum(1),
                    (here * ((1 - middle).sum(0) - (1 - middle))).sum(1),
                ]
            )
        best[ranked], worst[ranked], rank[ranked] = sums[0] / sums[0].sum(), sums[1] / sums[1].sum(), 1 + sums[2]
    return best, worst, rank


def _product_of_others(factors: Floats) -> Floats:
    """Per row, the product of all other rows, also where some are zero."""
    ones = np.ones((1, factors.shape[1]))
    before = np.vstack([ones, np.cumprod(factors[:-1], axis=0)])
    after = np.vstack([np.cumprod(factors[:0:-1], axis=0)[::-1], ones])
    return np.asarray(before * after)

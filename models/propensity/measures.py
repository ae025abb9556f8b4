"""Whether foretold chances and amounts came true, each figure with the interval that debtors drawn again give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

ALONE = 1e-12


def auc(chance: Floats, paid: Floats, weight: Floats | None = None) -> float:
    """How often a payer's chance is above another's, ties counting half; NaN where there is but one sort."""
    weight = np.ones(len(chance)) if weight is None else weight
    order = np.argsort(chance, kind="stable")
    _, group = np.unique(chance[order], return_inverse=True)
    payers = np.bincount(group, (weight * paid)[order])
    others = np.bincount(group, (weight * (1 - paid))[order])
    pairs = payers.sum() * others.sum()
    below = np.cumsum(others) - others / 2
    return float((payers * below).sum() / pairs) if pairs > 0 else float("nan")


def brier(chance: Floats, paid: Floats, weight: Floats | None = None) -> float:
    """The mean square of how far a chance was from what came."""
    return float(np.average((chance - paid) ** 2, weights=weight))


def log_loss(chance: Floats, paid: Floats, weight: Floats | None = None) -> float:
    """The mean surprise, in nats."""
    safe = np.clip(chance, ALONE, 1 - ALONE)
    return float(-np.average(paid * np.log(safe) + (1 - paid) * np.log1p(-safe), weights=weight))


def groups_of(values: Floats, count: int) -> Ints:
    """The tenth (or whichever part) of each value, from the lowest; equal values are in one, so there may be fewer."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])) if len(values) else np.zeros(0)
    _, dense = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)
    return dense.astype(np.int64)


def ece(chance: Floats, paid: Floats, group: Ints, weight: Floats | None = None) -> float:
    """Expected calibration error: how far groups' mean chance is from what came, on average over rows."""
    weight = np.ones(len(chance)) if weight is None else weight
    return float(np.abs(np.bincount(group, weight * (chance - paid))).sum() / weight.sum())


def reliability(chance: Floats, paid: Floats, parameters: Parameters) -> pd.DataFrame:
    """Per tenth of the chances: `placements foretold observed low high`, the interval being Wilson's for what came."""
    group = groups_of(chance, parameters.deciles)
    count = np.bincount(group)
    foretold, observed = np.bincount(group, chance) / count, np.bincount(group, paid) / count
    low, high = wilson(observed, count, parameters.credible)
    columns = {"placements": count, "foretold": foretold, "observed": observed, "low": low, "high": high}
    return pd.DataFrame(columns)


def wilson(share: Floats, count: Ints, credible: float) -> tuple[Floats, Floats]:
    """The interval of a share of so many (Wilson 1927)."""
    z = norm.ppf((1 + credible) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    width = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.clip(middle - width, 0, 1), np.clip(middle + width, 0, 1)


def amounts(
    expected: Floats, came: Floats, debtor: Ints, seed: int, parameters: Parameters, by: Floats | None = None
) -> pd.DataFrame:
    """Per tenth of what was expected, and `all` in the last row: `placements expected came ratio low high`.

    expected, came: money in one unit. by: tenths of that instead. The interval of the ratio is by debtors drawn again.
    """
    group = groups_of(expected if by is None else by, parameters.deciles)
    size = int(group.max(initial=-1)) + 1
    bag, bags = in_bags(debtor, seed, parameters)
    tops, bottoms = (
        np.bincount(bag * size + group, money, minlength=bags * size).reshape(bags, size) for money in (came, expected)
    )
    draws = drawn(bags, seed, parameters)
    whole_tops, whole_bottoms = (np.column_stack([sums, sums.sum(1)]) for sums in (tops, bottoms))
    point = _over(whole_tops.sum(0), whole_bottoms.sum(0))
    low, high = np.nanquantile(
        _over(draws @ whole_tops, draws @ whole_bottoms), [parameters.tail, 1 - parameters.tail], axis=0
    )
    return pd.DataFrame({
        "group": [*(str(number) for number in range(1, size + 1)), "all"],
        "placements": np.append(np.bincount(group, minlength=size), len(group)),
        "expected": whole_bottoms.sum(0), "came": whole_tops.sum(0), "ratio": point, "low": low, "high": high,
    })  # fmt: skip


def _over(top: Floats, bottom: Floats) -> Floats:
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0))


def summary(chance: Floats, paid: Floats, debtor: Ints, seed: int, parameters: Parameters) -> dict[str, Any]:
    """AUC, Brier score, log loss and calibration error with their intervals, and what they are to be held against.

    brier_plain: of one chance for all, the share that paid. ece_by_chance: the calibration error that a perfect model
    would show on so many placements.
    """
    group = groups_of(chance, parameters.deciles)
    bag, bags = in_bags(debtor, seed, parameters)
    draws = drawn(bags, seed, parameters)
    told: dict[str, Callable[[Floats | None], float]] = {
        "auc": lambda weight: auc(chance, paid, weight),
        "brier": lambda weight: brier(chance, paid, weight),
        "log_loss": lambda weight: log_loss(chance, paid, weight),
        "observed_over_foretold": lambda weight: float(
            np.average(paid, weights=weight) / np.average(chance, weights=weight)
        ),
    }
    found: dict[str, Any] = {name: _with_interval(figure, draws, bag, parameters) for name, figure in told.items()}
    rate = float(paid.mean())
    rng = np.random.default_rng([seed, 3])
    by_chance = [
        ece(chance, (rng.random(len(chance)) < chance).astype(np.float64), group) for _ in range(parameters.replicates)
    ]
    return found | {
        "placements": len(paid), "payers": int(paid.sum()), "rate": rate, "brier_plain": rate * (1 - rate),
        "ece": ece(chance, paid, group), "ece_by_chance": float(np.mean(by_chance)),
        "ece_by_chance_high": float(np.quantile(by_chance, 1 - parameters.tail)),
    }  # fmt: skip


def _with_interval(
    figure: Callable[[Floats | None], float], draws: Floats, bag: Ints, parameters: Parameters
) -> dict[str, float]:
    again = np.array([figure(times[bag]) for times in draws])
    low, high = np.nanquantile(again, [parameters.tail, 1 - parameters.tail])
    return {"value": figure(None), "low": float(low), "high": float(high)}


def in_bags(debtor: Ints, seed: int, parameters: Parameters) -> tuple[Ints, int]:
    """The bag of each row, a debtor's rows all in one; and how many bags there are."""
    _, code = np.unique(debtor, return_inverse=True)
    count = int(code.max(initial=-1)) + 1
    bags = min(parameters.bags, max(count, 1))
    shuffled = np.random.default_rng([seed, 1]).permutation(count) % bags
    return shuffled[code].astype(np.int64), bags


def drawn(bags: int, seed: int, parameters: Parameters) -> Floats:
    """How often each bag is drawn in each replicate, [replicates, bags]."""
    rng = np.random.default_rng([seed, 2])
    times: Floats = rng.multinomial(bags, np.full(bags, 1 / bags), parameters.replicates).astype(np.float64)
    return times

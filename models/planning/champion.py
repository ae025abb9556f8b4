"""Champion and challenger: a seed that was committed before, and a look whether the draw came out even (A3, A4).

The hash of a secret seed is told before anybody knows whom the plan is about; the seed itself after the accounts are
fixed. So nobody can have tried seeds until the right debtors went to the right agency, and everybody can draw again.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from models.errors import RefusedByPolicy
from models.planning.allocation import CHALLENGER, SHARE, VALUE

if TYPE_CHECKING:
    import numpy.typing as npt

UNEVEN: Final = 0.1
"""Standardised difference from which a draw is told as uneven; it is never drawn again."""
COVARIATES: Final = ("balance_minor", "dpd", "round")
TOLD_AT_MOST: Final = 10
SEED_BITS: Final = 62


class NotCommitted(RefusedByPolicy):
    """The seed is not the one that was committed, or was committed for another plan."""


def commitment(lender: str, name: str, seed: int) -> str:
    """What is told of a seed beforehand: SHA-256 over lender, plan's name and seed. Hex."""
    return hashlib.sha256(f"consign.seed\n{lender}\n{name}\n{seed}".encode()).hexdigest()


def check_revealed(lender: str, name: str, seed: int, told: str) -> None:
    """The seed is the one that was committed. Raises NotCommitted."""
    if commitment(lender, name, seed) != told:
        raise NotCommitted(
            f"the seed of plan {name} is not the one whose hash was told before",
            fix="`consign plan commit` again, and make the plan under a new name",
        )


@dataclass(frozen=True)
class Balance:
    """How even a draw came out: differences compared, how many are uneven, and how many chance alone makes so."""

    compared: int
    uneven: int
    by_chance: float
    worst: tuple[dict[str, Any], ...]

    @property
    def alert(self) -> bool:
        """More are uneven than chance alone makes, three standard deviations and more."""
        return self.uneven > self.by_chance + 3 * math.sqrt(max(self.by_chance, 1.0))

    def told(self) -> dict[str, Any]:
        """It for a plan's summary."""
        return {
            "compared": self.compared, "uneven": self.uneven, "by_chance": round(self.by_chance, 1),
            "worst": list(self.worst), "alert": self.alert,
        }  # fmt: skip


def balance_of(lines: pd.DataFrame) -> Balance:
    """Each arm (agency) of each segment against the others there, in balance, dpd and round; drawn accounts alone.

    lines: `segment agency why probability` and COVARIATES. Standardised difference: of means, over the pooled standard
    deviation.
    """
    drawn = lines[lines["why"].isin([SHARE, VALUE, CHALLENGER]) & (lines["probability"] < 1)]
    if drawn.empty:
        return Balance(0, 0, 0.0, ())
    segment, segments = pd.factorize(drawn["segment"].astype("str"), sort=True)
    agency, agencies = pd.factorize(drawn["agency"], sort=True)
    count = len(agencies)
    cell = segment * count + agency
    arms = np.bincount(cell, minlength=len(segments) * count).reshape(-1, count).astype(np.float64)
    others = arms.sum(axis=1, keepdims=True) - arms
    there = (arms > 1) & (others > 1)
    expected = _chance_of_uneven(arms, others)
    compared, uneven, by_chance = 0, 0, 0.0
    worst: list[dict[str, Any]] = []
    for name in COVARIATES:
        difference, spread = _differences(drawn[name].to_numpy(dtype=np.float64), cell, arms, others)
        seen = there & spread
        compared += int(seen.sum())
        beyond = seen & (np.abs(difference) >= UNEVEN)
        uneven += int(beyond.sum())
        by_chance += float(expected[seen].sum())
        worst += [
            {
                "segment": str(segments[row]), "agency": str(agencies[column]), "of": name,
                "difference": round(float(difference[row, column]), 3), "accounts": int(arms[row, column]),
            }
            for row, column in np.argwhere(beyond)
        ]  # fmt: skip
    worst.sort(key=lambda one: (-abs(one["difference"]), one["segment"], one["agency"], one["of"]))
    return Balance(compared, uneven, by_chance, tuple(worst[:TOLD_AT_MOST]))


def _differences(
    values: npt.NDArray[np.float64],
    cell: npt.NDArray[np.int64],
    arms: npt.NDArray[np.float64],
    others: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Standardised difference of each arm to the others of its segment, and where there is any spread to speak of."""
    centred = values - values.mean()
    shape = arms.shape
    sums = np.bincount(cell, centred, minlength=arms.size).reshape(shape)
    squares = np.bincount(cell, centred**2, minlength=arms.size).reshape(shape)
    rest, rest_squares = sums.sum(axis=1, keepdims=True) - sums, squares.sum(axis=1, keepdims=True) - squares
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, other = sums / arms, rest / others
        pooled = np.sqrt(((squares / arms - mean**2) + (rest_squares / others - other**2)) / 2)
        difference = (mean - other) / pooled
    spread = np.isfinite(difference) & (pooled > np.abs(values).max(initial=0.0) * 1e-9)
    return np.where(spread, difference, 0.0), spread


def _chance_of_uneven(arms: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How likely a difference of UNEVEN is where nothing but chance is at work: normal with variance 1/n + 1/m."""
    with np.errstate(divide="ignore"):
        sd = np.sqrt(1 / arms + 1 / others)
    found: npt.NDArray[np.float64] = 2 * norm.sf(UNEVEN / sd)
    return found

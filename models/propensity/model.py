"""A model of propensity: how likely a debtor pays within so many days, and what share of the balance a payer pays.

Two penalised logistic regressions on the same facts (a two-part model), each brought in line with later placements.
Expected money is chance × share × balance. A model is numbers alone: `as_plain` and `from_plain` are exact.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import norm

from models.propensity.calibration import Calibration
from models.propensity.calibration import from_plain as calibration_from_plain
from models.propensity.terms import Term, as_plain, from_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Values = Mapping[str, npt.NDArray[Any]]
    """Per fact one value per account: numbers with NaN, or texts."""

DIGITS: Final = 10
"""So many are kept of every number, fewer than sums in another order disturb: the same data give the same model."""


@dataclass(frozen=True)
class Part:
    """One regression: coefficients term after term, measured from the average account, which `intercept` is.

    mean: the average row of parts; covariance: of intercept and coefficients as fitted. Calibrated by `calibration`.
    """

    intercept: float
    coefficients: Floats
    mean: Floats
    covariance: Floats
    calibration: Calibration

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "intercept": round(self.intercept, DIGITS), "coefficients": _rounded(self.coefficients),
            "mean": _rounded(self.mean), "covariance": [_rounded(row) for row in self.covariance],
            "calibration": self.calibration.as_plain(),
        }  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """What one fact does to an account's chance: log-odds against the average account, with the standard error."""

    fact: str
    value: float | str | None
    log_odds: float
    error: float


@dataclass(frozen=True)
class Explained:
    """An account's chance taken apart: the average account's log-odds, each fact's, their sum, and what it became.

    low, high: of the chance, as far as the model's own coefficients are uncertain.
    """

    average: float
    reasons: tuple[Reason, ...]
    log_odds: float
    chance: float
    low: float
    high: float
    share: float
    band: str


@dataclass(frozen=True)
class Model:
    """`usual`: log of the usual balance per currency, in major units; `seen`: per fact the shares of its bands.

    band_edges: chances at which a better band begins, rising; the best is P1.
    """

    version: str
    horizon_days: int
    terms: tuple[Term, ...]
    paying: Part
    amount: Part
    band_edges: tuple[float, ...]
    usual: Mapping[str, float]
    seen: Mapping[str, tuple[float, ...]]

    @property
    def facts(self) -> tuple[str, ...]:
        """What it looks at, in order."""
        return tuple(term.fact for term in self.terms)

    def log_odds(self, values: Values, part: Part | None = None) -> Floats:
        """Of each account, before calibration."""
        wanted = part or self.paying
        contributions = self.contributions(values, wanted)
        total = np.full(_rows(values), wanted.intercept)
        for part_of_it in contributions.values():
            total += part_of_it
        return total

    def contributions(self, values: Values, part: Part | None = None) -> dict[str, Floats]:
        """Per fact what it adds to each account's log-odds, against the average account."""
        wanted, first, found = part or self.paying, 0, {}
        for term in self.terms:
            found[term.fact] = term.at(values[term.fact], wanted.coefficients[first : first + term.width])
            first += term.width
        return found

    def chance(self, values: Values) -> Floats:
        """The calibrated probability that each pays within the horizon."""
        return self.paying.calibration(self.log_odds(values))

    def share(self, values: Values) -> Floats:
        """The share of the balance that each pays within the horizon, if anything."""
        return self.amount.calibration(self.log_odds(values, self.amount))

    def bands(self, chance: Floats) -> npt.NDArray[np.object_]:
        """P1 for the likeliest to pay, and so on."""
        worst = len(self.band_edges) + 1
        names = np.array([f"P{number}" for number in range(worst, 0, -1)], dtype=object)
        return np.asarray(names[np.searchsorted(self.band_edges, chance, side="right")])

    def explain(self, values: Values, credible: float = 0.9) -> Explained:
        """One account's chance taken apart; `values` has one element per fact."""
        contributions = self.contributions(values)
        log_odds = self.log_odds(values)
        parts = [term.parts(values[term.fact])[0] for term in self.terms]
        row = np.concatenate([[1.0], *parts])
        error = math.sqrt(float(row @ self.paying.covariance @ row))
        width = float(norm.ppf((1 + credible) / 2)) * error
        low, high = self.paying.calibration(log_odds[0] + np.array([-width, width])).tolist()
        chance = self.chance(values)
        reasons = [
            Reason(fact, _shown(values[fact][0]), float(contributions[fact][0]), spread)
            for fact, spread in zip(self.facts, self._errors(parts), strict=True)
        ]
        reasons.sort(key=_weight)
        return Explained(
            self.paying.intercept, tuple(reasons), float(log_odds[0]), float(chance[0]), low, high,
            float(self.share(values)[0]), str(self.bands(chance)[0]),
        )  # fmt: skip

    def _errors(self, parts: Sequence[Floats]) -> list[float]:
        """The standard error of each fact's contribution against the average account."""
        found, first = [], 0
        for own in parts:
            place = slice(first, first + len(own))
            lean = own - self.paying.mean[place]
            inner = self.paying.covariance[1:, 1:][place, place]
            found.append(math.sqrt(max(float(lean @ inner @ lean), 0.0)))
            first += len(own)
        return found

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `from_json` reads it back."""
        return {
            "version": self.version, "horizon_days": self.horizon_days,
            "terms": [as_plain(term) for term in self.terms], "paying": self.paying.plain(),
            "amount": self.amount.plain(), "band_edges": list(self.band_edges), "usual": dict(self.usual),
            "seen": {fact: list(shares) for fact, shares in self.seen.items()},
        }  # fmt: skip

    def json(self) -> str:
        """The model as one line of text, the same for the same model."""
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def sha256(self) -> str:
        """A digest of every number of it."""
        return hashlib.sha256(self.json().encode()).hexdigest()


def from_json(text: str) -> Model:
    """The model that `Model.json` told."""
    told = json.loads(text)
    return Model(
        told["version"],
        told["horizon_days"],
        tuple(from_plain(term) for term in told["terms"]),
        _part(told["paying"]),
        _part(told["amount"]),
        tuple(told["band_edges"]),
        told["usual"],
        {fact: tuple(shares) for fact, shares in told["seen"].items()},
    )


def _part(told: Mapping[str, Any]) -> Part:
    return Part(
        told["intercept"],
        np.array(told["coefficients"]),
        np.array(told["mean"]),
        np.array(told["covariance"]),
        calibration_from_plain(told["calibration"]),
    )


def _rounded(row: Floats) -> list[float]:
    return [round(float(cell), DIGITS) for cell in row]


def _weight(reason: Reason) -> float:
    """The heaviest reason comes first."""
    return -abs(reason.log_odds)


def _rows(values: Values) -> int:
    return len(next(iter(values.values())))


def _shown(value: Any) -> float | str | None:
    """The value as a person may read it; None where it is unknown."""
    if isinstance(value, str):
        return value or None
    return None if value is None or np.isnan(value) else float(value)

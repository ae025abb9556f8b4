"""What a fact contributes: a curve of straight pieces over its numbers, or one number per level.

Of each fact the parts add up to 1 in every row, the unknown being a part too, so that a contribution can be told apart
from the average account's.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from models.propensity.facts import Fact
    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Values = npt.NDArray[Any]

UNKNOWN, OTHER = "unknown", "other"
UNKNOWN_CODE = -1


@dataclass(frozen=True)
class Curve:
    """Straight between knots and level beyond the outermost; the last part is for what is unknown."""

    fact: str
    knots: tuple[float, ...]

    @property
    def width(self) -> int:
        """How many parts it has."""
        return len(self.knots) + 1

    def parts(self, values: Values) -> Floats:
        """[rows, width]: how much of each knot a value has; all of the last part where it is unknown."""
        numbers = values.astype(np.float64)
        knots = np.array(self.knots)
        out = np.zeros((len(numbers), self.width))
        known = np.flatnonzero(~np.isnan(numbers))
        out[np.isnan(numbers), -1] = 1.0
        clipped = np.clip(numbers[known], knots[0], knots[-1])
        left = np.clip(np.searchsorted(knots, clipped, side="right") - 1, 0, max(len(knots) - 2, 0))
        if len(knots) == 1:
            out[known, 0] = 1.0
            return out
        share = (clipped - knots[left]) / (knots[left + 1] - knots[left])
        out[known, left], out[known, left + 1] = 1 - share, share
        return out

    def at(self, values: Values, coefficients: Floats) -> Floats:
        """What each value contributes."""
        numbers = values.astype(np.float64)
        known = ~np.isnan(numbers)
        found = np.full(len(numbers), coefficients[-1])
        found[known] = np.interp(numbers[known], self.knots, coefficients[:-1])
        return found

    def codes(self, values: Values) -> Ints:
        """Between which knots a value lies; -1 where it is unknown."""
        numbers = values.astype(np.float64)
        found = np.searchsorted(self.knots, np.nan_to_num(numbers), side="left")
        return np.where(np.isnan(numbers), UNKNOWN_CODE, found).astype(np.int64)

    def penalty(self, parameters: Parameters) -> Floats:
        """The prior's precision: neighbouring knots differ little, and nothing is far from 0."""
        found = parameters.height * np.eye(self.width)
        found[-1, -1] += parameters.level
        steps = np.diff(np.eye(len(self.knots)), axis=0)
        found[:-1, :-1] += parameters.step * steps.T @ steps
        return found

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of the codes, from 0 on."""
        marks = [f"{knot:g}" for knot in self.knots]
        between = (f"{low}–{high}" for low, high in itertools.pairwise(marks))
        return (f"≤{marks[0]}", *between, f">{marks[-1]}")


@dataclass(frozen=True)
class Levels:
    """A number per level; rare ones and ones never seen before are `other`, an empty text `unknown`."""

    fact: str
    levels: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many parts it has."""
        return len(self.levels) + 2

    def _places(self, values: Values) -> Ints:
        texts = pd.Series(values, dtype="object")
        codes, distinct = pd.factorize(texts)
        known = {level: place for place, level in enumerate(self.levels)}
        places = [len(self.levels) + 1 if text == "" else known.get(str(text), len(self.levels)) for text in distinct]
        # pandas says -1 of what is missing, which is the last place: unknown
        return np.array([*places, len(self.levels) + 1], dtype=np.int64)[codes]

    def parts(self, values: Values) -> Floats:
        """[rows, width]: 1 in the level's place."""
        out = np.zeros((len(values), self.width))
        out[np.arange(len(values)), self._places(values)] = 1.0
        return out

    def at(self, values: Values, coefficients: Floats) -> Floats:
        """What each value contributes."""
        found: Floats = coefficients[self._places(values)]
        return found

    def codes(self, values: Values) -> Ints:
        """The place of a value's level, `other` being the last; -1 where it is unknown."""
        places = self._places(values)
        return np.where(places > len(self.levels), UNKNOWN_CODE, places)

    def penalty(self, parameters: Parameters) -> Floats:
        """The prior's precision: no level is far from 0."""
        return (parameters.height + parameters.level) * np.eye(self.width)

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of the codes, from 0 on."""
        return (*self.levels, OTHER)


Term = Curve | Levels


def term(fact: Fact, values: Values, parameters: Parameters) -> Term | None:
    """The term for a fact as these values show it; None where they are all alike, or all unknown."""
    if fact.kind == "level":
        counts = pd.Series(values, dtype="object").replace("", np.nan).dropna().astype(str).value_counts()
        if not len(counts) or (len(counts) == 1 and counts.iloc[0] == len(values)):
            return None
        return Levels(fact.name, tuple(sorted(str(level) for level in counts[counts >= parameters.smallest].index)))
    numbers = values.astype(np.float64)
    seen = numbers[~np.isnan(numbers)]
    if not len(seen) or (len(seen) == len(numbers) and seen.min() == seen.max()):
        return None
    marks = np.quantile(seen, np.linspace(0, 1, parameters.knots))
    fixed = [knot for knot in fact.knots if marks[0] < knot < marks[-1]]
    # quantiles that nearly coincide with a fixed bend would only tear the curve
    near = (marks[-1] - marks[0]) / (4 * parameters.knots)
    free = [mark for mark in marks if all(abs(mark - knot) > near for knot in fixed)]
    return Curve(fact.name, tuple(sorted({round(float(knot), 6) for knot in (*free, *fixed)})))


def as_plain(one: Term) -> dict[str, Any]:
    """The term as JSON has it."""
    return {"fact": one.fact, "knots" if isinstance(one, Curve) else "levels": list(_marks(one))}


def from_plain(told: Mapping[str, Any]) -> Term:
    """The term that `as_plain` told."""
    if "knots" in told:
        return Curve(told["fact"], tuple(told["knots"]))
    return Levels(told["fact"], tuple(told["levels"]))


def _marks(one: Term) -> tuple[float, ...] | tuple[str, ...]:
    return one.knots if isinstance(one, Curve) else one.levels

"""What a costlier treatment gains at its threshold: a regression discontinuity.

Where accounts above a value (an expected recovery, a balance, days past due) are worked in another way than those just
below, those close to it on either side are alike but for that. The jump of the line there is what the treatment gains.
Nothing here chooses the window: what it is at half and at twice the width is told beside, and so is the same jump
where there is no threshold (placebos) and in what the treatment cannot have changed (checks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest, t

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_ON_A_SIDE = 5
PLACEBOS_ON_A_SIDE = 2
WIDTHS = (0.5, 1.0, 2.0)


class TooFewAtThreshold(UsageError):
    """So few values lie within the window on one side that no line can be drawn there."""


@dataclass(frozen=True)
class Gain:
    """The jump at a threshold: how much more the outcome is just above it than just below.

    error: the standard error of ordinary least squares; robust_error: the one that holds where the outcome varies more
    on one side (HC1). low, high: of the interval by `error`. below, above: how many values either side has.
    """

    at: float
    within: float
    gain: float
    error: float
    robust_error: float
    low: float
    high: float
    p_value: float
    below: int
    above: int

    @property
    def holds_zero(self) -> bool:
        """Whether the interval leaves room for no gain at all."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Study:
    """A gain and what speaks for or against it.

    placebos: jumps where there is no threshold, each in a window on one side of the real one. checks: jumps at the
    threshold of what the treatment cannot have changed, by name. widths: the gain in windows of half, the same and
    twice the width. crowding: how likely it is by chance that the two sides hold numbers so unlike; a small one says
    that values thin out quickly there, or that somebody steers accounts over the threshold.
    """

    gain: Gain
    placebos: tuple[Gain, ...]
    checks: Mapping[str, Gain]
    widths: tuple[Gain, ...]
    crowding: float

    @property
    def sound(self) -> bool:
        """No placebo and no check jumps beyond what chance allows for so many of them, and no side is crowded."""
        others = [*self.placebos, *self.checks.values()]
        allowed = 0.05 / max(len(others), 1)
        return all(one.p_value >= allowed for one in others) and self.crowding >= allowed


def gain_at(
    value: Floats, outcome: Floats, at: float, within: float, *, credible: float = 0.95, beyond: float | None = None
) -> Gain:
    """The jump of `outcome` where `value` reaches `at`, by one slope on both sides.

    value, outcome: one element per account. The window is at - within ≤ value < at + within; a value of exactly `at` is
    treated. beyond: only values below it (or, for a window above, from it on) take part: see `placebos`.
    Raises TooFewAtThreshold.
    """
    inside = (value >= at - within) & (value < at + within)
    if beyond is not None:
        inside &= (value < beyond) if at < beyond else (value >= beyond)
    x, y = value[inside] - at, outcome[inside]
    treated = x >= 0
    below, above = int((~treated).sum()), int(treated.sum())
    if min(below, above) < LEAST_ON_A_SIDE:
        raise TooFewAtThreshold(
            f"{below} values lie in the window below {at:g} and {above} above", fix="widen the window, or move it"
        )
    columns = np.column_stack([np.ones(len(x)), x, treated])
    inverse = np.linalg.pinv(columns.T @ columns)
    coefficients = inverse @ columns.T @ y
    residual = y - columns @ coefficients
    freedom = len(y) - columns.shape[1]
    error = float(np.sqrt(residual @ residual / freedom * inverse[2, 2]))
    leaning = columns * residual[:, None]
    robust = float(np.sqrt((inverse @ (leaning.T @ leaning) @ inverse)[2, 2] * len(y) / freedom))
    jump = float(coefficients[2])
    width = float(t.ppf((1 + credible) / 2, freedom)) * error
    p_value = float(2 * t.sf(abs(jump) / error, freedom)) if error > 0 else float(jump == 0)
    return Gain(at, within, jump, error, robust, jump - width, jump + width, p_value, below, above)


def study(
    value: Floats, outcome: Floats, at: float, within: float, checks: Mapping[str, Floats] | None = None
) -> Study:
    """The gain at the threshold with everything that should be known before it is believed. Raises TooFewAtThreshold.

    checks: what the treatment cannot have changed (an age, a product as 0 and 1), one element per account.
    """
    inside = (value >= at - within) & (value < at + within)
    gain = gain_at(value, outcome, at, within)
    return Study(
        gain,
        placebos(value, outcome, at, within),
        {name: gain_at(value, measured, at, within) for name, measured in (checks or {}).items()},
        tuple(_where_possible(value, outcome, [at] * len(WIDTHS), [within * width for width in WIDTHS])),
        float(binomtest(gain.above, int(inside.sum())).pvalue),
    )


def placebos(value: Floats, outcome: Floats, at: float, within: float) -> tuple[Gain, ...]:
    """The jumps at values on either side where nothing begins; the windows end at the real threshold.

    They lie one and two windows away; where too few values are, there is no placebo.
    """
    steps = [side * step * within for side in (-1, 1) for step in range(1, PLACEBOS_ON_A_SIDE + 1)]
    found = _where_possible(value, outcome, [at + step for step in steps], [within] * len(steps), beyond=at)
    return tuple(sorted(found, key=lambda one: one.at))


def _where_possible(
    value: Floats, outcome: Floats, places: list[float], widths: list[float], *, beyond: float | None = None
) -> list[Gain]:
    found = []
    for place, width in zip(places, widths, strict=True):
        try:
            found.append(gain_at(value, outcome, place, width, beyond=beyond))
        except TooFewAtThreshold:
            continue
    return found

"""Rates times amounts, in whole minor units: rounded as agreed, and split so that the parts make the whole (R2).

Rates are whole millionths and amounts int64: no float comes near either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from decimal import Decimal

Minor = npt.NDArray[np.int64]
Rounding = Literal["half_up", "half_even", "half_down", "up", "down"]

SCALE = 1_000_000
"""Rates are whole millionths: what `remittance_line.rate` holds."""
INT64_MAX = np.iinfo(np.int64).max


def millionths(rate: Decimal) -> int:
    """The rate in whole millionths."""
    return int(rate.scaleb(6))


def charged(amount_minor: Minor, rate: Minor | int, rounding: Rounding) -> Minor:
    """`amount_minor` times the rate (in millionths), in whole minor units; a reversal is the mirror of its original.

    Exact at any size: the amount is taken apart at the scale, so that no product leaves 64 bits before the result does.
    """
    parts = np.asarray(rate, dtype=np.int64)
    size = np.abs(amount_minor)
    whole, rest = size // SCALE, size % SCALE
    floor: Minor = whole * parts + rest * parts // SCALE
    remainder: Minor = rest * parts % SCALE
    result: Minor = np.sign(amount_minor) * (floor + _rounds_up(floor, remainder, SCALE, rounding))
    return result


def portion(amount_minor: Minor, part: Minor, whole: Minor, rounding: Rounding) -> Minor:
    """`amount_minor * part / whole`, rounded; nothing where `whole` is 0. All of it for all of the whole.

    What a partial reversal takes back of the original's commission, at the original's rate (R9).
    """
    if len(amount_minor) and int(np.abs(amount_minor).max()) * int(np.abs(part).max()) > INT64_MAX:
        # beyond 64 bits: Python's own integers, for amounts that hardly occur
        amount_minor, part, whole = (side.astype(object) for side in (amount_minor, part, whole))
    sign = np.sign(amount_minor) * np.sign(part)
    below = np.where(whole == 0, 1, np.abs(whole))
    product = np.abs(amount_minor) * np.abs(part)
    floor = product // below
    remainder = product - floor * below
    rounded = sign * (floor + _rounds_up(floor, remainder, below, rounding))
    result: Minor = np.where(whole == 0, 0, rounded).astype(np.int64)
    return result


def divided(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator` (> 0), rounded: for sums that may leave 64 bits."""
    floor, remainder = divmod(abs(numerator), denominator)
    twice = 2 * remainder
    up = {
        "half_up": twice >= denominator,
        "half_even": twice > denominator or (twice == denominator and floor % 2 == 1),
        "half_down": twice > denominator,
        "up": remainder > 0,
        "down": False,
    }[rounding]
    size = floor + (remainder > 0 and up)
    return size if numerator >= 0 else -size


def product_sum(amount_minor: Minor, factor: Minor) -> int:
    """The exact sum of `amount_minor * factor` (factors up to SCALE), whatever the size."""
    sign = np.sign(amount_minor)
    size = np.abs(amount_minor)
    whole, rest = size // SCALE, size % SCALE
    return int((sign * whole * factor).sum()) * SCALE + int((sign * rest * factor).sum())


def shares(total: int, weights: Minor) -> Minor:
    """`total` split in proportion to the weights (>= 0), by largest remainder: the parts sum to the whole.

    Equal remainders go to the first in order. With weights that are all 0, or none at all, everything is 0: the caller
    has nothing to split on.
    """
    whole = sum(weights.tolist()) if len(weights) and int(weights.max()) > INT64_MAX // len(weights) else None
    whole = int(weights.sum()) if whole is None else whole
    if whole == 0:
        return np.zeros(len(weights), dtype=np.int64)
    size = abs(total)
    exact = weights.astype(object) if size * int(weights.max()) > INT64_MAX else weights
    product = exact * size
    floor = product // whole
    remainder = product - floor * whole
    left = size - int(floor.sum())
    result = floor.astype(np.int64)
    order = np.argsort(-remainder, kind="stable")
    result[order[:left]] += 1
    return np.asarray(result if total >= 0 else -result, dtype=np.int64)


def _rounds_up(floor: Minor, remainder: Minor, below: Minor | int, rounding: Rounding) -> Minor:
    """1 where the size goes up to the next whole, else 0."""
    twice = 2 * remainder
    match rounding:
        case "half_up":
            up = twice >= below
        case "half_even":
            up = (twice > below) | ((twice == below) & (floor % 2 == 1))
        case "half_down":
            up = twice > below
        case "up":
            up = remainder > 0
        case _:
            up = np.zeros(np.shape(remainder), dtype=bool)
    return np.asarray(up, dtype=np.int64)

"""The geometry of a forecast's chart: months in, coordinates out; the page draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.scorecards.charts import FULL_WIDTH, Tick, nice_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEIGHT: Final = 270
LEFT, RIGHT, TOP, BOTTOM = 96.0, 12.0, 12.0, 30.0
WIDEST: Final = 46.0
"""Of a bar."""


@dataclass(frozen=True)
class Column:
    """One month: the middle of its bar, its top, and how far the interval reaches."""

    month: str
    x: float
    top: float
    low: float
    high: float
    actual: float | None
    """where what came lies; None for a month that is not over"""


@dataclass(frozen=True)
class Chart:
    """Bars of what is expected, whiskers from low to high, dots for what came."""

    width: int
    height: int
    left: float
    bottom: float
    bar: float
    columns: tuple[Column, ...]
    amounts: tuple[Tick, ...]
    """values in minor units"""


def drawn(before: Sequence[Mapping[str, Any]], ahead: Sequence[Mapping[str, Any]]) -> Chart | None:
    """The months before with what came, then those ahead; None where there is none of either.

    Each has `month`, `expected_minor`, `low_minor`, `high_minor`; those before `actual_minor` too. One currency alone.
    """
    rows = [*before, *ahead]
    if not rows:
        return None
    most = max(max(row["high_minor"], row.get("actual_minor") or 0) for row in rows)
    ticks = nice_ticks(0.0, float(max(most, 1)))
    floor, ceiling = HEIGHT - BOTTOM, ticks[-1]
    step = (FULL_WIDTH - LEFT - RIGHT) / len(rows)

    def y(minor: float) -> float:
        return round(floor - (floor - TOP) * minor / ceiling, 1)

    columns = tuple(
        Column(
            str(row["month"]), round(LEFT + step * (place + 0.5), 1), y(row["expected_minor"]), y(row["low_minor"]),
            y(row["high_minor"]), None if row.get("actual_minor") is None else y(row["actual_minor"]),
        )
        for place, row in enumerate(rows)
    )  # fmt: skip
    return Chart(
        FULL_WIDTH, HEIGHT, LEFT, floor, round(min(WIDEST, step * 0.6), 1), columns,
        tuple(Tick(y(value), value) for value in ticks),
    )  # fmt: skip


def summed(tested: Sequence[Mapping[str, Any]], currency: str) -> list[dict[str, Any]]:
    """Months before, all agencies together: what was expected, and what came.

    Low and high are what was expected: intervals of agencies do not add up to an interval of their sum.
    """
    found: dict[str, list[int]] = {}
    for row in tested:
        if row["currency"] == currency:
            sums = found.setdefault(str(row["month"]), [0, 0])
            sums[0] += row["expected_minor"]
            sums[1] += row["actual_minor"]
    return [
        {"month": month, "expected_minor": expected, "low_minor": expected, "high_minor": expected,
         "actual_minor": actual}
        for month, (expected, actual) in sorted(found.items())
    ]  # fmt: skip

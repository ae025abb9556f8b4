"""The geometry of the charts: numbers in, coordinates out. templates/charts.html.j2 draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, FULL_WIDTH = 640, 1120
"""Of a chart in half a page and across it, so that letters are equally large in both."""
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
RATIOS = (0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0, 10.0)
CLOSE_RATIOS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6)


@dataclass(frozen=True)
class Tick:
    """Where on an axis, and for which value."""

    at: float
    value: float


@dataclass(frozen=True)
class Curve:
    """A line with its band, a dashed line of what was expected, and their axes."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    line: str
    band: str
    expected: str
    dots: tuple[tuple[float, float], ...]
    end: tuple[float, float]
    end_expected: tuple[float, float]
    months: tuple[Tick, ...]
    shares: tuple[Tick, ...]


def curve(
    rate: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    expected: Sequence[float],
    reach: float = 0.0,
    height: int = 250,
) -> Curve | None:
    """The cumulative curve from month 0; None before the first month has passed.

    reach: a share that the axis goes up to at least, so that curves side by side have one scale.
    """
    if not rate:
        return None
    left, right, top, bottom = 52.0, WIDTH - 64.0, 14.0, height - 40.0
    ceiling = max(*high, *rate, *expected, reach, 1e-6)
    floor = min(*low, *rate, 0.0)
    ticks = nice_ticks(floor, ceiling)
    floor, ceiling = min(floor, ticks[0]), max(ceiling, ticks[-1])

    def x(month: int) -> float:
        return round(left + (right - left) * month / len(rate), 1)

    def y(share: float) -> float:
        return round(bottom - (bottom - top) * (share - floor) / (ceiling - floor), 1)

    def path(values: Sequence[float]) -> list[str]:
        return [f"{x(month)},{y(value)}" for month, value in enumerate((0.0, *values))]

    step = max(1, math.ceil(len(rate) / 12))
    end, end_expected = _apart(y(rate[-1]), y(expected[-1]))
    return Curve(
        width=WIDTH,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        line="M" + " L".join(path(rate)),
        band="M" + " L".join([*path(high), *reversed(path(low))]) + "Z",
        expected="M" + " L".join(path(expected)),
        dots=tuple((x(month), y(value)) for month, value in enumerate(rate, start=1)),
        end=(right + 8, end),
        end_expected=(right + 8, end_expected),
        months=tuple(Tick(x(month), month) for month in range(0, len(rate) + 1, step)),
        shares=tuple(Tick(y(share), share) for share in ticks),
    )


@dataclass(frozen=True)
class Bar:
    """One row of the dot-and-interval chart."""

    name: str
    y: float
    dot: float
    low: float
    high: float
    raw: float | None
    value: float
    value_low: float
    value_high: float
    faint: bool


@dataclass(frozen=True)
class Forest:
    """Estimates with intervals around 1, on a scale where twice and half are equally far."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    one: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    peers: tuple[float, float] | None


@dataclass(frozen=True)
class Estimate:
    """What a row of the chart shows; `faint`: too little to rank."""

    name: str
    value: float
    low: float
    high: float
    raw: float | None = None
    faint: bool = False


def forest(
    estimates: Sequence[Estimate], peers: tuple[float, float] | None = None, left: float = 150, width: int = WIDTH
) -> Forest | None:
    """The chart of these estimates, top to bottom; `peers` is a shaded range. None of none."""
    if not estimates:
        return None
    row, top = 34, 10.0
    height = int(top + row * len(estimates) + 46)
    right, bottom = width - 130.0, height - 40.0
    seen = [end for one in estimates for end in (one.low, one.high, one.raw or one.value)] + [*(peers or ()), 0.9, 1.1]
    floor = math.log(max(min(seen), 0.05)) - 0.04
    ceiling = math.log(min(max(seen), 20.0)) + 0.04

    def x(ratio: float) -> float:
        share = (math.log(max(ratio, 1e-9)) - floor) / (ceiling - floor)
        return round(left + (right - left) * min(max(share, 0.0), 1.0), 1)

    # where the range is narrow, finer ticks
    marks = CLOSE_RATIOS if ceiling - floor < math.log(3.5) else RATIOS
    return Forest(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        one=x(1.0),
        bars=tuple(
            Bar(
                name=one.name,
                y=top + row * (position + 0.5),
                dot=x(one.value),
                low=x(one.low),
                high=x(one.high),
                raw=None if one.raw is None else x(one.raw),
                value=one.value,
                value_low=one.low,
                value_high=one.high,
                faint=one.faint,
            )
            for position, one in enumerate(estimates)
        ),
        ticks=tuple(Tick(x(mark), mark) for mark in marks if floor <= math.log(mark) <= ceiling),
        peers=None if peers is None else (x(peers[0]), x(peers[1])),
    )


def nice_ticks(floor: float, ceiling: float, about: int = 5) -> list[float]:
    """Round values from at or below `floor` to at or above `ceiling`."""
    rough = (ceiling - floor) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in NICE if nice * power >= rough - 1e-12)
    first, last = math.floor(floor / step + 1e-9), math.ceil(ceiling / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _apart(one: float, other: float, least: float = 15.0) -> tuple[float, float]:
    """Two labels' heights, moved apart where they would overlap."""
    if abs(one - other) >= least:
        return one, other
    middle, sign = (one + other) / 2, 1 if one > other else -1
    return round(middle + sign * least / 2, 1), round(middle - sign * least / 2, 1)

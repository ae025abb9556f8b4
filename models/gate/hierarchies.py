"""How each quasi-identifier becomes coarser, level by level, the last of which tells nothing.

- a division code: county → city → province → nothing; a state of the United States: state → census region → nothing;
- a day: day → month → quarter → year → nothing;
- a band of an amount or of days past due: two neighbours are one, again and again → nothing;
- a product: `other`, for every line has one; a band of the lender's score: nothing.

Every level is made of the values below it, so that who has the coarser file can tell nothing more.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from models import packaged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from models.release import Treatment

Values = tuple[str | None, ...]
NOTHING: Final = None
OTHER: Final = "other"
"""What stands for a product that is not told: a line without one would be refused."""
_DIVISION: Final = re.compile(r"[0-9]{6}")
_STATE: Final = re.compile(r"[A-Z]{2}")
_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-[0-9]{2}")
_MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})")
_QUARTER: Final = re.compile(r"([0-9]{4})-Q[1-4]")


@dataclass(frozen=True)
class Level:
    """One step up: its name for people, and the values in place of those of the level before."""

    name: str
    values: Values
    """as many as there are different values in the column, in the same order"""


def ladder(field: str, values: Sequence[str | None], how: Treatment) -> list[Level]:
    """The levels above a column of these different values; each tells less than the one before, the last nothing.

    how: how the field leaves, for the order of its bands.
    """
    here = tuple(values)
    levels: list[Level] = _wider(here, how) if how.how == "band" else []
    for name, step in _STEPS.get(field, ()):
        levels.append(_level(name, step, levels[-1].values if levels else here))
    levels.append(Level("hidden", tuple(hidden(field) for _ in here)))
    told: list[Level] = []
    for level in levels:
        if level.values != (told[-1].values if told else here):
            told.append(level)
    return told


def hidden(field: str) -> str | None:
    """What stands for a value that is not told."""
    return OTHER if field == "product" else NOTHING


def _level(name: str, step: Callable[[str], str | None], values: Values) -> Level:
    return Level(name, tuple(None if value is None else step(value) for value in values))


def _division(keep: int) -> Callable[[str], str | None]:
    def step(code: str) -> str | None:
        if _DIVISION.fullmatch(code):
            return code[:keep] + "0" * (6 - keep)
        return code if _STATE.fullmatch(code) else NOTHING

    return step


def _census_region(code: str) -> str | None:
    return code if _DIVISION.fullmatch(code) else census_regions().get(code)


@cache
def census_regions() -> Mapping[str, str]:
    """By state of the United States, its census region."""
    told = tomllib.loads(packaged.text("models", "gate", "us-regions"))
    return {state: str(name) for name, states in told["regions"].items() for state in states}


def _month(day: str) -> str | None:
    return day[:7] if _DAY.fullmatch(day) else day


def _quarter(day: str) -> str | None:
    found = _DAY.fullmatch(day) or _MONTH.fullmatch(day)
    return f"{found[1]}-Q{(int(found[2]) + 2) // 3}" if found else day


def _year(day: str) -> str | None:
    return day[:4]


_STEPS: Final[Mapping[str, tuple[tuple[str, Callable[[str], str | None]], ...]]] = {
    "region": (("city", _division(4)), ("province", _division(2)), ("census region", _census_region)),
    "opened_on": (("month", _month), ("quarter", _quarter), ("year", _year)),
}


def _wider(values: Values, how: Treatment) -> list[Level]:
    """Neighbouring bands joined, two by two, until there is one."""
    place = {label: number for number, label in enumerate(how.labels)}
    levels, width = [], 2
    while width < len(how.labels):
        labels = [
            _joined(how, first, min(first + width, len(how.labels))) for first in range(0, len(how.labels), width)
        ]
        levels.append(
            Level(
                f"bands of {width}",
                tuple(None if value is None else labels[place[value] // width] for value in values),
            )
        )
        width *= 2
    return levels


def _joined(how: Treatment, first: int, after: int) -> str:
    """One label for the bands from `first` up to `after`, in the words of the policy."""
    if after - first == 1:
        return how.labels[first]
    low = None if first == 0 else how.edges[first - 1]
    high = None if after == len(how.labels) else how.edges[after - 1]
    if low is None:
        return f"under {high:f}"
    return f"{low:f} and over" if high is None else f"{low:f} to under {high:f}"

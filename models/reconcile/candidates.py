"""What a person is shown for one line or receipt: the best single counterparts, sums of few, and rule 7 (R5).

Rule 7, several against several, is never applied by a program: at a pool of 20 one random amount in four is a sum of
some of them. Each proposal is exact to the minor unit, and a person takes it or leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.reconcile.outcome import Ints

SUMMED = 200
"""Among so many of the nearest in time sums of two and three are looked for."""
OTHERS = 20
"""So many of its own side are tried beside the item for several against several."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A line or receipt of which something is open."""

    id: int
    amount_minor: int
    """what is open of it"""
    day: int
    """its value date, days since 1970"""
    references: tuple[str, ...]
    content: str
    """what it is known by wherever it is read: the order among equals"""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A counterpart that is offered: how much it is more, how many days later, and how alike in name (0 to 100)."""

    one: Standing
    off_minor: int
    off_days: int
    likeness: int
    is_named: bool
    """whether it has one of the item's references, letter for letter but for their size"""


def ranked(
    amount_minor: int, day: int, references: tuple[str, ...], others: Iterable[Standing], limit: int
) -> list[Ranked]:
    """The best `limit` of `others`, by reference, then difference, then days, then content."""
    asked = {reference.upper() for reference in references}

    def standing(one: Standing) -> tuple[bool, int, int, str]:
        far = asked.isdisjoint(text.upper() for text in one.references)
        return far, abs(one.amount_minor - amount_minor), abs(one.day - day), one.content

    near = sorted(((*standing(one), one.id, one) for one in others), key=lambda row: row[:5])
    # likeness counts among equal differences alone: nothing beyond the last that may be offered is compared
    near = [row for row in near[: max(limit * 5, SUMMED)] if row[:2] <= near[:limit][-1][:2]]
    # what cannot be alike is not compared: for the ranking it has nothing to do with the references
    alike = _likeness(references, [row[5] for row in near], at_least=ALIKE)

    def order(row: tuple[bool, int, int, str, int, Standing]) -> tuple[Any, ...]:
        far, size, apart, content, number, _ = row
        # a mangled reference with the very amount is better than the amount alone
        likeness = alike[number] if alike[number] >= ALIKE or not far else 0
        return far, size, -likeness, apart, content, number

    best = sorted(near, key=order)[:limit]
    said = _likeness(references, [row[5] for row in best], at_least=0)
    return [
        Ranked(one, one.amount_minor - amount_minor, one.day - day, said[number], not far)
        for far, _, _, _, number, one in best
    ]


ALIKE = 70
"""Below such a likeness two references have nothing to do with each other."""


def _likeness(references: tuple[str, ...], rows: Sequence[Standing], *, at_least: int) -> dict[int, int]:
    """By number: how alike its references are to one of these, 0 to 100; certainly less than `at_least` is 0."""
    # of several rows, or in both places, the same reference is compared once
    alike = {
        text: max((_alike(one, text, at_least) for one in references), default=0)
        for text in {text for row in rows for text in row.references}
    }
    return {row.id: max((alike[text] for text in row.references), default=0) for row in rows}


def _alike(one: str, other: str, at_least: int) -> int:
    mine, theirs = one.upper(), other.upper()
    # letters in common, wherever they stand, are the most that can be alike; counting them is ten times as fast
    shared = sum(min(mine.count(letter), theirs.count(letter)) for letter in set(mine))
    if round(200 * shared / (len(mine) + len(theirs) or 1)) < at_least:
        return 0
    return round(100 * SequenceMatcher(None, mine, theirs, autojunk=False).ratio())


def sums(target: int, amounts: Ints, limit: int) -> list[tuple[int, ...]]:
    """Places of two or three of `amounts` that sum to `target` exactly; the first `limit`, twos before threes."""
    amounts = amounts[:SUMMED]
    found = _pairs(target, amounts)
    if len(found) < limit:
        for first in range(len(amounts) - 2):
            found += [
                (first, first + 1 + one, first + 1 + other)
                for one, other in _pairs(target - int(amounts[first]), amounts[first + 1 :])
            ]
            if len(found) >= limit:
                break
    return found[:limit]


def _pairs(target: int, amounts: Ints) -> list[tuple[int, ...]]:
    order = np.argsort(amounts, kind="stable")
    ordered = amounts[order]
    low = np.searchsorted(ordered, target - amounts, side="left")
    high = np.searchsorted(ordered, target - amounts, side="right")
    return sorted({
        (min(one, other), max(one, other))
        for one in np.flatnonzero(high > low).tolist()
        for other in order[low[one] : high[one]].tolist()
        if one != other
    })  # fmt: skip


def several_for_several(own: int, beside: Ints, others: Ints, limit: int) -> list[tuple[int, tuple[int, ...]]]:
    """The item and one `beside` it against two or three of `others`, exactly: the place of each (rule 7)."""
    found: list[tuple[int, tuple[int, ...]]] = []
    for place, amount in enumerate(beside[:OTHERS].tolist()):
        # what the two are alone needs no proposal of several
        found += [
            (place, places)
            for places in sums(own + amount, others, limit)
            if own not in {int(others[at]) for at in places} and amount not in {int(others[at]) for at in places}
        ]
        if len(found) >= limit:
            break
    return found[:limit]

"""What a person is shown for one line or receipt: the best single counterparts, sums of few, and rule 7 (R5).

Rule 7, several against several, is never applied by a program: at a pool of 20 one random amount in four is a sum of
some of them. Each proposal is exact to the minor unit, and a person takes it or leaves it.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from models.reconcile.outcome import Ints

SUMMED = 200
"""Among so many of the nearest in time sums of two and three are looked for."""
OTHERS = 20
"""So many of its own side are tried beside the item for several against several."""


def ranked(amount_minor: int, day: int, references: tuple[str, ...], others: pd.DataFrame, limit: int) -> pd.DataFrame:
    """The best `limit` of `others`, by reference, then difference, then days, then content.

    others: `amount_minor`, `day` (days since 1970), `reference` and `reference_2` (null: none), `content`.
    Returns them with `off_minor` and `off_days` (how much they are more, and later), `likeness` (0 to 100, of the
    references), in the others' index.
    """
    off = others["amount_minor"] - amount_minor
    days = others["day"] - day
    near = others.assign(off_minor=off, off_days=days, size=off.abs(), apart=days.abs())
    near["likeness"] = 0
    texts = near["reference"].fillna("") + "\x1f" + near["reference_2"].fillna("")
    exact = np.zeros(len(near), dtype=bool)
    for reference in references:
        same = (near["reference"].str.upper() == reference.upper()) | (
            near["reference_2"].str.upper() == reference.upper()
        )
        exact |= same.fillna(value=False).to_numpy(dtype=bool)
    near["far"] = ~exact
    near = near.sort_values(["far", "size", "apart", "content"]).head(max(limit * 5, SUMMED))
    said = texts.loc[near.index]
    # what cannot be alike is not compared: for the ranking it has nothing to do with the references
    near["likeness"] = _likeness(references, said, at_least=ALIKE)
    # a mangled reference with the very amount is better than the amount alone
    near["unlike"] = 100 - near["likeness"].where((near["likeness"] >= ALIKE) | ~near["far"], 0)
    best = near.sort_values(["far", "size", "unlike", "apart", "content"]).head(limit)
    best["likeness"] = _likeness(references, said.loc[best.index], at_least=0)
    return best.drop(columns=["size", "apart", "far", "unlike"])


ALIKE = 70
"""Below such a likeness two references have nothing to do with each other."""


def _likeness(references: tuple[str, ...], said: pd.Series, *, at_least: int) -> list[int]:
    """How alike each row's references are to one of these, 0 to 100; what is certainly less than `at_least` is 0."""
    # of several rows, or in both places, the same reference is compared once
    alike = {
        text: max((_alike(one, text, at_least) for one in references), default=0)
        for text in {part for both in said for part in both.split("\x1f") if part}
    }
    return [max((alike[part] for part in both.split("\x1f") if part), default=0) for both in said]


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

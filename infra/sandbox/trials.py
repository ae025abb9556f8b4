"""The scores tried on books whose truth is known: do intervals cover, do probabilities hold, who ranks best, who games.

One trial is many worlds (infra/sandbox/simulation.py), each scored by the product's own fit. Beside the score's ranking
stand those that people use instead, so that it has to earn its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import rankdata

from infra.sandbox.simulation import world
from models.scoring.book import Book, standing
from models.scoring.gaming import PATTERNS, flags
from models.scoring.parameters import standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from infra.sandbox.simulation import World
    from models.scoring.book import Standing

    Floats = npt.NDArray[np.float64]

SPREADS: Final = (0.1, 0.2, 0.35)
"""Between agencies; the worlds take turns in it, in how large they are, and in how much agencies specialise."""
SIZES: Final = (3000, 6000, 12_000)
MIXED: Final = (0.7, 4.0)
KINDS: Final = tuple(product(SPREADS, SIZES, MIXED))
EDGES: Final = np.array([0.05, 0.15, 0.3, 0.6])
"""Between the bins in which P(best) is held against how often it was so."""
REPLICATES: Final = 100
SCORE: Final = "score"
COVERED, CALIBRATED, FOUND, FALSE = 0.88, 0.05, 0.80, 0.10
"""What is promised."""


@dataclass(frozen=True)
class Trial:
    """What the scores were worth over so many worlds.

    coverage: the share of intervals that hold the truth; rank_correlation: with the truth, by way of ranking, the mean
    over worlds. best: one row per bin of P(best): how many, what was said on average, how often it was so;
    miscalibration: the mean of the distances between the two, by how many.
    """

    worlds: int
    intervals: int
    coverage: float
    best: tuple[tuple[int, float, float], ...]
    miscalibration: float
    rank_correlation: dict[str, float]

    @property
    def best_baseline(self) -> str:
        """The way of ranking, other than the score, that comes nearest to the truth."""
        return max((name for name in self.rank_correlation if name != SCORE), key=self.rank_correlation.__getitem__)


@dataclass(frozen=True)
class FlagTrial:
    """By pattern how many were planted and how many of them flagged; of all flags, how many were false."""

    planted: dict[str, int]
    found: dict[str, int]
    flagged: int
    false: int

    @property
    def false_share(self) -> float:
        """Of all flags."""
        return self.false / max(self.flagged, 1)


def try_scores(worlds: int, seed: int, step: Callable[[], None] = lambda: None) -> Trial:
    """So many worlds of eight agencies scored. step: is called after each."""
    parameters = replace(standard(), replicates=REPLICATES)
    covered: list[bool] = []
    said: list[float] = []
    so: list[bool] = []
    ranks: list[dict[str, float]] = []
    for number in range(worlds):
        spread, size, mixed = KINDS[number % len(KINDS)]
        drawn = world(seed + number, accounts=size, spread=spread, mixed=mixed)
        book = Book(drawn.inputs, drawn.as_of, seed + number, parameters)
        known = standing(book)
        held = known.compared
        truth = _truth(drawn, book)
        covered += ((known.effect.low <= truth) & (truth <= known.effect.high))[held].tolist()
        ranked = known.ranked
        if ranked.any():
            said += known.effect.p_best[ranked].tolist()
            so += (truth == truth[ranked].max())[ranked].tolist()
            ranks.append({name: _spearman(value[ranked], truth[ranked]) for name, value in _ways(book, known)})
        step()
    table = _calibration(np.array(said), np.array(so))
    return Trial(
        worlds,
        len(covered),
        float(np.mean(covered)),
        table,
        sum(count * abs(told - was) for count, told, was in table) / max(sum(count for count, *_ in table), 1),
        {name: float(np.mean([one[name] for one in ranks])) for name in ranks[0]} if ranks else {},
    )


def try_flags(worlds: int, seed: int, step: Callable[[], None] = lambda: None) -> FlagTrial:
    """So many worlds of twelve agencies, of which half are honest and each of the others follows one pattern."""
    parameters = replace(standard(), replicates=2)  # nothing of a flag hangs on the expectation's own error
    planted, found = (dict.fromkeys(PATTERNS, 0) for _ in range(2))
    flagged = false = 0
    for number in range(worlds):
        drawn = world(seed + number, agencies=12, accounts=18_000, planted=dict(enumerate(PATTERNS)))
        for one in flags(Book(drawn.inputs, drawn.as_of, seed + number, parameters)):
            here = drawn.planted.get(one.agency) == one.pattern
            planted[one.pattern] += here
            found[one.pattern] += here and one.flagged
            flagged += one.flagged
            false += one.flagged and not here
        step()
    return FlagTrial(planted, found, flagged, false)


def rows(trial: Trial, gaming: FlagTrial) -> list[dict[str, Any]]:
    """Both as lines to read: what, measured, wanted, and whether it holds (None: nothing is wanted of it)."""
    ways = trial.rank_correlation
    best = max(ways[name] for name in ways if name != SCORE)
    caught = {name: gaming.found[name] / max(gaming.planted[name], 1) for name in PATTERNS}
    told: list[tuple[str, float, str, bool | None]] = [
        ("intervals at a nominal 90% that hold the truth", trial.coverage, f"≥ {COVERED}", trial.coverage >= COVERED),
        (
            "P(best): mean distance from how often it was so",
            trial.miscalibration,
            f"≤ {CALIBRATED}",
            trial.miscalibration <= CALIBRATED,
        ),
        ("rank correlation with the truth: score", ways[SCORE], f"≥ {best:.3f}", ways[SCORE] >= best),
        *((f"rank correlation with the truth: {name}", ways[name], "", None) for name in ways if name != SCORE),
        *((f"{name}: planted and flagged", share, f"≥ {FOUND}", share >= FOUND) for name, share in caught.items()),
        ("flags that are false, of all", gaming.false_share, f"≤ {FALSE}", gaming.false_share <= FALSE),
    ]
    return [
        {"what": what, "measured": round(value, 3), "wanted": wanted, "holds": holds}
        for what, value, wanted, holds in told
    ]


def _truth(drawn: World, book: Book) -> Floats:
    """Each effect over the average of the book, as the score has it: by the money expected of each."""
    effects = drawn.effects[[int(name[2:]) for name in book.agencies]]
    return np.asarray(effects / np.average(effects, weights=book.expected))


def _ways(book: Book, known: Standing) -> Iterator[tuple[str, Floats]]:
    """How agencies can be ranked, the better the higher."""
    cells = book.cells()
    at = (book.segments.code[book.row] * book.months + np.minimum(book.month, book.months - 1)) * len(book.agencies)
    money = np.bincount(at + book.agency[book.row], book.money, minlength=cells.balance.size).reshape(
        cells.balance.shape
    )
    took, out = (part.sum(axis=-1, keepdims=True) for part in (money, cells.balance))

    def against(money_of: Floats, balance_of: Floats) -> Floats:
        rate = np.divide(money_of, balance_of, out=np.zeros(cells.balance.shape), where=balance_of > 0)
        expected = (cells.balance * rate).sum(axis=(0, 1))
        return np.asarray(np.divide(book.recovered, expected, out=np.zeros(len(expected)), where=expected > 0))

    whole = np.ones(cells.balance.shape)
    yield SCORE, -known.effect.expected_rank
    yield "raw liquidation", book.recovered / np.maximum(book.placed, 1e-9)
    yield "actual over cell averages", against(took * whole, out * whole)
    yield "actual over the others' cell averages", against(took - money, out - cells.balance)
    yield "actual over expected, unshrunk", book.recovered / np.maximum(book.expected, 1e-9)


def _spearman(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def _calibration(said: Floats, so: npt.NDArray[np.bool_]) -> tuple[tuple[int, float, float], ...]:
    """Per bin that holds any: how many, the mean of what was said, the share that was so."""
    where = np.digitize(said, EDGES)
    return tuple(
        (int((where == one).sum()), float(said[where == one].mean()), float(so[where == one].mean()))
        for one in range(len(EDGES) + 1)
        if (where == one).any()
    )

"""Whether somebody could be told apart by what leaves besides names: k, l, lines that are alone; and what helps.

A *quasi-identifier* is a released fact that somebody may know of a debtor from elsewhere. Lines that agree in all of
them form a class. k is the size of the smallest class, l the fewest different sensitive values that a class holds.
Where a policy's limits do not hold, columns become coarser (models.gate.hierarchies), one level at a time: the column
with the most different values left first, the policy's order deciding between equals, and none is taken away altogether
while another can still become coarser. As soon as so few lines are left over as the policy lets be suppressed, those
lose their quasi-identifiers, and the others keep theirs.

All is done over classes, not lines: lines are grouped once, as they come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from models.gate.columns import texts_of
from models.gate.hierarchies import hidden, ladder
from models.kinds import PLACEMENT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.gate.hierarchies import Level, Values
    from models.gate.limits import Limits
    from models.release import Release

SIZES: Final = (1, 4, 9, 49)
"""Upper ends of the sizes of class that lines are counted by; larger ones are the last count."""
_WIDEST_KEY: Final = 1 << 62

Codes = np.ndarray
"""int64, one per line or class: which of a column's different values"""


def quasi_identifiers(release: Release) -> tuple[str, ...]:
    """The fields of the release that count, in the policy's order.

    Amounts and days past due count where they leave as bands alone. A region tells nothing more to whom the whole
    address is told.
    """
    return tuple(
        name
        for name in release.risk.quasi
        if (how := release.treatments.get(name)) is not None
        and (how.how == "band" or PLACEMENT_FIELDS[name].type not in {"amount", "integer"})
        and not (name == "region" and _leaves_whole(release, "address"))
    )


def _leaves_whole(release: Release, name: str) -> bool:
    how = release.treatments.get(name)
    return how is not None and how.how == "release"


@dataclass(frozen=True)
class Figures:
    """How a package stands. Lines whose quasi-identifiers were suppressed are in no class."""

    lines: int
    classes: int
    k: int | None
    """of the smallest class; None where there is none"""
    l: int | None  # noqa: E741 - l-diversity is called so
    unique: int
    """lines that are alone in their class"""
    suppressed: int
    by_size: tuple[int, ...]
    """lines in classes of 1, 2 to 4, 5 to 9, 10 to 49, and more"""


@dataclass(frozen=True)
class Decision:
    """What becomes coarser, and what that does."""

    quasi: tuple[str, ...]
    """the fields that count"""
    limits: dict[str, str | int]
    """the policy's, where it has any"""
    before: Figures
    after: Figures
    levels: dict[str, str]
    """by field, the level that it is raised to"""
    steps: tuple[str, ...]
    """field and level, in the order in which they were taken"""


@dataclass
class _Column:
    """One quasi-identifier over the whole package: its different values, and how far it was raised."""

    name: str
    places: dict[str | None, int] = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    level: int = 0

    def codes(self, texts: pa.Array) -> Codes:
        encoded = texts.dictionary_encode()
        places = [self._place(value) for value in encoded.dictionary.to_pylist()] + [self._place(None)]
        local = encoded.indices.fill_null(len(places) - 1).to_numpy(zero_copy_only=False)
        found: Codes = np.array(places, dtype=np.int64)[local]
        return found

    def _place(self, value: str | None) -> int:
        return self.places.setdefault(value, len(self.places))

    @property
    def values(self) -> Values:
        """What stands in the package for each different value, as far as the column is raised."""
        return tuple(self.places) if self.level == 0 else self.levels[self.level - 1].values

    @property
    def raised(self) -> Codes:
        """For each different value the number of what stands for it."""
        return pd.factorize(np.array(self.values, dtype=object), use_na_sentinel=False)[0].astype(np.int64)

    @property
    def told(self) -> int:
        """How many different values are left."""
        return len(set(self.values))

    @property
    def tells_nothing(self) -> bool:
        return self.level == len(self.levels)


class Tally:
    """Lines are counted by what they look like, frame by frame; then it is decided, and the frames are made so."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.columns = [_Column(name) for name in quasi_identifiers(release)]
        self._called = {one.name: one.column for one in release.fields}
        self.sensitive = _Column(release.risk.sensitive)
        self.lines = 0
        self._codes: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []
        self._hidden: np.ndarray = np.empty(0, dtype=np.int64)
        self._newest: tuple[pd.DataFrame, list[Codes]] | None = None
        """a package of one frame is read once"""

    def count(self, frame: pd.DataFrame) -> None:
        """Count the frame's lines."""
        self.lines += len(frame)
        if not self.columns or frame.empty:
            return
        codes = [*self._codes_of(frame)]
        name = self._called.get(self.sensitive.name)
        codes.append(self.sensitive.codes(texts_of(frame[name])) if name else np.zeros(len(frame), np.int64))
        first, counts = _different(_together(codes))
        self._codes.append(np.column_stack([one[first] for one in codes]))
        self._counts.append(counts)

    def decide(self) -> Decision:
        """What becomes coarser so that the policy's limits hold."""
        limits, release = self.release.risk, self.release
        for column in self.columns:
            column.levels = ladder(column.name, tuple(column.places), release.treatments[column.name])
        before = after = self._classes().figures(self.lines)
        steps: list[str] = []
        while limits.enforced and self._codes:
            classes = self._classes()
            bad = classes.beyond(limits)
            raisable = [column for column in self.columns if not column.tells_nothing]
            after = classes.figures(self.lines)
            if not bad.any() or not raisable:
                break
            if classes.sizes[bad].sum() <= math.floor(limits.suppress * self.lines) and self._fits():
                self._hidden = np.unique(self._keys(classes.codes[bad]))
                after = classes.without(bad).figures(self.lines)
                break
            widest = max(raisable, key=lambda column: (column.level + 1 < len(column.levels), column.told))
            widest.level += 1
            steps.append(f"{widest.name}: {widest.levels[widest.level - 1].name}")
        levels = {column.name: column.levels[column.level - 1].name for column in self.columns if column.level}
        return Decision(
            quasi=tuple(column.name for column in self.columns),
            limits=limits.told if limits.enforced else {},
            before=before,
            after=after,
            levels=levels,
            steps=tuple(steps),
        )

    def coarser(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame as it was decided that it leaves."""
        if not any(column.level for column in self.columns) and not len(self._hidden):
            return frame
        codes = self._codes_of(frame)
        alone = np.isin(self._keys(np.column_stack(codes)), self._hidden) if len(self._hidden) else None
        changed = {}
        for column, mine in zip(self.columns, codes, strict=True):
            if column.level == 0 and alone is None:
                continue
            values = pa.array([*column.values, hidden(column.name)], pa.large_string())
            if alone is not None:
                mine = np.where(alone, len(column.places), mine)  # noqa: PLW2901 - the same column, with its gaps
            texts = pd.Series(pd.array(values.take(pa.array(mine)), dtype="str"), index=frame.index)
            changed[self._called[column.name]] = texts
        return frame.assign(**changed)

    @property
    def became_text(self) -> frozenset[str]:
        """The fields that leave as text now, whatever they were."""
        return frozenset(column.name for column in self.columns if column.level or len(self._hidden))

    def _codes_of(self, frame: pd.DataFrame) -> list[Codes]:
        if self._newest is None or self._newest[0] is not frame:
            codes = [column.codes(texts_of(frame[self._called[column.name]])) for column in self.columns]
            self._newest = (frame, codes)
        return self._newest[1]

    def _classes(self) -> _Classes:
        if not self._codes:
            nobody = np.empty(0, dtype=np.int64)
            return _Classes(np.empty((0, 0), dtype=np.int64), nobody, nobody, tells=False)
        codes, counts = np.concatenate(self._codes), np.concatenate(self._counts)
        raised = [column.raised[codes[:, place]] for place, column in enumerate(self.columns)]
        tells = not all(column.tells_nothing for column in self.columns)
        return _Classes.of(codes, raised, counts, tells=tells)

    def _keys(self, codes: np.ndarray) -> np.ndarray:
        """One number per line for what it looks like now."""
        key = np.zeros(len(codes), dtype=np.int64)
        for place, column in enumerate(self.columns):
            key = key * len(column.places) + column.raised[codes[:, place]]
        return key

    def _fits(self) -> bool:
        return math.prod(len(column.places) for column in self.columns) < _WIDEST_KEY


@dataclass(frozen=True)
class _Classes:
    """Classes of lines: how many lines each has, and how many different sensitive values."""

    codes: np.ndarray
    """of one line of each: which of its columns' different values it has"""
    sizes: np.ndarray
    diversity: np.ndarray
    tells: bool = True
    """whether any column tells anything at all"""

    @classmethod
    def of(cls, codes: np.ndarray, raised: Sequence[Codes], counts: np.ndarray, *, tells: bool) -> _Classes:
        """From what lines look like: `codes` with the sensitive value last, `raised` as the columns stand."""
        _, first, mine = np.unique(_together(raised), return_index=True, return_inverse=True)
        sizes = np.bincount(mine, weights=counts).astype(np.int64)
        pairs = np.unique(_together([mine, codes[:, -1]]), return_index=True)[1]
        return cls(codes[first, :-1], sizes, np.bincount(mine[pairs], minlength=len(first)), tells)

    def beyond(self, limits: Limits) -> np.ndarray:
        """The classes that the limits do not allow; where nothing is told, none is."""
        if not self.tells:
            return np.zeros(len(self.sizes), dtype=bool)
        found: np.ndarray = (self.sizes < limits.k) | (self.diversity < limits.l)
        alone = self.sizes == 1
        if alone.sum() > limits.unique_share * int(self.sizes.sum()):
            found |= alone
        return found

    def without(self, bad: np.ndarray) -> _Classes:
        """The other classes."""
        return _Classes(self.codes[~bad], self.sizes[~bad], self.diversity[~bad], self.tells)

    def figures(self, lines: int) -> Figures:
        """How they stand; `lines` of the package in all."""
        ends = np.searchsorted(np.array(SIZES), self.sizes, side="left")
        by_size = np.bincount(ends, weights=self.sizes, minlength=len(SIZES) + 1).astype(np.int64)
        there = len(self.sizes) > 0
        return Figures(
            lines=lines,
            classes=len(self.sizes),
            k=int(self.sizes.min()) if there else None,
            l=int(self.diversity.min()) if there else None,
            unique=int((self.sizes == 1).sum()),
            suppressed=lines - int(self.sizes.sum()) if there or self.tells else 0,
            by_size=tuple(map(int, by_size)),
        )


def _different(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each different number the first row that has it, and how many have."""
    mine, names = pd.factorize(key)
    first = np.empty(len(names), dtype=np.int64)
    first[mine[::-1]] = np.arange(len(key) - 1, -1, -1)
    return first, np.bincount(mine, minlength=len(names))


def _together(columns: Sequence[Codes]) -> np.ndarray:
    """One number per row: equal where all columns are."""
    key = columns[0]
    size = int(key.max(initial=0)) + 1
    for column in columns[1:]:
        width = int(column.max(initial=0)) + 1
        if size * width >= _WIDEST_KEY:
            key = pd.factorize(key)[0].astype(np.int64)
            size = int(key.max(initial=0)) + 1
        key, size = key * width + column, size * width
    return key

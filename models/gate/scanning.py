"""Every text cell of a package is looked at: proved by its column's shape, or read for identifiers.

Different values are looked at once. What is found is told by column, kind and line, never by value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.gate.columns import is_text, texts_of, whole
from models.gate.identifiers import CERTAINTIES, Found, found, suspicious

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from models.gate.identifiers import Certainty
    from models.gate.shapes import Shape

LINES_KEPT: Final = 10
"""A hit names so many of its lines."""
VOCABULARY_LINES: Final = 100
"""A text that stands on so many lines of a package is a word of the lender's, and not about one debtor."""


@dataclass(frozen=True)
class Hit:
    """One kind of identifier in one column."""

    column: str
    kind: str
    certainty: Certainty
    count: int
    """lines"""
    lines: tuple[int, ...]
    """the first of them; 1 is the first line after the header, 0 what stands beside the lines"""
    stops: bool = True
    """whether the package stays because of it"""
    allowance: int | None = None
    """the false alarm, as two people hold, because of which it does not"""

    def and_(self, other: Hit) -> Hit:
        """Both in one, as sure as the surer."""
        certainty = min(self.certainty, other.certainty, key=CERTAINTIES.index)
        lines = tuple(sorted({*self.lines, *other.lines}))[:LINES_KEPT]
        return replace(self, certainty=certainty, count=self.count + other.count, lines=lines)


@dataclass
class Seen:
    """A text of a free column, and where it stands."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


def together(hits: Iterable[Hit]) -> list[Hit]:
    """One hit for each column, kind and consequence, in that order."""
    found: dict[tuple[str, str, bool], Hit] = {}
    for hit in hits:
        key = (hit.column, hit.kind, hit.stops)
        found[key] = found[key].and_(hit) if key in found else hit
    return [found[key] for key in sorted(found)]


def stops(one: Found, shape: Shape) -> bool:
    """Whether a package with this in such a column stays: all that is likely, of an agency's own words what is sure."""
    return one.certainty == "proved" or (one.certainty == "likely" and not shape.echo)


@dataclass
class Scan:
    """One package is looked at, frame by frame."""

    shapes: Mapping[str, Shape]
    hits: list[Hit] = field(default_factory=list)
    free: dict[str, dict[str, Seen]] = field(default_factory=dict)
    """by column of free text: every text that is no code of ours"""
    unproved: dict[str, int] = field(default_factory=dict)
    """by column of whole identities: how many cells are not of its shape"""
    cells: int = 0
    read: int = 0
    """different texts that had to be read"""
    _known: dict[str, list[Found]] = field(default_factory=dict)

    def look(self, frame: pd.DataFrame, first: int) -> None:
        """Look at the frame's columns; its first row is that line."""
        for column, shape in self.shapes.items():
            if is_text(frame[column]):
                self._look_at(column, shape, texts_of(frame[column]), first)

    def beside(self, where: str, texts: Collection[str], shape: Shape) -> None:
        """Look at texts that stand beside the lines: a manifest, a header."""
        self._look_at(where, shape, pa.array(list(texts), pa.large_string()), 0, lines=False)

    def _look_at(self, column: str, shape: Shape, texts: pa.Array, first: int, *, lines: bool = True) -> None:
        self.cells += len(texts)
        if shape.few or shape.free:
            encoded = texts.dictionary_encode()
            values, places = encoded.dictionary, encoded.indices
        else:
            values, places = texts, None
        rest = ~whole(values, shape.pattern) if shape.pattern else np.ones(len(values), dtype=bool)
        rest &= ~values.is_null().to_numpy(zero_copy_only=False)
        if not rest.any():
            return
        unproved = values.filter(pa.array(rest))
        if shape.own_line:
            self.unproved[column] = self.unproved.get(column, 0) + len(unproved)
        worth = suspicious(unproved)
        if worth.any():
            self._read(column, shape, unproved.filter(pa.array(worth)), values, places, first, lines=lines)
        if shape.free:
            self._note(column, np.flatnonzero(rest), values, places, first)

    def _read(
        self, column: str, shape: Shape, worth: pa.Array, values: pa.Array, places: pa.Array | None, first: int, *,
        lines: bool,
    ) -> None:  # fmt: skip
        """Read the texts that may hold something, each once, and note on which lines those stand that do."""
        by_found: dict[Found, list[str]] = {}
        for text in pc.unique(worth).to_pylist():
            for one in self._found_in(text):
                if one.kind not in shape.whole:
                    by_found.setdefault(one, []).append(text)
        for one, held in by_found.items():
            rows = _rows(held, values, places)
            numbers = tuple(int(row) + first for row in rows[:LINES_KEPT]) if lines else (0,)
            self.hits.append(Hit(column, one.kind, one.certainty, len(rows), numbers, stops(one, shape)))

    def _found_in(self, text: str) -> list[Found]:
        if text not in self._known:
            self.read += 1
            self._known[text] = found(text)
        return self._known[text]

    def _note(self, column: str, unproved: np.ndarray, values: pa.Array, places: pa.Array, first: int) -> None:
        """Keep the texts that are no code, with how often they stand there and where first."""
        rows = places.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.argsort(rows, kind="stable")
        begins, ends = (np.searchsorted(rows[order], unproved, side) for side in ("left", "right"))
        seen = self.free.setdefault(column, {})
        for text, begin, end in zip(values.take(pa.array(unproved)).to_pylist(), begins, ends, strict=True):
            one = seen.setdefault(text, Seen())
            one.count += int(end - begin)
            one.lines += (order[begin:end][: LINES_KEPT - len(one.lines)] + first).tolist()


def _rows(held: list[str], values: pa.Array, places: pa.Array | None) -> np.ndarray:
    """Rows that hold one of these texts."""
    here = np.flatnonzero(pc.is_in(values, value_set=pa.array(held, pa.large_string())).to_numpy(zero_copy_only=False))
    if places is None:
        return here
    return np.flatnonzero(np.isin(places.fill_null(-1).to_numpy(zero_copy_only=False), here))

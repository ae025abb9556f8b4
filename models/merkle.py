"""The hash tree over a growing list: its root, and short proofs that an entry, or an older root, belongs to it.

As RFC 9162 (and 6962) define it, with SHA-256: a leaf is H(00 · entry), a node H(01 · left · right), an empty tree H().
A *complete subtree* of level l holds 2**l leaves and begins at a multiple of that; `(level, position)` names it, and it
never changes again. Proofs are made of complete subtrees alone, which a caller looks up or computes anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from models.errors import ConsignError

EMPTY: Final = hashlib.sha256(b"").digest()
LARGEST: Final = 1 << 62
"""No list is longer; a proof that says so is not one, and would have us climb without end."""

Subtree: TypeAlias = Callable[[int, int], bytes]
"""The hash of the complete subtree `(level, position)`."""


class ProofInvalid(ConsignError):
    """What is offered as a proof has not the shape of one for these sizes."""


def leaf(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaves(entries: Sequence[bytes]) -> list[bytes]:
    """The hashes of entries, in their order."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node(left: bytes, right: bytes) -> bytes:
    """The hash of a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Completed:
    """Complete subtrees of one level that stand side by side, from `first` on."""

    level: int
    first: int
    hashes: list[bytes]


@dataclass
class Tree:
    """A tree that grows at its end, and keeps one hash per level: the subtrees that wait for their right neighbour."""

    size: int = 0
    peaks: dict[int, bytes] = field(default_factory=dict)
    """By level: one for every bit of `size` that is set."""

    def extend(self, more: Sequence[bytes]) -> list[Completed]:
        """The tree has these leaves too; the subtrees above them that are complete now, level by level."""
        completed, level, row, start = [], 0, list(more), self.size
        while row:
            waiting = self.peaks.pop(level, None)
            if waiting is not None:
                row = [waiting, *row]
            if len(row) % 2:
                self.peaks[level] = row[-1]
            level += 1
            row = _paired(row)
            if row:
                completed.append(Completed(level, start >> level, row))
        self.size += len(more)
        return completed

    def root(self) -> bytes:
        """The root of what there is so far."""
        folded: bytes | None = None
        for level in sorted(self.peaks):
            folded = self.peaks[level] if folded is None else node(self.peaks[level], folded)
        return EMPTY if folded is None else folded


def peaks_of(size: int) -> list[tuple[int, int]]:
    """The complete subtrees that a tree of this size waits with, the largest first."""
    return [(level, (size >> level) - 1) for level in reversed(range(size.bit_length())) if size >> level & 1]


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The proof that the leaf at `index` (from 0) is in the tree of this size, from the leaf up."""
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_over(middle, high, subtree))
            high = middle
        else:
            path.append(_over(low, middle, subtree))
            low = middle
    return path[::-1]


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of size `old` is the beginning of that of size `new`; none for equal sizes or 0."""
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of {old} leaves is no beginning of one of {new}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    low, high, known = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_over(middle, high, subtree))
            high = middle
        else:
            path.append(_over(low, middle, subtree))
            low, known = middle, False
    return ([] if known else [_over(low, high, subtree)]) + path[::-1]


def root_of_inclusion(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that the proof leads to from a leaf's hash. Raises ProofInvalid for a path of another length."""
    if not 0 <= index < size <= LARGEST:
        raise ProofInvalid("the proof speaks of a leaf that the tree cannot have")
    sides, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        is_left = index < middle
        sides.append(is_left)
        low, high = (low, middle) if is_left else (middle, high)
    if len(sides) != len(path):
        raise ProofInvalid(f"the proof has {len(path)} hashes where a tree of {size} leaves needs {len(sides)}")
    for is_left, other in zip(reversed(sides), path, strict=True):
        entry = node(entry, other) if is_left else node(other, entry)
    return entry


def roots_of_consistency(old: int, new: int, old_root: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the smaller and of the larger tree that the proof leads to, given what the smaller is said to be.

    Both are to be compared with what was signed. `old` is 1 at least: from nothing there is nothing to prove.
    Raises ProofInvalid for a path of another length.
    """
    if not 0 < old <= new <= LARGEST:
        raise ProofInvalid("the proof speaks of sizes that do not follow one another")
    rest = iter(path)
    roots = _joined(old, new, old_root, rest)
    if next(rest, None) is not None:
        raise ProofInvalid("the proof has more hashes than these sizes need")
    return roots


def _joined(old: int, new: int, known: bytes | None, rest: Iterator[bytes]) -> tuple[bytes, bytes]:
    if old == new:
        whole = known if known is not None else _next(rest)
        return whole, whole
    middle = _split(new)
    if old <= middle:
        before, after = _joined(old, middle, known, rest)
        return before, node(after, _next(rest))
    before, after = _joined(old - middle, new - middle, None, rest)
    left = _next(rest)
    return node(left, before), node(left, after)


def _next(rest: Iterator[bytes]) -> bytes:
    found = next(rest, None)
    if found is None:
        raise ProofInvalid("the proof has fewer hashes than these sizes need")
    return found


def _paired(row: Sequence[bytes]) -> list[bytes]:
    """The level above; one without a neighbour waits."""
    sha256 = hashlib.sha256
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]


def _split(size: int) -> int:
    """The largest power of two below `size`, which is 2 at least."""
    return 1 << (size - 1).bit_length() - 1


def _over(low: int, high: int, subtree: Subtree) -> bytes:
    """The root over the leaves from `low` until `high`, which begin at a multiple of what they are split into."""
    size, folded = high - low, None
    for level, position in reversed(peaks_of(size)):
        mine = subtree(level, (low >> level) + position)
        folded = mine if folded is None else node(mine, folded)
    if folded is None:
        return EMPTY
    return folded

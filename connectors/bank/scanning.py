"""Plain XML taken apart over columns of positions, some fifteen times as fast as a tree of elements is built.

A scanner reads a forest of like elements (the entries of a statement), every one of the same name. It takes only what
it is sure of: UTF-8 without control characters, elements without prefix or attributes but a currency, no comments, no
sections, no references but XML's own five, every element closed by its own name. Whatever else there is, well-formed
or not, it leaves to a real parser and says so. So a scanner never decides that a file is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

TEXT: Final = pa.string()
DEEPEST: Final = 24
LONGEST_NAME: Final = 24
MANY_NAMES: Final = 1_024
CURRENCY: Final = 10
"""bytes of the one attribute: ` Ccy="EUR"`"""

_LESS, _GREATER, _SLASH, _DOUBLE, _SINGLE, _BLANK = b"<>/\"' "
_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_.-]*")
_WORD: Final = 8
_PAD: Final = bytes(32)
_MASKS: Final = np.array([(1 << 8 * size) - 1 for size in range(_WORD)] + [(1 << 64) - 1], dtype=np.uint64)
_MIX: Final = tuple(np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_CCY: Final = [np.frombuffer(b" Ccy=" + quote, np.uint8) for quote in (b'"', b"'")]
_SLOTS: Final = 16
_REFERENCES: Final = ((b"&lt;", "<"), (b"&gt;", ">"), (b"&quot;", '"'), (b"&apos;", "'"), (b"&amp;", "&"))
_CONTROLS: Final = np.frombuffer(b"\n\r\t", np.uint8)
_DEAD: Final = 0
_ROOT: Final = 1


class Found:
    """The texts of a forest: per path, of which elements each is, in the order of the file."""

    def __init__(self, count: int, texts: dict[str, tuple[Ints, pa.Array]]) -> None:
        """For so many elements; `texts`: per path the numbers of its elements (from 0, rising), and what they say."""
        self.count = count
        self._texts = texts

    def first(self, *paths: str) -> pa.Array:
        """Per element, the first text of the first of the paths that says anything; empty where none does."""
        found = pa.repeat(pa.scalar("", TEXT), self.count)
        for path in reversed(paths):
            owners, texts = self.every(path)
            if not len(owners):
                continue
            if len(owners) != self.count or (owners[1:] == owners[:-1]).any():
                head = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
                place = np.full(self.count, -1)
                place[owners[head]] = head
                texts = pc.fill_null(texts.take(pa.array(place, mask=place < 0)), "")
            found = pc.if_else(pc.equal(texts, ""), found, texts) if len(paths) > 1 else texts
        return found

    def all(self, path: str) -> pa.Array:
        """Per element, all its texts there, joined by a space."""
        owners, texts = self.every(path)
        if not (owners[1:] == owners[:-1]).any():
            return self.first(path)
        ends = np.searchsorted(owners, np.arange(self.count + 1)).astype(np.int32)
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), texts), " ")

    def every(self, path: str) -> tuple[Ints, pa.Array]:
        """Every text there, and of which element it is."""
        return self._texts.get(path, (np.zeros(0, dtype=np.int64), pa.array([], TEXT)))


class Scanner:
    """Finds the texts of some paths in a forest of elements, and in the parts that each has any number of."""

    def __init__(self, element: str, parts: Sequence[str], paths: Iterable[str], part_paths: Iterable[str]) -> None:
        """`element`: the name of the forest's trees. `parts`: a part's path below it, and others that mean the same.

        A path ends in a name or in `@Ccy`, that element's currency.
        """
        self._names: dict[bytes, int] = {}
        self._hash = np.zeros(1 << _SLOTS, dtype=np.uint64)
        self._known = np.zeros(1 << _SLOTS, dtype=np.int16)
        self._hashes: list[int] = []
        self._factor = _MIX[0]
        self._children: dict[tuple[int, int], int] = {}
        self._paths = 2
        self.element = self._node(element)
        self.part = self._node(f"{element}/{parts[0]}")
        for other in parts[1:]:
            above, _, name = other.rpartition("/")
            self._children[self._node(f"{element}/{above}".rstrip("/")), self._learned(name.encode())] = self.part
        self._own = {path: self._node(f"{element}/{path.removesuffix('/@Ccy')}") for path in paths}
        self._parts = {path: self._node(f"{element}/{parts[0]}/{path.removesuffix('/@Ccy')}") for path in part_paths}
        self._next = self._transitions()

    def scan(self, forest: bytes) -> tuple[Found, Found, Ints] | None:
        """The texts of each element, of each part, and of which element each part is; None where it is not sure."""
        plain = _is_plain(forest)
        if plain is None:
            return None
        tags = _tags(forest)
        if tags is None or not self._name(tags, forest):
            return None
        levels = _nested(tags)
        if levels is None:
            return None
        nodes = self._followed(tags, levels)
        if nodes is None:
            return None
        elements, parts = nodes.get(self.element, _NONE), nodes.get(self.part, _NONE)
        texts = _Texts(forest, tags, has_references=not plain)
        owners = np.searchsorted(elements, parts, "right") - 1
        return texts.of(self._own, nodes, elements), texts.of(self._parts, nodes, parts), owners

    # -- names and paths -----------------------------------------------------------------------------------------------

    def _node(self, path: str) -> int:
        at = _ROOT
        for name in path.split("/"):
            key = (at, self._learned(name.encode()))
            if key not in self._children:
                self._children[key] = self._paths
                self._paths += 1
            at = self._children[key]
        return at

    def _transitions(self) -> npt.NDArray[np.int16]:
        table = np.full((self._paths, MANY_NAMES), _DEAD, dtype=np.int16)
        for (node, name), child in self._children.items():
            table[node, name] = child
        return table

    def _learned(self, name: bytes) -> int:
        if name in self._names:
            return self._names[name]
        number = self._names[name] = len(self._names) + 1
        padded = np.frombuffer(name + _PAD, np.uint8)
        self._hashes.append(int(_hashed(padded, np.array([0]), np.array([len(name)]))[0]))
        hashes = np.array(self._hashes, dtype=np.uint64)
        while True:  # until no two names share a slot
            slots = self._slots(hashes)
            if len(np.unique(slots)) == len(slots):
                break
            self._factor = self._factor * _MIX[1] | np.uint64(1)
        self._hash[:], self._known[:] = 0, 0
        self._hash[slots], self._known[slots] = hashes, np.arange(1, len(slots) + 1)
        return number

    def _slots(self, hashes: Hashes) -> Hashes:
        return (hashes * self._factor) >> np.uint64(64 - _SLOTS)

    def _name(self, tags: _Tags, forest: bytes) -> bool:
        """Every tag has the number of its name; False where one has none that is plain."""
        while True:
            slots = self._slots(tags.hashes)
            strange = np.flatnonzero(self._hash[slots] != tags.hashes)
            if not len(strange):
                tags.names = self._known[slots]
                return True
            at = strange[0]
            name = forest[tags.start[at] : tags.start[at] + tags.size[at]]
            if not _NAME.fullmatch(name) or name in self._names or len(self._names) >= MANY_NAMES - 1:
                return False
            self._learned(name)

    def _followed(self, tags: _Tags, levels: list[Ints]) -> dict[int, Ints] | None:
        """The opening tags at each path that is looked for; None where the forest has other trees."""
        found: dict[int, Ints] = {}
        above, path = _NONE, np.array([_ROOT], dtype=np.int16)
        for opening in levels:
            parent = np.searchsorted(above, opening) - 1 if len(above) else np.zeros(len(opening), dtype=np.int64)
            here = self._next[path[parent], tags.names[opening]]
            if not len(above) and (here != self.element).any():
                return None
            order = np.argsort(here, kind="stable")
            nodes, starts = np.unique(here[order], return_index=True)
            for node, tokens in zip(nodes, np.split(opening[order], starts[1:]), strict=True):
                before = found.get(int(node))
                found[int(node)] = tokens if before is None else np.sort(np.concatenate([before, tokens]))
            above, path = opening, here
        return found


_NONE: Final[Ints] = np.zeros(0, dtype=np.int64)


class _Tags:
    """The tags of a forest, in its order."""

    def __init__(self, less: Ints, greater: Ints, is_closing: Flags, is_empty: Flags, start: Ints, size: Ints) -> None:
        self.less = less
        self.greater = greater
        self.is_closing = is_closing
        self.is_empty = is_empty
        self.start = start
        """where the name begins"""
        self.size = size
        """bytes of the name"""
        self.hashes: Hashes = np.zeros(0, dtype=np.uint64)
        self.names: npt.NDArray[np.int16] = np.zeros(0, dtype=np.int16)


def _is_plain(forest: bytes) -> bool | None:
    """Whether its text stands as it is meant, without references; None where it is not sure of the text."""
    codes = np.frombuffer(forest, np.uint8)
    if not np.isin(codes[codes < _BLANK], _CONTROLS).all():
        return None
    if not forest.isascii():
        try:
            forest.decode()
        except UnicodeDecodeError:
            return None
    references = forest.count(b"&")
    if references and references != sum(forest.count(one) for one, _ in _REFERENCES):
        return None
    return not references


def _tags(forest: bytes) -> _Tags | None:
    codes = np.frombuffer(forest + _PAD, np.uint8)
    less, greater = np.flatnonzero(codes == _LESS), np.flatnonzero(codes == _GREATER)
    if not len(less) or len(less) != len(greater) or (greater <= less).any() or (less[1:] <= greater[:-1]).any():
        return None
    is_closing = codes[less + 1] == _SLASH
    is_empty = (codes[greater - 1] == _SLASH) & ~is_closing
    start, stop = less + 1 + is_closing, greater - is_empty
    size = stop - start
    quoted = np.flatnonzero((codes[stop - 1] == _DOUBLE) | (codes[stop - 1] == _SINGLE))
    if len(quoted):
        if not _are_currencies(codes, stop[quoted]) or is_closing[quoted].any():
            return None
        size[quoted] -= CURRENCY
    if (size <= 0).any() or (size > LONGEST_NAME).any():
        return None
    tags = _Tags(less, greater, is_closing, is_empty, start, size)
    tags.hashes = _hashed(codes, start, size)
    return tags


def _are_currencies(codes: npt.NDArray[np.uint8], stop: Ints) -> bool:
    begin = np.maximum(stop - CURRENCY, 0)
    quote = codes[stop - 1]
    for at, (double, single) in enumerate(zip(*_CCY, strict=True)):
        here = codes[begin + at]
        if double == single:
            if (here != double).any():
                return False
        elif (here != quote).any():
            return False
    letters = [codes[begin + len(_CCY[0]) + at] for at in range(3)]
    return all(((one >= ord("A")) & (one <= ord("Z"))).all() for one in letters)


def _hashed(codes: npt.NDArray[np.uint8], start: Ints, size: Ints) -> Hashes:
    """A number per name: of its first eight bytes, the next eight, the last eight, and of its length."""
    words: Hashes = np.ndarray((len(codes) - _WORD,), dtype="<u8", buffer=codes, strides=(1,))
    hashes = (words[start] & _MASKS[np.minimum(size, _WORD)]) * _MIX[0] + size.astype(np.uint64)
    longer = np.flatnonzero(size > _WORD)
    if len(longer):
        begin, rest = start[longer] + _WORD, size[longer] - _WORD
        more = (words[begin] & _MASKS[np.minimum(rest, _WORD)]) * _MIX[1]
        more += words[begin + rest - _WORD] * _MIX[2]
        hashes[longer] ^= more
    return hashes


def _nested(tags: _Tags) -> list[Ints] | None:
    """The opening tags of each level, from the outermost; None where an element is not closed by its own name."""
    step = np.where(tags.is_closing, -1, np.where(tags.is_empty, 0, 1)).astype(np.int8)
    depth = np.cumsum(step, dtype=np.int32)
    level = depth + (tags.is_closing | tags.is_empty)
    if depth[-1] != 0 or level.min() < 1 or level.max() > DEEPEST:
        return None
    order = np.argsort(level.astype(np.int8), kind="stable")
    paired = order[~tags.is_empty[order]] if tags.is_empty.any() else order
    opened, closed = paired[0::2], paired[1::2]
    if tags.is_closing[opened].any() or not tags.is_closing[closed].all():
        return None
    if (tags.names[opened] != tags.names[closed]).any():
        return None
    opening = order[~tags.is_closing[order]]
    ends = np.cumsum(np.bincount(level[opening])[1:])
    return np.split(opening, ends[:-1])


class _Texts:
    """Cuts texts out of a forest."""

    def __init__(self, forest: bytes, tags: _Tags, *, has_references: bool) -> None:
        self.bytes = pa.py_buffer(forest)
        self.tags = tags
        self.has_references = has_references

    def of(self, paths: dict[str, int], nodes: dict[int, Ints], owners: Ints) -> Found:
        """The texts of these paths, each with the number of the one of `owners` that it stands in."""
        texts = {}
        for path, node in paths.items():
            at = nodes.get(node, _NONE)
            if not path.endswith("@Ccy"):
                at = at[self.tags.is_empty[at] | self.tags.is_closing[np.minimum(at + 1, len(self.tags.less) - 1)]]
            if len(at):
                texts[path] = (np.searchsorted(owners, at, "right") - 1, self._cut(path, at))
        return Found(len(owners), texts)

    def _cut(self, path: str, at: Ints) -> pa.Array:
        if path.endswith("@Ccy"):
            stop = self.tags.greater[at] - self.tags.is_empty[at]
            has = stop - self.tags.start[at] != self.tags.size[at]
            return self._between(stop - 4, np.where(has, stop - 1, stop - 4))
        begin = self.tags.greater[at] + 1
        end = np.where(self.tags.is_empty[at], begin, self.tags.less[np.minimum(at + 1, len(self.tags.less) - 1)])
        texts = self._between(begin, end)
        if self.has_references:
            for reference, meant in _REFERENCES:
                texts = pc.replace_substring(texts, reference.decode(), meant)
        return pc.utf8_trim_whitespace(texts)

    def _between(self, begin: Ints, end: Ints) -> pa.Array:
        """The texts from each beginning to each end: every other one of those between all the places."""
        places = np.column_stack([begin, end]).ravel().astype(np.int32)
        cells = pa.Array.from_buffers(TEXT, len(places) - 1, [None, pa.py_buffer(places), self.bytes])
        return cells.take(pa.array(np.arange(0, len(places) - 1, 2)))

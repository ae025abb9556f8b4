"""Records of fixed width: every value at its place, counted in bytes of the encoding or in characters, as agreed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.layouts.delimited import FileRefused
from connectors.layouts.spelling import Cells
from models.intake.readings import TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connectors.layouts.profiles import KindForm, Layout, Position, Record

_AT_ONCE: Final = 50_000
"""records that are taken apart at once"""
_BLANK_LINES: Final = 10_000
_UNREADABLE: Final = 100_000
"""records of another length beyond which the file is refused whole: nobody mends them one by one"""
_LF, _CR = 10, 13


@dataclass(frozen=True)
class FixedRead:
    """A file of fixed width as it was read: the columns of its good records, and what could not be read."""

    columns: Mapping[str, Cells]
    records: np.ndarray
    """per row, which record it is; 1 is the first after the header record"""
    lines: np.ndarray
    """per row, the line of the file"""
    faults: tuple[tuple[str, str, np.ndarray], ...]
    """column (empty: the whole record), code, records"""
    header: tuple[str, ...] | None
    trailer: tuple[str, ...] | None
    count: int


def read_fixed(path: Path, layout: Layout, form: KindForm, *, max_bytes: int) -> FixedRead:
    """The file's records, taken apart. Raises FileRefused where it is too large, or in another encoding."""
    if path.stat().st_size > max_bytes:
        raise FileRefused("too_large")
    raw = path.read_bytes()
    in_bytes = layout.file.positions == "bytes"
    encoding = _codec(layout.file.encoding)
    if not in_bytes or encoding == "utf-16":
        try:
            text = raw.decode(encoding).removeprefix("\ufeff")
        except UnicodeError:
            raise FileRefused("encoding") from None
        raw, encoding, in_bytes = text.encode("utf-32-le"), "utf-32-le", False
    raw = raw.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else raw
    if raw.count(b"\n") > _BLANK_LINES + 2 * len(raw) // (record_length(form) + 1):
        raise FileRefused("malformed_csv")  # lines without end: their places alone would fill the memory
    return _Fixed(np.frombuffer(raw, np.uint8 if in_bytes else np.uint32), encoding, layout, form).read()


def _codec(encoding: str) -> str:
    return {"utf-8-sig": "utf-8"}.get(encoding, encoding)


class _Fixed:
    """A file being taken apart; `view` counts what positions count."""

    def __init__(self, view: np.ndarray, encoding: str, layout: Layout, form: KindForm) -> None:
        self.view, self.encoding, self.layout, self.form = view, encoding, layout, form
        self.faults: list[tuple[str, str, np.ndarray]] = []

    def read(self) -> FixedRead:
        starts, ends = self._lines()
        numbers = np.arange(1, len(starts) + 1, dtype=np.int64)
        skip = self.layout.file.skip_rows
        starts, ends, numbers = starts[skip:], ends[skip:], numbers[skip:]
        kept = ends > starts  # an empty line is no record
        starts, ends, numbers = starts[kept], ends[kept], numbers[kept]
        header = trailer = None
        if self.form.header_record and len(starts):
            header = self._record(self.form.header_record, starts[0], ends[0])
            starts, ends, numbers = starts[1:], ends[1:], numbers[1:]
        if self.form.trailer_record and len(starts):
            trailer = self._record(self.form.trailer_record, starts[-1], ends[-1])
            if trailer is not None:
                starts, ends, numbers = starts[:-1], ends[:-1], numbers[:-1]
        records = np.arange(1, len(starts) + 1, dtype=np.int64)
        good = ends - starts == record_length(self.form)
        if int((~good).sum()) > _UNREADABLE:
            raise FileRefused("malformed_csv")
        if not good.all():
            self.faults.append(("", "record_length", records[~good]))
        columns = self._columns(starts[good], records[good])
        return FixedRead(columns, records[good], numbers[good], tuple(self.faults), header, trailer, len(starts))

    def _lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Where every line starts and ends, its end left out."""
        breaks = np.flatnonzero(self.view == _LF)
        starts = np.concatenate([[0], breaks + 1]).astype(np.int64)
        ends = np.concatenate([breaks, [len(self.view)]]).astype(np.int64)
        if len(self.view):
            back = (ends > starts) & (self.view[np.maximum(ends - 1, 0)] == _CR)
            ends = ends - back
        if starts[-1] == len(self.view):
            starts, ends = starts[:-1], ends[:-1]
        return starts, ends

    def _record(self, record: Record, start: int, end: int) -> tuple[str, ...] | None:
        """The cells of a header or trailer record; None where it is none."""
        if end - start != record_length(self.form):
            return None
        cells = []
        for place in record.positions:
            cell = self.view[start + place.start - 1 : start + place.stop].tobytes()
            try:
                cells.append(_bare(cell.decode(self.encoding), place))
            except UnicodeDecodeError:
                return None
        return tuple(cells) if cells[0] == record.marker else None

    def _columns(self, starts: np.ndarray, records: np.ndarray) -> dict[str, Cells]:
        parts: dict[str, list[pa.Array]] = {name: [pa.array([], TEXT)] for name in self.form.order}
        for first in range(0, len(starts), _AT_ONCE):
            some, of = starts[first : first + _AT_ONCE], records[first : first + _AT_ONCE]
            for name in self.form.order:
                place = self.form.positions[name]
                block = self.view[some[:, None] + np.arange(place.start - 1, place.stop)]
                parts[name].append(stripped(self._decoded(block, name, of), place))
        return {name: Cells(pa.concat_arrays(arrays)) for name, arrays in parts.items()}

    def _decoded(self, block: np.ndarray, name: str, records: np.ndarray) -> pa.Array:
        """One column's cells; those that are no text of the encoding become empty, with a fault."""
        ended = np.full((len(block), block.shape[1] + 1), _LF, dtype=block.dtype)
        ended[:, :-1] = block
        try:
            cells = ended.tobytes().decode(self.encoding).split("\n")[:-1]
        except UnicodeDecodeError:
            cells = []
        if len(cells) == len(block):
            return pa.array(cells, TEXT)
        cells, bad = [], np.zeros(len(block), dtype=bool)
        for number, cell in enumerate(block):
            try:
                cells.append(cell.tobytes().decode(self.encoding))
            except UnicodeDecodeError:
                cells.append("")
                bad[number] = True
        self.faults.append((name, "cut_character", records[bad]))
        return pa.array(cells, TEXT)


def record_length(form: KindForm) -> int:
    """How long a record is: as stated, else up to where its last value ends."""
    return form.record_length or max((place.stop for place in form.positions.values()), default=0)


def stripped(text: pa.Array, place: Position) -> pa.Array:
    """The values without what fills them up; zeros in front of a number are no part of it."""
    filler = place.filler
    blank = pc.equal(pc.utf8_trim_whitespace(text), pa.scalar("", TEXT))
    if place.align == "left":
        bare = pc.utf8_rtrim(text, characters=filler)
    elif filler == "0":
        bare = pc.replace_substring_regex(text, r"^([-+]?)0+([0-9])", r"\1\2")
    else:
        bare = pc.utf8_ltrim(text, characters=filler)
    return pc.if_else(blank, pa.scalar("", TEXT), bare) if filler == "0" else bare


def _bare(cell: str, place: Position) -> str:
    return str(stripped(pa.array([cell], TEXT), place)[0].as_py())


def filled(text: pa.Array, place: Position, encoding: str, *, in_bytes: bool) -> tuple[pa.Array, np.ndarray]:
    """The values filled up to their length, and which ones are longer than it (those are left as they are)."""
    if not in_bytes or pc.all(pc.string_is_ascii(text)).as_py() is not False:
        long = np.asarray(pc.greater(pc.utf8_length(text), place.length).to_numpy(zero_copy_only=False), dtype=bool)
        return _all_padded(text, place), long
    values = text.to_pylist()
    codec = _codec(encoding)
    missing = place.length - np.array([len(value.encode(codec, "replace")) for value in values], dtype=np.int64)
    done = [_padded(value, gap, place) for value, gap in zip(values, missing.tolist(), strict=True)]
    return pa.array(done, TEXT), missing < 0


def _all_padded(text: pa.Array, place: Position) -> pa.Array:
    """As `_padded`, of values whose characters are what is counted."""
    if place.align == "left":
        return pc.utf8_rpad(text, width=place.length, padding=place.filler)
    full = pc.utf8_lpad(text, width=place.length, padding=place.filler)
    if place.filler != "0":
        return full
    signed = pc.match_substring_regex(text, "^[-+]")
    if pc.any(signed).as_py():
        size = pc.utf8_lpad(pc.utf8_slice_codeunits(text, 1), width=place.length - 1, padding="0")
        behind = pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, 1), size, pa.scalar("", TEXT))
        full = pc.if_else(signed, behind, full)
    return pc.if_else(pc.equal(text, pa.scalar("", TEXT)), pa.scalar(" " * place.length, TEXT), full)


def _padded(value: str, gap: int, place: Position) -> str:
    if gap <= 0:
        return value
    if place.align == "left":
        return value + place.filler * gap
    if place.filler == "0":
        if not value:  # no value is no zero
            return " " * gap
        if value[0] in "+-":
            return value[0] + "0" * gap + value[1:]
    return place.filler * gap + value


def whole_record(columns: Sequence[tuple[Position, pa.Array]], length: int, filler: str, rows: int) -> pa.Array:
    """The records, their gaps filled; the values are filled up already."""
    parts, at = [], 0
    for place, text in sorted(columns, key=lambda one: one[0].start):
        if place.start - 1 > at:
            parts.append(pa.repeat(pa.scalar(filler * (place.start - 1 - at), TEXT), rows))
        parts.append(text)
        at = place.stop
    if length > at:
        parts.append(pa.repeat(pa.scalar(filler * (length - at), TEXT), rows))
    return pc.binary_join_element_wise(*parts, pa.scalar("", TEXT))

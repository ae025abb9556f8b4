"""Delimited text, read as it stands: every cell text, nothing guessed, memory and time bounded whatever comes.

A line that cannot be read refuses that line; only a file without a header, in another encoding altogether, or larger
than allowed is refused whole. Blocks of clean text go straight through Arrow; only a block that Arrow cannot be trusted
with (quotes, ragged lines, foreign bytes) is taken apart, and that over columns of positions, never cell by cell.

The rules are RFC 4180, strictly: a quoted cell ends at a delimiter or a line's end, a quote inside it is doubled, and
none stands in a cell without quotes. A record that breaks them is refused at its first line, and reading goes on
at the next line: an open quotation mark does not swallow the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from connectors.errors import ConnectorError
from models.checking import CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 1 << 20
"""a record of more bytes than this is refused: no cell of ours has more than 2,000 characters"""
MAX_COLUMNS = 1_000
MAX_UNREADABLE = 100_000
"""unreadable lines beyond which the file is refused whole: nobody mends them one by one"""

ENCODINGS = frozenset({
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "gb2312", "big5", "latin-1", "cp1252", "ascii",
})  # fmt: skip
"""What a contract may agree on. `utf-16` needs its byte order mark; `utf-8` may have one."""

_BLOCK = 8 << 20
_PART = 1 << 20  # what is taken apart at once: its positions take some thirty times its size
_LF, _CR = 10, 13
_ASCII = 0x80
_MARK = "\udcff"  # no text holds a lone surrogate, and its bytes are no UTF-8: what could not be decoded stays visible
_LINE_CODES = ("", "bad_quote", "line_too_long", "nul", "ragged_line", "encoding")
_GOOD = 0
_ROW = 16  # bytes that a row's line and record take
_HEAVY = 3  # times the text allowed: what a table of short cells takes; one of empty cells takes twenty
_LONGEST_MARK = 4  # bytes of GB18030's byte order mark
_NO_ROWS = np.zeros(0, dtype=np.int64)


Stream: TypeAlias = IO[bytes] | io.RawIOBase


class FileRefused(ConnectorError):
    """A file that cannot be believed; `code` is one of models.checking.CODES."""

    exit_code = 3

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(f"{code}{f' in {where}' if where else ''}", fix=CODES[code])
        self.code = code


class DialectUnknown(ConnectorError):
    """A dialect that cannot be read; the fault of a profile, not of a file."""

    exit_code = 4


@dataclass(frozen=True)
class Dialect:
    """How a file is written, agreed and not guessed. Raises DialectUnknown where it could not be read without doubt."""

    delimiter: str = ","
    quote: str | None = '"'
    """None: quotation marks are text like any other"""
    encoding: str = "utf-8"
    header: bool = True
    """False: the first record is data and sets the number of columns, which are called `column_1` and on"""
    skip: int = 0
    """lines before the header that are not read"""
    trailer: str | None = None
    """how the last line starts where it is a trailer and no record"""

    def __post_init__(self) -> None:
        marks = [self.delimiter, *([self.quote] if self.quote else [])]
        single = all(len(mark) == 1 and mark.isascii() and mark not in "\r\n\0" for mark in marks)
        if not single or len(set(marks)) < len(marks):
            raise DialectUnknown("delimiter and quote must be two ASCII characters", fix="say ',' and '\"', say")
        if self.encoding not in ENCODINGS:
            raise DialectUnknown(f"no encoding {self.encoding}", fix=f"say one of {', '.join(sorted(ENCODINGS))}")
        if self.skip < 0 or self.trailer == "":
            raise DialectUnknown("skip counts lines, and a trailer starts with something", fix="leave them out")


CSV = Dialect()
"""RFC 4180 in UTF-8, the form of every table inside a package"""


@dataclass(frozen=True)
class Read:
    """A table as it was read."""

    header: list[str]
    table: pa.Table
    """one text column per name of the header, by position; only lines that could be read"""
    rejects: pd.DataFrame
    """the others: `line` (as a text editor counts), `record` (1 is the first after the header), `column`, `code`"""
    lines: np.ndarray
    """per row of the table, the line of the file on which it starts (int64)"""
    records: np.ndarray
    """per row of the table, which record after the header it is (int64); empty lines are none"""
    trailer: list[str] | None = None
    """the cells of the trailer, where the dialect has one and the file too"""

    @property
    def unread(self) -> pd.DataFrame:
        """The lines that could not be read, numbered as records: `line`, `column`, `code`."""
        return self.rejects.drop(columns="line").rename(columns={"record": "line"})

    @property
    def count(self) -> int:
        """How many records the file holds, readable or not."""
        return int(self.table.num_rows + self.rejects["record"].nunique())


def read_delimited(
    source: Path | Stream | bytes, dialect: Dialect = CSV, *, max_bytes: int, max_line_bytes: int = MAX_LINE
) -> Read:
    """Header, rows and what could not be read, line by line. Raises FileRefused where the whole file cannot be.

    max_bytes: of the text as UTF-8; more is `too_large`, and so is a table of empty cells that takes three times as
    much memory. Besides the table itself, memory for a few blocks is held.
    """
    reading = _Reading(dialect, max_bytes, max_line_bytes)
    with _opened(source) as stream:
        for block, last in _with_last(_decoded(stream, dialect.encoding)):
            reading.feed(block, last=last)
    return reading.done()


@contextmanager
def _opened(source: Path | Stream | bytes) -> Iterator[Stream]:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    elif isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        yield source


# -- bytes to UTF-8 ----------------------------------------------------------------------------------------------------


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # one byte of a run of bytes is skipped, so that no line's end is; UTF-16 goes on at its next unit
    return _MARK, error.end if error.encoding.startswith("utf-16") else error.start + 1


codecs.register_error("consign.mark", _marked)


def _decoded(stream: Stream, encoding: str) -> Iterator[bytes]:
    """The text as UTF-8, in blocks; what is no text of that encoding becomes bytes that are no UTF-8."""
    first = _block(stream, least=_LONGEST_MARK)
    if encoding == "utf-16":
        if first[:2] not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            raise FileRefused("encoding")
    elif encoding == "utf-8":
        first = first.removeprefix(codecs.BOM_UTF8)
    if encoding in {"utf-8", "ascii"}:
        while True:
            foreign = encoding == "ascii" and not first.isascii()
            yield first.decode("ascii", "consign.mark").encode("utf-8", "surrogatepass") if foreign else first
            first = stream.read(_BLOCK)
            if not first:
                return
    decoder = codecs.getincrementaldecoder(encoding)("consign.mark")
    text = decoder.decode(first).removeprefix("\ufeff")
    while first:
        yield text.encode("utf-8", "surrogatepass")
        first = stream.read(_BLOCK)
        text = decoder.decode(first)
    yield (text + decoder.decode(b"", final=True)).encode("utf-8", "surrogatepass")


def _block(stream: Stream, least: int) -> bytes:
    """The first block, of at least so many bytes where the stream has them."""
    first = stream.read(max(_BLOCK, least)) or b""
    while len(first) < least and (more := stream.read(least - len(first))):
        first += more
    return first


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    held = b""
    for block in filter(None, blocks):  # a decoder's last word may be empty, and the trailer stands before it
        if held:
            yield held, False
        held = block
    yield held, True


# -- UTF-8 to rows -----------------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """A file being read: what is known of it so far."""

    dialect: Dialect
    max_bytes: int
    max_line: int
    header: list[str] | None = None
    trailer: list[str] | None = None
    _size: int = 0
    _line: int = 1
    """the line on which the bytes still held start"""
    _record: int = 0
    """records seen"""
    _held: bytes = b""
    _to_skip: int = 0
    _within_long: bool = False
    """inside a line that is too long already, and refused"""
    _tables: list[pa.Table] = field(default_factory=list)
    _lines: list[np.ndarray] = field(default_factory=list)
    _records: list[np.ndarray] = field(default_factory=list)
    _rejects: list[pd.DataFrame] = field(default_factory=list)
    _unreadable: int = 0
    _weight: int = 0
    """bytes of memory that the rows take"""

    def __post_init__(self) -> None:
        self._to_skip = self.dialect.skip

    def feed(self, block: bytes, *, last: bool) -> None:
        """Take in the next block; `last`: nothing comes after it."""
        self._size += len(block)
        if self._size > self.max_bytes:
            raise FileRefused("too_large")
        held = self._after_head(self._held + block if self._held else block, last=last)
        if self.header is None:
            self._held = held
            return
        kept = b""
        if last:
            held = self._without_trailer(held)
        elif self.dialect.trailer is not None:
            held, kept = self._kept_back(held)
        done = 0 if self._within_long else self._fast(held, last=last)
        size = _PART + self.max_line  # so that no part is without the end of a record, or a refusal
        while done < len(held):
            if self._within_long:
                done = self._past_long(held, done, last=last)
                if self._within_long:
                    break
            part = held[done : done + size] if len(held) - done > 2 * size else held[done:]
            taken = self._slow(part, last=last and done + len(part) == len(held))
            done += taken
            if not taken:
                break
        self._held = held[done:] + kept

    def done(self) -> Read:
        """All of it."""
        if self.header is None:
            raise FileRefused("malformed_csv")
        names = [f"c{index}" for index in range(len(self.header))]
        empty = pa.table({name: pa.array([], pa.string()) for name in names})
        table = pa.concat_tables([empty, *self._tables]).rename_columns(self.header)
        rejects = pd.concat([_no_rejects(), *self._rejects], ignore_index=True)
        return Read(
            self.header,
            table,
            rejects.sort_values("line", kind="stable", ignore_index=True),
            np.concatenate([_NO_ROWS, *self._lines]),
            np.concatenate([_NO_ROWS, *self._records]),
            self.trailer,
        )

    # -- the head and the foot ---

    def _after_head(self, held: bytes, *, last: bool) -> bytes:
        """What comes after the skipped lines and the header; all of it where they are not whole yet."""
        while self.header is None:
            end = self._head_end(held, last=last)
            if end is None:
                return held
            if self._to_skip and held:
                self._to_skip -= 1
            else:
                self._read_head(held[:end])
                if not self.dialect.header:
                    return held
            self._line += _lines_in(held[:end])
            held = held[end:]
        return held

    def _head_end(self, held: bytes, *, last: bool) -> int | None:
        """Where the first record ends; None where it goes on in the next block. Raises FileRefused."""
        quote = (self.dialect.quote or "").encode()
        end = 0
        while True:
            following = _line_end(held, end, last=last)
            if following is None and not last and len(held) <= self.max_line:
                return None
            end = len(held) if following is None else following
            if end > self.max_line:
                raise FileRefused("malformed_csv")
            if self._to_skip or not quote or held.count(quote, 0, end) % 2 == 0:
                return end
            if following is None:
                raise FileRefused("malformed_csv")

    def _read_head(self, head: bytes) -> None:
        if b"\0" in head:
            raise FileRefused("encoding")  # it is UTF-16, and nobody said so
        cells = self._cells(head)
        if not cells or len(cells) > MAX_COLUMNS:
            raise FileRefused("malformed_csv")
        self.header = cells if self.dialect.header else [f"column_{place}" for place in range(1, len(cells) + 1)]

    def _cells(self, record: bytes) -> list[str]:
        """The cells of one record. Raises FileRefused."""
        try:
            text = record.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise FileRefused("encoding") from None
        if not text:
            return []
        if self.dialect.quote is None:
            return text.split(self.dialect.delimiter)
        try:
            rows = csv.reader([text], delimiter=self.dialect.delimiter, quotechar=self.dialect.quote, strict=True)
            return next(rows)
        except (csv.Error, StopIteration):
            raise FileRefused("malformed_csv") from None

    def _without_trailer(self, held: bytes) -> bytes:
        """What is left of the last block without the trailer."""
        if self.dialect.trailer is None:
            return held
        lines, line = self._kept_back(held)
        if not line.startswith(self.dialect.trailer.encode()):
            return held
        self.trailer = self._cells(line)
        return lines

    def _kept_back(self, held: bytes) -> tuple[bytes, bytes]:
        """What comes before the last line that is not empty, and that line: it may be the trailer."""
        body = held.rstrip(b"\r\n")
        start = max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
        return (held[:start], held[start:]) if len(held) - start <= self.max_line else (held, b"")

    # -- the way of clean text ---

    def _fast(self, held: bytes, *, last: bool) -> int:
        """How many bytes were read at once: all whole lines of a clean block, else none."""
        quote = self.dialect.quote
        if b"\0" in held or (quote and quote.encode() in held):
            return 0
        end = len(held) if last else held.rfind(b"\n") + 1
        if not end or not _hops(held, end, self.max_line):
            return 0
        if b"\r" in held and held.count(b"\r") != held.count(b"\r\n"):
            return 0
        rows = held.count(b"\n", 0, end) + (held[end - 1] != _LF)
        table = self._parsed(memoryview(held)[:end], quoted=False)
        if table is None or table.num_rows != rows:
            return 0
        self._hold(table)
        self._lines.append(np.arange(self._line, self._line + rows, dtype=np.int64))
        self._records.append(np.arange(self._record + 1, self._record + 1 + rows, dtype=np.int64))
        self._line += rows
        self._record += rows
        return end

    def _hold(self, table: pa.Table) -> None:
        """Keep the rows. Raises FileRefused where they are mostly places of empty cells, which cost more than text."""
        self._weight += table.nbytes + _ROW * table.num_rows
        if self._weight > _HEAVY * max(self.max_bytes, _BLOCK):
            raise FileRefused("too_large")
        self._tables.append(table)

    def _parsed(self, text: bytes | memoryview, *, quoted: bool) -> pa.Table | None:
        """The records as a table; None where Arrow refuses them."""
        names = [f"c{index}" for index in range(len(self.header or ()))]
        marked = bytes(text[:3]) == codecs.BOM_UTF8  # Arrow takes one off every text it is given; ours is a cell's
        try:
            return pacsv.read_csv(
                pa.BufferReader(_of_arrow(b"\n" + bytes(text) if marked else text)),
                pacsv.ReadOptions(
                    column_names=names,
                    skip_rows=int(marked),
                    encoding="utf8",
                    block_size=max(1 << 20, 2 * self.max_line) if quoted else 1 << 20,
                ),
                pacsv.ParseOptions(
                    delimiter=self.dialect.delimiter,
                    quote_char=self.dialect.quote or False,
                    newlines_in_values=quoted,
                    ignore_empty_lines=len(names) > 1,
                ),
                pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
            )
        except pa.ArrowInvalid:
            return None

    # -- the way of everything else ---

    def _past_long(self, held: bytes, done: int, *, last: bool) -> int:
        """Where the line after the one that was too long starts; at the end, where it is not to be seen yet."""
        end = _line_end(held, done, last=last)
        if end is None:
            return len(held) - held.endswith(b"\r")
        self._within_long = False
        self._line += 1
        return end

    def _slow(self, part: bytes, *, last: bool) -> int:
        """How many bytes of the part were dealt with, record by record, good or refused."""
        places = _Places.of(part, self.dialect, last=last)
        cut = _Cutter(places, len(part), self.max_line, last).cut()
        self._settle(part, places, cut)
        self._within_long = cut.runs_on
        return cut.end

    def _settle(self, part: bytes, places: _Places, cut: _Cut) -> None:
        """The records of the cut are rows or refusals."""
        starts, ends, code = cut.starts, cut.ends, cut.codes
        columns = len(self.header or ())
        blank = (
            (code == _GOOD) & _blank(places.view, starts, ends) if columns > 1 else np.zeros(len(starts), dtype=bool)
        )
        keep, at = (code == _GOOD) & ~blank, ends
        table = None if len(places.nul) else self._rows(part, starts, ends, keep)
        if table is None or table.num_rows != int(keep.sum()):
            code, at = self._judged(part, places, cut, keep)
            keep = (code == _GOOD) & ~blank
            table = self._rows(part, starts, ends, keep)
        if table is None or table.num_rows != int(keep.sum()):
            raise FileRefused("malformed_csv")
        lines = self._line + np.searchsorted(places.breaks, starts)
        records = self._record + np.cumsum(~blank)
        self._hold(table)
        self._lines.append(lines[keep])
        self._records.append(records[keep])
        if not keep.all():
            columns_at = np.where(at < ends, places.delimiters_in(starts, at, cut.parities), columns)
            self._refuse(lines, records, columns_at, code, code != _GOOD)
        self._record += int((~blank).sum())
        self._line += int(np.searchsorted(places.breaks, cut.end))

    def _judged(self, part: bytes, places: _Places, cut: _Cut, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cut's codes, with those of the records that cannot be kept; and per record, the byte that shows it."""
        starts, ends, code = cut.starts, cut.ends, cut.codes
        nul = _first(places.nul, starts, ends)
        ragged = keep & (nul == ends) & (places.delimiters_in(starts, ends, cut.parities) + 1 != len(self.header or ()))
        foreign = _first_foreign(
            part, starts, ends, keep & ~ragged & _among(np.flatnonzero(places.view >= _ASCII), starts, ends)
        )
        for name, hit in (("nul", nul < ends), ("ragged_line", ragged), ("encoding", foreign < ends)):
            code = np.where(keep & (code == _GOOD) & hit, _LINE_CODES.index(name), code)
        return code, np.where(keep & ~ragged, np.where(nul < ends, nul, foreign), ends)

    def _rows(self, part: bytes, starts: np.ndarray, ends: np.ndarray, keep: np.ndarray) -> pa.Table | None:
        if not keep.any():
            return pa.table({f"c{index}": pa.array([], pa.string()) for index in range(len(self.header or ()))})
        if keep.all() and bool((starts[1:] == ends[:-1]).all()):
            return self._parsed(memoryview(part)[int(starts[0]) : int(ends[-1])], quoted=True)
        step = np.zeros(len(part) + 1, dtype=np.int8)
        np.add.at(step, starts[keep], 1)
        np.add.at(step, ends[keep], -1)
        inside = np.cumsum(step[:-1], dtype=np.int8).astype(bool)
        text = np.frombuffer(part, np.uint8).copy()
        last = ends[keep] - 1
        text[last[text[last] == _CR]] = _LF  # lest it become one with a line feed that was not next to it
        return self._parsed(text[inside].tobytes(), quoted=True)

    def _refuse(
        self, lines: np.ndarray, records: np.ndarray, columns: np.ndarray, code: np.ndarray, hit: np.ndarray
    ) -> None:
        count = int(hit.sum())
        if not count:
            return
        self._unreadable += count
        if self._unreadable > MAX_UNREADABLE:
            raise FileRefused("malformed_csv")
        names = np.array([*(self.header or ()), ""], dtype=object)
        self._rejects.append(
            pd.DataFrame({
                "line": lines[hit], "record": records[hit],
                "column": pd.array(names[np.minimum(columns[hit], len(names) - 1)], dtype="str"),
                "code": pd.array(np.array(_LINE_CODES)[code[hit]], dtype="str"),
            })
        )  # fmt: skip


def _of_arrow(text: bytes | memoryview) -> pa.Buffer:
    """A copy that is Arrow's own: its threads may let go of it when Python is ending, and would abort it."""
    own = pa.allocate_buffer(len(text))
    np.frombuffer(own, np.uint8)[:] = np.frombuffer(text, np.uint8)
    return own


@dataclass(frozen=True)
class _Places:
    """Where in a part of the text its marks stand (positions ascending)."""

    view: np.ndarray
    breaks: np.ndarray
    """the last byte of every line's end, inside quotes or not"""
    quotes: np.ndarray
    outside: tuple[np.ndarray, np.ndarray]
    """the breaks that are outside of quotes where an even, and where an odd number of quotes is passed over"""
    faults: tuple[np.ndarray, np.ndarray]
    """which quotes cannot stand where they do, likewise"""
    nul: np.ndarray
    delimiter: int

    @staticmethod
    def of(part: bytes, dialect: Dialect, *, last: bool) -> _Places:
        """The marks; of a part that goes on, a final quote or CR waits for what comes after it."""
        view = np.frombuffer(part, np.uint8)
        delimiter, quote = ord(dialect.delimiter), ord(dialect.quote) if dialect.quote else -1
        whole = len(view) if last or not len(view) or view[-1] not in {_CR, quote} else len(view) - 1
        breaks = _at(view[:whole], _LF)
        returns = _at(view[:whole], _CR)
        if len(returns):
            alone = returns[view[np.minimum(returns + 1, len(view) - 1)] != _LF]
            breaks = np.sort(np.concatenate([breaks, alone]))
        quotes = _at(view[:whole], quote) if dialect.quote else _NO_ROWS
        odd_breaks = np.searchsorted(quotes, breaks) % 2 == 1
        return _Places(
            view,
            breaks,
            quotes,
            (breaks[~odd_breaks], breaks[odd_breaks]),
            _faults(view, quotes, delimiter),
            _at(view, 0),
            delimiter,
        )

    @cached_property
    def delimiters(self) -> tuple[np.ndarray, np.ndarray]:
        """Those outside of quotes where an even, and where an odd number of quotes is passed over."""
        found = _at(self.view, self.delimiter)
        odd = np.searchsorted(self.quotes, found) % 2 == 1
        return found[~odd], found[odd]

    def delimiters_in(self, starts: np.ndarray, ends: np.ndarray, parities: np.ndarray) -> np.ndarray:
        """How many cells end with a delimiter, per record."""
        even, odd = (np.searchsorted(one, ends) - np.searchsorted(one, starts) for one in self.delimiters)
        return np.where(parities == 0, even, odd)


def _at(view: np.ndarray, byte: int) -> np.ndarray:
    return np.flatnonzero(view == byte)


def _faults(view: np.ndarray, quotes: np.ndarray, delimiter: int) -> tuple[np.ndarray, np.ndarray]:
    """Which quotes cannot stand where they do: where even ones open, and where odd ones do."""
    if not len(quotes):
        return _NO_ROWS, _NO_ROWS
    apart = np.zeros(256, dtype=bool)
    apart[[delimiter, _LF, _CR]] = True
    twin = np.diff(quotes) == 1
    after_edge = apart[view[np.maximum(quotes - 1, 0)]] | (quotes == 0)
    before_edge = apart[view[np.minimum(quotes + 1, len(view) - 1)]] | (quotes == len(view) - 1)
    cannot_open = ~(after_edge | np.concatenate([[False], twin]))
    cannot_close = ~(before_edge | np.concatenate([twin, [False]]))
    even = np.arange(len(quotes)) % 2 == 0
    return (
        np.flatnonzero(np.where(even, cannot_open, cannot_close)),
        np.flatnonzero(np.where(even, cannot_close, cannot_open)),
    )


@dataclass(frozen=True)
class _Cut:
    """A part cut into records; `codes` are places in _LINE_CODES."""

    starts: np.ndarray
    ends: np.ndarray
    parities: np.ndarray
    codes: np.ndarray
    end: int
    """up to where the part is dealt with"""
    runs_on: bool = False
    """the last record is a line too long already, and its end is not in this part"""


@dataclass
class _Cutter:
    """Cuts a part: each fault costs a few look-ups, not another pass."""

    places: _Places
    size: int
    max_line: int
    last: bool
    _starts: list[np.ndarray] = field(default_factory=list)
    _ends: list[np.ndarray] = field(default_factory=list)
    _parities: list[np.ndarray] = field(default_factory=list)
    _codes: list[np.ndarray] = field(default_factory=list)

    def cut(self) -> _Cut:
        """The whole part, as far as its records are whole."""
        long = tuple(np.flatnonzero(np.diff(one) > self.max_line) + 1 for one in self.places.outside)
        start, runs_on = 0, False
        while start < self.size:
            parity = int(np.searchsorted(self.places.quotes, start)) % 2
            outside = self.places.outside[parity]
            first = int(np.searchsorted(outside, start))
            bad = min(self._faulty(start, parity), self._long(start, parity, first, long[parity]))
            stop = min(bad, len(outside))
            if stop > first:
                self._good(start, outside[first:stop], parity)
                start = int(outside[stop - 1]) + 1
            if start >= self.size:
                break
            fits = self.size - start <= self.max_line
            if bad >= len(outside) and fits and not self.last:
                break  # it may become whole
            if bad > len(outside) and fits and not self._open(start):
                self._good(start, np.array([self.size - 1]), parity)
                start = self.size
                break
            after = self._bad(start, parity)
            if after is None:
                runs_on = not self.last
                start = self.size - int(runs_on and self.places.view[-1] == _CR)  # its LF may be the next byte
                break
            start = after
        return _Cut(
            np.concatenate([_NO_ROWS, *self._starts]),
            np.concatenate([_NO_ROWS, *self._ends]),
            np.concatenate([_NO_ROWS, *self._parities]),
            np.concatenate([_NO_ROWS, *self._codes]),
            start,
            runs_on,
        )

    def _open(self, start: int) -> bool:
        """True where a quote opened after `start` is never closed."""
        return bool((len(self.places.quotes) - int(np.searchsorted(self.places.quotes, start))) % 2)

    def _faulty(self, start: int, parity: int) -> int:
        """The first record from `start` with a quote out of place, as its number among the breaks outside quotes."""
        faults, quotes = self.places.faults[parity], self.places.quotes
        at = int(np.searchsorted(faults, np.searchsorted(quotes, start)))
        if at == len(faults):
            return len(self.places.breaks) + 1
        return int(np.searchsorted(self.places.outside[parity], quotes[faults[at]]))

    def _long(self, start: int, parity: int, first: int, long: np.ndarray) -> int:
        """The first record from `start` that is too long, likewise."""
        outside = self.places.outside[parity]
        if first < len(outside) and int(outside[first]) + 1 - start > self.max_line:
            return first
        at = int(np.searchsorted(long, first + 1))
        return int(long[at]) if at < len(long) else len(self.places.breaks) + 1

    def _good(self, start: int, breaks: np.ndarray, parity: int) -> None:
        self._starts.append(np.concatenate([[start], breaks[:-1] + 1]))
        self._ends.append(breaks + 1)
        self._parities.append(np.full(len(breaks), parity))
        self._codes.append(np.full(len(breaks), _GOOD))

    def _bad(self, start: int, parity: int) -> int | None:
        """The line at `start` is refused; where the next one starts, None where that is not in this part."""
        breaks = self.places.breaks
        at = int(np.searchsorted(breaks, start))
        end = int(breaks[at]) + 1 if at < len(breaks) else self.size
        long = end - start > self.max_line
        self._starts.append(np.array([start]))
        self._ends.append(np.array([end]))
        self._parities.append(np.array([parity]))
        self._codes.append(np.array([_LINE_CODES.index("line_too_long" if long else "bad_quote")]))
        return end if at < len(breaks) else None


def _among(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which records have one of the places in them."""
    return np.asarray(np.searchsorted(places, ends) > np.searchsorted(places, starts))


def _first(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Per record, the first of the places in it; its end where there is none."""
    found = np.concatenate([places, [np.iinfo(np.int64).max]])[np.searchsorted(places, starts)]
    return np.asarray(np.minimum(found, ends))


def _blank(view: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which records are nothing but a line's end."""
    text = ends.copy()
    for byte in (_LF, _CR):
        text -= (text > starts) & (view[np.maximum(text - 1, 0)] == byte)
    return np.asarray(text == starts)


def _first_foreign(part: bytes, starts: np.ndarray, ends: np.ndarray, suspect: np.ndarray) -> np.ndarray:
    """Per record, where the first byte stands that is no UTF-8; its end where there is none."""
    found = ends.copy()
    for place in np.flatnonzero(suspect):
        try:
            part[starts[place] : ends[place]].decode()
        except UnicodeDecodeError as error:
            found[place] = starts[place] + error.start
    return found


def _hops(held: bytes, end: int, max_line: int) -> bool:
    """True where no line up to `end` is longer than allowed."""
    at = 0
    while end - at > max_line:
        following = held.rfind(b"\n", at, at + max_line)
        if following < 0:
            return False
        at = following + 1
    return True


def _line_end(held: bytes, start: int, *, last: bool) -> int | None:
    """Where the line at `start` ends, its end included; None where that is not to be seen yet."""
    feed, back = held.find(b"\n", start), held.find(b"\r", start)
    if back < 0 or 0 <= feed < back:
        return feed + 1 if feed >= 0 else None
    if back + 1 == len(held):
        return back + 1 if last else None
    return back + 2 if held[back + 1] == _LF else back + 1


def _lines_in(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def _no_rejects() -> pd.DataFrame:
    return pd.DataFrame({
        "line": pd.Series(dtype="int64"), "record": pd.Series(dtype="int64"),
        "column": pd.Series(dtype="str"), "code": pd.Series(dtype="str"),
    })  # fmt: skip

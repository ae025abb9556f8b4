"""Where portfolios come from: CSV, XLSX, Parquet and SQL, in shards of text columns, with bounded memory.

Every cell arrives as text and nothing is guessed: an identifier keeps its leading zeros. Where a source has types of
its own (XLSX, Parquet, SQL), a number arrives in the shortest spelling that reads back as the same number, so that one
which lost digits on its way (6.22848e+17) shows as what it is; a date arrives in the profile's spelling.

Lines count from 1, the first record after the header, whatever the source. Messages name files, lines and columns.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from connectors.portfolio.errors import ColumnsMissing, SourceMissing, SourceUnreadable
from connectors.profiles import near
from models.intake.readings import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import python_calamine

    from connectors.portfolio.profiles import Profile, SourceOptions

_BLOCK_BYTES: Final = 8 << 20
_LARGEST_SHEET_BYTES: Final = 8 << 30
_LINES_IN_A_LINE: Final = 10  # an address has fewer
_WHOLE_FLOAT: Final = 10**15  # beyond it a spreadsheet's number has lost digits
_NONE: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Chunk:
    """A shard: text columns by the source's names, their line numbers, and the lines that had no such columns."""

    table: pa.Table
    lines: np.ndarray
    malformed: np.ndarray = field(default_factory=lambda: _NONE)


@dataclass(frozen=True)
class HeldFile:
    """A file wherever it is held: what it is called, its bytes in number, and how a fresh reader of them is got."""

    name: str
    size: int
    opened: Callable[[], BinaryIO]
    unpacked_most: int = _LARGEST_SHEET_BYTES
    """bytes that a workbook or a Parquet file may come to; less where anybody may hand one in"""

    @classmethod
    def at(cls, path: Path) -> HeldFile:
        """One on the disk. Raises SourceMissing."""
        if not path.is_file():
            raise SourceMissing(f"there is no file {path}", fix="check the path")
        return cls(path.name, path.stat().st_size, lambda: path.open("rb"))


class Source(Protocol):
    """One portfolio as it came; `name` is a file's or a query's.

    `sha256` is known at once for files; for a query after its last shard, and then it covers the rows in the order
    they came: give the query an ORDER BY.
    """

    name: str

    def sha256(self) -> str | None:
        """Hex digest of the bytes, or of the rows; None while it is not known."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """The source in shards of at most `rows` lines, in order."""

    def fraction(self) -> float | None:
        """How much has been read, 0 to 1; None where that cannot be told."""


def open_source(where: str | HeldFile, profile: Profile, query: str = "") -> Source:
    """The source: a file, its path, or `env:NAME` for a database whose SQLAlchemy URL is in that environment variable.

    A URL itself is not taken: it may hold a password, and arguments end up in histories and process lists.
    """
    if isinstance(where, HeldFile):
        return _file(where, profile)
    if where.startswith("env:"):
        return _database(where.removeprefix("env:"), profile, query)
    if "://" in where:
        raise SourceMissing(
            "a database is named by an environment variable, not by its URL",
            fix="export LENDER_DB=<the URL>, and give env:LENDER_DB",
        )
    return _file(HeldFile.at(Path(where)), profile)


def _file(file: HeldFile, profile: Profile) -> Source:
    name = file.name.lower()
    if name.endswith((".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")):
        return CsvSource(file, profile)
    if name.endswith((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")):
        return SheetSource(file, profile)
    if name.endswith((".parquet", ".pq")):
        return ParquetSource(file, profile)
    raise SourceUnreadable(
        f"{file.name} is of no kind that is read here",
        fix="bring .csv, .csv.gz, .xlsx or .parquet, or query a database",
    )


def _database(variable: str, profile: Profile, query: str) -> Source:
    url = os.environ.get(variable, "")
    if not url:
        raise SourceMissing(f"the environment variable {variable} is not set", fix="export it with the database's URL")
    chosen = query or profile.source.query
    if not chosen:
        raise SourceMissing("there is no query to run", fix="give --query, or `query` under [source] in the profile")
    return SqlSource(url, chosen, profile)


class _File:
    """What all files share: a name, the columns they turned out to have, and a digest of the bytes."""

    def __init__(self, file: HeldFile, profile: Profile) -> None:
        self.file = file
        self.profile = profile
        self.options: SourceOptions = profile.source
        self.name = file.name
        self.columns: tuple[str, ...] = ()
        self._digest: str | None = None
        self._progress: Callable[[], float | None] = lambda: None

    def sha256(self) -> str:
        """Hex digest of the file's bytes."""
        if self._digest is None:
            with self.file.opened() as file:
                self._digest = hashlib.file_digest(cast("io.BufferedIOBase", file), "sha256").hexdigest()
        return self._digest

    def fraction(self) -> float | None:
        """How much of the file has been read."""
        return self._progress()

    def _found(self, header: list[str]) -> dict[str, int]:
        """Where each column that the profile needs stands; then, and only then, the header is one, and is kept."""
        places = _places(header, self.profile, self.name)
        self.columns = tuple(_plain(name) for name in header)
        return places


def _places(header: list[str], profile: Profile, where: str) -> dict[str, int]:
    """Where each column that the profile needs stands.

    Raises ColumnsMissing. It names no other column unless one is spelled nearly alike: without a header the first line
    is a debtor's.
    """
    stripped = [_plain(name) for name in header]
    wrong = []
    for name in profile.needed:
        count = stripped.count(name)
        if count == 0:
            wrong.append(f"{name!r} is not there{near(name, stripped)}")
        elif count > 1:
            wrong.append(f"{name!r} is there {count} times")
    if wrong:
        raise ColumnsMissing(
            f"{where} does not have the columns of the profile {profile.name}: {'; '.join(wrong)}",
            fix="check that this is the right file, profile, encoding and skip_rows; correct the header or the profile",
        )
    return {name: stripped.index(name) for name in profile.needed}


def _plain(name: str) -> str:
    """A column's name as profiles write it."""
    return name.strip().removeprefix("\ufeff")


class CsvSource(_File):
    """Delimited text, plain or gzipped, in the profile's encoding, strictly."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Shards of the file; lines with another number of columns are listed as malformed."""
        header, physical = self._header()
        places = self._found(header)
        malformed: list[int] = []

        def note(row: pacsv.InvalidRow) -> str:
            malformed.append(row.number - physical)
            # a quote that is never closed swallows all lines after it: that is not one bad line
            return "error" if row.text.count("\n") > _LINES_IN_A_LINE else "skip"

        names = [str(place) for place in range(len(header))]
        try:
            with self._opened() as raw:
                reader = pacsv.open_csv(
                    raw,
                    read_options=pacsv.ReadOptions(
                        use_threads=False,  # row numbers are known only so
                        block_size=_BLOCK_BYTES,
                        skip_rows=physical,
                        column_names=names,
                        encoding=self._codec(),
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self.options.delimiter,
                        quote_char=self.options.quote,
                        double_quote=True,
                        newlines_in_values=True,
                        ignore_empty_lines=False,  # they count as lines
                        invalid_row_handler=note,
                    ),
                    convert_options=pacsv.ConvertOptions(
                        column_types=dict.fromkeys(names, TEXT),
                        include_columns=[str(place) for place in places.values()],
                        strings_can_be_null=True,
                        null_values=[""],
                    ),
                )
                yield from self._in_shards(reader, list(places), malformed, rows)
        except UnicodeError:
            raise self._wrong_encoding() from None
        except (pa.ArrowInvalid, pa.ArrowException) as fault:
            raise self._unreadable(str(fault), malformed[-1] if malformed else 0) from None
        except (EOFError, OSError, zlib.error) as fault:
            if isinstance(fault, OSError) and not isinstance(fault, gzip.BadGzipFile) and fault.errno is not None:
                raise
            raise SourceUnreadable(f"{self.name} ends too early or is damaged", fix="fetch the file again") from None

    def _in_shards(
        self, reader: pacsv.CSVStreamingReader, names: list[str], malformed: list[int], rows: int
    ) -> Iterator[Chunk]:
        """Batches of the reader put together to shards; the trailer's lines held back and dropped."""
        held: list[tuple[pa.Table, np.ndarray]] = []
        count, last, told = 0, 0, 0
        trailer = self.options.trailer_rows
        for batch in reader:
            lines, last = _numbered(last, batch.num_rows, malformed[told:])
            table = pa.Table.from_batches([batch]).rename_columns(names)
            held.append((table, lines))
            count += batch.num_rows
            if count >= rows + trailer:
                table, lines = _together(held)
                whole = (count - trailer) // rows * rows
                for start in range(0, whole, rows):
                    bad = np.array(
                        [line for line in malformed[told:] if line < lines[start + rows - 1]], dtype=np.int64
                    )
                    told += len(bad)
                    yield Chunk(table.slice(start, rows), lines[start : start + rows], bad)
                held, count = [(table.slice(whole), lines[whole:])], count - whole
        end = max([last, *malformed]) - trailer
        bad = np.array([line for line in malformed[told:] if line <= end], dtype=np.int64)
        table, lines = _together(held) if held else (pa.table({name: pa.array([], TEXT) for name in names}), _NONE)
        kept = int((lines <= end).sum())
        for start in range(0, max(kept, 1), rows):
            stop = min(start + rows, kept)
            yield Chunk(table.slice(start, stop - start), lines[start:stop], bad)
            bad = _NONE

    def _header(self) -> tuple[list[str], int]:
        """The header's cells, and how many physical lines come before the first record."""
        skipped = self.options.skip_rows
        try:
            with self._opened() as raw, io.TextIOWrapper(raw, encoding=self._codec(), newline="") as text:
                for _ in range(skipped):
                    if not text.readline():
                        break
                reader = csv.reader(text, delimiter=self.options.delimiter, quotechar=self.options.quote)
                header = next(reader, [])
                physical = skipped + reader.line_num
        except UnicodeError:
            raise self._wrong_encoding() from None
        except csv.Error:
            raise self._unreadable("the header", 0) from None
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise SourceUnreadable(f"{self.name} ends too early or is damaged", fix="fetch the file again") from None
        if not header:
            raise SourceUnreadable(f"{self.name} is empty", fix="check the file, and skip_rows in the profile")
        return header, physical

    def _opened(self) -> BinaryIO | gzip.GzipFile:
        file = self.file.opened()
        size = max(1, self.file.size)
        self._progress = lambda: 1.0 if file.closed else file.tell() / size
        return _Unzipped(file) if self.name.lower().endswith(".gz") else file

    def _codec(self) -> str:
        return "utf-8-sig" if self.options.encoding == "utf-8" else self.options.encoding

    def _wrong_encoding(self) -> SourceUnreadable:
        """The error, with the first line that is not in the encoding, for the operator to look at."""
        where = ""
        if self.options.encoding != "utf-16":
            with self._opened() as raw:
                for number, line in enumerate(raw, start=1):
                    try:
                        line.decode(self._codec())
                    except UnicodeError:
                        where = f" (first at line {number} of the file)"
                        break
        return SourceUnreadable(
            f"{self.name} is not text in {self.options.encoding}{where}",
            fix="set `encoding` in the profile to what the file was written in (Chinese Excel: gb18030)",
        )

    def _unreadable(self, fault: str, line: int) -> SourceUnreadable:
        # Arrow's texts may quote a line: only their kind is told
        if "UTF8" in fault or "utf8" in fault:
            return self._wrong_encoding()
        cause = f"a quote is never closed, from line {line} on" if line else "not delimited text as the profile says"
        return SourceUnreadable(f"{self.name} cannot be read: {cause}", fix="check delimiter and quote in the profile")


class _Unzipped(gzip.GzipFile):
    """A gzipped file that closes what it reads."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        super().__init__(fileobj=packed)

    def close(self) -> None:
        """Close both."""
        super().close()
        self._packed.close()


def _numbered(last: int, rows: int, malformed: list[int]) -> tuple[np.ndarray, int]:
    """The line numbers of the next `rows` good lines after line `last`, around the malformed ones."""
    skip = np.array([line for line in malformed if line > last], dtype=np.int64)
    numbers = np.arange(last + 1, last + 1 + rows + len(skip), dtype=np.int64)
    good = numbers[~np.isin(numbers, skip)][:rows]
    return good, int(good[-1]) if rows else last


def _together(held: list[tuple[pa.Table, np.ndarray]]) -> tuple[pa.Table, np.ndarray]:
    return pa.concat_tables([table for table, _ in held]), np.concatenate([lines for _, lines in held])


class SheetSource(_File):
    """A sheet of a workbook (XLSX, XLS, ODS): the profile's `sheet`, else the first one."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Shards of the sheet."""
        sheet = self._sheet()
        cells = iter(sheet.iter_rows())
        for _ in range(self.options.skip_rows):
            next(cells, None)
        header = [_spelt(cell, "") for cell in next(cells, [])]
        places = list(self._found([name or "" for name in header]).items())
        total = max(1, sheet.total_height)
        first, block = 1, []
        done = 0
        self._progress = lambda: min(1.0, done / total)
        trailer = self.options.trailer_rows
        for row in cells:
            block.append(row)
            if len(block) == rows + trailer:
                done += rows
                yield self._chunk(block[:rows], places, first)
                first, block = first + rows, block[rows:]
        yield self._chunk(block[: max(0, len(block) - trailer)], places, first)

    def _sheet(self) -> python_calamine.CalamineSheet:
        import python_calamine  # noqa: PLC0415 - only workbooks need it

        self._refuse_bomb()
        try:
            with self.file.opened() as file:
                book = python_calamine.CalamineWorkbook.from_filelike(file)
            wanted = self.options.sheet
            if wanted and wanted not in book.sheet_names:
                raise SourceUnreadable(
                    f"{self.name} has no sheet {wanted!r}", fix="correct `sheet` under [source] in the profile"
                )
            return book.get_sheet_by_name(wanted) if wanted else book.get_sheet_by_index(0)
        except SourceUnreadable:
            raise
        except Exception:  # noqa: BLE001 - the reader's own types differ by format, and their texts may quote a cell
            raise SourceUnreadable(
                f"{self.name} is not a workbook that can be read", fix="save it as .xlsx without a password, or as .csv"
            ) from None

    def _refuse_bomb(self) -> None:
        with self.file.opened() as file:
            if not zipfile.is_zipfile(file):
                return
            packed = zipfile.ZipFile(file)
            if sum(entry.file_size for entry in packed.infolist()) > self.file.unpacked_most:
                raise SourceUnreadable(
                    f"{self.name} unpacks to more than is read here", fix="bring the rows as CSV or Parquet"
                )

    def _chunk(self, block: list[list[Any]], places: list[tuple[str, int]], first: int) -> Chunk:
        form = self.profile.date_format
        columns = {
            name: pa.array([_spelt(row[place], form) if place < len(row) else None for row in block], type=TEXT)
            for name, place in places
        }
        return Chunk(pa.table(columns), np.arange(first, first + len(block), dtype=np.int64))


class ParquetSource(_File):
    """A Parquet file; only the columns that the profile needs are read."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Shards of the file."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - only Parquet needs it

        try:
            with self.file.opened() as held, pq.ParquetFile(held) as file:
                self._found(file.schema_arrow.names)
                names = list(self.profile.needed)
                first, total = 1, max(1, file.metadata.num_rows)
                if total * max(1, len(names)) > self.file.unpacked_most:  # a byte a cell: runs pack without end
                    raise SourceUnreadable(f"{self.name} has more rows than are read here", fix="bring it in parts")
                for batch in file.iter_batches(batch_size=rows, columns=names):
                    texts = [_as_text(batch.column(name), self.profile.date_format) for name in names]
                    yield Chunk(pa.table(texts, names=names), np.arange(first, first + batch.num_rows, dtype=np.int64))
                    first += batch.num_rows
                    self._progress = partial(min, 1.0, first / total)
        except (pa.ArrowException, OSError) as fault:
            if isinstance(fault, FileNotFoundError | PermissionError):
                raise
            raise SourceUnreadable(
                f"{self.name} is not a Parquet file, or it is damaged", fix="fetch it again"
            ) from None


class SqlSource:
    """A query's rows, streamed."""

    def __init__(self, url: str, query: str, profile: Profile) -> None:
        self._url = url
        self._query = query
        self.profile = profile
        self.name = f"query of {profile.name}"
        self._digest: str | None = None

    def sha256(self) -> str | None:
        """Hex digest of the rows' canonical spelling, known after the last shard."""
        return self._digest

    def fraction(self) -> None:
        """A query does not say how far it is."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Shards of the query's result."""
        from sqlalchemy import create_engine  # noqa: PLC0415 - only databases need it
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError  # noqa: PLC0415 - likewise

        digest = hashlib.sha256()
        try:
            engine = create_engine(self._url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise SourceMissing(
                "the database's URL cannot be used", fix="write it as SQLAlchemy does, and install its driver"
            ) from None
        try:
            with engine.connect().execution_options(stream_results=True, max_row_buffer=rows) as connection:
                result = connection.exec_driver_sql(self._query)
                places = _places(list(result.keys()), self.profile, self.name)
                first = 1
                for block in result.partitions(rows):
                    columns = list(zip(*block, strict=True))
                    table = pa.table(
                        {name: _of_driver(columns[place], self.profile.date_format) for name, place in places.items()}
                    )
                    _digest_rows(digest, table.select(sorted(places)))
                    yield Chunk(table, np.arange(first, first + len(block), dtype=np.int64))
                    first += len(block)
        except SQLAlchemyError as fault:
            # the driver's text may quote the statement, and the statement a debtor
            cause = type(getattr(fault, "orig", None) or fault).__name__
            raise SourceUnreadable(
                f"the {self.name} failed ({cause})", fix="run the query with the database's own client"
            ) from None
        finally:
            engine.dispose()
        self._digest = digest.hexdigest()


def _digest_rows(digest: hashlib._Hash, table: pa.Table) -> None:
    """Add the rows' canonical spelling: columns by name, every value quoted, null bare."""
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink, pacsv.WriteOptions(include_header=False, quoting_style="all_valid"))
    digest.update(sink.getvalue())


def _of_driver(cells: tuple[Any, ...], date_format: str) -> pa.Array:
    """A driver's column as text; one of a single plain type is turned as a whole."""
    try:
        return _as_text(pa.array(cells), date_format)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([_spelt(cell, date_format) for cell in cells], type=TEXT)


def _as_text(cells: pa.Array, date_format: str) -> pa.Array:
    """A typed column as text."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _as_text(cells.dictionary_decode(), date_format)
    if pa.types.is_null(kind):
        return pa.nulls(len(cells), TEXT)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        midnight = cells.cast(pa.timestamp("us")) if pa.types.is_date(kind) else cells
        whole = pc.equal(midnight, pc.floor_temporal(midnight, unit="day"))
        days = pc.strftime(midnight.cast(pa.timestamp("s"), safe=False), format=date_format).cast(TEXT)
        return (
            days if pc.all(whole, skip_nulls=True).as_py() is not False else pc.if_else(whole, days, cells.cast(TEXT))
        )
    if pa.types.is_floating(kind):
        spelt = cells.cast(TEXT)
        lost = pc.greater_equal(pc.abs(cells.cast(pa.float64())), float(_WHOLE_FLOAT))
        return pc.if_else(lost, pc.replace_substring_regex(spelt, r"^(-?\d+)$", r"\1.0"), spelt)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind):
        raise SourceUnreadable("a column holds bytes or lists instead of values", fix="cast it to text in the query")
    return cells.cast(TEXT)


def _spelt(cell: object, date_format: str) -> str | None:
    """One cell of a workbook or of a mixed column, as text."""
    if cell is None or isinstance(cell, str):
        return cell or None
    if isinstance(cell, datetime):
        whole = (cell.hour, cell.minute, cell.second, cell.microsecond) == (0, 0, 0, 0)
        return cell.strftime(date_format) if whole else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.strftime(date_format)
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < _WHOLE_FLOAT else repr(cell)
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)

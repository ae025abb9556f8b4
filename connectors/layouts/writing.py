"""A plain file written in an agency's layout, shard by shard, with the interface of a package's writer.

What the layout cannot carry is refused, never damaged: every shard is read back by the same layout, in memory, before
it counts, and must be what went in. So nothing is cut, rounded, replaced or put into another cell.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.layouts.delimited import FileRefused, read_delimited
from connectors.layouts.errors import NotCarried
from connectors.layouts.fixed import filled, record_length, stripped, whole_record
from connectors.layouts.flat import dialect_of, word_of
from connectors.layouts.package import Written, decimal_text, text_of
from connectors.layouts.profiles import TOTALS, Amounts, encodes_bom
from connectors.layouts.spelling import DAY, NUMBER, WORD, Cells, spelt, standard, written_amounts
from connectors.layouts.workbook import MAX_TEXT, SheetWriter
from models.intake.readings import TEXT, mask
from models.kinds import KINDS, Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from connectors.layouts.naming import Named
    from connectors.layouts.profiles import KindForm, Layout, Record

_NO_XML: Final = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"
_CODECS: Final = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}
_AS_CELLS: Final = {"amount": NUMBER, "integer": NUMBER, "date": DAY}


@dataclass
class FlatWriter:
    """Writes one plain file; `with` it, `write` frames, read `written` afterwards.

    fields: what the frames hold, as for a package. Raises NotCarried where the layout has no place for it.
    """

    path: Path
    layout: Layout
    named: Named
    fields: Sequence[Field]
    control: str | None = None
    written: Written | None = None
    _rows: int = 0
    _sums: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.form: KindForm = self.layout.kinds[self.named.kind]
        # what an agency need not say, its own files may have no column for
        needed = [one for one in self.fields if KINDS[self.named.kind].to_agency or one.required]
        lost = [one.name for one in needed if one.name not in self.form.columns and one.name not in self.form.left_out]
        if lost:
            raise NotCarried(
                f"the layout {self.layout.reference} has no column for {', '.join(lost)} of a {self.form.kind}",
                fix="give them columns in a new version of the layout, or list them under `left_out`",
            )
        given = {one.name: one for one in self.fields}  # a policy may let an amount leave as a band, a day as a month
        kind = KINDS[self.named.kind]
        self._kind = replace(kind, fields=tuple(given.get(one.name, one) for one in kind.fields))
        self._told = [one for one in self.fields if one.name in self.form.columns]
        plain = self.layout.file.format == "xlsx"
        amounts = Amounts(self.layout.amounts.unit) if plain else self.layout.amounts
        self._spelling = replace(self.layout, amounts=amounts, date_format="%Y-%m-%d") if plain else self.layout
        self._body: IO[bytes] | None = None
        self._sheet: SheetWriter | None = None
        self._apart = self.path.with_name(f"{self.path.name}.lines")

    def __enter__(self) -> Self:
        """Open the file; what comes before the records is in it, unless it states totals."""
        if self.layout.file.format == "xlsx":
            kinds = {
                name: one.type
                for one in self._kind.fields
                if one.name in self.form.columns and one.type in _AS_CELLS
                for name in self.form.columns[one.name].columns
                if self.form.columns[one.name].sign is None or name == self.form.columns[one.name].column
            }
            self._sheet = SheetWriter(self.path, self.form.sheet, kinds, whole=self.layout.amounts.unit == "minor")
            self._sheet.row = self.layout.file.skip_rows
            for cells, head in self._before():
                self._sheet.line(cells, head=head)
        elif self._totals_first():
            self._body = self._apart.open("wb")
        else:
            self._body = self.path.open("wb")
            self._body.write(self._head())
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Add a frame that has every field's column (`Field.column`)."""
        if frame.empty:
            return
        ours = {one.name: text_of(one, frame).cast(pa.string()) for one in self._told}
        columns = spelt(self._spelling, self.form, self._kind, ours, len(frame))
        if self._sheet is not None:
            self._check(ours, {name: Cells(text, self._shape(name, len(frame))) for name, text in columns.items()})
            self._fits_sheet(columns)
            try:
                self._sheet.rows([(name, columns[name]) for name in self.form.order])
            except FileRefused:
                raise self._refusal("more rows than a sheet can have") from None
        else:
            assert self._body is not None  # noqa: S101 - `with` has opened it
            block = self._fixed(columns, ours) if self.layout.file.format == "fixed" else self._lines(columns, ours)
            self._body.write(block)
        self._rows += len(frame)
        if self.control:
            column = next(one.column for one in self.fields if one.name == self.control)
            for currency, total in frame.groupby("currency")[column].sum().items():
                self._sums[str(currency)] = self._sums.get(str(currency), 0) + int(total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file with its trailer; after an error nothing is left behind."""
        try:
            if kind is None:
                self._finish()
        except BaseException:
            kind = BaseException
            raise
        finally:
            if self._body is not None:
                self._body.close()
            if self._sheet is not None and kind is not None:
                self._sheet.close()
            self._apart.unlink(missing_ok=True)
            if kind is not None:
                self.path.unlink(missing_ok=True)
        if kind is None:
            with self.path.open("rb") as done:
                digest = hashlib.file_digest(done, "sha256").hexdigest()
            self.written = Written(self._rows, dict(self._sums), digest)

    # -- what comes before and after the records ---

    def _totals_first(self) -> bool:
        record = self.form.header_record
        return record is not None and any(place.split(":")[0] in TOTALS for place in record.places)

    def _before(self) -> list[tuple[list[str], bool]]:
        lines = [] if self.form.header_record is None else [(self._cells(self.form.header_record), False)]
        return [*lines, (list(self.form.order), True)] if self.layout.file.header else lines

    def _head(self) -> bytes:
        newline = self.layout.file.newline
        lines = [""] * self.layout.file.skip_rows
        if self.form.header_record is not None:
            lines.append(self._record(self.form.header_record))
        if self.layout.file.header:
            lines.append(self._joined([pa.array([name], TEXT) for name in self.form.order])[0].as_py())
        return encodes_bom(self.layout.file.encoding) + self._encoded("".join(line + newline for line in lines))

    def _finish(self) -> None:
        trailer = self.form.trailer_record
        if self._sheet is not None:
            if trailer is not None:
                self._sheet.line(self._cells(trailer))
            self._sheet.close()
            return
        assert self._body is not None  # noqa: S101 - `with` has opened it
        if trailer is not None:
            self._body.write(self._encoded(self._record(trailer) + self.layout.file.newline))
        self._body.close()
        if self._totals_first():
            with self.path.open("wb") as whole, self._apart.open("rb") as lines:
                whole.write(self._head())
                shutil.copyfileobj(lines, whole, 1 << 20)

    def _cells(self, record: Record) -> list[str]:
        return [self._said(cell, place) for cell, place in zip(record.cells, record.places, strict=True)]

    def _said(self, cell: str, place: str) -> str:
        if not place:
            return cell
        if place.startswith("sum"):
            return self._sum(place)
        if place == "date":
            return self.named.day.strftime(self._spelling.date_format)
        if place in {"rows", "sequence"}:
            return str(self._rows if place == "rows" else self.named.sequence)
        return word_of(self.form, place, self.named)

    def _sum(self, place: str) -> str:
        if self.control is None:
            return ""  # the policy does not let the amount out, nor then its sum
        there = [currency for currency, total in self._sums.items() if total]
        if place == "sum":
            if len(there) > 1:
                raise self._refusal("one sum for several currencies")
            currency = (there or list(self._sums) or ["CNY"])[0]
        else:
            currency = place[4:]
            stated = {cell[5:8] for record in self._records() for cell in record.cells if cell.startswith("{sum:")}
            if set(there) - stated:
                raise self._refusal("a currency whose sum it does not state")
        text = decimal_text(self._sums.get(currency, 0), currency)
        return str(written_amounts(self._spelling, pa.array([text], TEXT))[0].as_py())

    def _records(self) -> list[Record]:
        return [one for one in (self.form.header_record, self.form.trailer_record) if one is not None]

    def _record(self, record: Record) -> str:
        cells = [pa.array([text], TEXT) for text in self._cells(record)]
        if self.layout.file.format != "fixed":
            return str(self._joined(cells)[0].as_py())
        placed = []
        for place, text in zip(record.positions, cells, strict=True):
            full, long = self._filled(text, place)
            if long.any():
                raise self._refusal("a value of its header or trailer record")
            placed.append((place, full))
        return str(whole_record(placed, record_length(self.form), self.layout.file.filler, 1)[0].as_py())

    # -- records ---

    def _lines(self, columns: Mapping[str, pa.Array], ours: Mapping[str, pa.Array]) -> bytes:
        """The records as delimited text, which reads back as what went in."""
        file = self.layout.file
        rows = len(next(iter(columns.values())))
        block = self._encoded(_text(self._joined([columns[name] for name in self.form.order]), file.newline))
        dialect = replace(dialect_of(self.layout, self.form), header=False, skip=0, trailer=None)
        try:
            read = read_delimited(encodes_bom(file.encoding) + block, dialect, max_bytes=8 * len(block) + 1024)
        except FileRefused:
            raise self._refusal("some text") from None
        if read.table.num_rows != rows or len(read.rejects) or len(read.header) != len(self.form.order):
            raise self._refusal("a delimiter, a line's end or a quotation mark in some text")
        again = {
            name: Cells(read.table.column(place).combine_chunks().cast(TEXT))
            for place, name in enumerate(self.form.order)
        }
        self._check(ours, again)
        return block

    def _joined(self, columns: Sequence[pa.Array]) -> pa.Array:
        """The records, quoted where they must be."""
        file = self.layout.file
        cells = [_quoted(text, file.delimiter, file.quote) for text in columns] if file.quote else list(columns)
        return pc.binary_join_element_wise(*cells, pa.scalar(file.delimiter, TEXT))

    def _fixed(self, columns: Mapping[str, pa.Array], ours: Mapping[str, pa.Array]) -> bytes:
        """The records at their places, which read back as what went in."""
        placed, again = [], {}
        for name in self.form.order:
            place = self.form.positions[name]
            full, long = self._filled(columns[name], place)
            if long.any():
                raise self._refusal(f"{name} of {int(long.sum())} lines: it has {place.length} places")
            if mask(pc.match_substring_regex(full, r"[\r\n]")).any():
                raise self._refusal(f"a line's end in {name}")
            placed.append((place, full))
            again[name] = Cells(stripped(full, place))
        self._check(ours, again)
        rows = len(next(iter(columns.values())))
        length = record_length(self.form)
        return self._encoded(
            _text(whole_record(placed, length, self.layout.file.filler, rows), self.layout.file.newline)
        )

    def _filled(self, text: pa.Array, place: Any) -> tuple[pa.Array, np.ndarray]:
        file = self.layout.file
        return filled(text, place, file.encoding, in_bytes=file.positions == "bytes")

    def _encoded(self, text: str) -> bytes:
        encoding = self.layout.file.encoding
        try:
            raw = text.encode(_CODECS.get(encoding, encoding))
        except UnicodeEncodeError:
            raise self._refusal(f"a character that {encoding} does not have") from None
        if raw.decode(_CODECS.get(encoding, encoding)) != text:
            raise self._refusal(f"a character that {encoding} does not give back")
        return raw

    # -- workbooks ---

    def _shape(self, name: str, rows: int) -> np.ndarray:
        assert self._sheet is not None  # noqa: S101 - asked of workbooks alone
        return np.full(rows, _AS_CELLS.get(self._sheet.kinds.get(name, ""), WORD), dtype=np.uint8)

    def _fits_sheet(self, columns: Mapping[str, pa.Array]) -> None:
        for name, text in columns.items():
            if mask(pc.greater(pc.utf8_length(text), MAX_TEXT)).any():
                raise self._refusal(f"{name}: a cell has {MAX_TEXT} characters at most")
            if mask(pc.match_substring_regex(text, _NO_XML)).any():
                raise self._refusal(f"control characters in {name}")

    # -- whether it came back ---

    def _check(self, ours: Mapping[str, pa.Array], cells: Mapping[str, Cells]) -> None:
        rows = len(next(iter(cells.values())).text)
        back, faults = standard(self._spelling, self.form, self._kind, cells, rows)
        for fault in faults:
            if fault.field in ours:
                raise self._refusal(f"{fault.field} of {int(fault.rows.sum())} lines")
        for one in self._told:
            went = pc.fill_null(ours[one.name], "")
            came = back.column(one.name).combine_chunks()
            if one.type == "datetime":
                went, came = _instants(went), _instants(came)
            lost = int(pc.sum(pc.not_equal(went, came)).as_py() or 0)
            if lost:
                raise self._refusal(f"{one.name} of {lost} lines")

    def _refusal(self, what: str) -> NotCarried:
        return NotCarried(
            f"the layout {self.layout.reference} cannot carry {what} ({self.form.kind})",
            fix="agree a layout that can, or send this kind as a package (`consign agency layout`)",
        )


def _quoted(text: pa.Array, delimiter: str, quote: str) -> pa.Array:
    """The cells, in quotes where they hold a mark or a line's end, or begin or end with a blank."""
    marks = "".join(f"\\x{{{ord(one):02x}}}" for one in f"{delimiter}{quote}\r\n")
    needed = pc.match_substring_regex(text, rf"[{marks}]|^\s|\s$")
    doubled = pc.replace_substring(text, quote, quote * 2)
    mark = pa.scalar(quote, TEXT)
    return pc.if_else(needed, pc.binary_join_element_wise(mark, doubled, mark, pa.scalar("", TEXT)), text)


def _text(records: pa.Array, newline: str) -> str:
    return "".join(f"{record}{newline}" for record in records.to_pylist())


def _instants(text: pa.Array) -> pa.Array:
    """Instants that can be compared, whatever offset they are told with."""
    import pandas as pd  # noqa: PLC0415 - only kinds with instants need it

    told = pd.to_datetime(
        text.to_pandas().astype("object").replace("", None), format="ISO8601", errors="coerce", utc=True
    )
    return pc.fill_null(pa.array(told, from_pandas=True).cast(pa.int64()), 0)

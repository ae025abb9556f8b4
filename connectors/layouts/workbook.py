"""Workbooks (XLSX), read row by row within bounds, and written so that the same rows make the same bytes.

A workbook is a ZIP of XML that a stranger wrote. Only the parts that hold the one sheet are opened; sizes are counted
while they are unpacked; entities, external parts and formulas are not followed. A number comes as it is written in
the XML, so that one that has lost digits shows.
"""

from __future__ import annotations

import errno
import posixpath
import re
import zipfile
import zlib
from array import array
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Final
from xml.parsers import expat

import numpy as np
from lxml import etree

from connectors.layouts.archive import directory_of
from connectors.layouts.delimited import MAX_COLUMNS, FileRefused
from connectors.layouts.sniffing import content_of
from connectors.layouts.spelling import DAY, NUMBER, SAFE_DIGITS, WORD, WRONG, plain_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

MAX_ROWS: Final = 1 << 20
"""as many as a sheet can have"""
MAX_TEXT: Final = 32_767
"""characters of a cell, likewise"""
MAX_CELLS: Final = 8_000_000
"""some 100 bytes of memory each"""
MAX_STRINGS: Final = 5_000_000
MAX_PARTS: Final = 1 << 20
"""bytes of the directory: a workbook has tens of parts"""
_BLOCK: Final = 1 << 16
MAX_PART: Final = 4 << 20
"""bytes of the small parts: the workbook's list of sheets, their places, the styles"""
_RELATIONS: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATIONS: Final = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_DAY_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""the built-in number formats that show a day or a time (ECMA-376 18.8.30, the Chinese ones included)"""
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_OF_TIME: Final = re.compile(r"[ymdhs]", re.IGNORECASE)
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_LAST_SERIAL: Final = 2_958_465
_LEAP_BUG: Final = 60
_SECONDS: Final = 86_400
_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a constant without meaning: no clock in the bytes
_DAMAGED: Final = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


@dataclass
class Row:
    """A row with anything in it: its number in the sheet, its texts, and what each cell is."""

    number: int
    texts: list[str] = field(default_factory=list)
    shapes: list[int] = field(default_factory=list)


def rows_of(path: Path, sheet: str, *, max_bytes: int) -> Iterator[Row]:
    """The sheet's rows that are not blank, in order; `sheet` empty: the first. Raises FileRefused."""
    if content_of(path) != "workbook":
        raise FileRefused("wrong_format")
    try:
        with path.open("rb") as source:
            if directory_of(source)[1] > MAX_PARTS:
                raise FileRefused("wrong_format")
        with zipfile.ZipFile(path) as archive:
            yield from _Book(archive, max_bytes).rows(sheet)
    except _DAMAGED:
        raise FileRefused("wrong_format") from None
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # zipfile seeks to where the archive says, be it before the file's start
            raise
        raise FileRefused("wrong_format") from None
    except (etree.LxmlError, expat.ExpatError, ValueError, KeyError, OverflowError):
        raise FileRefused("wrong_format") from None


class _Bounded:
    """A part of the archive that ends with a refusal where it unpacks to more than it may."""

    def __init__(self, inner: IO[bytes], left: int) -> None:
        self._inner = inner
        self._left = left

    def read(self, size: int = -1) -> bytes:
        """Some more bytes."""
        block = self._inner.read(size if 0 <= size <= self._left else self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise FileRefused("too_large")
        return block


class _Book:
    """An archive that calls itself a workbook."""

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self.archive = archive
        self.max_bytes = max_bytes
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise FileRefused("wrong_format")
        self.since = date(1899, 12, 30)

    def rows(self, sheet: str) -> Iterator[Row]:
        part = self._part_of(sheet)
        strings = self._strings()
        days = self._day_styles()
        yield from self._rows(part, strings, days)

    # -- the small parts ---

    def _small(self, name: str) -> Any:
        with self.archive.open(name) as part:
            raw = _Bounded(part, MAX_PART).read()
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(raw, parser)
        if _has_doctype(root):
            raise FileRefused("wrong_format")
        return root

    def _part_of(self, sheet: str) -> str:
        """Where the sheet is in the archive."""
        book = self._small("xl/workbook.xml")
        if any(one.get("date1904") in {"1", "true"} for one in book.iter("{*}workbookPr")):
            self.since = date(1904, 1, 1)
        sheets = list(book.iter("{*}sheet"))
        chosen = next((one for one in sheets if not sheet or one.get("name") == sheet), None)
        if chosen is None:
            raise FileRefused("missing_sheet")
        wanted = chosen.get(_RELATIONS) or chosen.get(_STRICT_RELATIONS)
        for relation in self._small("xl/_rels/workbook.xml.rels").iter("{*}Relationship"):
            if relation.get("Id") == wanted and relation.get("TargetMode") != "External":
                target = relation.get("Target", "")
                name = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
                if name in self.archive.namelist():
                    return name
        raise FileRefused("wrong_format")

    def _day_styles(self) -> frozenset[int]:
        """The styles whose numbers show a day."""
        if "xl/styles.xml" not in self.archive.namelist():
            return frozenset()
        styles = self._small("xl/styles.xml")
        own = {one.get("numFmtId"): one.get("formatCode", "") for one in styles.iter("{*}numFmt")}
        found = set()
        for formats in styles.iter("{*}cellXfs"):
            for number, style in enumerate(formats.iterchildren("{*}xf")):
                code = style.get("numFmtId", "0")
                shown = own.get(code)
                day = _OF_TIME.search(_QUOTED.sub("", shown)) if shown is not None else int(code) in _DAY_FORMATS
                if day and shown != "General":
                    found.add(number)
        return frozenset(found)

    def _strings(self) -> list[str]:
        """The texts that cells refer to by number."""
        if "xl/sharedStrings.xml" not in self.archive.namelist():
            return []
        found = _Strings()
        with self.archive.open("xl/sharedStrings.xml") as part:
            for _ in _fed(found, _Bounded(part, self.max_bytes)):
                pass
        return found.strings

    def _rows(self, name: str, strings: list[str], days: frozenset[int]) -> Iterator[Row]:
        sheet = _Sheet(strings, days, self.since)
        with self.archive.open(name) as part:
            for _ in _fed(sheet, _Bounded(part, self.max_bytes)):
                yield from sheet.taken()
        yield from sheet.taken()


class _Part:
    """A part of a workbook, taken in element by element; nothing of it is kept but what is asked for."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.length = 0
        self.taking = False
        self.aside = 0  # within how the text is pronounced

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """An element ends."""
        raise NotImplementedError

    def characters(self, text: str) -> None:
        """Some of its text."""
        if self.taking and not self.aside:
            self.length += len(text)
            if self.length > MAX_TEXT * 2:
                raise FileRefused("wrong_format")
            self.text.append(text)

    def whole(self) -> str:
        """The text since the last time."""
        text = "".join(self.text)
        self.text, self.length = [], 0
        return text


def _fed(part: _Part, source: _Bounded) -> Iterator[None]:
    """The part takes the source in, block by block. Raises FileRefused where it declares a type or entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: part.start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: part.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = part.characters
    parser.StartDoctypeDeclHandler = _refuse_type
    while block := source.read(_BLOCK):
        parser.Parse(block, False)  # noqa: FBT003 - expat takes it by position
        yield
    parser.Parse(b"", True)  # noqa: FBT003 - likewise


def _refuse_type(*_: object) -> None:
    raise FileRefused("wrong_format")


class _Strings(_Part):
    """The shared texts."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - as of all parts
        """A run of text begins."""
        if name == "rPh":
            self.aside += 1
        elif name == "t":
            self.taking = True

    def end(self, name: str) -> None:
        """A run, or the whole text, ends."""
        if name == "t":
            self.taking = False
        elif name == "rPh":
            self.aside -= 1
        elif name == "si":
            if len(self.strings) >= MAX_STRINGS:
                raise FileRefused("too_large")
            self.strings.append(_plain(self.whole()))


class _Sheet(_Part):
    """A sheet's rows."""

    def __init__(self, strings: list[str], days: frozenset[int], since: date) -> None:
        super().__init__()
        self.strings, self.days, self.since = strings, days, since
        self.rows: list[Row] = []
        self.row = Row(0)
        self.last = self.cells = 0
        self.cell: dict[str, str] = {}
        self.valued = False

    def taken(self) -> list[Row]:
        """The rows since the last time."""
        rows, self.rows = self.rows, []
        return rows

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A row, a cell or its value begins."""
        if name == "c":
            self.cell, self.valued = attributes, False
        elif name in {"v", "t"}:
            self.taking = self.valued = True
        elif name == "row":
            number = int(attributes.get("r") or self.last + 1)
            if number <= self.last or number > MAX_ROWS:
                raise FileRefused("wrong_format")
            self.row, self.last = Row(number), number
        elif name == "rPh":
            self.aside += 1

    def end(self, name: str) -> None:
        """A row, a cell or its value ends."""
        if name in {"v", "t"}:
            self.taking = False
        elif name == "c":
            self._add()
        elif name == "row":
            if any(self.row.texts):
                self.rows.append(self.row)
        elif name == "rPh":
            self.aside -= 1

    def _add(self) -> None:
        self.cells += 1
        if self.cells > MAX_CELLS:
            raise FileRefused("too_large")
        row, raw = self.row, self.whole()
        reference = self.cell.get("r")
        place = _column(reference) if reference else len(row.texts)
        if place < len(row.texts) or place >= MAX_COLUMNS:
            if not self.valued:
                return
            raise FileRefused("wrong_format")
        text, shape = self._cell(raw)
        for _ in range(place - len(row.texts)):
            row.texts.append("")
            row.shapes.append(WORD)
        row.texts.append(text)
        row.shapes.append(shape)

    def _cell(self, raw: str) -> tuple[str, int]:  # noqa: PLR0911 - one for each type that a cell can have
        kind = self.cell.get("t", "n")
        if kind == "s":
            return (_shared(self.strings, raw), WORD) if raw else ("", WORD)
        if kind in {"inlineStr", "str"}:
            return _plain(raw), WORD
        if kind in {"b", "e"}:
            return raw, WRONG
        if kind == "d":
            return raw.removesuffix("T00:00:00"), DAY
        if not raw:
            return "", WORD
        if not _NUMBER.fullmatch(raw):
            return "#", WRONG
        if int(self.cell.get("s", "0")) in self.days:
            day = self._day(float(raw))
            if day:
                return day, DAY
        return plain_number(raw), NUMBER

    def _day(self, serial: float) -> str:
        """The day, or instant, that a serial number shows; empty where it shows none."""
        if not (_LEAP_BUG if self.since.year == 1899 else 0) < serial < _LAST_SERIAL:  # noqa: PLR2004 - the year that such numbers begin in
            return ""
        whole = int(serial)
        seconds = round((serial - whole) * _SECONDS)
        day = self.since + timedelta(days=whole)
        if not seconds:
            return day.isoformat()
        return (datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)).isoformat()  # noqa: DTZ001 - the layout says where


def _has_doctype(one: Any) -> bool:
    """Whether the document has a type declaration, in which entities could be; no workbook needs one."""
    return bool(one.getroottree().docinfo.doctype)


def _shared(strings: list[str], raw: str) -> str:
    """The text that a cell refers to by its number."""
    number = int(raw)
    if not 0 <= number < len(strings):
        raise FileRefused("wrong_format")
    return strings[number]


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _column(reference: str) -> int:
    """The column that a reference like BC12 names, from 0."""
    place = 0
    for letter in reference:
        if "A" <= letter <= "Z":
            place = place * 26 + ord(letter) - 64
            if place > MAX_ROWS:
                break
        else:
            break
    return place - 1


@dataclass
class Columns:
    """Cells put together column by column while rows come."""

    count: int
    texts: list[list[str]] = field(default_factory=list)
    shapes: list[array[int]] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("q"))
    """the rows' numbers in the sheet"""

    def __post_init__(self) -> None:
        self.texts = [[] for _ in range(self.count)]
        self.shapes = [array("B") for _ in range(self.count)]

    def add(self, row: Row) -> bool:
        """The row is in; False where it has something beyond the columns, and is not."""
        if any(row.texts[self.count :]):
            return False
        for place in range(self.count):
            here = place < len(row.texts)
            self.texts[place].append(row.texts[place] if here else "")
            self.shapes[place].append(row.shapes[place] if here else WORD)
        self.numbers.append(row.number)
        return True

    def shape(self, place: int) -> np.ndarray:
        """What the cells of a column are."""
        return np.frombuffer(self.shapes[place], dtype=np.uint8) if len(self.shapes[place]) else np.zeros(0, np.uint8)


@dataclass
class SheetWriter:
    """Writes one sheet, row by row, in constant memory; columns of amounts and days hold numbers and days."""

    path: Path
    name: str
    kinds: Mapping[str, str]
    """column: amount, integer or date; any other is text"""
    whole: bool = False
    """amounts have no decimals"""
    row: int = 0

    def __post_init__(self) -> None:
        import xlsxwriter  # noqa: PLC0415 - only workbooks need it

        self.book = xlsxwriter.Workbook(
            str(self.path),
            {
                "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
                "strings_to_numbers": False, "tmpdir": str(self.path.parent), "default_date_format": "yyyy-mm-dd",
            },
        )  # fmt: skip
        self.book.set_properties({"created": _CREATED})
        self.sheet = self.book.add_worksheet(self.name or None)
        self.text = self.book.add_format({"num_format": "@"})
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.head = self.book.add_format({"bold": True, "num_format": "@"})
        self.amount = self.book.add_format({"num_format": "0" if self.whole else "0.00"})
        self.integer = self.book.add_format({"num_format": "0"})

    def line(self, texts: list[str], *, head: bool = False) -> None:
        """A row of texts."""
        for place, text in enumerate(texts):
            if text:
                self.sheet.write_string(self.row, place, text, self.head if head else self.text)
        self.row += 1

    def rows(self, columns: list[tuple[str, pa.Array]]) -> None:
        """Rows of columns by name, as text; days ISO. Raises FileRefused beyond the last."""
        kinds = [self.kinds.get(name, "text") for name, _ in columns]
        lists = [text.to_pylist() for _, text in columns]
        if self.row + len(lists[0]) > MAX_ROWS:
            raise FileRefused("too_large")
        for cells in zip(*lists, strict=True):
            for place, (kind, text) in enumerate(zip(kinds, cells, strict=True)):
                self._put(place, kind, text)
            self.row += 1

    def _put(self, place: int, kind: str, text: str) -> None:
        if not text:
            return
        if kind == "text" or (kind != "date" and len(text.lstrip("-").replace(".", "")) > SAFE_DIGITS):
            self.sheet.write_string(self.row, place, text, self.text)
        elif kind == "date":
            self.sheet.write_datetime(self.row, place, date.fromisoformat(text), self.day)
        else:
            self.sheet.write_number(self.row, place, float(text), self.amount if kind == "amount" else self.integer)

    def close(self) -> None:
        """The workbook is whole."""
        self.book.close()

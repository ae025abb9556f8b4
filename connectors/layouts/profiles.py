"""Layout profiles: TOML that says how an agency's plain files look, kind by kind and both ways.

The format is described in docs/reference/layouts.md.

A profile speaks the words of the portfolios' profiles (connectors/profiles.py): encoding, delimiter, skip_rows,
date_format, amounts, columns with map and constant. It is checked as a whole, and every fault is told with its key.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.layouts.naming import Named, Pattern
from connectors.profiles import Words, file_text, listed, near, toml_of
from models import packaged
from models.kinds import CODE, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.kinds import Kind

Format = Literal["delimited", "fixed", "xlsx"]
FORMATS: Final = ("delimited", "fixed", "xlsx")
ENDINGS: Final[Mapping[str, str]] = MappingProxyType({"delimited": "csv", "fixed": "txt", "xlsx": "xlsx"})
ENCODINGS: Final = ("utf-8", "utf-8-sig", "gb18030", "gbk", "gb2312", "big5", "cp1252", "iso-8859-1", "utf-16")
SIGNS: Final = ("leading", "trailing", "parentheses")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_SPEC: Final = re.compile(r"([a-z0-9][a-z0-9_-]{0,39})(?:@([1-9][0-9]{0,5}))?")
_LENDER: Final = re.compile(CODE)
_WORD: Final = re.compile(r"[A-Z]{3}")
_PLACE: Final = re.compile(r"\{([a-z]+(?::[A-Z]{3})?)\}")
PLACES: Final = ("rows", "sum", "date", "sequence", "lender", "agency")
"""What a cell of a header or trailer record may state; `sum:CNY` is the sum of one currency."""
TOTALS: Final = ("rows", "sum")
"""What is known only when all lines are."""
_SPECIMENS: Final = (7, 123_456_789)
"""a number that every pattern fills up, and one that none does"""
_SPECIMEN_DAY: Final = date(2026, 11, 23)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\u2028\u2029]")


@dataclass(frozen=True)
class FileForm:
    """How the file is laid out, whatever it holds."""

    format: Format = "delimited"
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    """empty: nothing is quoted, and no value may hold the delimiter"""
    line_ending: Literal["lf", "crlf"] = "lf"
    header: bool = True
    """whether a line with the columns' names comes before the first record"""
    skip_rows: int = 0
    """lines to pass over before the header when reading; none are written"""
    trim: bool = False
    """blanks around a value are no part of it"""
    ending: str = "csv"
    sheet: str = ""
    """xlsx: the sheet's name; empty: the first"""
    number_cells: Literal["refuse", "whole"] = "refuse"
    """xlsx: what becomes of a number in a column of text"""
    positions: Literal["bytes", "characters"] = "bytes"
    """fixed: what `start` and `length` count"""
    filler: str = " "

    @property
    def newline(self) -> str:
        """What ends a line."""
        return "\r\n" if self.line_ending == "crlf" else "\n"


@dataclass(frozen=True)
class Amounts:
    """How amounts are written."""

    unit: Literal["major", "minor"] = "major"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", "'", " "] = ""
    sign: Literal["leading", "trailing", "parentheses"] = "leading"
    full_width: bool = False
    """full-width digits and marks are read as plain ones, in amounts, numbers and dates; never written"""


@dataclass(frozen=True)
class Sign:
    """A column that says of an amount without a sign whether it is above or below zero."""

    column: str
    positive: str
    negative: str


@dataclass(frozen=True)
class Column:
    """How one field of ours stands in the file.

    column: its name there; empty where it is not in the file, but always `constant`, and for an amount in two columns.
    default: what an empty cell means. map: the file's words to ours. credit, debit: the columns above and below zero.
    """

    field: str
    column: str = ""
    constant: str | None = None
    default: str | None = None
    map: Mapping[str, str] | None = None
    sign: Sign | None = None
    credit: str = ""
    debit: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file that it is made of."""
        named = (self.column, self.credit, self.debit, self.sign.column if self.sign else "")
        return tuple(name for name in named if name)

    @property
    def shown(self) -> str:
        """What a receipt calls it."""
        return self.column or "/".join(filter(None, (self.credit, self.debit))) or self.field


@dataclass(frozen=True)
class Position:
    """Where a value stands in a fixed-width record: from `start` (1 is the first) over `length`."""

    start: int
    length: int
    align: Literal["left", "right"] = "left"
    filler: str = " "

    @property
    def stop(self) -> int:
        """The first place after it, counted from 0."""
        return self.start - 1 + self.length


@dataclass(frozen=True)
class Record:
    """A header or trailer record: its cells as text with places, the first a plain text that tells it apart."""

    cells: tuple[str, ...]
    positions: tuple[Position, ...] = ()

    @property
    def marker(self) -> str:
        """The text of the first cell."""
        return self.cells[0]

    @property
    def places(self) -> tuple[str, ...]:
        """What the cells state, in order; empty for a plain text."""
        return tuple(found[1] if (found := _PLACE.fullmatch(cell)) else "" for cell in self.cells)


@dataclass(frozen=True)
class KindForm:
    """How the files of one kind look."""

    kind: str
    columns: Mapping[str, Column]
    order: tuple[str, ...]
    """the file's columns, as they follow each other when written (and when read without a header)"""
    constants: Mapping[str, str] = field(default_factory=dict)
    """columns of the file that are none of ours and always hold this text"""
    ignored: tuple[str, ...] = ()
    """columns of the file that nobody looks at; ("*",) is any"""
    left_out: tuple[str, ...] = ()
    """fields of ours that do not go into the file"""
    header_record: Record | None = None
    trailer_record: Record | None = None
    pattern: Pattern | None = None
    positions: Mapping[str, Position] = field(default_factory=dict)
    record_length: int = 0
    sheet: str = ""

    @property
    def shown(self) -> Mapping[str, str]:
        """What a receipt calls each field: the agency's own name for its column."""
        return {name: column.shown for name, column in self.columns.items()}


@dataclass(frozen=True)
class Layout:
    """One checked profile."""

    name: str
    version: int
    sha256: str
    text: str
    kinds: Mapping[str, KindForm]
    about: str = ""
    file: FileForm = field(default_factory=FileForm)
    amounts: Amounts = field(default_factory=Amounts)
    date_format: str = "%Y-%m-%d"
    datetime_format: str = "%Y-%m-%dT%H:%M:%S%z"
    month_format: str = "%Y-%m"
    timezone: str = "UTC"

    @property
    def reference(self) -> str:
        """`name@version`: how it is called."""
        return f"{self.name}@{self.version}"

    @property
    def recorded(self) -> str:
        """`name@version#sha256`: what is written down of every file that was read or written with it."""
        return f"{self.reference}#{self.sha256}"


def spelled(spec: str) -> tuple[str, int | None]:
    """Name and version of `name` or `name@version`. Raises LayoutUnknown where it is neither."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise LayoutUnknown(f"{spec!r} names no layout", fix="give its name, name@version, or the path of a .toml file")
    return found[1], int(found[2]) if found[2] else None


def shipped_layouts() -> tuple[str, ...]:
    """Names of the profiles that come with Consign."""
    return packaged.names("connectors.layouts", "profiles")


def load_layout(name_or_path: str) -> Layout:
    """The profile of that name that comes with Consign, or the one in that file (`….toml`).

    Raises LayoutUnknown for neither, LayoutInvalid with all that is wrong with it.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return parse_layout(file_text(path, LayoutUnknown, LayoutInvalid), where=path.name)
    name, version = spelled(name_or_path)
    if name not in shipped_layouts():
        raise LayoutUnknown(
            f"there is no layout {name!r}{near(name, shipped_layouts())}",
            fix=f"use one of {', '.join(shipped_layouts())}, or the path of a .toml file",
        )
    layout = parse_layout(packaged.text("connectors.layouts", "profiles", name), where=f"{name}.toml")
    if version not in {None, layout.version}:
        raise LayoutUnknown(f"{name} comes in version {layout.version}, not {version}", fix=f"use {layout.reference}")
    return layout


@lru_cache(maxsize=64)
def parse_layout(text: str, where: str) -> Layout:
    """The profile written in `text`; `where` names it in messages. Raises LayoutInvalid with all that is wrong."""
    written, fault = toml_of(text)
    if fault:
        raise LayoutInvalid(f"{where} is not TOML: {fault}", fix="correct that line")
    reader = _Reader()
    layout = reader.layout(written, text)
    if reader.wrong or layout is None:
        raise LayoutInvalid(
            f"the layout {where} cannot be used:\n{listed(reader.wrong)}",
            fix="docs/reference/layouts.md has the format",
        )
    return layout


class _Reader(Words):
    """Reads a layout profile."""

    def layout(self, written: Mapping[str, Any], text: str) -> Layout | None:
        self.keys("the profile", written, (
            "name", "version", "about", "date_format", "datetime_format", "month_format", "timezone", "file", "amounts",
            "lenders", "lender", "kinds",
        ))  # fmt: skip
        name = self.typed(written, "name", str, "")
        if not _NAME.fullmatch(name) or name == "package":
            self.wrong.append("name: needs 1 to 40 of a-z 0-9 _ -, and not `package`")
        version = self.typed(written, "version", int, 0)
        if version < 1:
            self.wrong.append("version: needs a whole number from 1")
        file = self._file(self.typed(written, "file", dict, {}))
        parts: dict[str, Any] = {
            "about": self.typed(written, "about", str, ""),
            "amounts": self._amounts(self.typed(written, "amounts", dict, {}), file),
            "date_format": self.date_format(self.typed(written, "date_format", str, "%Y-%m-%d")),
            "datetime_format": self._datetime_format(
                self.typed(written, "datetime_format", str, "%Y-%m-%dT%H:%M:%S%z"), "timezone" in written
            ),
            "month_format": self._month_format(self.typed(written, "month_format", str, "%Y-%m")),
            "timezone": self._timezone(self.typed(written, "timezone", str, "UTC")),
        }
        kinds = self._kinds(written, file)
        if self.wrong:
            return None
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Layout(name, version, digest, text, MappingProxyType(kinds), file=file, **parts)

    # -- the file ------------------------------------------------------------------------------------------------------

    def _file(self, written: Mapping[str, Any]) -> FileForm:
        what = "[file]"
        self.keys(what, written, FileForm.__dataclass_fields__)
        form = cast("Format", self.one_of(written, "format", FORMATS, "delimited", what))
        chosen: dict[str, Any] = {
            "format": form,
            "encoding": self.one_of(written, "encoding", ENCODINGS, "utf-8", what),
            "delimiter": self.typed(written, "delimiter", str, ",", what),
            "quote": self.typed(written, "quote", str, '"', what),
            "line_ending": self.one_of(written, "line_ending", ("lf", "crlf"), "lf", what),
            "header": self.typed(written, "header", bool, form != "fixed", what),
            "skip_rows": self.typed(written, "skip_rows", int, 0, what),
            "trim": self.typed(written, "trim", bool, False, what),  # noqa: FBT003 - the default of a key
            "ending": self.typed(written, "ending", str, ENDINGS[form], what),
            "sheet": self.typed(written, "sheet", str, "", what),
            "number_cells": self.one_of(written, "number_cells", ("refuse", "whole"), "refuse", what),
            "positions": self.one_of(written, "positions", ("bytes", "characters"), "bytes", what),
            "filler": self.typed(written, "filler", str, " ", what),
        }
        self._marks(chosen)
        if chosen["skip_rows"] < 0:
            self.wrong.append(f"{what} skip_rows: needs a number from 0")
        if chosen["ending"] not in {"csv", "txt", "xlsx"} or (form == "xlsx") != (chosen["ending"] == "xlsx"):
            self.wrong.append(f"{what} ending: needs csv or txt; xlsx for a workbook")
        self._misplaced(written, form)
        return FileForm(**chosen)

    def _marks(self, chosen: Mapping[str, Any]) -> None:
        delimiter, quote = chosen["delimiter"], chosen["quote"]
        if chosen["format"] == "delimited" and (
            len(delimiter) != 1 or len(quote) > 1 or delimiter == quote or not (delimiter + quote).isascii()
            or set(delimiter + quote) & {"\n", "\r", "\0"} or delimiter.isalnum()
        ):  # fmt: skip
            self.wrong.append(
                "[file] delimiter and quote: need one ASCII character each, different ones; no quote is an empty text"
            )
        if len(chosen["filler"]) != 1 or not chosen["filler"].isascii() or not chosen["filler"].isprintable():
            self.wrong.append("[file] filler: needs one printable ASCII character")
        if chosen["format"] == "fixed" and chosen["positions"] == "bytes" and chosen["encoding"] == "utf-16":
            self.wrong.append('[file] positions: in utf-16 count "characters"')

    def _misplaced(self, written: Mapping[str, Any], form: str) -> None:
        belongs = {
            "delimiter": {"delimited"}, "quote": {"delimited"}, "positions": {"fixed"}, "filler": {"fixed"},
            "sheet": {"xlsx"}, "number_cells": {"xlsx"}, "encoding": {"delimited", "fixed"},
            "line_ending": {"delimited", "fixed"},
        }  # fmt: skip
        self.wrong += [
            f"[file] {key}: goes with {' or '.join(sorted(forms))}, not with {form}"
            for key, forms in belongs.items()
            if key in written and form not in forms
        ]
        if form == "fixed" and written.get("header"):
            self.wrong.append("[file] header: a fixed-width file has positions instead of names")

    def _amounts(self, written: Mapping[str, Any], file: FileForm) -> Amounts:
        what = "[amounts]"
        self.keys(what, written, Amounts.__dataclass_fields__)
        chosen: dict[str, Any] = {
            "unit": self.one_of(written, "unit", ("major", "minor"), "major", what),
            "decimal": self.one_of(written, "decimal", (".", ","), ".", what),
            "thousands": self.one_of(written, "thousands", ("", ",", ".", "'", " "), "", what),
            "sign": self.one_of(written, "sign", SIGNS, "leading", what),
            "full_width": self.typed(written, "full_width", bool, False, what),  # noqa: FBT003 - the default of a key
        }
        if chosen["decimal"] == chosen["thousands"]:
            self.wrong.append("[amounts] decimal and thousands: need different marks")
        if file.format == "delimited" and not file.quote and file.delimiter in chosen["decimal"] + chosen["thousands"]:
            self.wrong.append("[amounts] decimal and thousands: the delimiter cannot be one of them without a quote")
        return Amounts(**chosen)

    def _datetime_format(self, form: str, zone: bool) -> str:  # noqa: FBT001 - whether the profile names a zone
        at = datetime(2026, 11, 23, 14, 5, 6, tzinfo=ZoneInfo("UTC"))
        try:
            read = datetime.strptime(at.strftime(form), form).replace(microsecond=0, tzinfo=None)  # noqa: DTZ007 - to the second, wherever
        except ValueError:
            read = None
        if read != at.replace(tzinfo=None):
            self.wrong.append(
                f"datetime_format: {form!r} does not hold a day and a time to the second (example: %Y%m%d%H%M%S)"
            )
        elif "%z" not in form and not zone:
            self.wrong.append("timezone: say where the times are local (example: Asia/Shanghai), or write them with %z")
        return form

    def _month_format(self, form: str) -> str:
        month = datetime(2026, 11, 1)  # noqa: DTZ001 - a month without an instant
        try:
            known = datetime.strptime(month.strftime(form), form) == month  # noqa: DTZ007 - likewise
        except ValueError:
            known = False
        if not known or "%d" in form:
            self.wrong.append(f"month_format: {form!r} does not hold a year and a month alone (example: %Y%m)")
        return form

    def _timezone(self, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.wrong.append(f"timezone: {name!r} is none (example: Asia/Shanghai)")
            return "UTC"
        return name

    # -- the kinds -----------------------------------------------------------------------------------------------------

    def _kinds(self, written: Mapping[str, Any], file: FileForm) -> dict[str, KindForm]:
        lenders = self.typed(written, "lenders", dict, {})
        for word, code in lenders.items():
            if not isinstance(code, str) or not _LENDER.fullmatch(code):
                self.wrong.append(f"[lenders] {word}: needs a lender's code")
                return {}
        lender = self.typed(written, "lender", str, "")
        if lender and not _LENDER.fullmatch(lender):
            self.wrong.append("lender: needs a lender's code")
        kinds = {}
        tables = self.typed(written, "kinds", dict, {})
        if not tables:
            self.wrong.append("kinds: needs a table for each kind of file ([kinds.remittance])")
        for name, table in tables.items():
            if name not in KINDS:
                self.wrong.append(f"kinds: there is no kind {name!r}{near(name, KINDS)}; known: {', '.join(KINDS)}")
            elif not isinstance(table, dict):
                self.wrong.append(f"[kinds.{name}]: needs a table")
            else:
                kinds[name] = _KindReader(self, KINDS[name], file, lenders, lender).form(table)
        if not self.wrong:
            self._told_apart(kinds)
        return kinds

    def _told_apart(self, kinds: Mapping[str, KindForm]) -> None:
        """Names of one direction say which kind they are of."""
        for name, form in kinds.items():
            for other, beside in kinds.items():
                if name == other or KINDS[name].to_agency != KINDS[other].to_agency:
                    continue
                if form.pattern is None or beside.pattern is None:
                    continue
                lenders = [*form.pattern.lenders.values()] or [form.pattern.lender or "specimen"]
                for lender, sequence in product(lenders, _SPECIMENS):
                    specimen = form.pattern.write(Named(lender, "specimen", name, _SPECIMEN_DAY, sequence))
                    if beside.pattern.read(specimen, other, "specimen") is not None:
                        self.wrong.append(f"[kinds.{name}] file_name: {specimen} could be a {other} too")
                        return


class _KindReader:
    """Reads one kind's part of a profile; faults go to the whole profile's list."""

    def __init__(self, words: Words, kind: Kind, file: FileForm, lenders: Mapping[str, str], lender: str) -> None:
        self.words = words
        self.kind = kind
        self.file = file
        self.lenders = lenders
        self.lender = lender
        self.what = f"[kinds.{kind.name}]"

    def wrong(self, key: str, why: str) -> None:
        """Note a fault."""
        self.words.wrong.append(f"{self.what} {key}: {why}")

    def form(self, written: Mapping[str, Any]) -> KindForm:
        """The kind's form."""
        self.words.keys(self.what, written, (
            "columns", "constants", "order", "ignored", "left_out", "header_record", "trailer_record", "file_name",
            "lender", "positions", "record_length", "sheet",
        ))  # fmt: skip
        columns = self._columns(self.words.typed(written, "columns", dict, {}, self.what))
        constants = self._constants(written)
        ignored = self.words.texts(written, "ignored", self.what)
        positions = self._positions(written)
        form = KindForm(
            kind=self.kind.name,
            columns=MappingProxyType(columns),
            order=self._order(written, columns, constants, ignored, positions),
            constants=constants,
            ignored=ignored,
            left_out=self._left_out(written, columns),
            header_record=self._record(written, "header_record"),
            trailer_record=self._record(written, "trailer_record"),
            pattern=self._pattern(written),
            positions=positions,
            record_length=self.words.typed(written, "record_length", int, 0, self.what),
            sheet=self.words.typed(written, "sheet", str, self.file.sheet, self.what),
        )
        if self.file.format == "fixed":
            self._in_place(form)
        if self.file.format == "xlsx" and (len(form.sheet) > 31 or set(form.sheet) & set(r"[]:*?/\ ") - {" "}):  # noqa: PLR2004 - Excel's limit
            self.wrong("sheet", "a sheet's name has at most 31 characters, and none of []:*?/\\")
        return form

    def _columns(self, written: Mapping[str, Any]) -> dict[str, Column]:
        fields = {one.name: one for one in self.kind.fields}
        self.words.keys(f"{self.what} columns", written, fields)
        read = {}
        for name, meant in written.items():
            if name in fields:
                column = self._column(name, meant)
                if column is not None:
                    read[name] = column
        if not self.kind.to_agency:
            for one in self.kind.fields:
                if one.required and one.name not in written:
                    self.wrong(f"columns {one.name}", "is required; map a column, or give it a constant")
        if any(one.type == "amount" and one.name in read for one in self.kind.fields) and "currency" not in read:
            self.wrong("columns currency", 'is needed with amounts; map a column, or write { constant = "CNY" }')
        if read and not any(column.columns for column in read.values()):
            self.wrong("columns", "not one column is in the file")
        if not written:
            self.wrong("columns", "needs a table of our fields and the file's columns")
        return read

    def _column(self, name: str, meant: object) -> Column | None:
        key = f"columns {name}"
        if isinstance(meant, str):
            meant = {"column": meant}
        if not isinstance(meant, dict):
            self.wrong(key, "needs the name of a column, or a table")
            return None
        self.words.keys(
            f"{self.what} {key}", meant, ("column", "constant", "default", "map", "sign", "credit", "debit")
        )
        texts = ("column", "constant", "default", "credit", "debit")
        if any(part in meant and (not isinstance(meant[part], str) or not meant[part]) for part in texts):
            self.wrong(key, f"{', '.join(texts)} are texts in quotes")
            return None
        amount = self.kind.field(name).type == "amount"
        ways = ["column" in meant, "constant" in meant, "credit" in meant and "debit" in meant]
        if sum(ways) != 1 or ("credit" in meant) != ("debit" in meant):
            self.wrong(key, "needs exactly one of column, constant, or credit and debit together")
            return None
        if ("constant" in meant and len(meant) > 1) or ("credit" in meant and len(meant) > 2):  # noqa: PLR2004 - credit and debit
            self.wrong(key, "a constant stands alone, and so do credit and debit")
            return None
        if not amount and ("sign" in meant or "credit" in meant):
            self.wrong(key, "sign, credit and debit make an amount, and this is none")
            return None
        return Column(
            name,
            column=meant.get("column", ""),
            constant=self._checked(name, "constant", meant),
            default=self._checked(name, "default", meant),
            map=self._map(name, meant),
            sign=self._sign(name, meant),
            credit=meant.get("credit", ""),
            debit=meant.get("debit", ""),
        )

    def _checked(self, name: str, part: str, meant: Mapping[str, Any]) -> str | None:
        """A constant or default in our own words; noted where we would refuse it ourselves."""
        value = meant.get(part)
        if value is None:
            return None
        one = self.kind.field(name)
        if one.one_of and value not in one.one_of:
            self.wrong(f"columns {name}", f"{part} {value!r} is not one of ours: {', '.join(one.one_of)}")
        if one.name == "currency" and not _WORD.fullmatch(value):
            self.wrong(f"columns {name}", f"{part} {value!r} is no ISO 4217 code")
        if one.type == "amount":
            self.wrong(f"columns {name}", f"an amount has no {part}: it would be money that nobody stated")
        return str(value)

    def _map(self, name: str, meant: Mapping[str, Any]) -> Mapping[str, str] | None:
        if "map" not in meant:
            return None
        key, table, one = f"columns {name}", meant["map"], self.kind.field(name)
        if (
            not isinstance(table, dict)
            or not table
            or not all(isinstance(ours, str) and ours for ours in table.values())
        ):
            self.wrong(key, "map needs a table of texts: the file's word = our word")
            return None
        if one.type != "string":
            self.wrong(key, "map is for words")
        if unknown := sorted({ours for ours in table.values() if one.one_of and ours not in one.one_of}):
            self.wrong(key, f"map: {', '.join(unknown)} is none of our words: {', '.join(one.one_of)}")
        if "" in table:
            self.wrong(key, "map: an empty cell is told by `default`")
        return MappingProxyType(dict(table))

    def _sign(self, name: str, meant: Mapping[str, Any]) -> Sign | None:
        if "sign" not in meant:
            return None
        key, table = f"columns {name}", meant["sign"]
        if not isinstance(table, dict) or set(table) != {"column", "positive", "negative"}:
            self.wrong(key, "sign needs column, positive and negative")
            return None
        if not all(isinstance(one, str) and one for one in table.values()) or table["positive"] == table["negative"]:
            self.wrong(key, "sign: column, positive and negative are texts, and the last two differ")
            return None
        return Sign(**table)

    def _constants(self, written: Mapping[str, Any]) -> Mapping[str, str]:
        table = self.words.typed(written, "constants", dict, {}, self.what)
        if not all(isinstance(value, str) and value for value in table.values()):
            self.wrong("constants", "needs a table of texts: the file's column = what it always holds")
            return {}
        return MappingProxyType(dict(table))

    def _order(
        self,
        written: Mapping[str, Any],
        columns: Mapping[str, Column],
        constants: Mapping[str, str],
        ignored: tuple[str, ...],
        positions: Mapping[str, Position],
    ) -> tuple[str, ...]:
        named = [name for column in columns.values() for name in column.columns]
        shared = {column.sign.column for column in columns.values() if column.sign}
        for name in sorted({n for n in named if named.count(n) > 1} - shared):
            self.wrong("columns", f"{name} is mapped twice")
        for name in sorted(set(constants) & {*named, *ignored} | set(ignored) & set(named)):
            self.wrong("columns", f"{name} is mapped and constant or ignored at once")
        for name in {*named, *constants, *ignored}:
            if _CONTROLS.search(name) or name != name.strip():
                self.wrong("columns", "a column's name holds blanks around it or control characters")
        natural = tuple(dict.fromkeys([*named, *constants]))
        if self.file.format == "fixed":
            return tuple(sorted(natural, key=lambda name: positions[name].start if name in positions else 0))
        if "order" not in written:
            return natural
        order = self.words.texts(written, "order", self.what)
        extra = [name for name in order if name not in natural and name not in ignored]
        missing = [name for name in natural if name not in order]
        if extra or missing or len(set(order)) < len(order):
            self.wrong("order", f"needs every column once; missing: {missing or 'none'}, unknown: {extra or 'none'}")
        return order

    def _left_out(self, written: Mapping[str, Any], columns: Mapping[str, Column]) -> tuple[str, ...]:
        left_out = self.words.texts(written, "left_out", self.what)
        fields = {one.name: one for one in self.kind.fields}
        for name in left_out:
            if name not in fields:
                self.wrong("left_out", f"there is no field {name!r}{near(name, fields)}")
            elif name in columns:
                self.wrong("left_out", f"{name} has a column")
            elif name == "account":
                self.wrong("left_out", "nobody could tell the accounts apart without `account`")
        if left_out and not self.kind.to_agency:
            self.wrong("left_out", "is for files to the agency; what it does not send is not mapped")
        return left_out

    def _pattern(self, written: Mapping[str, Any]) -> Pattern | None:
        if "file_name" not in written:
            return None
        lender = self.words.typed(written, "lender", str, self.lender, self.what)
        pattern = Pattern(self.words.typed(written, "file_name", str, "", self.what), self.lenders, lender)
        for why in pattern.faults():
            self.wrong("file_name", why)
        return pattern

    # -- records -------------------------------------------------------------------------------------------------------

    def _record(self, written: Mapping[str, Any], key: str) -> Record | None:
        if key not in written:
            return None
        cells = written[key]
        if not isinstance(cells, list) or not cells:
            self.wrong(key, "needs a list of cells")
            return None
        texts, positions = [], []
        for number, cell in enumerate(cells, 1):
            told = {"value": cell} if isinstance(cell, str) else cell
            if not isinstance(told, dict) or not isinstance(told.get("value"), str):
                self.wrong(key, f"cell {number} needs a text, or a table with `value`")
                return None
            texts.append(told["value"])
            if self.file.format == "fixed":
                position = self._position(f"{key}, cell {number}", {k: v for k, v in told.items() if k != "value"})
                if position is None:
                    return None
                positions.append(position)
        record = Record(tuple(texts), tuple(positions))
        self._states(key, record)
        if positions:
            self._no_overlap(key, positions)
        return record

    def _states(self, key: str, record: Record) -> None:
        places = record.places
        if not record.marker or places[0]:
            self.wrong(key, "the first cell needs a plain text that tells the record from the others, like T")
        for cell, place in zip(record.cells, places, strict=True):
            plain = place.split(":")[0]
            if ("{" in cell or "}" in cell) and (plain not in PLACES or (":" in place and plain != "sum")):
                self.wrong(key, f"{cell} is none of {', '.join(f'{{{one}}}' for one in PLACES)}; a place stands alone")
        if self.kind.control is None and any(place.startswith("sum") for place in places):
            self.wrong(key, f"a {self.kind.name} has no amount to sum")
        if "sum" in places and any(place.startswith("sum:") for place in places):
            self.wrong(key, "{sum} is of the one currency there is; name them all, or none")
        if self.file.format == "xlsx" and key == "header_record" and any(p.split(":")[0] in TOTALS for p in places):
            self.wrong(key, "a workbook is written from top to bottom: put totals in the trailer_record")
        if self.file.format == "delimited" and not self.file.quote and self.file.delimiter in "".join(record.cells):
            self.wrong(key, "a cell holds the delimiter")
        for place in set(places) - {""}:
            if places.count(place) > 1:
                self.wrong(key, f"{{{place}}} is there twice")

    # -- fixed width ---------------------------------------------------------------------------------------------------

    def _positions(self, written: Mapping[str, Any]) -> Mapping[str, Position]:
        table = self.words.typed(written, "positions", dict, {}, self.what)
        if self.file.format != "fixed":
            if table or "record_length" in written:
                self.wrong("positions", "and record_length go with fixed width")
            return {}
        read = {}
        for name, meant in table.items():
            told = meant
            if isinstance(meant, list) and len(meant) == 2:  # noqa: PLR2004 - start and length
                told = {"start": meant[0], "length": meant[1]}
            position = self._position(f"positions {name}", told)
            if position is not None:
                read[name] = position
        return MappingProxyType(read)

    def _position(self, key: str, told: object) -> Position | None:
        if not isinstance(told, dict):
            self.wrong(key, "needs [start, length], or a table of start, length, align, filler")
            return None
        self.words.keys(f"{self.what} {key}", told, Position.__dataclass_fields__)
        start, length = told.get("start"), told.get("length")
        if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in (start, length)):
            self.wrong(key, "start and length are whole numbers from 1")
            return None
        align, filler = told.get("align", "left"), told.get("filler", self.file.filler)
        if align not in {"left", "right"}:
            self.wrong(key, "align is left or right")
            return None
        if not isinstance(filler, str) or len(filler) != 1 or not filler.isascii() or not filler.isprintable():
            self.wrong(key, "filler is one printable ASCII character")
            return None
        return Position(cast("int", start), cast("int", length), align, filler)

    def _in_place(self, form: KindForm) -> None:
        for name in form.order:
            if name not in form.positions:
                self.wrong("positions", f"{name} has none")
        for name in form.positions:
            if name not in form.order:
                self.wrong("positions", f"{name} is no column")
        self._no_overlap("positions", list(form.positions.values()))
        for record in (form.header_record, form.trailer_record):
            if record and form.positions and not form.record_length:
                self.wrong("record_length", "is needed beside header and trailer records")
                return
        ends = [one.stop for one in form.positions.values()]
        for record in (form.header_record, form.trailer_record):
            ends += [one.stop for one in record.positions] if record else []
        if form.record_length and max(ends, default=0) > form.record_length:
            self.wrong("record_length", f"something stands at {max(ends)}")

    def _no_overlap(self, key: str, positions: Iterable[Position]) -> None:
        at = sorted(positions, key=lambda one: one.start)
        for before, after in pairwise(at):
            if after.start <= before.stop:
                self.wrong(key, f"what starts at {after.start} lies over what starts at {before.start}")


def encodes_bom(encoding: str) -> bytes:
    """What a file in this encoding begins with."""
    return {"utf-8-sig": codecs.BOM_UTF8, "utf-16": codecs.BOM_UTF16_LE}.get(encoding, b"")

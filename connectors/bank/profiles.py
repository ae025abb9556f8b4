"""Mapping profiles: TOML that says which column of a bank's or wallet's table is what.

The format is described in docs/reference/bank-statements.md.

A profile names the columns as the bank does, in every language that it writes. A table fits where its header holds the
columns that count and none that the profile does not know: so one bank's file is never read by another's profile. It
speaks the words of the other profiles (connectors/profiles.py) and is checked as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.profiles import ENCODINGS, Words, listed, near, toml_of
from models import packaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Verified = Literal["samples", "public description", "own"]
VERIFIED: Final = ("samples", "public description", "own")
FORMATS: Final = ("delimited", "xlsx")
ROLES: Final = (
    "booked", "value", "amount", "credit", "debit", "side", "balance", "detail", "currency", "account", "bank_ref",
    "reference", "payer_account", "status", "charges", "total",
)  # fmt: skip
"""What a column can be; `text` besides, of which there may be several."""
PREAMBLE: Final = ("account", "currency", "opening", "closing")
SUMMARY: Final = ("count", "credit", "debit")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LOST: Final = "\ufffd"
IGNORED: Final = "ignored"


@dataclass(frozen=True)
class Profile:
    """One checked profile."""

    name: str
    version: int
    text: str
    about: str = ""
    verified: Verified = "own"
    currency: str = ""
    """of the account, where neither its header lines nor a column says"""
    account: str = ""
    """what the account is called where the file does not say"""
    format: Literal["delimited", "xlsx"] = "delimited"
    encodings: tuple[str, ...] = ("utf-8",)
    delimiters: tuple[str, ...] = (",",)
    quote: str = '"'
    """empty: quotation marks are text like any other"""
    prefix: str = ""
    """what stands before every cell, so that a spreadsheet takes it for text"""
    width: int = 0
    """without a header: how many columns there are; 0 with one"""
    date_formats: tuple[str, ...] = ("%Y-%m-%d",)
    decimal: str = "."
    thousands: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """per role, what its column may be called; without a header its number, from 1"""
    texts: tuple[tuple[str, ...], ...] = ()
    ignored: tuple[str, ...] = ()
    credit_words: tuple[str, ...] = ()
    debit_words: tuple[str, ...] = ()
    booked_words: tuple[str, ...] = ()
    """what a status says where the entry is booked, `*` for anything; empty: there is no status"""
    preamble: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """per fact, what the first cell of its line before the header may say"""
    ends: tuple[str, ...] = ()
    """what the first cell of the line says that ends the table; `#--*` is any that begins so"""
    summary: Mapping[str, int] = field(default_factory=dict)
    """in the line after that: the cell (from 1) with the count of entries, the sum of credits, of debits"""

    @property
    def reference(self) -> str:
        """`name@version`: how it is called."""
        return f"{self.name}@{self.version}"

    @cached_property
    def _keys(self) -> dict[str, frozenset[str]]:
        """Per role, per text and for what is ignored: the names as headers are compared."""
        texts = {f"text {number}": names for number, names in enumerate(self.texts)}
        named = {**self.columns, **texts, IGNORED: self.ignored}
        return {role: frozenset(key_of(name) for name in names) for role, names in named.items()}

    def placed(self, header: Sequence[str]) -> Places | None:
        """Which column is what; None where the header is not this profile's."""
        cells = [key_of(cell) for cell in header]
        while cells and not cells[-1]:
            cells.pop()
        if not any(_is_one(cell, self._keys["booked"]) for cell in cells):
            return None
        found: dict[str, int] = {}
        texts: list[int] = []
        for role, known in self._keys.items():
            at = [place for place, cell in enumerate(cells) if _is_one(cell, known)]
            if role == IGNORED or not at:
                continue
            if len(at) > 1:
                return None
            if role in self.columns:
                found[role] = at[0]
            else:
                texts.append(at[0])
        status = found.pop("status", None)  # which may be a column that says something else too
        used = {*found.values(), *texts}
        ignored = self._keys[IGNORED]
        strange = [
            cell for place, cell in enumerate(cells) if place not in {*used, status} and not _is_one(cell, ignored)
        ]
        has_amount = "amount" in found or {"credit", "debit"} <= found.keys()
        if strange or "booked" not in found or not has_amount or len(used) < len(found) + len(texts):
            return None
        if status is not None:
            found["status"] = status
        return Places(MappingProxyType(found), tuple(texts), len(header))

    def numbered(self) -> Places:
        """Which column is what in a file without a header."""
        return Places(
            MappingProxyType({role: int(names[0]) - 1 for role, names in self.columns.items()}),
            tuple(int(names[0]) - 1 for names in self.texts),
            self.width,
        )


@dataclass(frozen=True)
class Places:
    """Where the columns are (from 0)."""

    roles: Mapping[str, int]
    texts: tuple[int, ...]
    width: int
    """how many columns the header has"""


def key_of(cell: str) -> str:
    """A header's cell as it is compared: whatever its case, blanks and quotation marks."""
    return " ".join(cell.replace("\ufeff", "").replace("\u2019", "'").split()).strip(' "').casefold()


def _is_one(cell: str, names: Iterable[str]) -> bool:
    """Whether the cell says one of the names; a letter that an encoding lost on its way stands for any."""
    if _LOST not in cell:
        return cell in names
    pattern = re.compile(".".join(re.escape(part) for part in re.split(f"{_LOST}+", cell)))
    return any(pattern.fullmatch(name) for name in names)


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Consign."""
    return packaged.names("connectors.bank", "profiles")


def load_profile(name: str) -> Profile:
    """The profile of that name that comes with Consign. Raises LayoutUnknown where there is none."""
    if name not in shipped_profiles():
        raise LayoutUnknown(
            f"there is no layout of bank statements {name!r}{near(name, shipped_profiles())}",
            fix="consign recon layouts list shows them",
        )
    return parse_profile(packaged.text("connectors.bank", "profiles", name))


def parse_profile(text: str) -> Profile:
    """The profile written in `text`. Raises LayoutInvalid with all that is wrong with it."""
    written, fault = toml_of(text)
    if fault:
        raise LayoutInvalid(f"the layout is not TOML: {fault}", fix="correct that line")
    reader = _Reader()
    profile = reader.profile(written, text)
    if reader.wrong:
        raise LayoutInvalid(
            f"the layout {profile.name or ''} cannot be used:\n{listed(reader.wrong)}",
            fix="docs/reference/bank-statements.md has the format",
        )
    return profile


class _Reader(Words):
    """Reads a profile and collects all that is wrong."""

    def profile(self, written: Mapping[str, Any], text: str) -> Profile:
        self.keys("the profile", written, (
            "name", "version", "about", "verified", "currency", "account", "file", "dates", "amounts",
            "columns", "sides", "status", "preamble", "ends", "summary",
        ))  # fmt: skip
        name = self.typed(written, "name", str, "")
        if not _NAME.fullmatch(name):
            self.wrong.append("name: needs 1 to 40 of a-z 0-9 _ -")
        version = self.typed(written, "version", int, 0)
        if version < 1:
            self.wrong.append("version: needs a whole number from 1")
        currency = self.typed(written, "currency", str, "")
        if currency and not _CURRENCY.fullmatch(currency):
            self.wrong.append("currency: needs three capital letters")
        file = self._file(self.typed(written, "file", dict, {}))
        return Profile(
            name,
            version,
            text,
            about=self.typed(written, "about", str, ""),
            verified=cast("Verified", self.one_of(written, "verified", VERIFIED, "own")),
            currency=currency,
            account=self.typed(written, "account", str, ""),
            ends=self.texts(written, "ends"),
            **file,
            **self._spellings(written),
            **self._columns(self.typed(written, "columns", dict, {}), file["width"]),
            **self._words(written),
            preamble=self._preamble(self.typed(written, "preamble", dict, {})),
            summary=self._summary(self.typed(written, "summary", dict, {}), ends=bool(written.get("ends"))),
        )

    def _file(self, written: Mapping[str, Any]) -> dict[str, Any]:
        what = "[file]"
        self.keys(what, written, ("format", "encodings", "delimiters", "quote", "prefix", "width"))
        encodings = self.texts(written, "encodings", what) or ("utf-8",)
        for one in encodings:
            if one not in ENCODINGS:
                self.wrong.append(f"{what} encodings: {one!r} is not one of {', '.join(ENCODINGS)}")
        delimiters = self.texts(written, "delimiters", what) or (",",)
        if any(len(one) != 1 for one in delimiters):
            self.wrong.append(f"{what} delimiters: need one character each")
        width = self.typed(written, "width", int, 0, what)
        return {
            "format": self.one_of(written, "format", FORMATS, "delimited", what),
            "encodings": encodings,
            "delimiters": delimiters,
            "quote": self.one_of(written, "quote", ('"', "'", ""), '"', what),
            "prefix": self.typed(written, "prefix", str, "", what),
            "width": width,
        }

    def _spellings(self, written: Mapping[str, Any]) -> dict[str, Any]:
        dates, amounts = self.typed(written, "dates", dict, {}), self.typed(written, "amounts", dict, {})
        self.keys("[dates]", dates, ("formats",))
        self.keys("[amounts]", amounts, ("decimal", "thousands"))
        forms = self.texts(dates, "formats", "[dates]") or ("%Y-%m-%d",)
        decimal = self.one_of(amounts, "decimal", (".", ","), ".", "[amounts]")
        thousands = self.texts(amounts, "thousands", "[amounts]")
        if decimal in thousands:
            self.wrong.append("[amounts] thousands: holds the decimal mark")
        return {
            "date_formats": tuple(self.date_format(one, "[dates] formats") for one in forms),
            "decimal": decimal,
            "thousands": thousands,
        }

    def _columns(self, written: Mapping[str, Any], width: int) -> dict[str, Any]:
        what = "[columns]"
        self.keys(what, written, (*ROLES, "text", "ignored"))
        columns = {role: self._names(written, role, width) for role in ROLES if role in written}
        several = written.get("text", [])
        nested = several if isinstance(several, list) and all(isinstance(one, list) for one in several) else [several]
        texts = [self._names({"text": one}, "text", width) for one in nested if one != []]
        if "booked" not in columns:
            self.wrong.append(f"{what}: needs booked")
        if ("amount" in columns) == bool({"credit", "debit"} & columns.keys()):
            self.wrong.append(f"{what}: needs either amount, or credit and debit")
        if ("credit" in columns) != ("debit" in columns):
            self.wrong.append(f"{what}: credit and debit go together")
        return {
            "columns": MappingProxyType(columns),
            "texts": tuple(texts),
            "ignored": self.texts(written, "ignored", what),
        }

    def _names(self, written: Mapping[str, Any], key: str, width: int) -> tuple[str, ...]:
        value = written.get(key)
        if width:
            if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= width:
                return (str(value),)
            self.wrong.append(f"[columns] {key}: needs the column's number, from 1 to {width}")
            return ("1",)
        if isinstance(value, str) and value:
            return (value,)
        names = self.texts(written, key, "[columns]")
        if not names:
            self.wrong.append(f"[columns] {key}: needs what the bank calls it")
        return names

    def _words(self, written: Mapping[str, Any]) -> dict[str, Any]:
        sides, status = self.typed(written, "sides", dict, {}), self.typed(written, "status", dict, {})
        self.keys("[sides]", sides, ("credit", "debit"))
        self.keys("[status]", status, ("booked",))
        credit, debit = self.texts(sides, "credit", "[sides]"), self.texts(sides, "debit", "[sides]")
        has_side = "side" in self.typed(written, "columns", dict, {})
        if has_side != bool(credit and debit):
            self.wrong.append("[sides]: a column `side` needs the words for credit and debit, and they need the column")
        booked = self.texts(status, "booked", "[status]")
        if ("status" in self.typed(written, "columns", dict, {})) != bool(booked):
            self.wrong.append("[status]: a column `status` needs the words for booked, and they need the column")
        return {"credit_words": credit, "debit_words": debit, "booked_words": booked}

    def _summary(self, written: Mapping[str, Any], *, ends: bool) -> Mapping[str, int]:
        self.keys("[summary]", written, SUMMARY)
        found = {name: self.typed(written, name, int, 0, "[summary]") for name in SUMMARY if name in written}
        if any(number < 1 for number in found.values()) or (found and not ends):
            self.wrong.append("[summary]: needs the cells' numbers from 1, and `ends`, whose next line it is")
        return MappingProxyType(found)

    def _preamble(self, written: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
        self.keys("[preamble]", written, PREAMBLE)
        return MappingProxyType({name: self.texts(written, name, "[preamble]") for name in PREAMBLE if name in written})

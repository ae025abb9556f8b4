"""Mapping profiles: TOML that says which of a lender's columns is which of our fields, and how they are written.

The format is described in docs/reference/profiles.md. A profile is checked as a whole when it is loaded: a key that
is not known is an error with the nearest known one, never ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from connectors.portfolio.errors import ProfileInvalid, ProfileUnknown
from connectors.profiles import ENCODINGS, Words, file_text, listed, near, toml_of
from models import packaged
from models.intake.fields import ACCOUNT_FIELDS, IDENTITY, REQUIRED
from models.intake.readings import AmountForm
from models.intake.rules import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

SYNTHETIC: Final = ("name", "id_number", "phone", "email", "address")
"""The identity fields that a synthetic identity fills."""
Kind = Literal["column", "constant", "minus", "plus", "days_since", "months_to_dpd"]
_KINDS: Final = ("column", "constant", "minus", "plus", "days_since", "months_to_dpd")
_MAPPED: Final = ("map", "otherwise", "pattern", "at_least")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_COMPARISONS: Final = ("above", "at_least", "below", "at_most")


@dataclass(frozen=True)
class Expression:
    """How one field comes about.

    column: the first of `columns` that is filled, perhaps cut out by `pattern`, perhaps looked up in `map`.
    minus, plus: the first column less, or and, the others. days_since: days from the first filled date to the
    snapshot. months_to_dpd: thirty days for each month past due, 0 for none. at_least: raises whole numbers to it.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    constant: str = ""
    map: Mapping[str, str] | None = None
    otherwise: str | None = None
    pattern: str | None = None
    at_least: int | None = None


@dataclass(frozen=True)
class Condition:
    """Which lines of the source are meant: those whose column is one of `one_of`, or compares so."""

    column: str
    one_of: tuple[str, ...] = ()
    comparisons: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True)
class SourceOptions:
    """How the source is laid out. The first line after `skip_rows` is the header."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    skip_rows: int = 0
    trailer_rows: int = 0
    sheet: str = ""
    query: str = ""


@dataclass(frozen=True)
class Profile:
    """One checked profile."""

    name: str
    version: int
    columns: Mapping[str, Expression]
    about: str = ""
    source: SourceOptions = field(default_factory=SourceOptions)
    amounts: AmountForm = field(default_factory=AmountForm)
    date_format: str = "%Y-%m-%d"
    limits: Limits = field(default_factory=Limits)
    where: tuple[Condition, ...] = ()
    synthetic_identity: str = ""
    """the source's column that a made-up identity per line is derived from; empty: identities are real"""

    @property
    def reference(self) -> str:
        """`name@version`: what a portfolio remembers."""
        return f"{self.name}@{self.version}"

    @property
    def needed(self) -> tuple[str, ...]:
        """The source's columns that the profile reads, once each."""
        named = [name for expression in self.columns.values() for name in expression.columns]
        named += [condition.column for condition in self.where]
        return tuple(dict.fromkeys([*named, *([self.synthetic_identity] if self.synthetic_identity else [])]))

    @property
    def fields(self) -> tuple[str, ...]:
        """Our fields that an import through this profile fills, in canonical order."""
        made = set(SYNTHETIC) if self.synthetic_identity else set()
        return tuple(name for name in ACCOUNT_FIELDS if name in self.columns or name in made)


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Consign."""
    return packaged.names("connectors.portfolio", "profiles")


def shipped_text(name: str) -> str:
    """The profile of that name that comes with Consign, as it is written."""
    return packaged.text("connectors.portfolio", "profiles", name)


def load_profile(name_or_path: str) -> Profile:
    """The profile of that name that comes with Consign, or the one in that file (`….toml`).

    Raises ProfileUnknown for neither, ProfileInvalid with all that is wrong with it.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return parse_profile(file_text(path, ProfileUnknown, ProfileInvalid), where=path.name)
    if name_or_path not in shipped_profiles():
        told = near(name_or_path, shipped_profiles())
        raise ProfileUnknown(
            f"there is no profile {name_or_path!r}{told}",
            fix=f"use one of {', '.join(shipped_profiles())}, or the path of a .toml file",
        )
    return parse_profile(shipped_text(name_or_path), where=f"{name_or_path}.toml")


def parse_profile(text: str, where: str) -> Profile:
    """The profile written in `text`; `where` names it in messages. Raises ProfileInvalid with all that is wrong."""
    written, fault = toml_of(text)
    if fault:
        raise ProfileInvalid(f"{where} is not TOML: {fault}", fix="correct that line")
    reader = _Reader()
    profile = reader.profile(written)
    if reader.wrong or profile is None:
        raise ProfileInvalid(
            f"the profile {where} cannot be used:\n{listed(reader.wrong)}",
            fix="docs/reference/profiles.md has the format",
        )
    return profile


class _Reader(Words):
    """Reads a profile of a portfolio."""

    def profile(self, written: Mapping[str, Any]) -> Profile | None:
        self.keys("the profile", written, (
            "name", "version", "about", "date_format", "source", "columns", "amounts", "limits", "where",
            "synthetic_identity",
        ))  # fmt: skip
        name = self.typed(written, "name", str, "")
        if not _NAME.fullmatch(name):
            self.wrong.append("name: needs 1 to 40 of a-z 0-9 _ -")
        version = self.typed(written, "version", int, 0)
        if version < 1:
            self.wrong.append("version: needs a whole number from 1")
        synthetic = self._synthetic(written)
        columns = self._columns(self.typed(written, "columns", dict, {}), synthetic=bool(synthetic))
        profile_parts: dict[str, Any] = {
            "about": self.typed(written, "about", str, ""),
            "source": self._source(self.typed(written, "source", dict, {})),
            "amounts": self._amounts(self.typed(written, "amounts", dict, {})),
            "date_format": self.date_format(self.typed(written, "date_format", str, "%Y-%m-%d")),
            "limits": self._limits(self.typed(written, "limits", dict, {})),
            "where": self._where(self.typed(written, "where", dict, {})),
        }
        if self.wrong:
            return None
        return Profile(
            name=name, version=version, columns=MappingProxyType(columns), synthetic_identity=synthetic, **profile_parts
        )

    def _source(self, written: Mapping[str, Any]) -> SourceOptions:
        self.keys("[source]", written, SourceOptions.__dataclass_fields__)
        delimiter, quote = self.typed(written, "delimiter", str, ","), self.typed(written, "quote", str, '"')
        if len(delimiter) != 1 or len(quote) != 1 or delimiter == quote:
            self.wrong.append("[source] delimiter and quote: need one character each, and different ones")
        counts = {name: self.typed(written, name, int, 0) for name in ("skip_rows", "trailer_rows")}
        self.wrong += [f"[source] {name}: needs a number from 0" for name, count in counts.items() if count < 0]
        return SourceOptions(
            encoding=self.one_of(written, "encoding", ENCODINGS, "utf-8"),
            delimiter=delimiter,
            quote=quote,
            sheet=self.typed(written, "sheet", str, ""),
            query=self.typed(written, "query", str, ""),
            **counts,
        )

    def _amounts(self, written: Mapping[str, Any]) -> AmountForm:
        self.keys("[amounts]", written, AmountForm.__dataclass_fields__)
        chosen: dict[str, Any] = {
            "unit": self.one_of(written, "unit", ("major", "minor"), "major"),
            "decimal": self.one_of(written, "decimal", (".", ","), "."),
            "thousands": self.one_of(written, "thousands", ("", ",", ".", "'", " "), ""),
            "rounding": self.one_of(written, "rounding", ("", "half_up"), ""),
        }
        if chosen["decimal"] == chosen["thousands"]:
            self.wrong.append("[amounts] decimal and thousands: need different marks")
        return AmountForm(**chosen)

    def _limits(self, written: Mapping[str, Any]) -> Limits:
        self.keys("[limits]", written, Limits.__dataclass_fields__)
        read: dict[str, Any] = {}
        for name in ("min_balance", "max_balance"):
            if name in written:
                read[name] = self.decimal(f"[limits] {name}", written[name])
        if "lost_digits" in written:
            read["lost_digits"] = self.typed(written, "lost_digits", bool, True)  # noqa: FBT003 - the default of a key
        return Limits(**read)

    def _where(self, written: Mapping[str, Any]) -> tuple[Condition, ...]:
        conditions = []
        for column, meant in written.items():
            what = f"[where] {column}"
            if isinstance(meant, list) and meant and all(isinstance(one, str) for one in meant):
                conditions.append(Condition(column, one_of=tuple(meant)))
            elif isinstance(meant, dict) and meant:
                self.keys(what, meant, _COMPARISONS)
                limits = tuple((word, self.decimal(f"{what} {word}", bound)) for word, bound in meant.items())
                conditions.append(Condition(column, comparisons=limits))
            else:
                self.wrong.append(f"{what}: needs a list of texts, or a table of {', '.join(_COMPARISONS)}")
        return tuple(conditions)

    def _synthetic(self, written: Mapping[str, Any]) -> str:
        if "synthetic_identity" not in written:
            return ""
        table = self.typed(written, "synthetic_identity", dict, {})
        self.keys("[synthetic_identity]", table, ("from",))
        column = self.typed(table, "from", str, "")
        if not column:
            self.wrong.append("[synthetic_identity] from: needs the column that tells the lines apart")
        return str(column)

    def _columns(self, written: Mapping[str, Any], *, synthetic: bool) -> dict[str, Expression]:
        self.keys("[columns]", written, ACCOUNT_FIELDS)
        for name in REQUIRED:
            if name not in written:
                self.wrong.append(f"[columns] {name}: is required; map a column, or give it a constant")
        if synthetic:
            for name in sorted(set(written) & (set(IDENTITY) - {"account_ref"})):
                self.wrong.append(f"[columns] {name}: identities are synthetic here; map no real one beside them")
        read = {}
        for name, meant in written.items():
            if name in ACCOUNT_FIELDS:
                expression = self._expression(f"[columns] {name}", meant, ACCOUNT_FIELDS[name].type)
                if expression is not None:
                    read[name] = expression
        return read

    def _expression(self, what: str, meant: object, type_: str) -> Expression | None:
        if isinstance(meant, str):
            meant = {"column": meant}
        if not isinstance(meant, dict):
            self.wrong.append(f"{what}: needs the name of a column, or a table")
            return None
        self.keys(what, meant, (*_KINDS, *_MAPPED))
        kinds = [kind for kind in _KINDS if kind in meant]
        if len(kinds) != 1:
            self.wrong.append(f"{what}: needs exactly one of {', '.join(_KINDS)}")
            return None
        kind = kinds[0]
        if kind == "constant":
            return self._constant(what, meant)
        columns = meant[kind]
        named = (columns,) if isinstance(columns, str) else tuple(columns) if isinstance(columns, list) else ()
        if not named or not all(isinstance(one, str) and one for one in named):
            self.wrong.append(f"{what}: {kind} needs the name of a column, or a list of them")
            return None
        self._fits(what, kind, type_, meant, named)
        return self._of_columns(what, kind, named, meant)

    def _constant(self, what: str, meant: Mapping[str, Any]) -> Expression | None:
        if len(meant) != 1 or not isinstance(meant["constant"], str) or not meant["constant"]:
            self.wrong.append(f"{what}: a constant is a text in quotes and stands alone")
            return None
        return Expression("constant", constant=meant["constant"])

    def _fits(self, what: str, kind: str, type_: str, meant: Mapping[str, Any], named: tuple[str, ...]) -> None:
        rules: tuple[tuple[bool, str], ...] = (
            (kind in {"minus", "plus"} and type_ != "amount", f"{kind} makes an amount, and this is none"),
            (kind in {"minus", "plus"} and len(named) < 2, f"{kind} needs two columns or more"),  # noqa: PLR2004 - as it says
            (kind in {"days_since", "months_to_dpd"} and type_ != "integer", f"{kind} makes a number of days"),
            ("at_least" in meant and type_ != "integer", "at_least is for whole numbers"),
            (kind != "column" and bool({"map", "otherwise", "pattern"} & set(meant)), "map and pattern go with column"),
            ("otherwise" in meant and "map" not in meant, "otherwise goes with map"),
        )
        self.wrong += [f"{what}: {why}" for broken, why in rules if broken]

    def _of_columns(self, what: str, kind: str, named: tuple[str, ...], meant: Mapping[str, Any]) -> Expression:
        table: dict[str, Any] = self.typed(meant, "map", dict, {})
        if not all(isinstance(one, str) for one in table.values()):
            self.wrong.append(f"{what}: map needs a table of texts")
        pattern = meant.get("pattern")
        if pattern is not None:
            pattern = self._pattern(what, pattern)
        at_least = self.typed(meant, "at_least", int, 0) if "at_least" in meant else None
        otherwise = self.typed(meant, "otherwise", str, "") if "otherwise" in meant else None
        return Expression(
            kind=cast("Kind", kind),
            columns=named,
            map=MappingProxyType(table) if "map" in meant else None,
            otherwise=otherwise,
            pattern=pattern,
            at_least=at_least,
        )

    def _pattern(self, what: str, pattern: object) -> str | None:
        try:
            if isinstance(pattern, str) and re.compile(pattern).groups == 1:
                return pattern
        except re.error:
            pass
        self.wrong.append(f"{what}: pattern needs a regular expression with exactly one group: what to keep")
        return None

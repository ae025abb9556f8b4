"""A report before it is written in a language: sections of rows, and open points; no debtor's values in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

Cell = str | int | bool | date | datetime | Sequence[str] | None


def _written(value: Cell) -> object:
    """A cell in JSON, so that it comes back as it went: days, instants and tuples told apart from texts and lists."""
    if isinstance(value, date):
        return {"at" if isinstance(value, datetime) else "day": value.isoformat()}
    return {"of": value} if isinstance(value, tuple) else value


def _read(value: object) -> object:
    match value:
        case {"at": str(text)}:
            return datetime.fromisoformat(text)
        case {"day": str(text)}:
            return date.fromisoformat(text)
        case {"of": [*texts]}:
            return tuple(texts)
    return value


Row = Mapping[str, Annotated[Cell, PlainValidator(_read), PlainSerializer(_written)]]


@dataclass(frozen=True)
class Section:
    """A heading (a word of words/*.toml), its rows, and the order of their columns."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Point:
    """Something that a person must settle before the report is signed: a sentence of words/*.toml and its blanks."""

    code: str
    told: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A draft: what it is about, when and by whom it was made, and the audit head that fixes what it rests on."""

    kind: str
    """impact | processing | agencies | breach"""
    made_at: datetime
    made_by: str
    audit_head: str
    audit_root: str
    scope: Row
    sections: tuple[Section, ...]
    points: tuple[Point, ...] = ()
    main: str = ""
    """the section that is the report's table, for CSV"""

    def section(self, name: str) -> Section:
        """The section of that name."""
        return next(one for one in self.sections if one.name == name)

"""Reading a release policy's file: every word of it must be asked for, and every treatment make sense for its field."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from models.errors import ConfigurationError
from models.kinds import PLACEMENT_FIELDS
from models.treatments import DATES, IDENTITY, PSEUDONYMS, REGION_DIGITS, Treatment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,19}")
NARROWEST: Final = MappingProxyType({"amount": 100, "integer": 2})
"""Bands are so wide at least: one of a single number, or of a few units of the currency, would be the value."""
AGENCY: Final = re.compile(r"[a-z0-9-]{2,20}")


class PolicyInvalid(ConfigurationError):
    """The policy file does not say what may leave in a way that can be enforced, or says more than the law lets it."""


class Table:
    """A table of the file whose every key must be asked for: a word that nobody asks for is a mistake."""

    def __init__(self, where: str, raw: object) -> None:
        if not isinstance(raw, dict):
            raise PolicyInvalid(f"{where} is not a table")
        self.where = where
        self.raw: dict[str, Any] = dict(raw)
        self.named = frozenset(raw)

    def take(self, key: str, kind: type, default: object = ...) -> Any:
        """The value of that type, which nobody else gets; PolicyInvalid where it is missing and there is no default."""
        value = self.raw.pop(key, default)
        if value is ...:
            raise PolicyInvalid(f"{self.where}: {key} is missing")
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            raise PolicyInvalid(f"{self.where}: {key} is of the wrong type")
        return value

    def text(self, key: str, default: object = ...) -> str:
        """A text without spaces around it, and not empty."""
        value = str(self.take(key, str, default)).strip()
        if default is ... and not value:
            raise PolicyInvalid(f"{self.where}: {key} is empty")
        return value

    def word(self, key: str, form: re.Pattern[str]) -> str:
        """A text of that form."""
        value = self.text(key)
        if not form.fullmatch(value):
            raise PolicyInvalid(f"{self.where}: {key} {value!r} is not of the form {form.pattern}")
        return value

    def codes(self, key: str) -> tuple[str, ...]:
        """The codes of agencies; none where the key is not there."""
        values = self.take(key, list, [])
        if key in self.named and not values:
            raise PolicyInvalid(f"{self.where}: {key} names nobody", fix="leave it out, if all are meant")
        if len(set(map(str, values))) < len(values) or not all(
            isinstance(v, str) and AGENCY.fullmatch(v) for v in values
        ):
            raise PolicyInvalid(f"{self.where}: {key} must name agencies by their codes, each once")
        return tuple(values)

    def number(self, key: str, default: object = ...) -> int:
        """A whole number, 0 or more."""
        value: int = self.take(key, int, default)
        if value is not default and value < 0:
            raise PolicyInvalid(f"{self.where}: {key} is negative")
        return value

    def words(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """Some of the allowed words, at least one, each once."""
        values = self.take(key, list)
        if not values or len(set(map(str, values))) < len(values) or (wrong := [v for v in values if v not in allowed]):
            detail = f" not {', '.join(map(repr, wrong))}" if values and wrong else ""
            raise PolicyInvalid(f"{self.where}: {key} must name some of {', '.join(allowed)}, each once{detail}")
        return tuple(values)

    def table(self, key: str) -> dict[str, Any]:
        """A table, as it is."""
        return dict(self.take(key, dict))

    def tables(self, key: str) -> list[Any]:
        """A list of tables, as they are."""
        return list(self.take(key, list))

    def one_of(self, key: str, allowed: Sequence[str], default: object = ...) -> str:
        """One of the allowed words."""
        value = self.text(key, default)
        if value not in allowed and value != default:
            raise PolicyInvalid(f"{self.where}: {key} must be one of {', '.join(allowed)}")
        return value

    def nothing_else(self) -> None:
        """Raises PolicyInvalid for words that nobody asked for."""
        if self.raw:
            raise PolicyInvalid(f"{self.where}: unknown {', '.join(sorted(map(repr, self.raw)))}")


def treatment(name: str, where: str, raw: object) -> Treatment:
    """How the field leaves, as the file says it at that place. Raises PolicyInvalid for what makes no sense for it."""
    if name in PSEUDONYMS:
        raise PolicyInvalid(f"{where}: pseudonyms always leave; a policy does not name them")
    if name not in PLACEMENT_FIELDS:
        raise PolicyInvalid(f"{where}: a placement has no such field", fix="docs/reference/policies.md lists them")
    table = Table(where, {"how": raw} if isinstance(raw, str) else raw)
    how = table.one_of("how", _possible(name))
    reader: Callable[[str, Table], Treatment] = _READERS.get(how, lambda _, __: Treatment(how))
    read = replace(reader(name, table), because=table.text("because", ""))
    table.nothing_else()
    return read


def _possible(name: str) -> tuple[str, ...]:
    """The treatments that make sense for the field, so that none passes a value through unchanged by accident."""
    if name in IDENTITY:
        return ("release", "mask", "drop")
    if name in DATES:
        return ("release", "month", "year", "drop")
    if name == "region":
        return ("release", "coarsen", "drop")
    if PLACEMENT_FIELDS[name].type in {"amount", "integer"}:
        return ("release", "band", "drop")
    return ("release", "drop")


def _read_mask(_name: str, table: Table) -> Treatment:
    return Treatment("mask", first=table.number("first", 0), last=table.number("last", 0))


def _read_coarsen(_name: str, table: Table) -> Treatment:
    return Treatment("coarsen", to=table.one_of("to", tuple(REGION_DIGITS)))


def _read_band(name: str, table: Table) -> Treatment:
    given = table.take("edges", list)
    try:
        edges = tuple(Decimal(str(edge)) for edge in given)
    except InvalidOperation:
        raise PolicyInvalid(f"{table.where}: an edge is not a number") from None
    whole = [edge.is_finite() and edge == edge.to_integral_value() and abs(edge) < 10**12 for edge in edges]
    least = NARROWEST["amount" if PLACEMENT_FIELDS[name].type == "amount" else "integer"]
    if not edges or not all(whole) or any(high - low < least for low, high in pairwise(edges)):
        raise PolicyInvalid(f"{table.where}: edges must be whole {_unit(name)}, rising by {least} at least")
    labels = tuple(map(str, table.take("labels", list, _labels(edges))))
    if len(labels) != len(edges) + 1 or len(set(labels)) < len(labels):
        raise PolicyInvalid(f"{table.where}: {len(edges)} edges need {len(edges) + 1} different labels")
    return Treatment("band", edges=edges, labels=labels)


def _unit(name: str) -> str:
    return "units of the currency" if PLACEMENT_FIELDS[name].type == "amount" else "numbers"


def _labels(edges: Sequence[Decimal]) -> list[str]:
    names = [f"{edge:f}" for edge in edges]
    between = [f"{low} to under {high}" for low, high in pairwise(names)]
    return [f"under {names[0]}", *between, f"{names[-1]} and over"]


_READERS: Final[Mapping[str, Callable[[str, Table], Treatment]]] = MappingProxyType(
    {
        "mask": _read_mask,
        "band": _read_band,
        "coarsen": _read_coarsen,
    }
)

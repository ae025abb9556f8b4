"""Reading a table of a rules file strictly: a key that nobody asks for is a mistake, and the message names it."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.errors import ConfigurationError

LENDER: Final = re.compile(r"[a-z0-9-]{2,20}")
CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9()./_-]{1,39}")


AT_LINE: Final = re.compile(r"\(at line (\d+),")
IN_TABLE: Final = re.compile(r"([a-z_]+) (\d+)\b")
QUOTED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")


def line_of(text: str, message: str) -> int | None:
    """The line of the file that a fault's message means, from 1 on; None where it names none.

    A message names a place (`at line 3`), a table by its number (`rule 2 (visit): ...`), or a table by its own words
    (`stage phone`, `rule visit`). Within the table it is the line whose key the message names, else its first one.
    """
    if found := AT_LINE.search(message):
        return int(found[1])
    lines = text.splitlines()
    begin, end = _table_of(lines, message)
    words = set(QUOTED.findall(message)[1:])  # the first one is what sort of table it is
    named = (
        number for number in range(begin, end)
        if "=" in lines[number] and lines[number].partition("=")[0].strip() in words
    )  # fmt: skip
    found_at = next(named, begin or None)
    return None if found_at is None else found_at + 1


def _table_of(lines: list[str], message: str) -> tuple[int, int]:
    """From which line to before which the table lies that the message names; what is before all tables otherwise."""
    heads = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    ends = [*heads, len(lines)][1:]
    count: dict[str, int] = {}
    for begin, end in zip(heads, ends, strict=True):
        kind = lines[begin].split("]", maxsplit=1)[0].strip("[ ")
        count[kind] = count.get(kind, 0) + 1
        by_number = IN_TABLE.match(message)
        if by_number is not None:
            if by_number[1] == kind and int(by_number[2]) == count[kind]:
                return begin, end
        elif message.startswith(f"{kind}:") or any(_says(line, kind, message) for line in lines[begin:end]):
            return begin, end
    return 0, heads[0] if heads else len(lines)


def _says(line: str, kind: str, message: str) -> bool:
    """Whether the line gives the table the name that the message has: `id = "visit"` for `rule visit is never ...`."""
    key, _, value = line.partition("=")
    told = value.split("#", maxsplit=1)[0].strip().strip("\"'")
    if not told or key.strip() not in {"id", "stage", "to"}:
        return False
    return f"{kind} {told}" in message or (kind == "rule" and f"leads to {told}" in message)


class Table:
    """A table of the file. `fault`: what is raised of it, made from a message and, where there is one, a `fix`."""

    def __init__(self, where: str, raw: object, fault: Callable[..., ConfigurationError]) -> None:
        self.fault = fault
        if not isinstance(raw, dict):
            raise fault(f"{where} is not a table")
        self.where = where
        self.raw: dict[str, Any] = dict(raw)

    def take(self, key: str, kind: type | tuple[type, ...], default: object = ...) -> Any:
        """The value under the key, which is asked for no more. Raises the fault for a missing or ill-typed one."""
        value = self.raw.pop(key, default)
        if value is ...:
            raise self.fault(f"{self.where}: {key} is missing")
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            raise self.fault(f"{self.where}: {key} is of the wrong type")
        return value

    def text(self, key: str, default: object = ...) -> str:
        """The text under the key, without its margins."""
        value = str(self.take(key, str, default)).strip()
        if default is ... and not value:
            raise self.fault(f"{self.where}: {key} is empty")
        return value

    def one_of(self, key: str, allowed: tuple[str, ...], default: object = ...) -> Any:
        """The text under the key, one of those allowed."""
        value = self.text(key, default)
        if value not in allowed:
            fix = f"use one of {', '.join(filter(None, allowed))}"
            raise self.fault(f"{self.where}: {key} is {value!r}, which it cannot be", fix=fix)
        return value

    def formed(self, key: str, form: re.Pattern[str]) -> str:
        """The text under the key, of that form."""
        value = self.text(key)
        if not form.fullmatch(value):
            raise self.fault(f"{self.where}: {key} {value!r} is not of the form {form.pattern}")
        return value

    def yes(self, key: str, *, default: bool = False) -> bool:
        """Whether the key says yes."""
        value = self.raw.pop(key, default)
        if not isinstance(value, bool):
            raise self.fault(f"{self.where}: {key} must be true or false")
        return value

    def decimal(self, key: str) -> Decimal:
        """The number under the key, 0 or more; decimals are best written as text."""
        try:
            number = Decimal(self.take(key, (int, str, Decimal)))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number < 0:
            raise self.fault(f"{self.where}: {key} is no number from 0 on", fix=f'for example {key} = "1000"')
        return number

    def lenders(self) -> tuple[str, ...]:
        """The lenders' codes under `lenders`; none without it."""
        codes = self.words("lenders")
        if wrong := [one for one in codes if not LENDER.fullmatch(one)]:
            raise self.fault(f"{self.where}: {wrong[0]!r} is no lender's code")
        return codes

    def number(self, key: str, default: object = ..., *, least: int = 0) -> Any:
        """The whole number under the key, `least` or more."""
        value = self.take(key, int, default)
        if value is not default and value < least:
            raise self.fault(f"{self.where}: {key} is below {least}")
        return value

    def day(self, key: str) -> date | None:
        """The date under the key; None without it."""
        value: date | None = self.take(key, date, None)
        return value

    def clock(self, key: str) -> time | None:
        """The time of day under the key; None without it."""
        value: time | None = self.take(key, time, None)
        return value

    def words(self, key: str, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The list of texts under the key; none without it."""
        values = self.take(key, list, [])
        if not all(isinstance(value, str) for value in values) or (allowed and set(values) - set(allowed)):
            only = f"use some of {', '.join(allowed)}" if allowed else "give a list of words"
            raise self.fault(f"{self.where}: {key} holds something else than it may", fix=only)
        return tuple(values)

    def tables(self, key: str, *, least: int = 1) -> list[Table]:
        """The tables of the array under the key, `least` or more."""
        given = self.take(key, list, [])
        if len(given) < least:
            raise self.fault(f"{self.where}: there is no [[{key}]]")
        return [Table(f"{key} {number}", raw, self.fault) for number, raw in enumerate(given, 1)]

    def named(self, key: str) -> str:
        """The value under the key, which names the table in messages from now on."""
        value = self.text(key)
        if not CODE.fullmatch(value):
            raise self.fault(f"{self.where}: {key} is no code")
        self.where = f"{self.where} ({value})"
        return value

    def nothing_else(self) -> None:
        """Raise the fault if the table holds a key that nobody has asked for."""
        if self.raw:
            raise self.fault(f"{self.where}: unknown {', '.join(sorted(self.raw))}")

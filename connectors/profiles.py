"""What every mapping profile has in common: TOML that is checked as a whole, and words that mean the same in each.

Portfolios (connectors/portfolio) and agencies' files (connectors/layouts) have profiles of their own; a person who has
written one can read the other. A key that is not known is an error with the nearest known one, never ignored.
"""

from __future__ import annotations

import difflib
import tomllib
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from connectors.errors import ConnectorError

ENCODINGS: Final = (
    "utf-8", "utf-8-sig", "gb18030", "gbk", "gb2312", "big5", "cp1252", "iso-8859-1", "iso-8859-15", "cp950", "utf-16",
)  # fmt: skip
T = TypeVar("T", str, int, bool, dict[str, Any], list[Any])
_WORDS: Final[dict[type, str]] = {
    str: "text in quotes",
    int: "a whole number",
    dict: "a table",
    list: "a list",
    bool: "true or false",
}


def near(name: str, known: Iterable[str]) -> str:
    """` (near: …)` with the known names spelled most alike; empty where there are none."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" (near: {', '.join(close)})" if close else ""


def file_text(path: Path, unknown: type[ConnectorError], invalid: type[ConnectorError]) -> str:
    """The profile in a file. Raises `unknown` where there is none, `invalid` where it is not UTF-8."""
    if not path.is_file():
        raise unknown(f"there is no profile at {path}", fix="check the path")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise invalid(f"{path.name} is not UTF-8", fix="save the profile as UTF-8") from None


def listed(wrong: Iterable[str]) -> str:
    """What is wrong, one to a line."""
    return "\n".join(f"  - {one}" for one in wrong)


def toml_of(text: str) -> tuple[dict[str, Any], str]:
    """What the TOML says, and an empty text; or nothing, and why it is no TOML."""
    try:
        return tomllib.loads(text), ""
    except ValueError as fault:  # TOMLDecodeError, and numbers of thousands of digits
        return {}, str(fault)
    except RecursionError:
        return {}, "it is nested too deeply"


class Words:
    """Reads a profile's keys and collects all that is wrong, so that it is mended once."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def keys(self, what: str, written: Mapping[str, Any], known: Iterable[str]) -> None:
        """Note the keys that nobody knows."""
        known = tuple(known)
        for key in written:
            if key not in known:
                told = near(key, known) or f"; known: {', '.join(known)}"
                self.wrong.append(f"{what}: unknown key {key!r}{told}")

    def typed(self, written: Mapping[str, Any], key: str, kind: type[T], default: T, what: str = "") -> T:
        """The key's value, of that type; the default where it is missing, and, with a note, where it is not."""
        value = written.get(key, default)
        if isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
            return value
        self.wrong.append(f"{f'{what} ' if what else ''}{key}: needs {_WORDS[kind]}")
        return default

    def one_of(self, written: Mapping[str, Any], key: str, known: tuple[str, ...], default: str, what: str = "") -> str:
        """The key's value, one of the known; the default where it is missing, and, with a note, where it is not."""
        value = self.typed(written, key, str, default, what)
        if value not in known:
            named = f"{what} {key}" if what else key
            self.wrong.append(f"{named}: {value!r} is not one of {', '.join(repr(one) for one in known)}")
            return default
        return str(value)

    def texts(self, written: Mapping[str, Any], key: str, what: str = "") -> tuple[str, ...]:
        """A list of texts that are not empty; none where the key is missing, and, with a note, where it is not."""
        value = written.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        self.wrong.append(f"{f'{what} ' if what else ''}{key}: needs a list of texts")
        return ()

    def decimal(self, what: str, value: object) -> Decimal:
        """An exact number; 0, with a note, where it is none."""
        try:
            if isinstance(value, int | str) and not isinstance(value, bool):
                return Decimal(value)
        except InvalidOperation:
            pass
        self.wrong.append(f'{what}: needs a whole number, or a decimal in quotes ("0.01")')
        return Decimal(0)

    def date_format(self, form: str, key: str = "date_format") -> str:
        """The form, noted where a day written in it cannot be read back."""
        day = datetime(2026, 11, 23)  # noqa: DTZ001 - a day without an instant: only its spelling counts
        try:
            known = datetime.strptime(day.strftime(form), form).date() == day.date()  # noqa: DTZ007 - likewise
        except ValueError:
            known = False
        if not known:
            self.wrong.append(f"{key}: {form!r} does not hold a year, a month and a day (example: %Y-%m-%d)")
        return form

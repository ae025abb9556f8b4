"""English and 中文: sentences from the catalogues in locale/zh, money, days and instants as each language writes them.

A sentence is its own key, in English, marked by `_()` in a page and by `_()` or `later()` in Python. Each area keeps a
catalogue of its own (locale/zh/<area>.po); all are read into one.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol, get_group_symbol

from console.web import bilingual
from console.web.wording import Wording
from infra.scorecards.language import MISSING
from infra.scorecards.language import language as figures_of
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LANGUAGES: Final = ("en", "zh")
NAMES: Final = {"en": "English", "zh": "中文"}
ZONE: Final = ZoneInfo("Asia/Shanghai")
"""Where the lender is, as `Desk.today` has it."""
ISO: Final = re.compile(r"\d{4}-[01]\d-[0-3]\d(T[0-2]\d:[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?", re.ASCII)
"""A day, or an instant with its zone, as JSON has it."""
_DAY: Final = {"en": "d MMM y", "zh": "y年M月d日"}


def later(sentence: str) -> str:
    """The sentence, marked for the catalogues where it is written; `Say` translates it where it is shown."""
    return sentence


class Say:
    """Says things in one language. What is missing is a dash, never a zero."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tag = {"en": "en", "zh": "zh-Hans"}[code]
        self._figures = figures_of(code)
        self._told = _catalogue(catalogues()) if code == "zh" else {}
        locale = self._figures.locale
        self._is_plain = (get_group_symbol(locale), get_decimal_symbol(locale)) == (",", ".")

    def __call__(self, sentence: str, **blanks: object) -> str:
        """The sentence in this language with its blanks filled: `_("%(count)s breaks", count=3)`."""
        told = self._told.get(sentence, sentence)
        return told % blanks if blanks else told

    def plural(self, one: str, many: str, count: int) -> str:
        """The sentence for one, or for many, with its blanks; 中文 has one form."""
        return self._told.get(one, one if count == 1 else many)

    def explained(self, error: object) -> str:
        """What an error says, or its `fix`, by console.web.wording; English where nothing is known of it."""
        return _explained(str(error)) if self.code == "zh" else str(error)

    def pair(self, words: Sequence[str]) -> str:
        """One of (English, 中文), as the tables of `models` have their words."""
        return words[LANGUAGES.index(self.code)]

    def money(self, minor: int | None, currency: str) -> str:
        """38,204,110.20, exactly."""
        if minor is None or not self._is_plain:
            return self._figures.money(minor, currency)
        digits = exponent(currency)  # a list has hundreds of amounts, and Babel takes a tenth of a millisecond for each
        whole, part = divmod(abs(minor), 10**digits)
        return f"{'-' if minor < 0 else ''}{whole:,}" + (f".{part:0{digits}d}" if digits else "")

    def number(self, value: float | None, digits: int = 0) -> str:
        """12,345.67 with so many digits."""
        if isinstance(value, int) and not digits and self._is_plain:
            return f"{value:,}"
        return self._figures.number(value, digits)

    def percent(self, value: float | None, digits: int = 0) -> str:
        """12.3%."""
        return self._figures.percent(value, digits)

    def day(self, day: date | None) -> str:
        """22 Nov 2026."""
        return MISSING if day is None else _day(self.code, day.year, day.month, day.day)

    def instant(self, at: datetime | None) -> str:
        """22 Nov 2026 01:15, where the lender is."""
        if at is None:
            return MISSING
        here = at.astimezone(ZONE)
        return f"{_day(self.code, here.year, here.month, here.day)} {here:%H:%M}"

    def noted(self, value: object) -> str:
        """What was noted beside an event or exception; a day or an instant in ISO form as this language writes it."""
        if value is None:
            return MISSING
        if isinstance(value, bool):
            return self("yes") if value else self("no")
        if isinstance(value, list):
            return ", ".join(map(self.noted, value)) or MISSING
        text = str(value)
        try:
            at = datetime.fromisoformat(text) if ISO.fullmatch(text) else None
        except ValueError:  # no such day: whatever it is, it is told as it is
            at = None
        if at is None:
            return text
        return self.day(at) if len(text) == len("2026-11-22") else self.instant(at)


@lru_cache(maxsize=4_000)
def _day(code: str, year: int, month: int, day: int) -> str:
    """The day in words; a list says the same few again and again."""
    return format_date(date(year, month, day), _DAY[code], figures_of(code).locale)


@cache
def say(code: str) -> Say:
    """The language of that code, read once."""
    return Say(code)


def chosen(cookie: str | None, accepted: str) -> str:
    """The language of a browser: what was chosen, else what it asks for first, else English.

    accepted: the header Accept-Language.
    """
    if cookie in LANGUAGES:
        return str(cookie)
    first = accepted.split(",", maxsplit=1)[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"


ERRORS: Final = "errors-"
"""How the names of catalogues begin that hold templates of errors."""


@cache
def catalogues() -> Mapping[str, Any]:
    """Every area's catalogue, by the area's name (babel's Catalog)."""
    return _read(of_errors=False)


@cache
def errors() -> Mapping[str, Any]:
    """The catalogues of what errors say, by the package's name."""
    return _read(of_errors=True)


@lru_cache(maxsize=2_000)
def _explained(sentence: str) -> str:
    """In 中文; a list says the same few again and again."""
    return _wording().told(sentence)


@cache
def _wording() -> Wording:
    return Wording({**bilingual.pairs(), **_catalogue(errors())})


def _read(*, of_errors: bool) -> dict[str, Any]:
    found = {}
    for file in (files("console.web") / "locale" / "zh").iterdir():
        if file.name.endswith(".po") and file.name.startswith(ERRORS) == of_errors:
            with file.open("rb") as opened:
                found[file.name.removeprefix(ERRORS).removesuffix(".po")] = read_po(opened, locale="zh_Hans")
    return found


def _catalogue(read: Mapping[str, Any]) -> dict[str, str]:
    """All of them in one: the sentence in English, and in 中文; what nobody translated or looked at is left out."""
    return {
        message.id if isinstance(message.id, str) else message.id[0]: (
            message.string if isinstance(message.string, str) else message.string[0]
        )
        for one in read.values()
        for message in one
        if message.id and message.string and not message.fuzzy
    }

"""The two languages of the pages: sentences from TOML beside this module, numbers and days by Babel."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent

from models.money import exponent

if TYPE_CHECKING:
    from datetime import date, datetime

LANGUAGES = ("en", "zh")
MISSING = "–"


class Language:
    """Says things in one language; a figure that is None is a dash, never a zero."""

    def __init__(self, code: str) -> None:
        told = tomllib.loads(files("infra.scorecards").joinpath("words", f"{code}.toml").read_text("utf-8"))
        self.code = code
        self.tag = {"en": "en", "zh": "zh-Hans"}[code]
        self.locale = Locale.parse(told["locale"])
        self.words: dict[str, str] = {
            f"{section}.{key}" if isinstance(entries, dict) else section: text
            for section, entries in told.items()
            for key, text in (entries.items() if isinstance(entries, dict) else (("", entries),))
        }

    def __call__(self, key: str, **told: object) -> str:
        """The sentence of that key with its blanks filled."""
        return self.words[key].format(**told)

    def number(self, value: float | None, digits: int = 0) -> str:
        """12,345.67 with so many digits; adding zero turns a negative zero into none."""
        if value is None:
            return MISSING
        return format_decimal(round(value, digits) + 0.0, _pattern("#,##0", digits), locale=self.locale)

    def percent(self, value: float | None, digits: int = 0) -> str:
        """12.3%."""
        if value is None:
            return MISSING
        return format_percent(round(value, digits + 2) + 0.0, _pattern("#,##0", digits) + "%", locale=self.locale)

    def chance(self, value: float | None) -> str:
        """A probability, never rounded to certainty."""
        if value is None:
            return MISSING
        if 0 < value < 0.01:  # noqa: PLR2004 - one in a hundred
            return "<" + self.percent(0.01)
        if 0.99 < value < 1:  # noqa: PLR2004 - all but one in a hundred
            return ">" + self.percent(0.99)
        return self.percent(value)

    def money(self, minor: int | None, currency: str) -> str:
        """38,204,110.20, exactly."""
        if minor is None:
            return MISSING
        digits = exponent(currency)
        return format_decimal(Decimal(minor).scaleb(-digits), _pattern("#,##0", digits), locale=self.locale)

    def day(self, day: date) -> str:
        """22 Nov 2026."""
        return format_date(day, "medium", locale=self.locale)

    def moment(self, moment: datetime) -> str:
        """22 Nov 2026, 01:15 UTC."""
        pattern = {"en": "d MMM y HH:mm", "zh": "y年M月d日 HH:mm"}[self.code]
        return f"{format_datetime(moment, pattern, locale=self.locale)} UTC"


@cache
def language(code: str) -> Language:
    """The language of that code, read once."""
    return Language(code)


def _pattern(whole: str, digits: int) -> str:
    return f"{whole}.{'0' * digits}" if digits else whole

"""Cron, told to people: when something runs, in English and 中文, and the next times that it will.

Five fields: minute, hour, day of the month, month, day of the week. What is too odd for a sentence is told as it is
written; that is still what runs.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from models.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

FIELDS: Final = 5
EVERY: Final = "*"
DAYS: Final = (
    ("Sunday", "日"), ("Monday", "一"), ("Tuesday", "二"), ("Wednesday", "三"), ("Thursday", "四"), ("Friday", "五"),
    ("Saturday", "六"), ("Sunday", "日"),
)  # fmt: skip
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS: Final = "1-5"
TEENS: Final = range(11, 14)

Pair = tuple[str, str]


class CronInvalid(UsageError):
    """That is no cron expression."""


def next_runs(cron: str, after: datetime, count: int = 3) -> list[datetime]:
    """The next times, in the zone of `after`, which they come after. Raises CronInvalid."""
    try:
        return list(islice(CronSim(cron, after), count))
    except CronSimError as error:
        raise CronInvalid(f"{cron!r} is no cron expression", fix="five fields, as in 0 6 * * *") from error


def in_words(cron: str) -> Pair:
    """When it runs, in English and 中文. Raises CronInvalid."""
    fields = cron.split()
    if len(fields) != FIELDS:
        raise CronInvalid(f"{cron!r} is no cron expression", fix="five fields, as in 0 6 * * *")
    minute, hour, day, month, weekday = fields
    days = _days(day, month, weekday)
    if days is None:
        return cron, cron
    often = _often(minute, hour)
    if often is not None:
        return (often[0], often[1]) if days == ALWAYS else (f"{often[0]}, {days[0]}", f"{days[1]}{often[1]}")
    times = _times(minute, hour)
    return (cron, cron) if times is None else (f"{days[0]} at {times[0]}", f"{days[1]} {times[1]}")


ALWAYS: Final = ("every day", "每天")


def _days(day: str, month: str, weekday: str) -> Pair | None:
    if (day, month, weekday) == (EVERY, EVERY, EVERY):
        return ALWAYS
    if (day, month) == (EVERY, EVERY):
        return _weekdays(weekday)
    return _dates(day, month) if weekday == EVERY else None


def _weekdays(field: str) -> Pair | None:
    if field == WEEKDAYS:
        return "every weekday", "每个工作日"
    numbers = _numbers(field)
    if numbers is None or max(numbers) >= len(DAYS):
        return None
    named = _listed([DAYS[number][0] for number in numbers])
    return f"every {named}", "每周" + "、".join(DAYS[number][1] for number in numbers)


def _dates(day: str, month: str) -> Pair | None:
    numbers = _numbers(day)
    if numbers is None:
        return None
    told = "the " + _listed([f"{number}{_ending(number)}" for number in numbers])
    numbered = "、".join(f"{number} 日" for number in numbers)
    if month == EVERY:
        return f"{told} of every month", f"每月 {numbered}"
    months = _numbers(month)
    if months is None or not 0 < min(months) <= max(months) <= len(MONTHS):
        return None
    named = _listed([MONTHS[number - 1] for number in months])
    return f"{told} of {named}", f"每年 {'、'.join(f'{number} 月' for number in months)} {numbered}"


def _often(minute: str, hour: str) -> Pair | None:
    """Several times an hour, or once in each."""
    if hour != EVERY:
        return None
    if minute == EVERY:
        return "every minute", "每分钟"
    if minute.startswith("*/") and minute[2:].isdecimal():
        return f"every {minute[2:]} minutes", f"每 {minute[2:]} 分钟"
    numbers = _numbers(minute)
    if numbers is None:
        return None
    past = _listed([f":{number:02}" for number in numbers])
    return f"every hour at {past}", f"每小时第 {'、'.join(map(str, numbers))} 分"


def _times(minute: str, hour: str) -> Pair | None:
    minutes, hours = _numbers(minute), _numbers(hour)
    if minutes is None or hours is None:
        return None
    times = [f"{one:02}:{other:02}" for one in hours for other in minutes]
    return _listed(times), "、".join(times)


def _numbers(field: str) -> list[int] | None:
    """The numbers that the field lists; None where it says it otherwise."""
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else None


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ending(number: int) -> str:
    if number in TEENS:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")

"""Due diligence: which evidence an agency must have on a day, and what is missing, expired or expires soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.conduct.packs import Need

State = Literal["ok", "expiring", "expired", "missing", "not yet due"]
WANTING: Final = ("missing", "expired")


@dataclass(frozen=True)
class Evidence:
    """One document about an agency. valid_until: the last day; None: as long as the need allows."""

    kind: str
    valid_from: date
    valid_until: date | None


@dataclass(frozen=True)
class Due:
    """How an agency stands with one need."""

    kind: str
    state: State
    until: date | None
    """the last day on which what is there counts"""
    days_left: int | None
    clause: str
    text: str
    text_zh: str
    counsel: str


def due(needs: Iterable[Need], evidence: Iterable[Evidence], today: date, warn_days: int) -> list[Due]:
    """Every need as it stands today; `expiring` within so many days."""
    there = list(evidence)
    return [_due(need, there, today, warn_days) for need in needs]


def _due(need: Need, evidence: list[Evidence], today: date, warn_days: int) -> Due:
    state: State
    since: date | None = None
    if need.before:
        ends = max((until for one in evidence if one.kind == need.before and (until := one.valid_until)), default=None)
        since = None if ends is None else ends - timedelta(days=need.within_days)
        if since is None or today < since:
            return _told(need, "not yet due", None, today)
    mine = [one for one in evidence if one.kind == need.kind and one.valid_from <= today]
    if since is not None:
        mine = [one for one in mine if one.valid_from >= since]
    ends_on = [_ends(one, need) for one in mine]
    if not ends_on:
        state, until = "missing", None
    elif None in ends_on:
        state, until = "ok", None
    else:
        until = max(day for day in ends_on if day is not None)
        left = (until - today).days
        state = "expired" if left < 0 else "expiring" if left <= warn_days else "ok"
    return _told(need, state, until, today)


def _ends(one: Evidence, need: Need) -> date | None:
    """The last day on which it counts: its own, and no later than the need allows."""
    longest = _months_later(one.valid_from, need.months) - timedelta(days=1) if need.months else None
    return min((day for day in (one.valid_until, longest) if day is not None), default=None)


def _months_later(day: date, months: int) -> date:
    """The same day so many months on; the month's last one where it has no such day."""
    year, month = divmod(day.month - 1 + months, 12)
    first = date(day.year + year, month + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


def _told(need: Need, state: State, until: date | None, today: date) -> Due:
    counsel = "" if need.verified == "text" else "confirm with counsel"
    left = None if until is None else (until - today).days
    return Due(need.kind, state, until, left, need.clause, need.text, need.text_zh, counsel)

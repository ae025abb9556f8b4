"""Instants as people type them: a day where the lender is, or a day and time with its offset."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from models.errors import UsageError

ZONE = "Asia/Shanghai"


def instant(text: str | None, option: str) -> datetime | None:
    """The instant, UTC: `2026-12-01` is the beginning of that day in China; None for None. Raises UsageError."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-12-01"):
            return datetime.combine(date.fromisoformat(text), time(), tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - refused below, as every instant without an offset
    if at.tzinfo is None:
        message = f"{option} is no instant"
        raise UsageError(message, fix="write 2026-12-01, or 2026-12-01T09:00+08:00 with its offset")
    return at.astimezone(UTC)

"""Lenders: who they are, added once, on record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from infra import audit
from infra.store import portfolios
from infra.wiring import desk
from models.certification import LENDER
from models.errors import UsageError

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,18}[a-z0-9]")


@dataclass(frozen=True)
class LenderReport:
    """The lender, and whether it is new."""

    lender: str
    name: str
    added: bool


def add_lender(lender: str, name: str, country: str = "CN", timezone: str = "Asia/Shanghai") -> LenderReport:
    """The lender is in the store. Raises UsageError for a code or zone that is none, or one that is taken."""
    at = desk()
    if not _CODE.fullmatch(lender):
        raise UsageError("a lender's code is 2 to 20 of a-z, 0-9 and -", fix="choose a short code: it names files")
    if lender == LENDER:
        raise UsageError(f"the code {LENDER} belongs to certifications of agencies", fix="choose another code")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"there is no time zone {timezone!r}", fix="name it as in Asia/Shanghai") from None
    with at.database.write() as connection:
        added = portfolios.add_lender(connection, lender, name, at.now(), country=country, timezone=timezone)
        if added:
            audit.record(connection, at.actor, "lender.added", f"lender:{lender}", {}, at.now())
    return LenderReport(lender, name, added)

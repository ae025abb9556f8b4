"""What each agency's server can do: tried out, kept with the agency, and compared with the last time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import update

from infra import audit, outbox
from infra.store import exchange
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from infra.wiring import Desk

PASSING: Final = frozenset({"free_bytes", "clock_ahead_seconds"})
"""What differs from one probe to the next and means nothing by it."""
CLOCK_SECONDS: Final = 120
"""A server's clock further off than this is worth a word."""


@dataclass(frozen=True)
class Probed:
    """What a server can do, when that was tried, and what of it was otherwise the time before."""

    agency: str
    probed_at: datetime
    can: dict[str, Any]
    changed: dict[str, tuple[Any, Any]]
    """by field: before, now; empty the first time"""
    first: bool
    notes: tuple[str, ...]
    """what follows from it, where something is missing"""


def probe(desk: Desk, agency: str) -> Probed:
    """What the agency's server can do, tried out now and kept. Raises what drops raise."""
    with desk.database.read() as connection:
        row = exchange.agency(connection, agency)
    with outbox.reached(desk, row) as drop:
        can = json.loads(json.dumps(asdict(drop.probe()), sort_keys=True))
    now = desk.now()
    with desk.database.write() as connection:
        before = json.loads(exchange.agency(connection, agency).probe or "{}")
        changed = differences(before, can) if before else {}
        connection.execute(
            update(exchange.AGENCIES)
            .where(exchange.AGENCIES.c.agency == agency)
            .values(probe=json.dumps(can, sort_keys=True), probed_at=now)
        )
        audit.record(
            connection,
            desk.actor,
            "agency.probed",
            agency,
            {"result": "changed" if changed else "unchanged" if before else "first", "fields": ",".join(changed)},
            now,
        )
    return Probed(agency, now, can, changed, not before, notes(can))


def kept(desk: Desk, agency: str) -> Probed:
    """What was found the last time, without asking the server. Raises UsageError where it was never probed."""
    with desk.database.read() as connection:
        row = exchange.agency(connection, agency)
    if row.probe is None:
        message = f"the server of {agency} was never probed"
        raise UsageError(message, fix=f"consign agency probe {agency}")
    can = json.loads(row.probe)
    return Probed(agency, row.probed_at, can, {}, first=False, notes=notes(can))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What a server could otherwise, by field: before, now."""
    fields = [name for name in sorted(set(before) | set(now)) if name not in PASSING]
    return {name: (before.get(name), now.get(name)) for name in fields if before.get(name) != now.get(name)}


def notes(can: Mapping[str, Any]) -> tuple[str, ...]:
    """What follows from what a server cannot do; docs/reference/sftp-servers.md says more."""
    said = {
        "rename": "cannot rename: nothing is published, and files are collected only with `renames` set to false",
        "rename_never_replaces": "its rename replaces: before each one it is asked whether the name is taken",
        "fsync": "does not sync: what it had when its power failed may be gone; then no acknowledgement comes",
        "statvfs": "does not say how much room it has: a full disk shows only while a file is sent",
        "overwrite": "lets nobody write into a file that is there: a part that was left is removed and begun anew",
        "resume": "does not go on in the middle of a file: a transfer that was cut begins anew",
        "case_sensitive": "names that differ in case alone are one name to it",
    }
    if not can.get("rename", True):
        said.pop("rename_never_replaces")
    found = [text for name, text in said.items() if can.get(name) is False]
    if abs(ahead := can.get("clock_ahead_seconds") or 0) > CLOCK_SECONDS:
        found.append(f"its files' times are {ahead} seconds off ours (clock or zone); nothing relies on them")
    return tuple(found)

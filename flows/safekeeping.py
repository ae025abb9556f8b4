"""Safekeeping: a backup each night where a folder for it is named, and the audit trail signed and looked through."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import Schedule, verb
from infra import audit, backups, exceptions, witnesses
from infra.wiring import desk

TRAIL = "trail:audit"


@dataclass(frozen=True)
class BackupReport:
    """Which backup was made; empty where no folder is named for backups."""

    name: str
    size: int


@dataclass(frozen=True)
class TrailReport:
    """Where the trail ends now, signed, and whether all of it is as it was."""

    ok: bool
    events: int
    since: int
    """events that were found whole before, and were not read again"""
    first_bad_seq: int | None


@verb(schedule=Schedule("30 3 * * *"))
def back_up() -> BackupReport:
    """Make a backup, where the setting `backups` names a folder for it; after what is due was deleted."""
    at = desk()
    if at.settings.backups is None:
        return BackupReport("", 0)
    made = backups.make(at)
    return BackupReport(made.name, made.size)


@verb(schedule=Schedule("0 4 * * *"))
def witness() -> TrailReport:
    """Sign the audit trail's end, and look whether what follows the last whole part is whole too.

    Each Sunday it is read from its beginning. A broken trail opens an exception. Before, the store's planner takes its
    nightly look at the tables.
    """
    at = desk()
    at.database.look_at_tables()
    with at.database.write() as connection:
        audit.sign_head(connection, at.keyring, at.now())
    noted = witnesses.noted(at)
    everything = at.today().isoweekday() == 7  # noqa: PLR2004 - Sunday
    with at.database.read() as connection:
        result = audit.verify(
            connection, at.keyring.audit_publics().values(), since=None if everything else noted, noted=noted
        )
    witnesses.note(at, result)
    with at.database.write() as connection:
        if result.ok:
            exceptions.ended(connection, at, "trail_broken", TRAIL, "the whole trail was found in order")
        else:
            exceptions.open_exception(
                connection, at, "trail_broken", agency=None, subject=TRAIL, detail={"seq": result.first_bad_seq}
            )
    return TrailReport(result.ok, result.events, result.since, result.first_bad_seq)

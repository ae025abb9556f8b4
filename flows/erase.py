"""Erase: ask agencies to delete what they were told about ended placements, and watch for the certificates."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import Schedule, verb
from flows.exchange import exchanged, send, suffix_for
from infra import audit
from infra.store import exchange, placing
from infra.wiring import desk


@dataclass(frozen=True)
class EraseReport:
    """What asking for erasure did."""

    files: int
    files_delivered: int
    overdue: int
    """placements whose erasure should have been certified by now"""


@verb(schedule=Schedule("30 6 * * *"))
def erase(lender: str | None = None) -> EraseReport:
    """Ask for the erasure of every placement that has ended; safe to run again."""
    at = desk()
    with at.database.write() as connection:
        transmissions = placing.request_erasures(
            connection, lender, at.today(), at.settings.erasure_days, suffix_for(connection)
        )
        if transmissions:
            audit.record(
                connection,
                at.actor,
                "erasure.requested",
                f"transmission:{transmissions[0]}",
                {"files": len(transmissions)},
                at.now(),
            )
    with at.database.read() as connection:
        waiting = exchange.agencies_with_pending(connection)
    sent = exchanged(send.map(waiting))
    with at.database.read() as connection:
        overdue = int(placing.overdue_erasures(connection, at.now())["placements"].sum())
    return EraseReport(len(transmissions), sent.delivered, overdue)

"""Erase: ask agencies to delete what they were told about ended placements, and watch for the certificates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from flows.engine import Schedule, verb
from flows.exchange import Exchanged, days, reported, send_pending, suffix_for
from infra import audit, clocks
from infra.store import placing
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
        files = ask_for_erasure(connection, days(connection, lender))
    return reported(send_pending, lambda sent: _report(files, sent))


def ask_for_erasure(
    connection: Connection, lenders: Sequence[tuple[str, date]], debtors: Collection[int] | None = None
) -> int:
    """Requests to erase what has ended wait for the agencies, of these debtors or of all. Returns the number of files.

    lenders: each with the day where it is.
    """
    at = desk()
    transmissions = [
        transmission_id
        for code, today in lenders
        for transmission_id in placing.request_erasures(
            connection,
            code,
            today,
            clocks.due_by(connection, at, today, lambda agreed: agreed.certify_erasure_within),
            suffix_for(connection),
            debtors,
        )
    ]
    if transmissions:
        audit.record(
            connection,
            at.actor,
            "erasure.requested",
            f"transmission:{transmissions[0]}",
            {"files": len(transmissions)},
            at.now(),
        )
    return len(transmissions)


def _report(files: int, sent: Exchanged) -> EraseReport:
    at = desk()
    with at.database.read() as connection:
        overdue = int(placing.overdue_erasures(connection, at.today())["placements"].sum())
    return EraseReport(files, sent.delivered, overdue)

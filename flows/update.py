"""Update: tell agencies the balances that have changed since they were last told."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import Schedule, verb
from flows.exchange import Exchanged, days, reported, send_pending, suffix_for
from infra import audit
from infra.store import placing
from infra.wiring import desk


@dataclass(frozen=True)
class UpdateReport:
    """What telling did."""

    files: int
    files_delivered: int
    rows: int


@verb(schedule=Schedule("15 6 * * *"))
def update(lender: str | None = None) -> UpdateReport:
    """Tell every agency the balances of its accounts that have changed; safe to run again."""
    at = desk()
    with at.database.write() as connection:
        transmissions = [
            transmission_id
            for code, today in days(connection, lender)
            for transmission_id in placing.tell_balances(connection, code, today, suffix_for(connection))
        ]
        if transmissions:
            audit.record(
                connection,
                at.actor,
                "update.prepared",
                f"transmission:{transmissions[0]}",
                {"files": len(transmissions)},
                at.now(),
            )
    return reported(send_pending, lambda sent: _report(len(transmissions), sent))


def _report(files: int, sent: Exchanged) -> UpdateReport:
    return UpdateReport(files, sent.delivered, sent.rows_sent)

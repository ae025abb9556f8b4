"""Recall: take placements back, by hold, payment or term, or because somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Connection, select

from flows.engine import Schedule, verb
from flows.exchange import exchanged, send, suffix_for
from infra import audit
from infra.store import bulk, exchange, placing
from infra.wiring import desk


@dataclass(frozen=True)
class RecallReport:
    """What recalling did."""

    placements: int
    files: int
    files_delivered: int
    overdue: int
    """recalls that an agency should have confirmed by now"""


@verb(schedule=Schedule("0 6 * * *"))
def recall(lender: str | None = None) -> RecallReport:
    """Recall what is on hold, paid or at its term, and deliver the recalls first; safe to run again."""
    at = desk()
    with at.database.write() as connection:
        due = placing.due_for_recall(connection, lender, at.today())
        files = _recall(connection, due)
    return _report(len(due), files)


@verb()
def recall_placements(placement_ids: str, reason: str) -> RecallReport:
    """Recall these placements (ids, comma-separated) for the reason given; those no longer out are left alone."""
    at = desk()
    wanted = [int(number) for number in placement_ids.split(",")]
    placements = exchange.PLACEMENTS
    with at.database.write() as connection:
        due = bulk.read(
            connection,
            select(placements.c.placement_id, placements.c.lender, placements.c.agency).where(
                placements.c.placement_id.in_(wanted), placements.c.state.in_(placing.OUT)
            ),
        ).assign(reason=reason)
        files = _recall(connection, due)
    return _report(len(due), files)


def _recall(connection: Connection, due: pd.DataFrame) -> int:
    at = desk()
    transmissions = placing.recall(
        connection,
        due,
        at.today(),
        at.settings.recall_days,
        at.actor,
        suffix_for(connection),
    )
    if transmissions:
        counts = {str(reason): int(number) for reason, number in due["reason"].value_counts().items()}
        audit.record(
            connection, at.actor, "recall.prepared", f"transmission:{transmissions[0]}",
            {"placements": len(due), "files": len(transmissions), "reasons": [f"{k}:{v}" for k, v in sorted(counts.items())]}, at.now(),
        )  # fmt: skip
    return len(transmissions)


def _report(placements: int, files: int) -> RecallReport:
    at = desk()
    with at.database.read() as connection:
        waiting = exchange.agencies_with_pending(connection)
    sent = exchanged(send.map(waiting))
    with at.database.read() as connection:
        overdue = int(placing.overdue_recalls(connection, at.today())["placements"].sum())
    return RecallReport(placements, files, sent.delivered, overdue)

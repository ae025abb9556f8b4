"""Recall: take placements back, by hold, payment or term, or because somebody asks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
from sqlalchemy import Connection, select

from flows.engine import Schedule, verb
from flows.exchange import Exchanged, days, reported, send_pending, suffix_for
from infra import audit, clocks
from infra.store import bulk, exchange, placing
from infra.wiring import desk
from models.errors import UsageError


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
        exchange.take_turn(connection)
        placements = files = 0
        for code, today in days(connection, lender):
            due = placing.due_for_recall(connection, code, today)
            placements += len(due)
            files += recall_due(connection, due, today)
    return _delivered(placements, files)


@verb()
def recall_placements(placement_ids: str, reason: str) -> RecallReport:
    """Recall these placements (ids, comma-separated) for the reason given; those no longer out are left alone."""
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", placement_ids):
        message = "placements are named by their numbers, with commas between"
        raise UsageError(message, fix="for example 17,18")
    return _delivered(*take_back([int(number) for number in placement_ids.split(",")], reason))


def take_back(placement_ids: Sequence[int], reason: str) -> tuple[int, int]:
    """The placements that are still out are recalled, their files ready to be delivered: how many of each."""
    at = desk()
    placements = exchange.PLACEMENTS
    with at.database.write() as connection:
        exchange.take_turn(connection)
        due = bulk.read(
            connection,
            select(placements.c.placement_id, placements.c.lender, placements.c.agency).where(
                placements.c.placement_id.in_(list(placement_ids)), placements.c.state.in_(placing.OUT)
            ),
        ).assign(reason=reason)
        files = sum(recall_due(connection, due[due["lender"] == code], today) for code, today in days(connection, None))
    return len(due), files


@verb()
def decide_objection(objection_id: int, keep_until: date | None = None) -> RecallReport:
    """An objection to a recall is upheld until that day, or dismissed; the recall is sent again as the answer."""
    decide(objection_id, keep_until)
    return _delivered(0, 1)


def decide(objection_id: int, keep_until: date | None) -> None:
    """The objection is upheld until that day, or dismissed (None); the answer is ready to be delivered."""
    at = desk()
    with at.database.write() as connection:
        placing.decide_objection(
            connection, objection_id, keep_until, at.actor, at.now(), at.today(), suffix_for(connection)
        )
        last = keep_until.isoformat() if keep_until else None
        said: dict[str, audit.Value] = {"state": "upheld" if keep_until else "dismissed", "until": last}
        audit.record(connection, at.actor, "recall.objection", f"objection:{objection_id}", said, at.now())


def recall_due(connection: Connection, due: pd.DataFrame, today: date) -> int:
    """The placements are recalled, in the store and the audit trail. Returns the number of files."""
    at = desk()
    due_on = clocks.due_by(connection, at, today, lambda agreed: agreed.confirm_recall_within)
    transmissions = placing.recall(connection, due, today, due_on, at.actor, suffix_for(connection))
    if transmissions:
        counts = {str(reason): int(number) for reason, number in due["reason"].value_counts().items()}
        audit.record(
            connection,
            at.actor,
            "recall.prepared",
            f"transmission:{transmissions[0]}",
            {
                "placements": len(due),
                "files": len(transmissions),
                "reasons": [f"{reason}:{number}" for reason, number in sorted(counts.items())],
            },
            at.now(),
        )
    return len(transmissions)


def _delivered(placements: int, files: int) -> RecallReport:
    return reported(send_pending, lambda sent: _report(placements, files, sent))


def _report(placements: int, files: int, sent: Exchanged) -> RecallReport:
    at = desk()
    with at.database.read() as connection:
        overdue = int(placing.overdue_recalls(connection, at.today())["placements"].sum())
    return RecallReport(placements, files, sent.delivered, overdue)

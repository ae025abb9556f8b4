"""Attend: take back and have erased what debtors have a right to, tell agencies corrections, follow their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row

from flows.engine import Schedule, verb
from flows.erase import ask_for_erasure
from flows.exchange import Exchanged, days, reported, send_pending
from flows.recall import recall_due
from infra import subjects
from infra.store import exchange, placing
from infra.store import subjects as store
from infra.wiring import desk
from models.subject import RECALLED_FOR


@dataclass(frozen=True)
class AttendReport:
    """What attending to debtors' requests did, and how it stands with them."""

    requests: int
    """that are worked on"""
    recalls: int
    """files that take accounts back"""
    erasures: int
    """files that ask for erasure"""
    files_delivered: int
    waiting: int
    """requests for which an agency owes an answer"""
    overdue: int
    """requests that should have been answered by now"""


@verb(schedule=Schedule("45 5 * * *"))
def attend(lender: str | None = None) -> AttendReport:
    """Ask agencies for what debtors' requests need, send it, and see who still owes an answer; safe to run again."""
    at = desk()
    with at.database.write() as connection:
        exchange.take_turn(connection)
        rows = store.worked_on(connection, lender)
        recalls = erasures = 0
        for code, today in days(connection, lender):
            mine = [row for row in rows if row.lender == code]
            recalls += _taken_back(connection, mine, code, today)
            erasing = sorted({row.debtor_id for row in mine if row.kind == "erasure"})
            erasures += ask_for_erasure(connection, [(code, today)], erasing) if erasing else 0
        subjects.follow(connection, at, lender)
    return reported(send_pending, lambda sent: _report(lender, recalls, erasures, sent))


def _taken_back(connection: Connection, rows: Sequence[Row[Any]], lender: str, today: date) -> int:
    """The debtors' accounts are called back, for the hold that their requests put on them. Returns the files."""
    debtors = sorted({row.debtor_id for row in rows if row.kind in RECALLED_FOR})
    if not debtors:
        return 0
    due = placing.due_for_recall(connection, lender, today, debtors)
    return recall_due(connection, due, today) if len(due) else 0


def _report(lender: str | None, recalls: int, erasures: int, sent: Exchanged) -> AttendReport:
    at = desk()
    with at.database.read() as connection:
        rows = store.worked_on(connection, lender)
        late = len(subjects.late(connection, at))
    waiting = sum(row.state == "waiting" for row in rows)
    return AttendReport(len(rows), recalls, erasures, sent.delivered, waiting, late)

"""False alarms of the gate: a kind of identifier that is none in one column, let pass when a second person agrees.

An allowance is as narrow as it can be (one kind of file, one column, one kind of identifier, one agency or all) and
ends on a day. It never covers what is not released: a column, or a cell that is not treated as the policy says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import audit, roles
from infra.store import exchange, trail
from infra.store import gate as store
from models.errors import RefusedByPolicy, UsageError
from models.gate.identifiers import PATTERNED
from models.gate.matching import EVERYWHERE
from models.kinds import KINDS, OUTBOUND
from models.lives import ALLOWANCE, moved

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

LONGEST_DAYS: Final = 366
"""An allowance counts for so long at most; then somebody looks again."""
IDENTIFIERS: Final = (*PATTERNED, *(f"{field}_of_debtor" for field in EVERYWHERE))
"""What can be a false alarm."""


@dataclass(frozen=True)
class Asked:
    """An allowance that somebody asks for."""

    kind: str
    """of file"""
    column: str
    identifier: str
    reason: str
    until: date
    agency: str | None = None


def ask(desk: Desk, asked: Asked) -> int:
    """The allowance waits for a second person; its number. Raises UsageError for a place or day that makes no sense."""
    _sensible(desk, asked)
    with desk.database.write() as connection:
        trail.hold(connection)
        if asked.agency is not None:
            exchange.agency(connection, asked.agency)
        number = store.add_allowance(
            connection, kind=asked.kind, column_name=asked.column, identifier=asked.identifier, agency=asked.agency,
            reason=asked.reason, until=asked.until, state="waiting", asked_by=desk.actor, asked_at=desk.now(),
        )  # fmt: skip
        _recorded(connection, desk, "gate.allowance_asked", store.allowance(connection, number))
    return number


def approve(desk: Desk, number: int) -> None:
    """The allowance counts from now on. Raises RefusedByPolicy for whoever asked for it, or has not the role."""
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.allowance(connection, number)
        state = moved(f"allowance {number}", row.state, "approved", ALLOWANCE)
        if row.asked_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} asked for allowance {number} and cannot approve it",
                fix="a second person approves it (CONSIGN_ACTOR says who acts)",
            )
        roles.require(connection, desk, "compliance")
        if row.until < desk.today():
            raise RefusedByPolicy(f"{row.until} is over", fix="ask again, with a later day")
        store.note_allowance(connection, number, state=state, decided_by=desk.actor, decided_at=desk.now())
        _recorded(connection, desk, "gate.allowance_approved", row)


def withdraw(desk: Desk, number: int) -> None:
    """The allowance counts no more, whoever says so."""
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.allowance(connection, number)
        state = moved(f"allowance {number}", row.state, "withdrawn", ALLOWANCE)
        store.note_allowance(connection, number, state=state, decided_by=desk.actor, decided_at=desk.now())
        _recorded(connection, desk, "gate.allowance_withdrawn", row)


def _sensible(desk: Desk, asked: Asked) -> None:
    if asked.kind not in OUTBOUND:
        raise UsageError(f"no kind of file to agencies is called {asked.kind!r}", fix=", ".join(sorted(OUTBOUND)))
    columns = [one.name for one in KINDS[asked.kind].fields]
    if asked.column not in columns:
        raise UsageError(f"a {asked.kind} has no column {asked.column!r}", fix=", ".join(columns))
    if asked.identifier not in IDENTIFIERS:
        raise UsageError(f"no identifier is called {asked.identifier!r}", fix=", ".join(IDENTIFIERS))
    if not asked.reason.strip() or not audit.TEXT.fullmatch(asked.reason):
        raise UsageError("an allowance needs a reason, in up to 200 ASCII characters", fix='--reason "why"')
    if not desk.today() <= asked.until <= desk.today() + timedelta(days=LONGEST_DAYS):
        raise UsageError(f"{asked.until} is no day to end on", fix=f"from today on, {LONGEST_DAYS} days ahead at most")


def _recorded(connection: Connection, desk: Desk, action: str, row: Row[Any]) -> None:
    told: dict[str, audit.Value] = {
        "kind": row.kind, "column": row.column_name, "identifier": row.identifier, "agency": row.agency,
        "reason": row.reason, "until": row.until.isoformat(), "by": row.asked_by,
    }  # fmt: skip
    audit.record(connection, desk.actor, action, f"allowance:{row.allowance_id}", told, desk.now())

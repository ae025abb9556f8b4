"""Gates: limits per agency that stop new placements, looked at by every audit of conduct, lifted by two people.

A gate closes by itself. What is done opens some again (missing evidence comes); any other stays closed until one person
asks to lift it, with a reason and a last day, and another one grants it. After that day it is closed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra import audit, diligence, exceptions, roles
from infra.store import gates as store
from infra.store import trail
from models.conduct.gates import OPENS_BY_ITSELF, Verdict, verdict
from models.errors import RefusedByPolicy, UsageError
from models.lives import GATE, moved

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from typing import Any

    from sqlalchemy import Connection

    from infra.store.conduct import Audited
    from infra.wiring import Desk
    from models.conduct.packs import Gate, Pack

LONGEST_DAYS: Final = 90
"""A gate is lifted for so many days at most; then somebody looks again."""


@dataclass(frozen=True)
class Looked:
    """What one look at the gates changed."""

    closed: int = 0
    opened: int = 0
    stopping: int = 0


def look(connection: Connection, desk: Desk, lender: Audited, packs: Iterable[Pack]) -> Looked:
    """Every gate of the lender's agencies is as its figures say, in the caller's transaction."""
    today = desk.today(lender.timezone)
    closed = opened = 0
    for pack in packs:
        missing = diligence.missing(connection, desk, pack, today)
        known = store.known(connection, lender.lender, pack.name)
        for window in sorted({gate.window_days for gate in pack.gates}):
            mine = [gate for gate in pack.gates if gate.window_days == window]
            rates = any(gate.measure == "breaches_per_1000" for gate in mine)
            told = store.figures(connection, lender.lender, today, window, missing, with_contacts=rates)
            for gate in mine:
                for agency, figures in told.items():
                    change = _set(
                        connection, desk, known.get((agency, gate.id)), gate,
                        {"agency": agency, "lender": lender.lender, "pack": pack.name, "gate": gate.id},
                        verdict(gate, figures), today,
                    )  # fmt: skip
                    closed += change == "closed"
                    opened += change == "open"
    return Looked(closed, opened, len(store.stopped(connection, lender.lender, today)))


def _set(
    connection: Connection,
    desk: Desk,
    row: Any,
    gate: Gate,
    key: dict[str, str],
    found: Verdict,
    today: date,
) -> str | None:
    """The gate is as it was found. Returns the state that it changed to, None where it did not."""
    now = desk.now()
    seen: dict[str, Any] = {
        "measured": float(found.measured), "bound": float(found.limit), "detail": found.detail[:200], "looked_at": now
    }  # fmt: skip
    here = "open" if row is None else str(row.state)
    there = _next(here, gate, found, lapsed=row is not None and row.lift_until is not None and row.lift_until < today)
    if row is None:
        if there == "open":
            return None
        gate_id = store.add(connection, **key, **seen, state=there, since=now)
    else:
        gate_id = int(row.gate_id)
        if there == here:
            store.note(connection, gate_id, **seen)
            return None
        moved(f"gate {gate_id}", here, there, GATE)
        store.note(connection, gate_id, **seen, state=there, since=now)
    subject = f"gate:{key['lender']}:{key['agency']}:{key['gate']}"
    details: dict[str, audit.Value] = {
        "agency": key["agency"], "lender": key["lender"], "state": there, "threshold": str(found.limit),
        "total": str(found.measured),
    }  # fmt: skip
    if there == "closed":
        exceptions.open_exception(
            connection, desk, "gate_closed", agency=key["agency"], lender=key["lender"], subject=subject,
            detail={"rule": gate.id, "threshold": str(found.limit), "total": str(found.measured)},
        )  # fmt: skip
    else:
        exceptions.ended(connection, desk, "gate_closed", subject, "the gate is open again")
    audit.record(connection, desk.actor, f"gate.{there}", subject, details, now)
    return there


def _next(here: str, gate: Gate, found: Verdict, *, lapsed: bool) -> str:
    if here == "open":
        return "closed" if found.above else "open"
    if here == "lifted":
        return "open" if not found.above else "closed" if lapsed else "lifted"
    return "open" if not found.above and gate.measure in OPENS_BY_ITSELF else here


def ask(desk: Desk, gate_id: int, until: date, reason: str) -> None:
    """Lifting the gate is asked for; it counts when somebody else grants it."""
    today = desk.today()
    if not reason.strip() or not audit.TEXT.fullmatch(reason):
        raise UsageError("lifting a gate needs a reason, in up to 200 ASCII characters", fix='--reason "why"')
    if not 0 <= (until - today).days <= LONGEST_DAYS:
        raise UsageError(
            f"{until} is no day to lift a gate until", fix=f"from today on, {LONGEST_DAYS} days ahead at most"
        )
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.gate(connection, gate_id)
        moved(f"gate {gate_id}", row.state, "asked", GATE)
        store.note(
            connection, gate_id, state="asked", asked_by=desk.actor, asked_at=desk.now(), reason=reason,
            lift_until=until,
        )  # fmt: skip
        _recorded(connection, desk, "gate.lift_asked", row, {"reason": reason, "until": until.isoformat()})


def grant(desk: Desk, gate_id: int) -> date:
    """The gate is lifted until the day asked for. Raises RoleMissing, RefusedByPolicy for whoever asked."""
    with desk.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, desk, "compliance")
        row = store.gate(connection, gate_id)
        moved(f"gate {gate_id}", row.state, "lifted", GATE)
        if row.asked_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} asked to lift gate {gate_id} and cannot grant it",
                fix="a second person grants it (CONSIGN_ACTOR says who acts)",
            )
        if row.lift_until < desk.today():
            raise RefusedByPolicy(f"{row.lift_until} is over", fix="ask again, with a later day")
        store.note(connection, gate_id, state="lifted", lifted_by=desk.actor, lifted_at=desk.now())
        subject = f"gate:{row.lender}:{row.agency}:{row.gate}"
        exceptions.ended(connection, desk, "gate_closed", subject, "lifted by a second person")
        _recorded(
            connection, desk, "gate.lifted", row,
            {"reason": row.reason, "by": row.asked_by, "until": row.lift_until.isoformat()},
        )  # fmt: skip
        until: date = row.lift_until
    return until


def refuse(desk: Desk, gate_id: int) -> None:
    """What was asked for is refused, or taken back: the gate is closed."""
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.gate(connection, gate_id)
        moved(f"gate {gate_id}", row.state, "closed", GATE)
        store.note(connection, gate_id, state="closed", lift_until=None, since=desk.now())
        _recorded(connection, desk, "gate.closed", row, {"state": "closed"})


def _recorded(connection: Connection, desk: Desk, action: str, row: Any, details: dict[str, audit.Value]) -> None:
    about = {"agency": row.agency, "lender": row.lender, "rule": row.gate}
    audit.record(
        connection, desk.actor, action, f"gate:{row.lender}:{row.agency}:{row.gate}", about | details, desk.now()
    )

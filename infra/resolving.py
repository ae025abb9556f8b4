"""Work on breaks: who has one, notes and files beside it, and resolutions that people propose and agree to (R12).

A resolution that needs nobody else is done at once. Otherwise it waits for so many others as its amount asks for, and
is done in the transaction of the last one's agreement. Proposing the same again finds the one that waits.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, insert, select, update

from infra import audit, roles
from infra.exceptions import audit_text, check_text
from infra.store import bulk, carrying, trail
from infra.store import resolutions as store
from models.errors import RefusedByPolicy, UsageError
from models.lives import RESOLUTION as LIFE
from models.lives import moved
from models.reconcile.resolutions import ABOUT, REASONS, Limits, shipped
from models.reconcile.sla import Sla
from models.reconcile.sla import shipped as shipped_times
from models.tables import Break, BreakNote, Resolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from sqlalchemy import Connection, Row

    from infra.store.resolutions import Prepared
    from infra.wiring import Desk

BREAKS, NOTES, ROWS = (bulk.table_of(row) for row in (Break, BreakNote, Resolution))
LIMITS_FILE: Final = "approvals.toml"
TIMES_FILE: Final = "sla.toml"


def limits(desk: Desk) -> Limits:
    """Who must agree: the house's own `approvals.toml` below home, else what comes with Consign."""
    own = desk.settings.home / LIMITS_FILE
    return Limits.parse(own.read_text(encoding="utf-8")) if own.is_file() else shipped()


def agreed_times(desk: Desk) -> Sla:
    """By when breaks are to be settled: the house's own `sla.toml` below home, else what comes with Consign."""
    own = desk.settings.home / TIMES_FILE
    return Sla.parse(own.read_text(encoding="utf-8")) if own.is_file() else shipped_times()


# -- a break's owner, notes --------------------------------------------------------------------------------------------


def assign(desk: Desk, break_id: int, owner: str) -> None:
    """The person works on the break; an empty name: nobody does."""
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = _open_break(connection, break_id)
        if (row.owner or "") == owner:
            return
        connection.execute(update(BREAKS).where(BREAKS.c.break_id == break_id).values(owner=owner or None))
        details: dict[str, audit.Value] = {"owner": audit_text(owner), "code": row.code}
        audit.record(connection, desk.actor, "break.assigned", f"break:{break_id}", details, desk.now())


def comment(desk: Desk, break_id: int, text: str) -> int:
    """The note's number. The audit trail keeps its hash, the store the words."""
    check_text(text)
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        break_of(connection, break_id)
        note = {"break_id": break_id, "at": desk.now(), "by": desk.actor, "text": text}
        note_id: int = connection.execute(insert(NOTES).values(**note).returning(NOTES.c.note_id)).scalar_one()
        details: dict[str, audit.Value] = {"sha256": _sha256(text)}
        audit.record(connection, desk.actor, "break.commented", f"break:{break_id}", details, desk.now())
    return note_id


# -- resolutions -------------------------------------------------------------------------------------------------------


def propose(desk: Desk, kind: str, reason: str, note: str, break_id: int | None, about: Mapping[str, Any]) -> Row[Any]:
    """The resolution as it is now: done, where its amount needs nobody else; else waiting.

    about: what `infra.store.resolutions.prepare_…` of that kind takes. Raises UsageError for what cannot be meant,
    RoleMissing; nothing is changed then.
    """
    _check_reason(reason, note)
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        trail.hold(connection)  # one resolution at a time: what it found is still so when it is stored
        about_ = _prepared(connection, kind, about)
        body = json.dumps(about_.body, sort_keys=True)
        digest = _sha256(json.dumps([kind, about_.lender, body]))
        waiting = connection.execute(
            select(ROWS).where(ROWS.c.sha256 == digest, ROWS.c.state == "waiting")
        ).one_or_none()
        if waiting is not None:
            return waiting
        said = limits(desk)
        others = said.others(_weighed(connection, kind, about_), about_.currency, about_.amount_minor)
        values = {
            "kind": kind, "lender": about_.lender, "agency": about_.agency, "currency": about_.currency,
            "amount_minor": about_.amount_minor, "reason": reason, "note": note, "body": body, "sha256": digest,
            "break_id": break_id or about_.break_id, "others": others, "limits_version": said.version,
            "proposed_by": desk.actor, "proposed_at": desk.now(),
        }  # fmt: skip
        number = connection.execute(insert(ROWS).values(**values).returning(ROWS.c.resolution_id)).scalar_one()
        row = store.one(connection, number)
        _told(connection, desk, "resolution.proposed", row, others=others)
        return row if others else _carried_out(connection, desk, row)


def preview(desk: Desk, kind: str, reason: str, note: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What `propose` would store, and how many would have to agree; nothing is changed."""
    _check_reason(reason, note)
    with desk.database.read() as connection:
        found = _prepared(connection, kind, about)
        body = {name: value for name, value in found.body.items() if name != "was"}
        others = limits(desk).others(_weighed(connection, kind, found), found.currency, found.amount_minor)
    return {
        "kind": kind, "lender": found.lender, "agency": found.agency, "amount_minor": found.amount_minor,
        "currency": found.currency, "others_needed": others, **body,
    }  # fmt: skip


def approve(desk: Desk, resolution_id: int) -> Row[Any]:
    """The resolution after this person's agreement: done, if it was the last one needed.

    Raises RefusedByPolicy for who proposed it or has agreed already, RoleMissing, Stale where something moved.
    """
    stale: carrying.Stale | None = None
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        trail.hold(connection)
        row = _waiting(connection, resolution_id, "done")
        agreed = json.loads(row.agreed_by)
        if desk.actor == row.proposed_by or desk.actor in agreed:
            said = "proposed" if desk.actor == row.proposed_by else "has agreed to"
            message = f"{desk.actor} {said} resolution {resolution_id} already"
            raise RefusedByPolicy(message, fix="let another person with the role finance agree")
        _set(connection, resolution_id, agreed_by=json.dumps([*agreed, desk.actor]))
        row = store.one(connection, resolution_id)
        _told(connection, desk, "resolution.approved", row, others=row.others)
        if len(agreed) + 1 >= row.others:
            try:
                with connection.begin_nested():
                    row = _carried_out(connection, desk, row)
            except carrying.Stale as error:
                stale = error
                _end(connection, desk, row, "stale", str(error))
    if stale is not None:
        raise stale
    return row


def refuse(desk: Desk, resolution_id: int, why: str) -> None:
    """Another person says no; nothing was done."""
    check_text(why)
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = _waiting(connection, resolution_id, "refused")
        if row.proposed_by == desk.actor:
            raise RefusedByPolicy(f"{desk.actor} proposed it", fix="withdraw it instead")
        _end(connection, desk, row, "refused", why)


def withdraw(desk: Desk, resolution_id: int) -> None:
    """Who proposed it takes it back before it was done."""
    with desk.database.write() as connection:
        row = _waiting(connection, resolution_id, "withdrawn")
        if row.proposed_by != desk.actor:
            raise RefusedByPolicy(f"{row.proposed_by} proposed it, not {desk.actor}", fix="refuse it instead")
        _end(connection, desk, row, "withdrawn", "")


def listed(
    connection: Connection, *, state: str | None = None, lender: str | None = None, limit: int = 100
) -> pd.DataFrame:
    """At most `limit` resolutions, the newest first, with what the kind and the reason say."""
    statement = select(ROWS)
    for column, wanted in ((ROWS.c.state, state), (ROWS.c.lender, lender)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    found = bulk.read(connection, statement.order_by(ROWS.c.resolution_id.desc()).limit(limit))
    found["about"] = found["kind"].map({kind: said[0] for kind, said in ABOUT.items()}).astype("str")
    return found


def whole(connection: Connection, resolution_id: int) -> dict[str, Any]:
    """The resolution with what it is about, who agreed, and what it made."""
    row = store.one(connection, resolution_id)
    told: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    body = json.loads(told.pop("body"))
    body.pop("was", None)
    told |= body
    return told | {
        "agreed_by": json.loads(row.agreed_by), "before": json.loads(row.before), "about": ABOUT[row.kind][0],
        "reason_says": REASONS[row.reason][0],
    }  # fmt: skip


def beside(connection: Connection, break_id: int) -> dict[str, Any]:
    """The notes and resolutions of a break, the oldest first."""
    notes = select(NOTES).where(NOTES.c.break_id == break_id).order_by(NOTES.c.note_id)
    names = (
        "resolution_id",
        "kind",
        "state",
        "amount_minor",
        "reason",
        "proposed_by",
        "proposed_at",
        "others",
        "agreed_by",
    )
    done = select(*(ROWS.c[name] for name in names)).where(ROWS.c.break_id == break_id).order_by(ROWS.c.resolution_id)
    return {
        "notes": [dict(row) for row in connection.execute(notes).mappings()],
        "resolutions": [dict(row) for row in connection.execute(done).mappings()],
    }


def waiting(connection: Connection, lender: str) -> int:
    """How many resolutions of the lender wait for somebody: a month does not close over them."""
    which = select(func.count()).where(ROWS.c.lender == lender, ROWS.c.state == "waiting")
    return int(connection.execute(which).scalar_one())


def _prepared(connection: Connection, kind: str, about: Mapping[str, Any]) -> Prepared:
    if kind in {"count", "reject"}:
        return store.prepare_line(connection, kind, **about)
    prepare = {
        "match": store.prepare_match, "unmatch": store.prepare_unmatch, "write_off": store.prepare_write_off,
        "not_ours": store.prepare_not_ours, "settle": store.prepare_settle, "refund": store.prepare_refund,
        "undo": store.prepare_undo,
    }.get(kind)  # fmt: skip
    if prepare is None:
        raise UsageError(f"there is no resolution {kind!r}", fix=f"there are {', '.join(ABOUT)}")
    found: Prepared = prepare(connection, **about)  # type: ignore[operator]  # each kind has parameters of its own
    return found


def _weighed(connection: Connection, kind: str, about: Prepared) -> str:
    """The kind whose limits count: taking something back needs as many as doing it."""
    return str(store.one(connection, about.body["resolution"]).kind) if kind == "undo" else kind


def _carried_out(connection: Connection, desk: Desk, row: Row[Any]) -> Row[Any]:
    body = json.loads(row.body)
    done = carrying.carry_out(connection, row, body, desk.actor, desk.now())
    _set(
        connection, row.resolution_id, state=moved(_name(row), row.state, "done", LIFE), decided_at=desk.now(),
        match_id=done.match_id, before=json.dumps(done.before),
    )  # fmt: skip
    row = store.one(connection, row.resolution_id)
    _told(connection, desk, "resolution.done", row)
    return row


def _end(connection: Connection, desk: Desk, row: Row[Any], state: str, why: str) -> None:
    _set(connection, row.resolution_id, state=state, decided_at=desk.now(), why_not=why)
    _told(connection, desk, f"resolution.{state}", row)


def _waiting(connection: Connection, resolution_id: int, to: str) -> Row[Any]:
    row = store.one(connection, resolution_id)
    moved(_name(row), row.state, to, LIFE)
    return row


def _set(connection: Connection, resolution_id: int, **columns: Any) -> None:
    connection.execute(update(ROWS).where(ROWS.c.resolution_id == resolution_id).values(**columns))


def _told(connection: Connection, desk: Desk, action: str, row: Row[Any], **more: audit.Value) -> None:
    details: dict[str, audit.Value] = {
        "kind": row.kind, "lender": row.lender, "reason": row.reason, "currency": row.currency,
        "total_minor": row.amount_minor, "sha256": row.sha256, **more,
    }  # fmt: skip
    audit.record(connection, desk.actor, action, f"resolution:{row.resolution_id}", details, desk.now())


def _check_reason(reason: str, note: str) -> None:
    if reason not in REASONS:
        raise UsageError(f"there is no reason {reason!r}", fix=f"there are {', '.join(REASONS)}")
    if note or reason == "other":
        check_text(note)


def break_of(connection: Connection, break_id: int) -> Row[Any]:
    """The break's row. Raises UsageError where there is none."""
    row = connection.execute(select(BREAKS).where(BREAKS.c.break_id == break_id)).one_or_none()
    if row is None:
        raise UsageError(f"no break {break_id}", fix="`consign recon breaks` lists them")
    return row


def _open_break(connection: Connection, break_id: int) -> Row[Any]:
    row = break_of(connection, break_id)
    if row.state != "open":
        raise UsageError(f"break {break_id} is closed: {row.closed_because}")
    return row


def _name(row: Row[Any]) -> str:
    return f"resolution {row.resolution_id}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

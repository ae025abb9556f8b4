"""Exceptions of the exchange: what a person must look at, with an owner and a deadline, from opening to resolution.

Opening is idempotent: one code and subject has one exception at a time. What ends by itself (the missing file comes,
the server answers) is resolved by the system with the reason. Where a person resolves what goes on, it opens no other
until it has ended and begun anew. Breaks of reconciliation are something else (infra/store/breaks.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, and_, case, func, insert, select, true, update

from infra import audit, clocks
from infra.store import bulk, exchange, trail
from models.errors import UsageError
from models.exceptions import CODES, ROLES, SEVERITIES
from models.lives import EXCEPTION, moved
from models.tables import ExceptionComment, ExchangeException

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import pandas as pd

    from infra.wiring import Desk

# Whoever changes a row of these tables holds the audit trail first. So nobody holds a row that the trail's holder waits
# for, and two workers that see the same things in another order cannot wait for each other.
EXCEPTIONS = bulk.table_of(ExchangeException)
COMMENTS = bulk.table_of(ExceptionComment)

SYSTEM: Final = "consign"
"""Who resolves what has ended by itself."""
UNRESOLVED: Final = ("open", "taken")
TEXT_AT_MOST: Final = 500
PERSONAL: Final = re.compile(r"\d[\d\s-]{9,}\d")
"""As many digits as a phone or ID number has, however they are grouped."""
OWNER: Final = re.compile(r"[\w.@-][\w.@ -]{0,63}")


@dataclass(frozen=True)
class Subject:
    """What an exception is about: how it opens, refreshes and ends together with others of its code."""

    subject: str
    agency: str | None = None
    lender: str | None = None
    kind: str | None = None
    detail: Mapping[str, audit.Value] | None = None


def open_exception(  # noqa: PLR0913 - an exception's columns
    connection: Connection,
    desk: Desk,
    code: str,
    *,
    agency: str | None,
    lender: str | None = None,
    kind: str | None = None,
    subject: str,
    due_at: datetime | None = None,
    detail: Mapping[str, audit.Value] | None = None,
) -> int | None:
    """The exception is open, in the caller's transaction; its id where this call opened it, None where it was there.

    code: of `models.exceptions.CODES`. subject: `file:12`, `transmission:<name>`, `agency:<code>`. due_at: by when its
    owner resolves it, instead of the code's own deadline. detail: codes, counts and references under keys that the
    audit trail allows (DetailNotAllowed otherwise); what is there already takes the new detail.
    Raises UsageError for an unknown code.
    """
    about = _code(code)
    told = audit.detail_text(detail or {})
    last = connection.execute(
        select(EXCEPTIONS)
        .where(EXCEPTIONS.c.code == code, EXCEPTIONS.c.subject == subject)
        .order_by(EXCEPTIONS.c.occurrence.desc())
        .limit(1)
    ).one_or_none()
    if last is not None and (last.ended_at is None or not about.recurs):
        if last.state != "resolved" and last.detail != told:
            trail.hold(connection)
            _set(connection, last.exception_id, detail=told)
        return None
    now = desk.now()
    trail.hold(connection)
    added = connection.execute(
        exchange._inserting(connection)(EXCEPTIONS)  # noqa: SLF001 - the dialect's own INSERT … ON CONFLICT
        .values(
            code=code,
            agency=agency,
            lender=lender,
            kind=kind,
            subject=subject,
            occurrence=1 if last is None else last.occurrence + 1,
            detail=told,
            severity=about.severity,
            state="open",
            owner=about.owner,
            opened_at=now,
            due_at=due_at or clocks.owner_deadline(connection, desk, about.within, agency, now),
        )
        .on_conflict_do_nothing()
        .returning(EXCEPTIONS.c.exception_id)
    ).first()
    if added is None:  # another worker opened it meanwhile
        return None
    exception_id = int(added.exception_id)
    audit.record(
        connection,
        desk.actor,
        "exception.opened",
        f"exception:{exception_id}",
        {"code": code, "agency": agency, "owner": about.owner, **(detail or {})},
        now,
    )
    return exception_id


def ended(connection: Connection, desk: Desk, code: str, subject: str, reason: str) -> bool:
    """What the exception is about has ended: it is resolved by the system. True where it was still unresolved."""
    return _end(connection, desk, EXCEPTIONS.c.subject == subject, code, reason) > 0


def keep_only(
    connection: Connection,
    desk: Desk,
    code: str,
    subjects: Collection[str],
    reason: str,
    *,
    agency: str | None = None,
) -> int:
    """Every exception of the code (and agency) about anything but these subjects has ended. Returns how many were."""
    others: list[Any] = [EXCEPTIONS.c.subject.not_in(list(subjects))] if subjects else []
    if agency is not None:
        others.append(EXCEPTIONS.c.agency == agency)
    return _end(connection, desk, and_(true(), *others), code, reason)


def watched(connection: Connection, desk: Desk, code: str, now_true: Collection[Subject], reason: str) -> _Changed:
    """The code's exceptions are those about these subjects: others have ended for `reason`, new ones are open."""
    gone = keep_only(connection, desk, code, [one.subject for one in now_true], reason)
    new = sum(
        open_exception(
            connection,
            desk,
            code,
            agency=one.agency,
            lender=one.lender,
            kind=one.kind,
            subject=one.subject,
            detail=one.detail,
        )
        is not None
        for one in now_true
    )
    return _Changed(new, gone)


@dataclass(frozen=True)
class _Changed:
    """How many were opened and how many resolved."""

    opened: int = 0
    resolved: int = 0


def _end(connection: Connection, desk: Desk, where: Any, code: str, reason: str) -> int:
    now = desk.now()
    going_on = and_(EXCEPTIONS.c.code == code, EXCEPTIONS.c.ended_at.is_(None), where)
    if connection.execute(select(EXCEPTIONS.c.exception_id).where(going_on).limit(1)).first() is None:
        return 0
    trail.hold(connection)
    unresolved = connection.execute(
        update(EXCEPTIONS)
        .where(going_on, EXCEPTIONS.c.state.in_(UNRESOLVED))
        .values(state="resolved", resolved_at=now, resolved_by=SYSTEM, resolution=reason, ended_at=now)
        .returning(EXCEPTIONS.c.exception_id)
    ).scalars().all()  # fmt: skip
    # what a person had resolved before it ended
    connection.execute(update(EXCEPTIONS).where(going_on).values(ended_at=now))
    audit.record_many(
        connection,
        [
            audit.Event(
                SYSTEM, "exception.resolved", f"exception:{exception_id}", {"code": code, "reason": reason}, now
            )
            for exception_id in sorted(unresolved)
        ],
    )
    return len(unresolved)


# -- what people do ----------------------------------------------------------------------------------------------------


def take(desk: Desk, exception_id: int) -> None:
    """The person who acts owns it. Raises UsageError where there is none, IllegalMove where it is resolved."""
    assign(desk, exception_id, desk.actor)


def assign(desk: Desk, exception_id: int, owner: str) -> None:
    """The person owns it, or, where `owner` is a role, whoever has that role takes it."""
    if not OWNER.fullmatch(owner):
        raise UsageError("an owner is a person's login name or a role", fix=f"roles: {', '.join(ROLES)}")
    to = "open" if owner in ROLES else "taken"
    with desk.database.write() as connection:
        row = _to_change(connection, exception_id)
        if row.state != to or row.state == "resolved":
            moved(f"exception {exception_id}", row.state, to, EXCEPTION)
        _set(connection, exception_id, owner=owner, state=to)
        _told(connection, desk, "exception.assigned", row, {"owner": audit_text(owner)})


def comment(desk: Desk, exception_id: int, text: str) -> None:
    """A note stands beside it; the audit trail keeps its hash."""
    check_text(text)
    with desk.database.write() as connection:
        row = _to_change(connection, exception_id)
        connection.execute(insert(COMMENTS).values(exception_id=exception_id, at=desk.now(), by=desk.actor, text=text))
        _told(connection, desk, "exception.commented", row, {"sha256": _sha256(text)})


def resolve(desk: Desk, exception_id: int, reason: str) -> None:
    """A person has resolved it, and says how. Raises UsageError without a reason, IllegalMove where it was."""
    check_text(reason)
    with desk.database.write() as connection:
        row = _to_change(connection, exception_id)
        state = moved(f"exception {exception_id}", row.state, "resolved", EXCEPTION)
        _set(
            connection,
            exception_id,
            state=state,
            resolved_at=desk.now(),
            resolved_by=desk.actor,
            resolution=reason,
            # what came once with one file has ended with it
            ended_at=None if CODES[row.code].recurs else desk.now(),
        )
        _told(connection, desk, "exception.resolved", row, {"code": row.code, "sha256": _sha256(reason)})


# -- what people see ---------------------------------------------------------------------------------------------------


def found(connection: Connection, exception_id: int) -> Row[Any]:
    """The exception's row. Raises UsageError where there is none."""
    row = connection.execute(select(EXCEPTIONS).where(EXCEPTIONS.c.exception_id == exception_id)).one_or_none()
    if row is None:
        raise UsageError(f"no exception {exception_id}", fix="`consign exceptions list` lists them")
    return row


def whole(connection: Connection, exception_id: int) -> dict[str, Any]:
    """The exception with what its code means, what mends it, its detail and every comment."""
    row = found(connection, exception_id)
    about = CODES.get(row.code)
    notes = select(COMMENTS.c.at, COMMENTS.c.by, COMMENTS.c.text).where(COMMENTS.c.exception_id == exception_id)
    return {
        **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row's columns
        "detail": json.loads(row.detail),
        "about": about.about if about else "",
        "fix": about.fix if about else "",
        "comments": [dict(note) for note in connection.execute(notes.order_by(COMMENTS.c.comment_id)).mappings()],
    }


def listed(
    connection: Connection,
    *,
    agency: str | None = None,
    code: str | None = None,
    owner: str | None = None,
    overdue_at: datetime | None = None,
    resolved: bool = False,
    limit: int = 200,
) -> pd.DataFrame:
    """At most `limit` exceptions, the gravest and soonest due first. `overdue_at`: those that were due before then."""
    statement = select(EXCEPTIONS)
    if not resolved:
        statement = statement.where(EXCEPTIONS.c.state.in_(UNRESOLVED))
    for column, wanted in ((EXCEPTIONS.c.agency, agency), (EXCEPTIONS.c.code, code), (EXCEPTIONS.c.owner, owner)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if overdue_at is not None:
        statement = statement.where(EXCEPTIONS.c.due_at < overdue_at, EXCEPTIONS.c.state.in_(UNRESOLVED))
    grave = case({name: place for place, name in enumerate(SEVERITIES)}, value=EXCEPTIONS.c.severity, else_=9)
    found = bulk.read(
        connection, statement.order_by(grave, EXCEPTIONS.c.due_at, EXCEPTIONS.c.exception_id).limit(limit)
    )
    found["about"] = found["code"].map({name: kind.about for name, kind in CODES.items()}).astype("str")
    return found


def counts(connection: Connection, now: datetime) -> pd.DataFrame:
    """Per code and severity: how many are unresolved, how many of them overdue, the oldest opened_at."""
    late = func.sum(case((EXCEPTIONS.c.due_at < now, 1), else_=0))
    return bulk.read(
        connection,
        select(
            EXCEPTIONS.c.code,
            EXCEPTIONS.c.severity,
            func.count().label("unresolved"),
            late.label("overdue"),
            func.min(EXCEPTIONS.c.opened_at).label("oldest"),
        )
        .where(EXCEPTIONS.c.state.in_(UNRESOLVED))
        .group_by(EXCEPTIONS.c.code, EXCEPTIONS.c.severity)
        .order_by(EXCEPTIONS.c.code),
    )


def _code(code: str) -> Any:
    if code not in CODES:
        raise UsageError(f"no exception is called {code!r}", fix="add it to models.exceptions.CODES first")
    return CODES[code]


def _to_change(connection: Connection, exception_id: int) -> Row[Any]:
    trail.hold(connection)
    return found(connection, exception_id)


def _set(connection: Connection, exception_id: int, **columns: Any) -> None:
    connection.execute(update(EXCEPTIONS).where(EXCEPTIONS.c.exception_id == exception_id).values(**columns))


def _told(connection: Connection, desk: Desk, action: str, row: Row[Any], details: Mapping[str, audit.Value]) -> None:
    audit.record(connection, desk.actor, action, f"exception:{row.exception_id}", details, desk.now())


def check_text(text: str) -> None:
    """People write it and the store keeps it: short, one paragraph, and without numbers that could be a debtor's.

    Raises UsageError.
    """
    if not text.strip() or len(text) > TEXT_AT_MOST:
        raise UsageError("say it in 1 to 500 characters", fix="name files and references; details belong elsewhere")
    if PERSONAL.search(text):
        raise UsageError("the text holds a number as long as a phone or ID number", fix="leave debtors' values out")


def audit_text(text: str) -> str:
    """The text as the audit trail takes it."""
    return text.encode("ascii", "backslashreplace").decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

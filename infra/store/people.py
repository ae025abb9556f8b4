"""Rows of people, their sessions and their failures to sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update

from infra.store import bulk
from models.tables import ActorRole, Agency, Person, PersonSession, RecoveryCode, SignInFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PEOPLE: Final = bulk.table_of(Person)
SESSIONS: Final = bulk.table_of(PersonSession)
CODES: Final = bulk.table_of(RecoveryCode)
FAILURES: Final = bulk.table_of(SignInFailure)
AGENCIES: Final = bulk.table_of(Agency)
HELD: Final = bulk.table_of(ActorRole)
# every request asks for these two: they are written once
_SESSION: Final = (
    select(SESSIONS, PEOPLE.c.agency, PEOPLE.c.language, PEOPLE.c.must_change, PEOPLE.c.totp_confirmed)
    .join(PEOPLE, PEOPLE.c.actor == SESSIONS.c.actor)
    .where(
        SESSIONS.c.cookie_hash == bindparam("cookie"),
        SESSIONS.c.ended_at.is_(None),
        SESSIONS.c.ends_at > bindparam("now", type_=SESSIONS.c.ends_at.type),
        SESSIONS.c.seen_at > bindparam("idle_since", type_=SESSIONS.c.seen_at.type),
        PEOPLE.c.state == "active",
    )
)
_ROLES: Final = select(HELD.c.actor, HELD.c.role).where(
    or_(HELD.c.actor == bindparam("actor"), HELD.c.role == "administrator")
)


def person(connection: Connection, actor: str) -> Row[Any] | None:
    """The account of that name."""
    return connection.execute(select(PEOPLE).where(PEOPLE.c.actor == actor)).one_or_none()


def vouched(connection: Connection, issuer: str, subject: str) -> Row[Any] | None:
    """The account that the other house's name belongs to."""
    asked = select(PEOPLE).where(PEOPLE.c.issuer == issuer, PEOPLE.c.subject == subject)
    return connection.execute(asked).one_or_none()


def people(connection: Connection) -> Sequence[Row[Any]]:
    """Everybody, by name, and when each was last seen."""
    seen = select(SESSIONS.c.actor, func.max(SESSIONS.c.seen_at).label("seen_at")).group_by(SESSIONS.c.actor).subquery()
    asked = select(PEOPLE, seen.c.seen_at).outerjoin(seen, seen.c.actor == PEOPLE.c.actor).order_by(PEOPLE.c.actor)
    return connection.execute(asked).all()


def roles_of(connection: Connection, actor: str) -> frozenset[str]:
    """The roles that go with the name."""
    return frozenset(connection.execute(select(HELD.c.role).where(HELD.c.actor == actor)).scalars())


def roles_in_force(connection: Connection, actor: str) -> frozenset[str] | None:
    """Likewise; None where there is no administrator, and roles are not in force."""
    rows = connection.execute(_ROLES, {"actor": actor}).all()
    begun = any(row.role == "administrator" for row in rows)
    return frozenset(row.role for row in rows if row.actor == actor) if begun else None


def agencies(connection: Connection) -> list[tuple[str, str]]:
    """Every agency that somebody could be of: code and name."""
    return [
        (row.agency, row.name)
        for row in connection.execute(select(AGENCIES.c.agency, AGENCIES.c.name).order_by(AGENCIES.c.agency))
    ]


def add(connection: Connection, **columns: Any) -> None:
    """One more account."""
    connection.execute(insert(PEOPLE).values(**columns))


def note(connection: Connection, actor: str, **columns: Any) -> None:
    """The account has these values now."""
    connection.execute(update(PEOPLE).where(PEOPLE.c.actor == actor).values(**columns))


# --- sessions ---------------------------------------------------------------------------------------------------------


def session(connection: Connection, cookie_hash: str, now: datetime, idle_since: datetime) -> Row[Any] | None:
    """The session of that cookie with its person, where neither has ended."""
    asked = {"cookie": cookie_hash, "now": now, "idle_since": idle_since}
    return connection.execute(_SESSION, asked).one_or_none()


def begin(connection: Connection, **columns: Any) -> int:
    """One more session; its number."""
    return int(connection.execute(insert(SESSIONS).values(**columns).returning(SESSIONS.c.session_id)).scalar_one())


def seen(connection: Connection, session_id: int, now: datetime) -> None:
    """Somebody used the session."""
    connection.execute(update(SESSIONS).where(SESSIONS.c.session_id == session_id).values(seen_at=now))


def sessions(connection: Connection, actor: str, now: datetime, idle_since: datetime) -> Sequence[Row[Any]]:
    """The person's sessions that go on, the last used first."""
    asked = (
        select(SESSIONS)
        .where(
            SESSIONS.c.actor == actor, SESSIONS.c.ended_at.is_(None), SESSIONS.c.ends_at > now,
            SESSIONS.c.seen_at > idle_since, SESSIONS.c.factors > 0,
        )
        .order_by(SESSIONS.c.seen_at.desc())
    )  # fmt: skip
    return connection.execute(asked).all()


def end(connection: Connection, now: datetime, *, actor: str, only: int | None = None, but: int | None = None) -> int:
    """The person's sessions have ended: all, that one only, or all but that one. How many there were."""
    which = [SESSIONS.c.actor == actor, SESSIONS.c.ended_at.is_(None)]
    if only is not None:
        which.append(SESSIONS.c.session_id == only)
    if but is not None:
        which.append(SESSIONS.c.session_id != but)
    return int(connection.execute(update(SESSIONS).where(and_(*which)).values(ended_at=now)).rowcount)


# --- failures ---------------------------------------------------------------------------------------------------------


def failure(connection: Connection, subject_hash: str) -> Row[Any] | None:
    """How often it has failed."""
    return connection.execute(select(FAILURES).where(FAILURES.c.subject_hash == subject_hash)).one_or_none()


def failed(connection: Connection, subject_hash: str, failures: int, now: datetime, until: datetime | None) -> None:
    """It has failed so often by now."""
    values = {"failures": failures, "last_at": now, "locked_until": until}
    changed = update(FAILURES).where(FAILURES.c.subject_hash == subject_hash).values(**values)
    if not connection.execute(changed).rowcount:
        connection.execute(insert(FAILURES).values(subject_hash=subject_hash, **values))


def forgiven(connection: Connection, subject_hash: str) -> None:
    """It has succeeded: nothing counts against it."""
    connection.execute(FAILURES.delete().where(FAILURES.c.subject_hash == subject_hash))


# --- recovery codes ---------------------------------------------------------------------------------------------------


def replace_codes(connection: Connection, actor: str, hashes: Sequence[str]) -> None:
    """The person has these recovery codes and no others."""
    connection.execute(CODES.delete().where(CODES.c.actor == actor))
    if hashes:
        connection.execute(insert(CODES), [{"actor": actor, "code_hash": one} for one in hashes])


def use_code(connection: Connection, actor: str, code_hash: str, now: datetime) -> bool:
    """The code was there and unused; it is used now."""
    mine = and_(CODES.c.actor == actor, CODES.c.code_hash == code_hash, CODES.c.used_at.is_(None))
    return bool(connection.execute(update(CODES).where(mine).values(used_at=now)).rowcount)


def codes_left(connection: Connection, actor: str) -> int:
    """How many have not been used."""
    unused = select(func.count()).select_from(CODES).where(CODES.c.actor == actor, CODES.c.used_at.is_(None))
    return int(connection.execute(unused).scalar_one())

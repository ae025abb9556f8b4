"""Rows of jobs: asked for, taken by one worker at a time, heard of, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from infra.store import bulk, keyset
from models.tables import Job

if TYPE_CHECKING:
    from datetime import datetime

JOBS: Final = bulk.table_of(Job)
NEWEST_FIRST: Final = keyset.Order((JOBS.c.job_id,), falling=True)


def ask(connection: Connection, **columns: Any) -> int:
    """One more job; its number."""
    return int(
        connection.execute(insert(JOBS).values(state="waiting", **columns).returning(JOBS.c.job_id)).scalar_one()
    )


def same(connection: Connection, verb: str, identifiers: str) -> int | None:
    """The job that asks for the same and has not ended."""
    asked = select(JOBS.c.job_id).where(
        JOBS.c.verb == verb, JOBS.c.identifiers == identifiers, JOBS.c.state.in_(("waiting", "running"))
    )
    return connection.execute(asked.order_by(JOBS.c.job_id).limit(1)).scalar_one_or_none()


def newest(connection: Connection, verb: str, identifiers: str) -> Row[Any] | None:
    """The newest job of these, whatever became of it."""
    asked = select(JOBS).where(JOBS.c.verb == verb, JOBS.c.identifiers == identifiers)
    return connection.execute(asked.order_by(JOBS.c.job_id.desc()).limit(1)).one_or_none()


def under_way(connection: Connection) -> list[Row[Any]]:
    """Jobs that wait or run, the oldest first; a page's worth of them at most."""
    asked = select(JOBS).where(JOBS.c.state.in_(("waiting", "running"))).order_by(JOBS.c.job_id).limit(keyset.ROWS)
    return list(connection.execute(asked))


def last_ended(connection: Connection) -> Row[Any] | None:
    """The newest job that has ended."""
    asked = select(JOBS).where(JOBS.c.state.in_(("done", "failed"))).order_by(JOBS.c.job_id.desc()).limit(1)
    return connection.execute(asked).one_or_none()


def identifiers_under_way(connection: Connection) -> list[str]:
    """What the jobs that have not ended were asked about."""
    asked = select(JOBS.c.identifiers).where(JOBS.c.state.in_(("waiting", "running")))
    return list(connection.execute(asked).scalars())


def take(connection: Connection, now: datetime, silent_since: datetime) -> Row[Any] | None:
    """The oldest job that waits, or whose worker has fallen silent, is this worker's now."""
    free = or_(JOBS.c.state == "waiting", and_(JOBS.c.state == "running", JOBS.c.seen_at < silent_since))
    first = select(JOBS.c.job_id).where(free).order_by(JOBS.c.job_id).limit(1).with_for_update(skip_locked=True)
    taken = (
        update(JOBS)
        .where(JOBS.c.job_id == first.scalar_subquery())
        .values(state="running", started_at=now, seen_at=now, done=0, of=None, step="")
        .returning(JOBS)
    )
    return connection.execute(taken).one_or_none()


def note(connection: Connection, job_id: int, **columns: Any) -> None:
    """The job has these values now."""
    connection.execute(update(JOBS).where(JOBS.c.job_id == job_id).values(**columns))


def found(connection: Connection, job_id: int) -> Row[Any] | None:
    """The job of that number."""
    return connection.execute(select(JOBS).where(JOBS.c.job_id == job_id)).one_or_none()


def listed(connection: Connection, after: str | None = None) -> keyset.Page:
    """Jobs, the newest first."""
    return keyset.page(connection, select(JOBS), NEWEST_FIRST, after)

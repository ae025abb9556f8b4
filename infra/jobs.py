"""What takes long and is asked for at the console: a row first, then a worker; asking again meanwhile changes nothing.

A worker that falls silent loses its job to the next one: every verb may be run again, and ends in the state of an
undisturbed run.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import audit
from infra.store import jobs as store
from infra.store import trail
from infra.store.database import StoreBusy
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Row

    from infra.wiring import Desk

Identifier = str | int | bool | None
HEARD_EVERY: Final = 5.0
"""Seconds between two signs of life."""
SILENT: Final = timedelta(seconds=60)
TOLD_EVERY: Final = 0.3
"""Seconds between two notes of progress."""
TEXT_AT_MOST: Final = 500


@dataclass(frozen=True)
class Taken:
    """A job that this worker has."""

    job_id: int
    verb: str
    identifiers: Mapping[str, Identifier]
    actor: str


@dataclass
class Progress:
    """How far the job is; kept in its row, so often that a page that asks sees it move."""

    desk: Desk
    job_id: int
    _told_at: float = field(default=0.0, repr=False)

    def __call__(self, step: str, done: int, of: int | None) -> None:
        """So much of so much is done, in that step; as flows.engine tells its watchers."""
        at = time.monotonic()
        if at - self._told_at < TOLD_EVERY and done != of:
            return
        self._told_at = at
        with self.desk.database.write() as connection:
            store.note(connection, self.job_id, step=step, done=done, of=of, seen_at=self.desk.now())


def ask(desk: Desk, verb: str, identifiers: Mapping[str, Identifier]) -> int:
    """The job's number: of a new one, or of the one that was asked for the same and has not ended.

    verb: one of flows.jobs.VERBS. identifiers: codes, numbers and days as ISO texts, never a debtor's data; what they
    may be is what the audit trail may keep. Raises DetailNotAllowed.
    """
    told = audit.detail_text({"verb": verb, "ids": [str(value) for value in identifiers.values()]})
    kept = _kept(identifiers)
    with desk.database.write() as connection:
        trail.hold(connection)
        if (there := store.same(connection, verb, kept)) is not None:
            return there
        job_id = store.ask(connection, verb=verb, identifiers=kept, actor=desk.actor, asked_at=desk.now(), done=0)
        audit.record(connection, desk.actor, "job.asked", f"job:{job_id}", json.loads(told), desk.now())
    return job_id


def newest(desk: Desk, verb: str, identifiers: Mapping[str, Identifier]) -> Row[Any] | None:
    """The newest job that was asked for so; None where nobody asked."""
    with desk.database.read() as connection:
        return store.newest(connection, verb, _kept(identifiers))


def _kept(identifiers: Mapping[str, Identifier]) -> str:
    return json.dumps(dict(identifiers), sort_keys=True, separators=(",", ":"))


def take(desk: Desk) -> Taken | None:
    """The next job, which is this worker's from now on; None where nothing waits."""
    now = desk.now()
    with desk.database.write() as connection:
        row = store.take(connection, now, now - SILENT)
    return None if row is None else Taken(row.job_id, row.verb, json.loads(row.identifiers), row.actor)


@contextmanager
def alive(desk: Desk, job_id: int) -> Iterator[Progress]:
    """In the block the job's worker gives signs of life, whatever it waits for."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARD_EVERY):
            with suppress(StoreBusy), desk.database.write() as connection:  # an import may have the store to itself
                store.note(connection, job_id, seen_at=desk.now())

    thread = threading.Thread(target=beat, name=f"job-{job_id}", daemon=True)
    thread.start()
    try:
        yield Progress(desk, job_id)
    finally:
        over.set()
        thread.join()


def done(desk: Desk, job_id: int, result: Mapping[str, Any]) -> None:
    """The job is done; `result`: codes, counts and references."""
    told = json.dumps(dict(result), sort_keys=True, separators=(",", ":"), default=str)
    with desk.database.write() as connection:
        store.note(connection, job_id, state="done", ended_at=desk.now(), result=told)


def failed(desk: Desk, job_id: int, error: str, fix: str) -> None:
    """The job has failed: the error's sentence, and what to do."""
    with desk.database.write() as connection:
        store.note(
            connection, job_id, state="failed", ended_at=desk.now(), error=error[:TEXT_AT_MOST], fix=fix[:TEXT_AT_MOST]
        )


def found(desk: Desk, job_id: int) -> Row[Any]:
    """The job of that number. Raises UsageError."""
    with desk.database.read() as connection:
        row = store.found(connection, job_id)
    if row is None:
        raise UsageError(f"there is no job {job_id}", fix="/jobs lists them")
    return row

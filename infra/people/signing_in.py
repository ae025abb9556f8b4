"""Signing in with a name and a password: one answer for every failure, and a pause after several.

A name that nobody has fails as one that somebody has: by the same words, after the same work, and it is locked as well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from infra.people import sessions
from infra.store import people as store
from keys import passwords
from models.errors import RefusedByPolicy

if TYPE_CHECKING:
    from datetime import datetime

    from infra.wiring import Desk

NAME_FREE: Final = 5
"""So many failures a name has free, then each one doubles the pause."""
ADDRESS_FREE: Final = 30
"""Behind one address sit many people."""
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=30)
FORGOTTEN_AFTER: Final = timedelta(hours=2)
PASSWORD_AT_MOST: Final = 1_024


class NotSignedIn(RefusedByPolicy):
    """Name, password or code is wrong; which one is not said."""


class LockedOut(RefusedByPolicy):
    """It failed too often; until `again_at` nobody is asked for a password."""

    def __init__(self, message: str, *, again_at: datetime, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.again_at = again_at


@dataclass(frozen=True)
class Admitted:
    """The browser's cookie, and whether a code is asked for before it is worth anything."""

    cookie: str
    needs_code: bool


def sign_in(desk: Desk, actor: str, password: str, *, address: str, browser: str) -> Admitted:
    """The person is signed in, or asked for a code. Raises NotSignedIn, LockedOut."""
    subjects = subjects_of(actor, address)
    refuse_locked(desk, subjects)
    with desk.database.read() as connection:
        row = store.person(connection, actor)
    usable = row is not None and row.state == "active"
    kept = row.password if row is not None and usable else None
    if not passwords.matches(password[:PASSWORD_AT_MOST], kept) or row is None or kept is None:
        failed(desk, subjects)
        raise NotSignedIn("name or password is wrong", fix="try again, or let an administrator give a new password")
    if passwords.is_outdated(kept):
        with desk.database.write() as connection:
            store.note(connection, actor, password=passwords.hashed(password))
    if row.totp_confirmed:
        return Admitted(sessions.begin(desk, actor, factors=0, address=address, browser=browser), needs_code=True)
    forgive(desk, subjects)
    return Admitted(sessions.begin(desk, actor, factors=1, address=address, browser=browser), needs_code=False)


# --- failures ---------------------------------------------------------------------------------------------------------


def subjects_of(actor: str, address: str) -> dict[str, int]:
    """What a failure counts against, by hash, and how many each has free."""
    return {_hash(f"name:{actor.strip().lower()}"): NAME_FREE, _hash(f"address:{address}"): ADDRESS_FREE}


def refuse_locked(desk: Desk, subjects: dict[str, int]) -> None:
    """Raises LockedOut where one of them is locked."""
    now = desk.now()
    with desk.database.read() as connection:
        rows = [store.failure(connection, subject) for subject in subjects]
    until = max((row.locked_until for row in rows if row is not None and row.locked_until), default=None)
    if until is not None and until > now:
        raise LockedOut("signing in failed too often", again_at=until, fix="wait, or ask an administrator")


def failed(desk: Desk, subjects: dict[str, int]) -> None:
    """One more failure of each."""
    now = desk.now()
    with desk.database.write() as connection:
        for subject, free in subjects.items():
            row = store.failure(connection, subject)
            before = row.failures if row is not None and row.last_at > now - FORGOTTEN_AFTER else 0
            pause = min(FIRST_PAUSE * 2 ** min(max(0, before + 1 - free), 10), LONGEST_PAUSE)
            store.failed(connection, subject, before + 1, now, now + pause if before + 1 >= free else None)


def forgive(desk: Desk, subjects: dict[str, int]) -> None:
    """The name's failures are forgotten; the address's are not: whoever tries names has one of his own."""
    with desk.database.write() as connection:
        store.forgiven(connection, next(iter(subjects)))


def _hash(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()

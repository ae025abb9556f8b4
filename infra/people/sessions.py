"""Who is signed in: a random cookie that the store knows by its hash alone, with an idle and an absolute end.

A session is begun anew at every change of what it may (signing in, the second factor, a new password): what somebody
planted before is worth nothing after.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import audit
from infra.store import people as store
from infra.store import trail
from models.permissions import AGENCY, allowed
from models.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

COOKIE_BYTES: Final = 32
HALF_MINUTES: Final = 5
"""How long somebody who knew the password may take to find the code."""
NOTE_EVERY: Final = timedelta(minutes=1)
"""Being seen is written down so often at most."""
BROWSER_AT_MOST: Final = 200


@dataclass(frozen=True)
class SignedIn:
    """A person at a browser."""

    actor: str
    agency: str | None
    roles: frozenset[str]
    session_id: int
    factors: int
    """0: the password was right, and a code is asked for; 1: a password; 2: and a code"""
    language: str
    must_change: bool
    has_totp: bool

    def may(self, action: str, *, of_agency: str | None = None) -> bool:
        """Whether the table of permissions lets this person do it."""
        return allowed(action, self.roles, agency=self.agency, of_agency=of_agency)


def begin(desk: Desk, actor: str, *, factors: int, address: str, browser: str) -> str:
    """The person is signed in; what the browser is to keep.

    factors: 0 where a code is still asked for; that session is worth nothing but to answer it.
    """
    cookie, now = secrets.token_urlsafe(COOKIE_BYTES), desk.now()
    whole = timedelta(hours=desk.settings.session_hours) if factors else timedelta(minutes=HALF_MINUTES)
    with desk.database.write() as connection:
        trail.hold(connection)
        session_id = store.begin(
            connection, cookie_hash=hashed(cookie), actor=actor, factors=factors, begun_at=now, seen_at=now,
            ends_at=now + whole, address=address, browser=_printable(browser),
        )  # fmt: skip
        if factors:
            details = {"id": session_id, "count": factors}
            audit.record(connection, actor, "person.signed_in", f"person:{actor}", details, now)
    return cookie


def whose(desk: Desk, cookie: str) -> SignedIn | None:
    """Who the browser belongs to; None where nobody is signed in there (any more)."""
    now = desk.now()
    with desk.database.read() as connection:
        row = store.session(connection, hashed(cookie), now, now - _idle(desk))
        if row is None:
            return None
        held = roles_of(connection, desk, row.actor, row.agency)
    if row.seen_at < now - NOTE_EVERY:
        with desk.database.write() as connection:
            store.seen(connection, row.session_id, now)
    return SignedIn(
        row.actor, row.agency, held, row.session_id, row.factors, row.language, row.must_change, row.totp_confirmed
    )


def roles_of(connection: Connection, desk: Desk, actor: str, agency: str | None) -> frozenset[str]:
    """What the person's name stands for now: an agency's own has that role alone; all, where roles are not in force."""
    if agency is not None:
        return frozenset({AGENCY})
    held = None if desk.settings.roles == "off" else store.roles_in_force(connection, actor)
    return frozenset(ROLES) if held is None else held  # as infra.roles: nothing is refused


def listed(desk: Desk, actor: str) -> Sequence[Row[Any]]:
    """The person's sessions that go on, the last used first."""
    now = desk.now()
    with desk.database.read() as connection:
        return store.sessions(connection, actor, now, now - _idle(desk))


def end(desk: Desk, actor: str, *, only: int | None = None, but: int | None = None) -> int:
    """The person's sessions have ended: all, that one only, or all but that one. How many there were."""
    with desk.database.write() as connection:
        trail.hold(connection)
        count = store.end(connection, desk.now(), actor=actor, only=only, but=but)
        if count:
            details = {"count": count, "id": only}
            audit.record(connection, desk.actor, "person.signed_out", f"person:{actor}", details, desk.now())
    return count


def hashed(cookie: str) -> str:
    """What the store knows of a cookie."""
    return hashlib.sha256(f"session:{cookie}".encode()).hexdigest()


def _idle(desk: Desk) -> timedelta:
    return timedelta(minutes=desk.settings.session_idle_minutes)


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:BROWSER_AT_MOST]

"""Tokens for programs: each belongs to a person, reaches no further than that person may, and ends.

What a program sends is known to it alone: the store has the hash. A token may be narrowed to some actions of
models.permissions, or to those of an area (`plans.*`), or to looking (`*.see`).
"""

from __future__ import annotations

import fnmatch
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import audit, roles
from infra.people import sessions
from infra.store import people as store
from infra.store import tokens as rows
from infra.store import trail
from models.errors import UsageError
from models.permissions import ACTIONS, allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from infra.wiring import Desk

BEGINS: Final = "cst_"
"""So that a token which was left lying about is seen to be one."""
BYTES: Final = 32
DAYS_AT_MOST: Final = 366
LONGEST_NAME: Final = 80
NOTE_EVERY: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Bearer:
    """Who calls, and how far the token reaches."""

    actor: str
    agency: str | None
    roles: frozenset[str]
    scopes: tuple[str, ...]
    token_id: int

    def may(self, action: str) -> bool:
        """Whether the person may do it, and the token too."""
        reaches = not self.scopes or any(fnmatch.fnmatchcase(action, scope) for scope in self.scopes)
        return reaches and allowed(action, self.roles, agency=self.agency)


@dataclass(frozen=True)
class Made:
    """A new token; `token` is shown once and kept nowhere."""

    token_id: int
    token: str
    name: str
    scopes: tuple[str, ...]
    ends_at: datetime


def make(desk: Desk, actor: str, name: str, *, scopes: Sequence[str] = (), days: int = 90) -> Made:
    """A token of the person's. Raises UsageError for a person, a scope or a time that cannot be, RoleMissing.

    A token of somebody else's only an administrator makes.
    """
    known = sorted({scope.strip() for scope in scopes if scope.strip()})
    for scope in known:
        if not any(fnmatch.fnmatchcase(action, scope) for action in ACTIONS):
            raise UsageError(f"no action is {scope!r}", fix="as `plans.see`, `plans.*` or `*.see`")
    if not name.strip() or len(name) > LONGEST_NAME or not audit.TEXT.fullmatch(name):
        raise UsageError("a token has a name that says what it is for", fix=f"up to {LONGEST_NAME} ASCII characters")
    if not 1 <= days <= DAYS_AT_MOST:
        raise UsageError("a token ends", fix=f"give it from 1 to {DAYS_AT_MOST} days")
    token, now = BEGINS + secrets.token_urlsafe(BYTES), desk.now()
    ends_at = now + timedelta(days=days)
    with desk.database.write() as connection:
        trail.hold(connection)
        if actor != desk.actor:
            roles.require(connection, desk, "administrator")
        person = store.person(connection, actor)
        if person is None or person.state != "active":
            raise UsageError(f"nobody called {actor} has an account", fix="`consign people list` shows who has one")
        token_id = rows.add(
            connection, token_hash=hashed(token), actor=actor, name=name.strip(), scopes=" ".join(known),
            made_by=desk.actor, made_at=now, ends_at=ends_at,
        )  # fmt: skip
        _record(connection, desk, "token.made", token_id, {"by": desk.actor, "until": ends_at.date().isoformat()})
    return Made(token_id, token, name.strip(), tuple(known), ends_at)


def whose(desk: Desk, token: str) -> Bearer | None:
    """Who calls with the token; None for none, one that has ended or was revoked, and where its person is disabled."""
    if not token.startswith(BEGINS) or not token.isascii():
        return None
    now = desk.now()
    with desk.database.read() as connection:
        row = rows.counting(connection, hashed(token), now)
        if row is None:
            return None
        held = sessions.roles_of(connection, desk, row.actor, row.agency)
    if row.used_at is None or row.used_at < now - NOTE_EVERY:
        with desk.database.write() as connection:
            rows.note(connection, row.token_id, used_at=now)
    return Bearer(row.actor, row.agency, held, tuple(row.scopes.split()), row.token_id)


def listed(desk: Desk, actor: str | None = None) -> Sequence[Row[Any]]:
    """The tokens that count, of that person or of everybody; never the tokens themselves."""
    with desk.database.read() as connection:
        return rows.listed(connection, desk.now(), actor)


def revoke(desk: Desk, token_id: int) -> None:
    """The token counts no more. Raises UsageError where there is none, RoleMissing for somebody else's."""
    with desk.database.write() as connection:
        trail.hold(connection)
        row = rows.one(connection, token_id)
        if row is None or row.revoked_at is not None:
            raise UsageError(f"no token {token_id} counts", fix="`consign people token list` shows those that do")
        if row.actor != desk.actor:
            roles.require(connection, desk, "administrator")
        rows.note(connection, token_id, revoked_at=desk.now())
        _record(connection, desk, "token.revoked", token_id, {"by": desk.actor})


def hashed(token: str) -> str:
    """What the store knows of a token."""
    return hashlib.sha256(f"token:{token}".encode()).hexdigest()


def _record(connection: Any, desk: Desk, act: str, token_id: int, details: dict[str, audit.Value]) -> None:
    audit.record(connection, desk.actor, act, f"token:{token_id}", details, desk.now())

"""Accounts of the console: made and ended by administrators; whom an account belongs to says its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra import audit, roles
from infra.store import people as store
from infra.store import trail
from keys import passwords
from models.errors import RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

PASSWORD_AT_LEAST: Final = 12
PASSWORD_AT_MOST: Final = 1_024
COMMON: Final = ("password", "passwort", "123456", "qwerty", "letmein", "consign", "welcome", "iloveyou")


class WrongPassword(RefusedByPolicy):
    """Whoever is signed in does not know the account's password."""


class Mistyped(UsageError):
    """What was typed twice was typed in two ways."""


def add(
    desk: Desk,
    actor: str,
    password: str | None,
    *,
    agency: str | None = None,
    vouched: str | None = None,
    must_change: bool = True,
) -> None:
    """The person has an account. Without a password nobody signs in with one: another house vouches for the person.

    vouched: the person's name there, as the claim `oidc_claim` says it.

    Raises RoleMissing, UsageError for a name that is taken, a weak password, an agency that nobody knows.
    """
    name = roles.named(actor)
    if password is not None:
        check_password(password, name)
    with desk.database.write() as connection:
        trail.hold(connection)
        _require_administrator(connection, desk)
        if store.person(connection, name) is not None:
            raise UsageError(f"{name} has an account", fix="`consign people list` lists them")
        if agency is not None:
            _known_agency(connection, agency)
        issuer = desk.settings.oidc_issuer or None
        if vouched is not None and (issuer is None or store.vouched(connection, issuer, vouched) is not None):
            raise UsageError(
                "no house vouches for people here" if issuer is None else "that name there is somebody else's here",
                fix="set oidc_issuer" if issuer is None else "`consign people list` lists whose",
            )
        store.add(
            connection, actor=name, agency=agency, state="active", created_by=desk.actor, created_at=desk.now(),
            password=None if password is None else passwords.hashed(password), password_at=desk.now(),
            must_change=must_change and password is not None,
            issuer=issuer if vouched is not None else None, subject=vouched,
        )  # fmt: skip
        _record(connection, desk, "added", name, {"agency": agency})


def set_state(desk: Desk, actor: str, state: str) -> None:
    """The account is `active` or `disabled`; who is disabled is signed out everywhere at once.

    Raises RoleMissing, UsageError for an unknown name, RefusedByPolicy for oneself.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        _require_administrator(connection, desk)
        row = found(connection, actor)
        if actor == desk.actor and state == "disabled":
            raise RefusedByPolicy(f"{actor} cannot disable {actor}", fix="let another administrator do it")
        if row.state == state:
            return
        store.note(connection, actor, state=state)
        if state == "disabled":
            store.end(connection, desk.now(), actor=actor)
        _record(connection, desk, "disabled" if state == "disabled" else "enabled", actor, {})


def set_password(desk: Desk, actor: str, password: str, *, old: str | None = None) -> None:
    """The password is another one, and the person's sessions have ended.

    One's own: `old` must be right. Somebody else's: an administrator, and it must be changed at the next sign-in.
    Raises RoleMissing, UsageError for an unknown name or a weak password, RefusedByPolicy for a wrong old one.
    """
    check_password(password, actor)
    own = actor == desk.actor and old is not None
    with desk.database.write() as connection:
        trail.hold(connection)
        row = found(connection, actor)
        if not own:
            _require_administrator(connection, desk)
        elif not passwords.matches(old or "", row.password):
            raise WrongPassword("the old password is wrong", fix="type it again, or ask an administrator for a new one")
        store.note(connection, actor, password=passwords.hashed(password), password_at=desk.now(), must_change=not own)
        store.end(connection, desk.now(), actor=actor)
        _record(connection, desk, "password_changed", actor, {"by": "self" if own else "administrator"})


def sign_out(desk: Desk, actor: str) -> int:
    """Somebody else is signed out everywhere. Raises RoleMissing, UsageError. How many sessions there were."""
    with desk.database.write() as connection:
        trail.hold(connection)
        _require_administrator(connection, desk)
        found(connection, actor)
        count = store.end(connection, desk.now(), actor=actor)
        _record(connection, desk, "signed_out", actor, {"count": count})
    return count


def check_own(desk: Desk, password: str) -> None:
    """Whoever sits at the desk knows the account's password. Raises WrongPassword."""
    with desk.database.read() as connection:
        kept = found(connection, desk.actor).password
    if not passwords.matches(password[:PASSWORD_AT_MOST], kept):
        raise WrongPassword("the password is wrong", fix="type it again")


def set_language(desk: Desk, actor: str, language: str) -> None:
    """The person reads the console in that language wherever signed in."""
    with desk.database.write() as connection:
        store.note(connection, actor, language=language)


def listed(desk: Desk) -> list[dict[str, Any]]:
    """Everybody by name: agency, state, roles, second factor, when last seen."""
    with desk.database.read() as connection:
        rows: Sequence[Row[Any]] = store.people(connection)
        return [
            {
                "actor": row.actor, "agency": row.agency, "state": row.state,
                "roles": sorted(store.roles_of(connection, row.actor)), "second_factor": bool(row.totp_confirmed),
                "password": row.password is not None, "issuer": row.issuer, "seen_at": row.seen_at,
            }
            for row in rows
        ]  # fmt: skip


def found(connection: Connection, actor: str) -> Row[Any]:
    """The account of that name. Raises UsageError."""
    row = store.person(connection, actor)
    if row is None:
        raise UsageError(f"nobody has an account called {actor!r}", fix="`consign people list` lists them")
    return row


def check_password(password: str, actor: str) -> None:
    """Raises UsageError for one that is short, long, common, or the name."""
    plain = password.lower()
    if len(password) < PASSWORD_AT_LEAST or len(password) > PASSWORD_AT_MOST:
        raise UsageError(
            f"a password has {PASSWORD_AT_LEAST} to {PASSWORD_AT_MOST} letters",
            fix="take a sentence, or let a program choose",
        )
    if (
        actor.lower() in plain
        or any(plain.startswith(word) for word in COMMON)
        or len(set(plain)) < PASSWORD_AT_LEAST // 2
    ):
        raise UsageError("that password is easily guessed", fix="take a sentence, or let a program choose")


def _require_administrator(connection: Connection, desk: Desk) -> None:
    roles.require(connection, desk, "administrator")


def _known_agency(connection: Connection, agency: str) -> None:
    from sqlalchemy import select

    from infra.store import bulk
    from models.tables import Agency

    agencies = bulk.table_of(Agency)
    if connection.execute(select(agencies.c.agency).where(agencies.c.agency == agency)).first() is None:
        raise UsageError(f"there is no agency {agency!r}", fix="`consign agency list` lists them")


def _record(connection: Connection, desk: Desk, what: str, actor: str, details: dict[str, audit.Value]) -> None:
    audit.record(connection, desk.actor, f"person.{what}", f"person:{actor}", details, desk.now())

"""The second factor: an authenticator's code, or a recovery code that works once.

Enrolling is done when a first code was right; until then the secret counts for nothing. No code counts twice. A wrong
one counts as a failure to sign in.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra import audit, roles
from infra.people import accounts, sessions, signing_in
from infra.store import people as store
from infra.store import trail
from keys import totp
from models.errors import RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from infra.people.sessions import SignedIn
    from infra.wiring import Desk

HOUSE: Final = "Consign"
CODES: Final = 10
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is mistaken for something else."""
CODE_LETTERS: Final = 12


class WrongCode(RefusedByPolicy):
    """The code is not the authenticator's of now, or was used before."""


@dataclass(frozen=True)
class Enrolment:
    """What the authenticator is to be told."""

    address: str
    """otpauth://…, for a QR code"""
    spelled: str
    """the secret, to be typed"""


def enrol(desk: Desk, actor: str) -> Enrolment:
    """A new secret for the person's authenticator, which counts once `confirm` has seen a code of it.

    Raises UsageError where one counts already: it is forgotten first.
    """
    secret = totp.new_secret()
    with desk.database.write() as connection:
        row = accounts.found(connection, actor)
        if row.totp_confirmed:
            raise UsageError(f"{actor} has an authenticator", fix="forget it first")
        store.note(connection, actor, totp=totp.seal(_key(desk), actor, secret), totp_step=0)
    return Enrolment(totp.address(secret, actor, HOUSE), totp.spelled(secret))


def enrolling(desk: Desk, actor: str) -> Enrolment:
    """The enrolment that waits for its first code, or a new one."""
    with desk.database.read() as connection:
        row = accounts.found(connection, actor)
    if row.totp is None or row.totp_confirmed:
        return enrol(desk, actor)
    secret = totp.opened(_key(desk), actor, row.totp)
    return Enrolment(totp.address(secret, actor, HOUSE), totp.spelled(secret))


def confirm(desk: Desk, actor: str, code: str) -> list[str]:
    """The authenticator counts; the recovery codes, which are told this once. Raises WrongCode, UsageError."""
    with desk.database.write() as connection:
        trail.hold(connection)
        row = accounts.found(connection, actor)
        if row.totp is None or row.totp_confirmed:
            raise UsageError("no authenticator waits for its first code", fix="begin with a new one")
        step = totp.step_that_says(totp.opened(_key(desk), actor, row.totp), code, desk.now())
        if step is None:
            raise WrongCode("the code is wrong", fix="wait for the next one, and look at the clocks of both machines")
        store.note(connection, actor, totp_confirmed=True, totp_step=step)
        codes = _new_codes()
        store.replace_codes(connection, actor, [_hash(actor, one) for one in codes])
        audit.record(connection, desk.actor, "person.authenticator_added", f"person:{actor}", {}, desk.now())
    return codes


def forget(desk: Desk, actor: str) -> None:
    """The person has no authenticator any more, and is signed out everywhere.

    Oneself, or an administrator for somebody who lost it. Raises RoleMissing, UsageError.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        accounts.found(connection, actor)
        if actor != desk.actor:
            roles.require(connection, desk, "administrator")
        store.note(connection, actor, totp=None, totp_confirmed=False, totp_step=0)
        store.replace_codes(connection, actor, [])
        store.end(connection, desk.now(), actor=actor)
        audit.record(connection, desk.actor, "person.authenticator_forgotten", f"person:{actor}", {}, desk.now())


def answer(desk: Desk, half: SignedIn, code: str, *, address: str, browser: str) -> str:
    """The code was right: the session of a person who was asked for it, begun anew.

    Raises WrongCode, LockedOut.
    """
    subjects = signing_in.subjects_of(half.actor, address)
    signing_in.refuse_locked(desk, subjects)
    if not (_by_authenticator(desk, half.actor, code) or _by_recovery(desk, half.actor, code)):
        signing_in.failed(desk, subjects)
        raise WrongCode("the code is wrong", fix="wait for the next one, or use a recovery code")
    signing_in.forgive(desk, subjects)
    with desk.database.write() as connection:
        store.end(connection, desk.now(), actor=half.actor, only=half.session_id)
    return sessions.begin(desk, half.actor, factors=2, address=address, browser=browser)


def left(desk: Desk, actor: str) -> int:
    """How many recovery codes have not been used."""
    with desk.database.read() as connection:
        return store.codes_left(connection, actor)


def _by_authenticator(desk: Desk, actor: str, code: str) -> bool:
    with desk.database.write() as connection:
        row = accounts.found(connection, actor)
        if row.totp is None or not row.totp_confirmed:
            return False
        step = totp.step_that_says(totp.opened(_key(desk), actor, row.totp), code, desk.now(), after=row.totp_step)
        if step is None:
            return False
        store.note(connection, actor, totp_step=step)
    return True


def _by_recovery(desk: Desk, actor: str, code: str) -> bool:
    with desk.database.write() as connection:
        trail.hold(connection)
        used = store.use_code(connection, actor, _hash(actor, code), desk.now())
        if used:
            details = {"waiting": store.codes_left(connection, actor)}
            audit.record(connection, actor, "person.recovery_code_used", f"person:{actor}", details, desk.now())
    return used


def _new_codes() -> list[str]:
    return ["".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS)) for _ in range(CODES)]


def _hash(actor: str, code: str) -> str:
    """Of random letters, so that a fast hash keeps them."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(f"recovery:{actor}:{plain}".encode()).hexdigest()


def _key(desk: Desk) -> bytes:
    return desk.keyring.secret(totp.KEPT_AS)

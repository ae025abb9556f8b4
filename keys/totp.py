"""Codes of an authenticator: RFC 6238 (TOTP) over RFC 4226 (HOTP), six digits of SHA-1, a new one every 30 seconds.

SHA-1 because every authenticator knows it, and as HMAC it is sound. The secret is kept sealed, bound to its person.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import CellTampered

if TYPE_CHECKING:
    from datetime import datetime

KEPT_AS: Final = "totp"
"""The keyring's name for the secret that seals the secrets."""
SECRET_BYTES: Final = 20
STEP_SECONDS: Final = 30
DIGITS: Final = 6
AROUND: Final = 1
"""Steps before and after now whose code counts: clocks differ, and people type slowly."""
NONCE_BYTES: Final = 12
_BOUND: Final = b"consign.totp.v1|"


def new_secret() -> bytes:
    """A secret for one authenticator."""
    return secrets.token_bytes(SECRET_BYTES)


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of that time step."""
    mac = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 0x0F
    return str((int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF) % 10**digits).zfill(digits)


def step_of(now: datetime) -> int:
    """The time step that `now` lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def step_that_says(secret: bytes, given: str, now: datetime, *, after: int = 0) -> int | None:
    """The step near now, later than `after`, whose code was given; None where there is none.

    Every step is looked at whatever was found, so that the time it takes tells nothing.
    """
    said = given.replace(" ", "").encode()
    here = step_of(now)
    found = None
    for step in range(here - AROUND, here + AROUND + 1):
        if hmac.compare_digest(code(secret, step).encode(), said) and step > after:
            found = step
    return found


def address(secret: bytes, actor: str, house: str) -> str:
    """What an authenticator reads, as a QR code or typed: `otpauth://totp/…`."""
    label = f"{quote(house, safe='')}:{quote(actor, safe='')}"
    return f"otpauth://totp/{label}?secret={spelled(secret)}&issuer={quote(house, safe='')}&digits={DIGITS}"


def spelled(secret: bytes) -> str:
    """The secret as a person types it: base32 without its padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def seal(key: bytes, actor: str, secret: bytes) -> bytes:
    """The secret sealed, bound to its person."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, _BOUND + actor.encode())


def opened(key: bytes, actor: str, sealed: bytes) -> bytes:
    """The secret again. Raises CellTampered where it is another person's, or was changed."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _BOUND + actor.encode())
    except (InvalidTag, ValueError) as fault:
        raise CellTampered(
            f"the authenticator of {actor} does not open", fix="`consign people totp NAME --forget`, and enrol it anew"
        ) from fault

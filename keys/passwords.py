"""Passwords of people: Argon2id with the parameters beside the hash, so that they can be raised."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
ITERATIONS: Final = 3
LANES: Final = 4
MEMORY_KIB: Final = 65_536
"""RFC 9106, section 4: the second recommended option."""
PREFIX: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$"


def hashed(password: str) -> str:
    """What is kept of the password: Argon2id in its PHC string, with a salt of its own."""
    return Argon2id(
        salt=os.urandom(SALT_BYTES), length=HASH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    ).derive_phc_encoded(password.encode())


def matches(password: str, kept: str | None) -> bool:
    """Whether it is the password. Takes as long where there is none to compare with: names cannot be told apart."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), kept or _NOBODYS)
    except (InvalidKey, ValueError):
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether the hash was made with other parameters than those of today."""
    return not kept.startswith(PREFIX)


_NOBODYS: Final = PREFIX + "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""Parameters as of today, and a hash that no password has."""

"""A whole file sealed under a data key of its own, so that destroying the key destroys the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import CellTampered
from keys.vault import NONCE_BYTES

if TYPE_CHECKING:
    from keys.vault import DataKey

_BLOB: Final = b"consign.blob.v1|"


def seal_blob(data_key: DataKey, name: str, content: bytes) -> bytes:
    """Return the content sealed, bound to `name`: under another name it does not open."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(data_key.key).encrypt(nonce, content, _BLOB + name.encode())


def open_blob(data_key: DataKey, name: str, sealed: bytes) -> bytes:
    """Return the content; raises CellTampered if it is not what was sealed under this key and name."""
    try:
        return AESGCM(data_key.key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _BLOB + name.encode())
    except (InvalidTag, ValueError) as fault:
        raise CellTampered(
            f"{name} does not open under data key {data_key.key_id}", fix="restore it from a backup"
        ) from fault

"""Short texts that we sign for others to keep: whoever has our `allowed_signers` line checks them with OpenSSH alone.

ssh-keygen -Y verify -f lender.allowed_signers -I consign -n consign -s TEXT.sig < TEXT
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.errors import KeyUnknown
from keys.sealing import sshsig

if TYPE_CHECKING:
    from datetime import datetime

    from keys.entries import Entry
    from keys.keyring import Keyring

SUITE = "age"
"""whose signing key is OpenSSH's"""


def signer(keyring: Keyring, now: datetime) -> Entry:
    """Our newest valid signing key, made where there never was one. Raises KeyUnknown where none is valid any more."""
    known = keyring.own_keys(SUITE) or [keyring.new_own_keys(SUITE, now)]
    for entry in known:
        if entry.state(now) == "valid":
            return entry
    raise KeyUnknown("the keyring has no valid signing key of our own", fix=f"run `consign keys rotate own {SUITE}`")


def sign(text: str, entry: Entry) -> str:
    """The armoured SSHSIG over the text's UTF-8."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(entry.secret["signer"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statement"
        path.write_text(text, encoding="utf-8", newline="")
        return sshsig.sign(path, key)


def signed_by(text: str, signature: str) -> str | None:
    """The fingerprint of the key that signed exactly this text; None where none did. Whose it is, is not asked here."""
    parsed = sshsig.parse(signature.encode(), name="the signature")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statement"
        path.write_text(text, encoding="utf-8", newline="")
        return sshsig.fingerprint(parsed.public_blob) if sshsig.verified(path, parsed) else None

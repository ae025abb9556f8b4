"""The whole keyring as one file for somebody who keeps it elsewhere: sealed by age to that person alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyrage

from keys.entries import Entry
from keys.errors import KeyUnfit, OpenRefused

if TYPE_CHECKING:
    from datetime import datetime

    from keys.keyring import Keyring

_FORMAT: Final = "consign.escrow"
_VERSION: Final = 1


def check_recipient(recipient: str) -> str:
    """Return the age recipient without its margins; raises KeyUnfit for what is none."""
    try:
        pyrage.x25519.Recipient.from_str(recipient.strip())
    except pyrage.RecipientError as fault:
        raise KeyUnfit(
            "that is no age recipient", fix="give the `age1…` line that `age-keygen -y` prints of the holder's key"
        ) from fault
    return recipient.strip()


def sealed(keyring: Keyring, recipient: str, now: datetime) -> bytes:
    """Return every key there is, secrets included, for the holder of the recipient's key alone."""
    document = {
        "format": _FORMAT, "version": _VERSION, "made_at": now.isoformat(),
        "entries": [entry.as_json() for entry in keyring.entries()],
    }  # fmt: skip
    to = pyrage.x25519.Recipient.from_str(check_recipient(recipient))
    return bytes(pyrage.encrypt(json.dumps(document).encode(), [to]))


def opened(file: bytes, identity: str) -> tuple[Entry, ...]:
    """Return the keys in an escrow. identity: the text of the holder's key file, as `age-keygen` writes it.

    Raises KeyUnfit for a text that holds no age key; OpenRefused for a file that is not sealed to it, or no escrow.
    """
    lines = [line.strip() for line in identity.splitlines() if line.strip() and not line.startswith("#")]
    try:
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError as fault:
        raise KeyUnfit("that file holds no age key", fix="give the file that `age-keygen` wrote") from fault
    try:
        document = json.loads(pyrage.decrypt(file, keys))
        known = (document["format"], document["version"]) == (_FORMAT, _VERSION)
        entries = tuple(Entry.from_json(entry) for entry in document["entries"]) if known else ()
    except pyrage.DecryptError as fault:
        raise OpenRefused(
            "the escrow does not open with this key",
            code="not_for_us",
            fix="give the key of its holder",
        ) from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise OpenRefused("the file is no escrow", code="tampered", fix="give the file that was let out") from fault
    if not known:
        raise OpenRefused("the file is no escrow of this version", code="tampered", fix="use the release that wrote it")
    return entries

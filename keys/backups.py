"""A file sealed by age to one backup's key, and opened with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyrage

from keys.errors import OpenRefused
from keys.files import replacing, system_fault

if TYPE_CHECKING:
    from pathlib import Path


def seal_backup(plain: Path, sealed: Path, recipient: str) -> None:
    """Write `sealed`, whole or not at all; raises OSError where there is no room."""
    with replacing(sealed) as unfinished:
        try:
            pyrage.encrypt_file(str(plain), str(unfinished), [pyrage.x25519.Recipient.from_str(recipient)])
        except pyrage.EncryptError as fault:
            raise system_fault(str(fault), sealed) or OSError(f"age could not write {sealed}: {fault}") from fault


def open_backup(sealed: Path, plain: Path, identity: str) -> None:
    """Write `plain`, whole or not at all; raises OpenRefused for what is not sealed to this key, or was altered."""
    with replacing(plain) as unfinished:
        try:
            pyrage.decrypt_file(str(sealed), str(unfinished), [pyrage.x25519.Identity.from_str(identity)])
        except (pyrage.DecryptError, OSError) as fault:
            if machine := system_fault(str(fault), plain):
                raise machine from fault
            raise OpenRefused(
                f"{sealed.name} does not open with its key, or was altered", code="tampered", fix="take another backup"
            ) from fault

"""The one copy of the keyring that Consign keeps, and the list of what must stay forgotten.

The copy is the keyring's file as it is, sealed under the root key; it is written anew with every backup and whenever
keys are destroyed, over the one before, whose bytes are overwritten: an older copy would bring destroyed keys back. The
list lies beside the backups, signed: whoever restores an old store or keyring learns from it what was destroyed since.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

from infra.store import shredding as store
from keys.errors import OpenRefused
from keys.files import overwrite, write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from infra.wiring import Desk
    from keys.roots.root import Root

LIST: Final = "erased.json"
_SIGNED_AS: Final = b"consign.erased.v1\n"


def copy_path(desk: Desk) -> Path:
    """Where the copy of the keyring is, or would be."""
    return desk.settings.keyring_copy or desk.settings.keyring_path.parent / "copy" / "keyring.json"


def keep(desk: Desk) -> Path:
    """The keyring is copied as it is now, over the copy before. Returns where it is."""
    path = copy_path(desk)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ = desk.keyring.entries()  # it opens: what does not is copied over nothing
    replace_private(path, desk.settings.keyring_path.read_bytes())
    return path


def rewrap(desk: Desk, root: Root) -> None:
    """The keyring opens with another root key from now on, and so does its copy: older copies open with the old one."""
    desk.keyring.rewrap(root=root)
    if copy_path(desk).exists():
        keep(desk)


def renew(desk: Desk) -> None:
    """Where there is a copy of the keyring, or a folder of backups, they know what was destroyed."""
    if copy_path(desk).exists():
        keep(desk)
    if (folder := desk.settings.backups_path).is_dir():
        write_list(desk, folder)


def replace_private(path: Path, content: bytes) -> None:
    """The file holds this, and the bytes it held before are overwritten."""
    old = os.open(path, os.O_RDWR) if path.exists() else None
    try:
        write_private(path, content)
        if old is not None:
            overwrite(old)
    finally:
        if old is not None:
            os.close(old)


# -- the list ----------------------------------------------------------------------------------------------------------


def write_list(desk: Desk, folder: Path) -> None:
    """The folder's list names every key that is destroyed and every account whose identity was erased."""
    with desk.database.read() as connection:
        told: dict[str, list[Any]] = {
            "keys": store.tombstones(connection),
            "accounts": store.erased_accounts(connection),
        }
    known = read_list(folder, desk.keyring.audit_publics().values())
    told = {name: sorted({*ones, *known.get(name, [])}) for name, ones in told.items()}
    text = json.dumps(told, separators=(",", ":"))
    signature = desk.keyring.audit_signer(desk.now()).sign(_SIGNED_AS + text.encode())
    written = {"erased": text, "signature": base64.b64encode(signature).decode()}
    write_private(folder / LIST, json.dumps(written).encode())


def read_list(folder: Path, publics: Iterable[Ed25519PublicKey]) -> Mapping[str, list[Any]]:
    """The keys and accounts of the folder's list; nothing where there is none.

    Raises OpenRefused where none of our audit keys signed it: somebody else's would destroy what is to be restored.
    """
    path = folder / LIST
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_bytes())
        text, signature = str(told["erased"]), base64.b64decode(told["signature"])
        if not any(_holds(public, signature, text) for public in publics):
            raise InvalidSignature
        found: dict[str, list[Any]] = json.loads(text)
    except (ValueError, KeyError, TypeError, InvalidSignature) as fault:
        raise OpenRefused(
            f"{path} was not signed by this keyring, or was altered",
            code="bad_signature",
            fix="take the list as it lay beside the backups; without it, what was erased since may come back",
        ) from fault
    return found


def _holds(public: Ed25519PublicKey, signature: bytes, text: str) -> bool:
    try:
        public.verify(signature, _SIGNED_AS + text.encode())
    except InvalidSignature:
        return False
    return True

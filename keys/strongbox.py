"""One JSON document in a private file, sealed under a root key that is kept elsewhere.

The file says how to come by the root key (`keys.roots`) and holds a nonce and the document under AES-256-GCM, with that
header as associated data. Storing writes a new file, renames it over the old one, and overwrites the old one's bytes:
what is no longer in the document is gone from the disk as far as a file system lets a program say so (a copy-on-write
volume, a snapshot or a backup still has it: let those expire).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeyringLocked, KeysError
from keys.files import PRIVATE, overwrite, readable_by_others, write_private
from keys.roots.root import Root, leave_no_core

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FORMAT: Final = "consign.keyring"
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
OPENED_BY: Final[Mapping[str, tuple[str, str]]] = {
    "key_file": ("key file", "file"),
    "argon2id": ("passphrase", "passphrase"),
    "keyring": ("system keyring", "keyring"),
    "vault": ("key in Vault", "vault"),
    "aws-kms": ("key in AWS KMS", "aws-kms"),
}
"""Each kind of root key that a header may speak of: as a message says it, and as the setting `root_key` does."""


class Strongbox:
    """An open box: it knows the root key, which never shows."""

    def __init__(self, path: Path, root: Root) -> None:
        """Bind a box; use `create` or `open`."""
        self.path = path
        self._root = root
        self._header: dict[str, Any] = {}
        self._key: bytes | None = None
        self._seen: tuple[int, int, int] | None = None
        leave_no_core()

    @classmethod
    def create(cls, path: Path, document: Mapping[str, Any], root: Root) -> Self:
        """Write a box that holds the document, under a new root key of this keeper's."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path, exclusive=True):
            if path.exists():
                raise KeyringLocked(
                    f"there is a keyring at {path} already",
                    fix="open it, or choose another path; its keys could not be had again",
                )
            box = cls(path, root)
            how, box._key = root.new(None)
            box._header = _new_header(how)
            box.store(document)
            root.settle()
        return box

    @classmethod
    def open(cls, path: Path, root: Root) -> Self:
        """Return the box, to be loaded; raises KeyringLocked where it opens by another kind of root key."""
        box = cls(path, root)
        _refuse_another_kind(_read(path)[0], root, path)
        return box

    @property
    def root_header(self) -> dict[str, Any]:
        """What the file says of its root key: nothing of it is secret."""
        return dict(self._header["root"])

    @property
    def root(self) -> Root:
        """Who keeps the root key."""
        return self._root

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the box's lock: shared to load, exclusive to load, change and store."""
        with _locked(self.path, exclusive=exclusive):
            yield

    def changed(self) -> bool:
        """Return whether somebody else has stored since we last loaded or stored."""
        return self._seen != self._mark()

    def load(self) -> dict[str, Any]:
        """Return the document; the lock is held.

        Where the root key was changed since we had it, by another process or by one that was killed meanwhile, the
        keeper is asked again.
        """
        header, sealed = _read(self.path)
        _refuse_another_kind(header, self._root, self.path)
        document = None
        if self._key is not None and header["root"] == self._header["root"]:
            document = _opened(self._key, header, sealed)
        if document is None:
            self._key, document = self._asked(header, sealed)
        self._header = header
        self._seen = self._mark()
        return document

    def _asked(self, header: Mapping[str, Any], sealed: bytes) -> tuple[bytes, dict[str, Any]]:
        """Return the root key that opens, of those that the keeper has, and the document."""
        try:
            for nth, key in enumerate(self._root.candidates(header["root"])):
                document = _opened(key, header, sealed)
                if document is not None:
                    if nth:
                        self._root.settle()
                    return key, document
        except (KeyError, TypeError, ValueError) as fault:
            raise KeyringLocked(f"the header of {self.path} is damaged", fix="restore it from a backup") from fault
        way = self._root.said
        raise KeyringLocked(
            f"the keyring {self.path} does not open with this {way}",
            fix=f"check the {way}; if it is right, the file was altered: restore it",
        )

    def rekey(self, document: Mapping[str, Any], root: Root) -> None:
        """Seal the document under a new root key, of this keeper or another; the lock is held exclusively.

        The new root key is safe with its keeper first; then one rename seals the box under it; then the new one is put
        in its place and the one before is given up. Killed at any moment, the box opens by the one or by the other, as
        its header says. Whatever is raised before the rename has changed nothing.
        """
        before = self._root, self._header, self._key
        how, key = root.new(self._root)
        self._root, self._header, self._key = root, _new_header(how), key
        try:
            self.store(document)
        except BaseException:
            self._root, self._header, self._key = before
            raise
        root.settle()
        with suppress(KeysError):  # what cannot be given up now stays with its keeper, and opens older backups alone
            before[0].forget(before[1]["root"])

    def store(self, document: Mapping[str, Any]) -> None:
        """Replace the file, and overwrite the bytes of the one it replaces; the lock is held exclusively."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        if self._key is None:
            raise KeyringLocked(f"the keyring {self.path} was not opened", fix="load it first")
        sealed = AESGCM(self._key).encrypt(nonce, json.dumps(document).encode(), _canonical(self._header))
        written = self._header | {"sealed": base64.b64encode(nonce + sealed).decode()}
        old = os.open(self.path, os.O_RDWR) if self.path.exists() else None
        try:
            write_private(self.path, json.dumps(written, indent=1).encode() + b"\n")
            if old is not None:
                overwrite(old)
        finally:
            if old is not None:
                os.close(old)
        self._seen = self._mark()

    def _mark(self) -> tuple[int, int, int]:
        """Return what changes whenever the file is replaced."""
        try:
            found = self.path.stat()
        except FileNotFoundError as fault:
            raise KeyringLocked(f"the keyring {self.path} has gone", fix="restore it from a backup") from fault
        return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the keyring's lock, which lives beside it because the file itself is replaced at every write."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _new_header(how: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": _FORMAT, "version": _VERSION, "root": dict(how)}


def _refuse_another_kind(header: Mapping[str, Any], root: Root, path: Path) -> None:
    """Raise KeyringLocked unless this keeper is of the kind that the header speaks of."""
    kind = header["root"]["kind"]
    if kind != root.kind:
        words, setting = OPENED_BY[kind]
        raise KeyringLocked(
            f"the keyring {path} opens with a {words}, not with a {root.said}",
            fix=f'set root_key = "{setting}", and what it needs (docs/how-to/keep-the-root-key.md)',
        )


def _refuse_readable(path: Path) -> None:
    if readable_by_others(path):
        raise KeyringLocked(
            f"{path} can be read by others (mode {path.stat().st_mode & 0o777:04o})",
            fix=f"run `chmod 600 {path}`, and ask who read it",
        )


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header and the sealed bytes of a keyring file; raises KeyringLocked if it is not one."""
    if not path.is_file():
        raise KeyringLocked(f"there is no keyring at {path}", fix="make one, or set the path in the settings")
    _refuse_readable(path)
    try:
        header = json.loads(path.read_bytes())
        sealed = base64.b64decode(header.pop("sealed"), validate=True)
        known = header["format"] == _FORMAT and header["root"]["kind"] in OPENED_BY
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise KeyringLocked(
            f"{path} is not a keyring file, or it is damaged", fix="restore it from a backup"
        ) from fault
    if not known or header["version"] != _VERSION:
        raise KeyringLocked(
            f"{path} is a keyring of format {header.get('format')} {header.get('version')}, not {_FORMAT} {_VERSION}",
            fix="use the release of consign that wrote it",
        )
    return header, sealed


def _opened(key: bytes, header: Mapping[str, Any], sealed: bytes) -> dict[str, Any] | None:
    """Return the document, or None if this key does not open it."""
    try:
        plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _canonical(header))
    except (InvalidTag, ValueError):
        return None
    opened: dict[str, Any] = json.loads(plain)
    return opened

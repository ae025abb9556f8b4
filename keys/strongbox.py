"""One JSON document in a private file, sealed under a root key that is kept elsewhere.

The file says how to come by the root key (Argon2id and its cost, or a key file) and holds a nonce and the document
under AES-256-GCM, with that header as associated data. Storing writes a new file, renames it over the old one, and
overwrites the old one's bytes: what is no longer in the document is gone from the disk as far as a file system lets a
program say so (a copy-on-write volume, a snapshot or a backup still has it: let those expire).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import KeyringLocked
from keys.files import PRIVATE, flush, readable_by_others, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Passphrase = str | Callable[[], str]

_FORMAT: Final = "consign.keyring"
_VERSION: Final = 1
_ROOT_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_MEMORY_AT_MOST_KIB: Final = 4 * 1024 * 1024  # a header that asks for more is not one of ours


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What a passphrase costs to try. The default is RFC 9106's second recommendation (64 MiB)."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65_536


class Strongbox:
    """An open box: it knows the root key, which never shows."""

    def __init__(self, path: Path, header: Mapping[str, Any], root: bytes, key_file: Path | None) -> None:
        """Bind a box; use `create` or `open`."""
        self.path = path
        self._header = dict(header)
        self._root = root
        self._key_file = key_file
        self._seen: tuple[int, int, int] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        document: Mapping[str, Any],
        *,
        passphrase: Passphrase | None,
        key_file: Path | None,
        cost: Argon2Cost,
    ) -> Self:
        """Write a box that holds the document; a key file that is not there yet is made."""
        header = _new_header(cost, by_passphrase=_by_passphrase(passphrase, key_file))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path, exclusive=True):
            if path.exists():
                raise KeyringLocked(
                    f"there is a keyring at {path} already",
                    fix="open it, or choose another path; its keys could not be had again",
                )
            if key_file is not None and not key_file.exists():
                _new_key_file(key_file)
            box = cls(path, header, _root(header["root"], path, passphrase, key_file), key_file)
            box.store(document)
        return box

    @classmethod
    def open(cls, path: Path, *, passphrase: Passphrase | None, key_file: Path | None) -> Self:
        """Return the box with its root key at hand; whether that is the right one, `load` finds out."""
        by_passphrase = _by_passphrase(passphrase, key_file)
        header, _ = _read(path)
        if by_passphrase != (header["root"]["kind"] == "argon2id"):
            wanted = "key file" if by_passphrase else "passphrase"
            raise KeyringLocked(
                f"the keyring {path} opens with a {wanted}", fix=f"give the {wanted} that it was made with"
            )
        return cls(path, header, _root(header["root"], path, passphrase, key_file), key_file)

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the box's lock: shared to load, exclusive to load, change and store."""
        with _locked(self.path, exclusive=exclusive):
            yield

    def changed(self) -> bool:
        """Return whether somebody else has stored since we last loaded or stored."""
        return self._seen != self._mark()

    def load(self) -> dict[str, Any]:
        """Return the document; the lock is held."""
        self._header, sealed = _read(self.path)
        try:
            document = _opened(self._root, self._header, sealed, self.path)
        except KeyringLocked:
            found = self._rekeyed(sealed)
            if found is None:
                raise
            document = found
        self._seen = self._mark()
        return document

    def _rekeyed(self, sealed: bytes) -> dict[str, Any] | None:
        """Return the document, if the root key was changed since we took it: by another process, or by one killed.

        A change of the key file that was killed between its two renames is completed here.
        """
        if self._key_file is None or self._header["root"]["kind"] != "key_file":
            return None
        for candidate in (self._key_file, _waiting(self._key_file)):
            try:
                root = _from_key_file(candidate)
                document = _opened(root, self._header, sealed, self.path)
            except KeyringLocked:
                continue
            self._root = root
            if candidate != self._key_file:
                _put_in_place(self._key_file)
            return document
        return None

    def rekey(
        self,
        document: Mapping[str, Any],
        *,
        passphrase: Passphrase | None,
        key_file: Path | None,
        cost: Argon2Cost,
    ) -> None:
        """Seal the document under a new root key; the lock is held exclusively.

        A new passphrase is one rename. A new key file is two, so the new root key waits beside the old one until the
        box is sealed under it: whoever finds it waiting knows what was under way (`load`). Raises KeyringLocked, with
        nothing changed, for another file that is there already.
        """
        header = _new_header(cost, by_passphrase=_by_passphrase(passphrase, key_file))
        same = key_file is not None and self._key_file is not None and key_file.absolute() == self._key_file.absolute()
        if key_file is None:
            root = _root(header["root"], self.path, passphrase, None)
        elif key_file.exists() and not same:
            raise KeyringLocked(
                f"there is a file at {key_file} already", fix="name a new file: nothing is written over a key"
            )
        else:
            made = _waiting(key_file) if same else key_file
            _new_key_file(made)
            root = _from_key_file(made)
        self._header, self._root = header, root
        self.store(document)
        if key_file is not None and same:
            _put_in_place(key_file)
        self._key_file = key_file

    def store(self, document: Mapping[str, Any]) -> None:
        """Replace the file, and overwrite the bytes of the one it replaces; the lock is held exclusively."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._root).encrypt(nonce, json.dumps(document).encode(), _canonical(self._header))
        written = self._header | {"sealed": base64.b64encode(nonce + sealed).decode()}
        old = os.open(self.path, os.O_RDWR) if self.path.exists() else None
        try:
            write_private(self.path, json.dumps(written, indent=1).encode() + b"\n")
            if old is not None:
                _overwrite(old)
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


def _new_header(cost: Argon2Cost, *, by_passphrase: bool) -> dict[str, Any]:
    header: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, "root": {"kind": "key_file"}}
    if by_passphrase:
        salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode()
        header["root"] = {"kind": "argon2id", "salt": salt} | asdict(cost)
    return header


def _new_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, base64.b64encode(secrets.token_bytes(_ROOT_BYTES)) + b"\n")


def _waiting(key_file: Path) -> Path:
    """Return where the next root key waits while the box is sealed under it."""
    return key_file.with_name(key_file.name + ".new")


def _put_in_place(key_file: Path) -> None:
    """Let the waiting root key be the key file, and overwrite the bytes of the one before; twice changes nothing."""
    old = os.open(key_file, os.O_RDWR) if key_file.exists() else None
    try:
        with suppress(FileNotFoundError):  # another process that found it waiting was quicker
            _waiting(key_file).replace(key_file)
            flush(key_file.parent)
        if old is not None:
            _overwrite(old)
    finally:
        if old is not None:
            os.close(old)


def _by_passphrase(passphrase: Passphrase | None, key_file: Path | None) -> bool:
    """Return whether the root comes from a passphrase; raises KeyringLocked unless it is exactly one of the two."""
    if (passphrase is None) == (key_file is None):
        raise KeyringLocked(
            "a keyring opens with a passphrase or with a key file: give exactly one",
            fix="set the passphrase or the key file in the settings, not both",
        )
    return passphrase is not None


def _root(how: Mapping[str, Any], path: Path, passphrase: Passphrase | None, key_file: Path | None) -> bytes:
    """Return the root key that the header says how to come by."""
    if key_file is not None:
        return _from_key_file(key_file)
    given = passphrase() if callable(passphrase) else passphrase
    if not given:
        raise KeyringLocked(
            f"the passphrase for the keyring {path} is empty", fix="give the passphrase that it was made with"
        )
    if how["memory_kib"] > _MEMORY_AT_MOST_KIB:
        raise KeyringLocked(
            f"the keyring {path} asks for {how['memory_kib']} KiB to try a passphrase",
            fix="restore the keyring from a backup: its header was altered",
        )
    salt = base64.b64decode(how["salt"])
    stretch = Argon2id(
        salt=salt, length=_ROOT_BYTES, iterations=how["iterations"], lanes=how["lanes"], memory_cost=how["memory_kib"]
    )
    return stretch.derive(given.encode())


def _from_key_file(key_file: Path) -> bytes:
    if not key_file.is_file():
        raise KeyringLocked(
            f"there is no key file at {key_file}", fix="put the key file back; without it the keyring cannot be opened"
        )
    _refuse_readable(key_file)
    try:
        root = base64.b64decode(key_file.read_bytes().strip(), validate=True)
    except binascii.Error:
        root = b""
    if len(root) != _ROOT_BYTES:
        raise KeyringLocked(
            f"{key_file} is not a key file: it must hold {_ROOT_BYTES} bytes in base64", fix="put the right file back"
        )
    return root


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
        known = header["format"] == _FORMAT and header["root"]["kind"] in {"argon2id", "key_file"}
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


def _opened(root: bytes, header: Mapping[str, Any], sealed: bytes, path: Path) -> dict[str, Any]:
    try:
        plain = AESGCM(root).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _canonical(header))
    except (InvalidTag, ValueError) as fault:
        way = "passphrase" if header["root"]["kind"] == "argon2id" else "key file"
        raise KeyringLocked(
            f"the keyring {path} does not open with this {way}",
            fix=f"check the {way}; if it is right, the file was altered: restore it",
        ) from fault
    opened: dict[str, Any] = json.loads(plain)
    return opened


def _overwrite(descriptor: int) -> None:
    """Overwrite a file that no longer has a name; one that still has another name is somebody's backup."""
    found = os.fstat(descriptor)
    if found.st_nlink == 0:
        os.pwrite(descriptor, secrets.token_bytes(found.st_size), 0)
        os.fsync(descriptor)

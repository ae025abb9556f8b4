"""A root key in a file of its own, that its owner alone can read."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from keys.errors import KeyringLocked
from keys.files import flush, overwrite, readable_by_others, write_private
from keys.roots.root import ROOT_BYTES, Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class KeyFile(Root):
    """The root key is in a file, in base64."""

    kind: ClassVar[str] = "key_file"
    said: ClassVar[str] = "key file"

    def __init__(self, path: Path) -> None:
        """Bind the file; it need not be there yet."""
        self.path = path

    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:
        """Return a new root key, which waits beside the file; a keyring that is made now takes the file there is."""
        header = {"kind": self.kind}
        if before is None:
            if not self.path.exists():
                _make(self.path)
            return header, _read(self.path)
        same = isinstance(before, KeyFile) and before.path.absolute() == self.path.absolute()
        if self.path.exists() and not same:
            raise KeyringLocked(
                f"there is a file at {self.path} already", fix="name a new file: nothing is written over a key"
            )
        _make(self._waiting)
        return header, _read(self._waiting)

    def had(self, header: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - the header knows no more than the kind
        """Return the key in the file; raises KeyringLocked for one that is missing, damaged or readable by others."""
        return _read(self.path)

    def candidates(self, header: Mapping[str, Any]) -> Iterator[bytes]:
        """Give the key in the file, then the one that waits to take its place."""
        waits = self._waiting.is_file()
        if self.path.is_file() or not waits:
            yield self.had(header)
        if waits:
            yield _read(self._waiting)

    def settle(self) -> None:
        """Let the waiting root key be the key file, and overwrite the bytes of the one before."""
        if not self._waiting.exists():
            return
        old = os.open(self.path, os.O_RDWR) if self.path.exists() else None
        try:
            with suppress(FileNotFoundError):  # another process that found it waiting was quicker
                self._waiting.replace(self.path)
                flush(self.path.parent)
            if old is not None:
                overwrite(old)
        finally:
            if old is not None:
                os.close(old)

    def give_up(self, header: Mapping[str, Any]) -> None:  # noqa: ARG002 - it has no name
        """Remove the root key that waits."""
        self._waiting.unlink(missing_ok=True)

    @property
    def _waiting(self) -> Path:
        """Where the next root key waits while the keyring is sealed under it."""
        return self.path.with_name(self.path.name + ".new")


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, base64.b64encode(secrets.token_bytes(ROOT_BYTES)) + b"\n")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise KeyringLocked(
            f"there is no key file at {path}", fix="put the key file back; without it the keyring cannot be opened"
        )
    if readable_by_others(path):
        raise KeyringLocked(
            f"{path} can be read by others (mode {path.stat().st_mode & 0o777:04o})",
            fix=f"run `chmod 600 {path}`, and ask who read it",
        )
    try:
        root = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        root = b""
    if len(root) != ROOT_BYTES:
        raise KeyringLocked(
            f"{path} is not a key file: it must hold {ROOT_BYTES} bytes in base64", fix="put the right file back"
        )
    return root

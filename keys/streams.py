"""A file that waits for a while: sealed frame by frame as it comes, read again at any place, never in clear on a disk.

Each file has a key of its own, which lies wrapped at its beginning; overwriting those bytes destroys the file. After
them come the words that go with it, and its content in frames of 1 MiB, each AES-256-GCM with its own random nonce,
bound to the file's name, its place, and whether it is the last: frames that were moved, or cut off, do not open.
"""

from __future__ import annotations

import io
import os
import struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from keys import vault
from keys.blobs import open_blob, seal_blob
from keys.errors import CellTampered
from keys.vault import NONCE_BYTES, DataKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from _typeshed import ReadableBuffer, WriteableBuffer

FRAME_BYTES: Final = 1 << 20
_TAG_BYTES: Final = 16
_SEALED_FRAME: Final = NONCE_BYTES + FRAME_BYTES + _TAG_BYTES
_WRAPPED_BYTES: Final = NONCE_BYTES + 32 + _TAG_BYTES
_FRAME: Final = b"consign.frame.v1|"
_LENGTH: Final = struct.Struct(">I")
_BLOCK: Final = 16


def seal_stream(root: bytes, name: str, words: bytes, source: BinaryIO, into: BinaryIO) -> int:
    """Write the source sealed, with its words; return how many bytes it has. root: 32 bytes that wrap its key."""
    key = DataKey(name, vault.new_data_key().key)
    sealed = seal_blob(key, name, words)
    into.write(vault.wrap(root, key) + _LENGTH.pack(len(sealed)) + sealed)
    size = 0
    for number, (frame, is_last) in enumerate(_frames(source)):
        nonce = os.urandom(NONCE_BYTES)
        into.write(nonce + AESGCM(key.key).encrypt(nonce, frame, _bound(name, number, is_last=is_last)))
        size += len(frame)
    return size


def _frames(source: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The source in frames, each with whether it is the last; an empty source is one empty frame."""
    frame = _whole_frame(source)
    while True:
        following = _whole_frame(source)
        yield frame, not following
        if not following:
            return
        frame = following


def _whole_frame(source: BinaryIO) -> bytes:
    parts, left = [], FRAME_BYTES
    while left and (part := source.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _bound(name: str, number: int, *, is_last: bool) -> bytes:
    return _FRAME + name.encode() + b"|%d|%d" % (number, is_last)


def destroy_stream(path: Path) -> None:
    """Overwrite the key of a sealed file and remove the file; one that is gone already is gone."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        os.pwrite(descriptor, os.urandom(_WRAPPED_BYTES), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)


class SealedStream(io.RawIOBase):
    """A sealed file, opened to be read anywhere; one frame of it is held in memory, in clear.

    Raises KeyringLocked where it was sealed under another root, CellTampered where it is not what was sealed.
    """

    def __init__(self, root: bytes, name: str, path: Path) -> None:
        super().__init__()
        self._name = name
        self._file = path.open("rb")
        try:
            self._key = vault.unwrap(root, self._file.read(_WRAPPED_BYTES), name)
            head = self._file.read(_LENGTH.size)
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
            self.words = open_blob(self._key, name, self._file.read(length))
        except BaseException:
            self._file.close()
            raise
        self._begin = _WRAPPED_BYTES + _LENGTH.size + length
        sealed = path.stat().st_size - self._begin
        self._count = max(1, -(-sealed // _SEALED_FRAME))
        self.size = max(0, sealed - self._count * (NONCE_BYTES + _TAG_BYTES))
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place that is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on there; returns where that is."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, into: WriteableBuffer) -> int:
        """Fill the buffer from one frame; returns how many bytes."""
        if self._at >= self.size:
            self._frame(self._count - 1)  # what was cut off behind shows here at the latest
            return 0
        number, inside = divmod(self._at, FRAME_BYTES)
        view = memoryview(into).cast("B")
        part = self._frame(number)[inside : inside + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Close it, and forget what was in clear."""
        self._held = (-1, b"")
        self._file.close()
        super().close()

    def _frame(self, number: int) -> bytes:
        if self._held[0] != number:
            self._file.seek(self._begin + number * _SEALED_FRAME)
            sealed = self._file.read(_SEALED_FRAME)
            bound = _bound(self._name, number, is_last=number == self._count - 1)
            try:
                clear = AESGCM(self._key.key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
            except (InvalidTag, ValueError) as fault:
                raise CellTampered(f"{self._name} does not open", fix="hand the file in again") from fault
            self._held = (number, clear)
        return self._held[1]


class ScratchStream(io.RawIOBase):
    """A file while it is received: what it holds lies in `file` under a key that this object alone has.

    AES-256 in counter mode by the place in the file: for something that is written once and in order.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._key = AES(os.urandom(32))
        self._first = int.from_bytes(os.urandom(_BLOCK), "big")

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on there; returns where that is."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place that comes next."""
        return self._file.tell()

    def readinto(self, into: WriteableBuffer) -> int:
        """Fill the buffer; returns how many bytes."""
        at, view = self._file.tell(), memoryview(into).cast("B")
        part = self._turned(at, self._file.read(len(view)))
        view[: len(part)] = part
        return len(part)

    def write(self, content: ReadableBuffer) -> int:
        """Write it all; returns how many bytes."""
        clear = bytes(content)
        self._file.write(self._turned(self._file.tell(), clear))
        return len(clear)

    def close(self) -> None:
        """Close it; nobody reads it again."""
        self._file.close()
        super().close()

    def _turned(self, at: int, content: bytes) -> bytes:
        block, inside = divmod(at, _BLOCK)
        counter = (self._first + block) % (1 << 8 * _BLOCK)
        turning = Cipher(self._key, CTR(counter.to_bytes(_BLOCK, "big"))).encryptor()
        turning.update(bytes(inside))
        return turning.update(content)

"""A ZIP read strictly: what any two readers could see differently is refused, and a bomb does not go off.

The standard library's reader believes the directory at the archive's end, keeps as much memory as it names members, and
looks at the members' own headers hardly at all. Here the directory is small, the members lie one after the other from
the first byte to the directory, each header repeats what the directory says, and what is inflated is counted while it
comes. So there is no room for overlapping members, for two of one name, for anything before, between or after them, and
for sizes that lie.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from connectors.layouts.delimited import FileRefused

if TYPE_CHECKING:
    from typing import BinaryIO

MAX_RATIO = 200
"""a CSV of ours deflates 4 to 20 times; far beyond that it is a bomb"""
MAX_DIRECTORY = 16 << 10
"""two members with their names and attributes take some 200 bytes"""

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_LOCATOR = b"PK\x06\x07"  # of ZIP64: needed from 65,535 members or 4 GiB, and a second truth before that
_LOCATOR_SIZE = 20
_UNSAID = 0xFFFFFFFF  # "see the ZIP64 field"
_FIELD = struct.Struct("<2H")
_ENCRYPTED = 0x1 | 0x20 | 0x40 | 0x2000  # and patched, strongly encrypted, with a masked directory
_DESCRIBED_AFTER = 0x8
_MAX_DESCRIPTOR = 24
_DIRECTORY_BIT = 0x10
_VERSION = 63  # the newest of the format
_UNIX, _STORED, _DEFLATED = 3, 0, 8
_STEP = 256 << 10


@dataclass(frozen=True)
class Member:
    """A file inside the archive."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int
    """where its bytes start"""


def members(source: BinaryIO, *, at_most: int) -> list[Member]:
    """The members, in the order in which they lie. Raises FileRefused (`not_a_package`) where the archive is not plain.

    Nothing is inflated, and no more than MAX_DIRECTORY is read.
    """
    count, length, offset = directory_of(source)
    if count > at_most or length > MAX_DIRECTORY:
        raise FileRefused("not_a_package")
    source.seek(offset)
    directory = source.read(length)
    found = sorted(_entries(directory, count), key=lambda entry: entry.offset)
    return _lying_in_a_row(source, found, offset)


def directory_of(source: BinaryIO) -> tuple[int, int, int]:
    """How many members the archive's end speaks of, the size of its directory, and where that starts.

    Raises FileRefused (`not_a_package`) where anything but that end follows the directory.
    """
    size = source.seek(0, io.SEEK_END)
    source.seek(max(0, size - _END.size - _LOCATOR_SIZE))
    end = source.read(_END.size + _LOCATOR_SIZE)
    if len(end) < _END.size:
        raise FileRefused("not_a_package")
    mark, disk, first_disk, here, count, length, offset, comment = _END.unpack(end[-_END.size :])
    plain = mark == b"PK\x05\x06" and not (disk or first_disk or comment) and here == count
    if not plain or end.startswith(_LOCATOR) or offset + length != size - _END.size:
        raise FileRefused("not_a_package")
    return count, length, offset


def content(source: BinaryIO, member: Member, *, max_bytes: int) -> _Content:
    """The member as a stream. Raises FileRefused where it is larger than allowed, or deflates like a bomb."""
    if member.size > max_bytes or member.size > MAX_RATIO * max(member.packed, 1024):
        raise FileRefused("too_large")
    return _Content(source, member)


@dataclass(frozen=True)
class _Entry:
    """What the directory says of a member."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def _entries(directory: bytes, count: int) -> list[_Entry]:
    found, at = [], 0
    for _ in range(count):
        if len(directory) - at < _ENTRY.size:
            raise FileRefused("not_a_package")
        (mark, _, system, needed, _, flags, method, _, _, crc, packed, size, named, extra, comment, disk, _, attributes,
         offset) = _ENTRY.unpack_from(directory, at)  # fmt: skip
        at += _ENTRY.size
        name = directory[at : at + named]
        at += named + extra
        kind = attributes >> 16 if system == _UNIX else 0
        if (
            mark != b"PK\x01\x02"
            or comment
            or disk
            or needed > _VERSION
            or flags & _ENCRYPTED
            or attributes & _DIRECTORY_BIT
            or stat.S_IFMT(kind) not in {0, stat.S_IFREG}
            or method not in {_STORED, _DEFLATED}
            or _UNSAID in {packed, size, offset}
        ):
            raise FileRefused("not_a_package")
        found.append(_Entry(name, flags, method, crc, packed, size, offset))
    if at != len(directory):
        raise FileRefused("not_a_package")
    return found


def _lying_in_a_row(source: BinaryIO, entries: list[_Entry], end: int) -> list[Member]:
    """The members, each header read and nothing between them. Raises FileRefused."""
    found, at = [], 0
    for number, entry in enumerate(entries):
        if entry.offset != at:
            raise FileRefused("not_a_package")
        start = _header(source, entry)
        at = entries[number + 1].offset if number + 1 < len(entries) else end
        if at - start != entry.packed and not _described(source, entry, start + entry.packed, at):
            raise FileRefused("not_a_package")
        try:
            name = entry.name.decode("utf-8")
        except UnicodeDecodeError:
            raise FileRefused("not_a_package") from None
        found.append(Member(name, entry.method, entry.crc, entry.packed, entry.size, start))
    if len({member.name for member in found}) < len(found) or at != end:
        raise FileRefused("not_a_package")
    return found


def _header(source: BinaryIO, entry: _Entry) -> int:
    """Where the member's bytes start. Raises FileRefused where its header says other things than the directory."""
    source.seek(entry.offset)
    header = source.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        raise FileRefused("not_a_package")
    mark, _, _, flags, method, _, _, crc, packed, size, named, extra = _LOCAL.unpack(header)
    name, fields = source.read(named), source.read(extra)
    if not entry.flags & _DESCRIBED_AFTER:
        if _UNSAID in {packed, size}:
            packed, size = _of_zip64(fields)
        if (crc, packed, size) != (entry.crc, entry.packed, entry.size):
            raise FileRefused("not_a_package")
    if mark != b"PK\x03\x04" or (name, flags, method) != (entry.name, entry.flags, entry.method):
        raise FileRefused("not_a_package")
    return entry.offset + _LOCAL.size + len(name) + len(fields)


def _described(source: BinaryIO, entry: _Entry, start: int, end: int) -> bool:
    """True where what lies after the member repeats the directory, as a writer leaves it who cannot go back."""
    if not entry.flags & _DESCRIBED_AFTER or not 0 < end - start <= _MAX_DESCRIPTOR:
        return False
    source.seek(start)
    after = source.read(end - start).removeprefix(b"PK\x07\x08")
    said = (entry.crc, entry.packed, entry.size)
    return after in {struct.pack("<3L", *said), struct.pack("<L2Q", *said)}


def _of_zip64(fields: bytes) -> tuple[int, int]:
    """Packed and whole size by the ZIP64 field of a header whose writer did not know yet how large it would be."""
    at = 0
    while at + _FIELD.size <= len(fields):
        tag, length = _FIELD.unpack_from(fields, at)
        at += _FIELD.size
        if tag == 1 and length == 16 and at + 16 <= len(fields):  # noqa: PLR2004 - two sizes of 8 bytes
            size, packed = struct.unpack_from("<2Q", fields, at)
            return packed, size
        at += length
    raise FileRefused("not_a_package")


class _Content(io.RawIOBase):
    """A member's bytes while they are inflated; at their end size, checksum and last byte have been looked at."""

    def __init__(self, source: BinaryIO, member: Member) -> None:
        super().__init__()
        self._source, self._member = source, member
        self._inflater: Any = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS) if member.method == _DEFLATED else None
        self._at, self._left, self._came, self._crc = member.start, member.packed, 0, 0
        self._waiting = b""

    def readable(self) -> bool:
        """It is read, once, from front to back."""
        return True

    def readall(self) -> bytes:
        """All of it; never more than the member said that it is."""
        return self.read(self._member.size + 1)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes. Raises FileRefused where they are not what the directory says of them."""
        if size < 0:
            return self.readall()
        came = []
        while size > 0 and (block := self._next(min(size, _STEP))):
            came.append(block)
            size -= len(block)
        return b"".join(came)

    def _next(self, most: int) -> bytes:
        """At least one byte; none at the end."""
        while True:
            if self._inflater is None:
                block = self._packed(most)
            else:
                packed = self._waiting or self._packed(_STEP)
                try:
                    block = self._inflater.decompress(packed, most)
                except isal_zlib.error:  # type: ignore[misc]  # its stub takes the class for an instance
                    raise FileRefused("not_a_package") from None
                self._waiting = self._inflater.unconsumed_tail
                if not block and packed and not self._inflater.eof:
                    continue
            break
        self._came += len(block)
        self._crc = zlib.crc32(block, self._crc)
        if self._came > self._member.size:
            raise FileRefused("not_a_package")
        if not block:
            self._check()
        return block

    def _packed(self, most: int) -> bytes:
        self._source.seek(self._at)
        block = self._source.read(min(most, self._left))
        self._at += len(block)
        self._left -= len(block)
        return block

    def _check(self) -> None:
        if self._came < self._member.size:
            raise FileRefused("truncated")
        whole = self._inflater is None or (self._inflater.eof and not self._inflater.unused_data)
        if not whole or self._left or self._waiting or self._crc != self._member.crc:
            raise FileRefused("not_a_package")

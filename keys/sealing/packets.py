"""Whether an OpenPGP file was cut short, told from the lengths its packets announce.

GnuPG calls a cut file and an altered one the same. Source: RFC 4880, 4.2 (packet headers) and 6.2 (ASCII armour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ARMOUR: Final = b"-----BEGIN PGP "
_ARMOUR_END: Final = b"-----END PGP "
_TAIL_BYTES: Final = 256
_STEPS_AT_MOST: Final = 500_000
"""packets and parts of packets in one file: GnuPG's parts have 8 KiB, so that 4 GB come to as many; a file of millions
of parts of one byte was made to keep us busy"""


def cut_short(sealed: Path) -> bool:
    """Return whether the file ends before its last packet does."""
    with sealed.open("rb") as stream:
        if stream.read(len(_ARMOUR)) == _ARMOUR:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL_BYTES))
            return _ARMOUR_END not in stream.read()
        size = stream.seek(0, 2)
        stream.seek(0)
        steps = iter(range(_STEPS_AT_MOST))
        try:
            while stream.tell() < size and next(steps, None) is not None:
                if not _skipped_packet(stream, steps):
                    return False  # not a packet: altered, not cut
        except IndexError:
            return True
        return size == 0 or stream.tell() > size


def _skipped_packet(stream: BinaryIO, steps: Iterator[int]) -> bool:
    """Move behind the packet; return False if there is none, and raise IndexError if its header is cut.

    steps: one is taken for each part; where none is left, there is no telling.
    """
    tag = stream.read(1)[0]
    if not tag & 0x80:
        return False
    if not tag & 0x40:
        width = (1, 2, 4, 0)[tag & 3]
        length = _number(stream, width)
        stream.seek(length, 1 if width else 2)  # width 0: the packet goes on to the file's end
        return True
    partial = True
    while partial:
        if next(steps, None) is None:
            return False
        first = stream.read(1)[0]
        partial = 224 <= first < 255  # noqa: PLR2004 - the ranges of RFC 4880, 4.2.2
        stream.seek(1 << (first & 0x1F) if partial else _new_length(first, stream), 1)
    return True


def _new_length(first: int, stream: BinaryIO) -> int:
    """Return the length that begins with this octet and is not partial."""
    if first < 192:  # noqa: PLR2004 - as above
        return first
    return _number(stream, 4) if first == 255 else ((first - 192) << 8) + _number(stream, 1) + 192  # noqa: PLR2004


def _number(stream: BinaryIO, width: int) -> int:
    return int.from_bytes(bytes(stream.read(1)[0] for _ in range(width)), "big")

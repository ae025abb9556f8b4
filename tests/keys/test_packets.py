"""Whether an OpenPGP file was cut is told from its packets, and however many there are, soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keys.sealing import packets
from keys.sealing.packets import cut_short

if TYPE_CHECKING:
    from pathlib import Path

NEW, PARTIAL = b"\xd2", b"\xe0x"
"""a packet's tag in the new format; a part of one byte, after which more come"""


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        (b"", True),
        (NEW + b"\x05hello", False),
        (NEW + b"\x05hell", True),
        (NEW + b"\xc0\x05" + b"x" * 197, False),
        (NEW + b"\xc0\x05" + b"x" * 196, True),
        (NEW + b"\xff\0\0\0\x02ab", False),
        (NEW + b"\xff\0\0", True),
        (NEW + PARTIAL * 3 + b"\x02ab", False),
        (NEW + PARTIAL * 3, True),
        (b"\x84\x03abc" * 2, False),
        (b"\x85\0\x04abc", True),
        (b"\x87 to the end", False),
        (b"hello", False),
        (b"-----BEGIN PGP MESSAGE-----\nabc", True),
        (b"-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----\n", False),
    ],
)
def test_a_file_is_cut_where_its_last_packet_goes_on(raw: bytes, cut: bool, tmp_path: Path) -> None:
    (tmp_path / "x.pgp").write_bytes(raw)
    assert cut_short(tmp_path / "x.pgp") is cut


@pytest.mark.parametrize("body", [PARTIAL, b"\0" + NEW], ids=["parts", "packets"])
def test_a_file_of_endless_parts_is_given_up(body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "_STEPS_AT_MOST", 1_000)
    (tmp_path / "x.pgp").write_bytes(NEW + body * 100_000)
    assert not cut_short(tmp_path / "x.pgp")  # to its end it would be cut: the last part says that more comes
    monkeypatch.setattr(packets, "_STEPS_AT_MOST", 1 << 20)
    assert cut_short(tmp_path / "x.pgp")

"""Files that wait sealed: what was sealed is read again at any place, and nothing else opens."""

from __future__ import annotations

import io
import os
import random
from typing import TYPE_CHECKING, cast

import pytest

from keys.errors import CellTampered, KeyringLocked
from keys.streams import FRAME_BYTES, SealedStream, destroy_stream, seal_stream

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

ROOT = bytes(range(32))
NAME = "0" * 32


def sealed(path: Path, content: bytes, words: bytes = b"words") -> Path:
    with path.open("wb") as into:
        assert seal_stream(ROOT, NAME, words, io.BytesIO(content), into) == len(content)
    return path


def opened(path: Path, root: bytes = ROOT, name: str = NAME) -> SealedStream:
    return SealedStream(root, name, path)


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES + 7])
def test_what_was_sealed_is_read_again_whole_and_at_any_place(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    with opened(sealed(tmp_path / "file", content)) as stream:
        assert (stream.size, stream.words) == (size, b"words")
        whole = io.BufferedReader(cast("io.RawIOBase", stream))
        assert whole.read() == content
        draw = random.Random(1)
        for _ in range(20):
            at = draw.randrange(size + 1)
            whole.seek(at)
            assert whole.read(1_000) == content[at : at + 1_000]
        assert whole.seek(0, io.SEEK_END) == size


def test_nothing_of_the_content_or_the_words_stands_in_the_file(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file", b"Zhang Sanfeng" * 1_000, b"account 6222020200112233445")
    assert b"Sanfeng" not in path.read_bytes()
    assert b"6222" not in path.read_bytes()


def test_another_root_or_name_opens_nothing(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file", b"content")
    for root, name in ((bytes(32), NAME), (ROOT, "1" * 32)):
        with pytest.raises(KeyringLocked):
            opened(path, root, name)


def test_a_frame_that_was_changed_moved_or_cut_off_does_not_open(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file", os.urandom(3 * FRAME_BYTES))
    whole = path.read_bytes()
    frame = FRAME_BYTES + 28
    begin = len(whole) - 3 * frame
    changed = bytearray(whole)
    changed[begin + 2 * frame + 50] ^= 1
    swapped = whole[:begin] + whole[begin + frame : begin + 2 * frame] + whole[begin : begin + frame]
    for bad in (bytes(changed), swapped + whole[begin + 2 * frame :], whole[: begin + 2 * frame], whole[:-1]):
        path.write_bytes(bad)
        with opened(path) as stream, pytest.raises(CellTampered):
            cast("BinaryIO", io.BufferedReader(stream)).read()


def test_a_destroyed_file_is_gone_and_a_copy_of_its_name_no_longer_opens(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file", b"content")
    kept = tmp_path / "another name of the same bytes"
    os.link(path, kept)
    destroy_stream(path)
    destroy_stream(path)
    assert not path.exists()
    with pytest.raises(KeyringLocked):
        opened(kept)

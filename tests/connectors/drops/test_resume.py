"""A large file goes on where it was cut, as far as what the server holds is ours, and no further."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed, names
from connectors.drops.errors import DropUnreachable, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.drops import Drop
    from infra.sandbox.paramiko_host import Faults
    from tests.connectors.drops.conftest import Make, Place, Transmission

MB = 2**20
SIZE = 16 * MB
CUT = 12 * MB


def tail_lost(part: Path) -> None:
    """As after a crash of the server: the end is there and holds nothing."""
    with part.open("r+b") as file:
        file.seek(-3 * MB, 2)
        file.write(bytes(3 * MB))


def head_changed(part: Path) -> None:
    with part.open("r+b") as file:
        file.write(b"\xff" * 100)


def middle_changed(part: Path) -> None:
    with part.open("r+b") as file:
        file.seek(6 * MB)
        file.write(b"\xff" * 100)


def shortened(part: Path) -> None:
    with part.open("r+b") as file:
        file.truncate(7 * MB)


def lengthened(part: Path) -> None:
    with part.open("ab") as file:
        file.write(bytes(SIZE))


def cut_in_the_middle(drop: Drop, faults: Faults, sent: Transmission, outgoing: Path) -> Path:
    """The part that a cut left behind; of what was under way then, the server may still count some megabytes."""
    faults.cut_after = CUT
    with pytest.raises(DropUnreachable):
        sent.push(drop)
    faults.written = 0
    (part,) = (path for path in outgoing.iterdir() if path.name.endswith(".part"))
    return part


@pytest.mark.parametrize(
    ("harmed", "most"),
    [(tail_lost, 12 * MB), (head_changed, 20 * MB), (middle_changed, 16 * MB), (shortened, 17 * MB),
     (lengthened, 20 * MB)],
)  # fmt: skip
def test_whatever_became_of_the_part_the_published_bytes_are_right(
    misbehaving: Place, faults: Faults, transmission: Make, harmed: Callable[[Path], None], most: int
) -> None:
    sent = transmission(size=SIZE)
    with misbehaving.drop() as drop:
        harmed(cut_in_the_middle(drop, faults, sent, misbehaving.outgoing))
        pushed = until_pushed(drop, sent)
    assert pushed is Pushed.SENT
    assert faults.written <= most
    assert misbehaving.delivered(sent.name) == [sent.content]


def until_pushed(drop: Drop, sent: Transmission) -> Pushed:
    """A part that is longer than its file is done away with, and the next try begins anew."""
    with suppress(RemoteFailed):
        return sent.push(drop)
    return sent.push(drop)


def test_a_part_that_lost_bytes_after_the_intent_is_not_published(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission(size=SIZE)
    faults.refuse_renames = True
    with misbehaving.drop() as drop:
        with pytest.raises(RemoteFailed):
            sent.push(drop)
        assert sent.intent
        (part,) = (path for path in misbehaving.outgoing.iterdir() if path.name.endswith(".part"))
        tail_lost(part)
        faults.refuse_renames = False
        assert sent.push(drop) is Pushed.SENT
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_small_part_that_is_longer_than_its_file_is_begun_anew(place: Place, transmission: Make) -> None:
    sent = transmission(size=1_000)
    with place.drop() as drop:
        part = place.outgoing / names.temporary(sent.name, sha256(sent.content).hexdigest())
        part.write_bytes(bytes(5_000))
        assert until_pushed(drop, sent) is Pushed.SENT
    assert place.delivered(sent.name) == [sent.content]

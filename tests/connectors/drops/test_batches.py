"""Many small files at once: the same promises as one by one, on every kind of drop."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Outgoing, Pushed
from connectors.drops.errors import DropUnreachable, ExistsButDifferent, FileNotAsRecorded, HostileName
from connectors.drops.publishing import BATCH_FILES, SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors.drops import Drop
    from infra.sandbox.paramiko_host import Faults
    from models.errors import ConsignError
    from tests.connectors.drops.conftest import Place

MANY = 2 * BATCH_FILES + 5


class Books:
    """What the caller's database knows: files, and the intents recorded for them, batch by batch."""

    def __init__(self, folder: Path, count: int) -> None:
        self.files = [self._made(folder / f"{number:03}.zip", b"%d" % number * 1000) for number in range(count)]
        self.commits: list[list[str]] = []

    @staticmethod
    def _made(path: Path, content: bytes) -> Outgoing:
        path.write_bytes(content)
        return Outgoing(path, path.name, hashlib.sha256(content).hexdigest())

    def record(self, outgoing: Sequence[Outgoing]) -> None:
        self.commits.append([one.name for one in outgoing])

    def push(self, drop: Drop) -> list[Pushed | ConsignError]:
        recorded = {name for commit in self.commits for name in commit}
        told = drop.push_all([replace(one, intent_recorded=one.name in recorded) for one in self.files], self.record)
        return [result for _, result in told]


@pytest.fixture
def books(tmp_path: Path) -> Callable[[int], Books]:
    def made(count: int) -> Books:
        folder = tmp_path / "sealed"
        folder.mkdir()
        return Books(folder, count)

    return made


def arrived(place: Place) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.outgoing.iterdir()}


def test_every_file_arrives_once_and_whole(place: Place, books: Callable[[int], Books]) -> None:
    sent = books(MANY)
    with place.drop() as drop:
        assert sent.push(drop) == [Pushed.SENT] * MANY
        assert arrived(place) == {one.name: one.file.read_bytes() for one in sent.files}
        assert sent.push(drop) == [Pushed.ALREADY] * MANY
        place.take(sent.files[3].name)
        assert sent.push(drop)[3] is Pushed.PRESUMED
    assert [name for commit in sent.commits for name in commit] == [one.name for one in sent.files]
    assert len(sent.commits) == -(-MANY // BATCH_FILES)


def test_one_files_trouble_holds_up_no_other(place: Place, books: Callable[[int], Books]) -> None:
    sent = books(6)
    (place.outgoing / "001.zip").write_bytes(b"theirs")
    sent.files[4].file.write_bytes(b"not what was recorded")
    with place.drop() as drop:
        results = sent.push(drop)
    assert [type(result) for result in results] == [
        Pushed, ExistsButDifferent, Pushed, Pushed, FileNotAsRecorded, Pushed,
    ]  # fmt: skip
    assert arrived(place)["001.zip"] == b"theirs"
    assert "004.zip" not in arrived(place)
    assert "004.zip" not in sent.commits[0]


def test_a_name_taken_while_intents_are_recorded_is_never_replaced(
    place: Place, books: Callable[[int], Books], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = books(12)
    with place.drop() as drop:
        record = sent.record

        def meanwhile(outgoing: Sequence[Outgoing]) -> None:
            record(outgoing)
            (place.outgoing / "005.zip").write_bytes(b"quicker")

        monkeypatch.setattr(sent, "record", meanwhile)
        results = sent.push(drop)
    assert isinstance(results[5], ExistsButDifferent)
    assert results[:5] + results[6:] == [Pushed.SENT] * 11
    assert arrived(place)["005.zip"] == b"quicker"


def test_large_files_and_sidecars_go_their_own_way_among_the_small(
    place: Place, books: Callable[[int], Books], tmp_path: Path
) -> None:
    sent = books(3)
    large = Books._made(tmp_path / "large.zip", bytes(SMALL_BYTES + 1))
    (tmp_path / "signature").write_bytes(b"signature")
    signed = replace(sent.files[1], sidecars={".sig": tmp_path / "signature"})
    sent.files = [sent.files[0], signed, large, sent.files[2]]
    with place.drop() as drop:
        assert sent.push(drop) == [Pushed.SENT] * 4
    assert set(arrived(place)) == {"000.zip", "001.zip", "001.zip.sig", "large.zip", "002.zip"}


def test_a_hostile_name_among_many_is_refused_before_anything_is_sent(
    folder: Place, books: Callable[[int], Books]
) -> None:
    sent = books(2)
    sent.files[1] = replace(sent.files[1], name="../up.zip")
    with folder.drop() as drop, pytest.raises(HostileName):
        sent.push(drop)
    assert arrived(folder) == {}


@pytest.mark.parametrize("fast", [False, True], ids=["slow consumer", "fast consumer"])
def test_a_connection_lost_among_renames_delivers_nothing_twice(
    misbehaving: Place, faults: Faults, books: Callable[[int], Books], fast: bool
) -> None:
    sent = books(10)
    faults.lose_renames, faults.fast_consumer = 1, fast
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable):
            sent.push(drop)
        faults.fast_consumer = False
        results = sent.push(drop)
    assert results[0] is (Pushed.PRESUMED if fast else Pushed.ALREADY)
    assert set(results[1:]) <= (set(Pushed) if fast else {Pushed.SENT, Pushed.ALREADY})
    assert all(misbehaving.delivered(one.name) == [one.file.read_bytes()] for one in sent.files)


def test_where_a_rename_replaces_the_names_are_looked_for_first(
    misbehaving: Place, faults: Faults, books: Callable[[int], Books], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.rename_replaces = True
    test_a_name_taken_while_intents_are_recorded_is_never_replaced(misbehaving, books, monkeypatch)

"""A counterparty that breaks, lies and hangs: nothing wrong is called sent, nothing cut whole, no wait is endless."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed, SftpSettings, open_drop
from connectors.drops.errors import (
    BadAnswer,
    ChangedWhileRead,
    DropStalled,
    DropUnreachable,
    ExistsButDifferent,
    RemoteFailed,
    RemoteFull,
)
from infra.sandbox import host
from models.errors import ConsignError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.sandbox.paramiko_host import Faults
    from tests.conftest import Needs
    from tests.connectors.drops.conftest import Make, Place, Wire

MB = 2**20
LIMIT = 1.0
"""Seconds of stall that the hanging server is given here."""
WITHIN = 15.0
"""Seconds that even a busy machine needs less of; without the limit, the defaults of 20 and 60 would be waited out."""


def hurried(place: Place) -> None:
    assert isinstance(place.settings, SftpSettings)
    place.settings = replace(place.settings, connect_timeout=LIMIT, stall_timeout=LIMIT)


def test_a_lost_answer_to_the_rename_with_a_fast_consumer_is_presumed_sent(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission()
    faults.lose_renames, faults.fast_consumer = 1, True
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable) as lost:
            sent.push(drop)
        assert lost.value.retryable
        assert sent.intent
        assert sent.push(drop) is Pushed.PRESUMED
        assert sent.push(drop) is Pushed.PRESUMED
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_lost_answer_to_the_rename_with_a_slow_consumer_is_found_out(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission()
    faults.lose_renames = 1
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable):
            sent.push(drop)
        assert sent.push(drop) is Pushed.ALREADY
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_lost_answer_to_a_claim_leaves_a_claim(misbehaving: Place, faults: Faults, tmp_path: Path) -> None:
    misbehaving.receive("a.csv", b"content")
    faults.lose_renames = 1
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable):
            drop.claim(drop.waiting()[0])
        (claimed,) = drop.claimed()
        drop.fetch(claimed, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"content"


@pytest.mark.parametrize("refused_from", [0, 100_000, 2_999_999])
def test_a_refused_write_is_never_called_sent(
    misbehaving: Place, faults: Faults, transmission: Make, refused_from: int
) -> None:
    sent = transmission(size=3_000_000)
    faults.refuse_write_from = refused_from
    with misbehaving.drop() as drop:
        with pytest.raises(RemoteFailed):
            sent.push(drop)
        assert not sent.intent
        assert misbehaving.delivered(sent.name) == []
        faults.refuse_write_from = None
        assert sent.push(drop) is Pushed.SENT
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_full_disk_is_told_as_such_and_mended_by_making_room(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission(size=7 * MB)
    faults.room = 6 * MB
    with misbehaving.drop() as drop:
        with pytest.raises(RemoteFull) as full:
            sent.push(drop)
        assert full.value.retryable
        assert misbehaving.delivered(sent.name) == []
        faults.room = None
        assert sent.push(drop) is Pushed.SENT
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_file_that_cannot_be_synced_is_not_published(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    sent = transmission()
    faults.refuse_fsync = True
    with misbehaving.drop() as drop, pytest.raises(RemoteFailed):
        sent.push(drop)
    assert misbehaving.delivered(sent.name) == []


def test_answers_may_come_in_any_order_and_short(
    misbehaving: Place, faults: Faults, transmission: Make, tmp_path: Path
) -> None:
    sent = transmission(size=3_000_000)
    faults.reversed_answers = faults.short_reads = True
    with misbehaving.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
        misbehaving.receive("a.bin", sent.content)
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert misbehaving.delivered(sent.name) == [sent.content]
    assert (tmp_path / "got").read_bytes() == sent.content


@pytest.mark.parametrize("lie", ["cut", "grown", "overlong"])
def test_a_file_cut_or_grown_while_it_is_fetched_is_not_taken_for_whole(
    misbehaving: Place, faults: Faults, tmp_path: Path, lie: str
) -> None:
    misbehaving.receive("a.bin", bytes(2 * MB))
    with misbehaving.drop() as drop:
        claimed = drop.claim(drop.waiting()[0])
        faults.end_reads_at = MB if lie == "cut" else None
        faults.grow_reads = lie == "grown"
        faults.overlong_reads = lie == "overlong"
        with pytest.raises(BadAnswer if lie == "overlong" else ChangedWhileRead):
            drop.fetch(claimed, tmp_path / "got")
        assert list(tmp_path.glob("got*")) == []
        faults.end_reads_at, faults.grow_reads, faults.overlong_reads = None, False, False
        drop.fetch(drop.claimed()[0], tmp_path / "got")
    assert (tmp_path / "got").stat().st_size >= 2 * MB


@pytest.mark.parametrize(
    "phase", ["banner", "auth", "channel", "open", "write", "fsync", "fstat", "close", "lstat", "rename"]
)
def test_a_server_that_hangs_while_we_push_is_given_up_in_time(
    misbehaving: Place, faults: Faults, transmission: Make, phase: str
) -> None:
    sent = transmission(size=200_000)
    hurried(misbehaving)
    faults.hang_on = "extended" if phase == "fsync" else phase
    before = time.monotonic()
    with pytest.raises((DropStalled, DropUnreachable)) as stalled, misbehaving.drop() as drop:
        sent.push(drop)
    assert time.monotonic() - before < WITHIN
    assert stalled.value.retryable
    faults.hang_on = ""  # and now the server may carry out what it had kept
    with misbehaving.drop() as drop:
        assert sent.push(drop) in {Pushed.SENT, Pushed.ALREADY}
    assert misbehaving.delivered(sent.name) == [sent.content]


@pytest.mark.parametrize("request_name", ["opendir", "readdir", "read"])
def test_a_server_that_hangs_while_we_collect_is_given_up_in_time(
    misbehaving: Place, faults: Faults, tmp_path: Path, request_name: str
) -> None:
    misbehaving.receive("a.bin", bytes(MB))
    hurried(misbehaving)
    faults.hang_on = request_name
    before = time.monotonic()
    with misbehaving.drop() as drop, pytest.raises(DropStalled):
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert time.monotonic() - before < WITHIN
    assert list(tmp_path.glob("got*")) == []


def test_a_slow_server_that_moves_is_not_given_up(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    sent = transmission(size=200_000)
    hurried(misbehaving)
    faults.answer_after_seconds = LIMIT / 8
    with misbehaving.drop() as drop:
        assert sent.push(drop) is Pushed.SENT


def test_a_server_whose_rename_replaces_is_not_let(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    sent = transmission()
    faults.rename_replaces = True

    def meanwhile() -> None:
        (misbehaving.outgoing / sent.name).write_bytes(b"quicker")

    sent.record = meanwhile
    with misbehaving.drop() as drop:
        assert not drop.probe().rename_never_replaces
        with pytest.raises(ExistsButDifferent):
            sent.push(drop)
    assert (misbehaving.outgoing / sent.name).read_bytes() == b"quicker"


def test_a_server_without_extensions_serves(
    misbehaving: Place, faults: Faults, transmission: Make, tmp_path: Path
) -> None:
    sent = transmission(size=3_000_000)
    faults.extensions = ()
    with misbehaving.drop() as drop:
        assert drop.probe().extensions == ()
        assert sent.push(drop) is Pushed.SENT
        misbehaving.receive("a.bin", sent.content)
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert misbehaving.delivered(sent.name) == [sent.content]
    assert (tmp_path / "got").read_bytes() == sent.content


def test_hostile_names_in_a_listing_are_reported_and_left(misbehaving: Place, faults: Faults) -> None:
    faults.extra_names = [
        b"../../etc/cron.d/x", b"/etc/passwd", b"a\nb.csv", b"nul\0.csv", b"\xff\xfe.csv", b"", b"\x1b[2J.csv",
        b"a\\b.csv", b"x" * 250, b"-rf", b"~root",
    ]  # fmt: skip
    misbehaving.receive("ok.csv", b"x")
    with misbehaving.drop() as drop:
        look = drop.look()
    assert [entry.name for entry in look.entries] == ["ok.csv"]
    assert len(look.ignored) == len(faults.extra_names)
    assert all(one.name.isascii() and one.name.isprintable() for one in look.ignored)


def test_a_push_goes_on_where_it_was_cut(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    sent = transmission(size=16 * MB)
    faults.cut_after = 12 * MB
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable):
            sent.push(drop)
        faults.written = 0
        assert sent.push(drop) is Pushed.SENT
    assert faults.written < 10 * MB
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_a_part_that_is_not_ours_is_not_built_upon(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    sent = transmission(size=16 * MB)
    faults.cut_after = 12 * MB
    with misbehaving.drop() as drop:
        with pytest.raises(DropUnreachable):
            sent.push(drop)
        (part,) = misbehaving.outgoing.iterdir()
        part.write_bytes(bytes(part.stat().st_size))
        assert sent.push(drop) is Pushed.SENT
    assert misbehaving.delivered(sent.name) == [sent.content]


@pytest.mark.parametrize("megabytes", [0.003, 0.5, 3, 7.5, 11.9])
def test_cut_anywhere_and_pushed_again_to_openssh_every_byte_is_right(
    wire: tuple[Wire, Place], transmission: Make, megabytes: float
) -> None:
    relay, place = wire
    sent = transmission(size=12_000_000)
    relay.after = int(megabytes * 1e6)
    with pytest.raises(DropUnreachable), place.drop() as drop:
        sent.push(drop)
    assert place.delivered(sent.name) == []
    relay.after = None
    with place.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
    assert place.delivered(sent.name) == [sent.content]


def test_a_wire_that_swallows_everything_is_given_up_in_time(wire: tuple[Wire, Place], transmission: Make) -> None:
    relay, place = wire
    hurried(place)
    relay.how, relay.after = "stall", 3_000_000
    before = time.monotonic()
    with pytest.raises(DropStalled), place.drop() as drop:
        transmission(size=12_000_000).push(drop)
    assert time.monotonic() - before < WITHIN


def test_a_fetch_that_is_cut_leaves_nothing_and_is_done_again(wire: tuple[Wire, Place], tmp_path: Path) -> None:
    relay, place = wire
    place.receive("a.bin", bytes(12 * MB))
    with place.drop() as drop:
        claimed = drop.claim(drop.waiting()[0])
        relay.after = relay.carried + 500
        with pytest.raises(DropUnreachable):
            drop.fetch(claimed, tmp_path / "got")
        assert list(tmp_path.glob("got*")) == []
        relay.after = None
        assert drop.fetch(drop.claimed()[0], tmp_path / "got").size == 12 * MB


def test_keys_may_be_exchanged_anew_in_the_middle(
    tmp_path: Path, needs: Needs, transmission: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("sshd")
    monkeypatch.setattr(host, "_CONFIG", host._CONFIG + "RekeyLimit 1M\n")
    sent = transmission(size=8 * MB)
    with host.SandboxHost(tmp_path / "rekey", ["alpha"]) as server:
        incoming = server.directory("alpha") / "from_agency"
        with open_drop(server.settings_for("alpha", server.client_key("alpha"))) as drop:
            assert sent.push(drop) is Pushed.SENT
            (server.directory("alpha") / "to_agency" / sent.name).rename(incoming / sent.name)
            drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == sent.content


def test_a_full_folder_is_told_as_such_and_nothing_is_published(folder: Place, transmission: Make) -> None:
    sent = transmission(size=2 * MB)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MB, before[1]))
    try:
        with folder.drop() as drop, pytest.raises(RemoteFull):
            sent.push(drop)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert folder.delivered(sent.name) == []
    with folder.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
    assert folder.delivered(sent.name) == [sent.content]


@pytest.mark.parametrize("seed", range(20))
def test_answers_that_are_noise_end_in_an_error_that_is_named(
    misbehaving: Place, faults: Faults, transmission: Make, tmp_path: Path, seed: int
) -> None:
    sent = transmission(size=200_000)
    misbehaving.receive("a.bin", bytes(MB))
    hurried(misbehaving)
    faults.garbled = seed
    for _ in range(3):
        with suppress(ConsignError), misbehaving.drop() as drop:
            sent.push(drop)
        with suppress(ConsignError), misbehaving.drop() as drop:
            for entry in drop.waiting():
                drop.claim(entry)
            for claimed in drop.claimed():
                drop.fetch(claimed, tmp_path / "got")
        with suppress(ConsignError), misbehaving.drop() as drop:
            drop.probe()
    faults.garbled = None
    assert misbehaving.delivered(sent.name) in ([], [sent.content])
    with misbehaving.drop() as drop:
        assert sent.push(drop) in set(Pushed)
    assert len(misbehaving.delivered(sent.name)) <= 1


def test_a_peer_that_is_no_ssh_server_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"SSH-2.0-x\r\n" + bytes(range(256)) * 8)

        threading.Thread(target=speak, daemon=True).start()
        private, public = host.new_key()
        settings = SftpSettings("127.0.0.1", listener.getsockname()[1], "us", (public,), private, connect_timeout=LIMIT)
        with pytest.raises((DropUnreachable, DropStalled)), open_drop(settings):
            pass

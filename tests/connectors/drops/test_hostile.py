"""An agency's directory, or its server, that means harm: refused or left, with a reason, in bounded memory and time."""

from __future__ import annotations

import os
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from connectors.drops import open_drop
from connectors.drops.errors import BadAnswer, ChangedWhileRead, DropStalled, RemoteFailed
from models.errors import ConsignError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.sandbox.paramiko_host import Faults
    from tests.connectors.drops.conftest import Make, Place

MB = 2**20


def test_of_more_names_so_many_are_looked_at_as_the_settings_say(folder: Place) -> None:
    for number in range(1_500):
        os.close(os.open(folder.incoming / f"{number:06}.csv", os.O_CREAT))
    with open_drop(replace(folder.settings, max_names=1_000)) as drop:
        tracemalloc.start()
        look = drop.look()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (len(look.entries), look.more) == (1_000, True)
    assert peak < 8 * MB


def test_a_server_that_lists_for_ever_is_heard_so_far_and_no_further(misbehaving: Place, faults: Faults) -> None:
    faults.endless = 1000
    with open_drop(replace(misbehaving.settings, max_names=5_000)) as drop:
        tracemalloc.start()
        look = drop.look()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        faults.endless = None
        misbehaving.receive("a.csv", b"x")
        assert [entry.name for entry in drop.look().entries] == ["a.csv"]
    assert (len(look.entries), look.more) == (5_000, True)
    assert peak < 40 * MB


def test_a_listing_without_names_and_without_an_end_is_ended(misbehaving: Place, faults: Faults) -> None:
    faults.endless = 0
    with misbehaving.drop() as drop, pytest.raises(BadAnswer):
        drop.look()


def test_what_belongs_to_a_file_is_sought_where_not_all_was_listed(folder: Place) -> None:
    """Otherwise a `.done` beyond the cut would not keep an unfinished file from being taken."""
    for number in range(20):
        folder.receive(f"{number:02}.csv", b"half")
        folder.receive(f"{number:02}.csv.done", b"0" * 64 + b" 8")
    with open_drop(replace(folder.settings, max_names=7)) as drop:
        look = drop.look()
    assert look.more
    assert look.entries == []


def test_names_of_half_a_megabyte_are_not_kept(misbehaving: Place, faults: Faults) -> None:
    faults.extra_names = [b"x" * 20_000 + b"%d" % number for number in range(500)]
    misbehaving.receive("ok.csv", b"x")
    with misbehaving.drop() as drop:
        tracemalloc.start()
        look = drop.look()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [entry.name for entry in look.entries] == ["ok.csv"]
    assert peak < 40 * MB


def test_names_that_deceive_the_eye_are_left_with_a_reason(place: Place) -> None:
    deceiving = ["a\u202efdp.csv", "\u200bhidden.csv", "new\u2028line.csv", "\x7f.csv", "tab\t.csv"]
    for name in deceiving:
        place.receive(name, b"x")
    with place.drop() as drop:
        look = drop.look()
    assert look.entries == []
    assert len(look.ignored) == len(deceiving)
    assert all(one.name.isascii() and "control characters" in one.why for one in look.ignored)


def test_what_is_no_regular_file_is_left_with_a_reason(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    os.mkfifo(place.incoming / "pipe.csv")
    (place.incoming / "link.csv").symlink_to(tmp_path / "outside")
    (place.incoming / "dangling.csv").symlink_to("nowhere")
    (place.incoming / "directory.csv").mkdir()
    with suppress(PermissionError):  # root alone makes devices, and not in every container
        os.mknod(place.incoming / "device.csv", 0o020644, os.makedev(1, 5))  # /dev/zero, which has no end
    strange = len(list(place.incoming.iterdir()))
    place.receive("ok.csv", b"x")
    with place.drop() as drop:
        look = drop.look()
    assert [entry.name for entry in look.entries] == ["ok.csv"]
    assert {one.why for one in look.ignored} == {"is not a regular file"}
    assert len(look.ignored) == strange


@pytest.mark.parametrize("kind", ["folder", "openssh", "misbehaving"])
@pytest.mark.parametrize("instead", ["link", "pipe", "directory", "another file"])
def test_what_takes_a_claimed_files_place_is_not_taken_for_it(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, instead: str
) -> None:
    place: Place = request.getfixturevalue(kind)
    place.receive("a.csv", b"as it was")
    (tmp_path / "outside").write_bytes(b"elsewhere")
    if kind != "folder":
        place.limit(stall_timeout=1.0)
    with place.drop() as drop:
        claimed = drop.claim(drop.waiting()[0])
        held = place.incoming / "claim" / claimed.held_as
        held.unlink()
        if instead == "link":
            held.symlink_to(tmp_path / "outside")
        elif instead == "pipe":
            os.mkfifo(held)
        elif instead == "directory":
            held.mkdir()
        else:
            held.write_bytes(b"longer than it was")
        if instead == "link" and kind == "openssh":
            # OpenSSH follows a link when it opens: what is read has the claimed size, so only its seal can tell.
            drop.fetch(claimed, tmp_path / "got")
            return
        with pytest.raises((ChangedWhileRead, DropStalled, RemoteFailed)):
            drop.fetch(claimed, tmp_path / "got")
    assert list(tmp_path.glob("got*")) == []


def test_a_server_that_drips_is_given_up_when_its_time_is_over(
    misbehaving: Place, faults: Faults, transmission: Make, tmp_path: Path
) -> None:
    misbehaving.limit(transfer_timeout=1.0)
    faults.limits = (34_000, 4_096, 4_096, 10)
    faults.answer_after_seconds = 0.02
    misbehaving.receive("a.bin", bytes(MB))
    before = time.monotonic()
    with misbehaving.drop() as drop, pytest.raises(DropStalled):
        transmission(size=MB).push(drop)
    with misbehaving.drop() as drop, pytest.raises(DropStalled):
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert time.monotonic() - before < 30
    assert list(tmp_path.glob("got*")) == []


def test_a_large_file_passes_through_little_memory(openssh: Place, transmission: Make, tmp_path: Path) -> None:
    sent = transmission(size=48 * MB)
    with openssh.drop() as drop:
        tracemalloc.start()
        sent.push(drop)
        _, up = tracemalloc.get_traced_memory()
        (openssh.outgoing / sent.name).rename(openssh.incoming / sent.name)
        tracemalloc.reset_peak()
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
        _, down = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert up < 64 * MB  # the test itself holds the 48 MB that it compares
    assert down < 24 * MB


@pytest.mark.parametrize("seed", range(4))
def test_noise_in_listings_ends_in_an_error_that_is_named(misbehaving: Place, faults: Faults, seed: int) -> None:
    for number in range(30):
        misbehaving.receive(f"{number}.csv", b"x")
    misbehaving.limit(stall_timeout=1.0)
    faults.garbled = 1000 + seed
    for _ in range(5):
        try:
            with misbehaving.drop() as drop:
                drop.look()
                drop.claimed()
        except ConsignError:
            continue

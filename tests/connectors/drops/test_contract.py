"""What every drop promises, whatever it is made of."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed
from connectors.drops.acts import TRIAL, TRIAL_FORGOTTEN_SECONDS
from connectors.drops.errors import (
    ChangedWhileRead,
    ExistsButDifferent,
    FileNotAsRecorded,
    HostileName,
    LocalDiskFailed,
    NotAsDeclared,
    TakenByAnother,
    TooLarge,
)

if TYPE_CHECKING:
    from tests.connectors.drops.conftest import Make, Place


def test_a_pushed_file_arrives_byte_for_byte_and_alone(place: Place, transmission: Make) -> None:
    sent = transmission(size=1_234_567)
    with place.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
    assert sent.intent
    assert {path.name: path.read_bytes() for path in place.outgoing.iterdir()} == {sent.name: sent.content}


def test_an_empty_file_can_be_pushed_and_fetched(place: Place, transmission: Make, tmp_path: Path) -> None:
    with place.drop() as drop:
        assert transmission(size=0).push(drop) is Pushed.SENT
        place.receive("empty.csv", b"")
        fetched = drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert (fetched.size, fetched.sha256) == (0, hashlib.sha256(b"").hexdigest())


def test_pushing_again_changes_nothing(place: Place, transmission: Make) -> None:
    sent = transmission()
    with place.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
        assert sent.push(drop) is Pushed.ALREADY
        sent.intent = False
        assert sent.push(drop) is Pushed.ALREADY
    assert place.delivered(sent.name) == [sent.content]


def test_a_file_that_was_taken_before_we_heard_is_presumed_sent(place: Place, transmission: Make) -> None:
    sent = transmission()
    with place.drop() as drop:
        sent.push(drop)
        place.take(sent.name)
        assert sent.push(drop) is Pushed.PRESUMED
    assert place.delivered(sent.name) == [sent.content]


@pytest.mark.parametrize("intent", [False, True])
@pytest.mark.parametrize("there", [b"other", None], ids=["of another size", "of the same size"])
def test_other_content_under_the_name_is_never_replaced(
    place: Place, transmission: Make, intent: bool, there: bytes | None
) -> None:
    sent = transmission(size=5_000)
    other = there or bytes(5_000)
    (place.outgoing / sent.name).write_bytes(other)
    sent.intent = intent
    with place.drop() as drop, pytest.raises(ExistsButDifferent) as refused:
        sent.push(drop)
    assert not refused.value.retryable
    assert (place.outgoing / sent.name).read_bytes() == other


def test_a_name_that_appears_while_we_write_is_never_replaced(place: Place, transmission: Make) -> None:
    sent = transmission(size=5_000)
    with place.drop() as drop:

        def meanwhile() -> None:
            (place.outgoing / sent.name).write_bytes(b"quicker")

        with pytest.raises(ExistsButDifferent):
            drop.push(
                sent.file,
                sent.name,
                sha256=hashlib.sha256(sent.content).hexdigest(),
                record_intent=meanwhile,
                intent_recorded=False,
            )
    assert (place.outgoing / sent.name).read_bytes() == b"quicker"


def test_a_file_other_than_the_recorded_one_is_not_published(place: Place, transmission: Make) -> None:
    sent = transmission()
    with place.drop() as drop, pytest.raises(FileNotAsRecorded):
        drop.push(sent.file, sent.name, sha256="0" * 64, record_intent=sent.record, intent_recorded=False)
    assert not sent.intent
    assert list(place.outgoing.iterdir()) == []


def test_nothing_is_published_if_the_intent_cannot_be_recorded(place: Place, transmission: Make) -> None:
    sent = transmission()

    def fails() -> None:
        raise RuntimeError("the database is gone")

    sent.record = fails
    with place.drop() as drop, pytest.raises(RuntimeError):
        sent.push(drop)
    assert place.delivered(sent.name) == []


def test_where_the_file_is_its_sidecars_are(place: Place, transmission: Make) -> None:
    sent = transmission(sig=300)
    seen: list[set[str]] = []
    with place.drop() as drop:
        sent.record = lambda: seen.append({path.name for path in place.outgoing.iterdir()})
        sent.push(drop)
    assert f"{sent.name}.sig" in seen[0]
    assert sent.name not in seen[0]
    assert place.delivered(f"{sent.name}.sig") == [sent.sidecars[".sig"].read_bytes()]


def test_a_hostile_name_is_never_pushed(place: Place, transmission: Make) -> None:
    sent = transmission()
    with place.drop() as drop:
        for name in (
            "../up.zip",
            "/etc/x.zip",
            "a\nb.zip",
            "",
            "..",
            ".hidden",
            "-rf",
            "a/b",
            "x" * 300,
            "a\u2028b.zip",
        ):
            sent.name = name
            with pytest.raises(HostileName):
                sent.push(drop)
    assert list(place.outgoing.iterdir()) == []


def test_a_waiting_file_is_claimed_fetched_and_archived_once(place: Place, tmp_path: Path) -> None:
    content = os.urandom(2_500_000)
    place.receive("alpha.lender.remittance.20261122.000007.zip.age", content)
    with place.drop() as drop:
        (entry,) = drop.waiting(re.compile(r"alpha\.lender\.[a-z_]+\.\d{8}\.\d{6}\.zip\.age"))
        claimed = drop.claim(entry)
        assert drop.waiting() == []
        fetched = drop.fetch(claimed, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == content
        assert (fetched.size, fetched.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        drop.archive(claimed, "accepted")
        drop.archive(claimed, "accepted")
        assert drop.claimed() == []
    (archived,) = (place.incoming / "archive" / "accepted").iterdir()
    assert archived.read_bytes() == content
    assert not list(tmp_path.glob("got.*"))


def test_a_crashed_collectors_claims_are_returned_to_the_next(place: Place, tmp_path: Path) -> None:
    place.receive("a.csv", b"one")
    place.receive("b.csv", b"two")
    with place.drop() as drop:
        claims = [drop.claim(entry) for entry in drop.waiting()]
    with place.drop() as drop:
        assert drop.claimed() == claims
        drop.archive(claims[0], "refused")
        assert drop.claimed() == claims[1:]
        drop.fetch(claims[1], tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"two"


def test_a_sidecar_travels_with_its_file(place: Place, tmp_path: Path) -> None:
    place.receive("a.zip.age.sig", b"signature")
    with place.drop() as drop:
        assert drop.waiting(sidecar_suffix=".sig") == []
        place.receive("a.zip.age", b"content")
        place.receive("b.zip.age", b"without")
        look = drop.look(sidecar_suffix=".sig")
        (entry,) = look.entries
        assert [one.name for one in look.unfinished] == ["'b.zip.age'"]
        claimed = drop.claim(entry)
        assert (claimed.name, claimed.sidecars) == ("a.zip.age", (".sig",))
        assert drop.claimed(".sig") == [claimed]
        fetched = drop.fetch(claimed, tmp_path / "got")
        assert fetched.sidecars[".sig"].read_bytes() == b"signature"
        drop.archive(claimed, "accepted")
    assert sorted(path.read_bytes() for path in (place.incoming / "archive" / "accepted").iterdir()) == [
        b"content",
        b"signature",
    ]
    assert [path.name for path in place.incoming.iterdir() if path.is_file()] == ["b.zip.age"]


def test_a_sidecar_left_behind_by_a_crash_is_brought_along(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.receive("a.zip.age.sig", b"signature")
    place.receive("a.zip.age", b"content")
    with place.drop() as drop:
        (entry,) = drop.waiting(sidecar_suffix=".sig")
        monkeypatch.setattr(drop, "_bring", lambda *_: False)  # the crash: the file is claimed, its sidecar not yet
        drop.claim(entry)
    with place.drop() as drop:
        (claimed,) = drop.claimed(".sig")
        assert claimed.sidecars == (".sig",)
        assert drop.fetch(claimed, tmp_path / "got").sidecars[".sig"].read_bytes() == b"signature"


def test_a_done_file_says_when_a_file_is_complete(place: Place, tmp_path: Path) -> None:
    content = b"all of it"
    sha256 = hashlib.sha256(content).hexdigest()
    place.receive("a.csv", content[:4])
    with place.drop() as drop:
        assert drop.waiting(complete="done") == []
        place.receive("a.csv.done", f"{sha256} {len(content)}\n".encode())
        assert drop.waiting() == []
        place.receive("a.csv", content)
        (entry,) = drop.waiting()
        assert entry.declared_sha256 == sha256
        claimed = drop.claim(entry)
        assert drop.claimed() == [claimed]
        assert drop.fetch(claimed, tmp_path / "got").sha256 == sha256
        drop.archive(claimed, "accepted")
    assert [path.name for path in place.incoming.iterdir() if path.is_file()] == []


def test_content_other_than_declared_is_not_kept(place: Place, tmp_path: Path) -> None:
    place.receive("a.csv", b"tampered!")
    place.receive("a.csv.done", f"{hashlib.sha256(b'declared!').hexdigest()}  9".encode())
    with place.drop() as drop:
        claimed = drop.claim(drop.waiting()[0])
        with pytest.raises(NotAsDeclared) as refused:
            drop.fetch(claimed, tmp_path / "got")
    assert not refused.value.retryable
    assert list(tmp_path.glob("got*")) == []


def test_a_file_that_still_grows_is_not_complete(place: Place) -> None:
    place.receive("growing.csv", b"1")
    place.receive("still.csv", b"1")
    timer = threading.Timer(0.1, place.receive, ("growing.csv", b"12"))
    with place.drop() as drop:
        timer.start()
        assert [entry.name for entry in drop.waiting(complete="stable")] == ["still.csv"]
        timer.join()
        assert [entry.name for entry in drop.waiting(complete="stable")] == ["growing.csv", "still.csv"]


def test_unfinished_and_unexpected_names_are_left_alone(place: Place) -> None:
    for name in ("a.csv.part", "b.csv.filepart", "c.csv.tmp", "readme.exe", "ok.csv", ".hidden.csv", "two\nlines.csv"):
        place.receive(name, b"x")
    (place.incoming / "directory.csv").mkdir()
    (place.incoming / "link.csv").symlink_to("/etc/passwd")
    (place.incoming / os.fsdecode(b"latin-\xe9.csv")).write_bytes(b"x")
    with place.drop() as drop:
        look = drop.look(re.compile(r".*\.csv(\.\w+)?", re.DOTALL))
        assert [entry.name for entry in look.entries] == ["ok.csv"]
        assert [one.name for one in look.unfinished] == ["'a.csv.part'", "'b.csv.filepart'", "'c.csv.tmp'"]
        assert len(look.ignored) == 6
        assert all(one.name.isascii() and one.name.isprintable() for one in look.ignored)


def test_of_two_collectors_one_gets_each_file(place: Place) -> None:
    names = {f"{number:02}.csv" for number in range(20)}
    for name in names:
        place.receive(name, name.encode())
    barrier, claimed, lost = threading.Barrier(2), [], []

    def collect() -> None:
        with place.drop() as drop:
            entries = drop.waiting()
            barrier.wait(10)
            for entry in entries:
                try:
                    claimed.append(drop.claim(entry).name)
                except TakenByAnother:
                    lost.append(entry.name)

    collectors = [threading.Thread(target=collect) for _ in range(2)]
    for collector in collectors:
        collector.start()
    for collector in collectors:
        collector.join(30)
    assert sorted(claimed) == sorted(lost) == sorted(names)


def test_the_same_name_sent_again_is_kept_apart_from_the_first(place: Place, tmp_path: Path) -> None:
    for content in (b"first", b"again", b"again"):
        place.receive("a.csv", content)
        os.utime(place.incoming / "a.csv", (1_000, 1_000))
        with place.drop() as drop:
            claimed = drop.claim(drop.waiting()[0])
            drop.fetch(claimed, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == content
            drop.archive(claimed, "accepted")
    archived = (place.incoming / "archive" / "accepted").iterdir()
    assert sorted(path.read_bytes() for path in archived) == [b"again", b"again", b"first"]


def test_a_file_that_goes_on_growing_after_its_claim_is_not_taken_for_whole(place: Place, tmp_path: Path) -> None:
    place.receive("a.csv", b"half")
    with place.drop() as drop, (place.incoming / "a.csv").open("ab") as writer:
        claimed = drop.claim(drop.waiting()[0])
        writer.write(b" and whole")
        writer.flush()
        with pytest.raises(ChangedWhileRead) as changed:
            drop.fetch(claimed, tmp_path / "got")
        assert changed.value.retryable
        assert not (tmp_path / "got").exists()
        drop.fetch(drop.claimed()[0], tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"half and whole"


def test_a_file_beyond_the_cap_is_neither_offered_nor_fetched(place: Place, tmp_path: Path) -> None:
    place.receive("a.csv", b"x" * 1000)
    with place.drop() as drop:
        claimed = drop.claim(drop.waiting()[0])
        place.receive("b.csv", b"x" * 1000)
        drop.max_bytes = 999
        assert drop.waiting() == []
        with pytest.raises(TooLarge):
            drop.fetch(claimed, tmp_path / "got")
    assert list(tmp_path.glob("got*")) == []


def test_a_probe_tries_things_out_and_leaves_nothing(place: Place) -> None:
    with place.drop() as drop:
        probe = drop.probe()
    assert probe.rename_never_replaces
    assert probe.fsync
    assert probe.statvfs
    assert list(place.outgoing.iterdir()) == []


def test_a_probe_takes_away_what_a_killed_one_left_and_nothing_else(place: Place) -> None:
    old, young, theirs = (place.outgoing / name for name in (f"{TRIAL}0.part", f"{TRIAL}1.part", ".other.part"))
    for path in (old, young, theirs):
        path.write_bytes(b"left")
    for path in (old, theirs):
        os.utime(path, (time.time() - TRIAL_FORGOTTEN_SECONDS - 60,) * 2)
    with place.drop() as drop:
        drop.probe()
    assert sorted(place.outgoing.iterdir()) == sorted([young, theirs])


def test_times_of_entries_are_aware(place: Place) -> None:
    place.receive("a.csv", b"x")
    with place.drop() as drop:
        (entry,) = drop.waiting()
    assert abs(entry.mtime.timestamp() - time.time()) < 60
    assert entry.mtime.tzinfo is not None


def test_a_fetch_given_up_halfway_leaves_the_drop_usable(place: Place, tmp_path: Path) -> None:
    place.receive("a.bin", bytes(9_000_000))
    with place.drop() as drop:
        reading = drop._read("from_agency/a.bin", 10_000_000)
        assert next(reading)
        reading.close()
        claimed = drop.claim(drop.waiting()[0])
        with pytest.raises(LocalDiskFailed):
            drop.fetch(claimed, tmp_path / "no such folder" / "got")
        assert drop.fetch(claimed, tmp_path / "got").size == 9_000_000

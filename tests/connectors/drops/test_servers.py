"""What holds on which server: every line of docs/reference/sftp-servers.md is tried here."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed, SftpSettings, open_drop
from connectors.drops.errors import (
    DropUnreachable,
    ExistsButDifferent,
    HostKeyMismatch,
    NotAsDeclared,
    PermissionRefused,
    RemoteFull,
    Unsupported,
)
from infra.sandbox import host
from infra.sandbox.servers import ProftpdHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.sandbox.paramiko_host import Faults
    from models.errors import ConsignError
    from tests.conftest import Needs
    from tests.connectors.drops.conftest import Make, Place

MB = 2**20
ABLE: dict[str, object] = {
    "rename": True, "rename_never_replaces": True, "posix_rename": True, "fsync": True, "statvfs": True, "resume": True,
    "overwrite": True, "case_sensitive": True, "cipher": "aes128-gcm@openssh.com",
}  # fmt: skip
FOUND: dict[str, dict[str, object]] = {
    "openssh": {**ABLE, "server": "OpenSSH_", "reads": 261_120},
    "chrooted": {**ABLE, "server": "OpenSSH_", "reads": 261_120},
    "dropbear": {**ABLE, "server": "dropbear", "cipher": "aes256-ctr", "reads": 261_120},
    "proftpd": {**ABLE, "server": "mod_sftp", "resume": False, "overwrite": False, "reads": None},
    "misbehaving": {**ABLE, "server": "paramiko", "reads": 261_120},
}


def without_renames(place: Place) -> SftpSettings:
    assert isinstance(place.settings, SftpSettings)
    return replace(place.settings, renames=False)


def killed() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", FOUND)
def test_a_probe_finds_what_the_documentation_says_of_a_server(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(kind)
    with place.drop() as drop:
        found = asdict(drop.probe())
    expected = dict(FOUND[kind])
    assert str(found["server"]).startswith(str(expected.pop("server")))
    assert found["limits"].get("max-read-length") == expected.pop("reads")
    assert {name: found[name] for name in expected} == expected
    assert abs(found["clock_ahead_seconds"]) < 10
    assert found["free_bytes"] > 0
    assert list(place.outgoing.iterdir()) == []


@pytest.mark.parametrize("kind", ["chrooted", "proftpd", "dropbear"])
def test_a_large_file_goes_up_and_down_whole(
    request: pytest.FixtureRequest, transmission: Make, tmp_path: Path, kind: str
) -> None:
    place: Place = request.getfixturevalue(kind)
    sent = transmission(size=11 * MB + 77)
    with place.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
        (place.outgoing / sent.name).rename(place.incoming / sent.name)
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == sent.content


@pytest.mark.parametrize("kind", ["openssh", "chrooted", "proftpd", "dropbear"])
def test_a_part_left_behind_is_finished_or_begun_anew(
    request: pytest.FixtureRequest, transmission: Make, kind: str
) -> None:
    """ProFTPD as it comes lets nobody write into a file that is there (AllowOverwrite, AllowStoreRestart)."""
    place: Place = request.getfixturevalue(kind)
    sent = transmission(size=12 * MB)
    with place.drop() as drop:
        sent.record = killed
        with pytest.raises(KeyboardInterrupt):
            sent.push(drop)
        (part,) = place.outgoing.iterdir()
        with part.open("r+b") as file:
            file.truncate(8 * MB)
        sent.record = sent.commit
        assert sent.push(drop) is Pushed.SENT
    assert place.delivered(sent.name) == [sent.content]


@pytest.fixture
def lenient() -> Iterator[Place]:
    """ProFTPD as Debian's example configures it, with writing into files allowed."""
    from tests.connectors.drops.conftest import Place

    if lacking := ProftpdHost.missing():
        pytest.skip(lacking)
    with ProftpdHost("alpha", "AllowOverwrite on\nAllowStoreRestart on\n") as server:
        yield Place(server.settings_for("alpha", server.client_key("alpha")), server.directory("alpha"))


def test_proftpd_that_may_overwrite_resumes_and_its_rename_still_replaces_nothing(
    lenient: Place, transmission: Make
) -> None:
    sent = transmission(size=5_000)
    with lenient.drop() as drop:
        probe = drop.probe()
        assert (probe.resume, probe.overwrite, probe.rename_never_replaces) == (True, True, True)

        def meanwhile() -> None:
            (lenient.outgoing / sent.name).write_bytes(b"quicker")

        sent.record = meanwhile
        with pytest.raises(ExistsButDifferent):
            sent.push(drop)
    assert (lenient.outgoing / sent.name).read_bytes() == b"quicker"


def test_names_beyond_the_chroot_are_not_reached(chrooted: Place) -> None:
    settings = chrooted.settings
    assert isinstance(settings, SftpSettings)
    with open_drop(replace(settings, from_agency="/from_agency", to_agency="/to_agency")) as drop:
        chrooted.receive("a.csv", b"x")
        assert [entry.name for entry in drop.waiting()] == ["a.csv"]
    with open_drop(replace(settings, from_agency="../../../etc")) as drop, pytest.raises(Exception, match="directory"):
        drop.waiting()


# -- what a server may lack -------------------------------------------------------------------------------------------


def test_without_renaming_nothing_is_published(misbehaving: Place, faults: Faults, transmission: Make) -> None:
    faults.unsupported = ("rename",)
    sent = transmission()
    with misbehaving.drop() as drop:
        assert not drop.probe().rename
        with pytest.raises(Unsupported) as refused:
            sent.push(drop)
    assert "renames" in (refused.value.fix or "")
    assert misbehaving.delivered(sent.name) == []
    with open_drop(without_renames(misbehaving)) as drop, pytest.raises(Unsupported):
        sent.push(drop)


def test_without_renaming_files_are_collected_where_they_lie_and_removed_when_recorded(
    misbehaving: Place, faults: Faults, tmp_path: Path
) -> None:
    faults.unsupported = ("rename",)
    misbehaving.receive("a.csv", b"one")
    misbehaving.receive("a.csv.sig", b"signature")
    with open_drop(without_renames(misbehaving)) as drop:
        (entry,) = drop.waiting(sidecar_suffix=".sig")
        claimed = drop.claim(entry)
        assert drop.fetch(claimed, tmp_path / "got").sidecars[".sig"].read_bytes() == b"signature"
        assert drop.claimed() == []
        assert [one.name for one in drop.waiting(sidecar_suffix=".sig")] == ["a.csv"]  # a crash here: it comes again
        drop.archive(claimed, "accepted")
        drop.archive(claimed, "accepted")
        assert list(misbehaving.incoming.iterdir()) == []
        misbehaving.receive("a.csv", b"another, longer")
        drop.archive(claimed, "duplicate")
    assert (misbehaving.incoming / "a.csv").read_bytes() == b"another, longer"


def test_a_disk_without_room_is_found_out_before_a_byte_is_sent(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    faults.room = 0
    with misbehaving.drop() as drop, pytest.raises(RemoteFull) as full:
        transmission(size=2 * MB).push(drop)
    assert str(2 * MB) in str(full.value)
    assert faults.written == 0
    assert list(misbehaving.outgoing.iterdir()) == []


@pytest.mark.parametrize("most", [1_000, 20_000])
def test_blocks_are_no_larger_than_a_server_takes(
    misbehaving: Place, faults: Faults, transmission: Make, tmp_path: Path, most: int
) -> None:
    faults.limits = (34_000, most, most, 10)
    sent = transmission(size=300_000)
    with misbehaving.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
        misbehaving.receive("a.bin", sent.content)
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert misbehaving.delivered(sent.name) == [(tmp_path / "got").read_bytes()]


def test_names_that_differ_in_case_alone_are_not_confused(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    faults.case_insensitive = True
    sent = transmission("upper.zip", size=5_000)
    (misbehaving.outgoing / "UPPER.ZIP").write_bytes(b"theirs")
    with misbehaving.drop() as drop:
        assert not drop.probe().case_sensitive
        with pytest.raises(ExistsButDifferent):
            sent.push(drop)
        assert (misbehaving.outgoing / "UPPER.ZIP").read_bytes() == b"theirs"
        assert transmission("lower.zip", size=5_000).push(drop) is Pushed.SENT


@pytest.mark.parametrize("ahead", [-28_800, 3_600])
def test_times_in_another_zone_change_nothing(misbehaving: Place, faults: Faults, tmp_path: Path, ahead: int) -> None:
    faults.clock_ahead = ahead
    misbehaving.receive("a.csv", b"content")
    with misbehaving.drop() as drop:
        assert abs((drop.probe().clock_ahead_seconds or 0) - ahead) < 10
        (entry,) = drop.waiting(complete="stable")
        claimed = drop.claim(entry)
        drop.fetch(claimed, tmp_path / "got")
        drop.archive(claimed, "accepted")
        assert drop.waiting() == []
        assert drop.claimed() == []
    assert (tmp_path / "got").read_bytes() == b"content"


def test_a_declared_hash_holds_where_nothing_can_be_renamed(misbehaving: Place, tmp_path: Path) -> None:
    misbehaving.receive("a.csv", b"tampered!")
    misbehaving.receive("a.csv.done", b"0" * 64 + b" 9")
    with open_drop(without_renames(misbehaving)) as drop, pytest.raises(NotAsDeclared):
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")


def test_a_directory_that_may_not_be_written_is_told_as_such(chrooted: Place, transmission: Make) -> None:
    chrooted.outgoing.chmod(0o555)
    try:
        with chrooted.drop() as drop, pytest.raises(PermissionRefused) as refused:
            transmission().push(drop)
    finally:
        chrooted.outgoing.chmod(0o755)
    assert not refused.value.retryable


# -- servers that are too old -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("Ciphers aes128-cbc,3des-cbc", Unsupported, "cipher"),
        ("Ciphers aes128-ctr\nMACs hmac-sha1,umac-64@openssh.com", Unsupported, "mac"),
        ("KexAlgorithms diffie-hellman-group14-sha1", Unsupported, "kex"),
        ("HostKeyAlgorithms ssh-rsa", Unsupported, "SHA-1"),
    ],
)
def test_a_server_with_nothing_but_weak_algorithms_is_refused_in_words(
    tmp_path: Path, needs: Needs, monkeypatch: pytest.MonkeyPatch, line: str, error: type[ConsignError], words: str
) -> None:
    needs("sshd")
    rsa = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
    monkeypatch.setattr(host, "_CONFIG", host._CONFIG + f"HostKey {rsa}\n{line}\n")
    with host.SandboxHost(tmp_path / "old", ["alpha"]) as server:
        settings = server.settings_for("alpha", server.client_key("alpha"))
        if "ssh-rsa" in line:
            settings = replace(settings, host_keys=(rsa.with_suffix(".pub").read_text(),))
        with pytest.raises((error, HostKeyMismatch, DropUnreachable)) as refused, open_drop(settings):
            pass
    assert isinstance(refused.value, error), refused.value
    assert words in str(refused.value)
    assert not refused.value.retryable
    assert refused.value.fix

"""An agency with only `gpg` opens what we seal and seals what we open; and GnuPG's `ok` is never believed alone."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from keys.errors import KeyUnfit, OpenRefused, ProgramMissing, SealRefused
from keys.keyring import Keyring
from keys.sealing import open_from, openpgp, seal_for

CONTENT = b"PK\x03\x04" + random.Random(5).randbytes(300_000)


class Needs(Protocol):
    """Asks for a program."""

    def __call__(self, program: str) -> Path:
        """Its path."""


class Agency:
    """A party that has only `gpg`, and a home."""

    def __init__(self, home: Path, needs: Needs, now: datetime) -> None:
        """Make a key, as the guide for agencies tells."""
        self.home, self.program, self.now = home, needs("gpg"), now
        self.fingerprint = self.new_key("acme <acme@example.com>", "60d")

    def run(self, *arguments: str, stdin: bytes = b"", at: datetime | None = None) -> bytes:
        """What gpg says at that time; CalledProcessError if it says no."""
        command = [
            str(self.program), "--homedir", str(self.home), "--batch", "--yes", "--quiet", "--no-tty",
            "--faked-system-time", f"{int((at or self.now).timestamp())}!",
            "--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always", *arguments,
        ]  # fmt: skip
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    def new_key(self, name: str, expires: str) -> str:
        """The fingerprint of a fresh key."""
        self.run("--quick-gen-key", name, "ed25519", "sign,cert", expires)
        listed = self.run("--with-colons", "--list-keys", name.split(maxsplit=1)[0]).decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
        self.run("--quick-add-key", fingerprint, "cv25519", "encrypt", expires)
        return fingerprint

    def public(self, fingerprint: str = "") -> str:
        """The armoured public key."""
        return self.run("--armor", "--export", fingerprint or self.fingerprint).decode()

    def sealed(self, *arguments: str) -> bytes:
        """The content as the arguments have gpg seal it."""
        return self.run(*arguments, "--output", "-", stdin=CONTENT)


@pytest.fixture(scope="module")
def agency(needs: Needs, begun: datetime) -> Iterator[Agency]:
    """Acme, without a keyring."""
    home = Path(tempfile.mkdtemp(prefix="agency-"))
    yield Agency(home, needs, begun)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False)
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def lender(agency: Agency, begun: datetime, tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """The lender, who has exchanged keys with acme; do not change the keys."""
    folder = tmp_path_factory.mktemp("lender")
    keyring = Keyring.create(folder / "keyring.json", key_file=folder / "root.key")
    keyring.new_own_keys("openpgp", begun, valid_days=90)
    keyring.trust("acme", "openpgp", encrypt=agency.public(), verify=agency.public(), now=begun)
    agency.run("--import", stdin=keyring.public_keys("openpgp")["encrypt"].encode())
    return keyring


@pytest.fixture
def ours(lender: Keyring) -> str:
    """The fingerprint of the lender's key."""
    return lender.public_keys("openpgp")["fingerprint"]


def refused(lender: Keyring, sealed: bytes, folder: Path, now: datetime) -> str:
    (folder / "X.pgp").write_bytes(sealed)
    with pytest.raises(OpenRefused) as refusal:
        open_from(lender, "acme", "openpgp", folder / "X.pgp", folder / "opened", now)
    assert [path.name for path in folder.iterdir()] == ["X.pgp"]
    return refusal.value.code


def test_the_agency_opens_with_gpg_and_sees_a_good_signature(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    seal_for(lender, "acme", "openpgp", tmp_path / "plain", tmp_path / "X.pgp", begun)
    assert agency.run("--decrypt", str(tmp_path / "X.pgp")) == CONTENT
    said = agency.run("--status-fd", "1", "--output", "/dev/null", "--decrypt", str(tmp_path / "X.pgp")).decode()
    assert f"VALIDSIG {ours}" in said


def test_nothing_is_compressed_again(lender: Keyring, begun: datetime, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(1_000_000))
    seal_for(lender, "acme", "openpgp", tmp_path / "plain", tmp_path / "X.pgp", begun)
    assert (tmp_path / "X.pgp").stat().st_size > 1_000_000


@pytest.mark.parametrize("act", ["seal", "open"])
def test_a_gnupg_that_hangs_is_ended_and_leaves_nothing(
    act: str,
    lender: Keyring,
    agency: Agency,
    ours: str,
    begun: datetime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "X.pgp").write_bytes(agency.sealed("--sign", "--encrypt", "--recipient", ours))
    hanging = tmp_path / "bin" / "gpg"
    hanging.parent.mkdir()
    hanging.write_text(
        f'#!/bin/sh\ncase "$*" in *--encrypt*|*--decrypt*) exec sleep 60;; *) exec {agency.program} "$@";; esac\n'
    )
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(openpgp.OpenPgpSuite, "within_s", 0.5)
    does = seal_for if act == "seal" else open_from
    with pytest.raises(TimeoutError, match=r"more than 0\.5 s"):
        does(lender, "acme", "openpgp", tmp_path / "X.pgp", tmp_path / "Y", begun)
    assert not list(tmp_path.glob("Y*"))


@pytest.mark.parametrize("fails", [1, 2])
def test_a_key_is_asked_for_again_where_gnupg_s_agent_was_not_up_in_time(
    fails: int, needs: Needs, begun: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, asked = tmp_path / "bin" / "gpg", tmp_path / "asked"
    late.parent.mkdir()
    late.write_text(
        '#!/bin/sh\ncase "$*" in *gen-key*) '
        f'echo >> {asked}; [ $(wc -l < {asked}) -le {fails} ] && exit 2;; esac\nexec {needs("gpg")} "$@"\n'
    )
    late.chmod(0o755)
    monkeypatch.setenv("PATH", f"{late.parent}{os.pathsep}{os.environ['PATH']}")
    if fails == 1:
        assert openpgp.OpenPgpSuite().new_keys(begun, begun + timedelta(days=9)).fingerprint
    else:
        with pytest.raises(KeyUnfit, match="gpg made no key"):
            openpgp.OpenPgpSuite().new_keys(begun, begun + timedelta(days=9))
    assert len(asked.read_text().splitlines()) == 2


@pytest.mark.parametrize("form", [[], ["--armor"], ["-z", "0"], ["--cipher-algo", "AES128"], ["--throw-keyids"]])
def test_we_open_whatever_form_the_agency_s_gpg_chooses(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path, form: list[str]
) -> None:
    (tmp_path / "Y.pgp").write_bytes(agency.sealed(*form, "--sign", "--encrypt", "--recipient", ours))
    opened = open_from(lender, "acme", "openpgp", tmp_path / "Y.pgp", tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == CONTENT
    assert opened.signer_fingerprint == agency.fingerprint


def test_a_file_that_hides_its_recipients_opens_under_any_valid_generation_of_ours(
    agency: Agency, begun: datetime, tmp_path: Path, keyring: Keyring
) -> None:
    keyring.trust("acme", "openpgp", encrypt=agency.public(), verify=agency.public(), now=begun)
    ours = [keyring.new_own_keys("openpgp", begun) for _ in range(2)]
    stranger = agency.fingerprint
    for entry in ours:
        agency.run("--import", stdin=entry.public["encrypt"].encode())
    for recipient in (ours[0].fingerprint, ours[1].fingerprint, stranger):
        hidden = ["--throw-keyids", "--sign", "--encrypt", "--recipient", recipient]
        (tmp_path / "Y.pgp").write_bytes(agency.sealed(*hidden))
        if recipient != stranger:
            open_from(keyring, "acme", "openpgp", tmp_path / "Y.pgp", tmp_path / "opened", begun)
            assert (tmp_path / "opened").read_bytes() == CONTENT
            continue
        with pytest.raises(OpenRefused) as refusal:
            open_from(keyring, "acme", "openpgp", tmp_path / "Y.pgp", tmp_path / "never", begun)
        assert refusal.value.code == "not_for_us"


def test_a_file_sealed_to_others_too_opens(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    both = ["--recipient", agency.fingerprint, "--recipient", ours]
    (tmp_path / "Y.pgp").write_bytes(agency.sealed("--sign", "--encrypt", *both))
    open_from(lender, "acme", "openpgp", tmp_path / "Y.pgp", tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == CONTENT


def test_an_unsigned_file_is_refused_though_gpg_calls_it_ok(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    assert refused(lender, agency.sealed("--encrypt", "--recipient", ours), tmp_path, begun) == "bad_signature"


def test_a_file_that_is_only_signed_or_has_only_a_password_is_refused(
    lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path
) -> None:
    assert refused(lender, agency.sealed("--sign"), tmp_path, begun) == "tampered"
    assert refused(lender, agency.sealed("--symmetric", "--passphrase", "shared"), tmp_path, begun) == "tampered"


def test_a_key_that_is_not_pinned_is_refused_even_with_the_same_name(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    twin = agency.new_key("acme2 <acme@example.com>", "60d")
    sealed = agency.sealed("--sign", "--local-user", twin, "--encrypt", "--recipient", ours)
    assert refused(lender, sealed, tmp_path, begun) == "wrong_signer"


def test_a_second_signature_beside_a_good_one_is_refused(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    other = agency.new_key("other <other@example.com>", "60d")
    by_both = ["--local-user", agency.fingerprint, "--local-user", other]
    sealed = agency.sealed("--sign", *by_both, "--encrypt", "--recipient", ours)
    assert refused(lender, sealed, tmp_path, begun) in {"wrong_signer", "bad_signature"}


def test_a_signature_that_has_expired_is_refused(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    sealed = agency.sealed("--default-sig-expire", "2d", "--sign", "--encrypt", "--recipient", ours)
    assert refused(lender, sealed, tmp_path, begun + timedelta(days=3)) == "bad_signature"


def test_a_pinned_key_counts_no_longer_than_it_says_itself(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path
) -> None:
    (pinned,) = lender.trusted_keys("acme", "openpgp")
    assert pinned.valid_until == begun + timedelta(days=60)
    sealed = agency.sealed("--sign", "--encrypt", "--recipient", ours)
    assert refused(lender, sealed, tmp_path, begun + timedelta(days=61)) == "key_expired"
    (tmp_path / "X.pgp").unlink()
    (tmp_path / "plain").write_bytes(CONTENT)
    with pytest.raises(SealRefused, match="expired"):
        seal_for(lender, "acme", "openpgp", tmp_path / "plain", tmp_path / "X.pgp", begun + timedelta(days=61))


def test_an_expired_key_is_not_pinned(agency: Agency, keyring: Keyring, begun: datetime) -> None:
    public = agency.public()
    with pytest.raises(KeyUnfit, match="has expired"):
        keyring.trust("acme", "openpgp", encrypt=public, verify=public, now=begun + timedelta(days=61))


def test_a_revoked_key_is_not_pinned(agency: Agency, keyring: Keyring, begun: datetime) -> None:
    doomed = agency.new_key("doomed <doomed@example.com>", "60d")
    certificate = (agency.home / "openpgp-revocs.d" / f"{doomed}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    agency.run("--import", stdin=certificate.encode())
    public = agency.public(doomed)
    with pytest.raises(KeyUnfit, match="is revoked"):
        keyring.trust("acme", "openpgp", encrypt=public, verify=public, now=begun)


def test_only_one_fit_public_key_is_pinned(agency: Agency, keyring: Keyring, begun: datetime) -> None:
    signs_only = agency.run("--quick-gen-key", "signs-only", "ed25519", "sign,cert", "60d") or agency.public(
        "signs-only"
    )
    private = agency.run("--armor", "--export-secret-keys", agency.fingerprint).decode()
    for encrypt, why in (
        (agency.public() + agency.public("signs-only"), "2 OpenPGP keys"),
        (str(signs_only), "no valid encryption part"),
        (private, "private key"),
    ):
        with pytest.raises(KeyUnfit, match=why):
            keyring.trust("acme", "openpgp", encrypt=encrypt, verify=agency.public(), now=begun)


def test_gnupg_s_ok_on_a_full_disk_is_not_believed(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full_disk(_: Path) -> Iterator[Path]:
        yield Path("/dev/full")

    monkeypatch.setattr(openpgp, "replacing", full_disk)
    (tmp_path / "X.pgp").write_bytes(agency.sealed("--sign", "--encrypt", "--recipient", ours))
    with pytest.raises(OSError, match="No space left"):
        open_from(lender, "acme", "openpgp", tmp_path / "X.pgp", tmp_path / "opened", begun)
    with pytest.raises(OSError, match="No space left"):
        seal_for(lender, "acme", "openpgp", tmp_path / "X.pgp", tmp_path / "Y.pgp", begun)


@pytest.mark.parametrize("form", [["-z", "0"], ["--armor"]], ids=["packets", "armour"])
def test_a_cut_file_is_told_from_an_altered_one(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path, form: list[str]
) -> None:
    whole = agency.sealed(*form, "--sign", "--encrypt", "--recipient", ours)
    for length in (len(whole) - 60, len(whole) // 2, len(whole) // 3, 5_000):
        assert refused(lender, whole[:length], tmp_path, begun) == "truncated"
    for place in (len(whole) // 2, len(whole) // 3, 5_000):
        altered = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert refused(lender, altered, tmp_path, begun) in {"tampered", "bad_signature"}


def test_another_language_of_gnupg_s_changes_no_verdict(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    sealed = agency.sealed("--sign", "--encrypt", "--recipient", ours)
    assert refused(lender, sealed[:-50_000], tmp_path, begun) == "truncated"


def test_no_home_and_no_agent_stays(
    lender: Keyring, agency: Agency, ours: str, begun: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = Path(tempfile.mkdtemp(prefix="homes-"))
    monkeypatch.setattr(openpgp, "_short_folder", lambda: str(homes))
    refused(lender, agency.sealed("--encrypt", "--recipient", ours), tmp_path, begun)
    (tmp_path / "plain").write_bytes(CONTENT)
    seal_for(lender, "acme", "openpgp", tmp_path / "plain", tmp_path / "X.pgp", begun)
    assert list(homes.iterdir()) == []
    homes.rmdir()
    running = [path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit()]
    assert not [1 for command in running if command.exists() and str(homes).encode() in command.read_bytes()]


def test_a_long_temporary_folder_does_not_break_the_agent_s_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/" + "x" * 90)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert openpgp._short_folder() == "/tmp"


def test_without_gnupg_the_message_says_what_to_do(
    lender: Keyring, begun: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match="gpg") as missing:
        seal_for(lender, "acme", "openpgp", tmp_path / "plain", tmp_path / "X.pgp", begun)
    assert "install GnuPG" in missing.value.fix

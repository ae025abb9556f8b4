"""Keys begin and end at an instant, overlap on purpose, and the keyring changes its root without ever being lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.entries import Entry, opens
from keys.errors import KeyringLocked, KeyUnfit, KeyUnknown, OpenRefused, SealRefused
from keys.keyring import Argon2Cost, Keyring
from keys.sealing import open_from, seal_for, sign_for

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SKEW = timedelta(minutes=5)
VALID_DAYS = 30


class Parties(Protocol):
    """The lender, who knows `acme`; the agency acme, who knows `lender`."""

    lender: Keyring
    acme: Keyring


@pytest.fixture
def sealing(suite: str, needs: Callable[[str], Path]) -> str:
    """Each sealing suite in turn, skipped where its program is not there."""
    if suite == "openpgp":
        needs("gpg")
    return suite


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file worth sealing."""
    (tmp_path / "plain").write_bytes(b"a remittance" * 100)
    return tmp_path / "plain"


# -- the instants ------------------------------------------------------------------------------------------------------


@given(st.integers(-3600, 3600), st.integers(0, 600))
def test_a_key_is_valid_from_its_first_instant_to_before_its_last_and_the_skew_widens_both(at: int, skew: int) -> None:
    begun = datetime.fromisoformat("2026-03-01T09:00:00+00:00")
    key = Entry("trusted", "acme", "1", valid_from=begun, valid_until=begun + timedelta(seconds=1800))
    here, around = begun + timedelta(seconds=at), timedelta(seconds=skew)
    expected = "pending" if at < -skew else "expired" if at >= 1800 + skew else "valid"
    assert key.state(here, around) == expected
    assert opens(key, here, around) == (expected != "expired")
    assert key.state(here) in {expected, "pending", "expired"}


def opened_at(fresh: Parties, suite: str, sealed: Path, now: datetime, skew: timedelta) -> str:
    """Whether the lender opens what acme sealed then: yes, or the code."""
    try:
        open_from(fresh.lender, "acme", suite, sealed, sealed.with_name("opened"), now, skew=skew)
    except OpenRefused as refusal:
        return refusal.code
    return "yes"


def test_at_the_end_of_a_key_minutes_of_the_other_side_s_clock_are_forgiven_and_no_more(
    fresh: Parties, sealing: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    end = begun + VALID_DAYS * DAY
    seal_for(fresh.acme, "lender", sealing, plain, tmp_path / "sealed", end - SECOND)
    at = {
        now: opened_at(fresh, sealing, tmp_path / "sealed", end + now, SKEW)
        for now in (-SECOND, 0 * SECOND, SKEW - SECOND, SKEW)
    }
    assert list(at.values()) == ["yes", "yes", "yes", "key_expired"]
    assert opened_at(fresh, sealing, tmp_path / "sealed", end, 0 * SECOND) == "key_expired"
    with pytest.raises(SealRefused, match="expired at"):  # for what we do ourselves nothing is forgiven
        seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "ours", end)


# -- ours --------------------------------------------------------------------------------------------------------------


def test_an_announced_pair_opens_at_once_and_signs_from_its_day_on(
    fresh: Parties, sealing: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    day = begun + 10 * DAY
    new = fresh.lender.new_own_keys(sealing, begun + DAY, VALID_DAYS, valid_from=day)
    assert (new.valid_from, new.valid_until) == (day, day + VALID_DAYS * DAY)
    fresh.acme.trust(
        "lender", sealing, encrypt=new.public["encrypt"], verify=new.public["verify"], now=begun + DAY, valid_from=day
    )
    for now, generation in ((day - SECOND, "1"), (day, "2")):
        by = seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "ours", now)
        assert by.signer_generation == generation
        opened = open_from(fresh.acme, "lender", sealing, tmp_path / "ours", tmp_path / "opened", now)
        assert opened.key_generation == generation
        back = seal_for(fresh.acme, "lender", sealing, plain, tmp_path / "theirs", now)
        assert back.recipient_generation == generation
        open_from(fresh.lender, "acme", sealing, tmp_path / "theirs", tmp_path / "back", now)
    # an agency whose clock is ahead seals to the new pair before we sign with it
    seal_for(fresh.acme, "lender", sealing, plain, tmp_path / "early", day)
    open_from(fresh.lender, "acme", sealing, tmp_path / "early", tmp_path / "back", day - 2 * DAY)


def test_an_announcement_is_signed_by_the_pair_that_was_there_before(
    fresh: Parties, sealing: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    with pytest.raises(SealRefused, match="before generation 1"):
        sign_for(fresh.lender, sealing, plain, tmp_path / "sig", begun, announces="1")
    fresh.lender.new_own_keys(sealing, begun)  # signs everything else at once
    assert sign_for(fresh.lender, sealing, plain, tmp_path / "sig", begun, announces="2").generation == "1"
    by = seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "sealed", begun, announces="2")
    assert by.signer_generation == "1"
    open_from(fresh.acme, "lender", sealing, tmp_path / "sealed", tmp_path / "opened", begun)
    with pytest.raises(SealRefused, match="expired at"):
        seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "late", begun + 31 * DAY, announces="2")


def test_detached_signatures_are_checked_by_the_suite_s_own_program(
    fresh: Parties, sealing: str, plain: Path, begun: datetime, tmp_path: Path, needs: Callable[[str], Path]
) -> None:
    signer = sign_for(fresh.lender, sealing, plain, tmp_path / "plain.sig", begun)
    if sealing == "age":
        allowed = tmp_path / "allowed"
        allowed.write_text(signer.public["allowed_signers"] + "\n")
        words = [needs("ssh-keygen"), "-Y", "verify", "-f", allowed, "-I", "consign", "-n", "consign", "-s"]
        command = [str(word) for word in [*words, tmp_path / "plain.sig"]]
        assert b"Good" in subprocess.run(command, input=plain.read_bytes(), capture_output=True, check=True).stdout
        return
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = [str(needs("gpg")), "--homedir", str(home), "--batch"]
    subprocess.run([*gpg, "--import"], input=signer.public["encrypt"].encode(), capture_output=True, check=True)
    clock = ["--faked-system-time", f"{int(begun.timestamp())}!"]
    said = subprocess.run(
        [*gpg, *clock, "--status-fd", "1", "--verify", str(tmp_path / "plain.sig"), str(plain)],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert f"VALIDSIG {signer.fingerprint}" in said.stdout


def test_a_lender_s_own_pair_signs_and_opens_for_that_lender_alone(
    fresh: Parties, sealing: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    own = fresh.lender.new_own_keys(sealing, begun, valid_from=begun + DAY, lender="lotus")
    assert (own.owner, own.generation, fresh.lender.own_keys(sealing)[0].owner) == (f"{sealing}:lotus", "1", sealing)
    fresh.acme.trust("lotus", sealing, encrypt=own.public["encrypt"], verify=own.public["verify"], now=begun)
    signs = {
        (lender, now): seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "x", now, lender=lender)
        for lender in ("harbour", "lotus")
        for now in (begun, begun + DAY)
    }
    theirs = {key for key, by in signs.items() if by.signer_fingerprint == own.fingerprint}
    assert theirs == {("lotus", begun + DAY)}
    back = tmp_path / "back"
    seal_for(fresh.acme, "lotus", sealing, plain, back, begun)
    open_from(fresh.lender, "acme", sealing, back, tmp_path / "opened", begun, lender="lotus")
    with pytest.raises(OpenRefused) as refusal:
        open_from(fresh.lender, "acme", sealing, back, tmp_path / "opened", begun, lender="harbour")
    assert refusal.value.code == "not_for_us"
    assert fresh.lender.public_keys(sealing, begun + DAY, "lotus")["fingerprint"] == own.fingerprint
    # when it has ended, the pair of everybody does not step in unseen
    with pytest.raises(SealRefused, match="expired at"):
        seal_for(fresh.lender, "acme", sealing, plain, tmp_path / "y", begun + 400 * DAY, lender="lotus")


# -- theirs ------------------------------------------------------------------------------------------------------------


def test_a_key_may_be_shortened_and_never_lengthened(keyring: Keyring, begun: datetime) -> None:
    keyring.new_own_keys("age", begun, VALID_DAYS)
    assert keyring.shorten("own", "age", "1", begun + 5 * DAY).valid_until == begun + 5 * DAY
    assert keyring.shorten("own", "age", "1", begun + 50 * DAY).valid_until == begun + 5 * DAY
    with pytest.raises(KeyUnknown):
        keyring.shorten("own", "age", "7", begun)


def test_a_key_that_would_end_before_it_begins_is_not_pinned(fresh: Parties, sealing: str, begun: datetime) -> None:
    public = fresh.acme.public_keys(sealing)
    words: dict[str, Any] = {"encrypt": public["encrypt"], "verify": public["verify"], "now": begun}
    with pytest.raises(KeyUnfit, match="before it begins"):
        fresh.lender.trust("acme", sealing, valid_from=begun + DAY, valid_until=begun, **words)
    if sealing == "openpgp":  # an age key says nothing of its time
        with pytest.raises(KeyUnfit, match="before it begins"):
            fresh.lender.trust("acme", sealing, valid_from=begun + 31 * DAY, **words)


def test_a_new_pseudonym_key_leaves_what_the_old_one_made_readable(keyring: Keyring, begun: datetime) -> None:
    keyring.new_pseudonym_key("acme", begun)
    keyring.new_pseudonym_key("acme", begun + DAY)
    assert list(keyring.pseudonym_keys("acme")) == ["G", "H"]
    assert keyring.pseudonym_key("acme").generation == "H"


# -- the root key ------------------------------------------------------------------------------------------------------


def filled(tmp_path: Path, begun: datetime) -> Keyring:
    ring = Keyring.create(tmp_path / "ring" / "keyring.json", key_file=tmp_path / "ring" / "root.key")
    ring.new_own_keys("age", begun)
    ring.new_data_key(begun)
    return ring


def test_a_new_root_key_changes_no_other_key_and_the_old_one_opens_nothing_more(
    tmp_path: Path, begun: datetime
) -> None:
    ring = filled(tmp_path, begun)
    elsewhere = Keyring.open(ring.path, key_file=tmp_path / "ring" / "root.key")
    before = ring.entries()
    old = (tmp_path / "ring" / "root.key").read_bytes()
    ring.rewrap(key_file=tmp_path / "ring" / "root.key")
    assert (tmp_path / "ring" / "root.key").read_bytes() != old
    assert Keyring.open(ring.path, key_file=tmp_path / "ring" / "root.key").entries() == before
    assert elsewhere.entries() == before  # a process that had it open finds the new root key by itself
    elsewhere.new_data_key(begun)
    assert len(ring.entries()) == len(before) + 1
    (tmp_path / "old.key").touch(mode=0o600)
    (tmp_path / "old.key").write_bytes(old)
    with pytest.raises(KeyringLocked):
        Keyring.open(ring.path, key_file=tmp_path / "old.key")
    assert [path.name for path in (tmp_path / "ring").iterdir() if "new" in path.name] == []


def test_a_passphrase_may_take_the_key_file_s_place_and_back(
    tmp_path: Path, begun: datetime, cheap: Argon2Cost
) -> None:
    ring = filled(tmp_path, begun)
    before = ring.entries()
    ring.rewrap(passphrase="correct horse", cost=cheap)
    assert Keyring.open(ring.path, passphrase="correct horse").entries() == before
    with pytest.raises(KeyringLocked, match="passphrase"):
        Keyring.open(ring.path, key_file=tmp_path / "ring" / "root.key")
    ring.rewrap(passphrase="battery staple", cost=cheap)
    with pytest.raises(KeyringLocked):
        Keyring.open(ring.path, passphrase="correct horse")
    with pytest.raises(KeyringLocked, match="a file at"):
        ring.rewrap(key_file=tmp_path / "ring" / "root.key")
    assert Keyring.open(ring.path, passphrase="battery staple").entries() == before
    ring.rewrap(key_file=tmp_path / "ring" / "another.key")
    assert Keyring.open(ring.path, key_file=tmp_path / "ring" / "another.key").entries() == before


def dies(at: int, folder: Path, act: Callable[[], object]) -> bool:
    """Whether the act was killed at its n-th opening, rename or removal below the folder; a child of ours does it."""
    child = os.fork()
    if child == 0:
        passed = 0

        def hook(name: str, given: tuple[object, ...]) -> None:
            nonlocal passed
            if name in {"open", "os.rename", "os.remove"} and str(given[0]).startswith(str(folder)):
                passed += 1
                if passed == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("to", ["key_file", "passphrase"])
def test_killed_at_any_moment_it_leaves_a_keyring_that_opens(
    tmp_path: Path, begun: datetime, to: str, cheap: Argon2Cost
) -> None:
    key_file = tmp_path / "ring" / "root.key"
    ring = filled(tmp_path, begun)
    before = ring.entries()

    def rewrap() -> None:
        there = Keyring.open(ring.path, key_file=key_file)
        if to == "passphrase":
            there.rewrap(passphrase="correct horse", cost=cheap)
        else:
            there.rewrap(key_file=key_file)

    def ways() -> list[str]:
        found = []
        for name, way in {"key_file": key_file, "passphrase": "correct horse"}.items():
            try:
                assert Keyring.open(ring.path, **{name: way}).entries() == before  # type: ignore[arg-type] # either way
                found.append(name)
            except KeyringLocked:
                continue
        return found

    moment, killed = 0, True
    while killed and ways() == ["key_file"]:
        moment += 1
        killed = dies(moment, tmp_path, rewrap)
        assert len(ways()) == 1, f"moment {moment}"
    assert moment >= 8
    assert ways() == [to]

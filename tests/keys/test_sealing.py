"""What both suites promise: only the receiver opens it, only the pinned signer made it, a failure leaves nothing."""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.errors import KeyUnfit, KeyUnknown, OpenRefused, SealRefused
from keys.keyring import Keyring
from keys.sealing import open_from, seal_for, suite_named

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1_200  # several of age's chunks, several of OpenPGP's packets
VALID_DAYS = 30


class Parties(Protocol):
    """The lender, who knows `acme`; the agency acme, who knows `lender`; a stranger whom nobody knows."""

    lender: Keyring
    acme: Keyring
    stranger: Keyring


@pytest.fixture(autouse=True)
def _programs(suite: str, needs: Callable[[str], Path]) -> None:
    if suite == "openpgp":
        needs("gpg")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file worth sealing."""
    (tmp_path / "lender.acme.placement.zip").write_bytes(CONTENT)
    return tmp_path / "lender.acme.placement.zip"


@pytest.fixture
def sealed(parties: Parties, suite: str, plain: Path, begun: datetime) -> Path:
    """What the lender sealed for acme."""
    target = plain.with_name(plain.name + suite_named(suite).suffix)
    seal_for(parties.lender, "acme", suite, plain, target, begun)
    return target


def refused(keyring: Keyring, suite: str, sealed: Path, now: datetime, *, sender: str = "lender") -> str:
    """The code with which the file is refused, once it is sure that nothing else happened."""
    target = sealed.parent / "opened"
    before = set(sealed.parent.iterdir())
    with pytest.raises(OpenRefused) as refusal:
        open_from(keyring, sender, suite, sealed, target, now)
    assert set(sealed.parent.iterdir()) == before, "a refusal left something behind"
    assert sealed.name in str(refusal.value)
    assert refusal.value.fix
    assert refusal.value.exit_code == 3
    return refusal.value.code


# -- the good case ---------------------------------------------------------------------------------------------


def test_the_receiver_opens_it_and_knows_who_sealed_it(
    parties: Parties, suite: str, sealed: Path, begun: datetime, tmp_path: Path
) -> None:
    opened = open_from(parties.acme, "lender", suite, sealed, tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == CONTENT
    assert opened.signer_fingerprint == parties.lender.public_keys(suite)["fingerprint"]
    assert opened.key_generation == "1"


def test_the_agency_seals_to_the_lender_by_the_same_door(
    parties: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    seal_for(parties.acme, "lender", suite, plain, tmp_path / "returned", begun)
    open_from(parties.lender, "acme", suite, tmp_path / "returned", tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == CONTENT


def test_sealing_tells_the_keys_and_the_files(
    parties: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    by = seal_for(parties.lender, "acme", suite, plain, tmp_path / "sealed", begun)
    theirs = parties.acme.public_keys(suite)
    assert by.key_ids == (parties.lender.public_keys(suite)["fingerprint"], theirs["encrypt_fingerprint"])
    assert (by.signer_generation, by.recipient_generation) == ("1", "1")
    assert {path.name for path in by.files} == {path.name for path in tmp_path.iterdir()} - {plain.name}


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300)
    | st.sampled_from([b"", bytes(65_536), bytes(65_537), random.Random(5).randbytes(200_000)])
)
def test_any_content_comes_back(parties: Parties, suite: str, begun: datetime, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plain").write_bytes(content)
    seal_for(parties.lender, "acme", suite, tmp_path / "plain", tmp_path / "sealed", begun)
    open_from(parties.acme, "lender", suite, tmp_path / "sealed", tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == content


def test_only_the_owner_can_read_what_is_written(sealed: Path, parties: Parties, suite: str, begun: datetime) -> None:
    before = os.umask(0)
    try:
        open_from(parties.acme, "lender", suite, sealed, sealed.parent / "opened", begun)
    finally:
        os.umask(before)
    written = [path for path in sealed.parent.iterdir() if path.name[-13:] != "placement.zip"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}


def test_the_plaintext_is_not_in_the_sealed_file(sealed: Path) -> None:
    assert CONTENT[4:40] not in sealed.read_bytes()


# -- the wrong file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("harm", "codes"),
    [
        (lambda _: b"", {"truncated"}),
        (lambda whole: whole[:20], {"truncated"}),
        (lambda whole: whole[: len(whole) // 2], {"truncated", "bad_signature"}),
        (lambda whole: whole[:-1], {"truncated", "tampered", "bad_signature"}),
        (lambda whole: whole[:-20_000], {"truncated", "bad_signature"}),
        (lambda whole: whole + b"x", {"tampered", "bad_signature"}),
        (lambda whole: whole + whole, {"tampered", "bad_signature"}),
        (lambda whole: flipped(whole, -1), {"tampered", "bad_signature"}),
        (lambda whole: flipped(whole, len(whole) // 2), {"tampered", "bad_signature"}),
        (lambda whole: flipped(whole, 3_000), {"tampered", "bad_signature"}),
        (lambda _: b"account,balance\n" * 2_000, {"tampered"}),
        (lambda _: CONTENT, {"tampered"}),
    ],
    ids=[
        "empty", "its start", "its half", "its last byte cut", "its end cut", "one byte more", "twice",
        "last byte flipped", "middle flipped", "start flipped", "CSV", "the ZIP itself",
    ],
)  # fmt: skip
def test_a_harmed_file_is_refused(
    harm: Callable[[bytes], bytes], codes: set[str], sealed: Path, parties: Parties, suite: str, begun: datetime
) -> None:
    sealed.write_bytes(harm(sealed.read_bytes()))
    assert refused(parties.acme, suite, sealed, begun) in codes


def flipped(whole: bytes, place: int) -> bytes:
    harmed = bytearray(whole)
    harmed[place] ^= 1
    return bytes(harmed)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2_000), bit=st.integers(0, 7))
def test_no_flipped_bit_near_the_start_opens_as_anything_else(
    parties: Parties, suite: str, sealed: Path, begun: datetime, place: int, bit: int
) -> None:
    whole = sealed.read_bytes()
    harmed = bytearray(whole)
    harmed[place] ^= 1 << bit
    harmed_file = sealed.with_name("harmed" + sealed.suffix)
    harmed_file.write_bytes(harmed)
    for sidecar in suite_named(suite).sidecars(sealed):
        harmed_file.with_name(harmed_file.name + sidecar.suffix).write_bytes(sidecar.read_bytes())
    target = sealed.parent / "opened"
    try:
        open_from(parties.acme, "lender", suite, harmed_file, target, begun)
    except OpenRefused:
        assert not target.exists()
    else:  # OpenPGP has bits that mean nothing: then the content is the signer's all the same
        assert target.read_bytes() == CONTENT
        target.unlink()


def test_a_file_for_somebody_else_is_not_for_us(sealed: Path, parties: Parties, suite: str, begun: datetime) -> None:
    assert refused(parties.stranger, suite, sealed, begun) == "not_for_us"


def test_a_stranger_s_file_has_the_wrong_signer(
    parties: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    seal_for(parties.stranger, "acme", suite, plain, tmp_path / "forged", begun)
    assert refused(parties.acme, suite, tmp_path / "forged", begun) == "wrong_signer"


def test_an_agency_cannot_send_in_another_agency_s_name(
    fresh: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    public = fresh.stranger.public_keys(suite)
    fresh.lender.trust("bolt", suite, encrypt=public["encrypt"], verify=public["verify"], now=begun)
    seal_for(fresh.stranger, "lender", suite, plain, tmp_path / "from-bolt", begun)
    assert refused(fresh.lender, suite, tmp_path / "from-bolt", begun, sender="acme") == "wrong_signer"
    open_from(fresh.lender, "bolt", suite, tmp_path / "from-bolt", tmp_path / "opened", begun)


def test_without_a_pinned_key_nothing_opens(sealed: Path, parties: Parties, suite: str, begun: datetime) -> None:
    assert refused(parties.acme, suite, sealed, begun, sender="nobody") == "unknown_key"


def test_an_old_plaintext_survives_a_refusal(sealed: Path, parties: Parties, suite: str, begun: datetime) -> None:
    (sealed.parent / "opened").write_bytes(b"from before")
    sealed.write_bytes(sealed.read_bytes()[:-9])
    refused(parties.acme, suite, sealed, begun)
    assert (sealed.parent / "opened").read_bytes() == b"from before"


# -- keys that no longer count ---------------------------------------------------------------------------------


def test_an_expired_key_neither_seals_nor_opens(
    sealed: Path, parties: Parties, suite: str, plain: Path, begun: datetime
) -> None:
    last, after = begun + timedelta(days=VALID_DAYS, seconds=-1), begun + timedelta(days=VALID_DAYS)
    open_from(parties.acme, "lender", suite, sealed, plain.with_name("opened-in-time"), last)
    assert refused(parties.acme, suite, sealed, after) == "key_expired"
    with pytest.raises(SealRefused, match="expired at 2026-03-31") as refusal:
        seal_for(parties.lender, "acme", suite, plain, plain.with_name("late"), after)
    assert refusal.value.exit_code == 6
    assert not plain.with_name("late").exists()


def test_a_key_of_tomorrow_does_not_seal_today(parties: Parties, suite: str, plain: Path, begun: datetime) -> None:
    with pytest.raises(SealRefused, match="not valid before"):
        seal_for(parties.lender, "acme", suite, plain, plain.with_name("early"), begun - timedelta(days=1))


def test_a_revoked_key_of_the_agency_s_neither_seals_nor_verifies(
    fresh: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    seal_for(fresh.acme, "lender", suite, plain, tmp_path / "returned", begun)
    fresh.lender.revoke("acme", "1", begun)
    assert refused(fresh.lender, suite, tmp_path / "returned", begun, sender="acme") == "key_revoked"
    with pytest.raises(SealRefused, match="was revoked at"):
        seal_for(fresh.lender, "acme", suite, plain, tmp_path / "sealed", begun)
    assert not (tmp_path / "sealed").exists()


def test_a_revoked_key_is_revoked_in_every_generation_and_stays_so(fresh: Parties, suite: str, begun: datetime) -> None:
    public = fresh.acme.public_keys(suite)
    fresh.lender.trust("acme", suite, encrypt=public["encrypt"], verify=public["verify"], now=begun)
    fresh.acme.new_own_keys(suite, begun)
    newer = fresh.acme.public_keys(suite)
    fresh.lender.trust("acme", suite, encrypt=newer["encrypt"], verify=newer["verify"], now=begun)
    fresh.lender.revoke("acme", "1", begun)
    assert [entry.state(begun) for entry in fresh.lender.trusted_keys("acme", suite)] == ["valid", "revoked", "revoked"]
    with pytest.raises(KeyUnfit, match="was revoked at"):
        fresh.lender.trust("acme", suite, encrypt=public["encrypt"], verify=public["verify"], now=begun)


def test_a_revoked_key_of_our_own_neither_signs_nor_opens(
    fresh: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    seal_for(fresh.acme, "lender", suite, plain, tmp_path / "returned", begun)
    fresh.lender.revoke_own(suite, "1", begun)
    assert refused(fresh.lender, suite, tmp_path / "returned", begun, sender="acme") == "key_revoked"
    with pytest.raises(SealRefused, match="was revoked at"):
        seal_for(fresh.lender, "acme", suite, plain, tmp_path / "sealed", begun)
    with pytest.raises(KeyUnknown, match="no valid"):
        fresh.lender.public_keys(suite)


def test_a_file_to_an_expired_key_of_ours_is_told_from_a_foreign_one(
    fresh: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    fresh.acme.new_own_keys(suite, begun + timedelta(days=20))
    public = fresh.acme.public_keys(suite)
    fresh.lender.trust("acme", suite, encrypt=public["encrypt"], verify=public["verify"], now=begun)
    seal_for(fresh.acme, "lender", suite, plain, tmp_path / "returned", begun + timedelta(days=25))
    assert (
        refused(fresh.lender, suite, tmp_path / "returned", begun + timedelta(days=40), sender="acme") == "key_expired"
    )


def test_while_generations_overlap_the_newest_seals_and_all_open(
    fresh: Parties, suite: str, plain: Path, begun: datetime, tmp_path: Path
) -> None:
    seal_for(fresh.acme, "lender", suite, plain, tmp_path / "old", begun)
    later = begun + timedelta(days=20)
    for keyring, other, theirs in ((fresh.acme, "lender", fresh.lender), (fresh.lender, "acme", fresh.acme)):
        theirs.new_own_keys(suite, later)
        public = theirs.public_keys(suite)
        keyring.trust(other, suite, encrypt=public["encrypt"], verify=public["verify"], now=later)
    by = seal_for(fresh.acme, "lender", suite, plain, tmp_path / "new", later)
    assert (by.signer_generation, by.recipient_generation) == ("2", "2")
    for name, generation in (("old", "1"), ("new", "2")):
        opened = open_from(fresh.lender, "acme", suite, tmp_path / name, tmp_path / "opened", later)
        assert opened.key_generation == generation
    assert refused(fresh.lender, suite, tmp_path / "old", begun + timedelta(days=40), sender="acme") == "key_expired"


def test_without_any_keys_nothing_is_sealed(
    keyring: Keyring, parties: Parties, suite: str, plain: Path, begun: datetime
) -> None:
    with pytest.raises(SealRefused, match=f"no {suite} key of our own"):
        seal_for(keyring, "acme", suite, plain, plain.with_name("sealed"), begun)
    with pytest.raises(SealRefused, match=f"bolt has given us no {suite} key"):
        seal_for(parties.lender, "bolt", suite, plain, plain.with_name("sealed"), begun)
    assert not plain.with_name("sealed").exists()


def test_a_text_that_is_no_key_is_not_trusted(keyring: Keyring, parties: Parties, suite: str, begun: datetime) -> None:
    public = parties.acme.public_keys(suite)
    for encrypt, verify in (("", public["verify"]), (public["encrypt"], ""), ("rubbish", "rubbish"), ("键", "键")):
        with pytest.raises(KeyUnfit):
            keyring.trust("acme", suite, encrypt=encrypt, verify=verify, now=begun)
    assert keyring.entries() == ()


def test_an_unknown_suite_names_the_known(parties: Parties, plain: Path, begun: datetime) -> None:
    with pytest.raises(KeyUnknown) as refusal:
        seal_for(parties.lender, "acme", "rot13", plain, plain.with_name("sealed"), begun)
    assert "age, openpgp" in refusal.value.fix


# -- the machine -----------------------------------------------------------------------------------------------


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """For us and the programs that we start, a write beyond `size` fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_the_machine_s_fault_and_leaves_nothing(
    sealed: Path, parties: Parties, suite: str, plain: Path, begun: datetime
) -> None:
    before = set(sealed.parent.iterdir())
    with no_file_longer_than(150_000), pytest.raises(OSError, match=r"too large|ended by signal"):
        open_from(parties.acme, "lender", suite, sealed, plain.with_name("opened"), begun)
    with no_file_longer_than(150_000), pytest.raises(OSError, match=r"too large|ended by signal"):
        seal_for(parties.lender, "acme", suite, plain, plain.with_name("sealed"), begun)
    assert set(sealed.parent.iterdir()) == before


def test_a_missing_file_or_folder_is_said_plainly(
    parties: Parties, suite: str, begun: datetime, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        seal_for(parties.lender, "acme", suite, tmp_path / "absent", tmp_path / "sealed", begun)
    with pytest.raises(FileNotFoundError):
        open_from(parties.acme, "lender", suite, tmp_path / "absent", tmp_path / "opened", begun)
    assert list(tmp_path.iterdir()) == []

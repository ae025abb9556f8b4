"""Codes and password hashes against vectors of others; no code counts twice; parameters stand beside the hash."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keys import passwords, totp
from keys.errors import CellTampered

RFC_6238 = b"12345678901234567890"
KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code(RFC_6238, seconds // 30, digits=8) == code


@pytest.mark.parametrize(
    ("count", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_codes_are_those_of_rfc_4226(count: int, code: str) -> None:
    assert totp.code(RFC_6238, count) == code


def test_a_code_counts_around_its_step_and_never_again() -> None:
    now = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
    step = totp.step_of(now)
    assert totp.step_that_says(RFC_6238, totp.code(RFC_6238, step), now) == step
    assert totp.step_that_says(RFC_6238, totp.code(RFC_6238, step - 1), now) == step - 1
    assert totp.step_that_says(RFC_6238, totp.code(RFC_6238, step - 2), now) is None
    assert totp.step_that_says(RFC_6238, totp.code(RFC_6238, step), now, after=step) is None
    assert totp.step_that_says(RFC_6238, "", now) is None
    assert totp.step_that_says(RFC_6238, "１２３４５６", now) is None


def test_an_authenticator_is_told_its_secret_and_whose_it_is() -> None:
    told = totp.address(RFC_6238, "chen yu", "Consign")
    assert told == "otpauth://totp/Consign:chen%20yu?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Consign&digits=6"


def test_a_sealed_secret_opens_for_its_person_alone() -> None:
    sealed = totp.seal(KEY, "chen.yu", RFC_6238)
    assert totp.opened(KEY, "chen.yu", sealed) == RFC_6238
    assert RFC_6238 not in sealed
    with pytest.raises(CellTampered):
        totp.opened(KEY, "li.wei", sealed)


def test_a_password_matches_its_own_hash_alone() -> None:
    kept = passwords.hashed("a sentence nobody guesses")
    assert kept != passwords.hashed("a sentence nobody guesses")
    assert passwords.matches("a sentence nobody guesses", kept)
    assert not passwords.matches("A sentence nobody guesses", kept)
    assert not passwords.matches("anything", None)


def test_a_hash_says_its_parameters_and_an_older_one_still_matches() -> None:
    # argon2 (the reference implementation) of "password", salt "somesalt", t=2 m=65536 p=1
    older = (
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
    )  # fmt: skip
    assert passwords.matches("password", older)
    assert passwords.is_outdated(older)
    assert not passwords.is_outdated(passwords.hashed("password"))

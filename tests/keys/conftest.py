"""Two parties with a keyring each, who have exchanged public keys in both suites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keys.keyring import Argon2Cost, Keyring
from keys.roots import passphrase

BEGUN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CHEAP = Argon2Cost(iterations=1, lanes=1, memory_kib=64)
VALID_DAYS = 30


@dataclass(frozen=True)
class Parties:
    """The lender, who knows `acme`; the agency acme, who knows `lender`; a stranger whom nobody knows."""

    lender: Keyring
    acme: Keyring
    stranger: Keyring


@pytest.fixture(scope="session", autouse=True)
def _no_floor() -> Iterator[None]:
    """Here a passphrase may be as cheap as Argon2id allows; what the floor refuses, tests/keys/roots asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passphrase, "FLOOR", CHEAP)
        yield


@pytest.fixture(scope="session")
def begun() -> datetime:
    """When the keys of the tests were made."""
    return BEGUN


@pytest.fixture(scope="session")
def cheap() -> Argon2Cost:
    """The least that Argon2id takes: these passphrases protect nothing."""
    return CHEAP


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """An empty keyring under a passphrase."""
    return Keyring.create(tmp_path / "keyring.json", passphrase="correct horse", cost=CHEAP)


@pytest.fixture(scope="session", params=["age", "openpgp"])
def suite(request: pytest.FixtureRequest) -> str:
    """Each sealing suite in turn: they promise the same."""
    return str(request.param)


@pytest.fixture(scope="session")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Parties]:
    """`exchanged("age")` are three parties with keys of that suite; do not change their keys."""
    made: dict[str, Parties] = {}

    def parties(suite: str) -> Parties:
        if suite not in made:
            made[suite] = exchange(tmp_path_factory.mktemp(suite), suite)
        return made[suite]

    return parties


@pytest.fixture
def parties(exchanged: Callable[[str], Parties], suite: str) -> Parties:
    """Three parties with keys of the suite in turn; do not change their keys."""
    return exchanged(suite)


@pytest.fixture
def fresh(tmp_path: Path, suite: str) -> Parties:
    """Three parties with keys of the suite in turn, to do with as the test likes."""
    return exchange(tmp_path / "parties", suite)


def exchange(folder: Path, suite: str) -> Parties:
    keyrings = []
    for name in ("lender", "acme", "stranger"):
        keyrings.append(Keyring.create(folder / name / "keyring.json", passphrase=name, cost=CHEAP))
        keyrings[-1].new_own_keys(suite, BEGUN, VALID_DAYS)
    lender, acme, stranger = keyrings
    for keyring, other, theirs in (
        (lender, "acme", acme),
        (acme, "lender", lender),
        (stranger, "acme", acme),
        (stranger, "lender", lender),
    ):
        public = theirs.public_keys(suite)
        keyring.trust(other, suite, encrypt=public["encrypt"], verify=public["verify"], now=BEGUN)
    return Parties(lender, acme, stranger)

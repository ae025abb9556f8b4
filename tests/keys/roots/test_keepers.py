"""Whoever keeps the root key: what holds for all of them, and what each refuses, and how it says so."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keys.errors import KeyringLocked, KeysError, RootRefused, RootUnavailable
from keys.keyring import Argon2Cost, Keyring
from keys.roots import passphrase
from keys.roots.aws import AwsKms, Credentials, environment_credentials, signature
from keys.roots.hashicorp import VaultLogin, VaultTransit
from keys.roots.keyfile import KeyFile
from keys.roots.passphrase import Passphrase
from keys.roots.root import Root
from keys.roots.system import SystemKeyring
from keys.roots.wire import Wire

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
KEEPERS = ("file", "passphrase", "keyring", "vault", "aws-kms")
Roots = Callable[[str], Root]
pytestmark = pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")  # keyrings.alt's own


@pytest.fixture
def root_of(
    tmp_path: Path,
    cheap: Argon2Cost,
    in_vault: Callable[..., VaultTransit],
    in_kms: Callable[..., AwsKms],
) -> Roots:
    """A function: a keeper by its name, each time as a new process would have it."""

    def root(name: str) -> Root:
        if name == "keyring":
            pytest.importorskip("keyrings.alt", reason="there is no Secret Service here: an encrypted file stands in")
            return SystemKeyring(encrypted_file(tmp_path))
        made: dict[str, Callable[[], Root]] = {
            "file": lambda: KeyFile(tmp_path / "keep" / "root.key"),
            "passphrase": lambda: Passphrase("correct horse", cheap),
            "vault": in_vault,
            "aws-kms": in_kms,
        }
        return made[name]()

    return root


def encrypted_file(folder: Path) -> Any:
    """The keyring of the system, in an encrypted file: what `keyrings.alt` has for servers."""
    backend = importlib.import_module("keyrings.alt.file").EncryptedKeyring()
    backend.file_path = str(folder / "system.cfg")
    backend.keyring_key = "of the session"
    return backend


def filled(path: Path, root: Root) -> Keyring:
    ring = Keyring.create(path, root=root)
    ring.new_data_key(NOW)
    return ring


# -- what holds for all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEEPERS)
def test_a_keyring_opens_by_its_keeper_again_and_a_new_root_key_changes_no_other(
    tmp_path: Path, root_of: Roots, name: str
) -> None:
    ring = filled(tmp_path / "ring.json", root_of(name))
    before = ring.entries()
    assert Keyring.open(ring.path, root=root_of(name)).entries() == before
    elsewhere = Keyring.open(ring.path, root=root_of(name))
    header = ring.root_header
    ring.rewrap(root=root_of(name))
    if name != "file":
        assert ring.root_header != header
    assert elsewhere.entries() == before  # a process that has it open asks its keeper anew
    elsewhere.new_data_key(NOW)
    assert Keyring.open(ring.path, root=root_of(name)).entries() == ring.entries()
    assert len(ring.entries()) == 2


@pytest.mark.parametrize("name", KEEPERS)
def test_the_file_its_header_and_every_word_of_the_keeper_hold_no_root_key(
    tmp_path: Path, root_of: Roots, name: str
) -> None:
    ring = filled(tmp_path / "ring.json", root_of(name))
    root = root_of(name).had(ring.root_header)
    shown = ring.path.read_text() + repr(ring) + repr(ring.root) + repr(vars(ring.root)) + json.dumps(ring.root_header)
    for spelt in (root.hex(), base64.b64encode(root).decode(), repr(root)):
        assert spelt not in shown


@pytest.mark.parametrize("name", KEEPERS)
def test_an_altered_header_opens_nothing(tmp_path: Path, root_of: Roots, name: str) -> None:
    ring = filled(tmp_path / "ring.json", root_of(name))
    written = json.loads(ring.path.read_text())
    for field in [key for key in written["root"] if key != "kind"] or ["new"]:
        altered = json.loads(json.dumps(written))
        altered["root"][field] = 2 if isinstance(altered["root"].get(field), int) else "AAAA"
        ring.path.write_text(json.dumps(altered))
        with pytest.raises(KeysError):
            Keyring.open(ring.path, root=root_of(name))
    damaged = json.loads(json.dumps(written))
    damaged["root"] = {"kind": written["root"]["kind"]} if name != "file" else {}
    ring.path.write_text(json.dumps(damaged))
    with pytest.raises(KeyringLocked, match="damaged"):
        Keyring.open(ring.path, root=root_of(name))


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(KEEPERS, 2)))
def test_it_moves_from_any_keeper_to_any_other_and_the_one_before_opens_it_no_more(
    tmp_path: Path, root_of: Roots, before: str, after: str
) -> None:
    ring = filled(tmp_path / "ring.json", root_of(before))
    entries, old = ring.entries(), ring.root_header
    ring.rewrap(root=root_of(after))
    assert Keyring.open(ring.path, root=root_of(after)).entries() == entries
    with pytest.raises(KeyringLocked, match="opens with") as refused:
        Keyring.open(ring.path, root=root_of(before))
    assert f'root_key = "{after}"' in refused.value.fix
    if before == "keyring":
        with pytest.raises(KeyringLocked, match="has no root key"):
            root_of(before).had(old)


@pytest.mark.parametrize("name", ["vault", "aws-kms", "keyring", "passphrase", "file"])
def test_a_trial_of_a_keeper_leaves_everything_as_it_was(tmp_path: Path, root_of: Roots, name: str) -> None:
    other = "passphrase" if name != "passphrase" else "vault"
    ring = filled(tmp_path / "ring.json", root_of(other))
    before = ring.path.read_bytes()
    assert ring.try_root(root_of(name))["kind"] == root_of(name).kind
    assert ring.path.read_bytes() == before
    assert not list(tmp_path.glob("keep/root.key*"))


@pytest.mark.parametrize("name", ["file", "vault"])
def test_the_root_key_changes_under_a_house_at_work_and_every_key_lives_its_life(
    tmp_path: Path, root_of: Roots, name: str
) -> None:
    """Four processes' worth of keyrings make keys while the root key is renewed: nothing is lost or held up."""
    ring = Keyring.create(tmp_path / "ring.json", root=root_of(name))
    at_work = [Keyring.open(ring.path, root=root_of(name)) for _ in range(4)]
    with ThreadPoolExecutor(5) as pool:
        made = [pool.submit(at_work[nth % 4].new_data_key, NOW) for nth in range(24)]
        renewed = [pool.submit(ring.rewrap, root=root_of(name)) for _ in range(4)]
        ids = {one.result().key_id for one in made}
        assert [one.result() for one in renewed] == [None] * 4
    ring.new_own_keys("age", NOW, 30)
    ring.new_own_keys("age", NOW, 60, valid_from=NOW + timedelta(days=20))
    ring.revoke_own("age", "1", NOW + timedelta(days=25))
    ring.destroy_data_key(min(ids), NOW)
    ring.rewrap(root=root_of("passphrase"))
    there = Keyring.open(ring.path, root=root_of("passphrase"))
    assert {one.owner for one in there.entries() if one.purpose == "data"} == ids
    states = {
        (line["owner"], line["generation"]): [
            next(
                one["state"]
                for one in there.inventory(NOW + timedelta(days=day))
                if (one["owner"], one["generation"]) == (line["owner"], line["generation"])
            )
            for day in (19, 26, 80)
        ]
        for line in there.inventory(NOW)
        if line["purpose"] == "own" or line["owner"] == min(ids)
    }
    assert states == {
        ("age", "1"): ["revoked"] * 3,
        ("age", "2"): ["pending", "valid", "expired"],
        (min(ids), "1"): ["destroyed"] * 3,
    }
    assert all(line["algorithm"] and line["created"] for line in there.inventory(NOW))


# -- killed in between -------------------------------------------------------------------------------------------------


def dies(at: int, folder: Path, act: Callable[[], object]) -> bool:
    """Whether the act was killed at its n-th opening, rename, removal or connection; a child of ours does it."""
    child = os.fork()
    if child == 0:
        passed = 0

        def hook(name: str, given: tuple[object, ...]) -> None:
            nonlocal passed
            below = name in {"open", "os.rename", "os.remove"} and str(given[0]).startswith(str(folder))
            if below or name == "socket.connect":
                passed += 1
                if passed == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("before", "after"),
    [("file", "vault"), ("vault", "file"), ("keyring", "aws-kms"), ("aws-kms", "keyring"), ("passphrase", "file"),
     ("vault", "vault")],
)  # fmt: skip
def test_killed_at_any_moment_of_a_move_the_keyring_opens_by_the_one_or_by_the_other(
    tmp_path: Path, root_of: Roots, before: str, after: str
) -> None:
    ring = filled(tmp_path / "ring.json", root_of(before))
    entries, header = ring.entries(), ring.root_header

    def opens_by() -> list[str]:
        found = []
        for name in sorted({before, after}):
            try:
                assert Keyring.open(ring.path, root=root_of(name)).entries() == entries
                found.append(name)
            except KeyringLocked:
                continue
        return found

    def move() -> None:
        Keyring.open(ring.path, root=root_of(before)).rewrap(root=root_of(after))

    moment, killed = 0, True
    while killed and json.loads(ring.path.read_text())["root"] == header:
        moment += 1
        killed = dies(moment, tmp_path, move)
        assert len(opens_by()) == 1, f"moment {moment}"
    assert moment >= 6
    assert opens_by() == [after]


# -- passphrase, file, system ------------------------------------------------------------------------------------------


def test_a_passphrase_that_is_cheap_to_guess_is_refused_and_its_cost_stands_in_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passphrase, "FLOOR", Argon2Cost(iterations=2, lanes=1, memory_kib=19_456))
    for cost in (Argon2Cost(1, 1, 19_456), Argon2Cost(100, 1, 1024)):
        with pytest.raises(KeyringLocked, match="is guessed"):
            Keyring.create(tmp_path / "ring.json", passphrase="x", cost=cost)
        assert not (tmp_path / "ring.json").exists()
    ring = Keyring.create(tmp_path / "ring.json", passphrase="x", cost=Argon2Cost(2, 1, 19_456))
    header = ring.root_header
    assert (header["iterations"], header["lanes"], header["memory_kib"]) == (2, 1, 19_456)
    assert not passphrase.below_floor(header)
    assert passphrase.below_floor(header | {"iterations": 1})


def test_a_key_file_that_others_can_read_opens_nothing(tmp_path: Path) -> None:
    ring = filled(tmp_path / "ring.json", KeyFile(tmp_path / "root.key"))
    (tmp_path / "root.key").chmod(0o640)
    with pytest.raises(KeyringLocked, match="read by others") as refused:
        Keyring.open(ring.path, root=KeyFile(tmp_path / "root.key"))
    assert "chmod 600" in refused.value.fix


def test_a_keyring_of_the_system_that_keeps_nothing_safe_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("keyrings.alt")
    unsafe = {"keyring.backends.fail": "Keyring", "keyring.backends.null": "Keyring"}
    for module, name in (unsafe | {"keyrings.alt.file": "PlaintextKeyring"}).items():
        backend = getattr(importlib.import_module(module), name)()
        with pytest.raises(RootRefused, match="keeps secrets"):
            Keyring.create(tmp_path / "ring.json", root=SystemKeyring(backend))
    assert not (tmp_path / "ring.json").exists()


def test_a_keyring_of_the_system_that_wants_a_password_and_gets_none_can_be_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keyrings.alt")
    backend = importlib.import_module("keyrings.alt.file").EncryptedKeyring()
    backend.file_path = str(tmp_path / "system.cfg")

    def nobody(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    with pytest.raises(RootUnavailable, match="password"):
        Keyring.create(tmp_path / "ring.json", root=SystemKeyring(backend))
    assert not (tmp_path / "ring.json").exists()


def test_whoever_opens_a_keyring_leaves_no_core(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "ring.json", key_file=tmp_path / "root.key")
    program = (
        "import resource, sys; from pathlib import Path; from keys.keyring import Keyring\n"
        "Keyring.open(Path(sys.argv[1]), key_file=Path(sys.argv[2]))\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "ring.json"), str(tmp_path / "root.key")]
    said = subprocess.run(words, capture_output=True, check=True, cwd=Path(__file__).parents[3])
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert int(said.stdout) == (0 if hard == 0 else 1)


# -- Vault -------------------------------------------------------------------------------------------------------------


def test_an_approle_logs_in_once_and_again_when_its_token_has_ended(
    tmp_path: Path, vault: Any, in_vault: Callable[..., VaultTransit]
) -> None:
    root = in_vault(VaultLogin(role_id="role-7", secret_id="secret-9"))
    ring = filled(tmp_path / "ring.json", root)
    assert vault.asked.count("/v1/auth/approle/login") == 1
    vault.tokens.clear()
    ring.rewrap(root=root)
    assert vault.asked.count("/v1/auth/approle/login") == 2
    with pytest.raises(RootRefused, match="invalid role"):
        Keyring.open(ring.path, root=in_vault(VaultLogin(role_id="role-7", secret_id="wrong")))


def test_a_token_comes_from_a_file_that_an_agent_renews(
    tmp_path: Path, vault: Any, in_vault: Callable[..., VaultTransit]
) -> None:
    file = tmp_path / "token"
    root = in_vault(VaultLogin(token_file=file))
    with pytest.raises(KeyringLocked, match="cannot be read"):
        root.new(None)
    file.write_text("hvs.root\n")
    ring = filled(tmp_path / "ring.json", root)
    vault.tokens = {"hvs.next"}
    with pytest.raises(RootRefused, match="permission denied"):
        Keyring.open(ring.path, root=root)
    file.write_text("hvs.next")
    assert Keyring.open(ring.path, root=root).entries() == ring.entries()
    with pytest.raises(KeyringLocked, match="who we are in Vault"):
        Keyring.open(ring.path, root=in_vault(VaultLogin()))


def test_vault_s_key_may_have_new_versions_until_the_old_one_is_disallowed(
    tmp_path: Path, vault: Any, in_vault: Callable[..., VaultTransit]
) -> None:
    ring = filled(tmp_path / "ring.json", in_vault())
    assert ring.root_header["wrapped"].startswith("vault:v1:")
    vault.rotate()
    assert Keyring.open(ring.path, root=in_vault()).entries() == ring.entries()
    ring.rewrap(root=in_vault())
    assert ring.root_header["wrapped"].startswith("vault:v2:")
    vault.least = 2
    assert Keyring.open(ring.path, root=in_vault()).entries() == ring.entries()
    vault.rotate()
    vault.least = 3
    with pytest.raises(RootRefused, match="too old") as refused:
        Keyring.open(ring.path, root=in_vault())
    assert "min_decryption_version" in refused.value.fix


def test_vault_that_is_away_a_moment_is_asked_again_and_one_that_stays_away_can_be_tried_later(
    tmp_path: Path, vault: Any, in_vault: Callable[..., VaultTransit]
) -> None:
    ring = filled(tmp_path / "ring.json", in_vault())
    vault.away = 2
    assert Keyring.open(ring.path, root=in_vault()).entries() == ring.entries()
    vault.away = 3
    with pytest.raises(RootUnavailable, match="503") as refused:
        Keyring.open(ring.path, root=in_vault())
    assert refused.value.retryable
    before = ring.path.read_bytes()
    vault.away = 3
    with pytest.raises(RootUnavailable):
        ring.rewrap(root=in_vault())
    assert ring.path.read_bytes() == before
    assert Keyring.open(ring.path, root=in_vault()).entries() == ring.entries()


def test_vault_that_is_slow_or_down_or_forbids_is_told_apart(
    tmp_path: Path, vault: Any, in_vault: Callable[..., VaultTransit]
) -> None:
    ring = filled(tmp_path / "ring.json", in_vault())
    vault.slow = 1.0
    with pytest.raises(RootUnavailable, match="does not answer"):
        Keyring.open(ring.path, root=in_vault())
    vault.slow = 0
    vault.forbids = True
    with pytest.raises(RootRefused, match="permission denied") as refused:
        Keyring.open(ring.path, root=in_vault())
    assert "transit/decrypt/consign" in refused.value.fix
    assert not refused.value.retryable
    vault.forbids = False
    for options in ({"key": "none"}, {"mount": "nowhere"}):
        with pytest.raises(RootRefused):
            ring.rewrap(root=in_vault(**options))
    for options in ({"key": "../sys"}, {"mount": "a b"}, {"key": ""}):
        with pytest.raises(KeyringLocked, match="no name"):
            in_vault(**options)
    down = VaultTransit(
        Wire("Vault", "http://127.0.0.1:9", None, replace(in_vault()._wire.patience, attempts=2)), VaultLogin("x")
    )
    with pytest.raises(RootUnavailable, match="asked 2 times"):
        Keyring.open(ring.path, root=down)


def test_a_certificate_that_nobody_vouches_for_gets_no_token(
    vault_over_tls: Any, certificate: tuple[Path, Path]
) -> None:
    login = VaultLogin(token="hvs.root")
    with pytest.raises(RootRefused, match="not trusted"):
        VaultTransit(Wire("Vault", vault_over_tls.address), login).new(None)
    assert vault_over_tls.asked == []
    header, root = VaultTransit(Wire("Vault", vault_over_tls.address, certificate[0]), login).new(None)
    assert len(root) == 32
    assert header["wrapped"].startswith("vault:v1:")


@pytest.fixture
def vault_over_tls(vault: Any, served: Callable[..., None], certificate: tuple[Path, Path]) -> Any:
    """A second Vault, over TLS."""
    keeper = type(vault)()
    served(keeper, certificate)
    return keeper


@pytest.mark.parametrize("address", ["http://vault.example:8200", "vault:8200", "ftp://x", "https://u:p@h", ""])
def test_an_address_that_would_send_a_root_key_in_clear_is_refused(address: str) -> None:
    with pytest.raises(KeyringLocked, match="address"):
        Wire("Vault", address)


# -- AWS KMS -----------------------------------------------------------------------------------------------------------


def test_the_signature_is_the_one_of_aws_s_own_test_suite() -> None:
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    scope, names, digest = signature(
        headers, b"", "/", "us-east-1", "service", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    )
    assert scope == "20150830/us-east-1/service/aws4_request"
    assert names == "host;x-amz-date"
    assert digest == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"


def test_kms_throttles_forbids_and_disables_in_its_own_words(
    tmp_path: Path, kms: Any, in_kms: Callable[..., AwsKms]
) -> None:
    ring = filled(tmp_path / "ring.json", in_kms())
    assert ring.root_header["key"].startswith("arn:aws-cn:kms:")
    kms.throttles = 2
    assert Keyring.open(ring.path, root=in_kms()).entries() == ring.entries()
    kms.throttles = 3
    with pytest.raises(RootUnavailable):
        Keyring.open(ring.path, root=in_kms())
    kms.throttles = 0
    kms.forbids = True
    with pytest.raises(RootRefused, match="AccessDenied") as refused:
        Keyring.open(ring.path, root=in_kms())
    assert "kms:Decrypt" in refused.value.fix
    kms.forbids, kms.disabled = False, True
    with pytest.raises(RootRefused, match="Disabled"):
        Keyring.open(ring.path, root=in_kms())
    kms.disabled = False
    kms.rotate()
    assert Keyring.open(ring.path, root=in_kms()).entries() == ring.entries()
    with pytest.raises(RootRefused, match="NotFound"):
        ring.rewrap(root=in_kms("alias/other"))
    with pytest.raises(KeyringLocked, match="no key"):
        ring.rewrap(root=in_kms(""))


def test_kms_refuses_a_wrong_secret_a_stranger_and_a_clock_that_is_off(in_kms: Callable[..., AwsKms]) -> None:
    stranger = Credentials("AKIDOTHER", "x")
    wrong = Credentials("AKIDCONSIGN", "another", "session-1")
    late = datetime.now(UTC) - timedelta(hours=1)
    for options, said in (
        ({"credentials": lambda: stranger}, "UnrecognizedClient"),
        ({"credentials": lambda: wrong}, "InvalidSignature"),
        ({"clock": lambda: late}, "InvalidSignature"),
    ):
        with pytest.raises(RootRefused, match=said) as refused:
            in_kms(**options).new(None)
        assert "another" not in str(refused.value) + refused.value.fix


def test_credentials_come_from_the_environment_or_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    with pytest.raises(KeyringLocked, match="who we are in AWS"):
        environment_credentials()
    file.write_text("[default]\naws_access_key_id=A\naws_secret_access_key=S%1\n[desk]\naws_access_key_id=B\n")
    assert environment_credentials() == Credentials("A", "S%1")
    monkeypatch.setenv("AWS_PROFILE", "desk")
    with pytest.raises(KeyringLocked):
        environment_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "E")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "F")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "G")
    assert environment_credentials() == Credentials("E", "F", "G")
    assert "F" not in repr(environment_credentials())

"""`consign keys` and what `consign agency` knows of keys: two people, windows, and no secret on any stream."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from console.cli.instants import instant
from console.cli.main import app
from infra.sandbox.host import SandboxHost, new_key
from infra.sandbox.world import Cast, World, open_world
from keys.keyring import Keyring
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

runner = CliRunner()
DAY = timedelta(days=1)
SECRETS = ("PRIVATE KEY", "AGE-SECRET-KEY", '"secret"')


@pytest.fixture
def world(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[World]:
    """One lender and one live agency behind a real sshd; two people approve what is pinned."""
    needs("sshd")
    with open_world(
        tmp_path / "home", seed=7, start=date(2026, 1, 5), cast=(Cast("quayside", "Quayside", share=1.0),),
        lenders={"harbour": "Harbour"}, engine="direct", two_people=True,
    ) as opened:  # fmt: skip
        yield opened


@pytest.fixture
def consign(world: World) -> Callable[..., dict[str, Any]]:
    """A function: what the command says as JSON, once its exit code is the one expected and no secret was told."""

    def run(*words: str, actor: str = "chen.yu", exits: int = 0) -> dict[str, Any]:
        world.desk.actor = actor
        result = runner.invoke(app, [*words, "--json"])
        assert result.exit_code == exits, result.stderr
        assert not any(secret in result.stdout + result.stderr for secret in SECRETS)
        if exits:
            return {"err": result.stderr}
        told: dict[str, Any] = json.loads(result.stdout)
        return told

    return run


def test_a_host_key_is_scanned_added_by_one_approved_by_another_and_retired(
    consign: Callable[..., dict[str, Any]],
) -> None:
    (seen,) = consign("agency", "host-key", "scan", "quayside")["items"]
    assert (seen["shown"], seen["pinned"]) == (True, "valid")
    (_, line) = new_key()
    added = consign(
        "agency", "host-key", "add", "quayside", line, "--from", "2026-01-08", "--until", "2027-01-08",
        "--old-until", "2026-01-12T09:00+08:00",
    )  # fmt: skip
    assert added["state"] == "waiting"
    word = ("agency", "host-key", "approve", "quayside", added["fingerprint"])
    assert "second person" in consign(*word, exits=6)["err"]
    consign(*word, actor="li.wei")
    newest, oldest = consign("agency", "host-key", "list", "quayside")["items"]
    assert (newest["state"], newest["begins"], newest["approved_by"]) == (
        "pending",
        "2026-01-07T16:00:00+00:00",
        "li.wei",
    )
    assert (oldest["state"], oldest["ends"]) == ("valid", "2026-01-12T01:00:00+00:00")
    retired = consign("agency", "host-key", "retire", "quayside", added["fingerprint"])
    assert retired["state"] == "retired"
    assert (
        "nothing could be delivered"
        in consign("agency", "host-key", "retire", "quayside", oldest["fingerprint"], exits=6)["err"]
    )
    assert consign("audit", "verify")["ok"] is True


def test_a_client_key_is_rotated_confirmed_and_the_old_one_retired(
    world: World, consign: Callable[..., dict[str, Any]]
) -> None:
    assert isinstance(world.host, SandboxHost)
    assert len(consign("agency", "credential", "rotate", "quayside", "--dry-run")["items"]) == 1
    made = consign("agency", "credential", "rotate", "quayside")
    assert made["line"].startswith("ssh-ed25519 ")
    assert "refused our key" in consign("agency", "credential", "confirm", "quayside", exits=5)["err"]
    consign("agency", "credential", "retire", "quayside", "1", exits=6)
    world.host.authorize("quayside", made["line"])
    assert consign("agency", "credential", "confirm", "quayside")["accepted"] is not None
    assert consign("agency", "credential", "retire", "quayside", "1")["state"] == "revoked"
    assert [one["state"] for one in consign("agency", "credential", "list", "quayside")["items"]] == [
        "valid",
        "revoked",
    ]


def test_an_agency_s_next_key_waits_for_another_person_s_telephone_call(
    world: World, consign: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    public = world.agencies["quayside"].keyring.new_own_keys("age", world.clock.now).public
    for name in ("encrypt", "verify"):
        (tmp_path / name).write_text(public[name])
    words = ("agency", "keys", "trust", "quayside", "--encrypt", str(tmp_path / "encrypt"), "--verify",
             str(tmp_path / "verify"), "--from", "2026-01-10", "--old-until", "2026-01-20")  # fmt: skip
    asked = consign(*words)
    assert (asked["state"], asked["request_id"]) == ("waiting", 1)
    said = ("--encrypt", public["encrypt_fingerprint"], "--verify", public["fingerprint"])
    consign("agency", "keys", "approve", "quayside", "1", *said, exits=6)
    consign("agency", "keys", "approve", "quayside", "1", *said[:3], "SHA256:x", actor="li.wei", exits=6)
    assert consign("agency", "keys", "approve", "quayside", "1", *said, actor="li.wei")["generation"] == "2"
    states = [(one["generation"], one["state"]) for one in consign("agency", "keys", "list", "quayside")["items"]]
    assert states == [("2", "pending"), ("1", "valid")]
    assert consign("agency", "keys", "revoke", "quayside", "2")["state"] == "revoked"
    assert consign(*words[:8], exits=4)["err"]  # what was revoked does not come back
    again = world.agencies["quayside"].keyring.new_own_keys("age", world.clock.now).public
    for name in ("encrypt", "verify"):
        (tmp_path / name).write_text(again[name])
    assert consign(*words[:8])["request_id"] == 2
    assert consign("agency", "keys", "withdraw", "quayside", "2")["state"] == "withdrawn"


def test_our_next_key_is_announced_and_handed_over(consign: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    made = consign("keys", "rotate", "own", "age", "--from", "2026-01-20", "--old-until", "2026-02-20")
    assert (made["generation"], made["announced_to"]) == ("2", ["quayside"])
    assert consign("keys", "announce", "age")["announced_to"] == []
    written = consign("keys", "announce", "age", "--out", str(tmp_path / "out"))
    assert sorted(path.rpartition("/")[2] for path in written["files"]) == [
        "announcement.txt", "announcement.txt.sig", "lender-next.age", "lender-next.allowed_signers",
    ]  # fmt: skip
    own = consign("keys", "rotate", "own", "age:harbour", "--from", "now")
    assert own["owner"] == "age:harbour"
    assert consign("keys", "public", "age", "--lender", "harbour")["fingerprint"] == own["fingerprint"]
    assert consign("keys", "public", "age")["generation"] == "1"
    consign("keys", "rotate", "own", "age:nobody", exits=4)
    consign("keys", "rotate", "own", "age", "--from", "2025-01-01", exits=2)
    assert consign("keys", "revoke", "age", "2")["state"] == "revoked"
    consign("keys", "announce", "openpgp", exits=2)


def test_what_ends_soon_is_listed(world: World, consign: Callable[..., dict[str, Any]]) -> None:
    assert consign("keys", "ending")["items"] == []
    world.clock.now += 340 * DAY
    ending = consign("keys", "ending")["items"]
    assert {one["code"] for one in ending} == {"key_expiring", "credential_expiring"}
    assert all(one["days_left"] == 24 or one["days_left"] == 25 for one in ending)
    assert consign("keys", "ending", "--days", "3")["items"] == []


def test_the_root_key_is_changed_in_place_and_to_a_passphrase(
    world: World, consign: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    ring = world.desk.keyring
    before = ring.entries()
    assert consign("keys", "rotate", "root")["opened_by"] == "key file"
    assert Keyring.open(ring.path, key_file=world.desk.settings.key_file_path).entries() == before
    (tmp_path / "secret").write_text("correct horse battery staple\nand no more\n")
    told = consign("keys", "rotate", "root", "--passphrase-file", str(tmp_path / "secret"))
    assert told["opened_by"] == "passphrase"
    assert Keyring.open(ring.path, passphrase="correct horse battery staple").entries() == before
    consign("keys", "rotate", "root", "--passphrase-file", str(tmp_path / "missing"), exits=2)
    consign("keys", "rotate", "pseudonym", exits=2)


def test_a_day_is_china_s_and_an_instant_has_its_offset() -> None:
    assert instant(None, "--from") is None
    assert instant("2026-12-01", "--from") == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert instant("2026-12-01T09:00+08:00", "--from") == datetime(2026, 12, 1, 1, tzinfo=UTC)
    for wrong in ("tomorrow", "2026-12-01T09:00", "2026-13-01", ""):
        with pytest.raises(UsageError, match="--from is no instant"):
            instant(wrong, "--from")

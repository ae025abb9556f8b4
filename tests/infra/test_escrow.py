"""The keyring leaves and comes back by two persons' word, once, within hours; and what was destroyed stays so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

from console.cli.main import app
from infra import audit, escrow
from infra.settings import Settings
from infra.store import shredding, trail
from infra.store.bulk import read
from infra.wiring import Desk, seated
from keys.errors import KeyUnfit, OpenRefused
from keys.keyring import Keyring
from models.errors import RefusedByPolicy, UsageError

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
WHY = "monthly escrow, decision 7 of 董事会"


class Clock:
    """A clock that a test turns."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock, database_url: str) -> Iterator[Desk]:
    """A store of either kind, and a keyring with keys of several purposes."""
    settings = Settings(home=tmp_path / "home", database=database_url, engine="direct")
    ring = Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    ring.new_own_keys("age", NOW)
    ring.new_data_key(NOW)
    ring.new_pseudonym_key("acme", NOW)
    with seated(Desk(settings, clock=clock, actor="chen.yu")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        yield at
        at.database.close()


@pytest.fixture
def holder(tmp_path: Path) -> tuple[str, Path]:
    """The holder's recipient, and the file with the key."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "holder.key").write_text(f"# created: today\n{identity}\n")
    return str(identity.to_public()), tmp_path / "holder.key"


def as_another(desk: Desk) -> Desk:
    other = Desk(desk.settings, clock=desk.clock, actor="li.wei")
    other.database = desk.database
    other.keyring = desk.keyring
    return other


def let_out(desk: Desk, recipient: str, out: Path) -> str:
    number = escrow.ask_export(desk, "notary", recipient, WHY)
    escrow.approve(as_another(desk), number, recipient)
    return escrow.release(desk, number, out)


def taken_in(desk: Desk, file: Path, key: Path) -> int:
    number = escrow.ask_import(desk, file, WHY)
    escrow.approve(as_another(desk), number, hashlib.sha256(file.read_bytes()).hexdigest())
    return escrow.restore(desk, number, file, key)


def test_it_leaves_once_sealed_to_the_holder_and_makes_the_same_keyring_elsewhere(
    desk: Desk, holder: tuple[str, Path], tmp_path: Path
) -> None:
    recipient, key = holder
    out = tmp_path / "escrow.age"
    digest = let_out(desk, recipient, out)
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()
    assert out.stat().st_mode & 0o777 == 0o600
    before = desk.keyring.entries()
    assert not any(secret.encode() in out.read_bytes() for entry in before for secret in entry.secret.values())
    desk.settings.keyring_path.unlink()
    desk.settings.key_file_path.unlink()
    new = Desk(desk.settings, clock=desk.clock, actor="chen.yu")
    new.database = desk.database
    number = escrow.ask_import(new, out, WHY)
    other = Desk(desk.settings, clock=desk.clock, actor="li.wei")
    other.database = desk.database
    escrow.approve(other, number, digest)
    assert escrow.restore(new, number, out, key) == len(before)
    assert new.keyring.entries() == before
    assert [one["state"] for one in escrow.listed(new)] == ["done", "done"]


def test_one_person_lets_nothing_out(desk: Desk, holder: tuple[str, Path], tmp_path: Path) -> None:
    recipient, _ = holder
    out = tmp_path / "escrow.age"
    number = escrow.ask_export(desk, "notary", recipient, WHY)
    with pytest.raises(RefusedByPolicy, match="waiting, not approved"):
        escrow.release(desk, number, out)
    with pytest.raises(RefusedByPolicy, match="cannot approve"):
        escrow.approve(desk, number, recipient)
    with pytest.raises(RefusedByPolicy, match="another recipient"):
        escrow.approve(as_another(desk), number, str(pyrage.x25519.Identity.generate().to_public()))
    escrow.withdraw(desk, number)
    with pytest.raises(RefusedByPolicy, match="withdrawn"):
        escrow.release(desk, number, out)
    assert not out.exists()
    with pytest.raises(UsageError, match="no age recipient"):
        escrow.ask_export(desk, "notary", "age1nobody", WHY)
    with pytest.raises(UsageError, match="reason"):
        escrow.ask_export(desk, "notary", recipient, "because")


def test_an_approval_is_for_one_use_and_ends(
    desk: Desk, holder: tuple[str, Path], tmp_path: Path, clock: Clock
) -> None:
    recipient, _ = holder
    number = escrow.ask_export(desk, "notary", recipient, WHY)
    escrow.approve(as_another(desk), number, recipient)
    clock.now = NOW + timedelta(hours=24)
    with pytest.raises(RefusedByPolicy, match="ended"):
        escrow.release(desk, number, tmp_path / "late.age")
    clock.now -= timedelta(seconds=1)
    escrow.release(desk, number, tmp_path / "escrow.age")
    with pytest.raises(UsageError, match="a file"):
        escrow.release(desk, number, tmp_path / "escrow.age")
    with pytest.raises(RefusedByPolicy, match="is done"):
        escrow.release(desk, number, tmp_path / "again.age")
    assert [path.name for path in tmp_path.glob("*.age")] == ["escrow.age"]


def test_an_escrow_brings_back_no_key_that_was_destroyed_here_or_that_the_store_knows_as_destroyed(
    desk: Desk, holder: tuple[str, Path], tmp_path: Path
) -> None:
    recipient, key = holder
    here, gone = desk.keyring.new_data_key(NOW).key_id, desk.keyring.new_data_key(NOW).key_id
    out = tmp_path / "escrow.age"
    let_out(desk, recipient, out)
    desk.keyring.destroy_data_key(gone, NOW)
    assert taken_in(desk, out, key) == 0
    assert {one.owner for one in desk.keyring.entries() if one.destroyed} == {gone}
    with desk.database.write() as connection:
        shredding.retire_keys(connection, "nova", [here], 1, NOW)
    desk.settings.keyring = tmp_path / "elsewhere" / "keyring.json"
    new = Desk(desk.settings, clock=desk.clock, actor="chen.yu")
    new.database = desk.database
    number = escrow.ask_import(new, out, WHY)
    escrow.approve(as_another(desk), number, hashlib.sha256(out.read_bytes()).hexdigest())
    escrow.restore(new, number, out, key)
    assert [one.owner for one in new.keyring.entries() if one.destroyed] == [here]


def test_another_file_key_or_keyring_takes_nothing_in(desk: Desk, holder: tuple[str, Path], tmp_path: Path) -> None:
    recipient, key = holder
    out = tmp_path / "escrow.age"
    digest = let_out(desk, recipient, out)
    number = escrow.ask_import(desk, out, WHY)
    escrow.approve(as_another(desk), number, digest)
    (tmp_path / "other.age").write_bytes(out.read_bytes()[:-1])
    (tmp_path / "stranger.key").write_text(str(pyrage.x25519.Identity.generate()))
    (tmp_path / "no.key").write_text("x")
    with pytest.raises(RefusedByPolicy, match="another file"):
        escrow.restore(desk, number, tmp_path / "other.age", key)
    with pytest.raises(OpenRefused, match="does not open"):
        escrow.restore(desk, number, out, tmp_path / "stranger.key")
    with pytest.raises(KeyUnfit, match="no age key"):
        escrow.restore(desk, number, out, tmp_path / "no.key")
    desk.settings.keyring = tmp_path / "elsewhere" / "keyring.json"
    Keyring.create(desk.settings.keyring, key_file=desk.settings.key_file_path).new_own_keys("age", NOW)
    new = Desk(desk.settings, clock=desk.clock, actor="chen.yu")
    new.database = desk.database
    before = new.keyring.entries()
    with pytest.raises(KeyUnfit, match="another own key 1"):
        escrow.restore(new, number, out, key)
    assert new.keyring.entries() == before


def test_the_trail_has_every_step_and_neither_the_reason_nor_a_secret(
    desk: Desk, holder: tuple[str, Path], tmp_path: Path
) -> None:
    let_out(desk, holder[0], tmp_path / "escrow.age")
    taken_in(desk, tmp_path / "escrow.age", holder[1])
    with desk.database.read() as connection:
        events = read(connection, trail.EVENTS.select().order_by(trail.EVENTS.c.seq))
        assert audit.verify(connection, []).first_bad_seq is None
    assert events["action"].tolist() == [
        "key.export_asked", "key.export_approved", "key.exported",
        "key.import_asked", "key.import_approved", "key.imported",
    ]  # fmt: skip
    assert events["actor"].tolist() == ["chen.yu", "li.wei", "chen.yu"] * 2
    assert not events.astype(str).map(lambda cell: WHY in cell).to_numpy().any()
    reason = hashlib.sha256(f"notary\n{WHY}".encode()).hexdigest()
    assert reason in events["details"][0]


def test_the_commands_do_it_from_the_outside(desk: Desk, holder: tuple[str, Path], tmp_path: Path) -> None:
    def consign(*words: str, actor: str = "chen.yu", exits: int = 0) -> dict[str, Any]:
        desk.actor = actor
        result = CliRunner().invoke(app, ["keys", *words, "--json"])
        assert result.exit_code == exits, result.output
        assert "AGE-SECRET-KEY" not in result.output
        return {} if exits else dict(json.loads(result.stdout))

    recipient, key = holder
    out = tmp_path / "escrow.age"
    number = str(consign("export", "ask", "notary", recipient, "--why", WHY)["escrow_id"])
    consign("export", "approve", number, recipient, exits=6)
    assert consign("export", "approve", number, recipient, actor="li.wei")["state"] == "approved"
    digest = consign("export", "release", number, str(out))["sha256"]
    number = str(consign("import", "ask", str(out), "--why", WHY)["escrow_id"])
    consign("import", "approve", number, digest, actor="li.wei")
    assert consign("import", "run", number, str(out), "--identity", str(key))["keys_added"] == 0
    assert consign("export", "list")["count"] == 2
    number = str(consign("export", "ask", "notary", recipient, "--why", WHY)["escrow_id"])
    assert consign("export", "withdraw", number)["state"] == "withdrawn"

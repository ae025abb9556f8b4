"""`consign keys root`: who keeps the root key, tried first, moved, and said by the doctor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

import models.tables  # noqa: F401 - the tables register themselves
from console.cli.main import app
from infra.settings import Settings
from infra.wiring import Desk, seated
from keys.keyring import Keyring

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store and a keyring with one key."""
    settings = Settings(home=tmp_path / "home", engine="direct")
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path).new_own_keys("age", NOW)
    with seated(Desk(settings, actor="chen.yu")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        yield at
        at.database.close()


@pytest.fixture
def consign(desk: Desk) -> Callable[..., dict[str, Any]]:  # noqa: ARG001 - it is seated
    """A function: what `consign` says as JSON, or on stderr where it is to end otherwise."""

    def run(*words: str, exits: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--json"])
        assert result.exit_code == exits, result.output
        return {"err": result.stderr} if exits else dict(json.loads(result.stdout))

    return run


def test_it_is_shown_tried_moved_and_opens_under_the_new_setting_alone(
    desk: Desk, consign: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert consign("keys", "root", "show")["keeper"] == "file"
    (tmp_path / "secret").write_text("correct horse battery staple\n")
    words = ("keys", "root", "move", "passphrase", "--passphrase-file", str(tmp_path / "secret"))
    before = desk.settings.keyring_path.read_bytes()
    assert consign(*words, "--dry-run")["kind"] == "argon2id"
    assert desk.settings.keyring_path.read_bytes() == before
    assert consign(*words)["from"] == "key_file"
    moved = Desk(desk.settings.model_copy(update={"root_key": "passphrase"}))
    with pytest.raises(Exception, match="empty"):
        _ = moved.keyring
    with seated(Desk(desk.settings)):
        assert "opens with a passphrase" in consign("keys", "list", exits=4)["err"]
    events = consign("audit", "list")["items"]
    assert [one["action"] for one in events][:1] == ["key.rotated"] or events[-1]["action"] == "key.rotated"
    assert "correct horse" not in json.dumps(events)


def test_what_a_keeper_lacks_is_said_and_changes_nothing(
    desk: Desk, consign: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    before = desk.settings.keyring_path.read_bytes()
    assert "vault_address" in consign("keys", "root", "move", "vault", exits=4)["err"]
    assert "kms_region" in consign("keys", "root", "move", "aws-kms", exits=4)["err"]
    consign("keys", "root", "move", "passphrase", exits=4)
    consign("keys", "root", "move", "vault", "--key-file", str(tmp_path / "x"), exits=2)
    consign("keys", "root", "move", "file", "--passphrase-file", str(tmp_path / "x"), exits=2)
    desk.settings.vault_address = "http://127.0.0.1:9"
    desk.settings.root_attempts = 1
    assert "who we are" in consign("keys", "root", "move", "vault", exits=4)["err"]
    assert desk.settings.keyring_path.read_bytes() == before


def test_the_doctor_says_who_keeps_it(desk: Desk, consign: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    def said() -> dict[str, Any]:
        result = CliRunner().invoke(app, ["doctor", "--json"])
        return next(one for one in json.loads(result.stdout)["checks"] if one["check"] == "root key")

    assert said()["state"] == "warn"  # beside the keyring
    consign("keys", "root", "move", "file", "--key-file", str(tmp_path / "apart" / "root.key"))
    desk.settings.key_file = tmp_path / "apart" / "root.key"
    assert (said()["state"], said()["found"]) == ("ok", "key file")
    (tmp_path / "secret").write_text("correct horse battery staple\n")
    consign("keys", "root", "move", "passphrase", "--passphrase-file", str(tmp_path / "secret"))
    assert said()["found"] == "passphrase, Argon2id of 65536 KiB, 3 times"

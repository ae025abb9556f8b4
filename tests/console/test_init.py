"""`consign init`: everything a first command needs, made once."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli.main import app
from infra import roles
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring

runner = CliRunner()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with seated(Desk(Settings(home=tmp_path / "home", engine="direct"))) as desk:
        yield desk


def made(*words: str, typed: str | None = None) -> list[str]:
    result = runner.invoke(app, ["init", "--json", *words], input=typed)
    assert result.exit_code == 0, result.output
    found: list[str] = json.loads(result.stdout)["made"]
    return found


def test_a_first_init_makes_everything_for_its_owner_alone(at: Desk) -> None:
    assert {"home", "store", "keyring", "own age key"} <= set(made())
    home = at.settings.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in "keyring.json", "root.key":
        assert stat.S_IMODE((home / "keys" / name).stat().st_mode) == 0o600
    assert schema.current(at.database) == schema.head()
    assert len(at.keyring.own_keys("age")) == 1


@pytest.mark.parametrize("words", [("policy", "list"), ("role", "list"), ("plan", "list")])
@pytest.mark.usefixtures("at")
def test_before_it_whatever_needs_the_store_says_so(words: tuple[str, ...]) -> None:
    result = runner.invoke(app, [*words])
    assert (result.exit_code, "run `consign init`" in result.output) == (4, True)
    made()
    assert runner.invoke(app, [*words]).exit_code == 0


def test_a_second_init_changes_nothing(at: Desk) -> None:
    made()
    fingerprint = at.keyring.own_keys("age")[0].fingerprint
    assert made() == []
    assert [row["actor"] for row in roles.listed(at)] == [at.actor], "who made it gives the roles"
    assert [key.fingerprint for key in at.keyring.own_keys("age")] == [fingerprint]


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(at: Desk) -> None:
    assert {"home", "store", "keyring"} <= set(made("--dry-run"))
    assert not at.settings.home.exists()


def test_a_passphrase_is_asked_for_and_never_shown(at: Desk) -> None:
    result = runner.invoke(app, ["init", "--passphrase"], input="open sesame\nopen sesame\n")
    assert result.exit_code == 0, result.output
    assert "sesame" not in result.output
    keyring = Keyring.open(at.settings.keyring_path, passphrase="open sesame")
    assert keyring.own_keys("age")
    assert not at.settings.key_file_path.exists()
    assert made("--passphrase", typed="open sesame\n") == []


def test_a_wrong_passphrase_is_a_configuration_error(at: Desk) -> None:
    runner.invoke(app, ["init", "--passphrase"], input="open sesame\nopen sesame\n")
    assert at.settings.keyring_path.exists()
    result = runner.invoke(app, ["init", "--passphrase"], input="guess\n")
    assert (result.exit_code, "guess" in result.output) == (4, False)

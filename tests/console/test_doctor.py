"""`consign doctor`: says of each thing what it is and what to do."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from console.cli.main import app
from infra import faults, health
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import Agency

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def at(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[Desk]:
    """A sound installation, its root key elsewhere."""
    needs("gpg")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    settings = Settings(home=home, key_file=tmp_path / "apart" / "root.key", engine="direct")
    with seated(Desk(settings, clock=lambda: datetime.now(UTC))) as desk:
        schema.ensure(desk.database)
        keyring = Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
        for suite in "age", "openpgp":
            keyring.new_own_keys(suite, desk.now(), 365)
        yield desk


def examined(at: Desk) -> dict[str, health.Finding]:
    return {finding.check: finding for finding in health.findings(at)}


def asked() -> tuple[int, dict[str, Any]]:
    result = runner.invoke(app, ["doctor", "--json"])
    told: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, told


def test_a_sound_installation_is_sound(at: Desk) -> None:
    code, told = asked()
    assert (code, told["healthy"], told["fail"]) == (0, True, 0), told
    assert {"python", "prefect", "paramiko", "sqlite", "schema", "own age key", "disk", "clock", "analytics"} <= {
        one["check"] for one in told["checks"]
    }
    assert at.settings.home.is_dir()


def test_where_nothing_is_the_doctor_says_init_and_makes_nothing(tmp_path: Path) -> None:
    with seated(Desk(Settings(home=tmp_path / "home"))):
        code, told = asked()
    assert (code, told["healthy"]) == (4, False)
    broken = {one["check"]: one["fix"] for one in told["checks"] if one["state"] == "fail"}
    assert broken.keys() == {"home", "database", "keyring"}
    assert all("consign init" in fix for fix in broken.values())
    assert not (tmp_path / "home").exists()


def test_every_complaint_says_what_to_do(at: Desk) -> None:
    at.settings.home.chmod(0o755)
    found = examined(at)
    assert found["home"].state == "warn"
    assert all(finding.fix for finding in found.values() if finding.state != "ok")


def test_an_old_or_too_new_schema_is_told(at: Desk) -> None:
    with at.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert examined(at)["schema"].state == "fail"
    with at.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer" in examined(at)["schema"].found


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    lost = Settings(home=tmp_path / "home", database="postgresql://me:hidden@127.0.0.1:1/none")
    told = {finding.check: finding for finding in health.findings(Desk(lost))}
    assert told["database"].state == "fail"
    assert not any("hidden" in finding.found for finding in told.values())


def test_keys_that_are_about_to_end_or_have_ended_are_told(at: Desk) -> None:
    at.clock = lambda: datetime.now(UTC) + timedelta(days=345)
    assert examined(at)["own age key"].state == "warn"
    at.clock = lambda: datetime.now(UTC) + timedelta(days=400)
    found = examined(at)["own age key"]
    assert (found.state, "rotate own age" in found.fix) == ("fail", True)


def test_a_keyring_that_others_can_read_is_told(at: Desk) -> None:
    at.settings.key_file_path.chmod(0o644)
    assert examined(at)["keyring"].state == "fail"


def test_a_root_key_beside_the_keyring_is_worth_a_thought(at: Desk, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "second")
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    assert at.settings.home != settings.home
    assert {finding.check: finding for finding in health.findings(Desk(settings))}["root key"].state == "warn"


def test_an_agency_whose_host_is_not_pinned_is_told(at: Desk) -> None:
    pinned = {"kind": "sftp", "host": "localhost", "host_keys": ["ssh-ed25519 AAAA"]}
    with at.database.session() as session:
        for code, drop in ("north", pinned), ("south", pinned | {"host_keys": []}), ("west", {"kind": "folder"}):
            session.add(Agency(agency=code, name=code, state="live", drop=json.dumps(drop), created_at=NOW))
    found = examined(at)
    assert (found["host of north"].state, found["host of south"].state) == ("ok", "fail")
    assert "host of west" not in found


def test_a_clock_behind_what_was_written_is_told(at: Desk) -> None:
    at.clock = lambda: NOW - timedelta(days=3000)
    assert examined(at)["clock"].state == "fail"


def test_faults_of_the_last_days_are_told_and_older_ones_are_not(at: Desk) -> None:
    fault = faults.record(ValueError("x"), "place", at.folder("faults"))
    assert examined(at)["faults"].state == "warn"
    long_ago = time.time() - 30 * 86_400
    os.utime(fault.path, (long_ago, long_ago))
    assert examined(at)["faults"].state == "ok"


def test_a_full_disk_is_told(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FREE_FAIL", 2**80)
    assert examined(at)["disk"].state == "fail"


def test_a_server_that_is_not_ours_cannot_be_silenced(at: Desk) -> None:
    at.settings.prefect_api_url = "http://elsewhere/api"
    assert examined(at)["analytics"].state == "warn"


def test_a_check_that_breaks_does_not_stop_the_others(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: 1 / 0)
    found = examined(at)
    assert (found["disk"].found, found["clock"].state) == ("could not be checked: ZeroDivisionError", "ok")

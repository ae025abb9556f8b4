"""`consign audit` and `consign keys`: what happened, and with which keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from console.cli.main import app
from infra import audit
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    settings = Settings(home=tmp_path, engine="direct", actor="anna")
    with seated(Desk(settings, clock=lambda: NOW)) as desk:
        schema.ensure(desk.database)
        Keyring.create(settings.keyring_path, key_file=settings.key_file_path).new_own_keys("age", NOW)
        with desk.database.write() as connection:
            audit.record_many(
                connection, [audit.Event("anna", "plan.approved", f"plan:{n}", {"rows": n}, NOW) for n in range(3)]
            )
        yield desk


def consign(*words: str) -> tuple[int, dict[str, Any], str]:
    result = runner.invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout), result.stderr


def test_a_whole_trail_verifies(at: Desk) -> None:
    assert consign("audit", "sign")[1]["head"].startswith("3:")
    code, told, _ = consign("audit", "verify")
    assert (code, told["ok"], told["events"], told["heads"]) == (0, True, 3, 1)
    assert at.actor == "anna"


def test_a_broken_trail_is_a_finding(at: Desk) -> None:
    with at.database.write() as connection:
        connection.execute(text("DROP TRIGGER audit_event_refuses_update"))
        connection.execute(text("UPDATE audit_event SET actor = 'eve' WHERE seq = 2"))
    code, told, err = consign("audit", "verify")
    assert (code, told["ok"], told["first_bad_seq"]) == (3, False, 2)
    assert "event 2 was altered" in err


def test_what_came_since_the_last_verification_is_verified_alone(at: Desk) -> None:
    assert consign("audit", "verify", "--new-only")[1]["since"] == 0
    with at.database.write() as connection:
        audit.record(connection, "anna", "plan.approved", "plan:3", {}, NOW)
    _, told, _ = consign("audit", "verify", "--new-only")
    assert (told["ok"], told["since"], told["events"]) == (True, 3, 4)


def test_a_cut_tail_shows_at_the_next_verification(at: Desk) -> None:
    assert consign("audit", "verify")[0] == 0
    with at.database.write() as connection:
        connection.execute(text("DROP TRIGGER audit_event_refuses_delete"))
        connection.execute(text("DELETE FROM audit_event WHERE seq = 3"))
    code, told, _ = consign("audit", "verify")
    assert (code, told["first_bad_seq"], "the last verification" in told["why"]) == (3, 3, True)


def test_a_proof_is_written_checked_and_serves_as_a_witness(at: Desk, tmp_path: Path) -> None:
    consign("audit", "sign")
    out = tmp_path / "proof.json"
    assert consign("audit", "prove", "2", "--out", str(out))[1]["head"] == 3
    key = consign("audit", "heads")[1]["items"][0]["key_fingerprint"]
    code, told, _ = consign("audit", "check", str(out), "--key", key)
    assert (code, told["event"]["subject"], told["key_expected"]) == (0, "plan:1", True)
    assert consign("audit", "verify", "--against", str(out))[1]["witnesses"] == 1
    assert runner.invoke(app, ["audit", "prove", "2", "--out", str(out)]).exit_code == 2  # it is there already
    out.write_text(out.read_text().replace("plan:1", "plan:2"))
    refused = runner.invoke(app, ["audit", "check", str(out)])
    assert (refused.exit_code, "proves nothing" in refused.stderr) == (3, True)
    assert at.actor == "anna"


def test_an_older_head_is_proved_to_be_the_beginning_of_a_newer_one(at: Desk, tmp_path: Path) -> None:
    consign("audit", "sign")
    with at.database.write() as connection:
        audit.record(connection, "anna", "plan.approved", "plan:3", {}, NOW)
    consign("audit", "sign")
    out = tmp_path / "proof.json"
    assert consign("audit", "consistency", "3", "--out", str(out))[0] == 0
    told = consign("audit", "check", str(out))[1]
    assert (told["kind"], told["from_seq"], told["seq"], told["key_expected"]) == ("consistency", 3, 4, None)


def test_events_are_listed_newest_first_and_by_subject(at: Desk) -> None:
    assert [one["seq"] for one in consign("audit", "list")[1]["items"]] == [3, 2, 1]
    assert [one["seq"] for one in consign("audit", "list", "--subject", "plan:1")[1]["items"]] == [2]
    assert at.database.is_sqlite


def test_keys_are_listed_without_their_secrets(at: Desk) -> None:
    _, told, _ = consign("keys", "list", "--purpose", "own")
    (own,) = told["items"]
    assert (own["owner"], own["state"], own["fingerprint"]) == (
        "age",
        "valid",
        at.keyring.own_keys("age")[0].fingerprint,
    )
    assert "secret" not in json.dumps(told)


def test_a_new_generation_is_made_and_recorded(at: Desk) -> None:
    assert consign("keys", "rotate", "own", "age", "--dry-run")[1]["count"] == 1
    code, told, _ = consign("keys", "rotate", "own", "age")
    assert (code, told["generation"]) == (0, "2")
    assert consign("audit", "list", "--rows", "1")[1]["items"][0]["action"] == "key.rotated"
    assert consign("audit", "verify")[1]["ok"] is True
    assert at.settings.own_key_days == 365


def test_our_public_keys_are_there_to_be_given_away(at: Desk) -> None:
    assert consign("keys", "public", "age")[1] == at.keyring.public_keys("age", NOW)


def test_a_key_that_cannot_be_renewed_is_refused_by_name(at: Desk) -> None:
    result = runner.invoke(app, ["keys", "rotate", "data", "x"])
    assert (result.exit_code, at.keyring.own_keys("openpgp")) == (2, [])

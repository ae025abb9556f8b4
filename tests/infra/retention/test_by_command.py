"""`consign retention`, `shred` and `backup`, and what runs each night, as people call them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from console.cli.main import app
from flows.retain import retain
from flows.safekeeping import back_up, witness
from infra import audit, backups, keycopies, witnesses
from infra.store.portfolios import ACCOUNTS, IDENTITIES
from keys.keyring import Keyring
from models.retention import CLASSES
from models.tables import ExchangeException

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = ON_SQLITE


def typed(*words: object, answer: str = "", code: int = 0) -> Any:
    """What the command said, as JSON."""
    said = CliRunner().invoke(app, [*map(str, words), "--json"], input=answer)
    assert said.exit_code == code, said.output
    return json.loads(said.stdout) if said.stdout.strip() else None


def test_a_debtor_is_forgotten_by_two_and_by_a_number_that_is_not_shown(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    number = raw["id_number"][2]
    said = CliRunner().invoke(app, ["shred", "debtor", "harbour", "--why", "request 12"], input=f"{number}\n")
    assert said.exit_code == 0, said.output
    assert number not in said.output
    typed("shred", "approve", 1, "--yes", code=6)
    house.desk.actor = "li.wei"
    done = typed("shred", "approve", 1, "--yes")
    assert (done["debtors"], done["swept"]) == (1, True)
    again = CliRunner().invoke(app, ["shred", "debtor", "harbour", "--why", "request 12"], input=f"{number}\n")
    assert again.exit_code == 2
    assert number not in again.output


def test_nobody_is_forgotten_unless_somebody_agrees(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    said = CliRunner().invoke(app, ["shred", "debtor", "harbour", "--why", "r 12"], input=f"{raw['phone'][2]}\n")
    assert said.exit_code == 0, said.output
    house.desk.actor = "li.wei"
    assert CliRunner().invoke(app, ["shred", "approve", "1"], input="n\n").exit_code == 1
    with house.desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(IDENTITIES)).scalar_one() == len(raw)


def test_a_portfolio_is_shredded_by_two(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    asked = typed("shred", "portfolio", 1, "--why", "sold")
    typed("shred", "approve", asked["shredding_id"], "--yes", code=6)
    house.desk.actor = "li.wei"
    done = typed("shred", "approve", asked["shredding_id"], "--yes")
    assert (done["accounts"], done["swept"]) == (len(raw), True)
    (row,) = typed("shred", "list")["items"]
    assert (row["state"], row["asked_by"], row["approved_by"]) == ("done", "chen.yu", "li.wei")


def test_a_request_that_was_withdrawn_comes_to_nothing(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    number = typed("shred", "portfolio", 1, "--why", "sold")["shredding_id"]
    typed("shred", "withdraw", number)
    house.desk.actor = "li.wei"
    typed("shred", "approve", number, "--yes", code=6)


def test_retention_is_shown_held_and_run(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    assert {row["record_class"] for row in typed("retention", "show", "us")["items"]} == set(CLASSES)
    with house.desk.database.write() as connection:
        connection.execute(ACCOUNTS.update().where(ACCOUNTS.c.account_id <= 3).values(status="paid", last_paid_on=None))
    house.now = house.now.replace(year=2027)
    due = {row["record_class"]: row["due"] for row in typed("retention", "due")["items"]}
    assert due["identity"] == 3
    number = typed("retention", "hold", "add", "lender", "--lender", "harbour", "--why", "a suit")["legal_hold_id"]
    assert typed("retention", "run")["classes"] == {}
    assert typed("retention", "hold", "list")["count"] == 1
    typed("retention", "hold", "lift", number, code=6)
    house.desk.actor = "li.wei"
    assert typed("retention", "hold", "lift", number)["lifted"]
    assert typed("retention", "run", "--dry-run")["items"][0]["due"] == 3
    assert typed("retention", "run")["classes"] == {"identity": 3}


def test_a_backup_is_made_listed_checked_restored_and_removed(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    name = typed("backup", "make")["name"]
    assert [one["name"] for one in typed("backup", "list")["items"]] == [name]
    assert typed("backup", "check", name)["ok"]
    target = house.folder.parent / "restored.sqlite"
    assert typed("backup", "restore", name, "--to", target)["identities"] == len(raw)
    assert target.is_file()
    typed("backup", "remove", name, "--yes", "--why", "board 7/2026", code=6)
    newer = typed("backup", "make")["name"]
    typed("backup", "remove", name, "--yes", "--why", "", code=2)
    typed("backup", "remove", name, "--yes", "--why", "board 7/2026")
    typed("backup", "check", name, code=2)
    assert [one["name"] for one in typed("backup", "list")["items"]] == [newer]


def test_backups_are_made_at_night_where_a_folder_is_named(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    assert back_up().name == ""
    house.desk.settings.backups = house.folder.parent / "elsewhere"
    assert back_up().name == backups.listed(house.desk)[0].name


def test_a_manifest_is_a_witness_of_the_audit_trail(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    ((head, _),) = witnesses.heads_in(house.desk.settings.backups_path / f"{made.name}.json")
    with house.desk.database.read() as connection:
        assert audit.verify(
            connection, house.desk.keyring.audit_publics().values(), against=[(head, "the manifest")]
        ).ok


def test_the_trail_is_signed_and_read_each_night_and_a_broken_one_is_told(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    first = witness()
    assert (first.ok, first.since) == (True, 0)
    assert witness().since == first.events
    with house.desk.database.write() as connection:
        for act in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER audit_event_refuses_{act}"))
        connection.execute(text("UPDATE audit_event SET actor = 'nobody' WHERE seq = 1"))
    house.now = house.now.replace(month=7, day=5)
    assert house.desk.today().isoweekday() == 7
    assert not witness().ok
    with house.desk.database.read() as connection:
        told = connection.execute(select(ExchangeException.__table__.c.code)).scalars().all()  # type: ignore[attr-defined]  # SQLModel's tables have it
    assert told == ["trail_broken"]


def test_the_copy_of_the_keyring_opens_with_the_new_root_key(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    backups.make(house.desk)
    typed("keys", "rotate", "root")
    copy = Keyring.open(keycopies.copy_path(house.desk), key_file=house.desk.settings.key_file_path)
    assert copy.entries() == house.desk.keyring.entries()


def test_the_nightly_run_is_safe_to_repeat(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    assert retain().classes == retain().classes == {}

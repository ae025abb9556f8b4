"""A backup can be restored, says so itself, and brings nobody back who was forgotten."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select

from infra import audit, backups, keycopies, shredding
from infra.store import bulk
from infra.store.portfolios import ACCOUNTS, IDENTITIES
from infra.wiring import Desk
from keys.errors import KeyDestroyed, OpenRefused
from keys.keyring import Keyring
from models.errors import UsageError

WHY = "a request of the debtor, number 12"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def elsewhere(house: Any, name: str) -> str:
    """The URL of a store that is not there yet, of the house's kind."""
    return f"sqlite:///{house.folder.parent / name / 'consign.sqlite'}"


def accounts_with_identity(desk: Desk) -> set[int]:
    with desk.database.read() as connection:
        return set(connection.execute(select(IDENTITIES.c.account_id)).scalars())


def at_store(house: Any, url: str) -> Desk:
    """The same desk over another store."""
    there = Desk(house.desk.settings.model_copy(update={"database": url}), clock=house.desk.clock, actor="chen.yu")
    there.keyring = house.desk.keyring
    return there


def some_debtor(house: Any) -> tuple[int, set[int]]:
    """A debtor and all their accounts."""
    with house.desk.database.read() as connection:
        rows = bulk.read(connection, select(ACCOUNTS.c.account_id, ACCOUNTS.c.debtor_id))
    debtor = int(rows["debtor_id"].iloc[20])
    return debtor, set(rows.loc[rows["debtor_id"] == debtor, "account_id"])


@ON_SQLITE
def test_a_backup_is_sealed_sound_and_restores_what_there_was(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    sealed = house.desk.settings.backups_path / f"{made.name}.store.age"
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert b"SQLite format" not in sealed.read_bytes()
    checked = backups.check(house.desk, made.name)
    assert (checked.ok, checked.identities, checked.unreadable) == (True, len(raw), 0)
    done = backups.restore(house.desk, made.name, elsewhere(house, "again"))
    assert (done.identities, done.forgotten, done.lost) == (len(raw), 0, 0)
    there = at_store(house, elsewhere(house, "again"))
    assert accounts_with_identity(there) == accounts_with_identity(house.desk)
    with there.database.read() as connection:
        assert audit.verify(connection, house.desk.keyring.audit_publics().values()).ok
    there.database.close()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_store_is_dumped_and_restored(
    house: Any, raw: pd.DataFrame, postgres_cluster: Any, needs: Any
) -> None:
    import psycopg

    needs("pg_dump")
    house.take(raw)
    made = backups.make(house.desk)
    assert backups.check(house.desk, made.name).ok
    name = f"restored_{secrets.token_hex(4)}"
    admin = postgres_cluster.url("postgres").replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        debtor, accounts = some_debtor(house)
        shredding.erase_debtor(house.desk, debtor, WHY)
        done = backups.restore(house.desk, made.name, postgres_cluster.url(name))
        assert done.forgotten == len(accounts)
        with pytest.raises(UsageError, match="not empty"):
            backups.restore(house.desk, made.name, postgres_cluster.url(name))
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            # not by force: it is refused while a connection of a restore, done or refused, is open
            connection.execute(f'DROP DATABASE "{name}"')


@ON_SQLITE
def test_who_was_erased_since_is_forgotten_again_by_restoring(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    debtor, accounts = some_debtor(house)
    erased = shredding.erase_debtor(house.desk, debtor, WHY)
    checked = backups.check(house.desk, made.name)
    assert (checked.ok, checked.unreadable) == (True, erased.accounts + erased.resealed)
    done = backups.restore(house.desk, made.name, elsewhere(house, "again"))
    assert (done.forgotten, done.lost) == (erased.accounts, erased.resealed)
    there = at_store(house, elsewhere(house, "again"))
    with there.database.read() as connection:
        mine = select(ACCOUNTS.c.status).where(ACCOUNTS.c.account_id.in_(accounts))
        assert set(connection.execute(mine).scalars()) == {"erased"}
    assert not accounts & accounts_with_identity(there)
    there.database.close()


@ON_SQLITE
def test_it_is_forgotten_again_though_store_and_keyring_are_both_old(house: Any, raw: pd.DataFrame) -> None:
    """The machine is lost: what is left are the backups' folder, and a copy of the keyring that somebody took."""
    house.take(raw)
    made = backups.make(house.desk)
    old = house.folder.parent / "old.json"
    shutil.copy(house.desk.settings.keyring_path, old)
    debtor, _ = some_debtor(house)
    erased = shredding.erase_debtor(house.desk, debtor, WHY)
    house.desk.database.close()
    Path(house.desk.database.url.database).unlink()
    shutil.copy(old, house.desk.settings.keyring_path)
    fresh = Desk(house.desk.settings, clock=house.desk.clock, actor="chen.yu")
    done = backups.restore(fresh, made.name, elsewhere(house, "again"))
    assert (done.forgotten, done.lost) == (erased.accounts, erased.resealed)
    assert any(one.destroyed for one in fresh.keyring.entries() if one.purpose == "data")
    fresh.database.close()


@ON_SQLITE
def test_a_key_that_comes_back_with_an_older_keyring_is_destroyed_again(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    old = house.folder.parent / "old.json"
    shutil.copy(house.desk.settings.keyring_path, old)
    with house.desk.database.read() as connection:
        debtor, accounts = some_debtor(house)
        key = connection.execute(
            select(IDENTITIES.c.data_key_id).where(IDENTITIES.c.account_id == min(accounts))
        ).scalar_one()
    shredding.erase_debtor(house.desk, debtor, WHY)
    shutil.copy(old, house.desk.settings.keyring_path)
    house.desk.keyring = Keyring.open(house.desk.settings.keyring_path, key_file=house.desk.settings.key_file_path)
    assert house.desk.keyring.data_key(str(key)).key_id == key
    shredding.finish(house.desk)
    with pytest.raises(KeyDestroyed):
        house.desk.keyring.data_key(str(key))


@ON_SQLITE
def test_the_copy_of_the_keyring_holds_no_key_that_was_destroyed(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    backups.make(house.desk)
    debtor, _ = some_debtor(house)
    shredding.erase_debtor(house.desk, debtor, WHY)
    copy = Keyring.open(keycopies.copy_path(house.desk), key_file=house.desk.settings.key_file_path)
    assert copy.entries() == house.desk.keyring.entries()
    assert [one.destroyed for one in copy.entries() if one.purpose == "data"].count(True) >= 1


@ON_SQLITE
def test_a_backup_that_was_altered_is_neither_sound_nor_restored(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    sealed = house.desk.settings.backups_path / f"{made.name}.store.age"
    content = bytearray(sealed.read_bytes())
    content[-40] ^= 1
    sealed.write_bytes(content)
    assert not backups.check(house.desk, made.name).ok
    with pytest.raises(OpenRefused, match="altered"):
        backups.restore(house.desk, made.name, elsewhere(house, "again"))
    assert not Path(elsewhere(house, "again").removeprefix("sqlite:///")).exists()


@ON_SQLITE
@pytest.mark.parametrize("which", ["manifest", "list"])
def test_a_manifest_and_a_list_of_the_erased_that_nobody_signed_are_refused(
    house: Any, raw: pd.DataFrame, which: str
) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    folder = house.desk.settings.backups_path
    path = folder / (f"{made.name}.json" if which == "manifest" else keycopies.LIST)
    told = json.loads(path.read_text())
    if which == "manifest":
        told["manifest"]["events"] = "1:" + "0" * 64
    else:
        keys = sorted({entry.owner for entry in house.desk.keyring.entries() if entry.purpose == "data"})
        told["erased"] = json.dumps({"keys": keys, "accounts": []})
    path.write_text(json.dumps(told))
    with pytest.raises(OpenRefused, match="signed"):
        backups.restore(house.desk, made.name, elsewhere(house, "again"))


@ON_SQLITE
def test_a_backup_that_is_removed_opens_nowhere_any_more(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    taken = house.folder / "taken.age"
    shutil.copy(house.desk.settings.backups_path / f"{made.name}.store.age", taken)
    backups.remove(house.desk, made.name)
    assert backups.listed(house.desk) == []
    with pytest.raises(KeyDestroyed):
        house.desk.keyring.backup_identity(made.name)
    again = backups.make(house.desk)
    assert again.name != made.name, "a name is used once, so a key is"


@ON_SQLITE
def test_nothing_is_written_over_a_store(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    made = backups.make(house.desk)
    with pytest.raises(UsageError, match="already"):
        backups.restore(house.desk, made.name, house.desk.settings.database_url)
    with house.desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one() == len(raw)

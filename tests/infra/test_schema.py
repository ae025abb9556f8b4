"""The store's schema: made by migrations, the same on both databases, and append-only where it must be."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from infra.store import schema
from infra.store.database import Database
from models.errors import ConfigurationError
from models.tables import AuditEvent

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POSTED = (
    "INSERT INTO ledger_account VALUES ('1010', '1010', 'bank', 'bank', 'asset', 'default', '2026-01-01 00:00:00')",
    """INSERT INTO journal_entry VALUES
       (1, 'k', 'e', 'l', NULL, '2026-01-01', '2026-01', '2026-01-01', '2026-01-01 00:00:00', 1, NULL)""",
    "INSERT INTO journal_line VALUES (1, 1, '1010', '1010', NULL, NULL, 'CNY', 0)",
    "INSERT INTO journal_batch VALUES (1, 1, 1, '2026-01-01 00:00:00')",
)
"""An entry that balances, and the seal on it."""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def test_an_empty_store_gets_the_newest_schema_and_keeps_it(database: Database) -> None:
    assert schema.current(database) is None
    assert schema.ensure(database) == schema.head()
    assert schema.ensure(database) == schema.current(database) == schema.head()


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    # after a change of models/tables: python -m infra.migrations.write initial (see its docstring)
    schema.ensure(database)
    with database.read() as connection:
        assert schema.differences(connection) == []


def test_two_processes_that_migrate_at_once_end_with_one_schema(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: schema.ensure(database), range(4))) == {schema.head()}


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real = schema.upgrade

    def breaks(connection: object) -> None:
        real(connection)  # type: ignore[arg-type]
        raise RuntimeError

    monkeypatch.setattr(schema, "upgrade", breaks)
    with pytest.raises(RuntimeError):
        schema.ensure(database)
    assert schema.current(database) is None
    monkeypatch.undo()
    assert schema.ensure(database) == schema.head()


def test_a_newer_store_is_refused(database: Database) -> None:
    schema.ensure(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999"):
        schema.ensure(database)


def test_tables_that_no_migration_made_are_refused(database: Database) -> None:
    SQLModel.metadata.create_all(database.engine)
    with pytest.raises(ConfigurationError, match="no migration"):
        schema.ensure(database)


@pytest.mark.parametrize("act", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("audit_event", "actor"), ("journal_entry", "event"), ("journal_line", "ledger"), ("journal_batch", "lines")],
)
def test_what_was_recorded_is_neither_changed_nor_deleted(
    database: Database, table: str, column: str, act: str
) -> None:
    schema.ensure(database)
    with database.session() as session:
        session.add(
            AuditEvent(seq=1, at=NOW, actor="a", action="b", subject="c", details="{}", previous_hash="0", hash="1")
        )
    with database.write() as connection:
        for statement in POSTED:
            connection.execute(text(statement))
    with pytest.raises(IntegrityError, match="append-only"), database.write() as connection:
        connection.execute(text(act.format(table=table, column=column)))


def test_down_and_up_again_is_the_same_schema(database: Database) -> None:
    from alembic import command

    schema.ensure(database)
    with database.write() as connection:
        command.downgrade(schema.config(connection), "base")
    with database.write() as connection:
        schema.upgrade(connection)
    with database.read() as connection:
        assert schema.differences(connection) == []

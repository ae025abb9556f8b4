"""The store's schema and its version: brought to the newest by Alembic, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text

from models.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from infra.store.database import Database

VERSION_TABLE = "alembic_version"
LOCK = 0x636F6E7369676E  # "consign"
"""The advisory lock under which one process alone migrates a PostgreSQL store."""


def ensure(database: Database) -> str:
    """Bring the store to the newest schema, and return its version; a store that has it is only asked.

    All or nothing, and safe from several processes at once. Raises ConfigurationError where the store is newer than
    this program, or was not made by migrations.
    """
    newest = head()
    if current(database) == newest:
        return newest
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        _refuse_strangers(connection, database)
        upgrade(connection)
    return newest


def current(database: Database) -> str | None:
    """The version that the store has; None where it has no schema yet."""
    with database.read() as connection:
        return version_of(connection)


@cache
def head() -> str:
    """The newest version that this program knows."""
    newest = _script().get_current_head()
    if newest is None:
        raise ConfigurationError("this installation has no migrations", fix="install Consign again")
    return newest


def is_known(version: str) -> bool:
    """Whether the version is one of this program's; a newer program's is not."""
    return any(revision.revision == version for revision in _script().walk_revisions())


def version_of(connection: Connection) -> str | None:
    """As `current`, inside the caller's transaction."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant
    return None if version is None else str(version)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the missing migrations inside the caller's transaction."""
    from alembic import command

    command.upgrade(config(connection), to)


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to make the store look like `models.tables`; empty where they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    import models.tables  # noqa: F401 - fills the metadata

    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings without an ini file; the connection is the one that migrations run on."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(files("infra") / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


@cache
def _script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config())


def _refuse_strangers(connection: Connection, database: Database) -> None:
    version = version_of(connection)
    where = database.url.render_as_string(hide_password=True)
    if version is None and inspect(connection).has_table("audit_event"):
        message = f"{where} has tables of Consign that no migration made"
        raise ConfigurationError(message, fix="name an empty database, or move this one away")
    if version is not None and not is_known(version):
        message = f"{where} has schema {version}, and this program knows none newer than {head()}"
        raise ConfigurationError(message, fix="install the Consign that wrote it, or a newer one")

"""What was deleted is gone from the store's files too, as far as a database lets itself be told so.

SQLite overwrites what it deletes (`secure_delete`), yet pages may keep old copies of cells that were moved: writing the
file anew leaves them out, and the log is cut to nothing. PostgreSQL keeps deleted rows in its pages until they are
written anew, and in its write-ahead log until that is recycled (docs/explanation/what-shredding-reaches.md).
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from infra.store.database import Database

REWRITTEN: Final = ("identity", "account", "debtor", "propensity_score")
"""Tables of PostgreSQL whose rows tell who somebody is."""
ATTEMPTS: Final = 3
_MEGABYTE: Final = 1 << 20


def megabytes(database: Database) -> float:
    """How large the store is."""
    if database.is_sqlite:
        path = Path(database.url.database or "")
        return path.stat().st_size / _MEGABYTE if path.is_file() else 0.0
    with database.read() as connection:
        return float(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()) / _MEGABYTE


def rewrite(database: Database, scratch: Path) -> bool:
    """Pages and log are written anew without what was deleted. False where somebody else was in the way.

    scratch: a private folder for what SQLite must put aside meanwhile: a copy of the store.
    """
    for _ in range(ATTEMPTS):
        try:
            return _sqlite(database, scratch) if database.is_sqlite else _postgresql(database)
        except DBAPIError:  # PostgreSQL's own vacuum was at the same table
            continue
    return False


def cut_log(database: Database) -> bool:
    """SQLite's log is empty; False where a reader needs it. PostgreSQL's is its own affair: True."""
    if not database.is_sqlite:
        return True
    with closing(database.engine.raw_connection()) as raw:
        return _cut(raw.cursor())


def _sqlite(database: Database, scratch: Path) -> bool:
    with closing(database.engine.raw_connection()) as raw:
        cursor: Any = raw.cursor()
        try:
            cursor.execute("PRAGMA temp_store_directory='{}'".format(str(scratch).replace("'", "''")))
            cursor.execute("PRAGMA temp_store=FILE")
            cursor.execute("VACUUM")
            return _cut(cursor)
        except raw.driver_connection.OperationalError:  # type: ignore[union-attr]  # sqlite3's connections have it
            return False
        finally:
            cursor.execute("PRAGMA temp_store=MEMORY")
            cursor.execute("PRAGMA temp_store_directory=''")


def _cut(cursor: Any) -> bool:
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(cursor.fetchone()[0]) == 0


def _postgresql(database: Database) -> bool:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (FULL) {', '.join(REWRITTEN)}"))
    return True

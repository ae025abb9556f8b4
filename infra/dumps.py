"""The store as one file, and a file as a store: SQLite by its own backup, PostgreSQL by pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.errors import ConfigurationError, ConsignError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.store.database import Database

PAGES: Final = 2_000
"""of SQLite's, copied between two looks at the progress"""
DEBIAN: Final = "/usr/lib/postgresql"
"""Where Debian keeps PostgreSQL's own programs, one folder per version."""
MIGRATIONS: Final = "alembic_version"


class DumpFailed(ConsignError):
    """The database's own program could not write or read a backup."""


def dump(database: Database, plain: Path, told: Callable[[float], None] = lambda _: None) -> None:
    """The store as it is at this moment, in one file. told: hears the share that is done, where anybody knows it.

    Others go on writing meanwhile.  Raises ConfigurationError without pg_dump, DumpFailed where it fails.
    """
    if database.is_sqlite:
        _copied(Path(database.url.database or ""), plain, told)
    else:
        _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={plain}")


def load(database: Database, plain: Path) -> None:
    """The store is what the file says. Raises UsageError where there is something already."""
    if database.is_sqlite:
        target = Path(database.url.database or "")
        if target.exists():
            raise UsageError(
                f"there is a file at {target} already", fix="name a new one: nothing is written over a store"
            )
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.close(descriptor)
        _copied(plain, target, lambda _: None)
        return
    from sqlalchemy import inspect

    if inspect(database.engine).get_table_names():
        raise UsageError("that database is not empty", fix="create one of its own: nothing is written over a store")
    into = f"--dbname={database.url.database}"
    _run(database, "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", into, str(plain))


def whole(plain: Path) -> bool:
    """Whether SQLite finds its own file in order."""
    with closing(sqlite3.connect(f"file:{plain}?mode=ro", uri=True)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def _copied(source: Path, target: Path, told: Callable[[float], None]) -> None:
    def progress(_status: int, remaining: int, total: int) -> None:
        told((total - remaining) / total if total else 1.0)

    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as here,
        closing(sqlite3.connect(target, isolation_level=None)) as there,
    ):
        here.execute("BEGIN")
        here.execute("SELECT count(*) FROM sqlite_master").fetchone()  # one moment for all pages, whoever writes
        here.backup(there, pages=PAGES, progress=progress)
        there.execute("PRAGMA journal_mode=DELETE")


def _run(database: Database, program: str, *arguments: str) -> None:
    url = database.url
    told = {
        "PGHOST": str(url.host or url.query.get("host") or ""), "PGPORT": str(url.port or ""),
        "PGUSER": str(url.username or ""), "PGPASSWORD": str(url.password or ""), "PGDATABASE": str(url.database or ""),
    }  # fmt: skip
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    done = subprocess.run(
        [_found(program), "--no-password", *arguments],
        env=environment | {name: value for name, value in told.items() if value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DumpFailed(f"{program} failed: {last[:200]}", fix="see that it is of the server's version, or newer")


def _found(program: str) -> str:
    places = [os.environ.get("PATH", ""), *(str(folder) for folder in sorted(Path(DEBIAN).glob("*/bin"), reverse=True))]
    found = shutil.which(program, path=os.pathsep.join(places))
    if found is None:
        raise ConfigurationError(f"{program} is not installed", fix="install PostgreSQL's client programs")
    return found

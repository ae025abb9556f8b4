"""The store's engine: SQLite in WAL mode by default, PostgreSQL by one setting."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS = 120.0  # a bulk write of a million rows holds SQLite's one write lock for some seconds
WRITE_CACHE_KB, READ_CACHE_KB = 16_384, 4_096
"""SQLite's page cache, per connection."""

LOOKED_AT = 1_000
"""Rows of each index, for SQLite's planner."""
PASSING = ("55P03", "40P01", "40001")
"""PostgreSQL: a lock not had in time, a deadlock, a transaction that another one got before."""


class StoreBusy(ConsignError):
    """Somebody else held the store for longer than we wait; nothing of the transaction has happened."""

    retryable = True


class Database:
    """Opens transactions: `read()` sees a snapshot, `write()` takes the write lock at once and keeps all or nothing."""

    def __init__(self, url: str, *, durable: bool = True, wait_seconds: float = BUSY_SECONDS) -> None:
        self.durable = durable
        self.wait_seconds = wait_seconds
        # psycopg 3 is the driver that has COPY; a plain postgresql:// URL means it too
        parsed = make_url(url)
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed

    @property
    def is_sqlite(self) -> bool:
        """True for the embedded default."""
        return self.url.get_backend_name() == "sqlite"

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, made on first use."""
        if not self.is_sqlite:
            return create_engine(
                self.url,
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                pool_timeout=self.wait_seconds,
                connect_args=self._bounded(),
            )
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(self.url, connect_args={"timeout": self.wait_seconds, "check_same_thread": False})
        event.listen(
            engine, "connect", partial(_prepare_sqlite, durable=self.durable, busy_ms=int(self.wait_seconds * 1000))
        )
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _bounded(self) -> dict[str, Any]:
        """PostgreSQL's own waits, which have no end by default: to log in, for a lock, for a server that is gone."""
        given = dict(self.url.query)
        options = str(given.get("options", ""))
        return {
            "connect_timeout": given.get("connect_timeout", max(2, int(self.wait_seconds))),
            "tcp_user_timeout": given.get("tcp_user_timeout", int(self.wait_seconds * 1000)),
            "options": f"-c lock_timeout={int(self.wait_seconds * 1000)} {options}".strip(),
        }

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one snapshot and changes nothing. Raises StoreBusy."""
        with _said_busy(), self.engine.connect() as connection:
            if not self.is_sqlite:  # where each statement would see a snapshot of its own
                connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: everything in the block happens, or nothing. Raises StoreBusy."""
        with (
            _said_busy(),
            self.engine.connect().execution_options(consign_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def session(self) -> Iterator[Session]:
        """An ORM session inside one write transaction, for single rows (never for a portfolio)."""
        with self.write() as connection, Session(connection, expire_on_commit=False) as session:
            yield session
            session.flush()

    def look_at_tables(self) -> None:
        """The planner learns how the tables are filled now, from so many rows of each index: less than a second.

        Without that SQLite may choose an index by which a list of breaks takes twice as long, and one of its drawers
        twenty times. PostgreSQL sees to it by itself.
        """
        if self.is_sqlite:
            with self.write() as connection:
                connection.exec_driver_sql(f"PRAGMA analysis_limit = {LOOKED_AT}")
                connection.exec_driver_sql("ANALYZE")

    def close(self) -> None:
        """Give back every connection."""
        if "engine" in self.__dict__:
            self.engine.dispose()


@contextmanager
def _said_busy() -> Iterator[None]:
    """A wait for the store that came to its limit is StoreBusy; the driver's own error would hold what was written."""
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        known = getattr(getattr(error, "orig", None), "sqlstate", None) in PASSING
        if not (known or isinstance(error, PoolTimeout) or "is locked" in str(getattr(error, "orig", ""))):
            raise
    else:
        return
    message = "the store was held by another worker for longer than `database_wait`"
    raise StoreBusy(message, fix="run it again: nothing is done twice; see what holds the store, if it stays so")


def _prepare_sqlite(connection: Any, _record: Any, *, durable: bool, busy_ms: int) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" below speaks for itself
    cursor = connection.cursor()
    for pragma in (
        "page_size=16384",  # of a new store: a million rows take a fifth less time than with 4096
        "journal_mode=WAL",
        f"synchronous={'FULL' if durable else 'NORMAL'}",  # FULL: a commit that was reported survives a power cut
        f"busy_timeout={busy_ms}",
        "foreign_keys=ON",
        "secure_delete=ON",  # erased identities leave no bytes in free pages
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("consign_write", False)
    # a bulk write visits its indexes in no order; readers go through tables once, and several of them at a time
    connection.exec_driver_sql(f"PRAGMA cache_size=-{WRITE_CACHE_KB if writing else READ_CACHE_KB}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

"""The audit trail's rows: appended one after the other, read in order, their heads signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, text

from infra.store.bulk import read, read_chunks, table_of
from models.tables import AuditEvent, AuditHead, Transmission

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection, Row

EVENTS = table_of(AuditEvent)
HEADS = table_of(AuditHead)
SENT = table_of(Transmission)
LOCK = 0x6175646974  # "audit"
CHUNK_ROWS = 100_000


def hold(connection: Connection) -> None:
    """Nobody else appends until this transaction ends. SQLite's write transactions are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def newest(connection: Connection) -> tuple[int, str] | None:
    """The last event's number and hash; None where nothing happened yet."""
    row = connection.execute(select(EVENTS.c.seq, EVENTS.c.hash).order_by(EVENTS.c.seq.desc()).limit(1)).first()
    return None if row is None else (row.seq, row.hash)


def append(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """The events stand at the end of the trail."""
    connection.execute(insert(EVENTS), rows)


def append_head(connection: Connection, row: Mapping[str, Any]) -> None:
    """The signed head is kept."""
    connection.execute(insert(HEADS), [dict(row)])


def signed(connection: Connection, seq: int) -> bool:
    """Whether there is a signed head of that event."""
    return connection.execute(select(HEADS.c.seq).where(HEADS.c.seq == seq)).first() is not None


def newest_signed(connection: Connection) -> Row[Any] | None:
    """The last signed head; None where none was signed yet."""
    return connection.execute(select(HEADS).order_by(HEADS.c.seq.desc()).limit(1)).first()


def events(connection: Connection, rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
    """Every event in order, in frames of at most `rows`."""
    return read_chunks(connection, select(EVENTS).order_by(EVENTS.c.seq), rows=rows)


def latest(connection: Connection, rows: int, subject: str | None = None) -> pd.DataFrame:
    """The last `rows` events, newest first, of one subject if it is named."""
    statement = select(EVENTS).order_by(EVENTS.c.seq.desc()).limit(rows)
    return read(connection, statement if subject is None else statement.where(EVENTS.c.subject == subject))


def heads(connection: Connection) -> pd.DataFrame:
    """Every signed head, in order."""
    return read(connection, select(HEADS).order_by(HEADS.c.seq))


def heads_sent(connection: Connection) -> pd.DataFrame:
    """Which head each transmission carried out of the house: columns `name`, `audit_head`."""
    return read(
        connection,
        select(SENT.c.name, SENT.c.audit_head).where(SENT.c.audit_head.is_not(None)).order_by(SENT.c.transmission_id),
    )

"""The audit trail's rows: appended one after the other, read in order, their heads signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text

from infra.store.bulk import read, read_chunks, table_of
from models.merkle import Completed, peaks_of
from models.tables import AuditEvent, AuditHead, AuditNode, Transmission

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection, Row

EVENTS = table_of(AuditEvent)
HEADS = table_of(AuditHead)
NODES = table_of(AuditNode)
SENT = table_of(Transmission)
LOCK = 0x6175646974  # "audit"
CHUNK_ROWS = 100_000
KEPT_LEVEL = 8
"""Subtrees of fewer than 2**8 events are computed from them: what is kept is small beside what it is of."""
GUARDED = ("audit_event", "audit_head", "audit_node")
BEFORE_EVERY_CHANGE = 2 | 8 | 16 | 32
"""PostgreSQL's tgtype: before, delete, update, truncate; not for each row."""
REFUSING = (
    "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END"
)


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


def head_at(connection: Connection, seq: int) -> Row[Any] | None:
    """The signed head of that event; None where it was not signed."""
    return connection.execute(select(HEADS).where(HEADS.c.seq == seq)).first()


def newest_signed(connection: Connection) -> Row[Any] | None:
    """The last signed head; None where none was signed yet."""
    return connection.execute(select(HEADS).order_by(HEADS.c.seq.desc()).limit(1)).first()


def event(connection: Connection, seq: int) -> Row[Any] | None:
    """That event; None where nothing happened yet that has the number."""
    return connection.execute(select(EVENTS).where(EVENTS.c.seq == seq)).one_or_none()


def events(
    connection: Connection, rows: int = CHUNK_ROWS, *, after: int = 0, until: int | None = None
) -> Iterator[pd.DataFrame]:
    """Every event in order, in frames of at most `rows`; those alone that come after the one, until the other."""
    statement = select(EVENTS).order_by(EVENTS.c.seq)
    if after:
        statement = statement.where(EVENTS.c.seq > after)
    return read_chunks(connection, statement if until is None else statement.where(EVENTS.c.seq <= until), rows=rows)


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


# -- the tree over the events ------------------------------------------------------------------------------------------


def append_nodes(connection: Connection, rows: Sequence[Completed]) -> None:
    """The complete subtrees are kept, those of KEPT_LEVEL and above: one for every 128 events or so."""
    cells = [
        {"level": row.level, "position": row.first + at, "hash": one.hex()}
        for row in rows
        if row.level >= KEPT_LEVEL
        for at, one in enumerate(row.hashes)
    ]
    if cells:
        connection.execute(insert(NODES), cells)


def kept_until(connection: Connection) -> int:
    """How many events the kept subtrees cover: a multiple of 2**KEPT_LEVEL."""
    last = connection.execute(select(func.max(NODES.c.position)).where(NODES.c.level == KEPT_LEVEL)).scalar()
    return 0 if last is None else (int(last) + 1) << KEPT_LEVEL


def node_at(connection: Connection, level: int, position: int) -> bytes | None:
    """The kept subtree; None where there is none."""
    found = connection.execute(
        select(NODES.c.hash).where(NODES.c.level == level, NODES.c.position == position)
    ).scalar_one_or_none()
    return None if found is None else bytes.fromhex(found)


def nodes(connection: Connection) -> dict[tuple[int, int], str]:
    """Every kept subtree, by level and position."""
    frame = read(connection, select(NODES))
    return dict(
        zip(zip(frame["level"].tolist(), frame["position"].tolist(), strict=True), frame["hash"].tolist(), strict=True)
    )


def peaks(connection: Connection, size: int) -> dict[int, bytes]:
    """By level: the kept subtrees that a tree of this size, a multiple of 2**KEPT_LEVEL, waits with.

    Raises LookupError where one of them is gone.
    """
    found = {level: node_at(connection, level, position) for level, position in peaks_of(size)}
    if None in found.values():
        message = f"the tree over the events has lost a part below event {size}"
        raise LookupError(message)
    return {level: one for level, one in found.items() if one is not None}


# -- what guards it ----------------------------------------------------------------------------------------------------


def unguarded(connection: Connection) -> list[str]:
    """Which of the trail's tables can be changed or emptied, for their trigger is gone, off, or another."""
    guarded = _guarded_in_sqlite if connection.dialect.name == "sqlite" else _guarded_in_postgresql
    return [name for name in GUARDED if not guarded(connection, name)]


def _guarded_in_sqlite(connection: Connection, table: str) -> bool:
    found = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"), {"table": table}
    )
    texts = {row.name: " ".join(row.sql.split()) for row in found}
    return all(
        texts.get(f"{table}_refuses_{act.lower()}")
        == f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for act in ("UPDATE", "DELETE")
    )


def _guarded_in_postgresql(connection: Connection, table: str) -> bool:
    """The trigger is on, for update, delete and truncate of a whole statement, and its function raises."""
    found = connection.execute(
        text(
            "SELECT t.tgenabled, t.tgtype, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE t.tgrelid = to_regclass(:table) AND t.tgname = :name"
        ),
        {"table": table, "name": f"{table}_append_only"},
    ).first()
    if found is None:
        return False
    body = " ".join(found.prosrc.split())
    return found.tgenabled in {"O", "A"} and found.tgtype == BEFORE_EVERY_CHANGE and body == REFUSING

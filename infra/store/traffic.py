"""What went to the agencies and what came, file by file, and how the agencies stand: for people to page through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from infra.store import bulk, exchange, keyset
from infra.store.keyset import Order
from models.errors import UsageError
from models.tables import Circuit, ExchangeException, InboundReject

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from infra.store.keyset import Page

CIRCUITS = bulk.table_of(Circuit)
EXCEPTIONS = bulk.table_of(ExchangeException)
FILES = exchange.FILES
REJECTS = bulk.table_of(InboundReject)
SENT = exchange.TRANSMISSIONS

SENT_COLUMNS: Final = (
    "transmission_id", "lender", "agency", "kind", "sequence", "name", "state", "prepared_on", "rows", "control_minor",
    "currency", "sealed_size", "sealed_at", "intent_at", "delivered_at", "acknowledged_at", "attempts", "last_error",
)  # fmt: skip
CAME_COLUMNS: Final = (
    "file_id", "agency", "lender", "name", "kind", "sequence", "state", "rows", "rows_refused", "sums", "sealed_size",
    "refusal_code", "refusal_fix", "finding", "received_at", "accepted_at", "receipt_transmission_id",
)  # fmt: skip


def agencies(connection: Connection) -> list[dict[str, Any]]:
    """Every agency by code: its row, what its server's circuit says, and how many exceptions of it are open."""
    table = exchange.AGENCIES
    waiting = (
        select(EXCEPTIONS.c.agency, func.count().label("exceptions"))
        .where(EXCEPTIONS.c.state != "resolved", EXCEPTIONS.c.agency.is_not(None))
        .group_by(EXCEPTIONS.c.agency)
        .subquery()
    )
    statement = (
        select(
            table.c.agency, table.c.name, table.c.state, table.c.suite, table.c.layout, table.c.channels,
            table.c.remits, table.c.capacity_accounts, table.c.term_days,
            func.coalesce(CIRCUITS.c.state, "closed").label("circuit"), CIRCUITS.c.retry_at,
            func.coalesce(waiting.c.exceptions, 0).label("exceptions"),
        )
        .outerjoin(CIRCUITS, CIRCUITS.c.agency == table.c.agency)
        .outerjoin(waiting, waiting.c.agency == table.c.agency)
        .order_by(table.c.agency)
    )  # fmt: skip
    return [dict(row) for row in connection.execute(statement).mappings()]


def held(connection: Connection) -> dict[str, int]:
    """How many accounts each agency has now. Reads an index of all placements: remember what it says."""
    place = exchange.PLACEMENTS.c
    counted = select(place.agency, func.count().label("accounts"))
    found = connection.execute(
        counted.where(place.state.in_(exchange.AT_AGENCY)).group_by(place.lender, place.agency, place.state)
    )
    totals: dict[str, int] = {}
    for row in found:
        totals[row.agency] = totals.get(row.agency, 0) + row.accounts
    return totals


def sent(connection: Connection, agency: str = "", kind: str = "", state: str = "", after: str | None = None) -> Page:
    """Files for the agencies, the newest first."""
    statement = select(*(SENT.c[name] for name in SENT_COLUMNS))
    for column, value in ((SENT.c.agency, agency), (SENT.c.kind, kind), (SENT.c.state, state)):
        if value:
            statement = statement.where(column == value)
    return keyset.page(connection, statement, Order((SENT.c.transmission_id,), falling=True), after)


def came(connection: Connection, agency: str = "", kind: str = "", state: str = "", after: str | None = None) -> Page:
    """Files from the agencies, the newest first."""
    statement = select(*(FILES.c[name] for name in CAME_COLUMNS))
    for column, value in ((FILES.c.agency, agency), (FILES.c.kind, kind), (FILES.c.state, state)):
        if value:
            statement = statement.where(column == value)
    return keyset.page(connection, statement, Order((FILES.c.file_id,), falling=True), after)


def kinds(connection: Connection, *, inbound: bool) -> list[str]:
    """The kinds of files that there are, in order."""
    column = FILES.c.kind if inbound else SENT.c.kind
    return sorted(kind for kind in connection.execute(select(column).distinct()).scalars() if kind)


def one_sent(connection: Connection, transmission_id: int) -> dict[str, Any]:
    """One file for an agency, with its keys and hashes, and the files of the agency that answered it. UsageError."""
    row = connection.execute(select(SENT).where(SENT.c.transmission_id == transmission_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"there is no transmission {transmission_id}", fix="look for it among the exchanges")
    told = keyset.aware(dict(row))
    return told | {"spec": json.loads(told["spec"]), "key_ids": json.loads(told["key_ids"] or "{}")}


def one_came(connection: Connection, file_id: int) -> dict[str, Any]:
    """One file from an agency, with its sums by currency. Raises UsageError."""
    row = connection.execute(select(FILES).where(FILES.c.file_id == file_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"there is no file {file_id}", fix="look for it among the exchanges")
    told = keyset.aware(dict(row))
    return told | {"sums": json.loads(told["sums"] or "{}")}


def rejects(connection: Connection, file_id: int, after: str | None = None) -> Page:
    """Why lines of a file were refused, in their order: place, code and what to do; never the value."""
    statement = select(
        REJECTS.c.reject_id, REJECTS.c.table_name, REJECTS.c.line, REJECTS.c.column, REJECTS.c.code, REJECTS.c.fix
    ).where(REJECTS.c.file_id == file_id)
    return keyset.page(connection, statement, Order((REJECTS.c.reject_id,)), after)


def timeline(row: dict[str, Any]) -> list[tuple[str, datetime | None]]:
    """A file's stations with when each was reached: of one that went, or of one that came."""
    if "transmission_id" in row:
        return [(step, row[f"{step}_at"]) for step in ("sealed", "delivered", "acknowledged")]
    end = "refused" if row["state"] == "refused" else "accepted"
    return [("received", row["received_at"]), (end, row["accepted_at"])]

"""How many rows there are by state: what monitoring asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, select

from infra.store import bulk
from models.tables import (
    Agency,
    Break,
    ExchangeException,
    InboundFile,
    Job,
    PaymentRun,
    Placement,
    Plan,
    Portfolio,
    Transmission,
)

if TYPE_CHECKING:
    from sqlalchemy import Table

COUNTED: Final[dict[str, Table]] = {
    "agencies": bulk.table_of(Agency),
    "portfolios": bulk.table_of(Portfolio),
    "plans": bulk.table_of(Plan),
    "placements": bulk.table_of(Placement),
    "transmissions": bulk.table_of(Transmission),
    "inbound_files": bulk.table_of(InboundFile),
    "exceptions": bulk.table_of(ExchangeException),
    "breaks": bulk.table_of(Break),
    "payment_runs": bulk.table_of(PaymentRun),
    "jobs": bulk.table_of(Job),
}
"""Tables with a state, by what their rows are called."""


def by_state(connection: Connection) -> dict[str, dict[str, int]]:
    """Per kind of row: how many are in which state."""
    return {
        kind: {
            str(state): int(count)
            for state, count in connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
        }
        for kind, table in COUNTED.items()
    }

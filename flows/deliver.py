"""Deliver: send whatever waits: receipts, statements, and what an earlier run could not deliver."""

from __future__ import annotations

from flows.engine import Schedule, verb
from flows.exchange import Exchanged, each, send
from infra import outbox
from infra.store import exchange
from infra.wiring import desk


@verb(schedule=Schedule("*/10 * * * *"))
def deliver(agency: str | None = None) -> Exchanged:
    """Seal and deliver everything that waits for the agency (or for every agency); safe to run again.

    An agency that is named is tried though its server has not answered of late.
    """
    at = desk()
    outbox.sweep(at)
    outbox.let_go(at)
    with at.database.read() as connection:
        agencies = (
            [exchange.agency(connection, agency).agency] if agency else exchange.agencies_with_pending(connection)
        )
    return each(send, agencies, 0.0, agency is not None)

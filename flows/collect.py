"""Collect: take in what the agencies left, and answer every file with a receipt."""

from __future__ import annotations

from flows.engine import Schedule, verb
from flows.exchange import Exchanged, each, take_in
from infra import outbox
from infra.store import exchange
from infra.wiring import desk


@verb(schedule=Schedule("*/15 * * * *"))
def collect(agency: str | None = None) -> Exchanged:
    """Take in every file that the agency (or every agency) has left; safe to run again.

    An agency that is named is tried though its server has not answered of late.
    """
    at = desk()
    outbox.sweep(at)
    with at.database.read() as connection:
        agencies = [exchange.agency(connection, agency).agency] if agency else exchange.agencies(connection)
    return each(take_in, agencies, agency is not None)

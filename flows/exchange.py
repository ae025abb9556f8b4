"""The steps that every exchanging verb shares: send what waits for an agency, take in what it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from flows.engine import step
from infra import inbound, outbox
from infra.store import exchange
from infra.wiring import desk


@dataclass(frozen=True)
class Exchanged:
    """Files and rows that moved."""

    sealed: int = 0
    delivered: int = 0
    presumed: int = 0
    rows_sent: int = 0
    accepted: int = 0
    refused: int = 0
    duplicates: int = 0
    lines: int = 0
    lines_refused: int = 0
    ignored: int = 0
    """names in a drop that were left where they are: links, hostile names, files too large"""


@step
def send(agency: str) -> dict[str, int]:
    """Everything that waits for the agency is sealed and delivered."""
    sent = outbox.send(desk(), agency)
    return {"sealed": sent.sealed, "delivered": sent.delivered, "presumed": sent.presumed, "rows_sent": sent.rows}


@step
def take_in(agency: str) -> dict[str, int]:
    """Everything that the agency left is accepted or refused, and the receipts are on their way."""
    taken = inbound.collect(desk(), agency)
    sent = outbox.send(desk(), agency)
    return {
        "accepted": taken.accepted,
        "refused": taken.refused,
        "duplicates": taken.duplicates,
        "lines": taken.lines,
        "lines_refused": taken.lines_refused,
        "ignored": taken.ignored,
        "sealed": sent.sealed,
        "delivered": sent.delivered,
        "presumed": sent.presumed,
        "rows_sent": sent.rows,
    }


def exchanged(parts: Iterable[dict[str, int]]) -> Exchanged:
    """The sum of what the agencies' steps did."""
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return Exchanged(**total)


def suffix_for(connection: Connection) -> Callable[[str], str]:
    """The ending of files sealed for an agency, by its code."""
    return lambda agency: outbox.suffix_of(exchange.agency(connection, agency).suite)

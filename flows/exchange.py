"""The steps that every exchanging verb shares: send what waits for an agency, take in what it left.

One agency's dead server is its own business: every agency has its turn, and then it is said which of them failed and
what was done with the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Connection

from flows.engine import Step, step
from infra import breaker, certification, inbound, outbox, packing
from infra.store import exchange
from infra.wiring import desk
from infra.workers import AgencyBusy, LeaseLost
from models.errors import ConsignError

Report = TypeVar("Report")


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
    busy: int = 0
    """agencies that another worker was at: it does what there is to do"""
    waiting: int = 0
    """agencies whose server has not answered of late; it is asked again by itself (infra/breaker.py)"""


class AgenciesFailed(ConsignError):
    """Some agencies could not be served; the others were, and `report` says what was done with them."""

    def __init__(self, failed: Mapping[str, ConsignError], served: int, report: Any) -> None:
        names = ", ".join(f"{code} ({type(error).__name__})" for code, error in sorted(failed.items()))
        first = min(failed.items())
        super().__init__(
            f"{len(failed)} of {len(failed) + served} agencies failed: {names}; the rest is done. "
            f"{first[0]}: {first[1]}",
            fix=first[1].fix or "run it again when the agency answers: nothing is sent or taken twice",
        )
        self.failed = dict(failed)
        self.served = served
        self.report = report
        worst = max(failed.values(), key=lambda error: (not error.retryable, error.exit_code))
        self.exit_code = worst.exit_code  # type: ignore[misc] # of this error, not of every one
        self.retryable = all(error.retryable for error in failed.values())  # type: ignore[misc]

    def reporting(self, report: Any) -> AgenciesFailed:
        """The same failure, with the report of the verb that met it."""
        return AgenciesFailed(self.failed, self.served, report)


@dataclass
class Tally:
    """What the agencies' steps did, and which of them failed; steps on several threads add to it."""

    done: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: dict[str, ConsignError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, agency: str, did: dict[str, int] | None, error: ConsignError | None = None) -> None:
        """The agency had its turn."""
        with self._lock:
            if error is not None:
                self.failed[agency] = error
            else:
                self.done[agency] = did or {}


@step(waits=True)
def send(agency: str, tally: Tally | None = None, wait_seconds: float = 0.0, insist: bool = False) -> dict[str, int]:
    """Everything that waits for the agency is sealed and delivered; with `insist` even where its circuit is open."""
    return _counted(agency, tally, lambda: _sent(agency, wait_seconds), insist=insist)


@step(waits=True)
def take_in(agency: str, tally: Tally | None = None, insist: bool = False) -> dict[str, int]:
    """Everything that the agency left is accepted or refused, and the receipts are on their way."""
    return _counted(agency, tally, lambda: _taken_in(agency), insist=insist)


def _counted(agency: str, tally: Tally | None, act: Callable[[], dict[str, int]], *, insist: bool) -> dict[str, int]:
    try:
        did = act() if breaker.admitted(desk(), agency, insist=insist) else {"waiting": 1}
    except ConsignError as error:
        if tally is not None:
            tally.add(agency, None, error)
        raise
    if tally is not None:
        tally.add(agency, did)
    return did


def _sent(agency: str, wait_seconds: float) -> dict[str, int]:
    try:
        sent = outbox.send(desk(), agency, wait_seconds)
    except (AgencyBusy, LeaseLost):
        return {"busy": 1}
    return {"sealed": sent.sealed, "delivered": sent.delivered, "presumed": sent.presumed, "rows_sent": sent.rows}


def _taken_in(agency: str) -> dict[str, int]:
    try:
        taken = inbound.collect(desk(), agency, certification.not_of_a_run(desk(), agency))
    except (AgencyBusy, LeaseLost):
        return {"busy": 1}
    sent = _sent(agency, 0.0)
    certification.go_on(desk(), agency)  # last: what goes amiss there holds up nothing that is real
    return {
        "accepted": taken.accepted,
        "refused": taken.refused,
        "duplicates": taken.duplicates,
        "lines": taken.lines,
        "lines_refused": taken.lines_refused,
        "ignored": taken.ignored,
        **{name: number for name, number in sent.items() if name != "busy"},
    }


def each(over: Step[..., dict[str, int]], agencies: Sequence[str], *more: Any) -> Exchanged:
    """Every agency has its turn, those whose server failed of late in the end; the sum of what was done.

    Raises AgenciesFailed where some agencies failed, and the error itself where one alone was to be served.
    """
    tally = Tally()
    with desk().database.read() as connection:
        agencies = breaker.healthy_first(connection, agencies)
    try:
        over.map(agencies, tally, *more)
    except ConsignError as error:
        if not tally.failed or len(agencies) == 1:
            raise
        raise AgenciesFailed(tally.failed, len(tally.done), exchanged(tally.done.values())) from error
    return exchanged(tally.done.values())


def reported(act: Callable[[], Exchanged], report: Callable[[Exchanged], Report]) -> Report:
    """What the verb reports of the act. Where agencies failed, AgenciesFailed carries that report on."""
    try:
        return report(act())
    except AgenciesFailed as failed:
        raise failed.reporting(report(failed.report)) from failed


def send_pending() -> Exchanged:
    """Everything that waits for any agency is sent; another worker at the same agency is waited for."""
    with desk().database.read() as connection:
        waiting = exchange.agencies_with_pending(connection)
    return each(send, waiting, desk().settings.busy_wait)


def exchanged(parts: Iterable[dict[str, int]]) -> Exchanged:
    """The sum of what the agencies' steps did."""
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return Exchanged(**total)


def suffix_for(connection: Connection) -> Callable[[str], str]:
    """The ending of files sealed for an agency, by its code."""
    return lambda agency: packing.suffix_of(exchange.agency(connection, agency).suite)


def days(connection: Connection, lender: str | None) -> list[tuple[str, date]]:
    """The calendar day where each lender is, or that one. Raises ConfigurationError where there is no such lender."""
    if lender is not None:
        return [(lender, desk().today(exchange.lender_timezone(connection, lender)))]
    return [(code, desk().today(zone)) for code, zone in exchange.lenders(connection)]

"""Exchanges: what went to the agencies and what came, each file with its stations and why lines were refused."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from console.web import standings
from console.web.language import later
from console.web.pages import asked
from console.web.visits import Visiting, needs
from infra import jobs
from infra.store import browsing, traffic

router = APIRouter()

TABS: Final = {"sent": later("Sent"), "came": later("Received")}


@router.get("/exchanges", dependencies=[needs("agencies.see")])
def every(
    visit: Visiting, tab: str = "sent", agency: str = "", kind: str = "", state: str = "", after: str = ""
) -> Response:
    """Files to the agencies, or from them, the newest first."""
    inbound = asked.one_of(tab, TABS) == "came"
    with visit.desk.database.read() as connection:
        page = (traffic.came if inbound else traffic.sent)(connection, agency, kind, state, after)
        agencies, kinds = browsing.agencies(connection), traffic.kinds(connection, inbound=inbound)
    return visit.page(
        "agencies/exchanges.html", page=page, tab=tab, tabs=TABS, agency=agency, kind=kind, state=state, after=after,
        agencies=agencies, kinds=kinds, states=standings.CAME if inbound else standings.SENT,
    )  # fmt: skip


@router.get("/exchanges/sent/{transmission_id}", dependencies=[needs("agencies.see")])
def sent(visit: Visiting, transmission_id: int) -> Response:
    """One file for an agency: its stations, its hashes, the keys it was sealed with."""
    with visit.desk.database.read() as connection:
        row = traffic.one_sent(connection, transmission_id)
        agencies = browsing.agencies(connection)
    return visit.page(
        "agencies/sent.html", row=row, agencies=agencies, states=standings.SENT, timeline=traffic.timeline(row)
    )


@router.get("/exchanges/came/{file_id}", dependencies=[needs("agencies.see")])
def came(visit: Visiting, file_id: int, after: str = "") -> Response:
    """One file from an agency: its stations, and the lines that were refused."""
    with visit.desk.database.read() as connection:
        row = traffic.one_came(connection, file_id)
        page = traffic.rejects(connection, file_id, after)
        agencies = browsing.agencies(connection)
    return visit.page(
        "agencies/came.html", row=row, page=page, after=after, agencies=agencies, states=standings.CAME,
        timeline=traffic.timeline(row),
    )  # fmt: skip


@router.post("/exchanges/deliver", dependencies=[needs("agencies.change")])
def deliver(visit: Visiting) -> Response:
    """A job sends whatever waits."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'deliver', {})}")


@router.post("/exchanges/collect", dependencies=[needs("agencies.change")])
def collect(visit: Visiting) -> Response:
    """A job takes in what the agencies left."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'collect', {})}")

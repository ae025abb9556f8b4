"""Agencies: how they stand, what was agreed, how they are reached, whose keys count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.language import later
from console.web.pages import asked
from console.web.pages.agency_tabs import READERS
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from infra import (
    breaker,
    certificates,
    contracts,
    expiry,
    hostkeys,
    onboarding,
    rotation,
)
from infra.store import browsing, exchange, traffic
from models.errors import ConsignError, UsageError
from models.lives import AGENCY
from models.release import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.visits import Visit

router = APIRouter()

TABS: Final = {
    "contracts": later("Contracts"),
    "reach": later("Endpoint"),
    "keys": later("Keys"),
    "certification": later("Certification"),
    "evidence": later("Evidence"),
    "layout": later("Layout"),
    "files": later("Files"),
}
MOVES: Final = {
    "certified": later("Mark as certified"),
    "live": later("Activate"),
    "suspended": later("Suspend"),
    "closed": later("Close for good"),
}
SUITES: Final = ("age", "openpgp")


@router.get("/agencies", dependencies=[needs("agencies.see")])
def every(visit: Visiting) -> Response:
    """Every agency with its state, how full it is, its certificate and its server."""
    return _every(visit)


def _every(visit: Visit, *, error: ConsignError | None = None, status: int = 200) -> Response:
    with visit.desk.database.read() as connection:
        rows = traffic.agencies(connection)
        standing = certificates.standings(connection, visit.desk, [row["agency"] for row in rows])
    for row in rows:
        row["certificate"] = standing[row["agency"]]
    return visit.page(
        "agencies/agencies.html", status=status, rows=rows, held=_held(visit), states=standings.AGENCY, error=error,
        certificates=standings.CERTIFICATE, circuits=standings.CIRCUIT, suites=SUITES, channels=CHANNELS,
    )  # fmt: skip


def _held(visit: Visit) -> dict[str, int]:
    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return traffic.held(connection)

    return FIGURES.count(visit.desk, "held", count, dict[str, int]).value


@router.post("/agencies", dependencies=[needs("agencies.change")])
def add(
    visit: Visiting,
    code: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    suite: Annotated[str, Form()] = "age",
    channels: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI makes a new one for each form
    capacity: Annotated[str, Form()] = "",
) -> Response:
    """One more agency, as a prospect."""
    try:
        if not name.strip() or not channels:
            raise UsageError(visit.say("An agency has a name and a mandate."), fix=visit.say("Give both."))
        onboarding.add(
            visit.desk, code.strip(), name.strip(), suite=asked.one_of(suite, SUITES), channels=",".join(channels),
            capacity_accounts=asked.number(capacity),
        )  # fmt: skip
    except ConsignError as error:
        return _every(visit, error=error, status=status_of(error))
    return visit.go(f"/agencies/{code.strip()}", visit.say("Added. Next: how it is reached, its keys, its contract."))


@router.get("/agencies/{code}", dependencies=[needs("agencies.see")])
def one(visit: Visiting, code: str, tab: str = "contracts") -> Response:
    """One agency."""
    return page_of(visit, code, asked.one_of(tab, TABS))


def page_of(
    visit: Visit, code: str, tab: str, *, error: ConsignError | None = None, status: int = 200, **more: Any
) -> Response:
    """The agency's page at that tab; `more` is told beside what the tab tells."""
    desk = visit.desk
    with desk.database.read() as connection:
        row = exchange.agency(connection, code)
        standing = certificates.standing(connection, desk, code)
        circuit = breaker.circuits(connection, code)[0]
        lenders = browsing.lenders(connection)
    moves = {to: said for to, said in MOVES.items() if to in AGENCY[row.state]}
    return visit.page(
        "agencies/agency.html", status=status, row=row, standing=standing, circuit=circuit, lenders=lenders, tab=tab,
        tabs=TABS, held=_held(visit).get(code, 0), error=error, moves=moves,
        states=standings.AGENCY, certificates=standings.CERTIFICATE, circuits=standings.CIRCUIT, keys=standings.KEY,
        sent=standings.SENT, came=standings.CAME, steps=standings.STEP, runs=standings.RUN, due=standings.DUE,
        told=READERS[tab](visit, code) | dict(more),
    )  # fmt: skip


# -- what is done about an agency --------------------------------------------------------------------------------------


def acted(visit: Visit, code: str, tab: str, act: Callable[[], object], told: str) -> Response:
    """The act is done, or the page says why not."""
    try:
        act()
    except ConsignError as error:
        return page_of(visit, code, tab, error=error, status=status_of(error))
    return visit.go(f"/agencies/{code}?tab={tab}", told)


@router.post("/agencies/{code}/state", dependencies=[needs("agencies.change")])
def become(visit: Visiting, code: str, to: Annotated[str, Form()] = "") -> Response:
    """The agency moves on in its life: activated, suspended, closed."""
    return acted(
        visit, code, "contracts", lambda: onboarding.become(visit.desk, code, asked.one_of(to, MOVES)),
        visit.say("The agency's state has changed."),
    )  # fmt: skip


@router.post("/agencies/{code}/circuit", dependencies=[needs("agencies.change")])
def reset(visit: Visiting, code: str) -> Response:
    """The agency's server is asked again at the next run."""
    return acted(
        visit, code, "reach", lambda: breaker.reset(visit.desk, code), visit.say("Its server is asked at the next run.")
    )


@router.post("/agencies/{code}/host-keys/approve", dependencies=[needs("agencies.keys_approve")])
def approve_host_key(visit: Visiting, code: str, fingerprint: Annotated[str, Form()] = "") -> Response:
    """A second person has compared a host key's fingerprint with the agency, and typed what it read out."""
    return acted(
        visit, code, "reach", lambda: hostkeys.approve(visit.desk, code, fingerprint.strip()),
        visit.say("The host key is pinned."),
    )  # fmt: skip


@router.post("/agencies/{code}/keys/{request_id}/approve", dependencies=[needs("agencies.keys_approve")])
def approve_keys(
    visit: Visiting,
    code: str,
    request_id: int,
    encrypt: Annotated[str, Form()] = "",
    verify: Annotated[str, Form()] = "",
) -> Response:
    """A second person types both fingerprints as the agency read them out."""
    return acted(
        visit, code, "keys",
        lambda: rotation.approve(visit.desk, code, request_id, encrypt=encrypt.strip(), verify=verify.strip()),
        visit.say("The keys are pinned."),
    )  # fmt: skip


@router.post("/agencies/{code}/keys/{request_id}/withdraw", dependencies=[needs("agencies.keys")])
def withdraw_keys(visit: Visiting, code: str, request_id: int) -> Response:
    """Nothing comes of the request."""
    return acted(visit, code, "keys", lambda: rotation.withdraw(visit.desk, code, request_id), visit.say("Withdrawn."))


@router.post("/agencies/{code}/keys/revoke", dependencies=[needs("agencies.keys")])
def revoke_key(visit: Visiting, code: str, generation: Annotated[str, Form()] = "") -> Response:
    """A key of the agency counts no more, at once."""
    return acted(
        visit, code, "keys", lambda: rotation.revoke(visit.desk, code, generation), visit.say("The key is revoked.")
    )


@router.post("/agencies/{code}/contracts/{proposal_id}/approve", dependencies=[needs("contracts.approve")])
def approve_contract(visit: Visiting, code: str, proposal_id: int) -> Response:
    """The proposed terms are in force from their day on."""
    return acted(
        visit, code, "contracts", lambda: contracts.approve(visit.desk, proposal_id), visit.say("The terms are agreed.")
    )


@router.post("/agencies/{code}/contracts/{proposal_id}/withdraw", dependencies=[needs("contracts.change")])
def withdraw_contract(visit: Visiting, code: str, proposal_id: int) -> Response:
    """Nothing comes of the proposal."""
    return acted(visit, code, "contracts", lambda: contracts.withdraw(visit.desk, proposal_id), visit.say("Withdrawn."))


@router.post("/agencies/{code}/contracts", dependencies=[needs("contracts.change")])
def propose_contract(
    visit: Visiting,
    code: str,
    lender: Annotated[str, Form()] = "",
    effective_from: Annotated[str, Form()] = "",
    terms: Annotated[str, Form()] = "",
    why: Annotated[str, Form()] = "",
) -> Response:
    """Terms are put up; where the agency holds accounts they wait for a second person."""

    def act() -> None:
        day = asked.day(effective_from)
        if day is None:
            raise UsageError(visit.say("From which day on?"), fix=visit.say("Give the first day in force."))
        contracts.propose(visit.desk, code, lender, terms.replace("\r\n", "\n"), day, why)

    return acted(visit, code, "contracts", act, visit.say("The terms are put up."))


# -- keys of everybody -------------------------------------------------------------------------------------------------


@router.get("/keys", dependencies=[needs("agencies.see")])
def keys(visit: Visiting) -> Response:
    """What ends soon, our own pairs, and the sealing keys of every agency."""
    desk = visit.desk
    with desk.database.read() as connection:
        agencies = browsing.agencies(connection)
    rows = [row | {"agency": code} for code in agencies for row in rotation.listed(desk, code)]
    ours = [line for line in desk.keyring.inventory(desk.now()) if line["purpose"] == "own"]
    return visit.page(
        "agencies/keys.html", endings=expiry.endings(desk), rows=rows, agencies=agencies, keys=standings.KEY,
        ours=ours[::-1], suites=SUITES, overlap=desk.settings.key_overlap_days, days=desk.settings.own_key_days,
    )  # fmt: skip

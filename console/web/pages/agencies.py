"""Agencies: how they stand, what was agreed, how they are reached, whose keys count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from infra import (
    breaker,
    certificates,
    certification,
    contracts,
    credentials,
    diligence,
    expiry,
    hostkeys,
    onboarding,
    rotation,
)
from infra.store import browsing, exchange, traffic
from infra.store import contracts as agreed
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
    "files": later("Files"),
}
MOVES: Final = {
    "certified": later("Mark as certified"),
    "live": later("Activate"),
    "suspended": later("Suspend"),
    "closed": later("Close for good"),
}
SUITES: Final = ("age", "openpgp")
TOLD_OF_A_DROP: Final = ("kind", "host", "port", "username", "root", "to_agency", "from_agency")


@router.get("/agencies", dependencies=[needs("agencies.see")])
def every(visit: Visiting) -> Response:
    """Every agency with its state, how full it is, its certificate and its server."""
    return _every(visit)


def _every(visit: Visit, *, error: ConsignError | None = None, status: int = 200) -> Response:
    with visit.desk.database.read() as connection:
        rows = traffic.agencies(connection)
        for row in rows:
            row["certificate"] = certificates.standing(connection, visit.desk, row["agency"])
    return visit.page(
        "agencies/agencies.html", status=status, rows=rows, held=_held(visit), states=standings.AGENCY, error=error,
        certificates=standings.CERTIFICATE, circuits=standings.CIRCUIT, suites=SUITES, channels=CHANNELS,
    )  # fmt: skip


def _held(visit: Visit) -> dict[str, int]:
    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return traffic.held(connection)

    return FIGURES.count(visit.desk, "held", count).value


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
    return _one(visit, code, asked.one_of(tab, TABS))


def _one(visit: Visit, code: str, tab: str, *, error: ConsignError | None = None, status: int = 200) -> Response:
    desk = visit.desk
    with desk.database.read() as connection:
        row = exchange.agency(connection, code)
        standing = certificates.standing(connection, desk, code)
        circuit = breaker.circuits(connection, code).to_dict("records")[0]
        lenders = browsing.lenders(connection)
    moves = {to: said for to, said in MOVES.items() if to in AGENCY[row.state]}
    return visit.page(
        "agencies/agency.html", status=status, row=row, standing=standing, circuit=circuit, lenders=lenders, tab=tab,
        tabs=TABS, held=_held(visit).get(code, 0), error=error, moves=moves,
        states=standings.AGENCY, certificates=standings.CERTIFICATE, circuits=standings.CIRCUIT, keys=standings.KEY,
        sent=standings.SENT, came=standings.CAME, told=_READERS[tab](visit, code),
    )  # fmt: skip


def _contracts(visit: Visit, code: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        rows = records(agreed.listed(connection, None, code))
        waiting = [row for row in records(agreed.proposals(connection)) if row["agency"] == code]
    today = visit.desk.today()
    for row in rows:
        row["from"], row["until"] = row["effective_from"].date(), _day(row["until"])
        row["now"] = row["from"] <= today and (row["until"] is None or today <= row["until"])
    for row in waiting:
        row["from"] = row["effective_from"].date()
    return {"contracts": rows[::-1], "proposals": waiting}


def _day(value: Any) -> Any:
    return None if value is None else value.date()


def _reach(visit: Visit, code: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        row = exchange.agency(connection, code)
    drop = json.loads(row.drop)
    return {
        "drop": {name: drop[name] for name in TOLD_OF_A_DROP if name in drop},
        "host_keys": hostkeys.listed(visit.desk, code),
        "credentials": [vars(one) for one in credentials.listed(visit.desk, code)],
        "probe": json.loads(row.probe or "{}"),
        "probed_at": row.probed_at,
    }


def _keys(visit: Visit, code: str) -> dict[str, Any]:
    return {"keys": rotation.listed(visit.desk, code)}


def _certification(visit: Visit, code: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        evidence = records(diligence.listed(connection, code))
    try:
        run, steps = certification.status(visit.desk, code)
    except UsageError:
        return {"run": None, "steps": [], "evidence": evidence}
    return {"run": run, "steps": records(steps), "evidence": evidence}


def _files(visit: Visit, code: str) -> dict[str, Any]:
    with visit.desk.database.read() as connection:
        return {"sent": traffic.sent(connection, code).rows[:20], "came": traffic.came(connection, code).rows[:20]}


_READERS: Final = {
    "contracts": _contracts, "reach": _reach, "keys": _keys, "certification": _certification, "files": _files,
}  # fmt: skip


# -- what is done about an agency --------------------------------------------------------------------------------------


def _done(visit: Visit, code: str, tab: str, act: Callable[[], object], told: str) -> Response:
    """The act is done, or the page says why not."""
    try:
        act()
    except ConsignError as error:
        return _one(visit, code, tab, error=error, status=status_of(error))
    return visit.go(f"/agencies/{code}?tab={tab}", told)


@router.post("/agencies/{code}/state", dependencies=[needs("agencies.change")])
def become(visit: Visiting, code: str, to: Annotated[str, Form()] = "") -> Response:
    """The agency moves on in its life: activated, suspended, closed."""
    return _done(
        visit, code, "contracts", lambda: onboarding.become(visit.desk, code, asked.one_of(to, MOVES)),
        visit.say("The agency's state has changed."),
    )  # fmt: skip


@router.post("/agencies/{code}/circuit", dependencies=[needs("agencies.change")])
def reset(visit: Visiting, code: str) -> Response:
    """The agency's server is asked again at the next run."""
    return _done(
        visit, code, "reach", lambda: breaker.reset(visit.desk, code), visit.say("Its server is asked at the next run.")
    )


@router.post("/agencies/{code}/host-keys/approve", dependencies=[needs("agencies.keys_approve")])
def approve_host_key(visit: Visiting, code: str, fingerprint: Annotated[str, Form()] = "") -> Response:
    """A second person has compared a host key's fingerprint with the agency, and typed what it read out."""
    return _done(
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
    return _done(
        visit, code, "keys",
        lambda: rotation.approve(visit.desk, code, request_id, encrypt=encrypt.strip(), verify=verify.strip()),
        visit.say("The keys are pinned."),
    )  # fmt: skip


@router.post("/agencies/{code}/keys/{request_id}/withdraw", dependencies=[needs("agencies.keys")])
def withdraw_keys(visit: Visiting, code: str, request_id: int) -> Response:
    """Nothing comes of the request."""
    return _done(visit, code, "keys", lambda: rotation.withdraw(visit.desk, code, request_id), visit.say("Withdrawn."))


@router.post("/agencies/{code}/keys/revoke", dependencies=[needs("agencies.keys")])
def revoke_key(visit: Visiting, code: str, generation: Annotated[str, Form()] = "") -> Response:
    """A key of the agency counts no more, at once."""
    return _done(
        visit, code, "keys", lambda: rotation.revoke(visit.desk, code, generation), visit.say("The key is revoked.")
    )


@router.post("/agencies/{code}/contracts/{proposal_id}/approve", dependencies=[needs("contracts.approve")])
def approve_contract(visit: Visiting, code: str, proposal_id: int) -> Response:
    """The proposed terms are in force from their day on."""
    return _done(
        visit, code, "contracts", lambda: contracts.approve(visit.desk, proposal_id), visit.say("The terms are agreed.")
    )


@router.post("/agencies/{code}/contracts/{proposal_id}/withdraw", dependencies=[needs("contracts.change")])
def withdraw_contract(visit: Visiting, code: str, proposal_id: int) -> Response:
    """Nothing comes of the proposal."""
    return _done(visit, code, "contracts", lambda: contracts.withdraw(visit.desk, proposal_id), visit.say("Withdrawn."))


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

    return _done(visit, code, "contracts", act, visit.say("The terms are put up."))


# -- keys of everybody -------------------------------------------------------------------------------------------------


@router.get("/keys", dependencies=[needs("agencies.see")])
def keys(visit: Visiting) -> Response:
    """What ends soon, and the sealing keys of every agency."""
    with visit.desk.database.read() as connection:
        agencies = browsing.agencies(connection)
    rows = [row | {"agency": code} for code in agencies for row in rotation.listed(visit.desk, code)]
    return visit.page(
        "agencies/keys.html", endings=expiry.endings(visit.desk), rows=rows, agencies=agencies, keys=standings.KEY
    )

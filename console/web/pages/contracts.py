"""Contracts: what was agreed with each agency, since when, how versions differ; what a month would cost otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, File, Form, Response, UploadFile

from console.web import agreed
from console.web.pages import asked
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from infra import comparisons, contracts, jobs
from infra.store import balances, browsing
from infra.store import contracts as store
from models.contract import Contract
from models.contract.writing import differences, instead, pairs
from models.errors import ConsignError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]
Upload = Annotated[UploadFile | None, File()]
LARGEST_BYTES: Final = 1 << 18
"""No contract that a person reviews is longer."""


@router.get("/contracts", dependencies=[needs("agencies.see")])
def every(visit: Visiting, lender: str = "", agency: str = "") -> Response:
    """The contracts in force today, and what waits for a second person."""
    with visit.desk.database.read() as connection:
        rows = store.listed(connection, lender or None, agency or None)
        waiting = [row for row in store.proposals(connection) if row["state"] == "waiting"]
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    today = visit.desk.today()
    shown = []
    for row in rows:
        begins, ends = row["effective_from"], row["until"]
        if ends is None or ends >= today:
            terms = agreed.parsed(row["terms"])
            rates = [agreed.percent(tier.rate) + ("…" if tier.steps else "") for tier in terms.tiers]
            shown.append(
                row
                | {
                    "begins": begins,
                    "ends": ends,
                    "contract": terms,
                    "rates": rates,
                    "vat": agreed.percent(terms.vat_rate),
                }
            )
    return visit.page(
        "agencies/contracts.html", rows=shown, waiting=waiting, lender=lender, agency=agency, lenders=lenders,
        agencies=agencies, today=today, values=agreed.VALUES,
    )  # fmt: skip


# -- what a month would cost -------------------------------------------------------------------------------------------


@router.get("/contracts/compare", dependencies=[needs("contracts.compare")])
def compare(visit: Visiting, lender: str = "", agency: str = "", period: str = "", cost: str = "") -> Response:
    """What a month would have cost under other terms: the question, and the answer once a job has it."""
    return _compared(visit, {"lender": lender, "agency": agency, "period": period}, cost)


def _compared(
    visit: Visit, given: dict[str, str], cost: str = "", problem: ConsignError | None = None
) -> Response:  # fmt: skip
    question = answer = job = None
    if cost:
        question = comparisons.question(visit.desk, cost)
        answer = comparisons.found(visit.desk, cost)
        job = None if answer else jobs.newest(visit.desk, "cost", {"question": cost})
        changes = "\n".join(f"{name}={value}" for name, value in question.changes.items())
        given = {"lender": question.lender, "agency": question.agency or "", "period": question.period,
                 "changes": changes}  # fmt: skip
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
        given["lender"] = given["lender"] or next(iter(lenders), "")
        months = balances.months(connection, given["lender"])[::-1]
    return visit.page(
        "agencies/comparison.html", lenders=lenders, agencies=agencies, months=months,
        given={"changes": "", **given}, question=question, answer=answer, job=job, cost=cost, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/contracts/compare", dependencies=[needs("contracts.compare")])
def ask(
    visit: Visiting, lender: Text = "", agency: Text = "", period: Text = "", changes: Text = "", file: Upload = None
) -> Response:
    """A job prices the month twice: as it was, and under the other terms."""
    try:
        terms = _read(file)
        question = comparisons.Question(lender, period, agency or None, terms, pairs(_lines(changes)))
        name = comparisons.ask(visit.desk, question)
    except ConsignError as problem:
        given = {"lender": lender, "agency": agency, "period": period, "changes": changes}
        return _compared(visit, given, problem=problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'cost', {'question': name})}")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read(file: UploadFile | None) -> str:
    """The terms of a file, checked; empty where none was chosen. Raises UsageError, ContractFault."""
    text = asked.text_of(file, LARGEST_BYTES, kind="contract")
    if text:
        Contract.parse(text)
    return text


# -- one contract ------------------------------------------------------------------------------------------------------


@router.get("/contracts/{lender}/{agency}", dependencies=[needs("agencies.see")])
def one(visit: Visiting, lender: str, agency: str, version: str = "", against: str = "") -> Response:
    """What was agreed between the two, version by version: in words, as it was written, and beside another version."""
    return _one(visit, lender, agency, asked.day(version), asked.day(against))


def _one(
    visit: Visit, lender: str, agency: str, version: date | None = None, against: date | None = None,
    problem: ConsignError | None = None, given: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    today = visit.desk.today()
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
        asked.one_of(lender, lenders)
        asked.one_of(agency, agencies)
        rows = store.listed(connection, lender, agency)[::-1]
        waiting = [
            row | {"terms": store.proposal(connection, row["proposal_id"]).terms}
            for row in store.proposals(connection, agency)
            if (row["lender"], row["state"]) == (lender, "waiting")
        ]
    versions = [row | {"begins": row["effective_from"], "ends": row["until"]} for row in rows]
    here = _version(versions, version or today)
    other = _version(versions, against) if against else None
    for row in waiting:
        row["begins"] = row["effective_from"]
        before = _version(versions, row["begins"])
        row["differences"] = _differing(before, row)
    return visit.page(
        "agencies/contract.html", lender=lender, agency=agency, lenders=lenders, agencies=agencies, versions=versions,
        here_is=here, other=other, contract=agreed.parsed(here["terms"]) if here else None, waiting=waiting,
        differences=_differing(other, here) if other and here else None, in_words=agreed.in_words, names=agreed.NAMES,
        tier_in_words=agreed.tier_in_words, today=today, problem=problem,
        given={"effective_from": "", "changes": "", "why": ""} | (given or {}),
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _version(versions: list[dict[str, Any]], day: date) -> dict[str, Any] | None:
    """The version in force on the day, the newest first; the first of all for days before it."""
    return next((row for row in versions if row["begins"] <= day), versions[-1] if versions else None)


def _differing(before: dict[str, Any] | None, after: dict[str, Any]) -> list[dict[str, Any]]:
    if before is None:
        return []
    return differences(agreed.parsed(before["terms"]), agreed.parsed(after["terms"]))


@router.post("/contracts/{lender}/{agency}", dependencies=[needs("contracts.change")])
def propose(
    visit: Visiting, lender: str, agency: str, effective_from: Text = "", changes: Text = "", why: Text = "",
    file: Upload = None,
) -> Response:  # fmt: skip
    """Terms are put up: those of a file, or those in force that day with some changed."""
    try:
        day = asked.day(effective_from)
        if day is None:
            raise UsageError(visit.say("From which day on?"), fix=visit.say("Give the first day in force."))
        terms, changed = _read(file), pairs(_lines(changes))
        if not terms and not changed:
            raise UsageError(visit.say("No terms are given."), fix=visit.say("Choose a file, or change a term."))
        if changed and not terms:
            with visit.desk.database.read() as connection:
                terms = str(store.one(connection, lender, agency, day).terms)
        number = contracts.propose(visit.desk, agency, lender, instead(terms, terms, changed), day, why)
    except ConsignError as problem:
        given = {"effective_from": effective_from, "changes": changes, "why": why}
        return _one(visit, lender, agency, problem=problem, given=given)
    said = visit.say("The terms are in force.") if number is None else visit.say("Put up: a second person must agree.")
    return visit.go(f"/contracts/{lender}/{agency}", said)


@router.post("/contracts/{lender}/{agency}/proposals/{proposal_id}/approve", dependencies=[needs("contracts.approve")])
def approve(visit: Visiting, lender: str, agency: str, proposal_id: int) -> Response:
    """The proposed terms are in force from their day on."""
    try:
        contracts.approve(visit.desk, proposal_id)
    except ConsignError as problem:
        return _one(visit, lender, agency, problem=problem)
    return visit.go(f"/contracts/{lender}/{agency}", visit.say("The terms are agreed."))


@router.post("/contracts/{lender}/{agency}/proposals/{proposal_id}/withdraw", dependencies=[needs("contracts.change")])
def withdraw(visit: Visiting, lender: str, agency: str, proposal_id: int) -> Response:
    """Nothing comes of the proposal."""
    try:
        contracts.withdraw(visit.desk, proposal_id)
    except ConsignError as problem:
        return _one(visit, lender, agency, problem=problem)
    return visit.go(f"/contracts/{lender}/{agency}", visit.say("Withdrawn."))

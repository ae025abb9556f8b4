"""Payments to agencies: what is due, runs that one person proposes and another approves, the file for the bank."""

from __future__ import annotations

from pathlib import Path as FilePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Path, Response

from console.web import terms
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.rendering import query
from console.web.sheets import download
from console.web.visits import Visit, Visiting, needs
from infra.payments import runs
from infra.store import browsing, money, worklist
from infra.store import payments as store
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Callable

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**62)]
Text = Annotated[str, Form()]
STATES: Final = {
    "proposed": later("To approve"),
    "approved": later("Approved"),
    "exported": later("With the bank"),
    "withdrawn": later("Withdrawn"),
}
FORMS: Final = {"pain001": ("xml", "application/xml"), "csv": ("csv", "text/csv")}


@router.get("/payments", dependencies=[needs("payments.see")])
def payments(visit: Visiting, state: str = "", lender: str = "", after: str = "") -> Response:
    """Runs in a state (or all), and what is due."""
    return _listed(visit, state, lender, after)


def _listed(visit: Visit, state: str, lender: str, after: str, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        lender = lender or next(iter(lenders), "")
        page = money.runs(connection, state=state, lender=lender, after=after or None)
        counts = money.run_states(connection)
        agencies = worklist.agencies(connection)
    due = runs.proposed(visit.desk, lender, visit.desk.today()) if lender else None
    told = [] if due is None else records(due)
    return visit.page(
        "finance/payments.html", status=status_of(problem) if problem else 200, problem=problem, page=page, due=told,
        state=state, lender=lender, lenders=lenders, agencies=agencies, states=STATES, counts=counts, terms=terms,
        first="/payments" + query(state=state, lender=lender) if after else "", today=visit.desk.today(),
        on="/payments" + query(state=state, lender=lender, after=page.after) if page.after else "",
    )  # fmt: skip


@router.post("/payments", dependencies=[needs("payments.change")])
def propose(
    visit: Visiting,
    lender: Text = "",
    currency: Text = "CNY",
    account: Text = "",
    bank: Text = "",
    on: Text = "",
    agency: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Everything that is due to the chosen agencies is proposed to be paid."""
    try:
        day = asked.day(on) or visit.desk.today()
        run_id = runs.propose(visit.desk, lender, currency, account.strip(), bank.strip() or None, day, agency)
    except ConsignError as problem:
        return _listed(visit, "", lender, "", problem)
    return visit.go(f"/payments/{run_id}", visit.say("Proposed: somebody else must agree."))


@router.get("/payments/{run_id}", dependencies=[needs("payments.see")])
def payment(visit: Visiting, run_id: Id) -> Response:
    """A run and each of its payments."""
    return _one(visit, run_id)


def _one(visit: Visit, run_id: int, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        run, items = store.run(connection, run_id), store.payments_of(connection, run_id)
        agencies = worklist.agencies(connection)
    return visit.page(
        "finance/payment.html", status=status_of(problem) if problem else 200, problem=problem, run=run, items=items,
        agencies=agencies, terms=terms, forms=FORMS,
        may_approve=visit.may("payments.approve") and visit.who.actor not in {run.proposed_by, run.approved_by},
    )  # fmt: skip


def _done(visit: Visit, run_id: int, act: Callable[[], str]) -> Response:
    try:
        told = act()
    except ConsignError as problem:
        return _one(visit, run_id, problem)
    return visit.go(f"/payments/{run_id}", told)


@router.post("/payments/{run_id}/approve", dependencies=[needs("payments.approve")])
def approve(visit: Visiting, run_id: Id) -> Response:
    """Another person than who proposed it agrees."""

    def act() -> str:
        state = runs.approve(visit.desk, run_id)
        return visit.say("Approved.") if state == "approved" else visit.say("Agreed: one more must.")

    return _done(visit, run_id, act)


@router.post("/payments/{run_id}/withdraw", dependencies=[needs("payments.change")])
def withdraw(visit: Visiting, run_id: Id) -> Response:
    """Nothing of the run is paid."""

    def act() -> str:
        runs.withdraw(visit.desk, run_id)
        return visit.say("Withdrawn: nothing is paid.")

    return _done(visit, run_id, act)


@router.post("/payments/{run_id}/export", dependencies=[needs("payments.change")])
def export(visit: Visiting, run_id: Id, form: Text = "pain001") -> Response:
    """The file for the bank; again it is the same bytes."""
    ending, kind = FORMS[asked.one_of(form, FORMS)]
    try:
        with TemporaryDirectory(dir=visit.desk.folder("uploads")) as folder:
            path = FilePath(folder) / f"run.{ending}"
            runs.export(visit.desk, run_id, form, path)
            content = path.read_bytes()
    except ConsignError as problem:
        return _one(visit, run_id, problem)
    return download(content, f"payment-run-{run_id}.{ending}", kind)

"""The books for another program: asked for as a file, written by a job, taken away here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Response
from fastapi.responses import FileResponse

from console.web.language import later
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from infra import jobs
from infra.books import taken
from infra.store import balances, browsing
from models.errors import ConsignError

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]
FORMATS: Final = {
    "xlsx": later("Excel"), "csv": later("CSV, a line per posting"), "hledger": "hledger, Ledger",
    "beancount": "Beancount",
}  # fmt: skip


@router.get("/ledger/exports", dependencies=[needs("ledger.export")])
def every(visit: Visiting, lender: str = "") -> Response:
    """The files that were written, the newest first; and how to ask for one."""
    return _shown(visit, lender)


def _shown(visit: Visit, lender: str = "", problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        chosen = lender if lender in lenders else next(iter(lenders), "")
        months = balances.months(connection, chosen)
    return visit.page(
        "finance/exports.html", files=taken.listed(visit.desk), lenders=lenders, lender=chosen, months=months,
        formats=FORMATS, problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/ledger/exports", dependencies=[needs("ledger.export")])
def ask(
    visit: Visiting, lender: Text = "", format: Text = "xlsx", since: Text = "", until: Text = "",  # noqa: A002 - the form's word
    by_account: Text = "",
) -> Response:  # fmt: skip
    """A job writes the books of these months."""
    wanted = taken.Wanted(lender, format, since, until, bool(by_account))
    try:
        taken.check(visit.desk, wanted)
    except ConsignError as problem:
        return _shown(visit, lender, problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'books', vars(wanted))}")


@router.get("/ledger/exports/{name}", dependencies=[needs("ledger.export")])
def take(visit: Visiting, name: str) -> Response:
    """One of the files."""
    path = taken.file(visit.desk, name)
    return FileResponse(
        path, filename=name, media_type="application/octet-stream", headers={"Cache-Control": "no-store"}
    )

"""Statements to agencies: what each month comes to, its files with their hashes, and whether the agency has it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Response

from console.web import terms
from console.web.frames import records
from console.web.rendering import query
from console.web.sheets import download
from console.web.visits import Visit, Visiting, needs
from infra import jobs
from infra.store import browsing, money, worklist
from infra.store import statements as store
from models.errors import Findings, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**62)]
Text = Annotated[str, Form()]
FORMS: Final = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}


class FileDiffers(Findings):
    """A statement's file is gone, or its bytes are not those that were stated."""


@router.get("/statements", dependencies=[needs("statements.see")])
def statements(visit: Visiting, lender: str = "", agency: str = "", period: str = "", after: str = "") -> Response:
    """All of them, the newest first."""
    with visit.desk.database.read() as connection:
        page = money.statements(connection, lender=lender, agency=agency, period=period, after=after or None)
        told: dict[str, Any] = {
            "agencies": worklist.agencies(connection), "lenders": browsing.lenders(connection),
            "periods": money.periods(connection),
        }  # fmt: skip
    here: dict[str, Any] = {"lender": lender, "agency": agency, "period": period}
    return visit.page(
        "finance/statements.html", page=page, **told, **here, terms=terms, after=after,
        first="/statements" + query(**here), on="/statements" + query(**here, after=page.after),
        last_month=last_month(visit),
    )  # fmt: skip


def last_month(visit: Visit) -> str:
    """The month before this one, where the lender is: `YYYY-MM`."""
    today = visit.desk.today()
    year, month = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
    return f"{year}-{month:02d}"


@router.post("/statements", dependencies=[needs("statements.change")])
def make(visit: Visiting, lender: Text = "", period: Text = "") -> Response:
    """The month is stated to every agency, as a job."""
    store.last_day(period)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'state', {'lender': lender, 'period': period})}")


@router.get("/statements/{statement_id}", dependencies=[needs("statements.see")])
def statement(visit: Visiting, statement_id: Id) -> Response:
    """One statement: from opening to closing balance, what it is made of, its files."""
    with visit.desk.database.read() as connection:
        row = store.one(connection, statement_id)
        made = store.account(connection, statement_id, row["period"])
        agencies = worklist.agencies(connection)
    frames = {name: records(getattr(made, name)) for name in ("by_rate", "adjustments", "late", "payments")}
    return visit.page("finance/statement.html", row=row, made=frames, agencies=agencies, forms=FORMS)


@router.get("/statements/{statement_id}/file", dependencies=[needs("statements.see")])
def file(visit: Visiting, statement_id: Id, form: str = "pdf") -> Response:
    """One of its files, with the very bytes that were stated. Raises FileDiffers where they are not."""
    if form not in FORMS:
        raise UsageError(f"no statement has a file {form!r}", fix=f"there are {', '.join(FORMS)}")
    with visit.desk.database.read() as connection:
        row = store.one(connection, statement_id)
    return stated_file(visit.desk, row, form)


def stated_file(desk: Desk, row: Mapping[str, Any], form: str) -> Response:
    """A statement's file in that form, with the very bytes that were stated. Raises FileDiffers."""
    path = desk.settings.home / row[f"{form}_path"]
    content = path.read_bytes() if row[f"{form}_path"] and path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != row["sha256" if form == "csv" else f"{form}_sha256"]:
        raise FileDiffers(
            f"the file of statement {row['statement_id']} is not what was stated",
            fix="state the month again: it is made anew",
        )
    return download(content, path.name, FORMS[form])

"""Recoveries line by line, with why each is where it is; what the bank's statements brought; the books in sum."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Response, UploadFile

from console.web import terms
from console.web.frames import records
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.uploading import SealedForms
from console.web.visits import Visit, Visiting, needs
from infra import bankaccounts, jobs, reidentification, uploads
from infra.store import balances, bankfiles, browsing, considered, money, worklist
from infra.store.statements import last_day
from models.errors import ConsignError, UsageError

router = APIRouter(route_class=SealedForms)

Text = Annotated[str, Form()]
TRIAL: Final = tuple[list[str], list[dict[str, Any]]]
"""Months, and rows of the trial balance."""


@router.get("/recoveries", dependencies=[needs("recoveries.see")])
def recoveries(
    visit: Visiting,
    state: str = "awaiting_cash",
    lender: str = "",
    agency: str = "",
    q: str = "",
    after: str = "",
    open: str = "",  # noqa: A002 - the word of the address
) -> Response:
    """Lines in one state, the newest first; beside them the one that is open, explained."""
    line = asked.number(open)
    with visit.desk.database.read() as connection:
        page = worklist.recoveries(
            connection, state, lender=lender, agency=agency, text=q.strip(),
            accounts=reidentification.accounts_named(visit.desk, q), after=after or None,
        )  # fmt: skip
        agencies = worklist.agencies(connection)
        told = considered.explained(connection, "line", line) if line is not None else None
    here: dict[str, Any] = {"state": state, "lender": lender, "agency": agency, "q": q}
    return visit.page(
        "finance/recoveries.html",
        page=page,
        agencies=agencies,
        terms=terms,
        told=told,
        **here,
        after=after,
        here_words=here,
    )


# -- the bank ----------------------------------------------------------------------------------------------------------


@router.get("/bank", dependencies=[needs("recoveries.see")])
def bank(visit: Visiting, lender: str = "", after: str = "") -> Response:
    """The accounts, the statements that were taken in, and what is missing between them."""
    return _bank(visit, lender, after)


def _bank(visit: Visit, lender: str, after: str, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        page = money.bank_statements(connection, lender=lender, after=after or None)
        gaps = [gap for gap in bankfiles.gaps(connection) if lender in {"", gap.lender}]
        accounts = bankaccounts.listed(connection, lender or None)
        lenders = browsing.lenders(connection)
    return visit.page(
        "finance/bank.html", status=status_of(problem) if problem else 200, problem=problem, page=page, gaps=gaps,
        accounts=[row | {"account": f"…{row['account'][-4:]}"} for row in accounts], lenders=lenders, lender=lender,
        layouts=bankaccounts.LAYOUTS.names(), first="/bank" + query(lender=lender) if after else "",
        on="/bank" + query(lender=lender, after=page.after) if page.after else "",
    )  # fmt: skip


@router.post("/bank", dependencies=[needs("bank.import")])
def take(
    visit: Visiting,
    file: UploadFile,
    lender: Text = "",
    layout: Text = "",
    account: Text = "",
    new_account: Text = "",
) -> Response:
    """The bank's file is taken into the books, as a job; until then it lies sealed, and an account's number with it."""
    given = {
        "lender": lender, "layout": layout, "account": bankaccounts.plain(account),
        "new_account": "1" if new_account else "",
    }  # fmt: skip
    try:
        upload = uploads.keep(visit.desk, file.file, file.filename or "", given)
    except UsageError as problem:
        return _bank(visit, lender, "", problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'bank', {'upload': upload})}")


@router.post("/bank/accounts", dependencies=[needs("bank.import")])
def register(
    visit: Visiting, number: Text = "", currency: Text = "", lender: Text = "", ledger: Text = "", layout: Text = ""
) -> Response:
    """Statements of the account are taken from now on."""
    try:
        bankaccounts.register(
            visit.desk, number, currency, lender, ledger=ledger.strip() or "1010", layout=layout or None
        )
    except ConsignError as problem:
        return _bank(visit, lender, "", problem)
    return visit.go("/bank", visit.say("The account is in the register."))


# -- the books ---------------------------------------------------------------------------------------------------------


@router.get("/ledger", dependencies=[needs("recoveries.see")])
def ledger(visit: Visiting, lender: str = "", period: str = "") -> Response:
    """The trial balance of a month, or of everything."""
    if period:
        last_day(period)
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        agencies = worklist.agencies(connection)
    lender = lender or next(iter(lenders), "")

    def summed() -> tuple[list[str], list[dict[str, Any]]]:
        with visit.desk.database.read() as connection:
            found = balances.trial_balance(connection, lender, period=period or None)
            return balances.months(connection, lender), records(found)

    figure = FIGURES.count(visit.desk, ("trial", lender, period), summed, TRIAL)
    months, rows = figure.value
    sums: dict[str, list[int]] = {}
    for row in rows:
        total = sums.setdefault(row["currency"], [0, 0, 0, 0])
        for place, name in enumerate(("opening_minor", "debit_minor", "credit_minor", "balance_minor")):
            total[place] += row[name]
    return visit.page(
        "finance/ledger.html", rows=rows, months=months[::-1], lender=lender, lenders=lenders, period=period,
        agencies=agencies, counted_at=figure.at, sums=sums,
    )  # fmt: skip


@router.post("/ledger/verify", dependencies=[needs("recoveries.see")])
def verify(visit: Visiting) -> Response:
    """A job checks every law of the books, and that closed months are what they were."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'verify_books', {})}")


@router.get("/ledger/entries", dependencies=[needs("recoveries.see")])
def entries(visit: Visiting, lender: str = "", agency: str = "", ledger: str = "", period: str = "") -> Response:
    """The newest entries behind a figure of the trial balance."""
    if period:
        last_day(period)
    with visit.desk.database.read() as connection:
        found = balances.entries(
            connection, lender=lender or None, agency=agency or None, ledger=ledger or None, period=period or None
        )
        agencies = worklist.agencies(connection)
    rows = records(found)
    return visit.page(
        "finance/entries.html", rows=rows, lender=lender, agency=agency, ledger=ledger, period=period, agencies=agencies
    )

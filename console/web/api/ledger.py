"""The books and what is paid, by program: balances, entries, what is due to agencies; and what is taken back."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.money import ResolutionShape
from console.web.api.shapes import Given, Listed, Number, Word
from console.web.frames import records
from infra import closing, resolving
from infra.payments import runs
from infra.store import balances
from infra.store import resolutions as resolution_rows

router = APIRouter(responses=PROBLEMS)

Month = Annotated[str, Query(pattern=r"^([0-9]{4}-(0[1-9]|1[0-2]))?$", description="as 2026-02; empty: all")]


class Balance(BaseModel):
    """One ledger of an agency's, or of none: what it opened with, what moved, what it stands at."""

    lender: str
    agency: str | None
    ledger: str
    code: str
    name: str
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int
    balance_minor: int


class EntryShape(BaseModel):
    """One entry, and what its lines that fit sum to."""

    entry_id: int
    entry_key: str
    event: str
    lender: str
    value_date: date
    period: str
    posted_on: date
    currency: str
    debit_minor: int
    credit_minor: int


class DueShape(BaseModel):
    """What is due to an agency, and whether it can be paid."""

    model_config = ConfigDict(extra="ignore")
    agency: str
    currency: str
    statement_id: int
    period: str
    closing_minor: int
    under_way_minor: int
    to_pay_minor: int
    why_not: str | None = Field(description="why it cannot be paid now")


class NewRun(Given):
    """What is to be paid from which account."""

    lender: Word
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    account: Word = Field(description="the lender's own, which is paid from")
    bank: Word | None = None
    on: date | None = Field(default=None, description="default today")
    agencies: list[Word] | None = Field(default=None, max_length=1_000, description="only these")


class RunNumber(BaseModel):
    """The run's number."""

    run_id: int


@router.get("/ledger", dependencies=[needs("recoveries.see")])
def list_balances(call: Calling, lender: Word, period: Month = "") -> Listed[Balance]:
    """The trial balance of a month, or of everything: all balances of a currency come to nothing."""
    with call.desk.database.read() as connection:
        found = balances.trial_balance(connection, lender, period=period or None)
    return Listed(items=[Balance(**row) for row in records(found)])


@router.get("/ledger/entries", dependencies=[needs("recoveries.see")])
def list_entries(
    call: Calling, lender: Word = "", agency: Word = "", ledger: Word = "", period: Month = "",
    account_id: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Listed[EntryShape]:  # fmt: skip
    """The newest hundred entries behind a figure of the trial balance, or of one account."""
    with call.desk.database.read() as connection:
        found = balances.entries(
            connection, lender=lender or None, agency=agency or None, ledger=ledger or None, period=period or None,
            account_id=account_id,
        )  # fmt: skip
    return Listed(items=[EntryShape(**row) for row in records(found)])


@router.get("/payments/due", dependencies=[needs("payments.see")])
def list_payments_due(call: Calling, lender: Word) -> Listed[DueShape]:
    """What a run would pay today."""
    return Listed(items=[DueShape(**row) for row in records(runs.proposed(call.desk, lender, call.desk.today()))])


@router.post("/payment-runs", dependencies=[needs("payments.change")], status_code=201)
def propose_payment_run(call: Calling, given: NewRun) -> RunNumber:
    """Everything that is due to agencies in the currency waits for somebody else."""
    day = given.on or call.desk.today()
    return RunNumber(run_id=runs.propose(
        call.desk, given.lender, given.currency, given.account.strip(), given.bank, day, given.agencies
    ))  # fmt: skip


@router.post("/reopenings/{reopening_id}/withdraw", dependencies=[needs("closing.change")], status_code=204)
def withdraw_reopening(call: Calling, reopening_id: Number) -> None:
    """Nothing comes of the request: the month stays closed."""
    closing.withdraw_reopening(call.desk, reopening_id)


@router.post("/resolutions/{resolution_id}/withdraw", dependencies=[needs("breaks.work")])
def withdraw_resolution(call: Calling, resolution_id: Number) -> ResolutionShape:  # type: ignore[valid-type]
    """Whoever proposed it takes it back."""
    resolving.withdraw(call.desk, resolution_id)
    with call.desk.database.read() as connection:
        return resolution_rows.one(connection, resolution_id)

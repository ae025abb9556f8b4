"""What comes in, as a part of the API: lenders, portfolios handed in and checked first, holds, banks' statements."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import BaseModel, Field

from console.web import handed
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from console.web.uploading import SealedForms
from flows.holds import lift_hold, place_hold
from flows.lenders import add_lender
from infra import bankaccounts, jobs, profiles, uploads
from infra.store import browsing, money, portfolios
from infra.wiring import seated_here
from models.kinds import HOLD_REASONS
from models.tables import BankStatement, Hold, IntakeReject, Job, Lender

if TYPE_CHECKING:
    from infra.wiring import Desk

router = APIRouter(responses=PROBLEMS, route_class=SealedForms)

LenderShape = of_table("Lender", Lender, only={"lender", "name", "country", "timezone"})
RejectShape = of_table("PortfolioRefusedLine", IntakeReject, only={"reject_id", "line", "field", "code", "fix"})
HoldShape = of_table("Hold", Hold, lender=(str, ...))
StatementShape = of_table("BankStatement", BankStatement, but={"sha256", "sequence"})
JobShape = of_table("AskedJob", Job, only={"job_id", "verb", "state", "actor", "asked_at"})


class NewLender(Given):
    """A lender; the same again changes nothing."""

    lender: Word
    name: Text = Field(min_length=1)
    country: str = Field(default="CN", pattern="^[A-Z]{2}$")
    timezone: Word = "Asia/Shanghai"


class Profile(BaseModel):
    """How the columns of a portfolio are read."""

    profile: str
    version: int
    about: str
    columns: list[str] = Field(description="what the file must have")


class Checked(BaseModel):
    """A portfolio that was handed in, and how far it is."""

    upload: str
    state: Literal["checking", "checked", "refused", "importing", "imported", "failed"]
    error: str = ""
    fix: str = ""
    rows_read: int | None = None
    accepted: int | None = None
    refused: int | None = None
    new: int | None = None
    already: bool | None = Field(default=None, description="this very file is in")
    portfolio_id: int | None = None
    found: dict[str, dict[str, int]] = Field(default={}, description="lines by outcome and code")
    columns: list[str] = Field(default=[], description="the file's header, once it proved to be one")


class Finding(BaseModel):
    """Why a line is refused or doubted; never its value."""

    line: int
    field: str
    code: str
    fix: str
    outcome: str


class NewHold(Given):
    """Who is put on hold: the debtor behind an account's number, which is looked up and kept nowhere."""

    lender: Word
    account: Word = Field(min_length=1, description="the lender's own number")
    reason: Literal[tuple(HOLD_REASONS)]  # type: ignore[valid-type]  # the reasons there are
    until: date | None = None
    account_only: bool = False


class HoldMade(BaseModel):
    """The hold, and whether it is new."""

    hold_id: int
    reason: str
    until: date | None
    changed: bool


class BankAccountShape(BaseModel):
    """An account in the register, by its end."""

    account: str
    currency: str
    lender: str
    ledger: str
    layout: str | None


class NewBankAccount(Given):
    """An account of a lender's."""

    account: Word
    currency: str = Field(pattern="^[A-Z]{3}$")
    lender: Word
    ledger: Word = "1010"
    layout: Word | None = None


Share = Annotated[str, Form(max_length=20, description="share of refused lines that is let pass, 0 to 1")]
FormWord = Annotated[str, Form(max_length=200)]


# -- lenders and portfolios --------------------------------------------------------------------------------------------


@router.get("/lenders", dependencies=[needs("portfolios.see")])
def list_lenders(call: Calling) -> Listed[LenderShape]:  # type: ignore[valid-type]
    """The lenders, by code."""
    with call.desk.database.read() as connection:
        return Listed(items=portfolios.lender_rows(connection))


@router.post("/lenders", dependencies=[needs("lenders.change")], status_code=201)
def make_lender(call: Calling, given: NewLender) -> LenderShape:  # type: ignore[valid-type]
    """The lender is there."""
    with seated_here(call.desk):
        add_lender(given.lender, given.name, given.country, given.timezone)
    return given.model_dump()


@router.get("/portfolio-profiles", dependencies=[needs("portfolios.import")])
def list_portfolio_profiles(call: Calling) -> Listed[Profile]:
    """The mapping profiles that come with Consign, and the house's own."""
    with seated_here(call.desk):
        loaded = [profiles.find(name) for name in profiles.SHELF.names()]
    return Listed(
        items=[
            Profile(profile=one.name, version=one.version, about=one.about, columns=list(one.needed)) for one in loaded
        ]
    )


@router.post("/portfolio-uploads", dependencies=[needs("portfolios.import")], status_code=202)
def hand_portfolio_in(
    call: Calling,
    file: Annotated[UploadFile, File(description=f"{', '.join(handed.KINDS)}")],
    lender: FormWord,
    profile: FormWord,
    as_of: Annotated[date, Form()],
    threshold: Share = "0",
) -> Checked:
    """The file lies sealed, for an hour at most, and a job checks it; nothing comes in."""
    given = {"lender": lender, "profile": profile, "as_of": as_of.isoformat(), "threshold": threshold}
    return _checked(call.desk, handed.handed_in(call.desk, file, given))


@router.get("/portfolio-uploads/{upload}", dependencies=[needs("portfolios.import")])
def get_portfolio_upload(call: Calling, upload: Word) -> Checked:
    """What would come in and what would not; after the import, what did."""
    return _checked(call.desk, upload)


@router.get("/portfolio-uploads/{upload}/findings", dependencies=[needs("portfolios.import")])
def list_portfolio_findings(
    call: Calling, upload: Word, code: Word = "", after: Annotated[str, Query(pattern=r"^\d{0,9}$")] = ""
) -> Listed[Finding]:
    """Why lines would be refused, in their order."""
    handed.jobs_of(call.desk, upload)
    handed.mine(call.desk, upload)
    begin = int(after or 0)
    rows = handed.found_in(call.desk, upload, code, begin)
    more = str(begin + len(rows)) if len(rows) == handed.SHOWN else None
    return Listed(items=[Finding(**row) for row in rows], next=more)  # type: ignore[arg-type]  # the line is read as a number


@router.post("/portfolio-uploads/{upload}/import", dependencies=[needs("portfolios.import")], status_code=202)
def import_portfolio_upload(call: Calling, upload: Word) -> Checked:
    """A job takes it in as it was checked."""
    handed.asked_for(call.desk, upload)
    return _checked(call.desk, upload)


@router.post("/portfolio-uploads/{upload}/drop", dependencies=[needs("portfolios.import")], status_code=204)
def drop_portfolio_upload(call: Calling, upload: Word) -> None:
    """The file is gone."""
    handed.mine(call.desk, upload)
    uploads.drop(call.desk, upload)


def _checked(desk: Desk, upload: str) -> Checked:
    checked, taken = handed.jobs_of(desk, upload)
    newest = checked if taken is None else taken
    told = handed.told(newest)
    ended = {"done": "checked" if taken is None else "imported", "failed": "failed"}
    state = ended.get(newest.state, "checking" if taken is None else "importing")
    known = {name: told[name] for name in Checked.model_fields if name in told and name != "state"}
    if told.get("state") == "refused":
        state = "refused"
    columns = told.get("header", {}).get("columns", [])
    ended_so = {"error": newest.error or "", "fix": newest.fix or ""}
    return Checked(**known | ended_so | {"upload": upload, "state": state, "columns": columns})


@router.get("/portfolios/{portfolio_id}/refused-lines", dependencies=[needs("portfolios.see")])
def list_portfolio_refused_lines(
    call: Calling, portfolio_id: Number, code: Word = "", after: Word = ""
) -> Listed[RejectShape]:  # type: ignore[valid-type]
    """Why lines of a portfolio were refused; never the value."""
    with call.desk.database.read() as connection:
        browsing.portfolio(connection, portfolio_id)
        page = browsing.rejects(connection, portfolio_id, code, after or None)
    return Listed(items=page.rows, next=page.after)


# -- holds -------------------------------------------------------------------------------------------------------------


@router.get("/holds", dependencies=[needs("portfolios.see")])
def list_holds(
    call: Calling, lender: Word = "", reason: Word = "", ended: bool = False, after: Word = ""
) -> Listed[HoldShape]:  # type: ignore[valid-type]  # fmt: skip
    """The holds in force, or those that ended, the newest first."""
    with call.desk.database.read() as connection:
        page = browsing.holds(connection, call.desk.today(), lender, reason, ended=ended, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/holds", dependencies=[needs("holds.change")], status_code=201)
def make_hold(call: Calling, given: NewHold) -> HoldMade:
    """The debtor is not placed from now on, and recalled where already out; the same hold twice is one."""
    with seated_here(call.desk):
        made = place_hold(given.lender, given.account, given.reason, given.until, account_only=given.account_only)
    return HoldMade(hold_id=made.hold_id, reason=made.reason, until=made.until, changed=made.changed)


@router.post("/holds/{hold_id}/lift", dependencies=[needs("holds.change")], status_code=204)
def end_hold(call: Calling, hold_id: Number) -> None:
    """The hold has ended."""
    with seated_here(call.desk):
        lift_hold(hold_id)


# -- banks -------------------------------------------------------------------------------------------------------------


@router.get("/bank/statements", dependencies=[needs("recoveries.see")])
def list_bank_statements(call: Calling, lender: Word = "", after: Word = "") -> Listed[StatementShape]:  # type: ignore[valid-type]
    """What was taken in from banks, the newest first; an account is shown by its end."""
    with call.desk.database.read() as connection:
        page = money.bank_statements(connection, lender=lender, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/bank/statements", dependencies=[needs("bank.import")], status_code=202)
def take_bank_statement(
    call: Calling,
    file: Annotated[UploadFile, File(description="camt.052 to .054, MT940, MT942, or a table")],
    lender: FormWord,
    layout: FormWord = "",
    account: FormWord = "",
    new_account: Annotated[bool, Form()] = False,
) -> JobShape:  # type: ignore[valid-type]
    """The file lies sealed until a job has taken it into the books; the same file again changes nothing."""
    handed.lender_of(call.desk, lender)
    words = {
        "lender": lender, "layout": layout, "account": bankaccounts.plain(account),
        "new_account": "1" if new_account else "",
    }  # fmt: skip
    upload = uploads.keep(call.desk, file.file, file.filename or "", words)
    return _job(call, jobs.ask(call.desk, "bank", {"upload": upload}))


def _job(call: Calling, job_id: int) -> dict[str, Any]:
    return dict(jobs.found(call.desk, job_id)._mapping)  # noqa: SLF001 - SQLAlchemy's public name


@router.get("/bank/accounts", dependencies=[needs("recoveries.see")])
def list_bank_accounts(call: Calling, lender: Word = "") -> Listed[BankAccountShape]:
    """The register of the lenders' accounts, each by its end."""
    with call.desk.database.read() as connection:
        rows = bankaccounts.listed(connection, lender or None)
    return Listed(items=[_masked(row) for row in rows])


@router.post("/bank/accounts", dependencies=[needs("bank.import")], status_code=201)
def add_bank_account(call: Calling, given: NewBankAccount) -> BankAccountShape:
    """The account is in the register."""
    bankaccounts.register(
        call.desk, given.account, given.currency, given.lender, ledger=given.ledger, layout=given.layout
    )
    return _masked(given.model_dump())


def _masked(row: dict[str, Any]) -> BankAccountShape:
    return BankAccountShape(**row | {"account": f"…{row['account'][-4:]}"})

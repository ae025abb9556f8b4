"""What money is expected and what it would cost otherwise, as a part of the API: forecasts, other terms, the books."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from console.web.api.door import PROBLEMS, Calling, needs, there
from console.web.api.money import JobNumber
from console.web.api.shapes import Given, Listed, Word
from infra import comparisons, jobs
from infra.books import taken
from infra.forecasts import keeping
from infra.store import browsing

router = APIRouter(responses=PROBLEMS)

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Terms = Annotated[str, Field(max_length=1 << 18, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Expected(BaseModel):
    """What an agency (or `all`) is expected to recover in a month, between a low and a high; minor units."""

    agency: str
    currency: str
    month: str
    expected_minor: int
    low_minor: int
    high_minor: int


class Tested(Expected):
    """A month before: what was expected of it a month ahead, and what came."""

    actual_minor: int
    held: bool = Field(description="whether the interval held what came")


class Forecast(BaseModel):
    """A forecast as it was made last, and how the method did on the months before."""

    as_of: str
    at: datetime
    by: str
    credible: float = Field(description="the share of months that the interval is meant to hold")
    coverage: float | None = Field(description="the share that it held; null where no month could be tried")
    bias: float | None = Field(description="what came over what was expected, less 1")
    rows: list[Expected]
    total: list[Expected]
    tested: list[Tested]


class NewForecast(Given):
    """Whose, and how far ahead."""

    lender: Word = Field(default="", description="empty: all lenders together")
    months: int = Field(default=6, ge=1, le=keeping.MOST_MONTHS)


class Otherwise(Given):
    """A month under other terms: a whole contract as TOML, or terms that change, as `vat_rate: 0.09`."""

    lender: Word
    period: Month
    agency: Word = Field(default="", description="empty: every agency, each with its own terms changed")
    terms: Terms = ""
    changes: dict[Word, Word] = Field(default={}, max_length=50)


class CostRow(BaseModel):
    """What an agency's tier cost in the month, and would have cost; minor units."""

    agency: str
    currency: str
    tier: str
    then: str = Field(description="the tier under the other terms")
    lines: int
    gross_minor: int
    commission_minor: int
    vat_minor: int
    commission_then_minor: int
    vat_then_minor: int
    difference_minor: int


class CostTotal(BaseModel):
    """The same in sum, per currency."""

    currency: str
    commission_minor: int
    vat_minor: int
    commission_then_minor: int
    vat_then_minor: int
    difference_minor: int


class Cost(BaseModel):
    """What the month cost and would have cost."""

    at: datetime
    rows: list[CostRow]
    totals: list[CostTotal]


class Asked(BaseModel):
    """The question's name, and the job that answers it."""

    cost: str
    job_id: int


class NewBooks(Given):
    """Which books, and how they are written."""

    lender: Word
    format: Literal["hledger", "beancount", "csv", "xlsx"] = "csv"
    since: Month | None = Field(default=None, description="the first month; null: from the beginning")
    until: Month | None = None
    by_account: bool = Field(default=False, description="a line per debtor's account, by our internal number")


class BooksFile(BaseModel):
    """A file of books that lies there to be taken away."""

    name: str
    lender: str
    format: str
    since: str
    until: str
    lines: int
    size: int
    sha256: str
    at: datetime
    by: str


@router.get("/forecast", dependencies=[needs("forecast.see")])
def get_forecast(call: Calling, lender: Word = "") -> Forecast:
    """Cash to expect per agency and month, as it was forecast last; 404 where nobody has lately."""
    if lender:
        _known(call, lender)
    told = there(keeping.kept(call.desk, lender or None))
    return Forecast.model_validate(told["found"] | {"at": told["at"], "by": told["by"]})


@router.post("/forecast", dependencies=[needs("forecast.change")], status_code=202)
def forecast_anew(call: Calling, given: NewForecast) -> JobNumber:
    """A job forecasts cash anew, and tries the method on the months before."""
    if given.lender:
        _known(call, given.lender)
    asked = {"lender": given.lender or None, "months": given.months}
    return JobNumber(job_id=jobs.ask(call.desk, "forecast", asked))


@router.post("/costs", dependencies=[needs("contracts.compare")], status_code=202)
def ask_what_a_month_would_cost(call: Calling, given: Otherwise) -> Asked:
    """A job prices a past month as it was and under other terms; nothing is written."""
    question = comparisons.Question(given.lender, given.period, given.agency or None, given.terms, given.changes)
    name = comparisons.ask(call.desk, question)
    return Asked(cost=name, job_id=jobs.ask(call.desk, "cost", {"question": name}))


@router.get("/costs/{cost}", dependencies=[needs("contracts.compare")])
def get_cost(call: Calling, cost: Name) -> Cost:
    """The answer by agency and tier; 404 until the job has it."""
    return Cost.model_validate(there(comparisons.found(call.desk, cost)))


@router.get("/books", dependencies=[needs("ledger.export")])
def list_books(call: Calling) -> Listed[BooksFile]:
    """Files of the books that lie there to be taken away, the newest first."""
    return Listed(items=[BooksFile.model_validate(one) for one in taken.listed(call.desk)])


@router.post("/books", dependencies=[needs("ledger.export")], status_code=202)
def write_books(call: Calling, given: NewBooks) -> JobNumber:
    """A job writes the books of some months for another program."""
    wanted = taken.Wanted(given.lender, given.format, given.since or "", given.until or "", given.by_account)
    taken.check(call.desk, wanted)
    return JobNumber(job_id=jobs.ask(call.desk, "books", vars(wanted)))


@router.get(
    "/books/{name}", dependencies=[needs("ledger.export")], response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)  # fmt: skip
def get_books(call: Calling, name: Word) -> Any:
    """One of the files."""
    return FileResponse(taken.file(call.desk, name), filename=name, media_type="application/octet-stream")


def _known(call: Calling, lender: str) -> None:
    """Nothing where there is such a lender; else there is no such thing."""
    with call.desk.database.read() as connection:
        there(browsing.lenders(connection).get(lender))

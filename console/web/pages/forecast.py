"""Cash to expect: per agency and month, with its interval, and how the same method did before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Response

from console.web import sheets
from console.web.pages import asked
from console.web.problems import status_of
from console.web.rendering import query
from console.web.visits import Visiting, needs
from infra import jobs
from infra.forecasts import drawing, keeping
from infra.store import browsing
from models.errors import ConsignError, UsageError

if TYPE_CHECKING:
    from console.web.language import Say
    from console.web.visits import Visit

router = APIRouter()

MONTHS = (3, 6, 12, 24)
"""So far ahead a person asks."""


@router.get("/forecast", dependencies=[needs("forecast.see")])
def forecast(visit: Visiting, lender: str = "", currency: str = "") -> Response:
    """The forecast that was made last, of one lender or of all; and how to make it anew."""
    return _shown(visit, lender, currency)


def _shown(visit: Visit, lender: str, currency: str = "", problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    kept = keeping.kept(visit.desk, lender or None)
    found = None if kept is None else kept["found"]
    currencies = sorted({row["currency"] for row in found["total"]}) if found else []
    chosen = currency or (currencies[0] if currencies else "")
    told: dict[str, Any] = {}
    if found and currencies:
        asked.one_of(chosen, currencies)
        total = [row for row in found["total"] if row["currency"] == chosen]
        told = {
            "total": total,
            "months": [row["month"] for row in total],
            "by_agency": by_agency([row for row in found["rows"] if row["currency"] == chosen]),
            "tested": [row for row in found["tested"] if row["currency"] == chosen][::-1],
            "chart": drawing.drawn(drawing.summed(found["tested"], chosen), total),
        }
    return visit.page(
        "finance/forecast.html", lender=lender, lenders=lenders, agencies=agencies, currency=chosen,
        currencies=currencies, kept=kept, found=found, choices=[(str(one), str(one)) for one in MONTHS],
        problem=problem, status=200 if problem is None else status_of(problem), **told,
    )  # fmt: skip


def by_agency(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By agency, and then by month: the row of the forecast."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["agency"], {})[row["month"]] = row
    return found


@router.post("/forecast", dependencies=[needs("forecast.change")])
def anew(visit: Visiting, lender: Annotated[str, Form()] = "", months: Annotated[str, Form()] = "6") -> Response:
    """A job forecasts so many months, and tries the method on the months before."""
    try:
        number = asked.number(months) or 0
        if not 1 <= number <= keeping.MOST_MONTHS:
            raise UsageError(visit.say("That is no number of months."), fix=visit.say("Choose from 1 to 24."))
        with visit.desk.database.read() as connection:
            asked.one_of(lender, {"", *browsing.lenders(connection)})
    except ConsignError as problem:
        return _shown(visit, "", problem=problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'forecast', {'lender': lender or None, 'months': number})}")


@router.get("/forecast.xlsx", dependencies=[needs("forecast.see")])
def workbook(visit: Visiting, lender: str = "") -> Response:
    """The figures as a workbook: all agencies together, each by itself, and what was tried on the months before."""
    kept = keeping.kept(visit.desk, lender or None)
    if kept is None:
        return visit.go("/forecast" + query(lender=lender))
    name = f"forecast-{lender or 'all'}-{kept['found']['as_of']}.xlsx"
    return sheets.download(sheets.workbook(_sheets(visit.say, kept["found"])), name)


def _sheets(say: Say, found: dict[str, Any]) -> list[tuple[str, list[str], list[list[Any]]]]:
    head = [say("Agency"), say("Month"), say("Currency"), say("Expected"), say("Low"), say("High")]
    together, each, before = ([_cells(row) for row in found[part]] for part in ("total", "rows", "tested"))
    held = [
        [*cells, sheets.units(row["actual_minor"], row["currency"]), say("yes") if row["held"] else say("no")]
        for cells, row in zip(before, found["tested"], strict=True)
    ]
    return [
        (say("All agencies"), head, together),
        (say("By agency"), head, each),
        (say("Months before"), [*head, say("Came"), say("Within the interval")], held),
    ]


def _cells(row: dict[str, Any]) -> list[Any]:
    amounts = (sheets.units(row[f"{name}_minor"], row["currency"]) for name in ("expected", "low", "high"))
    return [row["agency"], row["month"], row["currency"], *amounts]

"""A data breach at an agency: who and what is affected, by when whom to tell; drafted, printed, and the pseudonyms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Response

from console.web.pages import asked
from console.web.pages.audit import FORMS, retold
from console.web.problems import status_of
from console.web.rendering import query
from console.web.sheets import download
from console.web.visits import Visiting, needs
from infra.reports import drafts, pages
from infra.store import browsing
from models.errors import ConsignError, UsageError
from models.spreadsheets import defused

if TYPE_CHECKING:
    from console.web.visits import Visit
    from infra.reports.report import Report
    from infra.wiring import Desk

router = APIRouter()

Text = Annotated[str, Form()]
AT: Final = "/assessments/breach"


class Lost:
    """What an agency lost, as an address or a form says it."""

    def __init__(self, agency: str = "", begins: str = "", ends: str = "", file: str = "", known: str = "") -> None:
        self.given = {"agency": agency, "begins": begins, "ends": ends, "file": file, "known": known}

    def sent(self) -> dict[str, Any]:
        """Which files. Raises UsageError for what is no day."""
        file = self.given["file"].strip() or None
        return {"begins": asked.day(self.given["begins"]), "ends": asked.day(self.given["ends"]), "file": file}

    def draft(self, desk: Desk) -> Report:
        """The report. Raises UsageError where nothing was sent then."""
        return drafts.breach(desk, self.given["agency"], **self.sent(), known_at=_known(self.given["known"]))


def _known(text: str) -> datetime | None:
    """The instant, in UTC; None for none. Raises UsageError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError("that is no instant", fix="write it as 2026-11-22T09:30, in UTC") from None


@router.get("/assessments/breach", dependencies=[needs("reports.see")])
def form(visit: Visiting, lost: Annotated[Lost, Depends()]) -> Response:
    """The form; and the draft, once an agency is named."""
    return _page(visit, lost)


def _page(visit: Visit, lost: Lost, problem: ConsignError | None = None) -> Response:
    report = None
    if lost.given["agency"] and problem is None:
        try:
            report = lost.draft(visit.desk)
        except ConsignError as error:
            problem = error
    with visit.desk.database.read() as connection:
        agencies = browsing.agencies(connection)
    return visit.page(
        "compliance/incident.html", report=report, given=lost.given, agencies=agencies, problem=problem,
        asked=query(**lost.given), t=pages.words(visit.say.code, retold(visit.say.code)),
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.get("/assessments/breach/draft.{form}", dependencies=[needs("reports.see")])
def draft(visit: Visiting, form: str, lost: Annotated[Lost, Depends()]) -> Response:
    """The draft as a page to print, or its table as CSV."""
    report = lost.draft(visit.desk)
    if asked.one_of(form, FORMS) == "html":
        page = pages.html(report, visit.say.code, retold(visit.say.code))
        return download(page, "breach.html", "text/html; charset=utf-8")
    return download(pages.csv(report), "breach.csv", "text/csv; charset=utf-8")


@router.post("/assessments/breach/pseudonyms.csv", dependencies=[needs("reports.see")])
def pseudonyms(
    visit: Visiting, agency: Text = "", begins: Text = "", ends: Text = "", file: Text = "", known: Text = ""
) -> Response:
    """The pseudonyms of the debtors affected, as the agency knows them; asking is on record."""
    lost = Lost(agency, begins, ends, file, known)
    try:
        found = drafts.affected_pseudonyms(visit.desk, agency, **lost.sent())
    except ConsignError as problem:
        return _page(visit, lost, problem)
    return download(defused(found).to_csv(index=False), "pseudonyms.csv", "text/csv; charset=utf-8")

"""Scorecards: how well each agency collects against what was to be expected, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response
from markupsafe import Markup

from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from infra import jobs
from infra.scorecards import pages
from infra.store import browsing, scores
from models.errors import UsageError

if TYPE_CHECKING:
    from console.web.visits import Visit
    from infra.store.scores import Run

router = APIRouter()

CLASS: Final = "scorecard"
COLOURS: Final = """\
.scorecard { --card: var(--paper); --faint: var(--raised); --blue: var(--main); --pale: var(--bar-soft);
  --wash: var(--main-back); --amber: var(--warn); --amber-wash: var(--warn-back); --green: var(--good);
  --green-wash: var(--good-back); --red: var(--bad); --red-wash: var(--bad-back); }
.scorecard .wide { overflow-x: auto; }
.scorecard .wide > svg { min-width: 760px; }
.scorecard .lead { color: var(--soft); margin: 0; }
.scorecard .bar { height: auto; }
"""
"""The scorecards' names for the console's colours, so that light and dark are the console's."""


@router.get("/scorecards", dependencies=[needs("scorecards.see")])
def overview(visit: Visiting, run: str = "", lender: str = "") -> Response:
    """Every agency of a run, the newest unless one is named."""
    return _shown(visit, run, lender, None)


@router.get("/scorecards/style.css", dependencies=[needs("scorecards.see")])
def style() -> Response:
    """How the figures look."""
    return Response(
        COLOURS + pages.style(CLASS), media_type="text/css", headers={"Cache-Control": "private, max-age=3600"}
    )


@router.get("/scorecards/{agency}", dependencies=[needs("scorecards.see")])
def one(visit: Visiting, agency: str, run: str = "", lender: str = "") -> Response:
    """One agency of a run."""
    return _shown(visit, run, lender, agency)


def _shown(visit: Visit, run: str, lender: str, agency: str | None) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        agencies = browsing.agencies(connection)
        runs = scores.listed(connection, lender or None)
        number = asked.number(run) or (runs[0]["run_id"] if runs else None)
        found = None if number is None else run_of(visit, number)
        if found is None and number is not None:
            raise UsageError(visit.say("There is no such scoring."), fix=visit.say("Choose one of the list."))
    head = part = None
    if found is not None and (agency is None or agency in found.names):
        head, part = map(Markup, pages.part(found, visit.say.code, _link, agency))  # templates of ours, autoescaped
    return visit.page(
        "agencies/scorecards.html", head=head, part=part, runs=runs, run=number, lender=lender, lenders=lenders,
        agency=agency, agencies=agencies,
    )  # fmt: skip


def _link(agency: str) -> str:
    return f"/scorecards/{agency}"


def run_of(visit: Visit, number: int) -> Run | None:
    """The run; it never changes, so that it is read once."""

    def read() -> Run | None:
        with visit.desk.database.read() as connection:
            return scores.load(connection, number)

    known = FIGURES.find(visit.desk, ("run", number))
    found: Run | None = known.value if known is not None else None
    return found or FIGURES.count(visit.desk, ("run", number), read).value


@router.post("/scorecards", dependencies=[needs("scorecards.change")])
def score(visit: Visiting) -> Response:
    """A job scores every agency as of today."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'score', {})}")

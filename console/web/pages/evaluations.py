"""Evaluations: what the scores propose for the next cycle, and why; approved or refused by a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import sheets, standings
from console.web.pages import asked
from console.web.pages.scorecards import run_of
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from flows import evaluate as flow
from infra import evaluations, jobs
from infra.scorecards import evaluated
from infra.store import browsing
from infra.store import evaluations as store
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.lives import EVALUATION

if TYPE_CHECKING:
    from console.web.visits import Visit
    from infra.evaluations import Told

router = APIRouter()

Text = Annotated[str, Form()]
PAGES: Final = ("evaluation.en.pdf", "evaluation.zh.pdf", evaluated.SHARES)
"""What is downloaded of an evaluation's folder."""


@router.get("/evaluations", dependencies=[needs("evaluations.see")])
def every(visit: Visiting, lender: str = "", state: str = "", after: str = "") -> Response:
    """Evaluations, the newest first."""
    return _list(visit, lender, state, after)


def _list(
    visit: Visit, lender: str = "", state: str = "", after: str = "", error: ConsignError | None = None
) -> Response:
    if state:
        asked.one_of(state, EVALUATION)
    with visit.desk.database.read() as connection:
        page = store.page(connection, lender, state, after)
        lenders = browsing.lenders(connection)
    return visit.page(
        "portfolio/evaluations.html", page=page, lenders=lenders, lender=lender, state=state, after=after, error=error,
        states=standings.EVALUATION, status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/evaluations", dependencies=[needs("evaluations.change")])
def evaluate(visit: Visiting, lender: Text = "", kind: Text = "periodic", as_of: Text = "") -> Response:
    """A job scores the agencies and proposes the next cycle."""
    try:
        asked.not_to_come(asked.day(as_of), visit.desk.today())
        asked.one_of(kind, evaluations.KINDS)
        if lender:
            with visit.desk.database.read() as connection:
                asked.one_of(lender, browsing.lenders(connection))
    except UsageError as error:
        return _list(visit, error=error)
    given = {"lender": lender or None, "as_of": as_of or None, "kind": kind}
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'evaluate', given)}")


@router.get("/evaluations/{evaluation_id}", dependencies=[needs("evaluations.see")])
def one(visit: Visiting, evaluation_id: int) -> Response:
    """What an evaluation proposes, and why."""
    return _one(visit, evaluation_id)


def _one(visit: Visit, evaluation_id: int, error: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        told = evaluations.find(connection, evaluation_id)
        lenders = browsing.lenders(connection)
    said = evaluated.Said(told.evaluation_id, told.content, told.content_sha256)
    roles = {"yearly": "compliance"}.get(told.kind, "portfolio_manager")
    return visit.page(
        "portfolio/evaluation.html", row=told, told=_teller(visit, told), toml=evaluated.shares_toml(said),
        lenders=lenders, error=error, states=standings.EVALUATION, decides=roles in visit.who.roles,
        status=200 if error is None else status_of(error),
    )  # fmt: skip


def _teller(visit: Visit, told: Told) -> evaluated.Teller:
    """The evaluation in the language of the page."""
    run = run_of(visit, told.run_id)
    assert run is not None  # noqa: S101 - a run is never deleted
    return evaluated.Teller(evaluated.Said(told.evaluation_id, told.content, told.content_sha256), run, visit.say.code)


@router.post("/evaluations/{evaluation_id}/approve", dependencies=[needs("evaluations.approve")])
def approve(visit: Visiting, evaluation_id: int, content: Text = "") -> Response:
    """Whoever did not propose it says yes to exactly what the page showed."""
    try:
        with seated_here(visit.desk):
            flow.approve(evaluation_id, content)
    except ConsignError as error:
        return _one(visit, evaluation_id, error)
    return visit.go(f"/evaluations/{evaluation_id}", visit.say("Approved. A plan may begin with its shares."))


@router.post("/evaluations/{evaluation_id}/reject", dependencies=[needs("evaluations.change")])
def reject(visit: Visiting, evaluation_id: int, because: Text = "") -> Response:
    """The evaluation has ended: somebody said no, and why."""
    try:
        evaluations.reject(visit.desk, evaluation_id, because.strip())
    except ConsignError as error:
        return _one(visit, evaluation_id, error)
    return visit.go(f"/evaluations/{evaluation_id}", visit.say("Refused. What it proposed does not happen."))


@router.get("/evaluations/{evaluation_id}/export", dependencies=[needs("evaluations.see")])
def export(visit: Visiting, evaluation_id: int) -> Response:
    """The proposal as a workbook: shares, changes, agencies to look at, the evidence."""
    with visit.desk.database.read() as connection:
        told = evaluations.find(connection, evaluation_id)
    return sheets.download(sheets.workbook(_sheets(_teller(visit, told))), f"evaluation-{evaluation_id}.xlsx")


def _sheets(told: evaluated.Teller) -> list[tuple[str, list[str], list[list[Any]]]]:
    """Title, columns and rows of each sheet, in the language of the page."""
    t = told.t
    middle = ("evaluation.now", "evaluation.proposed", "evaluation.change", "table.p_best")
    shares = ("table.agency", *middle, "evaluation.why")
    rests = ("table.agency", "table.recovery", "table.p_best", "table.p_worst", "table.complaints", "table.overall")
    return [
        (t("evaluation.shares"), [t(name) for name in shares], [list(row) for row in told.shares()]),
        (t("evaluation.changes"), [t("evaluation.what")], [[sentence] for sentence in told.changes()]),
        (t("evaluation.reviews"), [t("table.agency"), t("evaluation.why")], [list(row) for row in told.reviews()]),
        (t("evaluation.evidence"), [t(name) for name in rests], [list(row) for row in told.evidence()]),
    ]  # fmt: skip


@router.get("/evaluations/{evaluation_id}/{name}", dependencies=[needs("evaluations.see")])
def download(visit: Visiting, evaluation_id: int, name: str) -> Response:
    """A page of its folder, PDF, or its shares for a plan's spec; written anew where it is not there."""
    asked.one_of(name, PAGES)
    with visit.desk.database.read() as connection:
        told = evaluations.find(connection, evaluation_id)
    path = evaluations.folder_of(visit.desk, evaluation_id) / name
    if not path.exists():
        evaluations.write(visit.desk, told)
    content = path.read_bytes()
    kind = "application/pdf" if name.endswith(".pdf") else "application/toml"
    return sheets.download(content, f"evaluation-{evaluation_id}-{name}", kind)

"""Whether the console lives, how the installation is, and the jobs that run."""

from __future__ import annotations

import json
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from console.web import standings, visits
from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.visits import Visiting, is_open, needs
from flows import schedules
from flows.jobs import VERBS
from infra import backups, health, jobs
from infra.store import jobs as rows
from infra.store import schema, tallies
from infra.wiring import seated_here
from models.errors import ConsignError

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()

BY_HAND: Final = ("update", "watch", "sweep", "sign_audit")
"""What runs by itself and may be run now, by its verb."""


@router.get("/healthz", dependencies=[is_open])
def ready(visit: Visiting) -> Response:
    """200 where requests can be answered: the store answers, and has the tables of this version. 503 otherwise."""
    try:
        with visit.desk.database.read() as connection:
            connection.execute(text("SELECT 1"))
            current = schema.version_of(connection) == schema.head()
    except (SQLAlchemyError, ConsignError):
        return JSONResponse({"ready": False, "store": "does not answer"}, status_code=503)
    if not current:
        return JSONResponse({"ready": False, "store": "has the tables of another version"}, status_code=503)
    return JSONResponse({"ready": True})


@router.get("/healthz/live", dependencies=[is_open])
def live() -> Response:
    """200 as long as the process answers."""
    return JSONResponse({"live": True})


def _reads_metrics(visit: Visiting, word: visits.Word) -> None:
    """Whoever brings the token, and who is signed in and may."""
    token = visit.desk.settings.metrics_token
    given = visit.request.headers.get("authorization", "").removeprefix("Bearer ")
    if token is not None and given and compare_digest(given.encode(), token.get_secret_value().encode()):
        return
    visits.enter(visit, "metrics.see", word)


@router.get("/metrics", dependencies=[visits.marked(_reads_metrics, "metrics.see")])
def metrics(request: Request) -> Response:
    """Counts as Prometheus reads them."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/operations", dependencies=[needs("operations.see")])
def operations(visit: Visiting) -> Response:
    """How the installation is: what `consign doctor` looks at, who works, what ran last, and what waits."""
    looked = FIGURES.count(visit.desk, "operations", lambda: _looked_at(visit))
    now = visit.desk.now()
    with visit.desk.database.read() as connection:
        under_way, last = rows.under_way(connection), rows.last_ended(connection)
    late = next((job for job in under_way if job.state == "waiting" and job.asked_at < now - jobs.SILENT), None)
    return visit.page(
        "house/operations.html", **looked.value, looked_at=looked.at, under_way=under_way, last_job=last,
        late=None if any(job.state == "running" for job in under_way) else late, verbs=VERBS, names=standings.SCHEDULES,
        by_hand=BY_HAND,
    )  # fmt: skip


def _looked_at(visit: Visit) -> dict[str, Any]:
    """What takes a while to look at: the doctor's findings, rows by state, the schedules' runs, the newest backup."""
    with visit.desk.database.read() as connection:
        counts = tallies.by_state(connection)
    with seated_here(visit.desk):
        try:
            board = schedules.board()
        except ConsignError:  # the server went away, or will not answer
            board = schedules.without_a_server()
    try:
        newest = next(iter(backups.listed(visit.desk)), None)
    except ConsignError:  # its own page says what is wrong with it
        newest = None
    return {"findings": health.findings(visit.desk), "counts": counts, "board": board, "newest": newest}


@router.post("/operations/run", dependencies=[needs("operations.run")])
def run_now(visit: Visiting, verb: Annotated[str, Form()] = "") -> Response:
    """A job does now what runs by itself."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, asked.one_of(verb, BY_HAND), {})}")


@router.get("/jobs", dependencies=[needs("jobs.see")])
def listed(visit: Visiting, after: str = "") -> Response:
    """What was asked for that takes long, the newest first."""
    with visit.desk.database.read() as connection:
        page = rows.listed(connection, after or None)
    return visit.page("house/jobs.html", rows=page.rows, next=page.after or "", after=after, verbs=VERBS)


@router.get("/jobs/{job_id}", dependencies=[needs("jobs.see")])
def one(visit: Visiting, job_id: int) -> Response:
    """How far one is, and what came of it; the part alone where the page looks again."""
    row = jobs.found(visit.desk, job_id)
    result = json.loads(row.result or "{}")
    told = {name: value for name, value in result.items() if value not in (None, 0, "") and not isinstance(value, dict)}
    zeros = [name for name, value in result.items() if value == 0 and not isinstance(value, bool)]
    return visit.page(
        "parts/job.html" if visit.is_partial else "house/job.html", job=row, verb=VERBS[row.verb], result=result,
        told=told, zeros=zeros, asked_of=json.loads(row.identifiers),
    )  # fmt: skip

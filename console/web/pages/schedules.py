"""Schedules: what runs by itself and when, what ran last; pausing and resuming it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from console.web import standings
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from flows import schedules
from infra.wiring import seated_here
from models.errors import ConsignError

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()


@router.get("/schedules", dependencies=[needs("schedules.see")])
def every(visit: Visiting) -> Response:
    """Every schedule; without a server what would run, and how to start one."""
    return _every(visit)


def _every(visit: Visit, *, error: ConsignError | None = None, status: int = 200) -> Response:
    with seated_here(visit.desk):
        try:
            board = schedules.board()
        except ConsignError as broken:  # the server went away, or will not answer
            board, error, status = schedules.without_a_server(), broken, status_of(broken)
    return visit.page("agencies/schedules.html", status=status, board=board, error=error, names=standings.SCHEDULES)


@router.post("/schedules/{name}/pause", dependencies=[needs("schedules.change")])
def pause(visit: Visiting, name: str) -> Response:
    """The flow does not run by itself until somebody resumes it."""
    return _switched(visit, name, paused=True)


@router.post("/schedules/{name}/resume", dependencies=[needs("schedules.change")])
def resume(visit: Visiting, name: str) -> Response:
    """The flow runs by itself again."""
    return _switched(visit, name, paused=False)


def _switched(visit: Visit, name: str, *, paused: bool) -> Response:
    try:
        with seated_here(visit.desk):
            (schedules.pause if paused else schedules.resume)(name)
    except ConsignError as error:
        return _every(visit, error=error, status=status_of(error))
    return visit.go("/schedules", visit.say("Paused.") if paused else visit.say("It runs by itself again."))

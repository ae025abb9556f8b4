"""The first page: what waits for whoever is signed in."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from console.web.language import later
from console.web.visits import Visiting, needs
from infra.store import tasks
from models.exceptions import CODES

router = APIRouter()

EXCEPTIONS_SHOWN: Final = 10
TASKS: Final = {
    "plans_to_approve": (later("Plans to approve"), "/plans?state=submitted"),
    "resolutions_to_approve": (later("Breaks to approve"), "/breaks?tab=to_approve"),
    "payments_to_approve": (later("Payment runs to approve"), "/payments?state=proposed"),
    "rules_to_approve": (later("Strategies to approve"), "/strategies"),
    "limits_to_approve": (later("Limits to approve"), "/instalments/limits"),
    "moves_to_accept": (later("Moves to accept"), "/strategy-runs?state=proposed"),
    "recalls_to_accept": (later("Recalls to accept"), "/proposed-recalls?state=proposed"),
    "instalments_to_decide": (later("Instalment plans to decide"), "/instalments"),
    "my_exceptions": (later("Exceptions of mine"), "/exceptions?tab=mine"),
    "my_breaks": (later("Breaks assigned to me"), "/breaks?mine=1"),
}
"""By kind of task: what it is called, and where it is worked on."""


@router.get("/", dependencies=[needs("home.see")])
def home(visit: Visiting) -> Response:
    """What waits, and what is late; who is of an agency finds that in the portal."""
    person = visit.who
    if person.agency is not None:
        return visit.go("/portal")
    with visit.desk.database.read() as connection:
        waiting = tasks.waiting(connection, person.actor, person.roles)
        late = tasks.exceptions_of(connection, person.actor, person.roles, EXCEPTIONS_SHOWN)
    cards = [(*TASKS[task.code], task.count, task.count >= tasks.MOST) for task in waiting if visit.may(task.action)]
    return visit.page("home.html", cards=cards, exceptions=late, codes=CODES, now=visit.desk.now())

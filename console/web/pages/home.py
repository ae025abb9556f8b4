"""The first page: what waits for whoever is signed in."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Response

from console.web.language import later
from console.web.visits import Visiting, needs
from infra.store import beginnings, browsing, tasks
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
    "evaluations_to_approve": (later("Evaluations to approve"), "/evaluations"),
    "models_to_approve": (later("Models to approve"), "/propensity"),
    "uses_to_approve": (later("Use of models to approve"), "/propensity"),
    "bases_to_approve": (later("Bases to approve"), "/consolidation"),
    "contracts_to_approve": (later("Terms to approve"), "/contracts"),
    "reopenings_to_approve": (later("Months to open again"), "/closing?lender={first}"),
    "keys_to_approve": (later("Agencies' keys to approve"), "/agencies/{first}?tab=keys"),
    "host_keys_to_approve": (later("Host keys to approve"), "/agencies/{first}?tab=reach"),
    "waivers_to_grant": (later("Waivers to grant"), "/agencies/{first}?tab=certification"),
    "policies_to_approve": (later("Field policies to approve"), "/policies"),
    "gates_to_grant": (later("Gates to lift"), "/breaches"),
    "allowances_to_approve": (later("False alarms to let pass"), "/gate"),
    "shreddings_to_approve": (later("To be forgotten for good"), "/retention?tab=shreddings"),
    "escrows_to_approve": (later("Requests about the keyring"), "/backups"),
    "instalments_to_decide": (later("Instalment plans to decide"), "/instalments"),
    "objections_to_decide": (later("Objections to decide"), "/recalls/objections"),
    "breaches_to_hear": (later("Breaches to hear"), "/breaches"),
    "complaints_to_take": (later("Complaints that nobody has"), "/complaints"),
    "requests_to_answer": (later("Debtors' requests to answer"), "/requests"),
    "my_complaints": (later("Complaints of mine"), "/complaints?mine=1"),
    "my_exceptions": (later("Exceptions of mine"), "/exceptions?tab=mine"),
    "my_breaks": (later("Breaks assigned to me"), "/breaks?mine=1"),
}
"""By kind of task: what it is called, and where it is worked on; `{first}` is what names the first of them."""
STEPS: Final = {
    "people": (later("Two people have roles to work by: nobody approves what he proposed"), "/people", "people.change"),
    "lender": (later("A lender is there whose accounts are placed"), "/lenders", "lenders.change"),
    "agency": (later("An agency is there that may collect"), "/agencies", "agencies.change"),
    "contract": (later("A contract with an agency is in force"), "/contracts", "contracts.change"),
    "live": (later("An agency is live: keys compared, files tried, certified"), "/agencies", "agencies.certify"),
    "bank": (later("A bank account is registered that money comes in on"), "/bank", "bank.import"),
    "portfolio": (later("A portfolio of overdue accounts has been taken in"), "/portfolios/new", "portfolios.import"),
    "placed": (later("A plan has been approved and sent"), "/plans/new", "plans.change"),
}
"""On the way to the first placement: what each step says once it is taken, where it is taken, and who may."""


@router.get("/", dependencies=[needs("home.see")])
def home(visit: Visiting) -> Response:
    """What waits, and what is late; who is of an agency finds that in the portal."""
    person = visit.who
    if person.agency is not None:
        return visit.go("/portal")
    with visit.desk.database.read() as connection:
        waiting = tasks.waiting(connection, person.actor, person.roles)
        steps = beginnings.first_steps(connection)
        late = tasks.exceptions_of(connection, person.actor, person.roles, EXCEPTIONS_SHOWN)
        agencies = browsing.agencies(connection)
    here = [task for task in waiting if visit.may(task.action)]
    cards = [
        (TASKS[task.code][0], TASKS[task.code][1].format(first=quote(task.first)), task.count, task.count >= tasks.MOST)
        for task in here
        if task.count
    ]
    idle = [TASKS[task.code][0] for task in here if not task.count]
    first = [(steps[step], text, path if visit.may(action) else "") for step, (text, path, action) in STEPS.items()]
    return visit.page(
        "home.html", cards=cards, idle=idle, exceptions=late, codes=CODES, now=visit.desk.now(),
        agencies=agencies, steps=[] if steps["placed"] else first,
    )  # fmt: skip

"""Every page there is to look at, found by the routes themselves: what a walk visits and what a picture is taken of.

A route with a blank is visited at the newest row that the store has for it; a page's tabs and the first row that opens
beside its list are pages too, and are found on the page. So a new page is walked and pictured without a word here,
unless its blank is no row's number.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi.routing import APIRoute
from sqlalchemy import func, select
from sqlmodel import SQLModel

from console.web.app import ROUTES
from console.web.navigation import SECTIONS
from infra.sandbox import staff
from infra.store.bulk import table_of
from models.permissions import ACTIONS, AGENCY
from models.roles import ROLES
from models.tables import (
    AccountStage,
    GateCheck,
    InboundFile,
    InstalmentPlan,
    Job,
    JointPayment,
    PaymentRun,
    Plan,
    RecallProposal,
    Statement,
    StrategyRun,
    SubjectRequest,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import playwright.sync_api as chromium
    from sqlalchemy import Connection, Table

FILES: Final = table_of(InboundFile)
JOBS, PLANS = table_of(Job), table_of(Plan)
SUBMITTED: Final = select(func.max(PLANS.c.plan_id)).where(PLANS.c.state == "submitted")
EMPTY: Final = "() => !document.querySelector('main tbody tr, main .drawer') && !!document.querySelector('main .empty')"
"""Whether a page says that nothing is there."""
NOBODY: Final = ""
"""Whom the pages belong to that are seen before signing in."""
NO_PAGES: Final = re.compile(
    r"^/(metrics|healthz|healthz/live|sign-in/vouched.*)$"
    r"|\.(csv|xlsx|pdf|json|css|zip|\{form\})$|/(file|export|exports|attachments|advice|counted|sending)(/|$)"
    r"|^/(plans/\{plan_id\}/holds|agencies/\{code\}/evidence/.*|evaluations/\{evaluation_id\}/.*)$"
)
"""Files, what machines ask for, and parts of a page that HTMX fetches into it."""
ELSEWHERE: Final = frozenset({"/plans/{plan_id}/what-if/{name}", "/portfolios/new/{upload}"})
"""What a form leads to under a name made then: tests of their own look at these."""
AT_TIMES: Final = frozenset({"/propensity/{model_id}"})
"""What needs half a year of payments: it is looked at where it is there."""
BLANKS: Final = {
    "actor": staff.STAFF["finance"], "agency": "quayside", "code": "quayside", "lender": "harbour",
    "/policies/{name}": "cn-default", "/strategies/{name}": "cn-soft-first",
    "/strategies/{name}/preview": "cn-soft-first", "/instalments/limits/{name}": "cn-default",
}  # fmt: skip
"""What stands in a blank that is no row's number: by the blank, or by the route where the blank says too little."""
NEWEST: Final = {
    "/portal/files/{file_id}": select(func.max(FILES.c.file_id)).where(FILES.c.agency == BLANKS["agency"]),
    "/exchanges/came/{file_id}": select(func.max(FILES.c.file_id)),
    "/payments/{run_id}": select(func.max(table_of(PaymentRun).c.run_id)),
    "/strategy-runs/{run_id}": select(func.max(table_of(StrategyRun).c.run_id)),
    "/proposed-recalls/{proposal_id}": select(func.max(table_of(RecallProposal).c.proposal_id)),
    "/instalments/{plan_id}": select(func.max(table_of(InstalmentPlan).c.instalment_plan_id)),
    "/consolidation/payments/{payment_id}": select(func.max(table_of(JointPayment).c.payment_id)),
    "/gate/files/{file}": select(func.max(table_of(GateCheck).c.transmission_id)),
    "/stages/accounts/{account_id}": select(func.min(table_of(AccountStage).c.account_id)),
    **dict.fromkeys(("/plans/{plan_id}", "/plans/{plan_id}/compare", "/plans/{plan_id}/seed"), SUBMITTED),
    "/plans/{plan_id}/what-if": select(func.max(PLANS.c.plan_id)).where(PLANS.c.state == "draft"),
    "/jobs/{job_id}": select(func.max(JOBS.c.job_id)).where(JOBS.c.verb == "forecast"),
    "/requests/{request_id}": select(func.min(table_of(SubjectRequest).c.request_id)),
    "/statements/{statement_id}": select(func.max(table_of(Statement).c.statement_id)),
    "/exchanges/sent/{transmission_id}": select(func.max(table_of(Transmission).c.transmission_id)),
}
"""Which row's number stands in a blank whose name does not say of which table; else it is the newest of its table."""
AFTER_A_CHOICE: Final = {
    "/plans/new": ("lender=harbour",),
    "/strategies/{name}/preview": ("lender=harbour",),
    "/plans/new/segments": ("lender=harbour&name=x&stage=phone",),
    "/policies/simulate": ("account=1",),
    "/stages": ("lender=harbour&stage=phone",),
    "/help": ("at=/breaks",),
}
"""Pages that say more once something is chosen: with what."""
AREAS: Final = {
    "Agency portal": AGENCY, "Portfolio": "portfolio_manager", "Agencies": "portfolio_manager", "Finance": "finance",
    "Compliance": "compliance", "The house": "administrator",
}  # fmt: skip
"""Whose work the pages of a section of the side are."""
FOUND: Final = """() => {
    const all = (what) => [...document.querySelectorAll(what)].map(link => link.getAttribute('href'));
    return [...all('main .tabs a:not([aria-current])'), ...all('main a[data-open]').slice(0, 1)];
}"""


class NothingThere(LookupError):
    """No row is there that the page could show."""


@dataclass(frozen=True)
class Stop:
    """One page to look at."""

    path: str
    """with its query"""
    who: str
    """the role whose work it is; NOBODY before signing in"""
    route: str = ""
    called: str = ""
    """what its picture is called, where the address does not say it"""
    is_behind: bool = False
    """whether it lies behind a tab of another page, or opens beside a list"""

    @property
    def name(self) -> str:
        """What its picture is called: the path without numbers, and what was chosen."""
        if self.called:
            return self.called
        at = urlsplit(self.path)
        chosen = [
            value if name in {"tab", "kind", "form"} else name
            for name, value in parse_qsl(at.query)
            if name in {"tab", "kind", "open"}
        ]
        plain = "-".join([re.sub(r"\{[^}]*\}", "one", self.route or at.path), *chosen])
        return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "home"


def stops(connection: Connection) -> Iterator[Stop]:
    """Every page with an address, by whose work it is; those that nothing is there for are left to `unreachable`."""
    for route in routes():
        with suppress(NothingThere):
            path = address(connection, route.path)
            for query in AFTER_A_CHOICE.get(route.path, ("",)):
                yield Stop(f"{path}?{query}" if query else path, owner(route), route.path)


def unreachable(connection: Connection) -> list[str]:
    """What keeps each page that has no address from having one."""
    found = []
    for route in routes():
        if route.path in AT_TIMES:
            continue
        try:
            address(connection, route.path)
        except NothingThere as nothing:
            found.append(str(nothing))
    return found


def address(connection: Connection, route: str) -> str:
    """The route with its blanks filled. Raises NothingThere."""
    return re.sub(r"\{(\w+)\}", lambda blank: _filled(connection, route, blank[1]), route)


def routes() -> list[APIRoute]:
    """The routes that answer a whole page."""
    return [
        route
        for router in ROUTES
        for route in router.routes
        if isinstance(route, APIRoute)
        and "GET" in (route.methods or ())
        and not NO_PAGES.search(route.path)
        and route.path not in ELSEWHERE
    ]


def further(page: chromium.Page, stop: Stop) -> list[Stop]:
    """The tabs of the page that is open, and what opens beside its list."""
    here = urlsplit(stop.path)
    found = [urlsplit(href) for href in page.evaluate(FOUND) if href]
    paths = [f"{here.path}?{one.query}" for one in found if one.path in {"", here.path} and one.query]
    return [replace(stop, path=path, is_behind=True) for path in dict.fromkeys(paths) if path != stop.path]


def owner(route: APIRoute) -> str:
    """The role whose work the page is."""
    action = next((call.action for call in _asked(route) if hasattr(call, "action")), None)
    if action is None:
        return NOBODY
    first = "/" + route.path.split("/")[1]
    titles = (one.title for one in SECTIONS if first in {entry.path for entry in one.entries})
    of_area, roles = AREAS.get(next(titles, "")), ACTIONS[action].roles
    return of_area if of_area in roles else next(role for role in (*ROLES, AGENCY) if role in roles)


def _asked(route: APIRoute) -> list[object]:
    return [one.call for one in route.dependant.dependencies if one.call is not None]


def _filled(connection: Connection, route: str, blank: str) -> str:
    """What is asked for in that blank: a word of BLANKS, or the number of the newest row."""
    if (word := BLANKS.get(route) or BLANKS.get(blank)) is not None:
        return word
    wanted = NEWEST[route] if route in NEWEST else select(func.max(_numbered(blank).c[blank]))
    newest = connection.execute(wanted).scalar_one()
    if newest is None:
        message = f"{route}: nothing is there to be shown"
        raise NothingThere(message)
    return str(newest)


def _numbered(key: str) -> Table:
    """The one table whose rows have that number."""
    found = [
        table for table in SQLModel.metadata.tables.values() if [column.name for column in table.primary_key] == [key]
    ]
    if len(found) != 1:
        message = f"{len(found)} tables are numbered by {key}: say in BLANKS or NEWEST what stands there"
        raise NothingThere(message)
    return found[0]

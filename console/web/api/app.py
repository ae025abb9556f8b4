"""The API as an application of its own, mounted at /api/v1: no cookie counts here, and no session begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from pydantic import BaseModel

from console.web.api import (
    agreed,
    answering,
    book,
    deciding,
    door,
    foretelling,
    house,
    instalments,
    intake,
    keeping,
    ledger,
    money,
    onboarding,
    own,
    proof,
    reaching,
    reporting,
    strategy,
)
from console.web.api.door import PROBLEMS, Calling, needs
from models.permissions import ACTIONS

if TYPE_CHECKING:
    from infra.wiring import Desk

VERSION: Final = "1"
ROUTERS: Final = (
    book.router, money.router, proof.router, house.router, own.router, intake.router, onboarding.router, agreed.router,
    keeping.router, strategy.router, instalments.router, deciding.router,
    reaching.router, foretelling.router, reporting.router, ledger.router,
    answering.router,
)  # fmt: skip
ABOUT: Final = """\
What people do in the console, for programs. Every call carries a token (`Authorization: Bearer cst_…`) that belongs to
a person: it reaches no further than that person's roles, and no further than its own scopes. Amounts are whole minor
units beside their currency; days and instants are ISO 8601, instants in UTC. Lists go on at `next`."""


class Me(BaseModel):
    """Who calls."""

    actor: str
    agency: str | None
    roles: list[str]
    actions: list[str]


def create_api(desk: Desk) -> FastAPI:
    """The API of this desk's store."""
    app = FastAPI(
        title="Consign", version=VERSION, description=ABOUT, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        generate_unique_id_function=lambda route: route.name, servers=[{"url": "/api/v1"}],
        root_path_in_servers=False,
    )  # fmt: skip
    app.state.desk = desk
    door.install(app)

    @app.get("/me", dependencies=[needs("account.own")], responses=PROBLEMS)
    def get_me(call: Calling) -> Me:
        """Who calls, and what the token reaches."""
        reached = sorted(action for action in ACTIONS if call.who.may(action))
        return Me(actor=call.who.actor, agency=call.who.agency, roles=sorted(call.who.roles), actions=reached)

    for router in ROUTERS:
        app.include_router(router)
    return app

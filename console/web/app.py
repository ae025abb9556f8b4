"""The console as an application: every page's router, in one list, behind the same door."""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from console.web import problems, visits
from console.web.metrics import Metrics, Watch
from console.web.pages import (
    account,
    agencies,
    audit,
    breaks,
    closing,
    conduct,
    disclosures,
    exchanges,
    home,
    operations,
    payments,
    people,
    planning,
    plans,
    policies,
    portfolios,
    recalls,
    recoveries,
    requests,
    schedules,
    scorecards,
    statements,
)
from console.web.security import Guard
from infra.store import schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.wiring import Desk

ROUTES: Final = (
    home.router,
    account.router,
    operations.router,
    people.router,
    policies.router,
    disclosures.router,
    requests.router,
    conduct.router,
    audit.router,
    breaks.router,
    recoveries.router,
    statements.router,
    closing.router,
    payments.router,
    portfolios.router,
    planning.router,  # before plans: /plans/new is no plan's number
    plans.router,
    recalls.router,
    agencies.router,
    exchanges.router,
    schedules.router,
    scorecards.router,
)
"""Every page of the console, by area."""


def create_app(desk: Desk) -> FastAPI:
    """The console of this desk's store. What a person does there is done at a desk of theirs."""
    schema.ensure(desk.database)
    app = FastAPI(title="Consign", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    for router in ROUTES:
        app.include_router(router)
    app.state.paths = frozenset(route.path for router in ROUTES for route in router.routes if hasattr(route, "path"))
    app.mount("/static", _Static(directory=str(files("console.web") / "static")), name="static")
    problems.install(app)
    app.middleware("http")(_first_visit)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6)
    settings = desk.settings
    app.state.metrics = Metrics(desk)
    app.add_middleware(Watch, metrics=app.state.metrics)
    app.add_middleware(Guard, tls=settings.web_url.startswith("https://"), upload_bytes=settings.upload_bytes)
    return app


async def _first_visit(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """A browser that nobody is signed in at gets a cookie, so that the form to sign in is ours too."""
    request.state.visit = "" if visits.VISIT in request.cookies else secrets.token_urlsafe(32)
    answer = await go_on(request)
    if request.state.visit and not request.url.path.startswith("/static/"):
        secure = request.app.state.desk.settings.web_url.startswith("https://")
        answer.set_cookie(visits.VISIT, request.state.visit, httponly=True, samesite="lax", secure=secure, path="/")
    if "consign_done" in request.cookies and answer.status_code == 200 and not request.headers.get("hx-request"):  # noqa: PLR2004 - HTTP's
        answer.delete_cookie("consign_done", path="/")
    return answer


class _Static(StaticFiles):
    """Files that are named by what is in them: a browser keeps them."""

    def file_response(self, *args: object, **more: object) -> Response:
        answer = super().file_response(*args, **more)  # type: ignore[arg-type]  # as the base class has them
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer

"""The console as an application: every page's router, in one list, behind the same door."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from console.web import problems, visits
from console.web.api.app import create_api
from console.web.metrics import Metrics, Watch
from console.web.pages import (
    account,
    agencies,
    audit,
    backups,
    books,
    breaks,
    closing,
    comparing,
    conduct,
    consolidation,
    contracts,
    disclosures,
    evaluations,
    exceptions,
    exchanges,
    forecast,
    gate,
    home,
    incidents,
    instalments,
    intake,
    onboarding,
    operations,
    payments,
    people,
    planning,
    plans,
    policies,
    portal,
    portfolios,
    propensity,
    recalls,
    recoveries,
    requests,
    retention,
    runs,
    schedules,
    scorecards,
    statements,
    strategies,
)
from console.web.pages import (
    help as help_,
)
from console.web.security import Guard
from infra.store import schema

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from infra.wiring import Desk

ROUTES: Final = (
    home.router,
    account.router,
    help_.router,
    operations.router,
    backups.router,
    people.router,
    policies.router,
    disclosures.router,
    requests.router,
    retention.router,
    conduct.router,
    gate.router,
    consolidation.router,
    incidents.router,
    audit.router,
    breaks.router,
    recoveries.router,
    statements.router,
    closing.router,
    forecast.router,
    books.router,
    payments.router,
    intake.router,  # before portfolios: /portfolios/new is no portfolio's number
    portfolios.router,
    portal.router,
    comparing.router,  # before plans: /plans/seeds is no plan's number
    planning.router,  # before plans: /plans/new is no plan's number
    plans.router,
    recalls.router,
    strategies.router,
    runs.router,
    instalments.router,
    agencies.router,
    onboarding.router,
    contracts.router,
    exceptions.router,
    exchanges.router,
    schedules.router,
    scorecards.router,
    evaluations.router,
    propensity.router,
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
    app.mount("/api/v1", create_api(desk))
    app.mount("/static", _Static(directory=str(files("console.web") / "static")), name="static")
    problems.install(app)
    tls = desk.settings.web_url.startswith("https://")
    app.add_middleware(FirstVisit, secure=tls)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6)
    app.state.metrics = Metrics(desk)
    app.add_middleware(Watch, metrics=app.state.metrics)
    app.add_middleware(Guard, tls=tls, upload_bytes=desk.settings.upload_bytes)
    return app


class FirstVisit:
    """A browser that nobody is signed in at gets a cookie, so that the form to sign in is ours too.

    What one page asked the next one to say is said once: the cookie that holds it goes with the page that says it.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        fresh = "" if visits.VISIT in request.cookies else secrets.token_urlsafe(32)
        request.state.visit = fresh
        says = visits.DONE in request.cookies and "hx-request" not in request.headers

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = Response(status_code=message["status"])
                if fresh:
                    answer.set_cookie(visits.VISIT, fresh, httponly=True, samesite="lax", secure=self.secure, path="/")
                if says and message["status"] == HTTPStatus.OK:
                    answer.delete_cookie(visits.DONE, path="/")
                cookies = [(name, value) for name, value in answer.raw_headers if name == b"set-cookie"]
                message["headers"] = [*message["headers"], *cookies]
            await send(message)

        await self.app(scope, receive, sending)


class _Static(StaticFiles):
    """Files that are named by what is in them: a browser keeps them."""

    def file_response(self, *args: object, **more: object) -> Response:
        answer = super().file_response(*args, **more)  # type: ignore[arg-type]  # as the base class has them
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer

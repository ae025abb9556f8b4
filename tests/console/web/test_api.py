"""The API: the permissions of the pages, tokens that reach no further than their person, answers as described."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import select
from starlette.testclient import TestClient

from console.web.api.app import ROUTERS, create_api
from console.web.api.described import described
from console.web.app import create_app
from infra.people import tokens
from infra.sandbox.staff import CLERK, SECOND, STAFF
from infra.store import bulk
from infra.store.exchange import AGENCIES, FILES
from models.errors import RefusedByPolicy, UsageError
from models.permissions import ACTIONS, AGENCY, allowed
from models.roles import ROLES
from models.tables import AuditEvent, Complaint, Person, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

    from infra.wiring import Desk
    from tests.console.web.conftest import StillClock

CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, ignored_auth,
    unsupported_method,
)  # fmt: skip


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_app(desk), raise_server_exceptions=False) as made:
        yield made


def token_of(desk: Desk, actor: str, *scopes: str, days: int = 30) -> str:
    return tokens.make(desk.acting(actor), actor, "tests", scopes=scopes, days=days).token


def get(client: TestClient, path: str, token: str) -> Response:
    return client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def action_of(route: APIRoute) -> str:
    (found,) = (one.call.action for one in route.dependant.dependencies if hasattr(one.call, "action"))  # type: ignore[union-attr]
    return str(found)


def test_every_route_of_the_api_has_an_action_of_the_table() -> None:
    found = {route.name: action_of(route) for route in routes()}
    assert len(found) >= 50
    assert set(found.values()) <= set(ACTIONS)


def test_each_role_reaches_what_the_table_says_and_is_told_why_not_elsewhere(desk: Desk, client: TestClient) -> None:
    actors: dict[str, str] = dict(STAFF) | {AGENCY: CLERK}
    given = {role: token_of(desk, actor) for role, actor in actors.items()}
    walked = [route for route in routes() if route.methods == {"GET"} and "{" not in route.path]
    for route, (role, token) in product(walked, given.items()):
        may = allowed(action_of(route), {role}, agency="quayside" if role == AGENCY else None)
        answer = get(client, route.path, token)
        assert (answer.status_code == 403) is not may, (route.path, role, answer.text)
        if not may:
            assert "does not let you" in answer.json()["detail"] + answer.json()["title"]


def test_without_a_token_that_counts_nobody_gets_anything(desk: Desk, client: TestClient, clock: StillClock) -> None:
    ended = token_of(desk, SECOND, days=1)
    revoked = tokens.make(desk.acting(SECOND), SECOND, "tests")
    tokens.revoke(desk.acting(SECOND), revoked.token_id)
    assert get(client, "/me", ended).status_code == 200
    clock.pass_(days=2)
    for token in ("", "cst_", "x" * 50, "cst_" + "x" * 43, ended, revoked.token):
        for route in routes():
            if route.methods == {"GET"} and "{" not in route.path:
                answer = get(client, route.path, token)
                assert answer.status_code == 401, (route.path, token)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_s_scopes_narrow_what_its_person_may(desk: Desk, client: TestClient) -> None:
    looking = token_of(desk, SECOND, "*.see")
    assert get(client, "/breaks", looking).status_code == 200
    body = {"owner": SECOND}
    refused = client.post("/api/v1/breaks/1/assign", json=body, headers={"Authorization": f"Bearer {looking}"})
    assert refused.status_code == 403
    working = token_of(desk, SECOND, "breaks.*")
    assert get(client, "/plans", working).status_code == 403
    done = client.post("/api/v1/breaks/1/assign", json=body, headers={"Authorization": f"Bearer {working}"})
    assert (done.status_code, done.json()["owner"]) == (200, SECOND)


def test_a_cookie_is_no_token_and_a_token_opens_no_page(desk: Desk, client: TestClient) -> None:
    token = token_of(desk, SECOND)
    page = client.get("/plans", headers={"Authorization": f"Bearer {token}"}, follow_redirects=False)
    assert page.status_code == 303
    assert page.headers["location"].startswith("/sign-in")


def test_an_agency_s_token_reaches_its_own_and_nothing_of_another(desk: Desk, client: TestClient) -> None:
    token = token_of(desk, CLERK)
    people, stated = bulk.table_of(Person), bulk.table_of(Statement)
    with desk.database.read() as connection:
        own = connection.execute(select(people.c.agency).where(people.c.actor == CLERK)).scalar_one()
        others = connection.execute(select(AGENCIES.c.agency).where(AGENCIES.c.agency != own)).scalars().all()
        theirs = connection.execute(select(FILES.c.file_id).where(FILES.c.agency != own)).scalars().all()
        mine = connection.execute(select(FILES.c.file_id).where(FILES.c.agency == own)).scalars().all()
    assert get(client, f"/own/files/{mine[0]}", token).status_code == 200
    for number in theirs:
        assert get(client, f"/own/files/{number}", token).status_code == 404
        assert get(client, f"/own/files/{number}/refused-lines", token).status_code == 404
    for path in ("/own", "/own/files", "/own/received", "/own/statements", "/own/erasures", f"/own/files/{mine[0]}"):
        answer = get(client, path, token)
        assert answer.status_code == 200
        assert not [code for code in others if code in answer.text], path
    assert stated is not None


def test_what_is_done_through_the_api_is_done_by_its_person(desk: Desk, client: TestClient) -> None:
    token = token_of(desk, STAFF["compliance"])
    agency = "quayside"
    body: dict[str, Any] = {"agency": agency, "lender": "harbour", "ref": "API-1", "category": "conduct"}
    headers = {"Authorization": f"Bearer {token}"}
    first = client.post("/api/v1/complaints", json=body, headers=headers)
    again = client.post("/api/v1/complaints", json=body, headers=headers)
    assert (first.status_code, first.json()["complaints"]) == (201, 1)
    assert (again.json()["complaints"], again.json()["known_before"]) == (0, 1)
    events, rows = bulk.table_of(AuditEvent), bulk.table_of(Complaint)
    with desk.database.read() as connection:
        assert len(connection.execute(select(rows)).all()) == 1
        said = connection.execute(select(events.c.actor).where(events.c.action == "complaint.registered")).scalars()
        assert set(said) <= {STAFF["compliance"]}


def test_a_token_is_made_for_an_active_person_for_a_time_and_for_what_there_is(desk: Desk) -> None:
    at = desk.acting(SECOND)
    for wrong in ({"scopes": ["nothing.at_all"]}, {"days": 0}, {"days": 4_000}):
        with pytest.raises(UsageError):
            tokens.make(at, SECOND, "x", **wrong)
    with pytest.raises(UsageError):
        tokens.make(at, SECOND, "名")
    with pytest.raises(RefusedByPolicy):
        tokens.make(desk.acting(STAFF["finance"]), SECOND, "x")
    assert tokens.make(desk.acting(STAFF["administrator"]), CLERK, "x").name == "x"


def test_tokens_are_made_shown_once_and_revoked_on_a_page(browse: Any) -> None:
    browser = browse("finance")
    made = browser.send("/account/tokens", at="/account/tokens", name="reporting", scopes="*.see", days="7")
    assert made.status_code == 200
    assert "cst_" in made.text
    assert made.headers["cache-control"] == "no-store"
    shown = browser.get("/account/tokens").text
    assert "cst_" not in shown
    assert "reporting" in shown
    assert browser.send("/account/tokens", at="/account/tokens", name="", days="7").status_code == 422
    assert browser.send("/account/tokens/1/revoke", at="/account/tokens").status_code == 303
    assert "reporting" not in browser.get("/account/tokens").text


def fuzzed(desk: Desk, actor: str, examples: int, chosen: str) -> int:
    """Every operation is called with what its description allows and with what it does not; how many there were."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_api(desk))
    headers = {"Authorization": f"Bearer {token_of(desk, actor)}"}
    count = 0
    for result in schema.include(path_regex=chosen).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # one that cannot be read fails here
        count += 1

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        call()
    return count


@pytest.mark.parametrize(("actor", "chosen", "least"), [(SECOND, "^/(?!own)", 45), (CLERK, "^/own", 7)])
def test_every_answer_is_as_the_description_says_whatever_is_sent(
    desk: Desk, actor: str, chosen: str, least: int
) -> None:
    assert fuzzed(desk, actor, 3, chosen) >= least


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_nothing_that_is_sent_breaks_the_api(desk: Desk) -> None:
    assert fuzzed(desk, SECOND, 100, "^/(?!own)") + fuzzed(desk, CLERK, 100, "^/own") > len(ROLES)


def test_the_description_that_is_kept_is_what_the_api_says_of_itself() -> None:
    kept = Path(__file__).resolve().parents[3] / "docs" / "reference" / "openapi.json"
    assert kept.read_text(encoding="utf-8") == described(), "run `make docs`"

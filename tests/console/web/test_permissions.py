"""Every route stands behind an action of the table, and the table decides: by role, through the page."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from console.web.app import ROUTES
from console.web.navigation import SECTIONS
from models.permissions import ACTIONS, AGENCY
from models.roles import ROLES

if TYPE_CHECKING:
    from pathlib import Path

    from httpx2 import Response

    from tests.console.web.conftest import As, Browser

OPEN = {
    "/sign-in", "/sign-in/code", "/sign-in/vouched", "/sign-in/vouched/back", "/preferences",
    "/healthz", "/healthz/live",
}  # fmt: skip
"""What anybody may ask for."""


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


def every_route() -> list[APIRoute]:
    """Every page and form of the console."""
    return [route for router in ROUTES for route in router.routes if isinstance(route, APIRoute)]


def methods_of(route: APIRoute) -> set[str]:
    """GET or POST."""
    return set(route.methods or ())


def actions_of(route: APIRoute) -> list[str | None]:
    """The actions that its dependencies ask for; None where one says that anybody may."""
    return [call.action for call in _calls(route.dependant) if hasattr(call, "action")]


def _calls(dependant: Dependant) -> list[Any]:
    inner = [call for one in dependant.dependencies for call in _calls(one)]
    return [dependant.call, *inner] if dependant.call is not None else inner


def test_every_route_has_one_action_of_the_table_and_few_are_open() -> None:
    opened = set()
    for route in every_route():
        asked = actions_of(route)
        assert len(asked) == 1, (route.path, asked)
        if asked[0] is None:
            opened.add(route.path)
        else:
            assert asked[0] in ACTIONS, route.path
    assert opened == OPEN


def test_what_changes_something_is_no_get_and_every_route_is_a_plain_function() -> None:
    for route in every_route():
        assert methods_of(route) <= {"GET", "POST"}, route.path
        assert not inspect.iscoroutinefunction(route.endpoint), route.path


def test_every_action_of_the_table_is_some_route_s() -> None:
    asked = {action for route in every_route() for action in actions_of(route)}
    assert set(ACTIONS) - asked == set(), "an action that no page asks for"


def test_the_side_leads_where_the_page_asks_for_the_same_action() -> None:
    asked = {route.path: actions_of(route)[0] for route in every_route() if "GET" in methods_of(route)}
    for section in SECTIONS:
        for entry in section.entries:
            if entry.path in asked:
                assert asked[entry.path] == entry.action, entry.path


def asked(browser: Browser, method: str, path: str) -> Response:
    """What the route answers; a form carries our word."""
    form = {"_form": browser.word} if method == "POST" else None
    return browser.request(method, filled(path), data=form)


def filled(path: str) -> str:
    """The path with something in its blanks: what is asked for need not be there to be refused."""
    return re.sub(r"\{[^}]*\}", "1", path)


def test_nobody_sees_anything_without_signing_in(browse: As) -> None:
    browser = browse()
    browser.get("/sign-in")
    for route in every_route():
        if route.path in OPEN:
            continue
        for method in methods_of(route):
            answer = browser.request(
                method, filled(route.path), data={"_form": browser.word} if method == "POST" else None
            )
            assert answer.status_code == 303, (method, route.path)
            assert answer.headers["location"].startswith("/sign-in"), route.path


@pytest.mark.parametrize("role", [*ROLES, AGENCY])
def test_a_role_is_refused_what_the_table_does_not_give_it_and_told_what(browse: As, role: str) -> None:
    browser = browse(role)
    browser.get("/account")
    for route in every_route():
        action = actions_of(route)[0]
        if action is None or role in ACTIONS[action].roles:
            continue
        for method in methods_of(route):
            answer = browser.request(
                method, filled(route.path), data={"_form": browser.word} if method == "POST" else None
            )
            assert answer.status_code == 403, (role, method, route.path)
            assert ACTIONS[action].words[0] in answer.text.replace("&#39;", "'"), route.path


@pytest.mark.parametrize("role", [*ROLES, AGENCY])
def test_a_role_is_let_in_where_the_table_gives_it_the_page(browse: As, role: str) -> None:
    browser = browse(role)
    for route in every_route():
        action = actions_of(route)[0]
        if action is None or role not in ACTIONS[action].roles or "GET" not in methods_of(route):
            continue
        answer = browser.get(filled(route.path))
        assert answer.status_code not in {403, 500}, (role, route.path, answer.text[:500])


def test_the_side_shows_what_the_table_gives_the_role_and_nothing_else(browse: As) -> None:
    paths = {route.path for route in every_route()}
    for role in (*ROLES, AGENCY):
        side = browse(role).get("/account").text.split("</nav>")[0]
        for section in SECTIONS:
            for entry in section.entries:
                shown = f'href="{entry.path}"' in side
                assert shown is (entry.path in paths and role in ACTIONS[entry.action].roles), (role, entry.path)

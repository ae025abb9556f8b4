"""Whatever a command does is done in the browser and through the API too, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.acts import COVERED, NOT_IN_THE_API, STAYS, in_words
from console.cli.described import commands
from console.web.api.app import ROUTERS
from console.web.app import ROUTES
from flows.jobs import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "console.md"
SEEN, CHANGED = "GET", "POST"


def there(routes: Iterable[object]) -> set[str]:
    """Routes as `GET /plans`."""
    return {
        f"{method} {route.path}"  # type: ignore[attr-defined]  # those with methods have a path
        for route in routes
        for method in getattr(route, "methods", None) or ()
    }


@pytest.fixture(scope="module")
def pages() -> set[str]:
    return there(route for router in ROUTES for route in router.routes)


@pytest.fixture(scope="module")
def api() -> set[str]:
    return there(route for router in ROUTERS for route in router.routes) | {f"job {verb}" for verb in VERBS}


def test_every_command_is_in_the_browser_or_says_why_it_stays_at_the_command_line() -> None:
    stay = [command for of_one_reason in STAYS.values() for command in of_one_reason]
    assert sorted([*COVERED, *stay]) == sorted(commands())


def test_every_act_has_the_page_that_the_table_says(pages: set[str]) -> None:
    assert {act: one.page for act, one in COVERED.items() if one.page not in pages} == {}


def test_every_act_is_in_the_api_as_the_table_says_or_says_why_not(api: set[str]) -> None:
    assert {act: one.api for act, one in COVERED.items() if one.api not in api | set(NOT_IN_THE_API)} == {}


def test_what_changes_something_in_the_browser_changes_it_in_the_api_by_the_same_method() -> None:
    """A page to look at may stand for a form behind it; a form stands for nothing that only looks."""
    looks = {
        act
        for act, one in COVERED.items()
        if one.page.startswith(CHANGED) and one.api.startswith(SEEN) and act != "propensity explain"
    }
    assert looks == set()


def test_what_stays_at_the_command_line_is_told_with_its_reason() -> None:
    told = PAGE.read_text(encoding="utf-8").split("## What stays at the command line, and why")[1].split("\n## ")[0]
    assert in_words() in told, "run `make docs`"

"""Every page there is, in Chromium, in both languages: axe, the console of the browser, requests, and both widths.

The pages are found by their routes (walks.py), on a sandbox in the middle of its work (posed.py). Where a page opens
further ones (its tabs, its drawer), the long walk looks at those too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from models.permissions import AGENCY
from tests.console.web import posed, walks
from tests.console.web.walks import NOBODY, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.console.web.conftest import Console, PageAs, Window

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
WIDER = "[document.documentElement.scrollWidth, window.innerWidth]"


@pytest.fixture(scope="module")
def morning(running: Console) -> Console:
    """The console of a house where something of everything is under way."""
    posed.pose(running.desk)
    return running


def test_every_page_has_an_address_to_be_visited_at(morning: Console) -> None:
    with morning.desk.database.read() as connection:
        assert walks.unreachable(connection) == []


def stops_of(at: Console, *who: str) -> list[Stop]:
    """The pages of these people."""
    with at.desk.database.read() as connection:
        found = [stop for stop in walks.stops(connection) if (stop.who in {AGENCY, NOBODY}) is (stop.who in who)]
    assert found
    return [stop for stop in found if not who or stop.who in who]


def looked_at(window: Window, stop: Stop) -> None:
    """Axe finds nothing on the page at a desk; it is no wider than its window, there and on a telephone."""
    page = window.go(stop.path)
    assert page.locator("h1").count() >= 1, stop.path
    for size in (PHONE, DESK):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of just these two
        wide, shown = page.evaluate(WIDER)
        assert wide <= shown, (stop.path, size)


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("zh", True)], ids=["en", "zh-dark"])
@pytest.mark.parametrize("part", range(3))
def test_every_page_of_the_lender_s_is_clean(
    page_as: PageAs, morning: Console, language: str, part: int, *, dark: bool
) -> None:
    window = page_as("second", language, dark=dark)
    for stop in stops_of(morning)[part::3]:
        looked_at(window, stop)


@pytest.mark.parametrize(("language", "dark"), [("en", True), ("zh", False)], ids=["en-dark", "zh"])
@pytest.mark.parametrize("who", [AGENCY, NOBODY])
def test_every_page_of_an_agency_s_and_before_signing_in_is_clean(
    page_as: PageAs, morning: Console, language: str, who: str, *, dark: bool
) -> None:
    window = page_as(who or None, language, dark=dark)
    for stop in stops_of(morning, who):
        looked_at(window, stop)

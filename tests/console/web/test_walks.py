"""Every page there is, in Chromium, in both languages: axe, the console of the browser, requests, and both widths.

The pages are found by their routes (walks.py), on a sandbox in the middle of its work (posed.py). Where a page opens
further ones (its tabs, its drawer), the long walk looks at those too. And the four people at a telephone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.web.language import say
from models.permissions import AGENCY
from tests.console.web import posed, walks
from tests.console.web.walks import NOBODY, Stop

if TYPE_CHECKING:
    import playwright.sync_api as chromium

    from tests.console.web.conftest import Console, PageAs, Window

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
LANGUAGES = ("en", "zh")
PHONE: chromium.ViewportSize = {"width": 390, "height": 844}
DESK: chromium.ViewportSize = {"width": 1440, "height": 900}
TELEPHONE = (390, 844)
CELLS = "[...table.querySelectorAll('tbody td')].filter(cell => cell.colSpan === 1)"
ABOVE = f"""() => [...document.querySelectorAll('main table')].filter(table => table.tHead).map(table => {{
    const heads = [...table.tHead.rows[0].cells].map(head => [head.getBoundingClientRect(), head.textContent.trim()]);
    return {CELLS}.map(cell => {{
        const box = cell.getBoundingClientRect(), middle = (box.left + box.right) / 2;
        return (heads.find(([head]) => head.left <= middle && middle <= head.right) ?? ['', ''])[1];
    }});
}})"""
"""By table and cell, the head that it stands under at a desk, whatever spans rows or columns there."""
LABELLED = f"""() => [...document.querySelectorAll('main table')].filter(table => table.tHead)
    .map(table => {CELLS}.map(cell => cell.dataset.label ?? ''))"""
"""The same as the cells say it on a telephone."""
WIDER = "[document.documentElement.scrollWidth, window.innerWidth]"


@pytest.fixture(scope="module", autouse=True)
def morning(running: Console) -> Console:
    """The console of a house where something of everything is under way."""
    posed.pose(running.desk)
    return running


def test_every_page_has_an_address_to_be_visited_at(morning: Console) -> None:
    with morning.desk.database.read() as connection:
        assert walks.unreachable(connection) == []


def stops_of(at: Console, *who: str) -> list[Stop]:
    """The pages of these people; without any, of the lender's."""
    with at.desk.database.read() as connection:
        every = list(walks.stops(connection))
    found = [stop for stop in every if (stop.who in who if who else stop.who not in {AGENCY, NOBODY})]
    assert found
    return found


def fits(page: chromium.Page) -> None:
    """Nothing of the page lies beyond the window's side."""
    wide, shown = page.evaluate(WIDER)
    assert wide <= shown, page.url


def looked_at(window: Window, stop: Stop) -> None:
    """Axe finds nothing on the page at a desk; it is no wider than its window, there and on a telephone."""
    page = window.go(stop.path)
    assert page.locator("h1").count() == 1, stop.path
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        fits(page)


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("zh", True)], ids=["en", "zh-dark"])
@pytest.mark.parametrize("part", range(3))
def test_every_page_of_the_lender_s_is_clean(
    page_as: PageAs, morning: Console, language: str, part: int, *, dark: bool
) -> None:
    window = page_as("second", language, dark=dark)
    for stop in stops_of(morning)[part::3]:
        looked_at(window, stop)


@pytest.mark.parametrize(("language", "dark"), [("en", True), ("zh", False)], ids=["en-dark", "zh"])
@pytest.mark.parametrize("who", [AGENCY, NOBODY], ids=["agency", "nobody"])
def test_every_page_of_an_agency_s_and_before_signing_in_is_clean(
    page_as: PageAs, morning: Console, language: str, who: str, *, dark: bool
) -> None:
    window = page_as(who or None, language, dark=dark)
    for stop in stops_of(morning, who):
        looked_at(window, stop)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tab_and_every_drawer_is_clean_at_a_desk_and_on_a_telephone(
    page_as: PageAs, morning: Console, language: str
) -> None:
    lender, agency = page_as("second", language), page_as("agency", language, TELEPHONE)
    seen = 0
    for window, stops in ((lender, stops_of(morning)), (agency, stops_of(morning, AGENCY))):
        for stop in stops:
            window.page.goto(window.url + stop.path)
            for one in walks.further(window.page, stop):
                window.go(one.path)
                window.page.set_viewport_size(PHONE)
                window.page.reload()  # a telephone's page is arranged as it comes
                window.look()
                fits(window.page)
                window.page.set_viewport_size(DESK)
                seen += 1
    assert seen > len(stops_of(morning)) / 2


# --- the four people at a telephone -----------------------------------------------------------------------------------


def through_the_menu(window: Window, path: str) -> chromium.Page:
    """The page, by the menu that a telephone has instead of the side."""
    page = window.page
    page.goto(window.url)
    assert not page.locator("#navigation").is_visible()
    page.locator(".menu").click()
    page.locator(f'#navigation a[href="{path}"]').click()
    page.wait_for_url(f"**{path}")
    assert not page.locator("#navigation").is_visible()
    fits(page)
    return page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_manager_reads_a_plan_on_the_way_and_its_rows_say_what_they_are(page_as: PageAs, language: str) -> None:
    say_, window = say(language), page_as("portfolio_manager", language, TELEPHONE)
    page = through_the_menu(window, "/plans")
    table = page.locator("table.stacks")
    assert table.locator("[data-label]").first.evaluate("cell => getComputedStyle(cell).display") == "flow-root"
    assert table.locator(f'[data-label="{say_("State")}"] .badge').first.is_visible()
    page.locator(".badge", has_text=say_("Waits for approval")).first.locator("xpath=ancestor::tr").locator(
        "a[data-open]"
    ).click()
    page.wait_for_url("**/plans/*")
    assert say_("Nothing has been sent.") in page.locator(".about").inner_text()
    fits(page)
    window.look()


@pytest.mark.parametrize("path", ["/instalments/limits/cn-default", "/placements"])
def test_a_cell_is_labelled_with_the_head_of_its_own_column(page_as: PageAs, path: str) -> None:
    desk, telephone = page_as("second").go(path), page_as("second", "en", TELEPHONE).go(path)
    telephone.locator("table.stacks").first.wait_for()
    heads, labels = desk.evaluate(ABOVE), telephone.evaluate(LABELLED)
    stacked = [pair for pair in zip(heads, labels, strict=True) if any(pair[1])]
    assert stacked
    for at_a_desk, on_a_telephone in stacked:
        assert on_a_telephone == at_a_desk


@pytest.mark.parametrize("language", LANGUAGES)
def test_finance_opens_a_break_and_sees_its_drawer_first(page_as: PageAs, language: str) -> None:
    say_, window = say(language), page_as("finance", language, TELEPHONE)
    page = through_the_menu(window, "/breaks")
    page.locator("a[data-open]").first.click()
    drawer = page.locator("#drawer, .drawer").first
    drawer.wait_for()
    page.locator(".drawer:focus").wait_for()
    box = drawer.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < TELEPHONE[1] / 4, "the drawer begins where the eye is"
    fits(page)
    window.look()
    page.get_by_label(say_("Comment")).fill("looked at on the train")
    page.get_by_role("button", name=say_("Add"), exact=True).click()
    page.locator("p.note-good[role=status]").wait_for()
    page.get_by_text("looked at on the train").first.wait_for()
    fits(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_compliance_takes_a_complaint_over(page_as: PageAs, language: str) -> None:
    say_, window = say(language), page_as("compliance", language, TELEPHONE)
    page = through_the_menu(window, "/complaints")
    page.get_by_label(say_("Your reference")).fill(f"T-{language}")
    page.get_by_role("button", name=say_("Register"), exact=True).click()
    page.wait_for_url("**/complaints/*")
    fits(page)
    page.get_by_label(say_("Why")).fill("the debtor was called back")
    page.get_by_role("button", name=say_("Close it")).click()
    page.get_by_text("the debtor was called back").wait_for()
    fits(page)
    window.look()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_agency_s_clerk_follows_a_file_to_its_end(page_as: PageAs, language: str) -> None:
    window = page_as("agency", language, TELEPHONE)
    page = through_the_menu(window, "/portal/files")
    page.locator("a[data-open]").first.click()
    page.wait_for_url("**/portal/files/*")
    assert page.locator(".steps .step-done").count() >= 2
    fits(page)
    window.look()

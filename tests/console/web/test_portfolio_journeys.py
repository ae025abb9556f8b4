"""A portfolio manager's day in Chromium: plan, preview, approval, sending; recall by keyboard; tabs, by axe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.store import bulk
from models.tables import Placement
from tests.console.web.conftest import some_come_back

if TYPE_CHECKING:
    from tests.console.web.conftest import Console, PageAs

pytestmark = pytest.mark.browser
PLACEMENTS = bulk.table_of(Placement)
DESK, PHONE = (1440, 900), (390, 844)
TABS = (
    "/portfolios/1?tab=holds", "/plans/1", "/plans/1?tab=segments", "/plans/1?tab=held_back", "/plans/1?tab=accounts",
    "/recalls?tab=confirmed", "/agencies/quayside?tab=reach", "/agencies/quayside?tab=keys",
    "/agencies/quayside?tab=certification", "/agencies/quayside?tab=files", "/exchanges?tab=came",
)  # fmt: skip
"""Behind their pages, which test_walks visits."""
WORDS = {
    "en": {
        "next": "Next: segments and agencies", "preview": "Preview", "submit": "Submit for approval", "sent": "Sent",
        "approve": "Approve", "send": "Send", "nothing": "Nothing has been sent.", "delivered": "Delivered",
        "do": "Recall", "recalls": "Recalls",
    },
    "zh": {
        "next": "下一步：客群与机构", "preview": "预览", "submit": "提交审批", "sent": "已发送", "approve": "批准",
        "send": "发送",
        "nothing": "尚未发送任何内容。", "delivered": "送达", "do": "撤回", "recalls": "收回",
    },
}  # fmt: skip


@pytest.mark.parametrize(("language", "lender"), [("en", "harbour"), ("zh", "lotus")])
def test_a_plan_from_the_first_form_to_the_agencies(
    page_as: PageAs, running: Console, language: str, lender: str
) -> None:
    words = WORDS[language]
    some_come_back(running.desk, lender)
    mine, theirs = page_as("portfolio_manager", language), page_as("second", language)
    page = mine.go(f"/plans/new?lender={lender}")
    page.get_by_role("button", name=words["next"]).click()
    mine.look()
    page.get_by_role("button", name=words["preview"], exact=True).click()
    page.wait_for_url("**/plans/*")
    assert words["nothing"] in page.locator(".about").inner_text()
    mine.look()
    path = page.url.removeprefix(mine.url)
    page.get_by_role("button", name=words["submit"]).click()
    assert not page.get_by_role("button", name=words["approve"], exact=True).is_visible()
    other = theirs.go(path)
    other.get_by_role("button", name=words["approve"], exact=True).click()
    page.goto(mine.url + path)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=words["send"], exact=True).click()
    page.locator("#sending .badge").first.wait_for(timeout=60_000)
    page.locator("#sending:not([hx-get])").wait_for(timeout=60_000)
    assert words["delivered"] in page.locator("#sending").inner_text()
    mine.go(path)
    assert words["sent"] in page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_placements_are_ticked_and_recalled_by_keyboard(page_as: PageAs, language: str) -> None:
    words = WORDS[language]
    window = page_as("portfolio_manager", language)
    page = window.go("/placements")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    assert page.locator("input[name=placement]:checked").count() == 2
    page.keyboard.press("r")
    page.wait_for_url("**/recalls/preview")
    window.look()
    page.locator("select[name=reason]").select_option("request")
    page.get_by_role("button", name=words["do"], exact=True).click()
    page.wait_for_url("**/recalls")
    assert page.get_by_role("heading", level=1).inner_text() == words["recalls"]
    window.look()


@pytest.mark.parametrize(
    ("language", "size", "dark"), [("en", DESK, False), ("zh", PHONE, True)], ids=["desk", "phone"]
)
def test_axe_finds_nothing_behind_any_tab_and_none_is_wider_than_its_window(
    page_as: PageAs, language: str, size: tuple[int, int], *, dark: bool
) -> None:
    window = page_as("second", language, size, dark=dark)
    for path in TABS:
        page = window.go(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path

"""Strategies and instalment plans in Chromium: proposed by one, accepted by another; every page by axe."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select

from infra.store import bulk
from infra.store import instalments as store
from models.packaged import text
from models.tables import Account, InboundFile, Placement
from tests.console.web.conftest import some_come_back

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import Console, PageAs

pytestmark = pytest.mark.browser
PLACEMENTS, ACCOUNTS, FILES = bulk.table_of(Placement), bulk.table_of(Account), bulk.table_of(InboundFile)
DESK, PHONE = (1440, 900), (390, 844)
WORDS = {
    "en": {
        "write": "Write it here instead", "propose": "Propose", "wrong": "cannot be used", "force": "Put in force",
        "run": "Propose moves now", "accept": "Accept the moves", "accepted": "Accepted", "approve": "Approve",
        "agreed": "Agreed", "done": "Done",
    },
    "zh": {
        "write": "在此直接填写", "propose": "提出", "wrong": "无法使用", "force": "批准生效", "run": "立即提出调整",
        "accept": "同意调整", "accepted": "已接收", "approve": "批准", "agreed": "已同意", "done": "已完成",
    },
}  # fmt: skip


def proposed(desk: Desk, agency: str) -> int:
    """A plan in two parts that the agency proposed yesterday; its number."""
    first = desk.today() + timedelta(days=10)
    with desk.database.write() as connection:
        number = int(connection.execute(select(func.count()).select_from(store.PLANS)).scalar_one()) + 1
        place = connection.execute(
            select(PLACEMENTS, ACCOUNTS.c.balance_minor.label("owed"))
            .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
            .where(
                PLACEMENTS.c.agency == agency, PLACEMENTS.c.state == "acknowledged", ACCOUNTS.c.balance_minor > 10**5
            )
            .order_by(PLACEMENTS.c.placement_id.desc())
            .offset(number - 1)
            .limit(1)
        ).one()
        connection.execute(
            insert(store.PLANS).values(
                instalment_plan_id=number, agency=agency, lender=place.lender, plan_ref=f"P-{number}",
                placement_id=place.placement_id, currency=place.currency, total_minor=place.owed, instalments=2,
                first_due_on=first, last_due_on=first + timedelta(days=30), state="proposed", income_band="medium",
                file_id=connection.execute(select(FILES.c.file_id).limit(1)).scalar_one(),
                proposed_at=desk.now() - timedelta(days=1),
            )
        )  # fmt: skip
        halves = (place.owed // 2, place.owed - place.owed // 2)
        connection.execute(
            insert(store.INSTALMENTS),
            [
                {"instalment_plan_id": number, "number": place_ + 1, "due_on": first + timedelta(days=30 * place_),
                 "amount_minor": amount}
                for place_, amount in enumerate(halves)
            ],
        )  # fmt: skip
    return number


@pytest.mark.parametrize(("language", "lender"), [("en", "harbour"), ("zh", "lotus")])
def test_rules_are_mended_put_in_force_run_and_accepted_by_another_person(
    page_as: PageAs, running: Console, language: str, lender: str
) -> None:
    words, name = WORDS[language], f"ours-{lender}"
    some_come_back(running.desk, lender)
    rules = text("models.strategy", "shipped", "cn-soft-first").replace(
        'name = "cn-soft-first"', f'name = "{name}"\nlenders = ["{lender}"]'
    )
    mine, theirs = page_as("portfolio_manager", language), page_as("second", language)
    page = mine.go("/strategies")
    page.locator("summary", has_text=words["write"]).click()
    page.locator("#f-toml").fill(rules.replace('to = "legal"', 'to = "court"'))
    page.get_by_role("button", name=words["propose"], exact=True).click()
    assert words["wrong"] in page.locator(".problem h2").inner_text()
    assert 'to = "court"' in page.locator(".wrong-line").inner_text()
    mine.look()
    page.locator("#f-toml").fill(rules)
    page.get_by_role("button", name=words["propose"], exact=True).click()
    page.wait_for_url(f"**/strategies/{name}*")
    other = theirs.go(page.url.removeprefix(mine.url))
    other.get_by_role("button", name=words["force"]).click()
    other.wait_for_url(f"**/strategies/{name}")
    page = mine.go(f"/strategies?lender={lender}")
    page.get_by_role("button", name=words["run"]).click()
    page.locator(".job[data-ended]").wait_for(timeout=60_000)
    assert words["done"] in page.locator(".job").inner_text()
    page.locator('.job a[href^="/strategy-runs/"]').click()
    mine.look()
    assert not page.get_by_role("button", name=words["accept"]).is_visible()
    path = page.url.removeprefix(mine.url)
    theirs.go(path).get_by_role("button", name=words["accept"]).click()
    other.locator(".job[data-ended]").wait_for(timeout=60_000)
    assert words["accepted"] in mine.go(path).get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_plan_is_opened_by_keyboard_agreed_and_seen_by_its_agency(
    page_as: PageAs, running: Console, language: str
) -> None:
    words = WORDS[language]
    number = proposed(running.desk, "quayside")
    window = page_as("portfolio_manager", language)
    page = window.go("/instalments")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/instalments/{number}")
    window.look()
    page.get_by_role("button", name=words["approve"], exact=True).click()
    page.wait_for_url(f"**/instalments/{number}")
    assert words["agreed"] in page.get_by_role("heading", level=1).inner_text()
    portal = page_as("agency", language, PHONE).go("/portal/instalments")
    assert words["agreed"] in portal.locator("tbody tr", has_text=f"P-{number}").inner_text()
    assert portal.evaluate("document.documentElement.scrollWidth <= innerWidth")


PAGES = (
    "/strategies", "/strategies/cn-soft-first", "/strategies/cn-soft-first/preview?lender=harbour", "/strategy-runs",
    "/strategy-runs/1?tab=moves", "/strategy-runs/1?tab=left", "/proposed-recalls",
    "/stages?lender=harbour&stage=phone", "/stages/accounts/2", "/instalments?tab=agreed", "/instalments/limits",
    "/instalments/limits/cn-default",
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "size", "dark"), [("en", DESK, False), ("zh", PHONE, True)], ids=["desk", "phone"]
)
def test_axe_finds_nothing_on_the_other_pages_and_none_is_wider_than_its_window(
    page_as: PageAs, language: str, size: tuple[int, int], *, dark: bool
) -> None:
    window = page_as("second", language, size, dark=dark)
    for path in PAGES:
        page = window.go(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path

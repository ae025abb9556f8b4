"""Finance, compliance and operations in Chromium, in both languages: forecast, other terms, keeping, the house."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra import shredding
from infra.forecasts import keeping
from infra.sandbox.staff import STAFF

if TYPE_CHECKING:
    from tests.console.web.conftest import Console, PageAs

pytestmark = pytest.mark.browser
PHONE = (390, 844)


@pytest.mark.parametrize(
    ("language", "anew", "reckon"), [("en", "Forecast anew", "Reckon"), ("zh", "重新预测", "试算")]
)
def test_finance_forecasts_and_prices_a_month_under_other_terms(
    page_as: PageAs, language: str, anew: str, reckon: str
) -> None:
    window = page_as("finance", language)
    page = window.go("/forecast")
    page.get_by_role("button", name=anew).click()
    page.locator(".job .badge-good").wait_for(timeout=30_000)
    page = window.go("/forecast")
    page.locator("svg.forecast .expected-bar").first.wait_for()
    window.go("/contracts")
    window.go("/contracts/harbour/quayside")
    page = window.go("/contracts/compare")
    page.locator("#f-changes").fill("vat_rate=0.09")
    page.get_by_role("button", name=reckon, exact=True).click()
    page.locator(".job .badge-good").wait_for(timeout=30_000)
    page.locator(".job a.button-main").click()
    page.locator("table.dense").wait_for()
    window.look()
    window.go("/ledger/exports")


@pytest.mark.parametrize(("language", "place", "lift"), [("en", "Place the hold", "Lift"), ("zh", "设置保全", "解除")])
def test_compliance_holds_by_two_and_sees_what_is_kept_how_long(
    page_as: PageAs, running: Console, language: str, place: str, lift: str
) -> None:
    window = page_as("compliance", language)
    page = window.go("/retention")
    page.locator(".cards .figure").first.wait_for()
    window.look()
    window.go("/retention?tab=schedule")
    page = window.go("/retention?tab=holds")
    page.locator("#f-lender").select_option("harbour")
    page.locator("#f-why").fill(f"case 2026-114 of the city court, {language}")
    page.get_by_role("button", name=place, exact=True).click()
    page.locator("tr", has_text=f"court, {language}").wait_for()
    window.look()
    other = page_as("second", language)
    page = other.go("/retention?tab=holds")
    page.on("dialog", lambda asked: asked.accept())
    page.locator("tr", has_text=f"court, {language}").get_by_role("button", name=lift, exact=True).click()
    page.locator(".note-good").wait_for()
    window.go("/retention?tab=deleted")
    shredding.ask_portfolio(running.desk.acting(STAFF["compliance"]), 1, f"sold on 30 June, {language}")
    other.go("/retention?tab=shreddings")
    window.go("/rules")
    window.go("/gate")
    window.go("/gate/files/1")


@pytest.mark.parametrize(("language", "button"), [("en", "Back up now"), ("zh", "立即备份")])
def test_operations_sees_how_the_house_is_and_backs_up(page_as: PageAs, language: str, button: str) -> None:
    window = page_as("operations", language)
    window.go("/operations")
    page = window.go("/backups")
    page.get_by_role("button", name=button).click()
    page.locator(".job .badge-good").wait_for(timeout=30_000)
    window.go("/backups")


def test_on_a_telephone_nothing_scrolls_sideways(page_as: PageAs, running: Console) -> None:
    keeping.keep(running.desk, None, 6)
    window = page_as("second", "zh", PHONE, dark=True)
    for path in (
        "/", "/forecast", "/contracts", "/contracts/harbour/quayside", "/contracts/compare", "/ledger/exports",
        "/retention", "/retention?tab=holds", "/retention?tab=schedule", "/retention?tab=shreddings", "/rules", "/gate",
        "/operations", "/backups",
    ):  # fmt: skip
        page = window.go(path)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (path, wide)

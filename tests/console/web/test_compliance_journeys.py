"""What compliance and an agency's own people do, in Chromium, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.web.language import say
from models.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console.web.conftest import PageAs

pytestmark = pytest.mark.browser
LANGUAGES = ("en", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_compliance_answers_a_complaint_and_verifies_the_trail(page_as: PageAs, language: str) -> None:
    say_, window = say(language), page_as("compliance", language)
    page = window.go("/complaints")
    page.get_by_label(say_("Your reference")).fill(f"C-{language}")
    page.get_by_role("button", name=say_("Register"), exact=True).click()
    page.wait_for_url("**/complaints/*")
    window.look()
    page.get_by_label(say_("Why")).fill("the recording was heard")
    page.get_by_role("button", name=say_("Close it")).click()
    page.locator("main p", has_text="the recording was heard").first.wait_for()
    page = window.go("/audit")
    page.get_by_role("button", name=say_("Verify what is new")).click()
    page.get_by_role("status").first.wait_for()
    window.look()
    page = window.go("/policies")
    page.get_by_role("link", name="cn-default", exact=True).click()
    page.get_by_role("rowheader", name="id_number").wait_for()
    window.look()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_about_nobody_is_refused_with_what_to_do(page_as: PageAs, language: str) -> None:
    say_, window = say(language), page_as("compliance", language)
    page = window.go("/disclosures")
    page.get_by_label(say_("Account, ID or telephone number")).fill("6217000010001234567")
    page.get_by_label(say_("Why you must know")).fill("the debtor has written to us")
    page.get_by_role("button", name=say_("Ask"), exact=True).click()
    page.get_by_role("alert").wait_for()
    assert "6217" not in page.content()
    window.look()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_agency_checks_a_file_before_it_sends_it(page_as: PageAs, tmp_path: Path, language: str) -> None:
    columns = [field.name for field in KINDS["remittance"].fields]
    cells = {"account": "psn_x", "agency_txn_id": "A-1", "type": "recovery", "gross": "1.250,00", "net": "9.00",
             "currency": "CNY", "value_date": "2026-02-01"}  # fmt: skip
    file = tmp_path / "remittance.csv"
    file.write_text(",".join(columns) + "\n" + ",".join(f'"{cells.get(name, "")}"' for name in columns) + "\n")
    say_, window = say(language), page_as("agency", language)
    page = window.go("/portal/check")
    page.get_by_label(say_("File"), exact=True).set_input_files(str(file))
    page.get_by_label(say_("Kind, where its name does not say it")).select_option("remittance")
    page.get_by_role("button", name=say_("Check"), exact=True).click()
    page.get_by_role("alert").wait_for()
    page.get_by_text("1.250,00").wait_for()
    window.look()

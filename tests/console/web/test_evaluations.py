"""Evaluations at the console: asked for, looked at, approved by a second person, and where the next plan begins."""

from __future__ import annotations

import io
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine

from flows import evaluate as flow
from flows.jobs import work_off
from infra.sandbox.world import settings_of
from infra.wiring import Desk, seated_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console.web.conftest import PageAs

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


EVALUATION = 1
"""That of harbour, which chen.yu proposed."""


@pytest.fixture(scope="module")
def sandbox_home(sandbox_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox with an evaluation that waits."""
    home = tmp_path_factory.mktemp("evaluated") / "home"
    shutil.copytree(sandbox_home, home)
    desk = Desk(settings_of(home, engine="direct"), clock=lambda: NOW, actor="chen.yu")
    with seated_here(desk):
        assert flow.evaluate("harbour").evaluation_id == EVALUATION
    desk.database.close()
    return home


def test_an_evaluation_is_asked_for_by_a_form_and_made_by_a_job(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    at = "/evaluations"
    for wrong in ({"kind": "daily"}, {"as_of": "soon"}, {"as_of": "2030-01-01"}, {"lender": "nobody"}):
        assert manager.send(at, at=at, **wrong).status_code == 422, wrong
    job = manager.send(at, at=at, lender="lotus", kind="periodic").headers["location"]
    assert work_off(desk) == 1
    assert 'href="/evaluations/2"' in manager.get(job).text
    page = manager.get("/evaluations/2").text
    with seated_here(desk):
        told = flow.show(2)
    assert (told.lender, told.proposed_by) == ("lotus", "chen.yu")
    for one in told.content["shares"]:
        assert f"/scorecards/{one['agency']}" in page
    assert "You proposed it" in page
    assert "No evaluation meets the filter" in manager.get("/evaluations?state=approved").text
    assert manager.get("/evaluations?state=lost").status_code == 422
    assert manager.get("/evaluations/99").status_code == 422


def test_a_second_person_approves_what_was_shown_and_the_next_plan_begins_with_it(browse: Any, desk: Desk) -> None:
    at = f"/evaluations/{EVALUATION}"
    mine, theirs = browse("portfolio_manager"), browse("second")
    assert mine.send(f"{at}/approve", at=at).status_code == 403
    begun = f"/plans/new/segments?lender=harbour&name=x&stage=phone&evaluation={EVALUATION}"
    assert mine.get(begun).status_code == 422, "not approved yet"
    assert theirs.send(f"{at}/approve", at=at, content="0" * 12).status_code == 403
    content = re.search(r'name="content" value="([0-9a-f]{64})"', theirs.get(at).text)
    assert content is not None
    assert theirs.send(f"{at}/approve", at=at, content=content[1]).status_code == 303
    with seated_here(desk):
        told = flow.show(EVALUATION)
    assert (told.state, told.decided_by) == ("approved", "l.wang")
    assert f"evaluation={EVALUATION}" in mine.get(at).text
    assert f'name="evaluation" value="{EVALUATION}"' in mine.get(f"/plans/new?evaluation={EVALUATION}").text
    form = mine.get(begun).text
    for one in told.content["shares"]:
        shown = f'name="share.{one["agency"]}" value="{100 * one["proposed"]:.2f}"' in form
        assert shown is (one["proposed"] > 0)
    assert 'value="7"' in mine.get(f"{begun}&agency=quayside&share.quayside=7").text, "what is typed stays"


def test_who_says_no_says_why_and_whose_turn_it_is_not_may_not(browse: Any, desk: Desk) -> None:
    at = f"/evaluations/{EVALUATION}"
    compliance = browse("compliance")
    assert 'action="' + at + "/approve" not in compliance.get(at).text
    assert compliance.send(f"{at}/approve", at=at).status_code == 403, "a periodic one is not compliance's"
    assert browse("finance").send(f"{at}/reject", at=at, because="no").status_code == 403
    mine = browse("portfolio_manager")
    assert mine.send(f"{at}/reject", at=at, because=" ").status_code == 422
    assert mine.send(f"{at}/reject", at=at, because="<b>two agencies move</b>").status_code == 303
    page = mine.get(at).text
    assert "&lt;b&gt;two agencies move" in page
    assert mine.send(f"{at}/reject", at=at, because="again").status_code == 403
    with seated_here(desk):
        assert flow.show(EVALUATION).state == "rejected"


def test_it_is_taken_away_as_a_workbook_as_pdf_and_as_lines_of_a_spec(browse: Any) -> None:
    finance = browse("finance", language="zh")
    at = f"/evaluations/{EVALUATION}"
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(finance.get(f"{at}/export").content))
    assert len(book.sheet_names) == 4
    assert len(book.get_sheet_by_index(0).to_python()) == 7
    assert finance.get(f"{at}/evaluation.zh.pdf").content.startswith(b"%PDF")
    assert "share = " in finance.get(f"{at}/shares.toml").text
    assert finance.get(f"{at}/evaluation.en.html").status_code == 422


@pytest.mark.browser
@pytest.mark.parametrize(("language", "size"), [("en", (1440, 900)), ("zh", (390, 844))])
def test_every_page_of_an_evaluation_passes_axe_in_both_languages(
    page_as: PageAs, language: str, size: tuple[int, int]
) -> None:
    window = page_as("second", language, size)
    narrow = "document.documentElement.scrollWidth <= innerWidth"
    assert window.go("/evaluations").evaluate(narrow)
    page = window.go(f"/evaluations/{EVALUATION}")
    assert page.evaluate(narrow)
    page.locator("main details > summary").first.click()
    window.look()

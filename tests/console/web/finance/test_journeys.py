"""Finance at the console in Chromium, in both languages: the keyboard all the way, the drawer, a phone, the month."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from infra.store import worklist
from infra.store.bulk import table_of
from infra.store.worklist import Wanted
from models.tables import Break, Match, Resolution

if TYPE_CHECKING:
    from infra.wiring import Desk

PHONE = (390, 844)
PATHS = (
    "/breaks", "/breaks?tab=proposed", "/breaks?kind=no_line&open=break-{no_line}",
    "/breaks?tab=proposed&open=match-{match}", "/recoveries?open=1", "/statements", "/closing?period=2026-04",
    "/payments", "/bank", "/ledger", "/ledger/entries",
)  # fmt: skip


def counted(desk: Desk, row: Any, **where: Any) -> int:
    """How many rows there are."""
    of = table_of(row)
    with desk.database.read() as connection:
        return len(connection.execute(select(of).where(*(of.c[name] == value for name, value in where.items()))).all())


def numbers(desk: Desk) -> dict[str, int]:
    """Of something to open."""
    with desk.database.read() as connection:
        return {
            "no_line": worklist.page(connection, Wanted(kind="no_line")).rows[0].id,
            "match": worklist.page(connection, Wanted(tab="proposed")).rows[0].id,
        }


@pytest.mark.parametrize(("language", "size", "dark"), [("en", (1440, 900), False), ("zh", PHONE, True)])
def test_every_page_is_clean(page_as: Any, running: Any, language: str, size: tuple[int, int], dark: bool) -> None:
    window = page_as("finance", language, size, dark=dark)
    for path in PATHS:
        page = window.go(path.format(**numbers(running.desk)))
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_morning_at_the_worklist_by_keyboard_alone(page_as: Any, running: Any, language: str) -> None:
    window = page_as("finance", language)
    page = window.go("/breaks?kind=no_line&sort=smallest")
    page.keyboard.press("?")
    page.locator("#help kbd").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    here = page.locator("[data-row].row-here")
    assert here.count() == 1
    assert page.locator("#announced").inner_text() == here.get_attribute("data-row")
    page.keyboard.press("x")
    assert here.locator("input[type=checkbox]").is_checked()
    page.keyboard.press("m")  # nothing is open that anything could be matched with
    page.locator("#announced.said").wait_for()
    window.look()
    page.keyboard.press("Enter")
    page.locator("#drawer").wait_for()
    assert re.search(r"open=break-\d+", page.url)
    page.locator("tr[aria-current=true]:focus").wait_for()
    window.look()
    best = page.locator('#drawer [data-key="m"]')
    while not best.count():  # nothing that is open is near this one: on to the next
        was = page.url
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url, was=was: url != was)
        page.locator("tr[aria-current=true]:focus").wait_for()
    before = counted(running.desk, Match, rule="by_hand")
    page.keyboard.press("m")
    page.wait_for_url(lambda url: "open=break-" in url or "open" not in url)
    page.locator("p.note-good[role=status], .problem").first.wait_for()
    assert counted(running.desk, Match, rule="by_hand") == before + 1
    page.keyboard.press("/")
    page.keyboard.type("RENT")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=RENT**")
    assert page.locator("[data-row]").count() in {0, 1, 2}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_write_off_is_proposed_approved_by_another_and_taken_back(page_as: Any, running: Any, language: str) -> None:
    with running.desk.database.read() as connection:
        row = worklist.page(connection, Wanted(kind="no_line", sort="smallest")).rows[0]
    mine, theirs = page_as("finance", language), page_as("second", language)
    page = mine.go(f"/breaks?open={row.key}")
    form = page.locator('form:has(input[name="kind"][value="write_off"])')
    page.locator('details:has(input[name="kind"][value="write_off"]) > summary').click()
    form.locator("select").select_option("uneconomic")
    form.locator("button").click()
    page.locator("p.note-good[role=status]").wait_for()
    assert counted(running.desk, Resolution, state="waiting", kind="write_off") == 1
    other = theirs.go("/breaks?tab=to_approve")
    other.keyboard.press("j")
    other.keyboard.press("Enter")
    other.locator("#drawer").wait_for()
    theirs.look()
    other.keyboard.press("a")
    other.locator("p.note-good[role=status]").wait_for()
    assert counted(running.desk, Break, break_id=row.id, state="closed") == 1
    page.goto(f"{mine.url}/breaks?tab=written_off&open={row.key}")
    page.on("dialog", lambda asked: asked.accept())
    page.locator('[data-key="u"]').wait_for()
    page.keyboard.press("u")
    page.locator("p.note-good[role=status]").wait_for()
    (undo,) = [one for one in resolutions(running.desk) if one.kind == "undo" and one.state == "waiting"]
    other.goto(f"{theirs.url}/breaks?tab=to_approve&open=resolution-{undo.resolution_id}")
    other.keyboard.press("a")
    other.locator("p.note-good[role=status]").wait_for()
    assert counted(running.desk, Break, break_id=row.id, state="open") == 1


def resolutions(desk: Desk) -> list[Any]:
    """Every resolution."""
    with desk.database.read() as connection:
        return list(connection.execute(select(table_of(Resolution))))


def test_rows_are_chosen_at_once_and_assigned(page_as: Any, running: Any) -> None:
    page = page_as("finance").go("/breaks?kind=unknown_account")
    page.on("dialog", lambda asked: asked.accept())
    page.locator("[data-all=row]").check()
    count = page.locator('input[name="row"]:checked').count()
    assert count == page.locator("[data-row]").count() > 0
    page.locator("#chosen button").click()
    page.locator("p.note-good[role=status]").wait_for()
    assert counted(running.desk, Break, code="unknown_account", owner="m.rossi") == count


def test_a_dry_run_of_matching_tells_what_it_would_do(page_as: Any) -> None:
    page = page_as("finance").go("/breaks")
    page.get_by_role("button", name="Run matching (dry run)").click()
    page.wait_for_url("**/jobs/*")
    page.get_by_text("matches suggested").first.wait_for(timeout=30_000)

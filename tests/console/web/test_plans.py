"""Plans at the console: made in two forms, previewed, approved by a second person, sent by a job."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine
from sqlalchemy import select, update

from flows.jobs import work_off
from infra.store import bulk, plans
from models.tables import AuditEvent, Placement
from tests.console.web.conftest import half_comes_back

if TYPE_CHECKING:
    from infra.wiring import Desk

LENDER = "harbour"
PLAN = {"lender": LENDER, "name": "2026-03-A", "stage": "phone", "policy": "cn-default", "allocator": "shares"}
PLACEMENTS = bulk.table_of(Placement)
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}
NAUGHTY = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}{% include 'base.html' %}",
    "'; DROP TABLE plan;--",
    "=cmd|' /C calc'!A0", "٤٢ Ω≈ç√ 恒信", "%s %(name)s {0}",
)  # fmt: skip


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Half of what was placed has come back unpaid: there is something to plan."""
    return half_comes_back(desk)


def drafted(browser: Any, **more: Any) -> str:
    """The path of a draft that the browser's person has made."""
    answer = browser.send("/plans", at=f"/plans/new?lender={LENDER}", **(PLAN | more))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def state_of(desk: Desk, path: str) -> str:
    with desk.database.read() as connection:
        return plans.plan(connection, int(path.rsplit("/", 1)[-1])).state


def test_the_list_shows_plans_newest_first_and_leads_to_them(browse: Any) -> None:
    page = browse("portfolio_manager").get("/plans")
    assert page.status_code == 200
    assert page.text.index('href="/plans/4"') < page.text.index('href="/plans/1"')
    assert "No plan meets the filter" in browse("portfolio_manager").get("/plans?state=rejected").text


def test_every_page_of_a_plan_opens_in_both_languages(browse: Any) -> None:
    for language in ("en", "zh"):
        browser = browse("finance", language=language)
        for tab in ("preview", "segments", "held_back", "accounts", "account"):
            page = browser.get(f"/plans/1?tab={tab}")
            assert page.status_code == 200, page.text
        assert browser.get("/plans/1?tab=nothing").status_code == 422
        assert browser.get("/plans/999").status_code == 422


def test_a_plan_goes_from_two_forms_to_its_agencies(browse: Any, desk: Desk) -> None:
    manager, second = browse("portfolio_manager"), browse("second")
    assert manager.get(f"/plans/new?lender={LENDER}").status_code == 200
    step2 = manager.get("/plans/new/segments", params=PLAN | {"min_dpd": "1"})
    assert 'name="min_dpd" value="1"' in step2.text
    plan = drafted(manager)
    assert "Nothing has been sent" in manager.get(plan).text
    assert manager.send(f"{plan}/submit", at=plan).status_code == 303
    assert manager.send(f"{plan}/approve", at=plan).status_code == 403
    assert state_of(desk, plan) == "submitted"
    assert second.send(f"{plan}/approve", at=plan).status_code == 303
    assert manager.send(f"{plan}/send", at=plan).status_code == 303
    assert manager.send(f"{plan}/send", at=plan).status_code == 303
    assert 'hx-trigger="every 1s"' in manager.get(f"{plan}/sending", headers=PART).text
    assert work_off(desk) == 1
    assert manager.get(f"{plan}/sending?waited=1", headers=PART).headers["hx-redirect"] == plan, "all of it is sent"
    part = manager.get(f"{plan}/sending", headers=PART).text
    assert "Delivered" in part
    assert "every 1s" not in part
    assert state_of(desk, plan) == "placed"


def test_who_submitted_a_plan_made_by_another_cannot_approve_it(browse: Any, desk: Desk) -> None:
    manager, second = browse("portfolio_manager"), browse("second")
    plan = drafted(manager)
    assert second.send(f"{plan}/submit", at=plan).status_code == 303
    refused = second.send(f"{plan}/approve", at=plan)
    assert refused.status_code == 403
    assert "cannot approve it" in refused.text
    assert state_of(desk, plan) == "submitted"


def test_what_is_approved_is_what_the_page_showed(browse: Any, desk: Desk) -> None:
    manager, second = browse("portfolio_manager"), browse("second")
    plan = drafted(manager)
    manager.send(f"{plan}/submit", at=plan)
    assert second.send(f"{plan}/approve", at=plan, content="0000").status_code == 403
    assert state_of(desk, plan) == "submitted"
    with desk.database.read() as connection:
        content = plans.plan(connection, int(plan.rsplit("/", 1)[-1])).content_sha256
    assert f'name="content" value="{content}"' in second.get(plan).text
    assert second.send(f"{plan}/approve", at=plan, content=content).status_code == 303


def test_a_plan_whose_data_change_says_so_and_cannot_go_on(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager", language="zh")
    plan = drafted(manager)
    number = int(plan.rsplit("/", 1)[-1])
    with desk.database.write() as connection:
        line = connection.execute(select(plans.LINES.c.account_id).where(plans.LINES.c.plan_id == number)).first()
        assert line is not None
        connection.execute(
            update(plans.ACCOUNTS).where(plans.ACCOUNTS.c.account_id == line.account_id).values(version=99)
        )
    assert "方案已不再成立：1 户数据已变化" in manager.get(plan).text
    assert manager.send(f"{plan}/submit", at=plan).status_code == 403
    assert state_of(desk, plan) == "expired"
    assert "重新制定" in manager.get(plan).text


NONSENSE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": ""}, "does not say its name"),
    ({"min_balance": "many"}, "is not a number"),
    ({"min_dpd": "-3"}, "no whole number"),
    ({"min_dpd": "1" * 30}, "no whole number"),
    ({"stage": "threats"}, "must be one of"),
    ({"policy": "none-such"}, "none-such"),
    ({"name": "x" * 200}, "too long"),
    ({"agency": "quayside", "share.quayside": "a third"}, "no percentage"),
    ({"agency": "quayside", "min_share.quayside": "50", "max_share.quayside": "20"}, "is above"),
    ({"balance_edges": "5000 1000"}, "must rise"),
    ({"allocator": "dice"}, "dice"),
    ({"product": "none-such"}, "no account"),
)


def test_what_makes_no_sense_is_told_where_it_was_typed(browse: Any) -> None:
    manager = browse("portfolio_manager")
    for fields, told in NONSENSE:
        answer = manager.send("/plans", at="/plans/new", **(PLAN | fields))
        assert answer.status_code == 422, fields
        assert 'role="alert"' in answer.text
        assert told in answer.text, fields


def test_bounds_of_agencies_hold_in_the_plan(browse: Any, desk: Desk) -> None:
    terms = {
        "agency": ["quayside", "hengxin"],
        "share.quayside": "30",
        "share.hengxin": "70",
        "max_accounts.quayside": "2",
    }
    plan = drafted(browse("portfolio_manager"), **terms)
    with desk.database.read() as connection:
        summary = json.loads(plans.plan(connection, int(plan.rsplit("/", 1)[-1])).summary)
    got = {row["agency"]: row["accounts"] for row in summary["agencies"]}
    assert set(got) == {"quayside", "hengxin"}
    assert 0 <= got["quayside"] <= 2 < got["hengxin"]


def test_an_optimised_plan_says_what_other_agencies_would_bring(browse: Any) -> None:
    manager = browse("portfolio_manager")
    plan = drafted(manager, allocator="value")
    page = manager.get(plan).text
    assert "What the bounds cost" in page
    assert "next best" in page


def test_an_account_is_explained_and_its_number_stands_in_no_address(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan = drafted(manager)
    with desk.database.read() as connection:
        line = plans.lines(connection, int(plan.rsplit("/", 1)[-1])).iloc[0]
    answer = manager.send(f"{plan}/account", at=plan, number=f"#{line['account_id']}")
    assert answer.headers["location"] == f"{plan}?tab=account&account=%23{line['account_id']}"
    assert f"Account #{line['account_id']} →" in manager.get(answer.headers["location"]).text
    unknown = manager.send(f"{plan}/account", at=plan, number="6222020202020202")
    assert unknown.status_code == 422
    assert "6222020202020202" not in unknown.text


def test_saying_no_needs_a_reason_and_ends_the_plan(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan = drafted(manager)
    assert manager.send(f"{plan}/reject", at=plan, because=" ").status_code == 422
    assert manager.send(f"{plan}/reject", at=plan, because="Too much for Lantern").status_code == 303
    assert state_of(desk, plan) == "rejected"
    assert "Too much for Lantern" in manager.get(plan).text


def test_free_text_is_text_wherever_it_is_shown_and_in_workbooks(browse: Any) -> None:
    manager = browse("portfolio_manager")
    for text in NAUGHTY:
        shown_as_text(manager, text)


def shown_as_text(manager: Any, text: str) -> None:
    """A plan of that name, and every page that shows it."""
    plan = drafted(manager, name=text)
    manager.send(f"{plan}/reject", at=plan, because=text)
    for page in (plan, "/plans", f"/plans/new/segments?lender={LENDER}&name=x&region=" + "%3Cscript%3E"):
        shown = manager.get(page).text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
    book = manager.get(f"{plan}/export")
    assert book.headers["content-type"].endswith("spreadsheetml.sheet")
    assert b"<f>" not in book.content
    sheets = python_calamine.load_workbook(io.BytesIO(book.content))
    assert len(sheets.sheet_names) == 4
    assert sheets.get_sheet_by_name("Agencies").to_python()[0][0] == "Agency"


def test_only_a_portfolio_manager_plans(browse: Any, desk: Desk) -> None:
    for role in ("finance", "compliance", "operations", "administrator"):
        browser = browse(role)
        assert browser.get("/plans").status_code == 200
        assert browser.get("/plans/new").status_code == 403
        for act in ("submit", "approve", "reject", "send"):
            assert browser.send(f"/plans/1/{act}", at="/plans/1").status_code == 403
    assert browse("agency").get("/plans/1").status_code == 403
    assert state_of(desk, "/plans/1") == "placed"


def test_very_many_accounts_are_drafted_by_a_job(browse: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.web.pages.planning.DRAFTED_AT_ONCE", 5)
    manager = browse("portfolio_manager")
    answer = manager.send("/plans", at=f"/plans/new?lender={LENDER}", **PLAN)
    job = answer.headers["location"]
    assert job.startswith("/jobs/")
    assert work_off(desk) == 1
    page = manager.get(job).text
    assert "To the plan" in page
    assert not list((desk.settings.home / "plan-specs").glob("*"))
    events = bulk.table_of(AuditEvent)
    with desk.database.read() as connection:
        said = connection.execute(
            select(events.c.actor).where(events.c.action == "plan.created").order_by(events.c.seq.desc())
        )
        assert said.scalars().first() == "chen.yu"

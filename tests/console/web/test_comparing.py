"""Plans beside one another at the console: compared, tried with other rules, drawn by a seed that was committed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from flows import plan as flow
from flows.jobs import work_off
from infra.store import bulk, moves, plans
from infra.wiring import seated_here
from models.planning.champion import commitment
from models.tables import Placement, Plan, PlanLine, SeedCommitment
from tests.console.web.conftest import half_comes_back

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import Console, PageAs

LENDER = "harbour"
PLAN = {"lender": LENDER, "name": "2026-03-A", "stage": "phone", "policy": "cn-default", "allocator": "shares"}
PLACEMENTS, PLANS, LINES = bulk.table_of(Placement), bulk.table_of(Plan), bulk.table_of(PlanLine)
SEEDS = bulk.table_of(SeedCommitment)
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Half of what was placed has come back unpaid: there is something to plan."""
    return half_comes_back(desk)


def drafted(browser: Any, **more: Any) -> int:
    """The number of a draft that the browser's person has made."""
    answer = browser.send("/plans", at=f"/plans/new?lender={LENDER}", **(PLAN | more))
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("/", 1)[-1])


def taking_part(desk: Desk, plan_id: int) -> list[str]:
    with desk.database.read() as connection:
        found = select(LINES.c.agency).where(LINES.c.plan_id == plan_id).distinct().order_by(LINES.c.agency)
        return list(connection.execute(found).scalars())


def asked(browser: Any, plan_id: int, **fields: Any) -> Any:
    return browser.send(f"/plans/{plan_id}/what-if", at=f"/plans/{plan_id}/what-if", **fields)


def count(desk: Desk, table: Any) -> int:
    with desk.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# -- beside another plan -----------------------------------------------------------------------------------------------


def test_a_plan_is_compared_with_the_one_sent_before_unless_another_is_named(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan_id = drafted(manager)
    page = manager.get(f"/plans/{plan_id}/compare").text
    assert "beside plan 3, harbour 2026-02" in page
    with seated_here(desk):
        told = flow.difference(3, plan_id)
    assert f">{told['moved']}<" in page
    first = manager.get(f"/plans/{plan_id}/compare?other=1").text
    assert "beside plan 1, harbour 2026-01" in first
    assert manager.get(f"/plans/{plan_id}/compare?other=2").status_code == 422, "another lender's"
    assert manager.get(f"/plans/{plan_id}/compare?other=999").status_code == 422
    assert manager.get(f"/plans/{plan_id}/compare?other=3&after=x").status_code == 422


def test_accounts_that_move_are_listed_page_by_page_and_are_those_that_were_counted(desk: Desk, browse: Any) -> None:
    one, other = 1, drafted(browse("portfolio_manager"))  # what came back goes elsewhere
    with seated_here(desk):
        told = flow.difference(one, other)
    with desk.database.write() as connection:
        page = moves.moved(connection, one, other)
        assert [row["account_id"] for row in page.rows] == sorted({row["account_id"] for row in page.rows})
        assert len(page.rows) == told["moved"] > 3
        assert all(row["was"] != row["becomes"] for row in page.rows)
        most = told["moves"][0]
        some = moves.moved(connection, one, other, source=most["from"], there=most["to"])
        assert len(some.rows) == most["accounts"]
        behind = moves.moved(connection, one, other, str(page.rows[1]["account_id"]))
        assert behind.rows == page.rows[2:]
        # an account that one of them leaves out, far behind all others: the list goes on until it is there
        connection.execute(
            update(LINES)
            .where(LINES.c.plan_id == other, LINES.c.account_id == page.rows[0]["account_id"])
            .values(account_id=90_000)
        )
    seen, after = [], None
    with desk.database.read() as connection:
        while True:
            found = moves.moved(connection, one, other, after)
            seen += found.rows
            if (after := found.after) is None:
                break
    assert {"account_id": 90_000, "was": "-"}.items() <= seen[-1].items()
    assert (seen[0]["account_id"], seen[0]["becomes"]) == (page.rows[0]["account_id"], "-")


def test_large_plans_are_compared_by_a_job(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    with desk.database.write() as connection:
        connection.execute(update(PLANS).where(PLANS.c.plan_id == 3).values(accounts=900_000))
    assert "a job compares them" in manager.get("/plans/3/compare?other=1").text
    answer = manager.send("/plans/3/compare", at="/plans/3/compare?other=1", other="1")
    assert work_off(desk) == 1
    assert "/plans/3/compare?other=1" in manager.get(answer.headers["location"]).text
    page = manager.get("/plans/3/compare?other=1").text
    assert "a job compares them" not in page
    assert "Agency by agency" in page
    assert manager.send("/plans/3/compare", at="/plans/3/compare", other="").status_code == 422


# -- beside what it would be -------------------------------------------------------------------------------------------


def test_other_rules_are_worked_out_beside_the_plan_and_become_a_draft_only_when_asked(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan_id = drafted(manager)
    there, before = taking_part(desk, plan_id), count(desk, PLANS)
    chosen = there[:2]
    answer = asked(manager, plan_id, known=there, agency=chosen, allocator="shares")
    where = answer.headers["location"]
    assert re.fullmatch(rf"/plans/{plan_id}/what-if/[0-9a-f]{{16}}", where)
    assert "Being worked out" in manager.get(where).text
    part = manager.get(where, headers=PART).text
    assert "<html" not in part
    assert work_off(desk) == 1
    assert manager.get(where, headers=PART).headers["hx-redirect"] == where
    page = manager.get(where).text
    assert "Nothing has been kept as a plan" in page
    assert count(desk, PLANS) == before
    for code in there[2:]:
        assert re.search(rf'/agencies/{code}".*?>−\d', page, re.DOTALL), code
    made = manager.send(where, at=where)
    number = int(made.headers["location"].rsplit("/", 1)[-1])
    assert taking_part(desk, number) == chosen
    assert count(desk, PLANS) == before + 1
    with desk.database.read() as connection:
        assert plans.plan(connection, number).name == PLAN["name"]
        assert plans.plan(connection, plan_id).state == plans.plan(connection, number).state == "draft"


def test_shares_bounds_and_lines_of_toml_are_laid_over_the_plan_s_spec(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan_id = drafted(manager)
    there = taking_part(desk, plan_id)
    fields: dict[str, Any] = {
        "known": there, "agency": there, f"share.{there[0]}": "50", f"share.{there[1]}": "50", "allocator": "shares",
        "region_max": "60", "more": "expires_after_days = 3",
    }  # fmt: skip
    where = asked(manager, plan_id, **fields).headers["location"]
    work_off(desk)
    page = manager.get(where).text
    assert f"agencies.{there[0]}.share" in page
    assert "bounds.region_max" in page
    assert "expires_after_days" in page
    number = int(manager.send(where, at=where).headers["location"].rsplit("/", 1)[-1])
    with desk.database.read() as connection:
        spec = json.loads(plans.plan(connection, number).spec)
    assert {code: terms.get("share") for code, terms in spec["agencies"].items()} == dict.fromkeys(
        there
    ) | dict.fromkeys(there[:2], "0.5")
    assert (spec["bounds"]["region_max"], spec["expires_after_days"]) == ("0.6", 3)
    again = manager.get(f"/plans/{number}/what-if").text
    assert re.search(rf'name="share.{there[0]}" value="50"', again)
    assert re.search(r'name="region_max" type="text" value="60"', again)
    free = asked(manager, number, known=there, agency=there, allocator="shares").headers["location"]
    work_off(desk)
    assert "not said" in manager.get(free).text, "a field that is emptied is a rule that does not stand"


def test_what_makes_no_sense_is_refused_beside_the_form_and_promised_plans_are_not_tried(
    browse: Any, desk: Desk
) -> None:
    manager = browse("portfolio_manager")
    plan_id = drafted(manager)
    for wrong in (
        {"allocator": "magic"}, {"change_max": "lots"}, {"more": "a = = b"}, {"more": "nobody_knows = 1"},
        {"region_max": "300"},
    ):  # fmt: skip
        assert asked(manager, plan_id, **({"allocator": "shares"} | wrong)).status_code == 422, wrong
    assert manager.get(f"/plans/{plan_id}/what-if/{'0' * 16}").status_code == 422
    assert manager.get(f"/plans/{plan_id}/what-if/..%2F..%2Fkeys").status_code in {404, 422}
    assert manager.send(f"/plans/{plan_id}/what-if/{'0' * 16}", at=f"/plans/{plan_id}").status_code == 422
    manager.send(f"/plans/{plan_id}/submit", at=f"/plans/{plan_id}")
    assert "its accounts are promised" in manager.get(f"/plans/{plan_id}/what-if").text
    assert asked(manager, plan_id, allocator="shares").status_code == 422
    assert count(desk, PLANS) == plan_id


def test_a_failed_trial_says_why(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    plan_id = drafted(manager)
    where = asked(manager, plan_id, allocator="shares", more='policy = "nobody"').headers["location"]
    work_off(desk)
    page = manager.get(where).text
    assert "It could not be worked out" in page
    assert "nobody" in page


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_a_seed_is_committed_kept_secret_used_and_verified(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    at = "/plans/seeds"
    assert manager.send(at, at=at, lender=LENDER, name="2026-03-A").status_code == 303
    with desk.database.read() as connection:
        row = connection.execute(select(SEEDS)).one()
    page = manager.get(at).text
    assert row.sha256 in page
    assert str(row.seed) not in page
    assert manager.send(at, at=at, lender=LENDER, name="2026-03-A").status_code == 403, "one waits already"
    assert manager.send(at, at=at, lender=LENDER, name=" ").status_code == 422
    assert manager.send(at, at=at, lender="nobody", name="x").status_code == 422
    plan_id = drafted(manager)
    assert str(row.seed) in manager.get(at).text
    shown = manager.get(f"/plans/{plan_id}/seed").text
    assert commitment(LENDER, "2026-03-A", row.seed) in shown
    assert shown.count('class="holds"') == 2
    with desk.database.write() as connection:
        connection.execute(update(SEEDS).values(sha256="0" * 64))
    assert 'class="fails"' in manager.get(f"/plans/{plan_id}/seed").text
    assert "was not committed before" in manager.get("/plans/1/seed").text


# -- in Chromium -------------------------------------------------------------------------------------------------------

WORDS = {
    "en": {"next": "Next: segments and agencies", "preview": "Preview", "what": "What if…", "work": "Work it out",
           "keep": "Make it a draft", "nothing": "Nothing has been kept as a plan", "seeds": "Committed seeds",
           "commit": "Commit", "secret": "Secret until the plan is made", "compare": "Compare"},
    "zh": {"next": "下一步：客群与机构", "preview": "预览", "what": "试算…", "work": "开始试算", "keep": "保存为草稿",
           "nothing": "尚未保存为方案", "seeds": "已承诺的种子", "commit": "承诺", "secret": "方案生成前保密",
           "compare": "比较"},
}  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize(("language", "lender"), [("en", "harbour"), ("zh", "lotus")])
def test_other_rules_are_tried_beside_a_draft_and_kept_in_chromium(
    page_as: PageAs, running: Console, language: str, lender: str
) -> None:
    words = WORDS[language]
    with running.desk.database.write() as connection:
        connection.execute(
            update(PLACEMENTS)
            .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.placement_id % 2 == 0)
            .values(state="closed", end_reason="term", ended_on=running.desk.today())
        )
    window = page_as("portfolio_manager", language)
    page = window.go("/plans/seeds")
    for closed in page.locator("details.card:not([open]) > summary").all():
        closed.click()
    page.locator("[name=lender]").select_option(lender)
    page.locator("[name=name]").fill(f"2026-04-{language}")
    page.get_by_role("button", name=words["commit"], exact=True).click()
    page.get_by_text(words["secret"]).first.wait_for()
    window.look()
    page.goto(f"{window.url}/plans/new?lender={lender}")
    page.get_by_role("button", name=words["next"]).click()
    page.get_by_role("button", name=words["preview"], exact=True).click()
    page.wait_for_url(re.compile(r"/plans/\d+$"))
    path = page.url.removeprefix(window.url)
    page.get_by_role("link", name=words["what"]).click()
    window.look()
    page.locator("[name=agency]").first.uncheck()
    page.get_by_role("button", name=words["work"]).click()
    page.get_by_text(words["nothing"]).first.wait_for(timeout=60_000)
    window.look()
    page.get_by_role("button", name=words["keep"]).click()
    page.wait_for_url(re.compile(r"/plans/\d+$"))
    assert page.url.removeprefix(window.url) != path
    for there in (f"{path}/compare", f"{path}/seed"):
        page = window.go(there)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

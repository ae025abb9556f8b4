"""The pages of the house: people, jobs, exceptions, help, operations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from console.web.navigation import SECTIONS
from console.web.pages.help import helps
from flows import jobs as working
from infra import exceptions, jobs
from infra.people import accounts, sessions, signing_in
from infra.roles import RoleMissing
from infra.store import beginnings, bulk
from models.tables import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from infra.wiring import Desk
    from tests.console.web.conftest import As, Browser, Crawl, StillClock

PASSWORD = "a sentence nobody guesses"


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


# --- people -----------------------------------------------------------------------------------------------------------


def test_an_administrator_adds_somebody_gives_a_role_and_ends_the_account(browse: As, desk: Desk) -> None:
    browser = browse("administrator")
    weak = browser.send("/people/new", at="/people/new", name="zhao.lei", password="short")
    assert (weak.status_code, "12 to 1024" in weak.text, 'value="zhao.lei"' in weak.text) == (422, True, True)
    made = browser.send("/people/new", name="zhao.lei", password=PASSWORD)
    assert made.headers["location"] == "/people/zhao.lei"
    browser.send("/people/zhao.lei/roles", give="finance")
    assert "match, comment on and assign breaks" in browser.get("/people/zhao.lei").text
    assert signing_in.sign_in(desk, "zhao.lei", PASSWORD, address="a", browser="b").cookie
    browser.send("/people/zhao.lei/state", state="disabled")
    with pytest.raises(signing_in.NotSignedIn):
        signing_in.sign_in(desk, "zhao.lei", PASSWORD, address="a", browser="b")


def test_nobody_gives_a_role_to_his_own_name_or_ends_his_own_account(browse: As) -> None:
    browser = browse("administrator")
    assert browser.send("/people/t.berg/roles", at="/people", give="finance").status_code == 403
    assert browser.send("/people/t.berg/state", state="disabled").status_code == 403
    assert browser.get("/people").status_code == 200


def test_a_new_role_is_signed_in_to_anew(browse: As, desk: Desk) -> None:
    theirs = sessions.begin(desk, "m.rossi", factors=1, address="a", browser="b")
    browse("administrator").send("/people/m.rossi/roles", at="/people", give="operations")
    assert sessions.whose(desk, theirs) is None


def test_somebody_without_the_role_is_refused_by_the_rule_itself_too(desk: Desk) -> None:
    for act in (
        lambda: accounts.add(desk.acting("m.rossi"), "zhao.lei", PASSWORD),
        lambda: accounts.set_state(desk.acting("m.rossi"), "chen.yu", "disabled"),
        lambda: accounts.set_password(desk.acting("m.rossi"), "chen.yu", PASSWORD),
        lambda: accounts.sign_out(desk.acting("m.rossi"), "chen.yu"),
    ):
        with pytest.raises(RoleMissing):
            act()


def test_what_people_do_is_on_record_and_no_password_is(browse: As, desk: Desk) -> None:
    browse("administrator").send("/people/new", at="/people/new", name="zhao.lei", password=PASSWORD)
    with desk.database.read() as connection:
        said = connection.exec_driver_sql("SELECT actor, action, subject, details FROM audit_event").all()
    assert ("t.berg", "person.added", "person:zhao.lei") in [tuple(row[:3]) for row in said]
    assert PASSWORD not in str(said)


# --- jobs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A verb that a test can watch: `count`, which says who it was run for."""
    from infra.wiring import desk as seat
    from models.errors import RefusedByPolicy

    ran: list[str] = []

    def count(given: working.Identifiers) -> dict[str, int]:
        ran.append(seat().actor)
        if given.get("fail"):
            raise RefusedByPolicy("it was refused", fix="ask somebody")
        if given.get("crash"):
            raise ValueError("Zhang San 13800138000")
        return {"lines": 7}

    verb = working.Asked(("Count", "计数"), "jobs.see", count)
    monkeypatch.setattr(working, "VERBS", {**working.VERBS, "count": verb})
    monkeypatch.setattr("console.web.pages.operations.VERBS", working.VERBS)
    return ran


def test_a_job_is_run_for_who_asked_and_its_page_says_what_came_of_it(
    browse: As, desk: Desk, counting: list[str]
) -> None:
    job_id = jobs.ask(desk.acting("m.rossi"), "count", {"lender": "harbour"})
    browser = browse("finance")
    assert "Waiting for the worker" in browser.get(f"/jobs/{job_id}").text
    assert working.work_off(desk) == 1
    assert counting == ["m.rossi"]
    page = browser.get(f"/jobs/{job_id}", headers={"hx-request": "true", "hx-request-type": "partial"}).text
    assert "<html" not in page
    assert "hx-get" not in page, "nobody looks again at what has ended"
    assert ("Done" in page, "Lines" in page, ">7<" in page) == (True, True, True)
    assert "Count" in browser.get("/jobs").text


@pytest.mark.parametrize(
    ("given", "said", "unsaid"),
    [({"fail": True}, "it was refused", "nothing"), ({"crash": True}, "ValueError", "Zhang San")],
)
def test_a_job_that_fails_says_why_and_the_next_one_runs(
    browse: As, desk: Desk, counting: list[str], given: dict[str, bool], said: str, unsaid: str
) -> None:
    bad = jobs.ask(desk.acting("m.rossi"), "count", given)
    good = jobs.ask(desk.acting("chen.yu"), "count", {})
    assert working.work_off(desk) == 2
    page = browse("finance").get(f"/jobs/{bad}").text.split("<main")[1].split("</main>")[0]
    assert (said in page, unsaid in page) == (True, False)
    assert jobs.found(desk, good).state == "done"
    assert counting == ["m.rossi", "chen.yu"]


def test_asking_again_while_it_waits_asks_once(desk: Desk, counting: list[str]) -> None:
    first = jobs.ask(desk.acting("m.rossi"), "count", {"lender": "harbour"})
    assert jobs.ask(desk.acting("chen.yu"), "count", {"lender": "harbour"}) == first
    assert jobs.ask(desk, "count", {"lender": "lotus"}) != first
    working.work_off(desk)
    assert jobs.ask(desk, "count", {"lender": "harbour"}) != first
    assert len(counting) == 2


def test_a_job_whose_worker_fell_silent_is_taken_up_by_the_next_one(
    desk: Desk, clock: StillClock, counting: list[str]
) -> None:
    job_id = jobs.ask(desk.acting("m.rossi"), "count", {})
    assert jobs.take(desk) is not None
    assert jobs.take(desk) is None
    clock.now += jobs.SILENT + timedelta(seconds=1)
    assert working.work_off(desk) == 1
    assert (jobs.found(desk, job_id).state, counting) == ("done", ["m.rossi"])


def test_progress_is_seen_while_it_runs(browse: As, desk: Desk) -> None:
    job_id = jobs.ask(desk.acting("m.rossi"), "collect", {})
    assert jobs.take(desk) is not None
    with jobs.alive(desk, job_id) as progress:
        progress("take_in", 3, 12)
        page = browse("finance").get(f"/jobs/{job_id}").text
    assert 'max="12" value="3"' in page
    assert 'hx-trigger="every 1s"' in page


def test_every_verb_says_what_it_is_and_who_may_ask() -> None:
    from models.permissions import ACTIONS

    for verb in working.VERBS.values():
        assert verb.action in ACTIONS
        assert all(verb.words)


# --- exceptions -------------------------------------------------------------------------------------------------------


def test_an_exception_is_taken_noted_and_resolved(browse: As, desk: Desk) -> None:
    with desk.database.write() as connection:
        number = exceptions.open_exception(
            connection, desk, "sequence_gap", agency="quayside", subject="agency:quayside"
        )
    assert number is not None
    browser = browse("operations", language="zh")
    assert f'href="/exceptions/{number}"' in browser.get("/").text, "its role's, so it waits here"
    browser.send(f"/exceptions/{number}/assign", at=f"/exceptions/{number}")
    assert "j.okafor" in browser.get("/exceptions?tab=mine").text
    refused = browser.send(f"/exceptions/{number}/comment", text="call 138 0013 8000 00")
    assert refused.status_code == 422
    browser.send(f"/exceptions/{number}/comment", text="<b>asked</b> the agency")
    assert "&lt;b&gt;asked" in browser.get(f"/exceptions/{number}").text
    browser.send(f"/exceptions/{number}/resolve", reason="the files came")
    assert "the files came" in browser.get(f"/exceptions/{number}").text
    assert "一切正常" in browser.get("/exceptions").text


# --- help and operations ----------------------------------------------------------------------------------------------


def test_every_page_of_the_side_has_help_in_both_languages() -> None:
    for section in SECTIONS:
        for entry in section.entries:
            told = helps().get(entry.path)
            assert told is not None, entry.path
            assert set(told) == {"en", "zh"}
            assert all(told.values())


def test_help_comes_beside_the_page_or_as_one(browse: As) -> None:
    browser = browse("finance")
    part = browser.get("/help?at=/breaks/17", headers={"hx-request": "true", "hx-request-type": "partial"}).text
    assert "<html" not in part
    assert "oldest first" in part
    assert "<html" in browser.get("/help?at=//evil.example").text
    assert "evil.example" not in browser.get("/help?at=//evil.example").text.split("drawer-head")[1]


def test_operations_says_what_the_doctor_finds(browse: As) -> None:
    page = browse("operations").get("/operations").text
    assert "fastapi" in page
    assert "placements" in page


@pytest.mark.parametrize("who", ["second", "agency"])
def test_in_a_house_where_nothing_happened_yet_every_page_opens(browse: As, crawl: Crawl, who: str) -> None:
    answers = {path: answer.status_code for path, answer in crawl(browse(who))}
    assert not [path for path, status in answers.items() if status not in {200, 303}]
    assert len(answers) > 10


def links(browser: Browser) -> set[str] | None:
    """Where the steps that are not done lead; None where there are no steps."""
    steps = re.search(r'<ol class="checks">.*?</ol>', browser.get("/").text, re.DOTALL)
    return None if steps is None else set(re.findall(r'href="([^"]+)"', steps[0]))


def test_a_new_house_is_led_to_its_first_placement(browse: As, desk: Desk) -> None:
    with desk.database.read() as connection:
        steps = beginnings.first_steps(connection)
    assert {step for step, is_done in steps.items() if not is_done} == {"bank", "portfolio", "placed"}
    assert links(browse("portfolio_manager")) == {"/portfolios/new", "/plans/new"}
    assert links(browse("finance")) == {"/bank"}
    assert links(browse("compliance")) == set()
    with desk.database.write() as connection:
        connection.execute(insert(bulk.table_of(Plan)).values(plan_id=1, lender="harbour", name="first", state="placed",
            policy="cn-default", policy_version="1", policy_sha256="", spec="{}", summary="{}", inputs_sha256="",
            content_sha256="", accounts=1, balance_minor=1, currency="CNY", as_of=desk.today(), term_days=90, seed=1,
            created_by="l.wang", created_at=desk.now()))  # fmt: skip
    assert links(browse("portfolio_manager")) is None

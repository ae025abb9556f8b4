"""Agencies, exchanges, keys, schedules and scorecards at the console."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from console.web import standings
from flows.catalogue import entries
from infra import contracts
from infra.store import exchange
from infra.store.exchange import CONTRACTS
from infra.wiring import Desk

LANGUAGES = ("en", "zh")
PAGES = (
    "/portfolios", "/portfolios/1", "/portfolios/1?tab=rejects", "/portfolios/1?tab=holds", "/holds",
    "/holds?tab=ended",
    "/placements", "/placements?tab=recalled", "/placements?tab=closed", "/placements?agency=quayside&lender=harbour",
    "/recalls", "/recalls?tab=confirmed", "/recalls?tab=uncertified", "/recalls?tab=overdue", "/recalls/due",
    "/recalls/objections", "/recalls/objections?tab=decided",
    "/agencies", "/agencies/quayside", "/agencies/quayside?tab=reach", "/agencies/hengxin?tab=keys",
    "/agencies/quayside?tab=certification", "/agencies/quayside?tab=files",
    "/exchanges", "/exchanges?tab=came", "/exchanges/sent/1", "/exchanges/came/1", "/keys", "/schedules",
    "/scorecards", "/scorecards/quayside", "/scorecards/style.css", "/plans",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_opens(browse: Any, language: str) -> None:
    browser = browse("second", language=language)
    for path in PAGES:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text)


def test_an_agency_is_suspended_and_activated_and_whoever_may_not_cannot(browse: Any, desk: Desk) -> None:
    at = "/agencies/quayside"
    assert browse("finance").send(f"{at}/state", at=at, to="suspended").status_code == 403
    operations = browse("operations")
    assert operations.send(f"{at}/state", at=at, to="suspended").status_code == 303
    assert "Suspended" in operations.get(at).text
    refused = operations.send(f"{at}/state", at=at, to="certified")
    assert refused.status_code == 403
    assert "cannot become certified" in refused.text
    assert operations.send(f"{at}/state", at=at, to="king").status_code == 422
    assert operations.send(f"{at}/state", at=at, to="live").status_code == 303
    with desk.database.read() as connection:
        assert exchange.agency(connection, "quayside").state == "live"


def test_an_agency_is_added_and_its_name_is_text(browse: Any) -> None:
    manager = browse("portfolio_manager")
    script = "<script>alert(1)</script>"
    assert manager.send("/agencies", at="/agencies", code="NOT A CODE", name="x", channels="phone").status_code == 422
    assert manager.send("/agencies", at="/agencies", code="newone", name=" ", channels="phone").status_code == 422
    made = manager.send(
        "/agencies", at="/agencies", code="newone", name=script, channels=["phone", "sms"], capacity="50"
    )
    assert made.headers["location"] == "/agencies/newone"
    for path in ("/agencies", "/agencies/newone", "/agencies/newone?tab=keys", "/agencies/newone?tab=reach", "/plans/new/segments?lender=harbour&name=x", "/placements", "/exchanges"):  # fmt: skip  # noqa: E501 - one list of pages
        assert script not in manager.get(path).text
    assert "Nobody has said yet how it is reached" in manager.get("/agencies/newone?tab=reach").text


def test_terms_of_a_contract_are_put_up_and_approved_by_another(browse: Any, desk: Desk) -> None:
    two = Desk(desk.settings.model_copy(update={"two_people": True}), clock=desk.clock)
    two.database, two.keyring = desk.database, desk.keyring
    with desk.database.read() as connection:
        terms = connection.execute(select(CONTRACTS.c.terms).where(CONTRACTS.c.agency == "quayside")).scalars().first()
    text = f"# <script>alert(1)</script>\n{terms}".replace("0.22", "0.24")
    number = contracts.propose(two.acting("chen.yu"), "quayside", "harbour", text, date(2026, 6, 1), "agreed by letter")
    at = "/agencies/quayside"
    finance, second = browse("finance"), browse("second")
    assert "Terms wait for a second person" in finance.get(at).text
    assert browse("portfolio_manager").send(f"{at}/contracts/{number}/approve", at=at).status_code == 403
    assert finance.send(f"{at}/contracts/{number}/approve", at=at).status_code == 303
    page = second.get(at).text
    assert "<script>alert(1)" not in page
    assert "to come" in page
    wrong = second.send(
        f"{at}/contracts", at=at, lender="harbour", effective_from="2026-07-01", terms="rate = ", why="because"
    )
    assert wrong.status_code >= 400
    assert 'role="alert"' in wrong.text
    assert second.send(f"{at}/contracts", at=at, lender="harbour", terms=text, why="because of it").status_code == 422


def test_a_revoked_key_of_an_agency_counts_no_more(browse: Any) -> None:
    at = "/agencies/quayside"
    operations = browse("operations")
    assert browse("portfolio_manager").send(f"{at}/keys/revoke", at=at, generation="1").status_code == 403
    assert operations.send(f"{at}/keys/revoke", at=at, generation="99").status_code >= 400
    assert operations.send(f"{at}/keys/revoke", at=at, generation="1").status_code == 303
    assert "Revoked" in operations.get(f"{at}?tab=keys").text


def test_files_have_a_timeline_and_a_refused_one_says_why(browse: Any, desk: Desk) -> None:
    browser = browse("operations")
    with desk.database.write() as connection:
        refused = connection.execute(select(exchange.FILES.c.file_id)).scalars().first()
        connection.execute(
            exchange.FILES.update()
            .where(exchange.FILES.c.file_id == refused)
            .values(state="refused", refusal_code="bad_signature", refusal_fix="<b>sign it again</b>")
        )
    page = browser.get(f"/exchanges/came/{refused}").text
    assert "bad_signature" in page
    assert "<b>sign" not in page
    sent = browser.get("/exchanges/sent/1").text
    assert "✓ </span>Delivered" in sent
    assert "The plan behind it" in sent
    assert browser.send("/exchanges/collect", at="/exchanges").headers["location"].startswith("/jobs/")
    assert browse("finance").send("/exchanges/deliver", at="/exchanges").status_code == 403


def test_without_a_server_schedules_say_so_and_what_to_do(browse: Any) -> None:
    for language, words in (("en", "No server runs"), ("zh", "没有服务器在运行")):
        browser = browse("portfolio_manager", language=language)
        page = browser.get("/schedules").text
        assert words in page
        assert "consign up" in page
        refused = browser.send("/schedules/recall/pause", at="/schedules")
        assert refused.status_code >= 400
        assert 'role="alert"' in refused.text
    assert browse("finance").send("/schedules/recall/pause", at="/schedules").status_code == 403


def test_every_schedule_has_a_name_in_words() -> None:
    names = {entry.name for entry in entries() if entry.schedule is not None}
    assert names <= set(standings.SCHEDULES)


def test_scorecards_are_shown_in_both_languages_without_any_style_in_the_page(browse: Any) -> None:
    for language, words in (("en", "Agency scores"), ("zh", "机构评分")):
        browser = browse("finance", language=language)
        page = browser.get("/scorecards").text
        assert words in page
        assert " style=" not in page
        assert 'href="/scorecards/quayside"' in page
        one = browser.get("/scorecards/quayside").text
        assert "<svg" in one
        assert " style=" not in one
    assert browse("finance").send("/scorecards", at="/scorecards").status_code == 403
    assert ".scorecard{" in browse("finance").get("/scorecards/style.css").text
    assert ":root" not in browse("finance").get("/scorecards/style.css").text

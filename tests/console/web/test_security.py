"""The console under attack: forged forms, foreign redirects, large bodies, text that would be markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from console.web import security, visits
from console.web.security import safe_next
from infra.people import sessions
from infra.store import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.wiring import Desk
    from tests.console.web.conftest import As

NAUGHTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "' OR 1=1 --",
    "</title><svg/onload=alert(1)>",
)


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "x", "x.y", "0000000000000000.00", None])
def test_a_form_without_our_word_changes_nothing(browse: As, word: str | None) -> None:
    browser = browse("finance")
    given = {} if word is None else {"_form": word}
    assert browser.post("/account/sessions", data=given).status_code == 403
    assert browser.post("/sign-out", data=given).status_code == 403
    assert browser.get("/").status_code == 200


def test_a_word_of_another_session_is_worth_nothing(browse: As) -> None:
    mine, theirs = browse("finance"), browse("compliance")
    theirs.get("/account")
    assert mine.post("/sign-out", data={"_form": theirs.word}).status_code == 403


def test_the_word_of_before_signing_in_is_worth_nothing_after(browse: As, desk: Desk) -> None:
    browser = browse()
    browser.get("/sign-in")
    before = browser.word
    browser.cookies.set(visits.SESSION, sessions.begin(desk, "m.rossi", factors=1, address="a", browser="b"))
    assert browser.post("/sign-out", data={"_form": before}).status_code == 403


def test_a_form_from_another_site_is_refused_even_with_our_word(browse: As) -> None:
    browser = browse("finance")
    browser.get("/account")
    answer = browser.post("/sign-out", data={"_form": browser.word}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_htmx_brings_the_word_in_a_header(browse: As) -> None:
    browser = browse("finance")
    browser.get("/account")
    answer = browser.post("/account/sessions", headers={"x-consign-form": browser.word, "hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/account")


def test_signing_in_is_a_form_of_ours_too(browse: As) -> None:
    assert browse().post("/sign-in", data={"name": "a", "password": "b"}).status_code == 403


def test_the_word_is_another_one_each_time_and_only_the_cookie_s() -> None:
    one, other = security.token("cookie"), security.token("cookie")
    assert one != other
    assert security.is_token(one, "cookie")
    assert security.is_token(other, "cookie")
    assert not security.is_token(one, "another")
    assert not security.is_token(one[:-1] + ("0" if one[-1] != "0" else "1"), "cookie")


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1", "https:/evil.example", "evil.example", "", " //evil.example", "/\t/evil.example",
        "/a\\b",
    ],
)  # fmt: skip
def test_only_pages_of_ours_are_gone_to(path: str) -> None:
    assert safe_next(path) == "/"


@pytest.mark.parametrize("path", ["/", "/breaks?tab=open&after=x", "/people/chen.yu", "/a//b"])
def test_pages_of_ours_are_gone_to(path: str) -> None:
    assert safe_next(path) == path


def test_a_preference_leads_nowhere_else(browse: As) -> None:
    browser = browse("finance")
    answer = browser.send("/preferences", at="/account", language="zh", next="//evil.example")
    assert answer.headers["location"] == "/"


# --- headers and cookies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/", "/nothing", "/healthz", "/static/consign.css"])
def test_every_answer_carries_the_headers(browse: As, path: str) -> None:
    answer = browse("finance").get(path)
    for name, value in security.HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers


def test_a_page_that_fails_says_so_with_the_headers_and_without_the_error(
    browse: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("Zhang San 13800138000")

    browser = browse("finance")
    browser._transport.raise_server_exceptions = False  # type: ignore[attr-defined]  # Starlette's switch
    monkeypatch.setattr(tasks, "waiting", fails)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "Zhang San" not in answer.text
    assert "Something is wrong with the console" in answer.text
    assert answer.headers["content-security-policy"] == security.POLICY


def test_pages_are_kept_by_no_cache_and_files_by_every(browse: As) -> None:
    browser = browse("finance")
    assert browser.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in browser.get("/static/consign.css").headers["cache-control"]


def test_behind_tls_cookies_are_secure_and_browsers_told_to_stay(desk: Desk) -> None:
    from fastapi.testclient import TestClient

    from console.web.app import create_app

    desk.settings.web_url = "https://consign.example"
    with TestClient(create_app(desk), base_url="https://consign.example", follow_redirects=False) as client:
        answer = client.get("/sign-in")
    assert answer.headers["strict-transport-security"] == security.HSTS
    assert "Secure" in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]


def test_no_page_holds_a_script_a_style_or_a_handler(browse: As) -> None:
    browser = browse("second")
    for path in ("/", "/account", "/account/password", "/account/authenticator", "/jobs", "/people", "/operations"):
        text = browser.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), path


# --- what people write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NAUGHTY)
def test_what_somebody_typed_comes_back_as_text(browse: As, text: str) -> None:
    browser = browse()
    answer = browser.send("/sign-in", at="/sign-in", name=text, password="x", next=text)
    assert answer.status_code == 403
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "<svg/onload" not in answer.text
    assert "49" not in answer.text.split("<main")[1].split("_form")[0]
    found = browse("administrator").get(f"/people/{text.replace('/', '')}")
    assert found.status_code in {404, 422}
    assert "<script>alert" not in found.text


def test_a_browser_s_name_for_itself_is_text(browse: As, desk: Desk) -> None:
    sessions.begin(desk, "m.rossi", factors=1, address="a", browser=NAUGHTY[1] + "\x00\n" + "x" * 1_000)
    page = browse("finance").get("/account").text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_what_was_done_is_said_as_text(browse: As) -> None:
    browser = browse("finance")
    browser.cookies.set("consign_done", "%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "<script>alert" not in browser.get("/").text


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_form_larger_than_it_may_be_is_refused_while_it_comes(browse: As) -> None:
    browser = browse("finance")
    browser.get("/account")
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while read < 64 << 20:
            read += 1 << 16
            yield b"x" * (1 << 16)

    answer = browser.post(
        "/account/sessions", content=endless(), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413
    assert "larger than the console takes" in answer.text


@pytest.fixture
def small(desk: Desk) -> None:
    """A console that takes files of a mebibyte."""
    desk.settings.upload_bytes = 1 << 20


@pytest.mark.usefixtures("small")
def test_an_upload_larger_than_the_setting_is_refused(browse: As) -> None:
    browser = browse("finance")
    browser.get("/account")
    for size, status in ((1 << 19, 303), (2 << 20, 413)):
        file = {"file": ("a.bin", b"x" * size)}
        answer = browser.post("/account/sessions", data={"_form": browser.word}, files=file)
        assert answer.status_code == status


# --- people of agencies -----------------------------------------------------------------------------------------------


def test_an_agency_s_person_sees_no_page_of_the_lender(browse: As) -> None:
    browser = browse("agency")
    for path in ("/people", "/jobs", "/operations", "/metrics", "/portfolios", "/plans", "/breaks"):
        assert browser.get(path).status_code in {403, 404}, path


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_the_metrics_are_for_operations_and_for_who_brings_the_token(browse: As, desk: Desk) -> None:
    from pydantic import SecretStr

    assert browse().get("/metrics").status_code == 303
    assert browse("finance").get("/metrics").status_code == 403
    page = browse("operations").get("/metrics")
    assert 'consign_agencies{state="live"}' in page.text
    assert browse().get("/metrics", headers={"authorization": "Bearer "}).status_code == 303
    desk.settings.metrics_token = SecretStr("told to prometheus")
    assert browse().get("/metrics", headers={"authorization": "Bearer told to prometheus"}).status_code == 200
    assert browse().get("/metrics", headers={"authorization": "Bearer guess"}).status_code == 303


def test_whether_the_console_lives_anybody_may_ask(browse: As) -> None:
    assert browse().get("/healthz").json() == {"ready": True}
    assert browse().get("/healthz/live").json() == {"live": True}


def test_the_log_has_the_route_s_pattern_and_no_query(browse: As, desk: Desk) -> None:
    from infra.journaling import close_journal, open_journal

    path = open_journal(desk.settings.home)
    browse("administrator").get("/people/chen.yu?secret=13800138000")
    close_journal()
    log = path.read_text()
    assert '"/people/{actor}"' in log
    assert "13800138000" not in log
    assert "chen.yu" not in log

"""What everybody does, in Chromium: sign in, choose a language and a colour, look who is signed in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from console.web.language import say
from infra.people import accounts
from infra.store import jobs as job_rows
from infra.store import people as rows
from keys import passwords, totp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console.web.conftest import Console, PageAs

pytestmark = pytest.mark.browser
PASSWORD = "a sentence nobody guesses"
PAGES = (
    "/", "/account", "/account/password", "/account/authenticator", "/jobs", "/people", "/people/new",
    "/people/m.rossi", "/exceptions", "/operations", "/help",
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


@pytest.mark.parametrize(("language", "words"), [("en", ("Sign in", "Waiting for me")), ("zh", ("登录", "待我处理"))])
def test_a_person_signs_in(page_as: PageAs, running: Console, language: str, words: tuple[str, str]) -> None:
    accounts.set_password(running.desk.acting("t.berg"), "j.okafor", PASSWORD)
    with running.desk.database.write() as connection:
        rows.note(connection, "j.okafor", must_change=False)
    window = page_as(None, language)
    page = window.go("/")
    assert page.title().startswith(words[0])
    page.get_by_label("Name" if language == "en" else "用户名").fill("j.okafor")
    page.get_by_label("Password" if language == "en" else "密码").fill(PASSWORD)
    page.get_by_role("button", name=words[0], exact=True).click()
    page.wait_for_url("**/")
    assert page.get_by_role("heading", level=1).inner_text() == words[1]
    window.look()


def test_a_person_switches_the_language_and_the_colour(page_as: PageAs) -> None:
    window = page_as("finance")
    page = window.go("/account")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("button", name="English").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.get_by_role("button", name="浅色或深色").click()
    page.locator('html[data-theme="dark"]').wait_for()
    window.look()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_person_enrols_an_authenticator_and_signs_in_with_it(
    page_as: PageAs, running: Console, language: str
) -> None:
    actor = {"en": "sun.li", "zh": "chen.yu"}[language]
    say_ = say(language)
    with running.desk.database.write() as connection:
        rows.note(connection, actor, password=passwords.hashed(PASSWORD))
    window = page_as(actor, language)
    page = window.go("/account/authenticator")
    spelled = page.locator(".secret").inner_text()
    secret = base64.b32decode(spelled + "=" * (-len(spelled) % 8))
    page.get_by_label(say_("The code it shows now")).fill(totp.code(secret, totp.step_of(running.desk.now())))
    page.get_by_role("button", name=say_("Use it from now on")).click()
    codes = page.locator(".codes li").all_inner_texts()
    window.look()
    page.get_by_role("link", name=say_("I have kept them")).click()
    page.get_by_role("button", name=say_("Sign out"), exact=True).click()
    page.get_by_label(say_("Name")).fill(actor)
    page.get_by_label(say_("Password")).fill(PASSWORD)
    page.get_by_role("button", name=say_("Sign in"), exact=True).click()
    page.get_by_label(say_("Code of your authenticator")).fill(codes[0])
    window.look()
    page.get_by_role("button", name=say_("Sign in"), exact=True).click()
    page.wait_for_url("**/")
    assert page.get_by_role("heading", level=1).inner_text() == say_("Waiting for me")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_help_opens_by_its_key_and_closes_by_escape(page_as: PageAs, language: str) -> None:
    window = page_as("second", language)
    page = window.go("/people")
    page.keyboard.press("?")
    panel = page.get_by_role("complementary")
    panel.wait_for()
    window.look()
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".row-here a").inner_text() == "j.okafor"
    page.keyboard.press("Enter")
    page.wait_for_url("**/people/j.okafor")
    window.look()


def test_a_job_s_page_moves_by_itself(page_as: PageAs, running: Console) -> None:
    with running.desk.database.write() as connection:
        number = job_rows.ask(
            connection, verb="deliver", identifiers='{"agency":"quayside"}', actor="l.wang",
            asked_at=running.desk.now(), done=0,
        )  # fmt: skip
    page = page_as("second").go(f"/jobs/{number}")
    page.locator("[data-ended]").wait_for()
    assert page.locator(".badge-good", has_text="Done").is_visible()


@pytest.mark.parametrize(
    ("language", "size", "dark"), [("en", (1440, 900), False), ("zh", (390, 844), True)], ids=["desk", "phone-dark"]
)
def test_axe_finds_nothing_on_the_pages_of_everybody(
    page_as: PageAs, language: str, size: tuple[int, int], dark: bool
) -> None:
    window = page_as("second", language, size, dark=dark)
    for path in PAGES:
        window.go(path)

"""What everybody does, in Chromium: sign in, choose a language and a colour, look who is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.people import accounts
from infra.store import people as rows

if TYPE_CHECKING:
    from tests.console.web.conftest import Console, PageAs

pytestmark = pytest.mark.browser
PASSWORD = "a sentence nobody guesses"


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
    assert page.get_by_role("button", name="English").is_visible()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.get_by_role("button", name="浅色或深色").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    window.look()


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desk", "phone"])
@pytest.mark.parametrize("path", ["/", "/account", "/account/password", "/jobs"])
def test_axe_finds_nothing_on_the_pages_of_everybody(page_as: PageAs, path: str, size: tuple[int, int]) -> None:
    for dark in (False, True):
        page_as("second", "zh" if dark else "en", size, dark=dark).go(path)

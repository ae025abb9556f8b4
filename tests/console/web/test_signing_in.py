"""Signing in: one answer for every failure, a pause after several, and a session that is another one afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.people import accounts

if TYPE_CHECKING:
    from infra.wiring import Desk

PASSWORD = "a sentence nobody guesses"


def with_password(desk: Desk, actor: str = "chen.yu") -> None:
    accounts.set_password(desk.acting("admin"), actor, PASSWORD)
    with desk.database.write() as connection:
        accounts.store.note(connection, actor, must_change=False)


def test_a_person_signs_in_and_out(desk: Desk, browse) -> None:  # type: ignore[no-untyped-def]
    with_password(desk)
    browser = browse()
    assert browser.get("/").headers["location"] == "/sign-in?next=%2F"
    answer = browser.send("/sign-in", at="/sign-in", name="chen.yu", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Waiting for me" in browser.get("/").text
    assert browser.send("/sign-out", at="/").headers["location"] == "/sign-in"
    assert browser.get("/").status_code == 303

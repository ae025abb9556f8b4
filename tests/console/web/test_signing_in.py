"""Signing in: one answer for every failure, a pause after several, and a session that is another one afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from console.web import visits
from infra.people import accounts, second_factor, sessions, signing_in
from infra.store import people as rows
from keys import passwords, totp

if TYPE_CHECKING:
    from pathlib import Path

    from infra.wiring import Desk
    from tests.console.web.conftest import As, StillClock

PASSWORD = "a sentence nobody guesses"
ANOTHER = "some other words entirely"


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


@pytest.fixture
def chen(desk: Desk) -> str:
    """Somebody with a password of their own."""
    with desk.database.write() as connection:
        rows.note(connection, "chen.yu", password=passwords.hashed(PASSWORD))
    return "chen.yu"


def authenticator(desk: Desk, actor: str) -> bytes:
    """The secret of an authenticator that counts."""
    second_factor.enrol(desk, actor)
    with desk.database.read() as connection:
        sealed = accounts.found(connection, actor).totp
    secret = totp.opened(desk.keyring.secret(totp.KEPT_AS), actor, sealed)
    second_factor.confirm(desk, actor, totp.code(secret, totp.step_of(desk.now()) - 1))
    return secret


def test_a_person_signs_in_and_out(browse: As, chen: str) -> None:
    browser = browse()
    assert browser.get("/jobs?after=x").headers["location"] == "/sign-in?next=%2Fjobs%3Fafter%3Dx"
    answer = browser.send("/sign-in", at="/sign-in", name=chen, password=PASSWORD, next="/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert "Waiting for me" in browser.get("/").text
    assert browser.send("/sign-out", at="/").headers["location"] == "/sign-in"
    assert browser.get("/").status_code == 303


def test_nothing_tells_a_name_that_somebody_has_from_one_that_nobody_has(browse: As, desk: Desk, chen: str) -> None:
    with desk.database.write() as connection:
        rows.note(connection, "m.rossi", state="disabled", password=passwords.hashed(PASSWORD))
    said = []
    for name, password in ((chen, "wrong"), ("nobody", "wrong"), ("m.rossi", PASSWORD), ("sun.li", "")):
        answer = browse().send("/sign-in", at="/sign-in", name=name, password=password)
        plain = re.sub(r'name="_form" value="[^"]+"|X-Consign-Form": "[^"]+"', "", answer.text).replace(name, "NAME")
        said.append((answer.status_code, plain))
    assert said.count(said[0]) == len(said)
    assert said[0][0] == 403


def test_a_wrong_name_costs_the_same_work_as_a_wrong_password(
    desk: Desk, chen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    whole = passwords.matches

    def noted(given: str, kept: str | None) -> bool:
        begun.append(kept is None)
        return whole(given, kept)

    monkeypatch.setattr(passwords, "matches", noted)
    for name in (chen, "nobody"):
        with pytest.raises(signing_in.NotSignedIn):
            signing_in.sign_in(desk, name, "wrong", address="a", browser="b")
    assert begun == [False, True]


@pytest.mark.usefixtures("chen")
@pytest.mark.parametrize("name", ["chen.yu", "nobody"])
def test_a_name_is_locked_after_some_failures_whether_anybody_has_it_or_not(
    desk: Desk, clock: StillClock, name: str
) -> None:
    for _ in range(signing_in.NAME_FREE):
        with pytest.raises(signing_in.NotSignedIn):
            signing_in.sign_in(desk, name, "wrong", address="a", browser="b")
    with pytest.raises(signing_in.LockedOut) as first:
        signing_in.sign_in(desk, name, PASSWORD, address="elsewhere", browser="b")
    assert first.value.again_at == clock.now + signing_in.FIRST_PAUSE
    clock.pass_(seconds=31)
    with pytest.raises(signing_in.NotSignedIn):
        signing_in.sign_in(desk, name, "wrong", address="a", browser="b")
    with pytest.raises(signing_in.LockedOut) as second:
        signing_in.sign_in(desk, name.upper(), PASSWORD, address="a", browser="b")
    assert second.value.again_at == clock.now + 2 * signing_in.FIRST_PAUSE


def test_an_address_is_locked_after_many_names(desk: Desk, chen: str) -> None:
    for number in range(signing_in.ADDRESS_FREE):
        with pytest.raises(signing_in.NotSignedIn):
            signing_in.sign_in(desk, f"guess{number}", "wrong", address="10.0.0.9", browser="b")
    with pytest.raises(signing_in.LockedOut):
        signing_in.sign_in(desk, chen, PASSWORD, address="10.0.0.9", browser="b")
    assert signing_in.sign_in(desk, chen, PASSWORD, address="10.0.0.8", browser="b").cookie


def test_a_good_sign_in_forgives_the_name(desk: Desk, chen: str) -> None:
    for _ in range(2):
        for _ in range(signing_in.NAME_FREE - 1):
            with pytest.raises(signing_in.NotSignedIn):
                signing_in.sign_in(desk, chen, "wrong", address="a", browser="b")
        signing_in.sign_in(desk, chen, PASSWORD, address="a", browser="b")


def test_signing_in_begins_another_session_than_the_one_somebody_planted(browse: As, desk: Desk, chen: str) -> None:
    browser = browse()
    browser.cookies.set(visits.SESSION, "planted")
    browser.cookies.set(visits.VISIT, "planted")
    browser.send("/sign-in", at="/sign-in", name=chen, password=PASSWORD)
    assert sessions.whose(desk, browser.cookies.get(visits.SESSION, domain="testserver.local") or "") is not None
    assert sessions.whose(desk, "planted") is None


def test_the_store_knows_no_cookie(desk: Desk, chen: str) -> None:
    cookie = signing_in.sign_in(desk, chen, PASSWORD, address="a", browser="b").cookie
    with desk.database.read() as connection:
        kept = connection.execute(rows.SESSIONS.select()).all()
    assert cookie not in str(kept)
    assert sessions.hashed(cookie) in str(kept)


def test_a_session_ends_when_nobody_uses_it_and_after_its_hours_whatever_happens(
    desk: Desk, chen: str, clock: StillClock
) -> None:
    idle = sessions.begin(desk, chen, factors=1, address="a", browser="b")
    clock.pass_(minutes=29)
    assert sessions.whose(desk, idle) is not None
    clock.pass_(minutes=31)
    assert sessions.whose(desk, idle) is None
    used = sessions.begin(desk, chen, factors=1, address="a", browser="b")
    for _ in range(28):
        clock.pass_(minutes=25)
        assert sessions.whose(desk, used) is not None
    clock.pass_(minutes=25)
    assert sessions.whose(desk, used) is None


def test_who_is_disabled_is_signed_out_at_once(desk: Desk, browse: As) -> None:
    browser = browse("finance")
    assert browser.get("/").status_code == 200
    accounts.set_state(desk.acting("t.berg"), "m.rossi", "disabled")
    assert browser.get("/").status_code == 303
    accounts.set_state(desk.acting("t.berg"), "m.rossi", "active")
    assert browser.get("/").status_code == 303, "an ended session does not come back"


def test_a_new_password_ends_every_other_session(browse: As, desk: Desk, chen: str) -> None:
    here, there = browse(chen), browse(chen)
    wrong = here.send("/account/password", at="/account/password", old="wrong", new=ANOTHER, again=ANOTHER)
    assert (wrong.status_code, there.get("/").status_code) == (403, 200)
    assert here.send("/account/password", old=PASSWORD, new=ANOTHER, again="x").status_code == 422
    assert here.send("/account/password", old=PASSWORD, new="short", again="short").status_code == 422
    assert here.send("/account/password", old=PASSWORD, new=ANOTHER, again=ANOTHER).status_code == 303
    assert (here.get("/").status_code, there.get("/").status_code) == (200, 303)
    assert signing_in.sign_in(desk, chen, ANOTHER, address="a", browser="b").cookie


def test_a_password_that_somebody_else_chose_is_changed_first(browse: As, desk: Desk) -> None:
    accounts.set_password(desk.acting("t.berg"), "m.rossi", PASSWORD)
    browser = browse("finance")
    assert browser.get("/").headers["location"] == "/account/password"
    browser.send("/account/password", at="/account/password", old=PASSWORD, new=ANOTHER, again=ANOTHER)
    assert browser.get("/").status_code == 200


def test_one_s_sessions_are_listed_and_ended(browse: As, desk: Desk) -> None:
    here, there = browse("finance"), browse("finance")
    theirs = sessions.begin(desk, "chen.yu", factors=1, address="a", browser="b")
    number = sessions.whose(desk, theirs)
    assert number is not None
    assert here.get("/account").text.count("Sign out there") == 1
    here.send("/account/sessions", session_id=str(number.session_id))
    assert sessions.whose(desk, theirs) is not None, "another person's session is not one's own"
    here.send("/account/sessions")
    assert (here.get("/").status_code, there.get("/").status_code) == (200, 303)


def test_with_an_authenticator_a_password_alone_opens_nothing(
    browse: As, desk: Desk, chen: str, clock: StillClock
) -> None:
    secret = authenticator(desk, chen)
    browser = browse()
    answer = browser.send("/sign-in", at="/sign-in", name=chen, password=PASSWORD, next="/jobs")
    assert answer.headers["location"] == "/sign-in/code?next=%2Fjobs"
    half = browser.cookies[visits.SESSION]
    assert browser.get("/jobs").headers["location"].startswith("/sign-in/code")
    assert browser.send("/sign-out", at="/sign-in/code").status_code == 303
    now = totp.code(secret, totp.step_of(clock.now))
    assert browser.send("/sign-in/code", code="000000" if now != "000000" else "111111").status_code == 403
    assert browser.send("/sign-in/code", code=now, next="/jobs").headers["location"] == "/jobs"
    assert browser.get("/jobs").status_code == 200
    assert browser.cookies[visits.SESSION] != half
    assert sessions.whose(desk, half) is None
    again = browse()
    again.send("/sign-in", at="/sign-in", name=chen, password=PASSWORD)
    assert again.send("/sign-in/code", at="/sign-in/code", code=now).status_code == 403, "no code counts twice"


def test_a_recovery_code_signs_in_once(browse: As, desk: Desk, chen: str) -> None:
    enrolling = browse(chen)
    page = enrolling.get("/account/authenticator")
    assert "<svg" in page.text
    spelled = re.search(r'secret">([A-Z2-7]+)<', page.text)
    assert spelled is not None
    import base64

    secret = base64.b32decode(spelled[1] + "=" * (-len(spelled[1]) % 8))
    assert enrolling.send("/account/authenticator", code="12").status_code == 403
    shown = enrolling.send("/account/authenticator", code=totp.code(secret, totp.step_of(desk.now())))
    codes = re.findall(r'code">([a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4})<', shown.text)
    assert len(codes) == second_factor.CODES
    assert enrolling.get("/account").status_code == 200
    for once in (303, 403):
        browser = browse()
        browser.send("/sign-in", at="/sign-in", name=chen, password=PASSWORD)
        assert browser.send("/sign-in/code", at="/sign-in/code", code=codes[3].upper()).status_code == once
    assert second_factor.left(desk, chen) == second_factor.CODES - 1


def test_guessing_codes_locks_the_name(desk: Desk, chen: str) -> None:
    authenticator(desk, chen)
    half = sessions.whose(desk, signing_in.sign_in(desk, chen, PASSWORD, address="a", browser="b").cookie)
    assert half is not None
    for _ in range(signing_in.NAME_FREE):
        with pytest.raises(second_factor.WrongCode):
            second_factor.answer(desk, half, "1", address="a", browser="b")
    with pytest.raises(signing_in.LockedOut):
        second_factor.answer(desk, half, "1", address="a", browser="b")


def test_a_hash_of_older_parameters_is_made_anew_when_its_person_signs_in(desk: Desk) -> None:
    older = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
    with desk.database.write() as connection:
        rows.note(connection, "chen.yu", password=older)
    signing_in.sign_in(desk, "chen.yu", "password", address="a", browser="b")
    with desk.database.read() as connection:
        kept = accounts.found(connection, "chen.yu").password
    assert not passwords.is_outdated(kept)
    assert passwords.matches("password", kept)

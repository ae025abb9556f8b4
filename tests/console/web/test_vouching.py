"""Signing in by another house's word, against a house that this test runs: keys, signatures, nonces, PKCE and all."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from infra.people import accounts
from models.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.wiring import Desk
    from tests.console.web.conftest import As, Browser

CLIENT, SECRET = "consign", "told to the house"


@dataclass
class House:
    """An OpenID provider that signs whoever asks in as one person, and can be told to lie."""

    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}, private=True))
    signs_with: RSAKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    calls_itself: str = ""
    now: int = 0

    def authorize(self, url: str) -> str:
        """What the browser brings back: a code, for the question in the URL."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert given["code_challenge_method"] == "S256"
        assert given["redirect_uri"] == "http://testserver/sign-in/vouched/back"
        code = f"code{len(self.asked)}"
        self.asked[code] = given
        return f"/sign-in/vouched/back?state={given['state']}&code={code}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The word for a code, once; None where the question was another one."""
        given = self.asked.pop(form.get("code", ""), None)
        who = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if given is None or authorization != who or challenge.decode().rstrip("=") != given["code_challenge"]:
            return None
        told = {
            "iss": self.url, "aud": CLIENT, "sub": "u-17", "iat": self.now, "exp": self.now + 300,
            "nonce": given["nonce"], **self.claims,
        }  # fmt: skip
        word = jwt.encode({"alg": "RS256", "kid": "one"}, told, self.signs_with or self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": word}


@pytest.fixture
def house(desk: Desk) -> Iterator[House]:
    """The house answers on loopback, and the console is told of it."""
    one = House(now=int(desk.now().timestamp()))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = {
                "/.well-known/openid-configuration": {
                    "issuer": one.calls_itself or one.url, "authorization_endpoint": one.url + "/authorize",
                    "token_endpoint": one.url + "/token", "jwks_uri": one.url + "/keys",
                },
                "/keys": {"keys": [one.key.as_dict(private=False)]},
            }  # fmt: skip
            self._say(told.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(one.token(form, self.headers.get("authorization", "")))

        def _say(self, told: object) -> None:
            self.send_response(200 if told else 400)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(told or {"error": "invalid_grant"}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        one.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = desk.settings
        settings.oidc_issuer, settings.oidc_client, settings.oidc_secret = one.url, CLIENT, SecretStr(SECRET)
        settings.web_url, settings.oidc_name = "http://testserver", "Harbour SSO"
        yield one
        server.shutdown()


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path) -> Path:
    """Nothing need have happened here."""
    return bare_home


def come_back(browser: Browser, house: House) -> Any:
    """The browser goes to the house and comes back; the console's answer."""
    asked = browser.get("/sign-in/vouched?next=/account")
    return browser.get(house.authorize(asked.headers["location"]))


def test_whom_the_house_vouches_for_is_signed_in(browse: As, desk: Desk, house: House) -> None:
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="u-17")
    browser = browse()
    assert "Harbour SSO" in browser.get("/sign-in").text
    assert come_back(browser, house).headers["location"] == "/account"
    assert "zhao.lei" in browser.get("/account").text


def test_nobody_gets_an_account_by_coming_along(browse: As, house: House) -> None:
    browser = browse()
    answer = come_back(browser, house)
    assert answer.status_code == 403
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "lie",
    [
        {"aud": "another"}, {"iss": "https://elsewhere.example"}, {"nonce": "another"}, {"exp": 1}, {"sub": 17},
        {"exp": None}, {"aud": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_word_that_is_not_for_us_now_counts_for_nothing(
    browse: As, desk: Desk, house: House, lie: dict[str, Any]
) -> None:
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="u-17")
    house.claims = lie
    browser = browse()
    assert come_back(browser, house).status_code == 403
    assert browser.get("/").status_code == 303


def test_a_word_signed_by_somebody_else_counts_for_nothing(browse: As, desk: Desk, house: House) -> None:
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="u-17")
    house.signs_with = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    assert come_back(browse(), house).status_code == 403


def test_an_answer_to_another_browser_s_question_counts_for_nothing(browse: As, desk: Desk, house: House) -> None:
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="u-17")
    theirs, mine = browse(), browse()
    back = house.authorize(theirs.get("/sign-in/vouched").headers["location"])
    assert mine.get(back).status_code == 403, "nothing was begun here"
    mine.get("/sign-in/vouched")
    assert mine.get(back).status_code == 403, "another state"
    assert theirs.get(back).status_code == 303
    assert theirs.get(back).status_code == 403, "a code counts once"


def test_an_unproved_address_names_nobody(browse: As, desk: Desk, house: House) -> None:
    desk.settings.oidc_claim = "email"
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="zhao.lei@harbour.example")
    house.claims = {"email": "zhao.lei@harbour.example"}
    assert come_back(browse(), house).status_code == 403
    house.claims["email_verified"] = True
    assert come_back(browse(), house).status_code == 303


def test_a_house_that_calls_itself_otherwise_is_not_asked(browse: As, house: House) -> None:
    house.calls_itself = "https://elsewhere.example"
    assert browse().get("/sign-in/vouched").status_code == 500


def test_a_house_that_does_not_answer_is_said(desk: Desk, house: House) -> None:
    from infra.people import vouching

    desk.settings.oidc_issuer = house.url + "/nowhere"
    with pytest.raises(RemoteError):
        vouching.ask(desk)


def test_a_name_of_the_house_is_one_person_s(desk: Desk, house: House) -> None:
    accounts.add(desk.acting("t.berg"), "zhao.lei", None, vouched="u-17")
    with pytest.raises(UsageError, match="somebody else"):
        accounts.add(desk.acting("t.berg"), "zhao.lei2", None, vouched="u-17")
    assert house.url


def test_without_a_house_nobody_is_sent_anywhere(browse: As) -> None:
    assert browse().get("/sign-in/vouched").headers["location"] == "/sign-in"

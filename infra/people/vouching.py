"""Signing in by another house's word: OpenID Connect, authorization code with PKCE, state and nonce.

What the house says counts when its signature is one of its published keys', the word is meant for us, it is fresh, and
it repeats the nonce that this browser was given. An administrator says whom each of the house's names belongs to:
nobody gets an account by coming along.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.people import sessions
from infra.people.signing_in import Admitted
from infra.store import people as store
from models.errors import ConfigurationError, RefusedByPolicy, RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""None that a public key could be mistaken for a secret in."""
SCOPE: Final = "openid profile email"
TIMEOUT_S: Final = 10.0
LEEWAY_S: Final = 60
BACK: Final = "/sign-in/vouched/back"


class NotVouched(RefusedByPolicy):
    """The other house does not vouch for anybody who has an account here; which part was wrong is not said."""


@dataclass(frozen=True)
class Asking:
    """Where the browser is to go, and what it must bring back."""

    url: str
    state: str
    nonce: str
    verifier: str

    def kept(self) -> str:
        """As a cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}"

    @classmethod
    def read(cls, cookie: str) -> Asking:
        """What `kept` wrote. Raises NotVouched."""
        parts = cookie.split(".")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - state, nonce, verifier
            raise NotVouched("signing in elsewhere was not begun at this browser", fix="begin it again")
        return cls("", *parts)


def is_offered(desk: Desk) -> bool:
    """Whether another house may vouch for people."""
    return bool(desk.settings.oidc_issuer)


def ask(desk: Desk) -> Asking:
    """Where to send the browser. Raises ConfigurationError, RemoteError."""
    asking = Asking("", secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
    told = _discovered(desk)
    with _client(desk) as client:
        url, _ = client.create_authorization_url(
            told["authorization_endpoint"], state=asking.state, code_verifier=asking.verifier, nonce=asking.nonce
        )
    return Asking(str(url), asking.state, asking.nonce, asking.verifier)


def answer(desk: Desk, asked: Asking, state: str, code: str, *, address: str, browser: str) -> Admitted:
    """The person whom the other house vouches for is signed in, or asked for a code.

    Raises NotVouched, ConfigurationError, RemoteError.
    """
    if not secrets.compare_digest(asked.state.encode(), state.encode()) or not code:
        raise NotVouched("the answer is not the one to this browser's question", fix="begin it again")
    claims = _claims(desk, asked, code)
    subject = claims.get(desk.settings.oidc_claim)
    unproved = desk.settings.oidc_claim == "email" and claims.get("email_verified") is not True
    row = None
    if isinstance(subject, str) and subject and not unproved:
        with desk.database.read() as connection:
            row = store.vouched(connection, desk.settings.oidc_issuer, subject)
    if row is None or row.state != "active":
        raise NotVouched("nobody with an account here goes by that name there", fix="ask an administrator for one")
    factors = 0 if row.totp_confirmed else 1
    return Admitted(
        sessions.begin(desk, row.actor, factors=factors, address=address, browser=browser), needs_code=not factors
    )


def _claims(desk: Desk, asked: Asking, code: str) -> Mapping[str, Any]:
    """What the house's word says, once it is known to be the house's and meant for us."""
    import httpx2
    from authlib.common.errors import AuthlibBaseError
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    settings, told = desk.settings, _discovered(desk)
    refused = NotVouched("the other house's word does not hold", fix="begin it again; if it stays so, look at its keys")
    try:
        with _client(desk) as client:
            token = client.fetch_token(
                told["token_endpoint"], code=code, code_verifier=asked.verifier, grant_type="authorization_code"
            )
        keys = KeySet.import_key_set(_got(told["jwks_uri"]))
        word = jwt.decode(str(token["id_token"]), keys, algorithms=list(ALGORITHMS))
        jwt.JWTClaimsRegistry(
            now=lambda: int(desk.now().timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_client},
            exp={"essential": True},
            nonce={"essential": True, "value": asked.nonce},
        ).validate(word.claims)
    except (JoseError, AuthlibBaseError, KeyError, ValueError):
        raise refused from None
    except httpx2.HTTPError as error:
        raise RemoteError(f"the other house did not answer: {type(error).__name__}", fix="try again later") from None
    return word.claims


def _discovered(desk: Desk) -> Mapping[str, Any]:
    """What the house says about itself, at its own address."""
    issuer = desk.settings.oidc_issuer
    told: dict[str, Any] = _got(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if told.get("issuer") != issuer:
        raise ConfigurationError(
            "the house at `oidc_issuer` calls itself otherwise", fix="set oidc_issuer to its own word, to the letter"
        )
    return told


def _got(url: str) -> Any:
    import httpx2

    try:
        answer = httpx2.get(url, timeout=TIMEOUT_S)
        answer.raise_for_status()
        told = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise RemoteError(f"the other house did not answer: {type(error).__name__}", fix="try again later") from None
    if not isinstance(told, dict):
        raise RemoteError("the other house answered with something else", fix="look at oidc_issuer")
    return told


def _client(desk: Desk) -> Any:
    from authlib.integrations.httpx_client import OAuth2Client

    settings = desk.settings
    if not settings.web_url or not settings.oidc_client:
        raise ConfigurationError(
            "signing in elsewhere is set up by half", fix="set web_url, oidc_issuer, oidc_client and oidc_secret"
        )
    return OAuth2Client(
        settings.oidc_client,
        settings.oidc_secret.get_secret_value() if settings.oidc_secret else None,
        scope=SCOPE,
        redirect_uri=settings.web_url.rstrip("/") + BACK,
        code_challenge_method="S256",
        timeout=TIMEOUT_S,
    )

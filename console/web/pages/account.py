"""Signing in and out, and what concerns oneself: password, sessions, language, light or dark."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from console.web import visits
from console.web.language import LANGUAGES
from console.web.problems import status_of
from console.web.security import safe_next
from console.web.visits import Visit, Visiting, is_open, needs
from infra.people import accounts, second_factor, sessions, signing_in, tokens, vouching
from models.errors import ConsignError

router = APIRouter()

Text = Annotated[str, Form()]


@router.get("/sign-in", dependencies=[is_open])
def ask(visit: Visiting, next: str = "/") -> Response:  # noqa: A002 - the word of the URL
    """The form to sign in with; who is signed in goes on."""
    if visit.person is not None and visit.person.factors:
        return visit.go(safe_next(next))
    return _sign_in_page(visit, next, "", None)


@router.post("/sign-in", dependencies=[is_open])
def sign_in(visit: Visiting, name: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002 - the field
    """The browser is signed in, or asked for a code."""
    address, browser = whence(visit.request)
    try:
        admitted = signing_in.sign_in(visit.desk, name.strip(), password, address=address, browser=browser)
    except ConsignError as problem:
        return _sign_in_page(visit, next, name, problem)
    return _admitted(visit, admitted, next)


@router.get("/sign-in/code", dependencies=[is_open])
def ask_code(visit: Visiting, next: str = "/") -> Response:  # noqa: A002 - the word of the URL
    """The form for the authenticator's code."""
    if visit.person is None or visit.person.factors:
        return visit.go("/sign-in" if visit.person is None else safe_next(next))
    return visit.page("account/code.html", next=safe_next(next), problem=None)


@router.post("/sign-in/code", dependencies=[is_open])
def take_code(visit: Visiting, code: Text = "", next: Text = "/") -> Response:  # noqa: A002 - the field
    """The browser is signed in by both factors."""
    if visit.person is None or visit.person.factors:
        return visit.go("/sign-in")
    address, browser = whence(visit.request)
    try:
        cookie = second_factor.answer(visit.desk, visit.person, code, address=address, browser=browser)
    except ConsignError as problem:
        return visit.page("account/code.html", status=status_of(problem), next=safe_next(next), problem=problem)
    return keep(visit, visit.go(safe_next(next)), cookie)


@router.get("/sign-in/vouched", dependencies=[is_open])
def ask_elsewhere(visit: Visiting, next: str = "/") -> Response:  # noqa: A002 - the word of the URL
    """The browser goes to the house that vouches for people."""
    if not vouching.is_offered(visit.desk):
        return visit.go("/sign-in")
    asking = vouching.ask(visit.desk)
    answer = RedirectResponse(asking.url, status_code=303)
    kept = f"{asking.kept()}.{quote(safe_next(next), safe='')}"
    answer.set_cookie(
        visits.ASKED, kept, max_age=600, httponly=True, samesite="lax", secure=visit.is_secure, path="/sign-in"
    )
    return answer


@router.get(vouching.BACK, dependencies=[is_open])
def take_word(visit: Visiting, state: str = "", code: str = "") -> Response:
    """The browser is back, with that house's word for it."""
    kept, _, came_from = visit.request.cookies.get(visits.ASKED, "").rpartition(".")
    address, browser = whence(visit.request)
    try:
        asked = vouching.Asking.read(kept)
        admitted = vouching.answer(visit.desk, asked, state, code, address=address, browser=browser)
    except ConsignError as problem:
        return _sign_in_page(visit, "/", "", problem)
    answer = _admitted(visit, admitted, unquote(came_from))
    answer.delete_cookie(visits.ASKED, path="/sign-in")
    return answer


@router.post("/sign-out", dependencies=[needs("account.own")])
def sign_out(visit: Visiting) -> Response:
    """Nobody is signed in at this browser any more."""
    sessions.end(visit.desk, visit.who.actor, only=visit.who.session_id)
    answer = visit.go("/sign-in")
    answer.delete_cookie(visits.SESSION, path="/")
    return answer


@router.get("/account", dependencies=[needs("account.own")])
def own(visit: Visiting) -> Response:
    """What concerns oneself."""
    return visit.page("account/own.html", sessions=sessions.listed(visit.desk, visit.who.actor), problem=None)


@router.get("/account/password", dependencies=[needs("account.own")])
def ask_password(visit: Visiting) -> Response:
    """The form for a new password."""
    return visit.page("account/password.html", problem=None)


@router.post("/account/password", dependencies=[needs("account.own")])
def set_password(visit: Visiting, old: Text = "", new: Text = "", again: Text = "") -> Response:
    """The password is another one, and this browser alone is signed in."""
    try:
        if new != again:
            raise accounts.Mistyped("the new password was typed in two ways", fix="type it twice alike")
        accounts.set_password(visit.desk, visit.who.actor, new, old=old)
    except ConsignError as problem:
        return visit.page("account/password.html", status=status_of(problem), problem=problem)
    address, browser = whence(visit.request)
    cookie = sessions.begin(visit.desk, visit.who.actor, factors=visit.who.factors, address=address, browser=browser)
    return keep(visit, visit.go("/account", visit.say("The password is changed.")), cookie)


@router.get("/account/authenticator", dependencies=[needs("account.own")])
def ask_authenticator(visit: Visiting) -> Response:
    """How an authenticator is enrolled, or that one is."""
    return _authenticator_page(visit, None)


@router.post("/account/authenticator", dependencies=[needs("account.own")])
def take_authenticator(visit: Visiting, code: Text = "") -> Response:
    """The authenticator counts; its recovery codes are shown this once, and this session is begun anew."""
    try:
        codes = second_factor.confirm(visit.desk, visit.who.actor, code)
    except ConsignError as problem:
        return _authenticator_page(visit, problem)
    sessions.end(visit.desk, visit.who.actor)
    address, browser = whence(visit.request)
    cookie = sessions.begin(visit.desk, visit.who.actor, factors=2, address=address, browser=browser)
    visit.cookie = cookie  # the forms of this answer are those of the new session
    return keep(visit, visit.page("account/recovery.html", codes=codes), cookie)


@router.post("/account/authenticator/forget", dependencies=[needs("account.own")])
def forget_authenticator(visit: Visiting, password: Text = "") -> Response:
    """The authenticator counts no more; whoever asks knows the password, and signs in anew."""
    try:
        accounts.check_own(visit.desk, password)
        second_factor.forget(visit.desk, visit.who.actor)
    except ConsignError as problem:
        return _authenticator_page(visit, problem)
    return visit.go("/sign-in", visit.say("The authenticator is forgotten."))


@router.post("/account/sessions", dependencies=[needs("account.own")])
def end_sessions(visit: Visiting, session_id: Annotated[int | None, Form()] = None) -> Response:
    """One of one's own sessions has ended, or all but this one."""
    if session_id is None:
        sessions.end(visit.desk, visit.who.actor, but=visit.who.session_id)
    else:
        sessions.end(visit.desk, visit.who.actor, only=session_id)
    return visit.go("/account", visit.say("Signed out there."))


# -- tokens ------------------------------------------------------------------------------------------------------------


@router.get("/account/tokens", dependencies=[needs("account.own")])
def own_tokens(visit: Visiting) -> Response:
    """The tokens that one's own programs use."""
    return _tokens(visit)


def _tokens(visit: Visit, problem: ConsignError | None = None, made: tokens.Made | None = None) -> Response:
    return visit.page(
        "account/tokens.html", tokens=tokens.listed(visit.desk, visit.who.actor), made=made, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/account/tokens", dependencies=[needs("account.own")])
def make_token(visit: Visiting, name: Text = "", scopes: Text = "", days: Annotated[int, Form()] = 90) -> Response:
    """A new token, shown this once."""
    try:
        made = tokens.make(visit.desk, visit.who.actor, name, scopes=scopes.split(), days=days)
    except ConsignError as problem:
        return _tokens(visit, problem)
    return _tokens(visit, made=made)


@router.post("/account/tokens/{token_id}/revoke", dependencies=[needs("account.own")])
def revoke_token(visit: Visiting, token_id: int) -> Response:
    """The token counts no more."""
    try:
        tokens.revoke(visit.desk, token_id)
    except ConsignError as problem:
        return _tokens(visit, problem)
    return visit.go("/account/tokens", visit.say("The token is revoked."))


@router.post("/preferences", dependencies=[is_open])
def prefer(visit: Visiting, language: Text = "", theme: Text = "", next: Text = "/") -> Response:  # noqa: A002 - the field
    """The console speaks that language, or is light or dark, at this browser."""
    answer = visit.go(safe_next(next))
    if language in LANGUAGES:
        _remember(visit, answer, visits.LANGUAGE, language)
        if visit.person is not None and visit.person.factors:
            accounts.set_language(visit.desk, visit.person.actor, language)
    if theme in visits.THEMES:
        _remember(visit, answer, visits.THEME, theme)
    return answer


def _sign_in_page(visit: Visit, next_: str, name: str, problem: ConsignError | None) -> Response:
    elsewhere = visit.desk.settings.oidc_name or visit.say("another house") if vouching.is_offered(visit.desk) else ""
    return visit.page(
        "account/sign_in.html",
        status=200 if problem is None else status_of(problem),
        next=safe_next(next_),
        name=name,
        problem=problem,
        elsewhere=elsewhere,
    )


def _admitted(visit: Visit, admitted: signing_in.Admitted, next_: str) -> Response:
    where = safe_next(next_)
    return keep(
        visit,
        visit.go(f"/sign-in/code?next={quote(where, safe='')}" if admitted.needs_code else where),
        admitted.cookie,
    )


def _authenticator_page(visit: Visit, problem: ConsignError | None) -> Response:
    status = 200 if problem is None else status_of(problem)
    if visit.who.has_totp:
        left = second_factor.left(visit.desk, visit.who.actor)
        return visit.page("account/authenticator.html", status=status, left=left, problem=problem)
    enrolment = second_factor.enrolling(visit.desk, visit.who.actor)
    square = segno.make(enrolment.address, error="m", micro=False).svg_inline(scale=5, border=4)
    drawn = Markup(square)  # noqa: S704 - it holds strokes alone
    return visit.page("account/enrol.html", status=status, enrolment=enrolment, drawn=drawn, problem=problem)


def keep(visit: Visit, answer: Response, cookie: str) -> Response:
    """The answer, with the session's cookie: until the browser is closed, and never for scripts."""
    answer.set_cookie(visits.SESSION, cookie, httponly=True, samesite="lax", secure=visit.is_secure, path="/")
    return answer


def whence(request: Request) -> tuple[str, str]:
    """Where the request comes from: the address, and what the browser calls itself."""
    return (request.client.host if request.client else "", request.headers.get("user-agent", ""))


def _remember(visit: Visit, answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, max_age=visits.YEAR, httponly=True, samesite="lax", secure=visit.is_secure, path="/")

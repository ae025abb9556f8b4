"""Signing in and out, and what concerns oneself: password, sessions, language, light or dark."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from console.web import visits
from console.web.language import LANGUAGES
from console.web.problems import status_of
from console.web.security import safe_next
from console.web.visits import Visit, Visiting, is_open, needs
from infra.people import accounts, sessions, signing_in
from models.errors import ConsignError

router = APIRouter()

Text = Annotated[str, Form()]


@router.get("/sign-in", dependencies=[is_open])
def ask(visit: Visiting, next: str = "/") -> Response:  # noqa: A002 - the word of the URL
    """The form to sign in with; who is signed in goes on."""
    if visit.person is not None and visit.person.factors:
        return visit.go(safe_next(next))
    return visit.page("account/sign_in.html", next=safe_next(next), name="", problem=None)


@router.post("/sign-in", dependencies=[is_open])
def sign_in(visit: Visiting, name: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002 - the field
    """The browser is signed in, or asked for a code."""
    address, browser = whence(visit.request)
    try:
        admitted = signing_in.sign_in(visit.desk, name.strip(), password, address=address, browser=browser)
    except ConsignError as problem:
        return visit.page(
            "account/sign_in.html", status=status_of(problem), next=safe_next(next), name=name, problem=problem
        )
    return keep(visit, visit.go(safe_next(next)), admitted.cookie)


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


@router.post("/account/sessions", dependencies=[needs("account.own")])
def end_sessions(visit: Visiting, session_id: Annotated[int | None, Form()] = None) -> Response:
    """One of one's own sessions has ended, or all but this one."""
    if session_id is None:
        sessions.end(visit.desk, visit.who.actor, but=visit.who.session_id)
    else:
        sessions.end(visit.desk, visit.who.actor, only=session_id)
    return visit.go("/account", visit.say("Signed out there."))


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


def keep(visit: Visit, answer: Response, cookie: str) -> Response:
    """The answer, with the session's cookie: until the browser is closed, and never for scripts."""
    answer.set_cookie(visits.SESSION, cookie, httponly=True, samesite="lax", secure=visit.is_secure, path="/")
    return answer


def whence(request: Request) -> tuple[str, str]:
    """Where the request comes from: the address, and what the browser calls itself."""
    return (request.client.host if request.client else "", request.headers.get("user-agent", ""))


def _remember(visit: Visit, answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, max_age=visits.YEAR, httponly=True, samesite="lax", secure=visit.is_secure, path="/")

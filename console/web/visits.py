"""Who asks, at which desk, in which language: what every page is given, and the door that every page stands behind.

A route says which action of models.permissions it is: `dependencies=[needs("breaks.see")]`, or `is_open` for the few
that anybody sees. A request that changes something must carry the word that only our own pages know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, unquote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.web import language, navigation, rendering, security
from infra.people import sessions
from infra.wiring import Desk
from models.errors import RefusedByPolicy
from models.permissions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.language import Say
    from infra.people.sessions import SignedIn

SESSION: Final = "consign_session"
VISIT: Final = "consign_visit"
LANGUAGE: Final = "consign_language"
THEME: Final = "consign_theme"
ASKED: Final = "consign_asked"
"""What the browser must bring back from the house that vouches for people."""
DONE: Final = "consign_done"
"""What the page before asks the next one to say."""
THEMES: Final = ("auto", "light", "dark")
YEAR: Final = 365 * 24 * 3600
OWN: Final = "account.own"
"""The one action that nothing stands before but signing in: a new password, an authenticator."""
FIELD: Final = "_form"
"""The hidden field of every form, and the header of every request by HTMX, that holds the word."""
HEADER: Final = "x-consign-form"


class SignInFirst(RefusedByPolicy):
    """Nobody is signed in, or a code or a new password is still asked for; `where` answers that."""

    def __init__(self, where: str) -> None:
        super().__init__("sign in first", fix="sign in")
        self.where = where


class NotAllowed(RefusedByPolicy):
    """The person's roles do not let them do it."""


class ForeignForm(RefusedByPolicy):
    """The request did not come from a page of ours, or from one that is too old."""


@dataclass
class Visit:
    """One request: the page's view of who asks."""

    request: Request
    desk: Desk
    """acts as the person who is signed in"""
    person: SignedIn | None
    cookie: str
    """the session's, or the one that a browser has before anybody signs in"""

    @cached_property
    def say(self) -> Say:
        """The language of the answer: `visit.say("Breaks")`."""
        asked = self.request.headers.get("accept-language", "")
        return language.say(language.chosen(self.request.cookies.get(LANGUAGE), asked))

    @property
    def who(self) -> SignedIn:
        """The person behind a route that needs an action."""
        if self.person is None:
            raise SignInFirst("/sign-in")
        return self.person

    @property
    def is_partial(self) -> bool:
        """Whether HTMX asks for a part of the page."""
        return self.request.headers.get("hx-request-type") == "partial"

    def may(self, action: str, *, of_agency: str | None = None) -> bool:
        """Whether the person may do it, here; for links and buttons."""
        return self.person is not None and self.person.may(action, of_agency=of_agency)

    def page(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """The template as an answer. It knows `visit`, `say` and what it is given."""
        made = rendering.environment(self.say.code).get_template(template)
        text = made.render(visit=self, say=self.say, here=self.request.url, **context)
        return HTMLResponse(text, status_code=status, headers={"Vary": "Cookie, Accept-Language, HX-Request-Type"})

    def go(self, path: str, done: str = "") -> Response:
        """See there what has become of it (303); `done`: a sentence to be shown there once."""
        answer: Response
        if self.request.headers.get("hx-request"):
            answer = Response(status_code=204, headers={"HX-Redirect": path})
        else:
            answer = RedirectResponse(path, status_code=303)
        if done:
            answer.set_cookie(
                DONE, quote(done, safe=""), max_age=60, httponly=True, samesite="lax", secure=self.is_secure, path="/"
            )
        return answer

    # --- what the layout asks for -------------------------------------------------------------------------------------

    @cached_property
    def word(self) -> str:
        """The word that a form of this page carries."""
        return security.token(self.cookie)

    @property
    def sections(self) -> list[navigation.Section]:
        """The side of the page."""
        return list(navigation.shown(self.request.app.state.paths, self.may))

    @property
    def theme(self) -> str:
        """auto, light or dark."""
        chosen = self.request.cookies.get(THEME, "auto")
        return chosen if chosen in THEMES else "auto"

    @property
    def at(self) -> str:
        """This page's own path and query, to come back to."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    @property
    def done(self) -> str:
        """What the page before asked to say."""
        return unquote(self.request.cookies.get(DONE, ""))

    @property
    def is_secure(self) -> bool:
        """Whether people reach us by https alone."""
        return self.desk.settings.web_url.startswith("https://")


def visit_of(request: Request) -> Visit:
    """The visit behind a request."""
    at: Desk = request.app.state.desk
    cookie = request.cookies.get(SESSION, "")
    person = sessions.whose(at, cookie) if cookie else None
    if person is None:
        return Visit(request, at, None, request.cookies.get(VISIT, "") or request.state.visit)
    request.state.actor = person.actor  # for the log
    return Visit(request, at.acting(person.actor), person, cookie)


async def _given_word(request: Request) -> str:
    """The word that a request which changes something carries."""
    if request.method in security.SAFE:
        return ""
    if told := request.headers.get(HEADER):
        return told
    form = await request.form()
    word = form.get(FIELD, "")
    return word if isinstance(word, str) else ""


Visiting = Annotated[Visit, Depends(visit_of)]
Word = Annotated[str, Depends(_given_word)]


def _ours(visit: Visit, word: str) -> None:
    if visit.request.method in security.SAFE:
        return
    if visit.request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForeignForm("the form was sent from another site", fix="open the page here and send it again")
    if not security.is_token(word, visit.cookie):
        raise ForeignForm("the form is too old", fix="open the page again and send it once more")


def needs(action: str) -> Any:
    """What a route depends on: whoever asks is signed in and may do the action; what changes came from our pages."""
    ACTIONS[action]  # an action that nobody defined fails when the route is written

    async def door(visit: Visiting, word: Word) -> None:  # asks nobody: a thread of its own would cost more than it
        enter(visit, action, word)

    return marked(door, action)


def enter(visit: Visit, action: str, word: str) -> None:
    """Raises SignInFirst, NotAllowed or ForeignForm where this visit may not do the action."""
    person = visit.person
    if person is None:
        raise SignInFirst("/sign-in")
    if person.factors == 0:
        raise SignInFirst("/sign-in/code")
    if action != OWN:
        if person.must_change:
            raise SignInFirst("/account/password")
        if visit.desk.settings.second_factor == "required" and not person.has_totp:
            raise SignInFirst("/account/authenticator")
    if not person.may(action):
        raise NotAllowed(
            visit.say("Your roles do not let you %(action)s.", action=visit.say.pair(ACTIONS[action].words)),
            fix=visit.say("An administrator gives roles."),
        )
    _ours(visit, word)


async def _anybody(visit: Visiting, word: Word) -> None:
    _ours(visit, word)


def marked(door: Callable[..., Any], action: str | None) -> Any:
    """The dependency, with the action that it asks for: what the tests that walk every route read."""
    door.action = action  # type: ignore[attr-defined]  # a function takes any attribute
    return Depends(door)


is_open: Final = marked(_anybody, None)
"""What a route depends on that anybody sees: signing in, and whether we are alive."""


async def acting(visit: Visiting) -> Desk:
    """The desk of the person who is signed in: what is done at it, that person did."""
    return visit.desk


Acting = Annotated[Desk, Depends(acting)]

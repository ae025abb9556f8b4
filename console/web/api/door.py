"""Who calls: a token's owner, within the token's scopes; and how the API says that something went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from console.web.api.shapes import Problem
from console.web.language import chosen, later, say
from console.web.problems import heading_of, status_of, unread
from infra.journaling import journal
from infra.people import tokens
from infra.wiring import Desk
from models.errors import ConsignError
from models.permissions import ACTIONS

if TYPE_CHECKING:
    from infra.people.tokens import Bearer

JSON_PROBLEM: Final = "application/problem+json"
NOT_THERE: Final = 404
bearer = HTTPBearer(auto_error=False, description="A token: `consign people token make`, or the page of your account")


@dataclass(frozen=True)
class Call:
    """One request to the API."""

    desk: Desk
    """acts as the token's owner"""
    who: Bearer

    @property
    def agency(self) -> str:
        """The agency whose person calls; for routes that only such people reach."""
        if self.who.agency is None:
            raise HTTPException(403, "only an agency's own people have this")
        return self.who.agency


class Refused(HTTPException):
    """No token, or one that does not reach so far."""

    def __init__(self, status: int, detail: str, fix: str) -> None:
        super().__init__(status, detail, {"WWW-Authenticate": "Bearer"} if status == 401 else None)  # noqa: PLR2004 - HTTP's
        self.fix = fix


def _caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Call:
    at: Desk = request.app.state.desk
    who = None if given is None else tokens.whose(at, given.credentials)
    if who is None:
        raise Refused(401, "no token that counts", "send `Authorization: Bearer …` with a token of yours")
    return Call(at.acting(who.actor), who)


Calling = Annotated[Call, Depends(_caller)]


def needs(action: str) -> Any:
    """What a route depends on: the token's owner may do the action, and the token reaches so far."""
    words = ACTIONS[action].words[0]

    async def door(call: Calling) -> None:  # asks nobody: no thread of its own
        if not call.who.may(action):
            fix = "an administrator gives roles; a token's scopes are chosen when it is made"
            raise Refused(403, f"this token does not let you {words}", fix)

    door.action = action  # type: ignore[attr-defined]  # read by the tests that walk every route
    return Depends(door)


def there(found: Any) -> Any:
    """What was found; what was not, and what is another's, is no such thing."""
    if found is None:
        raise HTTPException(NOT_THERE, "there is no such thing")
    return found


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "content": {JSON_PROBLEM: {}}, "description": about}
    for status, about in {
        400: "The request cannot be read.", 401: "No token that counts.", 403: "Not allowed, or a rule forbids it.",
        404: "There is no such thing.", 405: "That cannot be done here.", 409: "Somebody must look at it first.",
        413: "Too large.", 422: "That cannot be done so.", 500: "The installation is not ready for it.",
        502: "The other side did not answer.", 503: "The store is busy: try again.",
    }.items()
}  # fmt: skip


def install(app: FastAPI) -> None:
    """Errors become problems in JSON."""
    app.add_exception_handler(ConsignError, _explained)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unexpected)


def _explained(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConsignError)  # noqa: S101 - the handler is installed for it
    return _problem(request, status_of(error), heading_of(error), str(error), error.fix)


def _unreadable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    fix = later("see /api/v1/openapi.json")
    return _problem(request, 422, later("The request is not as it must be"), unread(error), fix)


def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    made = _problem(request, error.status_code, str(error.detail), "", getattr(error, "fix", ""))
    made.headers.update(error.headers or {})
    return made


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    journal("api").error("a call failed", exc_info=error)
    fix = later("The journal says where: logs/consign.log")
    return _problem(request, 500, later("Something is wrong with the API"), "", fix)


def _problem(request: Request, status: int, title: str, detail: str, fix: str) -> JSONResponse:
    """In the language that the caller asks for."""
    told = say(chosen(None, request.headers.get("accept-language", "")))
    body = Problem(
        title=told.explained(told(title)), status=status, detail=told.explained(detail), fix=told.explained(told(fix))
    )
    headers = {"Content-Language": told.tag, "Vary": "Accept-Language"}
    return JSONResponse(body.model_dump(), status_code=status, media_type=JSON_PROBLEM, headers=headers)

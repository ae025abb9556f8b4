"""What went wrong, as a page or a part of one: what, why, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHttpError

from console.web import security, visits
from console.web.language import later
from infra.instalments import TwoLimits
from infra.journaling import journal
from infra.propensity.versions import SwitchedOff
from infra.store.database import StoreBusy
from infra.strategy import TwoStrategies
from models.contract import ContractFault, NoContract
from models.errors import ConfigurationError, ConsignError, Findings, RefusedByPolicy, RemoteError, UsageError
from models.instalments.limits import LimitsInvalid
from models.policy_file import PolicyInvalid
from models.strategy.rules import StrategyInvalid

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

STATUS: Final[tuple[tuple[type[ConsignError], int, str], ...]] = (
    (visits.ForeignForm, 403, later("The form was not taken")),
    (visits.NotAllowed, 403, later("Not allowed")),
    (PolicyInvalid, 422, later("That is no policy")),
    (StrategyInvalid, 422, later("The rules cannot be used")),
    (LimitsInvalid, 422, later("The rules cannot be used")),
    (TwoStrategies, 422, later("That cannot be done so")),
    (TwoLimits, 422, later("That cannot be done so")),
    (ContractFault, 422, later("Those are no terms")),
    (NoContract, 422, later("Nothing was agreed")),
    (RefusedByPolicy, 403, later("A rule forbids it")),
    (StoreBusy, 503, later("The store is busy")),
    (UsageError, 422, later("That cannot be done so")),
    (SwitchedOff, 422, later("That is switched off")),
    (Findings, 409, later("Somebody must look at it first")),
    (ConfigurationError, 500, later("The installation is not ready for it")),
    (RemoteError, 502, later("The other side did not answer")),
    (ConsignError, 422, later("That did not work")),
)
"""By kind of error, the first that fits: the answer's status, and its heading."""
_HTTP: Final = {
    404: later("There is no such page"),
    405: later("That cannot be done here"),
    413: later("That is larger than the console takes"),
}

SAID: Final = 10
"""Of the faults of one request so many are told."""


def status_of(error: ConsignError) -> int:
    """The status that says it."""
    return next(status for kind, status, _ in STATUS if isinstance(error, kind))


def heading_of(error: ConsignError) -> str:
    """The heading that says it, in English."""
    return next(heading for kind, _, heading in STATUS if isinstance(error, kind))


def unread(error: RequestValidationError) -> str:
    """Which parts of a request are not as they must be, and why, in English; never what they hold."""
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:SAID])


def install(app: FastAPI) -> None:
    """Errors become pages."""
    app.add_exception_handler(visits.SignInFirst, _sign_in)
    app.add_exception_handler(ConsignError, _explained)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(StarletteHttpError, _plain)
    app.add_exception_handler(Exception, _unexpected)


def _sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, visits.SignInFirst)  # noqa: S101 - the handler is installed for it
    url = request.url
    came = url.path + (f"?{url.query}" if url.query else "") if request.method == "GET" else "/"
    where = f"{error.where}?next={quote(came, safe='')}" if error.where.startswith("/sign-in") else error.where
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": error.where})
    return RedirectResponse(where, status_code=303)


def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConsignError)  # noqa: S101 - the handler is installed for it
    return _answer(request, status_of(error), heading_of(error), str(error), error.fix)


def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler is installed for it
    if any(one["loc"][0] == "path" for one in error.errors()):
        return _answer(request, 404, _HTTP[404], "", "")
    return _answer(request, 422, later("The request is not as it must be"), unread(error), "")


def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHttpError)  # noqa: S101 - the handler is installed for it
    heading = _HTTP.get(error.status_code, later("That did not work"))
    return _answer(request, error.status_code, heading, "", "")


def _unexpected(request: Request, error: Exception) -> Response:
    journal("web").error("a page failed", exc_info=error)
    fix = later("The journal says where: logs/consign.log")
    answer = _answer(request, 500, later("Something is wrong with the console"), "", fix)
    answer.headers.update(security.HEADERS)  # it is made outside of what puts them on every other answer
    return answer


def _answer(request: Request, status: int, heading: str, message: str, fix: str) -> Response:
    visit = visits.visit_of(request)
    told = {"heading": visit.say(heading), "message": visit.say.explained(message)}
    told["fix"] = visit.say.explained(visit.say(fix))  # the console's own sentence, or an error's
    if visit.is_partial:
        answer = visit.page("parts/problem.html", status=status, **told)
        answer.headers.update({"HX-Retarget": "#problems", "HX-Reswap": "innerHTML"})
        return answer
    return visit.page("problem.html", status=status, **told)

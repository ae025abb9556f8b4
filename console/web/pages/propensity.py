"""Models of who pays: made by a job, looked at, approved by a second person, watched; and why one account's chance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Response, UploadFile

from console.web import standings
from console.web.frames import told as row_of
from console.web.language import later
from console.web.pages import asked
from console.web.pages.rulebooks import STATES
from console.web.problems import status_of
from console.web.uploading import SealedForms
from console.web.visits import Visiting, needs
from infra import jobs, uploads, workedout
from infra.propensity import pages, scoring, switching, versions
from infra.store import browsing
from infra.store import propensity as store
from models.errors import ConsignError, UsageError
from models.propensity.facts import FACTS
from models.propensity.parameters import standard

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.visits import Visit
    from infra.propensity.scoring import Told
    from infra.wiring import Desk

router = APIRouter(route_class=SealedForms)

Text = Annotated[str, Form()]
Texts = Annotated[list[str], Form()]
DAYS: Final = (1, 730)
"""Least and most days within which a payment counts."""
USES: Final = {
    "off": later("nothing"), "shown": later("chances beside the accounts"), "bands": later("chances and score bands"),
}  # fmt: skip
"""What models are used for, by code."""
HALF: Final = 110
"""Of the drawing of what moves a chance, in its own units."""


@router.get("/propensity", dependencies=[needs("propensity.see")])
def every(visit: Visiting, lender: str = "", after: str = "") -> Response:
    """Versions of the lenders' models, the newest first, and whether models are switched on."""
    return _list(visit, lender, after)


def _list(
    visit: Visit, lender: str = "", after: str = "", error: ConsignError | None = None,
    given_use: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        page = store.page(connection, lender, after)
        lenders = browsing.lenders(connection)
    rows = [row | {"chance": json.loads(row["measured"])["chance"]} for row in page.rows]
    parameters = standard()
    use = switching.standing(visit.desk)
    return visit.page(
        "portfolio/propensity.html", page=page, rows=rows, lenders=lenders, lender=lender, after=after, error=error,
        states=standings.MODEL, switched=use.mode, use=use, uses=USES, use_states=STATES,
        mode_choices=[(mode, visit.say(words)) for mode, words in USES.items() if mode != use.mode],
        given_use=given_use, days=parameters.horizon_days,
        facts=[(fact.name, fact.words(visit.say.code)) for fact in FACTS],
        status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/propensity", dependencies=[needs("propensity.change")])
def fit(
    visit: Visiting, lender: Text = "", horizon_days: Text = "", as_of: Text = "", without: Texts = [],  # noqa: B006 - a form's default
    age_bands: UploadFile | None = None,
) -> Response:  # fmt: skip
    """A job makes a model of the lender's placements; it waits for a second person.

    age_bands: a list that compliance released for the table of groups; it lies sealed until the job has read it.
    """
    try:
        versions.require_on(visit.desk)
        with visit.desk.database.read() as connection:
            asked.one_of(lender, browsing.lenders(connection))
        days = asked.number(horizon_days)
        asked.not_to_come(asked.day(as_of), visit.desk.today())
        if days is not None and not DAYS[0] <= days <= DAYS[1]:
            raise UsageError("a payment counts within 1 to 730 days", fix="write 90 for a quarter of a year")
        left_out = sorted({asked.one_of(fact, [one.name for one in FACTS]) for fact in without})
        bands = kept_bands(visit.desk, age_bands)
    except ConsignError as error:
        return _list(visit, error=error)
    given = {
        "lender": lender, "horizon_days": days, "as_of": as_of or None, "without": ",".join(left_out) or None,
        "age_bands": bands,
    }  # fmt: skip
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'fit_propensity', given)}")


def kept_bands(desk: Desk, file: UploadFile | None) -> str | None:
    """Under which random name the list lies sealed; None where none was chosen."""
    if file is None or not file.filename:
        return None
    return uploads.keep(desk, file.file, file.filename, {})


@router.post("/propensity/use", dependencies=[needs("propensity.switch")])
def propose_use(visit: Visiting, mode: Text = "", why: Text = "") -> Response:
    """What models are used for is proposed; somebody of compliance approves it."""
    given, said = {"mode": mode, "why": why}, visit.say("Proposed: compliance approves it.")
    return _decided(visit, lambda: switching.propose(visit.desk, mode, why), said, given)


@router.post("/propensity/use/{version}/approve", dependencies=[needs("propensity.switch_approve")])
def approve_use(visit: Visiting, version: str) -> Response:
    """Models are used so from now on."""
    return _decided(visit, lambda: switching.approve(visit.desk, version), visit.say("It counts from now on."))


@router.post("/propensity/use/{version}/withdraw", dependencies=[needs("propensity.switch")])
def withdraw_use(visit: Visiting, version: str, reason: Text = "") -> Response:
    """It counts no more, or never will."""
    return _decided(visit, lambda: switching.withdraw(visit.desk, version, reason.strip()), visit.say("Withdrawn."))


def _decided(
    visit: Visit, act: Callable[[], object], said: str, given: dict[str, str] | None = None
) -> Response:  # fmt: skip
    try:
        act()
    except ConsignError as error:
        return _list(visit, error=error, given_use=given or {})
    return visit.go("/propensity", said)


@router.post("/propensity/ask", dependencies=[needs("propensity.change")])
def ask(visit: Visiting) -> Response:
    """A job asks the models in use about every open account, and looks whether each still fits."""
    try:
        versions.require_on(visit.desk)
    except ConsignError as error:
        return _list(visit, error=error)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'foretell', {'lender': None})}")


@router.get("/propensity/{model_id}", dependencies=[needs("propensity.see")])
def one(visit: Visiting, model_id: int, account: str = "") -> Response:
    """A version's card: what it was made of, whether its chances come true, groups, drift; and one account's chance."""
    return _one(visit, model_id, account)


def _one(visit: Visit, model_id: int, account: str = "", error: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        row, model = versions.named(connection, model_id)
        lenders = browsing.lenders(connection)
    found = None
    if account and error is None:
        try:
            found = _explained(visit, f"#{asked.number(account)}", row.lender, model_id)
        except ConsignError as told:
            error = told
    parameters = standard()
    return visit.page(
        "portfolio/model.html", row=row_of(row), lenders=lenders, error=error, explained=found,
        drift=workedout.find(visit.desk, f"drift-{model_id}"), states=standings.MODEL, moved=standings.DRIFT,
        switched=switching.switched(visit.desk), refused=sorted(parameters.protected_words),
        called=lambda fact: pages.called(fact, visit.say.code),
        shown=lambda reason: pages.shown(reason, visit.say("× the usual")),
        status=200 if error is None else status_of(error), **pages.card(row, model, visit.say.code),
    )  # fmt: skip


def _explained(visit: Visit, account: str, lender: str, model_id: int) -> Told:
    """The account's chance by this version. Raises UsageError for another lender's account too."""
    found = scoring.explain(visit.desk, account, lender, model_id)
    if found.lender != lender:
        raise UsageError("that account is another lender's", fix="choose a model of its lender")
    return found


@router.post("/propensity/{model_id}/account", dependencies=[needs("propensity.see")])
def account(visit: Visiting, model_id: int, number: Text = "") -> Response:
    """Why one account, by the lender's own number, which stands in no address."""
    try:
        with visit.desk.database.read() as connection:
            row, _model = versions.named(connection, model_id)
        if not number.strip():
            raise UsageError("no account is named", fix="give the lender's number, or # and ours")
        found = _explained(visit, number.strip(), row.lender, model_id)
    except ConsignError as error:
        return _one(visit, model_id, error=error)
    return visit.go(f"/propensity/{model_id}?account={found.account_id}#account")


@router.post("/propensity/{model_id}/approve", dependencies=[needs("propensity.approve")])
def approve(visit: Visiting, model_id: int) -> Response:
    """The version is in use from now on, and the one before it no more."""
    try:
        versions.approve(visit.desk, model_id)
    except ConsignError as error:
        return _one(visit, model_id, error=error)
    return visit.go(f"/propensity/{model_id}", visit.say("In use from now on."))


@router.post("/propensity/{model_id}/withdraw", dependencies=[needs("propensity.change")])
def withdraw(visit: Visiting, model_id: int, reason: Text = "") -> Response:
    """The version says nothing any more; the lender's own bands stand again."""
    try:
        versions.withdraw(visit.desk, model_id, reason.strip())
    except ConsignError as error:
        return _one(visit, model_id, error=error)
    return visit.go(f"/propensity/{model_id}", visit.say("Withdrawn: it says nothing any more."))


@router.post("/propensity/{model_id}/drift", dependencies=[needs("propensity.see")])
def look(visit: Visiting, model_id: int) -> Response:
    """A job looks whether today's accounts are like those it was made of, and whether its chances come true."""
    try:
        versions.require_on(visit.desk)
        with visit.desk.database.read() as connection:
            row, _model = versions.named(connection, model_id)
    except ConsignError as error:
        return _one(visit, model_id, error=error)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'drift', {'lender': row.lender, 'model_id': model_id})}")

"""People: who has an account, which roles go with it, where they are signed in. For administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from console.web.problems import status_of
from console.web.visits import Visit, Visiting, needs
from infra import roles
from infra.people import accounts, second_factor, sessions
from infra.store import people as rows
from models.errors import ConsignError
from models.permissions import ACTIONS
from models.roles import ABOUT, ROLES

router = APIRouter()

Text = Annotated[str, Form()]


@router.get("/people", dependencies=[needs("people.see")])
def people(visit: Visiting) -> Response:
    """Everybody, by name."""
    return visit.page("house/people.html", people=accounts.listed(visit.desk), about=ABOUT)


@router.get("/people/new", dependencies=[needs("people.change")])
def ask_new(visit: Visiting) -> Response:
    """The form for one more."""
    return _new(visit, None, {"name": "", "agency": "", "vouched": ""})


@router.post("/people/new", dependencies=[needs("people.change")])
def add(visit: Visiting, name: Text = "", password: Text = "", agency: Text = "", vouched: Text = "") -> Response:
    """One more person has an account."""
    try:
        accounts.add(
            visit.desk, name.strip(), None if vouched else password, agency=agency or None, vouched=vouched or None
        )
    except ConsignError as problem:
        return _new(visit, problem, {"name": name, "agency": agency, "vouched": vouched})
    return visit.go(f"/people/{name.strip()}", visit.say("The account is made."))


@router.get("/people/{actor}", dependencies=[needs("people.see")])
def one(visit: Visiting, actor: str) -> Response:
    """One person: account, roles, sessions."""
    return _one(visit, actor, None)


@router.post("/people/{actor}/state", dependencies=[needs("people.change")])
def set_state(visit: Visiting, actor: str, state: Text = "") -> Response:
    """The account is ended, or goes on again."""
    try:
        accounts.set_state(visit.desk, actor, "active" if state == "active" else "disabled")
    except ConsignError as problem:
        return _one(visit, actor, problem)
    return visit.go(f"/people/{actor}", visit.say("Done."))


@router.post("/people/{actor}/password", dependencies=[needs("people.change")])
def set_password(visit: Visiting, actor: str, password: Text = "") -> Response:
    """The person has a password that must be changed at once."""
    try:
        accounts.set_password(visit.desk, actor, password)
    except ConsignError as problem:
        return _one(visit, actor, problem)
    return visit.go(f"/people/{actor}", visit.say("The password is changed; it must be changed again at sign-in."))


@router.post("/people/{actor}/authenticator", dependencies=[needs("people.change")])
def forget_authenticator(visit: Visiting, actor: str) -> Response:
    """The person lost the authenticator: it counts no more."""
    try:
        second_factor.forget(visit.desk, actor)
    except ConsignError as problem:
        return _one(visit, actor, problem)
    return visit.go(f"/people/{actor}", visit.say("The authenticator is forgotten."))


@router.post("/people/{actor}/sessions", dependencies=[needs("people.change")])
def sign_out(visit: Visiting, actor: str) -> Response:
    """The person is signed out everywhere."""
    try:
        accounts.sign_out(visit.desk, actor)
    except ConsignError as problem:
        return _one(visit, actor, problem)
    return visit.go(f"/people/{actor}", visit.say("Signed out there."))


@router.post("/people/{actor}/roles", dependencies=[needs("roles.change")])
def set_role(visit: Visiting, actor: str, give: Text = "", take: Text = "") -> Response:
    """The person has one role more, or less, and signs in anew to it."""
    try:
        if give:
            roles.grant(visit.desk, actor, give)
        else:
            roles.revoke(visit.desk, actor, take)
        sessions.end(visit.desk, actor)
    except ConsignError as problem:
        return _one(visit, actor, problem)
    return visit.go(f"/people/{actor}", visit.say("Done."))


def _new(visit: Visit, problem: ConsignError | None, given: dict[str, str]) -> Response:
    with visit.desk.database.read() as connection:
        agencies = rows.agencies(connection)
    status = 200 if problem is None else status_of(problem)
    return visit.page(
        "house/person_new.html", status=status, problem=problem, given=given, agencies=agencies,
        vouches=bool(visit.desk.settings.oidc_issuer),
    )  # fmt: skip


def _one(visit: Visit, actor: str, problem: ConsignError | None) -> Response:
    with visit.desk.database.read() as connection:
        row = accounts.found(connection, actor)
        held = rows.roles_of(connection, actor)
    status = 200 if problem is None else status_of(problem)
    return visit.page(
        "house/person.html", status=status, problem=problem, person=row, held=held, about=ABOUT, roles=ROLES,
        sessions=sessions.listed(visit.desk, actor), may=[action for action in ACTIONS.values() if held & action.roles],
    )  # fmt: skip

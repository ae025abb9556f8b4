"""What is decided before accounts go out, through the API: the pages' own actions, by a token's person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from flows.jobs import work_off
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk
from models.tables import Placement, SeedCommitment

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import Ask

PLACEMENTS, SEEDS = bulk.table_of(Placement), bulk.table_of(SeedCommitment)
BASIS = {"circle": "delta", "scope": "internal", "basis": "departments of one bank", "evidence": "board 3/2026"}


@pytest.fixture
def ask(ask: Ask, desk: Desk) -> Ask:
    """As everywhere; half of the placements have come back."""
    with desk.database.write() as connection:
        back = {"state": "closed", "end_reason": "term", "ended_on": desk.today()}
        connection.execute(update(PLACEMENTS).where(PLACEMENTS.c.placement_id % 2 == 0).values(back))
    return ask


def test_other_rules_are_tried_and_kept_and_two_plans_compared(ask: Ask, desk: Desk) -> None:
    me = STAFF["portfolio_manager"]
    assert ask(me, "POST", "/seeds", {"lender": "harbour", "name": "api"}).status_code == 201
    told = ask(me, "GET", "/seeds").json()["items"][0]
    assert (told["seed"], told["plan_id"]) == (None, None)
    made = ask(me, "POST", "/plans", {"spec": {"lender": "harbour", "name": "api", "seed": 1}}).json()
    seed = ask(me, "GET", f"/plans/{made['plan_id']}/seed").json()
    assert (seed["same"], seed["before"], seed["told"]) == (True, True, told["sha256"])
    at = f"/plans/{made['plan_id']}/what-if"
    assert ask(me, "POST", at, {"changes": {"nobody_knows": 1}}).status_code == 422
    changes: dict[str, Any] = {"agencies": {"quayside": {}, "lantern": {}}}
    wanted = ask(me, "POST", at, {"changes": changes})
    assert wanted.status_code == 202
    name = wanted.json()["name"]
    assert ask(me, "GET", f"{at}/{name}").status_code == 404, "its job has not run yet"
    work_off(desk)
    found = ask(me, "GET", f"{at}/{name}").json()
    assert set(found["spec"]["agencies"]) == {"quayside", "lantern"}
    kept = ask(me, "POST", f"{at}/{name}/draft").json()
    assert kept["spec"]["agencies"].keys() == changes["agencies"].keys()
    beside = f"/plans/{kept['plan_id']}/comparison/{made['plan_id']}"
    compared = ask(me, "GET", beside).json()
    assert compared["moved"] == found["differs"]["moved"] == len(ask(me, "GET", f"{beside}/moves").json()["items"])
    assert ask(STAFF["finance"], "POST", at, {"changes": changes}).status_code == 403
    with desk.database.read() as connection:
        assert connection.execute(select(SEEDS.c.plan_id)).scalar_one() == made["plan_id"]


def test_a_basis_needs_two_people_here_too(ask: Ask, desk: Desk) -> None:
    me, they = STAFF["portfolio_manager"], STAFF["compliance"]
    made = ask(me, "POST", "/consolidation/bases", BASIS | {"lender": "harbour"})
    assert (made.status_code, made.json()["state"]) == (201, "proposed")
    number = made.json()["basis_id"]
    assert ask(me, "POST", f"/consolidation/bases/{number}/approve").status_code == 403
    approved = ask(they, "POST", f"/consolidation/bases/{number}/approve").json()
    assert (approved["state"], approved["approved_by"]) == ("in_force", they)
    work_off(desk)
    assert ask(they, "GET", "/consolidation/persons?circle=delta").json() == {"items": [], "next": None}
    assert ask(they, "GET", "/consolidation/persons?circle=nobody").status_code == 422
    assert ask(me, "GET", "/consolidation/persons?circle=delta").status_code == 403
    ended = ask(they, "POST", f"/consolidation/bases/{number}/withdraw", {"reason": "merged"}).json()
    assert (ended["state"], ended["reason"]) == ("withdrawn", "merged")
    lines = {"agency": "quayside", "csv": "payment_ref,account\n", "dry_run": True}
    assert ask(STAFF["finance"], "POST", "/consolidation/payments", lines).status_code == 422


def test_what_is_asked_for_by_a_job_is_checked_before(ask: Ask) -> None:
    me = STAFF["portfolio_manager"]
    assert ask(me, "POST", "/evaluations", {"lender": "nobody"}).status_code == 422
    assert ask(me, "POST", "/evaluations", {"as_of": "2030-01-01"}).status_code == 422
    job = ask(me, "POST", "/evaluations", {"lender": "harbour"})
    assert (job.status_code, job.json()["verb"]) == (202, "evaluate")
    off = ask(me, "POST", "/propensity/models", {"lender": "harbour"})
    assert (off.status_code, off.json()["title"]) == (422, "That is switched off")
    for path in ("/evaluations/9", "/propensity/models/9", "/consolidation/payments/9", "/plans/1/comparison/2"):
        assert ask(SECOND, "GET", path).status_code == 422, path

"""A gate of conduct that is closed: the agency is left out of new plans, and plans that give it accounts have ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from infra.store import plans
from models.tables import GateState

NOW_CLOSED: dict[str, Any] = {
    "agency": "lotus", "lender": "first-bank", "pack": "cn", "gate": "serious-upheld", "measured": 3.0, "bound": 2.0,
}  # fmt: skip


def close(world: Any, **more: Any) -> None:
    world.add(GateState(**{**NOW_CLOSED, "state": "closed", "since": world.now, "looked_at": world.now, **more}))


def test_an_agency_that_is_stopped_is_left_out_of_a_new_plan_and_the_plan_says_why(world: Any) -> None:
    close(world)
    lines = world.lines(world.drafted())
    assert "lotus" not in set(lines["agency"])
    assert len(lines)


def test_a_plan_that_gives_it_accounts_can_neither_be_approved_nor_sent(world: Any) -> None:
    submitted = world.submitted()
    close(world)
    with world.database.write() as connection, pytest.raises(plans.PlanStale) as found:
        plans.approve(connection, submitted, "li.na", world.now)
    assert "lotus is stopped by serious-upheld" in str(found.value)


def test_an_approved_plan_is_held_back_too(world: Any) -> None:
    plan_id = world.approved()
    close(world)
    with world.database.read() as connection, pytest.raises(plans.PlanStale):
        plans.approved(connection, plan_id, world.now)


def test_a_gate_of_another_lender_or_one_that_is_lifted_stops_nobody(world: Any) -> None:
    close(world, lender="second-bank")
    close(world, gate="complaint-rate", state="lifted", lift_until=(world.now + timedelta(days=3)).date())
    close(world, gate="breach-rate", state="open")
    assert "lotus" in set(world.lines(world.drafted())["agency"])

"""What a plan reads and leaves out, and the life it has, on both stores."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from infra.store import plans
from models.lives import IllegalMove
from models.planning.proposal import NobodyToPlace
from models.tables import Account, Agency, AgencyContract, PlanLine

ACCOUNT = Account.__table__.c  # type: ignore[attr-defined]
AGENCY = Agency.__table__.c  # type: ignore[attr-defined]
CONTRACT = AgencyContract.__table__.c  # type: ignore[attr-defined]
LINE = PlanLine.__table__.c  # type: ignore[attr-defined]


def test_every_account_is_either_in_the_plan_or_left_out_with_a_reason(world_on_either: Any) -> None:
    world_on_either.hold(debtor_id=1)
    world_on_either.place(5, "harbour")
    plan_id = world_on_either.drafted()
    lines, excluded = world_on_either.lines(plan_id), world_on_either.excluded(plan_id)
    assert sorted([*lines["account_id"], *excluded]) == list(range(1, 121))
    assert excluded == {1: "hold:complaint", 2: "hold:complaint", 5: "placed"}


def test_the_summary_adds_up_to_the_lines(world_on_either: Any) -> None:
    plan_id = world_on_either.drafted()
    lines = world_on_either.lines(plan_id)
    with world_on_either.database.read() as connection:
        plan = plans.plan(connection, plan_id)
    assert plan.accounts == len(lines) == 120
    assert plan.balance_minor == lines["balance_minor"].sum()
    assert plan.created_at == world_on_either.now


def test_a_debtor_whose_account_is_out_gets_the_other_where_it_is(world_on_either: Any) -> None:
    world_on_either.place(5, "quay")
    lines = world_on_either.lines(world_on_either.drafted()).set_index("account_id")
    assert lines.loc[6, "agency"] == "quay"
    assert lines.loc[6, "why"] == "incumbent"


def test_an_account_never_goes_back_to_an_agency_that_failed(world_on_either: Any) -> None:
    for debtor_id in range(1, 31):
        world_on_either.place(
            2 * debtor_id, "harbour", state="closed", end_reason="uncollectable", placement_id=debtor_id
        )
    lines = world_on_either.lines(world_on_either.drafted())
    assert not (lines.loc[lines["debtor_id"] <= 30, "agency"] == "harbour").any()
    assert (lines["agency"] == "harbour").sum() > 0


def test_an_agency_that_was_paid_may_have_the_debtor_again(world: Any) -> None:
    for debtor_id in range(1, 61):
        for number, agency in enumerate(("lotus", "quay")):
            world.place(
                2 * debtor_id, agency, state="closed", end_reason="paid", placement_id=2 * debtor_id + number,
                plan_id=8_000 + number,
            )  # fmt: skip
    assert set(world.lines(world.drafted())["agency"]) == {"harbour", "lotus", "quay"}


def test_what_another_submitted_plan_has_is_not_planned_twice(world_on_either: Any) -> None:
    first = world_on_either.submitted(filter={"products": ["loan"]})
    second = world_on_either.drafted()
    excluded = world_on_either.excluded(second)
    assert set(world_on_either.lines(first)["account_id"]) == {
        a for a, reason in excluded.items() if reason == "in_plan"
    }


def test_capacity_counts_what_an_agency_holds_and_what_it_was_promised(world_on_either: Any) -> None:
    world_on_either.set(Agency, AGENCY.agency == "lotus", capacity_accounts=20)
    first = world_on_either.submitted(filter={"products": ["loan"]})
    world_on_either.place(1, "lotus")
    promised = (world_on_either.lines(first)["agency"] == "lotus").sum()
    second = world_on_either.lines(world_on_either.drafted())
    assert (second["agency"] == "lotus").sum() <= 20 - promised - 1


def test_a_contract_that_begins_tomorrow_is_not_in_force(world: Any) -> None:
    world.set(AgencyContract, CONTRACT.agency == "quay", effective_from=world.now.date() + timedelta(days=1))
    plan_id = world.drafted()
    assert "quay" not in set(world.lines(plan_id)["agency"])


@pytest.mark.parametrize("state", ["prospect", "certified", "suspended", "closed"])
def test_only_live_agencies_get_accounts(world: Any, state: str) -> None:
    world.set(Agency, AGENCY.agency == "quay", state=state)
    assert "quay" not in set(world.lines(world.drafted())["agency"])


def test_a_plan_with_nobody_to_take_the_accounts_is_refused(world: Any) -> None:
    with pytest.raises(NobodyToPlace, match="stage field"):
        world.drafted(world.spec(stage="field"))


def test_the_difference_is_to_the_last_plan_that_was_approved(world_on_either: Any) -> None:
    first = world_on_either.approved(filter={"products": ["loan"]})
    with world_on_either.database.read() as connection:
        last = plans.last_plan(connection, "first-bank", "phone")
    assert last is not None
    assert last.plan_id == first
    assert sum(last.accounts.values()) == len(world_on_either.lines(first))


# --- its life ---------------------------------------------------------------------------------------------------------


def test_a_second_person_approves_and_then_it_may_be_sent(world_on_either: Any) -> None:
    plan_id = world_on_either.approved()
    with world_on_either.database.read() as connection:
        plan = plans.approved(connection, plan_id, world_on_either.now)
    assert (plan.created_by, plan.submitted_by, plan.approved_by) == ("chen.yu", "chen.yu", "li.na")


@pytest.mark.parametrize(("maker", "submitter", "approver"), [("a", "b", "a"), ("a", "b", "b"), ("a", "a", "a")])
def test_whoever_made_or_submitted_a_plan_cannot_approve_it(
    world: Any, maker: str, submitter: str, approver: str
) -> None:
    plan_id = world.drafted(actor=maker)
    with world.database.write() as connection:
        plans.submit(connection, plan_id, submitter, world.now)
    with (
        pytest.raises(plans.SecondPerson, match=f"made or submitted by {approver}"),
        world.database.write() as connection,
    ):
        plans.approve(connection, plan_id, approver, world.now)


def test_a_draft_cannot_be_approved_before_it_is_submitted(world: Any) -> None:
    plan_id = world.drafted()
    with pytest.raises(IllegalMove, match="is draft and cannot become approved"), world.database.write() as connection:
        plans.approve(connection, plan_id, "li.na", world.now)


@pytest.mark.parametrize("state", ["draft", "submitted", "rejected", "placed"])
def test_only_an_approved_plan_may_be_sent(world: Any, state: str) -> None:
    plan_id = {"draft": world.drafted, "submitted": world.submitted}.get(state, world.approved)()
    with world.database.write() as connection:
        if state == "rejected":
            plans.reject(connection, plan_id, "li.na", world.now, "not this month")
        if state == "placed":
            plans.mark_placed(connection, plan_id, world.now)
    with pytest.raises(plans.NotApproved, match=f"is {state}"), world.database.read() as connection:
        plans.approved(connection, plan_id, world.now)


def change_balance(world: Any) -> None:
    world.set(Account, ACCOUNT.account_id == 7, balance_minor=1, version=2)


def pay(world: Any) -> None:
    world.set(Account, ACCOUNT.account_id == 7, status="paid")


def hold(world: Any) -> None:
    world.hold(debtor_id=4)


def hold_one_account(world: Any) -> None:
    world.hold(debtor_id=4, account_id=7)


def place_elsewhere(world: Any) -> None:
    world.place(7, "lotus")


def suspend(world: Any) -> None:
    world.set(Agency, AGENCY.agency == "harbour", state="suspended")


def fill(world: Any) -> None:
    world.set(Agency, AGENCY.agency == "harbour", capacity_accounts=59)


def end_contract(world: Any) -> None:
    world.set(AgencyContract, CONTRACT.agency == "harbour", lender="another")


def wait(world: Any) -> None:
    world.now += timedelta(days=8)


CHANGES = [
    (change_balance, "1 accounts changed"),
    (pay, "1 accounts changed"),
    (hold, "2 accounts were put on hold"),
    (hold_one_account, "1 accounts were put on hold"),
    (place_elsewhere, "1 accounts were placed by another plan"),
    (suspend, "harbour can take no accounts"),
    (fill, "harbour no longer has room for its part"),
    (end_contract, "harbour can take no accounts"),
    (wait, "it was good until 2026-11-29"),
]


@pytest.mark.parametrize(("change", "because"), CHANGES)
def test_a_plan_expires_when_its_data_change(world: Any, change: Any, because: str) -> None:
    plan_id = world.approved()
    change(world)
    with pytest.raises(plans.PlanStale, match=because) as refused, world.database.read() as connection:
        plans.approved(connection, plan_id, world.now)
    assert refused.value.exit_code == 6


def test_two_plans_cannot_both_promise_an_account(world: Any) -> None:
    first, second = world.drafted(), world.drafted()
    with world.database.write() as connection:
        plans.submit(connection, first, "chen.yu", world.now)
    with (
        pytest.raises(plans.PlanStale, match="120 accounts are in another plan that is submitted"),
        world.database.write() as connection,
    ):
        plans.submit(connection, second, "chen.yu", world.now)
    with world.database.write() as connection:
        assert plans.approve(connection, first, "li.na", world.now).state == "approved"


def test_two_plans_cannot_both_fill_the_same_room(world: Any) -> None:
    world.set(Agency, AGENCY.agency == "lotus", capacity_accounts=15)
    cards, loans = (world.drafted(world.spec(filter={"products": [product]})) for product in ("card", "loan"))
    with world.database.write() as connection:
        plans.submit(connection, cards, "chen.yu", world.now)
    with pytest.raises(plans.PlanStale, match="lotus no longer has room"), world.database.write() as connection:
        plans.submit(connection, loans, "chen.yu", world.now)


def test_a_stale_plan_tells_every_reason_at_once(world_on_either: Any) -> None:
    world = world_on_either
    plan_id = world.approved()
    for change in (change_balance, hold, place_elsewhere, suspend):
        change(world)
    with world.database.read() as connection:
        because = plans.stale(connection, plan_id, world.now)
    assert because == (
        "1 accounts changed; 2 accounts were put on hold; 1 accounts were placed by another plan;"
        " harbour can take no accounts now"
    )


def test_a_change_to_an_account_outside_the_plan_does_not_matter(world: Any) -> None:
    plan_id = world.approved(filter={"products": ["loan"]})
    world.set(Account, ACCOUNT.product == "card", version=2)
    world.hold(debtor_id=1, account_id=1)
    world.hold(debtor_id=2, account_id=3, lifted_at=world.now)
    with world.database.read() as connection:
        plans.check_fresh(connection, plan_id, world.now)


def test_an_approval_is_bound_to_the_lines(world_on_either: Any) -> None:
    plan_id = world_on_either.approved()
    world_on_either.set(PlanLine, (LINE.plan_id == plan_id) & (LINE.account_id == 7), agency="lotus", balance_minor=5)
    with (
        pytest.raises(plans.ContentChanged, match="its lines are not those"),
        world_on_either.database.read() as connection,
    ):
        plans.approved(connection, plan_id, world_on_either.now)


def test_an_approver_may_name_the_content_that_they_saw(world: Any) -> None:
    plan_id = world.submitted()
    with pytest.raises(plans.ContentChanged, match="not what was looked at"), world.database.write() as connection:
        plans.approve(connection, plan_id, "li.na", world.now, content="0000dead")
    with world.database.write() as connection:
        content = plans.plan(connection, plan_id).content_sha256
        assert plans.approve(connection, plan_id, "li.na", world.now, content=content[:12]).state == "approved"


def test_the_same_spec_makes_the_same_plan(world: Any) -> None:
    first, second = world.drafted(), world.drafted()
    with world.database.read() as connection:
        assert plans.plan(connection, first).content_sha256 == plans.plan(connection, second).content_sha256


def test_an_unknown_plan_is_named(world: Any) -> None:
    with pytest.raises(plans.UnknownPlan, match="no plan 999"), world.database.read() as connection:
        plans.plan(connection, 999)

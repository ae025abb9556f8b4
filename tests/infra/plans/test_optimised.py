"""Plans by the newest scores, through the store: worth, preview, what if, difference, committed seeds, the solver."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse
from sqlmodel import select

from flows import plan as flow
from infra import previews, solving
from infra.store import seeds
from infra.wiring import desk
from models.errors import RefusedByPolicy, UsageError
from models.planning.champion import commitment
from models.planning.programme import LIMITED, Programme
from models.tables import AuditEvent, Score, ScoreRun

if TYPE_CHECKING:
    from sqlmodel import SQLModel

TERMS = "currency = 'CNY'\n[[tier]]\nrate = '{rate}'\n"
EFFECTS = {"harbour": 1.0, "lotus": 1.4, "quay": 0.7}


@pytest.fixture
def scored(world: Any) -> Any:
    """Lotus is the best by far, and the newest run says so; an older one said the opposite."""
    from sqlalchemy import update

    from infra.store.bulk import table_of
    from models.tables import AgencyContract

    with world.database.write() as connection:
        connection.execute(update(table_of(AgencyContract)).values(terms=TERMS.format(rate="0.2")))
    rows: list[SQLModel] = []
    for run_id, as_of, sign in ((1, date(2026, 9, 1), -1), (2, date(2026, 11, 1), 1)):
        summary = {
            "spread": 0.2, "credible": 0.9, "agencies": {
                agency: {"totals": {"CNY": {"placed_minor": 10_000_000}}} for agency in EFFECTS
            },
        }  # fmt: skip
        rows.append(
            ScoreRun(
                run_id=run_id, lender="first-bank", as_of=as_of, model_version="t", seed=1, inputs_sha256=str(run_id),
                placements=1, made_at=world.now, summary=json.dumps(summary),
            )
        )  # fmt: skip
        for agency, effect in EFFECTS.items():
            value = effect**sign
            rows += [
                Score(
                    run_id=run_id, agency=agency, component="recovery", segment=segment, value=value, low=value * 0.9,
                    high=value * 1.1, expected=rate, weight=0.5,
                )
                for segment, rate in (("all", 0.1), ("card", 0.12), ("loan", 0.08))
            ]  # fmt: skip
            rows.append(Score(run_id=run_id, agency=agency, component="overall", value=50 * value))
    world.add(*rows)
    return world


def value_spec(world: Any, **more: Any) -> Any:
    return world.spec(allocator="value", **more)


def test_a_plan_by_value_goes_by_the_newest_scores_and_says_so(scored: Any) -> None:
    drafted = flow.draft(value_spec(scored))
    summary = drafted.summary
    counts = {row["agency"]: row["accounts"] for row in summary["agencies"]}
    assert counts == {"harbour": 0, "lotus": 120, "quay": 0}
    assert summary["scores"] == {"run_id": 2, "as_of": "2026-11-01"}
    assert {row["agency"]: row["score"] for row in summary["agencies"]} == {"harbour": 50, "lotus": 70, "quay": 35}
    assert summary["optimum"]["status"] == "optimal"
    # cards and loans differ in what an average agency recovers: 0.12 and 0.08, less a fifth
    assert summary["worth"]["segments"]["card/M3/1000-5000"][1] == pytest.approx(0.12 * 1.4 * 0.8 * 10_000, abs=1)
    assert summary["worth"]["segments"]["loan/M3/1000-5000"][1] == pytest.approx(0.08 * 1.4 * 0.8 * 10_000, abs=1)


def test_an_account_is_told_its_agency_and_the_next_best(scored: Any) -> None:
    plan_id = flow.draft(value_spec(scored)).plan_id
    assert plan_id is not None
    told = flow.explain(plan_id, "#1")
    assert (told.agency, told.next_best) == ("lotus", "harbour")
    assert [one.agency for one in told.alternatives] == ["lotus", "harbour", "quay"]
    assert told.expected_net_minor == told.alternatives[0].expected_net_minor > told.alternatives[1].expected_net_minor
    assert [one.why_not for one in told.alternatives] == ["", "brings less", "brings less"]


def test_the_page_of_a_plan_shows_what_the_picture_does(scored: Any) -> None:
    plan_id = flow.draft(
        value_spec(scored, agencies={"harbour": {}, "lotus": {"max_accounts": 50}, "quay": {}})
    ).plan_id
    assert plan_id is not None
    with scored.database.read() as connection:
        page = previews.page(connection, plan_id)
    lotus = next(row for row in page["agencies"] if row["agency"] == "lotus")
    assert (lotus["accounts"], lotus["score"], lotus["cap"]["limit"]) == (50, 70, 500)
    assert (page["step"], page["steps"][page["step"]]) == (2, "preview")
    assert [(one["kind"], one["agency"]) for one in page["bounds"]["prices"]] == [("capacity", "lotus")]
    assert page["totals"]["accounts"] == 120
    assert any(why.startswith("cap binds: one more account would bring") for why in lotus["why"])


def test_what_if_shows_the_difference_and_keeps_nothing(scored: Any) -> None:
    plan_id = flow.draft(value_spec(scored)).plan_id
    assert plan_id is not None
    found = flow.what_if(plan_id, flow.changes_of(None, ["agencies.lotus.max_share=0.5", "agencies.harbour={}"]))
    assert found["moved"] == 60
    assert found["moves"] == [{"from": "lotus", "to": "harbour", "accounts": 60}]
    assert found["expected_net_minor"]["difference"] < 0
    assert found["rules"]["after"]["costs"]["share"] > 0
    flow.submit(plan_id)
    with pytest.raises(UsageError, match="its accounts are promised"):
        flow.what_if(plan_id, {"seed": 8})


def test_two_plans_are_compared_by_agency_and_account(scored: Any) -> None:
    first, second = (flow.draft(scored.spec(allocator=name)).plan_id for name in ("shares", "value"))
    assert first is not None
    assert second is not None
    found = flow.difference(first, second)
    assert {row["agency"]: row["difference"] for row in found["agencies"]} == {"harbour": -60, "lotus": 84, "quay": -24}
    assert found["moved"] + found["same"] == 120
    assert sum(one["accounts"] for one in found["moves"]) == found["moved"] == 84


def test_a_committed_seed_is_told_as_a_hash_before_and_revealed_with_the_plan(world: Any) -> None:
    told = flow.commit_seed("first-bank", "2026-11-B")
    with pytest.raises(RefusedByPolicy, match="committed already"):
        flow.commit_seed("first-bank", "2026-11-B")
    drafted = flow.draft(world.spec())
    assert commitment("first-bank", "2026-11-B", drafted.seed) == told.sha256
    assert drafted.seed != world.spec().seed
    assert drafted.plan_id is not None
    with world.database.session() as session:
        events = {row.action: json.loads(row.details) for row in session.exec(select(AuditEvent))}
    assert "seed" not in events["plan.seed_committed"]
    assert events["plan.seed_revealed"]["seed"] == drafted.seed
    with world.database.read() as connection:
        assert seeds.waiting(connection, "first-bank", "2026-11-B") is None
        assert previews.page(connection, drafted.plan_id)["seed_committed"]["sha256"] == told.sha256
    assert flow.draft(world.spec()).seed == world.spec().seed


def test_every_assignment_keeps_the_probability_that_it_was_drawn_with(world: Any) -> None:
    plan_id = flow.draft(world.spec()).plan_id
    lines = world.lines(plan_id)
    assert lines["probability"].between(0.1, 0.6).all()
    assert lines.groupby("agency")["probability"].mean()["harbour"] == pytest.approx(0.5, abs=0.1)
    assert desk().actor == "chen.yu"


def test_the_solver_answers_from_a_process_of_its_own() -> None:
    (found,) = solving.solved([knapsack(3)])
    assert found.status == "optimal"
    assert found.cost == pytest.approx(-2.0)
    assert found.x.tolist() == pytest.approx([1.0, 1.0, 0.0])


def test_a_solver_that_does_not_come_back_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "GRACE_SECONDS", -0.95)
    (found,) = solving.solved([knapsack(3)], seconds=1.0)
    assert (found.status, found.found) == (LIMITED, False)


def knapsack(size: int) -> Programme:
    """Two of some."""
    matrix = sparse.csr_matrix(np.ones((1, size)))
    return Programme(
        -np.r_[1.0, 1.0, np.full(size - 2, 0.5)], matrix, np.array([-np.inf]), np.array([2.0]), np.zeros(size),
        np.ones(size), np.ones(size, dtype=bool),
    )  # fmt: skip

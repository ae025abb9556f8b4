"""Versions of a model: made once, approved by a second person, altered by nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from infra import roles
from infra.propensity import versions
from infra.store import propensity as store
from infra.wiring import Desk
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.propensity.facts import ProtectedFact
from models.propensity.fitting import TooLittle

As = Callable[..., Desk]


def test_the_very_same_placements_make_one_version(desk: Desk) -> None:
    first, second = versions.fit(desk, "harbour"), versions.fit(desk, "harbour")
    assert (first.model_id, first.fresh, second.fresh) == (second.model_id, True, False)
    assert first.sha256 == second.sha256
    other = versions.fit(desk, "harbour", without=["product"])
    assert other.model_id != first.model_id
    assert "product" not in other.facts


def test_a_dry_run_keeps_nothing(desk: Desk) -> None:
    assert versions.fit(desk, "harbour", dry_run=True).auc > 0.6
    assert versions.listed(desk) == []


def test_it_knows_what_it_was_made_of_and_how_it_did(desk: Desk) -> None:
    made = versions.fit(desk, "harbour")
    assert made.placements == 2_400
    assert made.state == "proposed"
    with desk.database.read() as connection:
        row = store.model(connection, made.model_id)
    assert row is not None
    measured = json.loads(row.measured)
    assert measured["chance"]["ece"] <= measured["chance"]["ece_by_chance_high"]
    assert {one["group"] for one in measured["fairness"]} == {"31", "44", "51"}


def test_whoever_made_it_cannot_approve_it(desk: Desk, as_: As) -> None:
    made = versions.fit(desk, "harbour")
    with pytest.raises(RefusedByPolicy, match=r"chen\.yu made model 1"):
        versions.approve(desk, made.model_id)
    approved = versions.approve(as_("li.wei"), made.model_id)
    assert (approved.state, approved.approved_by) == ("in_use", "li.wei")


def test_approving_needs_the_role_once_there_are_roles(desk: Desk, as_: As) -> None:
    made = versions.fit(desk, "harbour")
    roles.first_administrator(as_("wang.min"))
    with pytest.raises(roles.RoleMissing):
        versions.approve(as_("li.wei"), made.model_id)
    roles.grant(as_("wang.min"), "li.wei", "portfolio_manager")
    assert versions.approve(as_("li.wei"), made.model_id).state == "in_use"


def test_the_next_one_supersedes_it_and_none_comes_back(desk: Desk, as_: As) -> None:
    first, second = versions.fit(desk, "harbour"), versions.fit(desk, "harbour", horizon_days=60)
    versions.approve(as_(), first.model_id)
    versions.approve(as_(), second.model_id)
    states = {one.model_id: one.state for one in versions.listed(desk, "harbour")}
    assert states == {first.model_id: "superseded", second.model_id: "in_use"}
    with pytest.raises(IllegalMove):
        versions.approve(as_(), first.model_id)


def test_numbers_that_were_altered_are_not_used(desk: Desk, as_: As) -> None:
    made = versions.fit(desk, "harbour")
    with desk.database.write() as connection:
        connection.execute(text("UPDATE propensity_model SET numbers = replace(numbers, '0.1', '0.2')"))
    with pytest.raises(versions.NumbersAltered):
        versions.approve(as_(), made.model_id)


def test_numbers_altered_with_their_hash_are_not_used_either(desk: Desk, as_: As) -> None:
    first, second = versions.fit(desk, "harbour"), versions.fit(desk, "harbour", horizon_days=60)
    with desk.database.write() as connection:
        connection.execute(
            text(
                "UPDATE propensity_model SET (numbers, sha256) ="
                " (SELECT numbers, sha256 FROM propensity_model WHERE model_id = :other) WHERE model_id = :one"
            ),
            {"one": first.model_id, "other": second.model_id},
        )
    with pytest.raises(versions.NumbersAltered):
        versions.approve(as_(), first.model_id)


def test_withdrawing_says_why_and_ends_it(desk: Desk, as_: As) -> None:
    made = versions.fit(desk, "harbour")
    with pytest.raises(UsageError, match="needs a reason"):
        versions.withdraw(desk, made.model_id, " ")
    assert versions.withdraw(desk, made.model_id, "made by mistake").state == "withdrawn"
    with pytest.raises(IllegalMove):
        versions.approve(as_(), made.model_id)
    assert versions.fit(desk, "harbour").fresh


def test_where_it_is_off_nothing_is_made(as_: As) -> None:
    with pytest.raises(versions.SwitchedOff):
        versions.fit(as_(propensity="off"), "harbour")


def test_what_is_wrong_with_the_call_is_said(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no fact sex"):
        versions.fit(desk, "harbour", without=["sex"])
    with pytest.raises(UsageError, match="no propensity model 99"):
        versions.approve(desk, 99)
    with pytest.raises(TooLittle, match="0 placements"):
        versions.fit(desk, "nobody")


def test_released_age_bands_are_held_against_it_and_not_kept(desk: Desk, tmp_path: Path) -> None:
    released = tmp_path / "ages.csv"
    bands = "\n".join(f"{account},{'18-29' if account % 2 else '30+'}" for account in range(1, 3_001))
    released.write_text(f"account_id,age_band\n{bands}\n", encoding="utf-8")
    made = versions.fit(desk, "harbour", age_bands=released)
    with desk.database.read() as connection:
        row = store.model(connection, made.model_id)
    assert row is not None
    told = json.loads(row.measured)
    assert {one["group"] for one in told["fairness"] if one["attribute"] == "age_band"} == {"18-29", "30+"}
    assert "age" not in " ".join(made.facts)


def test_a_fact_that_stands_in_for_age_is_refused(desk: Desk, tmp_path: Path) -> None:
    with desk.database.read() as connection:
        rows = connection.execute(text("SELECT account_id, dpd FROM account")).all()
    released = tmp_path / "ages.csv"
    bands = "\n".join(f"{account},{'old' if dpd > 150 else 'young'}" for account, dpd in rows)
    released.write_text(f"account_id,age_band\n{bands}\n", encoding="utf-8")
    with pytest.raises(ProtectedFact, match="dpd for age_band"):
        versions.fit(desk, "harbour", age_bands=released)


@pytest.mark.parametrize("content", ["id,age\n1,2\n", "account_id,age_band\n1,a\n1,b\n", "account_id,age_band\nx,a\n"])
def test_another_list_than_of_age_bands_is_refused(desk: Desk, tmp_path: Path, content: str) -> None:
    file = tmp_path / "ages.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as told:
        versions.fit(desk, "harbour", age_bands=file)
    assert "account_id, age_band" in told.value.fix

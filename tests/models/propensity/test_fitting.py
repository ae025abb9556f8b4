"""Models of who pays, against chances that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.propensity.calibration import calibrated
from models.propensity.facts import FACTS, Fact, ProtectedFact, cramers_v, protected
from models.propensity.fitting import MEASURED, Made, Monitored, TooLittle, make, split
from models.propensity.model import from_json
from models.propensity.parameters import standard

SEED = 3
Worlds = Callable[..., Any]


@pytest.fixture(scope="module")
def known(world: Worlds) -> Any:
    """Forty thousand placements and what is true of them."""
    return world(40_000)


@pytest.fixture(scope="module")
def made(known: Any) -> Made:
    """The model of them."""
    return make(known.sample, known.facts, 90, SEED, standard())


def test_every_facts_slope_is_recovered(known: Any, made: Made) -> None:
    for fact, low, high in (("balance", -1.0, 1.0), ("dpd", 60.0, 340.0), ("past_payments", 0.0, 3.0)):
        term = next(term for term in made.model.terms if term.fact == fact)
        parts = term.parts(np.array([low, high]))
        first = sum(other.width for other in made.model.terms[: made.model.terms.index(term)])
        place = slice(first, first + term.width)
        rise = (parts[1] - parts[0]) @ made.model.paying.coefficients[place]
        lean = np.zeros(len(made.model.paying.covariance))
        lean[1:][place] = parts[1] - parts[0]
        error = float(np.sqrt(lean @ made.model.paying.covariance @ lean))
        assert rise == pytest.approx(known.slopes[fact] * (high - low), abs=4 * error)
        assert error < 0.1


def test_every_levels_contribution_is_recovered(known: Any, made: Made) -> None:
    levels = np.array(list(known.levels), dtype=object)
    plain = {fact.name: np.zeros(len(levels)) for fact in known.facts} | {"product": levels}
    found = made.model.contributions(plain)["product"]
    assert found - found.mean() == pytest.approx(np.array(list(known.levels.values())) - 1 / 30, abs=0.08)


def test_chances_and_shares_are_near_the_true_ones(known: Any, made: Made) -> None:
    last = split(known.sample.day, standard()) == MEASURED
    values = {fact: column[last] for fact, column in known.sample.values.items()}
    assert np.abs(made.model.chance(values) - known.chance[last]).mean() < 0.02
    assert np.abs(made.model.share(values) - known.share[last]).mean() < 0.02


def test_on_later_placements_chances_come_true(made: Made) -> None:
    chance = made.measured["chance"]
    assert chance["ece"] <= chance["ece_by_chance_high"]
    assert chance["observed_over_foretold"]["low"] <= 1 <= chance["observed_over_foretold"]["high"]
    held = [one["low"] <= one["foretold"] <= one["high"] for one in made.measured["reliability"]]
    assert sum(held) >= 8
    total = made.measured["money"][-1]
    assert total["group"] == "all"
    assert total["low"] <= 1 <= total["high"]


def test_it_ranks_as_well_as_the_truth_does(known: Any, made: Made) -> None:
    from models.propensity.measures import auc

    last = split(known.sample.day, standard()) == MEASURED
    best = auc(known.chance[last], known.sample.paid[last])
    found = made.measured["chance"]["auc"]
    assert found["low"] <= best <= found["high"]


def test_calibration_mends_a_level_that_has_changed(world: Worlds) -> None:
    known = world(20_000)
    later = known.sample.day >= 360
    raised = world(20_000, shift=0.7).sample
    paid = np.where(later, raised.paid, known.sample.paid)
    money = np.where(later, raised.money, known.sample.money)
    found = make(replace(known.sample, paid=paid, money=money), known.facts, 90, SEED, standard()).measured
    assert found["chance"]["ece"] < 0.03
    assert found["uncalibrated"]["ece"] > 0.08


def test_the_same_placements_make_the_same_model(world: Worlds) -> None:
    one, other = (make(world(3_000).sample, world(3_000).facts, 90, SEED, standard()) for _ in range(2))
    assert one.model.sha256() == other.model.sha256()
    assert one.measured == other.measured
    assert make(world(3_000, seed=2).sample, world(1).facts, 90, SEED, standard()).model.sha256() != one.model.sha256()


def test_a_model_read_back_is_the_same_to_the_last_digit(made: Made, known: Any) -> None:
    back = from_json(made.model.json())
    assert back.json() == made.model.json()
    assert np.array_equal(back.chance(known.sample.values), made.model.chance(known.sample.values))


def test_reasons_add_up_to_the_log_odds(made: Made, known: Any) -> None:
    one = {fact: column[:1] for fact, column in known.sample.values.items()}
    told = made.model.explain(one)
    assert told.average + sum(reason.log_odds for reason in told.reasons) == pytest.approx(told.log_odds)
    assert told.chance == made.model.chance(one)[0]
    assert told.low < told.chance < told.high
    weights = [abs(reason.log_odds) for reason in told.reasons]
    assert weights == sorted(weights, reverse=True)


def test_what_is_unknown_is_told_as_unknown(made: Made) -> None:
    nothing: dict[str, Any] = {fact: np.array([np.nan]) for fact in made.model.facts}
    told = made.model.explain(nothing | {"product": np.array([""], dtype=object)})
    assert all(reason.value is None for reason in told.reasons)
    assert 0 < told.chance < 1


def test_bands_rise_with_the_chance(made: Made, known: Any) -> None:
    chance = made.model.chance(known.sample.values)
    bands = made.model.bands(chance)
    means = [chance[bands == f"P{number}"].mean() for number in range(1, 6)]
    assert means == sorted(means, reverse=True)
    assert set(bands) == {"P1", "P2", "P3", "P4", "P5"}


def test_no_day_is_in_two_parts() -> None:
    day = np.array([1] * 70 + [2] * 10 + [3] * 20)
    assert split(day, standard()).tolist() == [0] * 70 + [1] * 10 + [2] * 20


@pytest.mark.parametrize(("rows", "days"), [(100, 600), (3_000, 1), (3_000, 2)])
def test_too_little_is_said(world: Worlds, rows: int, days: int) -> None:
    sample = world(rows).sample
    with pytest.raises(TooLittle) as told:
        make(replace(sample, day=sample.day % days), world(1).facts, 90, SEED, standard())
    assert told.value.fix


@pytest.mark.parametrize(
    "name",
    ["sex", "debtor_age", "age", "MARRIAGE", "ethnic_group", "nationality", "religion", "addr_state", "zip_code",
     "date of birth", "性别", "债务人年龄", "民族", "婚姻状况", "户籍地", "id_number"],
)  # fmt: skip
def test_a_protected_attribute_is_refused_by_name(world: Worlds, name: str) -> None:
    known = world(3_000)
    column = np.zeros(3_000)
    sample = replace(known.sample, values={**known.sample.values, name: column})
    with pytest.raises(ProtectedFact, match=name):
        make(sample, [*known.facts, Fact(name, "curve", name, name)], 90, SEED, standard())


def test_no_fact_of_the_store_has_a_protected_name() -> None:
    assert not [fact.name for fact in FACTS if protected(fact.name, standard()) or protected(fact.zh, standard())]


def test_what_stands_in_for_a_monitored_attribute_is_refused_by_its_figures(world: Worlds) -> None:
    known = world(3_000)
    groups = Monitored(("east", "west"), (known.sample.values["dpd"] > 200).astype(np.int64))
    with pytest.raises(ProtectedFact, match=r"dpd for region"):
        make(replace(known.sample, monitored={"region": groups}), known.facts, 90, SEED, standard())


def test_a_group_that_pays_less_than_foretold_is_marked(world: Worlds) -> None:
    known = world(20_000)
    west = known.sample.monitored["region"].code == 1
    unpaid = west & (np.random.default_rng(5).random(20_000) < 0.4)
    sample = replace(
        known.sample, paid=np.where(unpaid, 0.0, known.sample.paid), money=np.where(unpaid, 0.0, known.sample.money)
    )
    states = {
        row["group"]: row["state"] for row in make(sample, known.facts, 90, SEED, standard()).measured["fairness"]
    }
    assert states["west"] == "off_calibration"


def test_cramers_v_is_0_for_strangers_and_1_for_twins() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 4, 5_000)
    assert cramers_v(one, one) == pytest.approx(1, abs=1e-9)
    assert cramers_v(one, rng.integers(0, 3, 5_000)) < 0.03
    assert cramers_v(one, np.zeros(5_000, dtype=np.int64)) == 0


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-6, 6), st.booleans()), min_size=60, max_size=120),
    st.integers(1, 60),
)
def test_calibrated_chances_never_fall_where_the_log_odds_rise(rows: list[tuple[float, bool]], least: int) -> None:
    log_odds = np.array([odds for odds, _ in rows])
    paid = np.array([float(flag) for _, flag in rows])
    found = calibrated(log_odds, paid, replace(standard(), isotonic_from=least))
    chances = found(np.linspace(-9, 9, 100))
    assert (np.diff(chances) >= -1e-12).all()
    assert ((chances > 0) & (chances < 1)).all()


def test_isotonic_is_chosen_where_the_shape_is_no_straight_one() -> None:
    rng = np.random.default_rng(4)
    log_odds = rng.uniform(-3, 3, 20_000)
    bent = np.where(log_odds < 0, 0.1, 0.6)
    assert calibrated(log_odds, (rng.random(20_000) < bent).astype(float), standard()).method == "isotonic"
    straight = (rng.random(20_000) < expit(log_odds)).astype(float)
    assert calibrated(log_odds, straight, standard()).method == "platt"

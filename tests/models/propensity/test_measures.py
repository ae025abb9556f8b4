"""Figures about chances, against what they are by definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.propensity import drift, fairness, measures
from models.propensity.fitting import make
from models.propensity.parameters import standard

Rows = list[tuple[float, bool]]
rows_ = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=2, max_size=30)


def columns(rows: Rows) -> tuple[Any, Any]:
    """Chances and what came."""
    return np.array([chance for chance, _ in rows]), np.array([float(paid) for _, paid in rows])


@given(rows_)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: Rows) -> None:
    chance, paid = columns(rows)
    pairs = [
        1.0 if payer > other else 0.5 if payer == other else 0.0
        for payer, other in itertools.product(chance[paid == 1], chance[paid == 0])
    ]
    found = measures.auc(chance, paid)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


@given(rows_, st.integers(1, 4))
def test_a_row_of_weight_n_counts_as_n_rows(rows: Rows, times: int) -> None:
    chance, paid = columns(rows)
    weight = np.ones(len(rows))
    weight[0] = times
    again = np.repeat(np.arange(len(rows)), weight.astype(int))
    for figure in (measures.auc, measures.brier, measures.log_loss):
        assert figure(chance, paid, weight) == pytest.approx(figure(chance[again], paid[again]), nan_ok=True)


def test_brier_and_log_loss_of_a_known_pair() -> None:
    chance, paid = np.array([0.8, 0.4]), np.array([1.0, 0.0])
    assert measures.brier(chance, paid) == pytest.approx((0.04 + 0.16) / 2)
    assert measures.log_loss(chance, paid) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)


def test_the_calibration_error_is_the_mean_gap_of_the_tenths() -> None:
    chance = np.repeat([0.2, 0.6], 50)
    paid = np.concatenate([np.ones(20), np.zeros(30), np.ones(30), np.zeros(20)])
    group = measures.groups_of(chance, 10)
    assert len(np.unique(group)) == 2
    assert measures.ece(chance, paid, group) == pytest.approx((0.2 + 0.0) / 2)


def test_wilsons_interval_of_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 at 95 %
    low, high = measures.wilson(np.array([81 / 263]), np.array([263]), 0.95)
    assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (0.2553, 0.3662)


def test_the_intervals_of_perfect_chances_hold_the_truth() -> None:
    rng = np.random.default_rng(2)
    chance = rng.uniform(0.05, 0.8, 8_000)
    paid = (rng.random(8_000) < chance).astype(float)
    told = measures.summary(chance, paid, np.arange(8_000), 1, standard())
    assert told["observed_over_foretold"]["low"] <= 1 <= told["observed_over_foretold"]["high"]
    assert told["ece"] <= told["ece_by_chance_high"]
    assert told["brier"]["value"] < told["brier_plain"]


def test_amounts_add_up_and_hold_the_truth() -> None:
    rng = np.random.default_rng(8)
    expected = np.exp(rng.normal(3, 1, 5_000))
    came = expected * rng.gamma(0.5, 2, 5_000)
    told = measures.amounts(expected, came, np.arange(5_000), 1, standard())
    assert told["came"].iloc[:-1].sum() == pytest.approx(came.sum())
    assert told["placements"].iloc[-1] == 5_000
    assert ((told["low"] <= 1) & (told["high"] >= 1)).sum() >= 9


# --- drift ------------------------------------------------------------------------------------------------------------


def test_the_same_accounts_are_stable_and_others_warn(world: Callable[..., Any]) -> None:
    known = world(6_000)
    model = make(known.sample, known.facts, 90, 1, standard()).model
    stable = drift.stability(model, known.sample.values, standard()).set_index("fact")
    assert set(stable["state"]) == {drift.STABLE}
    older = {**known.sample.values, "dpd": known.sample.values["dpd"] + 150}
    moved = drift.stability(model, older, standard()).set_index("fact")
    assert moved.loc["dpd", "state"] == drift.WARN
    assert moved.loc["balance", "psi"] == pytest.approx(stable.loc["balance", "psi"])


def test_the_index_of_a_known_shift() -> None:
    # half and half became three quarters and one quarter: 0.25 ln 1.5 - 0.25 ln 0.5
    known = {"seen": {"product": (0.5, 0.5, 0.0, 0.0)}}
    from models.propensity.terms import Levels

    class Model:
        terms = (Levels("product", ("card", "loan")),)
        seen = known["seen"]

    values = {"product": np.array(["card"] * 300 + ["loan"] * 100, dtype=object)}
    told = drift.stability(Model(), values, standard())  # type: ignore[arg-type]  # has what is looked at
    assert told["psi"].iloc[0] == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))
    assert told["state"].iloc[0] == drift.WARN


def test_a_month_that_pays_half_warns_and_chance_does_not() -> None:
    rng = np.random.default_rng(3)
    month = np.repeat(np.array(["2026-01", "2026-02", "2026-03"], dtype=object), 2_000)
    chance = rng.uniform(0.2, 0.5, 6_000)
    paid = (rng.random(6_000) < chance * np.where(month == "2026-03", 0.5, 1)).astype(float)
    told = drift.by_month(chance, paid, month, standard()).set_index("month")
    assert told["state"].to_dict() == {"2026-01": drift.STABLE, "2026-02": drift.STABLE, "2026-03": drift.WARN}


def test_of_few_nothing_is_said() -> None:
    told = drift.by_month(np.full(20, 0.5), np.zeros(20), np.array(["2026-01"] * 20, dtype=object), standard())
    assert told["state"].tolist() == [drift.TOO_FEW]


def test_months_of_nothing_are_none() -> None:
    told = drift.by_month(np.zeros(0), np.zeros(0), np.zeros(0, dtype=object), standard())
    assert told.empty


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_that_is_selected_less_is_marked_and_a_small_one_shown_without_figures() -> None:
    rng = np.random.default_rng(1)
    code = np.array([0] * 1_000 + [1] * 1_000 + [2] * 10)
    chance = np.where(code == 1, 0.3, 0.5) + rng.uniform(-0.05, 0.05, 2_010)
    paid = (rng.random(2_010) < chance).astype(float)
    told = fairness.table("region", ("a", "b", "c"), code, chance, paid, chance > 0.45, standard())
    states = told.set_index("group")["state"]
    assert states.to_dict() == {"a": fairness.OK, "b": fairness.LOW, "c": fairness.TOO_FEW}
    assert told.loc[told["group"] == "c", "observed"].isna().all()


def test_who_is_of_no_known_group_is_a_group_too() -> None:
    told = fairness.table(
        "region", ("a",), np.full(100, -1), np.full(100, 0.5), np.ones(100), np.ones(100, dtype=bool), standard()
    )
    assert told["group"].tolist() == ["unknown"]

"""The joint fit tells a good agency from good accounts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scoring.expectation import fit


def test_the_fit_finds_rates_and_effects_that_made_the_events() -> None:
    rng = np.random.default_rng(1)
    exposure = rng.uniform(10, 1000, (12, 4))
    rate, effect = rng.uniform(0.01, 0.2, 12), np.array([0.7, 1.0, 1.1, 1.6])
    found_rate, found_effect = fit(exposure * rate[:, None] * effect, exposure)
    assert found_effect / found_effect[1] == pytest.approx(effect, rel=1e-4)
    assert found_rate / rate == pytest.approx(np.full(12, found_rate[0] / rate[0]), rel=1e-4)


def test_cell_averages_would_have_punished_good_company() -> None:
    """A good agency that holds most of a segment does not raise its own bar."""
    exposure = np.array([[900.0, 100], [100, 900]])
    events = exposure * np.array([[0.1], [0.1]]) * np.array([1.5, 1.0])
    rate, effect = fit(events, exposure)
    averages = events.sum(1) / exposure.sum(1)
    jointly = events.sum(0) / (exposure * rate[:, None]).sum(0)
    by_averages = events.sum(0) / (exposure * averages[:, None]).sum(0)
    assert jointly[0] / jointly[1] == pytest.approx(1.5, rel=1e-4)
    assert by_averages[0] / by_averages[1] < 1.2
    assert effect[0] / effect[1] == pytest.approx(1.5, rel=1e-4)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_expected_sums_to_what_came(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exposure = rng.uniform(0, 50, (5, 3)) * (rng.random((5, 3)) < 0.7)
    events = rng.poisson(exposure * 0.2).astype(float)
    rate, _ = fit(events, exposure)
    assert (exposure * rate[:, None]).sum() == pytest.approx(events.sum())


def test_where_nothing_was_held_nothing_is_expected() -> None:
    rate, effect = fit(np.zeros((2, 2)), np.array([[0.0, 0.0], [0.0, 5.0]]))
    assert rate.tolist() == [0, 0]
    assert effect[0] == 1

"""What a treatment gains at its threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.propensity.thresholds import TooFewAtThreshold, gain_at, study


def cases(jump: float, seed: int = 1, rows: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Values up to 2,000 and an outcome that rises with them, and jumps at 1,000."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(0, 2_000, rows)
    return value, 100 + 0.2 * value + jump * (value >= 1_000) + rng.normal(0, 60, rows)


def test_a_planted_jump_is_found_and_placebos_are_quiet() -> None:
    value, outcome = cases(80.0)
    told = study(value, outcome, 1_000, 200, {"unchanged": np.random.default_rng(9).normal(size=len(value))})
    assert told.gain.low <= 80 <= told.gain.high
    assert not told.gain.holds_zero
    assert told.sound
    assert [one.at for one in told.placebos] == [600, 800, 1_200, 1_400]
    assert [one.within for one in told.widths] == [100, 200, 400]


def test_without_a_jump_the_interval_holds_zero_as_often_as_it_says() -> None:
    held = [gain_at(*cases(0.0, seed, 800), 1_000, 300).holds_zero for seed in range(200)]
    assert 0.90 <= np.mean(held) <= 0.99


def test_a_jump_in_what_cannot_have_been_changed_is_told() -> None:
    value, outcome = cases(80.0)
    assert not study(value, outcome, 1_000, 200, {"age": np.where(value >= 1_000, 45.0, 40.0)}).sound


def test_a_crowd_above_the_threshold_is_told() -> None:
    value, outcome = cases(80.0)
    steered = np.where((value > 900) & (value < 1_000), value + 100, value)
    told = study(steered, outcome, 1_000, 200)
    assert told.crowding < 0.001
    assert not told.sound


@given(st.floats(-500, 500), st.floats(0.1, 10), st.floats(-100, 100))
def test_moving_the_values_changes_nothing_and_scaling_the_outcome_scales_the_gain(
    shift: float, factor: float, level: float
) -> None:
    value, outcome = cases(80.0, rows=400)
    value = np.round(value)
    plain = gain_at(value, outcome, 1_000, 300)
    moved = gain_at(value + round(shift), outcome * factor + level, 1_000 + round(shift), 300)
    assert moved.gain == pytest.approx(plain.gain * factor, rel=1e-5, abs=1e-5)
    assert moved.error == pytest.approx(plain.error * factor, rel=1e-5)
    assert (moved.below, moved.above) == (plain.below, plain.above)


def test_too_few_on_one_side_is_said() -> None:
    value, outcome = cases(80.0)
    with pytest.raises(TooFewAtThreshold, match="0 values lie in the window below 0"):
        gain_at(value, outcome, 0, 100)

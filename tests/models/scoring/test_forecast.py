"""A forecast is right about what it simulates: its sums, its interval, and what it knew then."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from models.forecast import Forecast, back_tested, forecast, truncated
from models.scoring.parameters import standard

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.scoring.inputs import Inputs

DAYS = [date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


@pytest.fixture(scope="module")
def worked(simulate: Callable[..., Inputs]) -> Inputs:
    """Three agencies, the last half as good again."""
    return simulate([1.0, 1.0, 1.5], accounts=5_000, seed=11)


@pytest.fixture(scope="module")
def told(worked: Inputs, as_of: date) -> Forecast:
    found = forecast(worked, as_of, 3, 1, standard())
    assert found is not None
    return found


def test_every_month_has_an_amount_between_a_low_and_a_high_and_the_parts_make_the_whole(told: Forecast) -> None:
    months = told.months
    assert list(told.total["month"]) == ["2026-07", "2026-08", "2026-09", "2026-10"]
    assert (months["low_minor"] < months["expected_minor"]).all()
    assert (months["expected_minor"] < months["high_minor"]).all()
    whole = months.groupby("month")["expected_minor"].sum()
    assert np.allclose(whole, told.total["expected_minor"], atol=len(months))
    # the sum is surer than its parts
    width = (told.total["high_minor"] - told.total["low_minor"]).to_numpy()
    assert (width < months.groupby("month")["high_minor"].sum() - months.groupby("month")["low_minor"].sum()).all()


def test_terms_run_out_and_curves_fall_so_later_months_bring_less(told: Forecast) -> None:
    assert told.total["expected_minor"].iloc[1:].is_monotonic_decreasing
    better = told.months[told.months["agency"] == "ag2"]["expected_minor"].sum()
    assert better > 1.2 * told.months[told.months["agency"] == "ag0"]["expected_minor"].sum()


def test_tried_on_the_past_the_interval_holds_what_came(worked: Inputs, as_of: date) -> None:
    tested = back_tested(worked, as_of, DAYS, 2, 1, standard())
    assert len(tested) == 15
    assert tested["held"].mean() >= 0.7  # nine in ten are meant to be; of fifteen that depend on each other
    assert tested["actual_minor"].sum() == pytest.approx(tested["expected_minor"].sum(), rel=0.2)


def test_what_came_later_changes_no_forecast_of_before(worked: Inputs) -> None:
    day = date(2026, 4, 30)
    later = worked.lines["value_date"] > pd.Timestamp(day)
    assert later.any()
    poorer = type(worked)(worked.placements, worked.lines[~later].reset_index(drop=True), worked.conduct)
    first, second = (forecast(truncated(one, day), day, 2, 1, standard()) for one in (worked, poorer))
    assert first is not None
    assert second is not None
    pd.testing.assert_frame_equal(first.months, second.months)


def test_without_two_months_behind_it_nothing_is_forecast(worked: Inputs) -> None:
    day = date(2026, 1, 20)
    assert forecast(truncated(worked, day), day, 3, 1, standard()) is None

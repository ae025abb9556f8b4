"""What came within the horizon, and what had come before: as it was known at the placement."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.propensity import watched
from models.scoring.parameters import standard

AS_OF = date(2026, 6, 30)


def placements(**more: Any) -> pd.DataFrame:
    """Two placements of one agency since the first of January."""
    plain = {
        "placement_id": [1, 2], "debtor_id": [1, 2], "agency": "lotus", "placed_on": pd.Timestamp("2026-01-01"),
        "due_back_on": pd.Timestamp("2026-12-31"), "ended_on": pd.NaT, "end_reason": "",
    }  # fmt: skip
    frame = pd.DataFrame(plain | more)
    return frame.astype({"ended_on": "datetime64[us]"})


def lines(*told: tuple[int, str, int, str]) -> pd.DataFrame:
    """Lines: placement, kind, minor units, value date."""
    frame = pd.DataFrame(told, columns=["placement_id", "kind", "gross_minor", "value_date"])
    return frame.assign(agency="lotus", value_date=pd.to_datetime(frame["value_date"]))


def came(told: pd.DataFrame, of: pd.DataFrame | None = None) -> dict[int, int]:
    """Money per row."""
    found = watched.outcomes(placements() if of is None else of, told, AS_OF, 90, standard())
    return dict(zip(found["at"], found["money_minor"], strict=True))


def test_money_within_the_horizon_counts_less_reversals_and_directly_too() -> None:
    told = lines(
        (1, "recovery", 500, "2026-02-01"), (1, "reversal", -200, "2026-02-10"), (2, "direct", 300, "2026-03-01")
    )
    assert came(told) == {0: 300, 1: 300}


@pytest.mark.parametrize("on", ["2026-01-01", "2026-04-01", "2026-05-05"])
def test_money_on_its_way_already_or_after_the_horizon_does_not_count(on: str) -> None:
    assert came(lines((1, "recovery", 500, on))) == {0: 0, 1: 0}


def test_a_placement_that_was_not_watched_for_the_whole_horizon_is_left_out_even_if_it_paid() -> None:
    young = placements(placed_on=[pd.Timestamp("2026-05-01"), pd.Timestamp("2026-01-01")])
    assert came(lines((1, "recovery", 500, "2026-05-20")), young) == {1: 0}
    recalled = placements(ended_on=[pd.Timestamp("2026-02-01"), pd.NaT], end_reason=["hold", ""])
    assert came(lines((1, "recovery", 500, "2026-01-20")), recalled) == {1: 0}


def test_one_that_was_paid_in_full_was_watched_to_its_term() -> None:
    paid = placements(ended_on=[pd.Timestamp("2026-02-01"), pd.NaT], end_reason=["paid", ""])
    assert came(lines((1, "recovery", 500, "2026-01-20")), paid) == {0: 500, 1: 0}


past = st.lists(
    st.tuples(
        st.integers(1, 3), st.integers(1, 40), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 40)),
        st.integers(0, 4),
    ),
    max_size=12,
)  # fmt: skip
asked = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 45)), min_size=1, max_size=10)


@settings(max_examples=40)
@given(past, asked)
def test_history_is_what_had_ended_before_the_day_and_nothing_later(
    told: list[tuple[int, int, int, int | None, int]], rows: list[tuple[int, int]]
) -> None:
    start = np.datetime64("1970-01-01")
    ended = pd.DataFrame({
        "debtor_id": pd.Series([one[0] for one in told], dtype="int64"),
        "ended_on": pd.Series([start + np.timedelta64(one[1], "D") for one in told], dtype="datetime64[us]"),
        "payments": pd.Series([one[2] for one in told], dtype="int64"),
        "last_paid_on": pd.Series(
            [pd.NaT if one[3] is None else start + np.timedelta64(one[3], "D") for one in told],
            dtype="datetime64[us]",
        ),
        "contacts": pd.Series([one[4] for one in told], dtype="int64"),
        "reached": pd.Series([one[4] // 2 for one in told], dtype="int64"),
    })  # fmt: skip
    found = watched.history(pd.DataFrame(rows, columns=["debtor_id", "day"]), ended)
    for at, (debtor, day) in enumerate(rows):
        mine = [one for one in told if one[0] == debtor and one[1] < day]
        contacts = sum(one[4] for one in mine)
        dates = [one[3] for one in mine if one[3] is not None]
        assert found["payments"][at] == sum(one[2] for one in mine)
        assert found["contacts"][at] == contacts
        assert (np.isnan(found["reached"][at])) == (contacts == 0)
        if dates:
            assert found["days_since"][at] == max(day - max(dates), 0)
        else:
            assert np.isnan(found["days_since"][at])


def test_balances_are_told_against_the_usual_one_of_their_currency() -> None:
    rows = pd.DataFrame({"balance_minor": [100_00, 400_00, 10_000, 40_000], "currency": ["CNY", "CNY", "JPY", "JPY"]})
    usual = watched.usual_balances(rows)
    assert usual == {"CNY": pytest.approx(np.log(200)), "JPY": pytest.approx(np.log(20_000))}

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.instalments.judging import BEYOND, CODES, NEVER, REFUSED, WITHIN, ability, judged, signs_of, willingness
from models.instalments.limits import GRADES, load

LIMITS = load("cn-default")
TODAY = date(2026, 11, 22)


def plans(*rows: dict[str, Any]) -> pd.DataFrame:
    """Proposals; days are from the day they were proposed on."""
    plain = {
        "ability": "medium", "willingness": "medium", "currency": "CNY", "account_currency": "CNY",
        "balance_minor": 1_200_000, "total_minor": 1_200_000, "smallest_minor": 100_000, "first": 15, "last": 345,
        "longest_gap_days": 31, "running": False, "held": False, "placed": True,
    }  # fmt: skip
    frame = pd.DataFrame([plain | row for row in rows])
    now = pd.Timestamp(TODAY)
    for name in ("first", "last"):
        frame[f"{name}_due_on"] = now + pd.to_timedelta(frame.pop(name), unit="D")
    return frame.assign(proposed_on=now)


def said(**row: Any) -> tuple[str, str]:
    found = judged(plans(row), LIMITS).iloc[0]
    return str(found["verdict"]), str(found["codes"])


def test_a_plan_at_each_limit_is_within_it_and_a_step_further_needs_a_second_person() -> None:
    assert said() == (WITHIN, "")
    assert said(last=12 * 31) == (WITHIN, "")
    assert said(last=12 * 31 + 1) == (BEYOND, "too_long")
    assert said(smallest_minor=10_000) == (WITHIN, "")
    assert said(smallest_minor=9_999) == (BEYOND, "instalment_too_small")
    assert said(total_minor=1_140_000) == (WITHIN, "")
    assert said(total_minor=1_139_999) == (BEYOND, "discount_too_large")
    assert said(first=32) == (BEYOND, "starts_too_late")
    assert said(longest_gap_days=36) == (BEYOND, "gap_too_long")


def test_beyond_all_limits_it_is_refused_with_every_code_that_stands_in_its_way() -> None:
    assert said(total_minor=100_000, last=36 * 31 + 1) == (REFUSED, "too_long,discount_too_large")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"placed": False}, "not_placed"),
        ({"held": True}, "on_hold"),
        ({"running": True}, "plan_running"),
        ({"account_currency": "JPY"}, "other_currency"),
        ({"total_minor": 1_200_001}, "above_balance"),
        ({"first": -1}, "in_the_past"),
    ],
)
def test_what_nobody_can_approve_is_refused_however_good_the_plan(row: dict[str, Any], code: str) -> None:
    assert said(**row) == (REFUSED, code)
    assert code in NEVER


def test_the_same_plan_is_judged_by_what_the_debtor_can_and_wants() -> None:
    row = {"last": 18 * 31}
    assert said(**row, ability="low", willingness="high")[0] == WITHIN
    assert said(**row, ability="medium", willingness="high")[0] == BEYOND
    assert said(**row, ability="high", willingness="low")[0] == REFUSED


@settings(max_examples=40)
@given(
    st.fixed_dictionaries({
        "ability": st.sampled_from(GRADES), "willingness": st.sampled_from(GRADES),
        "total_minor": st.integers(1, 1_200_000), "smallest_minor": st.integers(1, 200_000),
        "first": st.integers(0, 90), "last": st.integers(90, 3000), "longest_gap_days": st.integers(0, 120),
    })
)  # fmt: skip
def test_a_plan_is_within_exactly_where_it_has_no_code_and_every_code_says_what_to_do(row: dict[str, Any]) -> None:
    verdict, codes = said(**row)
    assert (verdict == WITHIN) == (codes == "")
    assert all(CODES[code] for code in filter(None, codes.split(",")))


@settings(max_examples=40)
@given(st.integers(1, 1_200_000), st.integers(0, 100_000))
def test_paying_more_never_makes_a_plan_worse(total: int, more: int) -> None:
    order = [WITHIN, BEYOND, REFUSED]
    better = min(total + more, 1_200_000)
    assert order.index(said(total_minor=better)[0]) <= order.index(said(total_minor=total)[0])


def test_ability_is_the_income_band_where_one_is_known_else_what_is_owed_and_for_how_long() -> None:
    frame = pd.DataFrame({
        "income_band": pd.Series([None, None, None, "high", None], dtype="str"), "currency": ["CNY"] * 4 + ["JPY"],
        "balance_minor": [500_000, 500_001, 3_000_001, 9_000_000, 5_000], "dpd": [90, 90, 90, 999, 91],
    })  # fmt: skip
    assert list(ability(frame, LIMITS.ability)) == ["high", "medium", "low", "high", "medium"]


def test_willingness_counts_payments_contacts_promises_kept_and_plans_kept() -> None:
    debtors = pd.Series([7, 8, 9, 7], index=[10, 11, 12, 13])
    days = pd.to_datetime(["2026-10-01", "2026-10-07", "2026-10-20", "2026-10-02"])
    contacts = pd.DataFrame({
        "debtor_id": [7, 8, 8, 9], "on": days, "outcome": ["promise", "connected", "promise", "no_answer"],
    })  # fmt: skip
    payments = pd.DataFrame({"debtor_id": [7, 8], "paid_on": pd.to_datetime(["2026-10-08", "2026-10-28"])})
    earlier = pd.DataFrame({"debtor_id": [8], "state": ["broken"]})
    signs = signs_of(debtors, payments, contacts, earlier, promise_days=7, today=date(2026, 10, 28))
    assert list(signs.index) == [10, 11, 12, 13]
    assert list(signs.loc[10, ["payment", "promise_kept", "promise_broken"]]) == [1, 1, 0], "on the last day"
    assert list(signs.loc[11, ["payment", "promise_kept", "promise_broken", "plan_broken"]]) == [1, 0, 1, 1]
    assert not signs.loc[12].any(), "nobody reached is no sign"
    sooner = signs_of(debtors, payments.iloc[:1], contacts, earlier, promise_days=7, today=date(2026, 10, 27))
    assert list(sooner.loc[11, ["promise_kept", "promise_broken"]]) == [0, 0], "its time is not over"
    assert list(willingness(signs, LIMITS.willingness)) == ["high", "low", "low", "high"]

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contract import Contract, TierGap, commission
from models.instalments.keeping import BROKEN, FULFILLED, KEPT, paid_under, standing

DUE = pd.to_datetime(["2026-01-10", "2026-02-10", "2026-03-10"])


def stands(paid: int, today: date, grace: int = 5) -> pd.Series:
    plan = pd.DataFrame({"instalment_plan_id": [4], "total_minor": [300], "paid_minor": [paid], "grace_days": [grace]})
    rows = pd.DataFrame({"instalment_plan_id": 4, "number": [1, 2, 3], "due_on": DUE, "amount_minor": 100})
    return standing(plan, rows, today).iloc[0]


def test_an_instalment_is_missed_on_the_day_after_its_grace_and_not_before() -> None:
    assert stands(0, date(2026, 1, 15))["state"] == KEPT
    late = stands(0, date(2026, 1, 16))
    assert (late["state"], late["missed"], late["due_minor"]) == (BROKEN, 1, 100)


def test_payments_fill_instalments_in_their_order_and_what_is_paid_ahead_counts() -> None:
    ahead = stands(200, date(2026, 2, 28))
    assert (ahead["state"], ahead["next_due_on"]) == (KEPT, pd.Timestamp("2026-03-10"))
    assert stands(199, date(2026, 2, 28))["state"] == BROKEN


def test_a_plan_is_fulfilled_when_all_of_it_is_there_however_late() -> None:
    assert stands(300, date(2027, 1, 1))["state"] == FULFILLED
    assert stands(299, date(2027, 1, 1))["state"] == BROKEN


@settings(max_examples=40)
@given(st.integers(0, 400), st.integers(0, 400), st.dates(date(2026, 1, 1), date(2026, 6, 1)))
def test_paying_more_never_breaks_a_plan(paid: int, more: int, today: date) -> None:
    order = [FULFILLED, KEPT, BROKEN]
    assert order.index(stands(paid + more, today)["state"]) <= order.index(stands(paid, today)["state"])


def test_what_is_paid_before_the_proposal_or_on_another_account_is_not_under_the_plan() -> None:
    plans = pd.DataFrame({
        "instalment_plan_id": [4, 5], "account_id": [1, 2], "proposed_on": pd.to_datetime(["2026-01-05", "2026-01-05"]),
    })  # fmt: skip
    paid = pd.DataFrame({
        "account_id": [1, 1, 1, 3], "gross_minor": [50, 100, -30, 70],
        "paid_on": pd.to_datetime(["2026-01-04", "2026-01-05", "2026-01-09", "2026-01-09"]),
    })  # fmt: skip
    assert list(paid_under(plans, paid)) == [70, 0]


TERMS = """
currency = "CNY"
[[tier]]
stage = "settlement"
rate = "0.10"
[[tier]]
stage = "instalments"
rate = "0.20"
[[tier]]
stage = "phone"
rate = "0.30"
"""


def lines(*agreed: str | None) -> pd.DataFrame:
    return pd.DataFrame({
        "gross_minor": [1000] * len(agreed), "dpd": 60, "round": 1, "stage": "phone",
        "agreed": pd.Series(agreed, dtype="str"),
    })  # fmt: skip


def test_a_line_under_a_plan_has_the_plan_s_tier_and_another_one_that_of_its_stage() -> None:
    contract = Contract.parse(TERMS)
    found = commission(lines("settlement", "instalments", None), contract)
    assert list(found["commission_minor"]) == [100, 200, 300]


def test_without_a_tier_for_it_a_line_under_a_plan_has_the_tier_of_its_stage() -> None:
    contract = Contract.parse('currency = "CNY"\n[[tier]]\nstage = "phone"\nrate = "0.30"\n')
    assert "agreed" not in contract.tiers[0].asks_for
    assert list(commission(lines("settlement"), contract)["commission_minor"]) == [300]


def test_a_contract_with_settlements_alone_has_a_gap_for_all_else() -> None:
    contract = Contract.parse('currency = "CNY"\n[[tier]]\nstage = "settlement"\nrate = "0.10"\n')
    assert list(commission(lines("settlement"), contract)["commission_minor"]) == [100]
    with pytest.raises(TierGap):
        commission(lines(None), contract)

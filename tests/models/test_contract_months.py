"""What a month as a whole changes: laws for any lines, and the sums by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contract import Agreed, Contract, commission, settling, shares
from models.contract.simulating import simulated

STEPS = """
currency = "CNY"
volume = "{volume}"
vat_rate = "0.06"
[[tier]]
rate = "0.10"
steps = [{{ from_minor = 10_000, rate = "{second}" }}, {{ from_minor = 50_000, rate = "{third}" }}]
"""
TWO_TIERS = """
currency = "CNY"
vat_rate = "0.06"
[[tier]]
dpd_to = 90
rate = "0.10"
steps = [{ from_minor = 10_000, rate = "0.12" }]
[[tier]]
rate = "0.20"
steps = [{ from_minor = 20_000, rate = "0.25" }]
"""
MONEY = st.integers(0, 10**9)
MONTH = st.lists(st.tuples(MONEY, st.sampled_from([30, 120])), min_size=1, max_size=30)
RATES = st.decimals(0, 1, places=4).map(str)
few = settings(max_examples=25, deadline=None)
ROUNDING = st.sampled_from(["half_up", "half_even", "half_down", "up", "down"])


def terms(text: str, more: str = "") -> Contract:
    head, tier, tail = text.partition("[[tier]]")
    return Contract.parse(head + more + "\n" + tier + tail)


def month(lines: list[tuple[int, int]], contract: Contract) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=["gross_minor", "dpd"]).astype("int64")
    frame = frame.assign(
        line_id=np.arange(1, len(frame) + 1), placement_id=np.arange(len(frame)), account_id=np.arange(len(frame)),
        round=1, kind="recovery",
    )  # fmt: skip
    due = commission(frame, contract)
    return frame.assign(commission_minor=due["commission_minor"], vat_minor=due["vat_minor"])


def total(lines: list[tuple[int, int]], contract: Contract) -> int:
    units = month(lines, contract)
    added = settling.counted_together(units, contract)
    return int(units["commission_minor"].sum() + added["commission_minor"].sum())


@few
@given(st.integers(-(10**13), 10**13), st.lists(st.integers(0, 10**13), min_size=1, max_size=40))
def test_split_parts_sum_to_the_whole_and_none_is_off_by_a_unit(whole: int, weights: list[int]) -> None:
    parts = shares(whole, np.array(weights, dtype=np.int64))
    if not sum(weights):
        assert not parts.any()
        return
    assert parts.sum() == whole
    for part, weight in zip(parts.tolist(), weights, strict=True):
        assert abs(part * sum(weights) - whole * weight) < sum(weights)


@few
@given(MONTH, MONEY, st.data())
def test_marginal_commission_never_falls_when_more_is_collected(
    lines: list[tuple[int, int]], more: int, data: st.DataObject
) -> None:
    second, third = data.draw(RATES), data.draw(RATES)
    contract = terms(STEPS.format(volume="marginal", second=second, third=third))
    assert total([*lines, (more, 30)], contract) >= total(lines, contract)


@few
@given(MONTH, st.tuples(MONEY, st.sampled_from([30, 120])))
def test_with_several_tiers_of_rising_steps_neither(lines: list[tuple[int, int]], more: tuple[int, int]) -> None:
    contract = terms(TWO_TIERS)
    assert total([*lines, more], contract) >= total(lines, contract)


@few
@given(MONTH, ROUNDING)
def test_marginal_commission_of_one_tier_is_the_sum_of_its_slices(lines: list[tuple[int, int]], rounding: str) -> None:
    contract = terms(STEPS.format(volume="marginal", second="0.12", third="0.15"), f'rounding = "{rounding}"')
    volume = sum(gross for gross, _ in lines)
    slices: list[tuple[int, str]] = [
        (min(volume, 10_000), "0.10"),
        (max(0, min(volume, 50_000) - 10_000), "0.12"),
        (max(0, volume - 50_000), "0.15"),
    ]
    exact = sum((size * Decimal(rate) for size, rate in slices), Decimal(0))
    assert abs(total(lines, contract) - exact) < 1


@few
@given(MONTH)
def test_the_rate_for_the_whole_volume_is_that_of_the_step_it_reaches(lines: list[tuple[int, int]]) -> None:
    contract = terms(STEPS.format(volume="whole", second="0.12", third="0.15"))
    volume = sum(gross for gross, _ in lines)
    rate = "0.15" if volume >= 50_000 else "0.12" if volume >= 10_000 else "0.10"
    expected = sum(int((gross * Decimal(rate)).quantize(Decimal(1), "ROUND_HALF_UP")) for gross, _ in lines)
    assert total(lines, contract) == expected


@few
@given(MONTH, st.permutations(range(30)))
def test_the_order_of_the_lines_changes_no_sum(lines: list[tuple[int, int]], order: list[int]) -> None:
    contract = terms(TWO_TIERS, 'rounding_level = "invoice"')
    shuffled = [lines[place] for place in order if place < len(lines)]
    assert total(shuffled, contract) == total(lines, contract)


@few
@given(MONTH, ROUNDING)
def test_an_invoice_rounded_once_is_the_exact_sum_rounded(lines: list[tuple[int, int]], rounding: str) -> None:
    contract = terms(
        'currency = "CNY"\n[[tier]]\nrate = "0.1234"', f'rounding = "{rounding}"\nrounding_level = "invoice"'
    )
    names = {"half_up": "ROUND_HALF_UP", "half_even": "ROUND_HALF_EVEN", "half_down": "ROUND_HALF_DOWN",
             "up": "ROUND_UP", "down": "ROUND_DOWN"}  # fmt: skip
    exact = sum(gross for gross, _ in lines) * Decimal("0.1234")
    assert total(lines, contract) == int(exact.quantize(Decimal(1), names[rounding]))


@few
@given(st.integers(1, 10**9), st.integers(-(10**7), 10**7), st.integers(-(10**6), 10**6), st.data())
def test_what_reversals_take_back_of_an_adjustment_sums_to_it(
    base: int, fee: int, vat: int, data: st.DataObject
) -> None:
    cuts = sorted({0, base, *data.draw(st.lists(st.integers(0, base), max_size=6))})
    reversals = pd.DataFrame(
        {
            "line_id": range(1, len(cuts)), "placement_id": 1, "account_id": 1, "commission_minor": fee,
            "vat_minor": vat, "base_minor": base, "before_minor": cuts[:-1], "after_minor": cuts[1:],
        }
    )  # fmt: skip
    back = settling.taken_back(reversals, terms('currency = "CNY"\n[[tier]]\nrate = "0.1"'))
    assert back["commission_minor"].sum() == -fee
    assert back["vat_minor"].sum() == -vat
    assert (back["commission_minor"].cumsum().abs() <= abs(fee)).all()


def test_a_cap_of_the_month_is_taken_off_the_lines_and_a_floor_off_none() -> None:
    lines = [(10_000, 30), (30_000, 30)]
    capped = terms('currency = "CNY"\n[[tier]]\nrate = "0.1"', "month_cap_minor = 1_000")
    cut = settling.month_limits(month(lines, capped), capped)
    assert cut["commission_minor"].tolist() == [-750, -2_250]
    floored = terms('currency = "CNY"\n[[tier]]\nrate = "0.1"', "month_floor_minor = 5_000")
    (added,) = settling.month_limits(month(lines, floored), floored).to_dict("records")
    assert (added["commission_minor"], pd.isna(added["line_id"])) == (1_000, True)


def test_a_floor_per_account_ends_with_the_recovery() -> None:
    contract = terms('currency = "CNY"\n[[tier]]\nrate = "0.1"', "account_floor_minor = 500\naccount_cap_minor = 2_000")
    accounts = pd.DataFrame(
        {
            "placement_id": [1, 2, 3, 4], "account_id": [1, 2, 3, 4], "recovered_minor": [1_000, 100_000, 0, 300],
            "commission_minor": [100, 10_000, 0, 30], "vat_minor": 0, "limited_commission_minor": [0, 0, 400, 0],
            "limited_vat_minor": 0,
        }
    )  # fmt: skip
    told = settling.account_limits(accounts, contract).set_index("placement_id")["commission_minor"]
    # a floor never takes more than was recovered; what was added goes when the recovery does
    assert told.to_dict() == {1: 400, 2: -8_000, 3: -400, 4: 270}


@pytest.mark.parametrize(
    ("treatment", "due"), [("added", (1_000, 60)), ("included", (943, 57)), ("reverse_charge", (1_000, 0))]
)
def test_vat_is_on_top_or_inside_or_ours(treatment: str, due: tuple[int, int]) -> None:
    contract = terms('currency = "CNY"\nvat_rate = "0.06"\n[[tier]]\nrate = "0.1"', f'vat_treatment = "{treatment}"')
    line = month([(10_000, 30)], contract)
    assert (line["commission_minor"].item(), line["vat_minor"].item()) == due
    assert settling.owed_for(1_000, contract) == (60 if treatment == "reverse_charge" else 0)


def test_a_fee_for_each_case_comes_with_or_without_a_share() -> None:
    fixed = Contract.parse('currency = "CNY"\nbasis = "fixed"\ncase_fee_minor = 1500\nvat_rate = "0.06"')
    lines = month([(10_000, 30)], fixed)
    assert lines["commission_minor"].item() == 0
    cases = pd.DataFrame({"placement_id": [7, 8], "account_id": [1, 2]})
    fees = settling.case_fees(cases, fixed)
    assert (fees["commission_minor"].sum(), fees["vat_minor"].sum()) == (3_000, 180)
    mixed = Contract.parse('currency = "CNY"\nbasis = "mixed"\ncase_fee_minor = 1500\n[[tier]]\nrate = "0.05"')
    assert month([(10_000, 30)], mixed)["commission_minor"].item() == 500


@pytest.mark.parametrize(
    ("more", "kinds", "due"),
    [
        ("", ["recovery", "direct"], [1_000, 0]),
        ("direct_payments = true", ["recovery", "direct"], [1_000, 1_000]),
        ('direct_payments = true\ndirect_rate = "0.02"', ["recovery", "direct"], [1_000, 200]),
    ],
)
def test_a_direct_payment_earns_what_the_contract_says(more: str, kinds: list[str], due: list[int]) -> None:
    contract = terms('currency = "CNY"\n[[tier]]\nrate = "0.1"', more)
    frame = pd.DataFrame({"gross_minor": [10_000, 10_000], "dpd": 30, "round": 1, "kind": kinds})
    assert commission(frame, contract)["commission_minor"].tolist() == due


def test_tiers_look_at_balance_and_stage_too() -> None:
    contract = Contract.parse(
        """
        currency = "CNY"
        line_floor_minor = 50
        line_cap_minor = 3_000
        [[tier]]
        stage = "legal"
        rate = "0.35"
        [[tier]]
        balance_from_minor = 1_000_000
        rate = "0.10"
        [[tier]]
        rate = "0.20"
        """
    )
    frame = pd.DataFrame(
        {
            "gross_minor": [1_000, 1_000, 1_000, 100, 40, 100_000], "dpd": 30, "round": 1,
            "stage": ["legal", "phone", "phone", "phone", "phone", "phone"],
            "balance_minor": [2_000_000, 2_000_000, 500, 500, 500, 500],
        }
    )  # fmt: skip
    assert commission(frame, contract)["commission_minor"].tolist() == [350, 100, 200, 50, 40, 3_000]


@few
@given(MONTH)
def test_the_same_terms_cost_the_same_in_a_simulation(lines: list[tuple[int, int]]) -> None:
    contract = terms(TWO_TIERS, 'rounding_level = "invoice"\nmonth_cap_minor = 100_000')
    units = month(lines, contract).assign(
        original_line_id=pd.array([pd.NA] * len(lines), dtype="Int64"), value_date=pd.Timestamp(2026, 4, 1)
    )
    cases = pd.DataFrame({"placement_id": [], "account_id": [], "placed_on": pd.to_datetime([])})
    told = simulated(units, cases, Agreed((date(2026, 1, 1),), (contract,)), date(2026, 4, 30))
    whole = total(lines, contract)
    due = int(told.lines["commission_minor"].sum() + told.adjustments["commission_minor"].sum())
    assert due == min(whole, 100_000)


def test_what_was_paid_to_the_lender_is_in_no_volume_unless_it_earns_like_the_rest() -> None:
    lines = [(8_000, 30), (8_000, 30)]
    for more, added in (("", 0), ("direct_payments = true", 600), ('direct_payments = true\ndirect_rate = "0.02"', 0)):
        contract = terms(STEPS.format(volume="marginal", second="0.20", third="0.30"), more)
        frame = month(lines, contract).assign(kind=["recovery", "direct"])
        due = commission(frame, contract)
        frame = frame.assign(commission_minor=due["commission_minor"], vat_minor=due["vat_minor"])
        assert settling.counted_together(frame, contract)["commission_minor"].sum() == added

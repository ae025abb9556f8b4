from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contract import Contract, ContractFault, Rounding, TierGap, charged, commission, portion, terms_on

TIERS = """
currency = "CNY"
vat_rate = 0.06

[[tier]]
dpd_to = 90
round = 1
rate = "0.185"

[[tier]]
dpd_to = 90
round_from = 2
rate = 0.2

[[tier]]
dpd_from = 91
product = "card"
rate = "0.3"

[[tier]]
dpd_from = 91
dpd_to = 720
rate = "0.35"
"""
MODES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}


def lines(*rows: tuple[int, int, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["gross_minor", "dpd", "round", "product"])


def test_the_first_tier_that_fits_gives_the_rate() -> None:
    due = commission(
        lines((1_000, 90, 1, "card"), (1_000, 0, 3, "loan"), (1_000, 91, 1, "card"), (-1_000, 720, 9, "loan")),
        Contract.parse(TIERS),
    )
    assert due["rate"].tolist() == [Decimal("0.185"), Decimal("0.2"), Decimal("0.3"), Decimal("0.35")]
    assert due["commission_minor"].tolist() == [185, 200, 300, -350]
    assert due["vat_minor"].tolist() == [11, 12, 18, -21]


def test_a_line_in_no_tier_is_an_error_and_not_a_free_collection() -> None:
    with pytest.raises(TierGap, match="721 days past due in round 1"):
        commission(lines((1_000, 721, 1, "loan")), Contract.parse(TIERS))


@given(
    st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20),
    st.integers(0, 1_000_000),
    st.sampled_from(["half_up", "half_even"]),
)
def test_commission_is_what_decimal_arithmetic_gives(amounts: list[int], millionths: int, rounding: Rounding) -> None:
    rate = Decimal(millionths) / 1_000_000
    exact = [int((amount * rate).quantize(Decimal(1), MODES[rounding])) for amount in amounts]
    assert charged(np.array(amounts), millionths, rounding).tolist() == exact


@given(st.integers(0, 10**13), st.integers(1, 10**13), st.data(), st.sampled_from(["half_up", "half_even"]))
def test_parts_of_a_reversal_take_back_the_whole(
    charge: int, gross: int, data: st.DataObject, rounding: Rounding
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, gross), max_size=5)))
    upto = np.array([0, *cuts, gross])
    whole = np.full(len(upto), gross)
    back = np.diff(portion(np.full(len(upto), charge), upto, whole, rounding))
    assert back.sum() == charge
    assert (back >= 0).all()


def test_a_day_has_the_terms_of_the_last_contract_that_began() -> None:
    days = pd.Series(pd.to_datetime(["2025-12-31", "2026-01-01", "2026-05-31", "2026-06-01"]))
    assert terms_on(days, [date(2026, 1, 1), date(2026, 6, 1)]).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("currency = ", "not TOML"),
        ('currency = "CNY"', "no tier"),
        ('[[tier]]\nrate = "0.1"', "no currency"),
        ('currency = "yuan"\n[[tier]]\nrate = "0.1"', "ISO 4217"),
        ('currency = "CNY"\nvat = "0.06"\n[[tier]]\nrate = "0.1"', "unknown terms in the contract: vat"),
        ('currency = "CNY"\n[[tier]]\nrate = "0.1"\ndays = 3', "unknown terms in tier 1: days"),
        ('currency = "CNY"\n[[tier]]\ndpd_to = 3', "tier 1 has no rate"),
        ('currency = "CNY"\n[[tier]]\nrate = "1.1"', "not a rate"),
        ('currency = "CNY"\n[[tier]]\nrate = "0.1234567"', "not a rate"),
        ('currency = "CNY"\n[[tier]]\nrate = "NaN"', "not a rate"),
        ('currency = "CNY"\n[[tier]]\nrate = "ten"', "not a rate"),
        ('currency = "CNY"\nremits = "both"\n[[tier]]\nrate = "0.1"', "not one of gross, net"),
        ('currency = "CNY"\ntail_days = -1\n[[tier]]\nrate = "0.1"', "not a whole number"),
        ('currency = "CNY"\nfees = "per_line"\n[[tier]]\nrate = "0.1"', "exclude each other"),
        ('currency = "CNY"\ntier = 3', "list of tables"),
        ('currency = "CNY"\npayer_accounts = "X"\n[[tier]]\nrate = "0.1"', "not a list"),
        ('currency = "CNY"\ndirect_payments = 1\n[[tier]]\nrate = "0.1"', "neither true nor false"),
    ],
)
def test_terms_that_cannot_be_read_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ContractFault, match=said):
        Contract.parse(text)

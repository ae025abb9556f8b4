from __future__ import annotations

from decimal import Decimal

import pytest

from models.instalments.limits import GRADES, Limits, LimitsInvalid, load, shipped
from models.packaged import text

SHIPPED = text("models.instalments", "shipped", "cn-default")


def test_shipped_limits_have_a_tier_for_every_grade_and_two_people_may_allow_more_than_one() -> None:
    for name in shipped():
        found = load(name)
        for ability in GRADES:
            for willingness in GRADES:
                tier = found.tier(ability, willingness)
                assert tier.beyond.max_months >= tier.within.max_months
                assert tier.beyond.max_discount >= tier.within.max_discount
                assert tier.beyond.min_instalment <= tier.within.min_instalment


def test_who_hardly_can_gets_longer_than_who_can_and_who_wants_to_gets_more_than_who_does_not() -> None:
    found = load("cn-default")
    months = [found.tier(ability, "high").within.max_months for ability in ("high", "medium", "low")]
    assert months == sorted(months)
    assert found.tier("high", "low").within.max_months < found.tier("high", "high").within.max_months
    assert found.tier("low", "low").beyond.max_discount < found.tier("low", "high").beyond.max_discount


@pytest.mark.parametrize(
    ("was", "is_", "told"),
    [
        ('version = "1"', 'version = "1"\ncolour = 1', "unknown colour"),
        ("high_from = 4", "high_from = 1", "medium_from is not below high_from"),
        ("payment = 1,", "payments = 1,", "unknown points payments"),
        ("payment = 1,", "payment = 1.5,", "points are whole numbers"),
        ('high_balance_to = "5000"', 'high_balance_to = "50000"', "bounds of medium are below"),
        ('high_balance_to = "5000"', 'high_balance_to = "a lot"', "no number from 0 on"),
        ("max_months = 3,", "max_months = 30,", "two people may allow less than one"),
        ('max_discount = "0.30"', 'max_discount = "1.30"', "a discount is a part of the balance"),
        ("max_months = 3,", "max_months = 3, max_years = 1,", "unknown max_years"),
        (
            "[[tier]]                        # all others\n",
            "[[tier]]\nability = ['medium']\n",
            "no tier is for ability",
        ),
        ("[ability]", "[abilities]", "ability is missing"),
    ],
)
def test_limits_that_cannot_be_applied_are_refused_with_their_key(was: str, is_: str, told: str) -> None:
    assert was in SHIPPED
    with pytest.raises(LimitsInvalid, match=told) as refused:
        Limits.parse(SHIPPED.replace(was, is_))
    assert refused.value.fix


def test_an_instalment_has_its_least_in_the_currency_s_own_units() -> None:
    within = load("cn-default").tier("high", "low").within
    assert (within.minor("CNY"), within.minor("JPY"), within.minor("KWD")) == (20_000, 200, 200_000)
    assert within.max_discount == Decimal(0)

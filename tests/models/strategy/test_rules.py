from __future__ import annotations

from decimal import Decimal

import pytest

from models.strategy.difference import differences
from models.strategy.rules import EXHAUSTED, Strategy, StrategyInvalid, When, level_of, load, shipped

LEAST = """
name = "ours"
version = "1"

[[stage]]
stage = "reminder"
by = "in_house"

[[stage]]
stage = "phone"
by = "agency"
needs = ["phone"]

[[rule]]
id = "all"
to = "phone"
"""


def test_every_shipped_strategy_begins_in_house_and_softly() -> None:
    assert shipped() == ("cn-soft-first", "reminders-then-phone")
    for one in map(load, shipped()):
        assert one.soft_first
        assert (one.stages[0].stage, one.stages[0].by) == ("reminder", "in_house")
        assert one.stages[0].least_days > 0


@pytest.mark.parametrize(
    ("was", "is_", "told"),
    [
        ('version = "1"', "", "version is missing"),
        ('version = "1"', 'version = "1"\ncolour = "red"', "unknown colour"),
        ('to = "phone"', 'to = "legal"', "no \\[\\[stage\\]\\] says who works it"),
        ('to = "phone"', 'to = "phone"\nskip_soft = true', "need a reason"),
        ('to = "phone"', 'to = "phone"\nback = "yes"', "must be true or false"),
        ('to = "phone"', 'to = "phone"\nproducts = []', "names nothing"),
        ('to = "phone"', 'to = "phone"\nround_from = 0', "below 1"),
        ('to = "phone"', 'to = "phone"\ndpd_from = 9\ndpd_to = 3', "dpd_from is above dpd_to"),
        ('to = "phone"', 'to = "phone"\nbalance_from = "much"', "no number from 0 on"),
        ('to = "phone"', 'to = "phone"\n[[rule]]\nid = "all"\nto = "reminder"', "two rules are called all"),
        ('to = "phone"', 'to = "phone"\n[[rule]]\nid = "more"\nto = "reminder"', "more is never reached"),
        ('to = "phone"', 'to = "phone"\n[[recall]]\nid = "any"\nreason = "term"', "take everything back"),
        ('to = "phone"', 'to = "phone"\n[[recall]]\nid = "any"\nreason = "spite"\nheld_days = 1', "reason is 'spite'"),
        ('stage = "reminder"', 'stage = "field"', "softest first"),
        ('by = "in_house"', 'by = "in_house"\nterm_days = 9', "a stage in house has no agencies"),
        ('name = "ours"', 'name = "Ours!"', "not of the form"),
        ('version = "1"', 'version = "1"\nlenders = ["Bad Name"]', "no lender's code"),
        ('id = "all"', "id = 3", "wrong type"),
        ('name = "ours"', "name = ours", "not TOML"),
    ],
)  # fmt: skip
def test_a_strategy_that_cannot_work_is_refused_with_its_key(was: str, is_: str, told: str) -> None:
    assert was in LEAST
    with pytest.raises(StrategyInvalid, match=told) as refused:
        Strategy.parse(LEAST.replace(was, is_))
    assert refused.value.fix


def test_a_condition_covers_what_is_narrower_and_nothing_else() -> None:
    wide = When(products=("card", "loan"), dpd_from=30)
    assert wide.covers(When(products=("card",), dpd_from=30, dpd_to=60))
    assert not wide.covers(When(dpd_from=31))
    assert not wide.covers(When(products=("card",)))
    assert When().covers(wide)
    assert not When(balance_to=Decimal(10)).covers(When(balance_to=Decimal(11)))


def test_bounds_of_a_balance_count_to_the_inside_in_every_currency() -> None:
    when = When(balance_from=Decimal("10.505"), balance_to=Decimal("20.505"))
    assert when.minor("CNY") == (1051, 2050)
    assert when.minor("JPY") == (11, 20)
    assert when.minor("KWD") == (10505, 20505)


def test_a_placement_is_primary_secondary_tertiary_by_its_round_and_legal_by_its_stage() -> None:
    levels = [level_of("phone", number) for number in (1, 2, 3, 4)]
    assert levels == ["primary", "secondary", "tertiary", EXHAUSTED]
    assert level_of("legal", 1) == level_of("legal", 9) == "legal"


def test_a_difference_names_what_is_new_gone_or_changed_and_nothing_else() -> None:
    before = Strategy.parse(LEAST)
    after = Strategy.parse(
        LEAST.replace('needs = ["phone"]', "").replace('to = "phone"', 'to = "phone"\ndpd_from = 31')
        + '[[recall]]\nid = "late"\nreason = "performance"\nno_payment_days = 60\n'
    )
    told = {(one.part, one.id): (one.before, one.after) for one in differences(before, after)}
    assert set(told) == {("stage", "phone"), ("rule", "all"), ("recall", "late")}
    assert told["rule", "all"] == ("1. any → phone", "1. dpd 31+ → phone")
    assert told["recall", "late"] == ("", "1. no payment in 60 days → performance")
    assert differences(before, before) == []


def test_the_order_of_rules_is_a_difference_for_the_first_that_fits_counts() -> None:
    narrow = '[[rule]]\nid = "{}"\nto = "phone"\nbuckets = ["{}"]\n'
    head = LEAST[: LEAST.index("[[rule]]")]
    one = Strategy.parse(head + narrow.format("aa", "M1") + narrow.format("bb", "M2"))
    other = Strategy.parse(head + narrow.format("bb", "M2") + narrow.format("aa", "M1"))
    assert [each.id for each in differences(one, other)] == ["bb", "aa"]

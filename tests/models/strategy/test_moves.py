from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.release import STAGES
from models.strategy.moves import FITS, NO_RULE, NOT_BACK, NOT_YET, NOTHING_OWED, SOFTER_FIRST, STAYS, Moves, moves
from models.strategy.rules import NEW, Strategy

TODAY = date(2026, 11, 22)
HEAD = """
name = "ours"
version = "1"
[[stage]]
stage = "reminder"
by = "in_house"
least_days = 10
[[stage]]
stage = "phone"
by = "agency"
least_days = 30
[[stage]]
stage = "field"
by = "agency"
"""
NO_HOLDS = pd.DataFrame({
    "debtor_id": pd.Series(dtype="int64"), "account_id": pd.Series(dtype="Int64"), "reason": pd.Series(dtype="str"),
})  # fmt: skip
NONE_OUT = pd.DataFrame({"account_id": pd.Series(dtype="int64"), "state": pd.Series(dtype="str")})


def strategy(rules: str, head: str = HEAD) -> Strategy:
    return Strategy.parse(head + rules)


def accounts(*rows: dict[str, Any]) -> pd.DataFrame:
    """One row per account; `days` is how long it has been in its stage."""
    plain = {
        "product": "card", "currency": "CNY", "balance_minor": 100_00, "dpd": 60, "bucket": "M3", "score_band": None,
        "status": "open", "rounds": 0, "version": 1, "stage": NEW, "days": None,
    }  # fmt: skip
    frame = pd.DataFrame([{"account_id": n, "debtor_id": n, **plain, **row} for n, row in enumerate(rows, 1)])
    since = pd.Timestamp(TODAY) - pd.to_timedelta(pd.to_numeric(frame.pop("days")), unit="D")
    return frame.assign(since=since.astype("datetime64[us]")).astype({"score_band": "str"})


def go(rules: str, *rows: dict[str, Any], head: str = HEAD) -> Moves:
    return moves(strategy(rules, head), accounts(*rows), NO_HOLDS, NONE_OUT, TODAY)


def where(found: Moves) -> dict[int, tuple[str, str]]:
    lines = found.lines
    return dict(zip(lines["account_id"], zip(lines["to_stage"], lines["why"], strict=True), strict=True))


def left(found: Moves) -> dict[int, str]:
    return dict(zip(found.left["account_id"], found.left["reason"], strict=True))


TO_FIELD = '[[rule]]\nid = "hard"\nto = "field"\n'


def test_a_new_account_begins_with_the_softest_stage_whatever_its_rule_says() -> None:
    assert where(go(TO_FIELD, {})) == {1: ("reminder", SOFTER_FIRST)}


def test_an_account_stays_in_house_for_its_time_and_then_goes_one_stage_on() -> None:
    found = go(TO_FIELD, {"stage": "reminder", "days": 9}, {"stage": "reminder", "days": 10})
    assert left(found) == {1: NOT_YET}
    assert where(found) == {2: ("phone", SOFTER_FIRST)}


def test_what_came_back_before_its_time_in_the_stage_is_placed_there_again() -> None:
    found = go(TO_FIELD, {"stage": "phone", "days": 29, "rounds": 1}, {"stage": "phone", "days": 30, "rounds": 1})
    assert where(found) == {1: ("phone", NOT_YET), 2: ("field", FITS)}


def test_a_rule_with_a_reason_passes_over_softer_stages_and_their_time() -> None:
    hurry = TO_FIELD + 'skip_soft = true\nbecause = "limitation ends"\n'
    assert where(go(hurry, {}, {"stage": "reminder", "days": 0})) == {1: ("field", FITS), 2: ("field", FITS)}


def test_nothing_goes_back_to_a_softer_stage_unless_the_rule_says_so() -> None:
    soft = '[[rule]]\nid = "soft"\nto = "reminder"\n'
    assert where(go(soft, {"stage": "field", "days": 90})) == {1: ("field", NOT_BACK)}
    allowed = soft + 'back = true\nbecause = "they began to pay"\n'
    assert where(go(allowed, {"stage": "field", "days": 90})) == {1: ("reminder", FITS)}


def test_without_soft_first_a_rule_leads_straight_to_its_stage() -> None:
    head = HEAD.replace('version = "1"', 'version = "1"\nsoft_first = false')
    assert where(go(TO_FIELD, {}, head=head)) == {1: ("field", FITS)}


def test_who_is_held_placed_paid_or_owes_nothing_is_left_with_the_reason() -> None:
    holds = pd.DataFrame({"debtor_id": [1], "account_id": pd.array([None], dtype="Int64"), "reason": ["complaint"]})
    out = pd.DataFrame({"account_id": [2, 3], "state": ["placed", "in_plan"]})
    book = accounts({}, {}, {}, {"status": "paid"}, {"balance_minor": 0}, {"bucket": "M9"})
    rule = '[[rule]]\nid = "some"\nto = "phone"\nbuckets = ["M3"]\n'
    found = moves(strategy(rule), book, holds, out, TODAY)
    assert found.lines.empty
    assert left(found) == {1: "hold:complaint", 2: "placed", 3: "in_plan", 4: "paid", 5: NOTHING_OWED, 6: NO_RULE}


def test_an_account_where_it_should_be_in_house_is_left_and_one_back_from_an_agency_is_placed_again() -> None:
    rules = (
        '[[rule]]\nid = "low"\nto = "reminder"\ndpd_to = 30\n'
        '[[rule]]\nid = "rest"\nto = "phone"\nround_to = 3\n'
    )  # fmt: skip
    found = go(
        rules,
        {"stage": "reminder", "dpd": 20, "days": 40},
        {"stage": "phone", "rounds": 1, "days": 90},
        {"stage": "phone", "rounds": 3, "days": 90},
    )
    assert where(found) == {2: ("phone", FITS)}
    assert left(found) == {1: STAYS, 3: NO_RULE}


def test_a_balance_band_is_held_in_each_currency_s_own_units() -> None:
    rule = '[[rule]]\nid = "large"\nto = "reminder"\nbalance_from = "1000"\n'
    found = go(
        rule,
        {"balance_minor": 1000_00}, {"balance_minor": 999_99}, {"balance_minor": 1000, "currency": "JPY"},
        {"balance_minor": 999_999, "currency": "KWD"},
    )  # fmt: skip
    assert set(where(found)) == {1, 3}


def test_the_hash_is_of_the_moves_whatever_the_order_of_the_accounts() -> None:
    book = accounts(*({"dpd": number} for number in range(40)))
    rules = '[[rule]]\nid = "aa"\nto = "reminder"\ndpd_from = 10\n'
    one = moves(strategy(rules), book, NO_HOLDS, NONE_OUT, TODAY)
    other = moves(strategy(rules), book.sample(frac=1, random_state=3), NO_HOLDS, NONE_OUT, TODAY)
    assert one.sha256 == other.sha256
    changed = moves(strategy(rules), book.assign(version=2), NO_HOLDS, NONE_OUT, TODAY)
    assert changed.sha256 != one.sha256


RANK = {NEW: -1, **{stage: place for place, stage in enumerate(STAGES)}}


@settings(max_examples=40)
@given(
    st.lists(
        st.fixed_dictionaries({
            "stage": st.sampled_from([NEW, *STAGES]), "days": st.integers(0, 60), "rounds": st.integers(0, 5),
            "dpd": st.integers(0, 400), "balance_minor": st.integers(0, 10**7),
        }),
        min_size=1, max_size=30,
    ),
    st.lists(st.sampled_from(["reminder", "phone", "field"]), min_size=1, max_size=3),
)  # fmt: skip
def test_every_account_is_moved_or_left_once_and_never_more_than_one_stage_harder(
    rows: list[dict[str, Any]], targets: list[str]
) -> None:
    rules = "".join(f'[[rule]]\nid = "r{n}"\nto = "{to}"\ndpd_from = {300 - 100 * n}\n' for n, to in enumerate(targets))
    book = accounts(*rows)
    found = moves(strategy(rules), book, NO_HOLDS, NONE_OUT, TODAY)
    assert sorted([*found.lines["account_id"], *found.left["account_id"]]) == list(book["account_id"])
    own = ["reminder", "phone", "field"]
    lines = found.lines
    for from_stage, to_stage, days in zip(lines["from_stage"], lines["to_stage"], lines["days"], strict=True):
        here, there = RANK[from_stage], RANK[to_stage]
        assert there >= here
        between = [stage for stage in own if here < RANK[stage] < there]
        assert not between, "a softer stage was passed over"
        if there > here:
            assert days >= {"reminder": 10, "phone": 30}.get(from_stage, 0)

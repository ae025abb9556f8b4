from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from models.strategy.cascade import BROKEN, RUNNING, content_sha256, recalls
from models.strategy.rules import Strategy, load

TODAY = date(2026, 11, 22)


def placements(*rows: dict[str, Any]) -> pd.DataFrame:
    """One row per placement; days are how long ago it was placed, last paid and last worked."""
    plain = {
        "lender": "harbour", "agency": "quayside", "product": "card", "bucket": "M3", "stage": "phone", "round": 1,
        "placed": 10, "paid": None, "worked": 1, "plan": None,
    }  # fmt: skip
    frame = pd.DataFrame([{"placement_id": n, "account_id": n, **plain, **row} for n, row in enumerate(rows, 1)])
    for column, days in (("placed_on", "placed"), ("last_paid_on", "paid"), ("last_activity_on", "worked")):
        ago = pd.to_timedelta(pd.to_numeric(frame.pop(days)), unit="D")
        frame[column] = (pd.Timestamp(TODAY) - ago).astype("datetime64[us]")
    return frame.astype({"plan": "str"})


def taken(*rows: dict[str, Any], strategy: Strategy | None = None) -> dict[int, tuple[str, str]]:
    found = recalls(strategy or load("cn-soft-first"), placements(*rows), TODAY)
    return dict(zip(found["placement_id"], zip(found["rule"], found["reason"], strict=True), strict=True))


def test_a_first_placement_comes_back_when_nobody_paid_for_so_long_since_it_was_placed_or_last_paid() -> None:
    assert taken(
        {"placed": 89}, {"placed": 90}, {"placed": 200, "paid": 89}, {"placed": 200, "paid": 90},
        {"placed": 90, "paid": 300},
    ) == {
        2: ("primary-without-payment", "performance"),
        3: ("term", "term"),
        4: ("primary-without-payment", "performance"),
        5: ("primary-without-payment", "performance"),
    }  # fmt: skip


def test_a_placement_that_nobody_works_comes_back() -> None:
    assert taken({"placed": 30, "worked": None}, {"placed": 29, "worked": None}, {"placed": 60, "worked": 30}) == {
        1: ("not-worked", "no_activity"),
        3: ("not-worked", "no_activity"),
    }


def test_a_broken_instalment_plan_brings_it_back_and_a_running_one_keeps_it_whatever_else_is_so() -> None:
    assert taken({"plan": BROKEN}, {"plan": RUNNING, "placed": 400, "worked": None}) == {
        1: ("broken-plan", "plan_broken")
    }


def test_what_the_law_works_is_taken_back_for_being_left_alone_only() -> None:
    assert taken({"stage": "legal", "placed": 300}) == {}


def test_each_placement_says_how_long_it_was_held_and_which_turn_it_was() -> None:
    found = recalls(load("cn-soft-first"), placements({"round": 2, "placed": 70, "paid": 65, "worked": 3}), TODAY)
    row = found.iloc[0]
    assert (row["level"], row["days_held"], row["days_without_payment"], row["days_without_activity"]) == (
        "secondary", 70, 65, 3,
    )  # fmt: skip


def test_every_condition_of_a_rule_must_hold() -> None:
    rule = (
        'name = "ours"\nversion = "1"\n[[stage]]\nstage = "phone"\nby = "agency"\n[[rule]]\nid = "any"\nto = "phone"\n'
        '[[recall]]\nid = "both"\nreason = "term"\nheld_days = 60\nno_payment_days = 30\nproducts = ["card"]\n'
    )
    strategy = Strategy.parse(rule)
    rows: list[dict[str, Any]] = [
        {"placed": 60}, {"placed": 60, "paid": 29}, {"placed": 59}, {"placed": 60, "product": "loan"},
    ]  # fmt: skip
    assert taken(*rows, strategy=strategy) == {1: ("both", "term")}


def test_the_hash_changes_with_a_placement_a_reason_or_the_stage_that_comes_next() -> None:
    one = recalls(load("cn-soft-first"), placements({"placed": 100}, {"placed": 100}), TODAY)
    one = one.assign(next_stage="phone")
    whole = content_sha256(one)
    assert content_sha256(one.iloc[:1]) != whole
    assert content_sha256(one.assign(next_stage="field")) != whole
    assert content_sha256(one.copy()) == whole

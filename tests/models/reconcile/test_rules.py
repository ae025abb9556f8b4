"""Each rule alone: what it ties, what it leaves, and what it says about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.reconcile.cash import Outcome
from models.reconcile.outcome import REASONS, RIVALS_KEPT, VERSIONS

Tied = Callable[..., Outcome]


def rules(outcome: Outcome, status: str = "confirmed") -> list[str]:
    return sorted(outcome.matches.loc[outcome.matches["status"] == status, "rule"])


def state(outcome: Outcome) -> dict[int, str]:
    return dict(zip(outcome.lines["line_id"].tolist(), outcome.lines["state"], strict=True))


def why(outcome: Outcome, side: str = "line") -> dict[int, tuple[Any, ...]]:
    frame = (outcome.line_why if side == "line" else outcome.receipt_why).astype("object")
    rows = frame.where(frame.notna(), None).itertuples(index=False, name=None)
    return {int(row[0]): row[1:] for row in rows}


# --- reversal -----------------------------------------------------------------------------------------------------


def test_a_reversal_of_a_part_leaves_the_rest_awaited_and_its_money_completes_it(tied: Tied) -> None:
    lines = [{"net": 500, "txn": "T1"}, {"net": -200, "txn": "R1", "of": 0}]
    waiting = tied(lines, [])
    assert (state(waiting), rules(waiting)) == ({1: "part_matched", 2: "matched"}, ["reversal"])
    assert why(waiting)[1] == ("part", 300, None, None)
    paid = tied(lines, [{"amount": 300, "ref": "T1"}])
    assert (state(paid), rules(paid)) == ({1: "matched", 2: "matched"}, ["exact", "reversal"])
    assert paid.lines["paid_minor"].tolist() == [500, -200]


def test_a_part_is_not_undone_against_money_that_came_whole(tied: Tied) -> None:
    lines = [{"net": 500, "txn": "T1"}, {"net": -200, "txn": "R1", "of": 0}]
    outcome = tied(lines, [{"amount": 500, "ref": "T1"}])
    assert (state(outcome), rules(outcome)) == ({1: "matched"}, ["exact"])


def test_parts_that_undo_the_whole_leave_nothing_to_wait_for(tied: Tied) -> None:
    lines = [{"net": 500, "txn": "T1"}, {"net": -200, "txn": "R1", "of": 0}, {"net": -300, "txn": "R2", "of": 0}]
    assert state(tied(lines, [])) == {1: "reversed", 2: "matched", 3: "matched"}


# --- the fee that was taken off -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("lines", "ref"), [
    ([{"net": 1_000, "fee": 106, "batch": "B1"}, {"net": 500, "fee": 53, "batch": "B1"}], "B1"),
    ([{"net": 1_500, "fee": 159, "txn": "T1"}], "T1"),
])  # fmt: skip
def test_money_less_the_fee_pays_in_part_and_the_fee_is_named(tied: Tied, lines: Any, ref: str) -> None:
    outcome = tied(lines, [{"amount": 1_341, "ref": ref}])
    assert set(state(outcome).values()) == {"part_matched"}
    assert outcome.breaks[["code", "amount_minor"]].to_numpy().tolist() == [["fee_netted", 159]]
    assert outcome.breaks["detail"].tolist() == ['{"expected_minor":1500,"found_minor":1341}']


# --- exchanged references -----------------------------------------------------------------------------------------


def test_exchanged_references_are_suggested_crosswise_and_pay_nothing(tied: Tied) -> None:
    outcome = tied(
        [{"net": 700, "txn": "T1"}, {"net": 900, "txn": "T2", "account": 2}],
        [{"amount": 900, "ref": "T1"}, {"amount": 700, "ref": "T2"}],
    )
    assert (rules(outcome), rules(outcome, "suggested"), state(outcome)) == ([], ["near", "near"], {})
    by_match = outcome.parts.groupby("match")["amount_minor"].nunique()
    assert (by_match == 1).all()
    assert outcome.breaks["code"].tolist() == ["ambiguous", "ambiguous"]
    assert {reason[0] for reason in why(outcome).values()} == {"suggested"}


# --- pool ---------------------------------------------------------------------------------------------------------


def test_a_days_lines_are_paid_by_one_nameless_sum(tied: Tied) -> None:
    lines = [{"net": 711, "txn": "T1"}, {"net": 313, "txn": "T2"}, {"net": 5, "txn": "T3", "day": 9}]
    outcome = tied(lines, [{"amount": 1_024, "day": 3}])
    assert (rules(outcome), state(outcome)) == (["pool"], {1: "matched", 2: "matched"})


def test_a_days_lines_are_paid_by_a_days_nameless_receipts(tied: Tied) -> None:
    outcome = tied([{"net": 711}, {"net": 313}, {"net": 6}], [{"amount": 900, "day": 3}, {"amount": 130, "day": 3}])
    assert rules(outcome) == ["pool"]
    assert outcome.receipts["state"].tolist() == ["matched", "matched"]


@pytest.mark.parametrize("more", [[{"net": 1_000, "day": 2}, {"net": 24, "day": 2}], []], ids=["pools", "receipts"])
def test_a_total_that_fits_twice_is_nobodys(tied: Tied, more: Any) -> None:
    receipts = [{"amount": 1_024, "day": 3}] * (1 if more else 2)
    assert rules(tied([{"net": 711}, {"net": 313}, *more], receipts)) == []


def test_a_receipt_that_names_another_line_pays_no_pool(tied: Tied) -> None:
    lines = [{"net": 711}, {"net": 313}, {"net": 9_999, "txn": "T9", "day": 20}]
    outcome = tied(lines, [{"amount": 1_024, "ref": "T9", "day": 3}])
    assert rules(outcome) == []
    assert why(outcome, "receipt")[1][0] == "outside_window"


# --- subset -------------------------------------------------------------------------------------------------------

ODD = [1_000_003, 2_500_007, 4_100_011, 7_300_013]


def apart(amounts: list[int], **more: Any) -> list[dict[str, Any]]:
    """Lines on days of their own, so that no day is a pool."""
    return [{"net": one, "txn": f"T{at}", "day": 1 + at % 5, "account": at} | more for at, one in enumerate(amounts)]


def test_the_only_sum_that_fits_is_tied(tied: Tied) -> None:
    outcome = tied(apart(ODD), [{"amount": ODD[0] + ODD[2], "day": 6}])
    assert (rules(outcome), state(outcome)) == (["subset"], {1: "matched", 3: "matched"})


def test_one_line_of_the_same_amount_is_suggested_alone(tied: Tied) -> None:
    outcome = tied(apart(ODD), [{"amount": ODD[1], "day": 6}])
    assert (rules(outcome), rules(outcome, "suggested")) == ([], ["subset"])


def test_two_sums_that_fit_are_left_and_counted(tied: Tied) -> None:
    outcome = tied(apart([1_000_003, 2_000_007, 1_500_000, 1_500_010]), [{"amount": 3_000_010, "day": 6}])
    assert rules(outcome) == []
    assert why(outcome, "receipt")[1] == ("several_sums", None, None, 2)


def test_two_receipts_that_claim_one_line_get_nothing(tied: Tied) -> None:
    receipts = [{"amount": ODD[0] + ODD[1], "day": 6}, {"amount": ODD[1] + ODD[2], "day": 6}]
    assert rules(tied(apart(ODD), receipts)) == []


@pytest.mark.parametrize("lines", [15, 18])
def test_in_a_pool_of_more_than_fourteen_nothing_is_tied_without_a_person(tied: Tied, lines: int) -> None:
    amounts = np.random.default_rng(lines).integers(10**9, 10**12, lines).tolist()
    outcome = tied(apart(amounts), [{"amount": amounts[2] + amounts[7], "day": 6}])
    assert (rules(outcome), rules(outcome, "suggested")) == ([], ["subset"])


def test_of_a_pool_of_hundreds_it_says_how_many_lie_there(tied: Tied) -> None:
    outcome = tied(apart(list(range(10_001, 10_301))), [{"amount": 20_003, "day": 6}])
    assert rules(outcome) == []
    assert why(outcome, "receipt")[1] == ("no_reference", None, None, 300)


def test_round_amounts_prove_less(tied: Tied) -> None:
    outcome = tied(apart([100_000, 250_000, 430_000]), [{"amount": 350_000, "day": 6}])
    assert (rules(outcome), rules(outcome, "suggested")) == ([], ["subset"])


# --- why, and what else -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lines", "receipts", "line", "receipt"), [
    ([{"net": 5, "txn": "T1"}], [], "no_receipt_names_it", None),
    ([{"net": 5}], [], "names_nothing", None),
    ([{"net": 5, "batch": "B"}, {"net": 7, "batch": "B"}], [{"amount": -3, "ref": "B"}], "amount_differs",
     "amount_differs"),
    ([{"net": 50, "txn": "T1"}], [{"amount": 49, "ref": "T1", "day": 90}], "outside_window", "outside_window"),
    ([{"net": 5, "txn": "T1"}, {"net": 5, "txn": "T1", "account": 2}], [{"amount": 5, "ref": "T1"}], "several_equal",
     "several_equal"),
    ([{"net": 5, "txn": "T1"}] * 2, [{"amount": 5, "ref": "T1"}], "taken", None),
    ([{"net": 5, "txn": "T1"}], [{"amount": 5, "ref": "T1"}] * 2, None, "taken"),
    ([], [{"amount": 5}], None, "no_reference"),
    ([{"net": 5, "txn": "T1", "day": 60}], [{"amount": 5, "ref": "T9"}], "no_receipt_names_it", "unknown_reference"),
    ([{"net": 9, "batch": "B"}], [{"amount": 5, "ref": "B"}], "suggested", "suggested"),
    ([{"net": 9, "txn": "T1"}], [{"amount": 12, "ref": "T1"}], None, "part"),
])  # fmt: skip
def test_what_is_open_says_why(tied: Tied, lines: Any, receipts: Any, line: str | None, receipt: str | None) -> None:
    outcome = tied(lines, receipts)
    said = {reason[0] for reason in why(outcome).values()}, {reason[0] for reason in why(outcome, "receipt").values()}
    assert said == ({line} - {None}, {receipt} - {None})
    assert (said[0] | said[1]) <= set(REASONS)


def test_the_figures_of_a_difference_are_money_days_and_how_many(tied: Tied) -> None:
    receipts = [{"amount": 49, "ref": "T1", "day": 91}, {"amount": 2, "ref": "T1", "day": 80}]
    outcome = tied([{"net": 50, "txn": "T1"}], receipts)
    assert why(outcome)[1] == ("outside_window", None, 90, 2)


def test_a_match_keeps_the_best_that_it_was_preferred_to(tied: Tied) -> None:
    lines = [{"net": 100 + at, "txn": "T1", "account": 1} for at in range(6)]
    receipts = [{"amount": 100 + at, "ref": "T1", "day": 2 + at} for at in range(6)]
    outcome = tied(lines, receipts)
    assert rules(outcome) == ["exact"] * 6
    assert set(outcome.matches["candidates"]) == {6}
    first = outcome.rivals[outcome.rivals["match"] == outcome.matches.loc[0, "match"]]
    money = first[first["receipt_id"].notna()]
    assert len(money) == RIVALS_KEPT
    assert money["off_minor"].abs().tolist() == sorted(money["off_minor"].abs())
    assert not {(row.match, row.receipt_id) for row in money.itertuples()} & {
        (row.match, row.receipt_id) for row in outcome.parts.itertuples()
    }


def test_every_match_says_its_rule_and_version(tied: Tied) -> None:
    outcome = tied([{"net": 5, "txn": "T1"}], [{"amount": 5, "ref": "T1"}])
    assert outcome.matches[["rule", "rule_version"]].to_numpy().tolist() == [["exact", VERSIONS["exact"]]]

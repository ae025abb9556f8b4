"""The laws of matching, on small worlds full of equal references and amounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.reconcile.cash import Outcome, Terms, matched

World = tuple[pd.DataFrame, pd.DataFrame]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to a dozen lines and receipts of one agency; reversals undo an earlier line in full or by half."""
    amounts = st.sampled_from([100, 100, 200, 300, 301, 600])
    refs = st.sampled_from([None, "T1", "T2", "T3"])
    batches = st.sampled_from([None, None, "B1", "B2"])
    days, accounts = st.integers(1, 28), st.integers(1, 3)
    lines: list[dict[str, Any]] = [
        {
            "net": draw(amounts),
            "txn": draw(refs),
            "batch": draw(batches),
            "account": draw(accounts),
            "day": draw(days),
            "fee": draw(st.sampled_from([0, 0, 10])),
        }
        for _ in range(draw(st.integers(0, 8)))
    ]
    undone = draw(st.sets(st.integers(0, len(lines) - 1), max_size=2)) if lines else set()
    back = [
        lines[at]
        | {"net": -lines[at]["net"] // draw(st.sampled_from([1, 1, 2])), "txn": f"R{at}", "of": at, "fee": 0,
           "batch": draw(batches)}
        for at in sorted(undone)
    ]  # fmt: skip
    sums = st.sampled_from([100, 200, 300, 90, 290, 500, 800, 900])
    receipts = [
        {"amount": draw(amounts | sums) * draw(st.sampled_from([1, 1, 1, -1])), "reference": draw(st.sampled_from(
            [None, "T1", "T2", "T3", "B1", "B2", "b1", "pay B2 now", "R0"])), "day": draw(days)}
        for _ in range(draw(st.integers(0, 8)))
    ]  # fmt: skip
    return frame_of_lines(lines + back), frame_of_receipts(receipts)


def frame_of_lines(rows: list[dict[str, Any]]) -> pd.DataFrame:
    number = np.arange(1, len(rows) + 1)
    return pd.DataFrame({
        "line_id": number, "content_id": pd.Series([f"{one:032x}" for one in number * 7919 % 104729], dtype="str"),
        "account_id": pd.array([row["account"] for row in rows], dtype="Int64"),
        "original_line_id": pd.array([row.get("of", -1) + 1 or pd.NA for row in rows], dtype="Int64"),
        "txn_ref": pd.Series([row["txn"] for row in rows], dtype="str"),
        "batch_ref": pd.Series([row["batch"] for row in rows], dtype="str"),
        "value_date": pd.to_datetime([f"2026-04-{row['day']:02d}" for row in rows]).astype("datetime64[us]"),
        "net_minor": np.array([row["net"] for row in rows], dtype=np.int64),
        "gross_minor": np.array([row["net"] * row.get("times", 1) for row in rows], dtype=np.int64),
        "netted_minor": np.array([row["net"] - row.get("fee", 0) for row in rows], dtype=np.int64),
        "tied_minor": np.zeros(len(rows), dtype=np.int64),
        "agency": pd.Series(["alpha"] * len(rows), dtype="str"),
        "currency": pd.Series(["CNY"] * len(rows), dtype="str"),
    })  # fmt: skip


def frame_of_receipts(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame({
        "receipt_id": np.arange(1, len(rows) + 1),
        "reference": pd.Series([row["reference"] for row in rows], dtype="str"),
        "value_date": pd.to_datetime([f"2026-05-{row['day']:02d}" for row in rows]).astype("datetime64[us]"),
        "amount_minor": np.array([row["amount"] for row in rows], dtype=np.int64),
        "tied_minor": np.zeros(len(rows), dtype=np.int64),
        "agency": pd.Series(["alpha"] * len(rows), dtype="str"),
        "currency": pd.Series(["CNY"] * len(rows), dtype="str"),
    })  # fmt: skip


def confirmed(outcome: Outcome) -> pd.DataFrame:
    sure = outcome.matches.loc[outcome.matches["status"] == "confirmed", "match"]
    return outcome.parts[outcome.parts["match"].isin(sure)]


@given(worlds(), st.sampled_from([0, 1, 150]))
@settings(max_examples=50)
def test_both_sides_of_a_match_are_equal_and_nothing_is_allotted_twice(world: World, tolerance: int) -> None:
    lines, receipts = world
    outcome = matched(lines, receipts, Terms(tolerance_minor=tolerance))
    parts = confirmed(outcome)
    side = np.where(parts["line_id"].notna(), 1, -1)
    assert ((parts["amount_minor"] * side).groupby(parts["match"]).sum() == 0).all()
    for name, rows, whole in (("line_id", lines, "gross_minor"), ("receipt_id", receipts, "amount_minor")):
        allotted = parts.dropna(subset=[name]).groupby(name)["amount_minor"].sum()
        limit = rows.set_index(name)[whole].loc[allotted.index.astype("int64")]
        assert (allotted.abs().to_numpy() <= limit.abs().to_numpy()).all()
    assert outcome.lines["line_id"].is_unique
    assert outcome.receipts["receipt_id"].is_unique
    assert set(outcome.lines["state"]) <= {"matched", "part_matched", "reversed"}
    assert set(outcome.receipts["state"]) <= {"matched", "part_matched", "returned"}


@given(worlds(), st.sampled_from([0, 1, 150]), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_lines_and_receipts_does_not_matter(world: World, tolerance: int, random: Any) -> None:
    lines, receipts = world
    first = told(world, matched(lines, receipts, Terms(tolerance_minor=tolerance)))
    order, other = list(range(len(lines))), list(range(len(receipts)))
    random.shuffle(order)
    random.shuffle(other)
    shuffled = lines.iloc[order].reset_index(drop=True)
    renamed = {int(old): new for new, old in enumerate(shuffled["line_id"], 1)}
    shuffled["line_id"] = np.arange(1, len(lines) + 1)
    shuffled["original_line_id"] = shuffled["original_line_id"].map(renamed).astype("Int64")
    money = receipts.iloc[other].reset_index(drop=True)
    money["receipt_id"] = np.arange(1, len(receipts) + 1)
    again = told((shuffled, money), matched(shuffled, money, Terms(tolerance_minor=tolerance)))
    assert again == first


def told(world: World, outcome: Outcome) -> tuple[list[Any], list[Any], list[Any]]:
    """States and amounts by content, without the ids that arrival gave."""
    lines = outcome.lines.merge(world[0], on="line_id")
    receipts = outcome.receipts.merge(world[1], on="receipt_id")
    by_line = sorted(
        zip(lines["content_id"], lines["state"], lines["paid_minor"], lines["written_off_minor"], strict=True)
    )
    columns = [receipts["reference"].fillna(""), receipts["amount_minor"], receipts["value_date"], receipts["state"]]
    by_receipt = sorted(zip(*columns, receipts["used_minor"], strict=True))
    breaks = sorted(zip(outcome.breaks["code"], outcome.breaks["amount_minor"], strict=True))
    return by_line, by_receipt, breaks


@given(worlds(), st.sampled_from([1, 150]))
@settings(max_examples=50)
def test_a_wider_tolerance_never_undoes_an_exact_match(world: World, tolerance: int) -> None:
    lines, receipts = world
    strict, wide = matched(lines, receipts, Terms()), matched(lines, receipts, Terms(tolerance_minor=tolerance))

    def exact(outcome: Outcome) -> set[tuple[Any, ...]]:
        sure = outcome.matches[outcome.matches["rule"].isin(["reversal", "batch", "exact"])]
        return set(
            outcome.parts[outcome.parts["match"].isin(sure["match"])].fillna(0).itertuples(index=False, name=None)
        )

    assert exact(strict) == exact(wide)


@given(worlds(), st.sampled_from([0, 1, 150]))
@settings(max_examples=60)
def test_what_is_left_over_comes_to_rest(world: World, tolerance: int) -> None:
    """Feeding back what is open ends after a few rounds, with every part counted once."""
    lines, receipts = world
    rounds = 0
    while True:
        outcome = matched(lines, receipts, Terms(tolerance_minor=tolerance))
        if not (outcome.matches["status"] == "confirmed").any():
            break
        rounds += 1
        assert rounds <= len(world[0]) + len(world[1])
        lines = left(
            lines, outcome.lines.rename(columns={"paid_minor": "done"}), "line_id", ["net_minor", "gross_minor"]
        )
        receipts = left(
            receipts, outcome.receipts.rename(columns={"used_minor": "done"}), "receipt_id", ["amount_minor"]
        )


def left(rows: pd.DataFrame, changed: pd.DataFrame, key: str, amounts: list[str]) -> pd.DataFrame:
    rows = rows.merge(changed[[key, "done", "state"]], on=key, how="left")
    rows = rows[rows["state"].isna() | (rows["state"] == "part_matched")]
    for name in amounts:
        rows[name] -= rows["done"].fillna(0).astype("int64")
    return rows.drop(columns=["done", "state"]).reset_index(drop=True)


def test_batch_goes_before_exact() -> None:
    """Otherwise the lump's receipt is taken by the one line that happens to have its amount."""
    rows = [{"net": amount, "txn": None, "batch": "B1", "account": 1, "day": 1} for amount in (600, -600, 600)]
    outcome = matched(frame_of_lines(rows), frame_of_receipts([{"amount": 600, "reference": "B1", "day": 2}]), Terms())
    assert outcome.matches["rule"].tolist() == ["batch"]
    assert set(outcome.lines["state"]) == {"matched"}


def test_twins_are_matched_once_each_and_not_as_a_product() -> None:
    rows = [{"net": 100, "txn": "T1", "batch": None, "account": 1, "day": day} for day in (1, 2, 3)]
    money = [{"amount": 100, "reference": "t1 ", "day": day} for day in (1, 2)]
    outcome = matched(frame_of_lines(rows), frame_of_receipts(money), Terms())
    assert len(outcome.matches) == 2
    assert outcome.lines["line_id"].tolist() == [1, 2]

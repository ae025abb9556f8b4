"""Expected recoveries of accounts that are yet to be placed."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.scoring.book import Book
from models.scoring.inputs import CONDUCT, LINES, Inputs
from models.scoring.outlook import expected_minor, outlook
from models.scoring.parameters import standard

PLACED, AS_OF, LATER = "2026-01-01", date(2026, 1, 30), "2026-03-01"
PRODUCTS = 24


def book(spread: float, seed: int, accounts: int = 6_000) -> tuple[Book, np.ndarray, np.ndarray]:
    """Half of the accounts placed for a month, the others not yet; what each segment truly brings, per account."""
    rng = np.random.default_rng(seed)
    ids = np.arange(accounts)
    product = rng.integers(0, PRODUCTS, accounts)
    chance = 0.2 * np.exp(rng.normal(0, spread, PRODUCTS))[product]
    known = rng.random(accounts) < 0.5
    placements = pd.DataFrame({
        "placement_id": ids, "debtor_id": ids, "lender": "harbour", "agency": "lotus", "currency": "CNY",
        "product": [f"p{number:02d}" for number in product], "score_band": None, "round": 1, "balance_minor": 200_000,
        "dpd": 40, "placed_on": pd.to_datetime(np.where(known, PLACED, LATER)),
        "due_back_on": pd.Timestamp("2027-01-01"), "ended_on": pd.NaT, "end_reason": "",
    }).astype({"score_band": "str", "ended_on": "datetime64[us]"})  # fmt: skip
    paid = known & (rng.random(accounts) < chance)
    lines = pd.DataFrame({
        "placement_id": ids[paid], "agency": "lotus", "currency": "CNY", "kind": "recovery",
        "gross_minor": (rng.gamma(0.5, 40_000, int(paid.sum()))).astype("int64") + 1, "commission_minor": 0,
        "value_date": pd.Timestamp("2026-01-20"),
    })[list(LINES)]  # fmt: skip
    conduct = pd.DataFrame(columns=list(CONDUCT), dtype="int64", index=pd.Index([], name="agency"))
    return Book(Inputs(placements, lines, conduct), AS_OF, seed, standard()), chance * 20_001, known


def test_accounts_that_have_not_begun_are_expected_to_bring_what_their_segment_truly_brings() -> None:
    gaps, plain = [], []
    for seed in range(3):
        made, truth, known = book(0.3, seed)
        expected = expected_minor(made, outlook(made), 1)
        naive = made.balance_minor * made.fit.per_balance[made.segments.code].sum(axis=1)
        assert expected[~known].sum() == pytest.approx(truth[~known].sum(), rel=0.15)
        gaps.append(np.abs(expected - truth)[~known].mean())
        plain.append(np.abs(naive - truth)[~known].mean())
    assert np.mean(gaps) < np.mean(plain)


def test_segments_that_are_alike_are_pulled_together() -> None:
    made, _, _ = book(0.0, 1)
    seen = outlook(made)
    assert seen.weight_of_book.min() > 0.5
    assert np.ptp(seen.within(1)) < 0.3 * np.ptp(made.fit.per_balance.sum(axis=1))
    assert ((seen.low < seen.factor) & (seen.factor < seen.high)).all()


def test_segments_that_truly_differ_stay_apart() -> None:
    made, truth, _ = book(1.0, 2, accounts=40_000)
    expected = expected_minor(made, outlook(made), 1)
    assert np.corrcoef(expected, truth)[0, 1] > 0.95


def test_a_book_without_money_expects_none() -> None:
    made, _, _ = book(0.3, 1)
    empty = Book(Inputs(made.inputs.placements, made.inputs.lines.iloc[:0], made.inputs.conduct), AS_OF, 1, standard())
    assert expected_minor(empty, outlook(empty), 1).sum() == 0

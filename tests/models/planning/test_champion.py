"""Committed seeds, and the look whether a draw came out even."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.planning.champion import NotCommitted, balance_of, check_revealed, commitment


def lines(count: int, seed: int = 1) -> pd.DataFrame:
    """Accounts of two segments, drawn for two agencies by a fair coin."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "segment": pd.Series(np.where(np.arange(count) % 2, "a", "b"), dtype="str"),
        "agency": pd.Series(np.where(rng.random(count) < 0.5, "harbour", "quay"), dtype="str"),
        "why": "value", "probability": 0.5, "balance_minor": rng.lognormal(9, 1, count).astype(np.int64),
        "dpd": rng.integers(30, 300, count), "round": 1,
    })  # fmt: skip


def test_a_fair_draw_is_no_alert_and_an_unfair_one_is() -> None:
    fair = balance_of(lines(4_000))
    assert (fair.compared, fair.alert) == (8, False)
    loaded = lines(4_000)
    loaded["agency"] = np.where(loaded["balance_minor"] > loaded["balance_minor"].median(), "harbour", "quay")
    unfair = balance_of(loaded)
    assert unfair.alert
    assert unfair.worst[0]["of"] == "balance_minor"
    assert abs(unfair.worst[0]["difference"]) > 1


def test_what_chance_makes_uneven_in_small_arms_is_counted_as_chance() -> None:
    told = [balance_of(lines(40, seed)) for seed in range(60)]
    found, expected = sum(one.uneven for one in told), sum(one.by_chance for one in told)
    assert found == pytest.approx(expected, rel=0.2)
    assert sum(one.alert for one in told) <= 2


def test_accounts_that_were_not_drawn_are_not_compared() -> None:
    assert balance_of(lines(100).assign(why="incumbent")).compared == 0
    assert balance_of(lines(100).assign(probability=1.0)).compared == 0
    assert balance_of(lines(100).assign(probability=np.nan)).compared == 0


def test_a_seed_that_is_not_the_committed_one_is_refused() -> None:
    told = commitment("first-bank", "2026-11", 42)
    check_revealed("first-bank", "2026-11", 42, told)
    for lender, name, seed in (("first-bank", "2026-11", 43), ("first-bank", "2026-12", 42), ("lotus", "2026-11", 42)):
        with pytest.raises(NotCommitted, match="not the one whose hash was told"):
            check_revealed(lender, name, seed, told)

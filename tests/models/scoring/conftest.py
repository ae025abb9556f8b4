"""Agencies whose true effects are known, working accounts that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.scoring.inputs import CONDUCT, Inputs

START = np.datetime64("2026-01-01")
AS_OF = date(2026, 7, 1)
MONTHS = 6
Simulate = Callable[..., Inputs]


def simulated(effects: Sequence[float], accounts: int = 4000, seed: int = 1, skew: float = 0.0) -> Inputs:
    """Six months of placements with agencies ag0, ag1 …; `skew` gives the later agencies the younger debts."""
    rng = np.random.default_rng(seed)
    count = len(effects)
    agency = rng.integers(0, count, accounts)
    ages = np.array([45, 120, 400])
    young = rng.random(accounts) < 0.5 + skew * (agency / max(count - 1, 1) - 0.5)
    dpd = np.where(young, ages[0], ages[rng.integers(1, 3, accounts)])
    day = rng.integers(0, 30 * MONTHS, accounts)
    balance = np.exp(rng.normal(13, 0.8, accounts)).astype(np.int64) + 10_000
    recalled = rng.random(accounts) < 0.1
    placed = START + day
    names = np.array([f"ag{number}" for number in range(count)])
    placements = pd.DataFrame(
        {
            "placement_id": np.arange(accounts),
            "debtor_id": rng.integers(0, int(accounts * 0.85), accounts),
            "lender": pd.Series("harbour", index=range(accounts), dtype="str"),
            "agency": pd.Series(names[agency], dtype="str"),
            "currency": pd.Series("CNY", index=range(accounts), dtype="str"),
            "product": pd.Series(rng.choice(["card", "cash"], accounts), dtype="str"),
            "score_band": pd.Series(None, index=range(accounts), dtype="str"),
            "round": 1,
            "balance_minor": balance,
            "dpd": dpd,
            "placed_on": placed.astype("datetime64[us]"),
            "due_back_on": (placed + 180).astype("datetime64[us]"),
            "ended_on": np.where(recalled, placed + 60, np.datetime64("NaT")).astype("datetime64[us]"),
            "end_reason": pd.Series(np.where(recalled, "recalled", ""), dtype="str"),
        }
    )
    chance = 0.2 * np.exp(-dpd / 200) * np.asarray(effects)[agency]
    parts = []
    for month in range(MONTHS):
        paying = np.flatnonzero(rng.random(accounts) < chance * 0.8**month)
        gross = (balance[paying] * rng.beta(1, 4, len(paying))).astype(np.int64) + 1
        parts.append(
            pd.DataFrame(
                {
                    "placement_id": paying,
                    "agency": placements["agency"].to_numpy()[paying],
                    "gross_minor": gross,
                    "value_date": (placed[paying] + 30 * month + rng.integers(0, 30, len(paying))).astype(
                        "datetime64[us]"
                    ),
                }
            )
        )
    lines = pd.concat(parts, ignore_index=True)
    lines = lines[lines["value_date"] <= pd.Timestamp(AS_OF)].reset_index(drop=True)
    lines = lines.assign(
        placement_id=lines["placement_id"].astype("Int64"),
        agency=lines["agency"].astype("str"),
        currency=pd.Series("CNY", index=lines.index, dtype="str"),
        kind=pd.Series("recovery", index=lines.index, dtype="str"),
        commission_minor=lines["gross_minor"] // 5,
    )
    conduct = pd.DataFrame(0, index=pd.Index(names, dtype="str"), columns=list(CONDUCT))
    return Inputs(placements, lines, conduct)


@pytest.fixture(scope="session")
def simulate() -> Simulate:
    """A function: `simulate(effects, accounts, seed, skew)` is what a score is drawn from, as of AS_OF."""
    return simulated


@pytest.fixture(scope="session")
def as_of() -> date:
    """The day the simulation is scored as of."""
    return AS_OF

"""Placements whose chances and amounts are known, for every test of models of who pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from models.propensity.facts import Fact
from models.propensity.fitting import Monitored, Sample

FACTS = (
    Fact("balance", "curve", "balance", "余额", log=True),
    Fact("dpd", "curve", "days past due", "逾期天数", knots=(30.0, 60.0, 90.0)),
    Fact("product", "level", "product", "产品"),
    Fact("past_payments", "curve", "payments before", "以往还款"),
)
SLOPES = {"balance": -0.4, "dpd": -0.006, "past_payments": 0.25}
LEVELS = {"card": 0.3, "loan": -0.2, "auto": 0.0}


@dataclass(frozen=True)
class World:
    """A sample, the facts it has, and what is true of it."""

    sample: Sample
    facts: tuple[Fact, ...]
    chance: Any
    share: Any
    slopes: dict[str, float]
    levels: dict[str, float]


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """A function: so many placements over 600 days, whose log-odds are straight in every fact."""

    def made(rows: int, seed: int = 1, shift: float = 0.0) -> World:
        rng = np.random.default_rng(seed)
        values: dict[str, Any] = {
            "balance": rng.normal(0, 1, rows),
            "dpd": rng.integers(1, 400, rows).astype(float),
            "product": rng.choice(list(LEVELS), rows).astype(object),
            "past_payments": np.where(rng.random(rows) < 0.5, 0, rng.poisson(2, rows)).astype(float),
        }
        odds = np.full(rows, -0.8 + shift) + np.array([LEVELS[name] for name in values["product"]])
        odds += sum(slope * values[fact] for fact, slope in SLOPES.items()) - SLOPES["dpd"] * 150
        chance, share = expit(odds), expit(-1 - 0.3 * values["balance"])
        paid = (rng.random(rows) < chance).astype(float)
        balance = np.exp(8 + values["balance"])
        money = paid * rng.beta(share * 5, (1 - share) * 5) * balance
        groups = Monitored(("east", "west"), rng.integers(0, 2, rows))
        sample = Sample(
            values, np.sort(rng.integers(0, 600, rows)), np.arange(rows), paid, money, balance, {"region": groups}
        )
        return World(sample, FACTS, chance, share, SLOPES, LEVELS)

    return made

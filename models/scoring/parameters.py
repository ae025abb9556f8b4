"""The versioned parameters of a score, read from the TOML that lies beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Weight:
    """What a component counts, and which of its values earn nothing and everything."""

    weight: float
    zero: float
    full: float

    def share(self, value: float) -> float:
        """0 at `zero`, 1 at `full`, straight between, never beyond."""
        return min(max((value - self.zero) / (self.full - self.zero), 0.0), 1.0)


@dataclass(frozen=True)
class Gaming:
    """Which patterns are looked for (models/scoring/gaming.py), and which difference from the others is not yet one."""

    false_discoveries: float
    fewest: int
    fewest_reversals: int
    high_share: float
    contact_days: int
    untouched_days: int
    return_days: int
    period_days: int
    margins: Mapping[str, float]


@dataclass(frozen=True)
class Parameters:
    """Everything a score depends on besides the data and the seed."""

    version: str
    month_days: int
    months: int
    settle_days: int
    own_ends: tuple[str, ...]
    never_booked: tuple[str, ...]
    dpd_edges: tuple[int, ...]
    rounds: int
    smallest: int
    balance_edges: Mapping[str, tuple[int, ...]]
    credible: float
    replicates: int
    bags: int
    minimum_expected: float
    pooled_payments: float
    peers_shown: int
    acknowledge_days: int
    speed_days: int
    complaints_per_1000: float
    weights: Mapping[str, Weight]
    gaming: Gaming

    @property
    def tail(self) -> float:
        """What lies outside the interval on either side."""
        return (1 - self.credible) / 2


@cache
def standard() -> Parameters:
    """The parameters this version scores with."""
    told = tomllib.loads(files("models.scoring").joinpath("parameters.toml").read_text("utf-8"))
    segments = told["segments"]
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for table in ("exposure", "inference", "conduct", "gates")
        for name, value in told[table].items()
    }
    return Parameters(
        version=told["version"],
        dpd_edges=tuple(segments["dpd_edges"]),
        rounds=segments["rounds"],
        smallest=segments["smallest"],
        balance_edges=MappingProxyType({name: tuple(edges) for name, edges in segments["balance_edges"].items()}),
        gaming=Gaming(**told["gaming"]),
        weights=MappingProxyType({name: Weight(**terms) for name, terms in told["weights"].items()}),
        **plain,
    )

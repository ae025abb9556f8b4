"""The versioned parameters of a model of propensity, read from the TOML that lies beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from models import packaged


@dataclass(frozen=True)
class Parameters:
    """Everything a model depends on besides the data and the seed; what each is stands in parameters.toml."""

    version: str
    horizon_days: int
    fitted: float
    calibrated: float
    least_placements: int
    least_payers: int
    least_measured: int
    knots: int
    smallest: int
    step: float
    level: float
    height: float
    isotonic_from: int
    bands: int
    credible: float
    replicates: int
    bags: int
    deciles: int
    psi_watch: float
    psi_warn: float
    drift_rows: int
    ratio_tolerance: float
    smallest_group: int
    ratio_low: float
    proxy_limit: float
    proxy_rows: int
    protected_words: frozenset[str]
    protected_parts: tuple[str, ...]

    @property
    def tail(self) -> float:
        """What lies outside the interval on either side."""
        return (1 - self.credible) / 2


RENAMED = {
    ("drift", "least_rows"): "drift_rows",
    ("fairness", "smallest"): "smallest_group",
    ("proxy", "limit"): "proxy_limit",
    ("proxy", "least_rows"): "proxy_rows",
}
"""Where a name in the file is clear by its heading alone."""


@cache
def standard() -> Parameters:
    """The parameters that this version makes models with."""
    told: dict[str, Any] = tomllib.loads(packaged.text("models", "propensity", "parameters"))
    version, protected = told.pop("version"), told.pop("protected")
    plain = {
        RENAMED.get((heading, name), name): value for heading, part in told.items() for name, value in part.items()
    }
    return Parameters(
        version=version,
        protected_words=frozenset(protected["words"]),
        protected_parts=tuple(protected["parts"]),
        **plain,
    )

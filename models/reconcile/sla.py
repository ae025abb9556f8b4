"""By when a break is to be settled, by its code and its amount; and how overdue it is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from models.errors import UsageError
from models.money import exponent
from models.reconcile import resolutions
from models.reconcile.breaks import ABOUT, aged

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


@dataclass(frozen=True)
class Sla:
    """Days to settle a break, by code; and the fewer days of large ones, from the smallest bound up."""

    version: str
    days: int
    by_code: Mapping[str, int]
    large: tuple[tuple[Decimal, int], ...]

    @classmethod
    def parse(cls, text: str) -> Sla:
        """What a TOML text agrees. Raises UsageError, naming what cannot be meant."""
        told = tomllib.loads(text)
        by_code, large = told.get("code", {}), told.get("large", [])
        if strangers := sorted(set(by_code) - set(ABOUT)):
            raise UsageError(f"there is no break {strangers[0]!r}", fix=f"there are {', '.join(ABOUT)}")
        numbers = [told.get("days"), *by_code.values(), *(row.get("days") for row in large)]
        if not all(isinstance(days, int) and not isinstance(days, bool) and days >= 0 for days in numbers):
            raise UsageError("`days` must be whole numbers from 0 up", fix="as in models/reconcile/sla.toml")
        bounds = [(Decimal(str(row["from"])), int(row["days"])) for row in large if "from" in row]
        if len(bounds) != len(large) or bounds != sorted(bounds, key=lambda bound: bound[0]):
            raise UsageError("[[large]]: `from` must be there, and rise", fix="as in models/reconcile/sla.toml")
        return cls(str(told.get("version", "")), int(told["days"]), MappingProxyType(dict(by_code)), tuple(bounds))

    def allowed(self, breaks: pd.DataFrame) -> pd.Series:
        """Days from the opening of each break until it is to be settled (int64).

        breaks: `code`, `amount_minor`, `currency`.
        """
        days = breaks["code"].map(dict(self.by_code)).fillna(self.days).astype("int64")
        size = breaks["amount_minor"].abs()
        for currency in breaks["currency"].unique():
            own = (breaks["currency"] == currency).to_numpy()
            scale = resolutions.shipped().scale.get(currency, 1)
            for bound, most in self.large:
                least = int((bound * scale).scaleb(exponent(currency)))
                days = days.mask(own & (size >= least).to_numpy(), days.clip(upper=most))
        return days

    def stated(self, breaks: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """Beside each break its `age`, `due_on` (a date) and `overdue_days` (0: in time), in the breaks' index.

        breaks: as for `allowed`, and `opened_at` (UTC).
        """
        opened = breaks["opened_at"].dt.tz_localize(None).dt.normalize()
        due = opened + pd.to_timedelta(self.allowed(breaks), unit="D")
        overdue = (pd.Timestamp(as_of) - due).dt.days.clip(lower=0)
        return pd.DataFrame({"age": aged(breaks["opened_at"], as_of), "due_on": due, "overdue_days": overdue})


@cache
def shipped() -> Sla:
    """What comes with Consign."""
    return Sla.parse(files("models.reconcile").joinpath("sla.toml").read_text("utf-8"))

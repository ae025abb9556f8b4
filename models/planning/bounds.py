"""What an optimised plan must keep within, which of it may be given up, in which order and at which price.

Hard, never given up: who is barred, capacities, an agency that is closed to a segment, a plan's own maxima. Soft, and
given up where there is no other way, in the declared order: change, region, share, balance, challenger. A soft bound
for which a price is stated is given up as soon as that pays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from models.planning.spec import PlanSpec

    Floats: TypeAlias = npt.NDArray[np.float64]

CHANGE, REGION, SHARE, BALANCE, CHALLENGER = "change", "region", "share", "balance", "challenger"
SOFT: Final = (CHANGE, REGION, SHARE, BALANCE, CHALLENGER)
"""Given up from the first to the last, unless the spec says another order."""
CAPACITY, CAPACITY_MINOR, MINIMUM = "capacity", "capacity_minor", "minimum"
HARD: Final = (CAPACITY, CAPACITY_MINOR, MINIMUM)
FIRST_PRICE: Final = 10.0
STEP: Final = 5.0
"""Without a stated price, giving the first bound up by one account costs ten times what the dearest account is worth,
the next fifty times, and so on: more than any sharing out could gain by it."""
UNPLACED_PRICE: Final = FIRST_PRICE * STEP ** (len(SOFT) + 1)
"""Leaving an account out costs more than any bound."""
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        CHANGE: "change against the last plan",
        REGION: "concentration in a region",
        SHARE: "share of the accounts",
        BALANCE: "share of the balance",
        CHALLENGER: "challenger's floor",
        CAPACITY: "room for accounts",
        CAPACITY_MINOR: "room for balance",
        MINIMUM: "minimum volume",
    }
)


@dataclass(frozen=True)
class Bounds:
    """What the spec asks for over all agencies; None is no bound. Shares are of what the plan shares out."""

    challengers: tuple[str, ...] = ()
    """each gets the floor of every segment that it may work, drawn at random"""
    challenger_floor: Decimal = Decimal("0.05")
    region_max: Decimal | None = None
    """of a region's accounts, for any agency"""
    region_digits: int = 2
    change_max: Decimal | None = None
    """how far an agency's share may be from its share of the last plan"""
    relax: tuple[str, ...] = SOFT
    """the order in which bounds are given up"""
    price: Mapping[str, Decimal] = field(default_factory=dict)
    """in units of the currency, what giving a bound up by one account may cost; bounds without one are kept if at all
    possible"""
    time_limit_seconds: int = 60


@dataclass(frozen=True)
class Window:
    """Least and most of one agency; shares between 0 and 1."""

    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Limits:
    """The bounds of one plan, agency by agency in the order of their codes.

    share, balance: of all accounts, of all balance. minimum: accounts, or none at all (0: none). last: shares of the
    last plan, or None. prices: per kind of soft bound, in minor units per account, or None.
    """

    agencies: tuple[str, ...]
    share: tuple[Window, ...]
    balance: tuple[Window, ...]
    minimum: Floats
    challengers: tuple[str, ...] = ()
    floor: float = 0.0
    region_max: float | None = None
    last: Floats | None = None
    change_max: float | None = None
    relax: tuple[str, ...] = SOFT
    prices: Mapping[str, float] = field(default_factory=dict)

    def without(self, kind: str) -> Limits:
        """It without one kind of rule: what the plan would be if that rule did not stand."""
        free = tuple(Window() for _ in self.agencies)
        changed: dict[str, dict[str, Any]] = {
            CHANGE: {"change_max": None},
            REGION: {"region_max": None},
            SHARE: {"share": free},
            BALANCE: {"balance": free},
            CHALLENGER: {"challengers": ()},
            MINIMUM: {"minimum": np.zeros(len(self.agencies))},
        }
        return replace(self, **changed[kind])

    @property
    def stated(self) -> tuple[str, ...]:
        """The kinds of rule that the plan has at all."""
        there = {
            CHANGE: self.change_max is not None and self.last is not None,
            REGION: self.region_max is not None,
            SHARE: any(window != Window() for window in self.share),
            BALANCE: any(window != Window() for window in self.balance),
            CHALLENGER: bool(self.challengers) and self.floor > 0,
            MINIMUM: bool(self.minimum.any()),
        }
        return tuple(kind for kind in (*SOFT, MINIMUM) if there[kind])

    def penalty(self, kind: str, dearest: float) -> float:
        """What giving a soft bound up by one account costs, in what the dearest account is worth (minor units)."""
        if kind in self.prices:
            return self.prices[kind] / dearest
        return float(FIRST_PRICE * STEP ** self.relax.index(kind))


def limits_of(spec: PlanSpec, agencies: tuple[str, ...], last: Mapping[str, int] | None, currency: str) -> Limits:
    """The spec's bounds for these agencies. last: accounts that each had in the last plan; None: there was none."""
    asked, terms = spec.bounds, [spec.agencies.get(name) for name in agencies]
    had = None if last is None else np.array([last.get(name, 0) for name in agencies], dtype=np.float64)
    return Limits(
        agencies,
        tuple(Window() if each is None else _window(each.min_share, each.max_share) for each in terms),
        tuple(Window() if each is None else _window(each.min_balance_share, each.max_balance_share) for each in terms),
        np.array([0.0 if each is None else float(each.min_accounts or 0) for each in terms]),
        asked.challengers,
        float(asked.challenger_floor),
        None if asked.region_max is None else float(asked.region_max),
        None if had is None or not had.sum() else had / had.sum(),
        None if asked.change_max is None else float(asked.change_max),
        asked.relax,
        {kind: float(spec.minor(price, currency)) for kind, price in asked.price.items()},
    )


def _window(low: Decimal | None, high: Decimal | None) -> Window:
    return Window(0.0 if low is None else float(low), 1.0 if high is None else float(high))


@dataclass(frozen=True)
class Row:
    """One bound on one agency, in accounts or minor units: low ≤ Σ ≤ high; over a region's accounts if one is named."""

    kind: str
    agency: int
    low: float
    high: float
    of_balance: bool = False
    region: int = -1
    soft: bool = True


def rows_of(
    limits: Limits, accounts: float, balance: float, regions: Floats, rooms: Floats, rooms_minor: Floats
) -> list[Row]:
    """Every bound of the plan as a row, incumbents counted in.

    accounts, balance: that the plan shares out in all; regions: accounts per region; rooms: accounts and minor units
    that each agency has room for, infinite without bound.
    """
    rows = []
    for at in range(len(limits.agencies)):
        if np.isfinite(rooms[at]):
            rows.append(Row(CAPACITY, at, -np.inf, float(rooms[at]), soft=False))
        if np.isfinite(rooms_minor[at]):
            rows.append(Row(CAPACITY_MINOR, at, -np.inf, float(rooms_minor[at]), of_balance=True, soft=False))
        share, part = limits.share[at], limits.balance[at]
        if share != Window():
            rows.append(Row(SHARE, at, share.low * accounts, share.high * accounts))
        if part != Window():
            rows.append(Row(BALANCE, at, part.low * balance, part.high * balance, of_balance=True))
        if limits.change_max is not None and limits.last is not None:
            low, high = (limits.last[at] + sign * limits.change_max for sign in (-1, 1))
            rows.append(Row(CHANGE, at, max(low, 0.0) * accounts, min(high, 1.0) * accounts))
        if limits.region_max is not None:
            rows += [
                Row(REGION, at, -np.inf, limits.region_max * float(total), region=region)
                for region, total in enumerate(regions)
                if total > 0
            ]
    return rows

"""What a plan is asked for: a TOML file, or the same as JSON (docs/how-to/plan-a-placement.md)."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from models.errors import UsageError
from models.money import exponent
from models.planning.bounds import SOFT, Bounds
from models.release import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTS: Final = ("product", "bucket", "balance", "region")
"""What a segment may be cut by."""
BALANCE_EDGES: Final = (1_000, 5_000, 10_000, 50_000, 100_000)
DIGITS_OF_A_DIVISION: Final = 6
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class SpecInvalid(UsageError):
    """The plan's spec has an unknown word, or a value that makes no sense."""


@dataclass(frozen=True)
class Filter:
    """Which accounts the plan looks at; empty and None mean any. Amounts in units of the currency."""

    products: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    """beginnings of division codes, or states"""
    portfolios: tuple[int, ...] = ()
    min_balance: Decimal | None = None
    """accounts below it are excluded with a reason; all other filters leave no trace"""
    max_balance: Decimal | None = None
    min_dpd: int | None = None
    max_dpd: int | None = None
    strategy_run: int | None = None
    """those that this run of a strategy moves to the plan's stage"""


@dataclass(frozen=True)
class Segmentation:
    """How accounts are grouped, so that each group is shared out by the same shares."""

    by: tuple[str, ...] = ("product", "bucket", "balance")
    balance_edges: tuple[int, ...] = BALANCE_EDGES
    """in whole units of the currency, rising; a band holds its lower edge"""
    region_digits: int = 2
    """of a six-digit division code: 2 is the province, 4 the city; other regions count whole"""


@dataclass(frozen=True)
class Terms:
    """What this plan says about one agency, over its contract and capacity."""

    share: Decimal | None = None
    max_accounts: int | None = None
    """of this plan"""
    max_balance: Decimal | None = None
    """of this plan, in units of the currency"""
    segments: tuple[str, ...] = ()
    """patterns such as `card/M3/*`: it gets accounts of no other segment"""
    min_accounts: int | None = None
    """so many of this plan, or none at all; for optimised plans, as what follows"""
    min_share: Decimal | None = None
    """of the plan's accounts"""
    max_share: Decimal | None = None
    min_balance_share: Decimal | None = None
    max_balance_share: Decimal | None = None
    cost: Decimal | None = None
    """what an account with it costs besides commission, in units of the currency"""


@dataclass(frozen=True)
class SegmentShares:
    """Shares for the segments that match a pattern; the first that matches counts, and overrules all others."""

    segment: str
    shares: Mapping[str, Decimal]


@dataclass(frozen=True)
class PlanSpec:
    """The whole of it. Shares are weights: they are brought to a sum of 1 over the agencies that may take part."""

    lender: str
    name: str
    seed: int
    stage: str = "phone"
    purpose: str = "collection"
    policy: str = "cn-default"
    allocator: str = "shares"
    currency: str | None = None
    """None: the one currency that the accounts have"""
    term_days: int | None = None
    """None: the shortest of the agencies' own"""
    expires_after_days: int = 7
    filter: Filter = field(default_factory=Filter)
    segments: Segmentation = field(default_factory=Segmentation)
    agencies: Mapping[str, Terms] = field(default_factory=dict)
    """empty: every agency with a contract; else these alone"""
    segment_shares: tuple[SegmentShares, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    """for optimised plans"""

    @classmethod
    def parse(
        cls,
        text: str,
        nested: Mapping[str, Mapping[str, Any]] = NOTHING,
        *,
        default_seed: int | None = None,
        **given: object,
    ) -> PlanSpec:
        """The spec that the TOML says. Raises SpecInvalid.

        What is given (and not None) overrules the file; the tables of `nested` are laid over the file's tables.
        """
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as broken:
            raise SpecInvalid(f"the plan's spec is not TOML: {broken}", fix="correct the file") from None
        for key, table in nested.items():
            if table:
                raw[key] = raw.get(key, {}) | table
        return cls.of({"seed": default_seed} | raw | {key: value for key, value in given.items() if value is not None})

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> PlanSpec:
        """The spec that a mapping in TOML's or JSON's types says. Raises SpecInvalid."""
        values = _read("the plan", raw, _PLAN)
        _agrees(values)
        if missing := [key for key in ("lender", "name", "seed") if key not in values]:
            raise SpecInvalid(f"the plan does not say its {', '.join(missing)}", fix="state it in the spec")
        return cls(**values)

    def json(self) -> str:
        """It as JSON that `of` reads back."""
        return json.dumps(_without_none(asdict(self)), ensure_ascii=False, sort_keys=True, default=str)

    def minor(self, amount: Decimal | int, currency: str) -> int:
        """An amount of the spec in minor units. Raises SpecInvalid if it has more digits than the currency."""
        scaled = Decimal(amount).scaleb(exponent(currency))
        if scaled != scaled.to_integral_value():
            raise SpecInvalid(f"{amount} has more digits than {currency} has")
        return int(scaled)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value


def _read(where: str, raw: object, readers: Mapping[str, Callable[[str, Any], object]]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SpecInvalid(f"{where} is not a table")
    if unknown := sorted(set(raw) - set(readers)):
        raise SpecInvalid(f"{where}: unknown {', '.join(unknown)}", fix=f"it knows {', '.join(readers)}")
    return {key: readers[key](f"{where}, {key}", value) for key, value in raw.items() if value is not None}


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecInvalid(f"{where} must be a text")
    return value.strip()


def _texts(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise SpecInvalid(f"{where} must be a list")
    return tuple(_text(where, each) for each in value)


def _whole(least: int) -> Callable[[str, Any], int]:
    def read(where: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SpecInvalid(f"{where} must be a whole number from {least}")
        return value

    return read


def _amount(where: str, value: object) -> Decimal:
    """An amount or a share: whole numbers, and decimals as text, for a float is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise SpecInvalid(f"{where} must be a whole number or a decimal in quotes")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise SpecInvalid(f"{where} is not a number") from None
    if not number.is_finite() or number < 0:
        raise SpecInvalid(f"{where} must not be negative")
    return number


def _share(where: str, value: object) -> Decimal:
    # 0.3 is what people write, and a share is no money
    return _amount(where, str(value) if isinstance(value, float) else value)


def _part_of_all(where: str, value: object) -> Decimal:
    share = _share(where, value)
    if share > 1:
        raise SpecInvalid(f"{where} must be between 0 and 1")
    return share


def _order(where: str, value: object) -> tuple[str, ...]:
    kinds = _texts(where, value)
    if sorted(kinds) != sorted(SOFT):
        raise SpecInvalid(f"{where} must name each of {', '.join(SOFT)} once")
    return kinds


def _prices(where: str, value: object) -> Mapping[str, Decimal]:
    if not isinstance(value, dict):
        raise SpecInvalid(f"{where} must be a table")
    return _read(where, value, dict.fromkeys(SOFT, _amount))


def _agrees(values: Mapping[str, Any]) -> None:
    """No agency's least is above its most. Raises SpecInvalid."""
    for agency, terms in values.get("agencies", {}).items():
        for least, most in (
            ("min_share", "max_share"), ("min_balance_share", "max_balance_share"), ("min_accounts", "max_accounts"),
        ):  # fmt: skip
            low, high = getattr(terms, least), getattr(terms, most)
            if low is not None and high is not None and low > high:
                raise SpecInvalid(f"the plan, agencies.{agency}: {least} is above {most}")


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def read(where: str, value: object) -> str:
        if value not in words:
            raise SpecInvalid(f"{where} must be one of {', '.join(words)}")
        return str(value)

    return read


def _edges(where: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise SpecInvalid(f"{where} must be a list")
    edges = tuple(_whole(1)(where, edge) for edge in value)
    if any(low >= high for low, high in pairwise(edges)):
        raise SpecInvalid(f"{where} must rise")
    return edges


def _parts(where: str, value: object) -> tuple[str, ...]:
    parts = _texts(where, value)
    if wrong := [part for part in parts if part not in PARTS]:
        raise SpecInvalid(f"{where}: unknown {', '.join(wrong)}", fix=f"it knows {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in parts)


def _digits(where: str, value: object) -> int:
    digits = _whole(1)(where, value)
    if digits > DIGITS_OF_A_DIVISION:
        raise SpecInvalid(f"{where}: a division code has {DIGITS_OF_A_DIVISION} digits")
    return digits


def _segment_shares(where: str, value: object) -> tuple[SegmentShares, ...]:
    if not isinstance(value, list | tuple):
        raise SpecInvalid(f"{where} must be a list of tables")
    return tuple(SegmentShares(**_read(where, each, _SEGMENT_SHARES)) for each in value)


def _by_agency(read: Callable[[str, Any], object]) -> Callable[[str, Any], Mapping[str, Any]]:
    def reader(where: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise SpecInvalid(f"{where} must be a table")
        return {agency: read(f"{where}.{agency}", each) for agency, each in value.items()}

    return reader


_FILTER: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "products": _texts,
        "buckets": _texts,
        "regions": _texts,
        "portfolios": lambda where, value: tuple(_whole(1)(where, each) for each in value),
        "min_balance": _amount,
        "max_balance": _amount,
        "min_dpd": _whole(0),
        "max_dpd": _whole(0),
        "strategy_run": _whole(1),
    }
)
_SEGMENTS: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "by": _parts,
        "balance_edges": _edges,
        "region_digits": _digits,
    }
)
_TERMS: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "share": _share,
        "max_accounts": _whole(0),
        "max_balance": _amount,
        "segments": _texts,
        "min_accounts": _whole(0),
        "min_share": _part_of_all,
        "max_share": _part_of_all,
        "min_balance_share": _part_of_all,
        "max_balance_share": _part_of_all,
        "cost": _amount,
    }
)
_SEGMENT_SHARES: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "segment": _text,
        "shares": _by_agency(_share),
    }
)
_BOUNDS: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "challengers": _texts,
        "challenger_floor": _part_of_all,
        "region_max": _part_of_all,
        "region_digits": _digits,
        "change_max": _part_of_all,
        "relax": _order,
        "price": _prices,
        "time_limit_seconds": _whole(1),
    }
)
_PLAN: Final[Mapping[str, Callable[[str, Any], object]]] = MappingProxyType(
    {
        "lender": _text,
        "name": _text,
        "seed": _whole(0),
        "stage": _one_of(*STAGES),
        "purpose": _text,
        "policy": _text,
        "allocator": _text,
        "currency": _text,
        "term_days": _whole(1),
        "expires_after_days": _whole(1),
        "filter": lambda where, value: Filter(**_read(where, value, _FILTER)),
        "segments": lambda where, value: Segmentation(**_read(where, value, _SEGMENTS)),
        "agencies": _by_agency(lambda where, value: Terms(**_read(where, value, _TERMS))),
        "segment_shares": _segment_shares,
        "bounds": lambda where, value: Bounds(**_read(where, value, _BOUNDS)),
    }
)

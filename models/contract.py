"""What a lender and an agency agreed: who keeps the fee until when, how it is reckoned and rounded (R2, R11).

The terms are TOML, kept whole in `agency_contract.terms` (docs/reference/contracts.md). Rates are `Decimal`; amounts
are int64 minor units; no float comes near either. What a debtor paid counts under the terms in force on its value date.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.calendar import Span, SpanFault
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

Minor = npt.NDArray[np.int64]
Rounding = Literal["half_up", "half_even"]

SCALE = 1_000_000
"""Rates are whole millionths: what `remittance_line.rate` holds."""
INT64_MAX = np.iinfo(np.int64).max


class ContractFault(ConfigurationError):
    """The terms cannot be read: a key is unknown, missing or out of its range."""

    def __init__(self, message: str, *, fix: str = "docs/reference/contracts.md says how each term is written") -> None:
        super().__init__(message, fix=fix)


class TierGap(ConfigurationError):
    """A recovery falls in no tier of the contract, so that nobody knows its commission."""


class NoContract(ConfigurationError):
    """Nothing was agreed between this lender and this agency."""


@dataclass(frozen=True)
class Tier:
    """A rate, and what a placement must be like to have it; every bound is inclusive, None is open."""

    rate: Decimal
    dpd_from: int | None = None
    dpd_to: int | None = None
    round_from: int | None = None
    round_to: int | None = None
    product: str | None = None

    def fits(self, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which lines have this tier's rate, by `dpd` and `round` at placement and, where asked for, `product`."""
        fit = np.ones(len(lines), dtype=bool)
        for name, low, high in (("dpd", self.dpd_from, self.dpd_to), ("round", self.round_from, self.round_to)):
            if low is not None:
                fit &= lines[name].to_numpy() >= low
            if high is not None:
                fit &= lines[name].to_numpy() <= high
        if self.product is not None:
            fit &= (lines["product"] == self.product).to_numpy()
        return fit


@dataclass(frozen=True)
class Clocks:
    """By when the agency must have answered, under `[clocks]`; None where the settings say it."""

    acknowledge_within: Span | None = None
    confirm_recall_within: Span | None = None
    certify_erasure_within: Span | None = None
    report_activity_every: Span | None = None
    calendar: str | None = None
    """whose holidays count (infra/clocks.py)"""


@dataclass(frozen=True)
class Contract:
    """The terms in force from a date on."""

    currency: str
    remits: Literal["gross", "net"] = "gross"
    fees: Literal["tiers", "per_line"] = "tiers"
    """`per_line`: the fee was agreed case by case, and the remittance line states it."""
    tiers: tuple[Tier, ...] = ()
    rounding: Rounding = "half_up"
    vat_rate: Decimal = Decimal(0)
    tail_days: int = 0
    """Days after the end of a placement on which what is paid still counts as the agency's work."""
    term_days: int = 180
    late_days: int | None = None
    """Days from the debtor's payment until the money must be here; None: not agreed, so never late."""
    direct_payments: bool = False
    """Whether the agency earns commission on what the debtor pays to the lender during the placement."""
    tolerance_minor: int = 0
    """A difference up to here between a line and its receipt is written off."""
    payer_accounts: tuple[str, ...] = ()
    """The bank accounts that the agency pays from."""
    bank_references: tuple[str, ...] = ()
    """How the references of the agency's transfers begin."""
    collects: bool = True
    """Whether debtors may pay to the agency; false: they pay the lender alone."""
    clocks: Clocks = Clocks()

    @classmethod
    def parse(cls, text: str) -> Contract:
        """The contract that the TOML states. Raises ContractFault, naming the key."""
        try:
            terms = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise ContractFault(f"the contract's terms are not TOML: {error}") from error
        tiers = terms.pop("tier", [])
        clocks = _clocks(terms.pop("clocks", {}))
        known = {field.name for field in fields(cls)} - {"tiers", "clocks"}
        if unknown := sorted(set(terms) - known):
            raise ContractFault(
                f"unknown terms in the contract: {', '.join(unknown)}",
                fix=f"known are {', '.join(sorted(known))}, tier, clocks",
            )
        if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
            raise ContractFault("`tier` must be a list of tables", fix="write each tier under a [[tier]] heading")
        values: dict[str, Any] = {name: _READ[name](name, value) for name, value in terms.items()}
        if "currency" not in values:
            raise ContractFault("the contract names no currency", fix='add currency = "CNY", or as agreed')
        contract = cls(
            **values, tiers=tuple(_tier(number, tier) for number, tier in enumerate(tiers, 1)), clocks=clocks
        )
        if contract.fees == "tiers" and not contract.tiers:
            raise ContractFault("the contract has no tier", fix='add a [[tier]] with its rate, or fees = "per_line"')
        if contract.fees == "per_line" and contract.tiers:
            raise ContractFault('fees = "per_line" and tiers exclude each other', fix="take one of them out")
        return contract


@cache
def clocks_in(text: str) -> Clocks:
    """The clocks of a contract's terms, which were read before. Raises ContractFault."""
    return _clocks(tomllib.loads(text, parse_float=Decimal).get("clocks", {}))


def commission(lines: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Commission and VAT per line by the contract's tiers, rounded line by line; the first tier that fits is taken.

    lines: `gross_minor` int64, `dpd` and `round` at placement; `product` where a tier asks for it.
    Returns, in the lines' index: `rate` (Decimal), `commission_minor`, `vat_minor` (int64, the sign of gross).
    Raises TierGap if no tier fits a line.  Source: docs/reference/contracts.md.
    """
    chosen = np.full(len(lines), -1)
    for number in reversed(range(len(contract.tiers))):
        chosen[contract.tiers[number].fits(lines)] = number
    if (chosen < 0).any():
        gap = lines.loc[chosen < 0, ["dpd", "round"]].iloc[0]
        raise TierGap(
            f"{int((chosen < 0).sum())} lines fall in no tier of the contract: the first at {gap['dpd']} days past due"
            f" in round {gap['round']}",
            fix="add the tier to the contract and collect again",
        )
    rates = np.array([tier.rate for tier in contract.tiers], dtype=object)
    millionths = np.array([_millionths(tier.rate) for tier in contract.tiers], dtype=np.int64)
    fee = charged(lines["gross_minor"].to_numpy(dtype=np.int64), millionths[chosen], contract.rounding)
    vat = charged(fee, _millionths(contract.vat_rate), contract.rounding)
    return pd.DataFrame({"rate": rates[chosen], "commission_minor": fee, "vat_minor": vat}, index=lines.index)


def charged(amount_minor: Minor, millionths: Minor | int, rounding: Rounding) -> Minor:
    """`amount_minor` times the rate, rounded to whole minor units; a reversal is the mirror of what it undoes.

    Exact at any size: the amount is taken apart at the scale, so that no product leaves 64 bits before the result does.
    """
    rate = np.asarray(millionths, dtype=np.int64)
    size = np.abs(amount_minor)
    whole, rest = size // SCALE, size % SCALE
    floor: Minor = whole * rate + rest * rate // SCALE
    remainder: Minor = rest * rate % SCALE
    result: Minor = np.sign(amount_minor) * (floor + _rounds_up(floor, remainder, SCALE, rounding))
    return result


def portion(amount_minor: Minor, part: Minor, whole: Minor, rounding: Rounding) -> Minor:
    """`amount_minor * part / whole`, rounded; nothing where `whole` is 0. All of it for all of the whole.

    What a partial reversal takes back of the original's commission, at the original's rate (R9).
    """
    if len(amount_minor) and int(np.abs(amount_minor).max()) * int(np.abs(part).max()) > INT64_MAX:
        # beyond 64 bits: Python's own integers, for amounts that hardly occur
        amount_minor, part, whole = (side.astype(object) for side in (amount_minor, part, whole))
    sign = np.sign(amount_minor) * np.sign(part)
    below = np.where(whole == 0, 1, np.abs(whole))
    product = np.abs(amount_minor) * np.abs(part)
    floor = product // below
    remainder = product - floor * below
    rounded = sign * (floor + _rounds_up(floor, remainder, below, rounding))
    result: Minor = np.where(whole == 0, 0, rounded).astype(np.int64)
    return result


def terms_on(days: pd.Series, effective_from: Sequence[date]) -> npt.NDArray[np.intp]:
    """Which of the contracts, sorted by their first day, is in force on each day; the first for days before all."""
    starts = np.array(effective_from, dtype="datetime64[D]")
    found = np.searchsorted(starts, days.to_numpy(dtype="datetime64[D]"), side="right") - 1
    return np.maximum(found, 0)


def _rounds_up(floor: Minor, remainder: Minor, below: Minor | int, rounding: Rounding) -> Minor:
    twice = 2 * remainder
    up = twice >= below if rounding == "half_up" else (twice > below) | ((twice == below) & (floor % 2 == 1))
    return np.asarray(up, dtype=np.int64)


def _millionths(rate: Decimal) -> int:
    return int(rate.scaleb(6))


def _tier(number: int, terms: Mapping[str, Any]) -> Tier:
    values = dict(terms)
    if "round" in values:  # one round is a band of itself
        values |= {"round_from": values["round"], "round_to": values.pop("round")}
    known = {field.name for field in fields(Tier)}
    if unknown := sorted(set(values) - known):
        raise ContractFault(
            f"unknown terms in tier {number}: {', '.join(unknown)}", fix=f"known are {', '.join(sorted(known))}, round"
        )
    if "rate" not in values:
        raise ContractFault(f"tier {number} has no rate", fix='add rate = "0.18", or as agreed')
    read: Mapping[str, Callable[[str, object], Any]] = {"rate": _rate, "product": _text}
    return Tier(**{name: read.get(name, _whole)(f"tier {number}, {name}", value) for name, value in values.items()})


def _clocks(terms: object) -> Clocks:
    if not isinstance(terms, dict):
        raise ContractFault("`clocks` must be a table", fix="write its terms under a [clocks] heading")
    known = {field.name for field in fields(Clocks)}
    if unknown := sorted(set(terms) - known):
        raise ContractFault(
            f"unknown terms in the contract's clocks: {', '.join(unknown)}", fix=f"known are {', '.join(sorted(known))}"
        )
    calendar = terms.get("calendar")
    spans = {name: _span(f"clocks, {name}", value) for name, value in terms.items() if name != "calendar"}
    return Clocks(**spans, calendar=None if calendar is None else _text("clocks, calendar", calendar))


def _span(name: str, value: object) -> Span:
    try:
        return Span.parse(_text(name, value))
    except SpanFault as error:
        raise ContractFault(f"{name}: {error}", fix=error.fix) from None


def _rate(name: str, value: object) -> Decimal:
    try:
        rate = Decimal(value) if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else None
    except InvalidOperation:
        rate = None
    if rate is None or not rate.is_finite() or not 0 <= rate <= 1 or rate != rate.quantize(Decimal(1) / SCALE):
        raise ContractFault(f"{name}: not a rate", fix='a share from 0 to 1 with up to six digits, as in "0.185"')
    return rate


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractFault(f"{name}: not a whole number from 0 up")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ContractFault(f"{name}: not a text")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ContractFault(f"{name}: not a list of texts")
    return tuple(_text(name, item) for item in value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ContractFault(f"{name}: neither true nor false")
    return value


def _one_of(*words: str) -> Callable[[str, object], str]:
    def read(name: str, value: object) -> str:
        if value not in words:
            raise ContractFault(f"{name}: not one of {', '.join(words)}")
        return str(value)

    return read


def _currency(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) != len("CNY") or not value.isalpha() or not value.isupper():
        raise ContractFault(f"{name}: not an ISO 4217 code")
    return value


_READ: Mapping[str, Callable[[str, object], Any]] = {
    "currency": _currency,
    "remits": _one_of("gross", "net"),
    "fees": _one_of("tiers", "per_line"),
    "rounding": _one_of("half_up", "half_even"),
    "vat_rate": _rate,
    "tail_days": _whole,
    "term_days": _whole,
    "late_days": _whole,
    "direct_payments": _flag,
    "collects": _flag,
    "tolerance_minor": _whole,
    "payer_accounts": _texts,
    "bank_references": _texts,
}

"""The terms of a contract as TOML says them (docs/reference/contracts.md); kept whole in `agency_contract.terms`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from models.contract import reading
from models.contract.errors import ContractFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    import pandas as pd

    from models.calendar import Span
    from models.contract.amounts import Rounding


@dataclass(frozen=True)
class Step:
    """From this volume of a month on, the tier has this rate."""

    from_minor: int
    rate: Decimal


AGREED_STAGES = ("settlement", "instalments")
"""What `stage` of a tier may name besides the stages: recoveries under an agreed instalment plan, with or without a
discount. Such a line is in the stage of its placement too: the first tier that fits counts."""


@dataclass(frozen=True)
class Tier:
    """A rate, and what a placement must be like to have it; every bound is inclusive, None is open.

    steps: rates that the tier has from a volume of the month on, rising in volume.
    """

    rate: Decimal
    dpd_from: int | None = None
    dpd_to: int | None = None
    round_from: int | None = None
    round_to: int | None = None
    balance_from_minor: int | None = None
    balance_to_minor: int | None = None
    product: str | None = None
    stage: str | None = None
    steps: tuple[Step, ...] = ()

    def fits(self, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which lines have this tier's rate, by what their placement was like; `lines` has what the tier asks for."""
        fit = np.ones(len(lines), dtype=bool)
        for name, low, high in (
            ("dpd", self.dpd_from, self.dpd_to),
            ("round", self.round_from, self.round_to),
            ("balance_minor", self.balance_from_minor, self.balance_to_minor),
        ):
            if low is not None:
                fit &= lines[name].to_numpy() >= low
            if high is not None:
                fit &= lines[name].to_numpy() <= high
        for name, wanted in (("product", self.product), (self._stage_column, self.stage)):
            if wanted is not None:
                fit &= (lines[name] == wanted).to_numpy(dtype=bool, na_value=False)
        return fit

    @property
    def asks_for(self) -> frozenset[str]:
        """Which traits of a placement it looks at."""
        named = {
            "dpd": (self.dpd_from, self.dpd_to), "round": (self.round_from, self.round_to),
            "balance_minor": (self.balance_from_minor, self.balance_to_minor), "product": (self.product,),
            self._stage_column: (self.stage,),
        }  # fmt: skip
        return frozenset(name for name, bounds in named.items() if any(bound is not None for bound in bounds))

    @property
    def _stage_column(self) -> str:
        return "agreed" if self.stage in AGREED_STAGES else "stage"


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
class Payee:
    """Where the agency is paid, under `[payee]`: an IBAN, or an account with its bank's CNAPS code."""

    name: str
    iban: str | None = None
    account: str | None = None
    cnaps: str | None = None
    bic: str | None = None
    bank: str | None = None


@dataclass(frozen=True)
class Contract:
    """The terms in force from a date on."""

    currency: str
    remits: Literal["gross", "net"] = "gross"
    basis: Literal["contingent", "mixed", "fixed"] = "contingent"
    """全风险: a share of what is recovered; 半风险: a fee per case and a share; 无风险: a fee per case alone."""
    fees: Literal["tiers", "per_line"] = "tiers"
    """`per_line`: the fee was agreed case by case, and the remittance line states it."""
    case_fee_minor: int | None = None
    """For each placement, whatever comes of it; under the terms of the day it was placed."""
    tiers: tuple[Tier, ...] = ()
    volume: Literal["marginal", "whole"] = "marginal"
    """Whether a step's rate is for what lies beyond it, or for the whole month's collections."""
    rounding: Rounding = "half_up"
    rounding_level: Literal["line", "invoice"] = "line"
    line_floor_minor: int | None = None
    line_cap_minor: int | None = None
    account_floor_minor: int | None = None
    account_cap_minor: int | None = None
    month_floor_minor: int | None = None
    month_cap_minor: int | None = None
    vat_rate: Decimal = Decimal(0)
    vat_treatment: Literal["added", "included", "reverse_charge"] = "added"
    tail_days: int = 0
    """Days after the end of a placement on which what is paid still counts as the agency's work."""
    term_days: int = 180
    late_days: int | None = None
    """Days from the debtor's payment until the money must be here; None: not agreed, so never late."""
    direct_payments: bool = False
    """Whether the agency earns commission on what the debtor pays to the lender during the placement."""
    direct_rate: Decimal | None = None
    """Its rate for those; None: the tier's."""
    tolerance_minor: int = 0
    """A difference up to here between a line and its receipt is written off."""
    invoice_tolerance_minor: int = 0
    """A difference up to here between a line of the agency's invoice and what is due is let pass."""
    payer_accounts: tuple[str, ...] = ()
    """The bank accounts that the agency pays from."""
    bank_references: tuple[str, ...] = ()
    """How the references of the agency's transfers begin."""
    payee: Payee | None = None
    language: Literal["en", "zh"] = "en"
    """Of the statements that it gets."""
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
        nested: dict[str, Any] = {"clocks": _clocks(terms.pop("clocks", {}))}
        if "payee" in terms:
            nested["payee"] = _payee(terms.pop("payee"))
        known = {field.name for field in fields(cls)} - {"tiers", "clocks", "payee"}
        if unknown := sorted(set(terms) - known):
            raise ContractFault(
                f"unknown terms in the contract: {', '.join(unknown)}",
                fix=f"known are {', '.join(sorted(known))}, tier, clocks, payee",
            )
        if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
            raise ContractFault("`tier` must be a list of tables", fix="write each tier under a [[tier]] heading")
        values: dict[str, Any] = {name: _READ[name](name, value) for name, value in terms.items()}
        if "currency" not in values:
            raise ContractFault("the contract names no currency", fix='add currency = "CNY", or as agreed')
        contract = cls(**values, tiers=tuple(_tier(number, tier) for number, tier in enumerate(tiers, 1)), **nested)
        _agrees_with_itself(contract)
        return contract

    @property
    def has_steps(self) -> bool:
        """Whether a rate hangs on the month's volume."""
        return any(tier.steps for tier in self.tiers)

    @property
    def is_counted_by_month(self) -> bool:
        """Whether a line's commission is final only when its month is stated."""
        limits = (self.account_floor_minor, self.account_cap_minor, self.month_floor_minor, self.month_cap_minor)
        return self.has_steps or self.rounding_level == "invoice" or any(limit is not None for limit in limits)


@dataclass(frozen=True)
class Agreed:
    """Every contract of a lender with an agency, by its first day."""

    starts: tuple[date, ...]
    contracts: tuple[Contract, ...]

    def on(self, days: pd.Series) -> npt.NDArray[np.intp]:
        """Which contract (its number) is in force on each day."""
        return terms_on(days, self.starts)

    def at(self, day: date) -> Contract:
        """The contract in force on the day; the first for days before all."""
        number = sum(start <= day for start in self.starts) - 1
        return self.contracts[max(number, 0)]

    def term(self, name: str, numbers: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """The value of one term, per contract number."""
        values: npt.NDArray[Any] = np.array([getattr(contract, name) for contract in self.contracts])
        return np.asarray(values[numbers])


@cache
def clocks_in(text: str) -> Clocks:
    """The clocks of a contract's terms, which were read before. Raises ContractFault."""
    return _clocks(tomllib.loads(text, parse_float=Decimal).get("clocks", {}))


def terms_on(days: pd.Series, effective_from: Sequence[date]) -> npt.NDArray[np.intp]:
    """Which of the contracts, sorted by their first day, is in force on each day; the first for days before all."""
    starts = np.array(effective_from, dtype="datetime64[D]")
    found = np.searchsorted(starts, days.to_numpy(dtype="datetime64[D]"), side="right") - 1
    return np.maximum(found, 0)


def _agrees_with_itself(contract: Contract) -> None:
    """Nothing. Raises ContractFault where two terms exclude each other, or one wants another."""
    by_share = contract.fees == "per_line" or bool(contract.tiers)
    if contract.basis == "fixed" and by_share:
        raise ContractFault(
            'basis = "fixed" is a fee per case alone', fix='take tiers and fees out, or say basis = "mixed"'
        )
    if contract.basis != "fixed" and contract.fees == "tiers" and not contract.tiers:
        raise ContractFault("the contract has no tier", fix='add a [[tier]] with its rate, or fees = "per_line"')
    if contract.fees == "per_line" and contract.tiers:
        raise ContractFault('fees = "per_line" and tiers exclude each other', fix="take one of them out")
    if (contract.basis != "contingent") != (contract.case_fee_minor is not None):
        raise ContractFault(
            'a case fee goes with basis = "mixed" or "fixed", and they with it',
            fix="add case_fee_minor, or take it out",
        )
    for of in ("line", "account", "month"):
        floor, cap = getattr(contract, f"{of}_floor_minor"), getattr(contract, f"{of}_cap_minor")
        if floor is not None and cap is not None and floor > cap:
            raise ContractFault(f"{of}_floor_minor is above {of}_cap_minor", fix="exchange them")
    if contract.direct_rate is not None and not contract.direct_payments:
        raise ContractFault("direct_rate without direct_payments = true", fix="add it, or take direct_rate out")
    if contract.vat_treatment == "reverse_charge" and contract.remits == "net":
        raise ContractFault(
            "who keeps commission and VAT back cannot leave the VAT to us",
            fix='vat_treatment = "added", or remits = "gross"',
        )


def _tier(number: int, terms: Mapping[str, Any]) -> Tier:
    values = dict(terms)
    if "round" in values:  # one round is a band of itself
        values |= {"round_from": values["round"], "round_to": values.pop("round")}
    steps = values.pop("steps", [])
    known = {field.name for field in fields(Tier)} - {"steps"}
    reading.known_terms(f"tier {number}", values, {*known, "round", "steps"})
    if "rate" not in values:
        raise ContractFault(f"tier {number} has no rate", fix='add rate = "0.18", or as agreed')
    read: Mapping[str, Callable[[str, object], Any]] = {
        "rate": reading.rate, "product": reading.text, "stage": reading.text,
    }  # fmt: skip
    found = {name: read.get(name, reading.whole)(f"tier {number}, {name}", value) for name, value in values.items()}
    for of in ("dpd_{}", "round_{}", "balance_{}_minor"):
        low, high = found.get(of.format("from")), found.get(of.format("to"))
        if low is not None and high is not None and low > high:
            raise ContractFault(f"tier {number}: {of.format('from')} is above {of.format('to')}", fix="exchange them")
    return Tier(**found, steps=_steps(number, steps))


def _steps(number: int, steps: object) -> tuple[Step, ...]:
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ContractFault(
            f"tier {number}, steps: not a list of tables", fix='steps = [{ from_minor = 1000000, rate = "0.2" }]'
        )
    found = []
    for step in steps:
        reading.known_terms(f"tier {number}, steps", step, {"from_minor", "rate"})
        if missing := sorted({"from_minor", "rate"} - set(step)):
            raise ContractFault(f"tier {number}, steps: one has no {missing[0]}")
        found.append(
            Step(
                reading.whole(f"tier {number}, steps, from_minor", step["from_minor"]),
                reading.rate(f"tier {number}, steps, rate", step["rate"]),
            )
        )
    volumes = [step.from_minor for step in found]
    if volumes != sorted(set(volumes)) or 0 in volumes:
        raise ContractFault(
            f"tier {number}, steps: volumes must rise from above 0", fix="the tier's own rate is that from 0 on"
        )
    return tuple(found)


def _clocks(terms: object) -> Clocks:
    if not isinstance(terms, dict):
        raise ContractFault("`clocks` must be a table", fix="write its terms under a [clocks] heading")
    reading.known_terms("the contract's clocks", terms, {field.name for field in fields(Clocks)})
    calendar = terms.get("calendar")
    spans = {name: reading.span(f"clocks, {name}", value) for name, value in terms.items() if name != "calendar"}
    return Clocks(**spans, calendar=None if calendar is None else reading.text("clocks, calendar", calendar))


def _payee(terms: object) -> Payee:
    if not isinstance(terms, dict):
        raise ContractFault("`payee` must be a table", fix="write its terms under a [payee] heading")
    reading.known_terms("the contract's payee", terms, {field.name for field in fields(Payee)})
    if "name" not in terms:
        raise ContractFault("the payee has no name", fix="add name, as its bank knows it")
    read: Mapping[str, Callable[[str, object], str]] = {
        "iban": reading.iban, "cnaps": reading.shaped(reading.CNAPS, "a CNAPS code of twelve digits"),
        "bic": reading.shaped(reading.BIC, "a BIC of 8 or 11 letters and digits"),
    }  # fmt: skip
    found = {name: read.get(name, reading.text)(f"payee, {name}", value) for name, value in terms.items()}
    if ("iban" in found) == ("account" in found):
        raise ContractFault("a payee has an IBAN, or an account with its bank's code", fix="give one of them")
    if "account" in found and not {"cnaps", "bic"} & set(found):
        raise ContractFault("nobody knows the bank of the payee's account", fix="add cnaps (twelve digits) or bic")
    return Payee(**found)


_READ: Mapping[str, Callable[[str, object], Any]] = {
    "currency": reading.currency,
    "remits": reading.one_of("gross", "net"),
    "basis": reading.one_of("contingent", "mixed", "fixed"),
    "fees": reading.one_of("tiers", "per_line"),
    "case_fee_minor": reading.whole,
    "volume": reading.one_of("marginal", "whole"),
    "rounding": reading.one_of("half_up", "half_even", "half_down", "up", "down"),
    "rounding_level": reading.one_of("line", "invoice"),
    "line_floor_minor": reading.whole,
    "line_cap_minor": reading.whole,
    "account_floor_minor": reading.whole,
    "account_cap_minor": reading.whole,
    "month_floor_minor": reading.whole,
    "month_cap_minor": reading.whole,
    "vat_rate": reading.rate,
    "vat_treatment": reading.one_of("added", "included", "reverse_charge"),
    "tail_days": reading.whole,
    "term_days": reading.whole,
    "late_days": reading.whole,
    "direct_payments": reading.flag,
    "direct_rate": reading.rate,
    "collects": reading.flag,
    "tolerance_minor": reading.whole,
    "invoice_tolerance_minor": reading.whole,
    "payer_accounts": reading.texts,
    "bank_references": reading.texts,
    "language": reading.one_of("en", "zh"),
}

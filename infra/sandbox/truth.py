"""What a labelled month is made of: its world while it is planted, and the truth that stands beside what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

LENDER = "labelled"
FIRST = np.datetime64("2026-04-01")
PLACED_ON = date(2026, 3, 1)
AS_OF = date(2026, 9, 30)
LATE_DAYS = 20
TAIL_DAYS = 10
TOLERANCE_MINOR = 5
INSTALMENTS = 0.2
RATE, VAT = 10, 6
"""Commission and VAT on it, in percent."""
NET = ("beta",)
"""Agencies that keep their fee and hand over the rest; the others hand over gross."""
BY_TRANSFER, BY_TRANSACTION, BY_DAY = ("alpha", "beta"), ("gamma",), ("delta",)
BY_SUM = ("epsilon", "zeta")
"""Agencies by how they pay: transfers with a reference, each transaction alone, a day in one sum, sums of a few."""
AGENCIES = (*BY_TRANSFER, *BY_TRANSACTION, *BY_DAY, *BY_SUM)


def terms(agency: str) -> str:
    """The agency's contract."""
    return f"""
currency = "CNY"
remits = "{"net" if agency in NET else "gross"}"
vat_rate = "0.{VAT:02d}"
tail_days = {TAIL_DAYS}
late_days = {LATE_DAYS}
tolerance_minor = {TOLERANCE_MINOR}
direct_payments = {"true" if agency == "alpha" else "false"}
payer_accounts = ["CN-{agency.upper()}"]

[[tier]]
rate = "0.{RATE}"
"""


@dataclass(frozen=True)
class Labelled:
    """What the lender is sent, and what is true of it."""

    lines: pd.DataFrame
    """as accepting a remittance takes them, with `label`, `agency`, `file` and what planted it (`plant`)"""
    receipts: pd.DataFrame
    """as a bank statement's entries, with `label` and `plant`"""
    claims: pd.DataFrame
    """as accepting an invoice takes them, with `label` and `agency`"""
    placements: pd.DataFrame
    """`account_id`, `ref` (the lender's own number), `agency`, `currency`, `balance_minor`, `ended_on`"""
    pairs: pd.DataFrame
    """`line`, `receipt` (labels): whose money pays what; the rest belongs to nothing"""
    matchable: frozenset[int]
    """labels of lines whose money is here and can be told, each of them by some rule"""
    undone: frozenset[tuple[int, int]]
    """labels of lines, and of receipts, that undo each other"""
    breaks: frozenset[tuple[str, str]]
    """code, and what it is about: `line:7`, `receipt:7`, `claim:7`, `account:7`, `transfer:alpha:CNY:REF`"""


@dataclass
class World:
    """What has been planted so far."""

    rng: np.random.Generator
    lines: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    placements: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    matchable: set[int] = field(default_factory=set)
    undone: set[tuple[int, int]] = field(default_factory=set)
    breaks: set[tuple[str, str]] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    plant: str = ""

    def number(self, of: str) -> int:
        """The next number of a sort."""
        self.numbers[of] = self.numbers.get(of, 0) + 1
        return self.numbers[of]

    def day(self, last: int = 90) -> int:
        """A day, counted from the first."""
        return int(self.rng.integers(0, last))

    def amount(self) -> int:
        """Between 50 and 50,000, one in five of them an instalment that many pay."""
        if self.rng.random() < INSTALMENTS:
            return int(self.rng.choice([50_000, 100_000, 88_800]))
        return int(self.rng.integers(5_000, 5_000_000))

    def account(self, agency: str, currency: str = "CNY", **more: Any) -> int:
        """A fresh account that is placed with the agency."""
        account = self.number("account")
        usual = {"ref": f"62{account:010d}", "balance_minor": 10**10, "ended_on": None}
        self.placements.append({"account_id": account, "agency": agency, "currency": currency} | usual | more)
        return account

    def line(self, agency: str, gross: int, day: int, **more: Any) -> dict[str, Any]:
        """One remittance line; by default of a fresh account, with a transaction id, handed over as agreed."""
        label = self.number("line")
        currency = more.get("currency", "CNY")
        fee, vat = fee_of(gross) if agency in NET else (0, 0)
        usual = {
            "label": label, "agency": agency, "plant": self.plant, "file": f"{agency}-{day // 30}",
            "agency_txn_id": f"{agency[:1].upper()}T{label:07d}", "type": "reversal" if gross < 0 else "recovery",
            "currency": currency, "gross_minor": gross, "commission_minor": fee, "vat_minor": vat,
            "net_minor": gross - fee - vat, "day": day, "batch_ref": None, "original_txn_id": None,
        }  # fmt: skip
        made = usual | more
        if "account_id" not in made:
            made["account_id"] = self.account(agency, currency)
        self.lines.append(made)
        return made

    def receipt(self, agency: str | None, amount: int, day: int, reference: str | None, **more: Any) -> int:
        """One bank entry; its label. Without an agency the payer is unknown."""
        label = self.number("receipt")
        payer = f"CN-{agency.upper()}" if agency else f"DE{label:09d}"
        usual = {"label": label, "plant": self.plant, "amount_minor": amount, "day": day, "reference": reference,
                 "payer_account": payer, "currency": "CNY", "is_reversal": False}  # fmt: skip
        self.receipts.append(usual | more)
        return label

    def pays(self, receipts: Sequence[int], lines: Sequence[Mapping[str, Any]], *, tells: bool = True) -> None:
        """The receipts are the money of the lines; `tells`: and that can be told."""
        self.pairs += [(line["label"], receipt) for line in lines for receipt in receipts]
        if tells:
            self.matchable |= {line["label"] for line in lines}

    def broken(self, code: str, of: str, which: object) -> None:
        """This break is right."""
        self.breaks.add((code, f"{of}:{which}"))

    def written(self, reference: str) -> str:
        """The reference as a bank hands it on: as it is, in small letters, or within its own text."""
        forms = (reference, reference.lower(), f" {reference} ", f"/ROC/{reference}//VIELEN DANK",
                 f"PAYMENT {reference} AS AGREED")  # fmt: skip
        return forms[int(self.rng.integers(0, len(forms)))]

    def unpaid(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """These lines' money never comes: a break each, or one per transfer."""
        for line in lines:
            where = f"{line['agency']}:{line['currency']}:{line['batch_ref']}"
            of, which = ("line", line["label"]) if line["batch_ref"] is None else ("transfer", where)
            self.broken("no_receipt", of, which)

    def transfer(self, agency: str, size: int, day: int | None = None) -> tuple[str, int, list[dict[str, Any]]]:
        """A transfer's reference, its day, and the lines that it is for."""
        reference, on = f"{agency.upper()}-{self.number('transfer'):05d}", self.day() if day is None else day
        amounts = [self.amount() for _ in range(size)]
        return reference, on, [self.line(agency, one, on, batch_ref=reference) for one in amounts]


def fee_of(gross: int) -> tuple[int, int]:
    """Commission and VAT on it, each rounded half up."""
    size, sign = abs(gross), -1 if gross < 0 else 1
    fee = (size * RATE + 50) // 100
    return sign * fee, sign * ((fee * VAT + 50) // 100)

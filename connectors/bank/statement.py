"""One bank statement, whatever format it came in; and why a file is not one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pandas as pd

from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

KINDS: Final[Mapping[str, str]] = MappingProxyType({
    "entry": "int64", "of_entry": "int64", "amount_minor": "int64", "currency": "str", "booked_on": "datetime64[us]",
    "value_date": "datetime64[us]", "reference": "str", "payer_account": "str", "bank_ref": "str",
    "is_reversal": "bool", "return_reason": "str", "charges_minor": "Int64", "instructed_minor": "Int64",
    "instructed_currency": "str",
})  # fmt: skip
"""The columns of a statement's entries, and what pandas calls their types."""
COLUMNS: Final = tuple(KINDS)
REFERENCE_LIMIT: Final = 280
ADVANCE: Final = frozenset({"camt.052", "camt.054", "mt942"})
"""Reports within the day and notifications: what they say is said again by the statement."""


class StatementRefused(ConnectorError):
    """The file is not a statement that may be counted on; nothing of it was taken."""

    exit_code = 3

    def __init__(self, message: str, *, fix: str = "ask the bank for the file again, whole and as it wrote it") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class BankStatementFile:
    """One statement of one account: what it says about itself, and its booked entries."""

    account: str
    """as the bank writes it, without blanks; empty where the file does not say"""
    currency: str
    """empty where neither the file nor its layout says"""
    number: str | None
    sequence: int | None
    """the bank's running number of statements, where it has one"""
    opening_minor: int | None
    closing_minor: int | None
    from_on: date | None
    to_on: date | None
    entries: pd.DataFrame
    """COLUMNS, one row per receipt or payment. `entry`: 0, 1 …; `of_entry`: which of the bank's own it is (part of).
    `amount_minor`: int64, credit to us positive. `reference`: the texts that the payer gave, joined by spaces.
    `bank_ref`: the bank's own name of its entry. `return_reason`: why it came back, as a code of the bank's.
    `charges_minor`: what the bank says it took. `instructed_minor`, `instructed_currency`: what was ordered, where that
    is said; the amount is what was booked"""
    form: str = "camt.053"
    pending: int = 0
    """entries that were not booked, and are left out"""
    faults: tuple[str, ...] = ()
    """where it contradicts itself, as sentences"""

    @property
    def is_advance(self) -> bool:
        """Whether a statement will say all this again."""
        return self.form in ADVANCE

    @property
    def shown(self) -> str:
        """What messages call it; never the whole of an account's number."""
        return f"statement {self.number or ''} of the account ending {self.account[-4:]}".replace("  ", " ")

    def named(self, account: str, currency: str) -> BankStatementFile:
        """The same of this account, where the file itself did not say. Raises StatementRefused where it says another.

        currency: of the account; the statement's own stands where it has one.
        """
        if self.account and account and self.account != account:
            raise StatementRefused(
                f"the file is of the account ending {self.account[-4:]}, not of the one ending {account[-4:]}",
                fix="give the account that the file is of, or none",
            )
        entries = self.entries if self.currency else self.entries.assign(currency=currency).astype({"currency": "str"})
        return replace(
            self, account=self.account or account, currency=self.currency or currency, entries=entries[list(COLUMNS)]
        )

    def balanced(self) -> BankStatementFile:
        """The same statement. Raises StatementRefused where it contradicts itself: opening + entries is not closing."""
        if self.faults:
            raise StatementRefused(self.faults[0])
        if self.opening_minor is None or self.closing_minor is None:
            return self
        moved = int(self.entries["amount_minor"].sum())
        if self.opening_minor + moved != self.closing_minor:
            raise StatementRefused(
                f"{self.shown} does not add up: opening {self.opening_minor} + entries {moved} is not closing"
                f" {self.closing_minor} (minor units)",
                fix="ask the bank for the statement again, whole",
            )
        return self


def framed(columns: Mapping[str, object], rows: int) -> pd.DataFrame:
    """Entries as COLUMNS; those that are not given are empty, and each row is an entry of the bank's."""
    index = pd.RangeIndex(rows)
    frame = pd.DataFrame({name: columns.get(name) for name in COLUMNS}, index=index)
    for name in ("entry", "of_entry"):
        if name not in columns:
            frame[name] = index
    if "is_reversal" not in columns:
        frame["is_reversal"] = False
    return frame.astype(dict(KINDS))

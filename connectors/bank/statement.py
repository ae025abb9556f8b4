"""One bank statement, whatever format it came in; and why a file is not one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

COLUMNS = (
    "entry", "amount_minor", "currency", "booked_on", "value_date", "reference", "payer_account", "bank_ref",
    "is_reversal",
)  # fmt: skip


class StatementRefused(ConnectorError):
    """The file is not a statement that may be counted on; nothing of it was taken."""

    exit_code = 3

    def __init__(self, message: str, *, fix: str = "ask the bank for the file again, whole and as it wrote it") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class BankStatementFile:
    """One statement of one account: what it says about itself, and its booked entries."""

    account: str
    currency: str
    number: str | None
    sequence: int | None
    """the bank's running number of statements, where it has one"""
    opening_minor: int | None
    closing_minor: int | None
    from_on: date | None
    to_on: date | None
    entries: pd.DataFrame
    """COLUMNS: `entry` (0, 1 …), `amount_minor` (int64, credit to us positive), `currency`, `booked_on`, `value_date`,
    `reference` (the texts that the payer gave, joined by spaces), `payer_account`, `bank_ref`, `is_reversal`"""

    def balanced(self) -> BankStatementFile:
        """The same statement. Raises StatementRefused unless opening + entries = closing."""
        if self.opening_minor is None or self.closing_minor is None:
            return self
        moved = int(self.entries["amount_minor"].sum())
        if self.opening_minor + moved != self.closing_minor:
            raise StatementRefused(
                f"statement {self.number or ''} of the account ending {self.account[-4:]} does not add up: opening"
                f" {self.opening_minor} + entries {moved} is not closing {self.closing_minor} (minor units)",
                fix="ask the bank for the statement again, whole",
            )
        return self

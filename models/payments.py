"""What agencies are paid: the references by which a bank statement shows it, and the accounts it goes between."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stdnum import iban as ibans

from models.contract.reading import BIC, CNAPS
from models.errors import UsageError

if TYPE_CHECKING:
    from models.contract import Payee

PAYMENT: Final = re.compile(r"CSG-P-[0-9]{8}-[0-9]{8}")
"""The end-to-end id of a payment: run and payment. The bank repeats it on the statement, and when it comes back."""
DEMAND: Final = re.compile(r"CSG-D-[0-9]{8}")
"""The reference under which an agency pays what it owes: the statement that says so."""


@dataclass(frozen=True)
class BankAccount:
    """One end of a transfer: an IBAN, or an account with its bank's BIC or CNAPS code."""

    name: str
    account: str
    bank: str | None = None

    @property
    def is_iban(self) -> bool:
        """Whether the account is an IBAN."""
        return bool(ibans.is_valid(self.account))

    @property
    def is_cnaps(self) -> bool:
        """Whether the bank is named by its code in China's clearing system."""
        return self.bank is not None and CNAPS.fullmatch(self.bank) is not None


@dataclass(frozen=True)
class Transfer:
    """One payment as a bank is told of it."""

    end_to_end_id: str
    amount_minor: int
    payee: BankAccount
    about: str


def end_to_end_id(run_id: int, payment_id: int) -> str:
    """The reference of one payment."""
    return f"CSG-P-{run_id:08d}-{payment_id:08d}"


def demand_reference(statement_id: int) -> str:
    """The reference under which an agency pays what a statement says it owes."""
    return f"CSG-D-{statement_id:08d}"


def message_id(run_id: int, told: str) -> str:
    """The id of a run's message: the same whenever it is written, and another one for other payments."""
    return f"CSG-{run_id:08d}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def payee_of(payee: Payee) -> BankAccount:
    """The account that a contract names."""
    if payee.iban is not None:
        return BankAccount(payee.name, payee.iban, payee.bic)
    return BankAccount(payee.name, str(payee.account), payee.cnaps or payee.bic)


def own_account(name: str, account: str, bank: str | None) -> BankAccount:
    """The lender's account that is paid from. Raises UsageError where a bank could not tell which it is."""
    compact = re.sub(r"\s", "", account).upper()
    if ibans.is_valid(compact):
        account = compact
    elif bank is None:
        raise UsageError("nobody knows the bank of that account", fix="give an IBAN, or the bank's BIC or CNAPS code")
    if bank is not None and not (CNAPS.fullmatch(bank) or BIC.fullmatch(bank)):
        raise UsageError("the bank is neither a BIC nor a CNAPS code of twelve digits", fix="copy it again")
    return BankAccount(name, account, bank)

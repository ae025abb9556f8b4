"""What can be wrong with a contract."""

from __future__ import annotations

from models.errors import ConfigurationError


class ContractFault(ConfigurationError):
    """The terms cannot be read: a key is unknown, missing or out of its range."""

    def __init__(self, message: str, *, fix: str = "docs/reference/contracts.md says how each term is written") -> None:
        super().__init__(message, fix=fix)


class TierGap(ConfigurationError):
    """A recovery falls in no tier of the contract, so that nobody knows its commission."""


class NoContract(ConfigurationError):
    """Nothing was agreed between this lender and this agency."""

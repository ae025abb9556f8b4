"""What a lender and an agency agreed: who keeps the fee until when, how it is reckoned and rounded (R2, R9, R11).

The terms are TOML, kept whole in `agency_contract.terms` (docs/reference/contracts.md). Rates are `Decimal`; amounts
are int64 minor units; no float comes near either. What a debtor paid counts under the terms in force on its value date;
what hangs on a month as a whole is settled when the month is stated.
"""

from __future__ import annotations

from models.contract.amounts import SCALE, Minor, Rounding, charged, portion, shares
from models.contract.errors import ContractFault, NoContract, TierGap
from models.contract.pricing import commission
from models.contract.terms import Agreed, Clocks, Contract, Payee, Step, Tier, clocks_in, terms_on

__all__ = [
    "SCALE", "Agreed", "Clocks", "Contract", "ContractFault", "Minor", "NoContract", "Payee", "Rounding", "Step",
    "Tier", "TierGap", "charged", "clocks_in", "commission", "portion", "shares", "terms_on",
]  # fmt: skip

"""What a recovery is worth to the agency, line by line: commission and VAT under the terms of its value date (R11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.contract.amounts import SCALE, Minor, charged, millionths, portion
from models.contract.errors import TierGap

if TYPE_CHECKING:
    import numpy.typing as npt

    from models.contract.terms import Contract


def commission(lines: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Commission and VAT per line by the contract's tiers, rounded line by line; the first tier that fits is taken.

    lines: `gross_minor` int64; what the placement was like: `dpd`, `round`, and `balance_minor`, `product`, `stage`
    where a tier asks for them; `kind`, where direct payments may be among them.
    Returns, in the lines' index: `rate` (Decimal), `commission_minor`, `vat_minor` (int64, the sign of gross). A tier
    with steps counts here at its own rate: what the month's volume changes comes when the month is stated (settling).
    Raises TierGap if no tier fits a line.  Source: docs/reference/contracts.md.
    """
    gross = lines["gross_minor"].to_numpy(dtype=np.int64)
    if contract.basis == "fixed":
        nothing = np.zeros(len(lines), dtype=np.int64)
        rates = np.full(len(lines), contract.vat_rate * 0, dtype=object)
        return pd.DataFrame({"rate": rates, "commission_minor": nothing, "vat_minor": nothing}, index=lines.index)
    chosen = tier_of(lines, contract)
    tiers = np.array([tier.rate for tier in contract.tiers], dtype=object)
    rate = np.array([millionths(tier.rate) for tier in contract.tiers], dtype=np.int64)[chosen]
    rates = tiers[chosen]
    if "kind" in lines and (direct := (lines["kind"] == "direct").to_numpy(dtype=bool, na_value=False)).any():
        if not contract.direct_payments:
            rate[direct], rates[direct] = 0, contract.vat_rate * 0
        elif contract.direct_rate is not None:
            rate[direct], rates[direct] = millionths(contract.direct_rate), contract.direct_rate
    fee = limited(charged(gross, rate, contract.rounding), gross, contract, entitled=rate > 0)
    due, vat = taxed(fee, contract)
    return pd.DataFrame({"rate": rates, "commission_minor": due, "vat_minor": vat}, index=lines.index)


def tier_of(lines: pd.DataFrame, contract: Contract) -> npt.NDArray[np.int64]:
    """The number of each line's tier, from 0. Raises TierGap if no tier fits one."""
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
    return chosen.astype(np.int64)


def limited(fee: Minor, gross: Minor, contract: Contract, entitled: npt.NDArray[np.bool_]) -> Minor:
    """The fee of each line within the contract's floor and cap per line; a floor never takes more than was recovered.

    entitled: lines that earn something at all; the others have no floor.
    """
    if contract.line_floor_minor is None and contract.line_cap_minor is None:
        return fee
    size = np.abs(fee)
    if contract.line_floor_minor is not None:
        least = np.minimum(contract.line_floor_minor, np.abs(gross))
        size = np.where(entitled, np.maximum(size, least), size)
    if contract.line_cap_minor is not None:
        size = np.minimum(size, contract.line_cap_minor)
    return np.asarray(np.sign(gross) * size, dtype=np.int64)


def taxed(fee: Minor, contract: Contract) -> tuple[Minor, Minor]:
    """Commission and VAT that a fee consists of: VAT comes on top, is part of it, or is left to us (reverse charge)."""
    rate = millionths(contract.vat_rate)
    if contract.vat_treatment == "reverse_charge" or rate == 0:
        return fee, np.zeros(len(fee), dtype=np.int64)
    if contract.vat_treatment == "added":
        return fee, charged(fee, rate, contract.rounding)
    net = portion(fee, np.full(len(fee), SCALE), np.full(len(fee), SCALE + rate), contract.rounding)
    return net, fee - net


def fee_of(commission_minor: Minor, vat_minor: Minor, contract: Contract) -> Minor:
    """The fee that commission and VAT came of: the inverse of `taxed`."""
    return commission_minor + vat_minor if contract.vat_treatment == "included" else commission_minor

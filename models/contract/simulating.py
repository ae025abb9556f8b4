"""What a month would have cost under other terms: the same pricing and the same settlement, without the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.contract import settling
from models.contract.amounts import portion
from models.contract.pricing import commission, fee_of, tier_of

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from models.contract.terms import Agreed, Contract, Tier


@dataclass(frozen=True)
class Cost:
    """A month's commission.

    lines: as they were given, with `tier` (what it asks for), `commission_minor` and `vat_minor` under the terms.
    adjustments: what the month as a whole changes, as models.contract.settling has it.
    """

    lines: pd.DataFrame
    adjustments: pd.DataFrame

    @property
    def total_minor(self) -> int:
        """Commission and VAT together."""
        return sum(int(frame[name].sum()) for frame in (self.lines, self.adjustments) for name in settling.DUE)


def simulated(lines: pd.DataFrame, cases: pd.DataFrame, agreed: Agreed, until: date) -> Cost:
    """What the month costs under these terms.

    lines: what counts of the month, in an order of its contents: `line_id`, `original_line_id`, `placement_id`,
    `account_id`, `kind`, `gross_minor`, `value_date`, the placement's traits, `commission_minor` and `vat_minor` as
    booked. cases: placed in the month: `placement_id`, `account_id`, `placed_on`. What undoes a recovery of another
    month costs what it was booked at: it takes back what was charged then. Limits per account see this month alone.
    Raises TierGap.
    """
    priced = lines.assign(tier="earlier")
    terms = agreed.on(priced["value_date"])
    fresh = priced["original_line_id"].isna().to_numpy()
    for number, contract in enumerate(agreed.contracts):
        at = priced.index[fresh & (terms == number)]
        if len(at):
            _price(priced, at, contract)
    _undo(priced, agreed, terms)
    return Cost(priced, _settled(priced, cases, agreed, terms, until))


def label(number: int, tier: Tier) -> str:
    """What the tier asks for, in few words, after its number from 1."""
    bounds = {
        "dpd": (tier.dpd_from, tier.dpd_to), "round": (tier.round_from, tier.round_to),
        "balance": (tier.balance_from_minor, tier.balance_to_minor),
    }  # fmt: skip
    told = [f"{name} {_band(low, high)}" for name, (low, high) in bounds.items() if (low, high) != (None, None)]
    told += [text for text in (tier.product, tier.stage) if text is not None]
    return f"{number} ({', '.join(told) or 'all'})"


def _band(low: int | None, high: int | None) -> str:
    if low == high:
        return str(low)
    return f"{low}+" if high is None else f"to {high}" if low is None else f"{low}–{high}"


def _price(priced: pd.DataFrame, at: pd.Index[int], contract: Contract) -> None:
    """The lines have their tier, commission and VAT; those with a fee agreed case by case keep it."""
    if contract.fees == "per_line":
        priced.loc[at, "tier"] = "per line"
        return
    due = commission(priced.loc[at], contract)
    priced.loc[at, "commission_minor"], priced.loc[at, "vat_minor"] = due["commission_minor"], due["vat_minor"]
    if contract.basis == "fixed":
        priced.loc[at, "tier"] = "none"
        return
    names = np.array([label(number, tier) for number, tier in enumerate(contract.tiers, 1)], dtype=object)
    priced.loc[at, "tier"] = names[tier_of(priced.loc[at], contract)]


def _undo(priced: pd.DataFrame, agreed: Agreed, terms: np.ndarray) -> None:
    """Reversals of the month's own recoveries take back their commission in proportion."""
    originals = priced.set_index("line_id")
    here = priced.index[priced["original_line_id"].isin(originals.index)]
    if here.empty:
        return
    original = originals.loc[priced.loc[here, "original_line_id"].astype("int64")]
    upto = (-priced.loc[here, "gross_minor"]).groupby(priced.loc[here, "original_line_id"]).cumsum()
    before, after = (upto + priced.loc[here, "gross_minor"]).to_numpy(), upto.to_numpy()
    gross = original["gross_minor"].to_numpy()
    priced.loc[here, "tier"] = original["tier"].to_numpy()
    for number, contract in enumerate(agreed.contracts):
        mine = terms[priced.index.get_indexer(here)] == number
        for name in settling.DUE:
            due = original[name].to_numpy()[mine]
            gone = [portion(due, part[mine], gross[mine], contract.rounding) for part in (before, after)]
            priced.loc[here[mine], name] = gone[0] - gone[1]


def _settled(priced: pd.DataFrame, cases: pd.DataFrame, agreed: Agreed, terms: np.ndarray, until: date) -> pd.DataFrame:
    """What the month as a whole changes."""
    units, last = settling.units_of(priced), agreed.at(until)
    found = []
    for number, contract in enumerate(agreed.contracts):
        found.append(settling.counted_together(units[units.index.isin(priced.index[terms == number])], contract))
        due = cases[agreed.on(cases["placed_on"]) == number]
        found.append(settling.case_fees(due, contract))
    of_lines = [part for part in found if not (part["kind"] == "case_fee").any()]
    whole = settling.with_added(units, of_lines)
    per_account = whole.groupby("placement_id", as_index=False).agg(
        {"account_id": "first", "gross_minor": "sum", "commission_minor": "sum", "vat_minor": "sum"}
    )
    per_account = per_account.rename(columns={"gross_minor": "recovered_minor"})
    limits = settling.account_limits(per_account.assign(limited_commission_minor=0, limited_vat_minor=0), last)
    fees = int(fee_of(limits["commission_minor"].to_numpy(), limits["vat_minor"].to_numpy(), last).sum())
    changed = settling.together([*found, limits, settling.month_limits(whole, last, other_minor=fees)])
    due, vat = (int(priced[name].sum()) + int(changed[name].sum()) for name in settling.DUE)
    return settling.together([changed, settling.invoice_vat(due, vat, last)])

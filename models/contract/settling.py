"""What a month as a whole changes of its lines' commission: volume, rounding the invoice, limits, clawback (R9, R11).

A month is settled once, when it is stated. What comes later stands on the next statement and is counted there: neither
a late line nor a reversal opens the tier of a month that has been settled. A reversal takes back what its original was
charged in the end, in proportion; so nothing is ever taken back beyond that.

Amounts here are *fees*: what the contract's rates give. VAT is on top of them, or in them (`pricing.taxed`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.contract.amounts import SCALE, Minor, charged, divided, millionths, portion, product_sum, shares
from models.contract.pricing import fee_of, limited, taxed, tier_of

if TYPE_CHECKING:
    from models.contract.terms import Contract, Tier

COLUMNS = ("kind", "line_id", "placement_id", "account_id", "commission_minor", "vat_minor")
"""What an adjustment says; ids are Int64, null where it is about no single one."""
DUE = ("commission_minor", "vat_minor")
KINDS = ("case_fee", "volume", "rounding", "clawback", "account_limit", "month_limit", "reverse_charge")


def units_of(lines: pd.DataFrame) -> pd.DataFrame:
    """The month's recoveries, each less what the same month reversed of it; in the lines' index and order.

    lines: `line_id`, `original_line_id` (Int64, of a reversal: what it undoes), `gross_minor`, DUE, and more.
    """
    own = lines["original_line_id"].isin(lines["line_id"])
    undone = lines[own].groupby("original_line_id")[["gross_minor", *DUE]].sum()
    fresh = lines[lines["original_line_id"].isna()]
    off = undone.reindex(fresh["line_id"].astype("Int64"), fill_value=0)
    return fresh.assign(**{name: fresh[name] + off[name].to_numpy() for name in ("gross_minor", *DUE)})


def with_added(lines: pd.DataFrame, found: list[pd.DataFrame]) -> pd.DataFrame:
    """The lines with all that was added to them."""
    added = together(found).dropna(subset="line_id").groupby("line_id")[list(DUE)].sum()
    more = added.reindex(lines["line_id"].astype("Int64"), fill_value=0)
    return lines.assign(**{name: lines[name] + more[name].to_numpy() for name in DUE})


def counted_together(units: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """What the month's volume, or rounding the whole invoice, changes per line: COLUMNS, kind `volume` or `rounding`.

    units: the month's lines under these terms, in an order of their contents: `line_id`, `placement_id`, `account_id`,
    `gross_minor` (>= 0, less what the same month reversed of it), `commission_minor`, `vat_minor` (likewise), and the
    traits of the placement that the tiers ask for.
    """
    by_volume = contract.has_steps
    if units.empty or contract.fees == "per_line" or contract.basis == "fixed":
        return none()
    if not by_volume and contract.rounding_level == "line":
        return none()
    if "kind" in units and (not contract.direct_payments or contract.direct_rate is not None):
        # what was paid to the lender has a rate of its own, or none: it is in no volume and no common rounding
        units = units[(units["kind"] != "direct").to_numpy(dtype=bool, na_value=True)]
    gross = units["gross_minor"].to_numpy(dtype=np.int64)
    tier = tier_of(units, contract)
    before = fee_of(*_due(units), contract)
    after = _by_volume(gross, tier, contract) if by_volume else _rounded_together(gross, tier, contract)
    after = limited(after, gross, contract, entitled=after > 0)
    return _changed(units, "volume" if by_volume else "rounding", before, after, contract)


def taken_back(reversals: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """What reversals take back of what was added to their originals when those were settled: kind `clawback` (R9).

    reversals: `line_id`, `placement_id`, `account_id`; of their originals `commission_minor` and `vat_minor` as added
    then, `base_minor` (gross, less what the same month reversed); `before_minor` and `after_minor`: how much of the
    base is reversed before and with this line. The parts of a whole reversal sum to the whole.
    """
    if reversals.empty:
        return none()
    before, after, base = (reversals[f"{name}_minor"].to_numpy(dtype=np.int64) for name in ("before", "after", "base"))
    back = {}
    for name in ("commission_minor", "vat_minor"):
        added = reversals[name].to_numpy(dtype=np.int64)
        back[name] = portion(added, before, base, contract.rounding) - portion(added, after, base, contract.rounding)
    return _kept(reversals.assign(kind="clawback", **back))


def account_limits(accounts: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """What the floor and the cap per account change: kind `account_limit`, one row per placement.

    accounts: per placement `placement_id`, `account_id`, `recovered_minor` (all that was stated of it, less
    reversals), `commission_minor` and `vat_minor` (all of it, this month's included), `limited_commission_minor` and
    `limited_vat_minor` (what earlier months' limits changed). Nothing recovered in the end has no floor.
    """
    if accounts.empty or (contract.account_floor_minor is None and contract.account_cap_minor is None):
        return none()
    before = fee_of(*_due(accounts), contract)
    recovered = accounts["recovered_minor"].to_numpy(dtype=np.int64)
    target = before
    if contract.account_floor_minor is not None:
        least = np.minimum(contract.account_floor_minor, recovered)
        target = np.where(recovered > 0, np.maximum(target, least), target)
    if contract.account_cap_minor is not None:
        target = np.minimum(target, contract.account_cap_minor)
    wanted, wanted_vat = taxed(target, contract)
    due, vat = _due(accounts)
    return _kept(
        accounts.assign(
            kind="account_limit",
            line_id=pd.array([pd.NA] * len(accounts), dtype="Int64"),
            commission_minor=np.where(target == before, 0, wanted - due) - accounts["limited_commission_minor"],
            vat_minor=np.where(target == before, 0, wanted_vat - vat) - accounts["limited_vat_minor"],
        )
    )


def month_limits(units: pd.DataFrame, contract: Contract, *, other_minor: int = 0) -> pd.DataFrame:
    """What the floor and the cap per month change: kind `month_limit`.

    units: the month's lines as in `counted_together`, with all that was added to them; other_minor: fees of the month
    that belong to no line of it (limits per account). A cap is taken off the lines, in proportion; a floor is added to
    none of them.
    """
    before = fee_of(*_due(units), contract)
    total = int(before.sum()) + other_minor
    if contract.month_cap_minor is not None and total > contract.month_cap_minor and int(before.sum()) > 0:
        too_much = min(total - contract.month_cap_minor, int(before.sum()))
        return _changed(units, "month_limit", before, before - shares(too_much, np.maximum(before, 0)), contract)
    if contract.month_floor_minor is not None and total < contract.month_floor_minor:
        return unattached("month_limit", contract.month_floor_minor - total, contract)
    return none()


def case_fees(placements: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The fee for each case: kind `case_fee`. placements: `placement_id`, `account_id`, placed under these terms."""
    if contract.case_fee_minor is None or placements.empty:
        return none()
    fee, vat = taxed(np.full(len(placements), contract.case_fee_minor, dtype=np.int64), contract)
    return _kept(
        placements.assign(
            kind="case_fee",
            line_id=pd.array([pd.NA] * len(placements), dtype="Int64"),
            commission_minor=fee,
            vat_minor=vat,
        )
    )


def invoice_vat(commission_minor: int, vat_minor: int, contract: Contract) -> pd.DataFrame:
    """What VAT on the month's whole commission is more than the sum of its lines': kind `rounding`, without a line.

    Only where the contract rounds the invoice.
    """
    if contract.rounding_level == "line" or contract.vat_treatment != "added":
        return none()
    whole = divided(commission_minor * millionths(contract.vat_rate), SCALE, contract.rounding)
    return _lone("rounding", 0, whole - vat_minor)


def owed_for(commission_minor: int, contract: Contract) -> int:
    """The VAT that we owe ourselves on the commission: reverse charge; else 0."""
    if contract.vat_treatment != "reverse_charge":
        return 0
    return divided(commission_minor * millionths(contract.vat_rate), SCALE, contract.rounding)


def unattached(kind: str, fee_minor: int, contract: Contract) -> pd.DataFrame:
    """One adjustment that is about no line, placement or account."""
    fee, vat = taxed(np.array([fee_minor], dtype=np.int64), contract)
    return _lone(kind, int(fee[0]), int(vat[0]))


def none() -> pd.DataFrame:
    """No adjustments: COLUMNS with their types."""
    return _NONE.copy(deep=False)


def together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All of them as one frame."""
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else none()


def _by_volume(gross: Minor, tier: Minor, contract: Contract) -> Minor:
    """The fee of each line once the month's collections under these terms are known, whatever their order.

    Marginal: every line has its tier's mean rate over the month's volume, so that no line is luckier than another.
    """
    volume = int(gross.sum())
    fee = np.zeros(len(gross), dtype=np.int64)
    for number, one in enumerate(contract.tiers):
        at = np.flatnonzero(tier == number)
        if not len(at) or volume <= 0:
            continue
        mine = gross[at]
        if contract.volume == "whole":
            rate = _rate_at(volume, one)
            if contract.rounding_level == "line":
                fee[at] = charged(mine, rate, contract.rounding)
                continue
            total = divided(int(mine.sum()) * rate, SCALE, contract.rounding)
        else:
            total = divided(int(mine.sum()) * _earned(volume, one), volume * SCALE, contract.rounding)
        fee[at] = shares(total, mine)
    return fee


def _rate_at(volume: int, tier: Tier) -> int:
    """The rate, in millionths, that this volume gives in the tier."""
    rates = [tier.rate, *(step.rate for step in tier.steps)]
    return millionths(rates[bisect_right([step.from_minor for step in tier.steps], volume)])


def _earned(volume: int, tier: Tier) -> int:
    """What this volume earns in the tier, step by step, in millionths of minor units."""
    edges = [0, *(min(step.from_minor, volume) for step in tier.steps), volume]
    rates = [tier.rate, *(step.rate for step in tier.steps)]
    return sum((high - low) * millionths(rate) for low, high, rate in zip(edges[:-1], edges[1:], rates, strict=True))


def _rounded_together(gross: Minor, tier: Minor, contract: Contract) -> Minor:
    """The lines' fees where their exact sum is rounded once, and split by largest remainder."""
    rate = np.array([millionths(one.rate) for one in contract.tiers], dtype=np.int64)[tier]
    total = divided(product_sum(gross, rate), SCALE, contract.rounding)
    wide = len(gross) and int(gross.max()) > np.iinfo(np.int64).max // SCALE
    weights = (gross.astype(object) if wide else gross) * rate
    return shares(total, weights)


def _due(rows: pd.DataFrame) -> tuple[Minor, Minor]:
    commission, vat = (rows[name].to_numpy(dtype=np.int64) for name in ("commission_minor", "vat_minor"))
    return commission, vat


def _changed(units: pd.DataFrame, kind: str, before: Minor, after: Minor, contract: Contract) -> pd.DataFrame:
    """The adjustments that lead from one fee to the other, line by line, without those of nothing."""
    was, was_vat = taxed(before, contract)
    now, now_vat = taxed(after, contract)
    return _kept(units.assign(kind=kind, commission_minor=now - was, vat_minor=now_vat - was_vat))


def _kept(found: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS with their types, without adjustments of nothing."""
    some = found[(found["commission_minor"] != 0) | (found["vat_minor"] != 0)]
    types = dict.fromkeys(COLUMNS[1:4], "Int64") | dict.fromkeys(COLUMNS[4:], "int64") | {"kind": "str"}
    return some[list(COLUMNS)].astype(types).reset_index(drop=True)


def _lone(kind: str, commission_minor: int, vat_minor: int) -> pd.DataFrame:
    row = {"kind": kind, "line_id": pd.NA, "placement_id": pd.NA, "account_id": pd.NA}
    return _kept(pd.DataFrame([row | {"commission_minor": commission_minor, "vat_minor": vat_minor}]))


_NONE = pd.DataFrame(
    {
        name: pd.Series(dtype="str" if name == "kind" else "int64" if name.endswith("_minor") else "Int64")
        for name in COLUMNS
    }
)

"""Which accounts a strategy moves to which stage, whole columns at a time; the softest stage first (柔性)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.planning.exclusions import held_for
from models.release import STAGES
from models.strategy.rules import NEW, Strategy, When

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import numpy.typing as npt


OPEN: Final = "open"
NO_RULE: Final = "no_rule"
NOTHING_OWED: Final = "nothing_owed"
STAYS: Final = "stays"
FITS: Final = "rule"
SOFTER_FIRST: Final = "softer_first"
NOT_YET: Final = "not_yet"
NOT_BACK: Final = "not_back"
WORDS: Final[dict[str, str]] = {
    FITS: "as the rule says",
    SOFTER_FIRST: "a softer stage comes first",
    NOT_YET: "its time in the stage is not over: placed there again",
    NOT_BACK: "the rule leads to a softer stage than it is in: placed there again",
}
"""Why a move leads where it does."""
LEFT: Final[dict[str, str]] = {
    "placed": "with an agency: a cascade decides",
    "in_plan": "in a plan that is submitted or approved",
    NO_RULE: "no rule fits",
    NOTHING_OWED: "nothing is owed",
    STAYS: "stays in the stage in house",
    NOT_YET: "its time in the stage in house is not over",
    "paid": "paid",
    "closed": "closed",
    "erased": "erased",
}
"""Why an account is left where it is; a hold is followed by its own reason: `hold:complaint`."""
COLUMNS: Final = (
    "account_id", "debtor_id", "currency", "balance_minor", "version", "from_stage", "to_stage", "days", "rule", "why",
)  # fmt: skip


@dataclass(frozen=True)
class Moves:
    """What a strategy would do with a lender's accounts."""

    lines: pd.DataFrame
    """COLUMNS, one row per account that moves or is placed again, in rising account id"""
    left: pd.DataFrame
    """`account_id`, `reason`: the others"""

    @property
    def sha256(self) -> str:
        """The hash over every move: what an approver approves."""
        digest = hashlib.sha256()
        for name in ("account_id", "version"):
            digest.update(self.lines[name].to_numpy(dtype="<i8").tobytes())
        for name in ("from_stage", "to_stage", "rule", "why"):
            codes, names = pd.factorize(self.lines[name].astype("str"), sort=True)
            digest.update("\n".join([name, *map(str, names)]).encode())
            digest.update(codes.astype("<i8").tobytes())
        return digest.hexdigest()


def moves(strategy: Strategy, accounts: pd.DataFrame, holds: pd.DataFrame, out: pd.DataFrame, today: date) -> Moves:
    """Where every account goes by the first rule that fits it.

    accounts: one row each: `account_id`, `debtor_id`, `product`, `currency`, `balance_minor`, `dpd`, `bucket`,
    `score_band` (missing: none), `status`, `rounds` (placements so far), `version`, `stage` (`new`: none yet), `since`
    (its first day there; missing for `new`). holds: in force, as in models.planning. out: `account_id`, `state` of
    those with an agency (`placed`) or in a plan (`in_plan`).

    An account never passes over a stage of the strategy, nor leaves one before its time, nor goes back to a softer one,
    unless the rule says so. In house, an account that is where it should be is left; an agency's stage is placed again.
    """
    accounts = accounts.sort_values("account_id", ignore_index=True)
    reason = _left_out(accounts, holds, out)
    days = days_in_stage(accounts, today)
    traits = accounts.assign(round=accounts["rounds"] + 1, days=days)
    chosen = first_that_fits([rule.when for rule in strategy.rules], traits)
    target, why = _targets(strategy, accounts, days, chosen)
    reason = reason.mask(reason.isna() & (chosen < 0), NO_RULE)
    same = (target == accounts["stage"]).to_numpy()
    in_house = target.isin([one.stage for one in strategy.stages if one.by == "in_house"]).to_numpy()
    in_agency = accounts["stage"].isin([one.stage for one in strategy.placing]).to_numpy()
    # what stays in a stage in house, or in one that the strategy does not know, needs no plan
    stays = same & (in_house | ~in_agency)
    waits = np.where(why == NOT_YET, NOT_YET, STAYS)
    reason = reason.mask(reason.isna() & stays, pd.Series(waits, index=reason.index, dtype="str"))
    goes = reason.isna().to_numpy()
    rules = np.array([*(rule.id for rule in strategy.rules), ""], dtype=object)
    lines = accounts.assign(
        from_stage=accounts["stage"], to_stage=target, days=days, rule=rules[chosen], why=why
    ).loc[goes, list(COLUMNS)]  # fmt: skip
    texts = dict.fromkeys(("from_stage", "to_stage", "rule", "why"), "str")
    left = pd.DataFrame({"account_id": accounts["account_id"], "reason": reason})[~goes]
    return Moves(lines.astype(texts).reset_index(drop=True), left.reset_index(drop=True))


def first_that_fits(conditions: list[When], traits: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The number of the first condition that each row meets; -1 where it meets none."""
    chosen = np.full(len(traits), -1, dtype=np.int64)
    for number in reversed(range(len(conditions))):
        chosen[fits(conditions[number], traits)] = number
    return chosen


def fits(when: When, traits: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows are so; `traits` has the columns that the condition asks for, and `currency` where it is a balance."""
    fit = np.ones(len(traits), dtype=bool)
    for column, wanted in (
        ("product", when.products), ("bucket", when.buckets), ("score_band", when.score_bands), ("stage", when.stages),
    ):  # fmt: skip
        if wanted:
            fit &= traits[column].isin(wanted).to_numpy(dtype=bool)
    for name in ("dpd", "round", "days"):
        low, high = getattr(when, f"{name}_from"), getattr(when, f"{name}_to")
        if low is not None:
            fit &= traits[name].to_numpy() >= low
        if high is not None:
            fit &= traits[name].to_numpy() <= high
    if (when.balance_from, when.balance_to) != (None, None):
        fit &= _in_band(when, traits)
    return fit


def _in_band(when: When, traits: pd.DataFrame) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(traits), dtype=bool)
    balance = traits["balance_minor"].to_numpy()
    codes, currencies = pd.factorize(traits["currency"])
    for place, currency in enumerate(currencies):
        low, high = when.minor(str(currency))
        here = codes == place
        if low is not None:
            here &= balance >= low
        if high is not None:
            here &= balance <= high
        found |= here
    return found


def days_in_stage(accounts: pd.DataFrame, today: date) -> npt.NDArray[np.int64]:
    """Days since the account's first day in its stage; 0 for a new one."""
    spent = (pd.Timestamp(today) - accounts["since"]).dt.days
    days: npt.NDArray[np.int64] = spent.fillna(0).clip(lower=0).to_numpy(dtype=np.int64)
    return days


def _left_out(accounts: pd.DataFrame, holds: pd.DataFrame, out: pd.DataFrame) -> pd.Series:
    """Why an account is not looked at; missing where it is."""
    status = accounts["status"].astype("str")
    found = status.where(status != OPEN, held_for(accounts, holds))
    away = accounts["account_id"].map(out.drop_duplicates("account_id").set_index("account_id")["state"])
    found = found.fillna(away.astype("str"))
    return found.mask(found.isna() & (accounts["balance_minor"] <= 0), NOTHING_OWED)


def _targets(
    strategy: Strategy, accounts: pd.DataFrame, days: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]
) -> tuple[pd.Series, npt.NDArray[np.object_]]:
    """The stage that each account goes to, and why it is that one; where no rule fits, the one that it is in."""
    rank = {NEW: -1, **{stage: place for place, stage in enumerate(STAGES)}}
    here = np.asarray(accounts["stage"].map(rank), dtype=np.int64)
    there = _per_rule(strategy, lambda number: STAGES.index(strategy.rules[number].to), chosen, here)
    skips = _per_rule(strategy, lambda number: int(strategy.rules[number].skip_soft), chosen, 0).astype(bool)
    backs = _per_rule(strategy, lambda number: int(strategy.rules[number].back), chosen, 0).astype(bool)
    why = np.full(len(accounts), FITS, dtype=object)
    least = np.array([0, *((one.least_days if (one := strategy.stage(stage)) else 0) for stage in STAGES)])
    early = (there > here) & (days < least[here + 1]) & ~skips
    there = np.where(early, here, there)
    why[early] = NOT_YET
    if strategy.soft_first:
        nearest = np.minimum(there, _next_harder(strategy)[here + 1])
        clipped = (there > here) & (nearest < there) & ~skips
        there = np.where(clipped, nearest, there)
        why[clipped] = SOFTER_FIRST
    softer = (there < here) & ~backs
    there = np.where(softer, here, there)
    why[softer] = NOT_BACK
    names = np.array([*STAGES, NEW], dtype=object)
    return pd.Series(names[there], index=accounts.index, dtype="str"), why


def _per_rule(
    strategy: Strategy,
    value: Callable[[int], int],
    chosen: npt.NDArray[np.int64],
    otherwise: npt.NDArray[np.int64] | int,
) -> npt.NDArray[np.int64]:
    """Of each account, its rule's value; `otherwise` where it has none."""
    values = np.array([*map(value, range(len(strategy.rules))), 0], dtype=np.int64)
    return np.where(chosen >= 0, values[chosen], otherwise)


def _next_harder(strategy: Strategy) -> npt.NDArray[np.int64]:
    """By the rank of the present stage and 1, the rank of the strategy's next harder one; the last stays."""
    own = [STAGES.index(one.stage) for one in strategy.stages]
    return np.array([next((one for one in own if one > rank), rank) for rank in range(-1, len(STAGES))])

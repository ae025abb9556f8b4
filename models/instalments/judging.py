"""What becomes of a proposed instalment plan: within the limits, beyond them, or refused, each with its codes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.instalments.limits import GRADES, MOST_COUNTED, POINTS
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

    import numpy.typing as npt

    from models.instalments.limits import Ability, Bounds, Limits, Willingness

WITHIN: Final = "within"
BEYOND: Final = "beyond"
REFUSED: Final = "refused"
VERDICTS: Final = (WITHIN, BEYOND, REFUSED)
DAYS_OF_A_MONTH: Final = 31

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too_long": "Agree on fewer months.",
        "instalment_too_small": "Agree on larger instalments.",
        "starts_too_late": "Let the first instalment be due sooner.",
        "gap_too_long": "Let the instalments follow each other sooner.",
        "discount_too_large": "The instalments sum to less than the lender may accept: agree on more.",
        "above_balance": "The instalments sum to more than is owed: ask for the balance, and propose again.",
        "in_the_past": "The first instalment was due before anybody could decide: propose later days.",
        "plan_running": "The account has an instalment plan already: it ends first.",
        "on_hold": "The account is on hold: nothing can be agreed while it is.",
        "not_placed": "The account is not with you any more.",
        "other_currency": "The plan is in another currency than the account.",
        "declined": "The lender has declined it; ask for the reason if you need it.",
    }
)
"""Why a plan is beyond the limits, or refused, and what to do."""
LIMITED: Final = ("too_long", "instalment_too_small", "starts_too_late", "gap_too_long", "discount_too_large")
"""What the limits bound, by the code of what is beyond."""
AT_LEAST: Final = frozenset({"instalment_too_small", "discount_too_large"})
"""Bounds from below; the others are from above."""
NEVER: Final = ("above_balance", "in_the_past", "plan_running", "on_hold", "not_placed", "other_currency")
"""What nobody can approve, whatever the limits."""


def ability(plans: pd.DataFrame, rule: Ability) -> pd.Series:
    """How much each debtor can pay: low, medium, high. plans: `income_band`, `balance_minor`, `dpd`, `currency`."""
    scale = 10 ** plans["currency"].map(exponent).astype("int64")
    balance, dpd = plans["balance_minor"], plans["dpd"]

    def upto(bound: Decimal, days: int) -> pd.Series:
        most = scale.map({unit: int(unit * bound) for unit in scale.unique().tolist()})
        return (balance <= most) & (dpd <= days)

    grade = pd.Series("low", index=plans.index, dtype="str")
    grade = grade.mask(upto(rule.medium_balance_to, rule.medium_dpd_to), "medium")
    grade = grade.mask(upto(rule.high_balance_to, rule.high_dpd_to), "high")
    known: pd.Series = plans["income_band"].where(plans["income_band"].isin(GRADES)).astype("str").fillna(grade)
    return known


def willingness(signs: pd.DataFrame, rule: Willingness) -> pd.Series:
    """How much each debtor wants to pay: low, medium, high. signs: how often each of POINTS happened."""
    counted = signs[list(POINTS)].clip(upper=MOST_COUNTED).assign(contact=signs["contact"].clip(upper=1))
    points = sum((counted[name] * rule.points.get(name, 0) for name in POINTS), start=pd.Series(0, index=signs.index))
    grade = pd.Series("low", index=signs.index, dtype="str")
    return grade.mask(points >= rule.medium_from, "medium").mask(points >= rule.high_from, "high")


def signs_of(
    debtors: pd.Series,
    payments: pd.DataFrame,
    contacts: pd.DataFrame,
    earlier: pd.DataFrame,
    promise_days: int,
    today: date,
) -> pd.DataFrame:
    """How often each of POINTS happened to each debtor, in the index and order of `debtors`.

    payments: `debtor_id`, `paid_on`. contacts: `debtor_id`, `on`, `outcome`; earlier: `debtor_id`, `state` of plans
    that ended. A promise is kept by a payment on its day or within so many days after; it is broken when they are over.
    Until then it is neither.
    """
    found = pd.DataFrame(0, index=pd.Index(debtors.unique(), name="debtor_id"), columns=list(POINTS))
    reached = contacts[contacts["outcome"].isin(("connected", "met", "promise"))]
    promises = contacts.loc[contacts["outcome"] == "promise", ["debtor_id", "on"]].sort_values("on")
    kept = _kept(promises, payments, promise_days)
    over = (promises["on"] + pd.Timedelta(days=promise_days) < pd.Timestamp(today)).to_numpy(dtype=bool)
    for name, ids in (
        ("payment", payments["debtor_id"]),
        ("contact", reached["debtor_id"]),
        ("promise_kept", promises.loc[kept, "debtor_id"]),
        ("promise_broken", promises.loc[~kept & over, "debtor_id"]),
        ("plan_kept", earlier.loc[earlier["state"] == "fulfilled", "debtor_id"]),
        ("plan_broken", earlier.loc[earlier["state"] == "broken", "debtor_id"]),
    ):
        counts = ids.value_counts()
        found[name] = counts.reindex(found.index, fill_value=0).astype("int64")
    return found.loc[debtors].set_axis(debtors.index)


def _kept(promises: pd.DataFrame, payments: pd.DataFrame, promise_days: int) -> npt.NDArray[np.bool_]:
    """Which promises (in rising days) were followed by a payment in time."""
    if promises.empty or payments.empty:
        return np.zeros(len(promises), dtype=bool)
    after = pd.merge_asof(
        promises,
        payments[["debtor_id", "paid_on"]].sort_values("paid_on"),
        left_on="on",
        right_on="paid_on",
        by="debtor_id",
        direction="forward",
        tolerance=pd.Timedelta(days=promise_days),
    )
    found: npt.NDArray[np.bool_] = after["paid_on"].notna().to_numpy(dtype=bool)
    return found


def judged(plans: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Per plan `verdict`, `codes` (comma-separated), in the index of `plans`.

    plans: `ability`, `willingness`, `currency`, `account_currency`, `balance_minor`, `total_minor`,
    `smallest_minor` (of all instalments but the last), `first_due_on`, `last_due_on`, `longest_gap_days`,
    `proposed_on`, and `running`, `held`, `placed` (bool): whether another plan runs, the account is on hold, and is
    with the agency.
    """
    codes = pd.DataFrame(index=plans.index)
    for code, hit in (
        ("not_placed", ~plans["placed"]), ("on_hold", plans["held"]), ("plan_running", plans["running"]),
        ("other_currency", plans["currency"] != plans["account_currency"]),
        ("above_balance", plans["total_minor"] > plans["balance_minor"]),
        ("in_the_past", plans["first_due_on"] < plans["proposed_on"]),
    ):  # fmt: skip
        codes[code] = hit.to_numpy(dtype=bool)
    never = codes.any(axis=1)
    within = _beyond(plans, limits, WITHIN)
    beyond = _beyond(plans, limits, BEYOND)
    verdict = pd.Series(WITHIN, index=plans.index, dtype="str")
    verdict = verdict.mask(within.any(axis=1), BEYOND).mask(beyond.any(axis=1) | never, REFUSED)
    told = pd.concat([codes, within.where(~beyond.any(axis=1), beyond)], axis=1)
    return pd.DataFrame({"verdict": verdict, "codes": _joined(told)})


def measured(plans: pd.DataFrame) -> pd.DataFrame:
    """What each plan comes to, per limit: LIMITED columns, days and minor units, in the index of `plans`."""
    return pd.DataFrame(
        {
            "too_long": (plans["last_due_on"] - plans["proposed_on"]).dt.days,
            "instalment_too_small": plans["smallest_minor"],
            "starts_too_late": (plans["first_due_on"] - plans["proposed_on"]).dt.days,
            "gap_too_long": plans["longest_gap_days"],
            "discount_too_large": plans["total_minor"],
        },
        index=plans.index,
    ).astype("int64")


def bounds(plans: pd.DataFrame, limits: Limits, which: str) -> pd.DataFrame:
    """How far each plan may go, WITHIN or BEYOND, as `measured`: not below what is in AT_LEAST, not above the rest.

    plans: `ability`, `willingness`, `currency`, `balance_minor`.
    """
    keys = list(zip(plans["ability"], plans["willingness"], plans["currency"], strict=True))
    tiers = {key: limits.tier(key[0], key[1]) for key in set(keys)}
    mine: list[Bounds] = [tiers[key].within if which == WITHIN else tiers[key].beyond for key in keys]
    # a discount is held against the balance as whole numbers: no float comes near it
    least = [int(owed - owed * one.max_discount) for one, owed in zip(mine, plans["balance_minor"], strict=True)]
    return pd.DataFrame(
        {
            "too_long": [one.max_months * DAYS_OF_A_MONTH for one in mine],
            "instalment_too_small": [one.minor(key[2]) for one, key in zip(mine, keys, strict=True)],
            "starts_too_late": [one.first_within_days for one in mine],
            "gap_too_long": [one.gap_days for one in mine],
            "discount_too_large": least,
        },
        index=plans.index,
        dtype="int64",
    )


def weighed(plans: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Each plan against each limit, one row each: `code`, `value`, `within` and `beyond` (bounds), `verdict`.

    plans: as `judged` has them, graded. In the index of `plans`, the limits of a plan in the order of LIMITED.
    """
    told, one, two = measured(plans), bounds(plans, limits, WITHIN), bounds(plans, limits, BEYOND)
    over_one, over_two = _over(told, one), _over(told, two)
    parts = [
        pd.DataFrame(
            {
                "code": code, "value": told[code], "within": one[code], "beyond": two[code],
                "verdict": np.select([over_two[code], over_one[code]], [REFUSED, BEYOND], WITHIN),
            },
            index=plans.index,
        )
        for code in LIMITED
    ]  # fmt: skip
    return pd.concat(parts).sort_index(kind="stable")


def _beyond(plans: pd.DataFrame, limits: Limits, which: str) -> pd.DataFrame:
    """Which of the limits each plan is beyond: one column per code."""
    return _over(measured(plans), bounds(plans, limits, which))


def _over(told: pd.DataFrame, bound: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {code: told[code] < bound[code] if code in AT_LEAST else told[code] > bound[code] for code in LIMITED},
        index=told.index,
    )


def _joined(codes: pd.DataFrame) -> pd.Series:
    """The codes of each row that apply, comma-separated."""
    told = pd.Series("", index=codes.index, dtype="str")
    for code in codes.columns:
        told = told.mask(codes[code].to_numpy(dtype=bool), told + f",{code}")
    return told.str.removeprefix(",")

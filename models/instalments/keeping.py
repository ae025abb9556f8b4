"""Whether an agreed instalment plan is kept: what was due by now against what was paid under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from models.contract.terms import AGREED_STAGES

if TYPE_CHECKING:
    from datetime import date

KEPT: Final = "kept"
FULFILLED: Final = "fulfilled"
BROKEN: Final = "broken"
SETTLEMENT, INSTALMENTS = AGREED_STAGES
"""What recoveries under a plan are to the contract: a settlement where it takes less than was owed."""


def standing(plans: pd.DataFrame, instalments: pd.DataFrame, today: date) -> pd.DataFrame:
    """Per plan how it stands: `state` (kept | fulfilled | broken), `due_minor`, `missed` (instalments), `next_due_on`.

    plans: `instalment_plan_id`, `total_minor`, `paid_minor` (under it, less what was undone), `grace_days`.
    instalments: `instalment_plan_id`, `number`, `due_on`, `amount_minor`. Payments fill instalments in their order; one
    is missed when it is not whole so many days of grace after it was due. In the index of `plans`.
    """
    grace = plans.set_index("instalment_plan_id")[["grace_days", "paid_minor"]]
    rows = instalments.sort_values(["instalment_plan_id", "number"]).join(grace, on="instalment_plan_id")
    owed = rows.groupby("instalment_plan_id")["amount_minor"].cumsum()
    whole = owed <= rows["paid_minor"]
    last_day = rows["due_on"] + pd.to_timedelta(rows["grace_days"], unit="D")
    over = last_day < pd.Timestamp(today)
    by = rows["instalment_plan_id"]
    ids = plans["instalment_plan_id"]
    missed = ids.map((over & ~whole).groupby(by).sum()).fillna(0).astype("int64")
    due = ids.map(rows["amount_minor"].where(over, 0).groupby(by).sum()).fillna(0).astype("int64")
    upcoming = ids.map(rows["due_on"].where(~whole).groupby(by).min())
    state = pd.Series(KEPT, index=plans.index, dtype="str").mask((missed > 0).to_numpy(), BROKEN)
    state = state.mask((plans["paid_minor"] >= plans["total_minor"]).to_numpy(), FULFILLED)
    return pd.DataFrame(
        {
            "state": state.to_numpy(), "due_minor": due.to_numpy(), "missed": missed.to_numpy(),
            "next_due_on": upcoming.to_numpy(),
        },
        index=plans.index,
    )  # fmt: skip


def paid_under(plans: pd.DataFrame, paid: pd.DataFrame) -> pd.Series:
    """What was paid on each plan's account from the day it was proposed on, less what was undone; minor units.

    plans: `instalment_plan_id`, `account_id`, `proposed_on`. paid: `account_id`, `paid_on`, `gross_minor` (negative:
    undone). In the index of `plans`.
    """
    both = plans[["instalment_plan_id", "account_id", "proposed_on"]].merge(paid, on="account_id")
    counts = both[both["paid_on"] >= both["proposed_on"]]
    sums = counts.groupby("instalment_plan_id")["gross_minor"].sum()
    return plans["instalment_plan_id"].map(sums).fillna(0).astype("int64")

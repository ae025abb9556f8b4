"""Whether an agreed instalment plan is kept: what was due by now against what was paid under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

if TYPE_CHECKING:
    from datetime import date

KEPT: Final = "kept"
FULFILLED: Final = "fulfilled"
BROKEN: Final = "broken"
SETTLEMENT: Final = "settlement"
INSTALMENTS: Final = "instalments"


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


def stage_of(total_minor: int, balance_minor: int) -> str:
    """What recoveries under the plan are to the contract: a settlement where it takes less than was owed."""
    return SETTLEMENT if total_minor < balance_minor else INSTALMENTS

"""When an agency's turn is over: no payment or activity for so long, its term, or an instalment plan that is broken.

What comes back goes to another agency, or to a harder stage: primary, secondary, tertiary, legal. Which of them, the
strategy's rules say; who failed before does not get the debtor again (models.planning).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.strategy.moves import fits
from models.strategy.rules import LEVELS, RecallRule, Strategy, level_of

if TYPE_CHECKING:
    from datetime import date

    import numpy.typing as npt

RUNNING: Final = "running"
BROKEN: Final = "broken"
COLUMNS: Final = (
    "placement_id", "account_id", "lender", "agency", "rule", "reason", "level", "days_held", "days_without_payment",
    "days_without_activity",
)  # fmt: skip
NO_NEXT: Final = "none"
"""The next stage of an account that no rule sends anywhere."""


def recalls(strategy: Strategy, placements: pd.DataFrame, today: date) -> pd.DataFrame:
    """The placements that the strategy takes back, with the first rule that fits: COLUMNS, in rising placement id.

    placements: those out and not recalled: `placement_id`, `account_id`, `lender`, `agency`, `product`, `bucket`,
    `stage`, `round`, `placed_on`, `last_paid_on` and `last_activity_on` (missing: never), `plan` (`running`, `broken`,
    or missing: none). While an instalment plan runs, nothing is taken back.
    """
    rows = placements.sort_values("placement_id", ignore_index=True)
    now = pd.Timestamp(today)
    held = (now - rows["placed_on"]).dt.days
    told = rows.assign(
        days_held=held,
        days_without_payment=_since(rows, "last_paid_on", now),
        days_without_activity=_since(rows, "last_activity_on", now),
    )
    free = (rows["plan"] != RUNNING).to_numpy(dtype=bool, na_value=True)
    chosen = np.full(len(rows), -1, dtype=np.int64)
    for number in reversed(range(len(strategy.recalls))):
        chosen[_falls(strategy.recalls[number], told) & free] = number
    rules = np.array([*(rule.id for rule in strategy.recalls), ""], dtype=object)
    reasons = np.array([*(rule.reason for rule in strategy.recalls), ""], dtype=object)
    found = told.assign(rule=rules[chosen], reason=reasons[chosen], level=levels(rows["stage"], rows["round"]))
    texts = dict.fromkeys(("rule", "reason", "level"), "str")
    return found.loc[chosen >= 0, list(COLUMNS)].astype(texts).reset_index(drop=True)


def levels(stage: pd.Series, round_: pd.Series) -> pd.Series:
    """What each placement is called: primary, secondary, tertiary, exhausted; legal whatever its round."""
    capped = round_.clip(lower=0, upper=len(LEVELS) + 1)
    pairs = pd.MultiIndex.from_arrays([stage.astype("str"), capped])
    codes, distinct = pairs.factorize()
    names = np.array([level_of(str(one), int(number)) for one, number in distinct], dtype=object)
    return pd.Series(names[codes] if len(names) else [], index=stage.index, dtype="str")


def content_sha256(lines: pd.DataFrame) -> str:
    """The hash over what would be recalled and why: what an approver approves."""
    digest = hashlib.sha256(lines["placement_id"].to_numpy(dtype="<i8").tobytes())
    for name in ("rule", "reason", "next_stage"):
        digest.update("\n".join([name, *lines[name].astype("str")]).encode())
    return digest.hexdigest()


def _since(rows: pd.DataFrame, column: str, now: pd.Timestamp) -> pd.Series:
    """Days since it last happened, or since the placement where it never did or happened before."""
    last = rows[column].where(rows[column] > rows["placed_on"], rows["placed_on"])
    days: pd.Series = (now - last).dt.days
    return days


def _falls(rule: RecallRule, told: pd.DataFrame) -> npt.NDArray[np.bool_]:
    fit = fits(rule.when, told)
    for column, least in (
        ("days_without_payment", rule.no_payment_days), ("days_without_activity", rule.no_activity_days),
        ("days_held", rule.held_days),
    ):  # fmt: skip
        if least is not None:
            fit &= told[column].to_numpy() >= least
    if rule.plan_broken:
        fit &= (told["plan"] == BROKEN).to_numpy(dtype=bool, na_value=False)
    return fit

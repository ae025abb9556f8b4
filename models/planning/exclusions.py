"""Which accounts a plan leaves out, and why. The first reason that applies is the one that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

    from models.planning.spec import PlanSpec

OPEN: Final = "open"
HOLD: Final = "hold"
PLACED: Final = "placed"
IN_PLAN: Final = "in_plan"
NOTHING_OWED: Final = "nothing_owed"
OTHER_CURRENCY: Final = "other_currency"
BELOW_MINIMUM: Final = "below_minimum"

NO_FAILURE: Final = ("paid", "settled", "cancelled")
"""How a placement may have ended without the agency having failed: the debtor may go there again."""

WORDS: Final[dict[str, str]] = {
    "erased": "erased",
    "closed": "closed",
    "paid": "paid",
    HOLD: "on hold",
    PLACED: "already with an agency",
    IN_PLAN: "in another plan that is submitted or approved",
    NOTHING_OWED: "nothing is owed",
    OTHER_CURRENCY: "in another currency than the plan",
    BELOW_MINIMUM: "below the minimum balance",
    "no_agency_left": "no agency may take the debtor: each has failed before, is barred, or takes none of the segment",
    "incumbent_unavailable": "the debtor's other accounts are with an agency that may not take this one",
    "no_capacity": "no room left at any agency that may take it",
}
"""What each reason means; a hold is followed by its own reason: `hold:complaint`."""


def reasons(accounts: pd.DataFrame, holds: pd.DataFrame, out: pd.DataFrame, spec: PlanSpec, currency: str) -> pd.Series:
    """Why each account may not be planned; missing where it may.

    accounts: `account_id`, `debtor_id`, `status`, `balance_minor`, `currency`.
    holds: those in force: `debtor_id`, `account_id` (missing: every account of the debtor), `reason`.
    out: `account_id`, `state`: accounts with an agency (`placed`) or in another plan (`in_plan`).
    """
    held = held_for(accounts, holds)
    state = accounts["account_id"].map(out.drop_duplicates("account_id").set_index("account_id")["state"])
    balance = accounts["balance_minor"]
    minimum = 0 if spec.filter.min_balance is None else spec.minor(spec.filter.min_balance, currency)
    found = accounts["status"].astype("str")
    found = found.where(found != OPEN, held)
    found = found.fillna(state.astype("str"))
    for applies, reason in (
        (accounts["currency"] != currency, OTHER_CURRENCY),
        (balance <= 0, NOTHING_OWED),
        (balance < minimum, BELOW_MINIMUM),
    ):
        found = found.mask(found.isna() & applies, reason)
    return found


def held_for(accounts: pd.DataFrame, holds: pd.DataFrame) -> pd.Series:
    """`hold:<reason>` of each account that a hold in force reaches, the account's own before the debtor's."""
    own = holds[holds["account_id"].notna()]
    whole = holds[holds["account_id"].isna()]
    by_account = own.assign(account_id=own["account_id"].astype("int64")).sort_values(["account_id", "reason"])
    by_debtor = whole.sort_values(["debtor_id", "reason"])
    mine = accounts["account_id"].map(by_account.drop_duplicates("account_id").set_index("account_id")["reason"])
    theirs = accounts["debtor_id"].map(by_debtor.drop_duplicates("debtor_id").set_index("debtor_id")["reason"])
    return f"{HOLD}:" + mine.astype("str").fillna(theirs.astype("str"))

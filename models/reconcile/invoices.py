"""Which remittance line an invoice line claims commission on, and whether it claims what is due (R4, R11)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.reconcile.breaks import found, together

BY_TRANSACTION = ["txn_ref", "account_id", "currency"]
BY_BASE = ["account_id", "currency", "base_minor"]


def claimed(claims: pd.DataFrame, lines: pd.DataFrame) -> pd.Series:
    """The `line_id` that each claim is for (Int64, null: none), in the claims' index. No line is claimed twice.

    claims: `invoice_line_id`, `txn_ref`, `account_id`, `currency`, `base_minor`.
    lines: those that count and nobody has claimed yet: `line_id`, `txn_ref`, `account_id`, `currency`, `gross_minor`,
    `value_date`, `content_id`. By transaction; a claim without one by account and amount; the n-th for the n-th.
    """
    lines = lines.rename(columns={"gross_minor": "base_minor"}).sort_values(["value_date", "content_id"])
    result = pd.Series(pd.NA, index=claims.index, dtype="Int64")
    named = claims["txn_ref"].notna()
    for keys, some in ((BY_TRANSACTION, claims[named]), (BY_BASE, claims[~named])):
        free = lines[~lines["line_id"].isin(result.dropna())].dropna(subset=keys)
        some = some.dropna(subset=keys).sort_values("invoice_line_id")  # noqa: PLW2901 - the same claims, in order
        if some.empty or free.empty:
            continue
        left = some[keys].assign(nth=some.groupby(keys, sort=False).cumcount(), at=some.index)
        right = free[keys].assign(nth=free.groupby(keys, sort=False).cumcount(), line_id=free["line_id"])
        pairs = left.merge(right, on=[*keys, "nth"])
        result.loc[pairs["at"]] = pairs["line_id"].to_numpy()
    return result


def differences(claims: pd.DataFrame) -> pd.DataFrame:
    """The breaks of claims that are not what is due.

    claims: `invoice_line_id`, `agency`, `account_id`, `line_id`, `currency`, `commission_minor`, `vat_minor`,
    `due_commission_minor`, `due_vat_minor` (0 where nothing is due), `tolerance_minor`: what the contract lets pass.
    """
    breaks = []
    for name, code in (("commission_minor", "commission_diff"), ("vat_minor", "vat_diff")):
        due = claims[f"due_{name}"].astype("int64")
        off = (claims[name] - due).abs() > claims["tolerance_minor"]
        if not off.any():
            continue
        wrong = claims.assign(amount_minor=claims[name] - due)[off]
        breaks.append(found(wrong, code, "invoice_line_id", expected_minor=due[wrong.index], found_minor=wrong[name]))
    return together(breaks)


def is_unentitled(claims: pd.DataFrame) -> pd.Series:
    """Whether each claim is on a direct payment for which the contract gives the agency nothing (R10).

    claims: as `differences` takes them, with the `kind` of the line that each is for.
    """
    nothing = claims["due_commission_minor"].astype("int64") == 0
    return (claims["kind"] == "direct") & nothing & (claims["commission_minor"] != 0)


def unentitled(claims: pd.DataFrame) -> pd.DataFrame:
    """The breaks of those."""
    wrong = claims[is_unentitled(claims)]
    wrong = wrong.assign(amount_minor=wrong["commission_minor"])
    return found(wrong, "direct_payment_claim", "invoice_line_id", payments=pd.Series(1, index=wrong.index))


def unseen(claims: pd.DataFrame) -> pd.DataFrame:
    """The breaks of claims on payments to the lender that nobody sees, or that another claim has had already."""
    wrong = claims.assign(amount_minor=claims["commission_minor"])
    return found(wrong, "direct_payment_claim", "invoice_line_id", payments=pd.Series(0, index=wrong.index))


def reasons(answered: pd.DataFrame) -> pd.Series:
    """Why each claim is disputed: `nothing_recovered`, `commission`, `vat`, `commission_and_vat`; null where it is not.

    answered: `outcome`, `line_id`, `commission_minor`, `vat_minor`, `due_commission_minor`, `due_vat_minor`.
    """
    fee = (answered["commission_minor"] != answered["due_commission_minor"]).to_numpy()
    vat = (answered["vat_minor"] != answered["due_vat_minor"]).to_numpy()
    why = np.select(
        [answered["line_id"].isna().to_numpy(), fee & vat, fee],
        ["nothing_recovered", "commission_and_vat", "commission"],
        "vat",
    )
    return pd.Series(why, index=answered.index, dtype="str").where(answered["outcome"] == "disputed")

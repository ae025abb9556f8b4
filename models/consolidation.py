"""Consolidated collection: who is one person, which agencies their accounts may not go to, and how payments are split.

Lenders plan one after the other, each for itself. Whichever of a circle's lenders places a person's accounts first
settles the agency; for the next lender every other agency is barred, as one is where it failed before. So all accounts
of one person go to one agency, and no plan says a word of another lender's accounts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INTERNAL: Final = "internal"
EXTERNAL: Final = "external"
SCOPES: Final = (INTERNAL, EXTERNAL)
OLDEST_FIRST: Final = "oldest_first"
PRO_RATA: Final = "pro_rata"
LENDER_ORDER: Final = "lender_order"
ORDERS: Final = (OLDEST_FIRST, PRO_RATA, LENDER_ORDER)
CIRCLE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,18}[a-z0-9]")

PARTNERS: Final = ("debtor_id", "other_id", "other_lender", "since")
"""Of a debtor of one lender: the same person at another one, and from which day on both bases count."""


def shared(known: pd.DataFrame) -> pd.DataFrame:
    """Those of `debtor_id`, `lender`, `link` whose link another debtor has too; in rising debtor."""
    several = known[known.duplicated("link", keep=False)]
    return several.sort_values("debtor_id", ignore_index=True)


def bars(
    partners: pd.DataFrame,
    out: pd.DataFrame,
    failed: pd.DataFrame,
    agencies: Iterable[str],
    usable: Mapping[str, Iterable[str]],
) -> pd.DataFrame:
    """`debtor_id`, `agency`: where debtors of the planning lender may not go, so that each person has one agency.

    partners: PARTNERS. out: `debtor_id`, `agency`, `since` (rises with time): what any of these debtors has with an
    agency or in a plan that is promised. failed: `debtor_id`, `agency`. usable: by other lender, the agencies that
    may take its accounts.

    - Where a partner has accounts out, every other agency is barred; of several the one that got them last counts.
    - Else those that a partner's lender cannot place with, unless that would leave none.
    - Where one of the partners' agencies failed, it is barred too.
    - Who has accounts of the planning lender's own out stays with them: that is settled, and not by this.
    """
    every = sorted(set(agencies))
    own = set(partners["debtor_id"])
    mine = set(out.loc[out["debtor_id"].isin(own), "debtor_id"])
    asked = partners[~partners["debtor_id"].isin(mine)]
    theirs = asked.merge(out, left_on="other_id", right_on="debtor_id", suffixes=("", "_out"))
    settled = theirs.sort_values(["since_out", "agency"]).drop_duplicates("debtor_id", keep="last")
    rest = asked[~asked["debtor_id"].isin(settled["debtor_id"])]
    found = [
        _crossed(settled[["debtor_id", "agency"]].rename(columns={"agency": "only"}), every)
        .query("agency != only")
        .drop(columns="only"),
        _unusable(rest, every, usable),
        asked.merge(failed, left_on="other_id", right_on="debtor_id", suffixes=("", "_failed")),
    ]
    whole = pd.concat([part[["debtor_id", "agency"]] for part in found], ignore_index=True)
    return whole.astype({"debtor_id": "int64", "agency": "str"}).drop_duplicates(ignore_index=True)


def _crossed(rows: pd.DataFrame, agencies: list[str]) -> pd.DataFrame:
    return rows.merge(pd.DataFrame({"agency": pd.Series(agencies, dtype="str")}), how="cross")


def _unusable(rest: pd.DataFrame, agencies: list[str], usable: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """The agencies that some partner's lender cannot place with; of who would be left with none, nothing."""
    lenders = sorted(set(rest["other_lender"]))
    barred = pd.DataFrame(
        [(lender, agency) for lender in lenders for agency in sorted({*agencies} - {*usable.get(lender, ())})],
        columns=["other_lender", "agency"],
    ).astype("str")
    found = rest.merge(barred, on="other_lender")[["debtor_id", "agency"]].drop_duplicates()
    left = found.groupby("debtor_id")["agency"].transform("size") < len(agencies)
    return found[left.to_numpy(bool)]


def split(claims: pd.DataFrame, payments: pd.DataFrame) -> pd.DataFrame:
    """The claims with `amount_minor`, what each gets of its payment: whole minor units, in the order stated.

    claims: `payment_id`, `account_id`, `owed_minor` (int64 > 0), `due` (datetime64, missing: last), `rank` (of the
    lender, lower first). payments: `payment_id` (unique), `amount_minor` (int64 >= 0), `split_order` of ORDERS.

    Claims that the order does not tell apart share by what is owed (largest remainders, then the lower account): two
    that fell due on one day, all of them under `pro_rata`. No claim gets more than is owed on it, so that shares sum
    to the payment or to what is owed, whichever is less.
    """
    rows = claims.merge(payments, on="payment_id", how="inner")
    if rows.empty:
        return claims.iloc[:0].assign(amount_minor=pd.Series(dtype="int64"))
    due = rows["due"].astype("datetime64[us]").fillna(pd.Timestamp.max.floor("us")).to_numpy().astype(np.int64)
    rows["due_key"] = np.where(rows["split_order"] == PRO_RATA, 0, due)
    rows["rank_key"] = np.where(rows["split_order"] == LENDER_ORDER, rows["rank"], 0)
    level = ["payment_id", "rank_key", "due_key"]
    rows = rows.sort_values([*level, "account_id"], ignore_index=True)
    at = rows.groupby(level, sort=False).ngroup().to_numpy()
    owed = np.zeros(at[-1] + 1, dtype=np.int64)
    np.add.at(owed, at, rows["owed_minor"].to_numpy(np.int64))
    first = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    heads = rows.loc[first, ["payment_id", "amount_minor"]].reset_index(drop=True)
    before = heads.assign(owed=owed).groupby("payment_id")["owed"].cumsum().to_numpy() - owed
    given = np.clip(heads["amount_minor"].to_numpy(np.int64) - before, 0, owed)
    return rows.assign(amount_minor=_by_remainders(rows["owed_minor"].to_numpy(np.int64), at, owed, given))[
        [*claims.columns, "amount_minor"]
    ]


def _by_remainders(claim: np.ndarray, at: np.ndarray, owed: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What each claim of a level gets of what the level is given; rows of a level stand together."""
    # Python's integers: two amounts of minor units multiplied are more than 64 bits
    product = claim.astype(object) * given[at].astype(object)
    whole = (product // owed[at].astype(object)).astype(np.int64)
    remainder = (product % owed[at].astype(object)).astype(np.int64)
    got = np.zeros(len(owed), dtype=np.int64)
    np.add.at(got, at, whole)
    order = np.lexsort((np.arange(len(claim)), -remainder, at))
    starts = np.searchsorted(at, np.arange(len(owed)))
    place = np.empty(len(claim), dtype=np.int64)
    place[order] = np.arange(len(claim)) - starts[at[order]]
    more: np.ndarray = whole + (place < (given - got)[at])
    return more

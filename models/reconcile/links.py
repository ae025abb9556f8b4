"""Which placement a line was collected under, or why none (R4)."""

from __future__ import annotations

import numpy as np
import pandas as pd


def placed_under(lines: pd.DataFrame, placements: pd.DataFrame) -> pd.DataFrame:
    """Per line `placement_id` (Int64, null where none) and `code` (the break that says why not, null where linked).

    lines: `account_id` (Int64, null: not one of ours), `agency`, `currency`, `value_date`, `tail_days`.
    placements: those of the lines' accounts at any agency: `placement_id`, `account_id`, `agency`, `currency`,
    `placed_on`, `ended_on`. Of several that fit, the most recent.
    """
    count = len(lines)
    left = pd.DataFrame(
        {
            "row": np.arange(count),
            "account_id": lines["account_id"].to_numpy(dtype=np.int64, na_value=-1),
            "line_agency": lines["agency"].to_numpy(),
            "line_currency": lines["currency"].to_numpy(),
            "value_date": lines["value_date"].to_numpy(),
            "tail_days": lines["tail_days"].to_numpy(),
        }
    )
    pairs = left.merge(placements, on="account_id", how="inner")
    own = (pairs["agency"] == pairs["line_agency"]).to_numpy()
    same_money = own & (pairs["currency"] == pairs["line_currency"]).to_numpy()
    started = same_money & (pairs["placed_on"] <= pairs["value_date"]).to_numpy()
    last_day = pairs["ended_on"] + pd.to_timedelta(pairs["tail_days"], unit="D")
    valid = started & (last_day.isna() | (pairs["value_date"] <= last_day)).to_numpy()
    rows = pairs["row"].to_numpy()

    code = np.full(count, "unknown_account", dtype=object)
    # each later mask is within the one before it, so that the line keeps the most advanced finding
    for mask, finding in (
        (slice(None), "wrong_agency"),
        (own, "wrong_currency"),
        (same_money, "before_placement"),
        (started, "after_recall"),
        (valid, None),
    ):
        code[rows[mask]] = finding
    best = pairs.loc[valid, ["row", "placed_on", "placement_id"]].sort_values(["row", "placed_on", "placement_id"])
    best = best.drop_duplicates("row", keep="last")
    placement = np.zeros(count, dtype=np.int64)
    placement[best["row"].to_numpy()] = best["placement_id"].to_numpy()
    ids = pd.array(placement, dtype="Int64")
    ids[placement == 0] = pd.NA
    return pd.DataFrame({"placement_id": ids, "code": pd.Series(code, dtype="str").to_numpy()}, index=lines.index)


def undone(reversals: pd.DataFrame, originals: pd.DataFrame) -> pd.DataFrame:
    """The recovery that each reversal undoes (same transaction id, account, currency), in the reversals' index.

    reversals: `line_id`, `original_txn_ref`, `account_id`, `currency`, `gross_minor`, `value_date`, `content_id`.
    originals: recoveries that count: `line_id`, `txn_ref`, `account_id`, `currency`, `gross_minor`, `reversed_minor`
    (already undone, from 0 up), `placement_id`, `due_commission_minor`, `due_vat_minor`, `rate`.
    Returns `original_line_id` (Int64, null: none, or more is undone than there was), `before_minor` and `after_minor`
    (what is undone before and with this line, from 0 up), `placement_id`, `original_gross_minor`,
    `original_commission_minor`, `original_vat_minor`, `rate`.
    """
    held = originals.drop_duplicates(["txn_ref", "account_id", "currency"], keep="first").rename(
        columns={
            "line_id": "original_line_id",
            "txn_ref": "original_txn_ref",
            "gross_minor": "original_gross_minor",
            "due_commission_minor": "original_commission_minor",
            "due_vat_minor": "original_vat_minor",
        }
    )
    keys = ["original_txn_ref", "account_id", "currency"]
    own = reversals[["line_id", *keys, "gross_minor", "value_date", "content_id"]]
    pairs = own.reset_index(names="at").merge(held.drop(columns="value_date", errors="ignore"), on=keys, how="inner")
    pairs = pairs[(pairs["gross_minor"] < 0) & pairs["original_txn_ref"].notna()]
    pairs = pairs.sort_values(["original_line_id", "value_date", "content_id", "line_id"])
    upto = (-pairs["gross_minor"]).groupby(pairs["original_line_id"]).cumsum() + pairs["reversed_minor"]
    pairs = pairs.assign(after_minor=upto, before_minor=upto + pairs["gross_minor"])
    pairs = pairs[pairs["after_minor"] <= pairs["original_gross_minor"]].set_index("at")
    wanted = ["original_line_id", "before_minor", "after_minor", "placement_id", "original_gross_minor",
              "original_commission_minor", "original_vat_minor", "rate"]  # fmt: skip
    result = pairs[wanted].reindex(reversals.index)
    whole = [name for name in wanted if name != "rate"]
    return result.astype(dict.fromkeys(whole, "Int64"))

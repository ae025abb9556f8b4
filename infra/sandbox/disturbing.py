"""Money that went wrong on purpose: a share of clean remittance lines and bank entries disturbed in known ways.

Every line is paid alone, under its own transaction's reference. One line in so many is disturbed, in one way each; what
a reconciliation has to say about it stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

WAYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "less": ("amount_diff line",),
        "more": ("amount_diff receipt",),
        "late": ("late_remittance line",),
        "mangled": ("no_receipt line", "no_line receipt"),
        "missing": ("no_receipt line",),
        "doubled": ("no_line second",),
        "merged": ("amount_diff receipt", "no_receipt second"),
        "wrong_account": ("wrong_agency line",),
        "reversed": ("no_receipt line",),
    }
)
"""Each way, and the breaks that name it: of the line, of its bank entry, or of the second one that it touches."""
SMALLEST_MINOR = 1_000
"""A line of less is left alone: half of nothing is nothing."""
LATE_BY = 45


@dataclass(frozen=True)
class Disturbed:
    """What comes in, and what was done to it."""

    lines: pd.DataFrame
    """as they were, with `account_id` of another agency where that is the way"""
    entries: pd.DataFrame
    """the bank's, with `label`: that of the line which it pays, or a new one; `is_reversal`"""
    done: pd.DataFrame
    """one row per disturbed line: `way`, `line` (its label), `receipt` and `second` (labels, Int64) where there are"""


def disturbed(
    lines: pd.DataFrame, entries: pd.DataFrame, *, elsewhere: int, share: float = 0.05, seed: int = 1
) -> Disturbed:
    """So large a share of the lines disturbed, every way as often as another.

    lines: `label`, `agency_txn_id`, `account_id`, `net_minor`. entries: `label` of the line that each pays,
    `amount_minor`, `value_date`, `reference`. elsewhere: an account that is with another agency.
    """
    rng = np.random.default_rng(seed)
    large = np.flatnonzero((lines["net_minor"] >= SMALLEST_MINOR).to_numpy())
    count = max(len(WAYS), round(len(lines) * share))
    rows = rng.choice(large, size=count, replace=False)
    ways = np.array(list(WAYS))[np.arange(count) % len(WAYS)]
    # what is merged takes a neighbour with it, which counts as disturbed by the same act
    beside = rng.choice(np.setdiff1d(large, rows), size=int((ways == "merged").sum()), replace=False)
    lines = lines.copy()
    entries = entries.assign(is_reversal=False).set_index("label", drop=False)
    done = pd.DataFrame({"way": ways, "line": lines["label"].to_numpy()[rows]})
    done["receipt"], done["second"] = done["line"].astype("Int64"), pd.array([pd.NA] * count, dtype="Int64")
    done.loc[ways == "merged", "second"] = lines["label"].to_numpy()[beside]
    fresh = int(entries["label"].max()) + 1
    doubled = done.index[ways == "doubled"]
    done.loc[doubled, "second"] = np.arange(fresh, fresh + len(doubled))
    back = np.arange(fresh + len(doubled), fresh + len(doubled) + int((ways == "reversed").sum()))
    entries = _changed(entries, done, rng, back)
    wrong = lines["label"].isin(done.loc[done["way"] == "wrong_account", "line"])
    lines.loc[wrong, "account_id"] = elsewhere
    done.loc[done["way"].isin(["missing", "reversed"]), "receipt"] = pd.NA
    return Disturbed(lines, entries.reset_index(drop=True), done)


def _changed(entries: pd.DataFrame, done: pd.DataFrame, rng: np.random.Generator, back: np.ndarray) -> pd.DataFrame:
    of = {way: done.loc[done["way"] == way, "line"].to_numpy() for way in WAYS}
    amount = entries["amount_minor"].copy()
    entries.loc[of["less"], "amount_minor"] = amount.loc[of["less"]] * 2 // 3
    entries.loc[of["more"], "amount_minor"] = amount.loc[of["more"]] * 3 // 2
    entries.loc[of["late"], "value_date"] += pd.Timedelta(days=LATE_BY)
    mangled = [_mangled(str(text), rng) for text in entries.loc[of["mangled"], "reference"]]
    entries.loc[of["mangled"], "reference"] = pd.array(mangled, dtype="str")
    merged = done[done["way"] == "merged"]
    second = merged["second"].astype("int64").tolist()
    entries.loc[of["merged"], "amount_minor"] += amount.loc[second].to_numpy()
    twice = done[done["way"] == "doubled"]
    again = entries.loc[twice["line"]].assign(label=twice["second"].astype("int64").to_numpy())
    again["value_date"] += pd.Timedelta(days=1)
    undone = entries.loc[of["reversed"]].assign(label=back, is_reversal=True)
    undone["amount_minor"], undone["value_date"] = -undone["amount_minor"], undone["value_date"] + pd.Timedelta(days=2)
    kept = entries.drop(index=[*of["missing"], *second])
    return pd.concat([kept, again, undone])


def _mangled(reference: str, rng: np.random.Generator) -> str:
    """One digit read as a letter, and one lost."""
    digits = [place for place, sign in enumerate(reference) if sign.isdigit()]
    one, other = sorted(rng.choice(digits, size=2, replace=False).tolist())
    return reference[:one] + "O" + reference[one + 1 : other] + reference[other + 1 :]

"""What the rules that tie money to lines are given, and what they say (R5 to R7)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Status = Literal["confirmed", "suggested", "ambiguous"]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

VERSIONS: Mapping[str, int] = MappingProxyType(
    {"reversal": 2, "batch": 2, "exact": 2, "near": 2, "pool": 1, "subset": 1, "direct": 1}
)
"""The rules that a program applies, in their order, and the version of each; a match keeps both."""
RULES = tuple(VERSIONS)
STATUSES: tuple[Status | Literal[""], ...] = ("", "confirmed", "suggested", "ambiguous")
RIVALS_KEPT = 3
"""So many of the candidates that a match was preferred to are kept beside it, the best of them."""


@dataclass(frozen=True)
class Terms:
    """What the contract says about money that is nearly right, and how far apart in time two things may be."""

    tolerance_minor: int = 0
    days_before: int = 5
    """A receipt may be this much earlier than the line says it was paid."""
    days_after: int = 60
    """With a reference: so much later."""
    pool_days: int = 7
    """Without one, where only amount and time speak: so much later."""


@dataclass(frozen=True)
class Outcome:
    """What the rules found; nothing here is in any store yet."""

    matches: pd.DataFrame
    """`match` (0, 1 …), `rule`, `rule_version`, `status`, `amount_minor`, `candidates` (how many were considered)"""
    parts: pd.DataFrame
    """`match`, `line_id` or `receipt_id` (Int64), `amount_minor`: a confirmed match has the same sum on both sides"""
    rivals: pd.DataFrame
    """the best candidates that a match was preferred to: `match`, `line_id` or `receipt_id` (Int64), `off_minor`,
    `off_days`: by how much the rival is more, and later, than what the match has in its place"""
    lines: pd.DataFrame
    """lines that changed: `line_id`, `paid_minor` (now tied), `written_off_minor`, `state`"""
    receipts: pd.DataFrame
    """receipts that changed: `receipt_id`, `used_minor`, `written_off_minor`, `state`"""
    line_why: pd.DataFrame
    """lines that are not wholly matched: `line_id` and WHY"""
    receipt_why: pd.DataFrame
    """receipts that are not wholly matched: `receipt_id` and WHY"""
    paid_on: Ints
    """per match the value date of its last receipt, as days since 1970; 0 where it has none"""
    breaks: pd.DataFrame
    """columns models.reconcile.breaks.COLUMNS"""


WHY = ("why", "why_minor", "why_days", "why_count")
"""Why something is not matched: a code of REASONS; and where they say something the difference in money, the days
apart, and how many there are (Int64)."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "no_receipt_names_it": "no open receipt names its transaction or its transfer",
        "names_nothing": "the line has neither a transaction's nor a transfer's reference",
        "amount_differs": "the reference agrees, and the amounts do not",
        "outside_window": "the reference agrees, and the days are too far apart",
        "taken": "what has its reference is tied to something else, which fitted better",
        "several_equal": "several are equally good, on different accounts, and the rules do not guess",
        "suggested": "a match is proposed, and waits for a person",
        "part": "only a part of it is tied",
        "no_reference": "the bank gave no reference, and no day's total and no single sum of the lines around fits",
        "unknown_reference": "no open line has its reference, and no day's total and no single sum of the lines around"
        " fits",
        "several_sums": "several sums of open lines are its amount, and the rules do not guess",
        "paid_already": "the lines that have its reference are paid already",
        "agency_unknown": "nothing says which agency paid it",
    }
)
"""What each reason says, in the words that people see."""


def lesser(one: Ints, other: Ints) -> Ints:
    """Of each two the one that is nearer to nothing."""
    return np.where(np.abs(one) < np.abs(other), one, other)

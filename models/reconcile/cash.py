"""Which receipts paid which remittance lines: the rules, most specific evidence first (R5, R6).

1. `reversal`: a line and its reversal, or a receipt and its return, undo each other without money.
2. `batch`: all open lines of a transfer's reference against all its receipts, in total.
3. `exact`: reference and amount, the n-th for the n-th.
4. `near`: reference within the contract's tolerance and the date window; a lone transaction is paid in part.
5. `pool`: without a reference, all open lines of one value date in one sum.
6. `subset`: without a reference, the one sum of a few lines that fits, where that proves something.

A seventh, several against several, is for people alone (models.reconcile.candidates). The rules see one agency and
one currency at a time: nothing can cross either. The order among equals is by value date, then by content, never by
arrival: any permutation of the files gives the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.reconcile.exact import tie_exact
from models.reconcile.findings import outcome
from models.reconcile.near import suspect_swaps, tie_near, tie_near_batches
from models.reconcile.outcome import Outcome, Terms
from models.reconcile.pools import tie_pools, tie_subsets
from models.reconcile.table import Table
from models.reconcile.totals import tie_batches
from models.reconcile.undoing import undo_lines, undo_receipts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["STEPS", "Outcome", "Terms", "matched"]

STEPS = (
    undo_lines, undo_receipts, tie_batches, tie_exact, suspect_swaps, tie_near_batches, tie_near, tie_pools, tie_subsets
)  # fmt: skip
"""The rules in their order; each sees what the ones before it left."""


def matched(lines: pd.DataFrame, receipts: pd.DataFrame, terms: Terms) -> Outcome:
    """What the rules make of the open lines and receipts of one agency in one currency.

    lines: `line_id`, `content_id`, `account_id` (Int64), `original_line_id` (Int64), `txn_ref`, `batch_ref`,
    `value_date`, `net_minor`, `gross_minor` and `netted_minor` (what is still open: as handed over, gross, and less
    the fee that the contract lets the agency invoice), `tied_minor` (what was tied before), `agency`, `currency`.
    receipts: `receipt_id`, `reference`, `value_date`, `amount_minor` (still open), `tied_minor` (tied before),
    `agency`, `currency`.
    """
    table = Table(lines, receipts, terms)
    for step in STEPS:
        step(table)
    return outcome(table)

"""Rule 2, `batch`: all lines of a transfer's reference against its money, in total.

Batch goes before exact: on a million lines the other order completed 60 % of lump transfers, this one all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.reconcile.table import PART

if TYPE_CHECKING:
    from models.reconcile.outcome import Flags, Ints
    from models.reconcile.table import Table


def tie_batches(table: Table) -> None:
    """All open lines of a transfer are tied to all its receipts, or to the one receipt of that total.

    By what the lines say is handed over; else gross; else less the fee that the agency may invoice: then the lines are
    paid in part, and the fee stays open with its break.
    """
    at_line, at_receipt = table.open(table.refs.batch)
    line_code, receipt_code = table.refs.batch[at_line], table.refs.receipt[at_receipt]
    lines, receipts = table.counts(line_code), table.counts(receipt_code)
    received = table.sums(receipt_code, table.amount[at_receipt])
    both = (lines > 0) & (receipts > 0)
    done = np.zeros(table.refs.count, dtype=bool)
    for rest in (table.net, table.gross, table.netted):
        if not (both & ~done).any():
            return
        total = table.sums(line_code, rest[at_line])
        whole = both & ~done & (received == total) & (total != 0)
        _tie(table, whole, at_line, at_receipt, rest, receipts)
        done |= whole
        # several receipts, one of which is the total: the first such
        equal = both & ~done & (receipts > 1) & (total != 0)
        one = at_receipt[equal[receipt_code] & (table.amount[at_receipt] == total[receipt_code])]
        one = table.first_of(one)
        hit = np.zeros(table.refs.count, dtype=bool)
        hit[table.refs.receipt[one]] = True
        _tie(table, hit, at_line, one, rest, receipts)
        done |= hit


def _tie(table: Table, which: Flags, at_line: Ints, at_receipt: Ints, rest: Ints, candidates: Ints) -> None:
    if not which.any():
        return
    line = at_line[which[table.refs.batch[at_line]]]
    receipt = at_receipt[which[table.refs.receipt[at_receipt]]]
    code = np.flatnonzero(which)
    total = table.sums(table.refs.batch[line], rest[line])[code]
    number_of = np.zeros(table.refs.count, dtype=np.int64)
    number_of[code] = table.ties.add("batch", "confirmed", total, candidates[code])
    table.settle(number_of[table.refs.batch[line]], line, rest[line])
    table.apply(number_of[table.refs.receipt[receipt]], receipt, table.amount[receipt])
    net = table.sums(table.refs.batch[line], table.net[line])[code]
    other = net != total
    if not other.any():
        return
    first, expected = table.first_of(receipt)[other], net[other]
    if rest is table.netted:
        table.line_state[line[rest[line] != table.net[line]]] = PART
        ordered = line[table.line_order(line)]
        head = ordered[np.unique(table.refs.batch[ordered], return_index=True)[1]]
        table.fee_kept(first, head[other], expected, total[other])
    else:
        table.differ(table.receipts.iloc[first], "receipt_id", expected, total[other])

"""Rule 3, `exact`: one reference and one amount, the n-th for the n-th.

A plain join on the reference counts pairs twice, hence ranks within a key. Equal candidates on different accounts are
ambiguous, not guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.reconcile.references import NONE
from models.reconcile.table import PART

if TYPE_CHECKING:
    from models.reconcile.outcome import Flags, Ints
    from models.reconcile.table import Table


def tie_exact(table: Table) -> None:
    """A transaction's or a transfer's reference and the amount: as handed over, gross, or less the agency's fee."""
    for reference in (table.refs.transaction, table.refs.batch):
        for rest in (table.net, table.gross, table.netted):
            if rest is table.net or (table.line_free & (rest != table.net)).any():
                _pair(table, reference, rest)


def _pair(table: Table, reference: Ints, rest: Ints) -> None:
    at_line, at_receipt = table.open(reference)
    if not len(at_line) or not len(at_receipt):
        return
    code, code_r = reference[at_line], table.refs.receipt[at_receipt]
    lines, receipts = table.counts(code), table.counts(code_r)
    lone = (lines == 1) & (receipts == 1)
    # nearly every reference has one line and one receipt: these meet at their code, without a sort or a join
    place = np.full(table.refs.count, NONE, dtype=np.int64)
    mine = lone[code_r]
    place[code_r[mine]] = at_receipt[mine]
    line = at_line[lone[code]]
    receipt = place[reference[line]]
    equal = table.amount[receipt] == rest[line]
    _tie(table, line[equal], receipt[equal], rest, 1)
    several = (lines > 0) & (receipts > 0) & ~lone
    if several.any():
        _rank(table, reference, at_line[several[code]], at_receipt[several[code_r]], rest)


def _rank(table: Table, reference: Ints, at_line: Ints, at_receipt: Ints, rest: Ints) -> None:
    """References with several lines or receipts: the n-th line of an amount has the n-th receipt of it."""
    at_line, at_receipt = at_line[table.line_order(at_line)], at_receipt[table.receipt_order(at_receipt)]
    code = np.concatenate([reference[at_line], table.refs.receipt[at_receipt]])
    amount = np.concatenate([rest[at_line], table.amount[at_receipt]])
    side = np.repeat([0, 1], [len(at_line), len(at_receipt)])
    order = np.lexsort((side, amount, code))  # stable: within a side the order made above stays
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(code[order]) != 0) | (np.diff(amount[order]) != 0)
    start = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    is_line = side[order] == 0
    lines = np.add.reduceat(is_line.astype(np.int64), start)
    receipts = np.diff(np.append(start, len(order))) - lines
    nth = np.arange(len(order)) - start[group]
    nth = np.where(is_line, nth, nth - lines[group])
    row = np.concatenate([at_line, at_receipt])[order]

    of = np.where(is_line, table.accounts()[np.where(is_line, row, 0)], np.iinfo(np.int64).max)
    of_line = np.where(is_line, of, np.iinfo(np.int64).min)
    same = np.minimum.reduceat(of, start) == np.maximum.reduceat(of_line, start)
    unsure = (receipts > 0) & (lines > receipts) & ~same
    sure = ((lines > 0) & (receipts > 0) & ~unsure)[group] & (nth < np.minimum(lines, receipts)[group])
    # lines come first in their group, so that both sides are in the order of (group, nth)
    with_code = np.maximum(table.counts(reference[at_line]), table.counts(table.refs.receipt[at_receipt]))
    candidates = with_code[code[order]][sure & is_line]
    _tie(table, row[sure & is_line], row[sure & ~is_line], rest, candidates)
    if unsure.any():
        _leave(table, unsure, group, is_line, row)


def _leave(table: Table, unsure: Flags, group: Ints, is_line: Flags, row: Ints) -> None:
    """Equal candidates on different accounts: kept for a person, and from the rules that follow."""
    number_of = np.cumsum(unsure) - 1
    of_line, of_receipt = unsure[group] & is_line, unsure[group] & ~is_line
    line, receipt = row[of_line], row[of_receipt]
    first = receipt[np.unique(group[of_receipt], return_index=True)[1]]
    candidates = np.bincount(group[of_line], minlength=len(unsure))[unsure]
    table.propose(
        "exact", "ambiguous", candidates,
        (number_of[group[of_line]], line), (number_of[group[of_receipt]], receipt),
    )  # fmt: skip
    table.doubt(first, candidates)


def _tie(table: Table, line: Ints, receipt: Ints, rest: Ints, candidates: Ints | int) -> None:
    numbers = table.ties.add("exact", "confirmed", rest[line], candidates)
    table.settle(numbers, line, rest[line])
    table.apply(numbers, receipt, table.amount[receipt])
    net, paid = table.net[line], rest[line]
    other = net != paid
    if not other.any():
        return
    if rest is table.netted:
        table.line_state[line[other]] = PART
        table.fee_kept(receipt[other], line[other], net[other], paid[other])
    else:
        table.differ(table.receipts.iloc[receipt[other]], "receipt_id", net[other], paid[other])

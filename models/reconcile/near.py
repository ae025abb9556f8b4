"""Rule 4, `near`: the reference agrees, the amount does so within the contract's tolerance, the day within its window.

What is beyond the tolerance is tied only as far as one side says it: a transfer that is more than its lines pays
them, a lone transaction is paid in part. Two references that look exchanged are put before a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.reconcile.outcome import lesser
from models.reconcile.references import NONE
from models.reconcile.table import PART

if TYPE_CHECKING:
    from models.reconcile.outcome import Flags, Ints
    from models.reconcile.table import Table

PAIRS_AT_MOST = 64
"""Beyond so many pairs on one reference a person must say it."""


def suspect_swaps(table: Table) -> None:
    """Of two references each has just the other's money: suggested crosswise, for the bank or the agency mixed them."""
    for reference in (table.refs.batch, table.refs.transaction):
        at_line, at_receipt = table.open(reference)
        code, code_r = reference[at_line], table.refs.receipt[at_receipt]
        total, received = table.sums(code, table.net[at_line]), table.sums(code_r, table.amount[at_receipt])
        off = (table.counts(code) > 0) & (table.counts(code_r) == 1)
        off &= np.abs(total - received) > table.terms.tolerance_minor
        if off.sum() > 1:
            _cross(table, reference, np.flatnonzero(off), total, received)


def _cross(table: Table, reference: Ints, off: Ints, total: Ints, received: Ints) -> None:
    said = pd.DataFrame({"code": off, "total": total[off], "received": received[off]})
    # of equal pairs nobody could say which was mixed up with which
    said = said[~said.duplicated(["total", "received"], keep=False)]
    pairs = said.merge(said, left_on=["total", "received"], right_on=["received", "total"])
    pairs = pairs[pairs["code_x"] != pairs["code_y"]]
    if pairs.empty:
        return
    number_of_line, number_of_receipt = (np.full(table.refs.count, -1, dtype=np.int64) for _ in range(2))
    number_of_line[pairs["code_x"]] = np.arange(len(pairs))
    number_of_receipt[pairs["code_y"]] = np.arange(len(pairs))
    at_line, at_receipt = table.open(reference)
    line = at_line[number_of_line[reference[at_line]] >= 0]
    receipt = at_receipt[number_of_receipt[table.refs.receipt[at_receipt]] >= 0]
    of_receipt = number_of_receipt[table.refs.receipt[receipt]]
    table.propose("near", "suggested", 2, (number_of_line[reference[line]], line), (of_receipt, receipt))
    table.doubt(receipt, np.full(len(receipt), 2))


def tie_near_batches(table: Table) -> None:
    """A transfer within the tolerance is tied, the rest written off; too much is tied, too little suggested."""
    at_line, at_receipt = table.open(table.refs.batch)
    code, code_r = table.refs.batch[at_line], table.refs.receipt[at_receipt]
    both = (table.counts(code) > 0) & (table.counts(code_r) > 0)
    if not both.any():
        return
    line, receipt = at_line[both[code]], at_receipt[both[code_r]]
    code, code_r = table.refs.batch[line], table.refs.receipt[receipt]
    total, received = table.sums(code, table.net[line]), table.sums(code_r, table.amount[receipt])
    late = table.last(code_r, table.receipt_day[receipt]) - table.last(code, table.line_day[line])
    timely = both & (late >= -table.terms.days_before) & (late <= table.terms.days_after) & (received * total > 0)
    near = timely & (np.abs(received - total) <= table.terms.tolerance_minor)
    # more than the lines say, and one receipt can hold the rest: these lines are paid, others are still to come
    excess = received - total
    over = timely & ~near & (excess * np.sign(total) > 0)
    over &= np.abs(excess) < table.largest(code_r, np.abs(table.amount[receipt]))
    _cover(table, near | over, line, receipt, total, received)
    rest = receipt[over[code_r]]
    table.receipt_off[rest] = 0
    left = rest[table.used[rest] != table.amount[rest]]
    table.receipt_state[left] = PART
    at = table.refs.receipt[left]
    table.differ(table.receipts.iloc[left], "receipt_id", total[at], received[at])
    _suggest(table, timely & ~near & ~over, line, receipt, total, received)


def _cover(table: Table, which: Flags, line: Ints, receipt: Ints, total: Ints, received: Ints) -> None:
    """What the receipts lack is taken off the transfer's largest line, what they exceed off the largest receipt."""
    line, receipt = line[which[table.refs.batch[line]]], receipt[which[table.refs.receipt[receipt]]]
    line, receipt = line[table.line_order(line)], receipt[table.receipt_order(receipt)]
    code = np.flatnonzero(which)
    number_of = np.zeros(len(which), dtype=np.int64)
    agreed = lesser(received, total)
    candidates = table.counts(table.refs.receipt[receipt])[code]
    number_of[code] = table.ties.add("near", "confirmed", agreed[code], candidates)
    pays, uses = table.net[line].copy(), table.amount[receipt].copy()
    for amounts, at, short in (
        (pays, table.refs.batch[line], total - agreed),
        (uses, table.refs.receipt[receipt], received - agreed),
    ):
        order = np.lexsort((-np.abs(amounts), at))
        largest = order[np.unique(at[order], return_index=True)[1]]
        amounts[largest] -= short[at[largest]]
    table.settle(number_of[table.refs.batch[line]], line, pays)
    table.apply(number_of[table.refs.receipt[receipt]], receipt, uses)
    table.line_off[line] = table.net[line] - pays
    table.receipt_off[receipt] = table.amount[receipt] - uses


def _suggest(table: Table, which: Flags, line: Ints, receipt: Ints, total: Ints, received: Ints) -> None:
    if not which.any():
        return
    line, receipt = line[which[table.refs.batch[line]]], receipt[which[table.refs.receipt[receipt]]]
    number_of = np.cumsum(which) - 1
    candidates = table.counts(table.refs.receipt[receipt])[which]
    of_line, of_receipt = number_of[table.refs.batch[line]], number_of[table.refs.receipt[receipt]]
    table.propose("near", "suggested", candidates, (of_line, line), (of_receipt, receipt))
    first = table.first_of(receipt)
    at = table.refs.receipt[first]
    table.differ(table.receipts.iloc[first], "receipt_id", total[at], received[at])


def tie_near(table: Table) -> None:
    """A transaction's reference within tolerance and window, mutual best; a lone transaction is paid in part."""
    _tie_lone(table)
    at_line, at_receipt = table.open(table.refs.transaction)
    code, code_r = table.refs.transaction[at_line], table.refs.receipt[at_receipt]
    lines, receipts = table.counts(code), table.counts(code_r)
    few = (lines > 0) & (receipts > 0) & (lines * receipts <= PAIRS_AT_MOST)
    if not few.any():
        return
    at_line, at_receipt = at_line[few[code]], at_receipt[few[code_r]]
    pairs = _pairs(table, at_line, at_receipt)
    line, receipt = pairs["line"].to_numpy(), pairs["receipt"].to_numpy()
    pairs["days"] = np.abs(table.receipt_day[receipt] - table.line_day[line])
    pairs["off"] = np.abs(table.amount[receipt] - table.net[line])
    pairs["candidates"] = np.maximum(lines, receipts)[pairs["code"]]
    pairs = pairs[_timely(table, line, receipt)]
    _mutual(table, pairs[pairs["off"] <= table.terms.tolerance_minor])
    free = table.line_free[pairs["line"]] & table.receipt_free[pairs["receipt"]]
    _in_part(table, pairs[free])


def _timely(table: Table, line: Ints, receipt: Ints) -> Flags:
    """Whether each receipt is of the line's sign and within its window."""
    late = table.receipt_day[receipt] - table.line_day[line]
    within = (late >= -table.terms.days_before) & (late <= table.terms.days_after)
    return within & (table.amount[receipt] * np.sign(table.net[line]) > 0)


def _tie_lone(table: Table) -> None:
    """Nearly every reference has one line and one receipt: these have no rivals, and need no order."""
    at_line, at_receipt = table.open(table.refs.transaction)
    code, code_r = table.refs.transaction[at_line], table.refs.receipt[at_receipt]
    lone = (table.counts(code) == 1) & (table.counts(code_r) == 1)
    place = np.full(table.refs.count, NONE, dtype=np.int64)
    place[code_r] = at_receipt
    line = at_line[lone[code]]
    receipt = place[table.refs.transaction[line]]
    near = np.abs(table.amount[receipt] - table.net[line]) <= table.terms.tolerance_minor
    near &= _timely(table, line, receipt)
    _tie(table, line[near], receipt[near], 1)


def _tie(table: Table, line: Ints, receipt: Ints, candidates: Ints | int) -> None:
    """These pairs are each other's; what the one is more than the other is written off."""
    agreed = lesser(table.amount[receipt], table.net[line])
    numbers = table.ties.add("near", "confirmed", agreed, candidates)
    table.settle(numbers, line, agreed)
    table.apply(numbers, receipt, agreed)
    table.line_off[line] = table.net[line] - agreed
    table.receipt_off[receipt] = table.amount[receipt] - agreed


def _pairs(table: Table, at_line: Ints, at_receipt: Ints) -> pd.DataFrame:
    """Every line with every receipt of its transaction: `code`, `line`, `receipt`; `l`, `r`: the order among equals."""
    at_line, at_receipt = at_line[table.line_order(at_line)], at_receipt[table.receipt_order(at_receipt)]
    left = pd.DataFrame({"code": table.refs.transaction[at_line], "line": at_line, "l": range(len(at_line))})
    code = table.refs.receipt[at_receipt]
    return left.merge(pd.DataFrame({"code": code, "receipt": at_receipt, "r": range(len(at_receipt))}), on="code")


def _mutual(table: Table, pairs: pd.DataFrame) -> None:
    """Repeatedly: pairs that are each other's best, by difference, days, then content."""
    pairs = pairs.sort_values(["off", "days", "l", "r"])
    account = table.accounts()
    while len(pairs):
        best = ~pairs.duplicated("line") & ~pairs.duplicated("receipt")
        chosen = pairs[best]
        equal = pairs[pairs.duplicated(["receipt", "off", "days"], keep=False)]  # mostly none, and a join of few
        rivals = equal.merge(chosen[["receipt", "off", "days", "line"]], on=["receipt", "off", "days"])
        tied = rivals[account[rivals["line_x"]] != account[rivals["line_y"]]]
        unsure = chosen["receipt"].isin(tied["receipt"])
        if unsure.any():
            _unsure(table, chosen[unsure], tied)
        sure = chosen[~unsure]
        _tie(table, sure["line"].to_numpy(), sure["receipt"].to_numpy(), sure["candidates"].to_numpy())
        pairs = pairs[table.line_free[pairs["line"]] & table.receipt_free[pairs["receipt"]]]


def _unsure(table: Table, chosen: pd.DataFrame, tied: pd.DataFrame) -> None:
    receipt = chosen["receipt"].to_numpy()
    rivals = tied.groupby("receipt")["line_x"].nunique()
    candidates = np.asarray(rivals.loc[receipt], dtype=np.int64) + 1
    rival = pd.concat([chosen[["receipt", "line"]], tied[["receipt", "line_x"]].rename(columns={"line_x": "line"})])
    rival = rival[rival["receipt"].isin(receipt)].drop_duplicates()
    of_line = pd.Index(receipt).get_indexer(rival["receipt"])
    table.propose(
        "near", "ambiguous", candidates,
        (of_line, rival["line"].to_numpy()), (np.arange(len(receipt)), receipt),
    )  # fmt: skip
    table.doubt(receipt, candidates)


def _in_part(table: Table, pairs: pd.DataFrame) -> None:
    """A transaction with one open line: its receipts pay it, as far as they go."""
    lone = pairs.groupby("code")["line"].transform("nunique") == 1
    pairs = pairs[lone].sort_values(["l", "r"])
    received = pd.Series(table.amount[pairs["receipt"]], index=pairs.index).groupby(pairs["code"]).transform("sum")
    count = pairs.groupby("code")["receipt"].transform("size")
    expected = pd.Series(table.net[pairs["line"]], index=pairs.index)
    # several receipts that are too much together: which of them is the wrong one, a person must say
    pairs = pairs[(received.abs() <= expected.abs()) | (count == 1)]
    head = pairs.drop_duplicates("code")
    line, receipt = head["line"].to_numpy(), pairs["receipt"].to_numpy()
    received_minor, expected_minor = received.loc[head.index].to_numpy(), table.net[line]
    agreed = lesser(received_minor, expected_minor)
    added = table.ties.add("near", "confirmed", agreed, count.loc[head.index].to_numpy())
    numbers = pd.Series(added, index=head["code"])
    table.settle(added, line, agreed)
    table.line_state[line[np.abs(agreed) < np.abs(expected_minor)]] = PART
    used = table.amount[receipt].copy()
    beyond = pd.Series(received_minor - agreed, index=head["code"]).loc[pairs["code"]].to_numpy()
    used -= beyond  # there is one receipt where anything is beyond
    table.apply(numbers.loc[pairs["code"]].to_numpy(), receipt, used)
    table.receipt_state[receipt[beyond != 0]] = PART
    short = np.abs(received_minor) < np.abs(expected_minor)
    over = np.abs(received_minor) > np.abs(expected_minor)
    table.differ(table.lines.iloc[line[short]], "line_id", expected_minor[short], received_minor[short])
    excess = head["receipt"].to_numpy()[over]
    table.differ(table.receipts.iloc[excess], "receipt_id", expected_minor[over], received_minor[over])

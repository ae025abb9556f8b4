"""Rule 1, `reversal`: what was undone needs no money; a line with its reversal, a receipt with its return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.reconcile.references import NONE
from models.reconcile.table import PART, RETURNED, REVERSED

if TYPE_CHECKING:
    from models.reconcile.outcome import Flags, Ints
    from models.reconcile.table import Table


def undo_lines(table: Table) -> None:
    """A reversal and its original, in the same transfer or in none, undo each other: wholly, or as far as it goes."""
    undoing = np.flatnonzero(table.lines["original_line_id"].notna().to_numpy())
    if not len(undoing):
        return
    wanted = table.lines["original_line_id"].iloc[undoing].astype("int64").to_numpy()
    original = pd.Index(table.lines["line_id"]).get_indexer(wanted)
    undoing, original = undoing[original >= 0], original[original >= 0]
    apart, _ = table.receipts_of(table.refs.transaction[undoing])
    paid, _ = table.receipts_of(table.refs.transaction[original])
    in_none = table.refs.batch[undoing] == NONE
    full = (
        (table.net[undoing] == -table.net[original])
        & (table.gross[undoing] == -table.gross[original])
        & (table.refs.batch[undoing] == table.refs.batch[original])
        & ~(in_none & ((apart > 0) | (paid > 0)))
    )
    whole, undone = undoing[full], original[full]
    numbers = table.ties.add("reversal", "confirmed", np.abs(table.net[undone]), 1)
    table.settle(numbers, undone, table.net[undone])
    table.settle(numbers, whole, table.net[whole])
    table.line_state[undone] = REVERSED
    # in a transfer the total says it; without one, what is left of the original is what it still awaits
    loose = ~full & in_none & (table.refs.batch[original] == NONE)
    _undo_in_part(table, undoing[loose], original[loose])


def _undo_in_part(table: Table, undoing: Ints, original: Ints) -> None:
    """Reversals of a part go off what their original awaits, where no money speaks against it."""
    if not len(undoing):
        return
    size = len(table.net)
    off, gross_off, strange = (np.zeros(size, dtype=np.int64) for _ in range(3))
    np.add.at(off, original, table.net[undoing])
    np.add.at(gross_off, original, table.gross[undoing])
    own, _ = table.receipts_of(table.refs.transaction[undoing])
    bad = (own > 0) | ~table.line_free[undoing] | (table.net[undoing] * np.sign(table.net[original]) >= 0)
    np.add.at(strange, original, bad.astype(np.int64))
    at = np.unique(original)
    rest = table.net[at] + off[at]
    count, total = table.receipts_of(table.refs.transaction[at])
    fits = (strange[at] == 0) & table.line_free[at] & (rest * np.sign(table.net[at]) >= 0)
    fits &= np.where(rest == 0, count == 0, (count == 0) | (total == rest))
    at = at[fits]
    number_of = np.full(size, NONE, dtype=np.int64)
    number_of[at] = table.ties.add("reversal", "confirmed", np.abs(off[at]), 1)
    parts = undoing[number_of[original] != NONE]
    table.settle(number_of[original[number_of[original] != NONE]], parts, table.net[parts])
    table.settle(number_of[at], at, -off[at])
    gone = table.net[at] + off[at] == 0
    table.line_state[at[gone]] = REVERSED
    left = at[~gone]
    table.line_state[left], table.line_free[left] = PART, True
    table.netted[left] = table.net[left] = table.net[left] + off[left]
    table.gross[left] += gross_off[left]


def undo_receipts(table: Table) -> None:
    """A receipt and its return, under one reference, leave nothing."""
    returns = np.flatnonzero((table.amount < 0) & table.receipts["reference"].notna().to_numpy())
    if not len(returns):
        return
    text = table.receipts["reference"].str.strip().str.upper()
    key = pd.DataFrame(
        {"reference": text, "size": np.abs(table.amount), "day": table.receipt_day, "at": range(len(text))}
    )
    key = key[text.isin(text.iloc[returns])].sort_values(["day", "at"])
    back: Flags = table.amount[key["at"]] < 0
    key["nth"] = key.groupby(["reference", "size", back], sort=False).cumcount()
    pairs = key[~back].merge(key[back], on=["reference", "size", "nth"])
    came, went = pairs["at_x"].to_numpy(), pairs["at_y"].to_numpy()
    numbers = table.ties.add("reversal", "confirmed", table.amount[came], 1)
    for side in (came, went):
        table.apply(numbers, side, table.amount[side])
        table.receipt_state[side] = RETURNED

"""Rules 5 and 6, where no reference speaks: `pool`, a whole day's lines in one sum; `subset`, the one sum that fits.

Both are weak beside a reference. A pool counts only if its total fits no other money, and the money no other pool. A
sum of a few lines counts only if it is the only one, among at most MACHINE_POOL lines, *and* an accident is unlikely:
with n lines there are 2^n sums, and at n = 20 one in four random amounts is hit by one of them. One line of the same
amount is no sum at all: instalments are equal too. What does not count is suggested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.reconcile.references import NONE

if TYPE_CHECKING:
    from models.reconcile.outcome import Ints
    from models.reconcile.table import Table

MACHINE_POOL = 14
"""Of more lines than these no sum is accepted without a person."""
SEARCHED_POOL = 18
"""Of more lines than these no sum is looked for: nearly every amount would be one."""
ACCIDENTS_PER = 1_000
"""A sum is accepted where fewer than one random amount in so many would be hit by any sum of the pool."""


def unspoken(table: Table) -> tuple[Ints, Ints]:
    """Lines to which nothing is tied yet, and receipts above 0 that name nothing we know: rows of each."""
    untouched = table.line_free & (table.lines["tied_minor"] == 0).to_numpy() & (table.paid == 0)
    nameless = table.receipt_free & (table.refs.receipt == NONE) & (table.amount > 0)
    nameless &= (table.receipts["tied_minor"] == 0).to_numpy()
    return np.flatnonzero(untouched), np.flatnonzero(nameless)


def tie_pools(table: Table) -> None:
    """All open lines of one value date against the one receipt, or the one day's receipts, of that total."""
    for rest in (table.net, table.gross):
        line, receipt = unspoken(table)
        if not len(line) or not len(receipt):
            return
        if rest is table.gross and (rest[line] == table.net[line]).all():
            return
        pools = _pools(table.line_day[line], rest[line])
        pools = pools[pools["total"] > 0]
        days = _pools(table.receipt_day[receipt], table.amount[receipt]).assign(receipt=NONE)
        one = receipt[np.isin(table.amount[receipt], pools["total"].to_numpy())]
        if not len(one) and not np.isin(days["total"], pools["total"]).any():
            continue
        single = pd.DataFrame({"day": table.receipt_day[one], "total": table.amount[one], "receipt": one})
        pairs = pools.merge(pd.concat([single, days]), on="total", suffixes=("", "_paid"))
        late = pairs["day_paid"] - pairs["day"]
        pairs = pairs[(late >= -table.terms.days_before) & (late <= table.terms.pool_days)]
        alone = ~pairs.duplicated(["total"], keep=False)
        _tie_pools(table, pairs[alone], line, receipt, rest)


def _pools(day: Ints, amount: Ints) -> pd.DataFrame:
    """The days with several amounts, and the `total` of each."""
    first = int(day.min())
    size = np.bincount(day - first)
    total = np.zeros(len(size), dtype=np.int64)
    np.add.at(total, day - first, amount)
    several = np.flatnonzero(size > 1)
    return pd.DataFrame({"day": several + first, "total": total[several]})


def _tie_pools(table: Table, pairs: pd.DataFrame, line: Ints, receipt: Ints, rest: Ints) -> None:
    if pairs.empty:
        return
    # a day's receipts and one of them cannot both be taken: the single receipt is the better evidence
    pairs = pairs.sort_values(["day", "day_paid"])
    single = pairs[pairs["receipt"] != NONE]
    spent = set(table.receipt_day[single["receipt"]])
    whole = pairs[(pairs["receipt"] == NONE) & ~pairs["day_paid"].isin(spent)].drop_duplicates("day_paid")
    pairs = pd.concat([single, whole], ignore_index=True)
    numbers = table.ties.add("pool", "confirmed", pairs["total"].to_numpy(), 1)
    of_day = pd.Series(numbers, index=pairs["day"])
    line = line[np.isin(table.line_day[line], pairs["day"])]
    table.settle(of_day.reindex(table.line_day[line]).to_numpy(), line, rest[line])
    one = pairs["receipt"].to_numpy()
    is_single = one != NONE
    table.apply(numbers[is_single], one[is_single], table.amount[one[is_single]])
    of_paid = pd.Series(numbers[~is_single], index=pairs["day_paid"][~is_single])
    several = receipt[np.isin(table.receipt_day[receipt], of_paid.index)]
    table.apply(of_paid.reindex(table.receipt_day[several]).to_numpy(), several, table.amount[several])
    if rest is table.net:
        return
    net = pd.Series(table.net[line]).groupby(of_day.reindex(table.line_day[line]).to_numpy()).sum()
    for number in numbers[(net.reindex(numbers) != pairs["total"].to_numpy()).to_numpy()]:
        at = int(np.flatnonzero(numbers == number)[0])
        first = one[at] if is_single[at] else several[table.receipt_order(several)][0]
        expected, paid = np.array([net.loc[number]]), np.array([pairs["total"].iloc[at]])
        table.differ(table.receipts.iloc[[first]], "receipt_id", expected, paid)


def tie_subsets(table: Table) -> None:
    """Receipts that are just one sum of the open lines around them: tied where that proves something, else suggested.

    In rounds, until nothing is tied: a sum that is taken leaves fewer for the others. Of two receipts that claim one
    line neither gets it.
    """
    settled = False
    while not settled:
        found = _sums(table)
        settled = True
        for proves in (True, False):
            some = [one for one in found if one.proves == proves]
            claims = np.concatenate([one.line for one in found]) if found else np.zeros(0, dtype=np.int64)
            contested = np.flatnonzero(np.bincount(claims, minlength=len(table.net)) > 1)
            some = [one for one in some if not np.isin(one.line, contested).any()]
            if proves and some:
                _tie_sums(table, some)
                settled = False
                break
            if some:
                _propose_sums(table, some)


class _Sum:
    """One receipt, the lines whose sum it is, and whether that proves anything."""

    def __init__(self, receipt: int, line: Ints, *, proves: bool) -> None:
        self.receipt, self.line, self.proves = receipt, line, proves


def _sums(table: Table) -> list[_Sum]:
    """The receipts that are exactly one sum of their pool; why the others are not, the table keeps."""
    line, receipt = unspoken(table)
    if not len(line) or not len(receipt):
        return []
    line = line[table.line_order(line)]
    day = table.line_day[line]
    first = np.searchsorted(day, table.receipt_day[receipt] - table.terms.pool_days, side="left")
    last = np.searchsorted(day, table.receipt_day[receipt] + table.terms.days_before, side="right")
    large = last - first > SEARCHED_POOL
    table.lines_around[receipt[large]] = (last - first)[large]
    found: list[_Sum] = []
    some = ~large & (last > first)
    for low, high in np.unique(np.column_stack([first[some], last[some]]), axis=0):
        pool = line[low:high]
        found += _of_pool(table, pool, receipt[some & (first == low) & (last == high)])
    return found


def _of_pool(table: Table, pool: Ints, receipt: Ints) -> list[_Sum]:
    sums = np.zeros(1, dtype=np.int64)
    for amount in table.net[pool]:
        sums = np.concatenate([sums, sums + amount])
    order = np.argsort(sums, kind="stable")
    ordered, wanted = sums[order], table.amount[receipt]
    low, high = np.searchsorted(ordered, wanted, side="left"), np.searchsorted(ordered, wanted, side="right")
    found = []
    for row, at, hits in zip(receipt.tolist(), low.tolist(), (high - low).tolist(), strict=True):
        if hits > 1:
            table.sums_that_fit[row] = hits
        elif hits == 1:
            mask = int(order[at])
            line = pool[[bit for bit in range(len(pool)) if mask >> bit & 1]]
            found.append(_Sum(row, line, proves=len(line) > 1 and _unlikely(table.net[pool], int(table.amount[row]))))
    return found


def _unlikely(pool: Ints, amount: int) -> bool:
    """Whether hardly any random amount, as round as this one, would be a sum of the pool."""
    step = 1
    while amount % (step * 10) == 0:
        step *= 10
    return len(pool) <= MACHINE_POOL and (1 << len(pool)) * ACCIDENTS_PER <= int(np.abs(pool).sum()) // step


def _tie_sums(table: Table, found: list[_Sum]) -> None:
    receipt = np.array([one.receipt for one in found])
    numbers = table.ties.add("subset", "confirmed", table.amount[receipt], 1)
    line = np.concatenate([one.line for one in found])
    table.settle(np.repeat(numbers, [len(one.line) for one in found]), line, table.net[line])
    table.apply(numbers, receipt, table.amount[receipt])


def _propose_sums(table: Table, found: list[_Sum]) -> None:
    receipt = np.array([one.receipt for one in found])
    line = np.concatenate([one.line for one in found])
    of_line = np.repeat(np.arange(len(found)), [len(one.line) for one in found])
    table.propose("subset", "suggested", 1, (of_line, line), (np.arange(len(found)), receipt))

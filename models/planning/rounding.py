"""From accounts per group and agency to debtors: a seeded draw, and a few moves that mend what rounding did to bounds.

Where a group is split between agencies, it is cut by balance first and each part is drawn apart: then everybody gets
large and small balances alike, and bounds on balance hold as well as those on accounts. Each debtor's probability is
the quota over the size of the part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.planning.allocation import CHALLENGER, MENDED, NO_AGENCY_LEFT, NO_CAPACITY, REASONS, REFUSALS, VALUE
from models.planning.bounds import CAPACITY, CAPACITY_MINOR, HARD
from models.planning.prices import by_worth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.planning.allocation import Aims, Draw, Question
    from models.planning.bounds import Row
    from models.planning.optimal import Floats, Groups, Ints

STRATA: Final = 10
"""Parts by balance that a split group is cut into."""
SPLIT: Final = 0.5
"""Accounts that a second agency must get for the group to be split."""
MENDS_AT_MOST: Final = 400
TRIED_AT_ONCE: Final = 2_000
PAIRS_AT_ONCE: Final = 300
HARD_WEIGHT: Final = 1_000.0
BETTER: Final = 1e-6
ROOMS: Final = frozenset({CAPACITY, CAPACITY_MINOR})


def seat(draw: Draw, groups: Groups, x: Floats, question: Question, aims: Aims) -> None:
    """Everybody is seated as near to x as whole debtors come; who finds no room goes to the best agency with some."""
    todo = np.flatnonzero(groups.of >= 0)
    draw.refused[draw.free & (groups.of < 0)] = REFUSALS.index(NO_AGENCY_LEFT)
    first, rest = _left_out(draw, groups, x, todo)
    draw.word[todo] = REASONS.index(VALUE)
    later = first
    if first.size and aims.by_account:
        later = draw.seat(first, by_worth(draw, groups, x, first, question, aims), closing=False)
    elif first.size:
        _stratify(draw, groups, x, first)
        later = draw.seat(first, draw.cut(first, None), closing=False)
    _overflow(draw, groups, np.sort(np.concatenate([later, rest])))


def name_challengers(draw: Draw, groups: Groups, x: Floats, challengers: Sequence[int], floor: float) -> None:
    """Who is with a challenger by its floor alone is told so."""
    for at in challengers:
        by_floor = x[:, at] <= floor * groups.accounts * (1 + BETTER) + SPLIT
        mine = np.flatnonzero((draw.agency == at) & (groups.of >= 0))
        draw.word[mine[by_floor[groups.of[mine]]]] = REASONS.index(CHALLENGER)


def _left_out(draw: Draw, groups: Groups, x: Floats, todo: Ints) -> tuple[Ints, Ints]:
    """Those whom x seats, and per group those drawn last, for whom it has no room."""
    out = np.maximum(groups.accounts - x.sum(axis=1), 0.0)
    if not (out > SPLIT).any():
        return todo, todo[:0]
    group = groups.of[todo]
    order = np.lexsort((todo, draw.rank[todo], group))
    seen = np.cumsum(draw.size[todo[order]])
    start = np.r_[0.0, np.cumsum(groups.accounts)][group[order]]
    seated = seen - start <= np.round(x.sum(axis=1))[group[order]]
    return todo[order[seated]], todo[order[~seated]]


def _stratify(draw: Draw, groups: Groups, x: Floats, todo: Ints) -> None:
    """The draw's segments are the groups, those that are split cut by balance; its shares are x."""
    group = groups.of[todo]
    split = (x > SPLIT).sum(axis=1) > 1
    part = np.zeros(len(todo), dtype=np.int64)
    of_split = np.flatnonzero(split[group])
    order = of_split[np.lexsort((draw.rank[todo[of_split]], draw.balance[todo[of_split]], group[of_split]))]
    sizes = np.bincount(group[order], minlength=len(x))
    place = np.arange(len(order)) - np.r_[0, np.cumsum(sizes)][group[order]]
    part[order] = place * STRATA // np.maximum(sizes[group[order]], 1)
    draw.segment = np.zeros_like(draw.segment)
    draw.segment[todo] = group * STRATA + part
    shares = np.where(x.sum(axis=1, keepdims=True) > 0, x, groups.open)
    draw.share = np.repeat(np.where(shares > BETTER, shares, 0.0), STRATA, axis=0)


def _overflow(draw: Draw, groups: Groups, todo: Ints) -> None:
    """Each goes to the agency that is worth most and has room, until there is none."""
    while todo.size:
        group = groups.of[todo]
        able = groups.open[group] & draw.open
        some = able.any(axis=1)
        draw.refused[todo[~some]] = REFUSALS.index(NO_CAPACITY)
        todo, group, able = todo[some], group[some], able[some]
        if todo.size:
            todo = draw.seat(todo, np.where(able, groups.value[group], -np.inf).argmax(axis=1).astype(np.int64))


class Mending:
    """Debtors moved one by one, or swapped in pairs, while that brings the agencies nearer to their bounds."""

    def __init__(self, draw: Draw, groups: Groups, rows: Sequence[Row]) -> None:
        self.draw, self.groups = draw, groups
        self.unit = groups.unit()
        self.rows = list(rows)
        self.of_agency = [[row for row in self.rows if row.agency == at] for at in range(len(draw.names))]
        seated = draw.agency >= 0
        count = len(draw.names)
        self.accounts = np.bincount(draw.agency[seated], draw.size[seated], minlength=count).astype(np.float64)
        self.balance = np.bincount(draw.agency[seated], draw.balance[seated], minlength=count).astype(np.float64)
        self.movable = seated & (groups.of >= 0)
        places = len(groups.regions) * count
        who = np.flatnonzero(self.movable)
        region = groups.region[groups.of[who]]
        here = region >= 0
        self.by_region = np.bincount(
            region[here] * count + draw.agency[who[here]], draw.size[who[here]], minlength=places
        ).reshape(-1, count)

    def run(self) -> int:
        """How many debtors it moved."""
        moved = 0
        for _ in range(MENDS_AT_MOST):
            missed = [(self._missed(row, self._load(row)), at) for at, row in enumerate(self.rows)]
            missed = sorted((pair for pair in missed if pair[0] > BETTER), key=lambda pair: (-pair[0], pair[1]))
            done = next((by for _, at in missed if (by := self._mend(self.rows[at]))), 0)
            if not done:
                break
            moved += done
        return moved

    def _load(self, row: Row) -> float:
        if row.of_balance:
            return float(self.balance[row.agency])
        return float(self.accounts[row.agency] if row.region < 0 else self.by_region[row.region, row.agency])

    def _missed(self, row: Row, load: float) -> float:
        return float(self._gap(row, np.array([load]))[0])

    def _gap(self, row: Row, load: Any) -> Floats:
        """By how many accounts' worth the bound is missed at each load."""
        gap = np.maximum(np.maximum(row.low - load, load - row.high), 0.0)
        return np.asarray(gap / (self.unit if row.of_balance else 1.0) * (HARD_WEIGHT if row.kind in HARD else 1.0))

    def _change(self, agency: int, who: Ints, sign: int) -> Floats:
        """How much more the agency's bounds are missed when each of these joins it (or leaves it)."""
        region = self.groups.region[self.groups.of[who]]
        total = np.zeros(len(who))
        for row in self.of_agency[agency]:
            load = self._load(row)
            step = self.draw.balance[who] if row.of_balance else self.draw.size[who]
            step = step if row.region < 0 else np.where(region == row.region, step, 0)
            total += self._worse(row, load, sign * step)
        return total

    def _mend(self, row: Row) -> int:
        """One debtor moved, or two swapped, for this bound; 0 where that would miss others by more."""
        over = self._load(row) > row.high
        draw, groups = self.draw, self.groups
        mine = self.movable & ((draw.agency == row.agency) == over)
        if not over:
            mine &= groups.open[groups.of, row.agency]
        if row.region >= 0:
            mine &= groups.region[groups.of] == row.region
        who = np.flatnonzero(mine)
        who = who[np.argsort(draw.rank[who], kind="stable")[:TRIED_AT_ONCE]]
        if not who.size:
            return 0
        if self._move(row.agency, who, over=over):
            return 1
        return 2 if row.of_balance and self._swap(row.agency) else 0

    def _move(self, agency: int, who: Ints, *, over: bool) -> bool:
        count = len(self.draw.names)
        gain = np.full((len(who), count), np.inf)
        source = self.draw.agency[who]
        leaving = np.empty(len(who))
        for at in np.unique(source).tolist():
            leaving[source == at] = self._change(at, who[source == at], -1)
        for at in range(count) if over else (agency,):
            can = self.groups.open[self.groups.of[who], at] & (source != at)
            gain[can, at] = leaving[can] + self._change(at, who[can], 1)
        value = self.groups.value[self.groups.of[who]]
        lost = value[np.arange(len(who)), source][:, None] - value
        better = gain < -BETTER
        if not better.any():
            return False
        # the least loss of value for each account's worth that is mended
        price = np.where(better, lost / -np.where(better, gain, -1.0), np.inf)
        best, there = np.unravel_index(int(np.argmin(price)), price.shape)
        self._seat(int(who[best]), int(there))
        return True

    def _swap(self, agency: int) -> bool:
        """Two of one group and as many accounts change places, so that nothing but balances changes."""
        draw, groups = self.draw, self.groups
        mine = np.flatnonzero(self.movable & (draw.agency == agency))
        shared = np.zeros(len(groups.accounts), dtype=bool)
        shared[groups.of[mine]] = True
        others = np.flatnonzero(self.movable & (draw.agency != agency) & shared[groups.of])
        mine = mine[np.argsort(draw.rank[mine], kind="stable")[:PAIRS_AT_ONCE]]
        others = others[np.argsort(draw.rank[others], kind="stable")[:PAIRS_AT_ONCE]]
        alike = (groups.of[mine][:, None] == groups.of[others]) & (draw.size[mine][:, None] == draw.size[others])
        step = (draw.balance[others] - draw.balance[mine][:, None]).astype(np.float64)
        gain = np.full(step.shape, np.inf)
        for at in np.unique(draw.agency[others]).tolist():
            pairs = alike & (draw.agency[others] == at)
            gain[pairs] = self._balances(agency, step[pairs]) + self._balances(at, -step[pairs])
        if not gain.size or gain.min() >= -BETTER:
            return False
        one, other = np.unravel_index(int(np.argmin(gain)), gain.shape)
        there = int(draw.agency[others[other]])
        self._seat(int(mine[one]), there)
        self._seat(int(others[other]), agency)
        return True

    def _balances(self, agency: int, step: Floats) -> Floats:
        total = np.zeros(len(step))
        for row in self.of_agency[agency]:
            if row.of_balance:
                load = self._load(row)
                total += self._worse(row, load, step)
        return total

    def _worse(self, row: Row, load: float, step: Any) -> Floats:
        """How much more the bound is missed after each step; no step may leave an agency with more than its room."""
        more = self._gap(row, load + step) - self._missed(row, load)
        return np.where(more > BETTER, np.inf, more) if row.kind in ROOMS else more

    def _seat(self, who: int, there: int) -> None:
        draw, here = self.draw, int(self.draw.agency[who])
        size, balance, region = (
            int(draw.size[who]),
            int(draw.balance[who]),
            int(self.groups.region[self.groups.of[who]]),
        )
        for at, sign in ((here, -1), (there, 1)):
            self.accounts[at] += sign * size
            self.balance[at] += sign * balance
            if region >= 0:
                self.by_region[region, at] += sign * size
        draw.agency[who] = there
        draw.moved_from[who] = -1
        draw.chance[who] = np.nan
        draw.word[who] = REASONS.index(MENDED)

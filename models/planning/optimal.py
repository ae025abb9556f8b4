"""Accounts shared out for the most expected net-back that the bounds leave room for (A1).

Debtors who are alike in segment, region and in which agencies may have them are one group; how many accounts of each
group go to each agency is a linear programme with a few thousand groups, whatever the number of debtors. Whole
variables are needed for minimum volumes alone. Soft bounds are elastic: they have slack at a price. Of this comes a
matrix of accounts per group and agency; who of the group goes where is drawn by the seed (models/planning/rounding.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from models.planning.bounds import CHALLENGER, MINIMUM, UNPLACED_PRICE, Limits, Row, rows_of
from models.planning.prices import BANDS, bands_of
from models.planning.programme import Programme, Solution

if TYPE_CHECKING:
    from models.planning.allocation import Aims, Draw, Question
    from models.planning.programme import Solver

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

GROUPS_AT_MOST: Final = 5_000
TOLD: Final = 0.5
"""Accounts (or average balances) by which a bound must be missed to be told."""
BINDS: Final = 1e-6
"""Average accounts' worth below which a price is none."""
ALMOST: Final = 1e-6
"""Accounts that a solver's last digit may be off."""


@dataclass(frozen=True)
class Groups:
    """Who is alike.

    of: per debtor in the draw's order its group, -1 where it is not to be shared out. Per group: accounts, their
    balance, its region (of `regions`; -1: none); and [groups, agencies] who may have it, and expected net-back per
    account in minor units.
    """

    of: Ints
    accounts: Floats
    balance: Floats
    region: Ints
    open: Bools
    value: Floats
    regions: tuple[str, ...] = ()

    @property
    def dearest(self) -> float:
        """The most that an account is worth, or loses, anywhere; at least one minor unit. Prices are counted in it."""
        return max(float(np.abs(np.where(self.open, self.value, 0.0)).max(initial=0.0)), 1.0)

    def unit(self) -> float:
        """An average account's balance, in which rows of balance are counted."""
        return max(float(self.balance.sum() / max(self.accounts.sum(), 1.0)), 1.0)


def groups_of(draw: Draw, question: Question, aims: Aims) -> Groups:
    """The groups of those whom no agency has yet."""
    frame = question.debtors.sort_values("debtor_id", kind="stable", ignore_index=True)
    count = len(draw.names)
    closed = ~(draw.share > 0) @ (np.int64(1) << np.arange(count, dtype=np.int64))
    mask = draw.mask | closed[draw.segment]
    draw.mask = mask
    region, regions = np.full(len(frame), -1, dtype=np.int64), tuple[str, ...]()
    if aims.limits.region_max is not None:
        region, regions = _regions(frame)
    segment = draw.segment
    if aims.by_account:
        worth = frame["base"].to_numpy(dtype=np.float64) / draw.size
        segment = segment * BANDS + bands_of(segment, worth, draw.ids)
    every = np.int64((1 << count) - 1)
    free = np.flatnonzero(draw.free & ((mask & every) != every))
    masks, which = np.unique(mask[free], return_inverse=True)
    key = (segment[free] * (region.max(initial=0) + 2) + region[free] + 1) * len(masks) + which
    keys, group = np.unique(key, return_inverse=True)
    group = _merged(group, region[free], which, draw.size[free]) if len(keys) > GROUPS_AT_MOST else group
    size = int(group.max(initial=-1)) + 1
    first = np.zeros(size, dtype=np.int64)
    first[group[::-1]] = np.arange(len(free))[::-1]
    of = np.full(len(frame), -1, dtype=np.int64)
    of[free] = group
    accounts = np.bincount(group, draw.size[free], minlength=size).astype(np.float64)
    bits = np.arange(count, dtype=np.int64)
    return Groups(
        of,
        accounts,
        np.bincount(group, draw.balance[free], minlength=size).astype(np.float64),
        region[free][first],
        (masks[which[first]][:, None] >> bits) & 1 == 0,
        _values(frame.iloc[free], group, accounts, aims),
        regions,
    )


def _regions(frame: pd.DataFrame) -> tuple[Ints, tuple[str, ...]]:
    codes, names = pd.factorize(frame["region"].astype("str").fillna(""), sort=True)
    return codes.astype(np.int64), tuple(str(name) for name in names)


def _merged(group: Ints, region: Ints, which: Ints, size: Ints) -> Ints:
    """Fewer groups: the smallest give their segment up and join those with the same region and the same agencies."""
    accounts = np.bincount(group, size)
    rest = region * (which.max(initial=0) + 1) + which
    keep = np.zeros(len(accounts), dtype=bool)
    room = max(GROUPS_AT_MOST - len(np.unique(rest)), 0)
    keep[np.lexsort((np.arange(len(accounts)), -accounts))[:room]] = True
    joined = np.where(keep[group], group, len(accounts) + rest - rest.min(initial=0))
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)


def _values(free: pd.DataFrame, group: Ints, accounts: Floats, aims: Aims) -> Floats:
    """Expected net-back per account, [groups, agencies]."""
    base, cell = free["base"].to_numpy(dtype=np.float64), free["cell"].to_numpy(dtype=np.int64)
    cells = len(aims.worth.net)
    pairs, at = np.unique(group * cells + cell, return_inverse=True)
    sums = np.bincount(at, base, minlength=len(pairs))
    value = np.zeros((len(accounts), len(aims.worth.agencies)))
    np.add.at(value, pairs // cells, sums[:, None] * aims.worth.net[pairs % cells])
    return np.asarray(value / np.maximum(accounts, 1.0)[:, None] - aims.worth.cost)


@dataclass(frozen=True)
class Built:
    """A programme with where its variables are: x (group by agency), u (left out), slack of rows, floors, minima."""

    programme: Programme
    groups: Groups
    rows: tuple[Row, ...]
    slack: tuple[tuple[int, int, float], ...]
    """row, sign (+1 below its least, -1 above its most), price"""
    challengers: tuple[int, ...]
    minima: tuple[int, ...]
    limits: Limits
    seated: Floats
    """accounts of each agency's incumbents"""

    @property
    def x_end(self) -> int:
        """Where x ends and u begins."""
        return int(self.groups.open.size)

    @property
    def given_up(self) -> int:
        """Where u ends and what is given up begins."""
        return self.x_end + len(self.groups.accounts)

    def x(self, solution: Solution) -> Floats:
        """Accounts per group and agency."""
        return np.maximum(solution.x[: self.x_end], 0.0).reshape(self.groups.open.shape)

    def value(self, solution: Solution) -> float:
        """Expected net-back of what is shared out, minor units."""
        return float((self.x(solution) * self.groups.value).sum())


def built(groups: Groups, limits: Limits, rows: list[Row], seated: Floats, seated_minor: Floats) -> Built:
    """The programme. seated: accounts and minor units that the agencies have as incumbents; they count in every row.

    Rows are in accounts; those of balance in average balances, so that all figures are of one size.
    """
    count, agencies = groups.open.shape
    unit, dearest = groups.unit(), groups.dearest
    soft = [
        (at, sign, limits.penalty(row.kind, dearest)) for at, row in enumerate(rows) if row.soft for sign in _ends(row)
    ]
    challengers = tuple(limits.agencies.index(name) for name in limits.challengers if name in limits.agencies)
    challengers = challengers if limits.floor > 0 else ()
    minima = tuple(int(at) for at in np.flatnonzero(limits.minimum))
    tail = _Tail(count * agencies + count, len(soft), len(challengers), len(minima))
    parts = [
        _everybody(groups, tail),
        _bounds(groups, rows, soft, seated, seated_minor, unit, tail),
        _floors(groups, challengers, limits.floor, tail),
        _minima(groups, minima, limits, seated, tail),
    ]
    matrices, lows, highs = zip(*parts, strict=True)
    floor_price = limits.penalty(CHALLENGER, dearest)
    due = np.array([(groups.accounts * groups.open[:, at]).sum() for at in challengers])
    cost = np.r_[
        (-groups.value / dearest).ravel(),
        np.full(count, UNPLACED_PRICE),
        [price for _, _, price in soft],
        floor_price * due,
        np.zeros(len(minima)),
    ]
    high = np.r_[
        (groups.open * groups.accounts[:, None]).ravel(),
        groups.accounts,
        np.full(len(soft), np.inf),
        np.full(len(challengers), limits.floor),
        np.ones(len(minima)),
    ]
    whole = np.zeros(len(cost), dtype=bool)
    whole[tail.minima :] = True
    matrix = sparse.csr_matrix(sparse.vstack(matrices, format="csr"))
    programme = Programme(cost, matrix, np.concatenate(lows), np.concatenate(highs), np.zeros(len(cost)), high, whole)
    return Built(programme, groups, tuple(rows), tuple(soft), challengers, minima, limits, seated)


_Entries: TypeAlias = tuple[Ints, Ints, Floats]
NO_ENTRIES: Final[_Entries] = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


@dataclass(frozen=True)
class _Tail:
    """Where the variables behind x and u begin, and how many there are."""

    slack: int
    slacks: int
    challengers: int
    minimum: int

    @property
    def floors(self) -> int:
        return self.slack + self.slacks

    @property
    def minima(self) -> int:
        return self.floors + self.challengers

    @property
    def size(self) -> int:
        return self.minima + self.minimum

    def matrix(self, rows: int, entries: list[_Entries]) -> sparse.csr_matrix:
        """A matrix over all variables from (rows, columns, values) of equal lengths."""
        at, columns, values = (np.concatenate([one[part] for one in entries]) for part in range(3))
        return sparse.csr_matrix((values.astype(np.float64), (at, columns)), shape=(rows, self.size))


def _ends(row: Row) -> list[int]:
    """Which ends of the row mean something: +1 its least, -1 its most."""
    there = ((1, np.isfinite(row.low) and row.low > 0), (-1, np.isfinite(row.high)))
    return [sign for sign, means in there if means]


_Part: TypeAlias = tuple[sparse.csr_matrix, Floats, Floats]


def _everybody(groups: Groups, tail: _Tail) -> _Part:
    """Every account goes to somebody, or is left out."""
    count, agencies = groups.open.shape
    at = np.repeat(np.arange(count), agencies)
    columns = np.arange(count * agencies)
    entries = [(at, columns, np.ones(len(at))), (np.arange(count), count * agencies + np.arange(count), np.ones(count))]
    return tail.matrix(count, entries), groups.accounts, groups.accounts


def _bounds(
    groups: Groups, rows: list[Row], soft: list[tuple[int, int, float]], seated: Floats, seated_minor: Floats,
    unit: float, tail: _Tail,
) -> _Part:  # fmt: skip
    count, agencies = groups.open.shape
    per_account = groups.balance / np.maximum(groups.accounts, 1.0) / unit
    entries = [NO_ENTRIES]
    low, high = np.empty(len(rows)), np.empty(len(rows))
    for at, row in enumerate(rows):
        here = np.arange(count) if row.region < 0 else np.flatnonzero(groups.region == row.region)
        weight = per_account[here] if row.of_balance else np.ones(len(here))
        entries.append((np.full(len(here), at), here * agencies + row.agency, weight))
        has = seated_minor[row.agency] if row.of_balance else seated[row.agency] if row.region < 0 else 0.0
        scale = unit if row.of_balance else 1.0
        low[at], high[at] = (row.low - has) / scale, (row.high - has) / scale
        if not row.soft:
            high[at] = max(high[at], 0.0)
    slack = np.array([at for at, _, _ in soft], dtype=np.int64)
    signs = np.array([sign for _, sign, _ in soft], dtype=np.float64)
    entries.append((slack, tail.slack + np.arange(len(soft)), signs))
    return tail.matrix(len(rows), entries), low, high


def _floors(groups: Groups, challengers: tuple[int, ...], floor: float, tail: _Tail) -> _Part:
    """Each challenger has its floor of every group that it may have; giving it up lowers it everywhere alike."""
    agencies = groups.open.shape[1]
    entries = [NO_ENTRIES]
    lows = [np.empty(0)]
    row = 0
    for number, at in enumerate(challengers):
        here = np.flatnonzero(groups.open[:, at])
        rows = row + np.arange(len(here))
        entries += [
            (rows, here * agencies + at, np.ones(len(here))),
            (rows, np.full(len(here), tail.floors + number), groups.accounts[here]),
        ]
        lows.append(floor * groups.accounts[here])
        row += len(here)
    return tail.matrix(row, entries), np.concatenate(lows), np.full(row, np.inf)


def _minima(groups: Groups, minima: tuple[int, ...], limits: Limits, seated: Floats, tail: _Tail) -> _Part:
    """So many accounts or none: y is 1 where the agency is used."""
    count, agencies = groups.open.shape
    entries = [NO_ENTRIES]
    low, high = [], []
    for number, at in enumerate(minima):
        most = float((groups.accounts * groups.open[:, at]).sum())
        columns = np.arange(count) * agencies + at
        for row, by in ((2 * number, limits.minimum[at]), (2 * number + 1, most)):
            entries += [
                (np.full(count, row), columns, np.ones(count)),
                (np.array([row]), np.array([tail.minima + number]), np.array([-by])),
            ]
        low += [-seated[at], -np.inf]
        high += [np.inf, 0.0]
    return tail.matrix(2 * len(minima), entries), np.array(low), np.array(high)


@dataclass(frozen=True)
class Optimum:
    """What the solver found, JSON-able but for x and rows.

    x: accounts per group and agency; rows: every bound, as far as it was not given up. value_minor: expected net-back
    of what is newly shared out; bound_minor: no plan within the bounds could bring more; prices: what one more account
    (or an average balance) of room under each bound that binds would bring; relaxed: bounds given up, by how much, at
    which price; costs: per kind of rule, what the plan would bring more without it.
    """

    x: Floats
    rows: tuple[Row, ...]
    status: str
    gap: float | None = None
    value_minor: int = 0
    bound_minor: int | None = None
    prices: tuple[dict[str, Any], ...] = ()
    relaxed: tuple[dict[str, Any], ...] = ()
    costs: dict[str, int] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """It for a plan's summary."""
        names = ("status", "gap", "value_minor", "bound_minor", "prices", "relaxed", "costs")
        return {name: getattr(self, name) for name in names}


def optimum(draw: Draw, groups: Groups, question: Question, aims: Aims) -> Optimum | None:
    """The best shares of the groups; None where the solver found none in its time."""
    if not len(groups.accounts):
        return Optimum(np.zeros(groups.open.shape), (), "optimal", 0.0)
    problem = problem_of(draw, groups, question, aims.limits)
    main = best_of(problem, problem_of(draw, groups, question, aims.limits.without(MINIMUM)), aims.solver)
    return None if not main.found else explained(problem, main, draw, question, aims)


def best_of(problem: Built, free: Built, solver: Solver) -> Solution:
    """The problem's solution. `free` is the same without minimum volumes, and far quicker to solve.

    Where its solution happens to keep them, no other can be better, and there is nothing whole to look for.
    """
    if problem.minima:
        (found,) = solver([free.programme])
        if found.found:
            fresh, at = free.x(found).sum(axis=0), list(problem.minima)
            enough = (fresh + problem.seated >= problem.limits.minimum - ALMOST)[at]
            # part of an account is not nobody: where bounds are dear, it would buy much of them
            if (enough | (fresh <= ALMOST)[at]).all():
                return replace(found, x=np.r_[found.x, enough.astype(np.float64)])
    (main,) = solver([problem.programme])
    return main


def problem_of(draw: Draw, groups: Groups, question: Question, limits: Limits) -> Built:
    """The programme of the whole plan: incumbents are seated, the others are to be shared out."""
    placed = draw.agency >= 0
    shape = len(draw.names)
    seated = np.bincount(draw.agency[placed], draw.size[placed], minlength=shape).astype(np.float64)
    seated_minor = np.bincount(draw.agency[placed], draw.balance[placed], minlength=shape).astype(np.float64)
    known = groups.region >= 0
    regions = np.bincount(groups.region[known], groups.accounts[known]) if known.any() else np.zeros(0)
    rows = rows_of(
        limits,
        float(groups.accounts.sum() + seated.sum()),
        float(groups.balance.sum() + seated_minor.sum()),
        regions.astype(np.float64),
        _left(question, "room_accounts"),
        _left(question, "room_minor"),
    )
    return built(groups, limits, rows, seated, seated_minor)


def _left(question: Question, column: str) -> Floats:
    """Room at the start, infinite where there is no bound, in the order of the agencies' codes."""
    rooms = question.agencies.sort_values("agency", kind="stable")[column]
    return np.array(rooms.astype("Float64").fillna(np.inf), dtype=np.float64)


def explained(problem: Built, main: Solution, draw: Draw, question: Question, aims: Aims) -> Optimum:
    """The optimum with its prices, what was given up, and what each rule costs."""
    others = [
        problem_of(draw, problem.groups, question, problem.limits.without(kind)) for kind in problem.limits.stated
    ]
    used = main.x[len(main.x) - len(problem.minima) :]
    told = aims.solver([_priced(problem, main), *(_with_minima(other, used) for other in others)])
    value = problem.value(main)
    costs = {
        kind: max(round(other.value(found) - value), 0)
        for kind, other, found in zip(problem.limits.stated, others, told[1:], strict=True)
        if found.found
    }
    proved = np.isfinite(main.bound) and np.isfinite(main.cost)
    return Optimum(
        x=problem.x(main),
        rows=as_relaxed(problem, main),
        status=main.status,
        gap=float(main.gap) if np.isfinite(main.gap) else None,
        value_minor=round(value),
        bound_minor=round(value + max(main.cost - main.bound, 0.0) * problem.groups.dearest) if proved else None,
        prices=tuple(_prices(problem, told[0])),
        relaxed=tuple(relaxed(problem, main)),
        costs=costs,
    )


def _with_minima(problem: Built, used: Floats) -> Programme:
    """The programme with the same agencies in use as in the plan: then nothing is whole, and it is soon solved."""
    programme = problem.programme
    at = np.zeros(len(programme.cost))
    which = np.zeros(len(programme.cost), dtype=bool)
    if problem.minima:
        which[-len(problem.minima) :] = True
        at[-len(problem.minima) :] = np.round(used)
    return programme.fixed(which, at, programme.cost)


def _priced(problem: Built, main: Solution) -> Programme:
    """The programme whose prices mean something: what was given up stays given up, and leaving out costs nothing.

    Else a bound that is given up, or room that does not suffice, would price every account at the penalty.
    """
    programme, start = problem.programme, problem.given_up
    which = np.zeros(len(programme.cost), dtype=bool)
    which[start:] = True
    cost = programme.cost.copy()
    cost[problem.x_end :] = 0.0
    at = np.maximum(main.x, 0.0)
    ends = len(programme.cost) - len(problem.minima)
    at[ends:] = np.round(at[ends:])
    # a hair more than what was found, lest rounding in the last digit makes it infeasible
    at[start:ends] *= 1 + 1e-9
    return programme.fixed(which, at, cost)


def _prices(problem: Built, found: Solution) -> list[dict[str, Any]]:
    """Bounds that bind, dearest first."""
    if not len(found.prices):
        return []
    first = len(problem.groups.accounts)
    dearest, unit = problem.groups.dearest, problem.groups.unit()
    told = []
    for row, price in zip(problem.rows, found.prices[first : first + len(problem.rows)], strict=True):
        if price > BINDS:
            told.append(_named(problem, row) | {"price_minor": round(float(price) * dearest), **_per(row, unit)})
    return sorted(told, key=lambda one: (-one["price_minor"], one["kind"], one["agency"]))


def _per(row: Row, unit: float) -> dict[str, Any]:
    """What the price is of."""
    return {"per": "balance", "per_minor": round(unit)} if row.of_balance else {"per": "account"}


def _named(problem: Built, row: Row) -> dict[str, Any]:
    named: dict[str, Any] = {"kind": row.kind, "agency": problem.limits.agencies[row.agency]}
    return named | ({} if row.region < 0 else {"region": problem.groups.regions[row.region]})


def _slacks(problem: Built, main: Solution) -> Floats:
    start = problem.given_up
    return np.maximum(main.x[start : start + len(problem.slack)], 0.0)


def relaxed(problem: Built, main: Solution) -> list[dict[str, Any]]:
    """Bounds given up, in accounts, and the price of each."""
    dearest, unit = problem.groups.dearest, problem.groups.unit()
    told = []
    for (at, sign, price), by in zip(problem.slack, _slacks(problem, main), strict=True):
        row = problem.rows[at]
        if by > TOLD:
            bound = row.low if sign > 0 else row.high
            scale = unit if row.of_balance else 1.0
            told.append(
                _named(problem, row)
                | {
                    "end": "least" if sign > 0 else "most",
                    "bound": round(bound),
                    "by": round(float(by) * scale),
                    "of": "balance" if row.of_balance else "accounts",
                    "price_minor": round(price * dearest),
                }
            )
    start = problem.given_up + len(problem.slack)
    for number, at in enumerate(problem.challengers):
        due = float((problem.groups.accounts * problem.groups.open[:, at]).sum())
        lowered = float(main.x[start + number])
        if lowered * due > TOLD:
            price = problem.limits.penalty(CHALLENGER, dearest) * dearest
            told.append(
                {
                    "kind": CHALLENGER,
                    "agency": problem.limits.agencies[at],
                    "end": "least",
                    "bound": round(problem.limits.floor * due),
                    "by": round(lowered * due),
                    "of": "accounts",
                    "price_minor": round(price),
                }
            )
    return told


def as_relaxed(problem: Built, main: Solution) -> tuple[Row, ...]:
    """The rows as they stand after what was given up; minima of agencies that are used are rows as well."""
    rows = list(problem.rows)
    unit = problem.groups.unit()
    for (at, sign, _), by in zip(problem.slack, _slacks(problem, main), strict=True):
        row, much = rows[at], float(by) * (unit if rows[at].of_balance else 1.0)
        rows[at] = replace(row, low=row.low - much) if sign > 0 else replace(row, high=row.high + much)
    start = problem.given_up + len(problem.slack)
    for number, at in enumerate(problem.challengers):
        due = float((problem.groups.accounts * problem.groups.open[:, at]).sum())
        low = (problem.limits.floor - float(main.x[start + number])) * due
        rows.append(Row(CHALLENGER, at, low, np.inf))
    used = main.x[len(main.x) - len(problem.minima) :]
    for at, y in zip(problem.minima, used, strict=True):
        # an agency that is not used keeps its incumbents, and gets nobody new
        low, high = (float(problem.limits.minimum[at]), np.inf) if round(float(y)) else (0.0, float(problem.seated[at]))
        rows.append(Row(MINIMUM, at, low, high, soft=False))
    return tuple(rows)

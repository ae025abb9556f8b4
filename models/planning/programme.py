"""A linear programme in arrays, and HiGHS to solve it: what can be handed to another process, and its answer.

Minimise cost · x with row_low ≤ A x ≤ row_high and low ≤ x ≤ high; some x may have to be whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Bools: TypeAlias = npt.NDArray[np.bool_]

GAP: Final = 1e-6
OPTIMAL, LIMITED, INFEASIBLE = "optimal", "time_limit", "infeasible"
FAILED: Final = "failed"
"""What came of it: proved best; the best found in the time; there is none; the solver gave up."""


@dataclass(frozen=True)
class Programme:
    """`matrix` has a row per constraint and a column per variable; infinite bounds are none."""

    cost: Floats
    matrix: sparse.csr_matrix
    row_low: Floats
    row_high: Floats
    low: Floats
    high: Floats
    whole: Bools

    def fixed(self, which: Bools, at: Floats, cost: Floats) -> Programme:
        """It with some variables fixed where `at` has them, none of them whole any more, and another cost."""
        low, high = np.where(which, at, self.low), np.where(which, at, self.high)
        none = np.zeros(len(cost), dtype=bool)
        return Programme(cost, self.matrix, self.row_low, self.row_high, low, high, none)

    def without(self, rows: Bools) -> Programme:
        """It without these constraints."""
        keep = ~rows
        matrix = sparse.csr_matrix(self.matrix[keep])
        return Programme(
            self.cost, matrix, self.row_low[keep], self.row_high[keep], self.low, self.high, self.whole
        )  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """`x` and `prices` are empty where nothing was found; a price is how much the cost falls per unit of a row's bound.

    prices: of the rows, in their order; ≥ 0 where the bound binds, 0 elsewhere; unknown (empty) with whole variables.
    gap: between the cost and its proved bound, relative.
    """

    status: str
    x: Floats
    prices: Floats
    cost: float = np.nan
    bound: float = np.nan
    gap: float = np.nan

    @property
    def found(self) -> bool:
        """Whether there is an x that holds every constraint."""
        return bool(len(self.x))


if TYPE_CHECKING:
    Solver: TypeAlias = Callable[[Sequence[Programme]], Sequence[Solution]]
    """Solves each; one that could not be solved has no x."""

NOTHING: Final = np.empty(0)


def solve(programme: Programme, seconds: float) -> Solution:
    """The best x, within the time."""
    return _mixed(programme, seconds) if programme.whole.any() else _linear(programme, seconds)


def in_process(programmes: Sequence[Programme], seconds: float = 60.0) -> list[Solution]:
    """Each solved here and now: for small ones; `infra.solving` has a process for the others."""
    return [solve(programme, seconds) for programme in programmes]


def _linear(programme: Programme, seconds: float) -> Solution:
    equal = programme.row_low == programme.row_high
    under = ~equal & np.isfinite(programme.row_high)
    over = ~equal & np.isfinite(programme.row_low)
    matrix = programme.matrix
    found = linprog(
        programme.cost,
        A_ub=sparse.vstack([matrix[under], -matrix[over]]).tocsr(),
        b_ub=np.r_[programme.row_high[under], -programme.row_low[over]],
        A_eq=matrix[equal],
        b_eq=programme.row_low[equal],
        bounds=np.c_[programme.low, programme.high],
        method="highs",
        options={"time_limit": seconds},
    )
    status = _status(int(found.status))
    if status != OPTIMAL:
        return Solution(status, NOTHING, NOTHING)
    prices = np.zeros(len(programme.row_low))
    marginal = -np.asarray(found.ineqlin.marginals)
    prices[np.flatnonzero(under)] += marginal[: under.sum()]
    prices[np.flatnonzero(over)] += marginal[under.sum() :]
    x = np.asarray(found.x, dtype=np.float64)
    cost = float(programme.cost @ x)
    return Solution(status, x, prices, cost, cost, 0.0)


def _mixed(programme: Programme, seconds: float) -> Solution:
    found = milp(
        programme.cost,
        constraints=LinearConstraint(programme.matrix, programme.row_low, programme.row_high),
        bounds=Bounds(programme.low, programme.high),
        integrality=programme.whole.astype(np.int64),
        options={"time_limit": seconds, "mip_rel_gap": GAP},
    )
    status = _status(int(found.status))
    if found.x is None:
        return Solution(status, NOTHING, NOTHING)
    bound, gap = getattr(found, "mip_dual_bound", None), getattr(found, "mip_gap", None)
    return Solution(
        status,
        np.asarray(found.x),
        NOTHING,
        float(found.fun),
        np.nan if bound is None else float(bound),
        np.nan if gap is None else float(gap),
    )


def _status(code: int) -> str:
    """HiGHS by way of scipy: 0 optimal, 1 a limit reached, 2 infeasible, 3 unbounded, 4 other."""
    return {0: OPTIMAL, 1: LIMITED, 2: INFEASIBLE}.get(code, FAILED)

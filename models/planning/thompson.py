"""Shares by Thompson's rule (A2): each agency gets of a group what share of the posterior draws it is the best in.

Argmax of the score gives all to whoever looks best today, and never learns that another one is better by now. Drawing
from what is not known gives a little to whoever may well be the best, and less as that becomes unlikely. The shares are
then brought within the bounds by moving as few accounts as possible.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from scipy import sparse

from models.planning.bounds import MINIMUM
from models.planning.optimal import Optimum, as_relaxed, best_of, explained, problem_of, relaxed
from models.planning.programme import Programme, Solution

if TYPE_CHECKING:
    import numpy.typing as npt

    from models.planning.allocation import Aims, Draw, Question
    from models.planning.optimal import Built, Groups

    Floats: TypeAlias = npt.NDArray[np.float64]

PER_ACCOUNT: Final = 1.0
"""What an account that is not where its share is costs, beside which values only break ties."""
TIE: Final = 1e-3
LEARNING: Final = "learning"


def best_shares(value: Floats, log_sd: Floats, can: npt.NDArray[np.bool_], draws: int, seed: int) -> Floats:
    """How often each agency (columns) is worth most to each group (rows); rows sum to 1, or 0 where nobody can.

    value: expected, [groups, agencies]; log_sd: of each agency's effect, which all groups have in common.
    """
    rng = np.random.default_rng([seed, 3])
    noise = np.exp(rng.standard_normal((draws, len(log_sd))) * log_sd - np.square(log_sd) / 2)
    shares = np.zeros(value.shape)
    rows = np.arange(len(value))
    some = can.any(axis=1, keepdims=True)
    for drawn in np.asarray(noise):
        best = np.where(can, value * drawn, -np.inf).argmax(axis=1)
        shares[rows, best] += 1 / draws
    return np.where(some, shares, 0.0)


def projected(draw: Draw, groups: Groups, question: Question, aims: Aims) -> Optimum | None:
    """The shares that Thompson's rule asks for, brought within the bounds; None where that cannot be done in time."""
    if not len(groups.accounts):
        return Optimum(np.zeros(groups.open.shape), (), "optimal", 0.0)
    problem = problem_of(draw, groups, question, aims.limits)
    shares = best_shares(groups.value, aims.worth.log_sd, groups.open, aims.draws, question.seed)
    wanted = (shares * groups.accounts[:, None]).ravel()
    (found,) = aims.solver([nearest(problem, wanted)])
    best = best_of(problem, problem_of(draw, groups, question, aims.limits.without(MINIMUM)), aims.solver)
    if not found.found or not best.found:
        return None
    main = in_accounts(problem, wanted, found)
    # prices of bounds and costs of rules are those of the most valuable plan; to learn is one more thing that costs
    told = explained(problem, best, draw, question, aims)
    value = round(problem.value(main))
    return replace(
        told,
        x=problem.x(main),
        rows=as_relaxed(problem, main),
        relaxed=tuple(relaxed(problem, main)),
        value_minor=value,
        bound_minor=None,
        costs=told.costs | {LEARNING: told.value_minor - value},
    )


def nearest(problem: Built, wanted: Floats) -> Programme:
    """The programme that finds the x within the bounds that moves the fewest accounts from what is wanted.

    x = wanted + more − less, so each x becomes two variables; the others stay as they are.
    """
    programme, end = problem.programme, problem.x_end
    of_x = sparse.csr_matrix(programme.matrix[:, :end])
    matrix = sparse.hstack([of_x, -of_x, programme.matrix[:, end:]], format="csr")
    shift = of_x @ wanted
    tie = programme.cost[:end] * TIE
    rest = programme.cost[end:]
    return Programme(
        np.r_[PER_ACCOUNT + tie, PER_ACCOUNT - tie, rest],
        sparse.csr_matrix(matrix),
        programme.row_low - shift,
        programme.row_high - shift,
        np.zeros(len(programme.cost) + end),
        np.r_[np.maximum(programme.high[:end] - wanted, 0.0), wanted, programme.high[end:]],
        np.r_[np.zeros(2 * end, dtype=bool), programme.whole[end:]],
    )


def in_accounts(problem: Built, wanted: Floats, found: Solution) -> Solution:
    """The solution in the problem's own variables."""
    end = problem.x_end
    x = wanted + found.x[:end] - found.x[end : 2 * end]
    return replace(found, x=np.r_[x, found.x[2 * end :]], prices=np.empty(0))

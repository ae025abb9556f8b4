"""The ways to share out, by name, and what each gives: an answer, and how good it is where it was optimised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from models.errors import UsageError
from models.planning.allocation import Answer, Draw, Question, by_shares
from models.planning.optimal import Groups, Optimum, groups_of, optimum, problem_of
from models.planning.rounding import Mending, name_challengers, seat
from models.planning.thompson import projected

if TYPE_CHECKING:
    from models.planning.allocation import Aims

FALLBACK: Final = "fallback"


@dataclass(frozen=True)
class Allocation:
    """An answer; where it was optimised also the optimum, the groups' values and how many were moved to hold bounds."""

    answer: Answer
    optimum: Optimum | None = None
    mended: int = 0


Allocator: TypeAlias = Callable[[Question], Allocation]


def plainly(question: Question) -> Allocation:
    """By shares alone."""
    return Allocation(by_shares(question))


def by_value(question: Question) -> Allocation:
    """The most expected net-back within the bounds."""
    return _optimised(question, optimum)


def by_price(question: Question) -> Allocation:
    """As by value, and within a group by what each account is worth with each agency."""
    if question.aims is None:
        return by_value(question)
    return by_value(replace(question, aims=replace(question.aims, by_account=True)))


def by_thompson(question: Question) -> Allocation:
    """As often to each agency as it may be the best, within the bounds."""
    return _optimised(question, projected)


def _optimised(question: Question, best: Callable[[Draw, Groups, Question, Aims], Optimum | None]) -> Allocation:
    aims = question.aims
    if aims is None:
        raise UsageError("an optimised plan needs to know what accounts are worth", fix="use the allocator `shares`")
    draw = Draw.of(question)
    draw.keep_incumbents()
    groups = groups_of(draw, question, aims)
    found = best(draw, groups, question, aims) or _last_shares(draw, groups, question, aims)
    seat(draw, groups, found.x, question, aims)
    mending = Mending(draw, groups, found.rows)
    moved = mending.run()
    challengers = [aims.limits.agencies.index(one) for one in aims.limits.challengers if one in aims.limits.agencies]
    name_challengers(draw, groups, found.x, challengers, aims.limits.floor)
    return Allocation(draw.answer(), found, moved)


def _last_shares(draw: Draw, groups: Groups, question: Question, aims: Aims) -> Optimum:
    """What is always there: the last plan's shares (even ones before the first), repaired until the bounds hold."""
    last = aims.limits.last if aims.limits.last is not None else np.ones(len(draw.names))
    weight = groups.open * np.maximum(last, 1e-3)
    x = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9) * groups.accounts[:, None]
    problem = problem_of(draw, groups, question, aims.limits)
    return Optimum(x, problem.rows, FALLBACK, value_minor=round(float((x * groups.value).sum())))


ALLOCATORS: Final[Mapping[str, Allocator]] = MappingProxyType(
    {"shares": plainly, "value": by_value, "price": by_price, "thompson": by_thompson}
)


def allocator(name: str) -> Allocator:
    """The allocator of that name. Raises UsageError with the names there are."""
    if name not in ALLOCATORS:
        raise UsageError(f"there is no allocator {name!r}", fix=f"there are {', '.join(ALLOCATORS)}")
    return ALLOCATORS[name]

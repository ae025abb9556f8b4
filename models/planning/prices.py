"""Who of a group goes where, by what each account is worth: the price method, where value varies by account.

The optimum says how many accounts of a group each agency gets; at the prices of the bounds that bind, the group as a
whole is worth the same with each of them. Its accounts are not: whoever is worth more with one agency than with the
others goes there first. Only a challenger's floor is drawn by lot: it is to show what the agency makes of any account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.planning.allocation import REASONS, VALUE, whole_quota

if TYPE_CHECKING:
    from models.planning.allocation import Aims, Draw, Question
    from models.planning.optimal import Bools, Floats, Groups, Ints

BANDS: Final = 4
"""Parts by worth that each segment is cut into, so that the optimum sees the differences within it."""


def bands_of(segment: Ints, worth: Floats, order_of: Ints) -> Ints:
    """Each debtor's band within its segment, from 0, by worth per account. order_of: breaks ties."""
    order = np.lexsort((order_of, worth, segment))
    sizes = np.bincount(segment)
    place = np.arange(len(order)) - np.r_[0, np.cumsum(sizes)][segment[order]]
    found = np.empty(len(order), dtype=np.int64)
    found[order] = place * BANDS // np.maximum(sizes[segment[order]], 1)
    return found


def by_worth(draw: Draw, groups: Groups, x: Floats, todo: Ints, question: Question, aims: Aims) -> Ints:
    """An agency for each of `todo`, x accounts of each group to each."""
    frame = question.debtors.sort_values("debtor_id", kind="stable", ignore_index=True).iloc[todo]
    base, cell = frame["base"].to_numpy(dtype=np.float64), frame["cell"].to_numpy(dtype=np.int64)
    limits = aims.limits
    floors = np.array([limits.floor if name in limits.challengers else 0.0 for name in limits.agencies])
    group = groups.of[todo]
    order = np.lexsort((draw.rank[todo], group))
    ends = np.cumsum(np.bincount(group, minlength=len(x)))
    chosen = np.empty(len(todo), dtype=np.int64)
    carry = np.zeros(x.shape[1])
    for at in np.argsort(groups.accounts, kind="stable").tolist():
        members = order[ends[at - 1] if at else 0 : ends[at]]
        if not members.size:
            continue
        sizes = draw.size[todo[members]]
        weight = np.where(x[at] > 0, x[at], 0.0) if x[at].sum() > 0 else groups.open[at].astype(np.float64)
        quota = whole_quota(weight + carry, weight, int(sizes.sum()))
        own = base[members][:, None] * aims.worth.net[cell[members]] - sizes[:, None] * aims.worth.cost
        mine, by_lot = _shared_out(own, sizes, quota, np.minimum(quota, np.round(floors * sizes.sum())))
        chosen[members] = mine
        sure = 1.0 if (quota > 0).sum() == 1 else np.nan
        draw.chance[todo[members]] = np.where(by_lot, (quota / sizes.sum())[mine], sure)
        carry += weight * (sizes.sum() / max(weight.sum(), 1e-9)) - np.bincount(mine, sizes, minlength=len(quota))
    draw.word[todo] = REASONS.index(VALUE)
    return chosen


def _shared_out(own: Floats, sizes: Ints, quota: Ints, floors: Floats) -> tuple[Ints, Bools]:
    """Agencies for the members of one group, who are in drawn order, and who was drawn by lot."""
    chosen = np.full(len(sizes), -1, dtype=np.int64)
    reach = np.cumsum(sizes) - sizes / 2
    start = 0.0
    for at in np.flatnonzero(floors).tolist():
        # the first in drawn order: a lot
        chosen[(chosen < 0) & (reach > start) & (reach <= start + floors[at])] = at
        start += float(floors[at])
    by_lot = chosen >= 0
    left = quota - np.bincount(chosen[by_lot], sizes[by_lot], minlength=len(quota))
    takers = sorted(np.flatnonzero(left > 0).tolist(), key=lambda at: (left[at], at))
    for position, at in enumerate(takers):
        free = np.flatnonzero(chosen < 0)
        others = takers[position + 1 :]
        if not others:
            chosen[free] = at
            break
        gain = (own[free, at] - own[free][:, others].max(axis=1)) / sizes[free]
        first = free[np.argsort(-gain, kind="stable")]
        chosen[first[np.cumsum(sizes[first]) - sizes[first] / 2 <= left[at]]] = at
    rest = chosen < 0
    chosen[rest] = int(np.argmax(quota))
    return chosen, by_lot

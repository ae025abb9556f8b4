"""The figures about money: recovery, net-back, speed; overall and by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.scoring.inputs import Component, number
from models.scoring.survival import incidence, kaplan_meier

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from models.scoring.book import Book, Standing

    Floats = npt.NDArray[np.float64]

TOO_LITTLE, NOBODY_ELSE = "too_little_to_rank", "nobody_else"
"""Why there is no rank: too few payments were to be expected; no other agency works such accounts."""
RANKING = ("p_best", "p_worst", "expected_rank")


def recovery(book: Book, known: Standing) -> Iterator[Component]:
    """Recovered over expected with its interval, and the ranking as far as there is one."""
    found = known.effect
    for position, agency in enumerate(book.agencies):
        if book.expected[position] <= 0:
            yield from (Component(agency, name) for name in ("recovery", *RANKING))
            continue
        compared = known.compared[position]
        note = "" if known.ranked[position] else TOO_LITTLE if compared else NOBODY_ELSE
        yield Component(
            agency,
            "recovery",
            value=float(found.mean[position]) if compared else None,
            low=float(found.low[position]) if compared else None,
            high=float(found.high[position]) if compared else None,
            expected=float(book.expected[position] / book.placed[position]),
            actual=float(book.recovered[position] / book.placed[position]),
            note=note,
        )
        for name, values in zip(RANKING, (found.p_best, found.p_worst, found.expected_rank), strict=True):
            yield Component(agency, name, value=number(values[position]), note=note)


def net_back(book: Book, known: Standing) -> Iterator[Component]:
    """Recovered less commission, clawbacks given back, over what was expected at the price that all cost together."""
    commission: Floats = book.counted["commission_minor"].to_numpy(dtype=np.float64)
    commission = commission / book.payment_minor[book.currency[book.row]]
    paid, clawed = book.by_agency(commission, book.row), -book.by_agency(np.minimum(commission, 0.0), book.row)
    total = book.recovered.sum()
    kept = 1 - paid.sum() / total if total > 0 else 1.0
    draws = book.draws()
    tops, bottoms = draws @ book.by_bag(book.money - commission, book.row), draws @ book.by_bag(book.expected_of) * kept
    tail = book.parameters.tail
    for position, agency in enumerate(book.agencies):
        expected, recovered = book.expected[position] * kept, book.recovered[position]
        shown = bottoms[:, position] > 0
        if expected <= 0 or not shown.any():
            yield Component(agency, "net_back")
        else:
            net, placed = recovered - paid[position], book.placed[position]
            low, high = np.quantile(tops[shown, position] / bottoms[shown, position], [tail, 1 - tail])
            yield Component(
                agency,
                "net_back",
                value=float(net / expected) if known.compared[position] else None,
                low=float(low) if known.compared[position] else None,
                high=float(high) if known.compared[position] else None,
                expected=float(expected / placed),
                actual=float(net / placed),
            )
        for name, part in (("commission_rate", paid), ("clawback", clawed)):
            yield Component(agency, name, value=float(part[position] / recovered) if recovered > 0 else None)


def speed(book: Book) -> Iterator[Component]:
    """The median day of the first payment; how many have paid by a day, over everybody's. Recall and youth censor.

    Beside them what came first by that day, a payment or the end of the placement: two ends that compete.
    """
    watched = np.maximum(book.clock.exposed_days - 1, 0)
    paid = book.first_paid <= watched
    day = np.where(paid, book.first_paid, watched)
    seen = book.clock.exposed_days > 0
    cause = np.where(paid, 1, np.where(book.clock.exposed_days < book.clock.age_days, 2, 0))
    horizon, credible = book.parameters.speed_days, book.parameters.credible
    everybody = kaplan_meier(day[seen], paid[seen]).paid_by(horizon, credible)
    for position, agency in enumerate(book.agencies):
        mine = seen & (book.agency == position)
        survival = kaplan_meier(day[mine], paid[mine])
        reached, median = survival.paid_by(horizon, credible), survival.median()
        yield Component(
            agency, "median_days", number(median), note="not_reached" if median is None and mine.any() else ""
        )
        if reached and everybody and everybody[0] > 0:
            value, low, high = (part / everybody[0] for part in reached)
            yield Component(agency, "paid_within", value, low, high, everybody[0], reached[0])
        else:
            yield Component(agency, "paid_within", note="too_young" if mine.any() else "")
        first_ = incidence(day[mine], cause[mine], 2)[:, horizon] if reached else (None, None)
        for name, share in zip(("paid_first", "ended_first"), first_, strict=True):
            yield Component(agency, name, number(share), note="too_young" if mine.any() and not reached else "")


def by_segment(book: Book, known: Standing) -> Iterator[Component]:
    """Recovered over expected per agency and segment, pulled to the agency's own; `weight`: of all expected of it."""
    agencies = len(book.agencies)
    place = book.segments.code * agencies + book.agency
    size = len(book.segments.labels) * agencies
    expected = np.bincount(place, book.expected_of, minlength=size)
    actual = np.bincount(place[book.row], book.money, minlength=size)
    placed = np.bincount(place, book.balance, minlength=size)
    shape = 1 / max(known.effect.spread, 1e-3) ** 2
    for cell in np.flatnonzero(expected > 0):
        segment, position = divmod(int(cell), agencies)
        own, dispersion = float(known.effect.mean[position]), float(known.dispersion[position])
        payments = shape + max(float(actual[cell]), 0.0) / dispersion
        yield Component(
            book.agencies[position],
            "recovery",
            value=float(payments / (shape / own + expected[cell] / dispersion)) if known.compared[position] else None,
            expected=float(expected[cell] / placed[cell]),
            actual=float(actual[cell] / placed[cell]),
            weight=float(expected[cell] / book.expected[position]),
            segment=book.segments.labels[segment],
        )

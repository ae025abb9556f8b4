"""What accounts that are yet to be placed will bring: expected recoveries by segment, fit to be believed out of sample.

The joint fit (models.scoring.expectation) explains the money that came, segment by segment. Taken as a forecast, its
rates are too far apart: the highest are high by chance as well. So each segment's rate is pulled to the book's, as far
as its own money leaves room, by what pulls agencies together too (models.scoring.shrinkage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.scoring.shrinkage import posterior

if TYPE_CHECKING:
    import numpy.typing as npt

    from models.scoring.book import Book

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outlook:
    """`rates`: money per unit of balance by segment and month on book, from an average agency.

    Per segment: `factor` over the book's own rate with its interval, and how far it was pulled there (1: wholly).
    """

    rates: Floats
    factor: Floats
    low: Floats
    high: Floats
    weight_of_book: Floats

    def within(self, months: int) -> Floats:
        """Money per unit of balance in the first so many months on book, per segment; unknown later ones add 0."""
        return np.asarray(self.rates[:, :months].sum(axis=1))


def outlook(book: Book) -> Outlook:
    """The outlook of every segment of the book, also of those whose accounts have not been placed for a day."""
    segment, segments = book.segments.code, len(book.segments.labels)
    lived = np.zeros(segments, dtype=np.int64)
    np.maximum.at(lived, segment, book.clock.exposed_days)
    known = lived[:, None] > np.arange(book.months) * book.parameters.month_days
    placed = np.bincount(segment, book.balance * (book.clock.exposed_days > 0), minlength=segments)
    curve = _of_the_book(book.fit.per_balance, placed.astype(np.float64)[:, None] * known)
    of_segment = np.bincount(segment, book.expected_of, minlength=segments)
    of_book = np.bincount(segment, book.balance * _by_day(book, curve), minlength=segments)
    dispersion = _dispersion(book)
    found = posterior(
        of_segment / dispersion,
        of_book / dispersion,
        ranked=np.zeros(segments, dtype=bool),  # which segment is best is of no interest, and costs most
        credible=book.parameters.credible,
    )
    pulled = np.divide(found.mean * of_book, of_segment, out=np.zeros(segments), where=of_segment > 0)
    own = known & (of_segment > 0)[:, None]
    rates = np.where(own, book.fit.per_balance * pulled[:, None], curve * found.mean[:, None])
    return Outlook(rates, found.mean, found.low, found.high, found.weight_of_prior)


def expected_minor(book: Book, seen: Outlook, months: int) -> Floats:
    """What each placement of the book brings in its first so many months, minor units, whether it has begun or not."""
    per_payment = book.payment_minor[book.currency]
    return np.asarray(book.balance * per_payment * seen.within(months)[book.segments.code])


def _of_the_book(rates: Floats, weight: Floats) -> Floats:
    """The book's rate by month: the segments' by their balance, where they have lived so long."""
    total = weight.sum(axis=0)
    return np.asarray(np.divide((rates * weight).sum(axis=0), total, out=np.zeros(len(total)), where=total > 0))


def _by_day(book: Book, curve: Floats) -> Floats:
    """What the curve comes to by the days that each placement has been exposed."""
    so_far = np.concatenate([[0.0], np.cumsum(curve)])
    days = np.minimum(book.clock.exposed_days / book.parameters.month_days, book.months)
    return np.asarray(np.interp(days, np.arange(book.months + 1), so_far))


def _dispersion(book: Book) -> float:
    """How much more money varies than a count of as many payments would; what one debtor pays counts as one."""
    came = np.bincount(book.row, book.money, minlength=len(book.balance))
    residual = np.bincount(book.bag, came - book.expected_of, minlength=book.bags)
    total = float(np.maximum(came, 0.0).sum())
    return max(float((residual**2).sum() / total), 1e-9) if total > 0 else 1.0

"""The book of one scoring: placements and their money in codes and sums, the joint fit, and each agency's effect.

What several figures are drawn from is worked out once, here; the figures themselves are in the modules beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from models.scoring.expectation import Cells, Expectation, expectation
from models.scoring.recoveries import COUNTED, Clock, classed, clock, month_of
from models.scoring.segments import Payments, Segments, segments
from models.scoring.shrinkage import Posterior, posterior

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import numpy.typing as npt

    from models.scoring.inputs import Inputs
    from models.scoring.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

CELLS_AT_ONCE = 6_000_000
"""Bags × segments × months × agencies held at once, 48 MB for accounts and as many for payments: the more segments, the
fewer bags."""
FEWEST_BAGS = 24
NEVER = np.iinfo(np.int64).max
LEAST_FREEDOM = 3.0
"""Degrees of freedom: below it nothing is said of a sum anyway."""
LEAST_EVIDENCE = 1.0
"""Payments expected of shared segments, below which there is nobody to compare with."""


class Book:
    """Placements in the order of their ids, so that neither bags nor draws hang on the order in which rows come.

    agency, bag, currency: a code per placement. row, month, gross, money: per remittance line that counts, the row of
    its placement, the month on book, minor units, and the same in average payments of its currency, so that currencies
    add up. balance: per placement, in average payments too. months: on book that any placement was exposed in.
    paid_row, paid_month: a placement and a month in which it paid more than was reversed, one each.
    """

    def __init__(self, inputs: Inputs, as_of: date, seed: int, parameters: Parameters) -> None:
        self.inputs, self.as_of, self.seed, self.parameters = inputs, as_of, seed, parameters
        booked = ~inputs.placements["end_reason"].isin(parameters.never_booked)
        self.placements = inputs.placements[booked].sort_values("placement_id", ignore_index=True)
        named = {*self.placements["agency"].unique(), *inputs.conduct.index}
        self.agencies = sorted(str(name) for name in named)
        self.agency: Ints = pd.Index(self.agencies).get_indexer(pd.Index(self.placements["agency"])).astype(np.int64)
        self.clock: Clock = clock(self.placements, as_of, parameters)
        longest = int(self.clock.exposed_days.max(initial=1))
        self.months = min(parameters.months, -(-longest // parameters.month_days))
        self.lines = classed(inputs.lines, self.placements, self.clock.exposed_days, parameters)
        self.counted = self.lines[self.lines["standing"] == COUNTED]
        self.row: Ints = self.counted["at"].to_numpy()
        self.month: Ints = month_of(self.counted["day"].to_numpy(), parameters)
        self.gross: Ints = self.counted["gross_minor"].to_numpy(dtype=np.int64)
        self._count_in_payments()
        self.paid_row, self.paid_month = self._payments()
        often = np.bincount(self.paid_row, minlength=len(self.placements)).astype(np.int64)
        paid = Payments(often, self.clock.exposed_days)
        self.segments: Segments = segments(self.placements, parameters, paid)
        self._put_in_bags()
        self.fit: Expectation = expectation(self.cells(), parameters.replicates, np.random.default_rng(seed))
        self.expected_of: Floats = self.balance * self.accrued(self.fit.per_balance)
        self.expected: Floats = self.by_agency(self.expected_of)
        self.recovered: Floats = self.by_agency(self.money, self.row)
        self.placed: Floats = self.by_agency(self.balance)

    def by_agency(self, values: Floats, at: Ints | None = None) -> Floats:
        """Sums per agency of values per placement, or per line with the rows of their placements."""
        where = self.agency if at is None else self.agency[at]
        return np.bincount(where, values, minlength=len(self.agencies)).astype(np.float64)

    def by_bag(self, values: Floats, at: Ints | None = None) -> Floats:
        """Sums likewise, [bags, agencies]."""
        place = self.bag * len(self.agencies) + self.agency
        shape = (self.bags, len(self.agencies))
        found = np.bincount(place if at is None else place[at], values, minlength=shape[0] * shape[1])
        return found.reshape(shape).astype(np.float64)

    @cached_property
    def first_paid(self) -> Ints:
        """Per placement the day of its first payment that counts; NEVER where none came."""
        first = np.full(len(self.agency), NEVER)
        paying = self.gross > 0
        np.minimum.at(first, self.row[paying], self.counted["day"].to_numpy(dtype=np.int64)[paying])
        return first

    def draws(self) -> Floats:
        """How often each bag is drawn in each replicate, [replicates, bags]."""
        rng = np.random.default_rng([self.seed, 2])
        drawn = rng.multinomial(self.bags, np.full(self.bags, 1 / self.bags), self.parameters.replicates)
        return drawn.astype(np.float64)

    def _count_in_payments(self) -> None:
        """Money and balances in average payments of their currency."""
        code, names = pd.factorize(self.placements["currency"], sort=True)
        self.currency: Ints = code.astype(np.int64)
        paid = self.gross > 0
        where = self.currency[self.row[paid]]
        size = max(len(names), 1)
        count = np.bincount(where, minlength=size)
        total = np.bincount(where, self.gross[paid], minlength=size)
        self.payment_minor: Floats = np.where(count > 0, total / np.maximum(count, 1), 1.0)
        self.balance_minor: Ints = self.placements["balance_minor"].to_numpy(dtype=np.int64)
        self.balance: Floats = self.balance_minor / self.payment_minor[self.currency]
        self.money: Floats = self.gross / self.payment_minor[self.currency[self.row]]

    def _put_in_bags(self) -> None:
        """All of a debtor's placements are in one bag; each debtor is a bag where there are few."""
        cells = max(1, len(self.segments.labels) * self.months * len(self.agencies))
        most = int(np.clip(CELLS_AT_ONCE // cells, FEWEST_BAGS, self.parameters.bags))
        _, debtor = np.unique(self.placements["debtor_id"].to_numpy(dtype=np.int64), return_inverse=True)
        count = int(debtor.max(initial=-1)) + 1
        self.bags = min(most, max(count, 1))
        shuffled = np.random.default_rng([self.seed, 1]).permutation(count) % self.bags
        self.bag: Ints = shuffled[debtor].astype(np.int64)

    def _exposure(self) -> Iterator[tuple[int, Ints, Floats]]:
        """Per month on book: the rows of the placements exposed in it, and which part of it each was."""
        days, length = self.clock.exposed_days, self.parameters.month_days
        rows = np.arange(len(days))
        for month in range(self.months):
            rows = rows[days[rows] > month * length]
            if not len(rows):
                return
            part = (days[rows] - month * length) / length
            yield month, rows, part if month == self.parameters.months - 1 else np.minimum(part, 1.0)

    def cells(self) -> Cells:
        """The sums that the joint fit is made on."""
        segments_, agencies = len(self.segments.labels), len(self.agencies)
        flat = self.segments.code * agencies + self.agency
        place = self.bag * (segments_ * agencies) + flat
        shape = (self.bags, segments_, agencies)
        size = self.bags * segments_ * agencies
        accounts = np.zeros((self.bags, segments_, self.months, agencies))
        balance = np.zeros(accounts.shape[1:])
        for month, rows, part in self._exposure():
            accounts[:, :, month] = np.bincount(place[rows], part, minlength=size).reshape(shape)
            weight = part * self.balance[rows]
            balance[:, month] = np.bincount(flat[rows], weight, minlength=shape[1] * shape[2]).reshape(shape[1:])
        at = self.paid_row
        where = ((self.bag[at] * segments_ + self.segments.code[at]) * self.months + self.paid_month) * agencies
        payments = np.bincount(where + self.agency[at], minlength=accounts.size).reshape(accounts.shape)
        paid_balance = np.bincount(place[at], self.balance[at], minlength=size).reshape(shape)
        money = np.bincount(place[self.row], self.money, minlength=size).reshape(shape)
        return Cells(
            accounts, payments.astype(np.float64), paid_balance.astype(np.float64), money.astype(np.float64), balance
        )

    def _payments(self) -> tuple[Ints, Ints]:
        """Placement and month of each month in which a placement paid more than was reversed."""
        months = self.parameters.months
        key, position = np.unique(self.row * months + self.month, return_inverse=True)
        paid = key[np.bincount(position, self.money, minlength=len(key)) > 0]
        return paid // months, np.minimum(paid % months, self.months - 1)

    def accrued(self, rates: Floats) -> Floats:
        """Per placement, what rates per month [segments, months] come to over the time it was exposed."""
        length = self.parameters.month_days
        so_far = np.hstack([np.zeros((len(rates), 1)), np.cumsum(rates, axis=1)])
        whole = np.minimum(self.clock.exposed_days // length, self.months - 1)
        part = (self.clock.exposed_days - whole * length) / length
        segment = self.segments.code
        return np.asarray(so_far[segment, whole] + part * rates[segment, whole])


@dataclass(frozen=True)
class Standing:
    """Each agency's effect.

    dispersion: how much more money varies than a count of as many payments would. evidence: how many payments were to
    be expected where others work such accounts too; compared: at least one was.
    """

    dispersion: Floats
    evidence: Floats
    ranked: npt.NDArray[np.bool_]
    compared: npt.NDArray[np.bool_]
    effect: Posterior


def _tails(residual: Floats, tail: float) -> Floats:
    """How much wider the interval of a sum is, squared, for its variance being an estimate (Satterthwaite 1946).

    residual: [bags, agencies]. 1 where the variance is as good as known, and where there is none.
    """
    fourth = (residual**4).sum(0)
    freedom = np.divide((residual**2).sum(0) ** 2, fourth, out=np.full(len(fourth), np.inf), where=fourth > 0)
    wider = student.ppf(1 - tail, np.maximum(freedom, LEAST_FREEDOM)) / norm.ppf(1 - tail)
    return np.asarray(wider**2)


def standing(book: Book) -> Standing:
    """What is known of each agency's recovered over expected money, and which can be ranked.

    Money is turned into as many payments as vary as much (compound Poisson); the variance is taken between bags of
    debtors, so what one debtor pays over many months counts as one. An agency's own
    dispersion is pulled to everybody's. Where a few large payments make most of it, it is itself known badly: it is
    raised by as much as Student's interval is wider than the normal one.
    """
    parameters, agencies = book.parameters, len(book.agencies)
    ratio = np.divide(book.recovered, book.expected, out=np.zeros(agencies), where=book.expected > 0)
    residual = book.by_bag(book.money, book.row) - book.by_bag(book.expected_of) * ratio
    squares, took = (residual**2).sum(0), np.maximum(book.recovered, 0.0)
    pooled = float(squares.sum() / took.sum()) if took.sum() > 0 else 1.0
    own = np.divide(squares, took, out=np.full(agencies, pooled), where=took > 0)
    count = book.by_agency(np.ones(len(book.row)), book.row)
    trust = count / (count + parameters.pooled_payments)
    dispersion = np.maximum(trust * own + (1 - trust) * pooled, 1e-9) * _tails(residual, parameters.tail)
    # only where others work such accounts too is there evidence: elsewhere expected is made to be what came
    evidence = book.fit.shared / dispersion
    ranked = evidence >= parameters.minimum_expected
    if ranked.sum() == 1:
        ranked[:] = False  # one alone is not first
    effect = posterior(
        np.maximum(ratio, 0.0) * evidence,
        evidence,
        log_error=book.fit.log_error,
        ranked=ranked,
        credible=parameters.credible,
    )
    return Standing(dispersion, evidence, ranked, evidence >= LEAST_EVIDENCE, effect)

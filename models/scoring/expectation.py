"""What was to be expected of each agency's accounts, had an average agency worked them (S2).

Payments: a Poisson model, expected = exposure × rate[segment, month] × effect[agency], fitted jointly. Were the rates
cell averages instead, good accounts with a good agency would raise the bar for that agency alone. Money: payments × the
share of the balance that a payment brings in the segment, fitted jointly likewise. Fitting both again on bags of
debtors drawn with replacement says how far the expectation itself may be off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ROUNDS = 200
CLOSE = 1e-7
REPLICATES_AT_ONCE = 10


def fit(events: Floats, exposure: Floats) -> tuple[Floats, Floats]:
    """Rates per stratum and effects per agency with events ≈ exposure × rate × effect (Poisson, most likely).

    events, exposure: [..., strata, agencies]; leading axes are fitted apart. Scaled so that exposure × rate sums to the
    events. An agency without exposure has effect 1, a stratum without any rate 0. (Iterative proportional fitting.)
    """
    by_stratum, by_agency = events.sum(-1), events.sum(-2)
    held = exposure.sum(-2) > 0
    effect = np.ones(by_agency.shape)
    rate = np.zeros(by_stratum.shape)
    for _ in range(ROUNDS):
        rate = _ratio(by_stratum, _times(exposure, effect))
        expected = _times_rate(exposure, rate)
        new = np.where(held & (expected > 0), _ratio(by_agency, expected), 1.0)
        moved = float(np.abs(new - effect).max(initial=0.0))
        effect = new
        if moved < CLOSE:
            break
    total = _ratio(by_agency.sum(-1), _times_rate(exposure, rate).sum(-1))[..., None]
    return rate * total, np.where(total > 0, effect / np.where(total > 0, total, 1.0), 1.0)


def _times(exposure: Floats, effect: Floats) -> Floats:
    return np.asarray(np.matmul(exposure, effect[..., None])[..., 0])


def _times_rate(exposure: Floats, rate: Floats) -> Floats:
    return np.asarray(np.matmul(rate[..., None, :], exposure)[..., 0, :])


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)


@dataclass(frozen=True)
class Cells:
    """Sums per bag of debtors, segment, month on book and agency, from which the whole fit is done.

    accounts, payments: [bags, segments, months, agencies]; paid_balance, money: [bags, segments, agencies];
    balance: [segments, months, agencies], over all bags.
    """

    accounts: Floats
    payments: Floats
    paid_balance: Floats
    money: Floats
    balance: Floats


@dataclass(frozen=True)
class Expectation:
    """`chance`: payments per account [segments, months]; `severity`: share of the balance per payment [segments].

    Per agency: `money` and `payments` expected, `log_error` of the money's, and `shared`: the part of
    the money expected in strata that another agency works too (elsewhere there is nobody to compare with).
    """

    chance: Floats
    severity: Floats
    money: Floats
    payments: Floats
    log_error: Floats
    shared: Floats

    @property
    def per_balance(self) -> Floats:
        """Money expected per unit of balance exposed for a month: [segments, months]."""
        return self.chance * self.severity[:, None]


def expectation(cells: Cells, replicates: int, rng: np.random.Generator) -> Expectation:
    """The joint fit, and its error from bags of debtors drawn again."""
    bags, segments, months, agencies = cells.accounts.shape
    total = float(cells.money.sum())
    chance, severity = _fit_both(
        *(part.sum(0)[None] for part in (cells.accounts, cells.payments, cells.paid_balance, cells.money))
    )
    scaled, money, payments = _expected(cells, chance, severity, total)
    draws = rng.multinomial(bags, np.full(bags, 1 / bags), size=replicates).astype(np.float64)
    logs = []
    flat = [part.reshape(bags, -1) for part in (cells.accounts, cells.payments, cells.paid_balance, cells.money)]
    shapes = [(-1, segments, months, agencies)] * 2 + [(-1, segments, agencies)] * 2
    for start in range(0, replicates, REPLICATES_AT_ONCE):
        some = draws[start : start + REPLICATES_AT_ONCE]
        drawn = [(some @ part).reshape(shape) for part, shape in zip(flat, shapes, strict=True)]
        logs.append(_expected(cells, *_fit_both(*drawn), total)[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_error = np.std(np.log(np.concatenate(logs)), axis=0) if logs else np.zeros((agencies,))
    log_error = np.where(np.isfinite(log_error), log_error, 0.0)
    apart = ((cells.balance > 0).sum(-1, keepdims=True) > 1) * cells.balance
    shared = np.einsum("sma,sm,s->a", apart, chance[0], scaled[0])
    return Expectation(chance[0], scaled[0], money[0], payments, log_error, shared)


def _fit_both(accounts: Floats, payments: Floats, paid_balance: Floats, money: Floats) -> tuple[Floats, Floats]:
    """Chance [replicates, segments, months] and severity [replicates, segments]."""
    replicates, segments, months, agencies = accounts.shape
    strata = (replicates, segments * months, agencies)
    chance, _ = fit(payments.reshape(strata), accounts.reshape(strata))
    severity, _ = fit(np.maximum(money, 0.0), paid_balance)
    return chance.reshape(replicates, segments, months), severity


def _expected(cells: Cells, chance: Floats, severity: Floats, total: float) -> tuple[Floats, Floats, Floats]:
    """Severity scaled so that all money expected is the money that came; the money and the payments per agency."""
    by_segment = np.einsum("sma,rsm->rsa", cells.balance, chance)
    money = np.einsum("rsa,rs->ra", by_segment, severity)
    scale = _ratio(np.full(len(money), max(total, 0.0)), money.sum(-1))
    payments = np.einsum("sma,sm->a", cells.accounts.sum(0), chance[0])
    return severity * scale[:, None], money * scale[:, None], payments

"""Two years in which scores choose placements and placements feed scores, beside rules that people use.

Every month new accounts come in four segments, and six agencies work what they hold for six months. Their skills drift.
Each rule sees the payments of its own placements alone, and decides who gets the next month's accounts:

- `loop`: the product's own: joint fit (models/scoring/expectation), posterior (models/scoring/shrinkage), Thompson
  shares within bounds, with a floor for challengers (models/planning/thompson);
- `fixed`: the same shares for ever;
- `raw`: all to who liquidated most of what it was given;
- `argmax`: all to the best by the product's own score.

All rules live in the same world of skills, drawn from one seed, and their payments are drawn apart. Sums per segment,
agency and month on book are all there is: no debtor, no file, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, t

from models.planning.bounds import Limits, Window
from models.planning.optimal import Groups, built
from models.planning.programme import in_process
from models.planning.thompson import best_shares, in_accounts, nearest
from models.scoring.expectation import fit
from models.scoring.shrinkage import posterior

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Floats: TypeAlias = npt.NDArray[np.float64]

RULES: Final = ("loop", "fixed", "raw", "argmax")
CREDIBLE: Final = 0.9
DRAWS: Final = 200


@dataclass(frozen=True)
class Loop:
    """What the world is like; the defaults are those of docs/explanation/allocation.md."""

    months: int = 24
    agencies: int = 6
    accounts: int = 20_000
    """new every month"""
    life: int = 6
    """months that an agency works an account"""
    spread: float = 0.25
    """standard deviation of log skill between agencies, at any time"""
    drift: float = 0.10
    """standard deviation of its change in a month; it reverts to its mean as fast as keeps the spread"""
    warm_up: int = 3
    """months of even shares that every rule begins with"""
    window: int = 3
    """months of payments that a score looks back on"""
    floor: float = 0.005
    """of every segment, for every agency as a challenger"""
    share: tuple[float, ...] = (0.3, 0.3, 0.2, 0.2)
    """of the accounts, per segment"""
    balance_minor: tuple[float, ...] = (300_000.0, 800_000.0, 1_500_000.0, 4_000_000.0)
    chance: tuple[float, ...] = (0.08, 0.06, 0.05, 0.03)
    """of a payment in the first month, per segment; it falls by a sixth every month"""
    severity: float = 0.15
    """of the balance that a payment brings on average"""
    commission: tuple[float, ...] = (0.20, 0.22, 0.18, 0.25, 0.21, 0.24)

    @property
    def rates(self) -> Floats:
        """Payments per account: [segments, months on book]."""
        fading: Floats = np.power(5 / 6, np.arange(self.life, dtype=np.float64))
        return np.outer(np.array(self.chance), fading)


def skills(loop: Loop, seed: int) -> Floats:
    """Every agency's effect in every month it works in, [months, agencies]: a random walk that is pulled back."""
    rng = np.random.default_rng([seed, 0])
    # var = drift² / (1 − keep²)
    keep = float(np.sqrt(max(1 - (loop.drift / loop.spread) ** 2, 0.0)))
    log = rng.normal(0, loop.spread, loop.agencies)
    found = np.empty((loop.months + loop.life, loop.agencies))
    for month in range(len(found)):
        found[month] = np.exp(log - loop.spread**2 / 2)
        log = keep * log + rng.normal(0, loop.drift, loop.agencies)
    return found


@dataclass
class Books:
    """What one rule has seen: per calendar month, [segments, months on book, agencies]."""

    loop: Loop
    exposure: list[Floats]
    payments: list[Floats]
    money: list[Floats]
    placed: list[Floats]
    """accounts placed per month, [segments, agencies]"""

    def recent(self, part: list[Floats]) -> Floats:
        """The sum over the window."""
        return np.asarray(np.sum(part[-self.loop.window :], axis=0))


def run(loop: Loop, rule: str, seed: int) -> float:
    """The net-back of all accounts that the rule placed in the months, minor units."""
    skill = skills(loop, seed)
    rng = np.random.default_rng([seed, 1 + RULES.index(rule)])
    kept = 1 - np.array(loop.commission)
    segments = len(loop.share)
    new = np.array(loop.share) * loop.accounts
    held = np.zeros((segments, loop.life, loop.agencies))
    books = Books(loop, [], [], [], [])
    total = 0.0
    for month in range(loop.months + loop.life):
        held = np.roll(held, 1, axis=1)
        even = np.full((segments, loop.agencies), 1 / loop.agencies)
        if month < loop.months:
            shares = even if month < loop.warm_up else CHOOSE[rule](books, seed * 1_000 + month)
            held[:, 0] = np.round(new[:, None] * shares)
        else:
            held[:, 0] = 0
        books.placed.append(held[:, 0].copy())
        payments = rng.poisson(held * loop.rates[:, :, None] * skill[month]).astype(np.float64)
        size = np.array(loop.balance_minor)[:, None, None] * loop.severity
        # the sum of so many exponential amounts
        money = rng.gamma(np.maximum(payments, 1e-9)) * size * (payments > 0)
        books.exposure.append(held.copy())
        books.payments.append(payments)
        books.money.append(money)
        total += float((money.sum(axis=(0, 1)) * kept).sum())
    return total


def _scored(books: Books) -> tuple[Floats, Floats, Floats]:
    """By the product's own score: effects, how sure each is (log sd), an account's worth [segments, agencies]."""
    loop = books.loop
    exposure, payments = (books.recent(part) for part in (books.exposure, books.payments))
    strata = (-1, loop.agencies)
    rate, _ = fit(payments.reshape(strata), exposure.reshape(strata))
    actual = payments.sum(axis=(0, 1))
    expected = (exposure.reshape(strata) * rate[:, None]).sum(axis=0)
    nobody = np.zeros(loop.agencies, dtype=bool)  # no ranks are asked for: they take most of the time
    found = posterior(actual, expected, credible=CREDIBLE, ranked=nobody)
    log_sd = np.log(found.high / found.low) / (2 * norm.ppf((1 + CREDIBLE) / 2))
    over_life = rate.reshape(len(loop.share), loop.life).sum(axis=1)
    account = over_life * np.array(loop.balance_minor) * loop.severity
    return found.mean, log_sd, account[:, None] * found.mean * (1 - np.array(loop.commission))


def _by_loop(books: Books, seed: int) -> Floats:
    """Thompson shares within bounds: every agency has its floor."""
    loop = books.loop
    _, log_sd, value = _scored(books)
    names = tuple(f"a{at}" for at in range(loop.agencies))
    accounts = np.array(loop.share) * loop.accounts
    free = tuple(Window() for _ in names)
    groups = Groups(
        np.empty(0, dtype=np.int64),
        accounts,
        accounts * np.array(loop.balance_minor),
        np.full(len(accounts), -1),
        np.ones(value.shape, dtype=bool),
        value,
    )
    limits = Limits(names, free, free, np.zeros(len(names)), challengers=names, floor=loop.floor)
    none = np.zeros(len(names))
    problem = built(groups, limits, [], none, none)
    wanted = (best_shares(value, log_sd, groups.open, DRAWS, seed) * accounts[:, None]).ravel()
    (found,) = in_process([nearest(problem, wanted)])
    return np.asarray(problem.x(in_accounts(problem, wanted, found)) / accounts[:, None])


def _fixed(books: Books, seed: int) -> Floats:  # noqa: ARG001 - as every rule is asked
    return np.full((len(books.loop.share), books.loop.agencies), 1 / books.loop.agencies)


def _by_raw(books: Books, seed: int) -> Floats:  # noqa: ARG001 - as every rule is asked
    """All to who brought most of the balance that it was given in the window; without any, to nobody new."""
    balance = (books.recent(books.placed) * np.array(books.loop.balance_minor)[:, None]).sum(axis=0)
    money = books.recent(books.money).sum(axis=(0, 1))
    rate = np.divide(money, balance, out=np.zeros_like(money), where=balance > 0)
    return _all_to(books.loop, np.broadcast_to(rate, (len(books.loop.share), len(rate))))


def _by_argmax(books: Books, seed: int) -> Floats:  # noqa: ARG001 - as every rule is asked
    return _all_to(books.loop, _scored(books)[2])


def _all_to(loop: Loop, value: Floats) -> Floats:
    shares = np.zeros((len(loop.share), loop.agencies))
    shares[np.arange(len(shares)), value.argmax(axis=1)] = 1.0
    return shares


CHOOSE: Final[dict[str, Callable[[Books, int], Floats]]] = {
    "loop": _by_loop, "fixed": _fixed, "raw": _by_raw, "argmax": _by_argmax,
}  # fmt: skip


def compare(loop: Loop, seeds: Iterable[int]) -> pd.DataFrame:
    """Net-back of every rule (columns) in every seed's world (rows), minor units."""
    return pd.DataFrame({seed: {rule: run(loop, rule, seed) for rule in RULES} for seed in seeds}).T


def advantage(found: pd.DataFrame, credible: float = 0.95) -> pd.DataFrame:
    """How much more net-back the loop earns than each other rule: `mean low high`, relative, paired over the seeds."""
    rows = {}
    for rule in RULES[1:]:
        more = (found["loop"] / found[rule] - 1).to_numpy(dtype=np.float64)
        half = float(t.ppf((1 + credible) / 2, len(more) - 1)) * float(more.std(ddof=1)) / np.sqrt(len(more))
        rows[rule] = {"mean": float(more.mean()), "low": float(more.mean() - half), "high": float(more.mean() + half)}
    return pd.DataFrame.from_dict(rows, orient="index")

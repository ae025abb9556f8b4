"""Cash to expect of what is placed today: per agency and calendar month, with its error.

What a placement brings in a month is its balance times the recovery curve of its segment at its month on book, times
what its agency makes of it (the joint fit and the effects of models.scoring.book), as long as it stays there: to its
term, less what lenders recall before. Beyond the months that anybody has lived through the curve goes on falling as it
fell. The error has three parts: payments come by chance (the agency's own dispersion), its effect and the curve of its
accounts are known so far only, and whole months were better or worse than the curve for everybody.

Amounts are gross recoveries by the debtor's day of payment; what is placed later is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import gamma, norm

from models.scoring.book import Book, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from models.scoring.inputs import Inputs
    from models.scoring.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LEAST_HISTORY_DAYS = 60
"""Two months on book, below which no curve shows."""
SLOWEST, FASTEST = 0.5, 1.0
"""Between these the curve is let fall from month to month beyond what anybody has lived through."""
LEAST_ERROR = 1e-6
NOTHING = 1e-9
COLUMNS = ("agency", "currency", "month", "expected_minor", "low_minor", "high_minor", "placements")


@dataclass(frozen=True)
class Forecast:
    """months: COLUMNS, one row per agency, currency and month. total: the same over all agencies, by their joint error.

    credible: the share of months that the interval from low to high is meant to hold.
    """

    as_of: date
    credible: float
    months: pd.DataFrame
    total: pd.DataFrame
    common_error: float
    """how far a whole month was off for everybody, as a share of it"""


def forecast(inputs: Inputs, as_of: date, months: int, seed: int, parameters: Parameters) -> Forecast | None:
    """What is expected in the calendar months after `as_of`, the rest of its own month first; None without a history.

    inputs: as of that day (`truncated`). The interval holds `parameters.credible` of months.
    """
    if inputs.placements.empty:
        return None
    book = Book(inputs, as_of, seed, parameters)
    if int(book.clock.age_days.max(initial=0)) < LEAST_HISTORY_DAYS or not len(book.row):
        return None
    known = standing(book)
    curve = _curve(book)
    days = _windows(as_of, months)
    held = _expected(book, curve, days) * known.effect.mean[book.agency][:, None]
    common = _common_error(book, known, curve)
    return _told(book, known, held, days, as_of, common)


def truncated(inputs: Inputs, day: date) -> Inputs:
    """What was known of placements and money on an earlier day, by their dates."""
    end = pd.Timestamp(day)
    placements = inputs.placements[inputs.placements["placed_on"] <= end]
    over = placements["ended_on"] <= end
    placements = placements.assign(
        ended_on=placements["ended_on"].where(over), end_reason=placements["end_reason"].where(over, "")
    )
    lines = inputs.lines[inputs.lines["value_date"] <= end]
    return replace(inputs, placements=placements.reset_index(drop=True), lines=lines.reset_index(drop=True))


def back_tested(
    inputs: Inputs, as_of: date, days: Sequence[date], months: int, seed: int, parameters: Parameters
) -> pd.DataFrame:
    """What was forecast on each of the days, and what came by `as_of`: COLUMNS, `forecast_on`, `actual_minor`, `held`.

    Only whole months that are over count; `actual_minor` is of the placements that the forecast knew, by the same rules
    of what counts. `held`: whether the interval did.
    """
    parts = []
    for day in days:
        told = forecast(truncated(inputs, day), day, months, seed, parameters)
        if told is None:
            continue
        over = told.months["month"].map(lambda month: _month_end(str(month)) <= as_of)
        rows = told.months[over].assign(forecast_on=day)
        came = _came(inputs, day, as_of, seed, parameters)
        rows = rows.merge(came, on=["agency", "currency", "month"], how="left")
        rows["actual_minor"] = rows["actual_minor"].fillna(0).astype("int64")
        parts.append(rows)
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, "forecast_on", "actual_minor", "held"])
    tested = pd.concat(parts, ignore_index=True)
    held = tested["actual_minor"].between(tested["low_minor"], tested["high_minor"])
    return tested.assign(held=held)


def _windows(as_of: date, months: int) -> list[tuple[str, date, date]]:
    """The month's name, its first day (after `as_of`) and the day after its last."""
    first = np.datetime64(as_of, "M")
    found = []
    for number in range(months + 1):
        begins = max(first + number, np.datetime64(as_of, "D") + 1)
        ends = (first + number + 1).astype("datetime64[D]")
        if begins < ends:
            found.append((str(first + number), begins.astype(date), ends.astype(date)))
    return found


def _curve(book: Book) -> Floats:
    """Money per unit of balance and month on book, [segments, months]: as fitted, and beyond that falling on."""
    rates = book.fit.per_balance
    exposed = np.zeros(book.months)
    came = np.zeros(book.months)
    length = book.parameters.month_days
    for month in range(book.months):
        part = np.clip(book.clock.exposed_days / length - month, 0, 1)
        exposed[month] = float((part * book.balance).sum())
        came[month] = float(rates[book.segments.code, month] @ (part * book.balance))
    pooled = np.divide(came, exposed, out=np.zeros(book.months), where=exposed > 0)
    # a month that few have lived through says little: the pooled curve's own fall goes on from the last full one
    full = int((exposed >= exposed.max(initial=0.0) * 0.05).sum())
    weights = exposed[:full]
    fall = _fall(pooled[:full], weights)
    level = rates[:, : max(full, 1)]
    most = max(book.parameters.months, book.months) + 1
    beyond = level[:, -1:] * fall ** np.arange(1, max(most - level.shape[1], 0) + 1)
    return np.asarray(np.hstack([level, beyond]))


def _fall(rates: Floats, weights: Floats) -> float:
    """By what factor the curve falls from month to month: a straight line through the logarithms, by their weight."""
    known = rates > 0
    if known.sum() < len((0, 1)):
        return FASTEST
    month = np.arange(len(rates))[known]
    weight = weights[known] * rates[known]
    centre = np.average(month, weights=weight)
    spread = np.average((month - centre) ** 2, weights=weight)
    slope = np.average((month - centre) * np.log(rates[known]), weights=weight) / max(float(spread), NOTHING)
    return float(np.clip(np.exp(slope), SLOWEST, FASTEST))


def _expected(book: Book, curve: Floats, windows: list[tuple[str, date, date]]) -> Floats:
    """Money expected of each placement in each window before its agency's effect, in average payments.

    Only of those that are there on the day; by the day a lender recalls some of them is reckoned with.
    """
    placed, due, ended = (_days(book.placements[name]) for name in ("placed_on", "due_back_on", "ended_on"))
    today = int(np.datetime64(book.as_of, "D").astype(np.int64))
    # who was paid in full, or gave the account back by choice, keeps its place in the curve to the end of the term
    own = book.placements["end_reason"].isin(book.parameters.own_ends).to_numpy()
    there = (ended < 0) | (ended > today) | own
    found = np.zeros((len(placed), len(windows)))
    length = book.parameters.month_days
    stays = _stays(book)
    for number, (_, begins, ends) in enumerate(windows):
        low = int(np.datetime64(begins, "D").astype(np.int64)) - placed
        high = np.minimum(int(np.datetime64(ends, "D").astype(np.int64)), due + 1) - placed
        for month in range(curve.shape[1]):
            last = month == curve.shape[1] - 1
            upper = high if last else np.minimum(high, (month + 1) * length)
            part = np.clip(upper - np.maximum(low, month * length), 0, None) / length
            rows = np.flatnonzero(there & (part > 0))
            if len(rows):
                found[rows, number] += book.balance[rows] * part[rows] * curve[book.segments.code[rows], month]
        middle = (low + high) / 2 - (today - placed)
        found[:, number] *= stays ** np.clip(middle / length, 0, None)
    return found


def _stays(book: Book) -> float:
    """The share of placements that a lender leaves where they are, per month on book and before their term."""
    ended, due = (_days(book.placements[name]) for name in ("ended_on", "due_back_on"))
    today = int(np.datetime64(book.as_of, "D").astype(np.int64))
    own = book.placements["end_reason"].isin(book.parameters.own_ends).to_numpy()
    recalled = (ended >= 0) & (ended <= today) & (ended < due) & ~own
    exposed = book.clock.exposed_days.sum() / book.parameters.month_days
    return float(np.exp(-recalled.sum() / max(exposed, 1.0)))


def _common_error(book: Book, known: Standing, curve: Floats) -> float:
    """How far whole calendar months of the past were off the curve for everybody, beyond chance."""
    first = book.placements["placed_on"].min()
    months = np.arange(np.datetime64(first, "M"), np.datetime64(book.as_of, "M"))
    if not len(months):
        return LEAST_ERROR
    expected, chance, came = np.zeros(len(months)), np.zeros(len(months)), np.zeros(len(months))
    placed = _days(book.placements["placed_on"])
    length = book.parameters.month_days
    effect = known.effect.mean[book.agency]
    for number, month in enumerate(months):
        low = int(month.astype("datetime64[D]").astype(np.int64)) - placed
        high = np.minimum(int((month + 1).astype("datetime64[D]").astype(np.int64)) - placed, book.clock.exposed_days)
        for on_book in range(min(book.months, curve.shape[1])):
            part = np.clip(np.minimum(high, (on_book + 1) * length) - np.maximum(low, on_book * length), 0, None)
            money = book.balance * part / length * curve[book.segments.code, on_book] * effect
            expected[number] += money.sum()
            chance[number] += (money * known.dispersion[book.agency]).sum()
    when = book.counted["value_date"].to_numpy().astype("datetime64[M]")
    at = np.searchsorted(months, when)
    inside = (at < len(months)) & (when >= months[0])
    np.add.at(came, at[inside], book.money[inside])
    enough = expected > 0
    if not enough.any():
        return LEAST_ERROR
    off = came[enough] / expected[enough] - 1
    by_chance = chance[enough] / expected[enough] ** 2
    weight = expected[enough]
    return float(np.sqrt(max(np.average(off**2 - by_chance, weights=weight), LEAST_ERROR)))


def _told(
    book: Book,
    known: Standing,
    held: Floats,
    windows: list[tuple[str, date, date]],
    as_of: date,
    common: float,
) -> Forecast:
    tail = book.parameters.tail
    effect = known.effect
    own_error = np.divide(effect.high - effect.low, 2 * _half_width(tail) * effect.mean, where=effect.mean > 0,
                          out=np.full(len(effect.mean), effect.spread))  # fmt: skip
    own_error = np.where(np.isfinite(own_error), own_error, effect.spread)
    own_error = np.sqrt(own_error**2 + book.fit.log_error**2)
    rows, totals = [], []
    names = sorted(str(name) for name in book.placements["currency"].unique())
    for currency, name in enumerate(names):
        unit = float(book.payment_minor[currency])
        mine = book.currency == currency
        for number, (month, _, _) in enumerate(windows):
            money = np.where(mine, held[:, number], 0.0)
            expected = book.by_agency(money)
            there = book.by_agency((money > 0).astype(np.float64))
            chance = expected * known.dispersion
            variance = chance + (expected * own_error) ** 2
            low, high = _interval(expected, variance + (expected * common) ** 2, tail)
            rows += [
                (agency, name, month, *_minor(unit, expected[at], low[at], high[at]), int(there[at]))
                for at, agency in enumerate(book.agencies)
                if expected[at] > 0
            ]
            whole = expected.sum(keepdims=True)
            low, high = _interval(whole, variance.sum(keepdims=True) + (whole * common) ** 2, tail)
            if whole[0] > 0:
                totals.append(("all", name, month, *_minor(unit, whole[0], low[0], high[0]), int(there.sum())))
    return Forecast(
        as_of, book.parameters.credible, pd.DataFrame(rows, columns=list(COLUMNS)),
        pd.DataFrame(totals, columns=list(COLUMNS)), common,
    )  # fmt: skip


def _interval(mean: Floats, variance: Floats, tail: float) -> tuple[Floats, Floats]:
    """A gamma of that mean and variance: never below zero, and skewed as money is."""
    known = (mean > 0) & (variance > 0)
    shape = np.divide(mean**2, variance, out=np.ones(mean.shape), where=known)
    scale = np.divide(variance, mean, out=np.ones(mean.shape), where=known)
    low, high = (np.where(known, gamma.ppf(end, shape, scale=scale), mean) for end in (tail, 1 - tail))
    return low, high


def _half_width(tail: float) -> float:
    return float(norm.ppf(1 - tail))


def _minor(unit: float, *payments: float) -> tuple[int, ...]:
    return tuple(round(unit * one) for one in payments)


def _came(inputs: Inputs, day: date, as_of: date, seed: int, parameters: Parameters) -> pd.DataFrame:
    """What came after the day, month by month, of the placements that were there: `actual_minor`."""
    book = Book(inputs, as_of, seed, parameters)
    money = book.counted.assign(
        month=book.counted["value_date"].dt.strftime("%Y-%m"),
        placed_on=book.placements["placed_on"].to_numpy()[book.row],
        agency=book.placements["agency"].to_numpy()[book.row],
        currency=book.placements["currency"].to_numpy()[book.row],
    )
    after = (money["value_date"] > pd.Timestamp(day)) & (money["placed_on"] <= pd.Timestamp(day))
    sums = money[after].groupby(["agency", "currency", "month"])["gross_minor"].sum()
    return sums.rename("actual_minor").reset_index()


def _month_end(month: str) -> date:
    end: date = ((np.datetime64(month, "M") + 1).astype("datetime64[D]") - 1).astype(date)
    return end


def _days(dates: pd.Series) -> Ints:
    """Days since 1970; -1 where there is no date."""
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(days < 0, -1, days)

"""Books of placements whose truth is known: agencies of stated skill, and some that work at their score instead.

What the scores are tried on (docs/explanation/scoring.md). Agencies differ in size and are given different accounts:
age, balance, product and score band each move the chance of a payment, and who gets what goes by an agency's own mix.
Debtors differ beyond what any segment says and have several accounts. Everything is drawn from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.scoring.gaming import (
    CONTACTS_HIGH,
    DIRECT_SHARE,
    EARLY_RETURNS,
    PATTERNS,
    PAYMENTS_HIGH,
    REVERSED_AFTER,
    UNTOUCHED,
)
from models.scoring.inputs import CONDUCT, Inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

START: Final = np.datetime64("2026-01-01")
PLACED_DAYS, DAYS, TERM = 180, 270, 240
MONTH: Final = 30
AGES: Final = np.array([20, 45, 75, 150, 400])
AGE_CHANCE: Final = np.array([1.6, 1.2, 1.0, 0.7, 0.4])
BANDS: Final = np.array(["A", "B", "C"])
BAND_CHANCE: Final = np.array([1.7, 1.0, 0.5])
PRODUCTS: Final = np.array(["card", "cash"])
PRODUCT_CHANCE: Final = np.array([1.1, 0.9])
CHANCE, LASTING = 0.09, 0.85
"""Of a payment in the first month on book; of each month, of the one before."""
NOBODY: Final[Mapping[int, str]] = MappingProxyType({})
NONE: Final = np.datetime64("NaT")


@dataclass(frozen=True)
class World:
    """A book and its truth. effects: how many times an average agency's payments each gets; planted: who games how."""

    inputs: Inputs
    as_of: date
    effects: Floats
    planted: Mapping[str, str]


@dataclass
class _Accounts:
    """One element per placement."""

    agency: Ints
    debtor: Ints
    age: Ints
    band: Ints
    product: Ints
    balance: Ints
    placed: Ints
    """days since START"""
    ended: Ints
    """the same; TERM or more after `placed` where it has not"""
    reason: npt.NDArray[np.str_]
    seen: Floats
    """the chance of a payment as the facts tell it"""
    chance: Floats
    """the true one"""


def world(
    seed: int,
    *,
    agencies: int = 8,
    accounts: int = 6000,
    spread: float = 0.2,
    mixed: float = 4.0,
    planted: Mapping[int, str] = NOBODY,
) -> World:
    """The book of so many agencies, `ag00` …, whose skill spreads so much (log-normally).

    mixed: how evenly each gets accounts of every age and score band; below 1 they specialise. planted: by an agency's
    position the pattern of models/scoring/gaming.py that it follows.
    """
    if unknown := set(planted.values()) - set(PATTERNS):
        message = f"no such pattern: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    rng = np.random.default_rng([seed, agencies, accounts])
    effects = np.exp(rng.normal(0, spread, agencies))
    names = np.array([f"ag{position:02d}" for position in range(agencies)])
    book = _accounts(rng, agencies, accounts, mixed)
    _give_up(rng, book, _who(book, planted, EARLY_RETURNS))
    high = book.seen >= np.quantile(book.seen, 0.65)
    skill = effects[book.agency]
    picky = _who(book, planted, PAYMENTS_HIGH)
    skill = skill * np.where(picky, np.where(high, 1.5, 0.35), 1.0)
    lines = _lines(rng, book, names, skill, planted)
    contacts = _contacts(rng, book, high, planted)
    conduct = pd.DataFrame(0, index=pd.Index(names, dtype="str"), columns=list(CONDUCT))
    inputs = Inputs(_placements(book, names), lines, conduct, contacts)
    told = {str(names[position]): pattern for position, pattern in planted.items()}
    return World(inputs, _as_of(), effects, MappingProxyType(told))


def _as_of() -> date:
    first: date = START.astype(object)
    return first + timedelta(days=DAYS - 1)


def _who(book: _Accounts, planted: Mapping[int, str], pattern: str) -> Mask:
    return np.isin(book.agency, [position for position, named in planted.items() if named == pattern])


def _habit(rng: np.random.Generator, book: _Accounts, mean: float, sd: float) -> Floats:
    """Per placement its agency's own share of something that honest agencies differ in as well."""
    own = rng.normal(mean, sd, int(book.agency.max()) + 1)
    return np.asarray(np.clip(own, 0.0, 1.0)[book.agency])


def _accounts(rng: np.random.Generator, agencies: int, count: int, mixed: float) -> _Accounts:
    """Who got what: each agency its own share of all, by its own mix of ages and score bands."""
    agency = rng.choice(agencies, count, p=rng.dirichlet(np.full(agencies, 8.0)))
    age, band = (_by_mix(rng, agency, rng.dirichlet(np.full(of, mixed), agencies)) for of in (len(AGES), len(BANDS)))
    product = rng.choice(2, count)
    debtor = rng.integers(0, int(count * 0.8), count)
    frailty = rng.gamma(4, 1 / 4, count)[debtor]
    balance = np.exp(rng.normal(13, 0.8, count)).astype(np.int64) + 10_000
    placed = rng.integers(0, PLACED_DAYS, count)
    back = rng.random(count) < 0.08  # noqa: PLR2004 - so many the lender takes back before the term
    ended = placed + np.where(back, rng.integers(30, 120, count), TERM)
    seen = CHANCE * AGE_CHANCE[age] * BAND_CHANCE[band] * PRODUCT_CHANCE[product]
    reason = np.where(back, "recalled", "")
    return _Accounts(
        agency, debtor, AGES[age], band, product, balance, placed, ended, reason, seen, seen * frailty
    )  # fmt: skip


def _by_mix(rng: np.random.Generator, agency: Ints, mixes: Floats) -> Ints:
    """A class per placement, drawn with its agency's chances."""
    below = mixes.cumsum(axis=1)[agency]
    return np.asarray((rng.random(len(agency))[:, None] > below).sum(axis=1).clip(max=mixes.shape[1] - 1))


def _give_up(rng: np.random.Generator, book: _Accounts, early: Mask) -> None:
    """Some debtors are never found; who dumps does it with the worst of one month's accounts."""
    lost = rng.random(len(book.agency)) < _habit(rng, book, 0.02, 0.006)
    dumped = early & (book.placed // MONTH == 3) & (book.band > 0) & (rng.random(len(early)) < 0.6)  # noqa: PLR2004
    gone = lost | dumped
    book.ended = np.where(gone, book.placed + rng.integers(8, 28, len(gone)), book.ended)
    book.reason = np.where(gone, "untraceable", book.reason)


def _lines(
    rng: np.random.Generator, book: _Accounts, names: npt.NDArray[np.str_], skill: Floats, planted: Mapping[int, str]
) -> pd.DataFrame:
    """What came month by month while the agency had the account, what was paid to the lender, what was undone."""
    rows, days, kinds, gross = [], [], [], []
    direct = np.where(_who(book, planted, DIRECT_SHARE), 0.25, _habit(rng, book, 0.05, 0.012))
    bounces = _habit(rng, book, 0.04, 0.01)
    for month in range(-(-DAYS // MONTH)):
        day = book.placed + MONTH * month + rng.integers(0, MONTH, len(skill))
        pays = (rng.random(len(skill)) < book.chance * skill * LASTING**month) & (day < np.minimum(book.ended, DAYS))
        at = np.flatnonzero(pays)
        rows.append(at)
        days.append(day[at])
        gross.append((book.balance[at] * rng.beta(1.2, 5, len(at))).astype(np.int64) + 1)
        kinds.append(np.where(rng.random(len(at)) < direct[at], "direct", "recovery"))
    row, day, paid, kind = (np.concatenate(parts) for parts in (rows, days, gross, kinds))
    undone = (kind == "recovery") & (rng.random(len(row)) < bounces[row])
    # with whoever dresses the month up, what came in its last days bounces in the first of the next
    calendar = (START + day).astype("datetime64[D]")
    left = ((calendar.astype("datetime64[M]") + 1).astype("datetime64[D]") - calendar).astype(np.int64)
    dresses = _who(book, planted, REVERSED_AFTER)[row] & (kind == "recovery")
    dressed = dresses & (left <= 6) & (rng.random(len(row)) < 0.4)  # noqa: PLR2004 - days to the month's end
    after = np.where(dressed, left + rng.integers(0, 4, len(row)), rng.integers(2, 25, len(row)))
    back = np.flatnonzero((undone | dressed) & (day + after < DAYS))
    frame = pd.DataFrame({
        "placement_id": np.concatenate([row, row[back]]),
        "agency": names[book.agency[np.concatenate([row, row[back]])]],
        "gross_minor": np.concatenate([paid, -paid[back]]),
        "kind": np.concatenate([kind, np.full(len(back), "reversal")]),
        "value_date": (START + np.concatenate([day, (day + after)[back]])).astype("datetime64[us]"),
    })  # fmt: skip
    return frame.assign(currency="CNY", commission_minor=frame["gross_minor"] // 5).astype(
        {"placement_id": "Int64", "agency": "str", "kind": "str", "currency": "str"}
    )


def _contacts(rng: np.random.Generator, book: _Accounts, high: Mask, planted: Mapping[int, str]) -> pd.DataFrame:
    """Most accounts are contacted in two weeks, nearly all in the first month; the promising a bit more readily."""
    habit = _habit(rng, book, 0.84, 0.02) + np.where(high, _habit(rng, book, 0.03, 0.015), 0.0)
    habit = np.where(_who(book, planted, CONTACTS_HIGH) & ~high, 0.45, habit)
    day = np.where(rng.random(len(high)) < habit, rng.integers(0, 14, len(high)), rng.integers(15, 30, len(high)))
    left_alone = rng.random(len(high)) < np.where(_who(book, planted, UNTOUCHED), 0.2, _habit(rng, book, 0.03, 0.008))
    reached = ~left_alone & (book.placed + day < np.minimum(book.ended, DAYS))
    at = np.flatnonzero(reached)
    return pd.DataFrame({
        "placement_id": at, "first_contact_on": (START + (book.placed + day)[at]).astype("datetime64[us]"),
    })  # fmt: skip


def _placements(book: _Accounts, names: npt.NDArray[np.str_]) -> pd.DataFrame:
    ended = book.reason != ""
    over = ended & (book.ended < DAYS)
    dates = {name: (START + days).astype("datetime64[us]") for name, days in
             (("placed_on", book.placed), ("due_back_on", book.placed + TERM), ("ended_on", book.ended))}  # fmt: skip
    frame = pd.DataFrame({
        "placement_id": np.arange(len(book.agency)), "debtor_id": book.debtor, "lender": "harbour",
        "agency": names[book.agency], "currency": "CNY", "product": PRODUCTS[book.product],
        "score_band": BANDS[book.band], "round": 1, "balance_minor": book.balance, "dpd": book.age, **dates,
        "end_reason": np.where(over, book.reason, ""),
    })  # fmt: skip
    frame["ended_on"] = frame["ended_on"].where(over)
    texts = ("lender", "agency", "currency", "product", "score_band", "end_reason")
    return frame.astype(dict.fromkeys(texts, "str"))

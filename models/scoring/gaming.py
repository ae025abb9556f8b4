"""Signs that a score was worked at rather than the accounts (S7): each a test, all held to one false-discovery rate.

An agency is compared with all the others on accounts of the same segments, and only a difference beyond a stated margin
is one: agencies differ, and a difference that means nothing must not become sure by there being many accounts. Accounts
are what is counted, for the lines of one account are one witness. A flag is a question to ask, no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from models.scoring.recoveries import DIRECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from models.scoring.book import Book

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

CONTACTS_HIGH, PAYMENTS_HIGH, UNTOUCHED, DIRECT_SHARE, REVERSED_AFTER, EARLY_RETURNS = (
    "contacts_high", "payments_high", "untouched", "direct_share", "reversed_after", "early_returns",
)  # fmt: skip
PATTERNS: Final = (CONTACTS_HIGH, PAYMENTS_HIGH, UNTOUCHED, DIRECT_SHARE, REVERSED_AFTER, EARLY_RETURNS)
FEWEST_PEERS: Final = 30
"""Accounts of others, below which there is nobody to be compared with."""
MONTH_DAYS: Final = 365.25 / 12
AS_CALENDAR: Final = 20
"""The others' reversals weigh as much as so many that fall on any day of the month alike."""
PAID: Final = ("paid", "settled")
"""Ends of an agency's own that are no giving up."""


@dataclass(frozen=True)
class Flag:
    """One pattern looked for in one agency.

    observed, peers: the agency's figure and the others' for such accounts: a share of accounts; of CONTACTS_HIGH the
    share contacted of the promising accounts less that of the rest; of PAYMENTS_HIGH payments over expected of the
    promising over the same of the rest. count: of how many accounts (of PAYMENTS_HIGH, payments). p: of such a
    difference beyond the margin by chance; q: with every test of the run in view; flagged: q is within the rate of
    false discoveries. vintage: of EARLY_RETURNS the month of placement where it is clearest, else empty.
    """

    agency: str
    pattern: str
    observed: float
    peers: float
    count: int
    p: float
    q: float = 1.0
    flagged: bool = False
    vintage: str = ""


def flags(book: Book) -> list[Flag]:
    """Every pattern that could be looked for, agency by agency; the signs among them are `flagged`."""
    tested = [*_contacts(book), *_payments(book), *_direct(book), *_reversals(book), *_returns(book)]
    adjusted = benjamini_hochberg(np.array([one.p for one in tested]))
    limit = book.parameters.gaming.false_discoveries
    told = [replace(one, q=float(q), flagged=bool(q <= limit)) for one, q in zip(tested, adjusted, strict=True)]
    return sorted(told, key=lambda one: (one.agency, PATTERNS.index(one.pattern)))


def benjamini_hochberg(p: Floats) -> Floats:
    """Each p-value as the smallest rate of false discoveries at which it is one. Source: Benjamini & Hochberg 1995."""
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return found


def promising(book: Book) -> Mask:
    """Which placements are in the segments that the most payments are expected of, a stated share of all at most."""
    worth = book.fit.chance.sum(axis=1)
    best_first = np.argsort(-worth, kind="stable")
    held = np.bincount(book.segments.code, minlength=len(worth))[best_first]
    most = np.cumsum(held) <= book.parameters.gaming.high_share * held.sum()
    most[:1] = True
    high = np.zeros(len(worth), dtype=np.bool_)
    high[best_first[most]] = True
    return np.asarray(high[book.segments.code])


# --- what agencies did ------------------------------------------------------------------------------------------------


def _contacts(book: Book) -> Iterator[Flag]:
    """Who contacts the promising accounts and leaves the rest, and who leaves accounts alone. None without reports."""
    told, rules = book.inputs.contacts, book.parameters.gaming
    if told.empty:
        return
    at = pd.Index(told["placement_id"]).get_indexer(pd.Index(book.placements["placement_id"]))
    first = told["first_contact_on"].to_numpy()[at].astype("datetime64[D]")
    placed = book.placements["placed_on"].to_numpy().astype("datetime64[D]")
    day = np.where(at >= 0, (first - placed).astype(np.int64), np.iinfo(np.int64).max)
    # whoever paid before needed no contact
    settled = np.minimum(book.clock.exposed_days - 1, book.first_paid)
    yield from _rather_the_good(book, settled > rules.contact_days, day <= rules.contact_days)
    yield from _beyond_peers(book, UNTOUCHED, settled > rules.untouched_days, day > rules.untouched_days)


def _rather_the_good(book: Book, watched: Mask, touched: Mask) -> Iterator[Flag]:
    """The difference between promising and other accounts, against the same difference at the others."""
    rules, shape = book.parameters.gaming, (len(book.agencies), 2)
    group = book.agency * 2 + promising(book)
    count = np.bincount(group[watched], minlength=2 * shape[0]).reshape(shape)
    did = np.bincount(group[watched & touched], minlength=2 * shape[0]).reshape(shape)
    for position, agency in enumerate(book.agencies):
        own, others = count[position], count.sum(0) - count[position]
        if own.min() < rules.fewest or others.min() < FEWEST_PEERS:
            continue
        mine, theirs = did[position], did.sum(0) - did[position]
        differ, peers = (float(np.diff(part / of)[0]) for part, of in ((mine, own), (theirs, others)))
        noise = np.sqrt((_variance(mine, own) + _variance(theirs, others)).sum())
        p = float(norm.sf((differ - peers - rules.margins[CONTACTS_HIGH]) / noise))
        yield Flag(agency, CONTACTS_HIGH, differ, peers, int(own.sum()), p)


def _payments(book: Book) -> Iterator[Flag]:
    """Whose payments come from the promising accounts, more than what is expected of them explains."""
    rules, shape = book.parameters.gaming, (len(book.agencies), 2)
    group = book.agency * 2 + promising(book)
    each = np.bincount(book.paid_row, minlength=len(group)).astype(np.float64)
    came = np.bincount(group, each, minlength=2 * shape[0]).reshape(shape)
    expected = np.bincount(group, book.accrued(book.fit.chance), minlength=2 * shape[0]).reshape(shape)
    # payments of one account come together: fewer witnesses than payments
    together = float((each**2).sum() / each.sum()) if each.sum() else 1.0
    for position, agency in enumerate(book.agencies):
        mine, theirs = came[position], came.sum(0) - came[position]
        due, dues = expected[position], expected.sum(0) - expected[position]
        if due.min() < rules.fewest or dues.min() < FEWEST_PEERS:
            continue
        ratio, peers = (
            float(np.diff(np.log((part + 0.5) / of))[0]) for part, of in ((mine, due), (theirs, dues))
        )  # fmt: skip
        noise = np.sqrt(together * (1 / (mine + 0.5) + 1 / (theirs + 0.5)).sum())
        p = float(norm.sf((ratio - peers - np.log(rules.margins[PAYMENTS_HIGH])) / noise))
        yield Flag(agency, PAYMENTS_HIGH, float(np.exp(ratio)), float(np.exp(peers)), int(mine.sum()), p)


def _direct(book: Book) -> Iterator[Flag]:
    """Whose debtors pay the lender itself more often than the others', of all who pay."""
    went = book.lines.loc[(book.lines["standing"] == DIRECT) & (book.lines["gross_minor"] > 0), "at"].to_numpy()
    directly = np.zeros(len(book.agency), dtype=np.bool_)
    directly[went] = True
    paid = directly.copy()
    paid[book.row[book.gross > 0]] = True
    yield from _beyond_peers(book, DIRECT_SHARE, paid, directly)


def _reversals(book: Book) -> Iterator[Flag]:
    """Whose payments are undone in the first days of a month, when the month before has been settled."""
    rules = book.parameters.gaming
    told = book.lines[(book.lines["kind"] == "reversal") & (book.lines["at"] >= 0)].sort_values(["value_date", "at"])
    told = told.drop_duplicates("at")
    day = told["value_date"].dt.day.to_numpy()
    agency = book.agency[told["at"].to_numpy()]
    count = np.bincount(agency, minlength=len(book.agencies))
    soon = np.bincount(agency[day <= rules.period_days], minlength=len(book.agencies))
    for position, name in enumerate(book.agencies):
        if count[position] < rules.fewest_reversals:
            continue
        others, theirs = int(count.sum() - count[position]), int(soon.sum() - soon[position])
        peers = (theirs + AS_CALENDAR * rules.period_days / MONTH_DAYS) / (others + AS_CALENDAR)
        bound = min(peers + rules.margins[REVERSED_AFTER], 1.0)
        p = float(binom.sf(soon[position] - 1, count[position], bound))
        yield Flag(name, REVERSED_AFTER, float(soon[position] / count[position]), peers, int(count[position]), p)


def _returns(book: Book) -> Iterator[Flag]:
    """Who gives accounts up soon after getting them: on the whole, or all at once of one month's placements."""
    rules, parameters = book.parameters.gaming, book.parameters
    placed = book.placements["placed_on"].to_numpy()
    held = (book.placements["ended_on"].to_numpy().astype("datetime64[D]") - placed.astype("datetime64[D]")).astype(int)
    given_up = book.placements["end_reason"].isin(set(parameters.own_ends) - set(PAID)).to_numpy()
    # an absent day is a very negative number
    early = given_up & (held >= 0) & (held <= rules.return_days)
    watched = book.clock.age_days > rules.return_days
    months, vintage = np.unique(placed.astype("datetime64[M]"), return_inverse=True)
    whole = {one.agency: one for one in _beyond_peers(book, EARLY_RETURNS, watched, early)}
    clearest: dict[str, list[Flag]] = {}
    for position, month in enumerate(months):
        for one in _beyond_peers(book, EARLY_RETURNS, watched, early, vintage == position):
            clearest.setdefault(one.agency, []).append(replace(one, vintage=str(month)))
    for agency, one in whole.items():
        tried = clearest.get(agency, [])
        best = min(tried, key=lambda each: (each.p, each.vintage), default=one)
        # looked for twice, and the second time in every month
        at_once, over_all = min(1.0, 2 * len(tried) * best.p), min(1.0, 2 * one.p)
        yield replace(best, p=at_once) if tried and at_once < over_all else replace(one, p=over_all)


# --- against the others -----------------------------------------------------------------------------------------------


def _beyond_peers(book: Book, pattern: str, watched: Mask, did: Mask, only: Mask | None = None) -> Iterator[Flag]:
    """Per agency: the share of its watched accounts for which `did` holds, against the others' in the same segments.

    only: of an agency's own accounts these alone, against all of the others'. Segments that it alone has say nothing.
    """
    rules, shape = book.parameters.gaming, (len(book.segments.labels), len(book.agencies))
    cell = book.segments.code * shape[1] + book.agency

    def table(which: Mask) -> Ints:
        return np.bincount(cell[which], minlength=shape[0] * shape[1]).reshape(shape)

    count, happened = table(watched), table(watched & did)
    others, theirs = count.sum(1, keepdims=True) - count, happened.sum(1, keepdims=True) - happened
    mine, own = (count, happened) if only is None else (table(watched & only), table(watched & did & only))
    shared = others > 0
    mine, own = mine * shared, own * shared
    rate = np.divide(theirs, others, out=np.zeros(shape), where=shared)
    unsure = _variance(theirs, others)
    total = mine.sum(0)
    expected, noise = (mine * rate).sum(0), (mine**2 * unsure).sum(0)
    for position, agency in enumerate(book.agencies):
        of = int(total[position])
        if of < rules.fewest or others[mine[:, position] > 0, position].sum() < FEWEST_PEERS:
            continue
        seen = own[:, position].sum()
        spread = np.sqrt(of**2 * float(_variance(seen, total[position])) + noise[position])
        p = float(norm.sf((seen - expected[position] - rules.margins[pattern] * of) / spread))
        yield Flag(agency, pattern, float(seen / of), float(expected[position] / of), of, p)


def _variance(happened: Ints, of: Ints) -> Floats:
    """Of a share; half an account more on either side keeps all and none from being certain."""
    share = (happened + 0.5) / (of + 1)
    return np.asarray(share * (1 - share) / np.maximum(of, 1))

"""Which agency gets which debtor: a question, its answer, and the ways to find it.

The unit is the debtor: all of a debtor's accounts go to one agency. An allocator is a function from a Question to an
Answer. `by_shares` is the plainest: quotas per segment, then a seeded draw. Those that find better quotas
(models/planning/allocators.py names them all) draw in the same way.

Laws that every allocator keeps, and the tests hold: the order of the rows is irrelevant; the same seed gives the same
answer; nobody goes where they are barred; no agency gets more than its room; an agency without a share gets nobody new.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import UsageError

if TYPE_CHECKING:
    from models.planning.bounds import Limits
    from models.planning.programme import Solver
    from models.planning.worth import Worth

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

UNLIMITED: Final = np.iinfo(np.int64).max
AGENCIES_AT_MOST: Final = 63
"""Barred agencies are bits of an int64."""
FITTING_ROUNDS: Final = 200
NONE: Final = -1
ELSEWHERE: Final = -2

FITTED_WITHIN: Final = 0.01
"""accounts by which a column of the quotas may miss its target"""

SHARE: Final = "share"
VALUE: Final = "value"
CHALLENGER: Final = "challenger"
MENDED: Final = "mended"
INCUMBENT: Final = "incumbent"
REASONS: Final = (SHARE, VALUE, CHALLENGER, MENDED)
OVERFLOW: Final = "overflow"
NO_AGENCY_LEFT: Final = "no_agency_left"
INCUMBENT_UNAVAILABLE: Final = "incumbent_unavailable"
NO_CAPACITY: Final = "no_capacity"
REFUSALS: Final = (NO_AGENCY_LEFT, INCUMBENT_UNAVAILABLE, NO_CAPACITY)


@dataclass(frozen=True)
class Aims:
    """What an optimised plan goes by.

    draws: of the posterior, where it draws from it. by_account: who of a group goes where is decided by what each is
    worth (models/planning/prices.py), else by lot.
    """

    worth: Worth
    limits: Limits
    solver: Solver
    draws: int = 400
    by_account: bool = False


@dataclass(frozen=True)
class Question:
    """Who is to be shared out, to whom, within which bounds."""

    run: str
    """the plan's name: another plan with the same seed draws anew"""
    seed: int
    debtors: pd.DataFrame
    """`debtor_id` int64 (unique), `segment` text, `accounts` int64 ≥ 1, `balance_minor`, `incumbent` or missing; for
    optimised plans `region` (text or missing), `base` (what an average agency would recover, minor units) and `cell`
    (row of the worth)"""
    agencies: pd.DataFrame
    """`agency` text (unique), `room_accounts` and `room_minor` Int64, missing where unlimited"""
    shares: pd.DataFrame
    """one row per segment, one column per agency: weights ≥ 0; 0 means that it gets nobody new of the segment"""
    barred: pd.DataFrame
    """`debtor_id`, `agency`: that debtor never goes there"""
    aims: Aims | None = None
    """for optimised plans"""


Answer: TypeAlias = pd.DataFrame
"""`debtor_id` in rising order, `agency` (missing where nobody can take them), `why`: `share`, `value`, `challenger`,
`incumbent`, `mended`, `overflow:<agency that was full>`; for the missing `no_agency_left`, `incumbent_unavailable` or
`no_capacity`. And `probability`: with which the draw sent the debtor there; missing where it was not the draw alone."""


def by_shares(question: Question) -> Answer:
    """Debtors drawn at random into quotas by share, segment by segment; who does not fit moves on by share.

    Incumbents stay: a debtor whose other accounts are with an agency goes there or nowhere, and counts towards its
    share. Quotas are in accounts. In a single segment nobody misses a quota by more than one debtor's accounts;
    rounding errors are carried from segment to segment, so that they do not add up.
    """
    draw = Draw.of(question)
    draw.keep_incumbents()
    todo = np.flatnonzero(draw.free)
    targets: Floats | None = draw.targets()
    while todo.size:
        todo = draw.without_agency(todo)
        if not todo.size:
            break
        agency = draw.cut(todo, targets)
        todo = draw.seat(todo, agency)
        targets = None  # who comes in by overflow comes over the target
    return draw.answer()


def ranks(seed: int, run: str, debtor_ids: Ints) -> npt.NDArray[np.uint64]:
    """A number per debtor that nobody can foretell without the seed: BLAKE2b-64 of the id, keyed by seed and run."""
    key = hashlib.blake2b(f"{seed}\n{run}".encode(), digest_size=32, person=b"consign.plan").digest()
    digest = hashlib.blake2b
    raw = debtor_ids.astype("<i8").tobytes()
    words = [digest(raw[at : at + 8], digest_size=8, key=key).digest() for at in range(0, len(raw), 8)]
    return np.frombuffer(b"".join(words), dtype=">u8").astype(np.uint64)


@dataclass
class Draw:
    """The state of one drawing; debtors in rising id, agencies in rising code, both by position from here on."""

    names: list[str]
    ids: Ints
    segment: Ints
    size: Ints
    balance: Ints
    incumbent: Ints
    """position of the agency; NONE; or ELSEWHERE, an agency that takes no part"""
    mask: Ints
    """bit per barred agency"""
    share: Floats
    """segments x agencies, rows summing to 1 or 0"""
    room: Ints
    room_minor: Ints
    rank: npt.NDArray[np.uint64]
    open: Bools
    agency: Ints
    moved_from: Ints
    refused: Ints
    """position in REFUSALS"""
    chance: Floats
    """with which each was drawn for its agency; NaN where something else decided too"""
    word: Ints
    """position in REASONS of why each is where it is"""

    @classmethod
    def of(cls, question: Question) -> Draw:
        """Nobody is seated yet."""
        debtors = question.debtors.sort_values("debtor_id", kind="stable", ignore_index=True)
        agencies = question.agencies.sort_values("agency", kind="stable", ignore_index=True)
        names = [str(name) for name in agencies["agency"]]
        if len(names) > AGENCIES_AT_MOST:
            raise UsageError(f"a plan shares out to {AGENCIES_AT_MOST} agencies at most, not {len(names)}")
        ids = debtors["debtor_id"].to_numpy(dtype=np.int64)
        shares = question.shares.sort_index().reindex(columns=names, fill_value=0.0)
        weights = shares.to_numpy(dtype=np.float64)
        total = weights.sum(axis=1, keepdims=True)
        given = debtors["incumbent"].astype("str")
        incumbent = pd.Index(names).get_indexer(pd.Index(given)).astype(np.int64)
        incumbent[(incumbent < 0) & given.notna().to_numpy()] = ELSEWHERE
        return cls(
            names=names,
            ids=ids,
            segment=shares.index.get_indexer(pd.Index(debtors["segment"].astype("str"))).astype(np.int64),
            size=debtors["accounts"].to_numpy(dtype=np.int64),
            balance=debtors["balance_minor"].to_numpy(dtype=np.int64),
            incumbent=incumbent,
            mask=_masks(ids, names, question.barred),
            share=np.divide(weights, total, out=np.zeros_like(weights), where=total > 0),
            room=_room(agencies["room_accounts"]),
            room_minor=_room(agencies["room_minor"]),
            rank=ranks(question.seed, question.run, ids),
            open=np.ones(len(names), dtype=bool),
            agency=np.full(len(ids), -1, dtype=np.int64),
            moved_from=np.full(len(ids), -1, dtype=np.int64),
            refused=np.full(len(ids), -1, dtype=np.int64),
            chance=np.full(len(ids), np.nan),
            word=np.full(len(ids), REASONS.index(SHARE), dtype=np.int64),
        )

    @property
    def free(self) -> Bools:
        """Debtors whom no agency has yet."""
        found: Bools = self.incumbent == NONE
        return found

    def barred(self, who: Ints, agency: Ints) -> Bools:
        """Whether each debtor is barred from the agency at the same place."""
        return ((self.mask[who] >> agency) & 1).astype(bool)

    def keep_incumbents(self) -> None:
        """Debtors with accounts out stay where these are, as far as the room goes."""
        who = np.flatnonzero(self.incumbent != NONE)
        gone = self.incumbent[who] == ELSEWHERE
        at = np.where(gone, 0, self.incumbent[who])
        lost = gone | self.barred(who, at)
        self.refused[who[lost]] = REFUSALS.index(INCUMBENT_UNAVAILABLE)
        left = self.seat(who[~lost], at[~lost], closing=False)
        self.chance[self.agency >= 0] = 1.0
        self.moved_from[left] = -1
        self.refused[left] = REFUSALS.index(NO_CAPACITY)

    def targets(self) -> Floats:
        """Accounts that each agency should get of those still free: its share of all, less its incumbents."""
        placed = self.agency >= 0
        counted = placed | self.free
        per_segment = np.bincount(self.segment[counted], self.size[counted], minlength=len(self.share))
        got = np.bincount(self.agency[placed], self.size[placed], minlength=len(self.names))
        aim: Floats = np.maximum(per_segment @ self.share - got, 0.0)
        return aim

    def without_agency(self, todo: Ints) -> Ints:
        """Those of `todo` whom some open agency may take; the others get their reason."""
        allowed = (self.share > 0)[self.segment[todo]] & ~_bits(self.mask[todo], len(self.names))
        ever = allowed.any(axis=1)
        now = (allowed & self.open).any(axis=1)
        self.refused[todo[~ever]] = REFUSALS.index(NO_AGENCY_LEFT)
        self.refused[todo[ever & ~now]] = REFUSALS.index(NO_CAPACITY)
        able: Ints = todo[now]
        return able

    def cut(self, todo: Ints, targets: Floats | None) -> Ints:
        """An agency for each of `todo`: those alike in segment and barred agencies, in drawn order, cut into quotas."""
        masks, mask = np.unique(self.mask[todo], return_inverse=True)
        found, group = np.unique(self.segment[todo] * len(masks) + mask, return_inverse=True)
        segment, mask = np.divmod(found, len(masks))
        groups = len(found)
        weight = self.share[segment] * ~_bits(masks[mask], len(self.names)) * self.open
        accounts = np.bincount(group, self.size[todo], minlength=groups)
        quota = _fitted(weight, accounts, targets)
        order = np.lexsort((todo, self.rank[todo], group))
        ends = np.cumsum(np.bincount(group, minlength=groups))
        chosen = np.empty(len(todo), dtype=np.int64)
        carry = np.zeros(len(self.names))
        # small groups first: the large ones then mend what rounding did to the small
        for at in np.lexsort((found, accounts)).tolist():
            members = order[ends[at - 1] if at else 0 : ends[at]]
            sizes = self.size[todo[members]]
            whole = whole_quota(quota[at] + carry, weight[at], int(sizes.sum()))
            mine = _cut(sizes, whole)
            chosen[members] = mine
            self.chance[todo[members]] = whole[mine] / sizes.sum()
            carry += quota[at] - np.bincount(mine, sizes, minlength=len(self.names))
        return chosen

    def seat(self, who: Ints, agency: Ints, *, closing: bool = True) -> Ints:
        """Seat each at the agency in drawn order while there is room. Returns whom there was no room for.

        closing: an agency that had to send somebody away takes no more.
        """
        order = np.lexsort((who, self.rank[who], agency))
        starts = np.searchsorted(agency[order], np.arange(len(self.names) + 1))
        left = []
        for at in range(len(self.names)):
            queue = who[order[starts[at] : starts[at + 1]]]
            fits = (np.cumsum(self.size[queue]) <= self.room[at]) & (
                np.cumsum(self.balance[queue]) <= self.room_minor[at]
            )
            seated, rest = queue[fits], queue[~fits]
            self.agency[seated] = at
            if self.room[at] != UNLIMITED:
                self.room[at] -= self.size[seated].sum()
            if self.room_minor[at] != UNLIMITED:
                self.room_minor[at] -= self.balance[seated].sum()
            if rest.size:
                self.open[at] &= not closing
                self.moved_from[rest] = np.where(self.moved_from[rest] < 0, at, self.moved_from[rest])
                self.chance[rest] = np.nan
                left.append(rest)
        return np.sort(np.concatenate(left)) if left else np.empty(0, dtype=np.int64)

    def answer(self) -> Answer:
        """The seats with their reasons."""
        count = len(self.names)
        reasons = [*REASONS, INCUMBENT, *(f"{OVERFLOW}:{name}" for name in self.names), *REFUSALS]
        first = len(REASONS)
        code = np.select(
            [self.agency < 0, self.incumbent >= 0, self.moved_from >= 0],
            [first + 1 + count + self.refused, np.full_like(self.agency, first), first + 1 + self.moved_from],
            default=self.word,
        )
        names = pd.array(self.names, dtype="str")
        return pd.DataFrame(
            {
                "debtor_id": self.ids,
                "agency": pd.Series(names.take(self.agency, allow_fill=True)),
                "why": pd.Series(pd.array(reasons, dtype="str").take(code)),
                "probability": np.where((self.agency >= 0) & (self.moved_from < 0), self.chance, np.nan),
            }
        )


def _room(column: pd.Series) -> Ints:
    """What is left, at least 0 (an agency may hold more than it is now allowed); its own copy."""
    return np.maximum(column.astype("Int64").fillna(UNLIMITED).to_numpy(dtype=np.int64), 0)


def _masks(ids: Ints, names: list[str], barred: pd.DataFrame) -> Ints:
    """A bit per agency that the debtor is barred from; agencies that take no part do not count."""
    masks = np.zeros(len(ids), dtype=np.int64)
    if barred.empty or not len(ids):
        return masks
    agency = pd.Index(names).get_indexer(pd.Index(barred["agency"].astype("str")))
    given = barred["debtor_id"].to_numpy(dtype=np.int64)
    at = np.minimum(np.searchsorted(ids, given), len(ids) - 1)
    known = (agency >= 0) & (ids[at] == given)
    np.bitwise_or.at(masks, at[known], np.left_shift(np.int64(1), agency[known].astype(np.int64)))
    return masks


def _bits(masks: Ints, count: int) -> Bools:
    found: Bools = (masks[:, None] >> np.arange(count, dtype=np.int64)) & 1 == 1
    return found


def _fitted(weight: Floats, accounts: npt.NDArray[Any], targets: Floats | None) -> Floats:
    """Quotas per group and agency: rows sum to the group's accounts, columns to the targets as nearly as bars allow.

    Iterative proportional fitting (Deming and Stephan 1940), which stays as close to the shares as the margins let it.
    """
    quota: Floats = weight / weight.sum(axis=1, keepdims=True) * accounts[:, None]
    if targets is None or not targets.sum():
        return quota
    aim = targets * (accounts.sum() / targets.sum())
    for _ in range(FITTING_ROUNDS):
        reached = quota.sum(axis=0)
        if np.abs(reached - aim).max() < FITTED_WITHIN:
            break
        scaled = quota * np.divide(aim, reached, out=np.zeros_like(aim), where=reached > 0)
        rows = scaled.sum(axis=1, keepdims=True)
        # a group that may go nowhere but to an agency whose target is used up goes there all the same
        quota = np.where(rows > 0, scaled / np.where(rows > 0, rows, 1) * accounts[:, None], quota)
    return quota


def whole_quota(wanted: Floats, weight: Floats, total: int) -> Ints:
    """Whole numbers that sum to `total`, nearest to what is wanted (largest remainders); 0 where the weight is 0."""
    positive = np.where(weight > 0, np.maximum(wanted, 0.0), 0.0)
    if not positive.sum():
        positive = weight
    ideal = positive * (total / positive.sum())
    whole: Ints = np.floor(ideal).astype(np.int64)
    missing = total - int(whole.sum())
    if missing:
        best = np.argsort(np.where(weight > 0, whole - ideal, np.inf), kind="stable")
        whole[best[:missing]] += 1
    return whole


def _cut(sizes: Ints, quota: Ints) -> Ints:
    """Each debtor's place: quotas laid end to end, and the debtor goes where their middle falls."""
    middles = 2 * np.cumsum(sizes) - sizes
    return np.searchsorted(2 * np.cumsum(quota), middles, side="left").astype(np.int64)

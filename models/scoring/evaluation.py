"""What the scores propose for the next cycle: shares, changes of strategy, agencies to look at; each with its evidence.

Nothing here decides: a person approves it (infra/evaluations.py). Shares go by the probability to be the best, which is
what Thompson's rule comes to on the average: who may well be the best gets accounts until the data say otherwise.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from scipy.optimize import brentq

from models.scoring.conduct import SHUT, WATCH
from models.scoring.gaming import UNTOUCHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLOSE: Final = 1e-9
LEAST: Final = ("data_quality", "service", "invoice_accuracy")
"""Shares that are to be reached, by name in the rules."""


@dataclass(frozen=True)
class Rules:
    """models/scoring/evaluation.toml."""

    version: str
    shares: Mapping[str, float]
    review: Mapping[str, float]
    segments: Mapping[str, float]
    term: Mapping[str, float]


@cache
def standard() -> Rules:
    """The rules of this version."""
    return Rules(**tomllib.loads(files("models.scoring").joinpath("evaluation.toml").read_text("utf-8")))


@dataclass(frozen=True)
class Case:
    """What is known of one agency.

    figures: by component `value low high note`, over all segments. cells: by segment its `value` and `weight`;
    evidence: payments expected of it where it can be compared; curve: cumulative, by month; flags: patterns of gaming;
    share: of the debtors placed of late. stopped: why it gets nothing new, or empty; missing: evidence that it lacks.
    """

    agency: str
    figures: Mapping[str, Mapping[str, Any]]
    cells: Mapping[str, Mapping[str, float]]
    evidence: float
    curve: Sequence[float]
    flags: Sequence[str]
    share: float
    stopped: str = ""
    missing: Sequence[str] = ()

    def value(self, component: str, column: str = "value") -> float | None:
        """A figure; None where there is none."""
        found: float | None = self.figures.get(component, {}).get(column)
        return found

    @property
    def closed(self) -> str:
        """Why it gets nothing new: its gate, a serious breach, or what stops it; empty of an agency that may."""
        if self.figures.get("complaint_gate", {}).get("note") == SHUT:
            return "gate_shut"
        return "serious_breach" if self.value("breaches_serious") else self.stopped


@dataclass(frozen=True)
class Share:
    """now, proposed: of new debtors; best: the probability to be the best; why: docs/how-to/evaluate-agencies.md."""

    agency: str
    now: float
    proposed: float
    best: float | None
    why: str


@dataclass(frozen=True)
class Change:
    """A change of strategy: what, of which agency (and segment), and the figures behind it."""

    what: str
    agency: str
    segment: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reason:
    """Why an agency is to be looked at."""

    agency: str
    code: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """shares: of all agencies, summing to 1, or empty where nobody may get accounts."""

    shares: tuple[Share, ...]
    changes: tuple[Change, ...]
    reviews: tuple[Reason, ...]


def evaluate(cases: Sequence[Case], rules: Rules | None = None) -> Proposal:
    """The proposal; the same cases in whatever order give the same one."""
    known = sorted(cases, key=lambda case: case.agency)
    asked = rules or standard()
    changes = [*_segments(known, asked), *_terms(known, asked), *_stages(known)]
    reviews = [reason for case in known for reason in _reasons(case, asked)]
    return Proposal(tuple(_shares(known, asked)), tuple(changes), tuple(reviews))


# --- shares -----------------------------------------------------------------------------------------------------------


def _shares(cases: Sequence[Case], rules: Rules) -> Iterator[Share]:
    """By P(best), no open agency below the floor, none moved further than the step unless somebody's share is free."""
    free = [case for case in cases if not case.closed]
    if not free:
        return
    step, floor = rules.shares["step"], min(rules.shares["floor"], 1 / len(free))
    ranked = [case for case in free if case.value("p_best") is not None]
    total = sum(case.share for case in cases)
    now = {case.agency: case.share / total if total else 1 / len(cases) for case in cases}
    # who cannot be ranked yet keeps what it has
    pool = 1 - sum(now[case.agency] for case in free if case not in ranked)
    odds = sum(case.value("p_best") or 0.0 for case in ranked) or 1.0
    wanted = {
        case.agency: pool * (case.value("p_best") or 0.0) / odds if case in ranked else now[case.agency]
        for case in free
    }
    low = {agency: max(floor, now[agency] - step) for agency in wanted}
    high = {agency: max(now[agency] + step, floor) for agency in wanted}
    proposed = _between(wanted, low, high)
    for case in cases:
        got = proposed.get(case.agency, 0.0)
        yield Share(case.agency, now[case.agency], got, case.value("p_best"), _why(case, got, now[case.agency], rules))


def _between(wanted: Mapping[str, float], low: Mapping[str, float], high: Mapping[str, float]) -> dict[str, float]:
    """The shares nearest to what is wanted that lie between and sum to 1; where they cannot, the bounds are scaled."""
    most, least = sum(high.values()), sum(low.values())
    if most < 1:
        high = {agency: bound / most for agency, bound in high.items()}
    if least > 1:
        low = {agency: bound / least for agency, bound in low.items()}

    def shifted(by: float) -> dict[str, float]:
        return {agency: min(max(share + by, low[agency]), high[agency]) for agency, share in wanted.items()}

    if most <= 1:
        return dict(high)
    if least >= 1:
        return dict(low)
    by = brentq(lambda by: sum(shifted(by).values()) - 1, -2.0, 2.0, xtol=1e-12)
    return shifted(float(by))


def _why(case: Case, got: float, now: float, rules: Rules) -> str:
    if case.closed:
        return case.closed
    if case.value("p_best") is None:
        return "not_ranked"
    if abs(got - now) >= rules.shares["step"] - CLOSE:
        return "held_by_step"
    return "floor" if got <= rules.shares["floor"] + CLOSE else "as_likely_best"


# --- strategy ---------------------------------------------------------------------------------------------------------


def _segments(cases: Sequence[Case], rules: Rules) -> list[Change]:
    """Segments of which an agency free to take accounts recovers far more; the largest part of an agency first."""
    asked, found = rules.segments, []
    best: dict[str, tuple[float, str]] = {}
    for case in cases:
        if case.closed:
            continue
        for segment, cell in case.cells.items():
            if cell["weight"] * case.evidence >= asked["payments"]:
                best[segment] = max(best.get(segment, (0.0, "")), (cell["value"], case.agency))
    for case in cases:
        for segment, cell in case.cells.items():
            there, who = best.get(segment, (0.0, ""))
            enough = cell["weight"] >= asked["weight"] and cell["weight"] * case.evidence >= asked["payments"]
            if who and who != case.agency and enough and there >= asked["better_by"] * cell["value"]:
                told = {"value": cell["value"], "weight": cell["weight"], "better": there, "by": who}
                found.append(Change("segment_elsewhere", case.agency, segment, told))
    found.sort(key=lambda one: (-one.figures["weight"], one.agency, one.segment))
    return found[: int(asked["shown"])]


def _terms(cases: Sequence[Case], rules: Rules) -> Iterator[Change]:
    """Agencies whose last months bring next to nothing: a shorter term would lose as little."""
    months = int(rules.term["months"])
    for case in cases:
        if len(case.curve) <= months or case.curve[-1] <= 0:
            continue
        before = case.curve[-1 - months]
        last = 1 - before / case.curve[-1]
        if last <= rules.term["share"]:
            told = {"months": len(case.curve) - months, "lost": max(last, 0.0), "lived": len(case.curve)}
            yield Change("shorter_term", case.agency, "", told)


def _stages(cases: Sequence[Case]) -> Iterator[Change]:
    """What conduct and contacts ask of the strategy."""
    for case in cases:
        if case.figures.get("complaint_gate", {}).get("note") == WATCH:
            told = {"value": case.value("complaints", "actual"), "limit": case.value("complaint_gate")}
            yield Change("softer_stage", case.agency, "", told)
        if UNTOUCHED in case.flags:
            yield Change("recall_untouched", case.agency)


# --- reviews ----------------------------------------------------------------------------------------------------------


def _reasons(case: Case, rules: Rules) -> Iterator[Reason]:
    """Every reason to look at the agency, the gravest first."""
    if case.closed:
        yield Reason(case.agency, case.closed)
    elif case.figures.get("complaint_gate", {}).get("note") == WATCH:
        yield Reason(case.agency, "gate_watch", {"value": case.value("complaints", "actual")})
    yield from (Reason(case.agency, "evidence_missing", {"kind": kind}) for kind in case.missing)
    recovery, high = case.value("recovery"), case.value("recovery", "high")
    if recovery is not None and high is not None and high < 1:
        yield Reason(case.agency, "below_expected", {"value": recovery, "high": high})
    worst = case.value("p_worst")
    if worst is not None and worst >= rules.review["p_worst"]:
        yield Reason(case.agency, "likely_last", {"value": worst})
    for name in LEAST:
        told = case.value(name)
        if told is not None and told < rules.review[name]:
            yield Reason(case.agency, name, {"value": told, "least": rules.review[name]})
    yield from (Reason(case.agency, "flag", {"pattern": pattern}) for pattern in case.flags)

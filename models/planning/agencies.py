"""Which agencies may take part in a plan, with how much room, and why the others may not."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pandas as pd

from models.release import NotReleased, Policy, Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from models.planning.spec import PlanSpec

STAGE_CHANNELS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "reminder": frozenset({"sms", "online", "phone"}),
        "phone": frozenset({"phone"}),
        "field": frozenset({"field"}),
        "legal": frozenset({"legal"}),
    }
)
"""An agency's mandate must hold one of these to work the stage."""


@dataclass(frozen=True)
class AgencyFacts:
    """One agency as the store knows it, for one lender on one day."""

    agency: str
    name: str
    state: str
    channels: tuple[str, ...]
    contract: bool
    """a contract with the lender is in force"""
    share: Decimal | None = None
    term_days: int = 180
    capacity_accounts: int | None = None
    """over all lenders"""
    capacity_minor: int | None = None
    """under the contract with the lender"""
    held_accounts: int = 0
    """over all lenders: out, or promised by a plan that is submitted or approved"""
    held_minor: int = 0
    """for the lender"""
    stopped_by: str = ""
    """gates of conduct that are closed: it gets no new placements"""


@dataclass(frozen=True)
class Lineup:
    """The agencies of a plan: those that take part, with what each would be told, and those that do not, with why."""

    taking_part: tuple[AgencyFacts, ...]
    releases: Mapping[str, Release]
    left_out: Mapping[str, str]


def lineup(agencies: Iterable[AgencyFacts], spec: PlanSpec, policy: Policy, states: frozenset[str]) -> Lineup:
    """Who may take part: in one of the states, mandated for the stage, under contract, and released something.

    Where the spec names agencies, only these, and every one that it names and nobody knows is told in `left_out`.
    """
    known = {facts.agency: facts for facts in agencies}
    asked = spec.agencies or known
    taking_part, releases, left_out = [], {}, {}
    for agency in sorted(asked):
        facts = known.get(agency)
        why = "unknown" if facts is None else _why_not(facts, spec, states)
        if facts is not None and not why:
            try:
                releases[agency] = policy.release(spec.purpose, spec.stage, facts.channels, agency)
            except NotReleased:
                why = f"policy {policy.name} releases nothing to its mandate"
        if why:
            left_out[agency] = why
        elif facts is not None:
            taking_part.append(facts)
    return Lineup(tuple(taking_part), MappingProxyType(releases), MappingProxyType(left_out))


def _why_not(facts: AgencyFacts, spec: PlanSpec, states: frozenset[str]) -> str:
    if facts.state not in states:
        return f"it is {facts.state}"
    if not facts.contract:
        return "no contract with the lender in force"
    if facts.stopped_by:
        return f"stopped by {facts.stopped_by} (`consign conduct gates`)"
    if not STAGE_CHANNELS[spec.stage] & set(facts.channels):
        return f"its mandate does not cover stage {spec.stage}"
    return ""


def shares_of(taking_part: Iterable[AgencyFacts], spec: PlanSpec, segments: Iterable[str]) -> pd.DataFrame:
    """Weights per segment (rows) and agency (columns): the spec's for the segment, the spec's, or the contract's.

    Where nobody has a share all have the same; where some have, an agency without one gets 0.
    """
    facts = list(taking_part)
    general = {each.agency: _general(each, spec) for each in facts}
    if all(share is None for share in general.values()):
        general = dict.fromkeys(general, 1.0)
    names = list(general)
    rows = {}
    for segment in segments:
        own = next((each.shares for each in spec.segment_shares if fnmatchcase(segment, each.segment)), None)
        rows[segment] = [
            0.0
            if not _takes(name, segment, spec)
            else float(own.get(name, 0))
            if own is not None
            else general[name] or 0.0
            for name in names
        ]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names, dtype="float64")


def open_to(taking_part: Iterable[AgencyFacts], spec: PlanSpec, segments: Iterable[str]) -> pd.DataFrame:
    """1 where an optimised plan may give the agency (columns) accounts of the segment (rows), else 0.

    Not where the spec gives it other segments, a share of 0, or shares for the segment that leave it out.
    """
    names = [facts.agency for facts in taking_part]
    closed = {name for name in names if name in spec.agencies and spec.agencies[name].share == 0}
    rows = {}
    for segment in segments:
        own = next((each.shares for each in spec.segment_shares if fnmatchcase(segment, each.segment)), None)
        rows[segment] = [
            float(name not in closed and _takes(name, segment, spec) and (own is None or float(own.get(name, 0)) > 0))
            for name in names
        ]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names, dtype="float64")


def _general(facts: AgencyFacts, spec: PlanSpec) -> float | None:
    terms = spec.agencies.get(facts.agency)
    share = facts.share if terms is None or terms.share is None else terms.share
    return None if share is None else float(share)


def _takes(agency: str, segment: str, spec: PlanSpec) -> bool:
    patterns = spec.agencies[agency].segments if agency in spec.agencies else ()
    return not patterns or any(fnmatchcase(segment, pattern) for pattern in patterns)


def rooms_of(taking_part: Iterable[AgencyFacts], spec: PlanSpec, currency: str) -> pd.DataFrame:
    """`agency`, `room_accounts`, `room_minor`: capacity less what is held, and the spec's own bounds; missing: none."""
    rows = []
    for facts in taking_part:
        terms = spec.agencies.get(facts.agency)
        most = None if terms is None or terms.max_balance is None else spec.minor(terms.max_balance, currency)
        rows.append(
            (
                facts.agency,
                _least(
                    _less(facts.capacity_accounts, facts.held_accounts), None if terms is None else terms.max_accounts
                ),
                _least(_less(facts.capacity_minor, facts.held_minor), most),
            )
        )
    frame = pd.DataFrame(rows, columns=["agency", "room_accounts", "room_minor"], dtype="object")
    return frame.astype({"agency": "str", "room_accounts": "Int64", "room_minor": "Int64"})


def _less(capacity: int | None, held: int) -> int | None:
    return None if capacity is None else max(capacity - held, 0)


def _least(*bounds: int | None) -> int | None:
    given = [bound for bound in bounds if bound is not None]
    return min(given) if given else None

"""What a plan would do, for the people who prepare and approve it: counts, amounts, reasons, and what is disclosed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.kinds import PLACEMENT_FIELDS
from models.planning.allocation import CHALLENGER, INCUMBENT, MENDED, OVERFLOW, VALUE
from models.planning.allocators import FALLBACK
from models.planning.champion import balance_of
from models.planning.exclusions import WORDS
from models.planning.explaining import expected_net, given_up, reasons_of, worth_table
from models.release import PSEUDONYMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import numpy.typing as npt

    from models.planning.agencies import AgencyFacts, Lineup
    from models.planning.allocators import Allocation
    from models.planning.spec import PlanSpec
    from models.planning.worth import Valued
    from models.release import Release

NEARLY_FULL: Final = 0.95
SHARE_MISSED: Final = 0.02


@dataclass(frozen=True)
class LastPlan:
    """The plan to compare with, by the accounts that each agency got."""

    plan_id: int
    name: str
    accounts: Mapping[str, int]


@dataclass(frozen=True)
class Drawn:
    """How the lines came about: shares asked for, the allocation, and what accounts were worth where that was asked.

    accounts: those that might be placed; segment: of each; placed: which of them are.
    """

    shares: pd.DataFrame
    spec: PlanSpec
    allocation: Allocation
    worth: Valued | None
    accounts: pd.DataFrame
    segment: pd.Series
    placed: npt.NDArray[np.bool_]


def preview(
    lines: pd.DataFrame, exclusions: pd.DataFrame, who: Lineup, drawn: Drawn, last: LastPlan | None, currency: str,
    ends_on: date,
) -> dict[str, Any]:  # fmt: skip
    """The summary of a plan, JSON-able: counts, minor units and codes, never a debtor."""
    spec, by_agency = drawn.spec, {facts.agency: facts for facts in who.taking_part}
    asked = None if drawn.worth is not None else _asked(lines, drawn.shares)
    tallied = lines.groupby("agency").agg(
        accounts=("account_id", "size"), debtors=("debtor_id", "nunique"), balance_minor=("balance_minor", "sum")
    )
    moved = _moved(lines)
    rows = [_agency_row(facts, tallied, asked, len(lines), spec, last) for facts in by_agency.values()]
    for row in rows:
        row["why"] = _why(row, moved, lines, by_agency)
    optimised = _optimised(lines, rows, drawn, by_agency, currency)
    balance = balance_of(lines)
    held_back = exclusions["reason"].value_counts().sort_index()
    warnings = [*optimised.pop("warnings"), *_warnings(rows, held_back, who)]
    if balance.alert:
        warnings.append(
            f"the draw came out uneven: {balance.uneven} of {balance.compared} comparisons differ by 0.1 or more, and "
            f"chance alone makes {balance.by_chance:.0f}; it is not drawn again"
        )
    return {
        "lender": spec.lender,
        "stage": spec.stage,
        "allocator": spec.allocator,
        "currency": currency,
        "accounts": len(lines),
        "debtors": int(lines["debtor_id"].nunique()),
        "balance_minor": int(lines["balance_minor"].sum()),
        "held_back": len(exclusions),
        "exclusions": {str(reason): int(count) for reason, count in held_back.items()},
        "agencies": rows,
        "segments": _segments(lines),
        "left_out": dict(who.left_out),
        "last_plan": None if last is None else {"plan_id": last.plan_id, "name": last.name},
        "disclosed": _disclosures(who.releases, ends_on),
        "evenness": balance.told(),
        **optimised,
        "warnings": warnings,
    }


def _optimised(
    lines: pd.DataFrame, rows: list[dict[str, Any]], drawn: Drawn, agencies: Mapping[str, AgencyFacts], currency: str
) -> dict[str, Any]:
    """What a plan by expected net-back says besides: scores, worth per segment, the optimum; rows get theirs too."""
    found = drawn.allocation.optimum
    if drawn.worth is None or found is None:
        return {"scores": None, "worth": None, "optimum": None, "expected_net_minor": None, "warnings": []}
    worth = drawn.worth.worth
    table = worth_table(drawn.accounts, drawn.segment, drawn.worth, drawn.shares)
    net = expected_net(lines, drawn.worth, drawn.placed)
    by_agency = dict(zip(*_sums(lines["agency"], net), strict=True))
    told = found.told() | {"mended": drawn.allocation.mended}
    for row in rows:
        row["score"] = worth.points.get(row["agency"])
        row["expected_net_minor"] = round(by_agency.get(row["agency"], 0.0))
        row["why"] = reasons_of(row["agency"], lines, table, told, currency) + row["why"]
    warnings = given_up(told, {code: facts.name for code, facts in agencies.items()}, currency)
    if found.status == FALLBACK:
        warnings.insert(0, "the optimum was not found in time: these are the last plan's shares, repaired")
    if worth.run_id is None:
        warnings.append("nothing has been scored yet: agencies are told apart by what they cost alone")
    return {
        "scores": None if worth.run_id is None else {"run_id": worth.run_id, "as_of": str(worth.as_of)},
        "worth": table,
        "optimum": told,
        "expected_net_minor": round(float(net.sum())),
        "warnings": warnings,
    }


def _sums(agency: pd.Series, net: npt.NDArray[np.float64]) -> tuple[list[str], list[float]]:
    codes, names = pd.factorize(agency)
    return [str(name) for name in names], np.bincount(codes, net, minlength=len(names)).tolist()


def _asked(lines: pd.DataFrame, shares: pd.DataFrame) -> pd.Series:
    """Accounts that each agency's share comes to, segment by segment."""
    per_segment = lines.groupby("segment", observed=True).size().reindex(shares.index, fill_value=0)
    weights = shares.div(shares.sum(axis=1).replace(0, np.nan), axis=0).fillna(0)
    return weights.mul(per_segment, axis=0).sum()


def _moved(lines: pd.DataFrame) -> pd.Series:
    """Accounts that moved, by the agency that was full and the agency that took them."""
    went = lines[lines["why"].str.startswith(f"{OVERFLOW}:")]
    return went.groupby([went["why"].str.removeprefix(f"{OVERFLOW}:"), went["agency"]]).size()


def _agency_row(
    facts: AgencyFacts,
    tallied: pd.DataFrame,
    asked: pd.Series | None,
    total: int,
    spec: PlanSpec,
    last: LastPlan | None,
) -> dict[str, Any]:
    mine = tallied.reindex([facts.agency], fill_value=0)
    accounts, debtors, balance = (int(mine[name].iloc[0]) for name in ("accounts", "debtors", "balance_minor"))
    terms = spec.agencies.get(facts.agency)
    return {
        "agency": facts.agency,
        "name": facts.name,
        "accounts": accounts,
        "debtors": debtors,
        "balance_minor": balance,
        "difference": None if last is None else accounts - last.accounts.get(facts.agency, 0),
        "share_asked": None if asked is None else _ratio(float(asked.get(facts.agency, 0)), total),
        "share_achieved": _ratio(accounts, total),
        "held_accounts": facts.held_accounts,
        "capacity_accounts": facts.capacity_accounts,
        "held_minor": facts.held_minor,
        "capacity_minor": facts.capacity_minor,
        "capacity_used": _used(facts, accounts, balance),
        "plan_cap": None if terms is None else terms.max_accounts,
        "score": None,
        "expected_net_minor": None,
    }


def _ratio(part: float, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _used(facts: AgencyFacts, accounts: int, balance: int) -> float | None:
    """The fuller of the two capacities after the plan; None where neither is bounded."""
    used = [
        (held + more) / capacity
        for held, more, capacity in (
            (facts.held_accounts, accounts, facts.capacity_accounts),
            (facts.held_minor, balance, facts.capacity_minor),
        )
        if capacity
    ]
    return round(max(used), 4) if used else None


def _why(row: dict[str, Any], moved: pd.Series, lines: pd.DataFrame, agencies: Mapping[str, AgencyFacts]) -> list[str]:
    """Sentences about one agency, the plainest first."""
    agency = row["agency"]
    told = []
    away = moved[moved.index.get_level_values(0) == agency]
    if len(away):
        takers = ", ".join(
            agencies[taker].name for taker in away.sort_values(ascending=False).index.get_level_values(1)
        )
        told.append(f"cap binds: {int(away.sum()):,} moved to {takers}")
    for source, count in moved[moved.index.get_level_values(1) == agency].groupby(level=0).sum().items():
        told.append(f"overflow from {agencies[str(source)].name}: {int(count):,}")
    stay = int(((lines["agency"] == agency) & (lines["why"] == INCUMBENT)).sum())
    if stay:
        told.append(f"{stay:,} stay where the debtor's other accounts are")
    if row["share_asked"] is not None:
        told.append(f"share {row['share_asked']:.1%}")
    return told


def _segments(lines: pd.DataFrame) -> list[dict[str, Any]]:
    """Per segment: accounts, balance, and accounts per agency."""
    if lines.empty:
        return []
    grouped = lines.groupby("segment", observed=True)["balance_minor"].agg(["size", "sum"]).sort_index()
    shared = lines.groupby(["segment", "agency"], observed=True).size()
    return [
        {
            "segment": str(segment),
            "accounts": int(size),
            "balance_minor": int(balance),
            "agencies": {str(agency): int(count) for agency, count in shared[segment].items() if count},
        }
        for segment, size, balance in zip(grouped.index, grouped["size"], grouped["sum"], strict=True)
    ]


def _disclosures(releases: Mapping[str, Release], ends_on: date) -> list[dict[str, Any]]:
    """What would be told: once per release, with the agencies that it goes to."""
    told: list[tuple[Release, list[str]]] = []
    for agency, release in releases.items():
        alike = next((agencies for known, agencies in told if known == release), None)
        if alike is None:
            told.append((release, [agency]))
        else:
            alike.append(agency)
    return [
        {
            "agencies": agencies,
            "policy": release.policy,
            "version": release.version,
            "channels": list(release.channels),
            "purpose": release.purpose,
            "basis": "; ".join(filter(None, (release.basis, release.legal_basis))),
            "verified": release.verified,
            "fields": len(release.treatments),
            "of": len(PLACEMENT_FIELDS) - len(PSEUDONYMS),
            "pseudonymised": list(PSEUDONYMS),
            "sent": [name for name, treatment in release.treatments.items() if treatment.how == "release"],
            "generalised": {name: release.treatments[name].words for name in release.generalised},
            "never_sent": dict(release.held_back),
            "delete_by": (ends_on + timedelta(days=release.erase_after_days)).isoformat(),
        }
        for release, agencies in told
    ]


def _warnings(rows: list[dict[str, Any]], held_back: pd.Series, who: Lineup) -> list[str]:
    told = [
        f"{row['name']} reaches {row['capacity_used']:.0%} of its capacity"
        for row in rows
        if row["capacity_used"] is not None and row["capacity_used"] >= NEARLY_FULL
    ]
    told += [
        f"{row['name']} gets {row['share_achieved']:.1%} where {row['share_asked']:.1%} was asked"
        for row in rows
        if row["share_asked"] is not None and abs(row["share_asked"] - row["share_achieved"]) >= SHARE_MISSED
    ]
    if len(held_back):
        counts = ", ".join(f"{in_words(str(reason))} ({int(count):,})" for reason, count in held_back.items())
        told.append(f"{int(held_back.sum()):,} accounts are held back: {counts}")
    told += [f"{agency} takes no part: {why}" for agency, why in who.left_out.items()]
    bases = {release.legal_basis or release.basis for release in who.releases.values() if release.verified != "text"}
    told += [f"confirm with counsel: {basis}" for basis in sorted(bases)]
    return told


def in_words(reason: str) -> str:
    """A reason's code in words: `hold:complaint` is `on hold: complaint`."""
    head, _, rest = reason.partition(":")
    return f"{WORDS.get(head, head)}{rest and f': {rest}'}"


def why_in_words(why: str, agency: str, names: Mapping[str, str]) -> str:
    """A line's code in words."""
    head, _, rest = why.partition(":")
    if head == INCUMBENT:
        return f"the debtor's other accounts are with {agency}"
    if head == OVERFLOW:
        return f"drawn for {names.get(rest, rest)}, which was full; passed on by share to {agency}"
    if head == VALUE:
        return f"{agency} is where the plan as a whole brings most of such accounts"
    if head == CHALLENGER:
        return f"drawn for {agency} at random, by its floor as a challenger"
    if head == MENDED:
        return f"moved to {agency} so that the plan's bounds hold to the account"
    return f"drawn for {agency} by its share of the segment"

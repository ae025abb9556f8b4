"""What a debtor is worth to the lender with each agency: money expected, by the latest scores, less what it costs.

Expected of an account by an average agency (`base`) is its balance × the rate of its scoring segment over a term; an
agency's net-back is base × its effect there × (1 − its commission) − its cost per account. Where nothing is known of an
agency, its effect is 1, as sure as agencies differ. Statistics are floats of minor units: nothing is booked from them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import norm

from models.contract import Contract, TierGap, commission
from models.contract.pricing import tier_of
from models.scoring.parameters import Parameters, standard
from models.scoring.segments import FACETS, GIVEN_UP, facets_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import numpy.typing as npt

    from models.planning.agencies import AgencyFacts
    from models.planning.spec import PlanSpec

    Floats: TypeAlias = npt.NDArray[np.float64]
    Ints: TypeAlias = npt.NDArray[np.int64]

UNSCORED_RATE: Final = 0.10
"""Recovered of the balance, where nothing was ever scored: agencies then differ by what they cost alone."""
UNKNOWN_SPREAD: Final = 0.3
"""Log standard deviation of an agency's effect before any score (the scale of the scores' own prior)."""
SAMPLE_MINOR: Final = 1_000_000
MONTH_DAYS: Final = 30


@dataclass(frozen=True)
class Figures:
    """One score run, as a plan reads it. components: `agency component segment value low high expected weight`."""

    run_id: int
    as_of: date
    model_version: str
    components: pd.DataFrame
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Worth:
    """net: net-back per unit of base, [cells, agencies]; log_sd: of each agency's effect; cost: minor per account.

    points: each agency's score of 100, where it has one. Agencies are in the order of their codes.
    """

    agencies: tuple[str, ...]
    net: Floats
    log_sd: Floats
    cost: Floats
    run_id: int | None = None
    as_of: date | None = None
    points: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Valued:
    """Per account: `base`, and `cell`, a row of `worth.net`."""

    base: Floats
    cell: Ints
    worth: Worth


def valued(
    accounts: pd.DataFrame,
    spec: PlanSpec,
    taking_part: Sequence[AgencyFacts],
    contracts: Mapping[str, Contract],
    figures: Figures | None,
    currency: str,
    term_days: int,
) -> Valued:
    """What the accounts are worth.

    accounts: of one currency, with `product dpd balance_minor rounds`, and `score_band` where that is known.
    """
    names = tuple(sorted(facts.agency for facts in taking_part))
    placements = _as_placements(accounts, spec, currency)
    known = None if figures is None else _Known.of(figures, spec, term_days)
    label = np.zeros(len(accounts), dtype=np.int64) if known is None else _labels(placements, known, standard())
    priced = [contracts.get(name) for name in names]
    tiers = [_tiers(placements, contract) for contract in priced]
    key = label
    for tier in tiers:
        key = key * (int(tier.max(initial=0)) + 2) + tier + 1
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    examples = placements.iloc[first]
    effect = np.ones((len(first), len(names))) if known is None else known.effects(names)[label[first]]
    kept = np.ones_like(effect)
    for at, contract in enumerate(priced):
        told = np.nan if known is None else known.commission(names[at])
        kept[:, at] -= _commission(examples, contract, told)
    rate = np.full(len(accounts), UNSCORED_RATE) if known is None else known.rate[label]
    worth = Worth(
        names,
        effect * kept,
        np.full(len(names), UNKNOWN_SPREAD) if known is None else known.log_sd(names),
        np.array([_cost(name, contract, spec, currency) for name, contract in zip(names, priced, strict=True)]),
        None if figures is None else figures.run_id,
        None if figures is None else figures.as_of,
        {} if known is None else known.points(),
    )
    return Valued(accounts["balance_minor"].to_numpy(dtype=np.float64) * rate, cell.astype(np.int64), worth)


@dataclass(frozen=True)
class _Known:
    """A score run by segment: `rate` over the term per label, the last being for accounts of no label."""

    labels: tuple[str, ...]
    rate: Floats
    general: pd.DataFrame
    """by agency and component: `value low high`"""
    by_segment: pd.DataFrame
    """effects: a row per label, a column per agency"""
    spread: float
    credible: float
    lender: str
    given_up: tuple[int, ...]
    """positions in FACETS, in the order in which the run's small segments gave them up"""

    @classmethod
    def of(cls, figures: Figures, spec: PlanSpec, term_days: int) -> _Known:
        components, summary = figures.components, figures.summary
        whole = components["segment"] == "all"
        general = components[whole].drop_duplicates(["agency", "component"]).set_index(["agency", "component"])
        cells = components[~whole & (components["component"] == "recovery") & (components["expected"] > 0)]
        labels = tuple(sorted(cells["segment"].unique()))
        money = cells["weight"] * cells["agency"].map(_expected_money(general, summary)).astype("float64")
        placed = money / cells["expected"]
        sums = pd.DataFrame({"segment": cells["segment"], "money": money, "placed": placed}).groupby("segment").sum()
        per_label = (sums["money"] / sums["placed"]).reindex(labels).to_numpy(dtype=np.float64)
        rates = components.loc[whole & (components["component"] == "recovery"), "expected"].dropna()
        whole_rate = rates.mean() if len(rates) else UNSCORED_RATE
        total = float(sums["money"].sum() / sums["placed"].sum() if sums["placed"].sum() > 0 else whole_rate)
        rate = np.r_[np.where(np.isfinite(per_label), per_label, total), total]
        return cls(
            labels,
            rate * _over_a_term(summary, total, term_days),
            general,
            cells.pivot_table(index="segment", columns="agency", values="value").reindex(labels),
            float(summary.get("spread") or UNKNOWN_SPREAD),
            float(summary.get("credible", 0.9)),
            spec.lender,
            tuple(FACETS.index(name) for name in summary["given_up"]) if "given_up" in summary else GIVEN_UP,
        )

    def figure(self, agency: str, component: str, column: str = "value") -> float:
        """A figure of the agency over all segments; NaN where there is none."""
        if (agency, component) not in self.general.index:
            return float("nan")
        return float(self.general[column].to_dict()[agency, component])

    def effects(self, names: Sequence[str]) -> Floats:
        """[labels and none, agencies]: the segment's own where there is one, else the agency's, else 1."""
        own = np.array([self.figure(name, "recovery") for name in names])
        own = np.where(np.isfinite(own), own, 1.0)
        found = self.by_segment.reindex(columns=list(names)).to_numpy(dtype=np.float64)
        return np.vstack([np.where(np.isfinite(found), found, own), own])

    def log_sd(self, names: Sequence[str]) -> Floats:
        """How sure each effect is: the interval's width as that of a log-normal."""
        width = 2 * norm.ppf((1 + self.credible) / 2)
        low, high = (np.array([self.figure(name, "recovery", end) for name in names]) for end in ("low", "high"))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.log(high / low) / width
        return np.where(np.isfinite(found) & (found > 0), found, max(self.spread, UNKNOWN_SPREAD / 3))

    def commission(self, agency: str) -> float:
        """What it kept of what it recovered."""
        return self.figure(agency, "commission_rate")

    def points(self) -> dict[str, float]:
        """Scores of 100."""
        agencies = self.general.index.get_level_values(0).unique()
        told = {str(name): self.figure(str(name), "overall") for name in agencies}
        return {name: round(value, 1) for name, value in told.items() if np.isfinite(value)}


def _expected_money(general: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, float]:
    """Money expected of each agency so far, up to a factor that all have in common."""
    found, expected = {}, general["expected"].to_dict()
    for agency, told in summary.get("agencies", {}).items():
        placed = sum(total["placed_minor"] for total in told["totals"].values())
        found[agency] = float(expected.get((agency, "recovery")) or 0.0) * placed
    return found


def _over_a_term(summary: Mapping[str, Any], so_far: float, term_days: int) -> float:
    """How much more a whole term brings than what has come so far: from the expected curves by month on book."""
    month = max(-(-term_days // MONTH_DAYS), 1)
    curves = [told["expected"] for told in summary.get("curves", {}).values() if told.get("expected")]
    reached = [curve[min(month, len(curve)) - 1] for curve in curves]
    reached = [value for value in reached if value is not None and value > 0]
    return max(float(np.mean(reached)) / so_far, 1.0) if reached and so_far > 0 else 1.0


def _as_placements(accounts: pd.DataFrame, spec: PlanSpec, currency: str) -> pd.DataFrame:
    """The accounts as scoring and contracts look at placements."""
    alike = {"lender": spec.lender, "currency": currency, "stage": spec.stage}
    band = accounts["score_band"] if "score_band" in accounts else pd.Series(pd.NA, index=accounts.index, dtype="str")
    return accounts[["product", "dpd", "balance_minor"]].assign(
        score_band=band, round=accounts["rounds"] + 1, gross_minor=SAMPLE_MINOR, **alike
    )


def _labels(placements: pd.DataFrame, known: _Known, parameters: Parameters) -> Ints:
    """Each account's position in the run's labels, after the last one where the run had none like it.

    A run names only facets of which it has several values, and gives facets of small segments up in an order of its
    own; which it names is told by what fits most accounts.
    """
    facets = facets_of(placements, parameters)
    key = np.zeros(len(placements), dtype=np.int64)
    for names, code in facets:
        key = key * len(names) + code
    keys, cell, counts = np.unique(key, return_inverse=True, return_counts=True)
    positions = np.unravel_index(keys, [len(names) for names, _ in facets]) if len(keys) else []
    words = [[names[at] or "–" for at in found] for (names, _), found in zip(facets, positions, strict=True)]
    where = {label: at for at, label in enumerate(known.labels)}
    size = len(known.labels[0].split(" | ")) if known.labels else 0
    best = np.full(len(keys), len(known.labels), dtype=np.int64)
    fits = -1
    for shown in itertools.combinations(range(len(FACETS)), size):
        told = (_label(row, shown, where, known.given_up) for row in zip(*words, strict=True))
        found = np.fromiter(told, dtype=np.int64)
        if (fit := int(counts[found < len(where)].sum())) > fits:
            best, fits = found, fit
    return best[cell]


def _label(row: Sequence[str], shown: Sequence[int], where: Mapping[str, int], given_up: Sequence[int]) -> int:
    """The label that the values have when as few facets as possible are given up, in that order."""
    for count in range(len(given_up) + 1):
        name = " | ".join("*" if at in given_up[:count] else row[at] for at in shown)
        if name in where:
            return where[name]
    return where.get("*", len(where))


def _tiers(placements: pd.DataFrame, contract: Contract | None) -> Ints:
    """Which of the contract's tiers each account falls in; -1 where there are none."""
    if contract is None or not contract.tiers:
        return np.full(len(placements), -1, dtype=np.int64)
    try:
        return tier_of(placements, contract)
    except TierGap:
        return np.full(len(placements), -1, dtype=np.int64)


def _commission(examples: pd.DataFrame, contract: Contract | None, told: float) -> Floats:
    """The share of a recovery that the agency keeps, per cell; as scored where the contract does not say."""
    if contract is not None:
        try:
            due = commission(examples, contract)["commission_minor"].to_numpy(dtype=np.float64)
        except TierGap:
            pass
        else:
            return due / SAMPLE_MINOR
    return np.full(len(examples), told if np.isfinite(told) else 0.0)


def _cost(agency: str, contract: Contract | None, spec: PlanSpec, currency: str) -> float:
    """Minor units per account: the spec's, and the contract's fee per case."""
    terms = spec.agencies.get(agency)
    stated = 0 if terms is None or terms.cost is None else spec.minor(terms.cost, currency)
    fee = 0 if contract is None else contract.case_fee_minor or 0
    return float(stated + fee)

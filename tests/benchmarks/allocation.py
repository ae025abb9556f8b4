"""A million accounts shared out to twenty agencies for the most expected net-back: beside no more than a sort.

Bounds of many kinds, 900,000 debtors, scores by segment; from the lender's frames to lines and preview, the solver's
own process included. The floor hashes, sorts and cuts the same debtors by fixed shares, and looks at no value or bound.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from infra.solving import solved
from models.contract import Contract
from models.planning import proposal
from models.planning.agencies import AgencyFacts
from models.planning.preview import LastPlan
from models.planning.proposal import Inputs, propose
from models.planning.spec import PlanSpec
from models.planning.worth import Figures
from models.release import load
from tests.benchmarks.measure import Stages, costing

AGENCIES = 20
TODAY = date(2026, 11, 22)
NAMES = tuple(f"agency{at:02d}" for at in range(AGENCIES))


def accounts_of(rows: int) -> pd.DataFrame:
    """Accounts of one lender; one debtor in ten has two."""
    draw = np.random.default_rng(7)
    dpd = draw.integers(1, 720, rows)

    def one_of(words: list[str], at: Any) -> Any:
        return pd.Series(np.array(words, dtype=object)[at], dtype="str")

    product = one_of(["card", "cash", "loan", "instalment"], draw.integers(0, 4, rows))
    bucket = one_of([f"M{at}" for at in range(1, 14)], np.minimum(dpd // 60, 12))
    region = one_of([f"{at:02d}0100" for at in range(11, 42)], draw.integers(0, 31, rows))
    return pd.DataFrame({
        "account_id": np.arange(1, rows + 1), "debtor_id": draw.integers(1, int(rows * 5), rows),
        "product": product, "currency": one_of(["CNY"], np.zeros(rows, dtype=np.int64)),
        "balance_minor": draw.lognormal(13.5, 1, rows).astype(np.int64) + 10_000, "dpd": dpd, "bucket": bucket,
        "region": region,
        "status": one_of(["open"], np.zeros(rows, dtype=np.int64)), "rounds": draw.integers(0, 3, rows), "version": 1,
        "as_of": pd.Timestamp("2026-11-21"),
        "score_band": one_of(list("ABCD"), draw.integers(0, 4, rows)),
    })  # fmt: skip


def figures_of() -> Figures:
    """Scores of every agency, by product too."""
    draw = np.random.default_rng(8)
    effect = draw.lognormal(0, 0.25, AGENCIES)
    rows: list[dict[str, Any]] = []
    for name, value in zip(NAMES, effect, strict=True):
        usual = {"agency": name, "segment": "all", "expected": 0.1, "weight": np.nan}
        rows.append(usual | {"component": "recovery", "value": value, "low": value * 0.8, "high": value * 1.25})
        rows.append(usual | {"component": "overall", "value": 50 * value, "low": np.nan, "high": np.nan})
        rows += [
            {
                "agency": name, "component": "recovery", "segment": product, "low": np.nan, "high": np.nan,
                "value": value * own, "expected": rate, "weight": 0.25,
            }
            for product, rate, own in zip(
                ("card", "cash", "loan", "instalment"), (0.12, 0.1, 0.08, 0.09), draw.lognormal(0, 0.1, 4), strict=True
            )
        ]  # fmt: skip
    summary = {"spread": 0.25, "credible": 0.9, "agencies": {
        name: {"totals": {"CNY": {"placed_minor": 10**10}}} for name in NAMES
    }}  # fmt: skip
    return Figures(1, TODAY, "bench", pd.DataFrame(rows), summary)


def inputs_of(rows: int) -> Inputs:
    """Agencies with room for a quarter more than there is, and a twentieth of the debtors barred somewhere."""
    draw = np.random.default_rng(9)
    frame = accounts_of(rows)
    agencies = tuple(
        AgencyFacts(
            agency=name, name=name.title(), state="live", channels=("phone", "sms"), contract=True,
            capacity_accounts=int(rows / AGENCIES * draw.uniform(0.8, 1.7)),
        )
        for name in NAMES
    )  # fmt: skip
    terms = "currency = 'CNY'\n[[tier]]\ndpd_to = 180\nrate = '0.{young}'\n[[tier]]\nrate = '0.{old}'\n"
    contracts = {
        name: Contract.parse(terms.format(young=18 + at % 5, old=28 + at % 7)) for at, name in enumerate(NAMES)
    }
    barred = pd.DataFrame({
        "debtor_id": draw.choice(frame["debtor_id"].unique(), rows // 20, replace=False),
        "agency": pd.Series(np.array(NAMES, dtype=object)[draw.integers(0, AGENCIES, rows // 20)], dtype="str"),
    })  # fmt: skip
    none = {"debtor_id": pd.Series(dtype="int64"), "account_id": pd.Series(dtype="int64")}
    text = pd.Series(dtype="str")
    out = pd.DataFrame({**none, "agency": text, "state": text, "since": pd.Series(dtype="int64")})
    holds = pd.DataFrame({**none, "reason": text}).astype({"account_id": "Int64"})
    last = (draw.dirichlet([9.0] * AGENCIES) * rows).astype(np.int64).tolist()
    return Inputs(
        frame, holds, out, barred, agencies, LastPlan(1, "last", dict(zip(NAMES, last, strict=True))), figures_of(),
        contracts,
    )  # fmt: skip


def spec_of() -> PlanSpec:
    """Bounds of every kind."""
    return PlanSpec.of({
        "lender": "bench", "name": "bench", "seed": 7, "allocator": "value",
        "segments": {"by": ["product", "bucket", "balance"]},
        "agencies": {name: {"min_share": 0.01, "max_share": 0.12, "min_accounts": 1000 if at == 3 else 0}
                     for at, name in enumerate(NAMES)},
        "bounds": {"challengers": [NAMES[5]], "challenger_floor": 0.02, "change_max": 0.04},
    })  # fmt: skip


def run(rows: int) -> dict[str, Any]:
    """What a plan costs, stage by stage; fails where a bound does not hold within one debtor."""
    inputs, spec, policy = inputs_of(rows), spec_of(), load("cn-default")
    stages = Stages()
    with costing() as floor:
        _least(inputs.accounts)
    for name, stage in (
        ("segments_of", "segments"), ("valued", "what accounts are worth"), ("preview", "preview and hashes"),
        ("inputs_sha256", "preview and hashes"), ("debtors_of", "debtors"),
    ):  # fmt: skip
        stages.watch(proposal, name, stage)
    with costing() as cost, stages.stage("optimum, draw and mending"):
        made = propose(inputs, spec, policy, TODAY, solver=partial(solved, seconds=60.0))
    stages.stop()
    held = _held(inputs, made, spec)
    return {
        "name": "allocation", "rows": rows, "cpu_s": cost.cpu_s, "wall_s": cost.wall_s, "peak_mb": round(cost.peak_mb),
        "floor_cpu_s": max(floor.cpu_s, 1e-3), "ratio": cost.cpu_s / max(floor.cpu_s, 1e-3),
        "stages": dict(stages.seconds) | {"the solver's process": cost.child_cpu_s}, "text": held,
    }  # fmt: skip


def _least(accounts: pd.DataFrame) -> None:
    """A keyed hash of every debtor, an order by it, and a cut into equal parts."""
    ids = np.unique(accounts["debtor_id"].to_numpy())
    raw, key = ids.astype("<i8").tobytes(), b"k" * 32
    words = [hashlib.blake2b(raw[at : at + 8], digest_size=8, key=key).digest() for at in range(0, len(raw), 8)]
    order = np.argsort(np.frombuffer(b"".join(words), dtype=">u8").astype(np.uint64))
    np.array_split(ids[order], AGENCIES)


def _held(inputs: Inputs, made: proposal.Proposal, spec: PlanSpec) -> str:
    """A line about the optimum. Raises SystemExit where a bound was missed by more than one debtor."""
    optimum, total = made.summary["optimum"], len(made.lines)
    counts = made.lines["agency"].value_counts()
    given_up = {(one["kind"], one["agency"]) for one in optimum["relaxed"]}
    most = int(inputs.accounts["debtor_id"].value_counts().iloc[0])
    for facts in inputs.agencies:
        got, terms = int(counts.get(facts.agency, 0)), spec.agencies[facts.agency]
        room = facts.capacity_accounts or total
        low, high = float(terms.min_share or 0) * total - most, float(terms.max_share or 1) * total + most
        if got > room or (("share", facts.agency) not in given_up and not low <= got <= high):
            raise SystemExit(f"{facts.agency} has {got} accounts, and its bounds are {low:.0f}, {high:.0f} and {room}")
    return (
        f"{optimum['status']}, gap {optimum['gap']:.1e}, {optimum['value_minor'] / 100:,.0f} expected net, "
        f"{len(optimum['prices'])} bounds bind, {len(optimum['relaxed'])} given up, {optimum['mended']} mended"
    )

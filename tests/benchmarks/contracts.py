"""Pricing a million lines under a contract, and settling their month: beside the same rates written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.contract import Contract, commission, settling
from tests.benchmarks.measure import Stages, costing

TERMS = """
currency = "CNY"
vat_rate = "0.06"
rounding_level = "invoice"
line_cap_minor = 5_000_000
month_cap_minor = 100_000_000_000
[[tier]]
dpd_to = 90
rate = "0.185"
steps = [{ from_minor = 1_000_000_000, rate = "0.2" }, { from_minor = 5_000_000_000, rate = "0.21" }]
[[tier]]
dpd_from = 91
balance_to_minor = 500_000
rate = "0.25"
[[tier]]
rate = "0.30"
"""


def lines_of(rows: int) -> pd.DataFrame:
    """Recoveries of all sizes under placements of all sorts."""
    draw = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "line_id": np.arange(rows), "placement_id": np.arange(rows), "account_id": np.arange(rows),
            "gross_minor": draw.integers(100, 2_000_000, rows), "dpd": draw.integers(1, 900, rows),
            "round": draw.integers(1, 4, rows), "balance_minor": draw.integers(1_000, 5_000_000, rows),
        }
    )  # fmt: skip


def run(rows: int) -> dict[str, Any]:
    """What pricing and settling cost; the floor is numpy for these very tiers, without steps, limits or splits."""
    contract, lines = Contract.parse(TERMS), lines_of(rows)
    stages = Stages()
    with costing() as floor:
        gross, dpd, balance = (lines[name].to_numpy() for name in ("gross_minor", "dpd", "balance_minor"))
        rate = np.select([dpd <= 90, balance <= 500_000], [185_000, 250_000], 300_000)
        fee = (gross * rate + 500_000) // 1_000_000
        vat = (fee * 60_000 + 500_000) // 1_000_000
        pd.DataFrame({"commission_minor": fee, "vat_minor": vat}).sum()
    with costing() as cost:
        with stages.stage("price the lines"):
            due = commission(lines, contract)
            units = lines.assign(commission_minor=due["commission_minor"], vat_minor=due["vat_minor"])
        with stages.stage("settle the month"):
            added = settling.counted_together(units, contract)
            whole = settling.with_added(units, [added])
            settling.month_limits(whole, contract)
    return {
        "name": "contracts", "rows": rows, "cpu_s": cost.cpu_s, "wall_s": cost.wall_s, "peak_mb": round(cost.peak_mb),
        "floor_cpu_s": max(floor.cpu_s, 1e-3), "ratio": cost.cpu_s / max(floor.cpu_s, 1e-3),
        "stages": dict(stages.seconds),
    }  # fmt: skip

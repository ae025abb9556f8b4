"""What matching a million remittance lines against a million receipts costs, beside polars joining the same frames.

The floor finds pairs in three stages (batch totals, exact with occurrence ranks, near) and nothing else: no states,
no breaks, no ties on different accounts. `run` is called by tests/benchmarks/run.py, or by itself from a shell.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from models.reconcile.cash import Terms, matched

TOLERANCE_MINOR = 100
BATCH_LINES = 20


def drawn(rows: int, seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`rows` lines and as many receipts: 60 % singles (some references twice), 30 % in batches, 5 % near, 5 % apart."""
    rng = np.random.default_rng(seed)
    single, lump, near = int(rows * 0.60), int(rows * 0.30), int(rows * 0.05)
    kind = np.repeat([0, 1, 2, 3], [single, lump, near, rows - single - lump - near])
    net = rng.integers(1_000, 5_000_000, rows)
    number = np.arange(rows)
    twin = (kind == 0) & (number % 25 == 1)  # the same reference and amount as the line before it
    net[twin] = net[np.flatnonzero(twin) - 1]
    reference = np.where(twin, number - 1, number)
    batch = np.where(kind == 1, number // BATCH_LINES, -1)
    day = np.datetime64("2026-04-01") + rng.integers(0, 28, rows).astype("timedelta64[D]")
    order = rng.permutation(rows)
    lines = pd.DataFrame({
        "line_id": number + 1,
        "content_id": pd.Series(np.char.mod("%032x", rng.integers(0, 1 << 62, rows)), dtype="str"),
        "account_id": pd.array(number + 1, dtype="Int64"),
        "original_line_id": pd.array([pd.NA] * rows, dtype="Int64"),
        "txn_ref": pd.Series(np.char.mod("T%09d", reference), dtype="str"),
        "batch_ref": pd.Series(np.char.mod("B%08d", batch), dtype="str").mask(batch < 0),
        "value_date": day.astype("datetime64[us]"),
        "net_minor": net,
        "gross_minor": net,
        "agency": "alpha",
        "currency": "CNY",
    }).iloc[order].reset_index(drop=True)  # fmt: skip
    lines["line_id"] = np.arange(1, rows + 1)

    totals = pd.Series(net[kind == 1]).groupby(batch[kind == 1]).sum()
    spare = rows - single - len(totals) - near
    amount = np.concatenate([
        net[kind == 0],
        totals.to_numpy(),
        net[kind == 2] - rng.integers(1, TOLERANCE_MINOR, near),
        rng.integers(1_000, 5_000_000, spare),
    ])  # fmt: skip
    texts = [
        np.char.mod("T%09d", reference[kind == 0]),
        np.char.mod("B%08d", totals.index.to_numpy()),
        np.char.mod("T%09d", reference[kind == 2]),
        np.char.mod("X%09d", np.arange(spare)),
    ]
    order = rng.permutation(rows)
    receipts = pd.DataFrame({
        "receipt_id": np.arange(1, rows + 1),
        "reference": pd.Series(np.concatenate(texts)[order], dtype="str"),
        "amount_minor": amount[order],
        "value_date": pd.Timestamp(2026, 5, 1),
        "agency": "alpha",
        "currency": "CNY",
    })  # fmt: skip
    return lines, receipts


def floor(lines: pl.DataFrame, receipts: pl.DataFrame) -> int:
    """Three joins of the same frames in polars; how many pairs they give."""
    batches = lines.filter(pl.col("batch_ref").is_not_null()).group_by("batch_ref").agg(pl.col("net_minor").sum())
    lumps = batches.join(
        receipts, left_on=["batch_ref", "net_minor"], right_on=["reference", "amount_minor"], how="inner"
    )
    lines = lines.join(lumps.select("batch_ref"), on="batch_ref", how="anti")
    receipts = receipts.join(lumps.select("receipt_id"), on="receipt_id", how="anti")
    keys = ["txn_ref", "net_minor"]
    lines = lines.with_columns(nth=pl.int_range(pl.len()).over(keys))
    receipts = receipts.with_columns(nth=pl.int_range(pl.len()).over(["reference", "amount_minor"]))
    exact = lines.join(receipts, left_on=[*keys, "nth"], right_on=["reference", "amount_minor", "nth"], how="inner")
    lines = lines.join(exact.select("line_id"), on="line_id", how="anti")
    receipts = receipts.join(exact.select("receipt_id"), on="receipt_id", how="anti")
    near = lines.join(receipts, left_on="txn_ref", right_on="reference", how="inner").filter(
        (pl.col("net_minor") - pl.col("amount_minor")).abs() <= TOLERANCE_MINOR
    )
    return len(lumps) + len(exact) + len(near)


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The work's result, its CPU seconds (all threads) and its wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def run(rows: int) -> dict[str, Any]:
    """Match `rows` lines with as many receipts; CPU seconds beside the floor's on the same frames."""
    lines, receipts = drawn(rows)
    outcome, cpu, wall = timed(lambda: matched(lines, receipts, Terms(tolerance_minor=TOLERANCE_MINOR)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = outcome.matches["rule"].value_counts().to_dict()
    left, right = pl.from_pandas(lines), pl.from_pandas(receipts)
    pairs, floor_cpu, _ = timed(lambda: floor(left, right))
    if pairs != len(outcome.matches):
        raise AssertionError(f"the floor found {pairs} pairs, the rules {len(outcome.matches)}")
    return {
        "name": f"reconcile {rows:,} lines with {rows:,} receipts",
        "rows": rows,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "peak_mb": round(peak),
        "floor_cpu_s": round(floor_cpu, 3),
        "ratio": round(cpu / floor_cpu, 2),
        "stages": {f"matches by {rule}": int(count) for rule, count in found.items()},
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), indent=1))

"""What three public programs that compare tables cost on the lines and receipts that Consign matches.

They live in an environment of their own, so that nothing of ours depends on them:

    python3.11 -m venv PEERS && PEERS/bin/pip install datacompy recordlinkage splink pyarrow
    CONSIGN_BENCH_PEERS=PEERS/bin/python python tests/benchmarks/run.py --only peers

They give pairs of one reference and amount and nothing else; ours ties transfers and what is nearly right too, and says
states and reasons. Without the environment this benchmark says so and is left out.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from models.reconcile.cash import Terms, matched
from tests.benchmarks.reconcile import TOLERANCE_MINOR, drawn, timed

NAMES = ("datacompy", "recordlinkage", "splink")
INTERPRETER = "CONSIGN_BENCH_PEERS"
TURNS = 5


def run(rows: int) -> dict[str, Any]:
    """Ours beside the fastest of the three; `stages`: each of them, and how many times ours it took."""
    interpreter = os.environ.get(INTERPRETER)
    if not interpreter:
        return {
            "name": "peers",
            "rows": rows,
            "left_out": f"{INTERPRETER} names no interpreter with {', '.join(NAMES)}",
        }
    lines, receipts = drawn(rows)
    terms, ours, ours_wall = Terms(tolerance_minor=TOLERANCE_MINOR), 1e9, 1e9
    for _ in range(TURNS):
        _, cpu, wall = timed(lambda: matched(lines, receipts, terms))
        ours, ours_wall = min(ours, cpu), min(ours_wall, wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    left = pd.DataFrame({"id": lines["line_id"], "reference": lines["txn_ref"], "amount_minor": lines["net_minor"]})
    right = receipts[["receipt_id", "reference", "amount_minor"]].rename(columns={"receipt_id": "id"})
    spent, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("lines.parquet", "receipts.parquet")]
        for frame, file in zip((left, right), files, strict=True):
            frame.rename(columns={"id": "unique_id"}).to_parquet(file)
        for name in NAMES:
            turns = [_apart(interpreter, name, files) for _ in range(TURNS)]
            spent[name], found[name] = min(turns)
    floor = min(spent.values())
    stages = {f"{name}, {found[name]:,} pairs": round(spent[name], 3) for name in NAMES}
    return {
        "name": "peers",
        "rows": rows,
        "cpu_s": round(ours, 3),
        "wall_s": round(ours_wall, 3),
        "peak_mb": round(peak),
        "floor_cpu_s": round(floor, 3),
        "ratio": round(ours / floor, 2),
        "stages": stages,
    }


def _apart(interpreter: str, name: str, files: list[str]) -> tuple[float, int]:
    """CPU seconds of the one's work alone, reading and importing not counted, and its pairs."""
    script = str(Path(__file__).with_name("peer.py"))
    said = subprocess.run([interpreter, script, name, *files], check=True, capture_output=True, text=True).stdout
    cpu, pairs = said.split()[-2:]
    return float(cpu), int(pairs)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), indent=1))

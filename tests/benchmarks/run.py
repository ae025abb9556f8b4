"""`make bench`: what placing and reconciling cost, each in a fresh process and against a floor of the same run.

python tests/benchmarks/run.py --out bench.json [--only place,reconcile] [--rows 100000 1000000]
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BENCHMARKS = {
    "place": (100_000, 1_000_000),
    "reconcile": (250_000, 500_000, 1_000_000),
    "peers": (100_000,),
    "intake": (1_000_000,),
    "drops": (500,),
    "conduct": (1_000_000,),
    "forget": (100_000, 1_000_000),
    "statements": (1_000_000,),
    "ledger": (1_000_000,),
    "gate": (100_000,),
    "contracts": (1_000_000,),
    "console": (1_000_000,),
    "allocation": (1_000_000,),
    "scores": (1_000_000,),
}
"""Modules of this folder with `run(rows)`, and the sizes that each is run at: accounts or lines; drops, megabytes."""
REQUIRED = ("name", "rows", "cpu_s", "wall_s", "peak_mb", "floor_cpu_s", "ratio")


def main() -> int:
    """Run what was asked for, write the JSON, print the table; 1 where a benchmark failed."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--out", type=Path, default=Path("bench.json"))
    asked.add_argument("--only", default=",".join(BENCHMARKS), help="names, comma-separated")
    asked.add_argument("--rows", type=int, nargs="+", help="other sizes than each benchmark's own")
    asked.add_argument("--one", nargs=2, metavar=("NAME", "ROWS"), help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.one:
        _run_here(options.one[0], int(options.one[1]), options.out)
        return 0
    results, failed = [], 0
    for name in options.only.split(","):
        if not (HERE / f"{name}.py").exists():
            print(f"{name}: not there", file=sys.stderr)
            failed += 1
            continue
        for rows in options.rows or BENCHMARKS[name]:
            result = _run_apart(name, rows)
            failed += result is None
            results += [] if result is None else [result]
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(_table(results))
    return 1 if failed else 0


def _run_here(name: str, rows: int, out: Path) -> None:
    result: dict[str, Any] = importlib.import_module(f"tests.benchmarks.{name}").run(rows)
    if "left_out" not in result and (missing := [one for one in REQUIRED if one not in result]):
        raise SystemExit(f"{name} does not say its {', '.join(missing)}")
    out.write_text(json.dumps(result))


def _run_apart(name: str, rows: int) -> dict[str, Any] | None:
    """In a process of its own, so that its peak memory is its own."""
    print(f"{name} {rows:,} …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        ended = subprocess.run([sys.executable, __file__, "--out", out, "--one", name, str(rows)], check=False)
        if ended.returncode:
            return None
        result: dict[str, Any] = json.loads(out.read_text())
        return result


def _table(results: list[dict[str, Any]]) -> str:
    lines = ["", f"{'':<12}{'rows':>10}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'floor s':>9}{'ratio':>8}"]
    for one in results:
        if "left_out" in one:
            lines.append(f"{one['name']:<12}{one['rows']:>10,}  left out: {one['left_out']}")
            continue
        lines.append(
            f"{one['name']:<12}{one['rows']:>10,}{one['cpu_s']:>9.2f}{one['wall_s']:>9.2f}{one['peak_mb']:>9,}"
            f"{one['floor_cpu_s']:>9.2f}{one['ratio']:>8.1f}"
        )
        lines += [f"    {name:<22}{seconds:>8.2f}" for name, seconds in one.get("stages", {}).items()]
        lines += [f"    {line}" for line in one.get("text", "").splitlines()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

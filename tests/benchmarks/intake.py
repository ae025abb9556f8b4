"""Intake: a CSV of raw accounts checked, indexed, stored and sealed, against pandas merely reading the same file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.filled import AS_OF, LENDER, NOW
from tests.benchmarks.measure import Stages, costing

SEED = 20260106


def run(rows: int) -> dict[str, Any]:
    """Take in that many lines of 23 columns, ten of them sealed, into an empty SQLite store."""
    from flows.intake import intake
    from infra.sandbox.world import _add_lenders, _make_keyring, settings_of
    from infra.store import schema
    from infra.wiring import Desk, seated

    with tempfile.TemporaryDirectory(prefix="consign-bench-") as folder:
        desk = Desk(settings_of(Path(folder), engine="direct"), clock=lambda: NOW, actor="bench")
        schema.ensure(desk.database)
        _make_keyring(desk, {"age"})
        _add_lenders(desk, {LENDER: LENDER})
        source = Path(folder) / "accounts.csv"
        subprocess.run([sys.executable, __file__, str(source), str(rows)], check=True)  # its memory is not ours
        stages = _watched()
        with seated(desk), costing() as cost:
            report = intake(source, "consign", LENDER, AS_OF)
        stages.stop()
        desk.database.close()
        assert (report.accepted, report.refused) == (rows, 0), report
        floor = _floor(source)
        parts = {name: round(seconds, 2) for name, seconds in sorted(stages.seconds.items(), key=lambda one: -one[1])}
        return {
            "name": "intake",
            "rows": rows,
            "cpu_s": round(cost.cpu_s, 2),
            "wall_s": round(cost.wall_s, 2),
            "peak_mb": round(cost.peak_mb),
            "stages": {**parts, "read and the rest": round(cost.self_cpu_s - sum(stages.seconds.values()), 2)},
            "source_mb": round(source.stat().st_size / 2**20, 1) if source.exists() else None,
            "floor_cpu_s": round(floor, 2),
            "ratio": round(cost.cpu_s / floor, 1),
        }


def _watched() -> Stages:
    """Timers around the parts of an import."""
    from sqlalchemy.engine.default import DefaultDialect

    import flows.intake
    import keys.vault
    from infra.store import portfolios
    from models.intake import rules

    stages = Stages()
    stages.watch(flows.intake, "mapped", "map")
    stages.watch(rules, "check", "check")
    stages.watch(flows.intake, "ref_index", "index")
    stages.watch(flows.intake, "identity_index", "index")
    stages.watch(portfolios, "known", "look up")
    stages.watch(portfolios, "keep_accounts", "store accounts")
    stages.watch(keys.vault, "seal_cells", "seal")
    stages.watch(portfolios, "keep_identities", "store identities")
    stages.watch(DefaultDialect, "do_commit", "commit")
    return stages


def _floor(source: Path) -> float:
    """CPU seconds of `pandas.read_csv` of the same file, every column text."""
    import pandas as pd

    with costing() as cost:
        pd.read_csv(source, dtype="str")
    return cost.cpu_s


def _write(path: Path, rows: int) -> None:
    """The file as a lender's; many small portfolios one after the other, for the sandbox draws one in memory."""
    from infra.sandbox.debtors import portfolio

    with path.open("w", encoding="utf-8", newline="") as file:
        for first in range(0, rows, 100_000):
            raw = portfolio(SEED + first // 100_000, min(100_000, rows - first), LENDER, AS_OF)
            raw.to_csv(file, index=False, header=first == 0, lineterminator="\r\n")


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]))

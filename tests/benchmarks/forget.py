"""Forgetting one debtor and then a whole portfolio, against the ciphers alone over the cells that are sealed anew."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import intake as taking
from tests.benchmarks.filled import AS_OF, LENDER, NOW
from tests.benchmarks.measure import costing

DEBTOR = 10
WHY = "what it costs to forget"


def run(rows: int) -> dict[str, Any]:
    """Of so many accounts, `identities_per_key` to a data key, one debtor is forgotten; the portfolio is, after that.

    cpu_s: of the one debtor, with the store's pages written anew left to the night. floor_cpu_s: opening and sealing
    the cells of the accounts that shared a key.
    """
    from flows.intake import intake
    from infra import shredding
    from infra.sandbox.world import _add_lenders, _make_keyring, settings_of
    from infra.store import schema
    from infra.wiring import Desk, seated

    with tempfile.TemporaryDirectory(prefix="consign-bench-") as folder:
        settings = settings_of(Path(folder), engine="direct", sweep_below_mb=0)
        desk = Desk(settings, clock=lambda: NOW, actor="bench")
        schema.ensure(desk.database)
        _make_keyring(desk, {"age"})
        _add_lenders(desk, {LENDER: LENDER})
        source = Path(folder) / "accounts.csv"
        subprocess.run([sys.executable, taking.__file__, str(source), str(rows)], check=True)
        with seated(desk):
            intake(source, "consign", LENDER, AS_OF)
            with costing() as one:
                done = shredding.erase_debtor(desk, DEBTOR, WHY)
            floor = _floor(done.resealed)
            number = shredding.ask_portfolio(desk, 1, WHY)
            desk.actor = "second"
            with costing() as all_of_them:
                shredded = shredding.shred(desk, number)
            with costing() as night:
                shredding.finish(desk, thorough=True)
        desk.database.close()
        assert shredded.accounts == rows - done.accounts, shredded
        return {
            "name": "forget",
            "rows": rows,
            "cpu_s": round(one.cpu_s, 2),
            "wall_s": round(one.wall_s, 2),
            "peak_mb": round(all_of_them.peak_mb),
            "stages": {"portfolio": round(all_of_them.cpu_s, 2), "pages anew": round(night.cpu_s, 2)},
            "sealed_anew": done.resealed,
            "floor_cpu_s": round(floor, 3),
            "ratio": round(one.cpu_s / floor, 1),
        }


def _floor(rows: int) -> float:
    """CPU seconds to open and seal ten cells of so many accounts."""
    import numpy as np
    import pandas as pd

    from keys.vault import new_data_key, open_cells, seal_cells

    ids, texts = np.arange(rows), pd.Series([f"{number:018}" for number in range(rows)], dtype="str")
    before, after = new_data_key(), new_data_key()
    cells = seal_cells(before, "name", ids, texts)
    with costing() as cost:
        for _ in range(10):
            seal_cells(after, "name", ids, open_cells(before, "name", ids, cells))
    return cost.cpu_s

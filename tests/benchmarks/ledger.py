"""What posting entries of two lines costs with the database keeping the laws, beside the same store without triggers.

`run` is called by tests/benchmarks/run.py; the stages say what exporting and closing the month cost after it.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import text

from infra import closing
from infra.books.export import export
from infra.settings import Settings
from infra.store import schema
from infra.store.ledger import post
from infra.wiring import Desk, seated
from models import postings
from models.tables import Lender
from tests.benchmarks.measure import Cost, costing

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TRIGGERS = ("journal_batch_is_sealed", "journal_entry_is_in_time", "journal_line_is_in_time")
WHY = "the benchmark has no bank"


def run(rows: int) -> dict[str, Any]:
    """Posting `rows` entries; the floor is the same without the triggers."""
    stages: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        free = _posted(Path(folder) / "free", rows, without=TRIGGERS)[1]
        desk, cost = _posted(Path(folder) / "kept", rows)
        with seated(desk):
            for name in ("hledger", "beancount", "csv"):
                with costing() as written:
                    export(desk, "bank-a", Path(folder) / name, format_=name)
                stages[f"export {name}"] = written.cpu_s
            closing.accept(desk, "bank-a", "2026-04", "bank_gap", WHY)
            with costing() as closed:
                closing.close(desk, "bank-a", "2026-04")
            stages["close"] = closed.cpu_s
        desk.database.close()
    return {
        "name": "ledger", "rows": rows, "cpu_s": cost.cpu_s, "wall_s": cost.wall_s, "peak_mb": round(cost.peak_mb),
        "floor_cpu_s": free.cpu_s, "ratio": cost.cpu_s / free.cpu_s, "stages": stages,
    }  # fmt: skip


def _posted(home: Path, rows: int, without: tuple[str, ...] = ()) -> tuple[Desk, Cost]:
    """A store with so many entries in April's books, and what posting them cost."""
    desk = Desk(Settings(home=home, engine="direct", durable=False), clock=lambda: NOW, actor="ann")
    schema.ensure(desk.database)
    with desk.database.session() as session:
        session.add(Lender(lender="bank-a", name="Bank A", created_at=NOW))
    with desk.database.write() as connection:
        for trigger in without:
            connection.execute(text(f"DROP TRIGGER {trigger}"))
    number = np.arange(rows)
    amount = pd.Series(np.random.default_rng(7).integers(1, 5_000_000, rows))
    events = pd.DataFrame({
        "entry_key": "line:" + pd.Series(number).astype("str"), "event": "line_accepted", "lender": "bank-a",
        "agency": "alpha", "value_date": np.datetime64("2026-04-01", "us") + (number % 30).astype("timedelta64[D]"),
        "account_id": pd.array(number, dtype="Int64"), "currency": "CNY",
    }).astype(dict.fromkeys(("entry_key", "event", "lender", "agency", "currency"), "str"))  # fmt: skip
    journal = postings.line_accepted(events, amount, amount * 0)
    with seated(desk), costing() as cost, desk.database.write() as connection:
        post(connection, journal, NOW)
    return desk, cost

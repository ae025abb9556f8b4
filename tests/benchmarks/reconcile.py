"""What matching a million remittance lines against a million receipts costs, beside polars joining the same frames.

The floor finds pairs in three stages (batch totals, exact with occurrence ranks, near), each as fast as polars has it:
keys that occur once are joined as they are, only the others get ranks. It says nothing else: no states, no reasons, no
breaks, no postings, no ties on different accounts. `run` is called by tests/benchmarks/run.py, or from a shell.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from sqlmodel import SQLModel

from connectors.bank.statement import BankStatementFile
from flows.reconcile import reconcile
from infra.settings import Settings
from infra.store.bankfiles import store_statement
from infra.store.bulk import append
from infra.store.recon import accept_remittance
from infra.wiring import Desk, seated
from models.postings import cash
from models.reconcile.cash import STEPS, Outcome, Terms
from models.reconcile.findings import outcome as told
from models.reconcile.posting import moved
from models.reconcile.table import Table
from models.tables import Account, AgencyContract, Lender, Placement
from tests.benchmarks.measure import peak_mb

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STORE_ROWS = 100_000
TURNS = 3
TOLERANCE_MINOR = 100
TERMS = f"""
currency = "CNY"
vat_rate = "0.06"
tolerance_minor = {TOLERANCE_MINOR}
payer_accounts = ["A"]

[[tier]]
rate = "0.2"
"""
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
        "netted_minor": net,
        "tied_minor": 0,
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
        "tied_minor": 0,
        "value_date": pd.Timestamp(2026, 5, 1),
        "agency": "alpha",
        "currency": "CNY",
    })  # fmt: skip
    return lines, receipts


def floor(lines: pl.DataFrame, receipts: pl.DataFrame) -> int:
    """Three joins of the same frames in polars; how many pairs they give."""
    lines = lines.select("line_id", "txn_ref", "batch_ref", "net_minor")
    receipts = receipts.select("receipt_id", "reference", "amount_minor")
    batches = lines.filter(pl.col("batch_ref").is_not_null()).group_by("batch_ref").agg(pl.col("net_minor").sum())
    lumps = batches.join(
        receipts, left_on=["batch_ref", "net_minor"], right_on=["reference", "amount_minor"], how="inner"
    )
    lines = lines.join(lumps.select("batch_ref"), on="batch_ref", how="anti")
    receipts = receipts.join(lumps.select("receipt_id"), on="receipt_id", how="anti")
    exact = _exact(lines, receipts)
    lines = lines.join(exact.select("line_id"), on="line_id", how="anti")
    receipts = receipts.join(exact.select("receipt_id"), on="receipt_id", how="anti")
    near = lines.join(receipts, left_on="txn_ref", right_on="reference", how="inner").filter(
        (pl.col("net_minor") - pl.col("amount_minor")).abs() <= TOLERANCE_MINOR
    )
    return len(lumps) + len(exact) + len(near)


def _exact(lines: pl.DataFrame, receipts: pl.DataFrame) -> pl.DataFrame:
    """Pairs of one reference and amount: those that occur once on their own side, then the n-th for the n-th."""
    ours, theirs = ["txn_ref", "net_minor"], ["reference", "amount_minor"]
    twice = pl.concat([
        lines.filter(lines.select(ours).is_duplicated()).select(pl.col("txn_ref").alias("key")),
        receipts.filter(receipts.select(theirs).is_duplicated()).select(pl.col("reference").alias("key")),
    ]).unique()  # fmt: skip
    some, others = (lines.join(twice, left_on="txn_ref", right_on="key", how=how) for how in ("semi", "anti"))
    money, rest = (receipts.join(twice, left_on="reference", right_on="key", how=how) for how in ("semi", "anti"))
    once = others.join(rest, left_on=ours, right_on=theirs, how="inner")
    some = some.with_columns(nth=pl.int_range(pl.len()).over(ours))
    money = money.with_columns(nth=pl.int_range(pl.len()).over(theirs))
    ranked = some.join(money, left_on=[*ours, "nth"], right_on=[*theirs, "nth"], how="inner")
    return pl.concat([once.select("line_id", "receipt_id"), ranked.select("line_id", "receipt_id")])


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The work's result, its CPU seconds (all threads) and its wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def matched_in_stages(lines: pd.DataFrame, receipts: pd.DataFrame) -> tuple[Outcome, pd.DataFrame, dict[str, float]]:
    """The outcome, its postings, and the CPU seconds of each rule; `cash.matched` is these steps and nothing else."""
    spent: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        result, cpu, _ = timed(work)
        spent[name] = round(cpu, 3)
        return result

    table = step("references", lambda: Table(lines, receipts, Terms(tolerance_minor=TOLERANCE_MINOR)))
    for rule in STEPS:
        step(rule.__name__.replace("_", " "), partial(rule, table))
    outcome = step("states, reasons, rivals", lambda: told(table))
    return outcome, step("postings", lambda: postings(outcome, lines)), spent


def postings(outcome: Outcome, lines: pd.DataFrame) -> pd.DataFrame:
    """The journal lines of the outcome, where every line is in the books."""
    events = moved(outcome, lines["line_id"])
    events = events.assign(
        entry_key=events["value_date"].dt.strftime("%Y-%m-%d"), event="cash", lender="bank", agency="alpha",
        currency="CNY", account_id=pd.array([pd.NA] * len(events), dtype="Int64"),
    )  # fmt: skip
    return cash(events, events["paid_minor"], events["short_minor"], events["over_minor"])


def through_the_store(rows: int) -> dict[str, float]:
    """CPU seconds of a month in SQLite: file and statement taken in, all tied and posted, and a run for nothing."""
    lines, receipts = drawn(rows)
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Settings(home=Path(folder), engine="direct"), clock=lambda: NOW, actor="bench")
        _fill(desk, lines)
        remittance = pd.DataFrame({
            "line": np.arange(1, rows + 1), "agency_txn_id": lines["txn_ref"], "account_id": lines["account_id"],
            "type": "recovery", "currency": "CNY", "gross_minor": lines["net_minor"], "commission_minor": 0,
            "vat_minor": 0, "net_minor": lines["net_minor"], "value_date": lines["value_date"],
            "batch_ref": lines["batch_ref"], "original_txn_id": pd.Series(None, index=lines.index, dtype="str"),
        })  # fmt: skip
        entries = pd.DataFrame({
            "entry": np.arange(rows), "amount_minor": receipts["amount_minor"], "currency": "CNY",
            "booked_on": receipts["value_date"], "value_date": receipts["value_date"],
            "reference": receipts["reference"], "payer_account": "A", "is_reversal": False,
        })  # fmt: skip
        statement = BankStatementFile("L", "CNY", "1", 1, None, None, None, None, entries)

        def take_lines() -> None:
            with desk.database.write() as connection:
                accept_remittance(connection, file_id=1, lender="bank", agency="alpha", frame=remittance, now=NOW)

        def take_money() -> None:
            with desk.database.write() as connection:
                store_statement(connection, statement, lender="bank", source="bench", sha256="0", now=NOW)

        with seated(desk):
            steps = {
                "remittance taken in": take_lines,
                "bank taken in": take_money,
                "reconciled": lambda: reconcile("bank", date(2026, 5, 2)),
                "reconciled again": lambda: reconcile("bank", date(2026, 5, 2)),
            }
            spent = {f"{name} ({rows:,})": round(timed(work)[1], 3) for name, work in steps.items()}
        desk.database.close()
    return spent


def _fill(desk: Desk, lines: pd.DataFrame) -> None:
    SQLModel.metadata.create_all(desk.database.engine)
    ids = lines["account_id"].to_numpy(dtype=np.int64)
    accounts = pd.DataFrame({"account_id": ids, "ref_index": pd.Series(ids).astype("str")}).assign(
        lender="bank", debtor_id=1, portfolio_id=1, product="card", currency="CNY", balance_minor=1, dpd=60,
        bucket="M2", as_of=pd.Timestamp(2026, 3, 1),
    )  # fmt: skip
    placements = pd.DataFrame({"placement_id": ids, "account_id": ids}).assign(
        plan_id=1, lender="bank", agency="alpha", debtor_id=1, round=1, stage="phone", segment="all", currency="CNY",
        balance_minor=10_000_000, dpd=60, bucket="M2", placed_on=pd.Timestamp(2026, 3, 1),
        due_back_on=pd.Timestamp(2026, 9, 1), state="placed",
    )  # fmt: skip
    with desk.database.session() as session:
        session.add(Lender(lender="bank", name="Bank", created_at=NOW))
        contract = AgencyContract(
            agency="alpha", lender="bank", effective_from=date(2026, 1, 1), terms=TERMS, sha256="0", created_by="bench",
            created_at=NOW,
        )  # fmt: skip
        session.add(contract)
    with desk.database.write() as connection:
        append(connection, Account, accounts)
        append(connection, Placement, placements)


def run(rows: int) -> dict[str, Any]:
    """Match `rows` lines with as many receipts: CPU seconds beside the floor's on the same frames.

    Ours includes states, why the rest is open, what else was considered, and the journal lines. The two take turns;
    the least of each counts. `stages`: CPU seconds of each rule, then of a month through the store.
    """
    lines, receipts = drawn(rows)
    # the sorts and joins of pandas and numpy warm up once in a process; so do those of polars
    small = drawn(1_000)
    matched_in_stages(*small)
    floor(pl.from_pandas(small[0]), pl.from_pandas(small[1]))
    (outcome, journal, stages), cpu, wall = timed(lambda: matched_in_stages(lines, receipts))
    peak = peak_mb()
    left, right = pl.from_pandas(lines), pl.from_pandas(receipts)
    pairs, floor_cpu, _ = timed(lambda: floor(left, right))
    tied = int((outcome.matches["status"] == "confirmed").sum())
    if pairs != tied:
        raise AssertionError(f"the floor found {pairs} pairs, the rules {tied}")
    if journal["amount_minor"].sum() != 0 or journal["amount_minor"].abs().sum() == 0:
        raise AssertionError("the postings do not balance, or there are none")
    for _ in range(TURNS - 1):
        cpu = min(cpu, timed(lambda: matched_in_stages(lines, receipts))[1])
        floor_cpu = min(floor_cpu, timed(lambda: floor(left, right))[1])
    return {
        "name": "reconcile",
        "rows": rows,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "peak_mb": round(peak),
        "floor_cpu_s": round(floor_cpu, 3),
        "ratio": round(cpu / floor_cpu, 2),
        "stages": stages | through_the_store(min(rows, STORE_ROWS)),
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), indent=1))

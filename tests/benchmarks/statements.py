"""Reading a camt.053 statement, beside the standard library's `iterparse` drawing the same texts from the same file.

The floor only draws texts: it judges nothing, and keeps no rows. Ours does all of it, up to a statement that adds up.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlmodel import SQLModel

from connectors.bank.camt import statements
from flows.reconcile import import_statement
from infra.sandbox.bank import NAMESPACE, BankAccount
from infra.settings import Settings
from infra.wiring import Desk, seated
from models.tables import Lender

NOW = datetime(2026, 5, 1, 8, tzinfo=UTC)
VERSION = 8
AT_ONCE = 50_000
SPACE = f"{{{NAMESPACE.format(version=VERSION)}}}"
DETAIL = "NtryDtls/TxDtls"
PATHS = (
    "Amt", "CdtDbtInd", "RvslInd", "Sts/Cd", "BookgDt/Dt", "ValDt/Dt", "AcctSvcrRef", "NtryRef", "AddtlNtryInf",
    f"{DETAIL}/Amt", f"{DETAIL}/CdtDbtInd", f"{DETAIL}/Refs/EndToEndId", f"{DETAIL}/RmtInf/Strd/CdtrRefInf/Ref",
    f"{DETAIL}/RmtInf/Ustrd", f"{DETAIL}/RltdPties/DbtrAcct/Id/Othr/Id", f"{DETAIL}/RltdPties/CdtrAcct/Id/Othr/Id",
    f"{DETAIL}/RtrInf/Rsn/Cd",
)  # fmt: skip
"""What the floor draws: fewer paths than ours, none of them twice."""


def written(folder: Path, rows: int) -> Path:
    """A month of so many entries on one account, as the sandbox's bank writes it; the same for the same number."""
    rng = np.random.default_rng(5)
    number = np.arange(rows)
    entries = pd.DataFrame({
        "amount_minor": rng.integers(1, 1_000_000, rows) * np.where(rng.random(rows) < 0.1, -1, 1),
        "value_date": pd.Timestamp(2026, 4, 1) + pd.to_timedelta(number * 30 // max(rows, 1), unit="D"),
        "reference": pd.Series(number).map("T{:09d}".format).astype("str"),
        "text": pd.Series(number // 50).map("remittance batch B{:07d}".format).astype("str"),
        "payer_account": pd.Series("CN1200000000000001", index=number, dtype="str"),
        "payer": pd.Series("Alpha Collections", index=number, dtype="str"),
    })  # fmt: skip
    account = BankAccount("LENDER-1", "CNY", 10_000_000)
    return account.write(folder / "april.xml", entries, date(2026, 4, 1), date(2026, 4, 30), version=VERSION)


def floor(path: Path) -> int:
    """How many entries the standard library's `iterparse` finds, having drawn the texts of PATHS from each."""
    paths = ["/".join(SPACE + step for step in one.split("/")) for one in PATHS]
    found = 0
    texts: list[tuple[str | None, ...]] = []
    for _, element in ET.iterparse(path):  # noqa: S314 - the floor, on a file of our own
        if element.tag == SPACE + "Ntry":
            texts.append(tuple(element.findtext(one) for one in paths))
            found += 1
            element.clear()
            if len(texts) >= AT_ONCE:
                texts = []
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The work's result and its CPU seconds, all threads."""
    begun = time.process_time()
    return work(), time.process_time() - begun


def taken_in(path: Path, folder: Path) -> None:
    """The file is in the books of a fresh store, as `consign recon import` takes it."""
    desk = Desk(Settings(home=folder, engine="direct"), clock=lambda: NOW, actor="bench")
    SQLModel.metadata.create_all(desk.database.engine)
    with desk.database.session() as session:
        session.add(Lender(lender="bank", name="Bank", created_at=NOW))
    with seated(desk):
        import_statement(path, "bank", new_account=True)
    desk.database.close()


def run(rows: int) -> dict[str, Any]:
    """CPU seconds to read a statement of so many entries, ours and the standard library's on the same file.

    `stages`: the whole import, from the file to the books; microseconds per entry; memory before and after reading.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall = time.perf_counter()
        (statement,), ours = timed(lambda: statements(path))
        wall = time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        read = len(statement.entries)
        del statement
        entries, theirs = timed(lambda: floor(path))
        if not read == entries == rows:
            raise AssertionError(f"{rows} entries were written, {read} and {entries} read")
        _, imported = timed(lambda: taken_in(path, Path(folder) / "home"))
        return {
            "name": "statements",
            "rows": rows,
            "cpu_s": round(ours, 3),
            "wall_s": round(wall, 3),
            "peak_mb": round(peak / 1024),
            "floor_cpu_s": round(theirs, 3),
            "ratio": round(ours / theirs, 2),
            "stages": {
                "file, megabytes": round(path.stat().st_size / 1e6, 1),
                "us per entry": round(ours / rows * 1e6, 2),
                "iterparse, us": round(theirs / rows * 1e6, 2),
                "times as fast": round(theirs / ours, 1),
                "MB before reading": round(before / 1024),
                "imported, CPU s": round(imported, 2),
                "MB after importing": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            },
        }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), indent=1))

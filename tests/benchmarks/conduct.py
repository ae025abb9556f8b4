"""Conduct: an audit of so many contacts in the store, against plain pandas groupbys over the same rows in memory."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.measure import Stages, costing

START = date(2026, 3, 1)
NOW = datetime(2026, 3, 31, 4, tzinfo=UTC)
PER_DEBTOR = 10
FILES = 20


def run(rows: int) -> dict[str, Any]:
    """Audit that many contacts of a month, ten a debtor, from twenty files; every hundredth breaks some rule."""
    import infra.conduct
    from infra.conduct import audit_conduct
    from infra.sandbox.world import settings_of
    from infra.store import bulk, schema
    from infra.store import conduct as store
    from infra.wiring import Desk, seated

    with tempfile.TemporaryDirectory(prefix="consign-bench-") as folder:
        desk = Desk(settings_of(Path(folder), engine="direct"), clock=lambda: NOW, actor="bench")
        schema.ensure(desk.database)
        frame = _filled(desk, rows)
        stages = Stages()
        for name, stage in (("parts", "whom"), ("contacts", "read"), ("placements", "read"), ("keep", "write")):
            stages.watch(store, name, stage)
        for name in ("contacts_of", "judged"):
            stages.watch(infra.conduct, name, "judge")
        stages.watch(bulk, "append", "write")
        with seated(desk), costing() as cost:
            report = audit_conduct(desk)
        stages.stop()
        assert report.contacts == rows, report
        with costing() as floor:
            counted = _floor(frame)
        desk.database.close()
        return {
            "name": "conduct", "rows": rows, "cpu_s": round(cost.cpu_s, 2), "wall_s": round(cost.wall_s, 2),
            "peak_mb": round(cost.peak_mb), "floor_cpu_s": round(floor.cpu_s, 2),
            "ratio": round(cost.cpu_s / floor.cpu_s, 1),
            "stages": {name: round(seconds, 2) for name, seconds in sorted(stages.seconds.items())},
            "text": f"{report.found:,} breaches; judging alone is "
            f"{stages.seconds['judge'] / floor.cpu_s:.1f} times the floor, which finds {counted:,} by three rules",
        }  # fmt: skip


def _filled(desk: Any, rows: int) -> pd.DataFrame:
    """The store has the contacts; they are returned as the floor takes them."""
    from infra.store import bulk
    from models.tables import Account, Activity, Agency, Debtor, InboundFile, Lender, Placement

    draw = np.random.default_rng(1)
    debtors = rows // PER_DEBTOR
    ids = np.arange(1, debtors + 1, dtype=np.int64)
    placement = draw.permutation(np.repeat(ids, PER_DEBTOR))
    minute = draw.integers(8 * 60, 22 * 60, rows)
    minute = np.where(draw.random(rows) < 0.01, 23 * 60, minute)  # a hundredth in the night
    day = draw.integers(1, 29, rows)
    at = (np.datetime64("2026-03-01") + day).astype("datetime64[m]") + minute - 480
    outcome = draw.choice(["no_answer", "connected", "busy", "promise", "invalid"], rows, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    with desk.database.session() as session:
        session.add(Lender(lender="harbour", name="Harbour", created_at=NOW))
        session.add(Agency(agency="quayside", name="Quayside", state="live", drop="{}", created_at=NOW))
        for number in range(1, FILES + 1):
            session.add(
                InboundFile(
                    file_id=number, agency="quayside", lender="harbour", name=f"f{number}", kind="activity",
                    state="accepted", sealed_sha256=f"{number}", sealed_size=1, stored_path="", received_at=NOW,
                    accepted_at=NOW,
                )
            )  # fmt: skip
    frame = pd.DataFrame({
        "placement_id": placement, "at": pd.Series(at.astype("datetime64[us]")).dt.tz_localize("UTC"),
        "outcome": pd.Series(outcome, dtype="str"), "contact_point_ref": "p1",
    })  # fmt: skip
    with desk.database.write() as connection:
        bulk.append(connection, Debtor, pd.DataFrame({
            "debtor_id": ids, "lender": "harbour", "identity_index": ids.astype(str), "created_at": NOW,
        }))  # fmt: skip
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": "harbour", "ref_index": ids.astype(str), "debtor_id": ids, "portfolio_id": 1,
            "product": "card", "currency": "CNY", "balance_minor": 1, "dpd": 95, "bucket": "M4", "region": "310000",
            "as_of": pd.Timestamp(START),
        }))  # fmt: skip
        bulk.append(connection, Placement, pd.DataFrame({
            "placement_id": ids, "plan_id": 1, "lender": "harbour", "agency": "quayside", "account_id": ids,
            "debtor_id": ids, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY", "balance_minor": 1,
            "dpd": 95, "bucket": "M4", "placed_on": pd.Timestamp(START), "due_back_on": pd.Timestamp(2026, 6, 1),
            "state": "acknowledged",
        }))  # fmt: skip
        bulk.append(connection, Activity, frame.assign(
            file_id=np.arange(rows) % FILES + 1, line=np.arange(rows) // FILES + 1, agency="quayside",
            offset_minutes=480, channel="phone",
        ))  # fmt: skip
    return frame


def _floor(frame: pd.DataFrame) -> int:
    """Three rules of the eleven, as anybody would write them: night, connected per day, attempts per number and day."""
    local = frame["at"].dt.tz_convert("Asia/Shanghai")
    told = frame.assign(day=local.dt.normalize(), hour=local.dt.hour)
    night = ((told["hour"] >= 22) | (told["hour"] < 8)).sum()
    spoken = told[told["outcome"].isin(["connected", "promise", "refused"])].groupby(["placement_id", "day"]).size()
    failed = told[told["outcome"].isin(["no_answer", "busy"])]
    tried = failed.groupby(["placement_id", "contact_point_ref", "day"]).size()
    return int(night + (spoken - 3).clip(lower=0).sum() + (tried - 6).clip(lower=0).sum())

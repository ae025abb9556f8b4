"""Scores: so many placements in the store scored by the verb, pages and flags included."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.measure import Stages, costing

AGENCIES = 20
CONTACTS_AT_ONCE = 250_000


def run(rows: int) -> dict[str, Any]:
    """Score that many placements of a simulated book with twenty agencies, their payments and one contact each."""
    import infra.scorecards.files
    import models.scoring.assessment
    import models.scoring.book
    from flows.score import score
    from infra.sandbox.simulation import world
    from infra.sandbox.world import settings_of
    from infra.store import schema, scores
    from infra.wiring import Desk, seated

    drawn = world(1, agencies=AGENCIES, accounts=rows)
    now = datetime.combine(drawn.as_of, time(4), UTC)
    with tempfile.TemporaryDirectory(prefix="consign-bench-") as folder:
        desk = Desk(settings_of(Path(folder), engine="direct"), clock=lambda: now, actor="bench")
        schema.ensure(desk.database)
        _filled(desk, drawn.inputs, now)
        stages = Stages()
        stages.watch(scores, "inputs", "read")
        stages.watch(scores, "keep", "write")
        stages.watch(models.scoring.book, "expectation", "fit")
        stages.watch(models.scoring.assessment, "assess", "assess")
        stages.watch(infra.scorecards.files, "write", "pages")
        with seated(desk), costing() as cost:
            report = score(None, drawn.as_of)
        stages.stop()
        assert report.placements == rows, report
        with costing() as floor:
            drawn.inputs.placements.groupby(["agency", "product", "score_band"], observed=True)["balance_minor"].sum()
        desk.database.close()
        return {
            "name": "scores", "rows": rows, "cpu_s": round(cost.cpu_s, 2), "wall_s": round(cost.wall_s, 2),
            "peak_mb": round(cost.peak_mb), "floor_cpu_s": round(floor.cpu_s, 2),
            "ratio": round(cost.cpu_s / max(floor.cpu_s, 0.01), 1),
            "stages": {name: round(seconds, 2) for name, seconds in sorted(stages.seconds.items())},
            "text": f"{AGENCIES} agencies, {len(drawn.inputs.lines):,} remittance lines, "
            f"{len(drawn.inputs.contacts):,} contacts, {4 * AGENCIES + 4} pages to print; the floor is one groupby",
        }  # fmt: skip


def _filled(desk: Any, inputs: Any, now: datetime) -> None:
    """The store holds the book."""
    from infra.store.bulk import append
    from models.tables import Account, Activity, Agency, Placement, RemittanceLine

    held = inputs.placements
    ids = held["placement_id"].to_numpy()
    plain = held[["lender", "currency", "debtor_id", "balance_minor", "dpd"]].assign(bucket="M2", account_id=ids)
    account = plain.assign(
        ref_index=ids.astype(str), portfolio_id=1, product=held["product"], score_band=held["score_band"],
        as_of=held["placed_on"],
    )  # fmt: skip
    placement = plain.assign(
        placement_id=ids, plan_id=1, agency=held["agency"], round=1, stage="phone", segment="all",
        placed_on=held["placed_on"], due_back_on=held["due_back_on"], ended_on=held["ended_on"],
        end_reason=held["end_reason"].where(held["end_reason"] != ""), state="acknowledged",
    )  # fmt: skip
    lines = inputs.lines.reset_index(drop=True)
    number = np.arange(len(lines))
    line = lines.drop(columns="commission_minor").assign(
        line_id=number, content_id=number.astype(str), file_id=1, line=number, lender="harbour", state="matched",
        account_id=lines["placement_id"], net_minor=lines["gross_minor"],
        due_commission_minor=lines["commission_minor"],
    )  # fmt: skip
    with desk.database.write() as connection:
        append(connection, Account, account)
        append(connection, Placement, placement)
        append(connection, RemittanceLine, line)
    for start in range(0, len(inputs.contacts), CONTACTS_AT_ONCE):
        some = inputs.contacts.iloc[start : start + CONTACTS_AT_ONCE]
        told = pd.DataFrame({
            "file_id": 1 + start // CONTACTS_AT_ONCE, "line": np.arange(len(some)), "agency": "ag00",
            "placement_id": some["placement_id"].to_numpy(), "at": some["first_contact_on"].dt.tz_localize("UTC"),
            "offset_minutes": 480, "channel": "phone", "outcome": "no_answer",
        })  # fmt: skip
        with desk.database.write() as connection:
            append(connection, Activity, told)
    with desk.database.session() as session:
        for code in sorted(held["agency"].unique()):
            session.add(Agency(agency=str(code), name=str(code), state="live", drop="{}", created_at=now))

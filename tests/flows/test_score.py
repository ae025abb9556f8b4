"""Scoring as a verb: once per inputs, with its scorecards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

from console.cli.score import app
from flows.score import score, scorecards, show
from infra.settings import Settings
from infra.store.bulk import append
from infra.wiring import Desk, seated
from models.errors import UsageError
from models.tables import Account, Agency, Placement, RemittanceLine

NOW = datetime(2026, 5, 2, 4, tzinfo=UTC)
ACCOUNTS = 900


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Nine hundred accounts with three agencies since January."""
    desk = Desk(Settings(home=tmp_path, engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    ids = np.arange(ACCOUNTS)
    codes = np.array(["hengxin", "lotus", "quayside"])[ids % 3]
    placed = pd.Timestamp("2026-01-05")
    plain = {"lender": "harbour", "debtor_id": ids, "account_id": ids, "currency": "CNY", "bucket": "M2", "dpd": 40}
    account = pd.DataFrame({
        **plain, "ref_index": ids.astype(str), "portfolio_id": 1, "product": "card", "balance_minor": 1_000_000,
        "as_of": placed,
    })  # fmt: skip
    placement = pd.DataFrame({
        **plain, "placement_id": ids, "plan_id": 1, "agency": codes, "round": 1, "stage": "phone", "segment": "all",
        "balance_minor": 1_000_000, "placed_on": placed, "due_back_on": placed + pd.Timedelta(days=180),
        "state": "placed",
    })  # fmt: skip
    paying = ids[ids % 5 == 0]
    line = pd.DataFrame({
        "line_id": paying, "content_id": paying.astype(str), "file_id": 1, "line": paying, "lender": "harbour",
        "agency": codes[paying], "placement_id": paying, "account_id": paying, "gross_minor": 90_000,
        "net_minor": 90_000,
        "currency": "CNY", "value_date": placed + pd.Timedelta(days=20), "state": "matched",
    })  # fmt: skip
    with desk.database.write() as connection:
        append(connection, Account, account)
        append(connection, Placement, placement)
        append(connection, RemittanceLine, line)
    with desk.database.session() as session:
        for code in np.unique(codes):
            session.add(Agency(agency=str(code), name=str(code).title(), drop="{}", created_at=NOW))
    with seated(desk):
        yield desk
    desk.database.close()


@pytest.mark.usefixtures("desk")
def test_scoring_twice_is_one_run() -> None:
    first, second = score(), score()
    assert (first.run_id, first.fresh) == (second.run_id, not second.fresh)
    assert first.agencies == 3
    assert first.placements == ACCOUNTS
    assert Path(first.csv_path).exists()
    assert (Path(first.scorecards_dir) / "overview.zh.html").exists()


def test_new_money_is_a_new_run(desk: Desk) -> None:
    first = score()
    with desk.database.write() as connection:
        more = {"line_id": 5_000, "content_id": "x", "file_id": 2, "line": 1, "lender": "harbour", "agency": "lotus",
                "placement_id": 1, "account_id": 1, "gross_minor": 5_000, "net_minor": 5_000, "currency": "CNY",
                "value_date": pd.Timestamp("2026-03-01"), "state": "matched"}  # fmt: skip
        append(connection, RemittanceLine, pd.DataFrame([more]))
    assert score().run_id != first.run_id


@pytest.mark.usefixtures("desk")
def test_another_seed_or_day_is_another_run() -> None:
    runs = {score().run_id, score(seed=1).run_id, score(as_of=date(2026, 4, 1)).run_id}
    assert len(runs) == 3


@pytest.mark.usefixtures("desk")
def test_lost_pages_come_back_as_they_were() -> None:
    report = score()
    folder = Path(report.scorecards_dir)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    assert scorecards().run_id == report.run_id
    assert score().run_id == report.run_id
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.usefixtures("desk")
def test_the_future_is_refused() -> None:
    with pytest.raises(UsageError, match="has not come"):
        score(as_of=date(2027, 1, 1))


@pytest.mark.usefixtures("desk")
def test_nothing_sent_is_said() -> None:
    with pytest.raises(UsageError, match="no placement of nobody"):
        score(lender="nobody")


@pytest.mark.usefixtures("desk")
def test_nothing_scored_is_said() -> None:
    with pytest.raises(UsageError, match="nothing has been scored"):
        show()
    score()
    with pytest.raises(UsageError, match="no score run 99"):
        show(99)


@pytest.mark.usefixtures("desk")
def test_the_command_line_scores_and_shows() -> None:
    runner = CliRunner()
    ran = runner.invoke(app, ["run", "--as-of", "2026-05-01", "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["agencies"] == 3
    shown = runner.invoke(app, ["show", "--json"])
    rows = json.loads(shown.stdout)["items"]
    assert [row["agency"] for row in rows] == ["hengxin", "lotus", "quayside"]
    assert {"recovery", "low", "high", "p_best", "gate"} <= rows[0].keys()
    again = runner.invoke(app, ["scorecard", "--json"])
    assert json.loads(again.stdout)["fresh"] is False

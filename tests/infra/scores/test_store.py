"""What a score is drawn from, and the runs that are kept."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from infra.store import scores
from infra.store.database import Database
from models.scoring.assessment import assess
from models.tables import Placement, Recall

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)


def test_what_was_never_sent_or_is_no_money_is_not_read(database: Database, as_of: date) -> None:
    with database.read() as connection:
        drawn = scores.inputs(connection, None, as_of, 2)
    assert 0 not in set(drawn.placements["placement_id"])
    assert len(drawn.placements) == 1199
    assert drawn.lines["kind"].value_counts()[["direct", "in_break"]].tolist() == [1, 1]
    assert (drawn.lines["commission_minor"] == drawn.lines["gross_minor"] // 5).all()


def test_a_recall_because_it_was_paid_ended_by_being_paid(database: Database, as_of: date) -> None:
    with database.session() as session:
        for number, reason in ((3, "paid"), (4, "hold")):
            placement = session.get_one(Placement, number)
            placement.state, placement.ended_on, placement.end_reason = "closed", date(2026, 2, 1), "recalled"
            session.add(placement)
            session.add(
                Recall(
                    recall_id=number,
                    placement_id=number,
                    agency="lotus",
                    reason=reason,
                    requested_on=as_of,
                    due_on=as_of,
                    requested_by="chen.yu",
                )
            )
    with database.read() as connection:
        told = scores.inputs(connection, None, as_of, 2).placements.set_index("placement_id")["end_reason"]
    assert told[[3, 4, 5]].tolist() == ["paid", "recalled", ""]


def test_the_future_is_not_read(database: Database) -> None:
    with database.read() as connection:
        drawn = scores.inputs(connection, None, date(2026, 2, 1), 2)
    assert str(drawn.placements["placed_on"].max().date()) <= "2026-02-01"
    assert str(drawn.lines["value_date"].max().date()) <= "2026-02-01"


def test_one_lender_sees_its_own(database: Database, as_of: date) -> None:
    with database.read() as connection:
        drawn = scores.inputs(connection, "alder", as_of, 2)
    assert set(drawn.placements["lender"]) == {"alder"}
    assert drawn.conduct["files"].sum() == 0
    assert len(drawn.lines) < len(drawn.placements) / 2


def test_conduct_is_counted_per_agency(database: Database, as_of: date) -> None:
    with database.read() as connection:
        told = scores.inputs(connection, None, as_of, 2).conduct
    assert told.loc["lotus"].to_dict() == {
        "files": 2, "files_refused": 1, "lines": 100, "lines_refused": 1, "deliveries": 1, "acknowledged_late": 1,
        "complaints": 1, "complaints_serious": 0, "breaches": 2, "breaches_serious": 1, "invoice_lines": 1,
        "invoice_lines_disputed": 0, "breaks": 1, "breaks_open": 1, "recalls": 3, "recalls_late": 2, "erasures": 2,
        "erasures_late": 1, "reports_late": 1,
    }  # fmt: skip
    assert told["acknowledged_late"].to_dict() == {"hengxin": 0, "lotus": 1, "northgate": 1, "quayside": 1}
    assert told["invoice_lines_disputed"].to_dict() == {"hengxin": 0, "lotus": 0, "northgate": 1, "quayside": 0}


def test_the_first_contact_with_a_placement_is_read(database: Database, as_of: date) -> None:
    with database.read() as connection:
        told = scores.inputs(connection, None, as_of, 2).contacts
        early = scores.inputs(connection, None, date(2026, 5, 15), 2).contacts
    assert sorted(told["placement_id"]) == [5, 6]
    assert str(told.set_index("placement_id").loc[6, "first_contact_on"]) == "2026-06-01 00:00:00"
    assert early["placement_id"].tolist() == [5]


def test_a_run_is_kept_once(database: Database, as_of: date) -> None:
    with database.read() as connection:
        drawn = scores.inputs(connection, None, as_of, 2)
    assessment = assess(drawn, as_of, 7)
    name = (None, as_of, "m/1", 7, drawn.sha256())
    with database.write() as connection:
        first = scores.keep(connection, *name, assessment, NOW)
    with database.write() as connection:
        second = scores.keep(connection, *name, assessment, NOW)
    with database.read() as connection:
        assert first == second == scores.latest(connection)
        assert scores.find(connection, *name) == first
        assert scores.find(connection, None, as_of, "m/2", 7, drawn.sha256()) is None
        run = scores.load(connection, first)
        assert scores.load(connection, first + 1) is None
        assert scores.latest(connection, "alder") is None
    assert run is not None
    assert run.summary == assessment.summary
    assert run.made_at == NOW
    assert run.names["hengxin"] == "恒信资产"
    assert len(run.components) == len(assessment.components)
    kept = run.components.set_index(["agency", "component", "segment"])["value"]
    told = next(one for one in assessment.components if one.component == "overall" and one.agency == "quayside")
    assert kept["quayside", "overall", "all"] == pytest.approx(told.value)

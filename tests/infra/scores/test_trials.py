"""The scores on books whose truth is known, few of them; many in tests/acceptance/test_scoring_trials.py."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from console.cli.score import app
from infra.sandbox.simulation import world
from infra.sandbox.trials import EDGES, rows, try_flags, try_scores
from models.scoring.gaming import PATTERNS
from models.scoring.inputs import CONTACTS, LINES, PLACEMENTS


def test_a_world_is_drawn_from_its_seed() -> None:
    once, again, other = world(5, accounts=800), world(5, accounts=800), world(6, accounts=800)
    for name in ("placements", "lines", "contacts"):
        pd.testing.assert_frame_equal(getattr(once.inputs, name), getattr(again.inputs, name))
    assert once.inputs.sha256() == again.inputs.sha256() != other.inputs.sha256()
    assert set(LINES) == set(once.inputs.lines)
    assert set(PLACEMENTS) == set(once.inputs.placements)
    assert set(CONTACTS) == set(once.inputs.contacts)


def test_a_world_keeps_to_its_calendar() -> None:
    inputs, as_of = world(5, accounts=2000).inputs, pd.Timestamp(world(5, accounts=10).as_of)
    assert inputs.lines["value_date"].max() <= as_of
    assert inputs.contacts["first_contact_on"].max() <= as_of
    assert inputs.placements["ended_on"].max() <= as_of
    assert (inputs.lines.groupby("placement_id")["gross_minor"].sum() >= 0).all()


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="no such pattern: flattery"):
        world(1, planted={0: "flattery"})


def test_few_worlds_show_what_many_prove() -> None:
    ticks: list[int] = []
    trial = try_scores(6, 50, lambda: ticks.append(1))
    assert len(ticks) == trial.worlds == 6
    assert trial.intervals == 48
    assert trial.coverage >= 0.8
    assert trial.miscalibration <= 0.15
    assert trial.rank_correlation["score"] > trial.rank_correlation["raw liquidation"]
    assert sum(count for count, *_ in trial.best) <= 48
    assert len(trial.best) <= len(EDGES) + 1


def test_planted_patterns_are_flagged_and_others_are_not() -> None:
    found = try_flags(3, 500)
    assert found.planted == dict.fromkeys(PATTERNS, 3)
    assert sum(found.found.values()) >= 16
    assert found.false_share <= 0.1
    told = rows(try_scores(2, 1), found)
    assert next(row for row in told if row["what"].startswith("flags that are false"))["holds"]


def test_the_command_line_tries_the_scores() -> None:
    ran = CliRunner().invoke(app, ["trial", "--worlds", "2", "--gaming", "1", "--seed", "9", "--json"])
    assert ran.exit_code == 0, ran.output
    told = {row["what"]: row for row in json.loads(ran.stdout)["items"]}
    assert told["untouched: planted and flagged"]["measured"] == 1
    assert told["rank correlation with the truth: raw liquidation"]["holds"] is None

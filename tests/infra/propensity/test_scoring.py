"""What a model in use says of accounts: kept beside them, written as bands where that is on, forgotten with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from infra.propensity import scoring, versions
from infra.store import propensity as store
from infra.store import scores, shredding
from infra.wiring import Desk
from models.errors import UsageError

As = Callable[..., Desk]


def rows(desk: Desk, query: str) -> list[Any]:
    """What the store has."""
    with desk.database.read() as connection:
        return list(connection.execute(text(query)).all())


BANDS = "SELECT account_id, score_band, version FROM account ORDER BY account_id"


def test_every_open_account_gets_a_chance_and_no_band_while_they_are_only_shown(used: Desk) -> None:
    before = rows(used, BANDS)
    report = scoring.score(used)
    assert (report.lenders, report.accounts, report.bands_written) == (1, 3_000, 0)
    assert rows(used, BANDS) == before
    told = rows(used, "SELECT chance, share, expected_minor, band FROM propensity_score")
    assert len(told) == 3_000
    assert all(0 < one.chance < 1 and 0 < one.share < 1 and one.expected_minor >= 0 for one in told)
    means = {band: np.mean([one.chance for one in told if one.band == band]) for band in ("P1", "P3", "P5")}
    assert means["P1"] > means["P3"] > means["P5"]


def test_in_small_shards_the_same_is_said(used: Desk, as_: As) -> None:
    scoring.score(used)
    query = "SELECT account_id, chance, band FROM propensity_score ORDER BY account_id"
    whole = rows(used, query)
    small = as_("chen.yu")
    small.settings = used.settings.model_copy(update={"shard_rows": 700})
    scoring.score(small)
    assert rows(used, query) == whole


def test_bands_are_written_where_no_agency_has_the_account_and_plans_notice(used: Desk, as_: As) -> None:
    before = {row.account_id: row for row in rows(used, BANDS)}
    out = {row.account_id for row in rows(used, "SELECT account_id FROM placement WHERE state = 'placed'")}
    report = scoring.score(as_(propensity="bands"))
    after = {row.account_id: row for row in rows(used, BANDS)}
    assert report.bands_written == 3_000 - len(out) > 0
    for account, row in after.items():
        if account in out:
            assert row == before[account]
        else:
            assert row.score_band.startswith("P")
            assert row.version == before[account].version + 1
    assert scoring.score(as_(propensity="bands")).bands_written == 0


@pytest.mark.parametrize("how", ["shown", "off", "withdrawn"])
def test_the_lenders_own_bands_stand_again_when_it_ends(used: Desk, as_: As, how: str) -> None:
    before = [row.score_band for row in rows(used, BANDS)]
    scoring.score(as_(propensity="bands"))
    assert [row.score_band for row in rows(used, BANDS)] != before
    if how == "withdrawn":
        versions.withdraw(as_(propensity="bands"), 1, "no longer trusted")
        assert rows(used, "SELECT * FROM propensity_score") == []
    else:
        assert scoring.score(as_(propensity=how)).bands_put_back > 0
    assert [row.score_band for row in rows(used, BANDS)] == before


def test_what_a_later_snapshot_says_is_the_lenders_and_is_put_back_in_its_turn(used: Desk, as_: As) -> None:
    scoring.score(as_(propensity="bands"))
    with used.database.write() as connection:
        connection.execute(text("UPDATE account SET score_band = 'E' WHERE account_id = 2900"))
    scoring.score(as_(propensity="bands"))
    scoring.score(used)
    assert rows(used, "SELECT score_band FROM account WHERE account_id = 2900")[0].score_band == "E"


def test_a_placement_keeps_the_band_that_it_was_placed_with(used: Desk, as_: As) -> None:
    """A score's segments are of what was known at placement: later bands know how it ended."""
    with used.database.write() as connection:
        connection.execute(text("UPDATE placement SET score_band = 'B' WHERE placement_id = 1"))
    scoring.score(as_(propensity="bands"))
    with used.database.read() as connection:
        drawn = scores.inputs(connection, "harbour", used.today(), 2).placements.set_index("placement_id")
    assert drawn.loc[1, "score_band"] == "B"
    assert drawn.loc[2, "score_band"] == ""


def test_an_accounts_reasons_add_up(used: Desk) -> None:
    told = scoring.explain(used, "#2500")
    found = told.explained
    assert found.average + sum(one.log_odds for one in found.reasons) == pytest.approx(found.log_odds)
    scoring.score(used)
    kept = rows(used, "SELECT chance, expected_minor, band FROM propensity_score WHERE account_id = 2500")[0]
    assert (kept.chance, kept.expected_minor, kept.band) == (
        pytest.approx(found.chance), told.expected_minor, found.band,
    )  # fmt: skip


def test_a_debtor_who_asks_is_told_what_is_said_of_the_account(used: Desk) -> None:
    scoring.score(used)
    with used.database.read() as connection:
        told = store.of_accounts(connection, [2_500])
    assert told["account_id"].tolist() == [2_500]
    assert told["band"].iloc[0] in {"P1", "P2", "P3", "P4", "P5"}


def test_an_account_that_nobody_knows_is_said(used: Desk) -> None:
    with pytest.raises(UsageError, match="no account #99999"):
        scoring.explain(used, "#99999")
    with pytest.raises(UsageError, match="no lender is named"):
        scoring.explain(used, "6217-0001")


def test_without_a_model_nothing_is_said(desk: Desk) -> None:
    assert scoring.score(desk) == scoring.Scored(switched="shown")
    with pytest.raises(UsageError, match="no model of harbour is in use"):
        scoring.explain(desk, "#2500")
    with pytest.raises(UsageError, match="no model of harbour is in use"):
        scoring.score(desk, "harbour")


def test_what_is_said_of_an_account_is_forgotten_with_it(used: Desk, as_: As) -> None:
    scoring.score(as_(propensity="bands"))
    with used.database.write() as connection:
        connection.execute(text("UPDATE placement SET score_band = 'P2' WHERE account_id = 5"))
        shredding.erased(connection, np.array([5, 2_900]), 1, datetime(2026, 5, 2, tzinfo=UTC))
    assert rows(used, "SELECT * FROM propensity_score WHERE account_id IN (5, 2900)") == []
    assert rows(used, "SELECT score_band FROM placement WHERE account_id = 5")[0].score_band is None
    assert rows(used, "SELECT score_band FROM account WHERE account_id = 2900")[0].score_band is None

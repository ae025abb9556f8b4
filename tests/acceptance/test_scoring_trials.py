"""What the scores promise, on many books whose truth is known: run by `make accept`, some four minutes."""

from __future__ import annotations

import pytest

from infra.sandbox.trials import SCORE, FlagTrial, Trial, try_flags, try_scores
from models.scoring.gaming import PATTERNS

WORLDS, GAMING = 270, 60
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def scored() -> Trial:
    return try_scores(WORLDS, 1000)


@pytest.fixture(scope="module")
def gamed() -> FlagTrial:
    return try_flags(GAMING, 100)


def test_nominal_intervals_cover_the_truth(scored: Trial) -> None:
    assert scored.intervals == WORLDS * 8
    assert scored.coverage >= 0.88


def test_the_probability_to_be_best_is_how_often_one_is(scored: Trial) -> None:
    assert scored.miscalibration <= 0.05
    # each bin by itself too, as far as so few can say
    for count, told, was in scored.best:
        assert abs(told - was) <= 0.05 + 2 * (told * (1 - told) / count) ** 0.5


def test_the_score_ranks_no_worse_than_any_way_people_use(scored: Trial) -> None:
    assert scored.rank_correlation[SCORE] >= scored.rank_correlation[scored.best_baseline]
    assert scored.rank_correlation[SCORE] > scored.rank_correlation["raw liquidation"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_planted_pattern_is_flagged(gamed: FlagTrial, pattern: str) -> None:
    assert gamed.planted[pattern] == GAMING
    assert gamed.found[pattern] >= 0.9 * GAMING


def test_false_discoveries_stay_within_their_rate(gamed: FlagTrial) -> None:
    assert gamed.flagged > 0
    assert gamed.false_share <= 0.1

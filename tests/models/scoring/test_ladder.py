"""What vintages come to: chain-ladder beyond the square triangles of textbooks."""

from __future__ import annotations

import numpy as np
import pytest

from models.scoring.ladder import chain_ladder

NAN = np.nan


def test_vintages_of_one_age_share_their_development() -> None:
    ladder = chain_ladder(np.array([[100.0, 150, 180], [100, 150, 180], [100, 150, NAN], [50, NAN, NAN]]))
    assert ladder.factors.tolist() == pytest.approx([1.5, 1.2])
    assert ladder.ultimate.tolist() == pytest.approx([180, 180, 180, 90])
    assert ladder.to_come.tolist() == pytest.approx([0, 0, 30, 40])


def test_where_all_develop_alike_there_is_no_error() -> None:
    ladder = chain_ladder(np.array([[100.0, 150, 180], [40, 60, NAN], [50, NAN, NAN]]))
    assert ladder.total_error == pytest.approx(0, abs=1e-9)


def test_nothing_to_go_by_is_not_extrapolated() -> None:
    ladder = chain_ladder(np.array([[0.0, 0, 20], [0, 0, NAN], [0, NAN, NAN]]))
    assert ladder.ultimate.tolist() == [20, 0, 0]
    assert ladder.total_error == 0


def test_the_error_covers_what_vintages_came_to() -> None:
    """Two standard errors hold the truth of simulated vintages about as often as they should."""
    rng = np.random.default_rng(4)
    held = []
    for _ in range(300):
        whole = np.cumsum(rng.poisson(np.outer(np.full(8, 400.0), 0.6 ** np.arange(8))), axis=1).astype(float)
        seen = np.where(np.add.outer(np.arange(8), np.arange(8)) < 8, whole, NAN)
        ladder = chain_ladder(seen)
        held.append(abs(ladder.ultimate.sum() - whole[:, -1].sum()) <= 1.645 * ladder.total_error)
    assert 0.82 <= np.mean(held) <= 0.97

"""What others have published comes out here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.scoring.ladder import chain_ladder
from models.scoring.pooling import james_stein, logit_normal
from models.scoring.survival import incidence, kaplan_meier

TAYLOR_ASHE = (
    (357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463),
    (352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085),
    (290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315),
    (310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268),
    (443160, 1136350, 2128333, 2897821, 3402672, 3873311),
    (396132, 1333217, 2180715, 2985752, 3691712),
    (440832, 1288463, 2419861, 3483130),
    (359480, 1421128, 2864498),
    (376686, 1363294),
    (344014,),
)
RESERVES = (0, 94_634, 469_511, 709_638, 984_889, 1_419_459, 2_177_641, 3_920_301, 4_278_972, 4_625_811)
"""Mack 1993; England & Verrall 2002."""
ERRORS = (0, 75_535, 121_699, 133_549, 261_406, 411_010, 558_317, 875_328, 971_258, 1_363_155)
"""Mack 1993, standard errors of the reserves."""
HITS = (18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7)
"""Of 45 at bat each; Efron & Morris 1977."""
DEATHS = (0, 18, 8, 46, 8, 13, 9, 31, 14, 8, 29, 24)
OPERATIONS = (47, 148, 119, 810, 211, 196, 148, 215, 207, 97, 256, 360)
SURGICAL = (0.0528, 0.1040, 0.0707, 0.0591, 0.0515, 0.0692, 0.0671, 0.1231, 0.0704, 0.0787, 0.1028, 0.0687)
"""Posterior means by MCMC; Spiegelhalter et al., the BUGS book."""
DRAWS = 1_000
"""Of that sampler, effectively."""
MP6_WEEKS = (6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35)
MP6_RELAPSED = (1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0)
"""Freireich et al. 1963."""


@pytest.fixture
def triangle() -> np.ndarray:
    square = np.full((10, 10), np.nan)
    for row, cells in enumerate(TAYLOR_ASHE):
        square[row, : len(cells)] = cells
    return square


def test_the_chain_ladder_gives_the_reserves_of_taylor_and_ashe(triangle: np.ndarray) -> None:
    ladder = chain_ladder(triangle)
    assert ladder.to_come.round().astype(int).tolist() == list(RESERVES)
    assert round(ladder.total_to_come) == 18_680_856


def test_macks_error_is_macks(triangle: np.ndarray) -> None:
    ladder = chain_ladder(triangle)
    assert ladder.error.round().astype(int).tolist() == list(ERRORS)
    assert round(ladder.total_error) == 2_447_095


@pytest.mark.filterwarnings("ignore")  # chainladder's own, about pandas
def test_the_library_of_the_actuaries_agrees(triangle: np.ndarray) -> None:
    """`chainladder` is an oracle here, and nothing of the product."""
    actuaries = pytest.importorskip("chainladder", exc_type=ImportError)
    vintage, month = np.nonzero(~np.isnan(triangle))
    cells = pd.DataFrame({"paid": triangle[vintage, month], "vintage": 1990 + vintage, "month": 1990 + vintage + month})
    told = actuaries.Triangle(cells, origin="vintage", development="month", columns="paid", cumulative=True)
    mack = actuaries.MackChainladder().fit(actuaries.Development(sigma_interpolation="mack").fit_transform(told))
    ladder, theirs = chain_ladder(triangle), mack.summary_.to_frame(origin_as_datetime=False).fillna(0)
    assert ladder.to_come == pytest.approx(theirs["IBNR"].to_numpy())
    assert ladder.error == pytest.approx(theirs["Mack Std Err"].to_numpy())
    assert ladder.total_error == pytest.approx(float(mack.total_mack_std_err_.iloc[0, 0]))


def test_batters_shrink_as_efron_and_morris_shrank_them() -> None:
    means = np.array(HITS) / 45
    factor, shrunk = james_stein(means, means.mean() * (1 - means.mean()) / 45)
    assert round(float(means.mean()), 3) == 0.265
    assert round(factor, 3) == 0.212
    assert round(float(shrunk[0]), 3) == 0.294
    assert round(float(shrunk[-1]), 3) == 0.242


def test_hospitals_come_out_as_in_the_bugs_book() -> None:
    """The published means are of a sampler's thousands of draws, ours exact: as near as that sampler's error."""
    rates = logit_normal(np.array(DEATHS), np.array(OPERATIONS))
    error = rates.sd / np.sqrt(DRAWS)
    assert (np.abs(rates.mean - np.array(SURGICAL)) < 1.5 * error).all()
    assert rates.mean == pytest.approx(np.array(SURGICAL), abs=9e-4)
    assert rates.population == pytest.approx(0.0731, abs=4e-4)
    assert np.argsort(rates.mean).tolist() == np.argsort(SURGICAL).tolist()


def test_a_sampler_of_the_same_model_gives_the_hospitals_to_three_digits() -> None:
    """Metropolis within Gibbs over many chains at once: it knows nothing of the quadrature."""
    rng, chains, steps, warm = np.random.default_rng(8), 600, 900, 300
    deaths, trials = np.array(DEATHS), np.array(OPERATIONS)
    logit = np.log((deaths + 0.5) / (trials - deaths + 0.5)) + rng.normal(0, 0.1, (chains, 12))
    centre, precision = logit.mean(axis=1), np.full(chains, 6.0)
    told, everybody = np.zeros(12), 0.0
    for step in range(steps):
        tried = logit + rng.normal(0, 0.45, logit.shape)
        gain = deaths * (tried - logit) - trials * (np.logaddexp(0, tried) - np.logaddexp(0, logit))
        gain -= precision[:, None] / 2 * ((tried - centre[:, None]) ** 2 - (logit - centre[:, None]) ** 2)
        logit = np.where(np.log(rng.random(logit.shape)) < gain, tried, logit)
        centre = rng.normal(logit.mean(axis=1), (12 * precision) ** -0.5)
        squares = ((logit - centre[:, None]) ** 2).sum(axis=1)
        precision = rng.gamma(0.001 + 6, 1 / (0.001 + squares / 2))
        if step >= warm:
            told += expit(logit).mean(axis=0) / (steps - warm)
            everybody += float(expit(centre).mean()) / (steps - warm)
    rates = logit_normal(deaths, trials)
    assert rates.mean == pytest.approx(told, abs=3e-4)
    assert rates.population == pytest.approx(everybody, abs=3e-4)


def test_remission_under_6_mp_is_kaplan_and_meiers() -> None:
    survival = kaplan_meier(np.array(MP6_WEEKS), np.array(MP6_RELAPSED, dtype=bool))
    shown = survival.share[[6, 7, 10, 13, 16, 22, 23]].round(3).tolist()
    assert shown == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert survival.median() == 23


def test_one_cause_alone_is_one_less_kaplan_and_meier() -> None:
    weeks, relapsed = np.array(MP6_WEEKS), np.array(MP6_RELAPSED)
    assert incidence(weeks, relapsed, 1)[0] == pytest.approx(1 - kaplan_meier(weeks, relapsed.astype(bool)).share)


def test_causes_that_compete_share_what_is_left() -> None:
    """Of four one is paid on day 1; of three left one is recalled, one not watched any more; the last is paid."""
    told = incidence(np.array([1, 2, 2, 3]), np.array([1, 2, 0, 1]), 2)
    assert told.tolist() == [pytest.approx([0, 0.25, 0.25, 0.75]), pytest.approx([0, 0, 0.25, 0.25])]
    assert incidence(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 2).shape == (2, 0)


def test_nobody_watched_has_no_median() -> None:
    survival = kaplan_meier(np.array([], dtype=np.int64), np.array([], dtype=bool))
    assert survival.median() is None
    assert survival.paid_by(30) is None


def test_nobody_paid_leaves_an_upper_bound() -> None:
    survival = kaplan_meier(np.full(100, 40), np.zeros(100, dtype=bool))
    share, low, high = survival.paid_by(30) or (1, 1, 1)
    assert (share, low) == (0, 0)
    assert high == pytest.approx(1 - 0.05**0.01)

"""The whole score, on agencies whose true effects are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.scoring.assessment import Assessment, assess
from models.scoring.inputs import Component, Inputs
from models.scoring.parameters import standard

Simulate = Callable[..., Inputs]
COUNTED = ("breaks", "complaint_gate", "breaches_serious", "reports_late")
"""Figures that are there though nothing was held: a count of none."""
QUICK = replace(standard(), replicates=60, bags=64)


def figures(found: Assessment, component: str) -> dict[str, Component]:
    return {one.agency: one for one in found.components if one.component == component and one.segment == "all"}


def renamed(drawn: Inputs, names: dict[str, str]) -> Inputs:
    return Inputs(
        drawn.placements.assign(agency=drawn.placements["agency"].map(names).astype("str")),
        drawn.lines.assign(agency=drawn.lines["agency"].map(names).astype("str")),
        drawn.conduct.rename(index=names),
    )


@pytest.fixture(scope="module")
def drawn(simulate: Simulate) -> Inputs:
    return simulate([0.6, 1.0, 1.7], 4000)


@pytest.fixture(scope="module")
def found(drawn: Inputs, as_of: date) -> Assessment:
    return assess(drawn, as_of, 7, QUICK)


def test_clear_differences_are_ranked_right(found: Assessment) -> None:
    rank = {agency: one.value or 0 for agency, one in figures(found, "expected_rank").items()}
    assert rank["ag2"] < rank["ag1"] < rank["ag0"]
    assert (figures(found, "p_best")["ag2"].value or 0) > 0.9
    assert (figures(found, "p_worst")["ag0"].value or 0) > 0.9


def test_the_same_inputs_and_seed_give_the_same_score(drawn: Inputs, found: Assessment, as_of: date) -> None:
    turned = replace(drawn, placements=drawn.placements.iloc[::-1], lines=drawn.lines.iloc[::-1])
    again = assess(turned, as_of, 7, QUICK)
    for one, other in zip(found.components, again.components, strict=True):
        assert replace(one, value=None, low=None, high=None, expected=None, actual=None, weight=None) == replace(
            other, value=None, low=None, high=None, expected=None, actual=None, weight=None
        )
        assert (other.value is None) == (one.value is None)
        assert (other.value or 0) == pytest.approx(one.value or 0)
        assert (other.low or 0) == pytest.approx(one.low or 0)
    pd.testing.assert_frame_equal(found.curves, again.curves)


def test_relabelling_agencies_permutes_the_scores(drawn: Inputs, found: Assessment, as_of: date) -> None:
    names = {"ag0": "zeta", "ag1": "alpha", "ag2": "mu"}
    again = assess(renamed(drawn, names), as_of, 7, QUICK)
    for component in ("recovery", "p_best", "net_back", "paid_within", "overall"):
        before, after = figures(found, component), figures(again, component)
        for old, new in names.items():
            assert after[new].value == pytest.approx(before[old].value, rel=1e-5), component
            if component == "recovery":
                assert after[new].low == pytest.approx(before[old].low, rel=1e-5)


def test_good_accounts_do_not_make_a_good_agency(simulate: Simulate, as_of: date) -> None:
    found = figures(assess(simulate([1, 1, 1], 6000, skew=0.9), as_of, 7, QUICK), "recovery")
    liquidated = [one.actual or 0 for one in found.values()]
    assert max(liquidated) > 1.3 * min(liquidated)
    assert all((one.low or 0) < 1 < (one.high or 0) for one in found.values())


def test_more_accounts_narrow_the_interval(simulate: Simulate, as_of: date) -> None:
    widths = []
    for accounts in (1500, 12_000):
        found = figures(assess(simulate([0.8, 1.0, 1.3], accounts), as_of, 7, QUICK), "recovery")
        widths.append(sum((one.high or 0) - (one.low or 0) for one in found.values()))
    assert widths[1] < 0.6 * widths[0]


@pytest.mark.slow
def test_intervals_cover_the_true_effect_nine_times_in_ten(simulate: Simulate, as_of: date) -> None:
    rng = np.random.default_rng(5)
    covered = []
    for seed in range(40):
        effects = np.exp(rng.normal(0, 0.2, 6))
        found = list(figures(assess(simulate(effects, 3000, seed=seed), as_of, seed), "recovery").values())
        truth = effects / np.average(effects, weights=[one.expected or 0 for one in found])
        covered += [(one.low or 0) <= true <= (one.high or 0) for one, true in zip(found, truth, strict=True)]
    assert np.mean(covered) >= 0.86


def test_too_little_to_go_by_has_an_estimate_and_no_rank(simulate: Simulate, as_of: date) -> None:
    found = assess(simulate([1, 1], 60), as_of, 7, QUICK)
    assert figures(found, "recovery")["ag0"].note == "too_little_to_rank"
    assert figures(found, "expected_rank")["ag0"].value is None
    assert figures(found, "overall")["ag0"].value is None


def test_one_alone_is_compared_with_nobody(simulate: Simulate, as_of: date) -> None:
    """Expected is then made to be what came: 1.0 would be no figure."""
    found = assess(simulate([1.0], 2000), as_of, 7, QUICK)
    assert figures(found, "recovery")["ag0"].value is None
    assert figures(found, "recovery")["ag0"].note == "nobody_else"
    assert figures(found, "recovery")["ag0"].actual is not None
    assert figures(found, "overall")["ag0"].value is None


def test_agencies_that_share_no_segment_are_not_compared(drawn: Inputs, as_of: date) -> None:
    alone = drawn.placements["lender"].mask(drawn.placements["agency"] == "ag2", "alder").astype("str")
    found = figures(
        assess(replace(drawn, placements=drawn.placements.assign(lender=alone)), as_of, 7, QUICK), "recovery"
    )
    assert found["ag2"].value is None
    assert (found["ag0"].high or 9) < (found["ag1"].low or 0)


def test_an_agency_that_holds_nothing_has_no_figures(drawn: Inputs, as_of: date) -> None:
    idle = drawn.conduct.iloc[:1].rename(index={"ag0": "idle"})
    found = assess(replace(drawn, conduct=pd.concat([drawn.conduct, idle])), as_of, 7, QUICK)
    told = [one for one in found.components if one.agency == "idle" and one.component not in COUNTED]
    assert {one.value for one in told} == {None}


def test_a_shut_gate_is_not_averaged_away(drawn: Inputs, as_of: date) -> None:
    conduct = drawn.conduct.copy()
    conduct.loc["ag2", "complaints"] = 60
    found = assess(replace(drawn, conduct=conduct), as_of, 7, QUICK)
    assert figures(found, "complaint_gate")["ag2"].note == "shut"
    assert figures(found, "overall")["ag2"].value is None
    assert figures(found, "overall")["ag1"].value is not None
    assert figures(found, "complaint_gate")["ag1"].note == "open"


def test_a_few_complaints_are_watched_not_shut(drawn: Inputs, as_of: date) -> None:
    conduct = drawn.conduct.copy()
    conduct.loc["ag2", "complaints"] = 7
    found = assess(replace(drawn, conduct=conduct), as_of, 7, QUICK)
    assert figures(found, "complaint_gate")["ag2"].note == "watch"
    assert figures(found, "overall")["ag2"].value is not None


def test_breaches_lower_the_score_and_are_pulled_to_everybody_s_where_accounts_are_few(
    drawn: Inputs, as_of: date
) -> None:
    conduct = drawn.conduct.copy()
    conduct.loc["ag2", ["breaches", "breaches_serious"]] = [9, 1]
    found, without = assess(replace(drawn, conduct=conduct), as_of, 7, QUICK), assess(drawn, as_of, 7, QUICK)
    told = figures(found, "breaches")
    assert (told["ag2"].actual or 0) > (told["ag2"].value or 0) > (told["ag1"].value or 0) > 0
    assert (figures(found, "overall")["ag2"].value or 0) < (figures(without, "overall")["ag2"].value or 0)
    assert figures(found, "breaches_serious")["ag2"].value == 1


def test_no_invoice_has_no_accuracy_and_its_weight_goes_to_the_others(found: Assessment) -> None:
    assert figures(found, "invoice_accuracy")["ag1"].value is None
    assert "invoice_accuracy" in figures(found, "overall")["ag1"].note


def test_what_placements_come_to_is_above_what_has_come(found: Assessment) -> None:
    for one in figures(found, "ultimate").values():
        assert one.actual is not None
        assert 0 < one.actual <= (one.value or 0)
        assert (one.low or 9) < (one.value or 0) < (one.high or 0)
        assert one.note == "5"  # the longest whole month that any vintage has lived


def test_of_few_vintages_nothing_is_extrapolated(drawn: Inputs, as_of: date) -> None:
    march = drawn.placements["placed_on"].dt.month == 3
    found = assess(replace(drawn, placements=drawn.placements[march]), as_of, 7, QUICK)
    assert {(one.value, one.note) for one in figures(found, "ultimate").values()} == {(None, "too_young")}


def test_recalls_are_the_other_way_to_end(found: Assessment) -> None:
    paid, ended = figures(found, "paid_first"), figures(found, "ended_first")
    for agency, one in paid.items():
        assert (one.value or 0) > 0
        assert 0.02 < (ended[agency].value or 0) < 0.2
    assert (paid["ag2"].value or 0) > (paid["ag0"].value or 0)


def test_answers_in_time_are_counted_together(drawn: Inputs, as_of: date) -> None:
    conduct = drawn.conduct.assign(deliveries=10, acknowledged_late=[0, 1, 2], recalls=8, recalls_late=[0, 0, 3],
                                   erasures=2, erasures_late=[0, 0, 1], reports_late=[0, 4, 0])  # fmt: skip
    found = assess(replace(drawn, conduct=conduct), as_of, 7, QUICK)
    service = figures(found, "service")
    assert [one.value for one in service.values()] == [1.0, 0.95, 0.7]
    assert service["ag2"].weight is not None
    assert figures(found, "recalls_in_time")["ag2"].value == 5 / 8
    assert figures(found, "reports_late")["ag1"].value == 4


def test_refused_lines_lower_the_quality(drawn: Inputs, as_of: date) -> None:
    conduct = drawn.conduct.assign(lines=200, lines_refused=[0, 20, 50])
    quality = figures(assess(replace(drawn, conduct=conduct), as_of, 7, QUICK), "data_quality")
    assert [one.value for one in quality.values()] == [1.0, 0.9, 0.75]
    assert (quality["ag2"].high or 1) < 0.9


def test_direct_payments_do_not_count_and_are_shown(drawn: Inputs, found: Assessment, as_of: date) -> None:
    mine = drawn.lines["agency"] == "ag2"
    direct = drawn.lines.assign(kind=drawn.lines["kind"].mask(mine, "direct"))
    again = assess(replace(drawn, lines=direct), as_of, 7, QUICK)
    told = again.summary["agencies"]["ag2"]["totals"]["CNY"]
    assert told["recovered_minor"] == 0
    assert told["apart"]["direct"]["gross_minor"] == int(drawn.lines.loc[mine, "gross_minor"].sum())
    assert (figures(again, "recovery")["ag2"].value or 1) < 0.2
    assert (figures(found, "recovery")["ag2"].value or 0) > 1.2


def test_money_is_conserved(drawn: Inputs, found: Assessment) -> None:
    told = [agency["totals"]["CNY"] for agency in found.summary["agencies"].values()]
    shown = sum(one["recovered_minor"] + sum(part["gross_minor"] for part in one["apart"].values()) for one in told)
    assert shown == int(drawn.lines["gross_minor"].sum())
    assert sum(one["placed_minor"] for one in told) == int(drawn.placements["balance_minor"].sum())


def test_currencies_are_scored_together_and_never_added_up(drawn: Inputs, found: Assessment, as_of: date) -> None:
    """The same book with half of its debtors in yen at another price level gives about the same effects."""
    yen = drawn.placements["debtor_id"] % 2 == 0
    ids = set(drawn.placements.loc[yen, "placement_id"])
    lines_in_yen = drawn.lines["placement_id"].isin(ids)
    turned = Inputs(
        drawn.placements.assign(
            currency=drawn.placements["currency"].mask(yen, "JPY"),
            balance_minor=drawn.placements["balance_minor"] * np.where(yen, 20, 1) // np.where(yen, 100, 1),
        ),
        drawn.lines.assign(
            currency=drawn.lines["currency"].mask(lines_in_yen, "JPY"),
            gross_minor=drawn.lines["gross_minor"] * np.where(lines_in_yen, 20, 1) // np.where(lines_in_yen, 100, 1),
        ),
        drawn.conduct,
    )
    again = assess(turned, as_of, 7, QUICK)
    assert set(again.summary["agencies"]["ag0"]["totals"]) == {"CNY", "JPY"}
    for agency, one in figures(again, "recovery").items():
        assert one.value == pytest.approx(figures(found, "recovery")[agency].value, rel=0.15)


def test_curves_end_where_a_vintage_is_too_young(found: Assessment) -> None:
    longest = found.curves.groupby("vintage", observed=True)["month"].max()
    assert longest["2026-01"] == 5
    assert longest["2026-05"] == 1
    assert "2026-06" not in longest


def test_the_summary_is_plain_json(found: Assessment) -> None:
    assert json.loads(json.dumps(found.summary, allow_nan=False)) == found.summary


def test_nothing_recovered_at_all_is_no_fault(drawn: Inputs, as_of: date) -> None:
    found = assess(replace(drawn, lines=drawn.lines.iloc[:0]), as_of, 7, QUICK)
    assert figures(found, "recovery")["ag0"].value is None
    assert figures(found, "overall")["ag0"].value is None

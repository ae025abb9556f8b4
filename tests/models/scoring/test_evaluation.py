"""What the scores propose: shares within bounds, changes and reviews with their figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scoring.evaluation import Case, Share, evaluate, standard

RULES = standard()


def case(agency: str, best: float | None = 0.25, share: float = 0.25, **more: Any) -> Case:
    figures: dict[str, dict[str, Any]] = {
        "p_best": {"value": best}, "complaint_gate": {"value": 5.0, "note": more.pop("gate", "open")},
        **{name: {"value": value} for name, value in more.pop("figures", {}).items()},
    }  # fmt: skip
    plain: dict[str, Any] = {"cells": {}, "evidence": 1000.0, "curve": (), "flags": ()}
    return Case(agency, figures, share=share, **{**plain, **more})


def shares(*cases: Case) -> dict[str, Share]:
    return {one.agency: one for one in evaluate(cases).shares}


def test_shares_move_towards_the_likely_best_by_a_step_at_most() -> None:
    found = shares(case("a", 0.9), case("b", 0.1), case("c", 0.0), case("d", 0.0))
    assert found["a"].proposed == pytest.approx(0.35)
    assert found["a"].why == "held_by_step"
    assert found["c"].proposed == found["d"].proposed < 0.25
    assert sum(one.proposed for one in found.values()) == pytest.approx(1)


def test_nobody_who_may_get_accounts_falls_below_the_floor() -> None:
    found = shares(case("a", 1.0, share=0.9), case("b", 0.0, share=0.05), case("c", 0.0, share=0.05))
    assert found["b"].proposed == found["c"].proposed == pytest.approx(0.05)
    assert found["b"].why == "floor"


def test_a_shut_gate_frees_its_share_for_the_others() -> None:
    found = shares(case("a", 0.5), case("b", 0.5), case("c", 0.0, share=0.5, gate="shut"))
    assert (found["c"].proposed, found["c"].why) == (0.0, "gate_shut")
    assert found["a"].proposed + found["b"].proposed == pytest.approx(1)
    stopped = shares(case("a"), case("b", stopped="suspended"), case("c", figures={"breaches_serious": 1.0}))
    assert [stopped[name].why for name in "bc"] == ["suspended", "serious_breach"]
    assert stopped["a"].proposed == 1


def test_who_cannot_be_ranked_keeps_what_it_has() -> None:
    found = shares(case("a", 0.5, share=0.4), case("b", 0.5, share=0.4), case("new", None, share=0.2))
    assert found["new"].proposed == pytest.approx(0.2)
    assert found["new"].why == "not_ranked"


def test_where_nobody_may_get_accounts_there_is_no_share() -> None:
    assert evaluate([case("a", gate="shut")]).shares == ()
    assert evaluate([]).shares == ()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["open", "watch", "shut"])), min_size=1, max_size=9
    )
)
def test_shares_sum_to_one_and_keep_their_bounds(book: list[tuple[float, float, str]]) -> None:
    cases = [case(f"a{at}", best, share, gate=gate) for at, (best, share, gate) in enumerate(book)]
    found = evaluate(cases).shares
    free = [one for one in found if one.why != "gate_shut"]
    if not free:
        assert not found
        return
    assert sum(one.proposed for one in found) == pytest.approx(1)
    assert all(one.proposed == 0 for one in found if one.why == "gate_shut")
    assert all(one.proposed >= min(RULES.shares["floor"], 1 / len(free)) - 1e-9 for one in free)
    if len(free) == len(found):
        assert all(one.proposed - one.now <= max(RULES.shares["step"], RULES.shares["floor"]) + 1e-9 for one in free)
    assert evaluate(cases[::-1]) == evaluate(cases)


def test_a_segment_goes_to_who_recovers_far_more_of_it() -> None:
    cell = {"value": 1.5, "weight": 0.2}
    weak = {"card | 31–60d": {"value": 0.9, "weight": 0.3}, "cash": {"value": 0.2, "weight": 0.01}}
    found = evaluate([case("a", cells={"card | 31–60d": cell, "cash": cell}), case("b", cells=weak)])
    assert [(one.what, one.agency, one.segment, one.figures["by"]) for one in found.changes] == [
        ("segment_elsewhere", "b", "card | 31–60d", "a")
    ]
    shut = evaluate([case("a", cells={"card | 31–60d": cell}, gate="shut"), case("b", cells=weak)])
    assert shut.changes == ()


def test_months_that_bring_nothing_ask_for_a_shorter_term() -> None:
    flat = evaluate([case("a", curve=(0.05, 0.08, 0.099, 0.1, 0.1, 0.101))]).changes[0]
    assert (flat.what, flat.figures["months"]) == ("shorter_term", 3)
    assert evaluate([case("a", curve=(0.02, 0.04, 0.06, 0.08, 0.1))]).changes == ()
    assert evaluate([case("a", curve=(0.1, 0.1))]).changes == ()


def test_complaints_and_untouched_accounts_change_the_strategy() -> None:
    found = evaluate([case("a", gate="watch", flags=("untouched", "direct_share"))])
    assert [one.what for one in found.changes] == ["softer_stage", "recall_untouched"]
    assert [(one.code, one.figures.get("pattern")) for one in found.reviews] == [
        ("gate_watch", None), ("flag", "untouched"), ("flag", "direct_share"),
    ]  # fmt: skip


def test_an_agency_is_looked_at_for_stated_reasons() -> None:
    figures = {"recovery": 0.6, "p_worst": 0.8, "data_quality": 0.9, "service": 1.0, "invoice_accuracy": 0.5}
    one = case("a", figures=figures, missing=("evaluation",))
    one.figures["recovery"]["high"] = 0.9  # type: ignore[index]  # a plain dict here
    assert [reason.code for reason in evaluate([one]).reviews] == [
        "evidence_missing", "below_expected", "likely_last", "data_quality", "invoice_accuracy",
    ]  # fmt: skip
    assert evaluate([case("b", figures={"recovery": 1.0, "data_quality": 1.0})]).reviews == ()

"""The laws that an optimised plan keeps, for any debtors, values and bounds (A6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.planning.allocation import Aims, Draw, Question
from models.planning.allocators import FALLBACK, Allocation, by_price, by_thompson, by_value
from models.planning.bounds import BALANCE, CAPACITY, CHALLENGER, CHANGE, MINIMUM, REGION, SHARE, Limits, Window
from models.planning.optimal import best_of, groups_of, problem_of
from models.planning.programme import LIMITED, NOTHING, Programme, Solution, in_process
from models.planning.worth import Worth

AGENCIES = ("harbour", "lotus", "north", "quay")
COLUMNS = ["debtor_id", "segment", "accounts", "balance_minor", "incumbent", "region", "base", "cell"]


def limits(names: tuple[str, ...] = AGENCIES, **more: Any) -> Limits:
    """No bounds but those that are given."""
    free = tuple(Window() for _ in names)
    given: dict[str, Any] = {"share": free, "balance": free, "minimum": np.zeros(len(names))} | more
    return Limits(names, **given)


def people(count: int, seed: int = 1, **columns: Any) -> pd.DataFrame:
    """Debtors of two segments and three regions; what they are worth goes with what they owe."""
    rng = np.random.default_rng(seed)
    balance = rng.lognormal(9, 1, count).astype(np.int64) + 100
    given: dict[str, Any] = {
        "debtor_id": np.arange(1, count + 1),
        "segment": pd.Series(np.where(np.arange(count) % 3 == 0, "a", "b"), dtype="str"),
        "accounts": rng.integers(1, 4, count),
        "balance_minor": balance,
        "incumbent": pd.Series([None] * count, dtype="str"),
        "region": pd.Series(np.array(["11", "31", "44"])[rng.integers(0, 3, count)], dtype="str"),
        "base": balance * 0.1,
        "cell": (np.arange(count) % 3 == 0).astype(np.int64),
    }
    return pd.DataFrame(given | columns)[COLUMNS]


def asked(
    debtors: pd.DataFrame,
    bounds: Limits | None = None,
    *,
    rooms: dict[str, tuple[int | None, int | None]] | None = None,
    net: Any = ((1.2, 1.0, 0.9, 0.8), (0.9, 1.1, 1.0, 0.8)),
    barred: list[tuple[int, str]] | None = None,
    solver: Any = in_process,
    seed: int = 7,
) -> Question:
    bounds = bounds or limits()
    names, rooms = bounds.agencies, rooms or {}
    worth = Worth(names, np.array(net)[:, : len(names)], np.full(len(names), 0.2), np.zeros(len(names)))
    return Question(
        "run",
        seed,
        debtors,
        pd.DataFrame({
            "agency": pd.Series(names, dtype="str"),
            "room_accounts": pd.array([rooms.get(name, (None, None))[0] for name in names], dtype="Int64"),
            "room_minor": pd.array([rooms.get(name, (None, None))[1] for name in names], dtype="Int64"),
        }),
        pd.DataFrame(1.0, index=sorted(set(debtors["segment"]) or {"a"}), columns=list(names)),
        pd.DataFrame({
            "debtor_id": pd.Series([debtor for debtor, _ in barred or []], dtype="int64"),
            "agency": pd.Series([agency for _, agency in barred or []], dtype="str"),
        }),
        Aims(worth, bounds, solver, draws=50),
    )  # fmt: skip


def loads(question: Question, allocation: Allocation) -> pd.DataFrame:
    """Accounts and balance per agency."""
    told = question.debtors.merge(allocation.answer, on="debtor_id")
    names = list(question.aims.limits.agencies) if question.aims else []
    return told.groupby("agency")[["accounts", "balance_minor"]].sum().reindex(names, fill_value=0)


def net_of(question: Question, allocation: Allocation) -> float:
    """Expected net-back of the answer, debtor by debtor."""
    assert question.aims is not None
    told = question.debtors.merge(allocation.answer, on="debtor_id").dropna(subset="agency")
    worth = question.aims.worth
    at = [worth.agencies.index(name) for name in told["agency"]]
    return float((told["base"].to_numpy() * worth.net[told["cell"], at]).sum())


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Up to 80 debtors with bounds, rooms, incumbents and bars of every kind."""
    count = draw(st.integers(0, 80))
    names = AGENCIES[: draw(st.integers(1, 4))]
    incumbents = draw(st.lists(st.sampled_from([None] * 8 + [*names, "elsewhere"]), min_size=count, max_size=count))
    debtors = people(count, draw(st.integers(0, 99)), incumbent=pd.Series(incumbents, dtype="str"))
    size = len(names)

    def window(low: float, high: float) -> st.SearchStrategy[tuple[Window, ...]]:
        one = st.builds(Window, st.sampled_from([0.0, low]), st.sampled_from([high, 1.0]))
        return st.tuples(*[one] * size)

    last = draw(st.one_of(st.none(), st.lists(st.integers(1, 9), min_size=size, max_size=size)))
    bounds = limits(
        names,
        share=draw(window(0.1, 0.5)),
        balance=draw(window(0.1, 0.5)),
        minimum=np.array(draw(st.lists(st.sampled_from([0.0, 0.0, 20.0]), min_size=size, max_size=size))),
        challengers=draw(st.sampled_from([(), names[:1]])),
        floor=0.1,
        region_max=draw(st.sampled_from([None, 0.6])),
        last=None if last is None else np.array(last) / sum(last),
        change_max=draw(st.sampled_from([None, 0.1])),
    )
    room = st.one_of(st.none(), st.integers(0, 60))
    rooms = {name: (draw(room), draw(st.one_of(st.none(), st.integers(0, 900_000)))) for name in names}
    bars = draw(st.lists(st.tuples(st.integers(1, 80), st.sampled_from(names)), max_size=40))
    return asked(debtors, bounds, rooms=rooms, barred=bars)


@settings(max_examples=15, deadline=None)
@given(questions(), st.sampled_from([by_value, by_price, by_thompson]))
def test_everybody_is_seated_within_the_rooms_or_told_why_not(question: Question, share_out: Any) -> None:
    allocation = share_out(question)
    answer = allocation.answer
    assert answer["debtor_id"].tolist() == sorted(question.debtors["debtor_id"])
    told = answer.merge(question.debtors, on="debtor_id")
    nowhere = told[told["agency"].isna()]
    assert set(nowhere["why"]) <= {"no_agency_left", "incumbent_unavailable", "no_capacity"}
    seated = told[told["agency"].notna()]
    assert seated.merge(question.barred, on=["debtor_id", "agency"]).empty
    old = seated[seated["incumbent"].notna()]
    assert (old["agency"] == old["incumbent"]).all()
    assert seated["probability"].dropna().between(0, 1).all()
    rooms = question.agencies.set_index("agency").join(loads(question, allocation))
    assert not (rooms["accounts"] > rooms["room_accounts"]).fillna(value=False).any()
    assert not (rooms["balance_minor"] > rooms["room_minor"]).fillna(value=False).any()


@settings(max_examples=6, deadline=None)
@given(questions())
def test_the_order_of_the_rows_is_irrelevant_and_the_same_seed_gives_the_same(question: Question) -> None:
    mixed = replace(
        question,
        debtors=question.debtors.sample(frac=1, random_state=1),
        agencies=question.agencies.iloc[::-1],
        shares=question.shares.iloc[::-1, ::-1],
        barred=question.barred.iloc[::-1],
    )
    pd.testing.assert_frame_equal(by_value(question).answer, by_value(mixed).answer)
    pd.testing.assert_frame_equal(by_thompson(question).answer, by_thompson(mixed).answer)


@settings(max_examples=12, deadline=None)
@given(questions(), st.sampled_from(AGENCIES), st.integers(1, 40))
def test_more_room_never_lowers_the_optimum_over_the_same_accounts(question: Question, agency: str, more: int) -> None:
    # Incumbents have their places before anybody is shared out. More room may seat more of them, and they may take more
    # than came to it: of balance, of a share, of the accounts that shares are counted in (the next test has one).
    draw = incumbents_of(question)
    tight, loose = (_cost(draw, one) for one in (question, with_more_room(question, agency, more)))
    # with whole variables either may be a gap of 1e-6 away from its best
    assert loose <= tight + 2e-6 * max(abs(tight), 1.0)


def test_an_incumbent_who_fits_now_comes_before_those_who_would_bring_more() -> None:
    debtors = people(2, accounts=[2, 1], base=1_000.0, cell=0, incumbent=pd.Series(["harbour", None], dtype="str"))
    tight = asked(debtors, rooms={"harbour": (1, None)})
    loose = with_more_room(tight, "harbour", 1)
    before, after = by_value(tight), by_value(loose)
    assert before.answer["why"].tolist() == ["no_capacity", "value"]
    assert before.answer["agency"].tolist()[1] == "harbour"
    assert after.answer["why"].tolist() == ["incumbent", "value"]
    assert after.answer["agency"].tolist() == ["harbour", "lotus"]
    assert before.optimum is not None
    assert after.optimum is not None
    # the one who is shared out brings less now; both together bring more
    assert (before.optimum.value_minor, after.optimum.value_minor) == (1_200, 1_000)
    assert net_of(loose, after) > net_of(tight, before)


@settings(max_examples=25, deadline=None)
@given(questions(), st.sampled_from(AGENCIES), st.integers(1, 40))
def test_more_room_sends_no_incumbent_away(question: Question, agency: str, more: int) -> None:
    tight, loose = (incumbents_of(one).agency for one in (question, with_more_room(question, agency, more)))
    assert (loose[tight >= 0] == tight[tight >= 0]).all()


def with_more_room(question: Question, agency: str, more: int) -> Question:
    """The question with room for so many accounts more at the agency, where its room has an end."""
    rooms = question.agencies
    wider = rooms["room_accounts"].mask(rooms["agency"] == agency, rooms["room_accounts"] + more)
    return replace(question, agencies=rooms.assign(room_accounts=wider))


def incumbents_of(question: Question) -> Draw:
    """Incumbents are seated, and nobody else."""
    draw = Draw.of(question)
    draw.keep_incumbents()
    return draw


def _cost(draw: Draw, question: Question) -> float:
    """The programme's cost, whole variables and all: what is given up and left out is priced in it."""
    aims = question.aims
    assert aims is not None
    groups = groups_of(draw, question, aims)
    if not len(groups.accounts):
        return 0.0
    problem, free = (
        problem_of(draw, groups, question, bounds) for bounds in (aims.limits, aims.limits.without(MINIMUM))
    )
    return best_of(problem, free, aims.solver).cost


@settings(max_examples=20, deadline=None)
@given(
    st.integers(60, 150), st.integers(0, 50), st.lists(st.sampled_from([0.0, 0.15, 0.2]), min_size=4, max_size=4),
    st.lists(st.sampled_from([0.35, 0.4, 1.0]), min_size=4, max_size=4), st.booleans(),
)  # fmt: skip
def test_bounds_hold_within_one_debtor(count: int, seed: int, low: list[float], high: list[float], by: bool) -> None:
    assume(sum(high) >= 1.2)
    windows = tuple(Window(*pair) for pair in zip(low, high, strict=True))
    question = asked(people(count, seed), limits(balance=windows) if by else limits(share=windows))
    got = loads(question, by_value(question))["balance_minor" if by else "accounts"]
    one = question.debtors["balance_minor" if by else "accounts"].max()
    total = got.sum()
    for value, window in zip(got, windows, strict=True):
        assert window.low * total - one <= value <= window.high * total + one


def test_the_best_agency_gets_all_that_nothing_stands_against() -> None:
    question = asked(people(300))
    allocation = by_value(question)
    told = question.debtors.merge(allocation.answer, on="debtor_id")
    assert set(told.loc[told["cell"] == 0, "agency"]) == {"harbour"}
    assert set(told.loc[told["cell"] == 1, "agency"]) == {"lotus"}
    assert allocation.optimum is not None
    assert allocation.optimum.value_minor == pytest.approx(net_of(question, allocation), rel=1e-6)
    assert (allocation.optimum.status, allocation.optimum.gap) == ("optimal", 0.0)


def test_a_cap_that_binds_has_the_price_that_one_more_account_brings() -> None:
    debtors = people(400, accounts=1, balance_minor=10_000, base=1_000.0, cell=0)
    found = by_value(asked(debtors, rooms={"harbour": (100, None)})).optimum
    more = by_value(asked(debtors, rooms={"harbour": (101, None)})).optimum
    assert found is not None
    assert more is not None
    (price,) = found.prices
    assert (price["kind"], price["agency"], price["per"]) == (CAPACITY, "harbour", "account")
    assert price["price_minor"] == more.value_minor - found.value_minor == 200


def test_a_rule_costs_what_the_plan_would_bring_more_without_it() -> None:
    debtors = people(300)
    bounds = limits(share=(Window(0, 0.25), Window(), Window(), Window()))
    bound, free = by_value(asked(debtors, bounds)), by_value(asked(debtors))
    assert bound.optimum is not None
    assert free.optimum is not None
    assert bound.optimum.costs == {SHARE: free.optimum.value_minor - bound.optimum.value_minor}
    assert bound.optimum.costs[SHARE] > 0


def test_a_minimum_volume_is_reached_or_the_agency_gets_nothing() -> None:
    few = by_value(asked(people(60), limits(minimum=np.array([0, 0, 0, 30.0]))))
    question = asked(people(60), limits(minimum=np.array([0, 0, 0, 30.0]), challengers=("quay",), floor=0.05))
    forced = by_value(question)
    assert "quay" not in set(few.answer["agency"])
    got = loads(question, forced)["accounts"]["quay"]
    assert got == 0 or got >= 30


def test_part_of_an_account_is_no_minimum_volume_however_dear_the_bound_that_it_would_keep() -> None:
    share = (Window(), Window(), Window(), Window(0.1, 1.0))
    question = asked(people(4, accounts=1), limits(share=share, minimum=np.array([0, 0, 0, 20.0])))
    found = by_value(question).optimum
    assert found is not None
    # a tenth of four accounts is due to it; twenty, or none, come to it at all
    assert found.x[:, 3].sum() == 0
    assert found.x.sum() == pytest.approx(4)


@settings(max_examples=12, deadline=None)
@given(questions(), st.sampled_from([by_value, by_thompson]))
def test_the_optimum_gives_an_agency_its_minimum_volume_or_nobody_new(question: Question, share_out: Any) -> None:
    found = share_out(question).optimum
    if not found.rows:  # there was nobody to share out
        return
    assert question.aims is not None
    draw = incumbents_of(question)
    placed = draw.agency >= 0
    seated = np.bincount(draw.agency[placed], draw.size[placed], minlength=len(draw.names))
    fresh = found.x.sum(axis=0)
    assert ((fresh + seated >= question.aims.limits.minimum - 1e-4) | (fresh <= 1e-4)).all()


def test_challengers_have_their_floor_of_every_segment_by_lot() -> None:
    question = asked(people(2_000, accounts=1), limits(challengers=("quay",), floor=0.1))
    answer = by_value(question).answer
    told = question.debtors.merge(answer, on="debtor_id")
    mine = told[told["agency"] == "quay"]
    assert set(mine["why"]) == {"challenger"}
    for segment, count in told.groupby("segment").size().items():
        assert abs((mine["segment"] == segment).sum() - 0.1 * count) <= 5
    assert mine["probability"].between(0.05, 0.15).all()
    assert mine["balance_minor"].mean() == pytest.approx(told["balance_minor"].mean(), rel=0.1)


def test_bounds_that_contradict_each_other_are_given_up_in_the_declared_order() -> None:
    last = np.array([0.1, 0.1, 0.4, 0.4])
    share = (Window(0.5, 1.0), Window(), Window(), Window())
    first = by_value(asked(people(200), limits(share=share, last=last, change_max=0.05))).optimum
    other = by_value(
        asked(
            people(200),
            limits(share=share, last=last, change_max=0.05, relax=(SHARE, CHANGE, REGION, BALANCE, CHALLENGER)),
        )
    ).optimum
    assert first is not None
    assert other is not None
    assert {one["kind"] for one in first.relaxed} == {CHANGE}
    assert {one["kind"] for one in other.relaxed} == {SHARE}
    assert all(one["price_minor"] > 0 and one["by"] > 0 for one in first.relaxed)


def test_a_stated_price_is_paid_where_that_pays_and_not_before() -> None:
    share = (Window(0, 0.2), Window(), Window(), Window())
    debtors = people(200, accounts=1, balance_minor=10_000, base=1_000.0, cell=0)
    # harbour brings 200 more than the next: that is what an account above its share is worth
    dear, cheap = (
        by_value(asked(debtors, limits(share=share, prices={SHARE: price}))).optimum for price in (250.0, 150.0)
    )
    assert dear is not None
    assert cheap is not None
    assert dear.relaxed == ()
    assert [(one["kind"], one["by"], one["price_minor"]) for one in cheap.relaxed] == [(SHARE, 160, 150)]


def test_no_agency_has_more_than_its_part_of_a_region() -> None:
    question = asked(people(600, accounts=1), limits(region_max=0.5))
    told = question.debtors.merge(by_value(question).answer, on="debtor_id")
    counts = pd.crosstab(told["region"], told["agency"])
    assert (counts.max(axis=1) <= counts.sum(axis=1) * 0.5 + 1).all()


def test_without_a_solution_in_time_the_last_shares_are_repaired() -> None:
    def late(programmes: list[Programme]) -> list[Solution]:
        return [Solution(LIMITED, NOTHING, NOTHING) for _ in programmes]

    last = np.array([0.4, 0.3, 0.2, 0.1])
    share = (Window(), Window(), Window(), Window(0.2, 1.0))
    question = asked(people(400, accounts=1), limits(last=last, share=share), solver=late)
    allocation = by_value(question)
    assert allocation.optimum is not None
    assert allocation.optimum.status == FALLBACK
    got = loads(question, allocation)["accounts"] / 400
    assert got["quay"] >= 0.2 - 1 / 400
    assert abs(got["harbour"] - 0.4) < 0.12


def test_a_closed_agency_gets_nobody() -> None:
    question = asked(people(100), rooms={"harbour": (0, None)})
    shut = replace(question, shares=question.shares.assign(lotus=0.0))
    assert set(by_value(shut).answer["agency"]) == {"north"}


def test_thompson_gives_by_the_chance_to_be_best_and_says_what_learning_costs() -> None:
    question = asked(people(1_000, accounts=1), net=((1.02, 1.0, 0.5, 0.5), (1.02, 1.0, 0.5, 0.5)))
    allocation = by_thompson(question)
    got = loads(question, allocation)["accounts"] / 1_000
    assert 0.4 < got["harbour"] < 0.75
    assert got["lotus"] > 0.25
    assert allocation.optimum is not None
    assert allocation.optimum.costs["learning"] > 0


def test_where_value_varies_by_account_prices_bring_more_than_lots() -> None:
    # The same segment holds accounts that are worth more with one agency, and others with the other one.
    debtors = people(1_000, accounts=1, segment=pd.Series(["a"] * 1_000, dtype="str"))
    question = asked(debtors, rooms={"harbour": (400, None)}, net=((1.3, 1.0, 0.5, 0.5), (1.05, 1.0, 0.5, 0.5)))
    lots, prices = by_value(question), by_price(question)
    assert loads(question, prices)["accounts"]["harbour"] == 400
    assert net_of(question, prices) > net_of(question, lots) * 1.01


def test_a_challengers_floor_is_drawn_by_lot_under_prices_too() -> None:
    question = asked(people(2_000, accounts=1), limits(challengers=("quay",), floor=0.1))
    told = question.debtors.merge(by_price(question).answer, on="debtor_id")
    mine = told[told["agency"] == "quay"]
    assert abs(len(mine) - 200) <= 5
    assert mine["base"].mean() == pytest.approx(told["base"].mean(), rel=0.15)

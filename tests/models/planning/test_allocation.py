"""The laws that sharing out keeps, for any debtors, shares and rooms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UsageError
from models.planning.allocation import Answer, Question, by_shares, ranks
from models.planning.allocators import allocator

AGENCIES = ("harbour", "lotus", "quay", "north")


def question(
    debtors: pd.DataFrame,
    shares: dict[str, float] | pd.DataFrame,
    rooms: dict[str, tuple[int | None, int | None]] | None = None,
    barred: list[tuple[int, str]] | None = None,
    seed: int = 7,
) -> Question:
    """A question with the same shares in every segment."""
    rooms = rooms or {}
    if isinstance(shares, dict):
        segments = sorted(set(debtors["segment"]))
        shares = pd.DataFrame(
            [list(shares.values())] * len(segments), index=segments, columns=list(shares), dtype=float
        )
    names = list(shares.columns)
    agencies = pd.DataFrame(
        {
            "agency": pd.Series(names, dtype="str"),
            "room_accounts": pd.array([rooms.get(name, (None, None))[0] for name in names], dtype="Int64"),
            "room_minor": pd.array([rooms.get(name, (None, None))[1] for name in names], dtype="Int64"),
        }
    )
    pairs = pd.DataFrame(
        {
            "debtor_id": pd.Series([debtor for debtor, _ in barred or []], dtype="int64"),
            "agency": pd.Series([agency for _, agency in barred or []], dtype="str"),
        }
    )
    return Question("run", seed, debtors, agencies, shares, pairs)


def people(
    count: int, accounts: list[int] | int = 1, segment: list[str] | str = "s", incumbent: list[str | None] | None = None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "debtor_id": np.arange(1, count + 1),
            "segment": pd.Series([segment] * count if isinstance(segment, str) else segment, dtype="str"),
            "accounts": accounts,
            "balance_minor": np.arange(1, count + 1) * 100,
            "incumbent": pd.Series(incumbent or [None] * count, dtype="str"),
        }
    )


def counts(asked: Question, answer: Answer) -> dict[str, int]:
    """Accounts per agency."""
    sizes = asked.debtors.sort_values("debtor_id")["accounts"].to_numpy()
    return {str(name): int(n) for name, n in pd.Series(sizes).groupby(answer["agency"].to_numpy()).sum().items()}


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Up to 60 debtors in up to 4 segments, with incumbents, bars and rooms of every kind."""
    count = draw(st.integers(0, 60))
    names = AGENCIES[: draw(st.integers(1, 4))]

    def of(values: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    debtors = people(count, of([1, 1, 1, 2, 5]), of(["a", "b", "c", "d"]), of([None] * 6 + [*names, "elsewhere"]))
    debtors["debtor_id"] = draw(st.permutations(range(1, count + 1)))
    shares = pd.DataFrame(
        [[draw(st.sampled_from([0.0, 0.1, 0.3, 1.0])) for _ in names] for _ in range(4)],
        index=["a", "b", "c", "d"], columns=list(names),
    )  # fmt: skip
    room = st.one_of(st.none(), st.integers(0, 30))
    rooms = {name: (draw(room), draw(st.one_of(st.none(), st.integers(0, 20_000)))) for name in names}
    bars = draw(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(names)), max_size=80))
    return question(debtors, shares, rooms, bars, seed=draw(st.integers(0, 2**40)))


@given(questions())
def test_everybody_is_seated_where_they_may_be_or_told_why_not(asked: Question) -> None:
    answer = by_shares(asked)
    assert answer["debtor_id"].tolist() == sorted(asked.debtors["debtor_id"])
    told = answer.merge(asked.debtors, on="debtor_id")
    nowhere = told[told["agency"].isna()]
    assert set(nowhere["why"]) <= {"no_agency_left", "incumbent_unavailable", "no_capacity"}
    seated = told[told["agency"].notna()]
    assert seated.merge(asked.barred, on=["debtor_id", "agency"]).empty
    old, new = seated[seated["incumbent"].notna()], seated[seated["incumbent"].isna()]
    assert (old["agency"] == old["incumbent"]).all()
    assert set(old["why"]) <= {"incumbent"}
    assert new["why"].str.fullmatch(r"share|overflow:\w+").all()
    weights = asked.shares.melt(var_name="agency", value_name="weight", ignore_index=False).reset_index(names="segment")
    assert (new.merge(weights, on=["segment", "agency"])["weight"] > 0).all()


@given(questions())
def test_no_agency_gets_more_than_its_room(asked: Question) -> None:
    answer = by_shares(asked)
    debtors = asked.debtors.sort_values("debtor_id")
    got = debtors.groupby(answer["agency"].to_numpy())[["accounts", "balance_minor"]].sum()
    rooms = asked.agencies.set_index("agency").join(got)
    assert not (rooms["accounts"] > rooms["room_accounts"]).fillna(value=False).any()
    assert not (rooms["balance_minor"] > rooms["room_minor"]).fillna(value=False).any()


@given(questions())
def test_the_order_of_the_rows_is_irrelevant_and_the_seed_decides(asked: Question) -> None:
    mixed = replace(
        asked,
        debtors=asked.debtors.sample(frac=1, random_state=1),
        agencies=asked.agencies.iloc[::-1],
        shares=asked.shares.iloc[::-1, ::-1],
        barred=asked.barred.iloc[::-1],
    )
    pd.testing.assert_frame_equal(by_shares(asked), by_shares(mixed))


@given(questions())
def test_nobody_is_left_out_for_want_of_room_while_there_is_some(asked: Question) -> None:
    # Room without bounds: whoever may go somewhere goes there.
    unbounded = pd.array([None] * len(asked.agencies), dtype="Int64")
    roomy = replace(asked, agencies=asked.agencies.assign(room_accounts=unbounded, room_minor=unbounded))
    assert "no_capacity" not in set(by_shares(roomy)["why"])


@given(
    st.lists(st.sampled_from([1, 1, 2, 3, 7]), min_size=1, max_size=300),
    st.lists(st.sampled_from([0.05, 0.2, 1.0, 3.0]), min_size=1, max_size=4),
)
def test_in_one_segment_nobody_misses_their_share_by_more_than_one_debtor(
    sizes: list[int], weights: list[float]
) -> None:
    shares = dict(zip(AGENCIES, weights, strict=False))
    asked = question(people(len(sizes), sizes), shares)
    got = counts(asked, by_shares(asked))
    for name, weight in shares.items():
        wanted = sum(sizes) * weight / sum(weights)
        assert abs(got.get(name, 0) - wanted) <= max(sizes) + 1


@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=60),
    st.lists(st.sampled_from([0.2, 1.0, 3.0]), min_size=2, max_size=4),
)
def test_rounding_does_not_add_up_over_segments(sizes: list[int], weights: list[float]) -> None:
    segments = [f"s{at:02}" for at, size in enumerate(sizes) for _ in range(size)]
    shares = dict(zip(AGENCIES, weights, strict=False))
    asked = question(people(len(segments), segment=segments), shares)
    answer = by_shares(asked)
    got = counts(asked, answer)
    for name, weight in shares.items():
        part = weight / sum(weights)
        assert abs(got.get(name, 0) - len(segments) * part) <= 2
        for at, size in enumerate(sizes):
            here = int((answer["agency"][[s == f"s{at:02}" for s in segments]] == name).sum())
            assert abs(here - size * part) <= 3


def test_shares_hold_though_some_debtors_are_barred() -> None:
    # Half of them were with harbour before: it gets its half from the others.
    asked = question(people(1_000), {"harbour": 0.5, "lotus": 0.5}, barred=[(n, "harbour") for n in range(1, 501)])
    got = counts(asked, by_shares(asked))
    assert abs(got["harbour"] - 500) <= 1


def test_incumbents_count_towards_the_share() -> None:
    asked = question(
        people(1_000, incumbent=["quay"] * 150 + [None] * 850), {"harbour": 0.5, "lotus": 0.3, "quay": 0.2}
    )
    assert counts(asked, by_shares(asked)) == {"harbour": 500, "lotus": 300, "quay": 200}


def test_who_does_not_fit_moves_on_by_share() -> None:
    asked = question(people(1_000), {"harbour": 0.6, "lotus": 0.3, "quay": 0.1}, rooms={"harbour": (400, None)})
    answer = by_shares(asked)
    assert counts(asked, answer) == {"harbour": 400, "lotus": 450, "quay": 150}
    moved = answer[answer["why"] == "overflow:harbour"]
    assert len(moved) == 200
    assert set(moved["agency"]) == {"lotus", "quay"}


def test_too_little_room_leaves_some_out_and_says_so() -> None:
    asked = question(people(100), {"harbour": 1, "lotus": 1}, rooms={"harbour": (30, None), "lotus": (20, None)})
    answer = by_shares(asked)
    assert counts(asked, answer) == {"harbour": 30, "lotus": 20}
    assert (answer["why"] == "no_capacity").sum() == 50


def test_a_bound_on_the_balance_binds_too() -> None:
    asked = question(people(100), {"harbour": 1, "lotus": 1}, rooms={"harbour": (None, 50_000)})
    answer = by_shares(asked)
    balance = asked.debtors["balance_minor"].groupby(answer["agency"].to_numpy()).sum()
    assert 50_000 - 10_000 < balance["harbour"] <= 50_000


def test_a_debtor_whom_every_agency_has_had_stays_out() -> None:
    asked = question(people(3), {"harbour": 1, "lotus": 1}, barred=[(2, "harbour"), (2, "lotus")])
    assert by_shares(asked)["why"].tolist().count("no_agency_left") == 1


@pytest.mark.parametrize(("incumbent", "barred"), [("elsewhere", []), ("harbour", [(1, "harbour")])])
def test_a_debtor_whose_agency_may_not_have_more_stays_out(incumbent: str, barred: list[tuple[int, str]]) -> None:
    asked = question(people(1, incumbent=[incumbent]), {"harbour": 1, "lotus": 1}, barred=barred)
    assert by_shares(asked)["why"].tolist() == ["incumbent_unavailable"]


def test_an_agency_without_a_share_gets_nobody_new() -> None:
    asked = question(people(50), {"harbour": 1, "lotus": 0}, rooms={"harbour": (10, None)})
    assert counts(asked, by_shares(asked)) == {"harbour": 10}


def test_another_seed_or_run_draws_others() -> None:
    asked = question(people(200), {"harbour": 1, "lotus": 1})
    first = by_shares(asked)["agency"]
    assert not first.equals(by_shares(replace(asked, seed=8))["agency"])
    assert not first.equals(by_shares(replace(asked, run="another"))["agency"])


def test_the_draw_is_even() -> None:
    # Over many seeds every debtor goes to every agency as often as its share says (binomial, five sigma).
    asked = question(people(20), {"harbour": 3, "lotus": 1})
    times = sum((by_shares(replace(asked, seed=seed))["agency"] == "harbour").to_numpy() for seed in range(400))
    assert (np.abs(times - 300) < 5 * np.sqrt(400 * 0.75 * 0.25)).all()


def test_ranks_are_blake2b_of_the_id_keyed_by_seed_and_run() -> None:
    import hashlib

    key = hashlib.blake2b(b"7\nrun", digest_size=32, person=b"consign.plan").digest()
    expected = int.from_bytes(hashlib.blake2b((42).to_bytes(8, "little"), digest_size=8, key=key).digest(), "big")
    assert ranks(7, "run", np.array([42])).tolist() == [expected]


def test_an_unknown_allocator_is_named() -> None:
    with pytest.raises(UsageError, match="no allocator 'milp'"):
        allocator("milp")


def test_more_agencies_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(UsageError, match="63 agencies at most"):
        by_shares(question(people(1), {f"a{n:02}": 1.0 for n in range(64)}))

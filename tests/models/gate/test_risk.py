"""Lines become alike as the policy asks, the least that is needed is made coarser, and it is told what was done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gate import limits
from models.gate.hierarchies import census_regions, hidden, ladder
from models.gate.limits import Limits, LimitsInvalid
from models.gate.risk import Tally, quasi_identifiers
from models.release import Policy, Release, Treatment, load

TEXT = """
name = "own"
version = "1"
jurisdiction = "CN"
[purposes.collection]
basis = "contract"
verified = "text"
erase_after_days = 7
[risk]
k = {k}
l = {l}
suppress = {suppress}
[[release]]
purpose = "collection"
stages = ["phone"]
channels = ["phone"]
[release.fields]
product = "release"
currency = "release"
original = {{ how = "band", edges = [1000, 5000, 10000] }}
bucket = "release"
region = {{ how = "coarsen", to = "city" }}
opened_on = "month"
"""
BANDS = ("under 1000", "1000 to under 5000", "5000 to under 10000", "10000 and over")
QUASI = ["opened_on", "original", "region", "product"]


def release_with(k: int = 5, l: int = 1, suppress: str = "0.05") -> Release:  # noqa: E741 - l-diversity is called so
    policy = Policy.parse(TEXT.format(k=k, l=l, suppress=suppress))
    return policy.release("collection", "phone", ["phone"], "quayside")


lines = st.fixed_dictionaries(
    {
        "opened_on": st.sampled_from(["2023-01", "2023-02", "2023-07", "2024-01", None]),
        "original": st.sampled_from([*BANDS, None]),
        "region": st.sampled_from(["310100", "310200", "440300", "XX", None]),
        "product": st.sampled_from(["card", "cash"]),
        "bucket": st.sampled_from(["M1", "M2", "M3"]),
    }
)


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*QUASI, "bucket"]).astype("str")


def decided(frame: pd.DataFrame, release: Release, parts: int = 1) -> tuple[Any, pd.DataFrame]:
    """Counted in so many frames; the decision, and what leaves."""
    tally = Tally(release)
    step = max(1, -(-len(frame) // parts))
    shards = [frame.iloc[first : first + step] for first in range(0, len(frame), step)]
    for shard in shards:
        tally.count(shard)
    decision = tally.decide()
    return decision, pd.concat([tally.coarser(shard) for shard in shards]) if shards else frame


def looks(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in frame[QUASI].to_numpy()]


@settings(max_examples=40)
@given(st.lists(lines, max_size=60), st.integers(2, 6), st.integers(1, 2), st.sampled_from(["0", "0.05", "0.3"]))
def test_whatever_the_lines_the_limits_hold_of_what_leaves(
    rows: list[dict[str, Any]],
    k: int,
    l: int,  # noqa: E741 - l-diversity is called so
    suppress: str,
) -> None:
    frame = frame_of(rows)
    decision, out = decided(frame, release_with(k, l, suppress), parts=3)
    nothing = tuple(hidden(name) for name in QUASI)
    told = [(look, bucket) for look, bucket in zip(looks(out), frame["bucket"], strict=True) if look != nothing]
    sizes = Counter(look for look, _ in told)
    assert all(size >= k for size in sizes.values())
    assert all(len({bucket for other, bucket in told if other == look}) >= l for look in sizes)
    assert decision.after.suppressed <= Decimal(suppress) * len(frame)
    assert len(out) == len(frame)


@settings(max_examples=40)
@given(st.lists(lines, min_size=1, max_size=40))
def test_figures_are_those_of_a_plain_group_by(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows)
    decision, out = decided(frame, release_with(k=1), parts=2)
    grouped = frame.groupby(QUASI, dropna=False)["bucket"].agg(["size", "nunique"])
    before = decision.before
    assert (before.k, before.l) == (grouped["size"].min(), grouped["nunique"].min())
    assert (before.classes, before.unique, before.lines) == (len(grouped), (grouped["size"] == 1).sum(), len(frame))
    assert sum(before.by_size) == len(frame)
    pd.testing.assert_frame_equal(out, frame)  # without limits nothing changes
    assert decision.after == before
    assert not decision.levels


@settings(max_examples=40)
@given(st.lists(lines, min_size=1, max_size=40), st.integers(2, 5))
def test_the_same_lines_in_another_order_or_other_frames_are_decided_alike(rows: list[dict[str, Any]], k: int) -> None:
    frame = frame_of(sorted(rows, key=str))
    one, out = decided(frame, release_with(k))
    other, again = decided(frame.iloc[::-1], release_with(k), parts=4)
    assert (one.before, one.after, one.levels, one.steps) == (other.before, other.after, other.levels, other.steps)
    assert Counter(looks(out)) == Counter(looks(again))


def test_few_lines_that_stand_out_are_suppressed_and_the_others_keep_what_they_have() -> None:
    rows = [{"opened_on": "2023-01", "original": BANDS[0], "region": "310100", "product": "card", "bucket": "M1"}] * 39
    rows.append({"opened_on": "2024-01", "original": BANDS[3], "region": "440300", "product": "cash", "bucket": "M1"})
    decision, out = decided(frame_of(rows), release_with(5))
    assert (decision.before.k, decision.before.unique) == (1, 1)
    assert (decision.after.k, decision.after.suppressed, decision.levels) == (39, 1, {})
    assert looks(out)[0] == ("2023-01", BANDS[0], "310100", "card")
    assert looks(out)[39] == (None, None, None, "other")


def test_the_column_with_the_most_values_is_raised_first() -> None:
    months = [f"2023-{month:02}" for month in range(1, 13)] * 2
    rows = [
        {"opened_on": month, "original": BANDS[0], "region": "310100", "product": "card", "bucket": "M1"}
        for month in months
    ]
    decision, out = decided(frame_of(rows), release_with(5))
    assert decision.steps == ("opened_on: quarter",)
    assert set(out["opened_on"]) == {"2023-Q1", "2023-Q2", "2023-Q3", "2023-Q4"}
    assert set(out["region"]) == {"310100"}


def test_no_column_is_taken_away_while_another_can_become_coarser() -> None:
    rows = [
        {"opened_on": "2023-01", "original": band, "region": region, "product": "card", "bucket": "M1"}
        for region in ("310000", "320000", "330000", "340000", "350000")
        for band in BANDS
        for _ in range(2)
    ]
    decision, out = decided(frame_of(rows), release_with(4, suppress="0"))
    assert decision.steps == ("original: bands of 2",)
    assert set(out["region"]) == {"310000", "320000", "330000", "340000", "350000"}


def test_too_few_lines_tell_nothing() -> None:
    rows = [{"opened_on": "2023-01", "original": BANDS[0], "region": "310100", "product": "card", "bucket": "M1"}] * 3
    _, out = decided(frame_of(rows), release_with(5))
    assert set(looks(out)) == {(None, None, None, "other")}


def test_exact_amounts_and_what_an_address_tells_anyway_do_not_count() -> None:
    shipped = load("cn-default")
    assert quasi_identifiers(shipped.release("collection", "phone", ["phone"], "q")) == (
        "opened_on",
        "original",
        "region",
    )
    assert quasi_identifiers(shipped.release("collection", "field", ["field"], "q")) == ("opened_on",)
    assert quasi_identifiers(shipped.release("collection", "reminder", ["sms"], "q")) == ("balance",)
    legal = shipped.release("collection", "legal", ["legal"], "q")
    assert not legal.risk.enforced
    assert legal.risk.because


@pytest.mark.parametrize(
    ("field", "values", "levels"),
    [
        ("region", ("310115", "TX", "elsewhere", None), [
            ("310100", "TX", None, None), ("310000", "TX", None, None), ("310000", "South", None, None), (None,) * 4,
        ]),
        ("opened_on", ("2024-05-17", "2023-12", None), [
            ("2024-05", "2023-12", None), ("2024-Q2", "2023-Q4", None), ("2024", "2023", None), (None,) * 3,
        ]),
        ("product", ("card", "cash"), [("other", "other")]),
        ("score_band", ("A", "B"), [(None, None)]),
    ],
)  # fmt: skip
def test_each_hierarchy_has_its_levels(field: str, values: Any, levels: list[Any]) -> None:
    assert [one.values for one in ladder(field, values, Treatment("release"))] == levels


def test_bands_join_their_neighbours_in_the_policy_s_own_words() -> None:
    edges = tuple(map(Decimal, (1000, 5000, 10000)))
    found = ladder("original", (*BANDS, None), Treatment("band", edges=edges, labels=BANDS))
    assert [one.values for one in found] == [
        ("under 5000", "under 5000", "5000 and over", "5000 and over", None),
        (None,) * 5,
    ]


@settings(max_examples=40)
@given(
    st.lists(st.from_regex(r"[0-9]{6}|[A-Z]{2}|20[0-9]{2}-(0[1-9]|1[0-2])", fullmatch=True), min_size=1, unique=True)
)
def test_a_coarser_value_is_made_of_the_finer_one_alone(values: list[str]) -> None:
    for field in ("region", "opened_on"):
        below: tuple[str | None, ...] = tuple(values)
        for level in ladder(field, tuple(values), Treatment("release")):
            above = dict(zip(below, level.values, strict=True))
            assert all(above[fine] == coarse for fine, coarse in zip(below, level.values, strict=True))
            assert len(set(level.values)) <= len(set(below))
            below = level.values


def test_every_state_has_one_census_region() -> None:
    assert len(census_regions()) == 51
    assert set(census_regions().values()) == {"Northeast", "Midwest", "South", "West"}


@pytest.mark.parametrize(
    "raw",
    [{"k": 0}, {"k": 2.5}, {"k": True}, {"l": -1}, {"suppress": 2}, {"unique_share": "x"}, {"quasi": ["phone"]},
     {"quasi": []}, {"sensitive": "name"}, {"kk": 5}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(LimitsInvalid, match="risk"):
        limits.read("the policy, risk", raw)


def test_lines_alone_can_be_limited_by_their_share() -> None:
    release = replace(release_with(), risk=Limits(unique_share=Decimal("0.1"), quasi=("region",), suppress=Decimal(0)))
    rows = [
        {"opened_on": "2023-01", "original": BANDS[0], "region": region, "product": "card", "bucket": "M1"}
        for region in ["310100"] * 8 + ["440300", "440500"]
    ]
    decision, out = decided(frame_of(rows), release)
    assert decision.levels == {"region": "province"}
    assert decision.before.unique == 2
    assert set(out["region"]) == {"310000", "440000"}

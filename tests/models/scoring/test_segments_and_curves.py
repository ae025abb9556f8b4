"""Segments, and liquidation curves within them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scoring.curves import liquidation_curves
from models.scoring.parameters import standard
from models.scoring.segments import FACETS, GIVEN_UP, Payments, balance_bands, dpd_bands, segments

PARAMETERS = standard()


def book(**columns: list[object]) -> pd.DataFrame:
    rows = max(len(cells) for cells in columns.values())
    plain: dict[str, list[object]] = {
        "lender": ["harbour"], "currency": ["CNY"], "product": ["card"], "score_band": [None], "round": [1],
        "balance_minor": [250_000], "dpd": [45],
    }  # fmt: skip
    frame = pd.DataFrame({name: columns.get(name, cells * rows) for name, cells in plain.items()})
    return frame.astype(dict.fromkeys(("lender", "currency", "product", "score_band"), "str"))


def test_bands_read_as_people_say_them() -> None:
    assert dpd_bands((31, 61)) == ("0–30d", "31–60d", "61d+")
    assert balance_bands((1000, 5000, 2_000_000)) == ("<1k", "1k–5k", "5k–2M", "≥2M")


def test_segments_part_by_age_balance_and_product() -> None:
    frame = pd.concat([
        book(dpd=[45] * 60), book(dpd=[100] * 60), book(balance_minor=[9_000_000] * 60), book(product=["cash"] * 60),
    ])  # fmt: skip
    found = segments(frame, PARAMETERS)
    assert len(found.labels) == 4
    assert np.bincount(found.code).tolist() == [60] * 4


def test_a_small_segment_is_merged_with_its_like() -> None:
    frame = pd.concat([book(score_band=["A"] * 80), book(score_band=["B"] * 3), book(score_band=["C"] * 3)])
    found = segments(frame, PARAMETERS)
    assert len(found.labels) == 2
    assert np.bincount(found.code).tolist() in ([6, 80], [80, 6])


def test_where_segments_are_merged_what_tells_least_goes_first() -> None:
    """The score band says who pays and the balance does not: it is the balance that a small segment gives up."""
    few = [(band, amount) for band in ("A", "B") for amount in (250_000, 900_000) for _ in range(30)]
    frame = book(score_band=[band for band, _ in few], balance_minor=[amount for _, amount in few])
    often = (frame["score_band"] == "A").to_numpy().astype(np.int64)
    found = segments(frame, PARAMETERS, Payments(often, np.full(len(frame), 90)))
    assert found.given_up[-1] == FACETS.index("score")
    assert len(found.labels) == 2
    assert all(label.endswith((" | A", " | B")) for label in found.labels)
    assert segments(frame, PARAMETERS).given_up == GIVEN_UP


def test_minor_units_follow_the_currency() -> None:
    frame = pd.concat([book(balance_minor=[250_000] * 60), book(currency=["JPY"] * 60, balance_minor=[250_000] * 60)])
    labels = segments(frame, PARAMETERS).labels
    assert any("1k–5k" in label and "CNY" in label for label in labels)
    assert any("100k–400k" in label and "JPY" in label for label in labels)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_order_of_placements_changes_no_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = book(
        dpd=rng.integers(0, 500, 200).tolist(),
        balance_minor=rng.integers(1, 10_000_000, 200).tolist(),
        score_band=rng.choice(["A", "B"], 200).tolist(),
    )
    order = rng.permutation(200)
    straight, turned = segments(frame, PARAMETERS), segments(frame.iloc[order], PARAMETERS)
    assert [straight.labels[code] for code in straight.code[order]] == [turned.labels[code] for code in turned.code]


def curves(ages: list[int], paid: list[tuple[int, int, int]]) -> pd.DataFrame:
    placements = pd.DataFrame({
        "agency": "quayside", "segment": "all", "vintage": "2026-01", "currency": "CNY", "balance_minor": 10_000,
        "age_days": ages,
    })  # fmt: skip
    money = pd.DataFrame(paid, columns=["at", "month", "gross_minor"], dtype="int64")
    return liquidation_curves(placements.astype({"age_days": "int64"}), money, PARAMETERS)


def test_a_reversal_lowers_the_curve() -> None:
    curve = curves([95, 95], [(0, 0, 5_000), (1, 1, 1_000), (0, 2, -2_000)])
    assert curve["month"].tolist() == [1, 2, 3]
    assert curve["rate"].tolist() == [0.25, 0.05, -0.1]
    assert curve["cumulative"].tolist() == pytest.approx([0.25, 0.3, 0.2])


def test_a_month_that_some_have_not_lived_has_no_value() -> None:
    curve = curves([95, 40], [(0, 0, 5_000), (0, 2, 1_000)])
    assert curve["month"].tolist() == [1]


def test_nothing_placed_has_no_rate() -> None:
    placements = pd.DataFrame({
        "agency": ["quayside"], "segment": ["all"], "vintage": ["2026-01"], "currency": ["CNY"], "balance_minor": [0],
        "age_days": [40],
    })  # fmt: skip
    none = pd.DataFrame({"at": [0], "month": [0], "gross_minor": [0]})
    assert liquidation_curves(placements, none, PARAMETERS)["rate"].isna().all()


def test_no_placements_make_an_empty_table_with_its_columns() -> None:
    curve = curves([], [])
    assert curve.empty
    assert {"rate", "cumulative", "placed_minor"} <= set(curve.columns)

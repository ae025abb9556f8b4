"""A frame leaves only as its release says, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gate import conforming
from models.kinds import PLACEMENT_FIELDS
from models.release import Release, load, minimise

if TYPE_CHECKING:
    from models.gate.scanning import Hit

PSEUDONYM = "G" + "0123456789ABCDEFGHJKMNPQRS"
WHOLE: dict[str, Any] = {
    "account": PSEUDONYM, "debtor": PSEUDONYM, "product": "card", "currency": "CNY", "balance_minor": 150_000,
    "original_minor": 1_000_000, "principal_minor": 140_000, "interest_minor": 9_000, "fees_minor": 1_000,
    "as_of": pd.Timestamp("2026-01-01"), "dpd": 95, "bucket": "M4", "region": "310115",
    "opened_on": pd.Timestamp("2023-04-05"), "due_on": pd.Timestamp("2025-09-28"),
    "last_paid_on": pd.Timestamp("2025-08-28"), "score_band": "B", "stage": "phone", "round": 1,
    "placed_on": pd.Timestamp("2026-01-05"), "due_back_on": pd.Timestamp("2026-04-05"), "name": "欧阳峰",
    "id_number": "110101199003077475", "phone": "15412345678", "phone_alt": None, "email": "a@example.com",
    "address": "人民路1号", "employer": "启明公司", "contact_name": "李静", "contact_phone": "15487654321",
}  # fmt: skip


def release_at(stage: str) -> Release:
    channel = {"reminder": "sms"}.get(stage, stage)
    return load("cn-default").release("collection", stage, [channel], "quayside")


def whole(lines: int = 3) -> pd.DataFrame:
    return pd.DataFrame([WHOLE] * lines).astype({"name": "str", "phone_alt": "str"})


def wrong(frame: pd.DataFrame, release: Release) -> list[Hit]:
    found = conforming.columns(frame, release.fields, release)
    return found or list(conforming.cells(frame, release.fields, release, 1))


@pytest.mark.parametrize("stage", ["reminder", "phone", "field", "legal"])
def test_what_minimise_makes_is_what_the_release_says(stage: str) -> None:
    release = release_at(stage)
    assert wrong(minimise(whole(), release), release) == []


@pytest.mark.parametrize("stage", ["reminder", "phone", "field", "legal"])
def test_a_treated_field_that_leaves_whole_is_caught_line_by_line(stage: str) -> None:
    release = release_at(stage)
    for name in release.generalised:
        frame = minimise(whole(), release)
        leaving = next(one.column for one in release.fields if one.name == name)
        frame[leaving] = frame[leaving].astype("object")
        value = WHOLE[PLACEMENT_FIELDS[name].column]
        frame.loc[1, leaving] = str(value.date()) if isinstance(value, pd.Timestamp) else str(value)
        found = [(hit.column, hit.kind, hit.lines) for hit in wrong(frame.astype({leaving: "str"}), release)]
        assert found == [(leaving, conforming.NOT_AS_RELEASED, (2,))], name


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=12))
def test_a_column_that_is_not_released_is_caught_under_any_name(name: str) -> None:
    release = release_at("phone")
    frame = minimise(whole(), release)
    if name in frame.columns:
        return
    frame[name] = WHOLE["id_number"]
    assert [(hit.column, hit.kind) for hit in wrong(frame, release)] == [(name, conforming.NOT_RELEASED)]


def test_a_column_that_is_there_twice_or_missing_is_caught() -> None:
    release = release_at("phone")
    frame = minimise(whole(), release)
    twice = pd.concat([frame, frame[["phone"]]], axis=1)
    assert [(hit.column, hit.kind) for hit in wrong(twice, release)] == [("phone", conforming.NOT_RELEASED)]
    assert [hit.kind for hit in wrong(frame.drop(columns="phone"), release)] == [conforming.MISSING]


@pytest.mark.parametrize(
    ("column", "value"),
    [("balance_minor", 10**16), ("dpd", 15_412_345), ("account", "15412345678"), ("balance_minor", "15412345678")],
)
def test_a_number_out_of_bounds_and_a_name_that_is_no_pseudonym_are_caught(column: str, value: object) -> None:
    release = release_at("phone")
    frame = minimise(whole(), release)
    frame[column] = pd.Series([value] * len(frame), index=frame.index)
    assert [(hit.column, hit.kind) for hit in wrong(frame, release)] == [(column, conforming.NOT_AS_RELEASED)]

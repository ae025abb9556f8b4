"""Text becomes amounts, numbers and dates exactly, or is refused with a code that says why."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.intake.readings import TEXT, AmountForm, Reading, dates, exact, minor_units, texts, whole_numbers

CENTS = AmountForm(rounding="half_up")


def cells(*values: str | None) -> pa.Array:
    return pa.array(values, type=TEXT)


def codes(reading: Reading) -> list[str | None]:
    """The first code of each row."""
    found: list[str | None] = [None] * len(reading.values)
    for code, rows in reading.faults:
        for place in rows.nonzero()[0]:
            found[place] = found[place] or code
    return found


def minor(text: str | None, currency: str = "CNY", form: AmountForm | None = None) -> tuple[int | None, str | None]:
    form = form or AmountForm()
    reading = minor_units(exact(cells(text), form), cells(currency), form)
    return reading.values[0].as_py(), codes(reading)[0]


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=12))
def test_rounding_is_half_up_away_from_zero_as_decimal_has_it(amount: Decimal) -> None:
    expected = int((amount * 100).quantize(Decimal(1), ROUND_HALF_UP))
    assert minor(f"{amount:f}", form=CENTS) == (expected, None)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_minor_units_written_and_read_come_back(amounts: list[int], currency: str) -> None:
    digits = {"CNY": 2, "JPY": 0, "KWD": 3}[currency]
    written = [f"{Decimal(amount).scaleb(-digits):f}" for amount in amounts]
    limit = 10**15
    read = minor_units(exact(cells(*written), AmountForm()), cells(*[currency] * len(amounts)), AmountForm())
    assert read.values.to_pylist() == [amount if abs(amount) <= limit else None for amount in amounts]


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("12.5", "CNY", (1250, None)),
        ("+12.50", "CNY", (1250, None)),
        ("-0.01", "CNY", (-1, None)),
        ("1234", "JPY", (1234, None)),
        ("1.234", "KWD", (1234, None)),
        (None, "CNY", (None, None)),
        ("12.345", "CNY", (None, "too_many_decimals")),
        ("0.5", "JPY", (None, "too_many_decimals")),
        ("1,234.50", "CNY", (None, "thousands_separator")),
        ("1'234.50", "CNY", (None, "thousands_separator")),
        ("1.234.567", "CNY", (None, "thousands_separator")),
        ("12,50", "CNY", (None, "decimal_mark")),
        ("6.22848E+17", "CNY", (None, "spreadsheet_number")),
        ("######", "CNY", (None, "spreadsheet_error")),
        ("#N/A", "CNY", (None, "spreadsheet_error")),
        ("¥12.50", "CNY", (None, "not_amount")),
        ("twelve", "CNY", (None, "not_amount")),
        ("12345678901234567890", "CNY", (None, "amount_too_large")),
        ("99999999999999.00", "CNY", (None, "amount_too_large")),
    ],
)
def test_an_amount_is_read_exactly_or_refused_for_its_reason(
    text: str, currency: str, expected: tuple[int | None, str | None]
) -> None:
    assert minor(text, currency) == expected


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("1.234,50", AmountForm(decimal=",", thousands="."), (123450, None)),
        ("1234,5", AmountForm(decimal=","), (123450, None)),
        ("12.50", AmountForm(decimal=","), (None, "decimal_mark")),
        ("1,234.50", AmountForm(thousands=","), (123450, None)),
        ("4'350.00", AmountForm(thousands="'"), (435000, None)),
        ("12,34", AmountForm(thousands=","), (None, "decimal_mark")),
        ("1250", AmountForm(unit="minor"), (1250, None)),
        ("12.5", AmountForm(unit="minor"), (None, "too_many_decimals")),
        ("0.005", AmountForm(rounding="half_up"), (1, None)),
        ("-0.005", AmountForm(rounding="half_up"), (-1, None)),
    ],
)
def test_the_profile_says_how_amounts_are_written(
    text: str, form: AmountForm, expected: tuple[int | None, str | None]
) -> None:
    assert minor(text, form=form) == expected


def test_currencies_of_different_exponents_stand_side_by_side() -> None:
    read = minor_units(exact(cells("1", "1", "1"), AmountForm()), cells("CNY", "JPY", "KWD"), AmountForm())
    assert read.values.to_pylist() == [100, 1, 1000]


@pytest.mark.parametrize(
    ("text", "form", "day", "code"),
    [
        ("2026-02-28", "%Y-%m-%d", date(2026, 2, 28), None),
        ("2026-02-30", "%Y-%m-%d", None, "not_date"),
        ("28.02.2026", "%d.%m.%Y", date(2026, 2, 28), None),
        ("20260228", "%Y%m%d", date(2026, 2, 28), None),
        ("2026年02月28日", "%Y年%m月%d日", date(2026, 2, 28), None),
        ("2026-02-28 13:00:00", "%Y-%m-%d", None, "not_date"),
        ("45658", "%Y-%m-%d", None, "spreadsheet_date"),
        ("45658.5", "%Y-%m-%d", None, "spreadsheet_date"),
        ("########", "%Y-%m-%d", None, "spreadsheet_error"),
        (None, "%Y-%m-%d", None, None),
    ],
)
def test_a_date_is_a_day_in_the_profiles_form(text: str, form: str, day: date | None, code: str | None) -> None:
    reading = dates(cells(text), form)
    assert (reading.values[0].as_py(), codes(reading)[0]) == (day, code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("6.22848E+17", "spreadsheet_number"),
        ("6,22848E+17", "spreadsheet_number"),
        ("13812345678.0", "spreadsheet_number"),
        ("622848000123456000", "spreadsheet_number"),
        ("#REF!", "spreadsheet_error"),
        ("0012345", None),
        ("110101199001011237", None),
        ("abc\x00def", "control_character"),
        ("abc\u202edef", "control_character"),
        ("line\nbreak", "control_character"),
        ("9" * 65, "too_long"),
    ],
)
def test_an_identifier_that_a_spreadsheet_ruined_or_that_hides_something_is_refused(
    text: str, code: str | None
) -> None:
    reading = texts(cells(text), max_chars=64, digits=True)
    assert codes(reading)[0] == code


def test_one_long_number_in_a_thousand_may_end_in_zeros_by_itself() -> None:
    honest = [f"62284800012345{place:04d}" for place in range(1, 2_000)]
    assert not texts(cells(*honest), max_chars=64, digits=True).bad().any()
    ruined = [number[:15] + "000" for number in honest]
    assert texts(cells(*ruined), max_chars=64, digits=True).bad().all()
    assert not texts(cells(*ruined), max_chars=64, digits=True, check_lost_digits=False).bad().any()


def test_whole_numbers_are_digits_only() -> None:
    reading = whole_numbers(cells("30", "-1", "1.0", "1e3", "#N/A", None))
    assert reading.values.to_pylist() == [30, -1, None, None, None, None]
    assert codes(reading) == [None, None, "not_integer", "spreadsheet_number", "spreadsheet_error", None]

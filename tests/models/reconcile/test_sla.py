from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UsageError
from models.reconcile.breaks import ABOUT
from models.reconcile.sla import Sla, shipped


def breaks(*rows: tuple[str, int, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["code", "amount_minor", "currency"])
    return frame.assign(opened_at=pd.Timestamp("2026-04-01T23:00", tz="UTC"))


def test_every_code_has_its_days() -> None:
    assert set(shipped().by_code) == set(ABOUT)


def test_large_ones_are_due_sooner_in_every_currency_alike() -> None:
    some = breaks(("commission_diff", 999_999, "CNY"), ("commission_diff", -1_000_000, "CNY"),
                  ("commission_diff", 10_000_000, "CNY"), ("commission_diff", 199_999, "JPY"),
                  ("commission_diff", 200_000, "JPY"), ("ambiguous", 1_000_000, "CNY"))  # fmt: skip
    assert shipped().allowed(some).tolist() == [15, 3, 1, 15, 3, 3]


def test_a_break_says_its_age_when_it_is_due_and_how_overdue_it_is() -> None:
    said = shipped().stated(breaks(("no_line", 5, "CNY"), ("vat_diff", 5, "CNY")), date(2026, 4, 9))
    assert said["age"].tolist() == ["8-30", "8-30"]
    assert said["due_on"].dt.date.tolist() == [date(2026, 4, 6), date(2026, 4, 16)]
    assert said["overdue_days"].tolist() == [3, 0]


@given(st.sampled_from(sorted(ABOUT)), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_larger_break_is_never_due_later(code: str, one: int, other: int) -> None:
    days = shipped().allowed(breaks((code, min(one, other), "CNY"), (code, max(one, other), "CNY")))
    assert days[1] <= days[0]


@pytest.mark.parametrize("text", [
    "days = -1", "days = true", "days = 1\n[code]\nno_such = 1", "days = 1\n[[large]]\ndays = 1",
    'days = 1\n[[large]]\nfrom = "5"\ndays = 1\n[[large]]\nfrom = "4"\ndays = 1',
])  # fmt: skip
def test_days_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Sla.parse(text)

"""A line becomes an account, or is refused with line, field and code."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.intake.buckets import BUCKETS, buckets
from models.intake.codes import CODES, REFUSALS, WARNINGS
from models.intake.identities import doubtful_emails, doubtful_id_numbers, doubtful_phones
from models.intake.readings import TEXT, Reading
from models.intake.rules import Checked, Limits, Seen, check, with_fixes

AS_OF = date(2026, 6, 30)


def lines(**changes: list[object]) -> dict[str, Reading]:
    """Readings of as many good lines as the longest change is long."""
    rows = max((len(values) for values in changes.values()), default=1)
    plain: dict[str, list[object]] = {
        "account_ref": [f"A{place}" for place in range(rows)],
        "phone": ["15400000000"] * rows,
        "product": ["card"] * rows,
        "currency": ["CNY"] * rows,
        "balance": [100_00] * rows,
        "dpd": [45] * rows,
    }
    kinds = {"balance": pa.int64(), "dpd": pa.int64(), "principal": pa.int64(), "interest": pa.int64(),
             "fees": pa.int64(), "original": pa.int64(), "opened_on": pa.date32(), "due_on": pa.date32(),
             "last_paid_on": pa.date32()}  # fmt: skip
    return {name: Reading(pa.array(values, type=kinds.get(name, TEXT))) for name, values in (plain | changes).items()}


def checked(limits: Limits | None = None, seen: Seen | None = None, **changes: Any) -> Checked:
    readings = lines(**changes)
    rows = len(readings["balance"].values)
    return check(readings, np.arange(1, rows + 1), AS_OF, limits or Limits(), seen or Seen())


def refusals(result: Checked) -> list[tuple[int, str, str]]:
    return list(with_fixes(result.refused)[["line", "field", "code"]].itertuples(index=False, name=None))


def test_a_good_line_comes_out_typed_with_its_bucket() -> None:
    good = checked(opened_on=[date(2025, 1, 2)], region=[None]).good
    assert good[["line", "balance_minor", "dpd", "bucket"]].to_numpy().tolist() == [[1, 100_00, 45, "M2"]]
    assert str(good["opened_on"].dtype) == "datetime64[us]"
    assert good["region"].isna().all()


@pytest.mark.parametrize("name", ["account_ref", "product", "currency", "balance", "dpd"])
def test_a_required_field_that_is_empty_is_missing(name: str) -> None:
    changed: dict[str, Any] = {name: [None]}
    result = checked(**changed)
    assert refusals(result) == [(1, name, "missing")]
    assert result.good.empty


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("balance", -1, "negative_balance"),
        ("balance", 10**12, "absurd_balance"),
        ("principal", -1, "negative_amount"),
        ("dpd", -1, "dpd_out_of_range"),
        ("dpd", 36_501, "dpd_out_of_range"),
        ("currency", "RMB", "not_currency"),
        ("currency", "cny", "not_currency"),
        ("opened_on", date(2026, 7, 1), "future_date"),
        ("due_on", date(2026, 7, 1), "future_date"),
        ("last_paid_on", date(1899, 12, 31), "date_out_of_range"),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: object, code: str) -> None:
    changed: dict[str, Any] = {name: [value]}
    assert refusals(checked(**changed)) == [(1, name, code)]


def test_the_next_instalment_of_an_account_that_is_not_overdue_may_lie_ahead() -> None:
    assert not refusals(checked(due_on=[date(2026, 7, 15)], dpd=[0]))


def test_limits_are_major_units_of_each_lines_currency() -> None:
    limits = Limits(min_balance=Decimal("1.50"), max_balance=Decimal(1000))
    result = checked(limits, currency=["CNY", "JPY", "CNY", "JPY"], balance=[1_000_00, 1_000, 1_000_01, 1_001])
    assert refusals(result) == [(3, "balance", "absurd_balance"), (4, "balance", "absurd_balance")]
    assert refusals(checked(limits, balance=[149])) == [(1, "balance", "absurd_balance")]


def test_of_a_repeated_account_the_first_good_line_counts() -> None:
    result = checked(account_ref=["A", "B", "A", "A"], balance=[-1, 1, 1, 1])
    assert result.good["line"].tolist() == [2, 3]
    assert refusals(result) == [(1, "balance", "negative_balance"), (4, "account_ref", "repeated")]


def test_an_account_repeated_in_a_later_shard_is_refused_too() -> None:
    seen = Seen()
    assert not refusals(checked(seen=seen, account_ref=["A", "B"]))
    assert refusals(checked(seen=seen, account_ref=["C", "B"])) == [(2, "account_ref", "repeated")]


def test_doubts_about_an_identity_let_the_line_in() -> None:
    result = checked(id_number=["110101199001011238"], phone=["ab"], email=["nobody"], contact_phone=["1"])
    assert not refusals(result)
    assert set(result.warned["code"]) == {"id_number_check", "phone_doubtful", "email_doubtful"}
    assert set(checked(id_number=[None], phone=[None]).warned["code"]) == {"no_identity"}


def test_a_line_that_is_refused_is_not_warned_about_as_well() -> None:
    assert checked(balance=[-1], phone=["ab"]).warned.empty


def test_parts_that_do_not_make_the_balance_are_a_warning() -> None:
    result = checked(balance=[60, 61], principal=[10, 10], interest=[20, 20], fees=[30, 30])
    assert result.warned[["line", "code"]].to_numpy().tolist() == [[2, "parts_differ"]]


def test_a_payment_before_the_opening_is_a_warning() -> None:
    result = checked(opened_on=[date(2025, 5, 5)], last_paid_on=[date(2025, 5, 4)])
    assert result.warned["code"].tolist() == ["date_order"]


def test_buckets_are_bands_of_thirty_days() -> None:
    days = np.array([0, 1, 30, 31, 60, 61, 90, 91, 120, 121, 150, 151, 180, 181, 36_500])
    expected = ["M0", "M1", "M1", "M2", "M2", "M3", "M3", "M4", "M4", "M5", "M5", "M6", "M6", "M6+", "M6+"]
    assert buckets(days).tolist() == expected
    assert set(expected) == set(BUCKETS)


def test_every_code_says_what_to_do_and_is_either_a_refusal_or_a_warning() -> None:
    assert set(CODES) == set(REFUSALS) | set(WARNINGS)
    assert not set(REFUSALS) & set(WARNINGS)
    assert all(fix.endswith(".") for fix in CODES.values())


@pytest.mark.parametrize(
    ("number", "doubtful"),
    [
        ("110101199001011237", False),
        ("110101199001011238", True),
        ("110101199002301235", True),
        ("11010119900101123x", True),
        ("E12345678", False),
        (None, False),
    ],
)
def test_only_what_has_the_shape_of_a_resident_id_is_held_to_its_rules(number: str | None, doubtful: bool) -> None:
    assert bool(doubtful_id_numbers(pa.array([number], type=TEXT))[0]) is doubtful


def test_resident_ids_of_public_test_suites_are_judged_as_published(shared_data: Path) -> None:
    with (shared_data / "pii" / "resident_id_vectors.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if len(row["resident_id"]) == 18]
    found = doubtful_id_numbers(pa.array([row["resident_id"] for row in rows], type=TEXT))
    expected = [row["checksum_and_date_valid"] == "0" for row in rows]
    shaped = [row["resident_id"][:17].isdigit() and row["resident_id"][17] in "0123456789Xx" for row in rows]
    assert [bool(one) for one in found] == [want and shape for want, shape in zip(expected, shaped, strict=True)]


def test_telephones_and_mail_are_held_to_their_form_only() -> None:
    phones = pa.array(["13812345678", "+86 138-1234-5678", "(010) 6555 1234 ext 12", "no", "12", None], type=TEXT)
    assert doubtful_phones(phones).tolist() == [False, False, False, True, True, False]
    mails = pa.array(["a@example.com", "a@b", "a b@example.com", None], type=TEXT)
    assert doubtful_emails(mails).tolist() == [False, True, True, False]

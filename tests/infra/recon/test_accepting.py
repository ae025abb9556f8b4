from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from models.tables import InvoiceLine

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books


def only(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_recovery_is_linked_priced_and_posted(books: Books) -> None:
    books.remit("alpha", [{"gross_minor": 10_050, "agency_txn_id": "T1", "account_id": 2}])
    line = only(books.lines)
    assert (line["placement_id"], line["state"]) == (2, "awaiting_cash")
    assert (line["due_commission_minor"], line["due_vat_minor"], str(line["rate"])) == (1_005, 60, "0.100000")
    assert books.ledger == {"1100": -10_050, "1200": 10_050, "1300": 60, "2100": -1_065, "5100": 1_005}
    assert books.breaks.empty
    books.check()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"account_id": pd.NA}, "unknown_account"),
        ({"account_id": 99}, "unknown_account"),
        ({"account_id": 7}, "wrong_agency"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"value_date": "2026-02-28"}, "before_placement"),
        ({"account_id": 6, "value_date": "2026-04-11"}, "after_recall"),
        ({"gross_minor": -100, "original_txn_id": "none"}, "reversal_without_original"),
        ({"gross_minor": -100}, "reversal_without_original"),
    ],
)
def test_a_line_that_fits_no_placement_is_a_break_and_not_in_the_books(
    quick_books: Books, line: dict[str, Any], code: str
) -> None:
    books = quick_books
    books.place("alpha", [6], ended_on=pd.Timestamp(2026, 3, 31), state="closed")
    books.place("beta", [7])
    books.remit("alpha", [{"gross_minor": 100} | line])
    assert only(books.breaks)["code"] == code
    assert only(books.lines)["state"] == "in_break"
    assert books.ledger == {}


def test_a_payment_within_the_tail_days_still_counts(quick_books: Books) -> None:
    quick_books.place("alpha", [6], ended_on=pd.Timestamp(2026, 3, 31), state="closed")
    quick_books.remit("alpha", [{"gross_minor": 100, "account_id": 6, "value_date": "2026-04-10"}])
    assert only(quick_books.lines)["placement_id"] == 6


def test_the_same_transaction_again_is_a_duplicate_and_never_dropped(books: Books) -> None:
    line = {"gross_minor": 500, "agency_txn_id": "T1"}
    books.remit("alpha", [line, line])
    books.remit("alpha", [line])
    assert list(books.lines["state"]) == ["awaiting_cash", "duplicate", "duplicate"]
    assert list(books.breaks["code"]) == ["duplicate_in_file", "duplicate_across_files"]
    assert books.ledger["1200"] == 500


def test_two_equal_payments_without_a_transaction_id_are_two_and_in_another_file_suspected(quick_books: Books) -> None:
    quick_books.remit("alpha", [{"gross_minor": 500}, {"gross_minor": 500}])
    assert quick_books.breaks.empty
    quick_books.remit("alpha", [{"gross_minor": 500}, {"gross_minor": 500}, {"gross_minor": 500}])
    assert list(quick_books.lines["state"]) == ["awaiting_cash"] * 2 + ["duplicate"] * 2 + ["awaiting_cash"]


def test_the_same_file_again_changes_nothing(quick_books: Books) -> None:
    quick_books.remit("alpha", [{"gross_minor": 500}])
    quick_books.files -= 1
    quick_books.remit("alpha", [{"gross_minor": 500}])
    assert len(quick_books.lines) == 1


def test_what_exceeds_the_balance_is_due_to_the_debtor_and_one_break_per_placement(books: Books) -> None:
    books.remit(
        "alpha", [{"gross_minor": 90_000, "agency_txn_id": "T1"}, {"gross_minor": 30_000, "agency_txn_id": "T2"}]
    )
    assert (only(books.breaks)["code"], only(books.breaks)["amount_minor"]) == ("overpayment", 20_000)
    books.remit("alpha", [{"gross_minor": 5_000, "agency_txn_id": "T3"}])
    assert only(books.breaks)["amount_minor"] == 25_000
    assert (books.ledger["1100"], books.ledger["2200"]) == (-100_000, -25_000)
    undone = [{"gross_minor": -30_000, "agency_txn_id": "R2", "original_txn_id": "T2", "value_date": "2026-04-20"}]
    books.remit("alpha", undone)
    assert only(books.breaks)["state"] == "closed"
    assert (books.ledger["1100"], books.ledger.get("2200", 0)) == (-95_000, 0)
    books.check()


def test_a_line_and_its_full_reversal_in_parts_leave_nothing_in_the_books(books: Books) -> None:
    books.place("alpha", [8], dpd=120)
    books.remit("alpha", [{"gross_minor": 1_001, "agency_txn_id": "T1", "account_id": 8}])
    assert books.ledger["5100"] == 250
    undo = {"original_txn_id": "T1", "account_id": 8, "value_date": "2026-05-02"}
    books.remit("alpha", [{"gross_minor": -333, "agency_txn_id": "R1"} | undo])
    books.remit(
        "alpha",
        [{"gross_minor": -333, "agency_txn_id": "R2"} | undo, {"gross_minor": -335, "agency_txn_id": "R3"} | undo],
    )
    assert books.ledger == {}
    assert set(books.lines["rate"].map(str)) == {"0.250000"}
    books.remit("alpha", [{"gross_minor": -1, "agency_txn_id": "R4"} | undo])
    assert only(books.breaks)["code"] == "reversal_without_original"
    books.check()


def test_a_reversal_in_the_same_file_as_its_original_is_linked(quick_books: Books) -> None:
    quick_books.remit(
        "alpha",
        [
            {"gross_minor": -700, "agency_txn_id": "R1", "original_txn_id": "T1"},
            {"gross_minor": 700, "agency_txn_id": "T1"},
        ],
    )
    lines = quick_books.lines
    assert lines["original_line_id"].tolist()[0] == lines["line_id"].tolist()[1]
    assert quick_books.ledger == {}


def test_a_clawback_takes_the_rate_of_its_original_although_the_contract_has_changed(quick_books: Books) -> None:
    quick_books.agree("alpha", 'currency = "CNY"\n[[tier]]\nrate = "0.5"', since=date(2026, 5, 1))
    quick_books.remit("alpha", [{"gross_minor": 1_000, "agency_txn_id": "T1"}])
    undo = {"gross_minor": -1_000, "agency_txn_id": "R1", "original_txn_id": "T1", "value_date": "2026-05-05"}
    quick_books.remit("alpha", [undo, {"gross_minor": 1_000, "agency_txn_id": "T2", "value_date": "2026-05-05"}])
    assert list(quick_books.lines["due_commission_minor"]) == [100, -100, 500]


def test_a_gross_remitter_that_nets_its_fee_is_a_break(books: Books) -> None:
    books.remit("alpha", [{"gross_minor": 1_000, "commission_minor": 100, "vat_minor": 6, "net_minor": 894}])
    assert (only(books.breaks)["code"], only(books.breaks)["amount_minor"]) == ("fee_netted", 106)
    assert only(books.lines)["state"] == "awaiting_cash"
    assert only(books.breaks)["detail"] == '{"expected_minor":1000,"found_minor":894}'


def test_a_net_remitter_keeps_what_the_contract_gives_and_more_is_a_break(books: Books) -> None:
    books.agree("beta", 'remits = "net"\ncurrency = "CNY"\nvat_rate = "0.06"\n[[tier]]\nrate = "0.10"')
    books.place("beta", [11, 12])
    good = {"gross_minor": 1_000, "commission_minor": 100, "vat_minor": 6, "net_minor": 894, "account_id": 11}
    books.remit("beta", [good])
    assert books.breaks.empty
    assert books.ledger == {"1100": -1_000, "1200": 894, "1300": 6, "5100": 100}
    books.remit("beta", [good | {"account_id": 12, "commission_minor": 120, "vat_minor": 7, "net_minor": 873}])
    assert list(books.breaks["code"]) == ["commission_diff", "vat_diff"]
    assert list(books.breaks["amount_minor"]) == [20, 1]
    books.check()


def test_a_fee_agreed_case_by_case_is_what_the_line_states(quick_books: Books) -> None:
    quick_books.agree("beta", 'remits = "net"\ncurrency = "CNY"\nfees = "per_line"')
    quick_books.place("beta", [11])
    quick_books.remit("beta", [{"gross_minor": 999, "commission_minor": 123, "net_minor": 876, "account_id": 11}])
    assert quick_books.breaks.empty
    assert quick_books.ledger["5100"] == 123


def test_an_invoice_is_recomputed_line_by_line(books: Books) -> None:
    recovered = [{"gross_minor": 1_000 * n, "agency_txn_id": f"T{n}", "account_id": n} for n in (1, 2, 3)]
    books.remit("alpha", recovered)
    books.invoice(
        "alpha",
        [
            {"agency_txn_id": "T1", "account_id": 1, "base_minor": 1_000, "commission_minor": 100, "vat_minor": 6},
            {"agency_txn_id": "T2", "account_id": 2, "base_minor": 2_000, "commission_minor": 250, "vat_minor": 12},
            {"account_id": 3, "base_minor": 3_000, "commission_minor": 300, "vat_minor": 17},
            {"agency_txn_id": "T1", "account_id": 1, "base_minor": 1_000, "commission_minor": 100, "vat_minor": 6},
        ],
    )
    assert list(books.table(InvoiceLine)["state"]) == ["agreed", "disputed", "disputed", "received"]
    assert list(zip(books.breaks["code"], books.breaks["amount_minor"], strict=True)) == [
        ("commission_diff", 50),
        ("vat_diff", -1),
    ]


def test_an_invoice_that_comes_before_its_remittance_waits(quick_books: Books) -> None:
    claim = {"agency_txn_id": "T1", "base_minor": 1_000, "commission_minor": 100, "vat_minor": 6}
    quick_books.invoice("alpha", [claim])
    assert quick_books.breaks.empty
    quick_books.remit("alpha", [{"gross_minor": 1_000, "agency_txn_id": "T1"}])
    quick_books.invoice("alpha", [claim | {"invoice_no": "I-2", "agency_txn_id": "T2"}])
    assert list(quick_books.table(InvoiceLine)["state"]) == ["agreed", "received"]

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from models.tables import AuditEvent, Match, MatchPart

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books


def batch(*amounts: int, ref: str = "ALPHA-1", start: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "gross_minor": amount,
            "agency_txn_id": f"T{ref}{number}",
            "account_id": (number - 1) % 5 + 1,
            "batch_ref": ref,
        }
        | more
        for number, amount in enumerate(amounts, start)
    ]


def test_a_transfer_pays_all_its_lines(books: Books) -> None:
    books.remit("alpha", batch(100, 200, 300))
    books.bank([{"amount_minor": 600, "reference": "ALPHA-1"}])
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"matched": 3}, {"matched": 1}, {})
    assert report.journal_balanced
    assert (books.ledger["1010"], books.ledger["1100"]) == (600, -600)
    assert not {"1200", "1250"} & set(books.ledger)


def test_running_again_adds_no_row(books: Books) -> None:
    books.remit("alpha", [*batch(100, 200), {"gross_minor": 50}, *batch(70, 80, ref="ALPHA-2", start=3)])
    books.bank(
        [
            {"amount_minor": 300, "reference": "ALPHA-1"},
            {"amount_minor": 9},
            {"amount_minor": 120, "reference": "alpha-2"},
        ]
    )
    first = books.reconcile(date(2026, 5, 20))
    before = [books.table(row) for row in (Match, MatchPart, AuditEvent)] + [books.breaks, books.lines, books.receipts]
    again = books.reconcile(date(2026, 5, 20))
    after = [books.table(row) for row in (Match, MatchPart, AuditEvent)] + [books.breaks, books.lines, books.receipts]
    assert all(one.equals(other) for one, other in zip(before, after, strict=True))
    assert again.breaks == first.breaks == {"amount_diff": 1, "no_line": 1, "no_receipt": 1}
    assert (first.matches, first.matches_suggested, again.matches, again.matches_suggested) == (1, 1, 0, 0)


def test_the_same_statement_again_is_a_no_op_and_a_missing_one_is_told(quick_books: Books) -> None:
    from flows.reconcile import import_statement
    from infra.wiring import seated

    books = quick_books
    books.bank([{"amount_minor": 600, "reference": "ALPHA-1"}])
    path = next(books.folder.glob("*.xml"))
    books.account.balance_minor += 1
    with seated(books.desk):
        assert import_statement(path, books.lender).known
    assert len(books.receipts) == 1
    books.bank([{"amount_minor": 5}], date(2026, 5, 31))
    assert len(books.receipts) == 2


def test_a_lone_recovery_is_paid_under_its_own_reference(quick_books: Books) -> None:
    quick_books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    quick_books.bank([{"amount_minor": 500, "reference": "/ROC/T1//payment of april"}])
    assert quick_books.reconcile().lines == {"matched": 1}
    assert list(quick_books.matches["rule"]) == ["exact"]


def test_a_part_payment_is_a_part_match_and_the_rest_completes_it(books: Books) -> None:
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    books.bank([{"amount_minor": 200, "reference": "T1"}])
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"part_matched": 1}, {"matched": 1}, {"amount_diff": 1})
    assert books.ledger["1200"] == 300
    books.bank([{"amount_minor": 300, "reference": "T1"}])
    report = books.reconcile()
    assert (report.lines, report.breaks) == ({"matched": 1}, {})
    assert "1200" not in books.ledger


def test_a_difference_within_the_tolerance_is_written_off(books: Books) -> None:
    books.remit("alpha", [*batch(100, 200), {"gross_minor": 500, "agency_txn_id": "T9"}])
    books.bank([{"amount_minor": 297, "reference": "ALPHA-1"}, {"amount_minor": 504, "reference": "T9"}])
    assert books.reconcile().lines == {"matched": 3}
    assert books.breaks.empty
    assert books.ledger["5950"] == 3 - 4
    assert not {"1200", "1250"} & set(books.ledger)


def test_a_transfer_that_is_more_than_its_lines_pays_them_and_keeps_the_rest(books: Books) -> None:
    books.remit("alpha", batch(100, 200))
    books.bank([{"amount_minor": 450, "reference": "ALPHA-1"}])
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"matched": 2}, {"part_matched": 1}, {"amount_diff": 1})
    assert books.ledger["1250"] == -150
    books.remit("alpha", batch(150, start=3))
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"matched": 3}, {"matched": 1}, {})
    assert "1250" not in books.ledger


def test_a_transfer_that_is_less_than_its_lines_is_suggested_and_not_posted(quick_books: Books) -> None:
    quick_books.remit("alpha", batch(100, 200))
    quick_books.bank([{"amount_minor": 250, "reference": "ALPHA-1"}])
    report = quick_books.reconcile(date(2026, 5, 20))
    assert (report.lines, report.receipts, report.breaks) == (
        {"awaiting_cash": 2},
        {"unapplied": 1},
        {"amount_diff": 1},
    )
    assert quick_books.ledger["1250"] == -250
    quick_books.bank([{"amount_minor": 50, "reference": "ALPHA-1"}])
    report = quick_books.reconcile(date(2026, 5, 20))
    assert (report.lines, report.breaks) == ({"matched": 2}, {})
    assert sorted(quick_books.matches["status"]) == ["confirmed", "undone"]


def test_equal_lines_on_different_accounts_are_not_guessed_between(books: Books) -> None:
    same = {"gross_minor": 100, "agency_txn_id": "T1"}
    books.remit("alpha", [same | {"account_id": 1}, same | {"account_id": 2}])
    books.bank([{"amount_minor": 100, "reference": "T1"}])
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"awaiting_cash": 2}, {"unapplied": 1}, {"ambiguous": 1})
    books.bank([{"amount_minor": 100, "reference": "T1"}])
    report = books.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"matched": 2}, {"matched": 2}, {})


def test_a_line_in_break_is_paid_with_its_transfer_and_its_money_stays_unapplied(books: Books) -> None:
    books.remit("alpha", [*batch(100, 200), {"gross_minor": 50, "account_id": None, "batch_ref": "ALPHA-1"}])
    books.bank([{"amount_minor": 350, "reference": "ALPHA-1"}])
    report = books.reconcile()
    assert (report.lines, report.breaks) == ({"in_break": 1, "matched": 2}, {"unknown_account": 1})
    assert (books.ledger["1250"], books.ledger.get("1200", 0)) == (-50, 0)


def test_a_reversal_deducted_from_a_later_transfer_is_matched_there(books: Books) -> None:
    books.remit("alpha", batch(100, 200))
    books.bank([{"amount_minor": 300, "reference": "ALPHA-1"}])
    books.reconcile()
    undone = {"gross_minor": -200, "agency_txn_id": "R", "original_txn_id": "TALPHA-12", "account_id": 2}
    books.remit("alpha", [*batch(500, ref="ALPHA-2"), undone | {"batch_ref": "ALPHA-2", "value_date": "2026-04-20"}])
    books.bank([{"amount_minor": 300, "reference": "ALPHA-2"}], date(2026, 5, 31))
    report = books.reconcile()
    assert (report.lines, report.breaks) == ({"matched": 4}, {})
    assert (books.ledger["1100"], books.ledger.get("1200", 0)) == (-600, 0)


def test_a_reversal_that_comes_before_its_original_waits_for_it(books: Books) -> None:
    undone = {"gross_minor": -200, "agency_txn_id": "R", "original_txn_id": "TALPHA-12", "account_id": 2}
    books.remit("alpha", [undone | {"batch_ref": "ALPHA-2"}, *batch(500, ref="ALPHA-2")])
    books.bank([{"amount_minor": 300, "reference": "ALPHA-2"}, {"amount_minor": 300, "reference": "ALPHA-1"}])
    report = books.reconcile()
    assert (report.lines, report.breaks) == (
        {"in_break": 1, "matched": 1},
        {"no_line": 1, "reversal_without_original": 1},
    )
    books.remit("alpha", batch(100, 200))
    report = books.reconcile()
    assert (report.lines, report.breaks) == ({"matched": 4}, {})
    assert books.ledger == {"1010": 600, "1100": -600, "1300": 4, "2100": -64, "5100": 60}


def test_a_run_that_dies_in_the_middle_leaves_nothing_and_the_next_is_as_if_it_never_was(
    quick_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """As a kill: nobody catches it."""

    def die(*_: object) -> int:
        raise Died

    books = quick_books
    books.remit("alpha", [*batch(100, 200), {"gross_minor": 50, "agency_txn_id": "T9"}])
    books.bank([{"amount_minor": 300, "reference": "ALPHA-1"}])
    for place in ("infra.store.cash.append", "infra.store.cash.set_columns", "infra.store.cash.post"):
        with monkeypatch.context() as patched:
            patched.setattr(place, die)
            with pytest.raises(Died):
                books.reconcile()
        assert books.matches.empty
        assert set(books.lines["state"]) == {"awaiting_cash"}
    report = books.reconcile()
    assert (report.lines, report.receipts) == ({"awaiting_cash": 1, "matched": 2}, {"matched": 1})
    assert books.ledger["1200"] == 50


def test_a_recovery_undone_before_it_was_paid_needs_no_money(quick_books: Books) -> None:
    quick_books.remit(
        "alpha",
        [
            {"gross_minor": 700, "agency_txn_id": "T1"},
            {"gross_minor": -700, "agency_txn_id": "R1", "original_txn_id": "T1"},
        ],
    )
    quick_books.bank([{"amount_minor": 1}])
    assert quick_books.reconcile().lines == {"matched": 1, "reversed": 1}
    assert list(quick_books.matches["rule"]) == ["reversal"]


def test_a_receipt_that_the_bank_took_back_is_returned(quick_books: Books) -> None:
    quick_books.remit("alpha", [{"gross_minor": 700, "agency_txn_id": "T1"}])
    entry = {"reference": "T1", "amount_minor": 700}
    quick_books.bank([entry, entry | {"amount_minor": -700, "is_reversal": True}])
    report = quick_books.reconcile(date(2026, 5, 20))
    assert (report.lines, report.receipts) == ({"awaiting_cash": 1}, {"returned": 2})
    assert report.breaks == {"no_receipt": 1}


def test_money_nobody_explains_is_a_break_and_bank_charges_are_not_ours(quick_books: Books) -> None:
    quick_books.bank([{"amount_minor": 10, "payer_account": "OTHER"}, {"amount_minor": -3, "payer_account": "BANK"}])
    report = quick_books.reconcile()
    assert (report.receipts, report.breaks) == ({"not_ours": 1, "unapplied": 1}, {"no_line": 1})
    assert quick_books.receipts["counterparty"].isna().all()


def test_an_unknown_payer_is_known_by_a_reference_that_one_agency_has(quick_books: Books) -> None:
    quick_books.remit("alpha", batch(100, 200, ref="SUMMER-7"))
    quick_books.bank([{"amount_minor": 300, "payer_account": "OTHER", "reference": "SUMMER-7"}])
    assert quick_books.reconcile().lines == {"matched": 2}


def test_late_money_is_matched_and_told_once_per_transfer(books: Books) -> None:
    books.remit("alpha", batch(100, 200))
    assert books.reconcile(date(2026, 4, 7)).breaks == {"no_receipt": 1}
    assert books.breaks["detail"].tolist() == ['{"lines":2}']
    books.bank([{"amount_minor": 300, "reference": "ALPHA-1", "value_date": "2026-04-20"}])
    report = books.reconcile(date(2026, 4, 21))
    assert (report.lines, report.breaks) == ({"matched": 2}, {"late_remittance": 1})


def test_an_invoice_for_a_line_that_never_came_is_a_break_until_it_comes(quick_books: Books) -> None:
    quick_books.invoice(
        "alpha", [{"agency_txn_id": "T1", "base_minor": 1_000, "commission_minor": 100, "vat_minor": 6}]
    )
    report = quick_books.reconcile()
    assert (report.breaks, report.invoice_lines_waiting) == ({"commission_diff": 1, "vat_diff": 1}, 1)
    quick_books.remit("alpha", [{"gross_minor": 1_000, "agency_txn_id": "T1"}])
    assert quick_books.reconcile().breaks == {}

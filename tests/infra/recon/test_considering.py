"""One line or receipt as a person asks about it: why it is open, what it is tied to, what may belong to it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from infra.store import considered
from infra.store.considered import Kind, candidates, explained
from models.errors import UsageError
from models.tables import AuditEvent

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books


def ask(books: Books, kind: Kind, number: int) -> dict[str, Any]:
    with books.database.read() as connection:
        return explained(connection, kind, number)


def offered(books: Books, kind: Kind, number: int, limit: int = 5) -> list[dict[str, Any]]:
    with books.database.read() as connection:
        return candidates(connection, (kind, number), limit)


def test_an_open_line_says_why_with_its_figures(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}, {"gross_minor": 70, "agency_txn_id": "T2"}])
    assert ask(books, "line", 1)["why"]["code"] == "not_looked_at"
    books.bank([{"amount_minor": 200, "reference": "T1"}])
    books.reconcile()
    said = ask(books, "line", 1)
    assert said["why"] == {"code": "part", "says": "only a part of it is tied", "minor": 300}
    assert said["open_minor"] == 300
    assert [one["code"] for one in said["breaks"]] == ["amount_diff"]
    assert ask(books, "line", 2)["why"]["code"] == "no_receipt_names_it"


def test_a_tied_line_says_by_which_rule_and_what_else_was_considered(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    books.bank([{"amount_minor": 500, "reference": "T1"}, {"amount_minor": 503, "reference": "T1"}])
    books.reconcile()
    said = ask(books, "line", 1)
    assert "why" not in said
    match = said["matches"][0]
    assert (match["rule"], match["status"], match["candidates"]) == ("exact", "confirmed", 2)
    assert [part["amount_minor"] for part in match["parts"]] == [500, 500]
    assert match["preferred_to"] == [{"receipt_id": 2, "off_minor": 3, "off_days": 0}]
    assert ask(books, "receipt", 2)["why"]["code"] == "paid_already"


def test_money_for_what_is_paid_already_says_so(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    books.bank([{"amount_minor": 500, "reference": "T1"}])
    books.reconcile()
    books.bank([{"amount_minor": 500, "reference": "T1"}])
    books.reconcile()
    assert ask(books, "receipt", 2)["why"]["code"] == "paid_already"


def test_candidates_come_by_reference_then_difference_then_sums_then_several(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [
        {"gross_minor": amount, "agency_txn_id": f"T{at}", "value_date": f"2026-04-0{at}"}
        for at, amount in enumerate([1_000_003, 2_500_007, 4_100_011, 77], 1)
    ])  # fmt: skip
    books.bank([{"amount_minor": 3_500_010, "reference": "T4"}, {"amount_minor": 4_100_000, "reference": "X"}])
    books.reconcile()
    for_receipt = offered(books, "receipt", 2)
    assert (for_receipt[0]["by"], for_receipt[0]["ids"], for_receipt[0]["off_minor"]) == ("nearest", [3], 11)
    for_line = offered(books, "line", 3)
    assert for_line[0] | {"likeness": 0} == {
        "by": "nearest", "ids": [2], "beside": [], "off_minor": -11, "off_days": -1, "likeness": 0
    }  # fmt: skip


def test_a_sum_of_two_and_several_for_several_are_proposed_to_a_person(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [
        {"gross_minor": amount, "agency_txn_id": f"T{at}", "value_date": "2026-04-01"}
        for at, amount in enumerate([300, 500, 900], 1)
    ])  # fmt: skip
    books.bank([{"amount_minor": 800}, {"amount_minor": 450}, {"amount_minor": 350}])
    found = offered(books, "receipt", 1)
    assert ("sum", [1, 2], []) in [(one["by"], sorted(one["ids"]), one["beside"]) for one in found]
    several = [(sorted(one["ids"]), one["beside"]) for one in offered(books, "receipt", 2) if one["by"] == "several"]
    assert ([1, 2], [3]) in several


def test_a_counterpart_is_found_however_it_is_written_of_whom_and_wherever_it_stands(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "t1"}, {"gross_minor": 9_000, "agency_txn_id": "T2"}])
    books.bank([
        {"amount_minor": 88, "reference": "T1"},
        {"amount_minor": 4_000, "reference": "T2"},
        {"amount_minor": 501, "reference": "Z"},
        {"amount_minor": 499, "reference": "Z"},
    ])  # fmt: skip
    # the one that is named before the nearest of those above and below, though its amount is far
    best = [(one["by"], one["ids"], one["off_minor"]) for one in offered(books, "line", 1)[:3]]
    assert best == [("reference", [1], -412), ("nearest", [3], 1), ("nearest", [4], -1)]
    books.reconcile()
    # a line that a part of its money has come for counts with what is left
    left = [(one["ids"], one["off_minor"]) for one in offered(books, "receipt", 3)]
    assert ([1], -89) in left
    assert ([2], 4_499) in left


def test_money_of_nobody_s_may_be_any_agency_s_however_many_there_are(
    quick_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}, {"gross_minor": 503, "agency_txn_id": "T2"}])
    books.bank([{"amount_minor": 501, "reference": "no name", "payer_account": "CN-NOBODY"}])
    monkeypatch.setattr(
        considered, "agencies", lambda _connection: {"alpha": "Alpha"}
    )  # these books have no table of them
    together = offered(books, "receipt", 1)
    assert [(one["ids"], one["off_minor"]) for one in together[:2]] == [([1], -1), ([2], 2)]
    monkeypatch.setattr(considered, "OWNERS_AT_ONCE", 2)
    monkeypatch.setattr(considered, "agencies", lambda _connection: {"aero": "Aero", "alpha": "Alpha", "zeta": "Zeta"})
    assert offered(books, "receipt", 1) == together
    monkeypatch.setattr(considered, "agencies", lambda _connection: {})
    assert offered(books, "receipt", 1) == []


def test_what_is_not_there_or_not_open_has_no_candidates(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    books.bank([{"amount_minor": 500, "reference": "T1"}])
    books.reconcile()
    with pytest.raises(UsageError, match="nothing of it is open"):
        offered(books, "line", 1)
    with pytest.raises(UsageError, match="no receipt 9"):
        ask(books, "receipt", 9)


def test_a_run_puts_the_hash_of_what_it_was_given_on_record_whatever_the_order(fresh_books: Any) -> None:
    lines = [{"gross_minor": 500 + at, "agency_txn_id": f"T{at}"} for at in range(3)]
    entries = [{"amount_minor": 500 + at, "reference": f"T{at}"} for at in range(3)]
    hashes = []
    for order in (1, -1):
        with fresh_books() as books:
            books.remit("alpha", lines[::order])
            books.bank(entries[::order])
            books.reconcile()
            events = books.table(AuditEvent)
            tied = events[events["action"] == "reconcile.tied"]
            hashes.append(tied["details"].str.extract(r'"inputs_sha256":"([0-9a-f]{64})"', expand=False).tolist())
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 1


def test_a_break_found_again_stands_open_again_at_its_amount_now(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 500, "agency_txn_id": "T1"}])
    for day, amount, open_minor in ((7, 100, -400), (8, 150, -250)):
        books.bank([{"amount_minor": amount, "reference": "T1"}], date(2026, 4, day), date(2026, 4, day))
        books.reconcile()
        standing = books.breaks[books.breaks["state"] == "open"]
        assert standing[["code", "amount_minor"]].to_numpy().tolist() == [["amount_diff", open_minor]]
    books.bank([{"amount_minor": 250, "reference": "T1"}], date(2026, 4, 9), date(2026, 4, 9))
    assert books.reconcile().breaks == {}

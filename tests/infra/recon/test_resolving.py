"""What people do about breaks: tie, untie, give up, let in, keep out, accept, take back; and who must agree."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import attachments, resolving
from infra.rootkeys import root_of
from infra.store.carrying import Stale
from infra.wiring import Desk
from keys.errors import CellTampered
from keys.keyring import Keyring
from models.errors import RefusedByPolicy, UsageError
from models.reconcile.resolutions import Limits
from models.tables import AuditEvent, Break, BreakNote, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Row

    from tests.infra.recon.conftest import Books

LATE = date(2026, 5, 20)
FAR = "2026-04-28"
"""so long after the lines that nothing but a reference would tie it to them"""


def of(books: Books, actor: str) -> Desk:
    """The same house with somebody else at the desk."""
    return books.desk.acting(actor)


def propose(books: Books, kind: str, actor: str = "ann", *, reason: str = "agency_error", **about: Any) -> Row[Any]:
    return resolving.propose(of(books, actor), kind, reason, "", None, about)


def open_codes(books: Books) -> list[str]:
    breaks = books.breaks
    return sorted(breaks.loc[breaks["state"] == "open", "code"])


def unexplained(
    books: Books, *amounts: int, money: tuple[int, ...] = (), agency: str = "alpha"
) -> tuple[list[int], list[int]]:
    """Lines, and money weeks later that does not say what for: the rules leave both alone. Their numbers."""
    if amounts:
        books.remit(
            agency, [{"gross_minor": amount, "agency_txn_id": f"{agency}{n}"} for n, amount in enumerate(amounts)]
        )
    if money:
        books.bank(
            [{"amount_minor": amount, "reference": f"?{n}", "value_date": FAR} for n, amount in enumerate(money)]
        )
    books.reconcile(LATE)
    return books.lines["line_id"].tolist(), books.receipts["receipt_id"].tolist()


def test_lines_and_receipts_tied_by_hand_are_matched_and_their_breaks_close(books: Books) -> None:
    lines, receipts = unexplained(books, 3_000, 4_000, money=(900, 6_100))
    assert open_codes(books) == ["no_line", "no_line", "no_receipt", "no_receipt"]
    done = propose(books, "match", lines=lines, receipts=receipts, amounts={})
    books.check()
    assert (done.state, done.amount_minor, done.agency) == ("done", 7_000, "alpha")
    assert set(books.lines["state"]) == set(books.receipts["state"]) == {"matched"}
    assert open_codes(books) == []
    assert not {"1200", "1250"} & set(books.ledger)
    match = books.matches.set_index("match_id").loc[done.match_id]
    assert (match["rule"], match["status"], match["made_by"]) == ("by_hand", "confirmed", "ann")


def test_one_receipt_is_split_among_lines_of_two_agencies(quick_books: Books) -> None:
    books = quick_books
    books.agree("beta")
    books.place("beta", [11], account_id=11)
    first, _ = unexplained(books, 5_000)
    books.remit("beta", [{"gross_minor": 2_000, "account_id": 11, "agency_txn_id": "b"}])
    lines = books.lines["line_id"].tolist()
    books.bank([{"amount_minor": 6_000, "reference": "?", "value_date": FAR}])
    (receipt,) = books.receipts["receipt_id"]
    (beta,) = set(lines) - set(first)
    done = propose(books, "match", lines=lines, receipts=[receipt], amounts={first[0]: 4_500, beta: 1_500})
    books.check()
    assert done.agency is None
    assert set(books.lines["state"]) == {"part_matched"}
    assert books.lines.set_index("line_id")["cash_minor"].to_dict() == {first[0]: 4_500, beta: 1_500}
    assert books.ledger["1200"] == 1_000


def test_without_amounts_the_smaller_side_is_used_up_in_the_order_of_value_dates(quick_books: Books) -> None:
    books = quick_books
    lines, receipts = unexplained(books, 3_000, 4_000, money=(5_000,))
    propose(books, "match", lines=lines, receipts=receipts, amounts={})
    books.check()
    assert sorted(books.lines["state"]) == ["matched", "part_matched"]
    assert books.receipts["state"].tolist() == ["matched"]
    assert books.ledger["1200"] == 2_000


@pytest.mark.parametrize(
    ("amounts", "money", "says"),
    [({1: 9_000}, (7_000,), "open, not"), ({1: -1}, (7_000,), "open, not"),
     ({1: 3_000, 2: 4_000}, (500,), "the parts sum"), ({}, (7_000, -100), "the lines sum")],
    ids=["more than a line has", "another sign", "more than the money", "signs mixed"],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_refused_and_nothing_is_kept(
    amounts: dict[int, int], money: tuple[int, ...], says: str, quick_books: Books
) -> None:
    books = quick_books
    lines, receipts = unexplained(books, 3_000, 4_000, money=money)
    with pytest.raises(UsageError, match=says):
        propose(books, "match", lines=lines, receipts=receipts, amounts={lines[n - 1]: a for n, a in amounts.items()})
    assert books.table(Resolution).empty
    assert set(books.lines["state"]) == {"awaiting_cash"}


def test_a_match_taken_apart_leaves_the_books_as_they_were_and_the_rules_keep_off(books: Books) -> None:
    books.remit("alpha", [{"gross_minor": 3_000, "agency_txn_id": "T1"}, {"gross_minor": 500, "agency_txn_id": "T2"}])
    books.bank([{"amount_minor": 2_997, "reference": "T1"}, {"amount_minor": 503, "reference": "T2"}])
    waiting = books.ledger
    books.reconcile(LATE)
    assert books.ledger != waiting
    for match_id in books.matches["match_id"]:
        propose(books, "unmatch", match_id=int(match_id))
        books.check()
    assert books.ledger == waiting
    assert (set(books.lines["state"]), set(books.receipts["state"])) == ({"awaiting_cash"}, {"unapplied"})
    again = books.reconcile(LATE)
    assert again.matches == 0
    assert open_codes(books) == ["no_line", "no_line", "no_receipt", "no_receipt"]
    lines, receipts = books.lines["line_id"].tolist(), books.receipts["receipt_id"].tolist()
    propose(books, "match", lines=[lines[0]], receipts=[receipts[0]], amounts={})
    books.check()


@given(
    amounts=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    money=st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_match_then_undo_leaves_every_balance_unchanged(
    amounts: list[int], money: list[int], fresh_books: Callable[[], AbstractContextManager[Books]]
) -> None:
    with fresh_books() as books:
        lines, receipts = unexplained(books, *amounts, money=tuple(money))
        before, were = books.ledger, books.lines[["line_id", "state", "cash_minor"]]
        done = propose(books, "match", lines=lines, receipts=receipts, amounts={})
        books.check()
        assert done.amount_minor == min(sum(amounts), sum(money))
        assert books.ledger.get("1200", 0) == max(0, sum(amounts) - sum(money))
        propose(books, "undo", resolution_id=done.resolution_id)
        books.check()
        assert books.ledger == before
        assert books.lines[["line_id", "state", "cash_minor"]].equals(were)


def test_a_small_rest_is_given_up_by_one_person_a_larger_one_by_two_and_no_one_agrees_to_his_own(
    quick_books: Books,
) -> None:
    books = quick_books
    lines, _ = unexplained(books, 400, 90_000)
    assert propose(books, "write_off", line=lines[0], receipt=None).state == "done"
    large = propose(books, "write_off", line=lines[1], receipt=None)
    assert (large.state, large.others) == ("waiting", 1)
    assert books.ledger["5950"] == 400
    with pytest.raises(RefusedByPolicy, match="ann proposed"):
        resolving.approve(of(books, "ann"), large.resolution_id)
    assert resolving.approve(of(books, "ben"), large.resolution_id).state == "done"
    books.check()
    assert (books.ledger["5950"], books.ledger.get("1200", 0)) == (90_400, 0)
    assert set(books.lines["state"]) == {"written_off"}
    assert open_codes(books) == []
    with pytest.raises(RefusedByPolicy, match="cannot become done"):
        resolving.approve(of(books, "eve"), large.resolution_id)


def test_the_largest_need_two_others_and_each_counts_once(books: Books) -> None:
    lines, _ = unexplained(books, 2_000_000)
    row = propose(books, "write_off", line=lines[0], receipt=None)
    assert row.others == 2
    assert resolving.approve(of(books, "ben"), row.resolution_id).state == "waiting"
    with pytest.raises(RefusedByPolicy, match="ben has agreed"):
        resolving.approve(of(books, "ben"), row.resolution_id)
    assert resolving.approve(of(books, "eve"), row.resolution_id).state == "done"
    assert json.loads(books.table(Resolution)["agreed_by"].iloc[0]) == ["ben", "eve"]


def test_money_that_nobody_explains_is_written_off_too_and_comes_back(quick_books: Books) -> None:
    books = quick_books
    _, receipts = unexplained(books, money=(300,))
    before = books.ledger
    done = propose(books, "write_off", line=None, receipt=receipts[0])
    books.check()
    assert (books.ledger["5950"], books.ledger.get("1250", 0)) == (-300, 0)
    propose(books, "undo", reason="mistake", resolution_id=done.resolution_id)
    books.check()
    assert books.ledger == before
    assert books.receipts["state"].tolist() == ["unapplied"]
    assert open_codes(books) == ["no_line"]
    assert books.table(Resolution)["state"].tolist() == ["undone", "done"]


@pytest.mark.parametrize("untied", [False, True], ids=["with its money", "after its match"])
def test_a_line_after_a_recall_is_let_in_and_taken_out_again(untied: bool, books: Books) -> None:
    books.place("alpha", [21], account_id=21, ended_on=date(2026, 3, 5), end_reason="recalled", state="closed")
    books.remit("alpha", [{"gross_minor": 5_000, "account_id": 21, "agency_txn_id": "late", "batch_ref": "ALPHA-9"}])
    books.bank([{"amount_minor": 5_000, "reference": "ALPHA-9"}])
    books.reconcile()
    (line,) = books.lines["line_id"]
    before = books.ledger
    assert open_codes(books) == ["after_recall"]
    done = propose(books, "count", actor="ann", reason="agreed_with_agency", line=line)
    books.check()
    assert (done.state, done.amount_minor) == ("done", 5_000)
    assert books.lines["state"].tolist() == ["matched"]
    assert books.ledger["1100"] == -5_000
    assert books.ledger["5100"] == 500
    assert "1250" not in books.ledger
    if untied:
        propose(books, "unmatch", match_id=int(books.matches["match_id"].iloc[0]))
    propose(books, "undo", reason="mistake", resolution_id=done.resolution_id)
    books.check()
    assert books.lines["state"].tolist() == ["in_break"]
    assert books.ledger == before
    assert open_codes(books) == ["after_recall"]
    books.reconcile(LATE)
    assert open_codes(books) == (["after_recall", "no_line"] if untied else ["after_recall"])


def test_what_came_after_is_undone_first(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 400)
    given_up = propose(books, "write_off", line=lines[0], receipt=None)
    books.bank([{"amount_minor": 400, "reference": "?", "value_date": FAR}])
    with pytest.raises(UsageError, match="written_off"):
        propose(books, "match", lines=lines, receipts=books.receipts["receipt_id"].tolist(), amounts={})
    propose(books, "undo", reason="mistake", resolution_id=given_up.resolution_id)
    with pytest.raises(UsageError, match="is undone"):
        propose(books, "undo", reason="mistake", resolution_id=given_up.resolution_id)
    propose(books, "match", lines=lines, receipts=books.receipts["receipt_id"].tolist(), amounts={})
    books.check()
    assert not {"1200", "1250", "5950"} & set(books.ledger)


def test_a_payment_that_looks_like_another_is_counted_or_rejected(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 700, "agency_txn_id": "T1"}])
    books.remit("alpha", [{"gross_minor": 700, "agency_txn_id": "T1"}])
    books.remit("alpha", [{"gross_minor": 700, "agency_txn_id": "T1"}])
    _, second, third = books.lines["line_id"]
    propose(books, "count", reason="second_payment", line=second)
    rejected = propose(books, "reject", reason="duplicate", line=third)
    books.check()
    assert books.lines["state"].tolist() == ["awaiting_cash", "awaiting_cash", "rejected"]
    assert (books.ledger["1200"], open_codes(books)) == (1_400, [])
    propose(books, "undo", reason="mistake", resolution_id=rejected.resolution_id)
    assert books.lines["state"].tolist()[-1] == "duplicate"
    assert open_codes(books) == ["duplicate_across_files"]


def test_a_line_that_nobody_could_count_is_not_let_in(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 700, "account_id": None}])
    (line,) = books.lines["line_id"]
    with pytest.raises(UsageError, match="cannot count: unknown_account"):
        propose(books, "count", line=line)
    propose(books, "reject", line=line)
    assert books.lines["state"].tolist() == ["rejected"]


def test_a_difference_is_accepted_as_it_stands_and_taken_up_again(quick_books: Books) -> None:
    books = quick_books
    terms = 'currency = "CNY"\nremits = "net"\n[[tier]]\nrate = "0.10"\n'
    books.agree("alpha", terms, date(2026, 2, 1))
    books.remit("alpha", [{"gross_minor": 1_000, "commission_minor": 120, "net_minor": 880}])
    assert open_codes(books) == ["commission_diff"]
    (number,) = books.breaks["break_id"]
    done = propose(books, "settle", reason="agreed_with_agency", break_id=number)
    assert open_codes(books) == []
    assert done.break_id == number
    propose(books, "undo", reason="mistake", resolution_id=done.resolution_id)
    assert open_codes(books) == ["commission_diff"]


def test_what_is_missing_cannot_be_accepted_as_a_difference(quick_books: Books) -> None:
    books = quick_books
    unexplained(books, 100)
    (number,) = books.breaks["break_id"]
    with pytest.raises(UsageError, match="no difference that can stand"):
        propose(books, "settle", break_id=number)


def test_a_receipt_of_nobody_s_is_set_aside(quick_books: Books) -> None:
    books = quick_books
    _, receipts = unexplained(books, money=(800,))
    done = propose(books, "not_ours", reason="misdirected", receipt=receipts[0])
    assert (done.state, books.receipts["state"].tolist(), open_codes(books)) == ("done", ["not_ours"], [])
    propose(books, "undo", reason="mistake", resolution_id=done.resolution_id)
    assert (books.receipts["state"].tolist(), open_codes(books)) == (["unapplied"], ["no_line"])


def test_what_a_debtor_paid_too_much_goes_back_and_the_debt_to_him_is_cleared(quick_books: Books) -> None:
    books = quick_books
    books.remit("alpha", [{"gross_minor": 100_300, "agency_txn_id": "T1"}])
    books.bank([{"amount_minor": 100_300, "reference": "T1"}, {"amount_minor": -300, "reference": "refund"}])
    books.reconcile()
    over = int(books.breaks.set_index("code")["break_id"].to_dict()["overpayment"])
    out = books.receipts.set_index("amount_minor")["receipt_id"].to_dict()
    assert books.ledger["2200"] == -300
    with pytest.raises(UsageError, match="is matched"):
        propose(books, "refund", receipt=out[100_300], break_id=over)
    before = books.ledger
    done = propose(books, "refund", reason="debtor_refund", receipt=out[-300], break_id=over)
    books.check()
    assert not {"2200", "1250"} & set(books.ledger)
    assert "overpayment" not in open_codes(books)
    propose(books, "undo", reason="mistake", resolution_id=done.resolution_id)
    books.check()
    assert books.ledger == before
    assert "overpayment" in open_codes(books)


def test_proposing_the_same_again_finds_the_one_that_waits(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 90_000)
    first = propose(books, "write_off", line=lines[0], receipt=None)
    again = propose(books, "write_off", actor="ben", line=lines[0], receipt=None)
    assert first.resolution_id == again.resolution_id
    assert len(books.table(Resolution)) == 1


def test_what_moved_in_the_meantime_is_not_done(books: Books) -> None:
    lines, _ = unexplained(books, 90_000)
    large = propose(books, "write_off", line=lines[0], receipt=None)
    books.bank([{"amount_minor": 90_000, "reference": "?", "value_date": FAR}])
    propose(books, "match", lines=lines, receipts=books.receipts["receipt_id"].tolist(), amounts={})
    before = books.ledger
    with pytest.raises(Stale, match="has moved since"):
        resolving.approve(of(books, "ben"), large.resolution_id)
    row = books.table(Resolution).set_index("resolution_id").loc[large.resolution_id]
    assert (row["state"], json.loads(row["agreed_by"])) == ("stale", ["ben"])
    assert books.ledger == before
    books.check()


def test_refused_and_withdrawn_ones_do_nothing(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 90_000, 80_000)
    first, second = (propose(books, "write_off", line=line, receipt=None) for line in lines)
    with pytest.raises(RefusedByPolicy, match="ann proposed it"):
        resolving.refuse(of(books, "ann"), first.resolution_id, "no")
    with pytest.raises(RefusedByPolicy, match="ann proposed it"):
        resolving.withdraw(of(books, "ben"), second.resolution_id)
    resolving.refuse(of(books, "ben"), first.resolution_id, "the agency promised to pay")
    resolving.withdraw(of(books, "ann"), second.resolution_id)
    assert books.table(Resolution)["state"].tolist() == ["refused", "withdrawn"]
    assert set(books.lines["state"]) == {"awaiting_cash"}


def test_a_reason_is_one_of_the_list_and_other_needs_words_without_numbers_of_people(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 100)
    for reason, note, says in (
        ("because", "", "no reason"), ("other", "", "say it"), ("other", "call 138 0013 8000", "phone or ID"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            resolving.propose(books.desk, "write_off", reason, note, None, {"line": lines[0], "receipt": None})
    assert books.table(Resolution).empty


def test_everything_done_is_on_the_trail_without_a_word_of_the_notes(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 100)
    (number,) = books.breaks["break_id"]
    resolving.assign(books.desk, number, "li")
    resolving.comment(books.desk, number, "asked the agency on Monday")
    resolving.propose(books.desk, "write_off", "other", "nobody answers", None, {"line": lines[0], "receipt": None})
    trail = books.table(AuditEvent)
    told = trail.loc[trail["subject"].str.startswith(("break:", "resolution:")), "action"].tolist()
    assert told == ["break.assigned", "break.commented", "resolution.proposed", "resolution.done"]
    assert not trail["details"].str.contains("agency on Monday|nobody answers").any()
    assert books.table(Break)["owner"].tolist() == ["li"]
    with books.database.read() as connection:
        beside = resolving.beside(connection, number)
    assert [note["text"] for note in beside["notes"]] == ["asked the agency on Monday"]


def test_an_attached_file_lies_sealed_and_comes_out_as_it_went_in(quick_books: Books, tmp_path: Path) -> None:
    books = quick_books
    unexplained(books, 100)
    (number,) = books.breaks["break_id"]
    desk = books.desk
    Keyring.create(desk.settings.keyring_path, root=root_of(desk.settings))
    slip = tmp_path / "Zhang San.pdf"
    slip.write_bytes(b"%PDF Zhang San paid 100" * 50)
    note = attachments.attach(desk, number, slip, "the bank's slip")
    assert attachments.attach(desk, number, slip, "the bank's slip") == note
    for file in (path for path in desk.settings.home.rglob("*") if path.is_file()):
        assert b"Zhang" not in file.read_bytes(), file
    digest = attachments.take_out(of(books, "ben"), note, tmp_path / "out.pdf")
    assert (tmp_path / "out.pdf").read_bytes() == slip.read_bytes()
    row = books.table(BreakNote).iloc[0]
    assert (digest, row["file_suffix"], row["file_bytes"]) == (row["file_sha256"], ".pdf", slip.stat().st_size)
    assert books.table(AuditEvent)["action"].tolist()[-2:] == ["break.attached", "break.attachment_read"]
    (sealed,) = (desk.settings.home / attachments.FOLDER).iterdir()
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"?")
    with pytest.raises(CellTampered):
        attachments.take_out(desk, note, tmp_path / "again.pdf")
    assert not (tmp_path / "again.pdf").exists()


def test_a_house_has_limits_of_its_own(quick_books: Books) -> None:
    books = quick_books
    lines, _ = unexplained(books, 100)
    own = books.desk.settings.home / resolving.LIMITS_FILE
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text('version = "ours"\n[[write_off]]\nothers = 1\n')
    row = propose(books, "write_off", line=lines[0], receipt=None)
    assert (row.state, row.limits_version) == ("waiting", "ours")


@pytest.mark.parametrize(
    "text",
    ['[[write_off]]\nup_to = "5"\nothers = 0\n', "[[write_off]]\nothers = 1\n[[write_off]]\nothers = 2\n",
     '[[write_off]]\nup_to = "9"\nothers = 1\n[[write_off]]\nup_to = "5"\nothers = 1\n[[write_off]]\nothers = 2\n',
     "[[burn]]\nothers = 1\n", "[[write_off]]\nup_to = 5\nothers = 1\n", "[[write_off]]\nothers = -1\n"],
    ids=["open end missing", "two open ends", "falling", "unknown kind", "a number for a text", "negative"],
)  # fmt: skip
def test_limits_that_do_not_cover_every_amount_once_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Limits.parse(text)


@pytest.mark.parametrize(
    ("currency", "amount", "others"), [("CNY", 500, 0), ("CNY", 501, 1), ("JPY", 100, 0), ("JPY", 101, 1)]
)
def test_a_bound_is_in_major_units_of_the_currency(currency: str, amount: int, others: int) -> None:
    from models.reconcile.resolutions import shipped

    assert shipped().others("write_off", currency, -amount) == others

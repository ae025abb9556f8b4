"""Complaints: one register with a clock, whoever brought them; the debtor is on hold."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import select

from infra import complaints, conduct
from infra.indexes import ref_index
from infra.store import bulk, placing
from infra.store import complaints as store
from models.errors import Findings, UsageError
from models.lives import IllegalMove
from models.tables import Account, Complaint, ExchangeException, Hold

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "complaint_ref,agency,account,received_on,category,severity\n"


def known(books: Any, account_id: int, ref: str) -> None:
    """The lender calls the account so."""
    index = str(ref_index(books.desk.keyring, pd.Series([ref], dtype="str"))[0])
    books.set(Account, Account.account_id == account_id, ref_index=index)


def rows(books: Any, table: Any, *columns: str) -> list[Any]:
    at = bulk.table_of(table)
    with books.desk.database.read() as connection:
        return list(connection.execute(select(*(at.c[name] for name in columns)).order_by(at.c[columns[0]])).all())


@pytest.fixture
def lender(books: Any) -> Any:
    """The books, with keys, and two accounts that the lender calls L-1 and L-2."""
    books.with_keys()
    for number, placement in enumerate(books.place(2), 1):
        known(books, placement, f"L-{number}")
    return books


def test_a_complaint_has_a_clock_and_puts_the_debtor_on_hold_and_recall(lender: Any) -> None:
    told = complaints.add(lender.desk, "harbour", "quayside", "C-1", account_ref="L-1", category="threat")
    assert (told.complaints, told.debtors_held) == (1, 1)
    assert told.due_on == lender.desk.today() + timedelta(days=15)
    assert rows(lender, Hold, "debtor_id", "reason") == [(1, "complaint")]
    with lender.desk.database.read() as connection:
        due = placing.due_for_recall(connection, "harbour", lender.desk.today())
    assert due[["placement_id", "reason"]].to_numpy().tolist() == [[1, "complaint"]]


def test_the_same_reference_again_is_one_complaint(lender: Any) -> None:
    complaints.add(lender.desk, "harbour", "quayside", "C-1", account_ref="L-1")
    again = complaints.add(lender.desk, "harbour", "quayside", "C-1", account_ref="L-1")
    assert (again.complaints, again.known_before) == (0, 1)
    assert len(rows(lender, Hold, "hold_id")) == 1


def test_a_csv_is_taken_whole_or_not_and_never_says_a_value(lender: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(
        HEAD + "C-1,quayside,L-1,2026-03-02,hours,\nC-2,nobody,L-1,2026-03-02,hours,\n"
        "C-3,quayside,SECRET,2026-03-02,hours,\n"
        "C-4,quayside,,2027-03-02,hours,\nC-5,quayside,,soon,hours,\n13800001234,quayside,,2026-03-02,hours,\n"
    )
    with pytest.raises(Findings) as found:
        complaints.take_in(lender.desk, "harbour", bad)
    said = str(found.value)
    for words in ("line 2: agency", "line 3: account", "line 4: received_on lies", "line 5: received_on is", "line 6"):
        assert words in said
    assert "SECRET" not in said
    assert "13800001234" not in said
    assert rows(lender, Complaint, "complaint_id") == []
    good = tmp_path / "good.csv"
    good.write_text(HEAD + "C-1,quayside,L-1,2026-03-02,hours,serious\nC-2,lantern,,2026-03-03,amount,\n")
    assert complaints.take_in(lender.desk, "harbour", good, dry_run=True).complaints == 2
    assert rows(lender, Complaint, "complaint_id") == []
    assert complaints.take_in(lender.desk, "harbour", good).complaints == 2
    assert complaints.take_in(lender.desk, "harbour", good).known_before == 2
    assert rows(lender, Complaint, "complaint_ref", "source", "severity", "due_on") == [
        ("C-1", "csv", "serious", date(2026, 3, 17)), ("C-2", "csv", "normal", date(2026, 3, 18)),
    ]  # fmt: skip
    with pytest.raises(UsageError):
        complaints.take_in(lender.desk, "harbour", tmp_path / "none.csv")


def test_it_is_taken_and_closed_with_an_outcome_and_a_reason_and_no_number(lender: Any) -> None:
    (number,) = complaints.add(lender.desk, "harbour", "quayside", "C-1").complaint_ids
    complaints.take(lender.desk, number)
    with pytest.raises(UsageError):
        complaints.close(lender.desk, number, "upheld", "the debtor on 13800001234 was right")
    complaints.close(lender.desk, number, "upheld", "the recording shows it", category="threat")
    assert rows(lender, Complaint, "state", "outcome", "category", "owner") == [
        ("closed", "upheld", "threat", "sandbox")
    ]  # fmt: skip
    with pytest.raises(IllegalMove):
        complaints.close(lender.desk, number, "dismissed", "again")


def test_an_overdue_complaint_opens_an_exception_that_its_answer_resolves(lender: Any) -> None:
    (number,) = complaints.add(lender.desk, "harbour", "quayside", "C-1").complaint_ids
    lender.turn(lender.desk.today() + timedelta(days=16))
    assert conduct.audit_conduct(lender.desk).complaints_overdue == 1
    states = [(row.code, row.state) for row in rows(lender, ExchangeException, "code", "state")]
    assert ("complaint_overdue", "open") in states
    complaints.close(lender.desk, number, "dismissed", "answered in writing")
    states = [(row.code, row.state) for row in rows(lender, ExchangeException, "code", "state")]
    assert ("complaint_overdue", "resolved") in states


def test_rates_are_per_thousand_accounts_and_none_where_there_are_none(lender: Any) -> None:
    complaints.add(lender.desk, "harbour", "quayside", "C-1")
    complaints.add(lender.desk, "harbour", "lantern", "C-1")
    with lender.desk.database.read() as connection:
        told = store.rates(connection, "harbour", date(2026, 3, 1), lender.desk.today()).set_index("agency")
    assert told[["accounts", "complaints"]].to_dict("index")["quayside"] == {"accounts": 2, "complaints": 1}
    assert told["per_1000"].dropna().to_dict() == {"quayside": 500.0}


def test_words_that_are_none_are_refused(lender: Any) -> None:
    for wrong in (
        {"category": "loud"}, {"severity": "awful"}, {"account_ref": "nobody"}, {"received_on": date(2027, 1, 1)},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            complaints.add(lender.desk, "harbour", "quayside", "C-1", **wrong)
    with pytest.raises(UsageError):
        complaints.add(lender.desk, "nobody", "quayside", "C-1")

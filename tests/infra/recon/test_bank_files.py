"""Banks' files in the store: whose account, what follows what, and nothing posted twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.statement import StatementRefused
from flows.reconcile import BankReport, import_statement
from infra import bankaccounts
from infra.sandbox.bank import BankAccount as SandboxAccount
from infra.wiring import seated
from models.errors import UsageError
from models.tables import BankAccount, BankStatement, ExchangeException, JournalEntry

Take = Callable[..., BankReport]


@pytest.fixture
def take(books: Any) -> Take:
    """Takes a file in as the lender's, its account known unless said otherwise."""

    def do(path: Path, lender: str | None = None, **said: Any) -> BankReport:
        with seated(books.desk):
            return import_statement(path, lender or books.lender, **({"new_account": True} | said))

    return do


@pytest.fixture
def quick_take(quick_books: Any) -> Take:
    """The same on SQLite alone."""

    def do(path: Path, lender: str | None = None, **said: Any) -> BankReport:
        with seated(quick_books.desk):
            return import_statement(path, lender or quick_books.lender, **({"new_account": True} | said))

    return do


def entries(amounts: Sequence[int], day: str = "2026-04-02") -> pd.DataFrame:
    return pd.DataFrame({
        "amount_minor": pd.Series(list(amounts), dtype="int64"), "value_date": pd.Timestamp(day),
        "reference": pd.Series([f"ALPHA-{number}" for number in range(len(amounts))], dtype="str"),
    })  # fmt: skip


def day(number: int) -> date:
    return date(2026, 4, number)


# -- whose account -----------------------------------------------------------------------------------------------------


def test_an_account_that_is_not_in_the_register_is_refused_with_what_to_do(books: Any, take: Take) -> None:
    path = books.account.write(books.folder / "a.xml", entries([5]), day(1), day(2))
    with pytest.raises(bankaccounts.AccountUnknown, match="ending ER-1 in CNY is not in the register") as refused:
        take(path, new_account=False)
    assert "consign recon accounts add" in refused.value.fix
    assert len(books.receipts) == 0
    with books.database.write() as connection:
        assert bankaccounts.add(connection, books.desk, "LENDER-1", "CNY", books.lender)
        assert not bankaccounts.add(connection, books.desk, "LENDER-1", "CNY", books.lender)
    assert take(path, new_account=False).receipts == 1
    (account,) = books.table(BankAccount).itertuples()
    assert (account.lender, account.currency, account.added_by) == (books.lender, "CNY", "ann")


def test_an_account_belongs_to_one_lender(quick_books: Any, quick_take: Take) -> None:
    from models.tables import Lender

    with quick_books.database.session() as session:
        session.add(Lender(lender="bank-b", name="Bank B", created_at=quick_books.desk.now()))
    quick_take(quick_books.account.write(quick_books.folder / "a.xml", entries([5]), day(1), day(2)))
    path = quick_books.account.write(quick_books.folder / "b.xml", entries([5]), day(3), day(4))
    with pytest.raises(bankaccounts.AccountUnknown, match="is bank-a's, not bank-b's"):
        quick_take(path, "bank-b")
    with quick_books.database.write() as connection, pytest.raises(UsageError, match="as something else"):
        bankaccounts.add(connection, quick_books.desk, "LENDER-1", "CNY", "bank-b")


def test_a_table_that_names_no_account_is_of_the_one_whose_layout_it_has(quick_books: Any, quick_take: Take) -> None:
    wallet = SandboxAccount("WX-1", "CNY")
    with pytest.raises(UsageError, match="does not say which account"):
        quick_take(wallet.write_wallet(quick_books.folder / "1.csv", entries([5, 6])))
    with quick_books.database.write() as connection:
        bankaccounts.add(
            connection, quick_books.desk, "WX-1", "CNY", quick_books.lender, layout="cn-wechat-fundflow"
        )  # fmt: skip
    report = quick_take(quick_books.folder / "1.csv", new_account=False)
    assert (report.form, report.receipts) == ("cn-wechat-fundflow@1", 2)
    assert quick_books.table(BankStatement)["bank_account"].tolist() == ["WX-1"]
    named = quick_take(wallet.write_wallet(quick_books.folder / "2.csv", entries([7], "2026-04-03")), account="WX-1")
    assert named.gaps == ()


# -- what follows what -------------------------------------------------------------------------------------------------


def test_a_missing_statement_is_finances_until_it_is_in(books: Any, take: Take) -> None:
    paths = [
        books.account.write(
            books.folder / f"{number}.xml", entries([number], f"2026-04-0{number}"), day(number), day(number)
        )
        for number in (1, 2, 3)
    ]
    assert take(paths[0]).gaps == ()
    (gap,) = take(paths[2]).gaps
    assert "opens at 3 and statement LENDER-1-20260401-00001 closed at 1" in gap
    (one,) = books.table(ExchangeException).itertuples()
    assert (one.code, one.state, one.owner, one.lender) == ("bank_gap", "open", "finance", books.lender)
    assert take(paths[1]).gaps == ()
    assert books.table(ExchangeException)["state"].tolist() == ["resolved"]
    books.check()


def test_numbers_that_are_left_out_show_where_no_balance_does(quick_books: Any, quick_take: Take) -> None:
    gaps: list[str] = []
    for number in (1, 3):
        quick_books.account.statements = number - 1
        path = quick_books.account.write(quick_books.folder / f"{number}.xml", entries([5]), day(number), day(number))
        text = path.read_text()
        path.write_text(text[: text.index("<Bal>")] + text[text.rindex("</Bal>") + 6 :])
        gaps += quick_take(path).gaps
    assert gaps == ["between the statements number 1 and 3 some are missing"]


def test_the_same_statement_in_other_bytes_is_refused(quick_books: Any, quick_take: Take) -> None:
    path = quick_books.account.write(quick_books.folder / "a.xml", entries([5, 6]), day(1), day(2))
    quick_take(path)
    again = quick_books.folder / "again.xml"
    again.write_text(path.read_text().replace("ALPHA-0", "ALPHA-9"))
    with pytest.raises(StatementRefused, match=r"is in already, from a\.xml: it says the same"):
        quick_take(again)
    other = path.read_text().replace(">0.11<", ">0.05<")
    again.write_text(other[: other.rindex("<Ntry>")] + other[other.rindex("</Ntry>") + 7 :])
    with pytest.raises(StatementRefused, match="it says otherwise"):
        quick_take(again)
    assert len(quick_books.receipts) == 2


def test_days_that_are_in_already_are_refused_unless_the_balances_go_on(quick_books: Any, quick_take: Take) -> None:
    quick_take(quick_books.account.write(quick_books.folder / "a.xml", entries([5]), day(1), day(10)))
    other = SandboxAccount("LENDER-1", "CNY", 1_000, statements=7)
    with pytest.raises(
        StatementRefused, match=r"covers days that statement LENDER-1-20260410-00001 from a\.xml covers already"
    ):
        quick_take(other.write(quick_books.folder / "b.xml", entries([6]), day(5), day(15)))
    assert (
        quick_take(quick_books.account.write(quick_books.folder / "c.xml", entries([6]), day(10), day(15))).receipts
        == 1
    )


def test_of_a_file_with_one_wrong_statement_nothing_is_taken(quick_books: Any, quick_take: Take) -> None:
    first = quick_books.account.write(quick_books.folder / "a.xml", entries([5]), day(1), day(1)).read_text()
    second = (
        SandboxAccount("OTHER-1", "CNY").write(quick_books.folder / "b.xml", entries([5]), day(1), day(1)).read_text()
    )
    both = quick_books.folder / "both.xml"
    both.write_text(first.replace("</Stmt>", "</Stmt>" + second[second.index("<Stmt>") : second.index("</Stmt>") + 7]))
    with quick_books.database.write() as connection:
        bankaccounts.add(connection, quick_books.desk, "LENDER-1", "CNY", quick_books.lender)
    with pytest.raises(bankaccounts.AccountUnknown):
        quick_take(both, new_account=False)
    assert len(quick_books.table(BankStatement)) == len(quick_books.table(JournalEntry)) == 0
    assert quick_take(both).statements == 2
    assert quick_take(both).known


# -- nothing twice -----------------------------------------------------------------------------------------------------


def test_a_report_posts_once_and_the_statement_confirms_it(books: Any, take: Take) -> None:
    whole = entries([5, 6, 5])
    first = take(books.account.announce(books.folder / "1.xml", whole.head(1), day(2), form="camt.052"))
    more = take(books.account.announce(books.folder / "2.xml", whole.head(2), day(2), form="camt.052"))
    note = take(books.account.announce(books.folder / "3.xml", whole.head(2), day(2)))
    assert [(one.receipts, one.waiting) for one in (first, more, note)] == [(1, 0), (1, 1), (0, 2)]
    statement = take(books.account.write(books.folder / "day.xml", whole, day(2), day(2)))
    assert (statement.receipts, statement.confirmed, statement.gaps) == (1, 2, ())
    assert books.ledger == {"1010": 16, "1250": -16}
    assert sorted(books.receipts["amount_minor"]) == [5, 5, 6]
    confirmed = books.receipts["confirmed_by"].notna()
    assert confirmed.sum() == 2
    late = take(books.account.announce(books.folder / "4.xml", whole.head(0), day(3)))
    assert (late.receipts, late.waiting) == (0, 0)


def test_what_a_report_had_and_the_statement_has_not_is_finances(quick_books: Any, quick_take: Take) -> None:
    quick_take(quick_books.account.announce(quick_books.folder / "1.xml", entries([5, 6]), day(2), form="camt.052"))
    report = quick_take(quick_books.account.write(quick_books.folder / "day.xml", entries([5]), day(2), day(2)))
    assert (report.receipts, report.confirmed) == (0, 1)
    assert report.gaps == ("1 entries that reports of these days had are not in the statement",)
    (one,) = quick_books.table(ExchangeException).itertuples()
    assert (one.code, one.owner) == ("bank_unconfirmed", "finance")


def test_an_entry_of_a_report_without_the_banks_reference_waits_for_the_statement(
    quick_books: Any, quick_take: Take
) -> None:
    path = quick_books.account.announce(quick_books.folder / "1.xml", entries([5]), day(2))
    path.write_text(path.read_text().replace("<AcctSvcrRef>000010000001</AcctSvcrRef>", ""))
    assert (quick_take(path).receipts, len(quick_books.receipts)) == (0, 0)
    assert (
        quick_take(quick_books.account.write(quick_books.folder / "d.xml", entries([5]), day(2), day(2))).receipts == 1
    )


@given(
    amounts=st.lists(st.sampled_from([1, 2, -3]), min_size=1, max_size=5),
    reports=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["camt.052", "camt.054"])), max_size=4),
    late=st.integers(0, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
def test_whatever_reports_come_before_and_after_the_bank_ledger_moves_as_the_statement_says(
    fresh_books: Any, amounts: list[int], reports: list[tuple[int, str]], late: int
) -> None:
    with fresh_books() as books, seated(books.desk):
        whole = entries(amounts)
        paths = [
            books.account.announce(books.folder / f"{number}.xml", whole.head(first), day(2), form=form)
            for number, (first, form) in enumerate(reports)
        ]
        statement = books.account.write(books.folder / "day.xml", whole, day(2), day(2))
        for path in [*paths[late:], statement, *paths[:late]]:
            if path == statement or path.read_text().count("<Ntry>"):
                import_statement(path, books.lender, new_account=True)
        assert sorted(books.receipts["amount_minor"]) == sorted(amounts)
        assert books.ledger.get("1010", 0) == sum(amounts)
        books.check()


def test_what_the_bank_said_beside_the_amount_is_kept(quick_books: Any, quick_take: Take) -> None:
    path = quick_books.account.write(quick_books.folder / "a.xml", entries([-500]), day(1), day(2))
    more = (
        "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf><Chrgs><TtlChrgsAndTaxAmt Ccy='CNY'>0.75</TtlChrgsAndTaxAmt></Chrgs>"
    )
    more += "<AmtDtls><InstdAmt><Amt Ccy='USD'>0.70</Amt></InstdAmt></AmtDtls></TxDtls>"
    path.write_text(path.read_text().replace("</TxDtls>", more))
    quick_take(path)
    (row,) = quick_books.receipts.itertuples()
    assert (row.return_reason, row.charges_minor, row.instructed_minor, row.instructed_currency) == (
        "AC04",
        75,
        70,
        "USD",
    )
    assert row.bank_ref == "000010000001"

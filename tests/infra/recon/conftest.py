from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from flows.reconcile import ReconcileReport, import_statement, reconcile
from infra.sandbox.bank import BankAccount
from infra.settings import Settings
from infra.store.bulk import append, read, table_of
from infra.store.database import Database
from infra.store.recon import accept_invoice, accept_remittance
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import (
    Account,
    Agency,
    AgencyContract,
    BankReceipt,
    Break,
    JournalEntry,
    JournalLine,
    Lender,
    Match,
    MatchPart,
    Placement,
    RemittanceLine,
)

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
TERMS = """
currency = "CNY"
vat_rate = "0.06"
tail_days = 10
late_days = 5
tolerance_minor = 5
payer_accounts = ["CN-ALPHA"]
bank_references = ["ALPHA"]

[[tier]]
dpd_to = 90
rate = "0.10"

[[tier]]
dpd_from = 91
rate = "0.25"
"""

LINE_STATES = {
    "duplicate", "matched", "part_matched", "awaiting_cash", "in_break", "reversed", "written_off", "rejected",
}  # fmt: skip
RECEIPT_STATES = {"matched", "part_matched", "unapplied", "not_ours", "returned"}


@dataclass
class Books:
    """A lender's store with placements in it, and the files that its agencies send."""

    desk: Desk
    folder: Path
    account: BankAccount = field(default_factory=lambda: BankAccount("LENDER-1", "CNY"))
    files: int = 0
    lender: str = "bank-a"

    @property
    def database(self) -> Database:
        """The store."""
        return self.desk.database

    def agree(self, agency: str, terms: str = TERMS, since: date = date(2026, 1, 1)) -> None:
        """A contract is in force from `since`."""
        frame = pd.DataFrame({
            "agency": [agency], "lender": [self.lender], "effective_from": pd.to_datetime([since]), "terms": [terms],
            "sha256": ["0" * 64], "created_by": ["ann"], "created_at": [NOW],
        })  # fmt: skip
        with self.database.write() as connection:
            append(connection, AgencyContract, frame)

    def place(self, agency: str, account_ids: Sequence[int], **changed: Any) -> None:
        """Accounts are with the agency from 1 March; placement n is account n unless changed."""
        placements = pd.DataFrame({"placement_id": account_ids, "account_id": account_ids})
        values = {
            "plan_id": 1, "lender": self.lender, "agency": agency, "debtor_id": 1, "round": 1, "stage": "collect",
            "segment": "s", "currency": "CNY", "balance_minor": 100_000, "dpd": 60, "bucket": "M2",
            "placed_on": pd.Timestamp(2026, 3, 1), "due_back_on": pd.Timestamp(2026, 9, 1), "state": "placed",
        }  # fmt: skip
        placements = placements.assign(**(values | changed))  # type: ignore[arg-type]  # columns of several types
        accounts = pd.DataFrame({"account_id": account_ids}).assign(
            lender=self.lender, ref_index=[f"{agency}{number}" for number in account_ids], debtor_id=1, portfolio_id=1,
            product="card", currency="CNY", balance_minor=100_000, dpd=60, bucket="M2", as_of=pd.Timestamp(2026, 3, 1),
        )  # fmt: skip
        with self.database.write() as connection:
            known = set(connection.execute(select(table_of(Account).c.account_id)).scalars())
            append(connection, Account, accounts[~accounts["account_id"].isin(known)])
            append(connection, Placement, placements)

    def remit(self, agency: str, lines: Sequence[dict[str, Any]]) -> int:
        """A remittance file is accepted; its id."""
        self.files += 1
        with self.database.write() as connection:
            accept_remittance(
                connection, file_id=self.files, lender=self.lender, agency=agency, frame=remittance(lines), now=NOW
            )
        return self.files

    def invoice(self, agency: str, lines: Sequence[dict[str, Any]]) -> int:
        """An invoice file is accepted; its id."""
        self.files += 1
        frame = pd.DataFrame([
            {"line": number, "invoice_no": "I-1", "agency_txn_id": None, "account_id": 1, "currency": "CNY",
             "base_minor": 0, "commission_minor": 0, "vat_minor": 0, "period": "2026-04"} | line
            for number, line in enumerate(lines, 1)
        ])  # fmt: skip
        frame = frame.astype({"account_id": "Int64", "agency_txn_id": "str"})
        with self.database.write() as connection:
            accept_invoice(connection, file_id=self.files, lender=self.lender, agency=agency, frame=frame, now=NOW)
        return self.files

    def bank(
        self, entries: Sequence[dict[str, Any]], day: date = date(2026, 4, 30), first: date = date(2026, 4, 1)
    ) -> None:
        """The bank's statement from `first` to `day` is in; `amount_minor` and `reference` are what an entry needs."""
        usual = {"value_date": "2026-04-02", "payer_account": "CN-ALPHA", "reference": None, "is_reversal": False}
        frame = pd.DataFrame([usual | entry for entry in entries])
        frame["value_date"] = pd.to_datetime(frame["value_date"]).astype("datetime64[us]")
        frame = frame.astype({"reference": "str", "payer_account": "str"})
        path = self.account.write(self.folder / f"{day}-{self.account.statements}.xml", frame, first, day)
        with seated(self.desk):
            import_statement(path, self.lender, new_account=True)

    def reconcile(self, as_of: date = date(2026, 4, 3)) -> ReconcileReport:
        """Everything is tied that the rules can tie, and the laws hold."""
        with seated(self.desk):
            report = reconcile(self.lender, as_of)
        self.check()
        return report

    @property
    def receipts(self) -> pd.DataFrame:
        """Every bank receipt."""
        return self.table(BankReceipt)

    @property
    def matches(self) -> pd.DataFrame:
        """Every match."""
        return self.table(Match)

    def table(self, row: type[SQLModel]) -> pd.DataFrame:
        """Every row of a table, by its key."""
        table = table_of(row)
        with self.database.read() as connection:
            return read(connection, select(table).order_by(*table.primary_key.columns))

    @property
    def lines(self) -> pd.DataFrame:
        """Every remittance line."""
        return self.table(RemittanceLine)

    @property
    def breaks(self) -> pd.DataFrame:
        """Every break."""
        return self.table(Break)

    @property
    def ledger(self) -> dict[str, int]:
        """The balance of each ledger, where it is not 0."""
        sums = self.table(JournalLine).groupby("ledger")["amount_minor"].sum()
        return {str(name): int(amount) for name, amount in sums.items() if amount}

    def check(self) -> None:
        """Every entry sums to 0 in every currency; confirmed matches have one sum on both sides, and allot no more.

        1010 has moved as the statements say, and 1200 is what lines that count still await, with the differences.
        """
        journal = self.table(JournalLine)
        assert (journal.groupby(["entry_id", "currency"])["amount_minor"].sum() == 0).all()
        assert set(journal["entry_id"]) == set(self.table(JournalEntry)["entry_id"])
        matches, parts = self.matches, self.table(MatchPart)
        parts = parts[parts["match_id"].isin(matches.loc[matches["status"] == "confirmed", "match_id"])]
        own = pd.Series(np.where(parts["line_id"].notna(), 1, -1), parts.index) * parts["amount_minor"]
        assert (own.groupby(parts["match_id"]).sum() == 0).all()
        lines, receipts = self.lines.set_index("line_id"), self.receipts.set_index("receipt_id")
        for name, rows, whole in (("line_id", lines, "gross_minor"), ("receipt_id", receipts, "amount_minor")):
            allotted = parts.dropna(subset=[name]).groupby(name)["amount_minor"].sum()
            assert (allotted.abs().to_numpy() <= rows[whole].loc[allotted.index].abs().to_numpy()).all()
        assert set(lines["state"]) <= LINE_STATES
        assert set(receipts["state"]) <= RECEIPT_STATES
        assert self.ledger.get("1010", 0) == receipts["amount_minor"].sum()


def remittance(lines: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The lines as the frame that collecting hands over; `gross` alone is a gross line without a fee."""
    rows = []
    for number, line in enumerate(lines, 1):
        gross = line.get("gross_minor", 0)
        usual = {
            "line": number, "agency_txn_id": None, "account_id": 1, "currency": "CNY", "gross_minor": gross,
            "type": "reversal" if gross < 0 else "recovery", "commission_minor": 0, "vat_minor": 0, "net_minor": gross,
            "value_date": "2026-04-01", "batch_ref": None, "original_txn_id": None,
        }  # fmt: skip
        rows.append(usual | line)
    frame = pd.DataFrame(rows)
    text = ["agency_txn_id", "type", "currency", "batch_ref", "original_txn_id"]
    frame["value_date"] = pd.to_datetime(frame["value_date"]).astype("datetime64[us]")
    return frame.astype(dict.fromkeys(text, "str") | {"account_id": "Int64"})


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Books]:
    """A store on either database, with agency alpha under contract and accounts 1 to 5 placed with it."""
    yield from _opened(database_url, tmp_path)


@pytest.fixture
def quick_books(tmp_path: Path) -> Iterator[Books]:
    """The same on SQLite alone."""
    yield from _opened(f"sqlite:///{tmp_path / 'consign.sqlite'}", tmp_path)


@pytest.fixture
def fresh_books(tmp_path: Path) -> Callable[[], contextlib.AbstractContextManager[Books]]:
    """Opens another such store, for tests that need several."""
    numbers = itertools.count()

    def open_() -> contextlib.AbstractContextManager[Books]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return contextlib.contextmanager(_opened)(f"sqlite:///{folder / 'consign.sqlite'}", folder)

    return open_


def _opened(url: str, folder: Path) -> Iterator[Books]:
    desk = Desk(Settings(home=folder / "home", database=url, engine="direct"), clock=lambda: NOW, actor="ann")
    books = Books(desk, folder)
    SQLModel.metadata.create_all(books.database.engine)
    with books.database.session() as session:
        session.add(Lender(lender=books.lender, name="Bank A", created_at=NOW))
    books.agree("alpha")
    books.place("alpha", range(1, 6))
    yield books
    books.database.close()


@pytest.fixture
def stating(quick_books: Books) -> Books:
    """Agency alpha can be written to: it has a row, and a pseudonym key."""
    return _stated_to(quick_books)


@pytest.fixture
def stating_anywhere(books: Books) -> Books:
    """The same on either database."""
    return _stated_to(books)


def _stated_to(books: Books) -> Books:
    settings = books.desk.settings
    settings.keyring_path.parent.mkdir(parents=True)
    keyring = Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    keyring.new_pseudonym_key("alpha", books.desk.now())
    with books.database.session() as session:
        session.add(Agency(agency="alpha", name="Alpha", drop="{}", created_at=books.desk.now()))
    return books

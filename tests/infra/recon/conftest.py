from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from infra.store.bulk import append, read, table_of
from infra.store.database import Database
from infra.store.recon import accept_invoice, accept_remittance
from models.tables import Account, AgencyContract, Break, JournalEntry, JournalLine, Placement, RemittanceLine

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
TERMS = """
currency = "CNY"
vat_rate = "0.06"
tail_days = 10
late_days = 5

[[tier]]
dpd_to = 90
rate = "0.10"

[[tier]]
dpd_from = 91
rate = "0.25"
"""


@dataclass
class Books:
    """A lender's store with placements in it, and the files that its agencies send."""

    database: Database
    files: int = 0
    lender: str = "bank-a"
    texts: dict[str, Any] = field(default_factory=dict)

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
        placements = placements.assign(**(values | changed))
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
        """Every entry sums to 0 in every currency."""
        journal = self.table(JournalLine)
        assert (journal.groupby(["entry_id", "currency"])["amount_minor"].sum() == 0).all()
        assert set(journal["entry_id"]) == set(self.table(JournalEntry)["entry_id"])


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
def books(database_url: str) -> Iterator[Books]:
    """A store on either database, with agency alpha under contract and accounts 1 to 5 placed with it."""
    yield from _opened(database_url)


@pytest.fixture
def quick_books(tmp_path: Any) -> Iterator[Books]:
    """The same on SQLite alone."""
    yield from _opened(f"sqlite:///{tmp_path / 'consign.sqlite'}")


def _opened(url: str) -> Iterator[Books]:
    database = Database(url)
    SQLModel.metadata.create_all(database.engine)
    books = Books(database)
    books.agree("alpha")
    books.place("alpha", range(1, 6))
    yield books
    database.close()

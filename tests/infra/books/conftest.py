"""A store with the real schema, triggers and all, two lenders, and a clock that somebody turns."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from flows.reconcile import import_statement
from infra import closing
from infra.sandbox.bank import BankAccount
from infra.settings import Settings
from infra.store import schema
from infra.store.bulk import read, table_of
from infra.store.database import Database
from infra.store.ledger import post, reverse
from infra.wiring import Desk, seated
from models import postings
from models.tables import JournalEntry, JournalLine, Lender

LENDERS = ("bank-a", "bank-b")


@dataclass
class House:
    """A desk over an empty store."""

    desk: Desk
    folder: Path
    now: list[datetime]
    accounts: dict[str, BankAccount] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def database(self) -> Database:
        """The store."""
        return self.desk.database

    def today(self, day: date) -> None:
        """It is noon of this day, UTC."""
        self.now[0] = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    def recover(self, amount: int, on: date, *, lender: str = "bank-a", key: str | None = None, **more: Any) -> str:
        """An agency has recovered so much; the entry's key."""
        key = key or f"line:{next(self.numbers)}"
        usual: dict[str, Any] = {"agency": "alpha", "currencies": "CNY", "account_id": 7} | more
        row = postings.event("line_accepted", key, lender, value_date=on, **usual)
        minor = pd.Series([amount])
        self.post(postings.line_accepted(row, minor, minor * 0))
        return key

    def post(self, journal: pd.DataFrame) -> int:
        """The journal lines are in the books."""
        with seated(self.desk), self.database.write() as connection:
            return post(connection, journal, self.desk.now())

    def reverse(self, *keys: str) -> int:
        """The entries have their mirrors."""
        with seated(self.desk), self.database.write() as connection:
            return reverse(connection, keys, self.desk.now())

    def bank(self, amount: int, first: date, last: date, lender: str = "bank-a") -> None:
        """The bank's statement of these days is in, with one receipt of an unknown payer (none where it is 0)."""
        account = self.accounts.setdefault(lender, BankAccount(f"CN-{lender}", "CNY"))
        rows = [{"amount_minor": amount, "value_date": str(last), "reference": "R"}] if amount else []
        came = pd.DataFrame(rows, columns=["amount_minor", "value_date", "reference"])
        came = came.astype({"amount_minor": "int64", "reference": "str"})
        came["value_date"] = pd.to_datetime(came["value_date"]).astype("datetime64[us]")
        path = account.write(self.folder / f"{lender}-{account.statements}.xml", came, first, last)
        with seated(self.desk):
            import_statement(path, lender, new_account=True)

    def as_(self, actor: str) -> Desk:
        """The same desk with somebody else at it."""
        other = Desk(self.desk.settings, clock=self.desk.clock, actor=actor)
        other.__dict__["database"] = self.database
        return other

    def close(self, period: str, lender: str = "bank-a") -> closing.Closed:
        """The month is closed, whatever may be accepted accepted."""
        with seated(self.desk):
            for one in closing.check(self.desk, lender, period):
                if one.stops and one.weight == "should":
                    closing.accept(self.desk, lender, period, one.finding, "as agreed for the test")
            return closing.close(self.desk, lender, period)

    def reopen(self, period: str, lender: str = "bank-a") -> None:
        """Two people have opened the month again."""
        number = closing.ask_reopening(self.desk, lender, period, "the bank has corrected a statement")
        closing.approve_reopening(self.as_("li.wei"), number)

    def broken(self, lender: str | None = None) -> list[str]:
        """The laws that do not hold."""
        return [one["law"] for one in closing.verified(self.desk, lender) if not one["holds"]]

    def table(self, row: type[SQLModel]) -> pd.DataFrame:
        """Every row of a table, by its key."""
        table = table_of(row)
        with self.database.read() as connection:
            return read(connection, select(table).order_by(*table.primary_key.columns))

    @property
    def entries(self) -> pd.DataFrame:
        """Every entry, by its key."""
        return self.table(JournalEntry).set_index("entry_key")

    @property
    def ledger(self) -> dict[str, int]:
        """The balance of each ledger, where it is not 0."""
        sums = self.table(JournalLine).groupby("ledger")["amount_minor"].sum()
        return {str(name): int(amount) for name, amount in sums.items() if amount}


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    """An empty house on either database."""
    yield from opened(database_url, tmp_path)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store on SQLite with its schema, to be copied: that is quicker than to migrate each."""
    path = tmp_path_factory.mktemp("books") / "consign.sqlite"
    database = Database(f"sqlite:///{path}", durable=False)
    schema.ensure(database)
    database.close()
    return path


@pytest.fixture
def quick_house(tmp_path: Path, empty_store: Path) -> Iterator[House]:
    """The same on SQLite alone."""
    shutil.copy(empty_store, tmp_path / "consign.sqlite")
    yield from opened(f"sqlite:///{tmp_path / 'consign.sqlite'}", tmp_path)


@pytest.fixture(scope="session")
def houses(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Callable[[], contextlib.AbstractContextManager[House]]:
    """Opens another house on SQLite, for tests that need several, or share one that they only read."""

    def open_() -> contextlib.AbstractContextManager[House]:
        folder = tmp_path_factory.mktemp("house")
        shutil.copy(empty_store, folder / "consign.sqlite")
        return contextlib.contextmanager(opened)(f"sqlite:///{folder / 'consign.sqlite'}", folder)

    return open_


def opened(url: str, folder: Path) -> Iterator[House]:
    now = [datetime(2026, 5, 2, 12, tzinfo=UTC)]
    settings = Settings(home=folder / "home", database=url, engine="direct", durable=False)
    desk = Desk(settings, clock=lambda: now[0], actor="ann")
    schema.ensure(desk.database)
    with desk.database.session() as session:
        for lender in LENDERS:
            session.add(Lender(lender=lender, name=lender, created_at=now[0]))
    yield House(desk, folder, now)
    desk.database.close()

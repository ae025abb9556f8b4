"""A lender with accounts in house and out, in a store of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from infra.settings import Settings
from infra.store import bulk
from infra.wiring import Desk, seated
from models.tables import Account, Debtor, Lender, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
TODAY = date(2026, 11, 22)


@dataclass
class House:
    """A desk with ten accounts of ten debtors."""

    desk: Desk

    def add(self, *rows: SQLModel) -> None:
        with self.desk.database.session() as session:
            session.add_all(rows)

    def rows(self, row: Any, **where: Any) -> pd.DataFrame:
        table = bulk.table_of(row)
        chosen = select(table).where(*(table.c[name] == value for name, value in where.items()))
        with self.desk.database.read() as connection:
            return bulk.read(connection, chosen)

    def place(self, account_id: int, on: date, state: str = "acknowledged", **more: Any) -> int:
        """The account was placed on that day; the placement's number."""
        number = int(more.pop("placement_id", 100 + account_id))
        plain: dict[str, Any] = {"round": 1, "stage": "phone", "agency": "quayside"} | more
        self.add(
            Placement(
                placement_id=number, plan_id=number, lender="harbour", account_id=account_id, debtor_id=account_id,
                segment="all", currency="CNY", balance_minor=500_000, dpd=95, bucket="M4", placed_on=on,
                due_back_on=date(2027, 1, 1), state=state, key_generation="1", **plain,
            )
        )  # fmt: skip
        return number


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """The desk, once on SQLite and once on PostgreSQL."""
    settings = Settings(home=tmp_path / "home", database=database_url, engine="direct")
    desk = Desk(settings, clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    ids = np.arange(1, 11)
    built = House(desk)
    built.add(Lender(lender="harbour", name="Harbour", created_at=NOW))
    built.add(*(
        Debtor(debtor_id=int(n), lender="harbour", identity_index=f"{n:064x}", created_at=NOW) for n in ids
    ))  # fmt: skip
    with desk.database.write() as connection:
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": "harbour", "ref_index": [f"{n:064x}" for n in ids], "debtor_id": ids,
            "portfolio_id": 1, "product": "card", "currency": "CNY", "balance_minor": 500_000, "dpd": 95,
            "bucket": "M4", "as_of": pd.Timestamp("2026-11-20"),
        }))  # fmt: skip
    with seated(desk):
        yield built
    desk.database.close()

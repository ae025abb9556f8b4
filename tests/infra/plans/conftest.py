"""A lender with three agencies and a few dozen accounts, in a store of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import update
from sqlmodel import SQLModel

from infra.settings import Settings
from infra.store import bulk, plans
from infra.store.database import Database
from infra.wiring import Desk, seated
from models.planning.proposal import propose
from models.planning.spec import PlanSpec
from models.release import load
from models.tables import Account, Agency, AgencyContract, Debtor, Hold, Lender, Placement

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
TODAY = date(2026, 11, 22)


class World:
    """The store, and the few acts that tests do to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW

    def spec(self, **more: Any) -> PlanSpec:
        return PlanSpec.of({"lender": "first-bank", "name": "2026-11-B", "seed": 20261122, **more})

    def drafted(self, spec: PlanSpec | None = None, actor: str = "chen.yu") -> int:
        """The number of a new plan."""
        spec = spec or self.spec()
        policy = load(spec.policy)
        with self.database.write() as connection:
            proposal = propose(plans.inputs(connection, spec, TODAY), spec, policy, TODAY)
            return plans.create(connection, proposal, spec, policy, actor, self.now)

    def submitted(self, **more: Any) -> int:
        plan_id = self.drafted(self.spec(**more))
        with self.database.write() as connection:
            plans.submit(connection, plan_id, "chen.yu", self.now)
        return plan_id

    def approved(self, **more: Any) -> int:
        plan_id = self.submitted(**more)
        with self.database.write() as connection:
            plans.approve(connection, plan_id, "li.na", self.now)
        return plan_id

    def lines(self, plan_id: int) -> pd.DataFrame:
        with self.database.read() as connection:
            return plans.lines(connection, plan_id)

    def excluded(self, plan_id: int) -> dict[int, str]:
        with self.database.read() as connection:
            left_out = plans.exclusions(connection, plan_id)
        return dict(zip(left_out["account_id"], left_out["reason"], strict=True))

    def set(self, table: type[SQLModel], where: Any, **columns: Any) -> None:
        """Change rows, as other parts of the house would."""
        with self.database.write() as connection:
            connection.execute(update(bulk.table_of(table)).where(where).values(**columns))

    def add(self, *rows: SQLModel) -> None:
        with self.database.session() as session:
            session.add_all(rows)

    def hold(self, debtor_id: int, account_id: int | None = None, reason: str = "complaint", **more: Any) -> None:
        self.add(Hold(debtor_id=debtor_id, account_id=account_id, reason=reason, since=TODAY, placed_by="desk", **more))

    def place(self, account_id: int, agency: str, state: str = "placed", **more: Any) -> None:
        """The account was placed there by an older plan."""
        defaults = {"placement_id": 10_000 + account_id, "plan_id": 9_000, "debtor_id": (account_id + 1) // 2}
        self.add(
            Placement(
                **defaults | more, lender="first-bank", agency=agency, account_id=account_id, round=1, stage="phone",
                segment="all", currency="CNY", balance_minor=100_00, dpd=61, bucket="M3",
                placed_on=date(2026, 6, 1), due_back_on=date(2026, 12, 1), state=state,
            )
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """60 debtors with two accounts each (2n-1 and 2n), three live agencies under contract; on SQLite."""
    with built_at(f"sqlite:///{tmp_path / 'consign.sqlite'}") as world:
        yield world


@pytest.fixture
def world_on_either(database_url: str) -> Iterator[World]:
    """The same, once on SQLite and once on PostgreSQL."""
    with built_at(database_url) as world:
        yield world


@contextmanager
def built_at(url: str) -> Iterator[World]:
    database = Database(url)
    SQLModel.metadata.create_all(database.engine)
    built = World(database)
    built.add(
        Lender(lender="first-bank", name="First Bank", created_at=NOW),
        *(
            Agency(
                agency=code, name=name, state="live", drop="{}", channels="phone,sms", created_at=NOW, term_days=180,
                capacity_accounts=capacity,
            )
            for code, name, capacity in (("harbour", "Harbour", None), ("lotus", "Lotus", 500), ("quay", "Quay", None))
        ),
        *(
            AgencyContract(
                agency=code, lender="first-bank", effective_from=date(2026, 1, 1), terms="", sha256="", share=share,
                created_by="legal", created_at=NOW,
            )
            for code, share in (("harbour", 0.5), ("lotus", 0.3), ("quay", 0.2))
        ),
        *(Debtor(debtor_id=n, lender="first-bank", identity_index=f"{n:064x}", created_at=NOW) for n in range(1, 61)),
    )  # fmt: skip
    ids = np.arange(1, 121)
    rng = np.random.default_rng(7)
    with database.write() as connection:
        bulk.append(
            connection,
            Account,
            pd.DataFrame(
                {
                    "account_id": ids,
                    "lender": "first-bank",
                    "ref_index": [f"{n:064x}" for n in ids],
                    "debtor_id": (ids + 1) // 2,
                    "portfolio_id": 1,
                    "product": np.where(ids % 3 == 0, "loan", "card"),
                    "currency": "CNY",
                    "balance_minor": rng.integers(500_00, 20_000_00, len(ids)),
                    "dpd": 61,
                    "bucket": "M3",
                    "region": "310115",
                    "as_of": pd.Timestamp("2026-11-21"),
                }
            ),
        )
    at = Desk(Settings(database=url), clock=lambda: built.now, actor="chen.yu")
    at.__dict__["database"] = database
    with seated(at):
        yield built
    database.close()

"""A small world for the flows: real keys, real seals, a real SFTP host, and a plan that somebody approved."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from flows.plan import draft
from infra.sandbox import debtors
from infra.sandbox.agency import Traits
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, plans
from keys import vault
from models.planning.spec import Filter, PlanSpec
from models.tables import Account, Debtor, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = date(2026, 1, 1)
CAST = (
    Cast("quayside", "Quayside Recoveries", share=0.5),
    Cast("hengxin", "恒信资产", "openpgp", share=0.5, traits=Traits(nets_fees=True)),
)
IDENTITY = (
    "account_ref",
    "name",
    "id_number",
    "phone",
    "phone_alt",
    "email",
    "address",
    "employer",
    "contact_name",
    "contact_phone",
)


@pytest.fixture
def store_url() -> str:
    """Where the world keeps its store: SQLite in its home, unless a module says otherwise."""
    return ""


@pytest.fixture
def world(tmp_path: Path, needs: Callable[[str], Path], store_url: str) -> Iterator[World]:
    """Two agencies (one of each suite) on an SFTP host, and one lender."""
    needs("gpg")
    with open_world(
        tmp_path / "home",
        seed=7,
        start=START,
        cast=CAST,
        lenders={"harbour": "Harbour"},
        engine="direct",
        database=store_url,
    ) as opened:
        yield opened


@pytest.fixture
def raw() -> pd.DataFrame:
    """What the lender's file said of 60 accounts: identities that must never leave unless released."""
    return debtors.portfolio(3, 60, "harbour", START)


@pytest.fixture
def make_plan(world: World) -> Callable[..., int]:
    """A function: so many new accounts are known (facts clear, identities sealed), and a plan over them is approved."""
    made = iter(range(1, 1_000))

    def make(rows: int, raw: pd.DataFrame | None = None, policy: str = "cn-default") -> int:
        number = next(made)
        accounts = debtors.portfolio(100 + number, rows, "harbour", START) if raw is None else raw
        know(world, accounts, number)
        desk = world.desk
        spec = PlanSpec(
            lender="harbour", name=f"plan {number}", seed=number, policy=policy, filter=Filter(portfolios=(number,))
        )
        plan_id = draft(spec).plan_id
        assert plan_id is not None
        with desk.database.write() as connection:
            plans.submit(connection, plan_id, "chen.yu", desk.now())
            plans.approve(connection, plan_id, "li.wei", desk.now())
        return plan_id

    return make


@pytest.fixture
def approved_plan(make_plan: Callable[..., int], raw: pd.DataFrame) -> int:
    """A plan over those accounts, half to each agency, approved."""
    return make_plan(len(raw), raw)


def know(world: World, raw: pd.DataFrame, portfolio_id: int) -> None:
    """Accounts and sealed identities, as intake leaves them: every account a debtor of its own."""
    desk = world.desk
    rows = len(raw)
    key = desk.keyring.new_data_key(desk.now())
    with desk.database.write() as connection:
        first = bulk.reserve(connection, "account", rows)
        bulk.reserve(connection, "debtor", rows)
        ids = np.arange(first, first + rows, dtype=np.int64)
        index = [f"{number:032x}" for number in ids]
        cells: dict[str, Any] = {name: vault.seal_cells(key, name, ids, raw[name]) for name in IDENTITY}
        bulk.append(connection, Debtor, pd.DataFrame({
            "debtor_id": ids, "lender": "harbour", "identity_index": index, "created_at": desk.now(),
        }))  # fmt: skip
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": "harbour", "ref_index": index, "debtor_id": ids, "portfolio_id": portfolio_id,
            "product": raw["product"], "currency": "CNY", "dpd": raw["dpd"].astype("int64"), "bucket": "M3",
            "balance_minor": raw["balance"].str.replace(".", "", regex=False).astype("int64"), "region": raw["region"],
            "as_of": pd.Timestamp(START),
        }))  # fmt: skip
        bulk.append(connection, Identity, pd.DataFrame({
            "account_id": ids, "portfolio_id": portfolio_id, "data_key_id": key.key_id, **cells,
        }))  # fmt: skip


@pytest.fixture
def counts(world: World) -> Callable[[Any], dict[str, int]]:
    """Rows of a table by state."""

    def of(row: Any, column: str = "state") -> dict[str, int]:
        table = bulk.table_of(row)
        with world.desk.database.read() as connection:
            frame = bulk.read(connection, select(table.c[column]))
        return {str(state): int(number) for state, number in frame[column].value_counts().items()}

    return of

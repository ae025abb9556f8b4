"""A store with a portfolio, its sealed identities, and an approved plan over six agencies: the start of a placing.

Run as a program, so that what filling takes is not the measured process's: `filled.py HOME ROWS DATA_KEY_ID`.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from flows.plan import draft
from infra.sandbox.debtors import portfolio
from infra.sandbox.world import settings_of
from infra.store import bulk, plans
from infra.wiring import Desk, seated
from keys.vault import DataKey, seal_cells
from models.intake.buckets import buckets
from models.planning.spec import PlanSpec
from models.tables import Account, Debtor, Identity, Portfolio

AS_OF = date(2026, 1, 5)
NOW = datetime(2026, 1, 5, 1, tzinfo=UTC)
LENDER = "harbour"
PORTFOLIO_ID = PLAN_ID = 1
SEED = 20260105
AT_ONCE = 100_000
IDENTITY = (
    "account_ref", "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name",
    "contact_phone",
)  # fmt: skip


def fill(desk: Desk, rows: int, data_key_id: str) -> None:
    """Accounts 1 to `rows` are open and overdue, and an approved plan shares them out over the agencies."""
    key = desk.keyring.data_key(data_key_id)
    balance = 0
    with desk.database.write() as connection:
        for first in range(0, rows, AT_ONCE):
            count = min(AT_ONCE, rows - first)
            raw = portfolio(SEED + first // AT_ONCE, count, LENDER, AS_OF)
            accounts = _accounts(raw, first)
            debtors = accounts[["debtor_id"]].drop_duplicates()
            bulk.append(connection, Debtor, debtors.assign(
                lender=LENDER, identity_index=_index("d", debtors["debtor_id"]), created_at=pd.Timestamp(NOW),
            ))  # fmt: skip
            bulk.append(connection, Account, accounts)
            bulk.append(connection, Identity, _identities(raw, accounts["account_id"], key))
            balance += int(accounts["balance_minor"].sum())
        bulk.append(connection, Portfolio, pd.DataFrame([{
            "portfolio_id": PORTFOLIO_ID, "lender": LENDER, "profile": "consign", "source": "bench.csv",
            "source_sha256": "0" * 64, "as_of": pd.Timestamp(AS_OF), "received_at": pd.Timestamp(NOW),
            "rows_read": rows, "rows_accepted": rows, "rows_refused": 0, "rows_new": rows, "currency": "CNY",
            "balance_minor": balance,
        }]))  # fmt: skip
    _plan(desk)


def _plan(desk: Desk) -> None:
    """Drafted by one person and approved by another, as any plan."""
    drafted = draft(PlanSpec(lender=LENDER, name="bench", seed=SEED))
    assert drafted.plan_id == PLAN_ID
    with desk.database.write() as connection:
        plans.submit(connection, PLAN_ID, "one", NOW)
        plans.approve(connection, PLAN_ID, "two", NOW)


def _accounts(raw: pd.DataFrame, first: int) -> pd.DataFrame:
    ids = np.arange(first + 1, first + 1 + len(raw), dtype=np.int64)
    dpd = raw["dpd"].astype("int64")
    return pd.DataFrame({
        "account_id": ids, "lender": LENDER, "ref_index": _index("a", pd.Series(ids)),
        "debtor_id": pd.factorize(raw["id_number"])[0] + first + 1, "portfolio_id": PORTFOLIO_ID,
        "product": raw["product"], "currency": raw["currency"],
        **{f"{name}_minor": _minor(raw[name]) for name in ("original", "principal", "interest", "fees", "balance")},
        "dpd": dpd, "bucket": buckets(dpd.to_numpy()), "region": raw["region"],
        **{name: pd.to_datetime(raw[name]) for name in ("opened_on", "due_on", "last_paid_on")},
        "score_band": raw["score_band"], "as_of": pd.Timestamp(AS_OF),
    })  # fmt: skip


def _minor(texts: pd.Series) -> pd.Series:
    return texts.str.replace(".", "", regex=False).astype("int64")


def _index(letter: str, ids: pd.Series) -> pd.Series:
    return letter + ids.astype("str").str.zfill(63)


def _identities(raw: pd.DataFrame, ids: pd.Series, key: DataKey) -> pd.DataFrame:
    cells = {name: seal_cells(key, name, ids.to_numpy(), raw[name]) for name in IDENTITY}
    sealed = pd.DataFrame({name: pd.Series(column, dtype="object") for name, column in cells.items()})
    return sealed.assign(account_id=ids, portfolio_id=PORTFOLIO_ID, data_key_id=key.key_id)


if __name__ == "__main__":
    at = Desk(settings_of(Path(sys.argv[1])), clock=lambda: NOW, actor="bench")
    with seated(at):
        fill(at, int(sys.argv[2]), sys.argv[3])
    at.database.close()

"""Bands that were written into accounts, and the lender's own that stand there again; on both stores."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import select

from infra.store import bulk, propensity
from infra.store.database import Database
from infra.store.portfolios import ACCOUNTS

DAY = pd.Timestamp("2026-05-02")


def test_the_lenders_own_bands_stand_again_where_ours_stood_and_nowhere_else(database_url: str) -> None:
    """One of ours over a B, one over nothing, one that a snapshot has replaced, one never written, another lender's."""
    database = Database(database_url, durable=False)
    for table in (ACCOUNTS, propensity.SCORES):
        table.create(database.engine)
    ids = pd.Series(range(1, 6))
    lender = pd.Series(["harbour"] * 4 + ["lotus"], dtype="str")
    accounts = pd.DataFrame({
        "account_id": ids, "debtor_id": ids, "lender": lender, "ref_index": ids.astype("str"), "portfolio_id": 1,
        "product": "card", "currency": "CNY", "balance_minor": 1, "original_minor": 1, "dpd": 60, "bucket": "M2",
        "as_of": DAY, "opened_on": DAY, "version": 7,
        "score_band": pd.Series(["P1", "P2", "C", "B", "P1"], dtype="str"),
    })  # fmt: skip
    scores = pd.DataFrame({
        "account_id": ids, "lender": lender, "model_id": 1, "scored_on": DAY, "chance": 0.5, "share": 0.5,
        "expected_minor": 1, "band": "P1", "written_band": pd.Series(["P1", "P2", "P3", None, "P1"], dtype="str"),
        "lender_band": pd.Series(["B", None, "B", None, "D"], dtype="str"),
    })  # fmt: skip
    with database.write() as connection:
        bulk.append(connection, ACCOUNTS, accounts)
        bulk.append(connection, propensity.SCORES, scores)
        assert propensity.put_back(connection, "harbour") == 2
        assert propensity.put_back(connection, "harbour") == 0
        told = connection.execute(
            select(ACCOUNTS.c.score_band, ACCOUNTS.c.version).order_by(ACCOUNTS.c.account_id)
        ).fetchall()
        marks = connection.execute(
            select(propensity.SCORES.c.lender_band).order_by(propensity.SCORES.c.account_id)
        ).scalars()
        assert list(marks) == [None, None, None, None, "D"]
    database.close()
    assert [tuple(row) for row in told] == [("B", 8), (None, 8), ("C", 7), ("B", 7), ("P1", 7)]

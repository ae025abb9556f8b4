"""Small frames of lines and receipts as the rules take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.reconcile.cash import Outcome, Terms, matched

Rows = Sequence[dict[str, Any]]


def lines_of(rows: Rows) -> pd.DataFrame:
    """One line per row: `net` alone is enough; `of` is the place of the line that it undoes."""
    usual = {"txn": None, "batch": None, "account": 1, "day": 1, "of": None, "fee": 0, "gross": None}
    full = [usual | row for row in rows]
    net = np.array([row["net"] for row in full], dtype=np.int64)
    return pd.DataFrame({
        "line_id": np.arange(1, len(full) + 1),
        "content_id": pd.Series([f"{at:032x}" for at in range(len(full))], dtype="str"),
        "account_id": pd.array([row["account"] for row in full], dtype="Int64"),
        "original_line_id": pd.array([pd.NA if row["of"] is None else row["of"] + 1 for row in full], dtype="Int64"),
        "txn_ref": pd.Series([row["txn"] for row in full], dtype="str"),
        "batch_ref": pd.Series([row["batch"] for row in full], dtype="str"),
        "value_date": dates(full),
        "net_minor": net,
        "gross_minor": np.array([row["net"] if row["gross"] is None else row["gross"] for row in full], dtype=np.int64),
        "netted_minor": net - np.array([row["fee"] for row in full], dtype=np.int64),
        "tied_minor": np.zeros(len(full), dtype=np.int64),
        "agency": pd.Series(["alpha"] * len(full), dtype="str"),
        "currency": pd.Series(["CNY"] * len(full), dtype="str"),
    })  # fmt: skip


def receipts_of(rows: Rows) -> pd.DataFrame:
    """One receipt per row: `amount` alone is enough."""
    full = [{"ref": None, "day": 2} | row for row in rows]
    return pd.DataFrame({
        "receipt_id": np.arange(1, len(full) + 1),
        "reference": pd.Series([row["ref"] for row in full], dtype="str"),
        "value_date": dates(full),
        "amount_minor": np.array([row["amount"] for row in full], dtype=np.int64),
        "tied_minor": np.zeros(len(full), dtype=np.int64),
        "agency": pd.Series(["alpha"] * len(full), dtype="str"),
        "currency": pd.Series(["CNY"] * len(full), dtype="str"),
    })  # fmt: skip


def dates(rows: Rows) -> pd.Series:
    """April of 2026, by day."""
    first = np.datetime64("2026-03-31")
    return pd.Series([first + np.timedelta64(row["day"], "D") for row in rows], dtype="datetime64[us]")


@pytest.fixture
def tied() -> Callable[..., Outcome]:
    """What the rules make of such rows."""

    def run(lines: Rows, receipts: Rows, **terms: Any) -> Outcome:
        return matched(lines_of(lines), receipts_of(receipts), Terms(**terms))

    return run

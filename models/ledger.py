"""The books: which accounts an event moves (docs/reference/ledger.md). Debits are positive, credits negative.

An entry is one event of one file, day and agency, in bulk; its lines sum to 0 in every currency.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {
        "1010": "bank",
        "1100": "placed receivable",
        "1200": "agency clearing",
        "1250": "unapplied receipts",
        "1300": "input VAT",
        "1350": "clawback receivable",
        "2100": "agency payable",
        "2200": "refund due to debtors",
        "5100": "commission",
        "5950": "tolerance write-off",
    }
)
BY_ACCOUNT = frozenset({"1100", "2200", "5100"})
"""Kept per debtor's account, so that the books answer loan by loan; the others per agency."""
OF_NO_AGENCY = frozenset({"1010", "1250"})
"""The bank account and what is unapplied on it are the lender's; the others are kept per agency."""

KEYS = ("entry_key", "event", "lender", "agency", "value_date")
LEG = (*KEYS, "ledger", "account_id", "currency", "amount_minor")


class Unbalanced(ConsignError):
    """An entry does not sum to 0 in a currency: a fault of ours, and nothing was posted."""


def legs(events: pd.DataFrame, **amounts: pd.Series | np.ndarray) -> pd.DataFrame:
    """The journal lines of the events: columns LEG, one per entry, ledger, account and currency, without zeros.

    events: KEYS, `account_id` (Int64) and `currency`, one row per line or receipt. `amounts`: per ledger (named
    `l1200` …) the signed amount of each event.
    """
    keys = events[[*KEYS, "currency"]]
    accounts = events["account_id"].to_numpy(dtype=np.int64, na_value=-1)
    parts = []
    for name, amount in amounts.items():
        ledger, moved = name.removeprefix("l"), np.asarray(amount, dtype=np.int64)
        moves = moved != 0
        if not moves.any():
            continue
        part = keys if moves.all() else keys[moves]
        account = accounts[moves] if ledger in BY_ACCOUNT else np.full(len(part), -1)
        parts.append(part.assign(ledger=ledger, account_id=account, amount_minor=moved[moves]))
    if not parts:
        return _NO_LEGS.copy(deep=False)
    by = [*KEYS, "ledger", "currency", "account_id"]
    summed = pd.concat(parts, ignore_index=True).groupby(by, sort=False, dropna=False)["amount_minor"].sum()
    result: pd.DataFrame = summed[summed != 0].reset_index()
    account_id = result["account_id"].astype("Int64")
    result["account_id"] = account_id.mask(account_id < 0)
    return result[list(LEG)]


_NO_LEGS = pd.DataFrame(
    {
        **{name: pd.Series(dtype="str") for name in (*KEYS, "ledger", "currency")},
        "value_date": pd.Series(dtype="datetime64[us]"),
        "account_id": pd.Series(dtype="Int64"),
        "amount_minor": pd.Series(dtype="int64"),
    }
)[list(LEG)]


def balanced(journal: pd.DataFrame) -> pd.DataFrame:
    """The same journal lines. Raises Unbalanced unless every entry sums to 0 in every currency."""
    sums = journal.groupby(["entry_key", "currency"], sort=False)["amount_minor"].sum()
    if (sums != 0).any():
        first = sums.index[np.flatnonzero(sums.to_numpy())[0]]
        raise Unbalanced(f"entry {first[0]} does not sum to 0 in {first[1]}", fix="report it; nothing was posted")
    return journal

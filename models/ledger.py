"""The books: which accounts an event moves (docs/reference/ledger.md). Debits are positive, credits negative.

An entry is one event of one file, day and agency, in bulk; its lines sum to 0 in every currency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.errors import ConsignError

if TYPE_CHECKING:
    from datetime import date

BY_ACCOUNT = frozenset({"1100", "2200", "5100"})
"""Kept per debtor's account, so that the books answer loan by loan; the others per agency."""
OF_NO_AGENCY = frozenset({"1010", "1250", "1290"})
"""Bank account, what is unapplied on it and currencies exchanged are the lender's; the others are kept per agency."""
EXCHANGE = "exchange"
"""The one event whose entries may hold two currencies; each of them sums to 0 all the same."""

KEYS = ("entry_key", "event", "lender", "agency", "value_date")
LEG = (*KEYS, "ledger", "account_id", "currency", "amount_minor")


class Unbalanced(ConsignError):
    """An entry does not sum to 0 in a currency: a fault of ours, and nothing was posted."""


class CurrencyCrossed(ConsignError):
    """An entry that exchanges nothing holds two currencies: a fault of ours, and nothing was posted."""


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
    """The same journal lines. Raises Unbalanced unless every entry sums to 0 in every currency, and CurrencyCrossed."""
    sums = journal.groupby(["entry_key", "currency"], sort=False)["amount_minor"].sum()
    if (sums != 0).any():
        first = sums.index[np.flatnonzero(sums.to_numpy())[0]]
        raise Unbalanced(f"entry {first[0]} does not sum to 0 in {first[1]}", fix="report it; nothing was posted")
    entries = sums.index.get_level_values("entry_key")
    if len(sums) > entries.nunique():
        crossed = entries[entries.duplicated()]
        wrong = journal["entry_key"].isin(crossed) & (journal["event"] != EXCHANGE)
        if wrong.any():
            message = f"entry {journal.loc[wrong, 'entry_key'].iloc[0]} holds two currencies and exchanges nothing"
            raise CurrencyCrossed(message, fix="report it; nothing was posted")
    return journal


def booked(value_date: pd.Series, closed: str | None, today: date) -> pd.DataFrame:
    """In whose month each entry stands (`period`, YYYY-MM), and on which day of it (`posted_on`).

    That is the month of its value date; once that is closed (`closed`: the last closed month), the first open one, on
    the day of posting, or on that month's day nearest to it (R14).
    """
    days = value_date.to_numpy(dtype="datetime64[D]")
    own = days.astype("datetime64[M]")
    month = np.maximum(own, np.datetime64(closed, "M") + 1) if closed else own
    first = month.astype("datetime64[D]")
    last = (month + 1).astype("datetime64[D]") - 1
    day = np.where(own < month, np.clip(np.datetime64(today, "D"), first, last), days)
    months, which = np.unique(month, return_inverse=True)  # few: their texts are made once
    texts = pd.Series(np.datetime_as_string(months, unit="M"), dtype="str").take(which)
    return pd.DataFrame(
        {"period": texts.to_numpy(), "posted_on": day.astype("datetime64[us]")}, index=value_date.index
    ).astype({"period": "str"})

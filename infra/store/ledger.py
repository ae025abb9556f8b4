"""The journal in the store: posted in bulk, once per entry key, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import BigInteger, Connection, case, cast, func, select

from infra.store.bulk import append, read, reserve, staged, table_of
from models.ledger import ACCOUNTS, KEYS, OF_NO_AGENCY, balanced
from models.tables import JournalEntry, JournalLine

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

ENTRY = table_of(JournalEntry)
LINE = table_of(JournalLine)


def post(connection: Connection, journal: pd.DataFrame, now: datetime) -> int:
    """The entries of `journal` (columns models.ledger.LEG) that are not in the books yet are; how many they were.

    An entry whose key is there already is left as it is. Raises Unbalanced before anything is written.
    """
    if journal.empty:
        return 0
    balanced(journal)
    entries = journal[list(KEYS)].drop_duplicates("entry_key")
    with staged(connection, ENTRY, entries[["entry_key"]]) as stage:
        known = read(connection, select(ENTRY.c.entry_key).join(stage, stage.c.entry_key == ENTRY.c.entry_key))
    entries = entries[~entries["entry_key"].isin(known["entry_key"])]
    if entries.empty:
        return 0
    first = reserve(connection, "journal_entry", len(entries))
    entries = entries.assign(entry_id=np.arange(first, first + len(entries)), posted_at=now)
    lines = journal.merge(entries[["entry_key", "entry_id"]], on="entry_key")
    first = reserve(connection, "journal_line", len(lines))
    lines = lines.assign(
        journal_line_id=np.arange(first, first + len(lines)),
        agency=lines["agency"].mask(lines["ledger"].isin(OF_NO_AGENCY)),
    )
    append(connection, ENTRY, entries)
    append(
        connection,
        LINE,
        lines[["journal_line_id", "entry_id", "ledger", "agency", "account_id", "currency", "amount_minor"]],
    )
    return len(entries)


def trial_balance(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """`debit_minor`, `credit_minor` and `balance_minor` per lender, agency, ledger (with its `name`) and currency."""
    amount = LINE.c.amount_minor
    statement = (
        select(
            ENTRY.c.lender,
            LINE.c.agency,
            LINE.c.ledger,
            LINE.c.currency,
            cast(func.sum(case((amount > 0, amount), else_=0)), BigInteger).label("debit_minor"),
            cast(func.sum(case((amount < 0, -amount), else_=0)), BigInteger).label("credit_minor"),
        )
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .group_by(ENTRY.c.lender, LINE.c.agency, LINE.c.ledger, LINE.c.currency)
        .order_by(ENTRY.c.lender, LINE.c.agency, LINE.c.ledger, LINE.c.currency)
    )
    if lender is not None:
        statement = statement.where(ENTRY.c.lender == lender)
    balance = read(connection, statement)
    balance.insert(3, "name", balance["ledger"].map(ACCOUNTS).astype("str"))
    balance["balance_minor"] = balance["debit_minor"] - balance["credit_minor"]
    return balance


def is_balanced(connection: Connection) -> bool:
    """Whether every entry in the books sums to 0 in every currency."""
    crooked = (
        select(LINE.c.entry_id)
        .group_by(LINE.c.entry_id, LINE.c.currency)
        .having(func.sum(LINE.c.amount_minor) != 0)
        .limit(1)
    )
    return connection.execute(crooked).first() is None

"""The journal in the store: posted in bulk, once per entry key, sealed when it balances, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy import Connection, exists, func, insert, select, update

from infra import charts
from infra.store import periods
from infra.store.bulk import append, read, reserve, staged, table_of
from infra.store.exchange import lender_timezone
from models.chart import ChartInvalid
from models.errors import UsageError
from models.ledger import KEYS, LEG, OF_NO_AGENCY, balanced, booked
from models.tables import JournalBatch, JournalEntry, JournalLine, LedgerAccount

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from models.chart import Chart

BATCH = table_of(JournalBatch)
ENTRY = table_of(JournalEntry)
LINE = table_of(JournalLine)
LEDGER = table_of(LedgerAccount)


def post(connection: Connection, journal: pd.DataFrame, now: datetime) -> int:
    """The entries of `journal` (columns models.ledger.LEG) that are not in the books yet are; how many they were.

    An entry whose key is there already is left as it is. Each stands in the month of its value date, or in the first
    open one where that is closed. Raises Unbalanced, CurrencyCrossed and ChartInvalid before anything is written.
    """
    if journal.empty:
        return 0
    balanced(journal)
    entries = journal[list(KEYS)].drop_duplicates("entry_key")
    with staged(connection, ENTRY, entries[["entry_key"]]) as stage:
        known = read(connection, select(ENTRY.c.entry_key).join(stage, stage.c.entry_key == ENTRY.c.entry_key))
    entries = entries[~entries["entry_key"].isin(known["entry_key"])]
    return _write(connection, entries, journal, now)


def reverse(connection: Connection, entry_keys: Sequence[str], now: datetime, *, value_date: date | None = None) -> int:
    """Each of these entries has its mirror in the books, under `reverse:<its key>`; how many new ones there are.

    value_date: of the mirrors, instead of their originals'. What has its mirror already is left as it is. Raises
    UsageError for a key that is not in the books. To undo a part of an entry, post that part with its signs turned.
    """
    wanted = pd.DataFrame({"entry_key": pd.Series(list(dict.fromkeys(entry_keys)), dtype="str")})
    names = [name for name in KEYS if name != "agency"]
    with staged(connection, ENTRY, wanted) as stage:
        lines = read(
            connection,
            select(
                *(ENTRY.c[name] for name in names), ENTRY.c.agency, ENTRY.c.entry_id.label("reverses_id"),
                LINE.c.ledger, LINE.c.account_id, LINE.c.currency, (-LINE.c.amount_minor).label("amount_minor"),
            )
            .join(stage, stage.c.entry_key == ENTRY.c.entry_key)
            .join(LINE, LINE.c.entry_id == ENTRY.c.entry_id)
            .order_by(LINE.c.journal_line_id),
        )  # fmt: skip
        done = exists().where(ENTRY.c.reverses_id == _ORIGINAL.c.entry_id)
        mirrored = read(
            connection,
            select(_ORIGINAL.c.entry_key).join(stage, stage.c.entry_key == _ORIGINAL.c.entry_key).where(done),
        )
    if unknown := sorted(set(wanted["entry_key"]) - set(lines["entry_key"])):
        raise UsageError(f"no entry {unknown[0]} is in the books", fix="`consign ledger entries` lists them")
    lines = lines[~lines["entry_key"].isin(mirrored["entry_key"])]
    if lines.empty:
        return 0
    lines = lines.assign(entry_key="reverse:" + lines["entry_key"], account_id=lines["account_id"].astype("Int64"))
    if value_date is not None:
        lines["value_date"] = pd.Series(value_date, index=lines.index).astype("datetime64[us]")
    entries = lines[[*KEYS, "reverses_id"]].drop_duplicates("entry_key")
    return _write(connection, entries, balanced(lines[list(LEG)]), now)


_ORIGINAL = ENTRY.alias("original")


def _write(connection: Connection, entries: pd.DataFrame, journal: pd.DataFrame, now: datetime) -> int:
    """The entries, their lines and, last, the batch that seals them."""
    if entries.empty:
        return 0
    chart = charts.current()
    first = reserve(connection, "journal_entry", len(entries))  # whoever posts beside us waits here for our commit
    _register(connection, chart, now)
    batch_id = reserve(connection, "journal_batch", 1)
    entries = entries.assign(entry_id=np.arange(first, first + len(entries)), posted_at=now, batch_id=batch_id).join(
        _booked(connection, entries, now)
    )
    lines = journal.merge(entries[["entry_key", "entry_id"]], on="entry_key")
    first = reserve(connection, "journal_line", len(lines))
    lines = lines.assign(
        journal_line_id=np.arange(first, first + len(lines)),
        agency=lines["agency"].mask(lines["ledger"].isin(OF_NO_AGENCY)),
        code=lines["ledger"].map(chart.codes).astype("str"),
    )
    append(connection, ENTRY, entries)
    columns = ["journal_line_id", "entry_id", "ledger", "code", "agency", "account_id", "currency", "amount_minor"]
    append(connection, LINE, lines[columns])
    sealed = {"batch_id": batch_id, "entries": len(entries), "lines": len(lines), "posted_at": now}
    connection.execute(insert(BATCH).values(**sealed))
    return len(entries)


def _booked(connection: Connection, entries: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """In which month each entry stands, and on which day: `period`, `posted_on`."""
    parts = []
    for lender in sorted(entries["lender"].unique()):
        periods.hold(connection, lender)
        today = now.astimezone(ZoneInfo(lender_timezone(connection, lender))).date()
        days = entries.loc[entries["lender"] == lender, "value_date"]
        parts.append(booked(days, periods.closed_through(connection, lender), today))
    return pd.concat(parts)


def check_chart(connection: Connection, chart: Chart) -> None:
    """Nothing. Raises ChartInvalid where a code of the chart has meant something else in the books."""
    known = {row.code: row for row in connection.execute(select(LEDGER))}
    for account in chart.accounts:
        before = known.get(account.code)
        if before is not None and before.ledger != account.ledger:
            raise ChartInvalid(
                f"code {account.code} of the chart {chart.name} is {account.name}, and entries were posted under it"
                f" as {before.name}",
                fix="give the account a code that was never used",
            )


def _register(connection: Connection, chart: Chart, now: datetime) -> None:
    """The books know the chart's accounts. Raises ChartInvalid where a code has meant something else."""
    check_chart(connection, chart)
    known = {row.code: row for row in connection.execute(select(LEDGER))}
    for account in chart.accounts:
        before = known.get(account.code)
        told = {"name": account.name, "zh": account.zh, "kind": account.kind, "chart": chart.name}
        if before is None:
            values = {"code": account.code, "ledger": account.ledger, "since": now}
            connection.execute(insert(LEDGER).values(**values, **told))
        elif any(getattr(before, name) != value for name, value in told.items()):
            connection.execute(update(LEDGER).where(LEDGER.c.code == account.code).values(**told))


def is_balanced(connection: Connection) -> bool:
    """Whether every entry in the books sums to 0 in every currency, and is sealed."""
    crooked = (
        select(LINE.c.entry_id)
        .group_by(LINE.c.entry_id, LINE.c.currency)
        .having(func.sum(LINE.c.amount_minor) != 0)
        .limit(1)
    )
    loose = select(ENTRY.c.entry_id).where(~exists().where(BATCH.c.batch_id == ENTRY.c.batch_id)).limit(1)
    return connection.execute(crooked).first() is None and connection.execute(loose).first() is None

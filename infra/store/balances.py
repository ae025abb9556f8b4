"""What the journal adds up to: trial balance, an agency's ledgers, a placement's card, and the entries behind each.

Every figure can be asked for a month (what it opened with, what moved, what it closed with) or as of a day; a late
entry counts in the month it was posted to. The sums are the database's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import BigInteger, Connection, and_, case, cast, func, or_, select

from infra.store.bulk import read, read_chunks, table_of
from models.errors import UsageError
from models.tables import JournalEntry, JournalLine, LedgerAccount, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sqlalchemy import ColumnElement, RowMapping, Select

ENTRY: Final = table_of(JournalEntry)
LINE: Final = table_of(JournalLine)
LEDGER: Final = table_of(LedgerAccount)
PLACEMENT: Final = table_of(Placement)

KEYS: Final = ("lender", "agency", "ledger", "code", "currency")
SUMS: Final = ("opening_minor", "debit_minor", "credit_minor", "balance_minor")


def trial_balance(
    connection: Connection,
    lender: str | None = None,
    *,
    agency: str | None = None,
    period: str | None = None,
    as_of: date | None = None,
) -> pd.DataFrame:
    """Per KEYS and `name`: what a ledger opened with, what moved, and its balance (SUMS; credits are below zero there).

    period: the movement of that month, after what was before it. as_of: everything up to that day's end. Neither:
    everything there is. Rows without any amount are left out; all balances of a lender and currency sum to 0.
    """
    amount = LINE.c.amount_minor
    inside = ENTRY.c.period == period if period else amount == amount  # noqa: PLR0124 - true, in SQL
    keys = [ENTRY.c.lender, *(LINE.c[name] for name in KEYS[1:])]
    statement = select(
        *keys,
        _sum(~inside, amount).label("opening_minor"),
        _sum(and_(inside, amount > 0), amount).label("debit_minor"),
        _sum(and_(inside, amount < 0), -amount).label("credit_minor"),
    ).join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
    if period:
        statement = statement.where(ENTRY.c.period <= period)
    if as_of:
        statement = statement.where(ENTRY.c.posted_on <= as_of)
    statement = _of(statement, lender=lender, agency=agency)
    found = read(connection, statement.group_by(*keys).order_by(*keys))
    found["balance_minor"] = found["opening_minor"] + found["debit_minor"] - found["credit_minor"]
    found = found[(found[list(SUMS)] != 0).any(axis=1)].reset_index(drop=True)
    found.insert(KEYS.index("code") + 1, "name", named(connection, found["code"]))
    return found


def named(connection: Connection, codes: pd.Series) -> pd.Series:
    """The name of each account."""
    names = dict(connection.execute(select(LEDGER.c.code, LEDGER.c.name)).tuples().all())
    return codes.map(names).astype("str")


def accounts(connection: Connection) -> pd.DataFrame:
    """Every account that the books know: `code`, `ledger`, `name`, `zh`, `kind`, `chart`, `since`, by code."""
    return read(connection, select(LEDGER).order_by(LEDGER.c.code))


def entries(
    connection: Connection,
    *,
    lender: str | None = None,
    agency: str | None = None,
    ledger: str | None = None,
    period: str | None = None,
    account_id: int | None = None,
    limit: int = 100,
) -> pd.DataFrame:
    """The newest entries with lines that fit, and what those lines sum to per currency (`debit_minor`, `credit_minor`).

    What stands behind a figure of `trial_balance`: the same filters give the same sums.
    """
    amount = LINE.c.amount_minor
    columns = [
        ENTRY.c[name] for name in ("entry_id", "entry_key", "event", "lender", "value_date", "period", "posted_on")
    ]
    statement = (
        select(
            *columns,
            LINE.c.currency,
            _sum(amount > 0, amount).label("debit_minor"),
            _sum(amount < 0, -amount).label("credit_minor"),
        )
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .group_by(*columns, LINE.c.currency)
        .order_by(ENTRY.c.entry_id.desc(), LINE.c.currency)
        .limit(limit)
    )
    statement = _of(statement, lender=lender, agency=agency)
    if ledger:
        statement = statement.where(or_(LINE.c.ledger == ledger, LINE.c.code == ledger))
    if period:
        statement = statement.where(ENTRY.c.period == period)
    if account_id is not None:
        statement = statement.where(LINE.c.account_id == account_id)
    return read(connection, statement)


def entry(connection: Connection, which: str) -> dict[str, Any]:
    """One entry by its number or its key, with its lines. Raises UsageError."""
    by = ENTRY.c.entry_id == int(which) if which.isdigit() else ENTRY.c.entry_key == which
    row = connection.execute(select(ENTRY).where(by)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no entry {which} is in the books", fix="`consign ledger entries` lists them")
    lines = read(
        connection,
        select(*(LINE.c[name] for name in ("ledger", "code", "agency", "account_id", "currency", "amount_minor")))
        .where(LINE.c.entry_id == row["entry_id"])
        .order_by(LINE.c.journal_line_id),
    )
    lines.insert(2, "name", named(connection, lines["code"]))
    return dict(row) | {"lines": lines}


def card(connection: Connection, placement_id: int) -> dict[str, Any]:
    """A placement's account card: what was placed, every line of the books on it, and what is left. Raises UsageError.

    An account that was placed with the same agency again has a card per placement: a line is on the last one that had
    begun on its value date.
    """
    row = connection.execute(select(PLACEMENT).where(PLACEMENT.c.placement_id == placement_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no placement {placement_id}", fix="`consign plan show` lists a plan's placements")
    lines = _lines_of_placement(connection, row)
    moved = {ledger: int(part["amount_minor"].sum()) for ledger, part in lines.groupby("ledger")}
    kept = ("placement_id", "lender", "agency", "account_id", "round", "state", "placed_on", "currency")
    return {name: row[name] for name in kept} | {
        "placed_minor": row["balance_minor"],
        "left_minor": row["balance_minor"] + moved.get("1100", 0),
        "refund_due_minor": -moved.get("2200", 0),
        "commission_minor": moved.get("5100", 0),
        "lines": lines,
    }


def _lines_of_placement(connection: Connection, row: RowMapping) -> pd.DataFrame:
    """Every line of the books on the placement, by value date, with its account's `name`."""
    again = connection.execute(
        select(PLACEMENT.c.placed_on).where(
            PLACEMENT.c.account_id == row["account_id"],
            PLACEMENT.c.agency == row["agency"],
            PLACEMENT.c.state != "planned",
            PLACEMENT.c.placement_id != row["placement_id"],
        )
    ).scalars()
    others = sorted(again)
    before = any(day < row["placed_on"] for day in others)
    after = next((day for day in others if day > row["placed_on"]), None)
    statement = (
        select(
            ENTRY.c.entry_id, ENTRY.c.event, ENTRY.c.value_date, ENTRY.c.period, LINE.c.ledger, LINE.c.code,
            LINE.c.currency, LINE.c.amount_minor,
        )
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .where(
            LINE.c.account_id == row["account_id"], LINE.c.agency == row["agency"], ENTRY.c.lender == row["lender"]
        )
        .order_by(ENTRY.c.value_date, LINE.c.journal_line_id)
    )  # fmt: skip
    if before:
        statement = statement.where(ENTRY.c.value_date >= row["placed_on"])
    if after is not None:
        statement = statement.where(ENTRY.c.value_date < after)
    lines = read(connection, statement)
    lines.insert(6, "name", named(connection, lines["code"]))
    return lines


def journal(
    connection: Connection,
    lender: str,
    *,
    since: str | None = None,
    until: str | None = None,
    by_account: bool = False,
    rows: int = 100_000,
) -> Iterator[pd.DataFrame]:
    """The lender's lines in the order of the books, `rows` at a time: by day posted, entry, ledger.

    since, until: the first and the last month, both included. One row per entry, account of the chart, agency and
    currency; `by_account`: and per debtor's account, by our internal number (`account_id`).
    """
    heads = [
        ENTRY.c[name]
        for name in ("posted_on", "entry_id", "entry_key", "event", "value_date", "period", "posted_at", "reverses_id")
    ]
    keys = [LINE.c.code, LINE.c.ledger, LINE.c.agency, LINE.c.currency]
    if by_account:
        keys.append(LINE.c.account_id)
    statement = (
        select(*heads, *keys, cast(func.sum(LINE.c.amount_minor), BigInteger).label("amount_minor"))
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .where(ENTRY.c.lender == lender)
        .group_by(*heads, *keys)
        .having(func.sum(LINE.c.amount_minor) != 0)
        .order_by(ENTRY.c.posted_on, ENTRY.c.entry_id, *keys)
    )
    if since:
        statement = statement.where(ENTRY.c.period >= since)
    if until:
        statement = statement.where(ENTRY.c.period <= until)
    for shard in read_chunks(connection, statement, rows):
        if not by_account:
            shard["account_id"] = pd.array(np.full(len(shard), pd.NA), dtype="Int64")
        yield shard


def lines_of(lender: str, after: str | None, until: str) -> Select[Any]:
    """Every line of the lender's months after `after` up to `until` with its entry's heads, by entry and line."""
    heads = [
        ENTRY.c[name] for name in ("entry_id", "entry_key", "event", "agency", "value_date", "period", "posted_on")
    ]
    own = [LINE.c[name] for name in ("ledger", "code", "account_id", "currency", "amount_minor")]
    statement = (
        select(*heads, *own, LINE.c.agency.label("line_agency"))
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .where(ENTRY.c.lender == lender, ENTRY.c.period <= until)
        .order_by(LINE.c.entry_id, LINE.c.journal_line_id)
    )
    return statement if after is None else statement.where(ENTRY.c.period > after)


def monthly(connection: Connection, lender: str, until: str) -> pd.DataFrame:
    """What each month up to `until` moved: `period`, `code`, `agency`, `currency`, `amount_minor`."""
    keys = [ENTRY.c.period, LINE.c.code, LINE.c.agency, LINE.c.currency]
    statement = (
        select(*keys, cast(func.sum(LINE.c.amount_minor), BigInteger).label("amount_minor"))
        .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
        .where(ENTRY.c.lender == lender, ENTRY.c.period <= until)
        .group_by(*keys)
        .order_by(*keys)
    )
    return read(connection, statement)


def months(connection: Connection, lender: str) -> list[str]:
    """The months that the lender's books have entries in, in order."""
    found = select(ENTRY.c.period).where(ENTRY.c.lender == lender).distinct().order_by(ENTRY.c.period)
    return list(connection.execute(found).scalars())


def _of(statement: Select[Any], *, lender: str | None, agency: str | None) -> Select[Any]:
    if lender is not None:
        statement = statement.where(ENTRY.c.lender == lender)
    if agency is not None:
        statement = statement.where(LINE.c.agency == agency)
    return statement


def _sum(where: ColumnElement[bool], amount: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(case((where, amount), else_=0)), BigInteger)

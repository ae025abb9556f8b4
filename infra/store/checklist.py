"""What a month's checklist is read from: the journal, the bank's statements, breaks, receipts, invoices, statements."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, and_, cast, exists, func, select, true

from infra.store import balances, bankfiles, periods
from infra.store.bulk import table_of
from infra.store.statements import last_day, to_state
from models.closing import uncovered
from models.tables import (
    BankAccount,
    BankReceipt,
    BankStatement,
    Break,
    InvoiceLine,
    JournalBatch,
    JournalEntry,
    JournalLine,
    Statement,
)

ACCOUNT: Final = table_of(BankAccount)
BATCH: Final = table_of(JournalBatch)
BREAK: Final = table_of(Break)
CLAIM: Final = table_of(InvoiceLine)
ENTRY: Final = table_of(JournalEntry)
LINE: Final = table_of(JournalLine)
RECEIPT: Final = table_of(BankReceipt)
STATED: Final = table_of(Statement)
TAKEN: Final = table_of(BankStatement)

SHOWN: Final = 5
"""of many references, so many are named"""


def earlier_open(connection: Connection, lender: str, period: str) -> list[str]:
    """Months with entries between the last closed one and this; none where no month was ever closed."""
    closed = periods.closed_through(connection, lender)
    if closed is None:
        return []
    return [month for month in balances.months(connection, lender) if closed < month < period]


def crooked(connection: Connection, lender: str, after: str | None = None, until: str | None = None) -> list[str]:
    """Keys of entries that do not balance or are not sealed; of the months after `after` and up to `until`."""
    scope = and_(
        ENTRY.c.lender == lender,
        ENTRY.c.period > after if after else true(),
        ENTRY.c.period <= until if until else true(),
    )
    uneven = (
        select(ENTRY.c.entry_key)
        .join(LINE, LINE.c.entry_id == ENTRY.c.entry_id)
        .where(scope)
        .group_by(ENTRY.c.entry_key, LINE.c.currency)
        .having(func.sum(LINE.c.amount_minor) != 0)
    )
    loose = select(ENTRY.c.entry_key).where(scope, ~exists().where(BATCH.c.batch_id == ENTRY.c.batch_id))
    return sorted(connection.execute(uneven.union(loose)).scalars())


def bank_differences(connection: Connection, lender: str) -> dict[str, int]:
    """Per currency by how much ledger 1010 has moved otherwise than the statements' entries; only where it has."""
    booked = dict(
        connection.execute(
            select(LINE.c.currency, cast(func.sum(LINE.c.amount_minor), BigInteger))
            .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
            .where(ENTRY.c.lender == lender, LINE.c.ledger == "1010")
            .group_by(LINE.c.currency)
        )
        .tuples()
        .all()
    )
    came = dict(
        connection.execute(
            select(RECEIPT.c.currency, cast(func.sum(RECEIPT.c.amount_minor), BigInteger))
            .where(RECEIPT.c.lender == lender)
            .group_by(RECEIPT.c.currency)
        )
        .tuples()
        .all()
    )
    off = {code: booked.get(code, 0) - came.get(code, 0) for code in sorted({*booked, *came})}
    return {code: minor for code, minor in off.items() if minor}


def bank_gaps(connection: Connection, lender: str, period: str) -> list[str]:
    """What is missing of the month on the bank's statements, account by account.

    Days that no statement of an account says to cover, from its first one on; accounts without any; and what lies
    between statements (infra.store.bankfiles.gaps).
    """
    last = last_day(period)
    first = last.replace(day=1)
    taken = connection.execute(
        select(TAKEN)
        .where(TAKEN.c.lender == lender, TAKEN.c.is_advance.is_(False))
        .order_by(TAKEN.c.from_on, TAKEN.c.to_on)
    ).all()
    known = select(ACCOUNT.c.account, ACCOUNT.c.currency).where(ACCOUNT.c.lender == lender)
    found = []
    for account in connection.execute(known.order_by(ACCOUNT.c.account, ACCOUNT.c.currency)):
        own = [one for one in taken if (one.bank_account, one.currency) == (account.account, account.currency)]
        days = [(one.from_on, one.to_on or one.from_on) for one in own if one.from_on is not None]
        name = f"…{account.account[-4:]} {account.currency}"
        found += [f"{name}: {gap}" for gap in uncovered(days, first, last)]
    if not found and not taken:
        found.append("no bank statement at all")
    months = {one.statement_id: (one.from_on or one.to_on, one.to_on) for one in taken}
    for gap in bankfiles.gaps(connection):
        begins, ends = months.get(gap.statement_id, (None, None))
        if gap.lender == lender and begins and ends and begins <= last and ends >= first:
            found.append(gap.why)
    return found


def breaks(connection: Connection, lender: str, period: str, days: int) -> tuple[dict[str, int], dict[str, int]]:
    """Open breaks by code: those open for longer than so many days at the month's end, and the others."""
    end = datetime.combine(last_day(period) + timedelta(days=1), time(), tzinfo=UTC)
    old = BREAK.c.opened_at < end - timedelta(days=days)
    found: list[dict[str, int]] = []
    for which in (old, ~old):
        tally = (
            select(BREAK.c.code, func.count())
            .where(BREAK.c.lender == lender, BREAK.c.state == "open", which)
            .group_by(BREAK.c.code)
            .order_by(BREAK.c.code)
        )
        found.append(dict(connection.execute(tally).tuples().all()))
    return found[0], found[1]


def unapplied(connection: Connection, lender: str, period: str) -> dict[str, tuple[int, int]]:
    """Per currency how many receipts booked up to the month's end are tied to nothing, or in part, and what is left."""
    rows = connection.execute(
        select(
            RECEIPT.c.currency,
            func.count(),
            cast(func.sum(RECEIPT.c.amount_minor - RECEIPT.c.applied_minor), BigInteger),
        )
        .where(
            RECEIPT.c.lender == lender,
            RECEIPT.c.state.in_(("unapplied", "part_matched")),
            RECEIPT.c.booked_on <= last_day(period),
        )
        .group_by(RECEIPT.c.currency)
        .order_by(RECEIPT.c.currency)
    )
    return {code: (count, minor) for code, count, minor in rows}


def invoices_waiting(connection: Connection, lender: str, period: str) -> dict[str, int]:
    """Per agency how many lines of invoices up to the month it was not told an answer to."""
    rows = connection.execute(
        select(CLAIM.c.agency, func.count())
        .where(CLAIM.c.lender == lender, CLAIM.c.answered_as.is_(None), CLAIM.c.period <= period)
        .group_by(CLAIM.c.agency)
        .order_by(CLAIM.c.agency)
    )
    return dict(rows.tuples().all())


def not_stated(connection: Connection, lender: str, period: str) -> list[str]:
    """Agencies and currencies that a statement of the month is due to, and that have none."""
    made = connection.execute(
        select(STATED.c.agency, STATED.c.currency).where(STATED.c.lender == lender, STATED.c.period == period)
    )
    due = set(to_state(connection, lender, period)) - {(row.agency, row.currency) for row in made}
    return [f"{agency} {currency}" for agency, currency in sorted(due)]


def statements(connection: Connection, lender: str, period: str) -> list[dict[str, Any]]:
    """The month's statements to agencies, whole rows, by agency and currency."""
    rows = connection.execute(
        select(STATED)
        .where(STATED.c.lender == lender, STATED.c.period == period)
        .order_by(STATED.c.agency, STATED.c.currency)
    )
    return [dict(row) for row in rows.mappings()]

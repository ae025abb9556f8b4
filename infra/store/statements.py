"""What is stated to an agency for a period: which lines, and the row that says so."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Row, and_, func, select, update

from infra.store.bulk import read_chunks, reserve, table_of
from models.errors import UsageError
from models.tables import RemittanceLine, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = table_of(RemittanceLine)
STATEMENT = table_of(Statement)


@dataclass(frozen=True)
class Totals:
    """A statement's sums, in minor units of its currency."""

    lines: int
    gross_minor: int
    commission_minor: int
    vat_minor: int
    net_minor: int


def last_day(period: str) -> date:
    """The last day of the month `YYYY-MM`. Raises UsageError where it is none."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period):
        raise UsageError(f"{period!r} is no month", fix="write it as YYYY-MM")
    year, month = (int(part) for part in period.split("-"))
    return date(year, month, calendar.monthrange(year, month)[1])


def to_state(connection: Connection, lender: str, period: str) -> list[tuple[str, str]]:
    """Agency and currency of everything that a statement of the period is made of, or was made of, in order."""
    fresh = select(LINE.c.agency, LINE.c.currency).where(_unstated(lender, period)).distinct()
    made = select(STATEMENT.c.agency, STATEMENT.c.currency).where(
        STATEMENT.c.lender == lender, STATEMENT.c.period == period
    )
    return sorted({(row.agency, row.currency) for row in connection.execute(fresh.union(made))})


def made_before(connection: Connection, lender: str, agency: str, period: str, currency: str) -> Row[Any] | None:
    """The statement of that period, where there is one."""
    return connection.execute(
        select(STATEMENT).where(
            STATEMENT.c.lender == lender,
            STATEMENT.c.agency == agency,
            STATEMENT.c.period == period,
            STATEMENT.c.currency == currency,
        )
    ).one_or_none()


def gather(connection: Connection, lender: str, agency: str, period: str, currency: str) -> tuple[int, Totals] | None:
    """A new statement's id and sums; its lines are those that count, up to the period's end, on no statement yet.

    A line that comes after its month was stated stands on the next statement, with its own value date (R14).
    """
    which = and_(_unstated(lender, period), LINE.c.agency == agency, LINE.c.currency == currency)
    sums = connection.execute(
        select(
            func.count(),
            func.sum(LINE.c.gross_minor),
            func.sum(LINE.c.due_commission_minor),
            func.sum(LINE.c.due_vat_minor),
        ).where(which)
    ).one()
    if not sums[0]:
        return None
    lines, gross, commission, vat = (int(number or 0) for number in sums)
    statement_id = reserve(connection, "statement", 1)
    connection.execute(update(LINE).where(which).values(statement_id=statement_id))
    return statement_id, Totals(lines, gross, commission, vat, gross - commission - vat)


def keep(connection: Connection, totals: Totals, **columns: Any) -> None:
    """The statement's row, files and hash included."""
    connection.execute(STATEMENT.insert().values(**vars(totals), **columns))


def note_transmission(connection: Connection, statement_id: int, transmission_id: int) -> None:
    """Which transmission carries the statement."""
    which = STATEMENT.c.statement_id == statement_id
    connection.execute(update(STATEMENT).where(which).values(transmission_id=transmission_id))


def statement_lines(
    connection: Connection, statement_id: int, rows: int, period: str | None = None
) -> Iterator[pd.DataFrame]:
    """The statement's lines as the kind `statement` has them, `rows` at a time, with `account_id` for the account.

    `period`: where the statement's own row is not kept yet.
    """
    if period is None:
        period = connection.execute(
            select(STATEMENT.c.period).where(STATEMENT.c.statement_id == statement_id)
        ).scalar_one()
    ordered = (
        select(
            LINE.c.txn_ref.label("agency_txn_id"),
            LINE.c.account_id,
            LINE.c.kind.label("type"),
            LINE.c.currency,
            LINE.c.gross_minor,
            LINE.c.rate,
            LINE.c.due_commission_minor.label("commission_minor"),
            LINE.c.due_vat_minor.label("vat_minor"),
            LINE.c.value_date,
        )
        .where(LINE.c.statement_id == statement_id)
        .order_by(LINE.c.value_date, LINE.c.content_id, LINE.c.line_id)
    )
    for shard in read_chunks(connection, ordered, rows):
        shard.insert(0, "period", pd.Series(period, index=shard.index, dtype="str"))
        shard = shard.astype({"commission_minor": "int64", "vat_minor": "int64"})  # noqa: PLW2901 - the same lines, typed
        yield shard.assign(net_minor=shard["gross_minor"] - shard["commission_minor"] - shard["vat_minor"])


def listed(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """Every statement, the newest first."""
    statement = select(STATEMENT).order_by(STATEMENT.c.statement_id.desc())
    if lender is not None:
        statement = statement.where(STATEMENT.c.lender == lender)
    return pd.concat(list(read_chunks(connection, statement)), ignore_index=True)


def one(connection: Connection, statement_id: int) -> dict[str, Any]:
    """The statement's row. Raises UsageError."""
    row = connection.execute(select(STATEMENT).where(STATEMENT.c.statement_id == statement_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no statement {statement_id}", fix="`consign statement list` lists them")
    return dict(row)


def _unstated(lender: str, period: str) -> Any:
    return and_(
        LINE.c.lender == lender,
        LINE.c.posted_at.is_not(None),
        LINE.c.statement_id.is_(None),
        LINE.c.value_date <= last_day(period),
    )

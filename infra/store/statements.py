"""What is stated to an agency for a period: which lines, what they add up to, and the row that says so."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import BigInteger, Connection, Row, String, and_, cast, func, literal, or_, select, update

from infra.store import adjustments
from infra.store.bulk import read, read_chunks, reserve, table_of
from infra.store.contracts import contracts_of
from infra.store.ledger import post
from models import postings
from models.errors import UsageError
from models.tables import AgencyPayment, CommissionAdjustment, RemittanceLine, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement

ADJUSTMENT = table_of(CommissionAdjustment)
LINE = table_of(RemittanceLine)
PAYMENT = table_of(AgencyPayment)
STATEMENT = table_of(Statement)


@dataclass(frozen=True)
class Totals:
    """A statement's sums, in minor units of its currency; docs/reference/contracts.md#the-statement-to-the-agency."""

    lines: int
    late_lines: int
    gross_minor: int
    commission_minor: int
    vat_minor: int
    net_minor: int
    adjusted_commission_minor: int
    adjusted_vat_minor: int
    retained_minor: int
    paid_minor: int
    opening_minor: int
    closing_minor: int


@dataclass(frozen=True)
class Account:
    """What a statement is made of, in sums: each frame one row per thing that it names."""

    by_rate: pd.DataFrame
    """`type`, `rate`, `lines`, `gross_minor`, `commission_minor`, `vat_minor`"""
    adjustments: pd.DataFrame
    """`kind`, `adjustments`, `commission_minor`, `vat_minor`, `own_vat_minor`"""
    late: pd.DataFrame
    """`month`, `lines`, `gross_minor`, `commission_minor`, `vat_minor` of months before"""
    payments: pd.DataFrame
    """`day`, `reference`, `amount_minor` (what came back is below zero)"""


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
    paid = select(PAYMENT.c.agency, PAYMENT.c.currency).where(PAYMENT.c.lender == lender, _moved(last_day(period)))
    found = {(row.agency, row.currency) for row in connection.execute(fresh.union(made, paid))}
    return sorted(found.union(adjustments.agencies_with_case_fees(connection, lender, last_day(period))))


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


def gather(
    connection: Connection, lender: str, agency: str, period: str, currency: str, now: datetime
) -> tuple[int, Totals] | None:
    """A new statement's id and sums, its month settled and posted; None where there is nothing to state.

    Its lines are those that count, up to the period's end, on no statement yet. A line that comes after its month was
    stated stands on the next statement, with its own value date (R14); so do payments.
    """
    statement_id = reserve(connection, "statement", 1)
    which = and_(_unstated(lender, period), LINE.c.agency == agency, LINE.c.currency == currency)
    lines = connection.execute(update(LINE).where(which).values(statement_id=statement_id)).rowcount
    until = last_day(period)
    of = and_(PAYMENT.c.lender == lender, PAYMENT.c.agency == agency, PAYMENT.c.currency == currency)
    payments = _take_payments(connection, of, statement_id, until)
    stated = adjustments.Stated(statement_id, lender, agency, currency, until)
    settled = adjustments.settle(connection, stated, now)
    if not (lines or payments or settled):
        return None
    totals = _totals(connection, stated, period)
    _owed_back(connection, stated, totals, now)
    return statement_id, totals


def keep(connection: Connection, totals: Totals, **columns: Any) -> None:
    """The statement's row, files and hashes included."""
    connection.execute(STATEMENT.insert().values(**vars(totals), **columns))


def note_transmission(connection: Connection, statement_id: int, transmission_id: int) -> None:
    """Which transmission carries the statement."""
    which = STATEMENT.c.statement_id == statement_id
    connection.execute(update(STATEMENT).where(which).values(transmission_id=transmission_id))


def statement_lines(
    connection: Connection, statement_id: int, rows: int, period: str | None = None
) -> Iterator[pd.DataFrame]:
    """The statement's lines as the kind `statement` has them, `rows` at a time, with `account_id` for the account.

    After the lines what the month as a whole changed, as lines of the type `adjustment`. `period`: where the
    statement's own row is not kept yet.
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
    changed = (
        select(
            LINE.c.txn_ref.label("agency_txn_id"),
            ADJUSTMENT.c.account_id,
            literal("adjustment").label("type"),
            ADJUSTMENT.c.currency,
            ADJUSTMENT.c.commission_minor,
            ADJUSTMENT.c.vat_minor,
            ADJUSTMENT.c.value_date,
        )
        .outerjoin(LINE, LINE.c.line_id == ADJUSTMENT.c.line_id)
        .where(ADJUSTMENT.c.statement_id == statement_id, ADJUSTMENT.c.kind != "reverse_charge")
        .order_by(ADJUSTMENT.c.adjustment_id)
    )
    for shard in read_chunks(connection, ordered, rows):
        yield _as_stated(shard, period)
    for shard in read_chunks(connection, changed, rows):
        if len(shard):
            yield _as_stated(shard.assign(gross_minor=0, rate=None), period)


def account(connection: Connection, statement_id: int, period: str) -> Account:
    """What the statement is made of, in sums."""
    of = LINE.c.statement_id == statement_id
    sums = (
        func.count().label("lines"),
        _sum(LINE.c.gross_minor, "gross_minor"),
        _sum(LINE.c.due_commission_minor, "commission_minor"),
        _sum(LINE.c.due_vat_minor, "vat_minor"),
    )
    by_rate = select(LINE.c.kind.label("type"), LINE.c.rate, *sums).where(of).group_by(LINE.c.kind, LINE.c.rate)
    month = func.substr(cast(LINE.c.value_date, String), 1, len("2026-04")).label("month")
    late = select(month, *sums).where(of, LINE.c.value_date < date.fromisoformat(f"{period}-01")).group_by(month)
    changed = (
        select(
            ADJUSTMENT.c.kind,
            func.count().label("adjustments"),
            *(_sum(ADJUSTMENT.c[name], name) for name in ("commission_minor", "vat_minor", "own_vat_minor")),
        )
        .where(ADJUSTMENT.c.statement_id == statement_id)
        .group_by(ADJUSTMENT.c.kind)
    )
    came = select(PAYMENT.c.paid_on.label("day"), PAYMENT.c.end_to_end_id.label("reference"), PAYMENT.c.amount_minor)
    back = select(PAYMENT.c.returned_on, PAYMENT.c.end_to_end_id, (-PAYMENT.c.amount_minor).label("amount_minor"))
    payments = (
        came.where(PAYMENT.c.statement_id == statement_id)
        .union_all(back.where(PAYMENT.c.returned_statement_id == statement_id))
        .subquery()
    )
    return Account(
        by_rate=read(connection, by_rate.order_by(LINE.c.kind, LINE.c.rate)),
        adjustments=read(connection, changed.order_by(ADJUSTMENT.c.kind)),
        late=read(connection, late.order_by(month)),
        payments=read(connection, select(payments).order_by(payments.c.day, payments.c.reference)),
    )


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


def latest(connection: Connection, lender: str, agency: str, currency: str) -> Row[Any] | None:
    """The newest statement to the agency in the currency: what it says in the end is what is owed."""
    return connection.execute(
        select(STATEMENT)
        .where(STATEMENT.c.lender == lender, STATEMENT.c.agency == agency, STATEMENT.c.currency == currency)
        .order_by(STATEMENT.c.statement_id.desc())
        .limit(1)
    ).one_or_none()


def _as_stated(shard: pd.DataFrame, period: str) -> pd.DataFrame:
    shard.insert(0, "period", pd.Series(period, index=shard.index, dtype="str"))
    shard = shard.astype(dict.fromkeys(("gross_minor", "commission_minor", "vat_minor"), "int64"))
    return shard.assign(net_minor=shard["gross_minor"] - shard["commission_minor"] - shard["vat_minor"])


def _take_payments(connection: Connection, of: ColumnElement[bool], statement_id: int, until: date) -> int:
    """Payments that the bank has shown by then, and those that came back, stand on this statement; how many."""
    paid = update(PAYMENT).where(of, _paid(until)).values(statement_id=statement_id)
    back = update(PAYMENT).where(of, _returned(until)).values(returned_statement_id=statement_id)
    return connection.execute(paid).rowcount + connection.execute(back).rowcount


def _paid(until: date) -> ColumnElement[bool]:
    return and_(PAYMENT.c.paid_on <= until, PAYMENT.c.statement_id.is_(None))


def _returned(until: date) -> ColumnElement[bool]:
    return and_(PAYMENT.c.returned_on <= until, PAYMENT.c.returned_statement_id.is_(None))


def _moved(until: date) -> ColumnElement[bool]:
    return or_(_paid(until), _returned(until))


def _totals(connection: Connection, stated: adjustments.Stated, period: str) -> Totals:
    of = LINE.c.statement_id == stated.statement_id
    names = ("gross_minor", "due_commission_minor", "due_vat_minor")
    by_day = read(
        connection,
        select(
            LINE.c.value_date,
            func.count().label("lines"),
            *(_sum(LINE.c[name], name) for name in names),
            _sum(LINE.c.commission_minor + LINE.c.vat_minor, "kept_minor"),
        )
        .where(of)
        .group_by(LINE.c.value_date),
    )
    agreed = contracts_of(connection, stated.lender, stated.agency)
    net = agreed.term("remits", agreed.on(by_day["value_date"])) == "net"
    late = by_day["value_date"] < pd.Timestamp(f"{period}-01")
    gross, commission, vat = (int(by_day[name].sum()) for name in names)
    adjusted, adjusted_vat = _row(
        connection,
        select(_sum(ADJUSTMENT.c.commission_minor, "commission"), _sum(ADJUSTMENT.c.vat_minor, "vat")).where(
            ADJUSTMENT.c.statement_id == stated.statement_id
        ),
    )
    (paid,) = _row(
        connection, select(_sum(PAYMENT.c.amount_minor, "paid")).where(PAYMENT.c.statement_id == stated.statement_id)
    )
    (back,) = _row(
        connection,
        select(_sum(PAYMENT.c.amount_minor, "back")).where(PAYMENT.c.returned_statement_id == stated.statement_id),
    )
    before = latest(connection, stated.lender, stated.agency, stated.currency)
    opening = 0 if before is None else int(before.closing_minor)
    retained = int(by_day.loc[net, "kept_minor"].sum())
    owed = commission + vat + adjusted + adjusted_vat
    return Totals(
        lines=int(by_day["lines"].sum()),
        late_lines=int(by_day.loc[late, "lines"].sum()),
        gross_minor=gross,
        commission_minor=commission,
        vat_minor=vat,
        net_minor=gross - commission - vat,
        adjusted_commission_minor=adjusted,
        adjusted_vat_minor=adjusted_vat,
        retained_minor=retained,
        paid_minor=paid - back,
        opening_minor=opening,
        closing_minor=opening + owed - retained - (paid - back),
    )


def _owed_back(connection: Connection, stated: adjustments.Stated, totals: Totals, now: datetime) -> None:
    """What the agency owes in the end stands as a receivable (1350), and no more: the rest was offset after all."""
    (received,) = _row(
        connection,
        select(_sum(-PAYMENT.c.amount_minor, "received")).where(
            PAYMENT.c.statement_id == stated.statement_id, PAYMENT.c.amount_minor < 0
        ),
    )
    stood = max(0, -totals.opening_minor) - received
    change = max(0, -totals.closing_minor) - stood
    if change:
        event = postings.event(
            "clawback_receivable", f"clawback_receivable:statement:{stated.statement_id}", stated.lender,
            stated.agency, stated.until, stated.currency,
        )  # fmt: skip
        post(connection, postings.clawback(event, pd.Series([change])), now)


def _row(connection: Connection, statement: Any) -> tuple[int, ...]:
    return tuple(int(cell) for cell in connection.execute(statement).one())


def _sum(column: ColumnElement[Any], name: str) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), 0), BigInteger).label(name)


def _unstated(lender: str, period: str) -> Any:
    return and_(
        LINE.c.lender == lender,
        LINE.c.posted_at.is_not(None),
        LINE.c.statement_id.is_(None),
        LINE.c.value_date <= last_day(period),
    )

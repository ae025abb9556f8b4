"""A lender's months: which of them are closed, what each closing was, who accepted what, who opened one again.

Months are closed one after the other and opened again in the opposite order, so that everything up to one month is
closed and nothing after it. Triggers keep that too: no entry goes into a closed month, whoever writes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, func, insert, select, text, update

from infra.store.bulk import reserve, table_of
from models.errors import UsageError
from models.tables import AccountingPeriod, PeriodAcceptance, PeriodClosing, PeriodReopening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PERIOD: Final = table_of(AccountingPeriod)
CLOSING: Final = table_of(PeriodClosing)
ACCEPTANCE: Final = table_of(PeriodAcceptance)
REOPENING: Final = table_of(PeriodReopening)


def hold(connection: Connection, lender: str, *, alone: bool = False) -> None:
    """Until this transaction ends no month of the lender is closed; `alone`: and nothing is posted to its books.

    SQLite's writers are alone anyway. The triggers take the same lock.
    """
    if connection.dialect.name == "sqlite":
        return
    shared = "" if alone else "_shared"
    connection.execute(
        text(f"SELECT pg_advisory_xact_lock{shared}(hashtextextended('consign.books:' || :lender, 0))"),
        {"lender": lender},
    )


def closed_through(connection: Connection, lender: str) -> str | None:
    """The lender's last closed month, YYYY-MM; None where none is."""
    last: str | None = connection.execute(
        select(func.max(PERIOD.c.period)).where(PERIOD.c.lender == lender, PERIOD.c.state == "closed")
    ).scalar_one()
    return last


def is_closed(connection: Connection, lender: str, period: str) -> bool:
    """Whether nothing can be posted to the month any more."""
    last = closed_through(connection, lender)
    return last is not None and period <= last


def closing(connection: Connection, lender: str, period: str) -> Row[Any] | None:
    """The closing that holds for the month now; None where it is not closed, or was closed with a later one."""
    return connection.execute(
        select(CLOSING)
        .join(PERIOD, PERIOD.c.closing_id == CLOSING.c.closing_id)
        .where(PERIOD.c.lender == lender, PERIOD.c.period == period, PERIOD.c.state == "closed")
    ).one_or_none()


def closings(connection: Connection, lender: str | None = None) -> list[Row[Any]]:
    """Every closing there ever was, the newest first, with the `state` of its month and whether it is the `last`."""
    statement = (
        select(CLOSING, PERIOD.c.state, (PERIOD.c.closing_id == CLOSING.c.closing_id).label("last"))
        .join(PERIOD, (PERIOD.c.lender == CLOSING.c.lender) & (PERIOD.c.period == CLOSING.c.period))
        .order_by(CLOSING.c.closing_id.desc())
    )
    if lender is not None:
        statement = statement.where(CLOSING.c.lender == lender)
    return list(connection.execute(statement).all())


def close(connection: Connection, lender: str, period: str, **columns: Any) -> int:
    """The month is closed; the number of its closing. The caller holds the lender's books alone."""
    closing_id = reserve(connection, "period_closing", 1)
    of = (PERIOD.c.lender == lender, PERIOD.c.period == period)
    revision = connection.execute(
        select(func.count()).select_from(CLOSING).where(CLOSING.c.lender == lender, CLOSING.c.period == period)
    ).scalar_one()
    connection.execute(
        insert(CLOSING).values(
            closing_id=closing_id,
            lender=lender,
            period=period,
            revision=revision + 1,
            since=closed_through(connection, lender),
            **columns,
        )
    )
    if connection.execute(select(PERIOD.c.state).where(*of)).first() is None:
        connection.execute(insert(PERIOD).values(lender=lender, period=period, state="closed", closing_id=closing_id))
    else:
        connection.execute(update(PERIOD).where(*of).values(state="closed", closing_id=closing_id))
    return closing_id


def accept(connection: Connection, lender: str, period: str, finding: str, **columns: Any) -> None:
    """The finding is accepted as it stands now."""
    connection.execute(insert(ACCEPTANCE).values(lender=lender, period=period, finding=finding, **columns))


def accepted(connection: Connection, lender: str, period: str) -> dict[str, dict[str, Any]]:
    """By finding the newest acceptance: `found`, `why`, `accepted_by`, `accepted_at`."""
    rows = connection.execute(
        select(ACCEPTANCE)
        .where(ACCEPTANCE.c.lender == lender, ACCEPTANCE.c.period == period)
        .order_by(ACCEPTANCE.c.acceptance_id)
    ).mappings()
    return {row["finding"]: dict(row) for row in rows}


def ask_reopening(connection: Connection, closing_row: Row[Any], why: str, by: str, now: datetime) -> int:
    """The number of the request to open the month of this closing again."""
    return int(
        connection.execute(
            insert(REOPENING)
            .values(
                lender=closing_row.lender, period=closing_row.period, closing_id=closing_row.closing_id, why=why,
                state="waiting", asked_by=by, asked_at=now,
            )
            .returning(REOPENING.c.reopening_id)
        ).scalar_one()
    )  # fmt: skip


def reopening(connection: Connection, reopening_id: int) -> Row[Any]:
    """The request. Raises UsageError."""
    row = connection.execute(select(REOPENING).where(REOPENING.c.reopening_id == reopening_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no request {reopening_id}", fix="`consign close show` lists them")
    return row


def reopenings(connection: Connection, lender: str | None = None) -> list[Row[Any]]:
    """Every request to open a month again, the newest first."""
    statement = select(REOPENING).order_by(REOPENING.c.reopening_id.desc())
    if lender is not None:
        statement = statement.where(REOPENING.c.lender == lender)
    return list(connection.execute(statement).all())


def settle_reopening(connection: Connection, reopening_id: int, state: str, by: str, now: datetime) -> None:
    """The request has ended: done, by a second person, or withdrawn."""
    columns: dict[str, Any] = {"state": state}
    if state == "done":
        columns |= {"approved_by": by, "approved_at": now}
    connection.execute(update(REOPENING).where(REOPENING.c.reopening_id == reopening_id).values(**columns))


def reopen(connection: Connection, lender: str, period: str) -> None:
    """The month is open; the database refuses where no request of two people says so."""
    connection.execute(update(PERIOD).where(PERIOD.c.lender == lender, PERIOD.c.period == period).values(state="open"))


def as_json(rows: Sequence[Any]) -> str:
    """The rows as a closing keeps them."""
    return json.dumps(list(rows), ensure_ascii=False, sort_keys=True, default=str)

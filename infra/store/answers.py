"""Answers to invoices in the store: which claims are agreed or disputed and not answered yet, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Connection, and_, case, cast, exists, func, or_, select, update

from infra.store.bulk import read_chunks, table_of
from models.contract import settling
from models.reconcile.invoices import reasons
from models.tables import Break, CommissionAdjustment, InvoiceLine, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from sqlalchemy import ColumnElement

ADDED = table_of(CommissionAdjustment)
BREAK = table_of(Break)
CLAIM = table_of(InvoiceLine)
LINE = table_of(RemittanceLine)


def waiting(connection: Connection, lender: str, agency: str) -> int:
    """How many claims have an outcome that the agency has not been told."""
    return int(connection.execute(select(func.count()).where(_unanswered(lender, agency))).scalar_one())


def put_in(connection: Connection, lender: str, agency: str, transmission_id: int) -> int:
    """Those claims are answered by this transmission; how many."""
    told = update(CLAIM).where(_unanswered(lender, agency)).values(answered_as=_outcome(), answered_id=transmission_id)
    return connection.execute(told).rowcount


def lines(connection: Connection, transmission_id: int, rows: int) -> Iterator[pd.DataFrame]:
    """The answer's lines as the kind `invoice_answer` has them, with `account_id` for the account."""
    names = ("invoice_no", "line", "account_id", "currency", "base_minor", "commission_minor", "vat_minor", "line_id")
    added = (
        select(ADDED.c.line_id, *(_whole(func.sum(ADDED.c[name])).label(name) for name in settling.DUE))
        .where(ADDED.c.line_id.in_(select(CLAIM.c.line_id).where(CLAIM.c.answered_id == transmission_id)))
        .group_by(ADDED.c.line_id)
        .subquery()
    )
    told = (
        select(
            *(CLAIM.c[name] for name in names),
            CLAIM.c.txn_ref.label("agency_txn_id"),
            CLAIM.c.answered_as.label("outcome"),
            *(
                _whole(func.coalesce(LINE.c[f"due_{name}"], 0) + func.coalesce(added.c[name], 0)).label(f"due_{name}")
                for name in settling.DUE
            ),
        )
        .outerjoin(LINE, LINE.c.line_id == CLAIM.c.line_id)
        .outerjoin(added, added.c.line_id == CLAIM.c.line_id)
        .where(CLAIM.c.answered_id == transmission_id)
        .order_by(CLAIM.c.invoice_line_id)
    )
    for shard in read_chunks(connection, told, rows):
        yield shard.assign(reason=reasons(shard)).drop(columns="line_id")


def _whole(sum_: ColumnElement[int]) -> ColumnElement[int]:
    """A sum as a whole number on every store."""
    return cast(sum_, BigInteger)


def _outcome() -> ColumnElement[str]:
    """What a claim is by now: one that waits although the month is over was claimed on nothing."""
    on_nothing = exists().where(BREAK.c.invoice_line_id == CLAIM.c.invoice_line_id, BREAK.c.state == "open")
    return case((CLAIM.c.state != "received", CLAIM.c.state), (on_nothing, "disputed"), else_="waiting")


def _unanswered(lender: str, agency: str) -> ColumnElement[bool]:
    return and_(
        CLAIM.c.lender == lender,
        CLAIM.c.agency == agency,
        _outcome() != "waiting",
        or_(CLAIM.c.answered_as.is_(None), CLAIM.c.answered_as != _outcome()),
    )

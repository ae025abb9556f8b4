"""Payments to agencies in the store: runs, their payments, and the entries of bank statements that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import BigInteger, Connection, Row, and_, case, cast, func, or_, select, update

from infra.store.bulk import append, read, reserve, table_of
from infra.store.ledger import post
from models import postings
from models.errors import UsageError
from models.payments import DEMAND, PAYMENT, demand_reference
from models.tables import AgencyPayment, BankReceipt, PaymentRun, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PAY = table_of(AgencyPayment)
RECEIPT = table_of(BankReceipt)
RUN = table_of(PaymentRun)
STATEMENT = table_of(Statement)


def standing(connection: Connection, lender: str) -> pd.DataFrame:
    """What the newest statements say is owed, less what is under way: one row per agency and currency.

    Columns: `agency`, `currency`, `statement_id`, `period`, `closing_minor`, `under_way_minor` (proposed or sent, or
    paid since), `to_pay_minor` (below zero: the agency owes it).
    """
    newest = (
        select(func.max(STATEMENT.c.statement_id).label("statement_id"))
        .where(STATEMENT.c.lender == lender)
        .group_by(STATEMENT.c.agency, STATEMENT.c.currency)
        .subquery()
    )
    owed = read(
        connection,
        select(*(STATEMENT.c[name] for name in ("agency", "currency", "statement_id", "period", "closing_minor")))
        .join(newest, newest.c.statement_id == STATEMENT.c.statement_id)
        .order_by(STATEMENT.c.agency, STATEMENT.c.currency),
    )
    going = or_(PAY.c.state.in_(("proposed", "sent")), and_(PAY.c.paid_on.is_not(None), PAY.c.statement_id.is_(None)))
    back = and_(PAY.c.returned_on.is_not(None), PAY.c.returned_statement_id.is_(None))
    amount = case((going, PAY.c.amount_minor), else_=0) - case((back, PAY.c.amount_minor), else_=0)
    under_way = read(
        connection,
        select(PAY.c.agency, PAY.c.currency, cast(func.sum(amount), BigInteger).label("under_way_minor"))
        .where(PAY.c.lender == lender)
        .group_by(PAY.c.agency, PAY.c.currency),
    )
    told = owed.merge(under_way, on=["agency", "currency"], how="left")
    told["under_way_minor"] = told["under_way_minor"].fillna(0).astype("int64")
    return told.assign(to_pay_minor=told["closing_minor"] - told["under_way_minor"])


def keep_run(connection: Connection, rows: pd.DataFrame, **columns: Any) -> None:
    """The run and its payments."""
    connection.execute(RUN.insert().values(**columns))
    append(connection, PAY, rows)


def run(connection: Connection, run_id: int) -> Row[Any]:
    """The run. Raises UsageError."""
    found = connection.execute(select(RUN).where(RUN.c.run_id == run_id)).one_or_none()
    if found is None:
        raise UsageError(f"there is no payment run {run_id}", fix="`consign payment list` lists them")
    return found


def move_run(connection: Connection, run_id: int, **columns: Any) -> None:
    """What became of the run."""
    connection.execute(update(RUN).where(RUN.c.run_id == run_id).values(**columns))


def move_payments(connection: Connection, run_id: int, state: str) -> None:
    """All of the run's payments are in the state now."""
    connection.execute(update(PAY).where(PAY.c.run_id == run_id).values(state=state))


def payments_of(connection: Connection, run_id: int) -> Sequence[Row[Any]]:
    """The run's payments, by their ids."""
    return connection.execute(select(PAY).where(PAY.c.run_id == run_id).order_by(PAY.c.payment_id)).all()


def runs(connection: Connection, lender: str | None) -> pd.DataFrame:
    """Every run, the newest first."""
    statement = select(RUN).order_by(RUN.c.run_id.desc())
    if lender is not None:
        statement = statement.where(RUN.c.lender == lender)
    return read(connection, statement)


def recognise(connection: Connection, lender: str, now: datetime) -> int:
    """Payments that bank statements show are paid, returned or received, and posted; how many moved.

    A debit with a payment's end-to-end id and amount shows it paid, a credit with it that it came back; a credit with
    the reference of a demand, up to what is owed, is the agency's payment. Whatever differs in amount or currency is
    left for a person.
    """
    entries = read(
        connection,
        select(*(RECEIPT.c[name] for name in ("receipt_id", "reference", "amount_minor", "currency", "booked_on")))
        .where(
            RECEIPT.c.lender == lender,
            RECEIPT.c.state.in_(("unapplied", "not_ours")),
            RECEIPT.c.reference.like("%CSG-%"),
        )
        .order_by(RECEIPT.c.booked_on, RECEIPT.c.receipt_id),
    )
    if entries.empty:
        return 0
    upper = entries["reference"].str.upper()
    entries = entries.assign(
        payment=upper.str.extract(f"({PAYMENT.pattern})", expand=False),
        demand=upper.str.extract(f"({DEMAND.pattern})", expand=False),
    )
    paid = _shown(connection, entries[entries["amount_minor"] < 0], "sent", now)
    back = _shown(connection, entries[entries["amount_minor"] > 0], "paid", now)
    return paid + back + _received(connection, lender, entries[entries["demand"].notna()], now)


def _shown(connection: Connection, entries: pd.DataFrame, state: str, now: datetime) -> int:
    """Payments in the state that the entries show to have moved on have; each by the first entry that is exactly it."""
    named = entries.dropna(subset="payment").drop_duplicates("payment")
    if named.empty:
        return 0
    held = read(
        connection,
        select(PAY.c.payment_id, PAY.c.end_to_end_id.label("payment"), PAY.c.lender, PAY.c.agency, PAY.c.currency,
               PAY.c.amount_minor.label("owed_minor"))
        .where(PAY.c.end_to_end_id.in_(named["payment"].tolist()), PAY.c.state == state),
    )  # fmt: skip
    found = named.merge(held, on=["payment", "currency"])
    sign = 1 if state == "sent" else -1
    found = found[found["amount_minor"] == -sign * found["owed_minor"]]
    to = "paid" if sign > 0 else "returned"
    day, receipt = ("paid_on", "receipt_id") if sign > 0 else ("returned_on", "returned_receipt_id")
    for row in found.to_dict("records"):
        columns = {"state": to, day: row["booked_on"].date(), receipt: row["receipt_id"]}
        connection.execute(update(PAY).where(PAY.c.payment_id == row["payment_id"]).values(**columns))
        event = postings.event(
            f"agency_{to}", f"agency_{to}:payment:{row['payment_id']}", row["lender"], row["agency"],
            row["booked_on"], row["currency"],
        )  # fmt: skip
        post(connection, postings.agency_paid(event, pd.Series([sign * row["owed_minor"]])), now)
        _applied(connection, row["receipt_id"], row["amount_minor"])
    return len(found)


def _received(connection: Connection, lender: str, entries: pd.DataFrame, now: datetime) -> int:
    """What agencies paid of what they owe, by the reference that the statement gave them."""
    came = 0
    for row in entries[entries["amount_minor"] > 0].to_dict("records"):
        told = connection.execute(
            select(STATEMENT.c.agency, STATEMENT.c.currency).where(
                STATEMENT.c.lender == lender, STATEMENT.c.statement_id == int(row["demand"].removeprefix("CSG-D-"))
            )
        ).one_or_none()
        if told is None or told.currency != row["currency"]:
            continue
        owed = standing(connection, lender)
        mine = (owed["agency"] == told.agency) & (owed["currency"] == told.currency)
        if row["amount_minor"] > -int(owed.loc[mine, "to_pay_minor"].sum()):
            continue  # more than is owed: a person looks what it is for
        reference = f"{row['demand']}/{row['receipt_id']}"
        (payment_id,) = new_ids(connection, "agency_payment", 1)
        connection.execute(
            PAY.insert().values(
                payment_id=payment_id, lender=lender, agency=told.agency, currency=told.currency, state="paid",
                amount_minor=-row["amount_minor"], end_to_end_id=reference, receipt_id=row["receipt_id"],
                paid_on=row["booked_on"].date(), payee_name="", payee_account="",
            )
        )  # fmt: skip
        event = postings.event(
            "clawback_paid", f"clawback_paid:receipt:{row['receipt_id']}", lender, told.agency, row["booked_on"],
            told.currency,
        )  # fmt: skip
        post(connection, postings.clawback_paid(event, pd.Series([row["amount_minor"]])), now)
        _applied(connection, row["receipt_id"], row["amount_minor"])
        came += 1
    return came


def demands(connection: Connection, lender: str) -> pd.DataFrame:
    """What agencies are to pay: those whose newest statement ends below zero, with the reference to pay under."""
    owed = standing(connection, lender)
    owed = owed[owed["to_pay_minor"] < 0]
    references = [demand_reference(int(number)) for number in owed["statement_id"]]
    told = owed[["agency", "currency", "period", "statement_id"]].assign(
        amount_minor=-owed["to_pay_minor"], reference=pd.Series(references, index=owed.index, dtype="str")
    )
    return told.reset_index(drop=True)


def new_ids(connection: Connection, table: str, count: int) -> list[int]:
    """So many ids that nobody has."""
    first = reserve(connection, table, count)
    return list(range(first, first + count))


def _applied(connection: Connection, receipt_id: int, amount_minor: int) -> None:
    """The entry of the bank's statement is explained."""
    which = RECEIPT.c.receipt_id == receipt_id
    connection.execute(update(RECEIPT).where(which).values(state="matched", applied_minor=amount_minor))

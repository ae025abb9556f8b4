"""A payment run from proposal to bank: who proposes does not approve, and above a limit two others do.

What is paid is what the newest statements say in the end, less what is under way already: commission and VAT, net of
clawbacks and of what a net remitter kept. Nothing is paid that was not stated.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pandas as pd

from infra import audit, roles
from infra.payments.messages import Run, listing, pain001
from infra.store import exchange
from infra.store import payments as store
from infra.store.contracts import contracts_of
from keys.files import write_private
from models.errors import RefusedByPolicy, UsageError
from models.lives import PAYMENT_RUN, moved
from models.payments import BankAccount, Transfer, end_to_end_id, message_id, own_account, payee_of

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

FORMATS = ("pain001", "csv")


def proposed(desk: Desk, lender: str, pay_on: date) -> pd.DataFrame:
    """What a run would pay: columns of infra.store.payments.standing and the payee, `why_not` where it cannot be paid.

    Agencies that are owed nothing are left out.
    """
    with desk.database.read() as connection:
        exchange.lender_timezone(connection, lender)
        return _due(connection, lender, pay_on)


def propose(
    desk: Desk,
    lender: str,
    currency: str,
    account: str,
    bank: str | None,
    pay_on: date,
    agencies: list[str] | None = None,
) -> int:
    """The number of a run that waits for approval: everything that is due to agencies in the currency.

    account, bank: the lender's own account that is paid from. agencies: only these. Raises UsageError where nothing is
    due to anybody who can be paid.
    """
    with desk.database.write() as connection:
        exchange.lender_timezone(connection, lender)
        payer = own_account(exchange.lender_name(connection, lender), account, bank)
        (run_id,) = store.new_ids(connection, "payment_run", 1)  # holds the counter: two runs never pay the same
        due = _due(connection, lender, pay_on)
        due = due[(due["currency"] == currency) & due["why_not"].isna()]
        if agencies is not None:
            due = due[due["agency"].isin(agencies)]
        if due.empty:
            raise UsageError(
                f"nothing is due in {currency} to an agency that can be paid",
                fix="`consign payment due` says what is, and what is missing; statements come first",
            )
        ids = store.new_ids(connection, "agency_payment", len(due))
        payments = pd.DataFrame(
            {
                "payment_id": ids, "run_id": run_id, "lender": lender, "agency": due["agency"].to_numpy(),
                "currency": currency, "amount_minor": due["to_pay_minor"].to_numpy(),
                "end_to_end_id": [end_to_end_id(run_id, number) for number in ids],
                "payee_name": due["payee_name"].to_numpy(), "payee_account": due["payee_account"].to_numpy(),
                "payee_bank": due["payee_bank"].to_numpy(), "state": "proposed",
                "up_to_statement_id": due["statement_id"].to_numpy(),
            }
        ).astype({"payee_bank": "str"})  # fmt: skip
        total, now = int(payments["amount_minor"].sum()), desk.now()
        told = f"{now.isoformat()} {payments[['end_to_end_id', 'payee_account', 'amount_minor']].to_json()}"
        store.keep_run(
            connection, payments, run_id=run_id, lender=lender, currency=currency, payer_name=payer.name,
            payer_account=payer.account, payer_bank=payer.bank, pay_on=pay_on, payments=len(payments),
            amount_minor=total, state="proposed", message_id=message_id(run_id, told), proposed_by=desk.actor,
            proposed_at=now,
        )  # fmt: skip
        _record(connection, desk, "payment.proposed", store.run(connection, run_id))
    return int(run_id)


def approve(desk: Desk, run_id: int) -> str:
    """Whoever sits at the desk approves the run; its state then: `approved`, or `proposed` while another one must too.

    Above `payment_two_approvers` two persons approve. Raises RefusedByPolicy for who proposed it or approved it
    already, RoleMissing without the role finance.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = store.run(connection, run_id)
        state = moved(f"payment run {run_id}", row.state, "approved", PAYMENT_RUN)
        if desk.actor in {row.proposed_by, row.approved_by}:
            done = "proposed" if desk.actor == row.proposed_by else "approved"
            raise RefusedByPolicy(
                f"{desk.actor} {done} payment run {run_id}, and cannot approve it", fix="let another person approve it"
            )
        first = row.approved_by is None
        if first and row.amount_minor > desk.settings.payment_two_approvers:
            state = row.state
        columns: dict[str, Any] = {"approved_by" if first else "second_approved_by": desk.actor}
        store.move_run(connection, run_id, state=state, approved_at=desk.now(), **columns)
        _record(connection, desk, "payment.approved", store.run(connection, run_id))
    return str(state)


def withdraw(desk: Desk, run_id: int) -> None:
    """Nothing of the run is paid; anybody may say so, until it was given to the bank."""
    with desk.database.write() as connection:
        row = store.run(connection, run_id)
        state = moved(f"payment run {run_id}", row.state, "withdrawn", PAYMENT_RUN)
        store.move_run(connection, run_id, state=state, withdrawn_by=desk.actor)
        store.move_payments(connection, run_id, "withdrawn")
        _record(connection, desk, "payment.withdrawn", store.run(connection, run_id))


def export(desk: Desk, run_id: int, form: str, out: Path) -> str:
    """The SHA-256 of the file for the bank, now at `out`, of an approved run; its payments count as sent.

    Again it writes the same bytes: the bank knows the message by its id. Raises RefusedByPolicy where the run is not
    approved, MessageInvalid, RoleMissing without the role finance.
    """
    if form not in FORMATS:
        raise UsageError(f"no format {form!r}", fix=f"there are {', '.join(FORMATS)}")
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = store.run(connection, run_id)
        again = row.state == "exported"
        state = row.state if again else moved(f"payment run {run_id}", row.state, "exported", PAYMENT_RUN)
        content = (pain001 if form == "pain001" else listing)(_told(connection, row))
        write_private(out, content)
        sha256 = hashlib.sha256(content).hexdigest()
        if not again:
            store.move_run(
                connection, run_id, state=state, exported_by=desk.actor, exported_at=desk.now(), sha256=sha256
            )
            store.move_payments(connection, run_id, "sent")
        _record(connection, desk, "payment.exported", store.run(connection, run_id), file_sha256=sha256)
    return sha256


def _due(connection: Connection, lender: str, day: date) -> pd.DataFrame:
    """What is owed to agencies, with the account that their contract of the day names."""
    owed = store.standing(connection, lender)
    owed = owed[owed["to_pay_minor"] > 0].reset_index(drop=True)
    payees: list[BankAccount | None] = []
    for agency in owed["agency"]:
        payee = contracts_of(connection, lender, str(agency)).at(day).payee
        payees.append(None if payee is None else payee_of(payee))
    why = ["its contract names no payee" if payee is None else None for payee in payees]
    return owed.assign(
        payee_name=pd.Series([payee.name if payee else None for payee in payees], dtype="str"),
        payee_account=pd.Series([payee.account if payee else None for payee in payees], dtype="str"),
        payee_bank=pd.Series([payee.bank if payee else None for payee in payees], dtype="str"),
        why_not=pd.Series(why, dtype="str"),
    )


def _told(connection: Connection, row: Row[Any]) -> Run:
    lender = exchange.lender_name(connection, row.lender)
    transfers = [
        Transfer(
            one.end_to_end_id, one.amount_minor, BankAccount(one.payee_name, one.payee_account, one.payee_bank),
            f"{one.end_to_end_id} {lender}: statement {one.up_to_statement_id}",
        )
        for one in store.payments_of(connection, row.run_id)
    ]  # fmt: skip
    payer = BankAccount(row.payer_name, row.payer_account, row.payer_bank)
    return Run(row.message_id, row.approved_at, row.pay_on, row.currency, payer, transfers)


def _record(connection: Connection, desk: Desk, action: str, row: Row[Any], **more: str) -> None:
    details: dict[str, str | int] = {
        "lender": row.lender,
        "currency": row.currency,
        "total_minor": row.amount_minor,
        **more,
    }
    audit.record(connection, desk.actor, action, f"payment_run:{row.run_id}", details, desk.now())

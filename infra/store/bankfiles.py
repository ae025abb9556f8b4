"""Bank statements in the store: what is in already, what follows what, whose each receipt is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import Connection, exists, select

from infra.store.bulk import append, reserve, table_of
from infra.store.cash import agencies_of
from infra.store.ledger import post
from infra.store.recon import contracts_of
from models import postings
from models.tables import BankReceipt, BankStatement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from connectors.bank.statement import BankStatementFile

RECEIPT = table_of(BankReceipt)
STATEMENT = table_of(BankStatement)


@dataclass(frozen=True)
class Imported:
    """One statement, now in the store."""

    statement_id: int
    receipts: int
    of_agencies: int
    """how many of them are known to be an agency's"""
    gap: str
    """what is missing between this statement and the one before it; empty where nothing is"""


def known_statement(connection: Connection, sha256: str) -> bool:
    """Whether these very bytes are in already."""
    return connection.execute(select(exists().where(STATEMENT.c.sha256 == sha256))).scalar_one()


def store_statement(
    connection: Connection, statement: BankStatementFile, *, lender: str, source: str, sha256: str, now: datetime
) -> Imported:
    """The statement and its receipts are in the store and in the books, each receipt with its agency where that shows.

    A receipt is an agency's if it comes from an account that a contract names (`payer_accounts`), or if its reference
    begins as a contract says (`bank_references`). Other payers' accounts are not kept: they may be debtors.
    """
    gap = _gap(connection, statement, lender)
    statement_id = reserve(connection, "bank_statement", 1)
    head = {
        "statement_id": statement_id, "sha256": sha256, "lender": lender, "source": source,
        "bank_account": statement.account, "number": statement.number, "currency": statement.currency,
        "opening_minor": statement.opening_minor, "closing_minor": statement.closing_minor,
        "from_on": statement.from_on, "to_on": statement.to_on, "entries": len(statement.entries), "imported_at": now,
    }  # fmt: skip
    connection.execute(STATEMENT.insert().values(head))
    entries = statement.entries
    first = reserve(connection, "bank_receipt", len(entries))
    payers = _named(connection, lender, "payer_accounts")
    by_account = entries["payer_account"].isin(payers)
    owner = _by_reference(entries["reference"], _named(connection, lender, "bank_references"))
    owner = entries["payer_account"].map(payers).astype("str").where(by_account, owner)
    receipts = entries[
        ["entry", "amount_minor", "currency", "booked_on", "value_date", "reference", "is_reversal"]
    ].assign(
        receipt_id=np.arange(first, first + len(entries)),
        statement_id=statement_id,
        lender=pd.Series(lender, index=entries.index, dtype="str"),
        agency=owner,
        counterparty=entries["payer_account"].where(by_account),
    )
    # what is taken from the account and is no agency's is not ours to explain
    receipts["state"] = np.where(owner.isna() & (receipts["amount_minor"] < 0), "not_ours", "unapplied")
    append(connection, RECEIPT, receipts)
    key = f"receipt:statement:{statement_id}:" + receipts["booked_on"].dt.strftime("%Y-%m-%d")
    events = receipts.assign(
        entry_key=key.astype("str"),
        event=pd.Series("receipt", index=receipts.index, dtype="str"),
        account_id=pd.array([pd.NA] * len(receipts), dtype="Int64"),
        value_date=receipts["booked_on"],
        agency=pd.Series(None, index=receipts.index, dtype="str"),
    )
    post(connection, postings.receipt(events, receipts["amount_minor"]), now)
    return Imported(statement_id, len(receipts), int(owner.notna().sum()), gap)


def _gap(connection: Connection, statement: BankStatementFile, lender: str) -> str:
    """What is missing between this statement and the last one of the account."""
    last = connection.execute(
        select(STATEMENT.c.number, STATEMENT.c.closing_minor, STATEMENT.c.to_on)
        .where(STATEMENT.c.lender == lender, STATEMENT.c.bank_account == statement.account)
        .order_by(STATEMENT.c.statement_id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.closing_minor is None or statement.opening_minor is None:
        return ""
    if last.closing_minor == statement.opening_minor:
        return ""
    return (
        f"statement {statement.number} opens at {statement.opening_minor} and {last.number} closed at"
        f" {last.closing_minor}: one between them is missing, or this one is out of order"
    )


def _named(connection: Connection, lender: str, term: str) -> dict[str, str]:
    """Every text that the lender's contracts give under `term`, and whose it is."""
    named: dict[str, str] = {}
    for agency in agencies_of(connection, lender):
        for contract in contracts_of(connection, lender, agency).contracts:
            named.update(dict.fromkeys(getattr(contract, term), agency))
    return named


def _by_reference(reference: pd.Series, starts: Mapping[str, str]) -> pd.Series:
    """Whose reference each is, by how it begins; of two beginnings the longer."""
    owner = pd.Series(None, index=reference.index, dtype="str")
    upper = reference.str.upper()
    for start, agency in sorted(starts.items(), key=lambda item: len(item[0])):
        owner = owner.mask(upper.str.startswith(start.upper(), na=False), agency)
    return owner

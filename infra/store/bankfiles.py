"""Bank statements in the store: what is in already, what follows what, whose each receipt is.

An entry is posted once, by the first file that has it booked. Reports within the day (camt.052, MT942) and
notifications (camt.054) come before the statement that says the same again: an entry of theirs is known by the bank's
own reference and its amount, and the statement that repeats it confirms it and posts it no second time. An entry of a
report without such a reference could not be known again, and waits for the statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, exists, select

from connectors.bank.statement import StatementRefused
from infra.store.bulk import append, read, reserve, set_columns, table_of
from infra.store.cash import agencies_of
from infra.store.ledger import post
from infra.store.recon import contracts_of
from models import postings
from models.tables import BankReceipt, BankStatement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Row

    from connectors.bank.statement import BankStatementFile

RECEIPT = table_of(BankReceipt)
STATEMENT = table_of(BankStatement)
NEAR_DAYS: Final = 10
"""Days between a report's booking day and another file's within which one entry may be meant."""
KEPT: Final = (
    "entry", "amount_minor", "currency", "booked_on", "value_date", "reference", "is_reversal", "of_entry", "bank_ref",
    "return_reason", "charges_minor", "instructed_minor", "instructed_currency",
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """One statement, now in the store."""

    statement_id: int
    receipts: int
    of_agencies: int
    """how many of them are known to be an agency's"""
    confirmed: int = 0
    """entries that a report had brought before"""
    waiting: int = 0
    """entries of a report that wait for the statement: the bank gave them no reference, or they are in already"""


@dataclass(frozen=True)
class Gap:
    """Something between two statements of an account that was not taken in."""

    before_id: int
    statement_id: int
    """of the later one"""
    lender: str
    why: str


def known_statement(connection: Connection, sha256: str) -> bool:
    """Whether these very bytes are in already."""
    return connection.execute(select(exists().where(STATEMENT.c.sha256 == sha256))).scalar_one()


def refuse_repeated(connection: Connection, statement: BankStatementFile) -> None:
    """Raises StatementRefused where another file brought this statement, or one of the same days.

    Days that two statements share are fine where the one closes at what the other opens with.
    """
    for other in _statements_of(connection, statement.account, statement.currency, is_advance=statement.is_advance):
        if _is_same(statement, other):
            same = (other.opening_minor, other.closing_minor, other.entries) == (
                statement.opening_minor, statement.closing_minor, len(statement.entries),
            )  # fmt: skip
            says = "it says the same" if same else "it says otherwise"
            raise StatementRefused(
                f"{statement.shown} is in already, from {other.source}: {says}",
                fix="nothing to do" if same else "ask the bank which of the two holds",
            )
        if not statement.is_advance and _overlaps(statement, other):
            raise StatementRefused(
                f"{statement.shown} covers days that {_called(other)} from {other.source} covers already: its entries"
                " would be counted twice",
                fix="ask the bank for the days between alone",
            )


def _statements_of(connection: Connection, account: str, currency: str, *, is_advance: bool) -> Sequence[Row[Any]]:
    return connection.execute(
        select(STATEMENT)
        .where(STATEMENT.c.bank_account == account, STATEMENT.c.currency == currency)
        .where(STATEMENT.c.is_advance.is_(is_advance))
        .order_by(STATEMENT.c.statement_id)
    ).all()


def _is_same(statement: BankStatementFile, other: Row[Any]) -> bool:
    """Whether it is the same statement of the bank's; numbers begin anew each year, so the days count too."""
    return (
        statement.number is not None
        and (statement.number, statement.to_on) == (other.number, other.to_on)
        and (statement.form.partition("@")[0] == other.form.partition("@")[0])
    )


def _overlaps(statement: BankStatementFile, other: Row[Any]) -> bool:
    begin, end = _days(statement.from_on, statement.to_on)
    first, last = _days(other.from_on, other.to_on)
    if begin is None or end is None or first is None or last is None or end < first or last < begin:
        return False
    follows = other.closing_minor is not None and other.closing_minor == statement.opening_minor
    leads = statement.closing_minor is not None and statement.closing_minor == other.opening_minor
    is_next = statement.sequence is not None and statement.sequence - 1 == other.sequence
    return not (follows or leads or is_next)


def _days(begin: date | None, end: date | None) -> tuple[date | None, date | None]:
    return (begin, end) if begin is None or end is None or begin <= end else (end, begin)


def _called(row: Row[Any]) -> str:
    return f"statement {row.number}" if row.number else f"the statement to {row.to_on}"


def gaps(connection: Connection) -> list[Gap]:
    """What is missing between the statements of each account: a balance does not go on, or numbers are left out."""
    columns = [STATEMENT.c[name] for name in (
        "statement_id", "lender", "bank_account", "currency", "number", "sequence", "opening_minor", "closing_minor",
        "from_on", "to_on",
    )]  # fmt: skip
    rows = connection.execute(
        select(*columns)
        .where(STATEMENT.c.is_advance.is_(False))
        .order_by(STATEMENT.c.bank_account, STATEMENT.c.currency, STATEMENT.c.to_on, STATEMENT.c.sequence,
                  STATEMENT.c.statement_id)
    ).all()  # fmt: skip
    found = []
    for before, row in pairwise(rows):
        if (before.bank_account, before.currency) != (row.bank_account, row.currency):
            continue
        why = _missing(before, row)
        if why:
            found.append(Gap(before.statement_id, row.statement_id, row.lender, why))
    return found


def _missing(before: Row[Any], row: Row[Any]) -> str:
    """What lies between two statements that follow each other; empty where nothing does."""
    if before.closing_minor is not None and row.opening_minor is not None:
        if before.closing_minor == row.opening_minor:
            return ""
        return (
            f"{_called(row)} opens at {row.opening_minor} and {_called(before)} closed at {before.closing_minor}: one"
            " between them is missing, or this one is out of order"
        )
    if before.sequence is not None and row.sequence is not None and row.sequence > before.sequence + 1:
        return f"between the statements number {before.sequence} and {row.sequence} some are missing"
    return ""


def unconfirmed(connection: Connection, statement_id: int) -> int:
    """Entries of reports, booked in this statement's days, that it does not have; 0 where it does not say its days."""
    row = connection.execute(select(STATEMENT).where(STATEMENT.c.statement_id == statement_id)).one()
    begin, end = _days(row.from_on, row.to_on)
    if row.is_advance or begin is None or end is None:
        return 0
    left = _advance(row.bank_account, row.currency).where(RECEIPT.c.booked_on.between(begin, end))
    return len(read(connection, left))


def store_statement(
    connection: Connection, statement: BankStatementFile, *, lender: str, source: str, sha256: str, now: datetime
) -> Imported:
    """The statement and its receipts are in the store and in the books, each receipt with its agency where that shows.

    A receipt is an agency's if it comes from an account that a contract names (`payer_accounts`), or if its reference
    begins as a contract says (`bank_references`). Other payers' accounts are not kept: they may be debtors. What
    a report brought before is confirmed, and not there again.
    """
    statement_id = reserve(connection, "bank_statement", 1)
    head = {
        "statement_id": statement_id, "sha256": sha256, "lender": lender, "source": source, "form": statement.form,
        "is_advance": statement.is_advance, "bank_account": statement.account, "number": statement.number,
        "sequence": statement.sequence, "currency": statement.currency, "opening_minor": statement.opening_minor,
        "closing_minor": statement.closing_minor, "from_on": statement.from_on, "to_on": statement.to_on,
        "entries": len(statement.entries), "imported_at": now,
    }  # fmt: skip
    connection.execute(STATEMENT.insert().values(head))
    entries, again = _not_again(connection, statement)
    if not statement.is_advance and len(again):
        confirmed = pd.DataFrame({"receipt_id": again, "confirmed_by": statement_id})
        set_columns(connection, RECEIPT, confirmed, ["receipt_id"])
    receipts = _owned(connection, entries, statement_id, lender)
    append(connection, RECEIPT, receipts)
    _post(connection, receipts, statement_id, now)
    gone = statement.entries["of_entry"].nunique() - entries["of_entry"].nunique() if "of_entry" in entries else 0
    return Imported(
        statement_id,
        len(receipts),
        int(receipts["agency"].notna().sum()),
        confirmed=0 if statement.is_advance else int(gone),
        waiting=int(gone) if statement.is_advance else 0,
    )


def _not_again(connection: Connection, statement: BankStatementFile) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of the entries that are not in yet; and the receipts that the others are, by their ids."""
    rows, none = statement.entries, np.zeros(0, dtype=np.int64)
    if rows.empty or "bank_ref" not in rows:
        return rows, none
    begin, end = (rows["booked_on"].min(), rows["booked_on"].max())
    near = pd.Timedelta(days=NEAR_DAYS)
    known = _advance(statement.account, statement.currency)
    if statement.is_advance:
        known = _referenced(statement.account, statement.currency)
    there = read(connection, known.where(RECEIPT.c.booked_on.between((begin - near).date(), (end + near).date())))
    if statement.is_advance:
        rows = rows[rows["bank_ref"].notna()].reset_index(drop=True)
    if there.empty:
        return rows, none
    key = ["bank_ref", "amount_minor", "nth"]
    mine = _entries(rows.assign(statement_id=0))
    found = mine[mine["bank_ref"].notna()].merge(_entries(there), on=key, suffixes=("", "_there"))
    kept = rows[~rows["of_entry"].isin(found["of_entry"])].reset_index(drop=True)
    pairs = found[["statement_id_there", "of_entry_there"]].set_axis(["statement_id", "of_entry"], axis=1)
    again = there.merge(pairs, on=["statement_id", "of_entry"])["receipt_id"].to_numpy()
    return kept, again


def _entries(rows: pd.DataFrame) -> pd.DataFrame:
    """The bank's own entries: `statement_id`, `of_entry`, `bank_ref`, `amount_minor`, `nth` of all that are alike."""
    whole = rows.groupby(["statement_id", "of_entry"], sort=False).agg(
        bank_ref=("bank_ref", "first"), amount_minor=("amount_minor", "sum")
    )
    whole = whole.reset_index()
    whole["nth"] = whole.groupby(["bank_ref", "amount_minor"], sort=False, dropna=False).cumcount()
    return whole


def _referenced(account: str, currency: str) -> Any:
    """Every receipt of the account that has the bank's reference."""
    names = ("receipt_id", "statement_id", "of_entry", "bank_ref", "amount_minor")
    return (
        select(*(RECEIPT.c[name] for name in names))
        .join(STATEMENT, STATEMENT.c.statement_id == RECEIPT.c.statement_id)
        .where(STATEMENT.c.bank_account == account, STATEMENT.c.currency == currency, RECEIPT.c.bank_ref.is_not(None))
    )


def _advance(account: str, currency: str) -> Any:
    """Those of them that a report brought and no statement has confirmed."""
    return _referenced(account, currency).where(STATEMENT.c.is_advance.is_(True), RECEIPT.c.confirmed_by.is_(None))


def _owned(connection: Connection, entries: pd.DataFrame, statement_id: int, lender: str) -> pd.DataFrame:
    """The receipts as rows of their table, each with its agency where that shows."""
    first = reserve(connection, "bank_receipt", len(entries))
    payers = _named(connection, lender, "payer_accounts")
    by_account = entries["payer_account"].isin(payers)
    owner = _by_reference(entries["reference"], _named(connection, lender, "bank_references"))
    owner = entries["payer_account"].map(payers).astype("str").where(by_account, owner)
    receipts = entries[[name for name in KEPT if name in entries]].assign(
        receipt_id=np.arange(first, first + len(entries)),
        statement_id=statement_id,
        lender=pd.Series(lender, index=entries.index, dtype="str"),
        agency=owner,
        counterparty=entries["payer_account"].where(by_account),
    )
    # what is taken from the account and is no agency's is not ours to explain
    receipts["state"] = np.where(owner.isna() & (receipts["amount_minor"] < 0), "not_ours", "unapplied")
    return receipts


def _post(connection: Connection, receipts: pd.DataFrame, statement_id: int, now: datetime) -> None:
    key = f"receipt:statement:{statement_id}:" + receipts["booked_on"].dt.strftime("%Y-%m-%d")
    events = receipts.assign(
        entry_key=key.astype("str"),
        event=pd.Series("receipt", index=receipts.index, dtype="str"),
        account_id=pd.array([pd.NA] * len(receipts), dtype="Int64"),
        value_date=receipts["booked_on"],
        agency=pd.Series(None, index=receipts.index, dtype="str"),
    )
    post(connection, postings.receipt(events, receipts["amount_minor"]), now)


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

"""Reconcile: tie what agencies remitted to the money in the bank and to their invoices; and take bank statements in."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from flows.engine import Schedule, step, verb
from flows.exchange import suffix_for
from infra import audit, bankaccounts, exceptions
from infra.indexes import ref_index
from infra.store import answers, bankfiles, cash, direct, exchange, payments, recon, waiting
from infra.store.bulk import reserve
from infra.store.ledger import is_balanced
from infra.wiring import desk
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from sqlalchemy import Connection

    from infra.wiring import Desk


@dataclass(frozen=True)
class ReconcileReport:
    """How the books of the lender (or of all) stand, and what this run added to them."""

    lender: str
    as_of: date
    agencies: int
    matches: int
    matches_suggested: int
    matches_ambiguous: int
    breaks_opened: int
    invoice_lines_waiting: int
    lines: dict[str, int]
    """by state"""
    receipts: dict[str, int]
    """by state"""
    breaks: dict[str, int]
    """open ones, by code"""
    journal_balanced: bool


@dataclass(frozen=True)
class BankReport:
    """One file of bank statements."""

    lender: str
    sha256: str
    form: str = ""
    """what it was: camt.053, mt940, or the layout of a table"""
    statements: int = 0
    receipts: int = 0
    receipts_of_agencies: int = 0
    confirmed: int = 0
    """entries that a report within the day had brought before"""
    waiting: int = 0
    """entries of a report that wait for the statement"""
    pending: int = 0
    """entries that the bank had not booked yet, left out"""
    gaps: tuple[str, ...] = ()
    """what is missing: statements between these and others, and what reports had and the statement has not"""
    known: bool = False
    """the same bytes were taken in before, and nothing was done"""


@step
def tie(agency: str, lender: str, as_of: date) -> dict[str, int]:
    """Everything of one agency that the rules can tie is tied, in one transaction."""
    at = desk()
    now = at.now()
    with at.database.write() as connection:
        tied = cash.match_cash(connection, lender, agency, now)
        unanswered, disputed = recon.match_invoices(connection, lender, agency, now, closing=True)
        overdue = waiting.note_overdue(connection, lender, agency, as_of, now)
        _answer(connection, lender, agency)
        done = {
            "matches": tied.confirmed,
            "matches_suggested": tied.suggested,
            "matches_ambiguous": tied.ambiguous,
            "breaks_opened": tied.breaks + disputed + overdue,
        }
        if any(done.values()):
            details: dict[str, str | int] = {"lender": lender, "agency": agency, "as_of": as_of.isoformat()}
            details |= {"matches": tied.confirmed, "suggested": tied.suggested, "breaks": done["breaks_opened"]}
            details["inputs_sha256"] = tied.inputs_sha256
            audit.record(connection, at.actor, "reconcile.tied", f"agency:{agency}", details, now)
    return done | {"invoice_lines_waiting": unanswered}


def _answer(connection: Connection, lender: str, agency: str) -> None:
    """What was decided about the agency's invoices waits in the outbox, where it can be reached."""
    if agency not in exchange.agencies(connection) or not answers.waiting(connection, lender, agency):
        return
    at = desk()
    today = at.today(exchange.lender_timezone(connection, lender))
    number = reserve(connection, "invoice_answer", 1)
    key = f"invoice_answer:{lender}:{agency}:{number}"
    work = exchange.Work(key, lender, agency, "invoice_answer", today, suffix_for(connection)(agency), {})
    transmission_id, _ = exchange.prepare(connection, work)
    told = answers.put_in(connection, lender, agency, transmission_id)
    details: dict[str, str | int] = {"lender": lender, "agency": agency, "lines": told}
    audit.record(connection, at.actor, "invoice.answered", f"transmission:{transmission_id}", details, at.now())


@verb(schedule=Schedule("40 6 * * *"))
def reconcile(lender: str | None = None, as_of: date | None = None) -> ReconcileReport:
    """Tie the open lines, receipts and invoices of the lender (or of all), agency by agency.

    Safe to run again, and after a kill.
    """
    at = desk()
    with at.database.read() as connection:
        if lender is not None:
            exchange.lender_timezone(connection, lender)
        lenders = [lender] if lender is not None else cash.lenders(connection)
    total: dict[str, int] = {}
    for one in lenders:
        for part in _tie_lender(one, as_of):
            total |= {name: total.get(name, 0) + number for name, number in part.items()}
    with at.database.read() as connection:
        states = cash.states(connection, lender)
        balanced = is_balanced(connection)
    return ReconcileReport(
        lender=lender or "all",
        as_of=as_of or at.today(),
        agencies=total.get("agencies", 0),
        matches=total.get("matches", 0),
        matches_suggested=total.get("matches_suggested", 0),
        matches_ambiguous=total.get("matches_ambiguous", 0),
        breaks_opened=total.get("breaks_opened", 0),
        invoice_lines_waiting=total.get("invoice_lines_waiting", 0),
        lines=states["lines"],
        receipts=states["receipts"],
        breaks=states["breaks"],
        journal_balanced=balanced,
    )


@dataclass(frozen=True)
class Rehearsal:
    """What a run would tie and suggest now; nothing of it is kept."""

    agencies: int = 0
    matches: int = 0
    matches_suggested: int = 0
    matches_ambiguous: int = 0


class _Enough(Exception):
    """Everything was tried."""


def rehearse(lender: str | None = None) -> Rehearsal:
    """Everything that a run would do to money is done, told, and taken back: the store is as it was.

    It holds the store's one writer for as long as matching takes.
    """
    at = desk()
    with at.database.read() as connection:
        lenders = [lender] if lender is not None else cash.lenders(connection)
    total = Rehearsal()
    for one in lenders:
        with suppress(_Enough), at.database.write() as connection:
            agencies = cash.agencies_of(connection, one)
            payments.recognise(connection, one, at.now())
            cash.assign_receipts(connection, one, agencies)
            direct.take_direct(connection, one, _index_of(at), at.now())
            tied = [cash.match_cash(connection, one, agency, at.now()) for agency in agencies]
            total = Rehearsal(
                agencies=total.agencies + len(agencies),
                matches=total.matches + sum(part.confirmed for part in tied),
                matches_suggested=total.matches_suggested + sum(part.suggested for part in tied),
                matches_ambiguous=total.matches_ambiguous + sum(part.ambiguous for part in tied),
            )
            raise _Enough
    return total


def _tie_lender(lender: str, as_of: date | None) -> list[dict[str, int]]:
    at = desk()
    with at.database.read() as connection:
        day = as_of or at.today(exchange.lender_timezone(connection, lender))
        agencies = cash.agencies_of(connection, lender)
    with at.database.write() as connection:
        payments.recognise(connection, lender, at.now())  # before anybody wonders what the bank paid out for
        cash.assign_receipts(connection, lender, agencies)
        taken = direct.take_direct(connection, lender, _index_of(at), at.now())
        if taken:
            audit.record(connection, at.actor, "reconcile.direct", f"lender:{lender}", {"receipts": taken}, at.now())
    parts = tie.map(agencies, lender, day)
    with at.database.write() as connection:
        unexplained = waiting.note_unexplained(connection, lender, day, at.now())
    return [*parts, {"agencies": len(agencies), "breaks_opened": unexplained}]


def _index_of(at: Desk) -> Callable[[pd.Series], pd.Series] | None:
    """How account numbers are looked up; None where there is no keyring, and so no account that has an index."""
    if not at.settings.keyring_path.exists():
        return None
    return lambda numbers: ref_index(at.keyring, numbers)


@verb
def import_statement(
    path: Path,
    lender: str,
    layout: str | None = None,
    account: str | None = None,
    new_account: bool = False,
) -> BankReport:
    """Take a bank's file into the books, all of it or nothing; the same bytes again change nothing.

    layout: the mapping profile of a table, where its header does not tell. account: where the file does not say.
    new_account: an account that is not in the register is, as this lender's.
    Raises StatementRefused where the file cannot be counted on, AccountUnknown where the account is not the lender's.
    """
    at = desk()
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no file {path.name} there")
    with path.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    with at.database.read() as connection:
        exchange.lender_timezone(connection, lender)
        if bankfiles.known_statement(connection, sha256):
            return BankReport(lender, sha256, known=True)
    found = bankaccounts.statements(at, path, lender, layout=layout, account=account)
    with at.database.write() as connection:
        if bankfiles.known_statement(connection, sha256):
            return BankReport(lender, sha256, known=True)
        now = at.now()
        taken = []
        for number, statement in enumerate(found):
            if new_account:
                bankaccounts.add(connection, at, statement.account, statement.currency, lender, known_is_fine=True)
            bankaccounts.require(connection, statement.account, statement.currency, lender)
            bankfiles.refuse_repeated(connection, statement)
            # one file may hold several statements, and the hash of each is unique
            mark = sha256 if number == 0 else f"{sha256}:{number}"
            stored = bankfiles.store_statement(
                connection, statement, lender=lender, source=path.name, sha256=mark, now=now
            )
            taken.append(stored)
        report = BankReport(
            lender=lender,
            sha256=sha256,
            form=", ".join(sorted({statement.form for statement in found})),
            statements=len(taken),
            receipts=sum(one.receipts for one in taken),
            receipts_of_agencies=sum(one.of_agencies for one in taken),
            confirmed=sum(one.confirmed for one in taken),
            waiting=sum(one.waiting for one in taken),
            pending=sum(statement.pending for statement in found),
            gaps=_watch_bank(connection, {one.statement_id for one in taken}),
        )
        details: dict[str, str | int] = {"lender": lender, "sha256": sha256, "receipts": report.receipts}
        details |= {"rows": report.statements, "kind": report.form}
        audit.record(connection, at.actor, "bank.statement_taken", f"lender:{lender}", details, now)
    return report


def _watch_bank(connection: Connection, taken: set[int]) -> tuple[str, ...]:
    """Finance's exceptions are what is missing in the bank's files now; what these statements have to do with it."""
    at = desk()
    gaps = bankfiles.gaps(connection)
    subjects = [exceptions.Subject(f"bank_statement:{gap.statement_id}", lender=gap.lender) for gap in gaps]
    exceptions.watched(connection, at, "bank_gap", subjects, "the statements between are in")
    told = [gap.why for gap in gaps if taken & {gap.statement_id, gap.before_id}]
    for statement_id in sorted(taken):
        count = bankfiles.unconfirmed(connection, statement_id)
        if count:
            exceptions.open_exception(
                connection, at, "bank_unconfirmed", agency=None, subject=f"bank_statement:{statement_id}",
                detail={"entries": count},
            )  # fmt: skip
            told.append(f"{count} entries that reports of these days had are not in the statement")
    return tuple(told)

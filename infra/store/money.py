"""What finance pages through beside breaks: statements to agencies, payment runs, bank statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from infra.store import keyset
from infra.store.bulk import table_of
from models.tables import (
    Agency,
    BankStatement,
    Lender,
    PaymentRun,
    PeriodAcceptance,
    PeriodClosing,
    PeriodReopening,
    Statement,
    Transmission,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

ACCEPTANCE: Final = table_of(PeriodAcceptance)
AGENCY: Final = table_of(Agency)
BANK: Final = table_of(BankStatement)
CLOSING: Final = table_of(PeriodClosing)
LENDER: Final = table_of(Lender)
REOPENING: Final = table_of(PeriodReopening)
RUN: Final = table_of(PaymentRun)
SENT: Final = table_of(Transmission)
STATEMENT: Final = table_of(Statement)


def periods(connection: Connection) -> list[str]:
    """The months that anything was stated for, the newest first."""
    return list(connection.execute(select(STATEMENT.c.period).distinct().order_by(STATEMENT.c.period.desc())).scalars())


def moved(connection: Connection, lender: str) -> tuple[int, ...]:
    """How often a month of the lender was accepted, closed, opened or stated: what makes its checklist old."""
    counts = [
        select(func.count()).select_from(table).where(table.c.lender == lender)
        for table in (ACCEPTANCE, CLOSING, REOPENING, STATEMENT)
    ]
    done = select(func.count()).select_from(REOPENING).where(REOPENING.c.lender == lender, REOPENING.c.state == "done")
    return tuple(int(connection.execute(one).scalar_one()) for one in (*counts, done))


def statements(
    connection: Connection,
    *,
    lender: str = "",
    agency: str = "",
    period: str = "",
    after: str | None = None,
    rows: int = keyset.ROWS,
) -> keyset.Page:
    """Statements, the newest first; `told`: the state of the transmission that tells the agency."""
    statement = (
        select(STATEMENT, AGENCY.c.name.label("agency_name"), SENT.c.state.label("told"))
        .outerjoin(AGENCY, AGENCY.c.agency == STATEMENT.c.agency)
        .outerjoin(SENT, SENT.c.transmission_id == STATEMENT.c.transmission_id)
    )
    for column, wanted in ((STATEMENT.c.lender, lender), (STATEMENT.c.agency, agency), (STATEMENT.c.period, period)):
        if wanted:
            statement = statement.where(column == wanted)
    return keyset.page(connection, statement, keyset.Order((STATEMENT.c.statement_id,), falling=True), after, rows)


def runs(connection: Connection, *, state: str = "", lender: str = "", after: str | None = None) -> keyset.Page:
    """Payment runs, the newest first."""
    statement = select(RUN)
    for column, wanted in ((RUN.c.lender, lender), (RUN.c.state, state)):
        if wanted:
            statement = statement.where(column == wanted)
    return keyset.page(connection, statement, keyset.Order((RUN.c.run_id,), falling=True), after)


def run_states(connection: Connection) -> dict[str, int]:
    """How many payment runs are in each state."""
    rows = connection.execute(select(RUN.c.state, func.count()).group_by(RUN.c.state))
    return dict(rows.tuples().all())


def bank_statements(connection: Connection, *, lender: str = "", after: str | None = None) -> keyset.Page:
    """What was taken in from banks, the newest first."""
    names: tuple[str, ...] = (
        "statement_id", "lender", "source", "bank_account", "form", "is_advance", "number", "currency",
        "opening_minor", "closing_minor", "from_on", "to_on", "entries", "imported_at",
    )  # fmt: skip
    statement = select(*(BANK.c[name] for name in names))
    if lender:
        statement = statement.where(BANK.c.lender == lender)
    found = keyset.page(connection, statement, keyset.Order((BANK.c.statement_id,), falling=True), after)
    return keyset.Page([_masked(row) for row in found.rows], found.after)


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    """An account's number is shown by its end alone."""
    return row | {"bank_account": f"…{row['bank_account'][-4:]}"}

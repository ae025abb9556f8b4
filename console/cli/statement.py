"""`consign statement`: what each agency recovered in a month, and the account with it from opening to closing."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit

app = typer.Typer(no_args_is_help=True)

COLUMNS = [
    "statement_id", "agency", "period", "lines", "gross_minor", "commission_minor", "opening_minor", "closing_minor",
]  # fmt: skip


@app.command()
def make(
    period: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    lender: Annotated[str, typer.Option(help="Whose statements.")],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """State a month to every agency: CSV, XLSX and PDF below home/statements, and a file in each outbox."""
    if dry_run:
        from infra.store import statements
        from infra.wiring import desk

        with desk().database.read() as connection:
            subjects = statements.to_state(connection, lender, period)
        emit([{"agency": agency, "currency": currency} for agency, currency in subjects], title="Would be stated")
        return
    from flows.engine import run as run_verb
    from flows.statement import state_period

    emit(run_verb(state_period, lender=lender, period=period), title="Stated")


@app.command("list")
def list_(
    lender: Annotated[str | None, typer.Option(help="Only this lender.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every statement, the newest first."""
    from infra.store import statements
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(statements.listed(connection, lender), title="Statements", columns=COLUMNS)


@app.command()
def show(statement_id: int, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show one statement: sums, from opening to closing balance, files and their hashes."""
    from infra.store import statements
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(statements.one(connection, statement_id), title=f"Statement {statement_id}")

"""`consign recon`: tie remittances to placements, bank and invoices; see what is left to a person."""

from __future__ import annotations

import json as jsonlib
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import typer

from console.cli import bank, ledger, recon_work
from console.cli.output import DryRun, Json, emit, say

app = typer.Typer(no_args_is_help=True)
app.add_typer(recon_work.app)
app.add_typer(bank.app)

Lender = Annotated[str | None, typer.Option(help="Only this lender; default all.")]
Day = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Default today, where the lender is.")
]
FINDINGS = 3


class What(StrEnum):
    """One side of a match."""

    line = "line"
    receipt = "receipt"


@app.command()
def run(
    lender: Lender = None,
    as_of: Day = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Tie what can be tied, and open a break for the rest. Ends with 3 while breaks are open."""
    if dry_run:
        _preview(lender, as_of.date() if as_of else None)
        return
    from flows.engine import run as run_verb
    from flows.reconcile import reconcile

    report = run_verb(reconcile, lender=lender, as_of=as_of.date() if as_of else None)
    emit(report, title="Reconciled")
    if report.breaks:
        say(f"{sum(report.breaks.values())} breaks are open: consign recon breaks")
        raise typer.Exit(FINDINGS)


@app.command()
def breaks(
    lender: Lender = None,
    agency: Annotated[str | None, typer.Option(help="Only this agency.")] = None,
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this person's.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those that I work on.", show_default=False)] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their time.", show_default=False)] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are settled, instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the largest first.")] = 100,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List differences that a person must look at, the largest first."""
    from infra import resolving
    from infra.store import breaks as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.listed(
            connection,
            at.today(),
            lender=lender,
            agency=agency,
            code=code,
            owner=at.actor if mine else owner,
            state="closed" if closed else "open",
            overdue=overdue,
            sla=resolving.agreed_times(at),
            limit=limit,
        )
    emit(
        found,
        title="Breaks",
        columns=["break_id", "code", "agency", "amount_minor", "currency", "age", "due_on", "owner", "about"],
    )


@app.command()
def show(break_id: int, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Everything about one break: what was expected and found, the line or receipt, the candidates."""
    from infra import resolving
    from infra.store import breaks as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(store.whole(connection, break_id) | resolving.beside(connection, break_id), title=f"Break {break_id}")


@app.command()
def explain(
    kind: Annotated[What, typer.Argument(help="line or receipt")],
    number: Annotated[int, typer.Argument(help="Its number, as `breaks` and `show` name it.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Why a line or receipt is open; or what it is tied to, by which rule, and what else was considered."""
    from infra.store import considered
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(considered.explained(connection, kind.value, number), title=f"{kind.value} {number}".capitalize())


@app.command()
def candidates(
    kind: Annotated[What, typer.Argument(help="line or receipt")],
    number: Annotated[int, typer.Argument(help="Its number, as `breaks` and `show` name it.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="So many of each sort at most.")] = 10,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """What may belong to an open line or receipt, the best first; then exact sums, several against several."""
    from infra.store import considered
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = considered.candidates(connection, (kind.value, number), limit)
    emit(found, title="Candidates", columns=["by", "ids", "beside", "off_minor", "off_days", "likeness"])


app.command("trial-balance", help="The same as `consign ledger trial-balance`.", hidden=True)(ledger.trial_balance)


def _preview(lender: str | None, as_of: date | None) -> None:
    """What stands open now, without touching it."""
    from infra.store import cash
    from infra.wiring import desk

    with desk().database.read() as connection:
        states = cash.states(connection, lender)
    counts = {name: jsonlib.dumps(one) for name, one in states.items()}
    emit({"lender": lender or "all", "as_of": as_of} | counts, title="Open now")

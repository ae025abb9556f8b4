"""`consign payment`: what agencies are owed, paid by two persons' yes and one file for the bank."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

app = typer.Typer(no_args_is_help=True)

Lender = Annotated[str, typer.Option(help="The lender's code.")]
PayOn = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day to pay; default today.")]
Run = Annotated[int, typer.Argument(help="The run's number.")]
FINDINGS = 3
DUE = ["agency", "currency", "period", "closing_minor", "under_way_minor", "to_pay_minor", "payee_account", "why_not"]
RUNS = ["run_id", "state", "lender", "currency", "amount_minor", "payments", "pay_on", "proposed_by", "approved_by"]


@app.command()
def due(lender: Lender, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what is due to each agency by its newest statement, less what is under way; 3 where one cannot be paid."""
    from infra.payments import runs
    from infra.wiring import desk

    found = runs.proposed(desk(), lender, desk().today())
    emit(found, title="Due to agencies", columns=DUE)
    if found["why_not"].notna().any():
        say("whoever has no payee gets one by a new contract: consign contract propose AGENCY --set payee.name=…")
        raise typer.Exit(FINDINGS)


@app.command()
def owed(lender: Lender, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what agencies owe by their newest statement, and the reference to invoice it under."""
    from infra.store import payments
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = payments.demands(connection, lender)
    emit(found, title="Owed by agencies", columns=["agency", "currency", "period", "amount_minor", "reference"])


@app.command()
def propose(
    lender: Lender,
    account: Annotated[str, typer.Option("--from", help="The lender's account: an IBAN, or a number with --bank.")],
    bank: Annotated[str | None, typer.Option(help="Its bank: BIC, or CNAPS code of twelve digits.")] = None,
    currency: Annotated[str, typer.Option(help="A run is in one currency.")] = "CNY",
    agency: Annotated[list[str] | None, typer.Option(help="Only this agency; repeatable.")] = None,
    on: PayOn = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Propose to pay everything that is due; others approve it."""
    from infra.payments import runs
    from infra.store import payments
    from infra.wiring import desk

    at = desk()
    day = on.date() if on else at.today()
    if dry_run:
        emit(runs.proposed(at, lender, day), title="Would be proposed", columns=DUE)
        return
    run_id = runs.propose(at, lender, currency, account, bank, day, agency)
    with at.database.read() as connection:
        emit(dict(payments.run(connection, run_id)._mapping), title=f"Payment run {run_id}")  # noqa: SLF001 - its name
    say(f"another person approves it: consign payment approve {run_id}")


@app.command()
def approve(run_id: Run, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve a run, as another person than who proposed it; above the limit two others must."""
    from infra.payments import runs
    from infra.wiring import desk

    state = runs.approve(desk(), run_id)
    emit({"run_id": run_id, "state": state}, title="Payment run")
    if state == "proposed":
        say("its sum is above the limit: one more person approves it")


@app.command()
def withdraw(run_id: Run, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take a run back, until it was given to the bank."""
    from infra.payments import runs
    from infra.wiring import desk

    runs.withdraw(desk(), run_id)
    emit({"run_id": run_id, "state": "withdrawn"}, title="Payment run")


@app.command()
def export(
    run_id: Run,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    form: Annotated[str, typer.Option("--format", help="pain001 (pain.001.001.09) or csv.")] = "pain001",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write an approved run for the bank; again it writes the same bytes under the same message id."""
    from infra.payments import runs
    from infra.wiring import desk

    sha256 = runs.export(desk(), run_id, form, out)
    emit({"run_id": run_id, "file": out, "format": form, "sha256": sha256}, title="For the bank")


@app.command("list")
def list_(
    lender: Annotated[str | None, typer.Option(help="Only this lender.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every run, the newest first."""
    from infra.store import payments
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = payments.runs(connection, lender)
    emit(found, title="Payment runs", columns=RUNS)


@app.command()
def show(run_id: Run, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show a run and each of its payments: payee, amount, reference, whether the bank has shown it."""
    from infra.store import payments
    from infra.wiring import desk

    with desk().database.read() as connection:
        run = dict(payments.run(connection, run_id)._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        items = [dict(row._mapping) for row in payments.payments_of(connection, run_id)]  # noqa: SLF001 - likewise
    shown = ["agency", "amount_minor", "currency", "payee_name", "payee_account", "end_to_end_id", "state", "paid_on"]
    emit(run | {"items": [{name: item[name] for name in shown} for item in items]}, title=f"Payment run {run_id}")

"""`consign complaint`: the register of complaints about agencies, its clock and its outcomes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Number = Annotated[int, typer.Argument(metavar="COMPLAINT", help="Its number, as `list` shows it.")]
Lender = Annotated[str, typer.Option("--lender", help="Whose account it is about.")]
COLUMNS = [
    "complaint_id", "agency", "lender", "complaint_ref", "received_on", "due_on", "category", "severity", "state",
    "owner", "outcome", "source",
]  # fmt: skip


@app.command()
def add(
    agency: Annotated[str, typer.Argument(help="The agency it is about.")],
    ref: Annotated[str, typer.Argument(help="Your own reference of the complaint.")],
    lender: Lender,
    account: Annotated[
        str | None, typer.Option(help="The lender's own account number; looked up, and kept nowhere.")
    ] = None,
    received: Annotated[
        datetime | None, typer.Option("--received", formats=["%Y-%m-%d"], help="The day it came; today by default.")
    ] = None,
    category: Annotated[
        str, typer.Option(help="conduct, threat, violence, third_party, hours, frequency …")
    ] = "conduct",
    severity: Annotated[str, typer.Option(help="normal or serious.")] = "normal",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Register a complaint; its debtor is on hold at once, and recalled with the next recall."""
    from infra import complaints
    from infra.wiring import desk

    told = complaints.add(
        desk(), lender, agency, ref, account_ref=account, received_on=received.date() if received else None,
        category=category, severity=severity, dry_run=dry_run,
    )  # fmt: skip
    emit(told, title="Complaint")
    if told.known_before:
        say("a complaint with this reference was in the register already")


@app.command(name="import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="A CSV in UTF-8: complaint_ref, agency, account, received_on, category.")
    ],
    lender: Lender,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Register the complaints of a CSV, all or none; the same file again changes nothing."""
    from infra import complaints
    from infra.wiring import desk

    emit(complaints.take_in(desk(), lender, path, dry_run=dry_run), title="Complaints")


@app.command(name="list")
def list_(
    agency: Annotated[str | None, typer.Option(help="Only about this agency.")] = None,
    lender: Annotated[str | None, typer.Option(help="Only of this lender.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those I have taken.", show_default=False)] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their day.", show_default=False)] = False,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.", show_default=False)] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 500,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List complaints, those due first in front. Ends with 3 while one is overdue."""
    from infra.store import complaints as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.listed(
            connection, agency=agency, lender=lender, owner=at.actor if mine else None,
            overdue_on=at.today() if overdue else None, closed=every, limit=limit,
        )  # fmt: skip
    emit(found, title="Complaints", columns=COLUMNS)
    late = (found["state"] != "closed") & found["due_on"].notna() & (found["due_on"] < str(at.today()))
    if late.any():
        say(f"{int(late.sum())} overdue: answer them, then `consign complaint close`")
        raise typer.Exit(FINDINGS)


@app.command()
def show(complaint: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show one complaint."""
    _show(complaint)


@app.command()
def take(
    complaint: Number,
    owner: Annotated[str | None, typer.Option("--for", help="Somebody else's login name.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make it yours, or somebody's."""
    from infra import complaints
    from infra.wiring import desk

    if not dry_run:
        complaints.take(desk(), complaint, owner)
    _show(complaint)


@app.command()
def close(
    complaint: Number,
    outcome: Annotated[str, typer.Argument(help="upheld, partly, dismissed or withdrawn.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; no debtor's values.")],
    category: Annotated[str | None, typer.Option(help="What it turned out to be about.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say how it ended. An upheld threat or disclosure to a third party closes a gate with the next audit."""
    from infra import complaints
    from infra.wiring import desk

    if not dry_run:
        complaints.close(desk(), complaint, outcome, reason, category=category)
        say("the hold on the debtor stays: `consign portfolio hold` lifts it")
    _show(complaint)


@app.command()
def rate(
    lender: Annotated[str | None, typer.Option(help="Only of this lender.")] = None,
    days: Annotated[int, typer.Option(min=1, help="So many days back, today included.")] = 90,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show complaints per 1,000 accounts that each agency held in those days."""
    from infra.store import complaints as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.rates(connection, lender, at.today() - timedelta(days=days - 1), at.today())
    emit(found, title=f"Complaints in {days} days")


def _show(complaint: int) -> None:
    from infra.store import complaints as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        row = store.complaint(connection, complaint)
    emit(dict(row._mapping), title=f"Complaint {complaint}")  # noqa: SLF001 - the row's columns

"""`consign diligence`: evidence about agencies, and what is missing or ends soon."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Agency = Annotated[str | None, typer.Option("--agency", help="Only this agency.")]


@app.command(name="list")
def list_(agency: Agency = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the evidence on record, by agency and kind."""
    from infra import diligence
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = diligence.listed(connection, agency)
    emit(
        found, title="Due diligence",
        columns=["agency", "kind", "valid_from", "valid_until", "reference", "stored_path", "added_by"],
    )  # fmt: skip


@app.command()
def due(
    agency: Agency = None,
    days: Annotated[int, typer.Option(min=0, help="Say what ends within so many days.")] = 30,
    every: Annotated[bool, typer.Option("--all", help="What is in order too.", show_default=False)] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what is missing, has expired or ends soon. Ends with 3 while something is missing or has expired."""
    from infra import diligence
    from infra.wiring import desk
    from models.conduct.diligence import WANTING

    rows = diligence.wanted(desk(), days, agency)
    shown = [row for row in rows if every or row["state"] in {*WANTING, "expiring"}]
    emit(shown, title="Due", columns=["agency", "pack", "kind", "state", "until", "days_left", "text", "clause"])
    if any(row["state"] in WANTING for row in rows):
        say("`consign diligence add AGENCY KIND --document FILE` takes evidence")
        raise typer.Exit(FINDINGS)


@app.command()
def add(
    agency: Annotated[str, typer.Argument(help="The agency's code.")],
    kind: Annotated[str, typer.Argument(help="licence, whitelist, evaluation, contract, training, insurance …")],
    document: Annotated[
        Path | None, typer.Option(help="The document; a copy is kept below home/diligence, with its hash.")
    ] = None,
    reference: Annotated[str, typer.Option(help="Where the evidence is, if it is not a file.")] = "",
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="From when it counts; today by default.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day on which it counts.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put evidence about an agency on record."""
    from infra import diligence
    from infra.wiring import desk

    at = desk()
    told = diligence.add(
        at, agency, kind, kinds=diligence.kinds(), valid_from=since.date() if since else at.today(),
        valid_until=until.date() if until else None, document=document, reference=reference, dry_run=dry_run,
    )  # fmt: skip
    emit(told, title="Due diligence")

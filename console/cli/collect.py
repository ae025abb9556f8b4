"""`consign collect`: fetch, verify and take in what the agencies left."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import Json, say
from models.errors import Findings

app = typer.Typer()


@app.command()
def collect(
    agency: Annotated[str | None, typer.Argument(help="Only this agency; default all.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take in every file that the agencies left, answer each with a receipt; running it again takes nothing twice."""
    from flows.collect import collect as verb

    report = told(verb, "Collected", agency=agency)
    if report.refused or report.lines_refused:
        say("`consign file list --refused` shows what was refused and why; the agencies have it in their receipts")
        message = f"{report.refused} files and {report.lines_refused} lines were refused"
        raise Findings(message, fix="nothing is lost: the agency corrects and sends again")

"""`consign disclosures`: who has been told what about a debtor, when, under which policy, to be deleted by when."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit

app = typer.Typer()


@app.command()
def disclosures(
    who: Annotated[
        str,
        typer.Argument(help="The lender's account number, an ID number or a telephone number; - reads it from stdin."),
    ],
    lender: Annotated[str, typer.Option(help="The lender's code.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show every field of every file that spoke of this debtor. The question itself is audited."""
    import sys

    from infra import register
    from infra.wiring import desk

    asked = sys.stdin.readline().strip() if who == "-" else who
    emit(register.disclosures(desk(), lender, asked), title="Disclosed")

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
    json: Json = False,
) -> None:
    """Show every field of every file that spoke of this debtor. The question itself is audited."""
    import sys

    from infra import register
    from infra.wiring import desk

    asked = sys.stdin.readline().strip() if who == "-" else who
    told = register.disclosures(desk(), lender, asked)
    columns = [
        "agency",
        "kind",
        "disclosed_on",
        "field",
        "treatment",
        "accounts",
        "purpose",
        "policy",
        "erase_by",
        "erased_on",
    ]
    emit(
        told.rename(columns={"disclosed_at": "disclosed_on", "erased_at": "erased_on"}) if not json else told,
        title="Disclosed",
        columns=columns,
    )

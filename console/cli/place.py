"""`consign place`: hand an approved plan's accounts to their agencies."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import Json

app = typer.Typer()


@app.command()
def place(
    plan_id: Annotated[int, typer.Argument(help="The approved plan.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Minimise, pseudonymise, seal and deliver an approved plan; running it again sends nothing twice."""
    from flows.place import place as verb

    told(verb, "Placed", plan_id=plan_id)

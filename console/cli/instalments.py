"""`consign instalments`: the instalment plans that agencies proposed."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit

app = typer.Typer(no_args_is_help=True)


@app.command(name="list")
def list_(
    agency: Annotated[str | None, typer.Option(help="Only this agency's.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show the instalment plans that agencies proposed, newest first."""
    from infra.store import placing
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(placing.instalment_plans(connection, agency), title="Instalment plans")


@app.command()
def show(
    plan: Annotated[int, typer.Argument(help="The instalment plan, by id.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show what is to be paid when under an instalment plan."""
    from infra.store import placing
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(placing.instalments_of(connection, plan), title=f"Instalment plan {plan}")

"""`consign update`: tell agencies the balances that have changed."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit

app = typer.Typer()


@app.command()
def update(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Tell every agency the balances of its accounts that have changed since it was last told."""
    from flows.engine import run
    from flows.update import update as verb

    emit(run(verb, lender=lender), title="Told")

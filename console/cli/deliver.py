"""`consign deliver`: send whatever waits in the outbox."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import DryRun, Json, emit

app = typer.Typer()


@app.command()
def deliver(
    agency: Annotated[str | None, typer.Argument(help="Only this agency; default all.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Send receipts, statements and whatever an earlier run could not deliver; nothing is sent twice."""
    if dry_run:
        from sqlalchemy import select

        from infra.store import bulk, exchange
        from infra.wiring import desk

        table = exchange.TRANSMISSIONS
        waiting = select(
            table.c.agency, table.c.kind, table.c.name, table.c.state, table.c.attempts, table.c.last_error
        ).where(table.c.state.in_(("prepared", "sealed")))
        if agency:
            waiting = waiting.where(table.c.agency == agency)
        with desk().database.read() as connection:
            emit(bulk.read(connection, waiting.order_by(table.c.agency, table.c.transmission_id)), title="Waiting")
        return
    from flows.deliver import deliver as verb

    told(verb, "Delivered", agency=agency)

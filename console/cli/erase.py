"""`consign erase`: have agencies delete what they were told, and see that they certified it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import Json, emit
from models.errors import UsageError

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask for the erasure of every placement that has ended."""
    from flows.erase import erase as verb

    told(verb, "Erasure", lender=lender)


@app.command()
def status(
    placements: Annotated[bool, typer.Option("--placements", help="Each placement, and how it stands.")] = False,
    agency: Annotated[str | None, typer.Option(help="Of the placements only this agency's.")] = None,
    state: Annotated[
        str | None, typer.Option(help="waiting, requested, overdue, unsatisfied, certified or certified_late.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show, per agency or per placement, what was asked for, certified, found wanting and overdue."""
    from sqlalchemy import case, func, select

    from infra.store import bulk, erasures, exchange
    from infra.wiring import desk

    if placements or agency or state:
        if state is not None and state not in erasures.STATES:
            raise UsageError(f"no erasure is ever {state!r}", fix=f"one of {', '.join(erasures.STATES)}")
        with desk().database.read() as connection:
            emit(erasures.by_placement(connection, desk().today(), agency=agency, state=state), title="Erasures")
        return
    table = exchange.ERASURES
    late = case((table.c.verified_at.is_(None) & (table.c.due_on < desk().today()), 1), else_=0)
    with desk().database.read() as connection:
        rows = bulk.read(
            connection,
            select(
                table.c.agency, func.count().label("asked"), func.count(table.c.verified_at).label("certified"),
                func.count(table.c.finding).label("unsatisfied"), func.sum(late).label("overdue"),
            )
            .group_by(table.c.agency)
            .order_by(table.c.agency),
        )  # fmt: skip
    emit(rows, title="Erasures")

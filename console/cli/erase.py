"""`consign erase`: have agencies delete what they were told, and see that they certified it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import Json, emit

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
def status(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show, per agency, what was asked for, certified, found wanting and overdue."""
    from sqlalchemy import case, func, select

    from infra.store import bulk, exchange
    from infra.wiring import desk

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

"""`consign sandbox`: synthetic debtors, simulated agencies with keys of their own, published loans replayed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, progress, say

app = typer.Typer(no_args_is_help=True)

Lender = Annotated[str, typer.Option(help="The lender's code.")]


class Published(StrEnum):
    """The public data sets that can be replayed."""

    LENDINGCLUB = "lendingclub"


class Sealing(StrEnum):
    """How a simulated agency's files are sealed."""

    AGE = "age"
    OPENPGP = "openpgp"


@app.command()
def debtors(
    out: Annotated[Path, typer.Argument(help="The file to write: .csv, .xlsx or .parquet.")],
    rows: Annotated[int, typer.Option(min=1, help="How many accounts.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed, the same debtors.")] = 1,
    lender: Lender = "harbour",
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The snapshot's day; default today.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write a portfolio of synthetic debtors, to be imported with the profile `consign`. No real person is in it."""
    from infra.sandbox import debtors as made
    from infra.wiring import desk

    day = as_of.date() if as_of else desk().today()
    path = made.write(made.portfolio(seed, rows, lender, day), out)
    emit({"file": path, "rows": rows, "seed": seed, "as_of": day}, title="Synthetic debtors")


@app.command()
def agency(
    code: Annotated[str, typer.Argument(help="The agency's code.")],
    suite: Annotated[Sealing, typer.Option(help="How its files are sealed.")] = Sealing.AGE,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make a simulated agency: its own keys, and a folder that both sides reach. It is onboarded like any other."""
    from infra.sandbox import replay
    from infra.wiring import desk

    made = replay.make_agency(desk(), code, suite.value)
    emit(made, title="Simulated agency")
    say(f"next: consign agency add {code}, then drop --kind folder --root {made.root}, keys trust, contract, state")


@app.command(name="replay")
def replay_(
    published: Annotated[Published, typer.Argument(help="Which data set.")],
    source: Annotated[Path, typer.Argument(help="Its file, as published.")],
    lender: Lender,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Have the simulated agencies acknowledge, remit and invoice what the published loans recovered; the bank pays."""
    from infra.sandbox import replay
    from infra.wiring import desk

    with progress(f"Replaying {published.value}"):
        done = replay.lendingclub(desk(), source, lender)
    emit(done, title="Replayed")
    say(f"next: consign collect, then take in {done.bank_statement} and reconcile")


@app.command()
def compare(
    published: Annotated[Published, typer.Argument(help="Which data set.")],  # noqa: ARG001 - there is one so far
    source: Annotated[Path, typer.Argument(help="Its file, as published.")],
    lender: Lender,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Compare the books with the published figures, loan by loan; ends with 3 where one differs."""
    from infra.sandbox import replay
    from infra.wiring import desk

    found = replay.compared(desk(), source, lender)
    emit(found, title="Books and published figures")
    if found.loans_that_differ or found.other_breaks or found.overpayment_breaks_elsewhere:
        raise typer.Exit(3)

"""`consign recall`: take accounts back, by rule or by name, and see who has not confirmed."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Recall what is on hold, paid or at its term; recalls go out before anything else."""
    from infra.wiring import desk

    if dry_run:
        from infra.store import placing

        with desk().database.read() as connection:
            due = placing.due_for_recall(connection, lender, desk().today())
        counted = due.groupby(["lender", "agency", "reason"]).size().rename("placements").reset_index()
        emit(counted, title="Would be recalled")
        return
    from flows.engine import run as run_verb
    from flows.recall import recall as verb

    emit(run_verb(verb, lender=lender), title="Recalled")


@app.command()
def request(
    placement: Annotated[list[int], typer.Argument(help="Placements to take back, by id.")],
    reason: Annotated[str, typer.Option(help="Why: performance, request, complaint …")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Recall these placements for a reason of yours."""
    from flows.engine import run as run_verb
    from flows.recall import recall_placements as verb

    emit(run_verb(verb, placement_ids=",".join(map(str, placement)), reason=reason), title="Recalled")


@app.command()
def overdue(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show recalls that an agency should have confirmed by now."""
    from infra.store import placing
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(placing.overdue_recalls(connection, desk().today()), title="Overdue recalls")

"""`consign recall`: take accounts back, by rule or by name, and see who has not confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from console.cli.exchanging import told
from console.cli.output import DryRun, Json, emit
from models.errors import UsageError

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
        import pandas as pd

        from flows.exchange import days
        from infra.store import placing

        with desk().database.read() as connection:
            parts = [placing.due_for_recall(connection, code, today) for code, today in days(connection, lender)]
        due = pd.concat([pd.DataFrame(columns=["lender", "agency", "reason"]), *parts])
        counted = due.groupby(["lender", "agency", "reason"]).size().rename("placements").reset_index()
        emit(counted, title="Would be recalled")
        return
    from flows.recall import recall as verb

    told(verb, "Recalled", lender=lender)


@app.command()
def request(
    placement: Annotated[list[int], typer.Argument(help="Placements to take back, by id.")],
    reason: Annotated[str, typer.Option(help="Why: performance, request, complaint …")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Recall these placements for a reason of yours."""
    from flows.recall import recall_placements as verb

    told(verb, "Recalled", placement_ids=",".join(map(str, placement)), reason=reason)


@app.command()
def overdue(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show recalls that an agency should have confirmed by now."""
    from infra.store import placing
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(placing.overdue_recalls(connection, desk().today()), title="Overdue recalls")


@app.command()
def objections(
    all_of_them: Annotated[bool, typer.Option("--all", help="The decided ones too.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show which recalls an agency objects to, why, and until when it asks to keep the account."""
    from infra.store import placing
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(placing.objections(connection, all_of_them=all_of_them), title="Objections to recalls")


@app.command()
def decide(
    objection: Annotated[int, typer.Argument(help="The objection, by id.")],
    uphold_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The agency keeps the account until then.")
    ] = None,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="The recall stands as it is.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Uphold or dismiss an objection; the agency is answered with the recall, sent again with the day that counts."""
    if dismiss == (uphold_until is not None):
        message = "an objection is either upheld or dismissed"
        raise UsageError(message, fix="give --uphold-until DAY or --dismiss")
    from flows.recall import decide_objection as verb

    told(verb, "Answered", objection_id=objection, keep_until=uphold_until.date() if uphold_until is not None else None)

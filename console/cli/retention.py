"""`consign retention`: how long what is kept, what is due, and the holds that keep it all the same."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, progress, say

app = typer.Typer(no_args_is_help=True)
holding = typer.Typer(no_args_is_help=True, help="Legal holds: what is kept although its time is over.")
app.add_typer(holding, name="hold")

COLUMNS = ["lender", "record_class", "act", "keep", "before", "due", "oldest", "held_by"]


@app.command()
def show(
    schedule: Annotated[str, typer.Argument(help="A schedule's name: cn, us, uk, eu, or a lender's own.")] = "cn",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show a schedule: each class of records, how long it is kept, by which clause, and how that was read."""
    from infra.retention import SHELF
    from models.retention import CLASSES

    found = SHELF.find(schedule)
    rows = [
        {"record_class": rule.id, "keep": str(rule.keep), "act": CLASSES[rule.id].act,
         "at_least": str(rule.at_least or ""), "at_most": str(rule.at_most or ""), "begins": CLASSES[rule.id].begins,
         "clause": rule.clause, "set_by": rule.set_by, "verified": rule.verified, "counsel": rule.counsel,
         "about": CLASSES[rule.id].about, "about_zh": CLASSES[rule.id].about_zh, "text": rule.text,
         "text_zh": rule.text_zh}
        for rule in found.rules.values()
    ]  # fmt: skip
    emit(
        rows,
        title=f"{found.name} {found.version}",
        columns=["record_class", "keep", "act", "begins", "clause", "set_by", "verified"],
    )
    if any(rule.counsel for rule in found.rules.values()):
        say("a clause that is not marked `text` was not read by us: confirm with counsel")


@app.command()
def due(
    all_of_them: Annotated[bool, typer.Option("--all", help="Also classes of which nothing is due.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show what is due today, by lender and class, and which legal hold keeps it."""
    from infra import retention
    from infra.wiring import desk

    with progress("looking through the store"), desk().database.read() as connection:
        lines = retention.due(connection, desk())
    emit([line for line in lines if all_of_them or line.due], title="Due today", columns=COLUMNS)


@app.command()
def run(dry_run: DryRun = False, json: Json = False) -> None:
    """Delete what is due: shred identities, delete records, files, logs and old backups; each class on record."""
    if dry_run:
        due(all_of_them=False, json=json)
        return
    from flows.engine import run as run_verb
    from flows.retain import retain

    with progress("deleting what is due"):
        report = run_verb(retain)
    emit(report, title="Retention")


@holding.command()
def add(
    scope: Annotated[str, typer.Argument(help="everything, lender, portfolio, debtor or class.")],
    why: Annotated[str, typer.Option(help="The reason, in a sentence, without a debtor's data.")],
    lender: Annotated[str | None, typer.Option(help="The lender; for a class: only of this lender's.")] = None,
    number: Annotated[int | None, typer.Option("--number", help="The portfolio's or the debtor's number.")] = None,
    record_class: Annotated[str | None, typer.Option("--class", help="Only this class of records.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; default: no end.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Keep something although its time is over: no run deletes it, and nobody can be erased."""
    from infra import retention
    from infra.wiring import desk

    made = retention.hold(
        desk(), scope, why, lender=lender, subject_id=number, record_class=record_class,
        until=until.date() if until else None,
    )  # fmt: skip
    emit({"legal_hold_id": made, "scope": scope}, title="Held")


@holding.command("list")
def list_holds(
    all_of_them: Annotated[bool, typer.Option("--all", help="Also those that were lifted or have ended.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the legal holds."""
    from infra.store import retention
    from infra.wiring import desk

    with desk().database.read() as connection:
        rows = retention.holds(connection, desk().today(), all_of_them=all_of_them)
    emit(
        rows,
        title="Legal holds",
        columns=["legal_hold_id", "scope", "lender", "subject_id", "record_class", "why", "placed_by", "until"],
    )


@holding.command()
def lift(
    legal_hold_id: Annotated[int, typer.Argument(help="The hold, by number.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Lift a legal hold; what is due goes with the next run."""
    from infra import retention
    from infra.wiring import desk

    emit({"legal_hold_id": legal_hold_id, "lifted": retention.lift(desk(), legal_hold_id)}, title="Lifted")

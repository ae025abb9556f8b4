"""`consign gate`: what may not leave, and why it stays; how far debtors can be told apart; false alarms."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, is_json, say

app = typer.Typer(no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE", help="The transmission's name or number.", show_default=False)]
Number = Annotated[int, typer.Argument(metavar="ALLOWANCE", help="Its number, as `allowances` shows it.")]
FINDINGS = 3


@app.command("list")
def list_(
    agency: Annotated[str | None, typer.Option("--agency", help="Only to this agency.", show_default=False)] = None,
    stopped: Annotated[bool, typer.Option("--stopped", help="Only what stays.", show_default=False)] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the newest first.")] = 50,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what the gate has looked at, the newest first: passed or stopped, and k before and after."""
    from infra.store import gate as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = store.checks(connection, agency=agency, stopped=stopped, limit=limit)
    columns = ["transmission_id", "name", "verdict", "rows", "stopping", "k_before", "k_after", "suppressed"]
    emit(found, title="The gate", columns=columns)


@app.command()
def show(file: File, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what the gate found in a file: column, line and kind, never a value; and how alike its lines are.

    Ends with 3 where the file stays.
    """
    from infra.store import gate as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        told = store.told(store.check(connection, file))
    emit(told if is_json() else _for_people(told), title=f"{told['name']}: {told['verdict']}")
    if told["verdict"] == "stopped":
        say("have the lender correct it; of a false alarm: `consign gate allow`, and a second person approves;")
        say(f"then `consign deliver {told['agency']}`")
        raise typer.Exit(FINDINGS)


@app.command()
def allow(
    kind: Annotated[str, typer.Argument(help="Of file: placement, recall …", show_default=False)],
    column: Annotated[str, typer.Argument(help="The column, as `show` names it.", show_default=False)],
    identifier: Annotated[str, typer.Argument(help="What it looks like, as `show` names it.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why it is none; no debtor's values.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it counts.")],
    agency: Annotated[str | None, typer.Option("--agency", help="In files to this agency alone.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask that a kind of identifier be let pass in one column: it is none there. A second person approves."""
    from infra import allowances
    from infra.wiring import desk

    asked = allowances.Asked(kind, column, identifier, reason, until.date(), agency)
    if dry_run:
        emit(asked, title="Would be asked for")
        return
    number = allowances.ask(desk(), asked)
    emit({"allowance": number, "state": "waiting"}, title="Asked for")
    say(f"now another person: consign gate approve {number}")


@app.command()
def approve(number: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Let a false alarm pass that somebody else asked for."""
    from infra import allowances
    from infra.wiring import desk

    allowances.approve(desk(), number)
    emit({"allowance": number, "state": "approved"}, title="Allowance")


@app.command()
def withdraw(number: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """End an allowance, or refuse one that waits."""
    from infra import allowances
    from infra.wiring import desk

    allowances.withdraw(desk(), number)
    emit({"allowance": number, "state": "withdrawn"}, title="Allowance")


@app.command("allowances")
def allowances_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List false alarms that may pass, that wait for a second person, and that ended."""
    from infra.store import gate as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = store.allowances(connection)
    columns = ["allowance_id", "state", "kind", "column_name", "identifier", "agency", "until", "asked_by", "reason"]
    emit(found, title="False alarms", columns=columns)


def _for_people(told: dict[str, Any]) -> dict[str, Any]:
    """What JSON has nested, in a line each."""
    shown = {key: value for key, value in told.items() if value not in (None, [], {})}
    if shown.get("sizes_after"):
        for when in ("sizes_before", "sizes_after"):
            sizes = zip(("1", "2-4", "5-9", "10-49", "50 and more"), told[when], strict=True)
            shown[when] = ", ".join(f"{lines:,} in groups of {size}" for size, lines in sizes if lines)
    return shown

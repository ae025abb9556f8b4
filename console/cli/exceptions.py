"""`consign exceptions`: what went amiss in the exchange, who has it, until when, and how it ended."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Number = Annotated[int, typer.Argument(metavar="EXCEPTION", help="Its number, as `list` shows it.")]
COLUMNS = ["exception_id", "code", "agency", "subject", "severity", "state", "owner", "due_at", "about"]


@app.command(name="list")
def list_(
    agency: Annotated[str | None, typer.Option(help="Only this agency.")] = None,
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this role's or person's.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those I have taken.", show_default=False)] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their time.", show_default=False)] = False,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.", show_default=False)] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the gravest first.")] = 200,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List exceptions, the gravest and soonest due first. Ends with 3 while some are unresolved."""
    from infra import exceptions
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = exceptions.listed(
            connection,
            agency=agency,
            code=code,
            owner=at.actor if mine else owner,
            overdue_at=at.now() if overdue else None,
            resolved=every,
            limit=limit,
        )
    emit(found, title="Exceptions", columns=COLUMNS)
    if (found["state"] != "resolved").any():
        say("`consign exceptions show EXCEPTION` says what to do")
        raise typer.Exit(FINDINGS)


@app.command()
def show(exception: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Everything about one: what it means, what mends it, its detail, comments and resolution."""
    from infra import exceptions
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(exceptions.whole(connection, exception), title=f"Exception {exception}")


@app.command()
def take(
    exception: Number,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make it yours."""
    from infra.wiring import desk

    _assign(exception, desk().actor, dry_run=dry_run)


@app.command()
def assign(
    exception: Number,
    to: Annotated[str, typer.Argument(help="A person, or a role: portfolio manager, finance, compliance, operations.")],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Give it to somebody, or back to a role."""
    _assign(exception, to, dry_run=dry_run)


@app.command()
def comment(
    exception: Number,
    text: Annotated[str, typer.Argument(help="What you found; files and references, no debtor's values.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Note something beside it."""
    from infra import exceptions
    from infra.wiring import desk

    exceptions.comment(desk(), exception, text)
    show(exception)


@app.command()
def resolve(
    exception: Number,
    reason: Annotated[str, typer.Option("--reason", help="How it was resolved; no debtor's values.")],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say how it was resolved. What goes on opens another one only after it has ended."""
    from infra import exceptions
    from infra.wiring import desk

    if not dry_run:
        exceptions.resolve(desk(), exception, reason)
    show(exception)


def _assign(exception: int, to: str, *, dry_run: bool) -> None:
    from infra import exceptions
    from infra.wiring import desk

    if not dry_run:
        exceptions.assign(desk(), exception, to)
    show(exception)

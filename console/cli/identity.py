"""`consign identity`: whom an account belongs to, with a reason, within a limit; and who has asked."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit, say

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(
    who: Annotated[str, typer.Argument(help="An agency's pseudonym, or a lender's account number; - reads it.")],
    fields: Annotated[str, typer.Option(help="Which, comma-separated: name,phone …")],
    why: Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")],
    agency: Annotated[str | None, typer.Option(help="Whose pseudonym it is.")] = None,
    lender: Annotated[str | None, typer.Option(help="Whose account number it is.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Not masked.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show fields of an account's identity, masked unless --whole. Every question is counted, kept and audited."""
    import sys

    from infra import reidentification
    from infra.wiring import desk

    given = sys.stdin.readline().strip() if who == "-" else who
    names = [name.strip() for name in fields.split(",") if name.strip()]
    told = reidentification.show(desk(), given, names, why, agency=agency, lender=lender, whole=whole)
    emit(told, title="Identity")
    if not whole:
        say("masked; --whole shows all of it, and is recorded as such")


@app.command()
def asked(
    actor: Annotated[str | None, typer.Option(help="Only what this person asked.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List who asked to see identities, when and why; never what was shown."""
    from infra import reidentification
    from infra.wiring import desk

    emit(
        reidentification.asked(desk(), actor),
        title="Asked",
        columns=["reidentification_id", "asked_at", "actor", "outcome", "fields", "whole", "agency", "why"],
    )

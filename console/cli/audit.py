"""`consign audit`: what happened, and that nobody rewrote it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit
from models.errors import Findings

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Follow the whole chain of events, every signed head and every head that left in a manifest; offline."""
    from infra import audit
    from infra.wiring import desk

    at = desk()
    publics = at.keyring.audit_publics().values()
    with at.database.read() as connection:
        result = audit.verify(connection, publics)
    emit(result, title="Audit trail")
    if not result.ok:
        raise Findings(
            f"the audit trail is broken: {result.why}",
            fix="keep the database as it is, restore a backup beside it and compare from that event on",
        )


@app.command("list")
def list_events(
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    subject: Annotated[str | None, typer.Option(help="Only of this subject, as plan:7.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what happened last."""
    from infra.store import trail
    from infra.wiring import desk

    with desk().database.read() as connection:
        events = trail.latest(connection, rows, subject)
    emit(events, title="Events", columns=["seq", "at", "actor", "action", "subject", "details"])


@app.command()
def sign(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Sign the chain's present end, so that nothing before it can be rewritten unseen."""
    from infra import audit
    from infra.wiring import desk

    at = desk()
    with at.database.write() as connection:
        head = audit.sign_head(connection, at.keyring, at.now())
    emit({"head": head}, title="Signed")

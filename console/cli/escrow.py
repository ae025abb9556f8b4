"""`consign keys export` and `consign keys import`: the keyring leaves, and comes back, when two persons say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, say

leaving = typer.Typer(no_args_is_help=True, help="Let the whole keyring out, sealed to a holder; two persons decide.")
coming = typer.Typer(no_args_is_help=True, help="Take an escrow's keys in; two persons decide.")

Number = Annotated[int, typer.Argument(help="The request's number.")]
Why = Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")]


@leaving.command()
def ask(
    holder: Annotated[str, typer.Argument(help="Who is to hold it.")],
    recipient: Annotated[str, typer.Argument(help="That person's age recipient, age1…")],
    why: Why,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask that the keyring be let out to a holder; a second person approves it."""
    from infra import escrow
    from infra.wiring import desk

    made = escrow.ask_export(desk(), holder, recipient, why)
    emit({"escrow_id": made, "state": "waiting", "recipient": recipient.strip()}, title="Asked")
    say(f"a second person: `consign keys export approve {made} RECIPIENT`, as the holder reads it out")


@leaving.command("list")
@coming.command("list")
def list_requests(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List every request to let the keyring out or to take an escrow in."""
    from infra import escrow
    from infra.wiring import desk

    emit(
        escrow.listed(desk()),
        title="Escrows",
        columns=["escrow_id", "kind", "state", "holder", "asked_by", "approved_by", "until", "done_by", "why"],
    )


@leaving.command()
@coming.command()
def approve(
    escrow_id: Number,
    said: Annotated[str, typer.Argument(help="export: the recipient, as the holder reads it; import: the SHA-256.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Approve a request that somebody else made; it holds for `export_hours`, and for one use."""
    from infra import escrow
    from infra.wiring import desk

    row = escrow.approve(desk(), escrow_id, said)
    emit({"escrow_id": escrow_id, "state": row.state, "until": row.until}, title="Approved")


@leaving.command()
@coming.command()
def withdraw(escrow_id: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Withdraw a request that is not done."""
    from infra import escrow
    from infra.wiring import desk

    escrow.withdraw(desk(), escrow_id)
    emit({"escrow_id": escrow_id, "state": "withdrawn"}, title="Withdrawn")


@leaving.command()
def release(
    escrow_id: Number,
    out: Annotated[Path, typer.Argument(help="The file to write; there must be none.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write the keyring, sealed to the holder, to a file; once."""
    from infra import escrow
    from infra.wiring import desk

    digest = escrow.release(desk(), escrow_id, out)
    emit({"escrow_id": escrow_id, "file": str(out), "sha256": digest}, title="Let out")
    say("the holder's age key alone opens it; it opens every identity that is not erased: keep it apart from the store")


@coming.command("ask")
def ask_import(
    file: Annotated[Path, typer.Argument(help="The escrow, sealed.")],
    why: Why,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask that the keys of this file be taken in; a second person approves it."""
    from infra import escrow
    from infra.wiring import desk

    made = escrow.ask_import(desk(), file, why)
    emit({"escrow_id": made, "state": "waiting"}, title="Asked")
    say(f"a second person: `consign keys import approve {made} SHA256`, of the file (sha256sum)")


@coming.command()
def run(
    escrow_id: Number,
    file: Annotated[Path, typer.Argument(help="The escrow, sealed.")],
    identity: Annotated[Path, typer.Option(help="The holder's age key file.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take the keys in. What is there stays; what was destroyed stays destroyed; a missing keyring is made."""
    from infra import escrow
    from infra.wiring import desk

    added = escrow.restore(desk(), escrow_id, file, identity)
    emit({"escrow_id": escrow_id, "keys_added": added}, title="Taken in")

"""`consign audit`: what happened, that nobody rewrote it, and proofs of it for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, progress
from models.errors import Findings, UsageError

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(
    against: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="An opened package, its manifest, a proof, or a copy of a store; repeat."
        ),
    ] = None,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Only what came since it was last verified.", show_default=False)
    ] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Follow the whole chain and tree of events, every signed head and every head that left in a manifest; offline."""
    from infra import witnesses
    from infra.wiring import desk

    heads = [head for path in against or () for head in witnesses.heads_in(path)]
    with progress("reading the trail"):
        result = witnesses.verify(desk(), heads, new_only=new_only)
    emit(
        {
            "ok": result.ok, "events": result.events, "since": result.since, "heads": result.heads,
            "heads_sent": result.heads_sent, "witnesses": result.witnesses, "root": result.root,
            "first_bad_seq": result.first_bad_seq, "why": result.why,
        },
        title="Audit trail",
    )  # fmt: skip
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
def heads(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the signed heads."""
    from infra.store import trail
    from infra.wiring import desk

    with desk().database.read() as connection:
        signed = trail.heads(connection)
    emit(signed, title="Signed heads", columns=["seq", "signed_at", "root", "key_fingerprint"])


@app.command()
def sign(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Sign the chain's present end, so that nothing before it can be rewritten unseen."""
    from infra import audit
    from infra.wiring import desk

    at = desk()
    with at.database.write() as connection:
        head = audit.sign_head(connection, at.keyring, at.now())
        signed = audit.signed_head(connection)
    emit({"head": head, "root": signed["root"] if signed else None}, title="Signed")


@app.command()
def prove(
    event: Annotated[int, typer.Argument(min=1, help="The event's number, as `consign audit list` has it.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    head: Annotated[int | None, typer.Option(min=1, help="Under the signed head of this event.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write a proof that the event is in the trail; anybody can check it without the store."""
    from infra import proving
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        proof = proving.prove(connection, at.keyring.audit_publics().values(), event, head)
    _write(out, proof)
    emit({"event": event, "head": proof["head"]["seq"], "hashes": len(proof["path"]), "out": out}, title="Proved")


@app.command()
def consistency(
    old: Annotated[int, typer.Argument(min=1, help="The event of the older head, as `consign audit heads` has it.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    new: Annotated[int | None, typer.Option(min=1, help="The event of the newer head; else the newest.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write a proof that nothing before an older head was rewritten until a newer one."""
    from infra import proving
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        proof = proving.prove_consistency(connection, at.keyring.audit_publics().values(), old, new)
    _write(out, proof)
    emit({"from": old, "head": proof["head"]["seq"], "hashes": len(proof["path"]), "out": out}, title="Proved")


@app.command()
def check(
    proof: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `prove` or `consistency` wrote.")],
    key: Annotated[str, typer.Option(help="The signing key's fingerprint, as you know it from elsewhere.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Check a proof; neither store nor keyring is asked."""
    from infra import proving

    with proof.open("rb") as file:
        text = file.read(proving.LARGEST_BYTES + 1)
    emit(proving.check(text, key), title="The proof holds")


def _write(out: Path, proof: dict[str, object]) -> None:
    """The proof stands in a new file."""
    import json as jsonlib

    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(jsonlib.dumps(proof, ensure_ascii=False, indent=1) + "\n")
    except FileExistsError:
        raise UsageError(f"{out} is there already", fix="name another file") from None

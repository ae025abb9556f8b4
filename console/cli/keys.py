"""`consign keys`: what keys there are, and the next generation of one."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit

app = typer.Typer(no_args_is_help=True)


class Purpose(Enum):
    """The purposes whose keys can be renewed."""

    own = "own"
    pseudonym = "pseudonym"
    audit = "audit"
    ssh_client = "ssh_client"


@app.command("list")
def list_keys(
    purpose: Annotated[str | None, typer.Option(help="Only these: own, pseudonym, trusted, data, audit …")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every key by purpose, owner and generation, with its fingerprint and the days it has left; no secrets."""
    from infra.wiring import desk

    at = desk()
    inventory = [line for line in at.keyring.inventory(at.now()) if purpose in {None, line["purpose"]}]
    emit(
        inventory,
        title="Keys",
        columns=["purpose", "owner", "suite", "generation", "state", "days_left", "expires", "fingerprint"],
    )


@app.command()
def rotate(
    purpose: Annotated[Purpose, typer.Argument(help="Which kind of key.")],
    owner: Annotated[
        str, typer.Argument(help="The suite (own), the agency (pseudonym), the name (ssh_client, audit).")
    ],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make the next generation of a key. Older ones go on opening and verifying until they are revoked."""
    from infra import audit
    from infra.wiring import desk

    at = desk()
    if dry_run:
        lines = at.keyring.inventory(at.now())
        emit(
            [line for line in lines if (line["purpose"], line["owner"]) == (purpose.value, owner)],
            title="Would be renewed",
        )
        return
    line = at.keyring.rotate(purpose.value, owner, at.now(), valid_days=at.settings.own_key_days)
    with at.database.write() as connection:
        audit.record(
            connection,
            at.actor,
            "key.rotated",
            f"{purpose.value}:{owner}",
            {"generation": str(line["generation"]), "fingerprint": str(line["fingerprint"])},
            at.now(),
        )
    emit(line, title="New key")


@app.command()
def public(
    suite: Annotated[str, typer.Argument(help="age or openpgp.")] = "age",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show our public keys, for agencies to seal to and to verify with."""
    from infra.wiring import desk

    at = desk()
    emit(at.keyring.public_keys(suite, at.now()), title=f"Our {suite} keys")

"""`consign backup`: the store as sealed files, each with a key of its own; the keyring's one copy apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, confirmed, emit, progress, say

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The backup's name, as `consign backup list` has it.")]
COLUMNS = ["name", "made_at", "made_by", "kind", "size", "schema", "destroyed_keys"]


@app.command()
def make(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Make a backup of the store, sealed, and a fresh copy of the keyring, apart."""
    from infra import backups, keycopies
    from infra.wiring import desk

    at = desk()
    with progress("copying the store", total=1.0) as bar:
        made = backups.make(at, lambda share: bar.update(done=share))
    emit(made, title="Backed up")
    say(f"the backup: {at.settings.backups_path}; the keyring's copy: {keycopies.copy_path(at)}")
    say("keep the two apart, and the root key apart from both")


@app.command("list")
def list_backups(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the backups, the newest first."""
    from infra import backups
    from infra.wiring import desk

    emit(backups.listed(desk()), title="Backups", columns=COLUMNS)


@app.command()
def check(name: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Open a backup, compare it with its manifest, look through its pages and its audit trail."""
    from infra import backups
    from infra.wiring import desk
    from models.errors import Findings

    with progress("opening the backup"):
        result = backups.check(desk(), name)
    emit(result, title="Backup")
    if not result.ok:
        raise Findings(f"backup {name} is not sound: {result.why}", fix="make another one, and check older ones")


@app.command()
def restore(
    name: Name,
    to: Annotated[str, typer.Option(help="A new SQLite file, or the SQLAlchemy URL of an empty database.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make a store of a backup, where there is none; who was erased since is forgotten again."""
    from infra import backups
    from infra.wiring import desk

    url = to if "://" in to else f"sqlite:///{Path(to).resolve()}"
    with progress("restoring"):
        done = backups.restore(desk(), name, url)
    emit(done, title="Restored")
    say("name it in the settings (`database`) to work with it; `consign audit verify` and `consign doctor` come first")
    if done.lost:
        say(f"{done.lost} accounts wait for the lender's next snapshot: their identities went with keys that are gone")


@app.command()
def remove(
    name: Name,
    why: Annotated[str, typer.Option(help="The reason, in up to 200 ASCII characters; it stays on record.")],
    yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Remove a backup, but the newest, and destroy its key: no copy of it opens any more, wherever it is."""
    from infra import backups
    from infra.wiring import desk

    if not confirmed(f"Remove backup {name}, and make every copy of it unreadable?", yes=yes):
        raise typer.Exit(1)
    backups.remove_by_hand(desk(), name, why)
    emit({"name": name, "removed": True}, title="Removed")

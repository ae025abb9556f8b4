"""`consign keys root`: who keeps the root key of the keyring, and moving it to another keeper."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, say
from models.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Who keeps the root key of the keyring; move it to another keeper.")


class Keeper(Enum):
    """Who can keep a root key, as the setting `root_key` names it."""

    file = "file"
    passphrase = "passphrase"  # noqa: S105 - a word, not one
    keyring = "keyring"
    vault = "vault"
    aws_kms = "aws-kms"


@app.command()
def show(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show who keeps the root key; it was had, or this would fail. No secret is shown."""
    from infra.rootkeys import keeper_of
    from infra.wiring import desk

    at = desk()
    header = at.keyring.root_header
    emit({"keeper": keeper_of(at.settings), "keyring": str(at.keyring.path), **header}, title="Root key")


@app.command()
def move(
    to: Annotated[Keeper, typer.Argument(help="Who keeps it from now on; the settings say how it is reached.")],
    key_file: Annotated[Path | None, typer.Option(help="file: this new file, else the setting's.")] = None,
    ask_passphrase: Annotated[
        bool, typer.Option("--ask-passphrase", help="passphrase: asked for twice, else CONSIGN_PASSPHRASE.")
    ] = False,
    passphrase_file: Annotated[Path | None, typer.Option(help="passphrase: the first line of this file.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Seal the keyring under a new root key that another keeper keeps; no other key changes.

    Killed at any moment, it leaves a keyring that opens by the old keeper or by the new one: run it again.
    --dry-run asks the new keeper for a root key, tries it and throws it away.
    """
    from infra import audit, keycopies
    from infra.rootkeys import root_of
    from infra.wiring import desk

    at = desk()
    if to is not Keeper.file and key_file is not None:
        raise UsageError(f"{to.value} takes no key file", fix="leave --key-file out")
    if to is not Keeper.passphrase and (ask_passphrase or passphrase_file is not None):
        raise UsageError(f"{to.value} takes no passphrase", fix="leave the passphrase out")
    root = root_of(
        at.settings, to.value, key_file=key_file, passphrase=passphrase_given(ask=ask_passphrase, file=passphrase_file)
    )
    before = str(at.keyring.root_header["kind"])
    if dry_run:
        header = at.keyring.try_root(root)
        emit({"from": before, "to": to.value, **header}, title="Would be moved")
        return
    keycopies.rewrap(at, root)
    with at.database.write() as connection:
        audit.record(
            connection, at.actor, "key.rotated", "root", {"method": root.kind, "from": before}, at.now()
        )  # fmt: skip
    told: dict[str, Any] = {"from": before, "to": to.value, **at.keyring.root_header}
    emit(told, title="Moved")
    say(f'set root_key = "{to.value}"; programs that run must be started anew with it')
    if key_file is not None and key_file.absolute() != at.settings.key_file_path.absolute():
        say(f"set CONSIGN_KEY_FILE={key_file}")
    if before == "key_file":
        say("the old key file opens older backups: destroy it, or keep it with them, apart from the keyring")
    say("make a new backup of the keyring: older backups open with the old root key alone")


def passphrase_given(*, ask: bool, file: Path | None) -> str | None:
    """The new passphrase, asked for or read; None where neither was said."""
    if ask:
        return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if file is None:
        return None
    if not file.is_file():
        message = f"no file {file}"
        raise UsageError(message, fix="name the file that holds the new passphrase, in its first line")
    return file.read_text(encoding="utf-8").partition("\n")[0]

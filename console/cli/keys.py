"""`consign keys`: what keys there are, the next generation of one, and how agencies hear of ours."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli import escrow, root_key
from console.cli.instants import instant
from console.cli.output import DryRun, Json, emit, say
from models.errors import UsageError

if TYPE_CHECKING:
    from infra.wiring import Desk

app = typer.Typer(no_args_is_help=True)
app.add_typer(root_key.app, name="root")
app.add_typer(escrow.leaving, name="export")
app.add_typer(escrow.coming, name="import")


class Purpose(Enum):
    """The purposes whose keys can be renewed."""

    own = "own"
    pseudonym = "pseudonym"
    audit = "audit"
    ssh_client = "ssh_client"
    root = "root"


Suite = Annotated[str, typer.Argument(help="age or openpgp.")]
Lender = Annotated[
    str, typer.Option(help="The pair of this lender alone, where several share this installation.", show_default=False)
]


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
        columns=["purpose", "owner", "suite", "generation", "state", "days_left", "begins", "expires", "fingerprint"],
    )


@app.command()
def ending(
    days: Annotated[int | None, typer.Option(min=0, help="Within so many days; else as the setting says.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what ends soon with nothing after it: our keys, the agencies', their servers' host keys, our client keys."""
    from infra import expiry
    from infra.wiring import desk

    found = [vars(one) for one in expiry.endings(desk(), days)]
    emit(found, title="Ends soon", columns=["what", "agency", "ends", "days_left", "why", "fingerprint", "fix"])


@app.command()
def rotate(
    purpose: Annotated[Purpose, typer.Argument(help="Which kind of key.")],
    owner: Annotated[
        str,
        typer.Argument(help="The suite, or suite:lender (own); the agency (pseudonym); the name (ssh_client, audit)."),
    ] = "",
    begins: Annotated[
        str | None,
        typer.Option("--from", help="own: from when it signs: 2026-12-01, with time and offset, or now."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="own, ssh_client: how long it is valid.")] = None,
    old_until: Annotated[str | None, typer.Option(help="own: when those before it end at the latest.")] = None,
    announce: Annotated[bool, typer.Option(help="own: send every agency its public half.")] = True,
    key_file: Annotated[Path | None, typer.Option(help="root: keep the new root key in this new file.")] = None,
    ask_passphrase: Annotated[
        bool, typer.Option("--ask-passphrase", help="root: open by a new passphrase, asked for twice.")
    ] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="root: open by the passphrase in this file's first line.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make the next generation of a key. Older ones go on opening and verifying until they end or are revoked.

    A pair of our own signs from --from on, else after the overlap that the setting says; until then the old one signs,
    and agencies hear of the new one. `root` seals the keyring anew; no other key changes.
    """
    from infra.wiring import desk

    at = desk()
    if purpose is not Purpose.root and not owner:
        message = f"whose {purpose.value} key?"
        raise UsageError(message, fix=f"`consign keys rotate {purpose.value} OWNER`; `consign keys list` names them")
    if dry_run:
        lines = at.keyring.inventory(at.now())
        emit(
            [line for line in lines if (line["purpose"], line["owner"]) == (purpose.value, owner)],
            title="Would be renewed",
        )
    elif purpose is Purpose.root:
        emit(
            _root(at, key_file, root_key.passphrase_given(ask=ask_passphrase, file=passphrase_file)),
            title="New root key",
        )
        say("make a new backup of the keyring and of what opens it, apart: older backups open with the old one alone")
    elif purpose is Purpose.own:
        _own(at, owner, begins, days, old_until, announce=announce)
    else:
        emit(_next(at, purpose.value, owner, days), title="New key")


def _own(at: Desk, owner: str, begins: str | None, days: int | None, old_until: str | None, *, announce: bool) -> None:
    from infra import rotation

    suite, _, lender = owner.partition(":")
    made = rotation.rotate_own(
        at,
        suite,
        lender=lender,
        begins=at.now() if begins == "now" else instant(begins, "--from"),
        days=days,
        older_until=instant(old_until, "--old-until"),
        announce=announce,
    )
    emit({"purpose": "own", **vars(made)}, title="New key")
    if made.announced_to:
        say(f"{len(made.announced_to)} agencies hear of it with `consign deliver`; they read back its fingerprint")
    elif made.begins <= at.now():
        say("it signs from now on: agencies that do not have it refuse what we send (docs/how-to/rotate-keys.md)")


def _next(at: Desk, purpose: Any, owner: str, days: int | None) -> dict[str, Any]:
    from infra import audit

    line = at.keyring.rotate(purpose, owner, at.now(), valid_days=days or at.settings.credential_days)
    with at.database.write() as connection:
        audit.record(
            connection,
            at.actor,
            "key.rotated",
            f"{purpose}:{owner}",
            {"generation": str(line["generation"]), "fingerprint": str(line["fingerprint"])},
            at.now(),
        )
    return line


def _root(at: Desk, key_file: Path | None, passphrase: str | None) -> dict[str, Any]:
    """The keyring is sealed under a new root key: of the keeper there is, in the file named, or from the passphrase."""
    from infra import audit, keycopies
    from infra.rootkeys import keeper_of, root_of
    from keys.roots.keyfile import KeyFile

    keeper = "file" if key_file is not None else "passphrase" if passphrase is not None else keeper_of(at.settings)
    if key_file is not None and passphrase is not None:
        raise UsageError("a key file or a passphrase, not both", fix="leave one out")
    if keeper == "passphrase" and passphrase is None:
        raise UsageError(
            "the keyring opens with a passphrase: say what it is to open with from now on",
            fix="--ask-passphrase, --passphrase-file, or --key-file for a new key file",
        )
    root = root_of(at.settings, keeper, key_file=key_file, passphrase=passphrase)
    keycopies.rewrap(at, root)
    with at.database.write() as connection:
        audit.record(connection, at.actor, "key.rotated", "root", {"method": root.kind}, at.now())
    made: dict[str, Any] = {"purpose": "root", "keyring": str(at.keyring.path), "opened_by": root.said}
    if keeper == "passphrase":
        say(
            "CONSIGN_PASSPHRASE must give the new one from now on; the old key file, if there was one, can be destroyed"
        )
    elif isinstance(root, KeyFile):
        made["key_file"] = str(root.path)
        if root.path.absolute() != at.settings.key_file_path.absolute() or keeper_of(at.settings) != "file":
            say(f'set CONSIGN_KEY_FILE={root.path} and root_key = "file", and CONSIGN_PASSPHRASE no more')
    return made


@app.command()
def announce(
    suite: Suite,
    generation: Annotated[str | None, typer.Argument(help="Which of our pairs; else the newest.")] = None,
    lender: Lender = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Write the files to hand over, signed with the key before, into this folder."),
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Tell agencies of a key of ours before it signs: by their drops, or by files to hand over (--out)."""
    from infra import rotation
    from infra.wiring import desk
    from keys.keyring import owner_of

    at = desk()
    if generation is None:
        known = [one for one in at.keyring.entries() if (one.purpose, one.owner) == ("own", owner_of(suite, lender))]
        if not known:
            message = f"there is no own {owner_of(suite, lender)} key"
            raise UsageError(message, fix=f"`consign keys rotate own {owner_of(suite, lender)}` makes one")
        generation = known[-1].generation
    if out is not None:
        written = rotation.write_announcement(at, suite, generation, out, lender=lender)
        emit({"generation": generation, "files": [str(path) for path in written]}, title="To be handed over")
        return
    told = rotation.announce_own(at, suite, generation, lender=lender)
    emit({"generation": generation, "announced_to": list(told)}, title="Announced")


@app.command()
def revoke(
    suite: Annotated[str, typer.Argument(help="age or openpgp, or suite:lender.")],
    generation: Annotated[str, typer.Argument(help="Which of our pairs, as `list` numbers them.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Revoke a pair of our own, at once: it neither signs nor opens; for theirs, `consign agency keys revoke`."""
    from infra import rotation
    from infra.wiring import desk

    rotation.revoke_own(desk(), suite, generation)
    emit({"purpose": "own", "owner": suite, "generation": generation, "state": "revoked"}, title="Revoked")
    say("telephone every agency that seals this way: it must not accept what this key signs")


@app.command()
def public(
    suite: Suite = "age",
    lender: Lender = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show our public keys, for agencies to seal to and to verify with."""
    from infra.wiring import desk

    at = desk()
    emit(at.keyring.public_keys(suite, at.now(), lender), title=f"Our {suite} keys")

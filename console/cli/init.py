"""`consign init`: home, store, keyring and own keys; what is there already stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

if TYPE_CHECKING:
    from infra.wiring import Desk
    from keys.keyring import Keyring

app = typer.Typer()

SUITES = ("age", "openpgp")


@dataclass(frozen=True)
class Made:
    """What `init` found or made."""

    home: Path
    database: str
    schema: str
    keyring: Path
    opened_by: str
    own_keys: dict[str, str]
    made: list[str]


@app.command()
def init(
    ask: Annotated[
        bool, typer.Option("--passphrase", help="Protect the keyring by a passphrase, not a key file.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make what Consign needs: its home, the store's tables, a keyring and our own keys. Safe to repeat."""
    from infra import policies, roles
    from infra.rootkeys import keeper_of
    from infra.store import schema
    from infra.wiring import desk

    at = desk()
    settings = at.settings
    made = [] if settings.home.is_dir() else ["home"]
    version = None if made and at.database.is_sqlite else _version(at)
    if version != schema.head():
        made.append("store")
    keeper = "passphrase" if ask else keeper_of(settings)
    if not settings.keyring_path.exists():
        made.append("keyring")
    if not dry_run:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        schema.ensure(at.database)
        policies.keep_shipped(at)
        keyring = _keyring(at, ask=ask)
        suites = _own_keys(at, keyring)
        made += [f"own {suite} key" for suite in suites]
        if roles.first_administrator(at):
            made.append(f"administrator {at.actor}")
        own = {suite: keys[0].fingerprint for suite in SUITES if (keys := keyring.own_keys(suite))}
    else:
        own = {}
        made += [f"own {suite} key" for suite in SUITES] if "keyring" in made else []
        made += [f"administrator {at.actor}"] if "store" in made else []
    emit(
        Made(
            home=settings.home.resolve(),
            database=at.database.url.render_as_string(hide_password=True),
            schema=schema.head(),
            keyring=settings.keyring_path.resolve(),
            opened_by={"file": "key file"}.get(keeper, keeper),
            own_keys=own,
            made=made,
        ),
        title="Would be made" if dry_run else "Ready",
    )
    if not dry_run and f"administrator {at.actor}" in made:
        say(f"{at.actor} is administrator, and gives the others their roles: `consign role grant WHO ROLE`")
        say(f"For the console in the browser: `consign people add {at.actor}`, then `consign up`")
    if not dry_run and "keyring" in made:
        _say_what_to_keep(settings.key_file_path, keeper)


def _version(at: Desk) -> str | None:
    from infra.store import schema

    if at.database.is_sqlite and not Path(at.database.url.database or "").exists():
        return None
    return schema.current(at.database)


def _keyring(at: Desk, *, ask: bool) -> Keyring:
    """The keyring, made if there is none: a passphrase is asked for twice, or taken from CONSIGN_PASSPHRASE."""
    from infra.rootkeys import root_of
    from keys.keyring import Keyring

    settings = at.settings
    given = settings.passphrase.get_secret_value() if settings.passphrase else None
    if settings.keyring_path.exists():
        if ask and given is None:
            return Keyring.open(settings.keyring_path, passphrase=typer.prompt("Passphrase", hide_input=True, err=True))
        return at.keyring
    settings.keyring_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if ask and given is None:
        given = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    root = root_of(settings, "passphrase" if ask else None, passphrase=given)
    return Keyring.create(settings.keyring_path, root=root)


def _own_keys(at: Desk, keyring: Keyring) -> list[str]:
    """The suites for which a key was made now: every suite whose program is there and that has none."""
    from keys.errors import ProgramMissing

    made = []
    for suite in SUITES:
        if keyring.own_keys(suite):
            continue
        try:
            keyring.new_own_keys(suite, at.now(), at.settings.own_key_days)
        except ProgramMissing as error:
            say(f"No {suite} key: {error}")
        else:
            made.append(suite)
    keyring.audit_signer(at.now())
    return made


def _say_what_to_keep(key_file: Path, keeper: str) -> None:
    if keeper == "passphrase":
        say("Nobody can recover the passphrase; CONSIGN_PASSPHRASE gives it to later commands.")
    elif keeper != "file":
        say("If the keeper of the root key is lost, so is the keyring: keep an escrow of it.")
    else:
        say(f"{key_file} opens the keyring: keep a copy apart from the database and from its backups.")

"""`consign agency`: add an agency, exchange keys, pin its host, agree a contract, let it work."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.agency_trust import From, OldUntil, Until, credential, host_key
from console.cli.certify import app as certify
from console.cli.instants import instant
from console.cli.output import Json, emit, say
from models.errors import UsageError

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help="Public keys, ours and the agency's.")
app.add_typer(keys, name="keys")
app.add_typer(certify, name="certify")
app.add_typer(host_key, name="host-key")
app.add_typer(credential, name="credential")

Code = Annotated[str, typer.Argument(help="The agency's code.")]


@app.command()
def add(
    code: Code,
    name: Annotated[str, typer.Option(help="Its name, as on the contract.")],
    suite: Annotated[str, typer.Option(help="How files are sealed: age or openpgp.")] = "age",
    channels: Annotated[str, typer.Option(help="Its mandate, comma-separated.")] = "phone,sms",
    capacity: Annotated[int | None, typer.Option(help="The most accounts it can hold.")] = None,
    remits: Annotated[str, typer.Option(help="gross, or net of commission and VAT.")] = "gross",
    term_days: Annotated[int, typer.Option(help="Days an account stays with it.")] = 180,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Add an agency as a prospect, with a pseudonym key and an SSH client key of its own."""
    from infra import onboarding
    from infra.wiring import desk

    new = onboarding.add(
        desk(),
        code,
        name,
        suite=suite,
        channels=channels,
        capacity_accounts=capacity,
        remits=remits,
        term_days=term_days,
    )
    emit(
        {"agency": code, "added": new, "ssh_client_key": desk().keyring.ssh_client_public(code, desk().now())},
        title="Agency",
    )
    say(
        "next: `consign agency drop`, `consign agency keys trust`, `consign agency contract`, "
        "then `consign agency state`"
    )


@app.command(name="list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List every agency with its state, suite, mandate and accounts held, and what it is certified to until when."""
    import pandas as pd
    from sqlalchemy import func, select

    from infra import breaker, certificates
    from infra.store import bulk, exchange
    from infra.wiring import desk

    held = (
        select(exchange.PLACEMENTS.c.agency, func.count().label("accounts"))
        .where(exchange.PLACEMENTS.c.state.in_(exchange.AT_AGENCY))
        .group_by(exchange.PLACEMENTS.c.agency)
        .subquery()
    )
    table = exchange.AGENCIES
    with desk().database.read() as connection:
        rows = bulk.read(
            connection,
            select(
                table.c.agency, table.c.name, table.c.state, table.c.suite, table.c.layout, table.c.channels,
                table.c.remits,
                table.c.capacity_accounts, func.coalesce(held.c.accounts, 0).label("accounts_held"),
            )
            .outerjoin(held, held.c.agency == table.c.agency)
            .order_by(table.c.agency),
        )  # fmt: skip
        standing = certificates.standings(connection, desk(), list(rows["agency"]))
        servers = {row["agency"]: row["state"] for row in breaker.circuits(connection)}
    found = [standing[code] for code in rows["agency"]]
    emit(
        rows.assign(
            certificate=[one.state for one in found],
            certified_to=pd.Series([one.level for one in found], dtype="object"),
            certified_until=pd.Series([one.valid_until for one in found], dtype="object"),
            circuit=rows["agency"].map(servers),
            layout=rows["layout"].str.replace("#.*", "", regex=True),  # its hash is in `consign layout list`
        ),
        title="Agencies",
    )


@app.command()
def circuit(
    code: Annotated[str | None, typer.Argument(help="Only this agency; default all.")] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Close it: the server is asked at the next run.", show_default=False)
    ] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show which servers are left in peace because they do not answer, and until when; close one."""
    from infra import breaker
    from infra.store import exchange
    from infra.wiring import desk

    with desk().database.read() as connection:
        if code is not None:
            exchange.agency(connection, code)
    if reset:
        if code is None:
            message = "--reset needs an agency"
            raise UsageError(message, fix="name the one whose server is to be asked again")
        breaker.reset(desk(), code)
    with desk().database.read() as connection:
        emit(breaker.circuits(connection, code), title="Circuits")


@app.command()
def drop(
    code: Code,
    kind: Annotated[str, typer.Option(help="sftp or folder.")] = "sftp",
    host: Annotated[str, typer.Option(help="SFTP: host name or address.")] = "",
    port: Annotated[int, typer.Option(help="SFTP: port.")] = 22,
    username: Annotated[str, typer.Option(help="SFTP: user name.")] = "",
    host_key: Annotated[
        list[str] | None,
        typer.Option(help='SFTP: pinned key, "ssh-ed25519 AAAA…"; without, those stay that `host-key list` shows.'),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder: its root.")] = None,
    to_agency: Annotated[str, typer.Option(help="Directory for files to the agency.")] = "to_agency",
    from_agency: Annotated[str, typer.Option(help="Directory of files from the agency.")] = "from_agency",
    limit: Annotated[
        list[str] | None, typer.Option(help="A limit of its own, as stall_timeout=120; repeat for more.")
    ] = None,
    renames: Annotated[
        bool, typer.Option(help="Whether the server can rename; without, files are collected where they lie.")
    ] = True,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say how the agency is reached; an SFTP host's key is pinned here, never trusted on first use."""
    from infra import onboarding
    from infra.wiring import desk

    settings = onboarding.reach(
        desk(), code, kind, host=host, port=port, username=username, host_keys=host_key or (), root=root,
        to_agency=to_agency, from_agency=from_agency, stated=limit or (), renames=renames,
    )  # fmt: skip
    emit({"agency": code, **{name: value for name, value in settings.items() if name != "host_keys"}}, title="Drop")


@app.command()
def probe(
    code: Code,
    kept: Annotated[
        bool, typer.Option("--kept", help="What was found the last time, without asking the server.")
    ] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Reach the agency's drop, try out what it can do, keep that, and say what changed since the last time."""
    from infra import probes
    from infra.wiring import desk

    found = probes.kept(desk(), code) if kept else probes.probe(desk(), code)
    changed = {name: {"before": before, "now": now} for name, (before, now) in found.changed.items()}
    emit(
        {"agency": code, "probed_at": found.probed_at, **found.can, "changed": changed, "notes": list(found.notes)},
        title=f"Drop of {code}",
    )
    for name, (before, now) in found.changed.items():
        say(f"changed since the last time: {name}, from {before} to {now}")
    for note in found.notes:
        say(f"note: {note}")


@keys.command()
def ours(
    suite: Annotated[str, typer.Argument(help="age or openpgp.")] = "age",
    out: Annotated[
        Path | None, typer.Option(help="Write the files to give to an agency into this folder.", show_default=False)
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show our public keys, to give to an agency (docs/how-to/for-agencies.md says what it does with them)."""
    from infra.wiring import desk

    public = desk().keyring.public_keys(suite, desk().now())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        given = {"age": "encrypt", "allowed_signers": "allowed_signers"} if suite == "age" else {"asc": "encrypt"}
        for ending, half in given.items():
            (out / f"lender.{ending}").write_text(public[half].rstrip() + "\n", encoding="ascii")
    emit(public, title=f"Our {suite} keys")


@keys.command()
def trust(
    code: Code,
    encrypt: Annotated[
        Path, typer.Option(help="File with the key we encrypt to (age recipient, or armored OpenPGP key).")
    ],
    verify: Annotated[
        Path, typer.Option(help="File with the key it signs with (OpenSSH line, or the same OpenPGP key).")
    ],
    begins: From = None,
    until: Until = None,
    old_until: OldUntil = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Pin the agency's public keys beside those before; compare the fingerprints with the agency first.

    Between --from and --old-until both count. Those of a live agency wait for a second person's approval.
    """
    from infra import rotation
    from infra.wiring import desk

    for path in (encrypt, verify):
        if not path.is_file():
            message = f"no file {path}"
            raise UsageError(message, fix="save the agency's public key in a file and name it")
    trusted = rotation.trust(
        desk(), code, encrypt.read_text(), verify.read_text(), begins=instant(begins, "--from"),
        ends=instant(until, "--until"), others_until=instant(old_until, "--old-until"),
    )  # fmt: skip
    emit(vars(trusted), title=f"Keys of {code}")
    if trusted.request_id is not None:
        say(
            f"a second person telephones {code}, and gives what it reads out: "
            f"`consign agency keys approve {code} {trusted.request_id} --encrypt … --verify …`"
        )


@keys.command(name="list")
def list_keys(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the agency's sealing keys: pinned, waiting for approval, ended, revoked."""
    from infra import rotation
    from infra.wiring import desk

    emit(rotation.listed(desk(), code), title=f"Keys of {code}")


@keys.command()
def approve(
    code: Code,
    request: Annotated[int, typer.Argument(help="The request's number, as `list` shows it.")],
    encrypt: Annotated[str, typer.Option(help="Fingerprint of the key we encrypt to, as the agency read it out.")],
    verify: Annotated[str, typer.Option(help="Fingerprint of the key it signs with, as the agency read it out.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Approve keys that another person handed in: give the fingerprints that the agency read out to you."""
    from infra import rotation
    from infra.wiring import desk

    emit(vars(rotation.approve(desk(), code, request, encrypt=encrypt, verify=verify)), title=f"Keys of {code}")


@keys.command()
def withdraw(
    code: Code,
    request: Annotated[int, typer.Argument(help="The request's number, as `list` shows it.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Withdraw keys that wait for approval; nothing was pinned."""
    from infra import rotation
    from infra.wiring import desk

    rotation.withdraw(desk(), code, request)
    emit({"agency": code, "request_id": request, "state": "withdrawn"}, title=f"Keys of {code}")


@keys.command()
def revoke(
    code: Code,
    generation: Annotated[str, typer.Argument(help="Which one, as `list` numbers them.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Revoke a key of the agency's, at once: nothing is sealed to it, nothing it signed is opened."""
    from infra import rotation
    from infra.wiring import desk

    rotation.revoke(desk(), code, generation)
    emit({"agency": code, "generation": generation, "state": "revoked"}, title=f"Keys of {code}")


@app.command()
def contract(
    code: Code,
    lender: Annotated[str, typer.Option(help="The lender's code.")],
    terms: Annotated[Path, typer.Option(help="The terms, a TOML file (docs/reference/contracts.md).")],
    effective_from: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day in force.")],
    share: Annotated[float | None, typer.Option(min=0, max=1, help="Target share of new placements.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a contract in force from a day on; what was agreed before stays on the books."""
    from infra import onboarding
    from infra.wiring import desk

    if not terms.is_file():
        message = f"no file {terms}"
        raise UsageError(message, fix="name the TOML file with the terms")
    new = onboarding.contract(desk(), code, lender, terms.read_text(), effective_from.date(), share)
    emit({"agency": code, "lender": lender, "effective_from": effective_from.date(), "new": new}, title="Contract")


@app.command()
def layout(
    code: Code,
    profile: Annotated[str, typer.Argument(help="A layout by name or as a .toml file; `package` for packages again.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Agree on the layout of the agency's files; what was prepared before keeps its own."""
    from infra import layouts
    from infra.wiring import desk

    chosen = layouts.agree(desk(), code, profile)
    emit({"agency": code, "layout": chosen}, title="Layout")
    say("next: let the agency run `consign file check --layout` on a file of each kind, before the first real one")


@app.command()
def state(
    code: Code,
    to: Annotated[str, typer.Argument(help="certified, live, suspended or closed.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Move the agency on in its life: prospect → certified → live ⇄ suspended → closed."""
    from infra import onboarding
    from infra.wiring import desk

    onboarding.become(desk(), code, to)
    emit({"agency": code, "state": to}, title="Agency")


@app.command()
def kit(
    code: Code,
    out: Annotated[Path, typer.Option(help="The folder to write; give the agency all of it.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write what a new agency needs: guide, scripts, our keys, its settings, schemas, good and bad examples."""
    from infra import agencykit
    from infra.wiring import desk

    emit(agencykit.write(desk(), code, out), title=f"Kit for {code}")
    say("send it by a channel of its own; the fingerprints are compared by telephone all the same")

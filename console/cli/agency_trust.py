"""`consign agency host-key` and `consign agency credential`: what we pin of an agency's server, what it knows us by."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.instants import instant
from console.cli.output import DryRun, Json, emit, say

host_key = typer.Typer(no_args_is_help=True, help="The host keys pinned for the agency's server.")
credential = typer.Typer(no_args_is_help=True, help="Our SSH client keys at the agency's server.")

Code = Annotated[str, typer.Argument(help="The agency's code.")]
From = Annotated[str | None, typer.Option("--from", help="From when it counts: 2026-12-01, or with time and offset.")]
Until = Annotated[str | None, typer.Option(help="Until when it counts, likewise.", show_default=False)]
OldUntil = Annotated[
    str | None, typer.Option(help="When those before it end at the latest, likewise.", show_default=False)
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Even if nothing can be delivered then.", show_default=False)]
Fingerprint = Annotated[str, typer.Argument(help="SHA256:…, as `ssh-keygen -l` prints it.")]

HOST_KEYS = ["fingerprint", "type", "state", "begins", "ends", "days_left", "added_by", "approved_by", "shown"]
CREDENTIALS = ["generation", "fingerprint", "state", "begins", "ends", "days_left", "accepted", "refused"]


@host_key.command(name="list")
def list_host_keys(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List every host key that is pinned, waits, or was retired, and when the server last showed it."""
    from infra import hostkeys
    from infra.wiring import desk

    emit(hostkeys.listed(desk(), code), title=f"Host keys of {code}", columns=HOST_KEYS)


@host_key.command()
def scan(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what the agency's server presents now, beside what is pinned. Trusts nothing."""
    from infra import hostkeys
    from infra.wiring import desk

    found = hostkeys.scanned(desk(), code)
    emit(
        found,
        title=f"Host keys of {code}, as its server shows them",
        columns=["fingerprint", "type", "shown", "pinned"],
    )
    if any(one["shown"] and one["pinned"] is None for one in found):
        say("a key that is not pinned: ask the agency by telephone, then `consign agency host-key add`")


@host_key.command(name="add")
def add_host_key(
    code: Code,
    line: Annotated[str, typer.Argument(help='The key as the agency gave it: "ssh-ed25519 AAAA…".')],
    begins: From = None,
    until: Until = None,
    old_until: OldUntil = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Pin another host key. Between --from and --old-until both are accepted; a live agency's waits for approval."""
    from infra import hostkeys
    from infra.wiring import desk

    state = hostkeys.add(
        desk(), code, line, begins=instant(begins, "--from"), ends=instant(until, "--until"),
        others_until=instant(old_until, "--old-until"),
    )  # fmt: skip
    emit({"agency": code, "fingerprint": hostkeys.fingerprint_of(line), "state": state}, title="Host key")
    if state == "waiting":
        say(f"a second person compares the fingerprint with {code}, then `consign agency host-key approve`")


@host_key.command(name="approve")
def approve_host_key(code: Code, fingerprint: Fingerprint, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve a host key that another person asked for: give the fingerprint that the agency read out to you."""
    from infra import hostkeys
    from infra.wiring import desk

    hostkeys.approve(desk(), code, fingerprint)
    emit({"agency": code, "fingerprint": fingerprint, "state": "pinned"}, title="Host key")


@host_key.command(name="retire")
def retire_host_key(
    code: Code,
    fingerprint: Fingerprint,
    at: Annotated[str | None, typer.Option(help="From when on it is refused; else now.", show_default=False)] = None,
    anyway: Anyway = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Accept a host key no more, from now on or from a day on."""
    from infra import hostkeys
    from infra.wiring import desk

    when = instant(at, "--at")
    state = hostkeys.retire(desk(), code, fingerprint, at=when, anyway=anyway)
    emit({"agency": code, "fingerprint": fingerprint, "state": state, "ends": when or desk().now()}, title="Host key")


@credential.command(name="list")
def list_credentials(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List our client keys, with the line of each, and which the server last took or refused."""
    from infra import credentials
    from infra.wiring import desk

    emit([vars(one) for one in credentials.listed(desk(), code)], title=f"Our keys at {code}", columns=CREDENTIALS)


@credential.command(name="rotate")
def rotate_credential(
    code: Code,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make a new client key beside the old one, and print the line for the agency's authorized_keys."""
    from infra import credentials
    from infra.wiring import desk

    if dry_run:
        emit([vars(one) for one in credentials.listed(desk(), code)], title="Would be renewed", columns=CREDENTIALS)
        return
    made = credentials.rotate(desk(), code)
    emit(vars(made), title="New client key")
    say(f"{code} adds the line to authorized_keys beside the old one; then `consign agency credential confirm {code}`")


@credential.command(name="confirm")
def confirm_credential(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Log in with the newest client key alone, and note that the agency's server takes it."""
    from infra import credentials
    from infra.wiring import desk

    emit(vars(credentials.confirm(desk(), code)), title="Confirmed")
    say(f"now the old one can go: `consign agency credential retire {code} GENERATION`")


@credential.command(name="retire")
def retire_credential(
    code: Code,
    generation: Annotated[str, typer.Argument(help="Which one, as `list` numbers them.")],
    anyway: Anyway = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Offer a client key to the agency's server no more; ask the agency to remove its line."""
    from infra import credentials
    from infra.wiring import desk

    emit(vars(credentials.retire(desk(), code, generation, anyway=anyway)), title="Retired")

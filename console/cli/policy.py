"""`consign policy`: what may be told to whom; show, compare, simulate; propose, approve, withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, say
from models.errors import UsageError

if TYPE_CHECKING:
    from models.release import Policy

app = typer.Typer(no_args_is_help=True)
SHOWN_OF_HASH = 16

Name = Annotated[str, typer.Argument(help="A policy's name, NAME@VERSION, or a TOML file.", show_default=False)]
Version = Annotated[str, typer.Argument(help="NAME@VERSION.", show_default=False)]
CHANGED = ["purpose", "stage", "channels", "agencies", "field", "before", "after", "change"]


@app.command("list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the policies in force: those that come with Consign, and your own."""
    from infra import policies
    from infra.wiring import desk

    with desk().database.read() as connection:
        shown = [_listed(connection, name) for name in policies.names(connection)]
    emit(shown, title="Release policies")


def _listed(connection: Any, name: str) -> dict[str, object]:
    from infra import policies

    try:
        policy = policies.find(connection, name)
    except policies.NotInForce as none:
        return {"name": name, "version": None, "about": str(none)}
    return {
        "name": policy.name, "version": policy.version, "jurisdiction": policy.jurisdiction,
        "over": policy.over or None, "agencies": list(policy.agencies), "purposes": list(policy.purposes),
        "entries": len(policy.entries), "about": policy.about, "sha256": policy.sha256[:SHOWN_OF_HASH],
    }  # fmt: skip


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a policy: what leaves by purpose, stage, channel and agency; whatever is not named stays."""
    policy = _policy(name)
    parts = policy.parts
    if json:
        whole = {"sha256": policy.sha256, "version": policy.version}
        emit(_head(parts[0]) | whole | {"releases": _releases(parts[0]), "over_it": [
            _head(part) | {"releases": _releases(part)} for part in parts[1:]
        ]})  # fmt: skip
        return
    for part in parts:
        emit(_head(part), title=f"Policy {part.name} {part.version}")
        for entry in _releases(part):
            emit({key: value for key, value in entry.items() if value}, title=f"Release {entry['entry']}")


def _head(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name, "version": policy.version, "jurisdiction": policy.jurisdiction, "about": policy.about,
        "over": policy.over or None, "agencies": list(policy.agencies), "sha256": policy.sha256,
        "purposes": [
            {"purpose": purpose.name, "basis": purpose.basis, "verified": purpose.verified,
             "erase_after_days": purpose.erase_after_days}
            for purpose in policy.purposes.values()
        ],
    }  # fmt: skip


def _releases(policy: Policy) -> list[dict[str, Any]]:
    return [
        {
            "entry": entry.number,
            "about": entry.about,
            "purpose": entry.purpose,
            "stages": list(entry.stages),
            "channels": list(entry.channels),
            "agencies": list(entry.agencies),
            "legal_basis": entry.legal_basis or None,
            "risk": (entry.risk or policy.risk).told,
            "fields": {field: how.words for field, how in entry.treatments.items() if how.how != "drop"},
            "dropped": {field: how.because for field, how in entry.treatments.items() if how.how == "drop"},
        }
        for entry in policy.entries
    ]


@app.command()
def diff(before: Name, after: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what the second policy lets out differently, and whether it shows more or less of it."""
    from models.policy_difference import differences

    changed = differences(_policy(before, in_place=True), _policy(after, in_place=True))
    # channels and agencies that change alike are one line
    for alike in ("agency", "channel"):
        keys = [name for name in changed.columns if name != alike]
        changed = changed.groupby(keys, sort=False)[alike].agg(", ".join).reset_index()
    changed = changed.rename(columns={"channel": "channels", "agency": "agencies"})
    emit(changed[CHANGED], title=f"{before} → {after}")


@app.command()
def simulate(
    account: Annotated[int, typer.Argument(help="The account, by the platform's id.", show_default=False)],
    policy: Annotated[str, typer.Option(help="A policy's name, NAME@VERSION, or a TOML file.")] = "cn-default",
    stage: Annotated[str, typer.Option(help="reminder, phone, field or legal.")] = "phone",
    purpose: Annotated[str, typer.Option(help="Why.")] = "collection",
    agency: Annotated[
        str | None, typer.Option(help="To this agency, with its mandate; default one that no entry names.")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="The mandate; default the agency's, or the stage's own.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Show what would leave about one account, and which rule lets each field out or holds it back.

    Facts are shown as they would leave; for an identity the treatment is shown on a made-up person.
    """
    from infra import simulation
    from infra.store import exchange
    from infra.wiring import desk
    from models.planning.agencies import STAGE_CHANNELS
    from models.release import STAGES

    if stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r}", fix=f"there are {', '.join(STAGES)}")
    chosen = _policy(policy, in_place=True)
    with desk().database.read() as connection:
        mandate = exchange.agency(connection, agency).channels.split(",") if agency else sorted(STAGE_CHANNELS[stage])
        told = simulation.simulate(connection, chosen, account, purpose, stage, channel or mandate, agency or "")
    if json:
        emit({**vars(told), "items": told.fields, "count": len(told.fields)})
        return
    leaving = sum(each.leaves for each in told.fields)
    emit(told.fields, title=f"Account {account} under {told.policy} {told.version}, stage {stage}: {leaving} fields")
    say(f"release {told.entry} of {told.policy} {told.version} speaks: {told.speaks}\nbasis: {told.basis}")
    if told.limits:
        limits = ", ".join(f"{name} {value}" for name, value in told.limits.items())
        say(f"a package that does not hold {limits} is made coarser before it leaves")
    if told.gate is not None:
        done = ", ".join(f"{field} to {level}" for field, level in told.gate["coarser"].items()) or "nothing"
        say(f"in {told.gate['file']} that was {done}; k {told.gate['k_before']} before, {told.gate['k_after']} after")


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="The policy, a TOML file.", show_default=False)],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a version of a policy up for approval. Its text is kept, and never changes."""
    from infra import policies
    from infra.wiring import desk

    made = policies.propose(desk(), file, dry_run=dry_run)
    emit(_head(made), title="Would be proposed" if dry_run else "Proposed")
    if not dry_run:
        say(
            f"a second person looks at it: `consign policy diff {made.over or made.name} {made.name}@{made.version}`,"
            f" then `consign policy approve {made.name}@{made.version}`"
        )


@app.command()
def approve(version: Version, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Put a proposed version in force: a second person, with the role compliance. Plans under the former expire."""
    from infra import policies
    from infra.wiring import desk

    emit(_head(policies.approve(desk(), version)), title="In force")


@app.command()
def withdraw(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take a version out of force, or a proposal back. Nothing more leaves under it."""
    from infra import policies
    from infra.wiring import desk

    before = policies.withdraw(desk(), version, reason)
    emit({"version": version, "was": before, "state": "withdrawn", "reason": reason}, title="Withdrawn")


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="A policy's name; default all.", show_default=False)] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every version: who proposed and approved it, and from when to when it was in force."""
    from infra import policies
    from infra.wiring import desk

    rows = [
        {key: value for key, value in row._mapping.items() if key != "toml"}  # noqa: SLF001 - its public name
        for row in policies.history(desk(), name)
    ]
    emit(
        rows, title=f"Versions of {name}" if name else "Versions",
        columns=["name", "version", "state", "origin", "proposed_by", "approved_by", "in_force_from",
                 "in_force_until", "withdrawn_by", "reason", "sha256"],
    )  # fmt: skip


def _policy(name: str, *, in_place: bool = False) -> Policy:
    """A policy in force, a version of one, or what is in a file that somebody is still writing.

    in_place: what stands over another policy comes with that one under it, as if it were in force.
    """
    from infra import policies
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = policies.named(connection, name)
        return policies.in_place(connection, found) if in_place and found.over else found

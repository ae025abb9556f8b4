"""`consign policy`: what may be told to whom; show, compare, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import Json, emit
from models.errors import UsageError

if TYPE_CHECKING:
    from models.release import Policy

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A policy's name, or a TOML file.", show_default=False)]


@app.command("list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the policies there are: those that come with Consign, and your own in home/policies."""
    from infra import policies

    found = [policies.find(name) for name in policies.names()]
    rows = [
        {
            "name": policy.name, "version": policy.version, "jurisdiction": policy.jurisdiction,
            "purposes": list(policy.purposes), "entries": len(policy.entries), "about": policy.about,
            "sha256": policy.sha256[:16],
        }
        for policy in found
    ]  # fmt: skip
    emit(rows, title="Release policies")


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a policy: what leaves by purpose, stage and channel; whatever is not named stays."""
    policy = _policy(name)
    entries = [
        {
            "entry": entry.number,
            "about": entry.about,
            "purpose": entry.purpose,
            "stages": list(entry.stages),
            "channels": list(entry.channels),
            "legal_basis": entry.legal_basis or None,
            "fields": {field: how.words for field, how in entry.treatments.items() if how.how != "drop"},
            "dropped": {field: how.because for field, how in entry.treatments.items() if how.how == "drop"},
        }
        for entry in policy.entries
    ]
    head = {
        "name": policy.name, "version": policy.version, "jurisdiction": policy.jurisdiction, "about": policy.about,
        "sha256": policy.sha256,
        "purposes": [
            {"purpose": purpose.name, "basis": purpose.basis, "verified": purpose.verified,
             "erase_after_days": purpose.erase_after_days}
            for purpose in policy.purposes.values()
        ],
    }  # fmt: skip
    if json:
        emit(head | {"releases": entries})
        return
    emit(head, title=f"Policy {policy.name} {policy.version}")
    for entry in entries:
        emit(
            {key: value for key, value in entry.items() if value is not None},
            title=f"Release {entry['entry']}",
        )


@app.command()
def diff(before: Name, after: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what the second policy lets out differently, by purpose, stage, channel and field."""
    from models.policy_difference import differences

    changed = differences(_policy(before), _policy(after))
    # channels that change alike are one line
    keys = ["purpose", "stage", "field", "before", "after"]
    alike = changed.groupby(keys, sort=False)["channel"].agg(", ".join).rename("channels").reset_index()
    emit(alike[["purpose", "stage", "channels", "field", "before", "after"]], title=f"{before} → {after}")


@app.command()
def simulate(
    account: Annotated[int, typer.Argument(help="The account, by the platform's id.", show_default=False)],
    policy: Annotated[str, typer.Option(help="A policy's name, or a TOML file.")] = "cn-default",
    stage: Annotated[str, typer.Option(help="reminder, phone, field or legal.")] = "phone",
    purpose: Annotated[str, typer.Option(help="Why.")] = "collection",
    channel: Annotated[
        list[str] | None, typer.Option(help="The mandate; default the stage's own.", show_default=False)
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show what would leave about one account, and which rule lets each field out or holds it back.

    Facts are shown as they would leave; for an identity the treatment is shown on a made-up person.
    """
    from infra import policies
    from infra.wiring import desk
    from models.planning.agencies import STAGE_CHANNELS
    from models.release import STAGES

    if stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r}", fix=f"there are {', '.join(STAGES)}")
    with desk().database.read() as connection:
        found = policies.simulate(
            connection, _policy(policy), account, purpose, stage, channel or sorted(STAGE_CHANNELS[stage])
        )
    emit(found, title=f"Account {account} under {policy}, stage {stage}: {sum(each.leaves for each in found)} fields")


def _policy(name: str) -> Policy:
    """A policy by name, or out of a file that somebody is still writing."""
    from infra import policies
    from models.release import Policy

    if not name.endswith(".toml"):
        return policies.find(name)
    try:
        return Policy.parse(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{name} cannot be read: {type(broken).__name__}", fix="name a TOML file in UTF-8") from None

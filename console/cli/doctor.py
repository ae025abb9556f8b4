"""`consign doctor`: what is right and what is wrong with this installation."""

from __future__ import annotations

import typer

from console.cli.output import Json, emit, is_json, say
from models.errors import ConfigurationError

app = typer.Typer()


@app.command()
def doctor(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Look at versions, store, keys, host keys, disk, clock and silence; say of each what it is and what to do."""
    from infra import health
    from infra.wiring import desk

    found = health.findings(desk())
    counts = {state: sum(one.state == state for one in found) for state in ("ok", "warn", "fail")}
    if is_json():
        emit({"healthy": not counts["fail"], **counts, "checks": found})
    else:
        emit(found, columns=["state", "check", "found", "fix"])
        say(f"{counts['ok']} fine, {counts['warn']} to look at, {counts['fail']} broken")
    if counts["fail"]:
        broken = ", ".join(one.check for one in found if one.state == "fail")
        raise ConfigurationError(f"not ready: {broken}", fix="do what the column `fix` says, and ask the doctor again")

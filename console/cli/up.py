"""`consign up`: the schedules run until Ctrl-C; server and worker in one command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from console.cli.output import Json, emit, say

app = typer.Typer()

PORT = 4200


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Where the page and the API listen, on this machine alone.")] = PORT,
    json: Json = False,
) -> None:
    """Run the schedules: start the server and a worker, register every flow, and go on until Ctrl-C."""
    from flows import upkeep
    from infra.wiring import desk

    say("Starting; this takes some 20 seconds. Ctrl-C stops everything.")
    with upkeep.up(desk(), port) as ready:
        told: dict[str, Any] = {"url": ready.page_url, "pid": ready.pid, "deployments": ready.deployments}
        emit(
            told if json else ready.deployments,
            title="Flows",
            columns=["deployment", "schedule", "timezone", "next_run"],
        )
        say(f"Ready. Runs and schedules: {ready.page_url}")
        ready.wait()
        say("Stopping.")
    say("Stopped.")

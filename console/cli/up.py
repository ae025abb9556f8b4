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
    console: Annotated[
        bool, typer.Option(help="Run the console beside them; its port is the setting `web_port`.")
    ] = True,
    json: Json = False,
) -> None:
    """Run schedules and console: start server, worker and pages, register every flow, and go on until Ctrl-C."""
    from contextlib import ExitStack

    from flows import upkeep
    from infra.wiring import desk

    say("Starting; this takes some 20 seconds. Ctrl-C stops everything.")
    at = desk()
    with upkeep.up(at, port) as ready, ExitStack() as beside:
        told: dict[str, Any] = {"url": ready.page_url, "pid": ready.pid, "deployments": ready.deployments}
        if console:
            from console.web import crew, serving

            beside.enter_context(serving.worker(at))
            told["console"] = beside.enter_context(crew.console(at, at.settings.web_port)).url
        emit(
            told if json else ready.deployments,
            title="Flows",
            columns=["deployment", "schedule", "timezone", "next_run"],
        )
        say(f"Ready. Runs and schedules: {ready.page_url}")
        if console:
            say(f"The console: {told['console']}")
        ready.wait()
        say("Stopping.")
    say("Stopped.")

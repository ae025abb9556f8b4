"""`consign web`: the console in the browser, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit, say

app = typer.Typer()


@app.command()
def web(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Its port; default the setting `web_port`; 0: any.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Run the console alone, until Ctrl-C; `consign up` runs it beside the schedules."""
    from console.web.crew import console
    from console.web.serving import worker
    from flows.upkeep import asked_to_stop
    from infra.wiring import desk

    at = desk()
    where = at.settings.web_port if port is None else port
    with asked_to_stop() as asked, worker(at), console(at, where) as running:
        asked.is_polite = True
        emit({"url": running.url}, title="The console")
        say("Ctrl-C stops it.")
        running.wait(asked)
    say("Stopped.")

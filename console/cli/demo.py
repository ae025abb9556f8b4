"""`consign demo`: six simulated months of the whole loop on this machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, progress, say
from models.errors import UsageError

app = typer.Typer()


@app.command()
def demo(
    accounts: Annotated[int, typer.Option(min=200, help="Synthetic accounts, over two lenders.")] = 20_000,
    months: Annotated[int, typer.Option(min=1, max=24, help="Simulated months.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed, the same six months.")] = 20_260_101,
    home: Annotated[Path, typer.Option(help="Where everything is put; made anew.")] = Path("demo"),
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day; default so that it ends before today.")
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Run the flows in this process, without a Prefect server.")
    ] = False,
    json: Json = False,
) -> None:
    """Two lenders, six agencies, real keys, real seals, real SFTP: intake to scorecards, then what to try next."""
    import shutil
    from contextlib import ExitStack
    from datetime import UTC
    from datetime import datetime as clock

    from console import scenario
    from flows.serving import server
    from infra.sandbox.world import open_world

    marker = home / ".consign-demo"
    if home.exists() and any(home.iterdir()):
        if not marker.exists():
            message = f"{home} is not empty and no demo made it"
            raise UsageError(message, fix="name another folder with --home")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch()
    began = start.date() if start else scenario.start_of(clock.now(UTC).date(), months)
    with ExitStack() as stack:
        bar = stack.enter_context(progress("starting", total=1.0))
        world = stack.enter_context(
            open_world(home.resolve(), seed=seed, start=began, engine="direct" if direct else "prefect")
        )
        if not direct:
            bar.update(description="starting a Prefect server")
            stack.enter_context(server(world.desk.settings))
        story = scenario.Story(world, accounts, lambda what, done: bar.update(description=what, done=done), months)
        summed = story.run()
        agencies = scenario.by_agency(world.desk)
        statements = world.desk.folder("statements")
    emit(summed.json(), title=f"{months} months, {accounts:,} accounts, six agencies")
    if not json:
        emit(agencies, title="Agencies")
        cards = story.scored.scorecards_dir if story.scored else ""
        say(f"\nscorecards   {cards}\nstatements   {statements}")
        say(
            "\nTry next, on what the demo left; its agencies work without a certificate:\n"
            f"  export CONSIGN_HOME={home} CONSIGN_REQUIRE_CERTIFICATE=false\n"
            "  consign plan list\n  consign recon breaks\n  consign score show\n  consign file list --refused\n"
            "  consign erase status\n  consign watch\n  consign exceptions list\n  consign conduct report\n"
            "  consign audit verify\n  consign forecast\n  consign payment due --lender harbour\n  consign doctor\n"
            "  consign people add chen.yu    and look at it in the browser: consign web"
        )

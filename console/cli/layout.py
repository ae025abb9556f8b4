"""`consign layout`: the layouts of agencies' plain files: list, show, check and keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, is_json, say
from models.errors import UsageError

app = typer.Typer(no_args_is_help=True)
Profile = Annotated[Path, typer.Argument(help="A layout profile (.toml; docs/reference/layouts.md).")]


@app.command(name="list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the layouts that come with Consign and the kept ones, and who uses them."""
    from infra.layouts import known
    from infra.wiring import desk

    emit(known(desk()), title="Layouts")


@app.command()
def show(
    layout: Annotated[str, typer.Argument(help="Its name, name@version, or a .toml file.")],
    kind: Annotated[str, typer.Option(help="Only this kind of file, column by column.")] = "",
    toml: Annotated[bool, typer.Option("--toml", help="The profile itself.", show_default=False)] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show how the files of a layout look: their names, columns and forms."""
    from infra.layouts import columns_told, find, told
    from infra.wiring import desk

    found = find(desk(), layout)
    if toml:
        emit({"toml": found.text}) if is_json() else print(found.text, end="")
        return
    if kind and kind not in found.kinds:
        message = f"the layout {found.reference} has no {kind}"
        raise UsageError(message, fix=f"it has {', '.join(found.kinds)}")
    if kind:
        emit(columns_told(found, kind), title=f"{found.reference}: {kind}")
        return
    said: dict[str, Any] = told(found)
    kinds = said.pop("kinds")
    if is_json():
        emit({**said, "kinds": kinds})
        return
    emit(said, title=found.reference)
    emit(kinds, title="Kinds")


@app.command()
def check(profile: Profile, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Check a layout profile; whatever is wrong is told at once, each with its key. Needs no store."""
    from connectors.layouts.profiles import load_layout

    found = load_layout(_toml(profile))
    emit({"layout": found.reference, "sha256": found.sha256, "kinds": list(found.kinds)}, title="Layout")
    say(f"{profile.name} is sound; `consign layout add` keeps it, `consign agency layout` puts it to use")


@app.command()
def add(profile: Profile, dry_run: DryRun = False, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Keep a reviewed profile under its name and version; a version never changes."""
    from connectors.layouts.profiles import load_layout
    from infra import layouts
    from infra.wiring import desk

    found = load_layout(_toml(profile))
    new = layouts.add(desk(), found, dry_run=dry_run)
    emit({"layout": found.reference, "sha256": found.sha256, "new": new, "dry_run": dry_run}, title="Layout")


def _toml(profile: Path) -> str:
    if profile.suffix != ".toml" or not profile.is_file():
        message = f"no profile {profile}"
        raise UsageError(message, fix="name a file that ends in .toml")
    return str(profile)

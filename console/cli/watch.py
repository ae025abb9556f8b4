"""`consign watch`: look at every clock now."""

from __future__ import annotations

import typer

from console.cli.output import DryRun, Json, emit, say

app = typer.Typer()
FINDINGS = 3


@app.command()
def watch(
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Open exceptions for what is late or stuck, resolve what no longer is, and tell people.

    Ends with 3 while any is unresolved.
    """
    if dry_run:
        from infra import watching
        from infra.wiring import desk

        found = watching.look(desk())
        emit(
            [{"code": code, "subject": one.subject, "agency": one.agency} for code in found for one in found[code]],
            title="Late or stuck now",
        )
        return
    from flows.engine import run
    from flows.watch import watch as verb

    report = run(verb)
    emit(report, title="Watched")
    if report.notice_failed:
        say("a notice was not taken; the next look tries again: home/logs/consign.log")
    if report.unresolved:
        say(f"{report.unresolved} exceptions are unresolved: consign exceptions list")
        raise typer.Exit(FINDINGS)

"""`consign score`: how well each agency collects against what was to be expected, and how sure that is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from console.cli.output import Json, emit, progress, say

app = typer.Typer(no_args_is_help=True, help="How well each agency collects, and how sure that is.")

Lender = Annotated[str | None, typer.Option("--lender", help="Only this lender's placements; all by default.")]
Run = Annotated[int | None, typer.Option("--run", help="Number of a run; the newest by default.")]
COLUMNS = (
    "agency", "recovery", "low", "high", "p_best", "p_worst", "expected_rank", "net_back", "data_quality",
    "complaints", "gate", "overall",
)  # fmt: skip


FLAG_COLUMNS = ("agency", "pattern", "observed", "peers", "count", "q", "vintage", "flagged")


@app.command()
def run(
    lender: Lender = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day to score as of; today by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the draws of debtors; a fixed one by default.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Score every agency and write the scorecards; the same inputs again show the run that is there."""
    from flows.score import SEED, score

    with progress("scoring"):
        report = score(lender, as_of.date() if as_of else None, SEED if seed is None else seed)
    emit(report, title="Score")
    if not report.fresh:
        say(f"Nothing has changed since run {report.run_id}: that is the one shown.")


@app.command()
def show(run: Run = None, lender: Lender = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show a run's figures, agency by agency."""
    from flows.score import show as shown

    found = shown(run, lender)
    emit(_rows(found), title=f"Score {found.run_id}, as of {found.as_of}, {found.model_version}", columns=COLUMNS)


@app.command()
def scorecard(run: Run = None, lender: Lender = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Write a run's scorecards again, and say where they are."""
    from flows.score import scorecards

    emit(scorecards(run, lender), title="Scorecards")


@app.command()
def flags(
    run: Run = None,
    lender: Lender = None,
    every: Annotated[bool, typer.Option("--all", help="What was looked for and is not flagged as well.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show what in a run's scores raises a question: patterns of working at the score instead of the accounts."""
    from flows.score import show as shown

    found = shown(run, lender)
    rows = [_flag(one, found) for one in found.summary["flags"] if every or one["flagged"]]
    rate = found.summary["gaming"]["false_discoveries"]
    emit(rows, title=f"Flags of score {found.run_id}: at most {rate:.0%} of them false", columns=FLAG_COLUMNS)
    if not found.summary["flags"]:
        say("There is too little to look for such patterns in.")


@app.command()
def trial(
    worlds: Annotated[int, typer.Option("--worlds", min=1, help="Simulated books to score.")] = 36,
    gaming: Annotated[int, typer.Option("--gaming", min=1, help="Simulated books with agencies that game.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="The first book's; the others follow.")] = 1,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Try the scores on simulated books whose truth is known; a second or two each. Nothing of the store is read."""
    from infra.sandbox.trials import rows, try_flags, try_scores

    with progress("scoring what is known", worlds + gaming) as bar:
        told = rows(try_scores(worlds, seed, bar.advance), try_flags(gaming, seed, bar.advance))
    emit(told, title="Trial of the scores")


def _flag(one: dict[str, Any], found: Any) -> dict[str, Any]:
    """A flag as a row; figures short enough to read."""
    plain = {name: _rounded(one[name]) for name in ("observed", "peers", "p", "q")}
    return {**one, **plain, "name": found.names[one["agency"]]}


def _rows(found: Any) -> list[dict[str, Any]]:
    """One row per agency: the components' values by name, and the interval of the recovery."""
    whole = found.components[found.components["segment"] == "all"]
    rows = []
    for agency, mine in whole.groupby("agency", sort=True):
        told = mine.set_index("component")
        values = {str(name): _rounded(value) for name, value in told["value"].items()}
        ends = {end: _rounded(told[end].get("recovery")) for end in ("low", "high")}
        gate = told["note"].get("complaint_gate")
        rows.append({"agency": str(agency), "name": found.names[str(agency)], **values, **ends, "gate": gate})
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 4)  # noqa: PLR0124 - nan is not itself

"""`consign evaluate`: what the scores propose for the next cycle; a second person approves it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, progress, say

if TYPE_CHECKING:
    from infra.evaluations import Told

app = typer.Typer(no_args_is_help=True, help="What the scores propose for the next cycle, for a person to approve.")

Number = Annotated[int, typer.Argument(help="The evaluation's number.", show_default=False)]
SHOWN_OF_HASH = 16
LISTED = ("evaluation_id", "kind", "lender", "as_of", "run_id", "state", "proposed_by", "decided_by")


@app.command()
def run(
    lender: Annotated[
        str | None, typer.Option("--lender", help="Only this lender's placements; all by default.")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day to score as of; today by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the scores; a fixed one by default.")] = None,
    yearly: Annotated[bool, typer.Option("--yearly", help="The yearly one that regulation asks for.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Score, and propose shares, changes of strategy and agencies to look at; it waits for a second person."""
    from flows import evaluate as flow
    from flows.score import SEED

    kind = "yearly" if yearly else "periodic"
    if dry_run:
        _show(flow.preview(None, lender, kind), json=json)
        say("Nothing is kept: this is what the newest score run would propose.")
        return
    with progress("evaluating"):
        report = flow.evaluate(lender, as_of.date() if as_of else None, SEED if seed is None else seed, kind)
    emit(report, title="Evaluation")
    if not report.fresh:
        say(f"The scores propose what evaluation {report.evaluation_id} says, which is {report.state}.")


@app.command(name="list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the evaluations, the newest first."""
    from flows.evaluate import listed

    emit(listed(), title="Evaluations", columns=LISTED)


@app.command()
def show(evaluation: Number, json: Json = False) -> None:
    """Show what an evaluation proposes, and why."""
    from flows.evaluate import show as shown

    told = shown(evaluation)
    if json:
        emit(told)
        return
    _head(told)
    _show(told.content, json=False)


@app.command()
def approve(
    evaluation: Number,
    content: Annotated[str, typer.Option(help="The beginning of the content's hash that you looked at.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Approve an evaluation that somebody else proposed. A yearly one becomes evidence about its agencies."""
    from flows.evaluate import approve as approved

    _head(approved(evaluation, content))


@app.command()
def reject(
    evaluation: Number,
    because: Annotated[str, typer.Option("--because", help="Why.", show_default=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Reject an evaluation."""
    from flows.evaluate import reject as rejected

    _head(rejected(evaluation, because))


@app.command()
def pages(evaluation: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Write an evaluation's pages again, and its shares as a plan's spec takes them; say where they are."""
    from flows.evaluate import pages as written

    emit({"evaluation_id": evaluation, "folder": written(evaluation)}, title="Pages")


def _head(told: Told) -> None:
    """The evaluation without what it says."""
    plain = {name: value for name, value in vars(told).items() if name != "content"}
    emit({**plain, "content_sha256": told.content_sha256[:SHOWN_OF_HASH]}, title=f"Evaluation {told.evaluation_id}")


def _show(content: dict[str, Any], *, json: bool) -> None:
    """The proposal as tables."""
    if json:
        emit(content)
        return
    rounded = [
        {**one, **{name: _rounded(one[name]) for name in ("now", "proposed", "best")}} for one in content["shares"]
    ]
    emit(rounded, title="Shares of new debtors", columns=("agency", "now", "proposed", "best", "why"))
    emit([_flat(one, "what") for one in content["changes"]], title="Changes of strategy")
    emit([_flat(one, "code") for one in content["reviews"]], title="Agencies to look at")


def _flat(one: dict[str, Any], key: str) -> dict[str, Any]:
    """A change or a reason as a row."""
    figures = ", ".join(f"{name} {_rounded(value)}" for name, value in sorted(one["figures"].items()))
    about = {"segment": one["segment"]} if "segment" in one else {}
    return {"agency": one["agency"], key: one[key], **about, "figures": figures}


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value

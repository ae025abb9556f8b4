"""`consign close`: what stands in the way of closing a month, the closing, and opening it again by two people."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, progress, say

app = typer.Typer(no_args_is_help=True)

Lender = Annotated[str, typer.Option(help="Whose month.")]
Period = Annotated[str, typer.Option(help="The month, YYYY-MM.")]
Why = Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")]
Number = Annotated[int, typer.Argument(help="The request's number.")]
FINDINGS = 3
CHECKLIST = ["finding", "weight", "found", "detail", "accepted_by", "fix"]
CLOSINGS = [
    "closing_id",
    "lender",
    "period",
    "revision",
    "state",
    "entries",
    "lines",
    "closed_at",
    "closed_by",
    "sha256",
]
REOPENINGS = ["reopening_id", "lender", "period", "state", "asked_by", "approved_by", "why"]


@app.command()
def check(lender: Lender, period: Period, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show the month's checklist. Ends with 3 while something stands in the way of closing it."""
    from infra import closing
    from infra.wiring import desk

    found = closing.check(desk(), lender, period)
    emit([one.__dict__ | {"stops": one.stops} for one in found], title=f"{period} of {lender}", columns=CHECKLIST)
    if stops := [one.finding for one in found if one.stops]:
        say(f"in the way: {', '.join(stops)}")
        raise typer.Exit(FINDINGS)


@app.command()
def accept(
    finding: Annotated[str, typer.Argument(help="What `check` found: bank_gap, breaks_overdue …")],
    lender: Lender,
    period: Period,
    why: Why,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Let a finding pass, as it stands now: the month is closed in spite of it."""
    from infra import closing
    from infra.wiring import desk

    emit(closing.accept(desk(), lender, period, finding, why), title="Accepted")


@app.command()
def run(
    lender: Lender,
    period: Period,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Close the month: nothing is posted to it any more. Ends with 3 where the checklist stands in the way."""
    if dry_run:
        check(lender, period)
        return
    from flows.close import close_month
    from flows.engine import run as run_verb

    with progress(f"closing {period} of {lender}"):
        done = run_verb(close_month, lender=lender, period=period)
    emit(done, title="Closed" if done.new else "Was closed already")


@app.command()
def show(
    lender: Annotated[str | None, typer.Option(help="Only this lender.")] = None,
    period: Annotated[str | None, typer.Option(help="Only this month, with statements and what was accepted.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the closings, and the requests to open a month again, the newest first."""
    from console.cli.output import is_json
    from infra import closing
    from infra.wiring import desk

    found = closing.listed(desk(), lender)
    if period:
        found = {name: [row for row in rows if row["period"] == period] for name, rows in found.items()}
    if is_json():
        emit(found)
        return
    emit(found["closings"], title="Closings", columns=CLOSINGS)
    if period and found["closings"]:
        newest = found["closings"][0]
        emit(
            [{"agency": one["agency"], "currency": one["currency"], "file": name, "sha256": digest}
             for one in newest["statements"] for name, digest in one["files"].items()],
            title="Statements",
        )  # fmt: skip
        emit(newest["accepted"], title="Accepted", columns=["finding", "found", "detail", "accepted_by", "why"])
    if found["reopenings"]:
        emit(found["reopenings"], title="Opened again", columns=REOPENINGS)


@app.command()
def reopen(lender: Lender, period: Period, why: Why, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Ask that the last closed month be opened again; a second person approves it."""
    from infra import closing
    from infra.wiring import desk

    number = closing.ask_reopening(desk(), lender, period, why)
    emit({"reopening_id": number, "lender": lender, "period": period, "state": "waiting"}, title="Asked")
    say(f"a second person: `consign close approve {number}`")


@app.command()
def approve(number: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve that a month is opened again, which somebody else asked for."""
    from infra import closing
    from infra.wiring import desk

    row = closing.approve_reopening(desk(), number)
    emit({"reopening_id": number, "lender": row.lender, "period": row.period, "state": "open"}, title="Open again")


@app.command()
def withdraw(number: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Withdraw a request to open a month again."""
    from infra import closing
    from infra.wiring import desk

    closing.withdraw_reopening(desk(), number)
    emit({"reopening_id": number, "state": "withdrawn"}, title="Withdrawn")

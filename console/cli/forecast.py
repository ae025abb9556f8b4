"""`consign forecast`: cash to expect of what is placed today, with its error, and how the method did before."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, progress, say

app = typer.Typer()

COLUMNS = ["agency", "month", "expected_minor", "low_minor", "high_minor", "currency", "placements"]


@app.command()
def forecast(
    lender: Annotated[str | None, typer.Option(help="Only this lender.")] = None,
    months: Annotated[int, typer.Option(min=1, max=24, help="So many months after this one.")] = 6,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="As known on this day; default today.")
    ] = None,
    back_test: Annotated[
        bool, typer.Option("--back-test", help="Also forecast the months before, and compare with what came.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the figures here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None,
    language: Annotated[str, typer.Option(help="Of the page: en or zh.")] = "en",
    json: Json = False,
) -> None:
    """Show what agencies will recover, month by month, between a low and a high that hold most months."""
    from infra import forecasts
    from infra.wiring import desk
    from models.errors import UsageError

    if language not in {"en", "zh"}:
        raise UsageError(f"no language {language!r}", fix="there are en and zh")
    with progress("Drawing the curves on"):
        told = forecasts.make(desk(), lender, months, as_of.date() if as_of else None, test=back_test)
    if csv is not None:
        csv.write_text(forecasts.csv(told), encoding="utf-8")
        say(f"written: {csv}")
    if html is not None:
        html.write_text(forecasts.html(told, language), encoding="utf-8")
        say(f"written: {html}")
    found = told.forecast
    if json:
        emit(
            {
                "as_of": found.as_of, "credible": found.credible, "coverage": told.coverage, "bias": told.bias,
                "tested": len(told.tested), "months": found.months, "total": found.total,
            }
        )  # fmt: skip
        return
    emit(found.months, title=f"Cash to expect, as of {found.as_of}", columns=COLUMNS)
    emit(found.total, title="All agencies together", columns=COLUMNS)
    if told.coverage is not None:
        say(
            f"tried on {len(told.tested)} agency months before: the interval held {told.coverage:.0%} of them"
            f" (it should {found.credible:.0%}); what came was {told.bias:+.1%} off what was expected"
        )

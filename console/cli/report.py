"""`consign report`: drafts for the compliance officer, from what is configured and recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from console.cli.output import Json, emit, is_json, jsonable
from models.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from infra.reports.report import Report

app = typer.Typer(no_args_is_help=True)

Lender = Annotated[str | None, typer.Option(help="Of this lender's plans and files alone.")]
Tongue = Annotated[Literal["en", "zh"], typer.Option(help="The page's language.")]
Out = Annotated[
    Path | None, typer.Option(help="A new file: .html to print, .json whole, .csv its table. Else it is shown here.")
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]


@app.command()
def impact(
    lender: Lender = None,
    policy: Annotated[
        str | None, typer.Option(help="Assess this policy (a name, NAME@VERSION or a TOML file), not those in use.")
    ] = None,
    language: Tongue = "en",
    out: Out = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Draft the impact assessment (PIPL art. 55 and 56, GDPR art. 35)."""
    from infra.reports import drafts
    from infra.wiring import desk

    _put(drafts.impact(desk(), lender, policy), language, out)


@app.command()
def processing(
    lender: Lender = None,
    language: Tongue = "en",
    out: Out = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Draft the record of processing (GDPR art. 30, PIPL)."""
    from infra.reports import drafts
    from infra.wiring import desk

    _put(drafts.processing(desk(), lender), language, out)


@app.command()
def agencies(language: Tongue = "en", out: Out = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the agencies that may work, for publication."""
    from infra.reports import drafts
    from infra.wiring import desk

    _put(drafts.agency_list(desk()), language, out)


@app.command()
def breach(
    agency: Annotated[str, typer.Option(help="The agency that lost what it was sent.")],
    begins: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Sent from this day.")] = None,
    ends: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Sent until this day.")] = None,
    file: Annotated[str | None, typer.Option(help="This file alone, by its name.")] = None,
    known_at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M"], help="When it became known, UTC; else now: clocks run from there."),
    ] = None,
    pseudonyms: Annotated[
        Path | None,
        typer.Option(help="A new CSV file with the agency's pseudonyms of the debtors affected; audited."),
    ] = None,
    language: Tongue = "en",
    out: Out = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Draft the report of a breach: who and what is affected, and by when whom to tell."""
    from infra.reports import drafts
    from infra.wiring import desk
    from models.spreadsheets import defused

    days = {"begins": _day(begins), "ends": _day(ends)}
    known = known_at.replace(tzinfo=UTC) if known_at else None
    at = desk()
    report = drafts.breach(at, agency, **days, file=file, known_at=known)
    if pseudonyms is not None:
        _write(pseudonyms, defused(drafts.affected_pseudonyms(at, agency, **days, file=file)).to_csv(index=False))
    _put(report, language, out)


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _put(report: Report, language: str, out: Path | None) -> None:
    """The report is shown, or stands in a new file, as the file's ending says."""
    if out is None:
        _show(report, language)
        return
    import json as jsonlib

    from infra.reports import pages

    match out.suffix:
        case ".html":
            text = pages.html(report, language)
        case ".json":
            text = jsonlib.dumps(jsonable(report), ensure_ascii=False, indent=1) + "\n"
        case ".csv":
            text = pages.csv(report)
        case _:
            raise UsageError(f"{out.name}: no such form of a report", fix="name a file in .html, .json or .csv")
    _write(out, text)
    emit({"out": out, "audit_head": report.audit_head, "points": len(report.points)}, title="Drafted")


def _show(report: Report, language: str) -> None:
    if is_json():
        emit(report)
        return
    from infra.reports import pages

    words = pages.words(language)
    emit({**report.scope, "audit_head": report.audit_head}, title=words("title", report.kind))
    for section in report.sections:
        emit(list(section.rows), title=words("section", section.name), columns=section.columns)
    emit([{"point": words.point(point)} for point in report.points], title=words("word", "points"))


def _write(path: Path, text: str) -> None:
    """A new file that its owner alone reads."""
    import os

    try:
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", fix="name another file") from None

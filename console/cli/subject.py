"""`consign subject`: what debtors ask for about their data, by when, and what became of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.disclosures import absent, read_who, write_json
from console.cli.exchanging import told
from console.cli.output import DryRun, Json, emit, progress, say
from models.errors import UsageError
from models.subject import RECALLED_FOR

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Number = Annotated[int, typer.Argument(metavar="REQUEST", help="Its number, as `list` shows it.")]
COLUMNS = [
    "request_id", "lender", "kind", "ground", "fields", "ref", "state", "received_on", "due_on", "within", "outcome",
]  # fmt: skip


@app.command(name="open")
def open_(
    kind: Annotated[str, typer.Argument(help="access, correction, erasure or restriction.")],
    who: Annotated[str, typer.Argument(help="Account number, ID number or telephone; - reads it from stdin.")],
    lender: Annotated[str, typer.Option("--lender", help="The lender who was asked.")],
    field: Annotated[list[str] | None, typer.Option("--field", help="Of a correction: what is wrong.")] = None,
    ground: Annotated[
        str, typer.Option(help="Of a restriction: asked, objection, consent_withdrawn, accuracy …")
    ] = "asked",
    received: Annotated[
        datetime | None, typer.Option("--received", formats=["%Y-%m-%d"], help="The day it came; today by default.")
    ] = None,
    ref: Annotated[str, typer.Option(help="Your own reference of the letter; no debtor's values.")] = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Open a debtor's request: its clock runs. A restriction puts the debtor on hold at once."""
    from infra import subjects
    from infra.wiring import desk

    opened = subjects.open_request(
        desk(), lender, read_who(who), kind, ground=ground, fields=field or (), ref=ref, dry_run=dry_run,
        received_on=received.date() if received else None,
    )  # fmt: skip
    emit(opened, title="Request")
    if opened.known_before:
        say(f"request {opened.request_id} asks for the same, and is not answered yet")
    elif opened.request_id is not None:
        say(f"see who asks, then `consign subject verify {opened.request_id} --proof …`")


@app.command(name="list")
def list_(
    lender: Annotated[str | None, typer.Option(help="Only of this lender.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.", show_default=False)] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 500,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List requests, those due first in front. Ends with 3 while one is overdue."""
    from infra import subjects
    from infra.store import subjects as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.listed(connection, lender=lender, kind=kind, ended=every, limit=limit)
        late = sum(lender in {None, one.lender} for one in subjects.late(connection, at))
    emit(found, title="Requests", columns=COLUMNS)
    if late:
        say(f"{late} overdue: `consign subject show` says what each waits for")
        raise typer.Exit(FINDINGS)


@app.command()
def show(request: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show one request, what agencies still owe for it, and what they were told."""
    from infra import subjects
    from infra.wiring import desk

    emit(subjects.standing(desk(), request), title=f"Request {request}")


@app.command()
def verify(
    request: Number,
    proof: Annotated[str, typer.Option("--proof", help="How the debtor proved to be the one; no document's number.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say that the debtor has proved to be the one; agencies are asked for what the request needs."""
    from flows.subjects import attend
    from infra import subjects
    from infra.wiring import desk

    kind, state = subjects.verify(desk(), request, proof)
    if kind in RECALLED_FOR:
        told(attend, "Attended to")
    else:
        emit({"request_id": request, "kind": kind, "state": state}, title="Verified")
    say({"access": f"now `consign subject answer {request} --out FILE.json`",
         "correction": f"now the right value: `consign subject correct {request} FIELD`, which reads it unseen"}
        .get(kind, f"`consign subject show {request}` says what agencies owe"))  # fmt: skip


@app.command()
def correct(
    request: Number,
    field: Annotated[str, typer.Argument(help="One of the fields that the request names.")],
    account: Annotated[
        str | None, typer.Option(help="Of a fact, where the debtor has several accounts: the lender's own number.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="There is no such value.", show_default=False)] = False,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take the right value in (asked for unseen, or read from stdin) and tell it to every agency that was told it."""
    import sys

    from flows.subjects import attend
    from infra import corrections
    from infra.wiring import desk

    value = None
    if not remove:
        value = typer.prompt(field, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
        if not value:
            raise UsageError(f"no {field} was given", fix="--remove says that there is none")
    done = corrections.correct(desk(), request, field, value, account_ref=account, dry_run=dry_run)
    if done.doubtful:
        say(f"that {field} does not look like one (length, check digit): see that it is right", style="yellow")
    if done.coarser:
        say(f"{', '.join(done.coarser)} know it only coarsely, and are told nothing: recall it if that is wrong")
    emit(done, title="Corrected" if not dry_run else "Would be corrected")
    if done.files and not dry_run:
        told(attend, "Attended to")


@app.command()
def answer(
    request: Number,
    out: Annotated[
        Path | None, typer.Option("--out", help="Of an access request: the JSON file to write; a new one.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Of an erasure: destroy the identity here, for good.", show_default=False)
    ] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", help="Of an erasure: the legal basis by which it is stored on.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is kept; no debtor's values.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say that the request was done and the debtor answered; refused while an agency still owes something."""
    from infra import subjects
    from infra.wiring import desk

    if out is None:
        emit(subjects.answer(desk(), request, keep=keep, forget=forget, reason=reason), title="Answered")
        return
    absent(out)
    with progress("making the answer"):
        evidence, ended = subjects.answer_access(desk(), request)
    write_json(out, evidence)
    emit({**vars(ended), "out": out}, title="Answered")
    say("the file holds the debtor's data: hand it over in person or sealed, then delete it")


@app.command()
def refuse(
    request: Number,
    basis: Annotated[str, typer.Argument(help="The legal reason: retention_duty, legal_claims, accurate …")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; no debtor's values.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Refuse a request by a legal reason; a hold that it put on the debtor is lifted."""
    from infra import subjects
    from infra.wiring import desk

    emit(subjects.refuse(desk(), request, basis, reason), title="Refused")


@app.command()
def prove(
    request: Number,
    why: Annotated[str, typer.Option("--why", help="What for; no debtor's values.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write; it must not be there yet.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write evidence of what was told and certified about who asked, without their data; also once forgotten."""
    from infra import subjects
    from infra.wiring import desk

    absent(out)
    with progress("making the evidence"):
        evidence, exported = subjects.prove(desk(), request, why)
    write_json(out, evidence)
    emit({**vars(exported), "out": out}, title="Exported")


@app.command()
def run(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask agencies for what open requests need, and see who still owes an answer; scheduled each morning."""
    from flows.subjects import attend

    told(attend, "Attended to", lender=lender)

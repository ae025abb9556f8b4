"""The part of `consign recon` that people work with: assign, comment, attach; resolve, agree, undo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, say

if TYPE_CHECKING:
    from sqlalchemy import Row

app = typer.Typer()

BreakId = Annotated[int, typer.Argument(metavar="BREAK", help="Its number, as `recon breaks` shows it.")]
ResolutionId = Annotated[int, typer.Argument(metavar="RESOLUTION", help="Its number, as `recon resolutions` shows it.")]
LineId = Annotated[int, typer.Option("--line", help="The remittance line.")]
Reason = Annotated[str, typer.Option(help="Why, as a code: `consign recon reasons` lists them.")]
Note = Annotated[str, typer.Option(help="In your words; needed with the reason `other`. No debtor's values.")]
About = Annotated[int | None, typer.Option("--break", help="The break that it is done for.")]
COLUMNS = [
    "resolution_id",
    "kind",
    "state",
    "agency",
    "amount_minor",
    "currency",
    "reason",
    "proposed_by",
    "others",
    "about",
]


@app.command()
def assign(break_id: BreakId, to: Annotated[str, typer.Option(help="Who; empty: nobody.")], json: Json = False) -> None:  # noqa: ARG001
    """Say who works on a break."""
    from infra import resolving
    from infra.wiring import desk

    resolving.assign(desk(), break_id, to)
    say(f"break {break_id}: {to or 'nobody'} works on it")


@app.command()
def comment(
    break_id: BreakId,
    text: Annotated[str, typer.Argument(help="What others should know; no debtor's values.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a note beside a break."""
    from infra import resolving
    from infra.wiring import desk

    emit({"note_id": resolving.comment(desk(), break_id, text)}, title="Noted")


@app.command()
def attach(
    break_id: BreakId,
    file: Annotated[Path, typer.Argument(help="A bank slip, a letter …; kept sealed.", exists=True, dir_okay=False)],
    text: Annotated[str, typer.Option("--text", help="What it is; no debtor's values.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a file beside a break, sealed with a key of its own."""
    from infra import attachments
    from infra.wiring import desk

    emit({"note_id": attachments.attach(desk(), break_id, file, text)}, title="Attached")


@app.command("attachment")
def attachment(
    note: Annotated[int, typer.Argument(metavar="NOTE", help="Its number, as `recon show` tells it.")],
    out: Annotated[Path, typer.Option(help="Where to write it; nothing may be there yet.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take an attached file out; who did is on record."""
    from infra import attachments
    from infra.wiring import desk

    emit({"path": out, "sha256": attachments.take_out(desk(), note, out)}, title="Attachment")


@app.command()
def match(
    line: Annotated[
        list[str],
        typer.Option("--line", help="A remittance line; `LINE=AMOUNT` for a part of it, in minor units. Repeatable."),
    ],
    receipt: Annotated[list[int], typer.Option("--receipt", help="A receipt. Repeatable.")],
    reason: Reason,
    note: Note = "",
    about: About = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Tie lines to receipts by hand, whole or in part: one receipt for several lines is split among them."""
    lines, amounts = _parts_of(line)
    _propose("match", reason, note, about, dry_run=dry_run, lines=lines, receipts=receipt, amounts=amounts)


@app.command()
def unmatch(
    match_id: Annotated[int, typer.Argument(metavar="MATCH", help="Its number, as `recon show` tells it.")],
    reason: Reason,
    note: Note = "",
    about: About = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take a match apart; its lines and receipts are left to people from then on."""
    _propose("unmatch", reason, note, about, dry_run=dry_run, match_id=match_id)


@app.command("write-off")
def write_off(
    reason: Reason,
    line: Annotated[int | None, typer.Option("--line", help="Of this line, what never came.")] = None,
    receipt: Annotated[int | None, typer.Option("--receipt", help="Of this receipt, what nobody explains.")] = None,
    note: Note = "",
    about: About = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Give up what is still open of a line or of a receipt."""
    _propose("write_off", reason, note, about, dry_run=dry_run, line=line, receipt=receipt)


@app.command()
def count(
    line: LineId,
    reason: Reason,
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001
) -> None:
    """Let a line into the books that a break kept out: late after a recall, or a second payment that looks the same."""
    _propose("count", reason, note, None, dry_run=dry_run, line=line)


@app.command()
def reject(
    line: LineId,
    reason: Reason,
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001
) -> None:
    """Say that a line in break does not count, and never will."""
    _propose("reject", reason, note, None, dry_run=dry_run, line=line)


@app.command("not-ours")
def not_ours(
    receipt: Annotated[int, typer.Option("--receipt", help="The receipt.")],
    reason: Reason,
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say that a receipt has nothing to do with any agency."""
    _propose("not_ours", reason, note, None, dry_run=dry_run, receipt=receipt)


@app.command()
def settle(
    break_id: BreakId,
    reason: Reason,
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001
) -> None:
    """Accept a difference as it stands: commission, VAT, an overpayment, money that came late."""
    _propose("settle", reason, note, break_id, dry_run=dry_run, break_id_=break_id)


@app.command()
def refund(
    break_id: BreakId,
    receipt: Annotated[int, typer.Option("--receipt", help="The transfer out of our account.")],
    reason: Reason = "debtor_refund",
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say that a transfer gave back to a debtor what was paid beyond the balance."""
    _propose("refund", reason, note, break_id, dry_run=dry_run, receipt=receipt, break_id_=break_id)


@app.command()
def undo(
    resolution: ResolutionId,
    reason: Reason,
    note: Note = "",
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001
) -> None:
    """Take a resolution back: states as before, and the mirror of its postings in the books."""
    _propose("undo", reason, note, None, dry_run=dry_run, resolution_id=resolution)


@app.command()
def resolutions(
    state: Annotated[str | None, typer.Option(help="waiting | done | undone | refused | withdrawn | stale")] = None,
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the newest first.")] = 100,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what people have proposed and done."""
    from infra import resolving
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(
            resolving.listed(connection, state=state, lender=lender, limit=limit), title="Resolutions", columns=COLUMNS
        )


@app.command()
def resolution(resolution: ResolutionId, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Everything about one resolution: what it is about, who agreed, what it made."""
    from infra import resolving
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(resolving.whole(connection, resolution), title=f"Resolution {resolution}")


@app.command()
def approve(resolution: ResolutionId, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Agree to what somebody else proposed; with the last agreement it is done."""
    from infra import resolving
    from infra.wiring import desk

    _said(resolving.approve(desk(), resolution))


@app.command()
def refuse(
    resolution: ResolutionId,
    why: Annotated[str, typer.Option(help="In your words.")],
    json: Json = False,  # noqa: ARG001
) -> None:
    """Say no to what somebody else proposed."""
    from infra import resolving
    from infra.wiring import desk

    resolving.refuse(desk(), resolution, why)
    say(f"resolution {resolution} is refused: nothing was done")


@app.command()
def withdraw(resolution: ResolutionId, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take back what you proposed yourself, before it is done."""
    from infra import resolving
    from infra.wiring import desk

    resolving.withdraw(desk(), resolution)
    say(f"resolution {resolution} is withdrawn: nothing was done")


@app.command()
def reasons(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the reasons there are, and who must agree to what."""
    from models.reconcile.resolutions import REASONS

    emit([{"reason": code, "means": en, "中文": zh} for code, (en, zh) in REASONS.items()], title="Reasons")


def _propose(kind: str, reason: str, note: str, about: int | None, *, dry_run: bool, **what: Any) -> None:
    from infra import resolving
    from infra.wiring import desk

    if "break_id_" in what:
        what["break_id"] = what.pop("break_id_")
    at = desk()
    if dry_run:
        emit(resolving.preview(at, kind, reason, note, what), title="Would be proposed")
        return
    _said(resolving.propose(at, kind, reason, note, about, what))


def _said(row: Row[Any]) -> None:
    """What became of a resolution."""
    import json as jsonlib

    agreed = jsonlib.loads(row.agreed_by)
    emit(
        {
            "resolution_id": row.resolution_id, "kind": row.kind, "state": row.state, "lender": row.lender,
            "agency": row.agency, "amount_minor": row.amount_minor, "currency": row.currency, "match_id": row.match_id,
            "others_needed": row.others, "agreed_by": agreed,
        },
        title="Resolution",
    )  # fmt: skip
    if row.state == "waiting":
        say(f"{row.others - len(agreed)} more must agree: consign recon approve {row.resolution_id}")


def _parts_of(texts: list[str]) -> tuple[list[int], dict[int, int]]:
    """The lines, and how much of each where that was said."""
    lines, amounts = [], {}
    for text in texts:
        line, _, amount = text.partition("=")
        if not line.isdigit() or (amount and not amount.removeprefix("-").isdigit()):
            raise typer.BadParameter(f"{text!r} is neither LINE nor LINE=AMOUNT", param_hint="--line")
        lines.append(int(line))
        if amount:
            amounts[int(line)] = int(amount)
    return lines, amounts

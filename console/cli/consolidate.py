"""`consign consolidate`: on what basis debtors of several lenders are one, and how their joint payments are split."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, say
from models.consolidation import ORDERS, SCOPES

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Number = Annotated[int, typer.Argument(metavar="BASIS", help="Its number, as `list` shows it.")]
COLUMNS = [
    "basis_id", "circle", "scope", "lender", "state", "counts", "valid_from", "valid_until", "split_order",
    "split_rank", "linked_debtors", "basis",
]  # fmt: skip
SHARE_COLUMNS = [
    "share_ref", "lender", "agency", "account_id", "currency", "amount_minor", "paid_on", "remitted_minor", "state",
]  # fmt: skip


@app.command()
def propose(
    circle: Annotated[str, typer.Argument(help="Whose lenders are linked with one another: a short name.")],
    lender: Annotated[str, typer.Argument(help="The lender whose debtors may be linked.")],
    scope: Annotated[str, typer.Option(help=f"{' or '.join(SCOPES)}: departments of one lender, or several lenders.")],
    basis: Annotated[str, typer.Option(help="The legal basis in words: article, agreement, date.")],
    evidence: Annotated[str, typer.Option(help="Where the document is.")] = "",
    document: Annotated[Path | None, typer.Option(help="The document; its hash is kept, not its text.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="From when it counts; today by default.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day on which it counts.")
    ] = None,
    order: Annotated[str, typer.Option(help=f"How a joint payment is split: {', '.join(ORDERS)}.")] = "oldest_first",
    rank: Annotated[int, typer.Option(min=1, help="The lender's place in lender_order.")] = 1,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Propose the basis on which a lender's debtors may be linked; another person approves it."""
    from infra import consolidation
    from infra.wiring import desk

    at = desk()
    told = consolidation.propose(
        at, circle, lender, scope=scope, basis=basis, evidence=evidence, document=document,
        valid_from=since.date() if since else at.today(), valid_until=until.date() if until else None,
        split_order=order, split_rank=rank, dry_run=dry_run,
    )  # fmt: skip
    emit(told, title="Basis")
    if told.basis_id is not None:
        say(f"nothing is linked yet: another person's `consign consolidate approve {told.basis_id}`")


@app.command()
def approve(basis: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve a basis as its second person: from now on its debtors are linked on its days."""
    from infra import consolidation
    from infra.wiring import desk

    emit(consolidation.approve(desk(), basis), title=f"Basis {basis}")


@app.command()
def withdraw(
    basis: Number,
    reason: Annotated[str, typer.Option("--reason", help="Why; no debtor's values.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """End a basis: what it linked is linked no more, and plans made with it expire."""
    from infra import consolidation
    from infra.wiring import desk

    emit(consolidation.withdraw(desk(), basis, reason), title=f"Basis {basis}")


@app.command(name="list")
def list_(
    circle: Annotated[str | None, typer.Option(help="Only this circle.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the bases, and how many debtors each links today."""
    from infra.store import consolidation as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.listed(connection, at.today(), circle)
    emit(found, title="Bases of consolidated collection", columns=COLUMNS)


@app.command()
def link(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Look up anew who is linked, and who is with several agencies (every day by itself)."""
    from flows.consolidate import consolidate

    emit(consolidate(), title="Linked debtors")


@app.command()
def divided(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List persons whose accounts are with several agencies. Ends with 3 while there are any."""
    from infra import consolidation
    from infra.wiring import desk

    found = consolidation.divided(desk())
    emit(found, title="Divided")
    if len(found):
        say("recall the accounts from one of the agencies (`consign recall`); the next plan places them with the other")
        raise typer.Exit(FINDINGS)


@app.command()
def split(
    path: Annotated[
        Path, typer.Argument(help="The agency's list, CSV in UTF-8: payment_ref, account, currency, amount, paid_on.")
    ],
    agency: Annotated[str, typer.Option(help="The agency that took the payments.")],
    advice: Annotated[
        Path | None, typer.Option(help="Where to write what the agency remits to which lender: a CSV for the agency.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Split what debtors paid for all of their accounts; the same list again changes nothing."""
    from infra import jointpayments
    from infra.wiring import desk

    told, lines = jointpayments.take_in(desk(), agency, path, dry_run=dry_run)
    if advice is not None:
        _write(advice, lines)
    emit(told, title="Joint payments")
    if told.surplus:
        say(f"{told.surplus} paid more than was owed: the agency returns the rest to the debtor")


@app.command()
def shares(
    lender: Annotated[str | None, typer.Option(help="Only of this lender: what it may be shown.")] = None,
    agency: Annotated[str | None, typer.Option(help="Only of this agency.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write them to a CSV.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the shares of joint payments, and which were remitted. Ends with 3 while one differs."""
    from infra.store import consolidation as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = store.shares(connection, lender=lender, agency=agency)[SHARE_COLUMNS]
    if out is not None:
        _write(out, found)
    emit(found, title="Shares of joint payments", columns=SHARE_COLUMNS)
    if (found["state"] == "differs").any():
        raise typer.Exit(FINDINGS)


def _write(path: Path, frame: Any) -> None:
    """The frame as a CSV that only its owner reads."""
    from models.spreadsheets import defused

    path.touch(mode=0o600)
    path.write_text(defused(frame).to_csv(index=False), encoding="utf-8")

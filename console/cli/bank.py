"""What `consign recon` knows of banks: taking their files in, the register of accounts, the layouts of tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import DryRun, Json, emit, progress, say

if TYPE_CHECKING:
    from connectors.bank.statement import BankStatementFile

app = typer.Typer(no_args_is_help=True)
accounts = typer.Typer(help="The register of the lenders' bank accounts.")
layouts = typer.Typer(no_args_is_help=True, help="How banks' and wallets' tables are read.")
app.add_typer(accounts, name="accounts")
app.add_typer(layouts, name="layouts")

FINDINGS = 3
File = Annotated[Path, typer.Argument(help="A statement as the bank wrote it.", exists=True, dir_okay=False)]
Layout = Annotated[str | None, typer.Option(help="The layout of a table, where its header does not tell.")]


@app.command("import")
def import_statement(
    path: File,
    lender: Annotated[str, typer.Option(help="Whose account it is.")],
    account: Annotated[str | None, typer.Option(help="The account, where the file does not say.")] = None,
    layout: Layout = None,
    new_account: Annotated[
        bool, typer.Option("--new-account", help="An account that is not in the register is, as this lender's.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take a bank's file into the books: camt.052 to .054, MT940, MT942, or a table; the same again changes nothing."""
    if dry_run:
        emit([_told(one) for one in _drawn(path, lender, layout, account)], title="Statements in the file")
        return
    from flows.engine import run as run_verb
    from flows.reconcile import import_statement as verb

    with progress(f"Reading {path.name}"):
        report = run_verb(
            verb, path=path.resolve(), lender=lender, layout=layout, account=account, new_account=new_account
        )
    emit(report, title="Bank statement")
    for gap in report.gaps:
        say(gap)
    if report.gaps:
        raise typer.Exit(FINDINGS)


app.command("import-statement", hidden=True)(import_statement)


def _drawn(path: Path, lender: str, layout: str | None, account: str | None) -> list[BankStatementFile]:
    from infra import bankaccounts
    from infra.wiring import desk

    return bankaccounts.statements(desk(), path, lender, layout=layout, account=account)


def _told(statement: BankStatementFile) -> dict[str, object]:
    return {
        "form": statement.form, "account": f"…{statement.account[-4:]}" if statement.account else None,
        "number": statement.number,
        "currency": statement.currency, "opening_minor": statement.opening_minor,
        "closing_minor": statement.closing_minor, "entries": len(statement.entries), "pending": statement.pending,
        "credit_minor": int(statement.entries["amount_minor"].clip(lower=0).sum()),
        "debit_minor": int(-statement.entries["amount_minor"].clip(upper=0).sum()),
    }  # fmt: skip


# -- the register ------------------------------------------------------------------------------------------------------


@accounts.callback(invoke_without_command=True)
def list_accounts(
    context: typer.Context,
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """The register of the lenders' bank accounts."""
    if context.invoked_subcommand is not None:
        return
    from infra import bankaccounts
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(bankaccounts.listed(connection, lender), title="Bank accounts")


@accounts.command("add")
def add_account(
    account: Annotated[str, typer.Argument(help="Its number, as the bank's files have it.")],
    lender: Annotated[str, typer.Option(help="Whose it is.")],
    currency: Annotated[str, typer.Option(help="In which currency.")],
    ledger: Annotated[str, typer.Option(help="What the lender's own books call it.")] = "1010",
    layout: Annotated[
        str | None, typer.Option(help="Tables of this layout that name no account are this account's.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put an account into the register; statements of it are taken from now on."""
    from infra import bankaccounts
    from infra.wiring import desk

    is_new = bankaccounts.register(desk(), account, currency, lender, ledger=ledger, layout=layout)
    shown = {"account": f"…{account[-4:]}", "lender": lender, "currency": currency.upper(), "new": is_new}
    emit(shown, title="Bank account")


# -- layouts -----------------------------------------------------------------------------------------------------------


@layouts.command("list")
def list_layouts(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Every layout of tables: those that come with Consign, and your own below home."""
    from infra.bankaccounts import LAYOUTS

    found = [LAYOUTS.find(name) for name in LAYOUTS.names()]
    emit([
        {"layout": one.reference, "about": one.about, "verified": one.verified, "currency": one.currency}
        for one in found
    ], title="Layouts of bank statements")  # fmt: skip


@layouts.command("show")
def show_layout(name: Annotated[str, typer.Argument(help="Its name.")], json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """One layout as it is written; copy it as the beginning of your own."""
    from infra.bankaccounts import LAYOUTS

    one = LAYOUTS.find(name)
    emit({"layout": one.reference, "verified": one.verified, "toml": one.text}, title=one.about)


@layouts.command("check")
def check_layout(
    path: File,
    layout: Layout = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """How a file would be read, and where it contradicts itself; nothing is taken. Ends with 3 where it is refused."""
    from connectors.bank import reading
    from infra.bankaccounts import LAYOUTS

    chosen = LAYOUTS.find(layout) if layout is not None else None
    found = reading.drawn(path, [LAYOUTS.find(name) for name in LAYOUTS.names()], chosen)
    emit([_told(one) for one in found], title=f"As {path.name} is read")
    faults = [fault for one in found for fault in one.faults]
    for fault in faults:
        say(fault)
    if faults:
        raise typer.Exit(FINDINGS)

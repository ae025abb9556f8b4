"""`consign ledger`: the books: balances, an agency's ledgers, entries, the card of a placement, the chart, exports."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, progress, say

app = typer.Typer(no_args_is_help=True)

Lender = Annotated[str | None, typer.Option(help="Only this lender; default all.")]
OneLender = Annotated[str, typer.Option("--lender", help="Whose books.")]
Period = Annotated[str | None, typer.Option(help="The month, YYYY-MM: opening, movement and closing of it.")]
Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Everything up to this day.")]
FINDINGS = 3
COLUMNS = ["lender", "agency", "code", "name", "opening_minor", "debit_minor", "credit_minor", "balance_minor"]
ENTRIES = ["entry_id", "event", "posted_on", "value_date", "entry_key", "debit_minor", "credit_minor"]


@app.command("trial-balance")
def trial_balance(
    lender: Lender = None,
    period: Period = None,
    as_of: Day = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Opening, debits, credits and balance per account of the chart and agency; they sum to nothing."""
    from infra.store import balances
    from infra.store.statements import last_day
    from infra.wiring import desk
    from models.errors import UsageError

    if period and as_of:
        raise UsageError("a month and a day were given", fix="take --period or --as-of")
    if period:
        last_day(period)
    with desk().database.read() as connection:
        found = balances.trial_balance(connection, lender, period=period, as_of=as_of.date() if as_of else None)
    emit(found, title="Trial balance", columns=COLUMNS)


@app.command()
def agency(
    agency: Annotated[str, typer.Argument(help="The agency's code.")],
    lender: Lender = None,
    period: Period = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """One agency's ledgers: what each opened with, what moved, and what it closed with."""
    from infra.store import balances, exchange
    from infra.store.statements import last_day
    from infra.wiring import desk

    if period:
        last_day(period)
    with desk().database.read() as connection:
        exchange.agency(connection, agency)
        found = balances.trial_balance(connection, lender, agency=agency, period=period)
    emit(found, title=f"Ledgers of {agency}", columns=[name for name in COLUMNS if name != "agency"])
    say("what stands behind a figure: consign ledger entries --agency … --ledger … --period …")


@app.command()
def entries(
    lender: Lender = None,
    agency: Annotated[str | None, typer.Option(help="Only lines of this agency.")] = None,
    ledger: Annotated[str | None, typer.Option(help="Only lines on this ledger, or account of the chart.")] = None,
    period: Annotated[str | None, typer.Option(help="Only the month YYYY-MM.")] = None,
    number: Annotated[int | None, typer.Option(help="Only lines on this debtor's account, by our number.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the newest first.")] = 100,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the entries behind a figure: what their lines that fit sum to."""
    from infra.store import balances
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = balances.entries(
            connection, lender=lender, agency=agency, ledger=ledger, period=period, account_id=number, limit=limit
        )
    emit(found, title="Entries", columns=ENTRIES)


@app.command()
def entry(
    which: Annotated[str, typer.Argument(help="Its number or its key.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show one entry with its lines."""
    from infra.store import balances
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(balances.entry(connection, which), title=f"Entry {which}")


@app.command()
def card(
    placement: Annotated[int, typer.Argument(help="The placement's number.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show a placement's account: what was placed, every line of the books on it, what is left."""
    from infra.store import balances
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(balances.card(connection, placement), title=f"Placement {placement}")


@app.command()
def chart(
    name: Annotated[str | None, typer.Argument(help="A chart; default the one in force.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show a chart of accounts, and check it: every role once, no code twice, none that meant something else."""
    from infra import charts
    from infra.store.ledger import check_chart
    from infra.wiring import desk

    found = charts.find(name) if name else charts.current()
    with desk().database.read() as connection:
        check_chart(connection, found)
    rows = [
        {"code": one.code, "name": one.name, "zh": one.zh, "kind": one.kind, "role": one.role, "ledger": one.ledger}
        for one in found.accounts
    ]
    emit(rows, title=f"Chart {found.name}: {found.title}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="The file to write: .journal, .beancount, .csv or .xlsx.")],
    lender: OneLender,
    format_: Annotated[str | None, typer.Option("--format", help="hledger, beancount, csv or xlsx.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="The first month, YYYY-MM; default all.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last month.")] = None,
    by_account: Annotated[
        bool, typer.Option("--by-account", help="A line per debtor's account, by our internal number.")
    ] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write the books for another program, which can check them; no debtor is in them."""
    from infra.books.export import export as write
    from infra.store.statements import last_day
    from infra.wiring import desk

    for month in (since, until):
        if month:
            last_day(month)
    with progress(f"writing the books of {lender}"):
        done = write(desk(), lender, out, format_=format_, since=since, until=until, by_account=by_account)
    emit(done, title="Exported")


@app.command()
def verify(lender: Lender = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Check every law of the books again, and that closed months are what they were. Ends with 3 where one is not."""
    from infra import closing
    from infra.wiring import desk

    with progress("checking the books"):
        found = closing.verified(desk(), lender)
    emit(found, title="The books")
    if not all(one["holds"] for one in found):
        raise typer.Exit(FINDINGS)

"""`consign portfolio`: take overdue accounts in and see what came; lenders; holds."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import DryRun, Json, emit, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from flows.intake import IntakeReport

app = typer.Typer(no_args_is_help=True)
lenders = typer.Typer(no_args_is_help=True, help="The lenders whose accounts are placed.")
holds = typer.Typer(no_args_is_help=True, help="Debtors who may not be placed, and why.")
app.add_typer(lenders, name="lender")
app.add_typer(holds, name="hold")

DAY = ["%Y-%m-%d"]
LISTED = (
    "portfolio_id", "lender", "as_of", "profile", "rows_read", "rows_accepted", "rows_refused", "rows_new",
    "rows_updated", "balance_minor", "state",
)  # fmt: skip
_LenderOption = Annotated[str | None, typer.Option("--lender", help="Only this lender; default all.")]


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(help="A file, or env:NAME for the database whose URL is in NAME.")],
    lender: Annotated[str, typer.Option(help="Whose accounts these are.")],
    profile: Annotated[str, typer.Option(help="The mapping profile: a shipped one's name, or a .toml file.")],
    as_of: Annotated[datetime, typer.Option(formats=DAY, help="The day of the snapshot.")],
    threshold: Annotated[str, typer.Option(help="Share of refused lines that is let pass: 0 to 1.")] = "0",
    query: Annotated[Path | None, typer.Option(help="A file with the SQL to run instead of the profile's.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Check every line and take the good ones in; the same source twice changes nothing.

    Ends with 3 where more lines are refused than the threshold lets pass: then nothing came in.
    """
    from flows.engine import run
    from flows.intake import intake as verb

    where = source if source.startswith("env:") else Path(source)
    mapping = Path(profile) if profile.endswith(".toml") else profile
    day = as_of.date()
    with _told():
        if dry_run:  # checking a file starts no Prefect server
            report = verb(where, mapping, lender, day, threshold, query, dry_run=True)
        else:
            report = run(
                verb, source=where, profile=mapping, lender=lender, as_of=day, threshold=threshold, query=query
            )
    emit(report, title="Would come in" if dry_run else "Portfolio")
    _say_what_next(report)
    if report.state == "refused":
        raise typer.Exit(3)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A bar on stderr while an import runs."""
    from console.cli.output import progress
    from flows.intake import progress_told

    with progress("Taking accounts in", total=1.0) as bar:

        def tell(lines: int, fraction: float | None) -> None:
            bar.update(done=fraction, description=f"Taking accounts in: {lines:,} lines")

        with progress_told(tell):
            yield


def _say_what_next(report: IntakeReport) -> None:
    if report.already:
        say("This source is in already: nothing changed.")
    elif report.state == "refused":
        say(
            f"{report.refused:,} lines are refused, more than --threshold lets pass: nothing came in. "
            f"The lines and what to do are in {report.rejects_path}",
            style="bold red",
        )
    elif report.rejects_path:
        say(f"The lines that were refused or doubtful, and what to do, are in {report.rejects_path}")


@app.command(name="list")
def list_(lender: _LenderOption = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show the portfolios that came, newest first."""
    from infra.store import portfolios
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = portfolios.portfolios(connection, lender)
    emit(found.assign(as_of=found["as_of"].dt.date), title="Portfolios", columns=LISTED)


@app.command()
def show(
    portfolio_id: Annotated[int, typer.Argument(help="The portfolio.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show one portfolio, and the accounts that it was the last to speak of, by product and bucket."""
    from infra.store import portfolios
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(portfolios.portfolio(connection, portfolio_id), title=f"Portfolio {portfolio_id}")


@app.command()
def rejects(
    portfolio_id: Annotated[int, typer.Argument(help="The portfolio.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show why lines were refused: line, field, code and what to do. Never the value."""
    from infra.store import portfolios
    from infra.wiring import desk

    with desk().database.read() as connection:
        portfolios.portfolio(connection, portfolio_id)
        emit(portfolios.rejects(connection, portfolio_id), title="Refused lines")


@app.command()
def codes(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List every reason why a line is refused or doubted, and what to do about it."""
    from models.intake.codes import CODES, REFUSALS

    told = [
        {"code": code, "outcome": "refused" if code in REFUSALS else "warning", "fix": fix}
        for code, fix in CODES.items()
    ]
    emit(told, title="Codes")


@app.command()
def fields(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the fields of an account: what a profile can map."""
    from models.intake.fields import ACCOUNT_FIELDS

    emit(list(ACCOUNT_FIELDS.values()), title="Fields")


@app.command()
def profiles(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the mapping profiles that come with Consign."""
    from connectors.portfolio import load_profile, shipped_profiles

    loaded = [load_profile(name) for name in shipped_profiles()]
    emit([{"profile": one.name, "version": one.version, "about": one.about} for one in loaded], title="Profiles")


@lenders.command(name="add")
def add_lender(
    lender: Annotated[str, typer.Argument(help="Its code: 2 to 20 of a-z 0-9 and -.")],
    name: Annotated[str, typer.Option(help="Its name, as on the contract.")],
    country: Annotated[str, typer.Option(help="ISO 3166, two letters.")] = "CN",
    timezone: Annotated[str, typer.Option(help="Where its days begin.")] = "Asia/Shanghai",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Add a lender; adding it again with the same words changes nothing."""
    from flows.lenders import add_lender as add

    emit(add(lender, name, country, timezone), title="Lender")


@lenders.command(name="list")
def list_lenders(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show the lenders, and how many accounts each has open."""
    from infra.store import portfolios
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(portfolios.lenders(connection), title="Lenders")


@holds.command(name="add")
def add_hold(
    lender: Annotated[str, typer.Argument(help="The lender.")],
    reason: Annotated[str, typer.Option(help="complaint, dispute, deceased, insolvent, vulnerable, breathing_space …")],
    account: Annotated[
        str, typer.Option(help="The lender's number of any of the debtor's accounts; - asks for it, unseen.")
    ] = "-",
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="The last day; without it until lifted.")] = None,
    account_only: Annotated[bool, typer.Option(help="Hold this account alone, not all of the debtor's.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a debtor on hold: not placed from now on, and recalled if already with an agency."""
    from flows.holds import place_hold

    number = typer.prompt("Account number", hide_input=True, err=True) if account == "-" else account
    emit(place_hold(lender, number, reason, _day(until), account_only=account_only), title="Hold")


@holds.command(name="lift")
def lift_hold(
    hold_id: Annotated[int, typer.Argument(help="The hold.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """End a hold; lifting it again changes nothing."""
    from flows.holds import lift_hold as lift

    emit({"hold_id": hold_id, "lifted": lift(hold_id)}, title="Hold")


@holds.command(name="list")
def list_holds(
    lender: _LenderOption = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="The lifted and expired ones too.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show the holds in force."""
    from infra.store import portfolios
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = portfolios.holds(connection, at.today(), lender, all_of_them=all_of_them)
    emit(found.assign(since=found["since"].dt.date, until=found["until"].dt.date), title="Holds")


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None

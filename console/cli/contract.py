"""`consign contract`: what was agreed with each agency, what is proposed, and what a month would cost under it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import DryRun, Json, emit, progress, say
from models.errors import UsageError

app = typer.Typer(no_args_is_help=True)

Agency = Annotated[str, typer.Argument(help="The agency's code.")]
Lender = Annotated[str, typer.Option(help="The lender's code.")]
From = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day in force.")]
Why = Annotated[str, typer.Option(help="Why, and where it was agreed: kept with the proposal.")]
Share = Annotated[float | None, typer.Option(min=0, max=1, help="Target share of new placements.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="One term changed: vat_rate=0.09, tier.1.rate=0.2; empty takes it out. Repeatable."),
]
On = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As of this day; default today.")]
Terms = Annotated[Path | None, typer.Option(help="Other terms, a TOML file.", exists=True, dir_okay=False)]


@app.command("list")
def list_(
    lender: Annotated[str | None, typer.Option(help="Only this lender.")] = None,
    agency: Annotated[str | None, typer.Option(help="Only this agency.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every contract with its first and last day, its basis, rates and VAT."""
    from infra.store import contracts
    from infra.wiring import desk
    from models.contract import Contract

    with desk().database.read() as connection:
        found = contracts.listed(connection, lender, agency)
    rows = []
    for row in found:
        terms = Contract.parse(row["terms"])
        rates = ", ".join(f"{(tier.rate * 100).normalize():f}%{'…' if tier.steps else ''}" for tier in terms.tiers)
        rows.append({
            "lender": row["lender"], "agency": row["agency"], "from": row["effective_from"], "until": row["until"],
            "basis": terms.basis, "remits": terms.remits, "rates": rates or terms.fees,
            "vat": f"{(terms.vat_rate * 100).normalize():f}% {terms.vat_treatment}", "currency": terms.currency,
            "proposed_by": row["created_by"], "approved_by": row["approved_by"], "sha256": row["sha256"],
        })  # fmt: skip
    shown = ["lender", "agency", "from", "until", "basis", "remits", "rates", "vat", "currency", "approved_by"]
    emit(rows, title="Contracts", columns=shown)


@app.command()
def show(
    agency: Agency,
    lender: Lender,
    on: On = None,
    json: Json = False,
) -> None:
    """Show the terms in force on a day, as they were written."""
    from infra.store import contracts
    from infra.wiring import desk

    day = on.date() if on else desk().today()
    with desk().database.read() as connection:
        row = contracts.one(connection, lender, agency, day)
    if json:
        emit(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
        return
    emit(row.terms.rstrip("\n"))
    say(f"in force from {row.effective_from}; proposed by {row.created_by}, approved by {row.approved_by or 'nobody'}")


@app.command()
def check(
    terms: Annotated[Path, typer.Argument(help="Terms, a TOML file.", exists=True, dir_okay=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Check that terms can be read and agree with themselves; nothing is kept."""
    from models.contract import Contract

    contract = Contract.parse(_read(terms))
    emit(
        {
            "currency": contract.currency, "basis": contract.basis, "remits": contract.remits,
            "tiers": len(contract.tiers), "counted by month": contract.is_counted_by_month,
            "can be paid": contract.payee is not None,
        },
        title=f"{terms.name} can be a contract",
    )  # fmt: skip


@app.command()
def diff(
    agency: Agency,
    lender: Lender,
    terms: Terms = None,
    change: Changes = None,
    on: On = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show, term by term, how other terms differ from those in force."""
    from infra.store import contracts
    from infra.wiring import desk
    from models.contract import Contract
    from models.contract.writing import differences

    other = _other(terms, change)
    with desk().database.read() as connection:
        row = contracts.one(connection, lender, agency, on.date() if on else desk().today())
    told = differences(Contract.parse(row.terms), Contract.parse(other(agency, row.terms)))
    emit(told, title=f"Against the terms from {row.effective_from}", columns=["term", "before", "after"])


@app.command()
def simulate(
    period: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
    lender: Lender,
    agency: Annotated[str | None, typer.Option(help="Only this agency; needed with --terms.")] = None,
    terms: Terms = None,
    change: Changes = None,
    json: Json = False,
) -> None:
    """Show what a month would have cost under other terms: per agency and tier, with the difference. Writes nothing."""
    from infra import contracts
    from infra.wiring import desk

    if terms is not None and agency is None:
        raise UsageError("terms are one agency's", fix="name it with --agency; --set changes everybody's")
    with progress("Pricing the month twice"):
        found = contracts.simulate(desk(), lender, period, _other(terms, change), agency)
    totals = found.groupby("currency", as_index=False)["difference_minor"].sum()
    if json:
        emit({"period": period, "rows": found, "totals": totals})
        return
    emit(found, title=f"{period} under other terms")
    emit(totals, title="Difference, all together")


@app.command()
def propose(
    agency: Agency,
    lender: Lender,
    effective_from: From,
    why: Why,
    terms: Terms = None,
    change: Changes = None,
    share: Share = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put terms up: a TOML file, or the terms in force with --set changes. A second person approves them."""
    from infra import contracts
    from infra.wiring import desk

    day = effective_from.date()
    if change:
        text = _other(terms, change)(agency, _in_force(lender, agency, day) if terms is None else "")
    elif terms is not None:
        text = _read(terms)
    else:
        raise UsageError("no terms", fix="give --terms FILE, or --set changes of those in force")
    if dry_run:
        emit(text.rstrip("\n"))
        return
    _told(agency, lender, day, contracts.propose(desk(), agency, lender, text, day, why, share))


@app.command("import")
def import_(
    sheet: Annotated[Path, typer.Argument(help="CSV or XLSX, a row per tier.", exists=True, dir_okay=False)],
    why: Why,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put up every contract in a sheet (docs/reference/contracts.md#rows-of-a-sheet); safe to run again."""
    from infra import contracts
    from infra.wiring import desk
    from models.contract.writing import from_rows

    found = from_rows(_rows(sheet))
    days = {key: _day(key[2]) for key in found}
    if dry_run:
        emit([{"lender": key[0], "agency": key[1], "from": days[key], "terms": text} for key, text in found.items()],
             title="Would be proposed", columns=["lender", "agency", "from"])  # fmt: skip
        return
    rows = []
    for (lender, agency, day), text in found.items():
        number = contracts.propose(desk(), agency, lender, text, days[lender, agency, day], why)
        rows.append({"proposal_id": number, "lender": lender, "agency": agency, "from": days[lender, agency, day]})
    emit(rows, title="Proposed")


@app.command()
def proposals(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List what was ever proposed, the newest first."""
    from infra.store import contracts
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = contracts.proposals(connection)
    emit(found, title="Proposals", columns=["proposal_id", "state", "lender", "agency", "effective_from", "proposed_by",
                                            "why", "decided_by"])  # fmt: skip


@app.command()
def approve(proposal_id: int, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve proposed terms, as another person than who proposed them: they are in force from their day on."""
    from infra import contracts
    from infra.wiring import desk

    emit(contracts.approve(desk(), proposal_id), title="Approved")


@app.command()
def withdraw(proposal_id: int, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take a proposal back."""
    from infra import contracts
    from infra.wiring import desk

    contracts.withdraw(desk(), proposal_id)
    emit({"proposal_id": proposal_id, "state": "withdrawn"}, title="Withdrawn")


def _told(agency: str, lender: str, day: date, number: int | None) -> None:
    state = "in force" if number is None else "waiting"
    emit({"agency": agency, "lender": lender, "from": day, "state": state, "proposal_id": number}, title="Contract")
    if number is not None:
        say(f"a second person approves it: consign contract approve {number}")


def _in_force(lender: str, agency: str, day: date) -> str:
    from infra.store import contracts
    from infra.wiring import desk

    with desk().database.read() as connection:
        return str(contracts.one(connection, lender, agency, day).terms)


def _other(terms: Path | None, change: list[str] | None) -> Callable[[str, str], str]:
    """The other terms, by the agency and its present ones."""
    from models.contract.writing import instead, pairs

    if terms is None and not change:
        raise UsageError("no other terms", fix="give --terms FILE, or --set term=value")
    text = "" if terms is None else _read(terms)
    changes = pairs(change or [])
    return lambda _agency, present: instead(present, text, changes)


def _read(terms: Path) -> str:
    try:
        return terms.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{terms.name} is no text in UTF-8", fix="TOML is always UTF-8: save it so") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise UsageError("effective_from is no day", fix="write it as YYYY-MM-DD") from None


def _rows(sheet: Path) -> list[dict[str, str]]:
    """The rows of a CSV, or of a workbook's first sheet, by their headings."""
    if sheet.suffix.lower() == ".csv":
        import csv

        with sheet.open(encoding="utf-8-sig", newline="") as file:
            return [{name: cell or "" for name, cell in row.items() if name} for row in csv.DictReader(file)]
    from python_calamine import CalamineError, load_workbook

    try:
        head, *body = load_workbook(str(sheet)).get_sheet_by_index(0).to_python()
    except (CalamineError, ValueError):
        raise UsageError(
            f"{sheet.name} is neither a CSV nor a workbook with rows", fix="save it as CSV or XLSX"
        ) from None
    return [{str(name): _text(cell) for name, cell in zip(head, row, strict=True)} for row in body]


def _text(cell: object) -> str:
    """A cell as text: whole numbers without a point, days as ISO."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)

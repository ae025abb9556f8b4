"""`consign conduct`: what agencies did, held against the rules; the rules themselves, breaches, and gates."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, is_json, progress, say
from models.errors import UsageError

if TYPE_CHECKING:
    from models.conduct.packs import Pack, Rule

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3

Agency = Annotated[str | None, typer.Option("--agency", help="Only this agency.")]
PackName = Annotated[str | None, typer.Option("--pack", help="A pack's name; all by default.")]
Gate = Annotated[int, typer.Argument(metavar="GATE", help="Its number, as `gates` shows it.")]
Number = Annotated[int, typer.Argument(metavar="BREACH", help="Its number, as `breaches` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; no debtor's values.")]


@app.command()
def run(
    everything: Annotated[
        bool, typer.Option("--all", help="Judge the whole history anew.", show_default=False)
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Audit what agencies reported since the last run. Ends with 3 where it finds breaches."""
    from infra.wiring import desk

    with progress("auditing conduct") as bar:
        if dry_run:
            from infra.conduct import audit_conduct

            report = audit_conduct(
                desk(), everything=everything, dry_run=True, tell=lambda what: bar.update(description=what)
            )
        else:
            from flows.conduct import conduct
            from flows.engine import run as running

            report = running(conduct, everything=everything)
    told = vars(report).copy()
    if not is_json():
        told["not_judged"] = f"{len(report.not_judged)} rules: `consign conduct packs` says which, and what they need"
        told["by_rule"] = ", ".join(f"{rule} {number}" for rule, number in report.by_rule.items()) or None
        told["notes"] = "; ".join(report.notes) or None
    emit(told, title="Conduct")
    if report.found:
        say("`consign conduct breaches` shows clause and line of each")
        raise typer.Exit(FINDINGS)


@app.command()
def report(agency: Agency = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show how many breaches stand, by agency and rule, with each clause; and what was not judged."""
    from infra.store import conduct as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        counted = store.counted(connection, agency)
        last = store.last_run(connection)
    missing = [] if last is None else last["summary"].get("not_judged", [])
    if is_json():
        emit({"breaches": counted.to_dict("records"), "not_judged": missing, "last_run": last})
        return
    emit(counted, title="Breaches", columns=["agency", "rule_id", "severity", "open", "upheld", "dismissed", "clause"])
    if last is None:
        say("nothing has been audited yet: `consign conduct run`")
    emit(missing, title="Not judged", columns=["pack", "rule_id", "why"])


@app.command()
def breaches(
    agency: Agency = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    severity: Annotated[str | None, typer.Option(help="serious, normal or low.")] = None,
    state: Annotated[str | None, typer.Option(help="open, upheld, dismissed or withdrawn.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the newest first.")] = 200,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List breaches, the newest first, each with its clause and its evidence."""
    from infra.store import conduct as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = store.listed(connection, agency=agency, rule=rule, severity=severity, state=state, limit=limit)
    emit(
        found,
        title="Breaches",
        columns=["breach_id", "agency", "rule_id", "severity", "at", "zone", "counted", "evidence", "state", "clause"],
    )


@app.command()
def show(breach: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show a breach: rule, clause, the file's line, and the names that the agency knows account and debtor by."""
    from infra import conduct
    from infra.wiring import desk

    emit(conduct.whole(desk(), breach), title=f"Breach {breach}")


@app.command()
def uphold(
    breach: Number,
    reason: Reason,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """The agency was heard, and the breach stands: serious ones count towards a gate."""
    _decide(breach, "upheld", reason, dry_run=dry_run)


@app.command()
def dismiss(
    breach: Number,
    reason: Reason,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """The agency was heard, and it was no breach: the debtor had agreed, say."""
    _decide(breach, "dismissed", reason, dry_run=dry_run)


@app.command()
def packs(pack: PackName = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the rules of the packs: clause, number, from when, how it was read, and how it is judged."""
    from infra import rulepacks

    named = [rulepacks.find(name) for name in ([pack] if pack else rulepacks.names())]
    rows = [_row(one, rule) for one in named for rule in one.rules]
    emit(rows, title="Rule packs", columns=["pack", "rule", "number", "effective_from", "verified", "judged", "clause"])
    if any(row["counsel"] for row in rows):
        say("rules that are not `text` were not read in their own text: confirm with counsel")


@app.command()
def rule(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="Its id, as `packs` shows it.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show one rule whole: its text in English and 中文, clause, number, counter, zone, dates."""
    from infra import rulepacks
    from models.conduct.judging import told
    from models.conduct.packs import COUNTED

    for name in rulepacks.names():
        pack = rulepacks.find(name)
        if any(one.id == rule_id for one in pack.rules):
            versions = [one for one in pack.rules if one.id == rule_id]
            emit(
                {"pack": f"{pack.name} {pack.version}", **told(versions[-1]), "counts": COUNTED[versions[-1].counter],
                 "versions": len(versions)},
                title=f"Rule {rule_id}",
            )  # fmt: skip
            return
    raise UsageError(f"no pack holds a rule {rule_id!r}", fix="`consign conduct packs` lists them")


@app.command()
def use(
    lender: Annotated[str, typer.Argument(help="The lender's code.")],
    pack: Annotated[list[str] | None, typer.Argument(help="Packs, in order; none: by its country.")] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say by which packs a lender's agencies are audited."""
    from infra import conduct, rulepacks
    from infra.wiring import desk

    if dry_run:
        emit({"lender": lender, "packs": [rulepacks.find(name).name for name in pack or []]}, title="Packs")
        return
    emit({"lender": lender, "packs": conduct.use_packs(desk(), lender, pack or [])}, title="Packs")


@app.command()
def gates(
    every: Annotated[bool, typer.Option("--all", help="Those that opened again too.", show_default=False)] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the gates that stop new placements, or are lifted. Ends with 3 while one stops somebody."""
    from infra.store import gates as store
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        found = store.listed(connection, at.today(), every=every)
    emit(
        found,
        title="Gates",
        columns=[
            "gate_id", "agency", "lender", "gate", "state", "stops", "measured", "bound", "detail", "since",
            "lift_until", "asked_by", "lifted_by",
        ],
    )  # fmt: skip
    if any(row["stops"] for row in found):
        say("`consign conduct lift GATE --until DAY --reason WHY` asks to lift one; a second person grants it")
        raise typer.Exit(FINDINGS)


@app.command()
def lift(
    gate: Gate,
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day it is lifted.")],
    reason: Reason,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask to lift a gate for a time; it counts when a second person grants it."""
    from infra import gates as house
    from infra.wiring import desk

    if not dry_run:
        house.ask(desk(), gate, until.date(), reason)
    _gate(gate)


@app.command()
def grant(gate: Gate, dry_run: DryRun = False, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Lift a gate that somebody else asked to lift."""
    from infra import gates as house
    from infra.wiring import desk

    if not dry_run:
        house.grant(desk(), gate)
    _gate(gate)


@app.command()
def refuse(gate: Gate, dry_run: DryRun = False, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Say no to lifting a gate, or close one that was lifted."""
    from infra import gates as house
    from infra.wiring import desk

    if not dry_run:
        house.refuse(desk(), gate)
    _gate(gate)


def _decide(breach: int, there: str, reason: str, *, dry_run: bool) -> None:
    from infra import conduct
    from infra.wiring import desk

    if not dry_run:
        conduct.decide(desk(), breach, there, reason)
    emit(conduct.whole(desk(), breach), title=f"Breach {breach}")


def _gate(gate: int) -> None:
    from infra.store import gates as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(dict(store.gate(connection, gate)._mapping), title=f"Gate {gate}")  # noqa: SLF001 - the row's columns


def _row(pack: Pack, rule: Rule) -> dict[str, Any]:
    """A rule as a line of the list."""
    needs = f"needs {', '.join(rule.needs)}" if rule.needs else f"kept by {rule.kept_by}"
    judged = needs if rule.counter == "none" else str(rule.counter)
    number = "" if rule.number is None else f"{rule.number} {rule.unit}"
    if rule.hours_from and rule.hours_to:
        number = f"{rule.hours_from:%H:%M}-{rule.hours_to:%H:%M}"
    return {
        "pack": f"{pack.name} {pack.version}", "rule": rule.id, "clause": rule.clause, "text": rule.text,
        "text_zh": rule.text_zh, "number": number or None, "effective_from": rule.effective_from,
        "effective_until": rule.effective_until, "severity": rule.severity, "judged": judged,
        "verified": rule.verified + (f" ({rule.counsel})" if rule.counsel else ""), "counsel": rule.counsel,
    }  # fmt: skip

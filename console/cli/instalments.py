"""`consign instalments`: what debtors offer to pay in parts: judge, approve, refuse, follow; and the limits of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import DryRun, Json, emit, progress, say

if TYPE_CHECKING:
    from models.instalments.limits import Limits

app = typer.Typer(no_args_is_help=True)
limits_app = typer.Typer(no_args_is_help=True, help="What may be agreed, by ability and willingness to pay.")
app.add_typer(limits_app, name="limits")

Plan = Annotated[int, typer.Argument(help="The instalment plan, by id.", show_default=False)]
Because = Annotated[str, typer.Option(help="Why.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why.", show_default=False)]
Name = Annotated[str, typer.Argument(help="Limits' name, NAME@VERSION, or a TOML file.", show_default=False)]
Version = Annotated[str, typer.Argument(help="NAME@VERSION.", show_default=False)]


@app.command(name="list")
def list_(
    agency: Annotated[str | None, typer.Option(help="Only this agency's.")] = None,
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    state: Annotated[
        str | None,
        typer.Option(help="proposed, awaiting_second, approved, refused, fulfilled, broken or ended."),
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show the instalment plans that agencies proposed, newest first, with their verdicts."""
    from infra.store import instalments as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(store.listed(connection, agency, lender, state), title="Instalment plans")


@app.command()
def show(plan: Plan, json: Json = False) -> None:
    """Show a plan: how it was judged, what is to be paid when, and how it stands."""
    from infra import instalments
    from infra.store import instalments as store
    from infra.store import placing, plans
    from infra.wiring import desk
    from models.instalments.judging import CODES

    at = desk()
    with at.database.read() as connection:
        row = store.one(connection, plan)
        due = placing.instalments_of(connection, plan)
        today = plans.lender_today(connection, row.lender, at.now())
        judged = instalments.judge(connection, at, row.lender, today, plan)
        stands = instalments.standing(connection, row.lender, today, plan)
    said = judged.iloc[0] if len(judged) else None
    names = (
        "instalment_plan_id", "agency", "lender", "plan_ref", "placement_id", "state", "currency", "total_minor",
        "income_band", "first_by", "decided_by", "agreed_on", "ended_on", "answered_as",
    )  # fmt: skip
    head = {name: getattr(row, name) for name in names}
    for name in ("verdict", "codes", "ability", "willingness", "balance_minor", "limits"):
        head[name] = getattr(row, name) if said is None else said[name]
    if len(stands):
        head |= {name: stands.iloc[0][name] for name in ("standing", "paid_minor", "due_minor", "missed")}
    if json:
        emit({**head, "instalments": due.to_dict(orient="records")})
        return
    emit(head, title=f"Instalment plan {plan}")
    emit(due, title="Instalments")
    for code in filter(None, str(head["codes"] or "").split(",")):
        say(f"{code}: {CODES.get(code, '')}")


@app.command()
def judge(
    lender: Annotated[str, typer.Option(help="Of this lender.", show_default=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show what the limits say of every open proposal today. Nothing is kept."""
    from infra import instalments
    from infra.store import plans
    from infra.wiring import desk

    at = desk()
    with at.database.read() as connection:
        today = plans.lender_today(connection, lender, at.now())
        found = instalments.judge(connection, at, lender, today)
    columns = [
        "instalment_plan_id", "agency", "state", "verdict", "codes", "ability", "willingness", "currency",
        "total_minor", "balance_minor", "first_due_on", "last_due_on",
    ]  # fmt: skip
    emit(found, title="Open proposals", columns=columns)


@app.command()
def approve(plan: Plan, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve a plan: one portfolio manager within the limits, two beyond them. The agency is told."""
    from console.cli.exchanging import told
    from flows.instalments import approve_instalments as verb

    done = told(verb, "Decided", instalment_plan_id=plan)
    if done.state == "awaiting_second":
        say(f"it is beyond the limits ({done.codes}): a second person runs `consign instalments approve {plan}`")


@app.command()
def refuse(plan: Plan, because: Because, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Refuse a plan. The agency is told that it was declined; the reason stays here."""
    from flows.instalments import refuse_instalments

    emit(refuse_instalments(plan, because), title="Refused")


@app.command()
def follow(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Judge proposals, refuse those beyond all limits, see which plans are kept, broken or fulfilled; tell agencies."""
    from console.cli.exchanging import told
    from flows.instalments import follow_instalments as verb

    with progress("following instalment plans"):
        told(verb, "Followed", lender=lender)


# --- limits -----------------------------------------------------------------------------------------------------------


@limits_app.command("list")
def list_limits(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the limits: in force, proposed, and drafts in home/instalments."""
    from infra import instalments
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(instalments.BOOK.listed(connection), title="Limits", columns=["name", "version", "state", "origin", "why"])


@limits_app.command("show")
def show_limits(name: Name, json: Json = False) -> None:
    """Show limits: how debtors are graded, and what each grade may have, by one person's word and by two."""
    one = _limits(name)
    head = {
        "name": one.name, "version": one.version, "about": one.about, "lenders": list(one.lenders),
        "grace_days": one.grace_days, "sha256": one.sha256,
    }  # fmt: skip
    tiers = [
        {"ability": " ".join(tier.ability), "willingness": " ".join(tier.willingness), "approved_by": people,
         **vars(bounds)}
        for tier in one.tiers
        for people, bounds in ((1, tier.within), (2, tier.beyond))
    ]  # fmt: skip
    grades = {**vars(one.ability), **{key: value for key, value in vars(one.willingness).items() if key != "points"}}
    points = [{"sign": sign, "points": number} for sign, number in one.willingness.points.items()]
    if json:
        emit({**head, "grades": grades, "points": points, "tiers": tiers})
        return
    emit(head, title=f"Limits {one.name} {one.version}")
    emit(grades, title="Grades")
    emit(points, title="Signs of willingness")
    emit(tiers, title="The first tier that fits counts")


@limits_app.command("propose")
def propose_limits(
    name: Annotated[str, typer.Argument(help="A TOML file, or a draft in home/instalments by its name.")],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a version of limits up for approval. Its text is kept, and never changes."""
    from infra import instalments
    from infra.wiring import desk

    made = instalments.BOOK.propose(desk(), name, dry_run=dry_run)
    emit(_head(made), title="Would be proposed" if dry_run else "Proposed")
    if not dry_run:
        say(f"a second person looks at it: `consign instalments limits approve {made.name}@{made.version}`")


@limits_app.command("approve")
def approve_limits(version: Version, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Put a proposed version in force: a second person, with the role portfolio_manager."""
    from infra import instalments
    from infra.wiring import desk

    emit(_head(instalments.BOOK.approve(desk(), version)), title="In force")


@limits_app.command("withdraw")
def withdraw_limits(version: Version, reason: Reason, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take a version out of force, or a proposal back."""
    from infra import instalments
    from infra.wiring import desk

    before = instalments.BOOK.withdraw(desk(), version, reason)
    emit({"version": version, "was": before, "state": "withdrawn", "reason": reason}, title="Withdrawn")


@limits_app.command("history")
def history_of_limits(
    name: Annotated[str | None, typer.Argument(help="Limits' name; default all.", show_default=False)] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every version: who proposed and approved it, and from when to when it was in force."""
    from infra import instalments
    from infra.wiring import desk

    rows = [
        {key: value for key, value in row._mapping.items() if key != "toml"}  # noqa: SLF001 - its public name
        for row in instalments.BOOK.history(desk(), name)
    ]
    emit(
        rows, title="Versions",
        columns=["name", "version", "state", "proposed_by", "approved_by", "in_force_from", "in_force_until", "reason"],
    )  # fmt: skip


def _head(one: Limits) -> dict[str, object]:
    return {
        "name": one.name, "version": one.version, "about": one.about, "lenders": list(one.lenders),
        "grace_days": one.grace_days, "tiers": len(one.tiers), "sha256": one.sha256,
    }  # fmt: skip


def _limits(name: str) -> Limits:
    from infra import instalments
    from infra.wiring import desk

    with desk().database.read() as connection:
        return instalments.BOOK.named(connection, name)

"""`consign propensity`: how likely debtors pay, and how much, by facts of the account; approved, explained, watched."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, progress, say

app = typer.Typer(no_args_is_help=True, help="Who pays, and how much: models, approved and explained.")

Lender = Annotated[str, typer.Argument(help="Whose accounts.", show_default=False)]
ModelId = Annotated[int, typer.Argument(help="Number of a model: `consign propensity list`.", show_default=False)]
OneLender = Annotated[str | None, typer.Option("--lender", help="Only this lender; all by default.")]
Days = Annotated[int | None, typer.Option("--days", min=1, max=730, help="Paid within so many days of placement.")]
LISTED = [
    "model_id", "lender", "state", "horizon_days", "as_of", "placements", "auc", "ece", "observed_over_foretold",
    "made_by", "approved_by",
]  # fmt: skip


use = typer.Typer(no_args_is_help=True, help="What models are used for: propose, approve, withdraw.")
app.add_typer(use, name="use")
Number = Annotated[str, typer.Argument(help="The proposal's number, as `show` has it.", show_default=False)]


@use.command("show")
def show_use(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Show what models are used for, who says so, and every proposal."""
    from infra.propensity import switching
    from infra.wiring import desk

    found = switching.standing(desk())
    rows = [
        {"version": row.version, "propensity": found.told[row.version].mode, "state": row.state,
         "proposed_by": row.proposed_by, "approved_by": row.approved_by, "why": found.told[row.version].why}
        for row in found.versions
    ]  # fmt: skip
    emit(rows, title=f"Models are: {found.mode}{' (by the settings)' if found.by_settings else ''}")


@use.command("propose")
def propose_use(
    mode: Annotated[str, typer.Argument(help="off, shown or bands.", show_default=False)],
    why: Annotated[str, typer.Option(help="The reason, in a sentence, without a debtor's data; it is kept.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Propose what models are used for; somebody else, of compliance, approves it."""
    from infra.propensity import switching
    from infra.wiring import desk

    made = switching.propose(desk(), mode, why)
    emit({"version": made.version, "propensity": made.mode, "state": "proposed"}, title="Proposed")
    say(f"a second person: `consign propensity use approve {made.version}`")


@use.command("approve")
def approve_use(version: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve what somebody else proposed: it counts from now on."""
    from infra.propensity import switching
    from infra.wiring import desk

    made = switching.approve(desk(), version)
    emit({"version": made.version, "propensity": made.mode, "state": "in_force"}, title="Approved")


@use.command("withdraw")
def withdraw_use(
    version: Number,
    reason: Annotated[str, typer.Option(help="Why; up to 200 ASCII characters.", show_default=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take a proposal back; or switch models off that it had switched on."""
    from infra.propensity import switching
    from infra.wiring import desk

    was = switching.withdraw(desk(), version, reason)
    emit({"version": version, "was": was, "state": "withdrawn"}, title="Withdrawn")


@app.command()
def fit(
    lender: Lender,
    days: Days = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="As known on this day; default today.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draws of debtors; a fixed one by default.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A fact that it shall not look at; may be repeated.", show_default=False)
    ] = None,
    age_bands: Annotated[
        Path | None,
        typer.Option(
            help="CSV of account_id,age_band, released by compliance for the fairness table.", show_default=False
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make a model of a lender's placements; it waits for a second person."""
    from flows.engine import run
    from flows.propensity import fit_propensity

    with progress("fitting"):
        made = run(
            fit_propensity, lender=lender, horizon_days=days, as_of=as_of.date() if as_of else None, seed=seed,
            without=tuple(without or ()), age_bands=age_bands, dry_run=dry_run,
        )  # fmt: skip
    emit(made, title="Would be made" if dry_run else f"Model {made.model_id}")
    if not made.fresh:
        say(f"Made of the very same before: model {made.model_id}, {made.state}.")


@app.command("list")
def list_(lender: OneLender = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the models, the newest first."""
    from infra.propensity.versions import listed
    from infra.wiring import desk

    emit(listed(desk(), lender), title="Models of who pays", columns=LISTED)


@app.command()
def approve(model_id: ModelId, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Approve a model that somebody else made: it is in use from now on."""
    from infra.propensity import versions
    from infra.wiring import desk

    emit(versions.approve(desk(), model_id), title=f"Model {model_id}")


@app.command()
def withdraw(
    model_id: ModelId,
    reason: Annotated[str, typer.Option(help="Why; up to 200 ASCII characters.", show_default=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Let a model say nothing any more; the lender's own bands stand again."""
    from infra.propensity import versions
    from infra.wiring import desk

    emit(versions.withdraw(desk(), model_id, reason), title=f"Model {model_id}")


@app.command()
def score(lender: OneLender = None, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Ask the models in use about every open account, and see whether each still fits."""
    from flows.engine import run
    from flows.propensity import foretell

    with progress("asking"):
        report = run(foretell, lender=lender)
    emit(report, title="Asked")
    if report.switched == "off":
        say("Models are switched off: `consign propensity use propose shown`, or `bands`.")
    elif report.switched == "shown":
        say("Chances are kept beside the accounts; used for `bands`, they become score bands.")


@app.command()
def explain(
    account: Annotated[str, typer.Argument(help="The lender's number with --lender, or #id.", show_default=False)],
    lender: Annotated[str | None, typer.Option("--lender", help="Whose number that is.")] = None,
    model: Annotated[int | None, typer.Option("--model", help="Another model than the one in use.")] = None,
    json: Json = False,
) -> None:
    """Say how likely one account pays, and which fact moves that how far."""
    from infra.propensity import pages, scoring
    from infra.wiring import desk

    told = scoring.explain(desk(), account, lender, model)
    if json:
        emit(told)
        return
    found = told.explained
    emit(
        {
            "account_id": told.account_id, "model": f"{told.model_id}, {told.model_state}",
            "chance": f"{found.chance:.1%} ({found.low:.1%} to {found.high:.1%})",
            "within": f"{told.horizon_days} days of placement", "band": found.band,
            "share if paid": f"{found.share:.1%}", "balance_minor": told.balance_minor,
            "expected_minor": told.expected_minor, "currency": told.currency,
        },
        title="Foretold",
    )  # fmt: skip
    rows = [{"fact": "the average account", "value": None, "log_odds": round(found.average, 3), "error": None}]
    rows += [
        {
            "fact": reason.fact, "value": pages.shown(reason), "log_odds": round(reason.log_odds, 3),
            "error": round(reason.error, 3),
        }
        for reason in found.reasons
    ]  # fmt: skip
    rows.append({"fact": "together", "value": None, "log_odds": round(found.log_odds, 3), "error": None})
    emit(rows, title="Why: log-odds, before calibration", columns=["fact", "value", "log_odds", "error"])


@app.command()
def report(model_id: ModelId, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Write a model's report in English and 中文, and the tables behind it."""
    from infra.propensity.reporting import written
    from infra.wiring import desk

    emit(written(desk(), model_id), title=f"Model {model_id}")


@app.command()
def drift(
    lender: Lender,
    model: Annotated[int | None, typer.Option("--model", help="Another model than the one in use.")] = None,
    json: Json = False,
) -> None:
    """Say whether today's accounts are like those of a model, and whether its chances come true month by month."""
    from infra.propensity.watching import look
    from infra.wiring import desk

    found = look(desk(), lender, model)
    if json:
        emit({"model_id": found.model_id, "warns": found.warns, "facts": found.facts, "months": found.months})
        return
    emit(found.facts.round(4), title=f"Model {found.model_id}: facts of accounts to be placed")
    emit(found.months.round(4), title="Placements later than those it was made of, by month")
    say("A person should look: fit a new model, or withdraw this one." if found.warns else "It still fits.")


@app.command()
def facts(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List what models look at."""
    from models.propensity.facts import FACTS

    emit([{"fact": fact.name, "is": fact.en, "中文": fact.zh} for fact in FACTS], title="Facts")


@app.command()
def threshold(
    at: Annotated[float, typer.Option(help="Where the costlier treatment begins.", show_default=False)],
    within: Annotated[float, typer.Option(help="How far from it on either side.", show_default=False)],
    file: Annotated[
        Path | None, typer.Argument(help="A CSV of cases; without it the store's placements.", show_default=False)
    ] = None,
    value: Annotated[str, typer.Option(help="By which column it begins; of the store: dpd or balance.")] = "dpd",
    outcome: Annotated[str | None, typer.Option(help="The column of what came.", show_default=False)] = None,
    check: Annotated[
        list[str] | None, typer.Option(help="A column that it cannot have changed; may be repeated.")
    ] = None,
    lender: Annotated[str | None, typer.Option("--lender", help="Whose placements of the store.")] = None,
    days: Days = None,
    json: Json = False,
) -> None:
    """Say what a costlier treatment gains at its threshold, with its error, placebos and checks."""
    from infra.propensity.reporting import studied
    from infra.wiring import desk

    found = studied(
        desk(), file, value=value, outcome=outcome, at=at, within=within, checks=tuple(check or ()), lender=lender,
        horizon_days=days,
    )  # fmt: skip
    rows = [_gain("the threshold", found.gain)]
    rows += [_gain(f"placebo at {one.at:g}", one) for one in found.placebos]
    rows += [_gain(f"check: {name}", one) for name, one in found.checks.items()]
    rows += [_gain(f"within {one.within:g}", one) for one in found.widths]
    if json:
        emit({"gain": found.gain, "placebos": found.placebos, "checks": found.checks, "widths": found.widths,
              "crowding": found.crowding, "sound": found.sound})  # fmt: skip
        return
    emit(rows, title=f"What begins at {at:g} gains")
    if found.sound:
        say("No placebo and no check jumps, and neither side is crowded.")
    else:
        say("A placebo or a check jumps too, or one side is crowded: the gain is not the treatment's alone.")


def _gain(what: str, one: Any) -> dict[str, Any]:
    names = ("gain", "error", "robust_error", "low", "high")
    figures = {name: round(getattr(one, name), 4) for name in names}
    return {"of": what, **figures, "p": round(one.p_value, 4), "below": one.below, "above": one.above}

"""`consign plan`: propose who gets which account, preview it, have a second person approve it, send it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, progress, say
from models.errors import UsageError

if TYPE_CHECKING:
    from models.tables import Plan

app = typer.Typer(no_args_is_help=True)

PlanId = Annotated[int, typer.Argument(help="The plan's number.", show_default=False)]
BAR = 10
"""How many signs wide a capacity is drawn."""
SEGMENTS_SHOWN = 20


@app.command()
def create(
    spec: Annotated[Path | None, typer.Option(help="TOML file; options overrule it.", show_default=False)] = None,
    lender: Annotated[str | None, typer.Option(help="Whose accounts.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="The plan's name, as 2026-11-B.", show_default=False)] = None,
    stage: Annotated[str | None, typer.Option(help="reminder, phone, field or legal.", show_default=False)] = None,
    policy: Annotated[str | None, typer.Option(help="Release policy.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draw; default today's date.", show_default=False)] = None,
    product: Annotated[list[str] | None, typer.Option(help="Only these products.", show_default=False)] = None,
    bucket: Annotated[list[str] | None, typer.Option(help="Only these buckets.", show_default=False)] = None,
    region: Annotated[list[str] | None, typer.Option(help="Only codes that begin so.", show_default=False)] = None,
    min_balance: Annotated[str | None, typer.Option(help="In units of the currency.", show_default=False)] = None,
    max_balance: Annotated[str | None, typer.Option(help="In units of the currency.", show_default=False)] = None,
    min_dpd: Annotated[int | None, typer.Option(help="Days past due, at least.", show_default=False)] = None,
    max_dpd: Annotated[int | None, typer.Option(help="Days past due, at most.", show_default=False)] = None,
    segment_by: Annotated[
        str | None, typer.Option(help="Of product,bucket,balance,region; comma-separated.", show_default=False)
    ] = None,
    share: Annotated[
        list[str] | None, typer.Option(help="agency=0.3; with it only agencies named.", show_default=False)
    ] = None,
    cap: Annotated[
        list[str] | None, typer.Option(help="agency=1000: accounts of this plan, at most.", show_default=False)
    ] = None,
    allocator: Annotated[
        str | None, typer.Option(help="shares (default), value, thompson or price.", show_default=False)
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Where there are several.", show_default=False)] = None,
    term_days: Annotated[int | None, typer.Option(help="Length of the placements.", show_default=False)] = None,
    certified_too: Annotated[
        bool, typer.Option("--certified-too", help="Agencies in certification take part: in the sandbox only.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Draft a plan and preview it: nothing is sent, and nothing can be before a second person approves."""
    from flows import plan as flow

    given: dict[str, Any] = {
        "lender": lender, "name": name, "stage": stage, "policy": policy, "seed": seed, "currency": currency,
        "term_days": term_days, "allocator": allocator,
    }  # fmt: skip
    wanted = {
        "products": product, "buckets": bucket, "regions": region, "min_balance": min_balance,
        "max_balance": max_balance, "min_dpd": min_dpd, "max_dpd": max_dpd,
    }  # fmt: skip
    nested: dict[str, dict[str, Any]] = {
        "filter": {key: value for key, value in wanted.items() if value is not None},
        "segments": {} if segment_by is None else {"by": [part for part in segment_by.split(",") if part]},
        "agencies": _terms(share or [], cap or []),
    }
    asked = flow.spec_of(spec, nested, **given)
    with progress("Sharing out"):
        drafted = (flow.preview if dry_run else flow.draft)(asked, certified_too=certified_too)
    if json:
        emit(drafted)
        return
    number = "preview, not kept" if drafted.plan_id is None else f"plan {drafted.plan_id}"
    _show(drafted.summary, f"Placement {drafted.name} · {number} · seed {drafted.seed}")
    if drafted.plan_id is not None:
        say(f"Nothing has been sent. Next: consign plan submit {drafted.plan_id}")


@app.command()
def show(
    plan_id: PlanId,
    account: Annotated[
        str | None, typer.Option(help="Why this account: the lender's number, or #id.", show_default=False)
    ] = None,
    held_back: Annotated[bool, typer.Option("--held-back", help="List the accounts left out.")] = False,
    json: Json = False,
) -> None:
    """Show a plan: who gets how much and why, what would be disclosed, who approved it."""
    import json as jsonlib

    from flows import plan as flow
    from infra.store import plans
    from infra.wiring import desk

    if account is not None:
        emit(flow.explain(plan_id, account), title=f"Plan {plan_id}, account {account}")
        return
    with desk().database.read() as connection:
        known = plans.plan(connection, plan_id)
        left_out = plans.exclusions(connection, plan_id) if held_back else None
    because = flow.stale(plan_id)
    summary = jsonlib.loads(known.summary)
    if json:
        told = known.model_dump() | {
            "spec": jsonlib.loads(known.spec), "summary": summary, "stale_because": because,
        }  # fmt: skip
        emit(told if left_out is None else told | {"left_out": left_out})
        return
    if left_out is not None:
        emit(left_out, title=f"Plan {plan_id}: accounts left out")
        return
    head = f"Placement {known.name} · plan {plan_id} · {known.state} · policy {known.policy} {known.policy_version}"
    _show(summary, f"{head} · seed {known.seed} · data as of {known.as_of}")
    emit(_life(known, because), title="Approval")


@app.command()
def commit(
    lender: Annotated[str, typer.Option(help="Whose plan.", show_default=False)],
    name: Annotated[str, typer.Option(help="The plan's name, as 2026-11-B.", show_default=False)],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Draw a secret seed for a plan to come and tell its hash; the plan uses it, and tells it."""
    from flows import plan as flow

    emit(flow.commit_seed(lender, name), title="Seed committed")
    say(f"Next: consign plan create --lender {lender} --name {name}")


@app.command("what-if")
def what_if(
    plan_id: PlanId,
    spec: Annotated[Path | None, typer.Option(help="TOML laid over the plan's spec.", show_default=False)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One line of TOML, as bounds.change_max=0.1; repeatable.", show_default=False),
    ] = None,
    certified_too: Annotated[
        bool, typer.Option("--certified-too", help="Agencies in certification take part: in the sandbox only.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a draft would be with another spec; nothing is kept."""
    from flows import plan as flow

    changes = flow.changes_of(spec, set_ or [])
    with progress("Sharing out"):
        found = flow.what_if(plan_id, changes, certified_too=certified_too)
    _differs(found, f"Plan {plan_id}, and what it would be", json=json)


@app.command()
def diff(
    first: Annotated[int, typer.Argument(help="A plan's number.", show_default=False)],
    second: Annotated[int, typer.Argument(help="Another's.", show_default=False)],
    json: Json = False,
) -> None:
    """Show what a plan does differently from another one."""
    from flows import plan as flow

    _differs(flow.difference(first, second), f"Plan {first}, and plan {second}", json=json)


@app.command()
def submit(plan_id: PlanId, json: Json = False) -> None:
    """Hand a draft to a second person."""
    from flows import plan as flow

    _told(flow.submit(plan_id), json=json)
    say(f"Now another person: consign plan approve {plan_id}")


@app.command()
def approve(
    plan_id: PlanId,
    content: Annotated[str, typer.Option(help="Beginning of the content hash you looked at.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Approve a submitted plan, as somebody who neither made nor submitted it."""
    from flows import plan as flow

    _told(flow.approve(plan_id, content), json=json)
    say(f"Next: consign plan send {plan_id}")


@app.command()
def reject(
    plan_id: PlanId,
    because: Annotated[str, typer.Option(help="Why not.", show_default=False)],
    json: Json = False,
) -> None:
    """Say no to a plan; it ends."""
    from flows import plan as flow

    _told(flow.reject(plan_id, because), json=json)


@app.command("list")
def list_(
    lender: Annotated[str | None, typer.Option(help="Only this lender's.", show_default=False)] = None,
    state: Annotated[str | None, typer.Option(help="draft, submitted, approved …", show_default=False)] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List plans, the newest first."""
    from infra.store import plans
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = plans.listed(connection, lender, state)
    columns = ["plan_id", "lender", "name", "stage", "state", "accounts", "balance_minor", "created_by", "approved_by"]
    emit(found, title="Plans", columns=columns)


@app.command()
def send(plan_id: PlanId, dry_run: DryRun = False, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Hand an approved plan's accounts to their agencies; running it again sends nothing twice."""
    from flows import plan as flow

    ready = flow.ready(plan_id)
    if dry_run:
        emit({"plan_id": plan_id, "state": ready.state, "accounts": ready.accounts}, title="Would be sent")
        return
    from flows.engine import run
    from flows.place import place

    emit(run(place, plan_id=plan_id), title="Placed")


def _terms(shares: list[str], caps: list[str]) -> dict[str, dict[str, Any]]:
    """`agency=value` of both options, by agency."""
    terms: dict[str, dict[str, Any]] = {}
    for word, key in [*((word, "share") for word in shares), *((word, "max_accounts") for word in caps)]:
        agency, equals, value = word.partition("=")
        if not equals or not agency or not value:
            raise UsageError(f"{word!r} is not agency=number", fix="for instance --share harbour=0.3")
        if key == "max_accounts" and not value.isdecimal():
            raise UsageError(f"{word!r}: a cap is a whole number of accounts")
        terms.setdefault(agency, {})[key] = value if key == "share" else int(value)
    return terms


def _told(plan: Plan, *, json: bool) -> None:
    if json:
        emit(plan.model_dump(exclude={"spec", "summary"}))
    else:
        emit(_life(plan, None), title=f"Plan {plan.plan_id}")


def _differs(found: dict[str, Any], title: str, *, json: bool) -> None:
    """A difference: agencies, moves, money, and what rules cost."""
    if json:
        emit(found)
        return
    emit(found["agencies"], title=title, columns=["name", "accounts_before", "accounts_after", "difference"])
    emit(found["moves"], title="Accounts that move")
    net = found["expected_net_minor"]
    emit(
        {
            "accounts": found["accounts"],
            "at the same agency": found["same"],
            "moved": found["moved"],
            **{f"expected_net_{key}_minor": value for key, value in net.items() if value is not None},
        }
    )
    for side, told in found["rules"].items():
        if told:
            emit({"given up": len(told["relaxed"]), "rules cost": told["costs"]}, title=f"Bounds {side}")


def _life(plan: Plan, because: str | None) -> dict[str, Any]:
    life = {
        "state": plan.state if because is None else f"{plan.state}, but it no longer holds: {because}",
        "prepared by": plan.created_by,
        "submitted by": plan.submitted_by,
        "approved by": plan.approved_by,
        "approved at": plan.approved_at,
        "content": plan.content_sha256,
        "good until": plan.expires_at,
        "ended because": plan.ended_because,
    }
    return {key: value for key, value in life.items() if value is not None}


def _show(summary: dict[str, Any], title: str) -> None:
    """The preview: warnings, agencies, segments, what is disclosed."""
    for warning in summary["warnings"]:
        say(f"! {warning}", style="yellow")
    currency = summary["currency"]
    rows = [
        {
            "agency": row["name"],
            "score": row.get("score"),
            "accounts": row["accounts"],
            "vs last": "" if row["difference"] is None else f"{row['difference']:+,}",
            "balance_minor": row["balance_minor"],
            "capacity, now + plan": _bar(row),
            "why": "; ".join(row["why"]),
            "currency": currency,
        }
        for row in summary["agencies"]
    ]
    columns = ["agency", "score", "accounts", "vs last", "balance_minor", "capacity, now + plan", "why"]
    if not summary.get("scores"):
        columns.remove("score")
    emit(rows, title=title, columns=columns)
    totals = {key: summary[key] for key in ("accounts", "debtors", "balance_minor", "held_back")}
    if summary.get("optimum"):
        totals |= {"expected_net_minor": summary["expected_net_minor"]}
    emit(totals | {"held back because": summary["exclusions"]} | {"currency": currency})
    if summary.get("optimum"):
        _bounds(summary["optimum"], currency)
    segments = [
        {"segment": each["segment"], "accounts": each["accounts"], "balance_minor": each["balance_minor"],
         "currency": currency, "agencies": each["agencies"]}
        for each in summary["segments"][:SEGMENTS_SHOWN]
    ]  # fmt: skip
    emit(segments, title="Segments", columns=["segment", "accounts", "balance_minor", "agencies"])
    if (more := len(summary["segments"]) - SEGMENTS_SHOWN) > 0:
        say(f"and {more} more segments: --json has them all")
    for told in summary["disclosed"]:
        emit(
            {
                "to": told["agencies"],
                "fields sent": f"{told['fields']} of {told['of']}",
                "pseudonymised": told["pseudonymised"],
                "whole": told["sent"],
                "generalised": told["generalised"],
                "never sent": list(told["never_sent"]),
                "purpose": f"{told['purpose']}: {told['basis']}",
                "delete by": told["delete_by"],
            },
            title=f"What would be disclosed, under {told['policy']} {told['version']}",
        )


def _bounds(optimum: dict[str, Any], currency: str) -> None:
    """How good the optimum is, what its bounds and rules cost, what was given up."""
    emit(
        {
            "found": optimum["status"] + ("" if optimum["gap"] is None else f", gap {optimum['gap']:.1e}"),
            "optimum_minor": optimum["value_minor"],
            "at_best_minor": optimum["bound_minor"],
            "moved to hold bounds": optimum["mended"],
            "currency": currency,
        },
        title="The optimum",
    )
    emit([one | {"currency": currency} for one in optimum["prices"]], title="Bounds that bind, and one more's worth",
         columns=["kind", "agency", "region", "per", "price_minor"])  # fmt: skip
    emit([{"rule": kind, "cost_minor": cost, "currency": currency} for kind, cost in optimum["costs"].items()],
         title="What each rule costs", columns=["rule", "cost_minor"])  # fmt: skip


def _bar(row: dict[str, Any]) -> str:
    """The fuller capacity: what is held, what the plan adds, what is left."""
    used = row["capacity_used"]
    if used is None:
        return "no limit"
    by_accounts = (row["capacity_accounts"], row["held_accounts"], row["accounts"])
    by_balance = (row["capacity_minor"], row["held_minor"], row["balance_minor"])
    capacity, held, more = max(
        (bound for bound in (by_accounts, by_balance) if bound[0]), key=lambda bound: (bound[1] + bound[2]) / bound[0]
    )
    before = min(BAR, round(BAR * held / capacity))
    after = min(BAR, round(BAR * (held + more) / capacity))
    return f"{'▓' * before}{'█' * (after - before)}{'░' * (BAR - after)} {used:.0%}"

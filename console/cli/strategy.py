"""`consign strategy`: which account goes to which stage, and which placements come back, by rules that two approved."""

from __future__ import annotations

import json as text
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.output import DryRun, Json, emit, progress, say
from models.errors import UsageError

if TYPE_CHECKING:
    from models.strategy.rules import Strategy

app = typer.Typer(no_args_is_help=True)
FINDINGS = 3
SHOWN_OF_HASH = 16

Name = Annotated[str, typer.Argument(help="A strategy's name, NAME@VERSION, or a TOML file.", show_default=False)]
Version = Annotated[str, typer.Argument(help="NAME@VERSION.", show_default=False)]
Lender = Annotated[str, typer.Option(help="Of this lender.", show_default=False)]
Because = Annotated[str, typer.Option(help="Why.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why.", show_default=False)]
CertifiedToo = Annotated[
    bool, typer.Option("--certified-too", help="Agencies that are certified, not live yet.", show_default=False)
]


# --- the rules --------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List the strategies: in force, proposed, and drafts in home/strategies."""
    from infra import strategy
    from infra.wiring import desk

    with desk().database.read() as connection:
        rows = strategy.BOOK.listed(connection)
        about = {(one.name, one.version): one for one in strategy.BOOK.all_in_force(connection)}
    for row in rows:
        one = about.get((str(row["name"]), str(row["version"])))
        row |= {"lenders": list(one.lenders) if one else None, "about": one.about if one else None}
    emit(rows, title="Strategies", columns=["name", "version", "state", "origin", "lenders", "about", "why"])


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a strategy: its stages, the rules that move accounts, the rules that take them back."""
    from models.strategy import difference

    one = _strategy(name)
    stages = [{"stage": part.stage, "worked": difference.stage_words(part)} for part in one.stages]
    rules = [
        {"rule": part.id, "accounts": part.when.words, "to": part.to, "skip_soft": part.skip_soft, "back": part.back,
         "because": part.because or None}
        for part in one.rules
    ]  # fmt: skip
    recalls = [
        {"rule": part.id, "placements": part.words, "reason": part.reason, "because": part.because or None}
        for part in one.recalls
    ]
    head = {
        "name": one.name, "version": one.version, "about": one.about, "lenders": list(one.lenders),
        "soft_first": one.soft_first, "sha256": one.sha256,
    }  # fmt: skip
    if json:
        emit({**head, "stages": stages, "rules": rules, "recalls": recalls})
        return
    emit(head, title=f"Strategy {one.name} {one.version}")
    emit(stages, title="Stages, softest first")
    emit(rules, title="The first rule that fits an account counts")
    emit(recalls, title="The first rule that fits a placement takes it back")


@app.command()
def check(
    name: Name,
    lender: Annotated[str | None, typer.Option(help="Look at this lender's agencies too.")] = None,
    certified_too: CertifiedToo = False,
    json: Json = False,
) -> None:
    """Check a strategy, and who may work its stages. Ends with 3 while a stage that agencies work has nobody."""
    from flows.plan import LIVE, TRIED_OUT
    from infra import strategy
    from infra.store import plans
    from infra.wiring import desk

    one = _strategy(name)
    found = []
    if lender is not None:
        with desk().database.read() as connection:
            today = plans.lender_today(connection, lender, desk().now())
            states = TRIED_OUT if certified_too else LIVE
            found = strategy.who_may(connection, one, lender, today, states)
    nobody = [part.stage for part in one.placing if lender is not None and not strategy.mandated(found, part.stage)]
    rows = [vars(each) for each in found]
    if json:
        emit({"name": one.name, "version": one.version, "sha256": one.sha256, "mandates": rows, "nobody": nobody})
    else:
        emit(rows, title="Who may work which stage", columns=["stage", "agency", "may", "why"]) if rows else None
        say(f"strategy {one.name} {one.version} holds together: {len(one.rules)} rules, {len(one.recalls)} recalls")
        for stage in nobody:
            say(f"nobody may work {stage}: accounts that go there are not placed")
    if nobody:
        raise typer.Exit(FINDINGS)


@app.command()
def diff(
    before: Name,
    after: Name,
    lender: Annotated[str | None, typer.Option(help="Count this lender's accounts that go elsewhere.")] = None,
    json: Json = False,
) -> None:
    """Show what the second strategy says otherwise, and how many accounts it would send elsewhere."""
    from flows import strategy as verbs

    told, moved = verbs.compare(before, after, lender)
    rows = [vars(one) for one in told]
    if json:
        emit({"rules": rows, "accounts": [] if moved is None else moved.to_dict(orient="records")})
        return
    emit(rows, title=f"{before} → {after}", columns=["part", "id", "before", "after"])
    if moved is not None:
        emit(moved, title=f"Accounts of {lender} that go elsewhere")


@app.command()
def propose(
    name: Annotated[str, typer.Argument(help="A TOML file, or a draft in home/strategies by its name.")],
    dry_run: DryRun = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Put a version of a strategy up for approval. Its text is kept, and never changes."""
    from infra import strategy
    from infra.wiring import desk

    made = strategy.BOOK.propose(desk(), name, dry_run=dry_run)
    emit(_head(made), title="Would be proposed" if dry_run else "Proposed")
    if not dry_run:
        say(f"a second person looks at it: `consign strategy approve {made.name}@{made.version}`")


@app.command()
def approve(version: Version, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Put a proposed version in force: a second person, with the role portfolio_manager."""
    from infra import strategy
    from infra.wiring import desk

    emit(_head(strategy.BOOK.approve(desk(), version)), title="In force")


@app.command()
def withdraw(version: Version, reason: Reason, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take a version out of force, or a proposal back."""
    from infra import strategy
    from infra.wiring import desk

    before = strategy.BOOK.withdraw(desk(), version, reason)
    emit({"version": version, "was": before, "state": "withdrawn", "reason": reason}, title="Withdrawn")


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="A strategy's name; default all.", show_default=False)] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List every version: who proposed and approved it, and from when to when it was in force."""
    from infra import strategy
    from infra.wiring import desk

    rows = [
        {key: value for key, value in row._mapping.items() if key != "toml"}  # noqa: SLF001 - its public name
        for row in strategy.BOOK.history(desk(), name)
    ]
    emit(
        rows, title="Versions",
        columns=["name", "version", "state", "proposed_by", "approved_by", "in_force_from", "in_force_until", "reason"],
    )  # fmt: skip


# --- moves ------------------------------------------------------------------------------------------------------------


@app.command()
def simulate(
    name: Name,
    lender: Lender,
    certified_too: CertifiedToo = False,
    json: Json = False,
) -> None:
    """Show what a strategy, in force or not, would do with a lender's accounts today. Nothing is kept."""
    from flows import strategy as verbs

    with progress("looking at every account"):
        found = verbs.preview(lender, name, certified_too=certified_too)
        recalls = verbs.preview_recalls(lender, name)
    _told(found, recalls, json=json)


@app.command()
def run(
    lender: Annotated[str | None, typer.Option(help="Only this lender; default all that go by a strategy.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Propose which accounts move to which stage, and which placements come back. A second person accepts."""
    from console.cli.exchanging import told
    from flows import strategy as verbs

    if dry_run:
        if lender is None:
            message = "a dry run looks at one lender"
            raise UsageError(message, fix="say --lender")
        with progress("looking at every account"):
            found = verbs.preview(lender)
            recalls = verbs.preview_recalls(lender)
        _told(found, recalls, json=json)
        return
    told(verbs.strategise, "Proposed", lender=lender)
    say("look at them: `consign strategy runs`, `consign strategy recalls`; a second person accepts")


@app.command()
def runs(
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List what was proposed to move, the newest first, and what became of it."""
    from infra.store import strategy as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        emit(
            store.runs(connection, lender), title="Strategy runs",
            columns=["run_id", "lender", "strategy", "version", "as_of", "state", "accounts", "moves", "created_by",
                     "decided_by", "content_sha256"],
        )  # fmt: skip


@app.command()
def moves(
    number: Annotated[int, typer.Argument(metavar="RUN", help="The run, by number.")],
    stage: Annotated[str | None, typer.Option(help="List the accounts that go to this stage.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many of them at most.")] = 100,
    json: Json = False,
) -> None:
    """Show what a run moves: by stage and rule, who is left and why, who may work the stages; or account by account."""
    from infra.store import strategy as store
    from infra.wiring import desk
    from models.strategy.moves import LEFT

    with desk().database.read() as connection:
        row = store.run(connection, number)
        listed = None if stage is None else store.moves_of(connection, number, stage, limit)
    if listed is not None:
        emit(listed, title=f"Run {number}, to {stage}")
        return
    summary: dict[str, Any] = text.loads(row.summary)
    head = {
        "run_id": number, "lender": row.lender, "strategy": f"{row.strategy}@{row.version}", "as_of": row.as_of,
        "state": row.state, "accounts": row.accounts, "moves": row.moves, "created_by": row.created_by,
        "decided_by": row.decided_by, "because": row.ended_because, "content_sha256": row.content_sha256,
        "plans": text.loads(row.plans),
    }  # fmt: skip
    if json:
        emit({**head, **summary})
        return
    emit(head, title=f"Run {number}")
    emit(summary["movement"], title="Moves")
    left = [
        {"reason": reason, "accounts": count, "meaning": LEFT.get(reason, "on hold" * reason.startswith("hold:"))}
        for reason, count in summary["left"].items()
    ]
    emit(left, title="Left where they are")
    emit(summary["mandates"], title="Who may work which stage")


@app.command()
def accept(
    number: Annotated[int, typer.Argument(metavar="RUN", help="The run, by number.")],
    content: Annotated[str, typer.Option(help="The beginning of the hash that you looked at.")] = "",
    certified_too: CertifiedToo = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Move the accounts of a run, and draft the plans of its stages: a second person, a portfolio_manager."""
    from flows import strategy as verbs

    with progress("moving, and drafting plans"):
        done = verbs.approve(number, content, certified_too=certified_too)
    emit(done, title="Moved")
    for stage, plan in done.plans.items():
        say(f"{stage}: `consign plan show {plan}`, then submit" if isinstance(plan, int) else f"{stage}: {plan}")


@app.command()
def refuse(
    number: Annotated[int, typer.Argument(metavar="RUN", help="The run, by number.")],
    because: Because,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Let nothing come of a run."""
    from flows import strategy as verbs

    verbs.refuse(number, because)
    emit({"run_id": number, "state": "refused", "because": because}, title="Refused")


@app.command()
def stages(
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    account: Annotated[int | None, typer.Option(help="One account's history, by the platform's id.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show how many accounts are in which stage, or every move of one account."""
    from infra.store import strategy as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        if account is not None:
            emit(store.history(connection, account), title=f"Account {account}")
        else:
            emit(store.in_stages(connection, lender), title="Stages")


# --- recalls ----------------------------------------------------------------------------------------------------------


@app.command()
def recalls(
    number: Annotated[int | None, typer.Argument(metavar="[PROPOSAL]", help="One of them, line by line.")] = None,
    lender: Annotated[str | None, typer.Option(help="Only this lender's.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the recalls that a strategy proposed, or the placements of one, with where their accounts go next."""
    from infra.store import strategy as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        if number is None:
            emit(store.proposals(connection, lender), title="Proposed recalls")
            return
        store.proposal(connection, number)
        emit(store.proposal_lines(connection, number), title=f"Proposal {number}")


@app.command("accept-recalls")
def accept_recalls(
    number: Annotated[int, typer.Argument(metavar="PROPOSAL", help="The proposal, by number.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Recall what was proposed: a second person, with the role portfolio_manager."""
    from console.cli.exchanging import told
    from flows.strategy import approve_recalls as verb

    told(verb, "Recalled", proposal_id=number)


@app.command("refuse-recalls")
def refuse_recalls(
    number: Annotated[int, typer.Argument(metavar="PROPOSAL", help="The proposal, by number.")],
    because: Because,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Let nothing come of proposed recalls."""
    from flows import strategy as verbs

    verbs.refuse_recalls(number, because)
    emit({"proposal_id": number, "state": "refused", "because": because}, title="Refused")


def _told(found: Any, back: Any, *, json: bool) -> None:
    """What a strategy would do, as a person reads it."""
    from infra import strategy

    moved = strategy.movement(found.moves)
    falling = strategy.fallen(back)
    told = strategy.summary(found)
    if json:
        head = {"lender": found.lender, "strategy": found.strategy.name, "version": found.strategy.version,
                "as_of": found.as_of, "accounts": found.accounts}  # fmt: skip
        emit({**head, **told, "recalls": falling.to_dict(orient="records")})
        return
    emit(moved, title=f"{found.strategy.name} {found.strategy.version}, {found.lender}: would move")
    emit(falling, title="Would come back")
    emit([{"reason": reason, "accounts": number} for reason, number in told["left"].items()], title="Left")
    emit(told["mandates"], title="Who may work which stage")


def _head(one: Strategy) -> dict[str, object]:
    return {
        "name": one.name, "version": one.version, "about": one.about, "lenders": list(one.lenders),
        "stages": [part.stage for part in one.stages], "rules": len(one.rules), "recalls": len(one.recalls),
        "sha256": one.sha256[:SHOWN_OF_HASH],
    }  # fmt: skip


def _strategy(name: str) -> Strategy:
    from infra import strategy
    from infra.wiring import desk

    with desk().database.read() as connection:
        return strategy.BOOK.named(connection, name)

"""`consign shred`: forget a debtor or a portfolio for good, keys included."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, confirmed, emit, progress, say

app = typer.Typer(no_args_is_help=True)

Why = Annotated[str, typer.Option(help="The reason, in a sentence, without a debtor's data; it is kept.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree beforehand: nothing brings an identity back.")]
Number = Annotated[int, typer.Argument(help="The request's number, as `consign shred list` has it.")]


@app.command()
def debtor(
    lender: Annotated[str, typer.Argument(help="The lender's code.")],
    why: Why,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask that one debtor be forgotten; the number (account, ID or telephone) is typed unseen. A second approves."""
    from infra import shredding
    from infra.wiring import desk

    who = typer.prompt("Account, ID or telephone number", hide_input=True, err=True)
    number = shredding.ask_debtor(desk(), lender, who, why)
    emit({"shredding_id": number, "state": "waiting"}, title="Asked")
    say(f"a second person: `consign shred approve {number}`")


@app.command()
def portfolio(
    portfolio_id: Annotated[int, typer.Argument(help="The portfolio, by number.")],
    why: Why,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Ask that a portfolio be shredded; a second person approves it, and then it happens."""
    from infra import shredding
    from infra.wiring import desk

    number = shredding.ask_portfolio(desk(), portfolio_id, why)
    emit({"shredding_id": number, "portfolio_id": portfolio_id, "state": "waiting"}, title="Asked")
    say(f"a second person: `consign shred approve {number}`")


@app.command()
def approve(
    shredding_id: Number,
    yes: Yes = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Approve what somebody else asked for: the debtor, or every identity of the portfolio, is forgotten now."""
    from infra import shredding
    from infra.wiring import desk

    if not confirmed(f"Shred what request {shredding_id} names, for good?", yes=yes):
        raise typer.Exit(1)
    with progress("shredding") as bar:
        done = shredding.shred(desk(), shredding_id, lambda accounts: bar.update(done=accounts))
    emit(done, title="Shredded")
    _say_what_is_left(done.swept)


@app.command()
def withdraw(shredding_id: Number, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Withdraw a request that nobody has approved."""
    from infra import shredding
    from infra.wiring import desk

    shredding.withdraw(desk(), shredding_id)
    emit({"shredding_id": shredding_id, "state": "withdrawn"}, title="Withdrawn")


@app.command("list")
def list_shreddings(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List what was forgotten, and what waits for a second person."""
    from infra.store import shredding
    from infra.wiring import desk

    with desk().database.read() as connection:
        rows = shredding.listed(connection)
    emit(
        rows,
        title="Shreddings",
        columns=["shredding_id", "kind", "lender", "subject_id", "state", "accounts", "resealed", "keys", "asked_by",
                 "approved_by", "done_at", "swept_at"],
    )  # fmt: skip


@app.command()
def sweep(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Finish what a killed run left, and write the store anew without what was deleted (nightly, too)."""
    from infra import shredding
    from infra.wiring import desk

    with progress("writing the store anew"):
        open_ones = shredding.finish(desk(), thorough=True)
    emit({"finished": open_ones}, title="Swept")


def _say_what_is_left(swept: bool) -> None:
    from infra import escrow
    from infra.wiring import desk

    if not swept:
        say("its pages are written anew by the nightly run, or by `consign shred sweep`; the keys are gone already")
    if out := sum((one["kind"], one["state"]) == ("export", "done") for one in escrow.listed(desk())):
        say(f"{out} escrows of the keyring were let out: each holds the keys of its day; have old ones destroyed")
    say("what no program reaches: docs/explanation/what-shredding-reaches.md")

"""`consign`: every command by name; a command's module is imported when it is called, so that help answers at once."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from console.cli.output import boundary

if TYPE_CHECKING:
    from typer._click.core import Command, Context  # Typer carries its own Click

WORK, MONEY, RULES, HOUSE = "The loop", "Money", "Rules and records", "The house"


@dataclass(frozen=True)
class Part:
    """A word of the command line and the module that answers it; `help` is what the list of commands says."""

    name: str
    help: str
    panel: str

    @property
    def module(self) -> str:
        """`console.cli.<name>`, whose `app` is a Typer: one command named like it, or a group."""
        return f"console.cli.{self.name}"


PARTS = (
    Part("demo", "Six simulated months of the whole loop, on this machine.", WORK),
    Part("portfolio", "Take overdue accounts in, and list what came.", WORK),
    Part("agency", "The agencies: add, certify, suspend, show.", WORK),
    Part("strategy", "Which stage accounts go to, what comes back: rules, runs.", WORK),
    Part("plan", "Propose who gets which account; approve it, send it.", WORK),
    Part("consolidate", "One debtor, one agency: bases, links, joint payments.", WORK),
    Part("place", "Hand an approved plan's accounts to their agencies.", WORK),
    Part("deliver", "Send whatever waits for the agencies.", WORK),
    Part("update", "Tell agencies the balances that have changed.", WORK),
    Part("collect", "Fetch, verify and take in what the agencies sent.", WORK),
    Part("file", "Check an agency's file, and explain a refusal.", WORK),
    Part("watch", "Look at every clock: what is late or stuck, what no longer is.", WORK),
    Part("exceptions", "What went amiss in the exchange, who has it, until when.", WORK),
    Part("layout", "How agencies' plain files look: list, show, check, keep.", WORK),
    Part("recall", "Take accounts back.", WORK),
    Part("instalments", "Payment in parts: judge, approve, follow; the limits.", WORK),
    Part("erase", "Have agencies and ourselves forget, and see that they did.", WORK),
    Part("recon", "Tie remittances to placements, bank and invoices; see breaks.", MONEY),
    Part("contract", "What was agreed with agencies; what a month would cost otherwise.", MONEY),
    Part("payment", "What agencies are paid: propose, approve, give to the bank.", MONEY),
    Part("forecast", "Cash to expect per agency and month, with its error.", MONEY),
    Part("statement", "Commission and money per agency and period.", MONEY),
    Part("ledger", "The books: balances, entries, chart, exports that check.", MONEY),
    Part("close", "Close a month, and see what stands in the way.", MONEY),
    Part("score", "How well each agency collects, and how sure that is.", MONEY),
    Part("evaluate", "What the scores propose for the next cycle; approve it.", MONEY),
    Part("propensity", "Who pays, and how much: models, approved and explained.", MONEY),
    Part("policy", "What may be told to whom: show, compare, simulate.", RULES),
    Part("gate", "What may not leave, and why it stays; false alarms.", RULES),
    Part("conduct", "Agencies against the rules: packs, breaches, gates.", RULES),
    Part("complaint", "Complaints about agencies: take in, answer, rate.", RULES),
    Part("diligence", "Evidence about agencies: licence, evaluation, insurance.", RULES),
    Part("disclosures", "Who has been told what about a debtor.", RULES),
    Part("subject", "What debtors ask about their data: open, verify, answer.", RULES),
    Part("identity", "Whom an account belongs to: reasoned, limited, kept.", RULES),
    Part("retention", "How long what is kept; what is due; legal holds.", RULES),
    Part("shred", "Forget a debtor or a portfolio for good, keys included.", RULES),
    Part("audit", "What happened, and that nobody rewrote it.", RULES),
    Part("report", "Drafts: impact assessment, processing, agencies, breach.", RULES),
    Part("keys", "Our keys and the agencies': list, renew.", RULES),
    Part("role", "Who may decide what: list, give, take away.", RULES),
    Part("people", "Who may sign in to the console: add, end, passwords.", RULES),
    Part("init", "Make home, store, keyring and own keys; safe to repeat.", HOUSE),
    Part("up", "Run the schedules: server and worker, until Ctrl-C.", HOUSE),
    Part("web", "The console in the browser, until Ctrl-C.", HOUSE),
    Part("backup", "The store as sealed files: make, check, restore.", HOUSE),
    Part("doctor", "What is right and what is wrong with this installation.", HOUSE),
    Part("sandbox", "Synthetic debtors, agencies and a bank to try things on.", HOUSE),
)


class Lazy(TyperGroup):
    """Lists the parts from the table above and imports the one that is called."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - the base class names it
        """The parts whose module is there."""
        return [part.name for part in PARTS if _is_there(part.module)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A stand-in that knows the part's help, without its module."""
        part = next((part for part in PARTS if part.name == cmd_name), None)
        if part is None or cmd_name not in self.list_commands(ctx):
            return None
        return TyperCommand(part.name, help=part.help, short_help=part.help, rich_help_panel=part.panel)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The part's real command, imported now."""
        # "did you mean" looks here
        self.commands = {name: found for name in self.list_commands(ctx) if (found := self.get_command(ctx, name))}
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, command_of(name) if name and stand_in else None, rest

    def invoke(self, ctx: Context) -> object:
        """Run it; whatever happens ends in an exit code and a sentence."""
        words = [*ctx._protected_args, *ctx.args]  # noqa: SLF001 - Click keeps the subcommand's words there
        said = [word for word in words[:2] if not word.startswith("-") and word.isalpha()]
        with boundary(" ".join(["consign", *said])):
            return super().invoke(ctx)


@cache
def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def command_of(name: str) -> Command:
    """The part's command: its app's only command where that is named like the part, else a group."""
    part = next(part for part in PARTS if part.name == name)
    app = importlib.import_module(part.module).app
    alone = [given.name or given.callback.__name__.replace("_", "-") for given in app.registered_commands] == [name]
    single = alone and app.registered_callback is None and not app.registered_groups
    command = typer.main.get_command(app) if single else typer.main.get_group(app)
    # completion is installed once, for the whole program
    command.params = [param for param in command.params if param.name not in {"install_completion", "show_completion"}]
    command.name = name
    command.help = command.help or part.help
    return command


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"consign {version('consign')}")
        raise typer.Exit


app = typer.Typer(cls=Lazy, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.callback()
def consign(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="Talk more on stderr; twice for still more.", show_default=False
        ),
    ] = 0,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", help="Say the version.", callback=_version, is_eager=True, show_default=False)
    ] = False,
) -> None:
    """Place overdue accounts with collection agencies: allocate, minimise, seal, deliver, reconcile, score."""
    if verbose:
        from infra.journaling import talk

        talk(verbose)


def main() -> None:
    """Run the command line."""
    app(prog_name="consign")


if __name__ == "__main__":
    main()

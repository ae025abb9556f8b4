"""Every flow, as data: what it is called, where its verb stands, and whether two of it may run at once.

Deployments, the module entrypoints of `flows.deployed`, docs and the console's page of schedules are made from it. The
schedule stands beside the verb it belongs to (`@verb(schedule=...)`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.engine import Schedule, Verb


@dataclass(frozen=True)
class Entry:
    """A flow: the verb `function` in `module`; with `alone` a run is cancelled if another one is still under way."""

    name: str
    module: str
    help: str
    alone: bool = True
    function: str = ""

    @property
    def verb(self) -> Verb[..., Any]:
        """The verb itself, imported now."""
        found: Verb[..., Any] = getattr(importlib.import_module(self.module), self.function or self.name)
        return found

    @property
    def schedule(self) -> Schedule | None:
        """When it runs by itself; None for a verb that is only asked for, or that needs to be told something."""
        needed = [one for one in inspect.signature(self.verb.body).parameters.values() if one.default is one.empty]
        return None if needed else self.verb.schedule


CATALOGUE = (
    Entry("intake", "flows.intake", "Take a portfolio in: check every line, keep the facts, seal the identities."),
    Entry("expire_plans", "flows.plan", "Let plans end whose time is over or whose data have changed."),
    Entry("strategise", "flows.strategy", "Propose which accounts move stage and which placements come back."),
    Entry("approve_recalls", "flows.strategy", "Recall what a strategy proposed and somebody approved.", alone=False),
    Entry("follow_instalments", "flows.instalments", "Judge instalment plans, see which are kept, tell agencies."),
    Entry("approve_instalments", "flows.instalments", "Approve a proposed instalment plan.", alone=False),
    Entry("place", "flows.place", "Hand an approved plan's accounts to their agencies."),
    Entry("deliver", "flows.deliver", "Seal and deliver whatever waits for the agencies."),
    Entry("collect", "flows.collect", "Take in what the agencies left, and answer with receipts."),
    Entry("reconcile", "flows.reconcile", "Tie remittances to placements, bank receipts and invoices."),
    Entry("import_statement", "flows.reconcile", "Take a bank statement in.", alone=False),
    Entry("state_period", "flows.statement", "State commission and money per agency and period."),
    Entry("close_month", "flows.close", "Lock a lender's month, its statements hashed."),
    Entry("score", "flows.score", "Say how well each agency recovers, and how sure that is."),
    Entry("fit_propensity", "flows.propensity", "Make a model of who pays of a lender's placements."),
    Entry("foretell", "flows.propensity", "Ask the models of who pays about every open account; watch them."),
    Entry("evaluate", "flows.evaluate", "Propose the next cycle's shares and changes from the scores."),
    Entry("recall", "flows.recall", "Recall what is on hold, paid or at its term."),
    Entry("recall_placements", "flows.recall", "Recall placements by name.", alone=False),
    Entry("decide_objection", "flows.recall", "Answer an agency's objection to a recall.", alone=False),
    Entry("update", "flows.update", "Tell agencies the balances that have changed."),
    Entry("watch", "flows.watch", "Open and resolve exceptions by the contracts' clocks, and tell people."),
    Entry("erase", "flows.erase", "Ask for the erasure of what has ended, and watch for certificates."),
    Entry("attend", "flows.subjects", "Ask agencies for what debtors' requests need, and follow their answers."),
    Entry("retain", "flows.retain", "Delete what is due, forget whose time is over; finish what was begun."),
    Entry("back_up", "flows.safekeeping", "Back the store up, where a folder for it is named."),
    Entry("witness", "flows.safekeeping", "Sign the audit trail's end, and see that all before it is whole."),
    Entry("conduct", "flows.conduct", "Hold what agencies reported against the rules of conduct; close gates."),
    Entry("consolidate", "flows.consolidate", "Look up who is one debtor for several lenders, and what is divided."),
    Entry("watch_keys", "flows.renewal", "Say which keys end soon: ours, the agencies', their servers'."),
)


def entries() -> Iterator[Entry]:
    """The entries whose module is there and holds the verb."""
    for entry in CATALOGUE:
        if importlib.util.find_spec(entry.module) is None:
            continue
        if hasattr(importlib.import_module(entry.module), entry.function or entry.name):
            yield entry


def entry_named(name: str) -> Entry:
    """The entry of that name. Raises UsageError."""
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in CATALOGUE)
    raise UsageError(f"there is no flow called {name!r}", fix=f"one of: {known}")


def page() -> str:
    """The catalogue as a page of the docs, in Markdown."""
    lines = ["| flow | what it does | by itself | two at once |", "|---|---|---|---|"]
    for entry in entries():
        when = entry.schedule
        runs = f"`{when.cron}` {when.timezone}" if when else "when asked"
        lines.append(f"| `{entry.name}` | {entry.help} | {runs} | {'no' if entry.alone else 'yes'} |")
    return "\n".join(lines) + "\n"

"""Which strategies there are, shipped and one's own, which of them a lender goes by, and what it would do today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from infra import policies
from infra.ownfiles import Shelf
from infra.rulebooks import Book
from infra.store import plans
from infra.store import strategy as store
from models.errors import ConfigurationError
from models.strategy import cascade, mandates, moves, rules
from models.strategy.rules import NEW, Strategy, level_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk

SHELF: Final = Shelf("strategies", "strategy", rules.shipped, rules.load, Strategy.parse)


class TwoStrategies(ConfigurationError):
    """Two strategies in force name one lender: nobody could tell which of them counts."""


def _fits(connection: Connection, found: Strategy) -> None:
    """Nothing. Raises TwoStrategies where another one in force names one of the same lenders."""
    if (shared := BOOK.naming_a_lender_of(connection, found)) is not None:
        other, lender = shared
        raise TwoStrategies(
            f"strategy {other.name} is in force for {lender} already",
            fix=f"take {lender} out of one of them, or `consign strategy withdraw {other.name}@{other.version}`",
        )


BOOK: Final[Book[Strategy]] = Book(
    "strategy", "consign strategy", "portfolio_manager", SHELF, _fits, rules.text_of
)  # fmt: skip


@dataclass(frozen=True)
class Proposed:
    """What a strategy would do with one lender's accounts on one day."""

    lender: str
    strategy: Strategy
    as_of: date
    accounts: int
    moves: moves.Moves
    mandates: list[mandates.Mandate]


def of(connection: Connection, desk: Desk, lender: str, name: str | None = None) -> Strategy:
    """The strategy in force that is asked for, or the lender's own, or the setting's. Raises what Book.find raises."""
    if name is not None:
        return BOOK.find(connection, name)
    own = next((one for one in BOOK.all_in_force(connection) if lender in one.lenders), None)
    return own or BOOK.find(connection, desk.settings.strategy)


def going_by_one(connection: Connection) -> list[str]:
    """Lenders that a strategy in force names, or that one was run for before: those that a schedule serves."""
    named = {lender for one in BOOK.all_in_force(connection) for lender in one.lenders}
    return sorted(named | set(store.lenders_with_runs(connection)))


def proposed(connection: Connection, strategy: Strategy, lender: str, today: date, states: frozenset[str]) -> Proposed:
    """Where the strategy sends the lender's accounts today, and who may work the stages. Nothing is kept."""
    accounts = store.accounts(connection, lender)
    found = moves.moves(
        strategy, accounts, plans.holds(connection, lender, today), store.out(connection, lender), today
    )
    return Proposed(
        lender, strategy, today, len(accounts), found, who_may(connection, strategy, lender, today, states)
    )  # fmt: skip


def who_may(
    connection: Connection, strategy: Strategy, lender: str, today: date, states: frozenset[str]
) -> list[mandates.Mandate]:
    """Every agency for every stage that agencies work, and why not."""
    return mandates.mandates(
        strategy,
        lender,
        plans.agencies(connection, lender, today),
        lambda name: policies.find(connection, name),
        states,
    )


def falling_back(connection: Connection, strategy: Strategy, lender: str, today: date) -> pd.DataFrame:
    """The lender's placements that the strategy takes back today, with where their accounts would go next.

    Columns: those of models.strategy.cascade, `balance_minor`, `currency`, `next_stage`, `next_level`.
    """
    found = cascade.recalls(strategy, store.placed(connection, lender, today), today)
    mine = store.accounts(connection, lender, found["account_id"])
    nobody_out = pd.DataFrame({"account_id": pd.Series(dtype="int64"), "state": pd.Series(dtype="str")})
    after = moves.moves(strategy, mine, plans.holds(connection, lender, today), nobody_out, today).lines
    at = found["account_id"]
    facts = mine.set_index("account_id")
    next_stage = at.map(after.set_index("account_id")["to_stage"]).astype("str").fillna(cascade.NO_NEXT)
    rounds = at.map(facts["rounds"]).astype("int64") + 1
    agencys = next_stage.isin([one.stage for one in strategy.placing])
    return found.assign(
        balance_minor=at.map(facts["balance_minor"]).astype("int64"),
        currency=at.map(facts["currency"]).astype("str"),
        next_stage=next_stage,
        next_level=cascade.levels(next_stage, rounds).where(agencys, cascade.NO_NEXT).astype("str"),
    )


def movement(found: moves.Moves) -> pd.DataFrame:
    """How many accounts go from which stage to which, by rule and why, per currency: one row each."""
    by = ["from_stage", "to_stage", "rule", "why", "currency"]
    counted = found.lines.groupby(by, sort=True)["balance_minor"].agg(["size", "sum"]).reset_index()
    return counted.rename(columns={"size": "accounts", "sum": "balance_minor"})


def fallen(back: pd.DataFrame) -> pd.DataFrame:
    """How many placements would come back: by agency, level, rule and reason, and where their accounts go next."""
    by = ["agency", "level", "rule", "reason", "next_level", "next_stage", "currency"]
    counted = back.groupby(by)["balance_minor"].agg(["size", "sum"]).reset_index()
    return counted.rename(columns={"size": "placements", "sum": "balance_minor"})


def summary(found: Proposed) -> dict[str, Any]:
    """What an approver reads: movement, who is left and why, and who may work the stages. Knows no debtor."""
    left = found.moves.left["reason"].value_counts().sort_index()
    return {
        "movement": movement(found.moves).to_dict(orient="records"),
        "left": {str(reason): int(number) for reason, number in left.items()},
        "mandates": [vars(one) for one in found.mandates],
    }


def compared(before: moves.Moves, after: moves.Moves) -> pd.DataFrame:
    """How many accounts two strategies send to different stages: `before`, `after`, `accounts`, `balance_minor`."""
    both = before.lines[["account_id", "to_stage", "balance_minor"]].merge(
        after.lines[["account_id", "to_stage", "balance_minor"]], on="account_id", how="outer", suffixes=("", "_after")
    )
    told = pd.DataFrame({
        "before": both["to_stage"].fillna("left"), "after": both["to_stage_after"].fillna("left"),
        "balance_minor": both["balance_minor"].fillna(both["balance_minor_after"]).astype("int64"),
    })  # fmt: skip
    other = told[told["before"] != told["after"]]
    counted = other.groupby(["before", "after"])["balance_minor"].agg(["size", "sum"]).reset_index()
    return counted.rename(columns={"size": "accounts", "sum": "balance_minor"})


def mandated(found: Sequence[mandates.Mandate], stage: str) -> list[str]:
    """The agencies that may work the stage, by code."""
    return [one.agency for one in found if one.stage == stage and one.may]


__all__ = ["BOOK", "NEW", "Proposed", "compared", "fallen", "falling_back", "going_by_one", "level_of", "mandated",
           "movement", "of", "proposed", "summary", "who_may"]  # fmt: skip

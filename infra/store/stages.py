"""What people page through of strategies: stages, runs and their moves, recalls that were proposed; by keyset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from infra.store import bulk, keyset
from infra.store.exchange import PLACEMENTS
from infra.store.keyset import Order
from infra.store.placing import OUT
from infra.store.strategy import MOVES, PROPOSAL_LINES, PROPOSALS, RUNS, STAGES
from models.tables import Account

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import Connection

    from infra.store.keyset import Page

ACCOUNTS: Final = bulk.table_of(Account)
RUN_COLUMNS: Final = tuple(column.name for column in RUNS.c if column.name not in {"summary", "plans"})


@dataclass(frozen=True)
class Group:
    """Moves that go alike; every field that is not empty must agree."""

    from_stage: str = ""
    to_stage: str = ""
    rule: str = ""
    why: str = ""

    def holds(self, other: Mapping[str, Any]) -> bool:
        """Whether a group of a run's summary is among them."""
        return all(not value or other[name] == value for name, value in vars(self).items())


def standing(connection: Connection, lender: str) -> list[dict[str, Any]]:
    """By stage: `accounts` that the lender's approved runs put there, the oldest `since`, and `out` with agencies."""
    put = connection.execute(
        select(STAGES.c.stage, func.count().label("accounts"), func.min(STAGES.c.since).label("oldest"))
        .where(STAGES.c.lender == lender)
        .group_by(STAGES.c.stage)
    ).all()
    out = connection.execute(
        select(PLACEMENTS.c.stage, func.count().label("out"))
        .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state.in_(OUT))
        .group_by(PLACEMENTS.c.stage)
    ).all()
    with_agencies = {row.stage: int(row.out) for row in out}
    found = {row.stage: {"accounts": int(row.accounts), "oldest": row.oldest} for row in put}
    return [
        {"stage": stage, "accounts": 0, "oldest": None, **found.get(stage, {}), "out": with_agencies.get(stage, 0)}
        for stage in sorted({*found, *with_agencies})
    ]


def accounts(connection: Connection, lender: str, stage: str, after: str | None = None) -> Page:
    """The accounts that an approved run put into the stage, in rising id, with what is owed now."""
    names = ("product", "currency", "balance_minor", "dpd", "bucket", "status", "rounds")
    statement = (
        select(STAGES.c.account_id, STAGES.c.since, STAGES.c.run_id, *(ACCOUNTS.c[name] for name in names))
        .join(ACCOUNTS, ACCOUNTS.c.account_id == STAGES.c.account_id)
        .where(STAGES.c.lender == lender, STAGES.c.stage == stage)
    )
    return keyset.page(connection, statement, Order((STAGES.c.account_id,)), after)


def runs(connection: Connection, lender: str = "", state: str = "", after: str | None = None) -> Page:
    """Runs, the newest first, without their summaries."""
    statement = select(*(RUNS.c[name] for name in RUN_COLUMNS))
    statement = statement.where(*([RUNS.c.lender == lender] if lender else []))
    statement = statement.where(*([RUNS.c.state == state] if state else []))
    return keyset.page(connection, statement, Order((RUNS.c.run_id,), falling=True), after)


def moves(
    connection: Connection, run_id: int, wanted: Group, groups: Iterable[Mapping[str, Any]], after: str | None = None
) -> Page:
    """The run's moves of the wanted group, in rising account id.

    groups: what the run's summary counts; one index answers each of them, however few of a million moves it has.
    """
    statement = select(MOVES).where(MOVES.c.run_id == run_id)
    order = Order((MOVES.c.account_id,))
    if wanted == Group():
        return keyset.page(connection, statement, order, after)
    alike = dict.fromkeys(
        (row["from_stage"], row["to_stage"], row["rule"], row["why"]) for row in groups if wanted.holds(row)
    )
    parts = [
        statement.with_only_columns(*order.columns).where(
            MOVES.c.from_stage == from_stage, MOVES.c.to_stage == to_stage, MOVES.c.rule == rule, MOVES.c.why == why
        )
        for from_stage, to_stage, rule, why in alike
    ]
    return keyset.page_of(connection, statement, parts, order, after) if parts else keyset.Page([], None)


def proposals(connection: Connection, lender: str = "", state: str = "", after: str | None = None) -> Page:
    """Recalls that were proposed, the newest first."""
    statement = select(PROPOSALS)
    statement = statement.where(*([PROPOSALS.c.lender == lender] if lender else []))
    statement = statement.where(*([PROPOSALS.c.state == state] if state else []))
    return keyset.page(connection, statement, Order((PROPOSALS.c.proposal_id,), falling=True), after)


def proposed(
    connection: Connection, proposal_id: int, agency: str = "", rule: str = "", after: str | None = None
) -> Page:
    """The placements of one of them, in rising id."""
    statement = (
        select(PROPOSAL_LINES, ACCOUNTS.c.currency)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PROPOSAL_LINES.c.account_id)
        .where(PROPOSAL_LINES.c.proposal_id == proposal_id)
    )
    statement = statement.where(*([PROPOSAL_LINES.c.agency == agency] if agency else []))
    statement = statement.where(*([PROPOSAL_LINES.c.rule == rule] if rule else []))
    return keyset.page(connection, statement, Order((PROPOSAL_LINES.c.placement_id,)), after)


def proposed_counted(connection: Connection, proposal_id: int) -> list[dict[str, Any]]:
    """The same counted by agency, rule, reason, level, and where the accounts go next; money by currency."""
    line = PROPOSAL_LINES.c
    by = (line.agency, line.rule, line.reason, line.level, line.next_level, line.next_stage, ACCOUNTS.c.currency)
    found = connection.execute(
        select(*by, func.count().label("placements"), func.sum(line.balance_minor).label("balance_minor"))
        .join(ACCOUNTS, ACCOUNTS.c.account_id == line.account_id)
        .where(line.proposal_id == proposal_id)
        .group_by(*by)
        .order_by(*by)
    )
    return [{**row, "balance_minor": int(row["balance_minor"])} for row in found.mappings()]


def waiting(connection: Connection, lenders: Collection[str]) -> dict[str, dict[str, int]]:
    """By lender the open run and the open proposal, where there is one: `run`, `proposal`."""
    found: dict[str, dict[str, int]] = {lender: {} for lender in lenders}
    for word, table, number in (("run", RUNS, RUNS.c.run_id), ("proposal", PROPOSALS, PROPOSALS.c.proposal_id)):
        for row in connection.execute(select(table.c.lender, number).where(table.c.state == "proposed")):
            found.setdefault(row[0], {})[word] = int(row[1])
    return found

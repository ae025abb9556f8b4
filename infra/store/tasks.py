"""What waits for a person, counted: second approvals, exceptions, breaks. No count goes on above MOST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, literal, select

from infra.store import bulk, keyset
from models.tables import (
    Break,
    ExchangeException,
    InstalmentPlan,
    PaymentRun,
    Plan,
    RecallProposal,
    Resolution,
    Rulebook,
    StrategyRun,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement

MOST: Final = 1_000
"""A count that is this large may be larger."""
PLANS: Final = bulk.table_of(Plan)
RESOLUTIONS: Final = bulk.table_of(Resolution)
RUNS: Final = bulk.table_of(PaymentRun)
EXCEPTIONS: Final = bulk.table_of(ExchangeException)
BREAKS: Final = bulk.table_of(Break)
INSTALMENTS: Final = bulk.table_of(InstalmentPlan)
PROPOSALS: Final = bulk.table_of(RecallProposal)
RULES: Final = bulk.table_of(Rulebook)
STRATEGY_RUNS: Final = bulk.table_of(StrategyRun)


@dataclass(frozen=True)
class Task:
    """One kind of thing that waits: how many of it, and what a person must be allowed to do about it."""

    code: str
    """plans_to_approve | resolutions_to_approve | … | my_exceptions | my_breaks"""
    count: int
    action: str


def waiting(connection: Connection, actor: str, roles: Collection[str]) -> list[Task]:
    """What waits for somebody of this name and these roles; kinds of which nothing waits are there with a zero.

    What somebody proposed does not wait for the same person's approval.
    """
    mine = EXCEPTIONS.c.owner.in_(_owners(actor, roles))
    asked: tuple[tuple[str, str, tuple[ColumnElement[bool], ...]], ...] = (
        ("plans_to_approve", "plans.approve", (PLANS.c.state == "submitted", PLANS.c.submitted_by != actor)),
        (
            "resolutions_to_approve", "breaks.approve",
            (RESOLUTIONS.c.state == "waiting", RESOLUTIONS.c.proposed_by != actor),
        ),
        ("payments_to_approve", "payments.approve", (RUNS.c.state == "proposed", RUNS.c.proposed_by != actor)),
        ("rules_to_approve", "strategies.approve", _rules("strategy", actor)),
        ("limits_to_approve", "instalments.limits_approve", _rules("instalments", actor)),
        (
            "moves_to_accept", "strategies.approve",
            (STRATEGY_RUNS.c.state == "proposed", STRATEGY_RUNS.c.created_by != actor),
        ),
        ("recalls_to_accept", "strategies.approve", (PROPOSALS.c.state == "proposed", PROPOSALS.c.created_by != actor)),
        (
            "instalments_to_decide", "instalments.decide",
            (INSTALMENTS.c.state.in_(("proposed", "awaiting_second")), INSTALMENTS.c.first_by.is_distinct_from(actor)),
        ),
        ("my_exceptions", "exceptions.see", (EXCEPTIONS.c.state.in_(("open", "taken")), mine)),
        ("my_breaks", "breaks.work", (BREAKS.c.owner == actor, BREAKS.c.state == "open")),
    )  # fmt: skip
    return [
        Task(code, min(MOST, keyset.counted(connection, [select(literal(1)).where(*where)], MOST)), action)
        for code, action, where in asked
    ]


def _rules(sort: str, actor: str) -> tuple[ColumnElement[bool], ...]:
    return (RULES.c.sort == sort, RULES.c.state == "proposed", RULES.c.proposed_by != actor)


def exceptions_of(connection: Connection, actor: str, roles: Collection[str], most: int) -> list[Any]:
    """The exceptions that this person must look at, the most urgent first."""
    return list(
        connection.execute(
            select(EXCEPTIONS)
            .where(EXCEPTIONS.c.state.in_(("open", "taken")), EXCEPTIONS.c.owner.in_(_owners(actor, roles)))
            .order_by(EXCEPTIONS.c.due_at, EXCEPTIONS.c.exception_id)
            .limit(most)
        )
    )


def _owners(actor: str, roles: Collection[str]) -> list[str]:
    """Who a person is as an exception's owner: roles are written with a space there."""
    return [actor, *sorted(role.replace("_", " ") for role in roles)]

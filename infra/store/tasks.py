"""What waits for a person, counted: second approvals, what a role decides, exceptions, breaks. No count above MOST.

Every kind of thing that a second person decides has its line here: a test compares them with the actions that are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, literal, select

from infra.store import bulk, keyset
from models.permissions import allowed
from models.tables import (
    Breach,
    Break,
    CertificateWaiver,
    Complaint,
    ConsolidationBasis,
    ContractProposal,
    Escrow,
    Evaluation,
    ExchangeException,
    GateAllowance,
    GateState,
    HostKey,
    InstalmentPlan,
    KeyRequest,
    PaymentRun,
    PeriodReopening,
    Plan,
    PropensityModel,
    RecallObjection,
    RecallProposal,
    ReleasePolicy,
    Resolution,
    Rulebook,
    Shredding,
    StrategyRun,
    SubjectRequest,
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
EVALUATIONS: Final = bulk.table_of(Evaluation)
MODELS: Final = bulk.table_of(PropensityModel)
BASES: Final = bulk.table_of(ConsolidationBasis)
CONTRACTS: Final = bulk.table_of(ContractProposal)
REOPENINGS: Final = bulk.table_of(PeriodReopening)
KEYS: Final = bulk.table_of(KeyRequest)
HOST_KEYS: Final = bulk.table_of(HostKey)
WAIVERS: Final = bulk.table_of(CertificateWaiver)
POLICIES: Final = bulk.table_of(ReleasePolicy)
GATES: Final = bulk.table_of(GateState)
ALLOWANCES: Final = bulk.table_of(GateAllowance)
SHREDDINGS: Final = bulk.table_of(Shredding)
ESCROWS: Final = bulk.table_of(Escrow)
OBJECTIONS: Final = bulk.table_of(RecallObjection)
COMPLAINTS: Final = bulk.table_of(Complaint)
BREACHES: Final = bulk.table_of(Breach)
REQUESTS: Final = bulk.table_of(SubjectRequest)


@dataclass(frozen=True)
class Task:
    """One kind of thing that waits: how many of it, and what a person must be allowed to do about it."""

    code: str
    """plans_to_approve | resolutions_to_approve | … | my_exceptions | my_breaks"""
    count: int
    action: str
    first: str = ""
    """what the address of the first of them is made of, where the kind has no list of its own"""


@dataclass(frozen=True)
class _Kind:
    """One kind: what it takes, which rows wait, and the column that names the first of them."""

    code: str
    action: str
    where: tuple[ColumnElement[bool], ...]
    first: ColumnElement[Any] | None = None


def waiting(connection: Connection, actor: str, roles: Collection[str]) -> list[Task]:
    """What waits for somebody of this name and these roles; kinds of which nothing waits are there with a zero.

    What somebody proposed does not wait for the same person's approval; what the roles do not allow is left out.
    """
    told = []
    for kind in kinds(actor, roles):
        if not allowed(kind.action, roles, agency=None):
            continue
        count = min(MOST, keyset.counted(connection, [select(literal(1)).where(*kind.where)], MOST))
        first = ""
        if count and kind.first is not None:
            first = str(connection.execute(select(kind.first).where(*kind.where).limit(1)).scalar_one())
        told.append(Task(kind.code, count, kind.action, first))
    return told


def kinds(actor: str, roles: Collection[str]) -> tuple[_Kind, ...]:
    """Every kind of thing that can wait for somebody of this name and these roles, second approvals first."""
    return (*_second(actor), *_decided(actor), *_own(actor, roles))


def _second(actor: str) -> tuple[_Kind, ...]:
    """What somebody else asked for."""
    return (
        _Kind("plans_to_approve", "plans.approve", (PLANS.c.state == "submitted", PLANS.c.submitted_by != actor)),
        _Kind("resolutions_to_approve", "breaks.approve",
              (RESOLUTIONS.c.state == "waiting", RESOLUTIONS.c.proposed_by != actor)),
        _Kind("payments_to_approve", "payments.approve", (RUNS.c.state == "proposed", RUNS.c.proposed_by != actor)),
        _Kind("rules_to_approve", "strategies.approve", _rules("strategy", actor)),
        _Kind("limits_to_approve", "instalments.limits_approve", _rules("instalments", actor)),
        _Kind("moves_to_accept", "strategies.approve",
              (STRATEGY_RUNS.c.state == "proposed", STRATEGY_RUNS.c.created_by != actor)),
        _Kind("recalls_to_accept", "strategies.approve",
              (PROPOSALS.c.state == "proposed", PROPOSALS.c.created_by != actor)),
        _Kind("evaluations_to_approve", "evaluations.approve",
              (EVALUATIONS.c.state == "proposed", EVALUATIONS.c.proposed_by != actor)),
        _Kind("models_to_approve", "propensity.approve",
              (MODELS.c.state == "proposed", MODELS.c.made_by != actor)),
        _Kind("uses_to_approve", "propensity.switch_approve", _rules("propensity_use", actor)),
        _Kind("bases_to_approve", "consolidation.approve",
              (BASES.c.state == "proposed", BASES.c.proposed_by != actor)),
        _Kind("contracts_to_approve", "contracts.approve",
              (CONTRACTS.c.state == "waiting", CONTRACTS.c.proposed_by != actor)),
        _Kind("reopenings_to_approve", "closing.approve",
              (REOPENINGS.c.state == "waiting", REOPENINGS.c.asked_by != actor), REOPENINGS.c.lender),
        _Kind("keys_to_approve", "agencies.keys_approve", (KEYS.c.state == "waiting", KEYS.c.asked_by != actor),
              KEYS.c.agency),
        _Kind("host_keys_to_approve", "agencies.keys_approve",
              (HOST_KEYS.c.state == "waiting", HOST_KEYS.c.added_by != actor), HOST_KEYS.c.agency),
        _Kind("waivers_to_grant", "waivers.grant", (WAIVERS.c.granted_by.is_(None), WAIVERS.c.asked_by != actor),
              WAIVERS.c.agency),
        _Kind("policies_to_approve", "policies.approve",
              (POLICIES.c.state == "proposed", POLICIES.c.proposed_by.is_distinct_from(actor))),
        _Kind("gates_to_grant", "gates.grant", (GATES.c.state == "asked", GATES.c.asked_by != actor)),
        _Kind("allowances_to_approve", "allowances.approve",
              (ALLOWANCES.c.state == "waiting", ALLOWANCES.c.asked_by != actor)),
        _Kind("shreddings_to_approve", "shreddings.approve",
              (SHREDDINGS.c.state == "waiting", SHREDDINGS.c.asked_by != actor)),
        _Kind("escrows_to_approve", "escrows.approve", (ESCROWS.c.state == "waiting", ESCROWS.c.asked_by != actor)),
    )  # fmt: skip


def _rules(sort: str, actor: str) -> tuple[ColumnElement[bool], ...]:
    return (RULES.c.sort == sort, RULES.c.state == "proposed", RULES.c.proposed_by != actor)


def _decided(actor: str) -> tuple[_Kind, ...]:
    """What a role decides or answers."""
    asked = INSTALMENTS.c.state.in_(("proposed", "awaiting_second"))
    return (
        _Kind("instalments_to_decide", "instalments.decide", (asked, INSTALMENTS.c.first_by.is_distinct_from(actor))),
        _Kind("objections_to_decide", "recalls.change", (OBJECTIONS.c.state == "open",)),
        _Kind("breaches_to_hear", "conduct.decide", (BREACHES.c.state == "open",)),
        _Kind("complaints_to_take", "complaints.work", (COMPLAINTS.c.state == "open",)),
        _Kind("requests_to_answer", "subjects.work", (REQUESTS.c.ended_at.is_(None),)),
    )  # fmt: skip


def _own(actor: str, roles: Collection[str]) -> tuple[_Kind, ...]:
    """What somebody has."""
    mine = EXCEPTIONS.c.owner.in_(_owners(actor, roles))
    return (
        _Kind("my_complaints", "complaints.work", (COMPLAINTS.c.owner == actor, COMPLAINTS.c.state == "taken")),
        _Kind("my_exceptions", "exceptions.see", (EXCEPTIONS.c.state.in_(("open", "taken")), mine)),
        _Kind("my_breaks", "breaks.work", (BREAKS.c.owner == actor, BREAKS.c.state == "open")),
    )


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

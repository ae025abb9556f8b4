"""Plan: propose who gets which account, have it approved by a second person, see that it still holds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.engine import Schedule, verb
from infra import consolidation, policies, previews, roles
from infra.solving import solved
from infra.store import plans, seeds, worth
from infra.wiring import desk
from models.errors import UsageError
from models.planning.proposal import Proposal, propose
from models.planning.spec import NOTHING, PlanSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from models.release import Policy
    from models.tables import Plan

LIVE = frozenset({"live"})
TRIED_OUT = LIVE | {"certified"}
"""In the sandbox an agency may work from its certification on."""
PROMISED = frozenset({"submitted", "approved", "placed"})
"""States of a plan whose accounts no other plan may have."""


@dataclass(frozen=True)
class PlanDrafted:
    """A plan that nobody has approved yet; without a number it was only previewed."""

    plan_id: int | None
    name: str
    state: str
    content_sha256: str | None
    summary: dict[str, Any]
    seed: int
    """that it was drawn by"""


@dataclass(frozen=True)
class WhatIf:
    """What a plan would be with another spec."""

    differs: dict[str, Any]
    """models.planning.comparing.compared: the plan, and what it would be"""
    summary: dict[str, Any]
    """the preview of what it would be"""


@dataclass(frozen=True)
class PlansExpired:
    """The plans that ended because they no longer hold."""

    plans: list[int]


@dataclass(frozen=True)
class SeedCommitted:
    """A seed that nobody knows yet; its hash is told, and the plan of that name will use it."""

    lender: str
    name: str
    sha256: str


@verb()
def draft_plan(spec_file: Path) -> int:
    """The plan that the spec in the file asks for is a draft. Returns its number."""
    plan_id = draft(spec_of(spec_file)).plan_id
    assert plan_id is not None  # noqa: S101 - a draft that is kept has its number
    return plan_id


@verb(schedule=Schedule("17 * * * *"))
def expire_plans() -> PlansExpired:
    """Every open plan whose data changed, or which is too old, has ended."""
    at = desk()
    ended = []
    for plan_id in _open_plans():
        with at.database.write() as connection:
            if (because := _stale(connection, plan_id)) is not None:
                plans.expire(connection, plan_id, at.now(), because)
                ended.append(plan_id)
    return PlansExpired(ended)


def spec_of(file: Path | None, nested: Mapping[str, Mapping[str, Any]] = NOTHING, **given: object) -> PlanSpec:
    """The spec in the file, overruled by what is given; without a seed it gets today's date, and the plan keeps that.

    Raises UsageError where the file cannot be read, SpecInvalid where it makes no sense.
    """
    text = "" if file is None else _text_of(file)
    return PlanSpec.parse(text, nested, default_seed=int(f"{desk().today():%Y%m%d}"), **given)


def changes_of(file: Path | None, lines: list[str]) -> dict[str, Any]:
    """Changes of a spec from a TOML file and from lines of TOML, the later over the earlier. Raises UsageError."""
    changes: dict[str, Any] = {}
    texts = [*([] if file is None else [_text_of(file)]), *lines]
    for text in texts:
        try:
            changes = laid_over(changes, tomllib.loads(text))
        except tomllib.TOMLDecodeError as broken:
            raise UsageError(f"a change is not TOML: {broken}", fix="for instance bounds.change_max=0.1") from None
    if not changes:
        raise UsageError("nothing is changed", fix="say what, as --set bounds.change_max=0.1, or --spec FILE")
    return changes


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{file} cannot be read: {type(broken).__name__}", fix="name a TOML file in UTF-8") from None


def draft(spec: PlanSpec, *, certified_too: bool = False) -> PlanDrafted:
    """The plan that the spec asks for is a draft. Raises NobodyToPlace where there is nothing to share out.

    Where a seed was committed for the plan's name, it is drawn by that one, which is told from then on.
    """
    at = desk()
    consolidation.renewed(at, spec.lender)
    # the store is free for others while the plan is made: what changes meanwhile makes it stale, and that is looked at
    with at.database.read() as connection:
        committed = seeds.waiting(connection, spec.lender, spec.name)
        spec = spec if committed is None else replace(spec, seed=committed.seed)
        policy = policies.find(connection, spec.policy)
        proposal = _proposal(connection, spec, policy, certified_too=certified_too)
    with at.database.write() as connection:
        policies.keep(connection, at, spec.policy)
        plan_id = plans.create(connection, proposal, spec, policy, at.actor, at.now())
        if committed is not None:
            seeds.reveal(connection, plan_id, committed, at.actor, at.now())
        kept = plans.plan(connection, plan_id)
    return PlanDrafted(plan_id, spec.name, kept.state, kept.content_sha256, proposal.summary, spec.seed)


def preview(spec: PlanSpec, *, certified_too: bool = False) -> PlanDrafted:
    """What the plan would be; nothing is kept."""
    with desk().database.read() as connection:
        policy = policies.find(connection, spec.policy)
        proposal = _proposal(connection, spec, policy, certified_too=certified_too)
    return PlanDrafted(None, spec.name, "preview", None, proposal.summary, spec.seed)


def submit(plan_id: int) -> Plan:
    """The plan waits for a second person. Raises PlanStale (and the plan has ended), IllegalMove."""
    at = desk()
    with _ending(plan_id), at.database.write() as connection:
        _same_policy(connection, plan_id)
        return plans.submit(connection, plan_id, at.actor, at.now())


def approve(plan_id: int, content: str = "") -> Plan:
    """The plan may be sent as it stands.

    content: the beginning of the hash that the approver looked at, checked where given.
    Raises RoleMissing, SecondPerson, ContentChanged, PlanStale (and the plan has ended), IllegalMove.
    """
    at = desk()
    with _ending(plan_id), at.database.write() as connection:
        roles.require(connection, at, "portfolio_manager")
        _same_policy(connection, plan_id)
        return plans.approve(connection, plan_id, at.actor, at.now(), content)


def explain(plan_id: int, account: str) -> previews.Explanation:
    """Why the plan does with one account what it does, and which agency would be next best.

    account: the lender's own number, or `#` and the platform's id. Raises UsageError where the plan does not know it.
    """
    at = desk()
    with at.database.read() as connection:
        return previews.explained(at, connection, plan_id, account)


def commit_seed(lender: str, name: str) -> SeedCommitted:
    """A secret seed for the plan of that name, its hash on the audit trail. Raises RefusedByPolicy if one waits."""
    at = desk()
    with at.database.write() as connection:
        plans.lender_today(connection, lender, at.now())
        return SeedCommitted(lender, name, seeds.commit(connection, lender, name, at.actor, at.now()))


def what_if(plan_id: int, changes: Mapping[str, Any], *, certified_too: bool = False) -> dict[str, Any]:
    """What the plan would be with another spec, against what it is; nothing is kept.

    changes: laid over the plan's spec, tables into tables. The plan must not be promised: its accounts would be in it.
    """
    return would_be(plan_id, changed_spec(plan_id, changes), certified_too=certified_too).differs


def changed_spec(plan_id: int, changes: Mapping[str, Any]) -> PlanSpec:
    """The plan's spec with the changes laid over it. Raises SpecInvalid, UsageError where its accounts are promised."""
    with desk().database.read() as connection:
        known = plans.plan(connection, plan_id)
    if known.state in PROMISED:
        raise UsageError(
            f"plan {plan_id} is {known.state}: its accounts are promised", fix="ask before you submit, of a draft"
        )
    return PlanSpec.of(laid_over(json.loads(known.spec), changes))


def would_be(plan_id: int, spec: PlanSpec, *, certified_too: bool = False) -> WhatIf:
    """What another spec would make of the plan, against what it is; nothing is kept."""
    with desk().database.read() as connection:
        known = plans.plan(connection, plan_id)
        policy = policies.find(connection, spec.policy)
        proposal = _proposal(connection, spec, policy, certified_too=certified_too)
        return WhatIf(previews.against(connection, known, proposal), proposal.summary)


def difference(first: int, second: int) -> dict[str, Any]:
    """What the second plan does differently from the first."""
    with desk().database.read() as connection:
        return previews.difference(connection, first, second)


def laid_over(spec: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with the changes in it, tables into tables; what a change says is None is not said any more."""
    laid = dict(spec)
    for key, value in changes.items():
        old = laid.get(key)
        if value is None:
            laid.pop(key, None)
        else:
            laid[key] = laid_over(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return laid


def reject(plan_id: int, because: str) -> Plan:
    """The plan has ended: somebody said no."""
    at = desk()
    with at.database.write() as connection:
        return plans.reject(connection, plan_id, at.actor, at.now(), because)


def ready(plan_id: int) -> Plan:
    """The plan, approved and still true. Raises NotApproved, or PlanStale (and the plan has ended).

    A plan that is already placed is ready too: sending it again continues what was interrupted.
    """
    at = desk()
    with at.database.read() as connection:
        known = plans.plan(connection, plan_id)
    if known.state == "placed":
        return known
    with _ending(plan_id), at.database.read() as connection:
        _same_policy(connection, plan_id)
        return plans.approved(connection, plan_id, at.now())


def _proposal(connection: Connection, spec: PlanSpec, policy: Policy, *, certified_too: bool) -> Proposal:
    today = plans.lender_today(connection, spec.lender, desk().now())
    states = TRIED_OUT if certified_too else LIVE
    read = plans.inputs(connection, spec, today)
    if spec.allocator == "shares":
        return propose(read, spec, policy, today, states)
    read = replace(
        read,
        figures=worth.figures(connection, spec.lender, today),
        contracts=worth.contracts(connection, spec.lender, today),
    )
    return propose(read, spec, policy, today, states, partial(solved, seconds=spec.bounds.time_limit_seconds))


def _open_plans() -> list[int]:
    with desk().database.read() as connection:
        return plans.open_plans(connection)


def stale(plan_id: int) -> str | None:
    """Why an open plan no longer holds; None while it does, and for a plan that has ended. Changes nothing."""
    with desk().database.read() as connection:
        known = plans.plan(connection, plan_id)
        return _stale(connection, plan_id) if known.state in plans.OPEN_STATES else None


def _stale(connection: Connection, plan_id: int) -> str | None:
    try:
        _same_policy(connection, plan_id)
    except plans.PlanStale as found:
        return found.because
    return plans.stale(connection, plan_id, desk().now())


def _same_policy(connection: Connection, plan_id: int) -> None:
    """An open plan's release policy is still the one it was made under. Raises PlanStale."""
    known = plans.plan(connection, plan_id)
    if known.state not in plans.OPEN_STATES:
        return
    try:
        same = policies.find(connection, known.policy).sha256 == known.policy_sha256
    except policies.NotInForce as ended:
        raise plans.PlanStale(plan_id, str(ended)) from None
    except UsageError:
        same = False
    if not same:
        raise plans.PlanStale(plan_id, f"release policy {known.policy} is not what it was")


@contextmanager
def _ending(plan_id: int) -> Iterator[None]:
    """A plan that is found stale in the block has ended, though the block's own transaction is undone."""
    at = desk()
    try:
        yield
    except plans.PlanStale as found:
        with at.database.write() as connection:
            if plans.plan(connection, plan_id).state in plans.OPEN_STATES:
                plans.expire(connection, plan_id, at.now(), found.because)
        raise

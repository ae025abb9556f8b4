"""What people look at before they approve a plan: the preview as it is drawn, one account's explanation, differences.

The command line and the web pages show these same structures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from infra import workedout
from infra.indexes import ref_index
from infra.store import plans, seeds
from models.errors import UsageError
from models.planning.comparing import compared
from models.planning.explaining import alternatives
from models.planning.preview import in_words, why_in_words

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.wiring import Desk
    from models.planning.proposal import Proposal
    from models.tables import Plan

STEPS: Final = ("select", "segment", "preview", "second approval", "send")
COMPARED_AT_ONCE: Final = 50_000
"""Accounts of two plans together that are compared while somebody waits; more are a job's."""
AT_STEP: Final = {"draft": 2, "submitted": 3, "approved": 4, "placed": 5}


@dataclass(frozen=True)
class Alternative:
    """One agency for one account. `why_not` is empty for the one that has it."""

    agency: str
    name: str
    expected_net_minor: int
    why_not: str


@dataclass(frozen=True)
class Explanation:
    """What a plan does with one account, and why."""

    account_id: int
    agency: str | None
    segment: str | None
    round: int | None
    tried_before: list[str]
    """agencies that had the debtor and did not recover: the plan did not consider them"""
    why: str
    currency: str = ""
    probability: float | None = None
    """with which the draw sent it there; None where it was not the draw alone, or the plan leaves it out"""
    expected_net_minor: int | None = None
    """with its agency; None where the plan does not say"""
    next_best: str | None = None
    """code of the agency that would bring most of the others that may have it"""
    alternatives: list[Alternative] = field(default_factory=list)
    """every agency with what it would bring, the best first"""


def page(connection: Connection, plan_id: int) -> dict[str, Any]:
    """Everything that a plan's preview shows, as it is kept: no debtor, counts and minor units.

    `step` of `steps`; `agencies`: name, score, accounts, difference to the last plan, balance, capacity used (held,
    plan, limit), why; `totals`; `bounds`: prices, what was given up, what rules cost; `approval`; `seed`.
    """
    known = plans.plan(connection, plan_id)
    summary = json.loads(known.summary)
    committed = seeds.of_plan(connection, plan_id)
    return {
        "plan_id": plan_id,
        "name": known.name,
        "state": known.state,
        "steps": list(STEPS),
        "step": AT_STEP.get(known.state, 2),
        "policy": f"{known.policy} {known.policy_version}",
        "allocator": known.allocator,
        "seed": known.seed,
        "seed_committed": None
        if committed is None
        else {"sha256": committed.sha256, "at": committed.committed_at, "by": committed.committed_by},
        "as_of": known.as_of,
        "currency": known.currency,
        "warnings": summary["warnings"],
        "agencies": [_agency(row) for row in summary["agencies"]],
        "totals": {
            key: summary.get(key) for key in ("accounts", "debtors", "balance_minor", "expected_net_minor", "held_back")
        },
        "exclusions": summary["exclusions"],
        "segments": summary["segments"],
        "scores": summary.get("scores"),
        "bounds": bounds_of(summary),
        "evenness": summary.get("evenness"),
        "disclosed": summary["disclosed"],
        "approval": {
            "prepared_by": known.created_by, "submitted_by": known.submitted_by, "approved_by": known.approved_by,
            "approved_at": known.approved_at, "expires_at": known.expires_at, "content_sha256": known.content_sha256,
        },
    }  # fmt: skip


def _agency(row: dict[str, Any]) -> dict[str, Any]:
    """One row of the picture: score, accounts, difference, balance, the bar of what is used, why."""
    names = ("agency", "name", "accounts", "difference", "balance_minor", "share_achieved", "why")
    return {key: row[key] for key in names} | {
        "score": row.get("score"),
        "expected_net_minor": row.get("expected_net_minor"),
        "cap": {
            "held": row["held_accounts"], "plan": row["accounts"], "limit": row["capacity_accounts"],
            "held_minor": row["held_minor"], "limit_minor": row["capacity_minor"], "used": row["capacity_used"],
        },
    }  # fmt: skip


def bounds_of(summary: dict[str, Any]) -> dict[str, Any] | None:
    """What binds and at which price, what was given up, what each rule costs; None where nothing was optimised."""
    found: dict[str, Any] | None = summary.get("optimum")
    return found


def explained(desk: Desk, connection: Connection, plan_id: int, account: str) -> Explanation:
    """Why the plan does with one account what it does.

    account: the lender's own number, or `#` and the platform's id. Raises UsageError where the plan does not know it.
    """
    known = plans.plan(connection, plan_id)
    account_id = _account(desk, connection, known.lender, account)
    line = None if account_id is None else plans.line(connection, plan_id, account_id)
    reason = None if account_id is None else plans.exclusion(connection, plan_id, account_id)
    if account_id is None or (line is None and reason is None):
        raise UsageError(
            f"plan {plan_id} did not look at that account",
            fix="its filter leaves it out, or the lender has no such number",
        )
    if line is None:
        return Explanation(account_id, None, None, None, [], f"held back: {in_words(str(reason))}", known.currency)
    summary = json.loads(known.summary)
    names = {row["agency"]: row["name"] for row in summary["agencies"]}
    tried = plans.tried_before(connection, line.debtor_id)
    others = _alternatives(summary, names, line, tried)
    return Explanation(
        account_id,
        line.agency,
        line.segment,
        line.round,
        tried,
        why_in_words(line.why, names.get(line.agency, ""), names),
        known.currency,
        line.probability,
        next((one.expected_net_minor for one in others if one.agency == line.agency), None),
        next((one.agency for one in others if one.agency != line.agency and one.agency not in tried), None),
        others,
    )


def _account(desk: Desk, connection: Connection, lender: str, account: str) -> int | None:
    if account.startswith("#") and account[1:].isdecimal():
        return int(account[1:])
    index = str(ref_index(desk.keyring, pd.Series([account], dtype="str")).iloc[0])
    return plans.account_with_index(connection, lender, index)


def _alternatives(summary: dict[str, Any], names: dict[str, str], line: Any, tried: list[str]) -> list[Alternative]:
    if not summary.get("worth"):
        return []
    binds = {price["agency"]: price["kind"] for price in summary["optimum"]["prices"]}
    found = alternatives(summary["worth"], line.segment, line.balance_minor)
    mine = next((net for agency, net in found if agency == line.agency), 0)
    told = []
    for agency, net in found:
        if agency == line.agency:
            why = ""
        elif agency in tried:
            why = "had the debtor before and did not recover"
        elif net <= mine:
            why = "brings less"
        elif agency in binds:
            why = f"its {binds[agency].replace('_', ' ')} binds: others gain more there"
        elif line.agency in binds:
            why = f"a bound on {names.get(line.agency, line.agency)} asks for the account: {binds[line.agency]}"
        else:
            why = "this account differs from its segment's average, or another bound stands against it"
        told.append(Alternative(agency, names.get(agency, agency), net, why))
    return told


def difference(connection: Connection, first: int, second: int) -> dict[str, Any]:
    """The second plan against the first. Raises UsageError where they are of different lenders."""
    one, other = plans.plan(connection, first), plans.plan(connection, second)
    if one.lender != other.lender:
        raise UsageError(
            f"plan {first} is {one.lender}'s and plan {second} {other.lender}'s", fix="compare plans of one lender"
        )
    return compared(
        plans.lines(connection, first), plans.lines(connection, second), json.loads(one.summary),
        json.loads(other.summary),
    )  # fmt: skip


def differing(desk: Desk, first: int, second: int) -> dict[str, Any] | None:
    """The second plan against the first, as `difference` has it; of two large ones what a job found, None before it.

    A plan's lines never change, so neither does what a job has found.
    """
    with desk.database.read() as connection:
        accounts = sum(plans.plan(connection, number).accounts for number in (first, second))
        if accounts <= COMPARED_AT_ONCE:
            return difference(connection, first, second)
    kept = workedout.find(desk, compared_as(first, second))
    return None if kept is None else kept["found"]["differs"]


def compared_as(first: int, second: int) -> str:
    """The name under which a job keeps what it found of two plans."""
    return f"compare-{first}-{second}"


def tried_as(plan_id: int, spec: str) -> str:
    """The name under which a job keeps what another spec would make of a plan; spec: its name in infra.planspecs."""
    return f"what-if-{plan_id}-{spec}"


def against(connection: Connection, known: Plan, proposal: Proposal) -> dict[str, Any]:
    """A proposal that nobody keeps, against a plan."""
    return compared(
        plans.lines(connection, known.plan_id), proposal.lines, json.loads(known.summary), proposal.summary
    )  # fmt: skip

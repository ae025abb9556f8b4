"""Place: hand an approved plan's accounts to their agencies."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from flows.engine import step, verb
from flows.exchange import Exchanged, each, reported, send, suffix_for
from infra import audit, policies
from infra.store import exchange, placing, plans
from infra.wiring import desk
from models.errors import RefusedByPolicy
from models.tables import Plan


@dataclass(frozen=True)
class PlaceReport:
    """What placing did."""

    plan_id: int
    agencies: int
    files_delivered: int
    files_presumed: int
    accounts: int


@verb()
def place(plan_id: int) -> PlaceReport:
    """Hand the approved plan's accounts to their agencies; safe to run again."""
    agencies = prepare(plan_id)
    return reported(
        lambda: each(send, agencies, desk().settings.busy_wait), lambda sent: _report(plan_id, agencies, sent)
    )


def _report(plan_id: int, agencies: list[str], sent: Exchanged) -> PlaceReport:
    return PlaceReport(plan_id, len(agencies), sent.delivered, sent.presumed, sent.rows_sent)


@step
def prepare(plan_id: int) -> list[str]:
    """The plan's placements and transmissions are rows, once; returns its agencies.

    Raises what `infra.store.plans.approved` raises where the plan is not approved, or has expired.
    """
    at = desk()
    with at.database.write() as connection:
        exchange.take_turn(connection)
        if plans.plan(connection, plan_id).state != "placed":
            plan = plans.approved(connection, plan_id, at.now())
            if policies.find(connection, plan.policy).sha256 != plan.policy_sha256:
                message = f"release policy {plan.policy} changed after plan {plan_id} was approved"
                raise RefusedByPolicy(
                    message, fix="make the plan again, so that what would leave is approved as it stands"
                )
            _become_placements(connection, plan)
        return placing.plan_agencies(connection, plan_id)


def _become_placements(connection: Connection, plan: Plan) -> None:
    at = desk()
    transmissions = placing.place_plan(
        connection,
        plan,
        at.today(exchange.lender_timezone(connection, plan.lender)),
        lambda agency: at.keyring.pseudonym_key(agency).generation,
        suffix_for(connection),
    )
    plans.mark_placed(connection, plan.plan_id, at.now())
    audit.record(
        connection,
        at.actor,
        "plan.placed",
        f"plan:{plan.plan_id}",
        {"accounts": plan.accounts, "files": len(transmissions), "content_sha256": plan.content_sha256},
        at.now(),
    )

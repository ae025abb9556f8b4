"""Place: hand an approved plan's accounts to their agencies."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import step, verb
from flows.exchange import Exchanged, exchanged, send
from infra import audit, policies
from infra.outbox import suffix_of
from infra.store import exchange, placing, plans
from infra.wiring import desk
from models.errors import RefusedByPolicy


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
    sent: Exchanged = exchanged(send.map(agencies))
    return PlaceReport(plan_id, len(agencies), sent.delivered, sent.presumed, sent.rows_sent)


@step
def prepare(plan_id: int) -> list[str]:
    """The plan's placements and transmissions are rows, once; returns its agencies.

    Raises what `infra.store.plans.approved` raises where the plan is not approved, or has expired.
    """
    at = desk()
    with at.database.write() as connection:
        known = plans.plan(connection, plan_id)
        if known.state != "placed":
            plan = plans.approved(connection, plan_id, at.now())
            if policies.find(plan.policy).sha256 != plan.policy_sha256:
                message = f"release policy {plan.policy} changed after plan {plan_id} was approved"
                raise RefusedByPolicy(
                    message, fix="make the plan again, so that what would leave is approved as it stands"
                )
            suites = {
                code: exchange.agency(connection, code).suite for code in placing.plan_agencies(connection, plan_id)
            }
            transmissions = placing.place_plan(
                connection,
                plan,
                at.today(exchange.lender_timezone(connection, plan.lender)),
                lambda agency: at.keyring.pseudonym_key(agency).generation,
                lambda agency: suffix_of(suites[agency]),
            )
            plans.mark_placed(connection, plan_id, at.now())
            audit.record(
                connection,
                at.actor,
                "plan.placed",
                f"plan:{plan_id}",
                {"accounts": plan.accounts, "files": len(transmissions), "content_sha256": plan.content_sha256},
                at.now(),
            )
        return placing.plan_agencies(connection, plan_id)

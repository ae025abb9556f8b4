"""Which agencies may work which stage of a strategy, and why the others may not: nobody works beyond a mandate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.planning.agencies import lineup
from models.planning.spec import PlanSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from models.planning.agencies import AgencyFacts
    from models.release import Policy
    from models.strategy.rules import Stage, Strategy


@dataclass(frozen=True)
class Mandate:
    """One agency and one stage that agencies work; `why` says why not, and is empty where it may."""

    stage: str
    agency: str
    may: bool
    why: str


def mandates(
    strategy: Strategy,
    lender: str,
    agencies: Iterable[AgencyFacts],
    policy_of: Callable[[str], Policy],
    states: frozenset[str],
) -> list[Mandate]:
    """Every agency for every stage that agencies work, stages in their order.

    policy_of: the release policy of that name, as it is in force. Raises what it raises.
    """
    known = tuple(agencies)
    found = []
    for stage in strategy.placing:
        spec = PlanSpec(lender=lender, name=strategy.name, seed=0, stage=stage.stage, purpose=stage.purpose)
        who = lineup(known, spec, policy_of(stage.policy), states)
        taking_part = {facts.agency for facts in who.taking_part}
        for facts in sorted(known, key=lambda one: one.agency):
            why = who.left_out.get(facts.agency, "") if facts.agency not in taking_part else _lacks(stage, facts)
            found.append(Mandate(stage.stage, facts.agency, may=not why, why=why))
    return found


def _lacks(stage: Stage, facts: AgencyFacts) -> str:
    missing = [channel for channel in stage.needs if channel not in facts.channels]
    return f"its mandate has no {', '.join(missing)}" if missing else ""

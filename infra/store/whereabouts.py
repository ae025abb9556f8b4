"""Where accounts are: with an agency, promised to one by a plan, or back from one that recovered nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, literal, or_, select, union_all

from infra.store import bulk
from models.planning.exclusions import IN_PLAN, NO_FAILURE, PLACED
from models.tables import Placement, Plan, PlanLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Select

PLACEMENTS: Final = bulk.table_of(Placement)
PLANS: Final = bulk.table_of(Plan)
LINES: Final = bulk.table_of(PlanLine)

AT_AGENCY: Final = ("planned", "placed", "acknowledged", "recalled")
"""An account is with an agency until its placement is closed: a recall that nobody confirmed leaves it there."""
PROMISED: Final = ("submitted", "approved")
AFTER_ALL_PLACEMENTS: Final = 1 << 62


def out(lender: str | None = None, debtors: Callable[[Any], ColumnElement[bool]] | None = None) -> Select[Any]:
    """Accounts with an agency or in a plan that is promised: of the lender, or of all; of these debtors, or of all.

    Columns: account_id, debtor_id, agency, state (placed | in_plan), since (an id that rises with time).
    """
    placed = select(
        PLACEMENTS.c.account_id, PLACEMENTS.c.debtor_id, PLACEMENTS.c.agency, literal(PLACED).label("state"),
        PLACEMENTS.c.placement_id.label("since"),
    ).where(PLACEMENTS.c.state.in_(AT_AGENCY))  # fmt: skip
    planned = (
        select(
            LINES.c.account_id, LINES.c.debtor_id, LINES.c.agency, literal(IN_PLAN).label("state"),
            (LINES.c.plan_id + literal(AFTER_ALL_PLACEMENTS)).label("since"),
        )
        .join(PLANS, PLANS.c.plan_id == LINES.c.plan_id)
        .where(PLANS.c.state.in_(PROMISED))
    )  # fmt: skip
    if lender is not None:
        placed, planned = placed.where(PLACEMENTS.c.lender == lender), planned.where(PLANS.c.lender == lender)
    if debtors is not None:
        placed, planned = placed.where(debtors(PLACEMENTS.c.debtor_id)), planned.where(debtors(LINES.c.debtor_id))
    return select(union_all(placed, planned).subquery())


def failed() -> ColumnElement[bool]:
    """The placement came back, and the debtor had not paid."""
    return and_(
        PLACEMENTS.c.state == "closed",
        or_(PLACEMENTS.c.end_reason.is_(None), PLACEMENTS.c.end_reason.not_in(NO_FAILURE)),
    )

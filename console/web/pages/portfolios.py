"""Portfolios and what became of them, the holds on their debtors, and every placement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import pandas as pd
from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.language import later
from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from flows.holds import lift_hold, place_hold
from infra.indexes import ref_index
from infra.store import browsing, plans, portfolios
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.kinds import HOLD_REASONS

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()

COUNTED: Final = dict[str, Any]
COUNTED_AT_ONCE: Final = 50_000
"""Lines of a portfolio whose accounts are counted while the page is made; more are counted when somebody asks."""
PORTFOLIO_TABS: Final = ("segments", "rejects", "holds")
PLACEMENT_TABS: Final = {
    "out": later("With an agency"),
    "unacknowledged": later("Not acknowledged"),
    "recalled": later("Recalled"),
    "closed": later("Closed"),
    "planned": later("Being sent"),
}


@router.get("/portfolios", dependencies=[needs("portfolios.see")])
def every(visit: Visiting, lender: str = "", state: str = "", after: str = "") -> Response:
    """The portfolios that came, newest first."""
    with visit.desk.database.read() as connection:
        page = browsing.portfolios(connection, lender, state, after)
        lenders = browsing.lenders(connection)
    return visit.page(
        "portfolio/portfolios.html", page=page, lenders=lenders, lender=lender, state=state, after=after,
        states=standings.PORTFOLIO,
    )  # fmt: skip


@router.get("/portfolios/{portfolio_id}", dependencies=[needs("portfolios.see")])
def one(visit: Visiting, portfolio_id: int, tab: str = "segments", code: str = "", after: str = "") -> Response:
    """One portfolio: its counts by segment, the lines that were refused, the accounts that are held back."""
    asked.one_of(tab, PORTFOLIO_TABS)
    with visit.desk.database.read() as connection:
        portfolio = browsing.portfolio(connection, portfolio_id)
        lenders = browsing.lenders(connection)
        codes = browsing.reject_codes(connection, portfolio_id)
        rejects = browsing.rejects(connection, portfolio_id, code, after) if tab == "rejects" else None
    at_once = portfolio["rows_read"] <= COUNTED_AT_ONCE or FIGURES.find(
        visit.desk, ("portfolio", portfolio_id), COUNTED
    )
    counted = _counted(visit, portfolio_id) if at_once else None
    return visit.page(
        "portfolio/portfolio.html", portfolio=portfolio, lenders=lenders, tab=tab, code=code, codes=codes,
        rejects=rejects, counted=counted, after=after, states=standings.PORTFOLIO, holds=standings.HOLDS,
    )  # fmt: skip


@router.get("/portfolios/{portfolio_id}/counted", dependencies=[needs("portfolios.see")])
def counted(visit: Visiting, portfolio_id: int, tab: str = "segments") -> Response:
    """What the accounts of a large portfolio come to, counted now: a part of its page, or the page."""
    asked.one_of(tab, PORTFOLIO_TABS)
    found = _counted(visit, portfolio_id)
    if not visit.is_partial:
        return visit.go(f"/portfolios/{portfolio_id}{query(tab=tab)}")
    with visit.desk.database.read() as connection:
        portfolio = browsing.portfolio(connection, portfolio_id)
    return visit.page("portfolio/counted.html", portfolio=portfolio, counted=found, tab=tab, holds=standings.HOLDS)


def _counted(visit: Visit, portfolio_id: int) -> Any:
    """Segments, standing and holds of a portfolio's accounts, with when they were counted."""

    def count() -> dict[str, Any]:
        today = visit.desk.today()
        with visit.desk.database.read() as connection:
            return {
                "segments": portfolios.portfolio(connection, portfolio_id)["accounts_last_spoken_of"],
                "standing": browsing.standing_of(connection, portfolio_id, today),
                "held": browsing.held_back(connection, portfolio_id, today),
            }

    return FIGURES.count(visit.desk, ("portfolio", portfolio_id), count, COUNTED)


# -- holds -------------------------------------------------------------------------------------------------------------


@router.get("/holds", dependencies=[needs("portfolios.see")])
def holds(visit: Visiting, lender: str = "", reason: str = "", tab: str = "in_force", after: str = "") -> Response:
    """The holds in force, or those that ended."""
    return _holds(visit, lender, reason, asked.one_of(tab, ("in_force", "ended")), after)


def _holds(
    visit: Visit,
    lender: str,
    reason: str,
    tab: str,
    after: str,
    *,
    error: ConsignError | None = None,
    status: int = 200,
) -> Response:
    with visit.desk.database.read() as connection:
        page = browsing.holds(connection, visit.desk.today(), lender, reason, ended=tab == "ended", after=after)
        lenders = browsing.lenders(connection)
    return visit.page(
        "portfolio/holds.html", status=status, page=page, lenders=lenders, lender=lender, reason=reason, tab=tab,
        after=after, reasons=_reasons(), error=error,
    )  # fmt: skip


def _reasons() -> dict[str, str]:
    return {reason: standings.HOLDS.get(reason, reason) for reason in HOLD_REASONS}


@router.post("/holds", dependencies=[needs("holds.change")])
def hold(
    visit: Visiting,
    lender: Annotated[str, Form()] = "",
    account: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    account_only: Annotated[str, Form()] = "",
) -> Response:
    """The debtor behind an account number is on hold; the number is kept nowhere."""
    try:
        with seated_here(visit.desk):
            made = place_hold(lender, account.strip(), reason, asked.day(until), account_only=bool(account_only))
    except UsageError as error:
        return _holds(visit, "", "", "in_force", "", error=error, status=422)
    return visit.go("/holds", visit.say("Hold %(number)s is in force.", number=made.hold_id))


@router.post("/holds/{hold_id}/lift", dependencies=[needs("holds.change")])
def lift(visit: Visiting, hold_id: int) -> Response:
    """The hold has ended."""
    with seated_here(visit.desk):
        lift_hold(hold_id)
    return visit.go("/holds", visit.say("Hold %(number)s has ended.", number=hold_id))


# -- placements --------------------------------------------------------------------------------------------------------


@router.get("/placements", dependencies=[needs("portfolios.see")])
def placements(
    visit: Visiting, tab: str = "out", lender: str = "", agency: str = "", back_by: str = "", account: str = "",
    after: str = "",
) -> Response:  # fmt: skip
    """Every placement, the soonest due back first."""
    wanted = browsing.PlacementFilter(
        asked.one_of(tab, PLACEMENT_TABS), lender, agency, asked.day(back_by), asked.number(account)
    )

    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return browsing.placements_counted(connection, wanted)

    with visit.desk.database.read() as connection:
        page = browsing.placements(connection, wanted, after)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    key = ("placements", lender, agency, back_by, account)
    return visit.page(
        "portfolio/placements.html", page=page, wanted=wanted, tab=tab, lender=lender, agency=agency, back_by=back_by,
        account=account, after=after, lenders=lenders, agencies=agencies, tabs=PLACEMENT_TABS,
        counts=FIGURES.count(visit.desk, key, count, dict[str, int]).value, states=standings.PLACEMENT,
        today=visit.desk.today(), error=None,
    )  # fmt: skip


@router.post("/placements/find", dependencies=[needs("portfolios.see")])
def find(visit: Visiting, lender: Annotated[str, Form()] = "", number: Annotated[str, Form()] = "") -> Response:
    """The placements of one account, by the lender's own number: it is looked up, and kept nowhere."""
    index = str(ref_index(visit.desk.keyring, pd.Series([number], dtype="str")).iloc[0])
    with visit.desk.database.read() as connection:
        account_id = plans.account_with_index(connection, lender, index)
    if account_id is None:
        raise UsageError(
            visit.say("This lender has no account with that number."), fix=visit.say("Check the lender and the number.")
        )
    return visit.go("/placements" + query(account=account_id))

"""Instalment plans: which limits they are judged by, and which are agreed, kept, broken or fulfilled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra import audit, roles
from infra.ownfiles import Shelf
from infra.rulebooks import Book
from infra.store import exchange, plans, portfolios, trail
from infra.store import instalments as store
from infra.store.placing import BY_PLAN, OUT
from models.errors import ConfigurationError, RefusedByPolicy
from models.instalments import judging, keeping, limits
from models.instalments.limits import Limits
from models.planning.exclusions import HOLD, held_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk

SHELF: Final = Shelf("instalments", "instalment limits", limits.shipped, limits.load, Limits.parse)


class TwoLimits(ConfigurationError):
    """Two files of limits in force name one lender."""


class BeyondLimits(RefusedByPolicy):
    """The plan cannot be approved: it is beyond what even two people may allow, or something stands in its way."""


def _fits(connection: Connection, found: Limits) -> None:
    """Nothing. Raises TwoLimits where other limits in force name one of the same lenders."""
    if (shared := BOOK.naming_a_lender_of(connection, found)) is not None:
        other, lender = shared
        raise TwoLimits(
            f"limits {other.name} are in force for {lender} already", fix=f"take {lender} out of one of them"
        )


BOOK: Final[Book[Limits]] = Book(
    "instalments", "consign instalments limits", "portfolio_manager", SHELF, _fits, limits.text_of
)  # fmt: skip


@dataclass(frozen=True)
class Followed:
    """What became of the instalment plans of one lender today."""

    judged: int = 0
    refused: int = 0
    fulfilled: int = 0
    broken: int = 0
    ended: int = 0

    def __add__(self, other: Followed) -> Followed:
        """Both together."""
        return Followed(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def of(connection: Connection, desk: Desk, lender: str) -> Limits:
    """The lender's own limits in force, or the setting's. Raises what Book.find raises."""
    own = next((one for one in BOOK.all_in_force(connection) if lender in one.lenders), None)
    return own or BOOK.find(connection, desk.settings.instalment_limits)


# --- judging ----------------------------------------------------------------------------------------------------------


def judge(connection: Connection, desk: Desk, lender: str, today: date, plan_id: int | None = None) -> pd.DataFrame:
    """The lender's open proposals (or the one), judged by the limits in force: what `note_verdicts` keeps, and more."""
    found = store.plans(connection, lender, store.OPEN, plan_id)
    if found.empty:
        return found.assign(verdict=pd.Series(dtype="str"), codes=pd.Series(dtype="str"))
    rule = of(connection, desk, lender)
    found = _graded(connection, _facts(connection, found, lender, today), lender, today, rule)
    said = judging.judged(found, rule)
    return found.assign(limits=f"{rule.name}@{rule.version}", verdict=said["verdict"], codes=said["codes"])


def weighed(connection: Connection, desk: Desk, plan_id: int, today: date) -> tuple[Limits, pd.DataFrame]:
    """The limits that count for the plan, and the plan against each of them (models.instalments.judging.weighed).

    An open plan is graded as of today, by the limits in force; a decided one as it was when it was judged last.
    """
    row = store.one(connection, plan_id)
    found = store.plans(connection, row.lender, (row.state,), plan_id)
    if row.state in store.OPEN or row.limits is None:
        rule = of(connection, desk, row.lender)
        if found.empty:
            return rule, pd.DataFrame()
        found = _graded(connection, _facts(connection, found, row.lender, today), row.lender, today, rule)
    else:
        name, _, version = row.limits.partition("@")
        rule = BOOK.version(connection, name, version)
        if found.empty:
            return rule, pd.DataFrame()
        found = _facts(connection, found, row.lender, today).assign(
            balance_minor=row.balance_minor, ability=row.ability, willingness=row.willingness
        )
    return rule, judging.weighed(found, rule)


def _graded(connection: Connection, found: pd.DataFrame, lender: str, today: date, rule: Limits) -> pd.DataFrame:
    """The plans with `ability` and `willingness`."""
    signs = _signs(connection, found["debtor_id"], lender, today, rule)
    return found.assign(
        ability=judging.ability(found, rule.ability), willingness=judging.willingness(signs, rule.willingness)
    )


def _facts(connection: Connection, found: pd.DataFrame, lender: str, today: date) -> pd.DataFrame:
    """The plans with what judging looks at: their schedule in figures, holds, and where the account is."""
    rows = store.instalments(connection, found["instalment_plan_id"])
    by = rows["instalment_plan_id"]
    last = rows["number"] == rows["number"].groupby(by).transform("max")
    many = rows["number"].groupby(by).transform("size") > 1
    smallest = rows["amount_minor"].where(~(last & many)).groupby(by).min()
    gaps = rows["due_on"].groupby(by).diff().dt.days.fillna(0).groupby(by).max()
    holds = plans.holds(connection, lender, today)
    held = held_for(found, holds[holds["reason"] != BY_PLAN])
    ids = found["instalment_plan_id"]
    zone = exchange.lender_timezone(connection, lender)
    return found.assign(
        balance_minor=found["owed_minor"],
        smallest_minor=ids.map(smallest).astype("int64"),
        longest_gap_days=ids.map(gaps).astype("int64"),
        proposed_on=_day(found["proposed_at"], zone),
        placed=found["placement_state"].isin(OUT),
        held=held.str.startswith(HOLD).fillna(value=False).astype("bool"),
    )


def _day(at: pd.Series, zone: str) -> pd.Series:
    """The calendar day of instants where the lender is."""
    days: pd.Series = at.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
    return days


def _signs(connection: Connection, debtors: pd.Series, lender: str, today: date, rule: Limits) -> pd.DataFrame:
    since = today - timedelta(days=rule.willingness.window_days)
    paid = store.payments(connection, lender, debtors, since)
    return judging.signs_of(
        debtors,
        paid[paid["gross_minor"] > 0],
        store.contacts(connection, debtors, since),
        store.earlier(connection, debtors),
        rule.willingness.promise_days,
        today,
    )


# --- deciding ---------------------------------------------------------------------------------------------------------


def approve(connection: Connection, desk: Desk, plan_id: int, today: date) -> str:
    """The plan is approved, or waits for a second person where it is beyond the limits. Returns its state.

    An approved plan's account is on hold (`payment_plan`) until the last instalment and its grace. Raises RoleMissing,
    BeyondLimits with the codes, SecondPerson's RefusedByPolicy for whoever was the first, IllegalMove.
    """
    trail.hold(connection)
    roles.require(connection, desk, "portfolio_manager")
    row = store.one(connection, plan_id)
    if row.state not in store.OPEN:
        store.move(connection, plan_id, row.state, "approved")  # raises: it names both ends
    found = judge(connection, desk, row.lender, today, plan_id)
    store.note_verdicts(connection, found)
    said = found.iloc[0]
    if said["verdict"] == judging.REFUSED:
        fixes = " ".join(judging.CODES[code] for code in said["codes"].split(","))
        raise BeyondLimits(f"instalment plan {plan_id} cannot be approved: {said['codes']}", fix=fixes)
    if said["verdict"] == judging.BEYOND and row.state == "proposed":
        store.move(connection, plan_id, row.state, "awaiting_second", first_by=desk.actor)
        _record(connection, desk, "first_approval", plan_id, row.lender, row.agency, codes=said["codes"])
        return "awaiting_second"
    if said["verdict"] == judging.BEYOND and row.first_by == desk.actor:
        raise RefusedByPolicy(
            f"{desk.actor} approved instalment plan {plan_id} first, and cannot be the second", fix="ask another person"
        )
    rule = of(connection, desk, row.lender)
    until = row.last_due_on + timedelta(days=rule.grace_days)
    hold_id, _ = portfolios.add_hold(connection, row.debtor_id, row.account_id, BY_PLAN, today, until, desk.actor)
    store.move(
        connection, plan_id, row.state, "approved", decided_by=desk.actor, decided_at=desk.now(), agreed_on=today,
        hold_id=hold_id,
    )  # fmt: skip
    _record(
        connection, desk, "approved", plan_id, row.lender, row.agency, codes=said["codes"], hold_id=hold_id,
        policy=said["limits"],
    )  # fmt: skip
    return "approved"


def refuse(connection: Connection, desk: Desk, plan_id: int, today: date, because: str) -> None:
    """The plan is refused by a person; the agency is told `declined`. Raises RoleMissing, IllegalMove."""
    trail.hold(connection)
    roles.require(connection, desk, "portfolio_manager")
    row = store.one(connection, plan_id)
    store.move(
        connection, plan_id, row.state, "refused", decided_by=desk.actor, decided_at=desk.now(), codes="declined",
        ended_on=today,
    )  # fmt: skip
    _record(connection, desk, "refused", plan_id, row.lender, row.agency, codes="declined", because=because)


# --- following --------------------------------------------------------------------------------------------------------


def follow(
    connection: Connection, desk: Desk, lender: str, today: date, recall: Callable[[pd.DataFrame], int]
) -> Followed:
    """The lender's proposals are judged, those beyond all limits refused, and agreed plans kept, broken or fulfilled.

    recall: takes back placements (`placement_id`, `lender`, `agency`, `reason`): those whose plan was fulfilled.
    """
    trail.hold(connection)
    found = judge(connection, desk, lender, today)
    if len(found):
        store.note_verdicts(connection, found)
    refused = found[found["verdict"] == judging.REFUSED]
    for row in _each(refused):
        store.move(
            connection, int(row.instalment_plan_id), str(row.state), "refused", decided_by="limits",
            decided_at=desk.now(), ended_on=today,
        )  # fmt: skip
        _record(
            connection, desk, "refused", int(row.instalment_plan_id), lender, str(row.agency), codes=str(row.codes),
            policy=str(row.limits),
        )  # fmt: skip
    done = _followed(connection, desk, lender, today, recall)
    return done + Followed(judged=len(found), refused=len(refused))


def _followed(
    connection: Connection, desk: Desk, lender: str, today: date, recall: Callable[[pd.DataFrame], int]
) -> Followed:
    running = standing(connection, lender, today)
    if running.empty:
        return Followed()
    store.note_paid(connection, running)
    gone = ~running["placement_state"].isin(OUT).to_numpy()
    outcome = np.where(gone & (running["standing"] != keeping.FULFILLED), "ended", running["standing"])
    for row, became in zip(_each(running), outcome, strict=True):
        if became == keeping.KEPT:
            continue
        plan_id, hold_id = int(row.instalment_plan_id), int(row.hold_id)
        store.move(connection, plan_id, store.RUNNING, str(became), ended_on=today)
        if became == keeping.FULFILLED:
            # whoever has paid as agreed is left alone until the lender's own books say so
            portfolios.add_hold(connection, int(row.debtor_id), int(row.account_id), BY_PLAN, today, None, desk.actor)
        else:
            portfolios.lift_hold(connection, hold_id, desk.now())
        _record(connection, desk, str(became), plan_id, lender, str(row.agency), hold_id=hold_id)
    paid = running[(outcome == keeping.FULFILLED) & ~gone]
    if len(paid):
        settled = (paid["total_minor"] < paid["balance_minor"]).to_numpy()
        recall(paid[["placement_id", "lender", "agency"]].assign(reason=np.where(settled, "settled", "paid")))
    counts = pd.Series(outcome).value_counts()
    return Followed(**{name: int(counts.get(name, 0)) for name in ("fulfilled", "broken", "ended")})


def standing(connection: Connection, lender: str, today: date, plan_id: int | None = None) -> pd.DataFrame:
    """The lender's running plans (or the one), with `paid_minor`, `standing`, `due_minor`, `missed`, `next_due_on`."""
    found = store.plans(connection, lender, (store.RUNNING,), plan_id)
    if found.empty:
        return found
    found["proposed_on"] = _day(found["proposed_at"], exchange.lender_timezone(connection, lender))
    paid = store.payments(connection, lender, found["debtor_id"], found["proposed_on"].min().date())
    found["paid_minor"] = keeping.paid_under(found, paid)
    grace = {name: BOOK.named(connection, name).grace_days for name in found["limits"].unique()}
    found["grace_days"] = found["limits"].map(grace).astype("int64")
    rows = store.instalments(connection, found["instalment_plan_id"])
    return found.join(keeping.standing(found, rows, today).rename(columns={"state": "standing"}))


def _each(found: pd.DataFrame) -> Iterator[Any]:
    """The plans one by one: few at a time change their state, each with an event of its own."""
    return iter(found.itertuples())


def _record(
    connection: Connection, desk: Desk, what: str, plan_id: int, lender: str, agency: str, **more: audit.Value
) -> None:
    details = {"lender": lender, "agency": agency, **more}
    audit.record(connection, desk.actor, f"instalments.plan_{what}", f"instalment_plan:{plan_id}", details, desk.now())

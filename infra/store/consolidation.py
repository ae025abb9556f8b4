"""Consolidated collection in the store: bases, linked debtors, who has the same person, joint payments, shares.

Every question about a person's other accounts asks for a basis in force at both lenders, in the very query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from infra.store import bulk, trail
from infra.store.whereabouts import LINES, PLACEMENTS, failed, out
from models.consolidation import bars, shared
from models.errors import UsageError
from models.tables import (
    Account,
    ConsolidationBasis,
    Debtor,
    InboundFile,
    JointPayment,
    JointShare,
    LinkedDebtor,
    RemittanceLine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import date, datetime

ACCOUNTS: Final = bulk.table_of(Account)
BASES: Final = bulk.table_of(ConsolidationBasis)
DEBTORS: Final = bulk.table_of(Debtor)
FILES: Final = bulk.table_of(InboundFile)
LINKED: Final = bulk.table_of(LinkedDebtor)
PAYMENTS: Final = bulk.table_of(JointPayment)
REMITTED: Final = bulk.table_of(RemittanceLine)
SHARES: Final = bulk.table_of(JointShare)

WORKED: Final = ("placed", "acknowledged", "recalled")


# -- bases -------------------------------------------------------------------------------------------------------------


def _in_force(today: date, bases: Any = BASES) -> ColumnElement[bool]:
    return and_(
        bases.c.state == "in_force", bases.c.valid_from <= today,
        or_(bases.c.valid_until.is_(None), bases.c.valid_until >= today),
    )  # fmt: skip


def add(connection: Connection, **columns: Any) -> int:
    """The basis is on record. Returns its number."""
    return int(connection.execute(insert(BASES).values(**columns).returning(BASES.c.basis_id)).scalar_one())


def basis(connection: Connection, basis_id: int) -> Row[Any]:
    """The basis. Raises UsageError."""
    row = connection.execute(select(BASES).where(BASES.c.basis_id == basis_id)).first()
    if row is None:
        raise UsageError(f"there is no basis {basis_id}", fix="`consign consolidate list` shows them")
    return row


def standing(connection: Connection, circle: str) -> Sequence[Row[Any]]:
    """The circle's bases that are proposed or in force."""
    wanted = select(BASES).where(BASES.c.circle == circle, BASES.c.state != "withdrawn").order_by(BASES.c.basis_id)
    return connection.execute(wanted).all()


def change(connection: Connection, basis_id: int, here: str, **columns: Any) -> bool:
    """The basis has these columns, where it is still in the state that somebody saw."""
    done = update(BASES).where(BASES.c.basis_id == basis_id, BASES.c.state == here).values(**columns)
    return bool(connection.execute(done).rowcount)


def listed(connection: Connection, today: date, circle: str | None = None) -> pd.DataFrame:
    """Every basis, the newest first, `counts` where it counts today, and how many debtors of the lender it links."""
    linked = (
        select(LINKED.c.circle, LINKED.c.lender, func.count().label("linked"))
        .group_by(LINKED.c.circle, LINKED.c.lender)
        .subquery()
    )
    statement = (
        select(BASES, func.coalesce(linked.c.linked, 0).label("linked_debtors"))
        .outerjoin(linked, and_(linked.c.circle == BASES.c.circle, linked.c.lender == BASES.c.lender))
        .order_by(BASES.c.basis_id.desc())
    )
    found = bulk.read(connection, statement if circle is None else statement.where(BASES.c.circle == circle))
    counting = set(connection.execute(select(BASES.c.basis_id).where(_in_force(today))).scalars())
    counts = found["basis_id"].isin(counting)
    return found.assign(counts=counts, linked_debtors=found["linked_debtors"].where(counts, 0))


def states(connection: Connection) -> Sequence[Row[Any]]:
    """`basis_id`, `state` of every basis."""
    return connection.execute(select(BASES.c.basis_id, BASES.c.state)).all()


def circles(connection: Connection, today: date) -> pd.DataFrame:
    """`circle`, `scope`, `lender` of every basis that counts today."""
    columns = (BASES.c.circle, BASES.c.scope, BASES.c.lender)
    return bulk.read(connection, select(*columns).where(_in_force(today)).order_by(BASES.c.circle, BASES.c.lender))


def ended_since(connection: Connection, lender: str, since: datetime, today: date) -> bool:
    """Whether a basis of a circle of the lender's counted then and counts no more."""
    mine = select(BASES.c.circle).where(BASES.c.lender == lender)
    withdrawn = and_(BASES.c.withdrawn_at > since, BASES.c.approved_at.is_not(None))
    over = and_(
        BASES.c.state == "in_force", BASES.c.valid_until < today, BASES.c.valid_until >= since.date(),
        BASES.c.approved_at <= since,
    )  # fmt: skip
    gone = select(BASES.c.basis_id).where(BASES.c.circle.in_(mine), or_(withdrawn, over)).limit(1)
    return connection.execute(gone).first() is not None


def held(connection: Connection, lender: str, today: date) -> bool:
    """Whether the lender's debtors may be linked today; then nobody else changes what hangs on it until we are done."""
    mine = select(BASES.c.basis_id).where(BASES.c.lender == lender, _in_force(today)).limit(1)
    if connection.execute(mine).first() is None:
        return False
    if connection.get_execution_options().get("consign_write"):
        trail.hold(connection)
    return True


# -- who is one person -------------------------------------------------------------------------------------------------


def known(connection: Connection, lender: str, rows: int) -> Iterator[pd.DataFrame]:
    """`debtor_id`, `linkage` of the lender's debtors who have one, so many at a time."""
    return bulk.read_chunks(
        connection,
        select(DEBTORS.c.debtor_id, DEBTORS.c.linkage).where(
            DEBTORS.c.lender == lender, DEBTORS.c.linkage.is_not(None), DEBTORS.c.erased_at.is_(None)
        ),
        rows,
    )


def renew(connection: Connection, circle: str, everybody: pd.DataFrame, at: datetime) -> tuple[int, int]:
    """The circle's linked debtors are those of `everybody` (debtor_id, lender, link) who share a link with another.

    Returns how many are new, and how many are no longer linked. Who stays linked keeps the day.
    """
    told = shared(everybody)
    there = bulk.read(connection, select(LINKED.c.debtor_id, LINKED.c.link).where(LINKED.c.circle == circle))
    keys = ["debtor_id", "link"]
    stays = pd.MultiIndex.from_frame(there[keys]).isin(pd.MultiIndex.from_frame(told[keys]))
    gone = there.loc[~stays, ["debtor_id"]]
    _unlink(connection, gone, LINKED.c.circle == circle)
    fresh = told[~pd.MultiIndex.from_frame(told[keys]).isin(pd.MultiIndex.from_frame(there[keys]))]
    bulk.append(connection, LINKED, fresh.assign(circle=circle, linked_at=pd.Timestamp(at)))
    return len(fresh), len(gone)


def drop_circles(connection: Connection, but: Collection[str]) -> int:
    """Nobody is linked in any other circle. Returns how many were."""
    return int(connection.execute(delete(LINKED).where(LINKED.c.circle.not_in(list(but)))).rowcount)


def forget(connection: Connection, debtors: pd.DataFrame) -> None:
    """These debtors (debtor_id) have no linkage pseudonym, and are linked with nobody."""
    if debtors.empty:
        return
    with bulk.staged(connection, DEBTORS, debtors[["debtor_id"]]) as stage:
        mine = DEBTORS.c.debtor_id.in_(select(stage.c.debtor_id))
        connection.execute(update(DEBTORS).where(mine).values(linkage=None))
    _unlink(connection, debtors[["debtor_id"]])


def relink(connection: Connection, debtor_id: int, linkage: str | None) -> None:
    """The debtor has another linkage pseudonym; who it links with is looked up anew."""
    connection.execute(update(DEBTORS).where(DEBTORS.c.debtor_id == debtor_id).values(linkage=linkage))
    connection.execute(delete(LINKED).where(LINKED.c.debtor_id == debtor_id))


def _unlink(connection: Connection, debtors: pd.DataFrame, *where: ColumnElement[bool]) -> None:
    if debtors.empty:
        return
    with bulk.staged(connection, LINKED, debtors) as stage:
        connection.execute(delete(LINKED).where(LINKED.c.debtor_id.in_(select(stage.c.debtor_id)), *where))


def partners(connection: Connection, lender: str, today: date) -> pd.DataFrame:
    """Of each linked debtor of the lender's the same person at other lenders: models.consolidation.PARTNERS."""
    own, other = LINKED.alias("own"), LINKED.alias("other")
    mine, theirs = BASES.alias("mine"), BASES.alias("theirs")
    found = bulk.read(
        connection,
        select(
            own.c.debtor_id, other.c.debtor_id.label("other_id"), other.c.lender.label("other_lender"),
            mine.c.valid_from.label("since"), theirs.c.valid_from.label("since_theirs"),
        )
        .join(other, and_(other.c.circle == own.c.circle, other.c.link == own.c.link, other.c.lender != own.c.lender))
        .join(mine, and_(mine.c.circle == own.c.circle, mine.c.lender == own.c.lender, _in_force(today, mine)))
        .join(
            theirs,
            and_(theirs.c.circle == own.c.circle, theirs.c.lender == other.c.lender, _in_force(today, theirs)),
        )
        .where(own.c.lender == lender),
    )  # fmt: skip
    since = found["since"].where(found["since"] >= found["since_theirs"], found["since_theirs"])
    found = found.assign(since=since).drop(columns="since_theirs")
    # one person in two circles: from the first day on which either links them
    first = found.sort_values("since").drop_duplicates(["debtor_id", "other_id"])
    return first.sort_values(["debtor_id", "other_id"], ignore_index=True)


def counting(today: date) -> Any:
    """`circle`, `link`, `debtor_id`, `lender`, `scope` of everybody who is linked with another lender's debtor."""
    mine, theirs, other = BASES.alias("mine"), BASES.alias("theirs"), LINKED.alias("other")
    partner = (
        select(other.c.debtor_id)
        .join(theirs, and_(theirs.c.circle == other.c.circle, theirs.c.lender == other.c.lender))
        .where(
            other.c.circle == LINKED.c.circle, other.c.link == LINKED.c.link, other.c.lender != LINKED.c.lender,
            _in_force(today, theirs),
        )
    )  # fmt: skip
    return (
        select(LINKED.c.circle, LINKED.c.link, LINKED.c.debtor_id, LINKED.c.lender, mine.c.scope)
        .join(mine, and_(mine.c.circle == LINKED.c.circle, mine.c.lender == LINKED.c.lender, _in_force(today, mine)))
        .where(partner.correlate(LINKED).exists())
    )


def links(connection: Connection, debtor_ids: pd.Series, today: date) -> pd.DataFrame:
    """`debtor_id`, `link` of those of the debtors who are linked today; in two circles: the external one's."""
    with bulk.staged(connection, LINKED, debtor_ids.drop_duplicates().to_frame("debtor_id")) as stage:
        found = bulk.read(connection, counting(today).where(LINKED.c.debtor_id.in_(select(stage.c.debtor_id))))
    first = found.sort_values(["scope", "circle"]).drop_duplicates("debtor_id")
    return first[["debtor_id", "link"]].reset_index(drop=True)


def linked(connection: Connection, today: date) -> pd.DataFrame:
    """`circle`, `link`, `debtor_id`, `lender` of everybody who is linked today."""
    return bulk.read(connection, counting(today)).drop(columns="scope")


# -- one agency per person ---------------------------------------------------------------------------------------------


def barred(
    connection: Connection,
    lender: str,
    today: date,
    agencies: Collection[str],
    usable: Callable[[str], Collection[str]],
) -> pd.DataFrame:
    """`debtor_id`, `agency`: where the lender's linked debtors may not go (models.consolidation.bars).

    usable: the agencies that another lender can place with.
    """
    nobody = pd.DataFrame({"debtor_id": pd.Series(dtype="int64"), "agency": pd.Series(dtype="str")})
    if not held(connection, lender, today) or (people := partners(connection, lender, today)).empty:
        return nobody
    everybody = pd.concat([people["debtor_id"], people["other_id"]]).drop_duplicates().to_frame("debtor_id")
    with bulk.staged(connection, LINKED, everybody) as stage:
        placed = bulk.read(connection, out(debtors=lambda column: column.in_(select(stage.c.debtor_id))))
        returned = bulk.read(
            connection,
            select(PLACEMENTS.c.debtor_id, PLACEMENTS.c.agency)
            .where(PLACEMENTS.c.debtor_id.in_(select(stage.c.debtor_id)), failed())
            .distinct(),
        )
        owing = set(
            connection.execute(
                select(ACCOUNTS.c.debtor_id)
                .where(ACCOUNTS.c.debtor_id.in_(select(stage.c.debtor_id)), ACCOUNTS.c.status == "open")
                .distinct()
            ).scalars()
        )
    # who owes nothing any more settles nothing: their lender will place nothing
    live = people[people["other_id"].isin(owing | set(placed["debtor_id"]) | set(returned["debtor_id"]))]
    can = {other: usable(other) for other in sorted(set(live["other_lender"]))}
    return bars(live, placed[["debtor_id", "agency", "since"]], returned, agencies, can)


def apart(connection: Connection, plan_id: int, lender: str, today: date) -> int:
    """Debtors of the plan whose other accounts are, by now, all with other agencies than the plan gives them."""
    if not held(connection, lender, today) or (people := partners(connection, lender, today)).empty:
        return 0
    with bulk.staged(connection, LINKED, people[["debtor_id"]].drop_duplicates()) as stage:
        planned = bulk.read(
            connection,
            select(LINES.c.debtor_id, LINES.c.agency)
            .where(LINES.c.plan_id == plan_id, LINES.c.debtor_id.in_(select(stage.c.debtor_id)))
            .distinct(),
        )
        settled = set(
            bulk.read(
                connection,
                select(PLACEMENTS.c.debtor_id).where(
                    PLACEMENTS.c.debtor_id.in_(select(stage.c.debtor_id)), PLACEMENTS.c.state.in_(WORKED),
                    PLACEMENTS.c.plan_id != plan_id,
                ),
            )["debtor_id"]
        )  # fmt: skip
    there = whereabouts(connection, people["other_id"])
    both = planned[~planned["debtor_id"].isin(settled)].merge(people, on="debtor_id")
    both = both.merge(there.rename(columns={"agency": "their_agency", "debtor_id": "other_id"}), on="other_id")
    same = (both["agency"] == both["their_agency"]).groupby(both["debtor_id"]).any()
    return int((~same).sum())


def whereabouts(connection: Connection, debtor_ids: pd.Series) -> pd.DataFrame:
    """`debtor_id`, `agency`: where these debtors' accounts are, or are promised to."""
    wanted = debtor_ids.drop_duplicates().to_frame("debtor_id")
    with bulk.staged(connection, LINKED, wanted) as stage:
        found = bulk.read(connection, out(debtors=lambda column: column.in_(select(stage.c.debtor_id))))
    return found[["debtor_id", "agency"]].drop_duplicates(ignore_index=True)


def divided(connection: Connection, today: date) -> pd.DataFrame:
    """Persons whose accounts are with several agencies: `circle`, `link`, `debtor_id`, `lender`, `agency`."""
    people = linked(connection, today)
    if people.empty:
        return people.assign(agency=pd.Series(dtype="str"))
    found = people.merge(whereabouts(connection, people["debtor_id"]), on="debtor_id")
    persons = found.groupby(["circle", "link"])
    several = (persons["agency"].transform("nunique") > 1) & (persons["lender"].transform("nunique") > 1)
    return found[several].sort_values(["circle", "link", "lender", "agency"], ignore_index=True)


# -- joint payments ----------------------------------------------------------------------------------------------------


def circle_of(connection: Connection, debtor_ids: pd.Series, today: date) -> pd.DataFrame:
    """`debtor_id`, `circle`, `scope`, `link`, `split_order` of each circle that links them and counts today."""
    with bulk.staged(connection, LINKED, debtor_ids.drop_duplicates().to_frame("debtor_id")) as stage:
        return bulk.read(
            connection,
            select(LINKED.c.debtor_id, LINKED.c.circle, BASES.c.scope, LINKED.c.link, BASES.c.split_order)
            .join(BASES, and_(BASES.c.circle == LINKED.c.circle, BASES.c.lender == LINKED.c.lender, _in_force(today)))
            .where(LINKED.c.debtor_id.in_(select(stage.c.debtor_id)))
            .order_by(LINKED.c.debtor_id, BASES.c.scope, LINKED.c.circle),
        )


def alone(connection: Connection, lenders: Collection[str], today: date) -> pd.DataFrame:
    """`lender`, `circle`, `split_order`: what counts for debtors of the lender who are linked with nobody."""
    return bulk.read(
        connection,
        select(BASES.c.lender, BASES.c.circle, BASES.c.split_order)
        .where(BASES.c.lender.in_(sorted(lenders)), _in_force(today))
        .order_by(BASES.c.lender, BASES.c.scope.desc(), BASES.c.circle),
    ).drop_duplicates("lender")


def members(connection: Connection, links: pd.DataFrame, today: date) -> pd.DataFrame:
    """Every debtor behind these links (circle, link): `circle`, `link`, `debtor_id`, `lender`, `rank`."""
    with bulk.staged(connection, LINKED, links[["circle", "link"]].drop_duplicates()) as stage:
        return bulk.read(
            connection,
            select(
                LINKED.c.circle, LINKED.c.link, LINKED.c.debtor_id, LINKED.c.lender, BASES.c.split_rank.label("rank")
            )
            .join(stage, and_(stage.c.circle == LINKED.c.circle, stage.c.link == LINKED.c.link))
            .join(BASES, and_(BASES.c.circle == LINKED.c.circle, BASES.c.lender == LINKED.c.lender, _in_force(today))),
        )


def claims(connection: Connection, agency: str, debtor_ids: pd.Series) -> pd.DataFrame:
    """What these debtors owe on each account that the agency has.

    Columns: debtor_id, account_id, placement_id, lender, key_generation, currency, owed_minor, due. What was split
    since the lender last spoke of an account is off it already.
    """
    with bulk.staged(connection, LINKED, debtor_ids.drop_duplicates().to_frame("debtor_id")) as stage:
        found = bulk.read(
            connection,
            select(
                PLACEMENTS.c.debtor_id, PLACEMENTS.c.account_id, PLACEMENTS.c.placement_id, PLACEMENTS.c.lender,
                PLACEMENTS.c.key_generation, ACCOUNTS.c.currency, ACCOUNTS.c.balance_minor.label("owed_minor"),
                ACCOUNTS.c.due_on.label("due"), ACCOUNTS.c.as_of, ACCOUNTS.c.dpd,
            )
            .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
            .where(
                PLACEMENTS.c.debtor_id.in_(select(stage.c.debtor_id)), PLACEMENTS.c.agency == agency,
                PLACEMENTS.c.state.in_(WORKED),
            ),
        )  # fmt: skip
        since = bulk.read(
            connection,
            select(SHARES.c.account_id, func.sum(SHARES.c.amount_minor).label("minor"))
            .join(ACCOUNTS, ACCOUNTS.c.account_id == SHARES.c.account_id)
            .where(ACCOUNTS.c.debtor_id.in_(select(stage.c.debtor_id)), SHARES.c.paid_on > ACCOUNTS.c.as_of)
            .group_by(SHARES.c.account_id),
        ).set_index("account_id")["minor"]
    taken = found["account_id"].map(since).fillna(0).astype("int64")
    fell_due = found["due"].fillna(found["as_of"] - pd.to_timedelta(found["dpd"], unit="D"))
    owed = found.assign(owed_minor=found["owed_minor"] - taken, due=fell_due).drop(columns=["as_of", "dpd"])
    return owed[owed["owed_minor"] > 0].reset_index(drop=True)


def owners(connection: Connection, agency: str, account_ids: pd.Series) -> pd.DataFrame:
    """`account_id`, `debtor_id`, `lender` of those of the accounts that the agency has."""
    with bulk.staged(connection, PLACEMENTS, account_ids.drop_duplicates().to_frame("account_id")) as stage:
        return bulk.read(
            connection,
            select(PLACEMENTS.c.account_id, PLACEMENTS.c.debtor_id, PLACEMENTS.c.lender)
            .where(
                PLACEMENTS.c.account_id.in_(select(stage.c.account_id)), PLACEMENTS.c.agency == agency,
                PLACEMENTS.c.state.in_(WORKED),
            )
            .distinct(),
        )  # fmt: skip


def recorded(connection: Connection, agency: str, refs: pd.Series) -> pd.DataFrame:
    """Joint payments of the agency's that are on record under these references."""
    with bulk.staged(connection, PAYMENTS, refs.drop_duplicates().to_frame("payment_ref")) as stage:
        return bulk.read(
            connection,
            select(PAYMENTS).where(
                PAYMENTS.c.agency == agency, PAYMENTS.c.payment_ref.in_(select(stage.c.payment_ref))
            ),
        )


def keep(connection: Connection, payments: pd.DataFrame, shares: pd.DataFrame) -> None:
    """The joint payments and their shares are rows."""
    bulk.append(connection, PAYMENTS, payments)
    bulk.append(connection, SHARES, shares)


def shares(
    connection: Connection, *, lender: str | None = None, agency: str | None = None, since: date | None = None
) -> pd.DataFrame:
    """Shares of joint payments, the oldest first, with what the agency has remitted under each reference.

    Columns: those of `JointShare` without the payment, `remitted_minor` (of files that count), `state`: waiting |
    remitted | differs. Nothing tells which shares were one payment.
    """
    remitted = (
        select(SHARES.c.share_ref, func.sum(REMITTED.c.gross_minor).label("minor"))
        .join(
            REMITTED,
            and_(
                REMITTED.c.txn_ref == SHARES.c.share_ref, REMITTED.c.lender == SHARES.c.lender,
                REMITTED.c.agency == SHARES.c.agency,
            ),
        )
        .join(FILES, FILES.c.file_id == REMITTED.c.file_id)
        .where(FILES.c.state == "accepted", REMITTED.c.state.not_in(("rejected", "duplicate")))
        .group_by(SHARES.c.share_ref)
        .subquery()
    )  # fmt: skip
    columns = [column for column in SHARES.c if column.name != "payment_id"]
    statement = (
        select(*columns, remitted.c.minor.label("remitted_minor"))
        .outerjoin(remitted, remitted.c.share_ref == SHARES.c.share_ref)
        .order_by(SHARES.c.paid_on, SHARES.c.share_ref)
    )
    for column, wanted in ((SHARES.c.lender, lender), (SHARES.c.agency, agency)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if since is not None:
        statement = statement.where(SHARES.c.paid_on >= since)
    found = bulk.read(connection, statement)
    agreed = (found["remitted_minor"] == found["amount_minor"]).fillna(value=False)
    state = pd.Series("differs", index=found.index, dtype="str").mask(agreed, "remitted")
    return found.assign(state=state.mask(found["remitted_minor"].isna(), "waiting"))

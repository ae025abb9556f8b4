"""Requests of debtors about their data, what agencies still owe for them, and the corrections that they were told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, and_, func, insert, literal, or_, select, union_all, update

from infra.store import bulk
from infra.store.exchange import AT_AGENCY, CORRECTIONS, DISCLOSURES, ERASURES, PLACEMENTS, RECALLS, TRANSMISSIONS
from models.errors import RefusedByPolicy, UsageError
from models.subject import OPEN, RECALLED_FOR, WORKED_ON
from models.tables import Account, Debtor, GateCheck, Identity, SubjectRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from sqlalchemy import Row

REQUESTS: Final = bulk.table_of(SubjectRequest)
ACCOUNTS: Final = bulk.table_of(Account)
DEBTORS: Final = bulk.table_of(Debtor)
IDENTITIES: Final = bulk.table_of(Identity)
CHECKS: Final = bulk.table_of(GateCheck)
GOING_OUT: Final = ("planned", *AT_AGENCY)
"""With the agency, or on the way to it."""
SHOWN: Final = (
    "request_id", "kind", "ground", "fields", "ref", "state", "received_on", "due_on", "within", "clause",
    "verified_at", "outcome", "basis", "ended_at",
)  # fmt: skip


def debtor_of(connection: Connection, account_ids: Sequence[int]) -> int:
    """The one debtor of the accounts. Raises RefusedByPolicy where a number leads to several: a person must choose."""
    found = set(
        connection.execute(
            select(ACCOUNTS.c.debtor_id).where(ACCOUNTS.c.account_id.in_(account_ids)).distinct()
        ).scalars()
    )
    if len(found) != 1:
        message = f"{len(found)} debtors are known by that"
        raise RefusedByPolicy(message, fix="name the debtor by an account number or the ID number")
    return int(found.pop())


def accounts_of_debtor(connection: Connection, debtor_id: int) -> list[int]:
    """The debtor's accounts, in order."""
    return list(
        connection.execute(
            select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.debtor_id == debtor_id).order_by(ACCOUNTS.c.account_id)
        ).scalars()
    )


def reach(connection: Connection, debtor_id: int) -> tuple[int, int]:
    """How many accounts the debtor has, and how many agencies have, or had, one of them."""
    placed = select(PLACEMENTS.c.agency).where(PLACEMENTS.c.debtor_id == debtor_id).distinct()
    return len(accounts_of_debtor(connection, debtor_id)), bulk.count(connection, placed)


def held_by_others(connection: Connection, row: Row[Any]) -> bool:
    """Whether another request of the debtor's, under way or answered, needs that they stay on hold."""
    other = select(REQUESTS.c.request_id).where(
        REQUESTS.c.debtor_id == row.debtor_id,
        REQUESTS.c.request_id != row.request_id,
        or_(
            and_(REQUESTS.c.kind == "restriction", REQUESTS.c.state != "refused"),
            and_(REQUESTS.c.kind == "erasure", REQUESTS.c.state.not_in(("received", "refused"))),
        ),
    )
    return connection.execute(other.limit(1)).first() is not None


def facts(connection: Connection, account_ids: Sequence[int], columns: Sequence[str]) -> pd.DataFrame:
    """Columns of the accounts' rows, in their order."""
    return bulk.read(
        connection,
        select(*(ACCOUNTS.c[name] for name in columns))
        .where(ACCOUNTS.c.account_id.in_(account_ids))
        .order_by(ACCOUNTS.c.account_id),
    )


def request(connection: Connection, request_id: int) -> Row[Any]:
    """The request's row. Raises UsageError where there is none."""
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.request_id == request_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no request {request_id}", fix="`consign subject list` shows them")
    return row


def ongoing(connection: Connection, lender: str, debtor_id: int, kind: str, fields: str) -> Row[Any] | None:
    """The debtor's request of that kind (about these fields) that has not ended; None where there is none."""
    return connection.execute(
        select(REQUESTS)
        .where(
            REQUESTS.c.lender == lender, REQUESTS.c.debtor_id == debtor_id, REQUESTS.c.kind == kind,
            REQUESTS.c.fields == fields, REQUESTS.c.state.in_(OPEN),
        )
        .limit(1)
    ).one_or_none()  # fmt: skip


def add(connection: Connection, **columns: Any) -> int:
    """The request is in the register of requests; its number."""
    return int(connection.execute(insert(REQUESTS).values(**columns).returning(REQUESTS.c.request_id)).scalar_one())


def change(connection: Connection, request_id: int, here: str, **columns: Any) -> None:
    """Columns of the request change. Raises RefusedByPolicy where somebody moved it meanwhile."""
    which = and_(REQUESTS.c.request_id == request_id, REQUESTS.c.state == here)
    if not connection.execute(update(REQUESTS).where(which).values(**columns)).rowcount:
        raise RefusedByPolicy(f"request {request_id} was changed just now", fix="look at it again")


def listed(
    connection: Connection, *, lender: str | None = None, kind: str | None = None, ended: bool = False, limit: int = 500
) -> pd.DataFrame:
    """Requests, those due first in front; the ended ones too where asked for."""
    statement = select(REQUESTS)
    for column, wanted in ((REQUESTS.c.lender, lender), (REQUESTS.c.kind, kind)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if not ended:
        statement = statement.where(REQUESTS.c.state.in_(OPEN))
    return bulk.read(connection, statement.order_by(REQUESTS.c.due_on, REQUESTS.c.request_id).limit(limit))


def worked_on(connection: Connection, lender: str | None = None) -> list[Row[Any]]:
    """The requests that are in progress or wait for agencies, oldest first."""
    statement = select(REQUESTS).where(REQUESTS.c.state.in_(WORKED_ON)).order_by(REQUESTS.c.request_id)
    return list(connection.execute(statement if lender is None else statement.where(REQUESTS.c.lender == lender)))


def overdue(connection: Connection, lender: str, today: date) -> list[Row[Any]]:
    """The lender's requests that should have been answered by now, the oldest first."""
    late = and_(REQUESTS.c.lender == lender, REQUESTS.c.state.in_(OPEN), REQUESTS.c.due_on < today)
    return list(connection.execute(select(REQUESTS).where(late).order_by(REQUESTS.c.due_on)))


def of_accounts(connection: Connection, account_ids: Sequence[int]) -> pd.DataFrame:
    """The requests of the accounts' debtors, oldest first: SHOWN."""
    mine = select(ACCOUNTS.c.debtor_id).where(ACCOUNTS.c.account_id.in_(account_ids))
    return bulk.read(
        connection,
        select(*(REQUESTS.c[name] for name in SHOWN))
        .where(REQUESTS.c.debtor_id.in_(mine))
        .order_by(REQUESTS.c.request_id),
    )


def outstanding(connection: Connection, request_ids: Collection[int]) -> pd.DataFrame:
    """What agencies owe for these requests, a row per request, agency and sort of answer.

    Columns: request_id, agency, owes (recall: the account is still there; erasure: no certificate that satisfies;
    correction: not confirmed), placements, asked (for how many of them it was asked), due_on (the first).
    """
    mine = REQUESTS.c.request_id.in_(list(request_ids))
    of_debtor = and_(PLACEMENTS.c.debtor_id == REQUESTS.c.debtor_id, PLACEMENTS.c.lender == REQUESTS.c.lender)
    there = (
        select(
            REQUESTS.c.request_id, PLACEMENTS.c.agency, literal("recall").label("owes"),
            func.count().label("placements"), func.count(RECALLS.c.recall_id).label("asked"),
            func.min(RECALLS.c.due_on).label("due_on"),
        )
        .join(PLACEMENTS, of_debtor)
        .outerjoin(RECALLS, RECALLS.c.placement_id == PLACEMENTS.c.placement_id)
        .where(mine, REQUESTS.c.kind.in_(RECALLED_FOR), PLACEMENTS.c.state.in_(GOING_OUT))
        .group_by(REQUESTS.c.request_id, PLACEMENTS.c.agency)
    )  # fmt: skip
    uncertified = (
        select(
            REQUESTS.c.request_id, PLACEMENTS.c.agency, literal("erasure").label("owes"),
            func.count().label("placements"), func.count(ERASURES.c.erasure_id).label("asked"),
            func.min(ERASURES.c.due_on).label("due_on"),
        )
        .join(PLACEMENTS, of_debtor)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .where(
            mine, REQUESTS.c.kind == "erasure", PLACEMENTS.c.state == "closed", PLACEMENTS.c.told_minor.is_not(None),
            ERASURES.c.verified_at.is_(None),
        )
        .group_by(REQUESTS.c.request_id, PLACEMENTS.c.agency)
    )  # fmt: skip
    unconfirmed = (
        select(
            CORRECTIONS.c.request_id, CORRECTIONS.c.agency, literal("correction").label("owes"),
            func.count().label("placements"), func.count().label("asked"), func.min(ERASURES.c.due_on).label("due_on"),
        )
        .outerjoin(ERASURES, ERASURES.c.placement_id == CORRECTIONS.c.placement_id)
        .where(CORRECTIONS.c.request_id.in_(list(request_ids)), CORRECTIONS.c.state == "told", _still_held())
        .group_by(CORRECTIONS.c.request_id, CORRECTIONS.c.agency)
    )  # fmt: skip
    found = union_all(there, uncertified, unconfirmed).subquery()
    return bulk.read(connection, select(found).order_by(found.c.request_id, found.c.agency, found.c.owes))


# -- corrections -------------------------------------------------------------------------------------------------------


def holders(connection: Connection, account_ids: Sequence[int], field: str) -> pd.DataFrame:
    """The placements whose agency was told the field of one of the accounts, and has not certified its erasure.

    Columns: placement_id, account_id, agency, plan_id, coarser (the gate let the agency have less of it than the policy
    says).  Told: by the placement's own file, once it was sealed.
    """
    rows = bulk.read(
        connection,
        select(
            PLACEMENTS.c.placement_id, PLACEMENTS.c.account_id, PLACEMENTS.c.agency, PLACEMENTS.c.plan_id,
            CHECKS.c.coarser, CHECKS.c.quasi, CHECKS.c.suppressed,
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == PLACEMENTS.c.transmission_id)
        .join(DISCLOSURES, DISCLOSURES.c.transmission_id == PLACEMENTS.c.transmission_id)
        .outerjoin(CHECKS, CHECKS.c.transmission_id == PLACEMENTS.c.transmission_id)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .where(
            PLACEMENTS.c.account_id.in_(account_ids), DISCLOSURES.c.field == field,
            TRANSMISSIONS.c.state != "cancelled", _still_held(),
        )
        .order_by(PLACEMENTS.c.placement_id),
    )  # fmt: skip
    coarser = [
        field in json.loads(raised or "{}") or (bool(lines) and field in json.loads(quasi or "[]"))
        for raised, quasi, lines in zip(
            rows["coarser"].astype("object").where(rows["coarser"].notna(), None),
            rows["quasi"].astype("object").where(rows["quasi"].notna(), None),
            rows["suppressed"].fillna(0),
            strict=True,
        )
    ]
    return rows[["placement_id", "account_id", "agency", "plan_id"]].assign(coarser=np.array(coarser, dtype=bool))


def told(connection: Connection, request_id: int, field: str, transmission_id: int, rows: pd.DataFrame) -> None:
    """The agency is to be told the field by this transmission; rows: its placement_id, account_id, agency."""
    first = bulk.reserve(connection, "correction", len(rows))
    bulk.append(
        connection,
        CORRECTIONS,
        rows[["placement_id", "account_id", "agency"]].assign(
            correction_id=range(first, first + len(rows)), request_id=request_id, field=field,
            transmission_id=transmission_id, state="told",
        ),
    )  # fmt: skip


def corrections(connection: Connection, request_id: int) -> pd.DataFrame:
    """What agencies were told for the request, and what each said: agency, placement_id, field, state, file, …."""
    return bulk.read(
        connection,
        select(
            CORRECTIONS.c.agency, CORRECTIONS.c.placement_id, CORRECTIONS.c.field, CORRECTIONS.c.state,
            CORRECTIONS.c.confirmed_on, TRANSMISSIONS.c.name.label("file"), TRANSMISSIONS.c.state.label("file_state"),
        )
        .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == CORRECTIONS.c.transmission_id)
        .where(CORRECTIONS.c.request_id == request_id)
        .order_by(CORRECTIONS.c.correction_id),
    )  # fmt: skip


def waiting_corrections(connection: Connection, agency: str, account_ids: Sequence[int] | pd.Series) -> pd.DataFrame:
    """What this agency was told of these accounts and has not confirmed: correction_id, account_id, field."""
    wanted = pd.DataFrame({"account_id": pd.Series(account_ids, dtype="int64").drop_duplicates()})
    with bulk.staged(connection, CORRECTIONS, wanted) as stage:
        return bulk.read(
            connection,
            select(CORRECTIONS.c.correction_id, CORRECTIONS.c.account_id, CORRECTIONS.c.field)
            .join(stage, stage.c.account_id == CORRECTIONS.c.account_id)
            .where(CORRECTIONS.c.agency == agency, CORRECTIONS.c.state == "told"),
        )


def identity_keys(connection: Connection, account_ids: Sequence[int], columns: Sequence[str]) -> pd.DataFrame:
    """The accounts that have an identity: account_id, data_key_id, and `has_<column>`, whether there is such a cell."""
    cells = (IDENTITIES.c[name].is_not(None).label(f"has_{name}") for name in columns)
    return bulk.read(
        connection,
        select(IDENTITIES.c.account_id, IDENTITIES.c.data_key_id, *cells)
        .where(IDENTITIES.c.account_id.in_(account_ids))
        .order_by(IDENTITIES.c.account_id),
    )


def correct_fact(connection: Connection, account_ids: Sequence[int], field: str, value: Any) -> None:
    """The accounts have this value, and plans that were made with another know that they are stale."""
    these = ACCOUNTS.c.account_id.in_(account_ids)
    connection.execute(update(ACCOUNTS).where(these).values(**{field: value}, version=ACCOUNTS.c.version + 1))


def touched(connection: Connection, account_ids: Sequence[int]) -> None:
    """Something of the accounts' identities changed: plans that were made before are stale."""
    these = ACCOUNTS.c.account_id.in_(account_ids)
    connection.execute(update(ACCOUNTS).where(these).values(version=ACCOUNTS.c.version + 1))


def renamed(connection: Connection, lender: str, debtor_id: int, identity_index: str) -> bool:
    """The debtor is known by this index from now on; False where another one of the lender's is."""
    other = select(DEBTORS.c.debtor_id).where(
        DEBTORS.c.lender == lender, DEBTORS.c.identity_index == identity_index, DEBTORS.c.debtor_id != debtor_id
    )
    if connection.execute(other).first() is not None:
        return False
    connection.execute(update(DEBTORS).where(DEBTORS.c.debtor_id == debtor_id).values(identity_index=identity_index))
    return True


def _still_held() -> Any:
    """The agency has not certified the placement's erasure in a way that satisfies."""
    return or_(ERASURES.c.erasure_id.is_(None), ERASURES.c.verified_at.is_(None))

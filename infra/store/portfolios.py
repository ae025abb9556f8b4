"""Lenders, portfolios, debtors, accounts, sealed identities and holds: their SQL, whole shards at a time.

An account is known by its lender and the keyed index of the lender's account number, a debtor by the lender and the
keyed index of the canonical identity. Nothing here sees an identity in clear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from infra.store import bulk
from models.errors import UsageError
from models.intake.fields import ACCOUNT_FIELDS, FACTS, IDENTITY
from models.tables import Account, Debtor, Hold, Identity, IntakeReject, Lender, Portfolio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

LENDERS: Final = bulk.table_of(Lender)
PORTFOLIOS: Final = bulk.table_of(Portfolio)
REJECTS: Final = bulk.table_of(IntakeReject)
DEBTORS: Final = bulk.table_of(Debtor)
ACCOUNTS: Final = bulk.table_of(Account)
IDENTITIES: Final = bulk.table_of(Identity)
HOLDS: Final = bulk.table_of(Hold)

FACT_COLUMNS: Final = (*(ACCOUNT_FIELDS[name].column for name in FACTS), "bucket")
"""Columns of an account that a snapshot speaks of."""
MIXED: Final = "XXX"
"""ISO 4217's code for no currency: a portfolio of several has no sum."""


# -- lenders ---------------------------------------------------------------------------------------------------


def add_lender(
    connection: Connection,
    lender: str,
    name: str,
    at: datetime,
    *,
    country: str = "CN",
    timezone: str = "Asia/Shanghai",
) -> bool:
    """True if the lender is new; false if it was there with the same words. Raises UsageError if with others."""
    row = {"name": name, "country": country, "timezone": timezone}
    known = connection.execute(select(LENDERS).where(LENDERS.c.lender == lender)).mappings().first()
    if known is None:
        connection.execute(insert(LENDERS).values(lender=lender, created_at=at, **row))
        return True
    differing = [word for word, value in row.items() if known[word] != value]
    if differing:
        raise UsageError(
            f"lender {lender} is there already with another {', '.join(differing)}", fix="choose another code"
        )
    return False


def lenders(connection: Connection) -> pd.DataFrame:
    """Every lender: code, name, country, time zone, and how many accounts it has open."""
    accounts = (
        select(ACCOUNTS.c.lender, func.count().label("accounts_open"))
        .where(ACCOUNTS.c.status == "open")
        .group_by(ACCOUNTS.c.lender)
        .subquery()
    )
    return bulk.read(
        connection,
        select(
            LENDERS.c.lender,
            LENDERS.c.name,
            LENDERS.c.country,
            LENDERS.c.timezone,
            func.coalesce(accounts.c.accounts_open, 0).label("accounts_open"),
        )
        .outerjoin(accounts, accounts.c.lender == LENDERS.c.lender)
        .order_by(LENDERS.c.lender),
    )


def lender_rows(connection: Connection) -> list[dict[str, Any]]:
    """Every lender: code, name, country, time zone; nothing is counted."""
    columns = (LENDERS.c.lender, LENDERS.c.name, LENDERS.c.country, LENDERS.c.timezone)
    return [dict(row) for row in connection.execute(select(*columns).order_by(LENDERS.c.lender)).mappings()]


def known_lender(connection: Connection, lender: str) -> None:
    """Nothing, where there is such a lender. Raises UsageError."""
    if connection.execute(select(LENDERS.c.lender).where(LENDERS.c.lender == lender)).first() is None:
        raise UsageError(f"there is no lender {lender!r}", fix="`consign portfolio lender list` shows them")


def held_lender(connection: Connection, lender: str) -> None:
    """The lender's row is locked until the transaction ends: its imports follow one another. Raises UsageError."""
    found = connection.execute(select(LENDERS.c.lender).where(LENDERS.c.lender == lender).with_for_update()).scalar()
    if found is None:
        raise UsageError(f"there is no lender {lender}", fix=f"run `consign portfolio lender add {lender} --name …`")


# -- portfolios ------------------------------------------------------------------------------------------------


def portfolio_of(
    connection: Connection, lender: str, profile: str, source_sha256: str, as_of: date
) -> dict[str, Any] | None:
    """The portfolio that this very source became, whatever its state; None if it never came."""
    found = (
        connection.execute(
            select(PORTFOLIOS).where(
                PORTFOLIOS.c.lender == lender,
                PORTFOLIOS.c.profile == profile,
                PORTFOLIOS.c.source_sha256 == source_sha256,
                PORTFOLIOS.c.as_of == as_of,
            )
        )
        .mappings()
        .first()
    )
    return None if found is None else {str(name): value for name, value in found.items()}


def keep_portfolio(connection: Connection, row: Mapping[str, Any], rejects: pd.DataFrame) -> None:
    """The portfolio and its rejects (`line`, `field`, `code`, `fix`) are there; an earlier refusal of it is gone."""
    portfolio_id = row["portfolio_id"]
    connection.execute(delete(REJECTS).where(REJECTS.c.portfolio_id == portfolio_id))
    connection.execute(delete(PORTFOLIOS).where(PORTFOLIOS.c.portfolio_id == portfolio_id))
    connection.execute(insert(PORTFOLIOS).values(**row))
    bulk.append(connection, REJECTS, rejects.assign(portfolio_id=np.int64(portfolio_id)))


def portfolios(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """Every portfolio, newest first."""
    statement = select(PORTFOLIOS).order_by(PORTFOLIOS.c.portfolio_id.desc())
    return bulk.read(connection, statement.where(PORTFOLIOS.c.lender == lender) if lender else statement)


def portfolio(connection: Connection, portfolio_id: int) -> dict[str, Any]:
    """One portfolio and what has become of its accounts. Raises UsageError."""
    row = connection.execute(select(PORTFOLIOS).where(PORTFOLIOS.c.portfolio_id == portfolio_id)).mappings().first()
    if row is None:
        raise UsageError(f"there is no portfolio {portfolio_id}", fix="`consign portfolio list` shows them")
    buckets = bulk.read(
        connection,
        select(
            ACCOUNTS.c.product,
            ACCOUNTS.c.bucket,
            ACCOUNTS.c.currency,
            func.count().label("accounts"),
            func.sum(ACCOUNTS.c.balance_minor).label("balance_minor"),
        )
        .where(ACCOUNTS.c.portfolio_id == portfolio_id)
        .group_by(ACCOUNTS.c.product, ACCOUNTS.c.bucket, ACCOUNTS.c.currency)
        .order_by(ACCOUNTS.c.product, ACCOUNTS.c.bucket),
    )
    return {**row, "accounts_last_spoken_of": buckets.to_dict("records")}


def rejects(connection: Connection, portfolio_id: int) -> pd.DataFrame:
    """Why lines of the portfolio were refused: `line`, `field`, `code`, `fix`, by line."""
    return bulk.read(
        connection,
        select(REJECTS.c.line, REJECTS.c.field, REJECTS.c.code, REJECTS.c.fix)
        .where(REJECTS.c.portfolio_id == portfolio_id)
        .order_by(REJECTS.c.line, REJECTS.c.reject_id),
    )


# -- accounts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What the store knows of a shard's lines, aligned with them.

    accounts: the account's stored columns, null where it is new. debtor_id: of the account, else of the identity;
    0 where both are new. erased, moved: bool per line: must not come back; has another identity than before.
    """

    accounts: pd.DataFrame
    debtor_id: np.ndarray
    erased: np.ndarray
    moved: np.ndarray

    def without(self, gone: np.ndarray) -> Known:
        """The same, where these lines too must not come back."""
        return replace(self, erased=self.erased | gone)

    def only(self, places: np.ndarray) -> Known:
        """The same for some of the lines."""
        accounts = self.accounts.iloc[places].reset_index(drop=True)
        return Known(accounts, self.debtor_id[places], self.erased[places], self.moved[places])


def has_accounts(connection: Connection, lender: str) -> bool:
    """Whether anything of the lender's has been taken in."""
    return (
        connection.execute(select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.lender == lender).limit(1)).first()
        is not None
    )


def known(
    connection: Connection,
    lender: str,
    shard: pd.DataFrame,
    *,
    may_have_account: np.ndarray,
    may_have_debtor: np.ndarray,
) -> Known:
    """What the store knows of the lines. shard: `ref_index`, `identity_index`.

    may_have_account, may_have_debtor: bool per line; where the caller knows that there is none, the store is not asked.
    """
    accounts = _accounts(connection, lender, shard["ref_index"], may_have_account)
    debtors = _debtors(connection, lender, shard["identity_index"], may_have_debtor)
    of_account = accounts["debtor_id"].fillna(0).to_numpy(dtype=np.int64)
    of_identity = debtors["debtor_id"].fillna(0).to_numpy(dtype=np.int64)
    old = accounts["account_id"].notna().to_numpy(dtype=bool)
    gone = (accounts["status"] == "erased").to_numpy(dtype=bool) | accounts["debtor_erased_at"].notna().to_numpy(
        dtype=bool
    )
    gone |= ~old & debtors["erased_at"].notna().to_numpy(dtype=bool)
    moved = old & (accounts["identity_index"] != shard["identity_index"]).to_numpy(dtype=bool)
    return Known(accounts, np.where(old, of_account, of_identity), gone, moved)


def _accounts(connection: Connection, lender: str, refs: pd.Series, asked: np.ndarray) -> pd.DataFrame:
    columns = [ACCOUNTS.c[name] for name in ("account_id", "debtor_id", "status", "version", "as_of", *FACT_COLUMNS)]
    # the stage has both columns of the index: with the lender as a constant SQLite walks all its accounts for each line
    keys = pd.DataFrame({"lender": lender, "ref_index": refs[asked]})
    with bulk.staged(connection, ACCOUNTS, keys) as stage:
        found = bulk.read(
            connection,
            select(
                ACCOUNTS.c.ref_index, *columns, DEBTORS.c.identity_index, DEBTORS.c.erased_at.label("debtor_erased_at")
            )
            .select_from(stage)
            .join(ACCOUNTS, and_(ACCOUNTS.c.lender == stage.c.lender, ACCOUNTS.c.ref_index == stage.c.ref_index))
            .join(DEBTORS, DEBTORS.c.debtor_id == ACCOUNTS.c.debtor_id),
        )
    return _aligned(refs, found, "ref_index")


def _debtors(connection: Connection, lender: str, indexes: pd.Series, asked: np.ndarray) -> pd.DataFrame:
    keys = pd.DataFrame({"lender": lender, "identity_index": indexes[asked].drop_duplicates()})
    with bulk.staged(connection, DEBTORS, keys) as stage:
        matching = and_(DEBTORS.c.lender == stage.c.lender, DEBTORS.c.identity_index == stage.c.identity_index)
        wanted = select(DEBTORS.c.identity_index, DEBTORS.c.debtor_id, DEBTORS.c.erased_at)
        found = bulk.read(connection, wanted.select_from(stage).join(DEBTORS, matching))
    return _aligned(indexes, found, "identity_index")


def _aligned(keys: pd.Series, found: pd.DataFrame, key: str) -> pd.DataFrame:
    """The found rows in the order of the keys; null where there is none."""
    for name in found.columns[found.dtypes == np.int64]:
        found[name] = found[name].astype("Int64")
    places = pd.Index(found[key]).get_indexer(pd.Index(keys))
    return found.drop(columns=key).reindex(np.where(places >= 0, places, -1)).reset_index(drop=True)


@dataclass(frozen=True)
class Kept:
    """What a shard has become: the account of each line, which lines are current, and counts.

    current: lines that were taken over; the others are older than what the store has, and changed nothing.
    new: lines whose account is new.
    """

    account_ids: np.ndarray
    current: np.ndarray
    new: np.ndarray
    updated: int
    unchanged: int


def keep_accounts(
    connection: Connection, lender: str, portfolio_id: int, as_of: date, at: datetime, shard: pd.DataFrame, there: Known
) -> Kept:
    """The shard's accounts and debtors are in the store.

    shard: `ref_index`, `identity_index`, `linkage` (where it is known), `bucket` and the facts that the profile maps;
    facts that it does not map stay.
    `version` rises where a fact or the status changed. An account of a later snapshot stays as it is.
    """
    old = there.accounts["account_id"].notna().to_numpy(dtype=bool)
    debtor_ids = _debtors_added(connection, lender, shard, there.debtor_id, at)
    account_ids = there.accounts["account_id"].fillna(0).to_numpy(dtype=np.int64)
    fresh = np.flatnonzero(~old)
    if len(fresh):  # numbered in the order of the file: a number tells nothing of a key, and a seed draws the same
        account_ids[fresh] = bulk.reserve(connection, "account", len(fresh)) + np.arange(len(fresh))
    # written in the order of the index: each of its pages is touched once per shard
    order = fresh[np.argsort(shard["ref_index"].to_numpy(dtype=object)[fresh])]
    facts = shard[[name for name in FACT_COLUMNS if name in shard]]
    rows = facts.assign(account_id=account_ids, portfolio_id=np.int64(portfolio_id), as_of=pd.Timestamp(as_of))
    added = rows.iloc[order].assign(
        lender=lender,
        ref_index=shard["ref_index"].iloc[order],
        debtor_id=debtor_ids[order],
        status=_status(shard["balance_minor"].iloc[order]),
    )
    bulk.append(connection, ACCOUNTS, added)
    current = ~old | ~(there.accounts["as_of"] > pd.Timestamp(as_of)).to_numpy(dtype=bool)
    taken = old & current
    changed = 0
    if taken.any():
        before = there.accounts[taken]
        status = before["status"].where(
            ~before["status"].isin(["open", "paid"]).to_numpy(dtype=bool), _status(shard["balance_minor"][taken])
        )
        differs = _differs(before, facts[taken].assign(status=status.astype("str")))
        changed = int(differs.sum())
        version = before["version"].to_numpy(dtype=np.int64) + differs
        bulk.set_columns(
            connection, ACCOUNTS, rows[taken].assign(status=status.astype("str"), version=version), ["account_id"]
        )
    return Kept(account_ids, current, ~old, changed, int(old.sum()) - changed)


def _status(balances: pd.Series) -> pd.Series:
    return pd.Series(np.where(balances.to_numpy() > 0, "open", "paid"), index=balances.index, dtype="str")


def _differs(before: pd.DataFrame, now: pd.DataFrame) -> np.ndarray:
    """Lines of which any fact is another than before; nothing equals nothing."""
    differing = np.zeros(len(now), dtype=bool)
    for name in now.columns:
        one, other = before[name], now[name]
        same = (one == other).fillna(value=False).to_numpy(dtype=bool) | (one.isna() & other.isna()).to_numpy(
            dtype=bool
        )
        differing |= ~same
    return differing


def _debtors_added(
    connection: Connection, lender: str, shard: pd.DataFrame, debtor_ids: np.ndarray, at: datetime
) -> np.ndarray:
    """The debtor of each line, those that are new (0) numbered and in the store."""
    there = [name for name in ("identity_index", "linkage") if name in shard]
    fresh = shard.loc[debtor_ids == 0, there]
    codes, _ = pd.factorize(fresh["identity_index"])  # numbered in the order of the file, as accounts are
    if not len(codes):
        return debtor_ids
    added = fresh.drop_duplicates("identity_index")
    numbers = bulk.reserve(connection, "debtor", len(added)) + np.arange(len(added))
    frame = added.assign(debtor_id=numbers, lender=lender, created_at=pd.Timestamp(at))
    bulk.append(connection, DEBTORS, frame.sort_values("identity_index"))
    filled = debtor_ids.copy()
    filled[debtor_ids == 0] = numbers[codes]
    return filled


def keep_identities(
    connection: Connection, portfolio_id: int, data_key_ids: np.ndarray, account_ids: np.ndarray, new: np.ndarray,
    cells: Mapping[str, Sequence[bytes | None]], indexes: Mapping[str, pd.Series],
) -> None:  # fmt: skip
    """The sealed cells are there, one row per account; a row that was there is replaced as a whole.

    cells: by field; a field that is not given is empty. indexes: by column, the keyed indexes that it is found by, in
    the same order. data_key_ids: under which each was sealed. new: which accounts had none.
    """
    frame = pd.DataFrame(
        {
            "account_id": account_ids,
            "portfolio_id": np.int64(portfolio_id),
            "data_key_id": pd.Series(data_key_ids, dtype="str"),
            **{name: pd.Series(list(cells.get(name, [None] * len(account_ids))), dtype="object") for name in IDENTITY},
            **{name: found.to_numpy() for name, found in indexes.items()},
        }
    )
    bulk.append(connection, IDENTITIES, frame[new])
    bulk.set_columns(connection, IDENTITIES, frame[~new], ["account_id"])


# -- holds -----------------------------------------------------------------------------------------------------


def account_by_ref(connection: Connection, lender: str, ref_index: str) -> tuple[int, int]:
    """The account and its debtor. Raises UsageError, which does not repeat the number asked for."""
    found = connection.execute(
        select(ACCOUNTS.c.account_id, ACCOUNTS.c.debtor_id).where(
            ACCOUNTS.c.lender == lender, ACCOUNTS.c.ref_index == ref_index
        )
    ).first()
    if found is None:
        raise UsageError(f"lender {lender} has no account with this number", fix="check the lender and the number")
    return int(found.account_id), int(found.debtor_id)


def add_hold(
    connection: Connection,
    debtor_id: int,
    account_id: int | None,
    reason: str,
    since: date,
    until: date | None,
    by: str,
) -> tuple[int, bool]:
    """The hold on the debtor (or on one account), and whether it is new: the same hold twice is one."""
    if connection.execute(select(DEBTORS.c.debtor_id).where(DEBTORS.c.debtor_id == debtor_id)).first() is None:
        raise UsageError(f"there is no debtor {debtor_id}", fix="name the debtor by an account number instead")
    same_account = HOLDS.c.account_id.is_(None) if account_id is None else HOLDS.c.account_id == account_id
    there = connection.execute(
        select(HOLDS.c.hold_id, HOLDS.c.until).where(
            HOLDS.c.debtor_id == debtor_id, same_account, HOLDS.c.reason == reason, HOLDS.c.lifted_at.is_(None)
        )
    ).first()
    if there is not None and there.until == until:
        return int(there.hold_id), False
    if there is not None:
        connection.execute(update(HOLDS).where(HOLDS.c.hold_id == there.hold_id).values(until=until))
        return int(there.hold_id), True
    row = {"debtor_id": debtor_id, "account_id": account_id, "reason": reason, "since": since, "until": until}
    made = connection.execute(insert(HOLDS).values(**row, placed_by=by).returning(HOLDS.c.hold_id)).scalar_one()
    return int(made), True


def lift_hold(connection: Connection, hold_id: int, at: datetime) -> bool:
    """True if the hold was in force; false if it had been lifted before. Raises UsageError if there is none."""
    lifted = update(HOLDS).where(HOLDS.c.hold_id == hold_id, HOLDS.c.lifted_at.is_(None)).values(lifted_at=at)
    if connection.execute(lifted).rowcount:
        return True
    if connection.execute(select(HOLDS.c.hold_id).where(HOLDS.c.hold_id == hold_id)).first() is None:
        raise UsageError(f"there is no hold {hold_id}", fix="`consign portfolio hold list` shows them")
    return False


def holds(connection: Connection, today: date, lender: str | None = None, *, all_of_them: bool = False) -> pd.DataFrame:
    """The holds in force (or all that ever were), newest first."""
    statement = (
        select(HOLDS, DEBTORS.c.lender)
        .join(DEBTORS, DEBTORS.c.debtor_id == HOLDS.c.debtor_id)
        .order_by(HOLDS.c.hold_id.desc())
    )
    if not all_of_them:
        statement = statement.where(HOLDS.c.lifted_at.is_(None), or_(HOLDS.c.until.is_(None), HOLDS.c.until >= today))
    return bulk.read(connection, statement.where(DEBTORS.c.lender == lender) if lender else statement)

"""Forgetting in the store: identities, keyed indexes and facts that tell somebody from others, whole batches at a time.

Nothing here sees an identity in clear, and no key; which keys are to be destroyed is told to the caller.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from infra.store import bulk, consolidation
from infra.store.exchange import MEMBERS, PLACEMENTS, TRANSMISSIONS
from infra.store.portfolios import ACCOUNTS, DEBTORS, IDENTITIES, PORTFOLIOS
from models.errors import UsageError
from models.tables import (
    Break,
    BreakNote,
    ErasedAccount,
    ErasedMark,
    IdentityKey,
    LegalHold,
    PropensityScore,
    Shredding,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

BREAKS: Final = bulk.table_of(Break)
NOTES: Final = bulk.table_of(BreakNote)
KEYS: Final = bulk.table_of(IdentityKey)
MARKS: Final = bulk.table_of(ErasedMark)
ERASED: Final = bulk.table_of(ErasedAccount)
SHREDDINGS: Final = bulk.table_of(Shredding)
LEGAL_HOLDS: Final = bulk.table_of(LegalHold)
CHANCES: Final = bulk.table_of(PropensityScore)

AT_AGENCY: Final = ("planned", "placed", "acknowledged", "recalled")
"""States of a placement of which an agency knows, or is about to, and has not given it back."""
TELLING: Final = ("region", "score_band", "opened_on", "due_on", "last_paid_on")
"""Facts that may tell one account from others; the record of what was owed and done needs none of them."""
GONE: Final = "erased:"
_TOKEN_BYTES: Final = 12


# -- keys --------------------------------------------------------------------------------------------------------------


def register_keys(connection: Connection, lender: str, key_ids: Iterable[str], at: datetime) -> None:
    """These keys seal identities of the lender's from now on."""
    bulk.append(connection, KEYS, pd.DataFrame({"key_id": list(key_ids), "lender": lender, "made_at": at}))


def retire_keys(connection: Connection, lender: str, key_ids: Sequence[str], shredding_id: int, at: datetime) -> None:
    """No row counts on these keys any more; they are to be destroyed."""
    known = set(connection.execute(select(KEYS.c.key_id).where(KEYS.c.key_id.in_(key_ids))).scalars())
    register_keys(connection, lender, [key_id for key_id in key_ids if key_id not in known], at)
    connection.execute(
        update(KEYS)
        .where(KEYS.c.key_id.in_(key_ids), KEYS.c.retired_at.is_(None))
        .values(retired_at=at, shredding_id=shredding_id)
    )


def attached_keys(connection: Connection, account_ids: np.ndarray) -> list[str]:
    """The keys of the files that people attached to breaks about these accounts."""
    with bulk.staged(connection, BREAKS, pd.DataFrame({"account_id": account_ids})) as stage:
        attached = (
            select(NOTES.c.data_key_id)
            .join(BREAKS, BREAKS.c.break_id == NOTES.c.break_id)
            .join(stage, stage.c.account_id == BREAKS.c.account_id)
            .where(NOTES.c.data_key_id.is_not(None))
        )
        return sorted(set(connection.execute(attached).scalars()))


def to_destroy(connection: Connection, shredding_id: int | None = None) -> list[str]:
    """Retired keys that nobody has noted as destroyed, of one shredding or of all."""
    chosen = select(KEYS.c.key_id).where(KEYS.c.retired_at.is_not(None), KEYS.c.destroyed_at.is_(None))
    if shredding_id is not None:
        chosen = chosen.where(KEYS.c.shredding_id == shredding_id)
    return list(connection.execute(chosen.order_by(KEYS.c.key_id)).scalars())


def destroyed(connection: Connection, key_ids: Sequence[str], at: datetime) -> None:
    """The keyring has these keys no more."""
    connection.execute(update(KEYS).where(KEYS.c.key_id.in_(key_ids)).values(destroyed_at=at))


def tombstones(connection: Connection) -> list[str]:
    """Every key that is destroyed, or is to be: none of them may ever come back."""
    return list(
        connection.execute(
            select(KEYS.c.key_id).where(KEYS.c.retired_at.is_not(None)).order_by(KEYS.c.key_id)
        ).scalars()
    )


def destroyed_keys(connection: Connection) -> list[str]:
    """Keys that the keyring has no more, or should not have."""
    return list(connection.execute(select(KEYS.c.key_id).where(KEYS.c.destroyed_at.is_not(None))).scalars())


def identities_under(connection: Connection, key_ids: set[str]) -> tuple[int, int]:
    """How many identities there are, and how many of them are sealed under one of these keys."""
    per_key = connection.execute(
        select(IDENTITIES.c.data_key_id, func.count()).group_by(IDENTITIES.c.data_key_id)
    ).all()
    return sum(int(n) for _, n in per_key), sum(int(n) for key_id, n in per_key if key_id in key_ids)


def dead_identities(connection: Connection, key_ids: set[str]) -> set[int]:
    """Accounts whose cells no key opens any more: their rows are gone."""
    with bulk.staged(
        connection, IDENTITIES, pd.DataFrame({"data_key_id": pd.Series(sorted(key_ids), dtype="str")})
    ) as gone:
        mine = IDENTITIES.c.data_key_id.in_(select(gone.c.data_key_id))
        accounts = bulk.read(connection, select(IDENTITIES.c.account_id).where(mine))["account_id"]
        connection.execute(delete(IDENTITIES).where(mine))
    return set(accounts.tolist())


def to_forget_again(connection: Connection, accounts: set[int]) -> dict[str, np.ndarray]:
    """Those of the accounts that this store knows, and does not know as erased, by lender."""
    with bulk.staged(connection, ACCOUNTS, pd.DataFrame({"account_id": sorted(accounts)}, dtype="int64")) as stage:
        found = bulk.read(
            connection,
            select(ACCOUNTS.c.account_id, ACCOUNTS.c.lender)
            .join(stage, stage.c.account_id == ACCOUNTS.c.account_id)
            .where(ACCOUNTS.c.status != "erased")
            .order_by(ACCOUNTS.c.account_id),
        )
    return {str(lender): part["account_id"].to_numpy() for lender, part in found.groupby("lender")}


def unused_keys(connection: Connection, before: datetime) -> list[tuple[str, str]]:
    """Keys (and their lenders) made before then that seal no row any more: newer snapshots have replaced every one."""
    rows = connection.execute(
        select(KEYS.c.key_id, KEYS.c.lender)
        .where(
            KEYS.c.retired_at.is_(None), KEYS.c.made_at < before,
            ~exists().where(IDENTITIES.c.data_key_id == KEYS.c.key_id),
        )
        .order_by(KEYS.c.key_id)
    )  # fmt: skip
    return [(str(key_id), str(lender)) for key_id, lender in rows]


# -- who is to be forgotten --------------------------------------------------------------------------------------------


def debtor(connection: Connection, debtor_id: int) -> tuple[str, bool, np.ndarray]:
    """The debtor's lender, whether they are erased already, and all their accounts by number. Raises UsageError."""
    row = connection.execute(select(DEBTORS).where(DEBTORS.c.debtor_id == debtor_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no debtor {debtor_id}", fix="name the debtor by an account number instead")
    accounts = select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.debtor_id == debtor_id).order_by(ACCOUNTS.c.account_id)
    return str(row.lender), row.erased_at is not None, bulk.read(connection, accounts)["account_id"].to_numpy()


def portfolio(connection: Connection, portfolio_id: int) -> tuple[str, str]:
    """The portfolio's lender and state. Raises UsageError."""
    row = connection.execute(
        select(PORTFOLIOS.c.lender, PORTFOLIOS.c.state).where(PORTFOLIOS.c.portfolio_id == portfolio_id)
    ).one_or_none()
    if row is None:
        raise UsageError(f"there is no portfolio {portfolio_id}", fix="`consign portfolio list` shows them")
    return str(row.lender), str(row.state)


def of_portfolio(connection: Connection, portfolio_id: int, rows: int) -> np.ndarray:
    """The first accounts whose identity was sealed with this portfolio, at most so many."""
    chosen = select(IDENTITIES.c.account_id).where(IDENTITIES.c.portfolio_id == portfolio_id)
    return bulk.read(connection, chosen.order_by(IDENTITIES.c.account_id).limit(rows))["account_id"].to_numpy()


def portfolio_erased(connection: Connection, portfolio_id: int) -> None:
    """The portfolio is erased; what was refused of it is gone too."""
    connection.execute(update(PORTFOLIOS).where(PORTFOLIOS.c.portfolio_id == portfolio_id).values(state="erased"))


def out(connection: Connection, *, debtor_id: int | None = None, portfolio_id: int | None = None) -> int:
    """How many placements of the debtor, or of the portfolio's accounts, agencies have not given back."""
    mine = (
        PLACEMENTS.c.debtor_id == debtor_id
        if debtor_id is not None
        else PLACEMENTS.c.account_id.in_(
            select(IDENTITIES.c.account_id).where(IDENTITIES.c.portfolio_id == portfolio_id)
        )
    )
    return int(
        connection.execute(
            select(func.count()).select_from(PLACEMENTS).where(mine, PLACEMENTS.c.state.in_(AT_AGENCY))
        ).scalar_one()
    )


# -- identities --------------------------------------------------------------------------------------------------------


def taken_away(connection: Connection, account_ids: np.ndarray) -> pd.DataFrame:
    """The sealed identities of these accounts, which are rows no more."""
    with bulk.staged(connection, IDENTITIES, pd.DataFrame({"account_id": account_ids})) as stage:
        found = bulk.read(connection, select(IDENTITIES).join(stage, stage.c.account_id == IDENTITIES.c.account_id))
        connection.execute(delete(IDENTITIES).where(IDENTITIES.c.account_id.in_(select(stage.c.account_id))))
    return found


def under(connection: Connection, key_id: str, rows: int) -> pd.DataFrame:
    """The first sealed identities under this key, at most so many."""
    mine = select(IDENTITIES).where(IDENTITIES.c.data_key_id == key_id)
    return bulk.read(connection, mine.order_by(IDENTITIES.c.account_id).limit(rows))


def sealed_anew(connection: Connection, rows: pd.DataFrame) -> None:
    """These identities' cells and key are as given."""
    bulk.set_columns(connection, IDENTITIES, rows.drop(columns="portfolio_id"), ["account_id"])


# -- accounts and debtors ----------------------------------------------------------------------------------------------


def known_by(connection: Connection, account_ids: np.ndarray) -> pd.DataFrame:
    """By what these accounts and their debtors can be found: account_id, debtor_id, ref_index, identity_index."""
    with bulk.staged(connection, ACCOUNTS, pd.DataFrame({"account_id": account_ids})) as stage:
        return bulk.read(
            connection,
            select(ACCOUNTS.c.account_id, ACCOUNTS.c.debtor_id, ACCOUNTS.c.ref_index, DEBTORS.c.identity_index)
            .join(stage, stage.c.account_id == ACCOUNTS.c.account_id)
            .join(DEBTORS, DEBTORS.c.debtor_id == ACCOUNTS.c.debtor_id),
        )


def erased(connection: Connection, account_ids: np.ndarray, shredding_id: int, at: datetime) -> np.ndarray:
    """The accounts can be found by nothing any more, and neither can a debtor whose accounts are all erased.

    Returns those debtors. What was owed, placed and done stays under their numbers.
    """
    frame = pd.DataFrame({"account_id": account_ids, "ref_index": _tokens(len(account_ids))})
    with bulk.staged(connection, ACCOUNTS, frame[["account_id"]]) as stage:
        mine = ACCOUNTS.c.account_id.in_(select(stage.c.account_id))
        connection.execute(
            update(ACCOUNTS)
            .where(mine)
            .values(status="erased", version=ACCOUNTS.c.version + 1, **dict.fromkeys(TELLING))
        )
        connection.execute(
            update(PLACEMENTS)
            .where(PLACEMENTS.c.account_id.in_(select(stage.c.account_id)), PLACEMENTS.c.score_band.is_not(None))
            .values(score_band=None)
        )
        connection.execute(delete(CHANCES).where(CHANCES.c.account_id.in_(select(stage.c.account_id))))
        rest = ACCOUNTS.alias()
        whole = ~exists().where(rest.c.debtor_id == ACCOUNTS.c.debtor_id, rest.c.status != "erased")
        debtors = bulk.read(connection, select(ACCOUNTS.c.debtor_id).where(mine, whole).distinct())
        known = select(ERASED.c.account_id).where(ERASED.c.account_id.in_(select(stage.c.account_id)))
        there = bulk.read(connection, known)["account_id"]
        owners = bulk.read(connection, select(ACCOUNTS.c.account_id, ACCOUNTS.c.debtor_id).where(mine))
    bulk.set_columns(connection, ACCOUNTS, frame, ["account_id"])
    fresh = owners[~owners["account_id"].isin(there)]
    bulk.append(connection, ERASED, fresh.assign(erased_at=pd.Timestamp(at), shredding_id=np.int64(shredding_id)))
    bulk.set_columns(
        connection,
        DEBTORS,
        debtors.assign(identity_index=_tokens(len(debtors)), erased_at=pd.Timestamp(at)),
        ["debtor_id"],
    )
    consolidation.forget(connection, debtors)
    return debtors["debtor_id"].to_numpy()


def erase_debtor(connection: Connection, debtor_id: int, at: datetime) -> None:
    """The debtor is erased, also one without any account."""
    mine = and_(DEBTORS.c.debtor_id == debtor_id, DEBTORS.c.erased_at.is_(None))
    connection.execute(update(DEBTORS).where(mine).values(identity_index=_tokens(1)[0], erased_at=at))
    consolidation.forget(connection, pd.DataFrame({"debtor_id": [debtor_id]}))


def erased_accounts(connection: Connection) -> list[int]:
    """Every account whose identity was erased."""
    return list(connection.execute(select(ERASED.c.account_id).order_by(ERASED.c.account_id)).scalars())


def _tokens(count: int) -> list[str]:
    """So many random texts that stand where an index stood."""
    drawn = os.urandom(_TOKEN_BYTES * count).hex()
    width = 2 * _TOKEN_BYTES
    return [GONE + drawn[at : at + width] for at in range(0, len(drawn), width)]


# -- marks -------------------------------------------------------------------------------------------------------------


def mark(connection: Connection, lender: str, marks: pd.Series, until: date) -> None:
    """These marks are kept until then."""
    frame = pd.DataFrame({"lender": lender, "mark": marks.drop_duplicates(), "until": pd.Timestamp(until)})
    there = marked(connection, lender, frame["mark"])
    bulk.append(connection, MARKS, frame[~there])


def has_marks(connection: Connection, lender: str) -> bool:
    """Whether anybody of the lender's was erased."""
    return connection.execute(select(MARKS.c.mark).where(MARKS.c.lender == lender).limit(1)).first() is not None


def marked(connection: Connection, lender: str, marks: pd.Series) -> np.ndarray:
    """Per mark, whether it is kept."""
    with bulk.staged(connection, MARKS, pd.DataFrame({"lender": lender, "mark": marks.drop_duplicates()})) as stage:
        same = and_(MARKS.c.lender == stage.c.lender, MARKS.c.mark == stage.c.mark)
        found = bulk.read(connection, select(MARKS.c.mark).select_from(stage).join(MARKS, same))
    return marks.isin(found["mark"]).to_numpy(dtype=bool)


def forget_marks(connection: Connection, today: date) -> int:
    """Marks whose time is over are gone. Returns how many."""
    return connection.execute(delete(MARKS).where(MARKS.c.until < today)).rowcount


# -- files -------------------------------------------------------------------------------------------------------------


def sealed_files_naming(connection: Connection, shredding_id: int) -> list[Any]:
    """Sent transmissions that name an account of this shredding, and whose sealed bytes are still kept."""
    accounts = select(ERASED.c.account_id).where(ERASED.c.shredding_id == shredding_id)
    naming = select(MEMBERS.c.transmission_id).where(MEMBERS.c.account_id.in_(accounts))
    return list(
        connection.execute(
            select(TRANSMISSIONS).where(
                TRANSMISSIONS.c.sealed_path.is_not(None),
                TRANSMISSIONS.c.state.in_(("delivered", "presumed", "acknowledged", "cancelled")),
                TRANSMISSIONS.c.transmission_id.in_(naming),
            )
        )
    )


# -- the shreddings themselves -----------------------------------------------------------------------------------------


def ask(connection: Connection, **columns: Any) -> int:
    """A shredding on record; its number."""
    asked = insert(SHREDDINGS).values(**columns).returning(SHREDDINGS.c.shredding_id)
    return int(connection.execute(asked).scalar_one())


def shredding(connection: Connection, shredding_id: int) -> Any:
    """The shredding's row, held until the transaction ends. Raises UsageError."""
    row = connection.execute(
        select(SHREDDINGS).where(SHREDDINGS.c.shredding_id == shredding_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise UsageError(f"there is no shredding {shredding_id}", fix="`consign shred list` shows them")
    return row


def note(connection: Connection, shredding_id: int, **columns: Any) -> None:
    """Columns of a shredding."""
    connection.execute(update(SHREDDINGS).where(SHREDDINGS.c.shredding_id == shredding_id).values(**columns))


def count(
    connection: Connection, shredding_id: int, accounts: int, debtors: int, resealed: int, texts: int
) -> None:  # fmt: skip
    """So much more was done."""
    more = {"accounts": accounts, "debtors": debtors, "resealed": resealed, "texts": texts}
    note(connection, shredding_id, **{name: SHREDDINGS.c[name] + by for name, by in more.items()})


def all_swept(connection: Connection, began: datetime, at: datetime) -> None:
    """Whatever was done before the sweep began is swept."""
    done = and_(SHREDDINGS.c.state == "done", SHREDDINGS.c.swept_at.is_(None), SHREDDINGS.c.done_at <= began)
    connection.execute(update(SHREDDINGS).where(done).values(swept_at=at))


def unfinished(connection: Connection) -> list[Any]:
    """Shreddings that were begun and are not done, or not swept; the oldest first."""
    return list(
        connection.execute(
            select(SHREDDINGS)
            .where(SHREDDINGS.c.state.in_(("begun", "done")), SHREDDINGS.c.swept_at.is_(None))
            .order_by(SHREDDINGS.c.shredding_id)
        )
    )


def last_struck(connection: Connection) -> datetime | None:
    """When a value was last struck out of a free text; None if never."""
    struck = select(func.max(SHREDDINGS.c.done_at)).where(SHREDDINGS.c.texts > 0)
    found: datetime | None = connection.execute(struck).scalar_one()
    return found


def listed(connection: Connection) -> pd.DataFrame:
    """Every shredding, the newest first."""
    return bulk.read(connection, select(SHREDDINGS).order_by(SHREDDINGS.c.shredding_id.desc()))


def holds_on(
    connection: Connection, today: date, lender: str, *, debtor_id: int | None = None, portfolio_id: int | None = None
) -> list[int]:
    """Legal holds in force on these identities: on everything, the lender, the portfolio or the debtor."""
    wide = LEGAL_HOLDS.c.scope.in_(("everything", "lender", "class"))
    narrow = or_(
        and_(LEGAL_HOLDS.c.scope == "debtor", LEGAL_HOLDS.c.subject_id == debtor_id),
        and_(LEGAL_HOLDS.c.scope == "portfolio", LEGAL_HOLDS.c.subject_id == portfolio_id),
    )
    if debtor_id is not None:  # a hold on a portfolio covers whoever's identity was sealed with it
        portfolios = (
            select(IDENTITIES.c.portfolio_id)
            .join(ACCOUNTS, ACCOUNTS.c.account_id == IDENTITIES.c.account_id)
            .where(ACCOUNTS.c.debtor_id == debtor_id)
        )
        narrow = or_(narrow, and_(LEGAL_HOLDS.c.scope == "portfolio", LEGAL_HOLDS.c.subject_id.in_(portfolios)))
    if portfolio_id is not None:  # and a hold on a debtor covers the portfolio that holds them
        debtors = (
            select(ACCOUNTS.c.debtor_id)
            .join(IDENTITIES, IDENTITIES.c.account_id == ACCOUNTS.c.account_id)
            .where(IDENTITIES.c.portfolio_id == portfolio_id)
        )
        narrow = or_(narrow, and_(LEGAL_HOLDS.c.scope == "debtor", LEGAL_HOLDS.c.subject_id.in_(debtors)))
    return list(
        connection.execute(
            select(LEGAL_HOLDS.c.legal_hold_id)
            .where(
                in_force(today),
                or_(LEGAL_HOLDS.c.lender.is_(None), LEGAL_HOLDS.c.lender == lender),
                or_(LEGAL_HOLDS.c.record_class.is_(None), LEGAL_HOLDS.c.record_class == "identity"),
                or_(wide, narrow),
            )
            .order_by(LEGAL_HOLDS.c.legal_hold_id)
        ).scalars()
    )


def in_force(today: date) -> Any:
    """Whether a legal hold counts on the day."""
    return and_(LEGAL_HOLDS.c.lifted_at.is_(None), or_(LEGAL_HOLDS.c.until.is_(None), LEGAL_HOLDS.c.until >= today))

"""What the model in use says of accounts: kept beside them shard by shard, and, where that is switched on, as bands.

A band is written only to accounts that no agency has: a placement keeps the band that its account had when it was
placed, so what a score compares agencies by was known before any of them could collect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra import audit
from infra.indexes import ref_index
from infra.propensity import switching
from infra.propensity.versions import find, require_on
from infra.store import plans, trail
from infra.store import propensity as store
from models.errors import UsageError
from models.propensity import watched

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk
    from models.propensity.model import Explained, Model

LAST: Final = (1 << 62) - 1
"""Behind every account."""


@dataclass(frozen=True)
class Scored:
    """What asking the models did."""

    lenders: int = 0
    accounts: int = 0
    bands_written: int = 0
    bands_put_back: int = 0
    switched: str = "off"


@dataclass(frozen=True)
class Told:
    """An account's chance taken apart, with the model that says so."""

    account_id: int
    lender: str
    model_id: int
    model_state: str
    horizon_days: int
    currency: str
    balance_minor: int
    expected_minor: int
    explained: Explained


def score(desk: Desk, lender: str | None = None) -> Scored:
    """What the lenders' models in use say of every open account is kept; bands are as models are used.

    Safe to run again. Switched off, nothing is asked, and the lenders' own bands stand again.
    Raises NumbersAltered; UsageError where a lender is named that has no model in use.
    """
    switched = switching.switched(desk)
    with desk.database.read() as connection:
        lenders = store.lenders_with_one(connection) if lender is None else [lender]
    if switched != "bands":
        back = sum(_put_back(desk, one) for one in lenders)
        if switched == "off":
            return Scored(bands_put_back=back)
    else:
        back = 0
    accounts = written = 0
    for one in lenders:
        scored, changed = _score(desk, one, bands=switched == "bands")
        accounts, written = accounts + scored, written + changed
    return Scored(len(lenders), accounts, written, back, switched)


def explain(desk: Desk, account: str, lender: str | None = None, model_id: int | None = None) -> Told:
    """Why the model in use (or the one named) says what it says of one account, as of today.

    account: `#` and the platform's id, or with the lender the lender's own number. Raises SwitchedOff, UsageError.
    """
    require_on(desk)
    with desk.database.read() as connection:
        account_id = _account(connection, desk, account, lender)
        owner = store.lender_of(connection, account_id)
        if owner is None:
            raise UsageError(f"there is no account #{account_id}", fix="check the number")
        row, model = find(connection, owner, model_id)
        rows = store.accounts(connection, owner, account_id - 1, 1)
        if rows.empty or int(rows["account_id"].iloc[0]) != account_id:
            raise UsageError(f"account #{account_id} is not open", fix="only of open accounts a chance is told")
        today = desk.today()
        ended = store.ended(connection, owner, today, [int(rows["debtor_id"].iloc[0])])
    values = _values(rows, ended, model, today)
    explained = model.explain(values)
    balance = int(rows["balance_minor"].iloc[0])
    return Told(
        account_id, owner, int(row.model_id), str(row.state), model.horizon_days, str(rows["currency"].iloc[0]),
        balance, round(explained.chance * explained.share * balance), explained,
    )  # fmt: skip


def _account(connection: Connection, desk: Desk, account: str, lender: str | None) -> int:
    if account.startswith("#") and account[1:].isdecimal():
        return int(account[1:])
    if lender is None:
        raise UsageError("that is a lender's number, and no lender is named", fix="--lender LENDER, or `#` and our id")
    index = str(ref_index(desk.keyring, pd.Series([account], dtype="str")).iloc[0])
    found = plans.account_with_index(connection, lender, index)
    if found is None:
        raise UsageError(f"{lender} has no account of that number", fix="check the lender and the number")
    return found


def _score(desk: Desk, lender: str, *, bands: bool) -> tuple[int, int]:
    """How many accounts of the lender's were scored, and how many of them have another band now."""
    today = desk.today()
    with desk.database.read() as connection:
        row, model = find(connection, lender)
        ended = store.ended(connection, lender, today)
    after = accounts = written = 0
    while True:
        with desk.database.write() as connection:
            rows = store.accounts(connection, lender, after, desk.settings.shard_rows)
            last = LAST if len(rows) < desk.settings.shard_rows else int(rows["account_id"].iloc[-1])
            frame, changed = _said(rows, _values(rows, ended, model, today), model, row, today, bands=bands)
            store.keep_scores(connection, lender, after, last, frame)
            written += store.set_bands(connection, changed)
            accounts += len(rows)
            if last == LAST:
                _record(connection, desk, row, accounts, written)
                return accounts, written
        after = last


def _values(rows: pd.DataFrame, ended: pd.DataFrame, model: Model, today: date) -> dict[str, Any]:
    """What the model looks at, as of today."""
    facts = rows.assign(day=np.datetime64(today, "D").astype(np.int64))
    return watched.values(facts, watched.history(facts, ended), model.usual)


def _said(
    rows: pd.DataFrame, values: dict[str, Any], model: Model, row: Row[Any], today: date, *, bands: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is kept of these accounts, and the accounts whose band becomes another one."""
    chance, share = model.chance(values), model.share(values)
    band = pd.Series(model.bands(chance), dtype="str", index=rows.index)
    ours = (rows["score_band"] == rows["written_band"]).fillna(value=False).to_numpy(dtype=bool)
    theirs = rows["lender_band"].where(ours, rows["score_band"])
    writing = (rows["out"] == 0).to_numpy() if bands else np.zeros(len(rows), dtype=bool)
    written = band.where(writing, rows["score_band"].where(ours))
    frame = pd.DataFrame({
        "account_id": rows["account_id"], "lender": row.lender, "model_id": np.int64(row.model_id),
        "scored_on": pd.Timestamp(today), "chance": chance, "share": share,
        "expected_minor": np.rint(chance * share * rows["balance_minor"].to_numpy()).astype(np.int64), "band": band,
        "written_band": written, "lender_band": theirs.where(written.notna()),
    })  # fmt: skip
    differs = writing & (band != rows["score_band"]).fillna(value=True).to_numpy(dtype=bool)
    changed = rows.loc[differs, ["account_id", "version"]].assign(score_band=band[differs])
    return frame, changed.assign(version=changed["version"] + 1)


def _put_back(desk: Desk, lender: str) -> int:
    with desk.database.write() as connection:
        return store.put_back(connection, lender)


def _record(connection: Connection, desk: Desk, row: Row[Any], accounts: int, written: int) -> None:
    trail.hold(connection)
    details = {"lender": row.lender, "accounts": accounts, "updated": written, "sha256": row.sha256}
    audit.record(connection, desk.actor, "propensity.scored", f"propensity:{row.model_id}", details, desk.now())

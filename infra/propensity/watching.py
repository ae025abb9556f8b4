"""Whether models in use still fit: accounts against those each was made of, chances against what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from infra import exceptions
from infra.propensity import switching
from infra.propensity.versions import find, require_on, sampled
from infra.store import propensity as store
from models.propensity import drift, watched
from models.propensity.parameters import standard

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk

CODE: Final = "propensity_drift"


@dataclass(frozen=True)
class Drift:
    """How a lender's model stands. facts: models.propensity.drift.stability; months: by_month, of placements since."""

    lender: str
    model_id: int
    as_of: date
    facts: pd.DataFrame
    months: pd.DataFrame

    @property
    def warns(self) -> bool:
        """Whether a person should look."""
        return self.moved + self.off > 0

    @property
    def moved(self) -> int:
        """How many facts are of another population."""
        return int((self.facts["state"] == drift.WARN).sum())

    @property
    def off(self) -> int:
        """In how many months the chances did not come true."""
        return int((self.months["state"] == drift.WARN).sum())


@dataclass(frozen=True)
class Watched:
    """What one look at all models in use did."""

    models: int = 0
    warned: int = 0
    opened: int = 0
    resolved: int = 0


def look(desk: Desk, lender: str, model_id: int | None = None) -> Drift:
    """How the lender's model in use (or the one named) stands today. Raises SwitchedOff, UsageError, NumbersAltered.

    Facts: of the open accounts that no agency has, which are those to be placed next. Months: of placements later than
    all that the model was made of, which were watched for the whole horizon.
    """
    require_on(desk)
    parameters, today = standard(), desk.today()
    with desk.database.read() as connection:
        row, model = find(connection, lender, model_id)
        known = store.placed(connection, lender, today)
        waiting = _waiting(connection, lender, desk)
    values = watched.values(waiting, watched.history(waiting, known.ended), model.usual)
    # in the model's own usual balance, or its chances would be another model's
    sample = sampled(known, today, model.horizon_days, usual=model.usual)
    later = sample.only(sample.day > np.datetime64(row.last_placed_on, "D").astype(np.int64))
    month = later.day.astype("datetime64[D]").astype("datetime64[M]").astype(str).astype(object)
    months = drift.by_month(model.chance(later.values), later.paid, month, parameters)
    return Drift(lender, int(row.model_id), today, drift.stability(model, values, parameters), months)


def _waiting(connection: Connection, lender: str, desk: Desk) -> pd.DataFrame:
    """The open accounts that no agency has, as models.propensity.watched takes them."""
    day, after, parts = np.datetime64(desk.today(), "D").astype(np.int64), 0, []
    while True:
        rows = store.accounts(connection, lender, after, desk.settings.shard_rows)
        parts.append(rows[rows["out"] == 0].drop(columns=["score_band", "written_band", "lender_band"]))
        if len(rows) < desk.settings.shard_rows:
            return pd.concat(parts, ignore_index=True).assign(day=day)
        after = int(rows["account_id"].iloc[-1])


def watch(desk: Desk) -> Watched:
    """An exception is open for each model in use that no longer fits, and for no other. Safe to run again."""
    if switching.switched(desk) == "off":
        return Watched()
    with desk.database.read() as connection:
        lenders = store.lenders_with_one(connection)
    found = [look(desk, lender) for lender in lenders]
    warned = [
        exceptions.Subject(
            f"propensity:{one.model_id}", lender=one.lender,
            detail={"as_of": str(one.as_of), "fields": one.moved, "count": one.off},
        )
        for one in found
        if one.warns
    ]  # fmt: skip
    with desk.database.write() as connection:
        changed = exceptions.watched(connection, desk, CODE, warned, "fits again, or is not in use")
    return Watched(len(found), len(warned), changed.opened, changed.resolved)

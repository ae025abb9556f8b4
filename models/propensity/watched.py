"""From the store's placements to what a model is made of: what came within the horizon, and what had come before.

Everything is as it was known at the placement: facts of the account as the placement has them, and of what came before
only what belongs to placements that had ended by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.money import exponent
from models.propensity.fitting import Monitored, Sample
from models.scoring.recoveries import COUNTED, DIRECT, classed, clock, days_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import numpy.typing as npt

    from models.scoring.parameters import Parameters as Scoring

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

ROUNDS: Final = 3
"""The third placement and later ones are one."""
MONTH_DAYS: Final = 30.4375
LONG: Final = 1 << 20
"""More than any day's number: keeps debtor and day apart in one number."""


def values(rows: pd.DataFrame, before: pd.DataFrame, usual: Mapping[str, float]) -> dict[str, npt.NDArray[Any]]:
    """Per fact of models.propensity.facts.FACTS one value per row.

    rows: `debtor_id currency product round balance_minor dpd original_minor opened_on day`, the day being the number of
    the placement's day, or of today for an account that is not placed. before: `history` of the same rows. A currency
    without a usual balance has an unknown balance.
    """
    balance = rows["balance_minor"].to_numpy(dtype=np.float64)
    original = rows["original_minor"].to_numpy(dtype=np.float64, na_value=np.nan)
    opened = days_of(rows["opened_on"])
    day = rows["day"].to_numpy(dtype=np.int64)
    months = np.where(opened >= 0, (day - opened) / MONTH_DAYS, np.nan)
    return {
        "balance": log_balance(rows["balance_minor"], rows["currency"]) - _usual(rows["currency"], usual),
        "dpd": rows["dpd"].to_numpy(dtype=np.float64),
        "share_owed": np.divide(balance, original, out=np.full(len(rows), np.nan), where=original > 0),
        "months_open": np.where(months >= 0, months, np.nan),
        "product": rows["product"].fillna("").to_numpy(dtype=object),
        "round": _rounds(rows["round"].to_numpy(dtype=np.int64)),
        "past_payments": before["payments"].to_numpy(dtype=np.float64),
        "days_since_payment": before["days_since"].to_numpy(dtype=np.float64),
        "past_contacts": before["contacts"].to_numpy(dtype=np.float64),
        "past_reached": before["reached"].to_numpy(dtype=np.float64),
    }


def _rounds(rounds: Ints) -> npt.NDArray[Any]:
    names = np.array([*(str(number) for number in range(1, ROUNDS)), f"{ROUNDS}+"], dtype=object)
    return np.asarray(names[np.clip(rounds, 1, ROUNDS) - 1])


def log_balance(balance_minor: pd.Series[int], currency: pd.Series[str]) -> Floats:
    """The logarithm of what is owed in major units; less than one counts as one."""
    codes, names = pd.factorize(currency)
    units = np.array([10.0 ** exponent(str(name)) for name in names] or [1.0])
    return np.asarray(np.log(np.maximum(balance_minor.to_numpy(dtype=np.float64) / units[codes], 1.0)))


def usual_balances(rows: pd.DataFrame) -> dict[str, float]:
    """Per currency the median of `log_balance`."""
    logs = pd.Series(log_balance(rows["balance_minor"], rows["currency"]))
    return {str(name): round(float(mine.median()), 10) for name, mine in logs.groupby(rows["currency"].to_numpy())}


def _usual(currency: pd.Series[str], usual: Mapping[str, float]) -> Floats:
    codes, names = pd.factorize(currency)
    found: Floats = np.array([usual.get(str(name), np.nan) for name in names] or [np.nan], dtype=np.float64)[codes]
    return found


def history(rows: pd.DataFrame, ended: pd.DataFrame) -> pd.DataFrame:
    """Per row what came of the debtor's placements that had ended by its day.

    Columns: payments, days_since (NaN where nothing was ever paid), contacts, reached (a share; NaN without a contact).

    rows: `debtor_id day`. ended: one row per placement that has ended, `debtor_id ended_on payments last_paid_on
    contacts reached`, counts of what happened while it lasted.
    """
    debtor, day = rows["debtor_id"].to_numpy(dtype=np.int64), rows["day"].to_numpy(dtype=np.int64)
    done = ended.assign(key=ended["debtor_id"].to_numpy(dtype=np.int64) * LONG + days_of(ended["ended_on"]))
    done = done.sort_values("key", kind="stable", ignore_index=True)
    key = done["key"].to_numpy(dtype=np.int64)
    # all of the debtor's that ended on the day before, or earlier
    start, stop = np.searchsorted(key, debtor * LONG), np.searchsorted(key, debtor * LONG + day)
    sums = {
        name: _sums(done[name].to_numpy(dtype=np.float64))[stop] - _sums(done[name].to_numpy(dtype=np.float64))[start]
        for name in ("payments", "contacts", "reached")
    }
    contacts = sums["contacts"]
    last = _latest(done, start, stop)
    return pd.DataFrame({
        "payments": sums["payments"],
        "days_since": np.where(last >= 0, np.maximum(day - last, 0), np.nan),
        "contacts": contacts,
        "reached": np.divide(sums["reached"], contacts, out=np.full(len(rows), np.nan), where=contacts > 0),
    })  # fmt: skip


def _sums(counts: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(counts)])


def _latest(done: pd.DataFrame, start: Ints, stop: Ints) -> Ints:
    """The latest day of payment among the debtor's placements from `start` to before `stop`; -1 where there is none."""
    paid = days_of(done["last_paid_on"])
    # a running maximum per debtor, in the order in which placements ended
    running = pd.Series(paid).groupby(done["debtor_id"].to_numpy()).cummax().to_numpy(dtype=np.int64)
    return np.where(stop > start, running[np.maximum(stop, 1) - 1], -1) if len(done) else np.full(len(stop), -1)


def outcomes(
    placements: pd.DataFrame, lines: pd.DataFrame, as_of: date, horizon_days: int, scoring: Scoring
) -> pd.DataFrame:
    """What came of each placement that was watched for the whole horizon: `at` (its row), `money_minor`, `paid`.

    placements, lines: as models.scoring.inputs has them. Watched: the agency answered for it so long, by the same clock
    as scores have. Money: what the debtor paid from the settling days on to the agency or to the lender directly,
    less what was reversed in the same time.
    """
    exposed = clock(placements, as_of, scoring).exposed_days
    told = classed(lines, placements, exposed, scoring)
    counts = told["standing"].isin([COUNTED, DIRECT]) & (told["at"] >= 0)
    counts &= (told["day"] >= scoring.settle_days) & (told["day"] < horizon_days)
    money = np.zeros(len(placements), dtype=np.int64)
    np.add.at(money, told.loc[counts, "at"].to_numpy(), told.loc[counts, "gross_minor"].to_numpy(dtype=np.int64))
    at = np.flatnonzero(exposed >= horizon_days)
    return pd.DataFrame({"at": at, "money_minor": money[at], "paid": money[at] > 0})


def sample(
    rows: pd.DataFrame,
    before: pd.DataFrame,
    came: pd.DataFrame,
    monitored: Mapping[str, Monitored],
    usual: Mapping[str, float] | None = None,
) -> Sample:
    """The placements that were watched for the whole horizon, as a model is made of them.

    rows, before, monitored: of all placements; came: `outcomes` of them. usual: what balances are told against,
    instead of these placements' own.
    """
    at = came["at"].to_numpy()
    mine = rows.iloc[at].reset_index(drop=True)
    usual = usual_balances(mine) if usual is None else usual
    # what is owed and what came, in the usual balance of the currency, so that currencies add up
    unit = np.exp(_usual(mine["currency"], usual)) * _units(mine["currency"])
    return Sample(
        values(mine, before.iloc[at].reset_index(drop=True), usual),
        mine["day"].to_numpy(dtype=np.int64),
        mine["debtor_id"].to_numpy(dtype=np.int64),
        came["paid"].to_numpy(dtype=np.float64),
        came["money_minor"].to_numpy(dtype=np.float64) / unit,
        mine["balance_minor"].to_numpy(dtype=np.float64) / unit,
        {name: Monitored(one.names, one.code[at]) for name, one in monitored.items()},
        usual,
    )


def _units(currency: pd.Series[str]) -> Floats:
    codes, names = pd.factorize(currency)
    found: Floats = np.array([10.0 ** exponent(str(name)) for name in names] or [1.0])[codes]
    return found

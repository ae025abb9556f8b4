"""Versions of a lender's model: made, proposed, approved by a second person, superseded or withdrawn.

The audit trail holds the hash of a version's numbers: a version whose numbers are others than were made is not used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra import audit, roles
from infra.propensity import switching
from infra.store import bulk, trail
from infra.store import propensity as store
from models.errors import ConfigurationError, RefusedByPolicy, UsageError
from models.lives import PROPENSITY_MODEL, moved
from models.propensity import watched
from models.propensity.facts import FACTS
from models.propensity.fitting import Made, Monitored, Sample, make
from models.propensity.model import Model, from_json
from models.propensity.parameters import standard
from models.scoring.parameters import standard as scoring

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.store.propensity import Placed
    from infra.wiring import Desk

SEED: Final = 20261122
"""Of the bags that debtors are drawn in: the same seed, the same model."""
PROVINCE_DIGITS: Final = 2
"""Of a division code: enough for a group that is monitored."""
AGE_BAND_COLUMNS: Final = ("account_id", "age_band")
EPOCH: Final = date(1970, 1, 1)


class SwitchedOff(ConfigurationError):
    """Nobody has switched models on, or the setting `propensity` is off."""


class NumbersAltered(RefusedByPolicy):
    """The numbers that are kept are not those that were made. The model says nothing any more."""


@dataclass(frozen=True)
class Version:
    """One version as people see it."""

    model_id: int
    lender: str
    state: str
    horizon_days: int
    as_of: date
    placements: int
    first_placed_on: date
    last_placed_on: date
    auc: float
    ece: float
    brier: float
    observed_over_foretold: float
    facts: tuple[str, ...]
    made_by: str
    approved_by: str | None
    sha256: str
    fresh: bool = True
    """false: it had been made of the very same before"""


def require_on(desk: Desk) -> None:
    """Nothing, where models are switched on. Raises SwitchedOff."""
    if switching.switched(desk) == "off":
        raise SwitchedOff(
            "models of who pays are switched off",
            fix="propose that they be used (Who pays, or `consign propensity use`), and have compliance approve it",
        )


def fit(
    desk: Desk,
    lender: str,
    *,
    horizon_days: int | None = None,
    as_of: date | None = None,
    seed: int = SEED,
    without: Collection[str] = (),
    age_bands: Path | None = None,
    dry_run: bool = False,
) -> Version:
    """A model of the lender's placements waits for a second person; made of the very same, it is the one there was.

    without: facts that it shall not look at. age_bands: a CSV of `account_id,age_band`, which compliance has released
    for monitoring alone; sums over it are kept, the file is not.
    Raises SwitchedOff, UsageError, TooLittle, ProtectedFact.
    """
    require_on(desk)
    parameters = standard()
    facts = _chosen(without)
    day = as_of or desk.today()
    if day > desk.today():
        raise UsageError(f"{day} has not come yet", fix="fit as of today or earlier")
    horizon = horizon_days or parameters.horizon_days
    with desk.database.read() as connection:
        known = store.placed(connection, lender, day)
        monitored = _monitored(connection, known, age_bands)
    sample = sampled(known, day, horizon, monitored)
    digest = _digest(sample, [fact.name for fact in facts])
    made = make(sample, facts, horizon, seed, parameters)
    return _kept(desk, made, lender, day, digest, seed, sample, dry_run=dry_run)


def sampled(
    known: Placed,
    day: date,
    horizon_days: int,
    monitored: Mapping[str, Monitored] | None = None,
    usual: Mapping[str, float] | None = None,
) -> Sample:
    """The lender's placements that were watched for the whole horizon, with what came of them.

    usual: balances are told against those, instead of against the placements' own.
    """
    came = watched.outcomes(known.placements, known.lines, day, horizon_days, scoring())
    before = watched.history(known.accounts, known.ended)
    return watched.sample(known.accounts, before, came, monitored or {}, usual)


def approve(desk: Desk, model_id: int) -> Version:
    """The version is in use from now on, and the one before it no more.

    Raises SwitchedOff, RoleMissing, RefusedByPolicy for whoever made it, NumbersAltered, UsageError.
    """
    require_on(desk)
    with desk.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, desk, "portfolio_manager")
        row = _row(connection, model_id)
        if row.made_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} made model {model_id}, and cannot approve it", fix="let a second person look at it"
            )
        state = moved(f"propensity model {model_id}", row.state, "in_use", PROPENSITY_MODEL)
        read(connection, row)
        now = desk.now()
        before = store.in_use(connection, row.lender)
        if before is not None:
            gone = moved(f"propensity model {before.model_id}", before.state, "superseded", PROPENSITY_MODEL)
            store.note(connection, before.model_id, state=gone, ended_at=now)
            _record(connection, desk, "superseded", before)
        event = _record(connection, desk, "approved", row)
        store.note(connection, model_id, state=state, approved_by=desk.actor, approved_at=now, audit_seq=event)
        return told(_row(connection, model_id), fresh=False)


def withdraw(desk: Desk, model_id: int, reason: str) -> Version:
    """The version says nothing any more, and the lender's own bands stand in the accounts again.

    One person is enough, for it can only stop things: a portfolio manager, or for a proposal whoever made it. Raises
    RoleMissing, UsageError for a reason that says nothing.
    """
    if not reason.strip() or not audit.TEXT.fullmatch(reason):
        raise UsageError("withdrawing needs a reason, in up to 200 ASCII characters", fix='--reason "why"')
    with desk.database.write() as connection:
        trail.hold(connection)
        row = _row(connection, model_id)
        if row.state != "proposed" or row.made_by != desk.actor:
            roles.require(connection, desk, "portfolio_manager")
        state = moved(f"propensity model {model_id}", row.state, "withdrawn", PROPENSITY_MODEL)
        if row.state == "in_use":
            store.put_back(connection, row.lender)
            store.forget_scores(connection, row.lender)
        _record(connection, desk, "withdrawn", row, reason=reason)
        store.note(connection, model_id, state=state, withdrawn_by=desk.actor, reason=reason, ended_at=desk.now())
        return told(_row(connection, model_id), fresh=False)


def listed(desk: Desk, lender: str | None = None) -> list[Version]:
    """Every version of the lender, or of all, the newest first."""
    with desk.database.read() as connection:
        return [told(row, fresh=False) for row in store.versions(connection, lender)]


def read(connection: Connection, row: Row[Any]) -> Model:
    """The version's model, once its numbers are those that the audit trail knows. Raises NumbersAltered."""
    event = trail.event(connection, row.audit_seq)
    known = event is not None and event.subject == _subject(row.model_id) and json.loads(event.details)["sha256"]
    if known != row.sha256 or hashlib.sha256(row.numbers.encode()).hexdigest() != row.sha256:
        raise NumbersAltered(
            f"the numbers of propensity model {row.model_id} are not those that were made",
            fix="somebody changed the store: `consign audit verify`; then fit the model again",
        )
    return from_json(row.numbers)


def find(connection: Connection, lender: str, model_id: int | None = None) -> tuple[Row[Any], Model]:
    """The lender's version in use, or the one of that number. Raises UsageError, NumbersAltered."""
    if model_id is not None:
        row = _row(connection, model_id)
        if row.lender != lender:
            raise UsageError(f"model {model_id} is {row.lender}'s", fix="`consign propensity list` shows all models")
        return row, read(connection, row)
    used = store.in_use(connection, lender)
    if used is None:
        raise UsageError(
            f"no model of {lender} is in use",
            fix=f"`consign propensity fit {lender}` makes one; a second person approves it",
        )
    return used, read(connection, used)


def named(connection: Connection, model_id: int) -> tuple[Row[Any], Model]:
    """The version of that number, whatever became of it. Raises UsageError, NumbersAltered."""
    row = _row(connection, model_id)
    return row, read(connection, row)


def told(row: Row[Any], *, fresh: bool) -> Version:
    """The version as people see it."""
    measured = json.loads(row.measured)
    chance = measured["chance"]
    return Version(
        row.model_id, row.lender, row.state, row.horizon_days, row.as_of, row.placements, row.first_placed_on,
        row.last_placed_on, round(chance["auc"]["value"], 4), round(chance["ece"], 4),
        round(chance["brier"]["value"], 4), round(chance["observed_over_foretold"]["value"], 4),
        tuple(measured["facts"]), row.made_by, row.approved_by, row.sha256, fresh,
    )  # fmt: skip


def region_groups(region: pd.Series[str]) -> Monitored:
    """Regions as groups: the province of a division code, else the state as it is told."""
    texts = region.fillna("").astype(str)
    short = texts.where(~texts.str.isdecimal(), texts.str[:PROVINCE_DIGITS])
    return _grouped(short)


def _chosen(without: Collection[str]) -> list[Any]:
    names = [fact.name for fact in FACTS]
    if unknown := sorted(set(without) - set(names)):
        raise UsageError(f"there is no fact {', '.join(unknown)}", fix=f"there are {', '.join(names)}")
    return [fact for fact in FACTS if fact.name not in without]


def _monitored(connection: Connection, known: Placed, age_bands: Path | None) -> dict[str, Monitored]:
    found = {"region": region_groups(known.accounts["region"])}
    if age_bands is not None:
        found["age_band"] = _age_bands(connection, known, age_bands)
    return found


def _age_bands(connection: Connection, known: Placed, path: Path) -> Monitored:
    """The released age band of each placement's account."""
    try:
        released = pd.read_csv(path, dtype={"account_id": "int64", "age_band": "str"}, encoding="utf-8")
    except (OSError, ValueError) as broken:
        raise UsageError(f"{path.name} cannot be read: {type(broken).__name__}", fix=_age_band_fix()) from None
    if list(released.columns) != list(AGE_BAND_COLUMNS) or released["account_id"].duplicated().any():
        raise UsageError(f"{path.name} is no list of age bands", fix=_age_band_fix())
    accounts = store.accounts_of_placements(connection, known.placements["placement_id"])
    return _grouped(accounts.map(released.set_index("account_id")["age_band"]).fillna(""))


def _age_band_fix() -> str:
    return f"a CSV in UTF-8 with the columns {', '.join(AGE_BAND_COLUMNS)}, each account once"


def _grouped(texts: pd.Series[str]) -> Monitored:
    code, names = pd.factorize(texts.mask(texts == ""), sort=True)
    return Monitored(tuple(str(name) for name in names), code.astype(np.int64))


def _digest(sample: Sample, facts: Sequence[str]) -> str:
    """A digest of every value that a model is made of, in the order of the placements."""
    digest = hashlib.sha256(json.dumps([*facts, sorted(sample.usual.items())]).encode())
    for name in facts:
        digest.update(pd.util.hash_array(sample.values[name]).tobytes())
    for column in (sample.day, sample.debtor, sample.paid, sample.money, sample.balance):
        digest.update(np.ascontiguousarray(column).tobytes())
    for name, groups in sorted(sample.monitored.items()):
        digest.update(json.dumps([name, groups.names]).encode() + np.ascontiguousarray(groups.code).tobytes())
    return digest.hexdigest()


def _kept(
    desk: Desk, made: Made, lender: str, day: date, digest: str, seed: int, sample: Sample, *, dry_run: bool
) -> Version:
    numbers = made.model.json()
    measured = made.measured | {"facts": list(made.model.facts)}
    columns: dict[str, Any] = {
        "lender": lender, "state": "proposed", "horizon_days": made.model.horizon_days, "as_of": day,
        "first_placed_on": EPOCH + timedelta(days=int(sample.day.min())),
        "last_placed_on": EPOCH + timedelta(days=int(sample.day.max())), "placements": len(sample.day),
        "version": made.model.version, "seed": seed, "inputs_sha256": digest, "numbers": numbers,
        "sha256": made.model.sha256(), "measured": json.dumps(measured, sort_keys=True, allow_nan=False),
        "made_by": desk.actor, "made_at": desk.now(), "approved_by": None,
    }  # fmt: skip
    if dry_run:
        return told(_Row(model_id=0, **columns), fresh=True)  # type: ignore[arg-type]  # has a row's columns
    with desk.database.write() as connection:
        trail.hold(connection)
        there = store.same(connection, lender, digest, made.model.horizon_days, seed, made.model.version)
        if there is not None:
            return told(_row(connection, there), fresh=False)
        model_id = bulk.reserve(connection, "propensity_model", 1)
        details = {"sha256": columns["sha256"], "lender": lender, "placements": columns["placements"]}
        event = audit.record(connection, desk.actor, "propensity.proposed", _subject(model_id), details, desk.now())
        store.add(connection, model_id=model_id, audit_seq=event.seq, **columns)
        return told(_row(connection, model_id), fresh=True)


class _Row:
    """A version that is not kept, with a row's columns."""

    def __init__(self, **columns: Any) -> None:
        self.__dict__.update(columns)


def _row(connection: Connection, model_id: int) -> Row[Any]:
    row = store.model(connection, model_id)
    if row is None:
        raise UsageError(f"there is no propensity model {model_id}", fix="`consign propensity list` shows all models")
    return row


def _record(connection: Connection, desk: Desk, what: str, row: Row[Any], **more: str) -> int:
    """The event, which says what the numbers are. Returns its number."""
    details = {"sha256": row.sha256, "lender": row.lender, **more}
    return audit.record(connection, desk.actor, f"propensity.{what}", _subject(row.model_id), details, desk.now()).seq


def _subject(model_id: int) -> str:
    return f"propensity:{model_id}"

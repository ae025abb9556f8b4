"""Conduct in the store: what an audit reads, the breaches it found, and how they ended.

A breach is a row under a unique key (pack, rule, evidence): finding it again changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    and_,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from infra.store import bulk
from models.errors import UsageError
from models.lives import BREACH, moved
from models.tables import (
    Account,
    Activity,
    Agency,
    AuditedFile,
    Breach,
    ConductRun,
    Hold,
    InboundFile,
    Lender,
    Placement,
    Recall,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ACCOUNTS, ACTIVITY, AGENCIES = bulk.table_of(Account), bulk.table_of(Activity), bulk.table_of(Agency)
AUDITED, BREACHES, RUNS = bulk.table_of(AuditedFile), bulk.table_of(Breach), bulk.table_of(ConductRun)
FILES, HOLDS, LENDERS = bulk.table_of(InboundFile), bulk.table_of(Hold), bulk.table_of(Lender)
PLACEMENTS, RECALLS = bulk.table_of(Placement), bulk.table_of(Recall)
LINES, SENT = bulk.table_of(RemittanceLine), bulk.table_of(Transmission)

STANDING: Final = ("open", "upheld")
"""States of a breach that count."""
SINCE_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
ENDED_DAYS: Final = 14
"""A return that is dated further back is seen by `consign conduct run --all` alone."""


@dataclass(frozen=True)
class Audited:
    """A lender as its packs see it."""

    lender: str
    country: str
    timezone: str
    packs: tuple[str, ...]
    """as set; empty: by the country"""


@dataclass(frozen=True)
class Part:
    """The debtors of one lender at one agency whose contacts are judged, and from when on.

    debtors: `debtor_id` (rising), `since` (datetime64[us, UTC]).
    """

    lender: str
    agency: str
    mandate: str
    debtors: pd.DataFrame


def lenders(connection: Connection) -> list[Audited]:
    """Every lender, in order."""
    rows = connection.execute(
        select(LENDERS.c.lender, LENDERS.c.country, LENDERS.c.timezone, LENDERS.c.rule_packs).order_by(LENDERS.c.lender)
    )
    return [
        Audited(row.lender, row.country, row.timezone, tuple(filter(None, row.rule_packs.split(",")))) for row in rows
    ]


def use_packs(connection: Connection, lender: str, packs: Sequence[str]) -> None:
    """The lender is audited by these packs from now on; by its country's where there are none. Raises UsageError."""
    done = connection.execute(update(LENDERS).where(LENDERS.c.lender == lender).values(rule_packs=",".join(packs)))
    if not done.rowcount:
        raise UsageError(f"there is no lender {lender!r}", fix="`consign portfolio lender list` shows them")


def last_run(connection: Connection) -> dict[str, Any] | None:
    """The newest run, its JSON read; None before the first."""
    row = connection.execute(select(RUNS).order_by(RUNS.c.run_id.desc()).limit(1)).mappings().first()
    return None if row is None else _run(dict(row))


def runs(connection: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """The newest runs first."""
    rows = connection.execute(select(RUNS).order_by(RUNS.c.run_id.desc()).limit(limit)).mappings()
    return [_run(dict(row)) for row in rows]


def _run(row: dict[str, Any]) -> dict[str, Any]:
    at = row["at"]
    return row | {
        "at": at if at.tzinfo else at.replace(tzinfo=UTC), "summary": json.loads(row["summary"]),
        "packs": json.loads(row["packs"]),
    }  # fmt: skip


# -- what an audit reads -----------------------------------------------------------------------------------------------


def _unread() -> ColumnElement[bool]:
    return and_(
        FILES.c.kind == "activity", FILES.c.state == "accepted",
        ~exists().where(AUDITED.c.file_id == FILES.c.file_id),
    )  # fmt: skip


def unread_files(connection: Connection) -> list[int]:
    """Accepted activity files that no audit has read, in order."""
    return list(connection.execute(select(FILES.c.file_id).where(_unread()).order_by(FILES.c.file_id)).scalars())


def refused_since(connection: Connection) -> list[int]:
    """Files that were audited and no longer count."""
    return list(
        connection.execute(
            select(AUDITED.c.file_id)
            .join(FILES, FILES.c.file_id == AUDITED.c.file_id, isouter=True)
            .where(or_(FILES.c.state.is_(None), FILES.c.state != "accepted"))
        ).scalars()
    )


def parts(
    connection: Connection, lender: str, since: datetime | None, rows: int, partners: pd.DataFrame
) -> Iterator[Part]:
    """The debtors whose verdicts may differ from the last run's (since; None: every debtor), so many at a time.

    partners: who is the same person at other lenders (models.consolidation.PARTNERS): what is new there counts too.
    """
    asked = _of_new_files(lender, everything=since is None)
    for agency, mandate in connection.execute(
        select(AGENCIES.c.agency, AGENCIES.c.channels).order_by(AGENCIES.c.agency)
    ).all():
        found = [bulk.read(connection, asked.where(PLACEMENTS.c.agency == agency))]
        if since is not None:
            found += [
                bulk.read(connection, statement).assign(since=pd.Timestamp(SINCE_EVER).as_unit("us"))
                for statement in (_newly_recalled(lender, agency, since), _newly_ended(lender, agency, since))
            ]
            found.append(_newly_contacted(connection, str(agency), partners))
        debtors = pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)
        debtors = debtors.groupby("debtor_id")["since"].min().reset_index()
        for first in range(0, len(debtors), rows):
            part = debtors.iloc[first : first + rows].reset_index(drop=True)
            yield Part(lender, str(agency), str(mandate), part)


def _of_new_files(lender: str, *, everything: bool) -> Any:
    counts = FILES.c.state == "accepted" if everything else _unread()
    return (
        select(PLACEMENTS.c.debtor_id, func.min(ACTIVITY.c.at).label("since"))
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITY.c.placement_id)
        .join(FILES, FILES.c.file_id == ACTIVITY.c.file_id)
        .where(PLACEMENTS.c.lender == lender, counts)
        .group_by(PLACEMENTS.c.debtor_id)
    )


def _newly_contacted(connection: Connection, agency: str, partners: pd.DataFrame) -> pd.DataFrame:
    """`debtor_id`, `since`: debtors whom the agency has newly contacted about another lender's account."""
    if partners.empty:
        return pd.DataFrame({"debtor_id": pd.Series(dtype="int64"), "since": pd.Series(dtype="datetime64[us, UTC]")})
    others = partners[["other_id"]].rename(columns={"other_id": "debtor_id"}).drop_duplicates()
    with bulk.staged(connection, PLACEMENTS, others) as stage:
        found = bulk.read(
            connection,
            select(PLACEMENTS.c.debtor_id, func.min(ACTIVITY.c.at).label("since"))
            .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITY.c.placement_id)
            .join(FILES, FILES.c.file_id == ACTIVITY.c.file_id)
            .where(PLACEMENTS.c.debtor_id.in_(select(stage.c.debtor_id)), PLACEMENTS.c.agency == agency, _unread())
            .group_by(PLACEMENTS.c.debtor_id),
        )
    mine = partners[["debtor_id", "other_id"]].merge(found.rename(columns={"debtor_id": "other_id"}), on="other_id")
    return mine[["debtor_id", "since"]]


def elsewhere(
    connection: Connection, part: Part, partners: pd.DataFrame, zone: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The agency's contacts with the part's debtors about other lenders' accounts, and their placements.

    Both as `contacts` and `placements` give them, under the part's own debtors; contacts from the day on which both
    lenders' bases count.
    """
    theirs = partners[partners["debtor_id"].isin(part.debtors["debtor_id"])]
    frames, placed = [], []
    for lender, group in theirs.groupby("other_lender"):
        debtors = group[["other_id"]].rename(columns={"other_id": "debtor_id"}).drop_duplicates()
        other = Part(str(lender), part.agency, part.mandate, debtors)
        found = placements(connection, other, zone)
        if found.empty:
            continue
        told = contacts(connection, other, found)
        own = group.rename(columns={"debtor_id": "own_id", "other_id": "debtor_id"})[["debtor_id", "own_id", "since"]]
        placed.append(found)
        told = told.merge(own, on="debtor_id")
        begun = told["at"] >= told["since"].dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
        frames.append(told[begun].assign(debtor_id=told["own_id"]).drop(columns=["own_id", "since"]))
    if not frames:
        return pd.DataFrame(), pd.DataFrame()
    return pd.concat(frames, ignore_index=True), pd.concat(placed, ignore_index=True)


def _newly_recalled(lender: str, agency: str, since: datetime) -> Any:
    """Recalls of which we have learnt since then that the agency knows them."""
    return (
        select(PLACEMENTS.c.debtor_id)
        .join(RECALLS, RECALLS.c.placement_id == PLACEMENTS.c.placement_id)
        .join(SENT, SENT.c.transmission_id == RECALLS.c.transmission_id)
        .where(
            PLACEMENTS.c.lender == lender,
            PLACEMENTS.c.agency == agency,
            or_(SENT.c.delivered_at >= since, SENT.c.acknowledged_at >= since),
        )
    )


def _newly_ended(lender: str, agency: str, since: datetime) -> Any:
    """Placements that have ended lately, where the agency has returned something since then."""
    returned = exists().where(
        FILES.c.agency == agency, FILES.c.kind.in_(("return", "acknowledgement")), FILES.c.accepted_at >= since
    )
    return select(PLACEMENTS.c.debtor_id).where(
        PLACEMENTS.c.lender == lender,
        PLACEMENTS.c.agency == agency,
        PLACEMENTS.c.ended_on >= (pd.Timestamp(since) - pd.Timedelta(days=ENDED_DAYS)).date(),
        returned,
    )


def contacts(connection: Connection, part: Part, placed: pd.DataFrame) -> pd.DataFrame:
    """Every contact of the part's debtors that counts, as `models.conduct.counters` takes them.

    placed: the part's `placements`: whose contact it was is looked up there, not once more for every contact.
    """
    names = (
        "file_id", "line", "placement_id", "at", "offset_minutes", "channel", "contact_point_ref", "outcome",
    )  # fmt: skip
    with bulk.staged(connection, PLACEMENTS, placed[["placement_id"]]) as stage:
        found = bulk.read(
            connection,
            select(*(ACTIVITY.c[name] for name in names)).where(
                # no join: SQLite would look through the temporary table, which has no index, for every contact
                ACTIVITY.c.placement_id.in_(select(stage.c.placement_id))
            ),
        )
    files = bulk.read(
        connection,
        select(FILES.c.file_id, case((AUDITED.c.file_id.is_(None), 1), else_=0).label("fresh"))
        .outerjoin(AUDITED, AUDITED.c.file_id == FILES.c.file_id)
        .where(FILES.c.agency == part.agency, FILES.c.kind == "activity", FILES.c.state == "accepted"),
    )
    fresh = found["file_id"].map(files.set_index("file_id")["fresh"])
    found = found.assign(fresh=fresh == 1)[fresh.notna()]
    whose = placed.set_index("placement_id")[["account_id", "debtor_id", "region"]]
    return found.join(whose, on="placement_id").assign(agency=part.agency, mandate=part.mandate)


def placements(connection: Connection, part: Part, zone: str) -> pd.DataFrame:
    """The part's placements, with the instant at which the agency knew of a recall, or of a hold of its own asking."""
    with bulk.staged(connection, PLACEMENTS, part.debtors[["debtor_id"]]) as stage:
        found = bulk.read(
            connection,
            select(
                PLACEMENTS.c.placement_id, PLACEMENTS.c.agency, PLACEMENTS.c.account_id, PLACEMENTS.c.debtor_id,
                PLACEMENTS.c.placed_on, PLACEMENTS.c.ended_on, RECALLS.c.reason.label("recall_reason"),
                func.coalesce(SENT.c.delivered_at, SENT.c.acknowledged_at).label("recalled_at"), ACCOUNTS.c.region,
            )
            .select_from(PLACEMENTS)
            .outerjoin(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
            .outerjoin(RECALLS, RECALLS.c.placement_id == PLACEMENTS.c.placement_id)
            .outerjoin(SENT, SENT.c.transmission_id == RECALLS.c.transmission_id)
            .where(
                PLACEMENTS.c.debtor_id.in_(select(stage.c.debtor_id)),
                PLACEMENTS.c.agency == part.agency, PLACEMENTS.c.lender == part.lender,
                PLACEMENTS.c.state != "planned",
            ),
        )  # fmt: skip
        held = bulk.read(
            connection,
            select(HOLDS.c.debtor_id, HOLDS.c.reason, HOLDS.c.since).where(
                HOLDS.c.debtor_id.in_(select(stage.c.debtor_id)),
                HOLDS.c.placed_by == part.agency,
                HOLDS.c.lifted_at.is_(None),
                HOLDS.c.account_id.is_(None),
            ),
        )
    return _with_own_holds(found, held, zone)


def _with_own_holds(found: pd.DataFrame, held: pd.DataFrame, zone: str) -> pd.DataFrame:
    """An agency that asked for a hold itself knew of it at the end of the day from which it counts."""
    if held.empty:
        return found
    first = held.sort_values(["since", "reason"]).drop_duplicates("debtor_id").set_index("debtor_id")
    over = (first["since"] + pd.Timedelta(days=1)).dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    known = found["debtor_id"].map(over.dt.tz_convert(UTC).astype("datetime64[us, UTC]"))
    # a hold of an earlier round says nothing about a later one
    mine = found["placed_on"] <= found["debtor_id"].map(first["since"])
    sooner = known.notna() & mine & (found["recalled_at"].isna() | (known < found["recalled_at"]))
    return found.assign(
        recalled_at=found["recalled_at"].mask(sooner, known),
        recall_reason=found["recall_reason"].mask(sooner, found["debtor_id"].map(first["reason"])),
    )


# -- missing records ---------------------------------------------------------------------------------------------------


def first_contacts(
    connection: Connection, lender: str, placed_after: date | None, placed_until: date, zone: str
) -> pd.DataFrame:
    """Placements made in that time, each with the day of its first contact: what `silent_accounts` takes."""
    conditions = [
        PLACEMENTS.c.lender == lender, PLACEMENTS.c.state != "planned", PLACEMENTS.c.placed_on <= placed_until
    ]  # fmt: skip
    if placed_after is not None:
        conditions.append(PLACEMENTS.c.placed_on > placed_after)
    return _with_first(bulk.read(connection, _placed_with_first().where(*conditions)), zone)


def first_contacts_of(connection: Connection, placement_ids: pd.Series, zone: str) -> pd.DataFrame:
    """The same, of these placements."""
    wanted = placement_ids.drop_duplicates().astype("int64").to_frame("placement_id")
    with bulk.staged(connection, PLACEMENTS, wanted) as stage:
        statement = _placed_with_first().join(stage, stage.c.placement_id == PLACEMENTS.c.placement_id)
        return _with_first(bulk.read(connection, statement), zone)


def _placed_with_first() -> Any:
    first = (
        select(func.min(ACTIVITY.c.at))
        .join(FILES, FILES.c.file_id == ACTIVITY.c.file_id)
        .where(ACTIVITY.c.placement_id == PLACEMENTS.c.placement_id, FILES.c.state == "accepted")
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )
    return select(
        PLACEMENTS.c.placement_id, PLACEMENTS.c.agency, PLACEMENTS.c.debtor_id, PLACEMENTS.c.placed_on,
        PLACEMENTS.c.ended_on, first.label("first_at"),
    )  # fmt: skip


def _with_first(found: pd.DataFrame, zone: str) -> pd.DataFrame:
    local = found["first_at"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    return found.drop(columns="first_at").assign(first_on=local)


def remitted(connection: Connection, lender: str, after: datetime | None, until: datetime) -> pd.DataFrame:
    """Recoveries whose file was accepted in that time: what `remittances_without_contact` takes."""
    when = [FILES.c.accepted_at <= until] + ([FILES.c.accepted_at > after] if after is not None else [])
    return bulk.read(connection, _remitted(lender).where(*when))


def remitted_lines(connection: Connection, lender: str, breach_ids: pd.DataFrame) -> pd.DataFrame:
    """The same, of the lines that these breaches (file_id, line) speak of."""
    with bulk.staged(connection, LINES, breach_ids[["file_id", "line"]].astype("int64")) as stage:
        return bulk.read(
            connection,
            _remitted(lender).join(stage, and_(stage.c.file_id == LINES.c.file_id, stage.c.line == LINES.c.line)),
        )


def _remitted(lender: str) -> Any:
    reported = FILES.alias("reported")
    first = (
        select(func.min(ACTIVITY.c.at))
        .join(reported, reported.c.file_id == ACTIVITY.c.file_id)
        .where(ACTIVITY.c.placement_id == LINES.c.placement_id, reported.c.state == "accepted")
        .correlate(LINES)
        .scalar_subquery()
    )
    return (
        select(
            LINES.c.file_id, LINES.c.line, LINES.c.agency, LINES.c.placement_id, PLACEMENTS.c.debtor_id,
            LINES.c.value_date, first.label("first_on"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == LINES.c.placement_id)
        .join(FILES, FILES.c.file_id == LINES.c.file_id)
        .where(
            LINES.c.lender == lender, LINES.c.kind == "recovery", LINES.c.state.not_in(("rejected", "duplicate")),
            FILES.c.state == "accepted",
        )
    )  # fmt: skip


def contact_days(connection: Connection, lender: str) -> pd.DataFrame:
    """`lender`, `agency`, `on`: each day (UTC) on which an agency reported a contact."""
    day = type_coerce(func.date(ACTIVITY.c.at), Date).label("on")
    found = bulk.read(
        connection,
        select(ACTIVITY.c.agency, day)
        .join(FILES, FILES.c.file_id == ACTIVITY.c.file_id)
        .where(FILES.c.lender == lender, FILES.c.kind == "activity", FILES.c.state == "accepted")
        .distinct(),
    )
    return found.assign(lender=lender)


def holding(connection: Connection, lender: str) -> pd.DataFrame:
    """`lender`, `agency`, `first`, `last`: when each agency began, and ceased, to hold accounts of the lender."""
    still = func.sum(case((PLACEMENTS.c.ended_on.is_(None), 1), else_=0))
    found = bulk.read(
        connection,
        select(
            PLACEMENTS.c.agency,
            func.min(PLACEMENTS.c.placed_on).label("first"),
            func.max(PLACEMENTS.c.ended_on).label("last"),
            still.label("still"),
        )
        .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state != "planned")
        .group_by(PLACEMENTS.c.agency),
    )
    return found.assign(lender=lender, last=found["last"].mask(found["still"] > 0)).drop(columns="still")


# -- breaches ----------------------------------------------------------------------------------------------------------

KEY: Final = ["pack", "rule_id", "evidence"]


def standing(connection: Connection, lender: str, counters: Sequence[str]) -> pd.DataFrame:
    """Open breaches of these counters: `breach_id`, KEY, `counter`, `file_id`, `line`, `placement_id`."""
    names = ("breach_id", *KEY, "counter", "file_id", "line", "placement_id")
    return bulk.read(
        connection,
        select(*(BREACHES.c[name] for name in names)).where(
            BREACHES.c.lender == lender, BREACHES.c.state == "open", BREACHES.c.counter.in_(counters)
        ),
    )


def keep(connection: Connection, found: pd.DataFrame, run_id: int, at: datetime) -> pd.DataFrame:
    """The breaches are rows, once; those that were taken back are open again. Returns the new ones.

    found: `models.conduct.judging.BREACHES` and `lender`.
    """
    if found.empty:
        return found
    found = found.drop_duplicates(KEY)
    with bulk.staged(connection, BREACHES, found[KEY]) as stage:
        known = bulk.read(
            connection,
            select(BREACHES.c.breach_id, BREACHES.c.state, *(BREACHES.c[name] for name in KEY)).join(
                stage, and_(*(BREACHES.c[name] == stage.c[name] for name in KEY))
            ),
        )
    again = known.loc[known["state"] == "withdrawn", ["breach_id"]]
    bulk.set_columns(connection, BREACHES, again.assign(state="open", reason=None), ["breach_id"])
    there = pd.MultiIndex.from_frame(found[KEY]).isin(pd.MultiIndex.from_frame(known[KEY]))
    new = found[~there].reset_index(drop=True)
    bulk.append(connection, BREACHES, new.assign(run_id=run_id, found_at=pd.Timestamp(at)))
    return new


def known_ids(connection: Connection, keys: pd.DataFrame) -> list[int]:
    """The breaches on record under these keys (KEY)."""
    if keys.empty:
        return []
    with bulk.staged(connection, BREACHES, keys[KEY].drop_duplicates()) as stage:
        statement = select(BREACHES.c.breach_id).join(stage, and_(*(BREACHES.c[name] == stage.c[name] for name in KEY)))
        return bulk.read(connection, statement)["breach_id"].tolist()


def withdraw(connection: Connection, breach_ids: Sequence[int] | pd.Series, reason: str, at: datetime) -> int:
    """Those of the breaches that are open stand no longer. Returns how many."""
    ids = pd.Series(breach_ids, dtype="int64").drop_duplicates()
    if ids.empty:
        return 0
    with bulk.staged(connection, BREACHES, ids.to_frame("breach_id")) as stage:
        return connection.execute(
            update(BREACHES)
            .where(BREACHES.c.breach_id.in_(select(stage.c.breach_id)), BREACHES.c.state == "open")
            .values(state="withdrawn", reason=reason, decided_by="consign", decided_at=at)
        ).rowcount


def withdraw_files(connection: Connection, file_ids: Sequence[int], at: datetime) -> int:
    """What these files were the evidence of stands no longer, whoever had upheld it; they can be audited anew."""
    if not file_ids:
        return 0
    done = connection.execute(
        update(BREACHES)
        .where(BREACHES.c.file_id.in_(file_ids), BREACHES.c.state != "withdrawn")
        .values(state="withdrawn", reason="its file was refused", decided_by="consign", decided_at=at)
    ).rowcount
    connection.execute(AUDITED.delete().where(AUDITED.c.file_id.in_(file_ids)))
    return done


def add_run(connection: Connection, row: Mapping[str, Any], file_ids: Sequence[int]) -> None:
    """The run is on record, and these files are audited."""
    connection.execute(insert(RUNS).values(**row))
    known = set(connection.execute(select(AUDITED.c.file_id)).scalars())
    new = [file_id for file_id in file_ids if file_id not in known]
    bulk.append(connection, AUDITED, pd.DataFrame({"file_id": new, "run_id": row["run_id"]}, dtype="int64"))


def listed(
    connection: Connection,
    *,
    agency: str | None = None,
    rule: str | None = None,
    severity: str | None = None,
    state: str | None = None,
    run_id: int | None = None,
    limit: int = 200,
) -> pd.DataFrame:
    """Breaches, the newest first; withdrawn ones only where asked for."""
    statement = select(BREACHES)
    for column, wanted in (
        (BREACHES.c.agency, agency), (BREACHES.c.rule_id, rule), (BREACHES.c.severity, severity),
        (BREACHES.c.state, state), (BREACHES.c.run_id, run_id),
    ):  # fmt: skip
        if wanted is not None:
            statement = statement.where(column == wanted)
    if state is None:
        statement = statement.where(BREACHES.c.state != "withdrawn")
    return bulk.read(connection, statement.order_by(BREACHES.c.at.desc(), BREACHES.c.breach_id).limit(limit))


def counted(connection: Connection, agency: str | None = None) -> pd.DataFrame:
    """Per agency and rule: clause, severity, how many stand open and upheld, and how many did not."""
    columns = ("agency", "pack", "rule_id", "clause", "severity")
    sums = [
        func.sum(case((BREACHES.c.state == state, 1), else_=0)).label(state)
        for state in ("open", "upheld", "dismissed", "withdrawn")
    ]
    statement = select(*(BREACHES.c[name] for name in columns), *sums)
    if agency is not None:
        statement = statement.where(BREACHES.c.agency == agency)
    groups = [BREACHES.c[name] for name in columns]
    return bulk.read(connection, statement.group_by(*groups).order_by(*groups))


def breach(connection: Connection, breach_id: int) -> dict[str, Any]:
    """The breach with its file's name. Raises UsageError where there is none."""
    row = connection.execute(
        select(BREACHES, FILES.c.name.label("file"), PLACEMENTS.c.account_id)
        .outerjoin(FILES, FILES.c.file_id == BREACHES.c.file_id)
        .outerjoin(PLACEMENTS, PLACEMENTS.c.placement_id == BREACHES.c.placement_id)
        .where(BREACHES.c.breach_id == breach_id)
    ).mappings().first()  # fmt: skip
    if row is None:
        raise UsageError(f"there is no breach {breach_id}", fix="`consign conduct breaches` lists them")
    return dict(row)


def decide(connection: Connection, breach_id: int, there: str, by: str, reason: str, at: datetime) -> None:
    """The breach is upheld or dismissed. Raises UsageError, IllegalMove."""
    row = breach(connection, breach_id)
    moved(f"breach {breach_id}", row["state"], there, BREACH)
    connection.execute(
        update(BREACHES)
        .where(BREACHES.c.breach_id == breach_id)
        .values(state=there, decided_by=by, decided_at=at, reason=reason)
    )

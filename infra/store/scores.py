"""Scores in the store: what one is drawn from, and the runs that were made.

A run is named by its inputs, model, seed and day: scoring the same again finds the run that is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)

from infra.store.bulk import append, read, reserve, table_of
from models.scoring.inputs import CONDUCT, CONTACTS, LINES, PLACEMENTS, Inputs
from models.scoring.recoveries import IN_BREAK
from models.tables import (
    Account,
    Activity,
    Agency,
    Breach,
    Break,
    Complaint,
    Erasure,
    ExchangeException,
    InboundFile,
    InvoiceLine,
    Placement,
    Recall,
    RemittanceLine,
    Score,
    ScoreRun,
    Transmission,
)

if TYPE_CHECKING:
    from sqlalchemy import Table

    from models.scoring.assessment import Assessment

NO_MONEY = ("rejected", "duplicate")
"""States of a remittance line that are no recovery at all."""

APART = "\x1f"
"""Between texts that are read as one: the unit separator, which is in no code or name of ours."""

PLACEMENT, ACCOUNT, LINE = table_of(Placement), table_of(Account), table_of(RemittanceLine)
RECALL, ERASURE, ACTIVITY = table_of(Recall), table_of(Erasure), table_of(Activity)
RUN, SCORE = table_of(ScoreRun), table_of(Score)
COMPONENT_COLUMNS = [
    "agency", "component", "segment", "value", "low", "high", "expected", "actual", "weight", "note",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One scoring as it was kept. `components`: one row per figure, COMPONENT_COLUMNS; `names`: of the agencies."""

    run_id: int
    lender: str | None
    as_of: date
    model_version: str
    seed: int
    inputs_sha256: str
    made_at: datetime
    summary: dict[str, Any]
    components: pd.DataFrame
    names: dict[str, str]


def inputs(connection: Connection, lender: str | None, as_of: date, acknowledge_days: int) -> Inputs:
    """What a score of the day is drawn from: one lender's placements, or everybody's."""
    return Inputs(
        _placements(connection, lender, as_of),
        _lines(connection, lender, as_of),
        _conduct(connection, lender, as_of, acknowledge_days),
        _contacts(connection, lender, as_of),
    )


def find(
    connection: Connection, lender: str | None, as_of: date, model_version: str, seed: int, inputs_sha256: str
) -> int | None:
    """The run of that name, if there is one."""
    statement = select(func.min(RUN.c.run_id)).where(
        RUN.c.lender.is_(None) if lender is None else RUN.c.lender == lender,
        RUN.c.as_of == as_of,
        RUN.c.model_version == model_version,
        RUN.c.seed == seed,
        RUN.c.inputs_sha256 == inputs_sha256,
    )
    found = connection.execute(statement).scalar_one()
    return None if found is None else int(found)


def keep(
    connection: Connection,
    lender: str | None,
    as_of: date,
    model_version: str,
    seed: int,
    inputs_sha256: str,
    assessment: Assessment,
    made_at: datetime,
) -> int:
    """The id of the run with its scores, written now unless somebody was faster."""
    # the counter's row is held until the commit, so two who score the same come here one after the other
    run_id = reserve(connection, "score_run", 1)
    there = find(connection, lender, as_of, model_version, seed, inputs_sha256)
    if there is not None:
        return there
    row = ScoreRun(
        run_id=run_id,
        lender=lender,
        as_of=as_of,
        model_version=model_version,
        seed=seed,
        inputs_sha256=inputs_sha256,
        placements=sum(told["placements"] for told in assessment.summary["agencies"].values()),
        made_at=made_at,
        summary=json.dumps(assessment.summary, ensure_ascii=False, sort_keys=True, allow_nan=False),
    )
    connection.execute(RUN.insert().values(row.model_dump()))
    frame = pd.DataFrame([vars(component) for component in assessment.components], columns=COMPONENT_COLUMNS)
    texts = ["agency", "component", "segment", "note"]
    numbers = [name for name in COMPONENT_COLUMNS if name not in texts]
    frame = frame.astype(dict.fromkeys(texts, "str") | dict.fromkeys(numbers, "float64"))
    append(connection, Score, frame.assign(run_id=run_id))
    return run_id


def load(connection: Connection, run_id: int) -> Run | None:
    """The run and its scores; None where there is no such run."""
    row = connection.execute(select(RUN).where(RUN.c.run_id == run_id)).mappings().first()
    if row is None:
        return None
    scores = read(
        connection,
        select(*(SCORE.c[name] for name in COMPONENT_COLUMNS))
        .where(SCORE.c.run_id == run_id)
        .order_by(SCORE.c.score_id),
    )
    agencies = table_of(Agency)
    names = {str(code): str(name) for code, name in connection.execute(select(agencies.c.agency, agencies.c.name))}
    made_at: datetime = row["made_at"]
    return Run(
        run_id=int(row["run_id"]),
        lender=row["lender"],
        as_of=row["as_of"],
        model_version=row["model_version"],
        seed=int(row["seed"]),
        inputs_sha256=row["inputs_sha256"],
        made_at=made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC),
        summary=json.loads(row["summary"]),
        components=scores,
        names={code: names.get(code, code) for code in row_agencies(scores)},
    )


def latest(connection: Connection, lender: str | None = None) -> int | None:
    """The newest run (of one lender's own, if one is named); None before the first."""
    wanted = true() if lender is None else RUN.c.lender == lender
    found = connection.execute(select(func.max(RUN.c.run_id)).where(wanted)).scalar_one()
    return None if found is None else int(found)


def listed(connection: Connection, lender: str | None = None, most: int = 50) -> list[dict[str, Any]]:
    """The newest runs (over one lender's placements, if one is named): number, lender, day, when it was made."""
    statement = select(RUN.c.run_id, RUN.c.lender, RUN.c.as_of, RUN.c.made_at).order_by(RUN.c.run_id.desc())
    if lender is not None:
        statement = statement.where(RUN.c.lender == lender)
    return [dict(row) for row in connection.execute(statement.limit(most)).mappings()]


def overall(connection: Connection, run_id: int) -> dict[str, float]:
    """The overall score of each agency of the run that has one, out of a hundred."""
    statement = select(SCORE.c.agency, SCORE.c.value).where(
        SCORE.c.run_id == run_id, SCORE.c.component == "overall", SCORE.c.segment == "all", SCORE.c.value.is_not(None)
    )
    return {row.agency: float(row.value) for row in connection.execute(statement)}


def row_agencies(scores: pd.DataFrame) -> list[str]:
    """The agencies of a run, in order."""
    return sorted(str(code) for code in scores["agency"].unique())


def _placements(connection: Connection, lender: str | None, as_of: date) -> pd.DataFrame:
    """Columns PLACEMENTS; an absent text is empty.

    Six texts that take few values each come as one and are taken apart once per combination: reading text is what
    costs.
    """
    # a recall because it was paid is confirmed as a recall, and yet it ended by being paid
    end_reason = case(
        (and_(RECALL.c.reason == "paid", PLACEMENT.c.ended_on.is_not(None)), "paid"), else_=PLACEMENT.c.end_reason
    )
    texts = {
        "lender": PLACEMENT.c.lender, "agency": PLACEMENT.c.agency, "currency": PLACEMENT.c.currency,
        "product": ACCOUNT.c.product, "score_band": PLACEMENT.c.score_band, "end_reason": end_reason,
    }  # fmt: skip
    first, *others = texts.values()
    packed: ColumnElement[str] = func.coalesce(first, "")
    for text in others:
        packed = packed.concat(APART).concat(func.coalesce(text, ""))
    names = ["placement_id", "debtor_id", "round", "balance_minor", "dpd", "placed_on", "due_back_on", "ended_on"]
    statement = (
        select(*(PLACEMENT.c[name] for name in names), packed.label("texts"))
        .join_from(PLACEMENT, ACCOUNT, ACCOUNT.c.account_id == PLACEMENT.c.account_id)
        .outerjoin(RECALL, RECALL.c.placement_id == PLACEMENT.c.placement_id)
        .where(PLACEMENT.c.state != "planned", PLACEMENT.c.placed_on <= as_of, _of(PLACEMENT, lender))
        .order_by(PLACEMENT.c.placement_id)
    )
    told = read(connection, statement)
    code, combinations = pd.factorize(told.pop("texts"))
    apart = [str(combination).split(APART) for combination in combinations]
    for position, name in enumerate(texts):
        told[name] = pd.Series([parts[position] for parts in apart], dtype="str").take(code).reset_index(drop=True)
    return told[list(PLACEMENTS)]


def _lines(connection: Connection, lender: str | None, as_of: date) -> pd.DataFrame:
    names = ["placement_id", "agency", "currency", "gross_minor", "value_date"]
    kind = case((LINE.c.state == IN_BREAK, IN_BREAK), else_=LINE.c.kind).label("kind")
    commission = func.coalesce(LINE.c.due_commission_minor, LINE.c.commission_minor).label("commission_minor")
    statement = (
        select(*(LINE.c[name] for name in names), kind, commission)
        .where(LINE.c.state.not_in(NO_MONEY), LINE.c.value_date <= as_of, _of(LINE, lender))
        .order_by(LINE.c.line_id)
    )
    return read(connection, statement)[list(LINES)]


def _contacts(connection: Connection, lender: str | None, as_of: date) -> pd.DataFrame:
    """Columns CONTACTS: when agencies say that they first did something about each placement, up to the day."""
    end = datetime.combine(as_of + timedelta(days=1), time(), UTC)
    statement = (
        select(
            ACTIVITY.c.placement_id,
            func.min(ACTIVITY.c.at).label("first_contact_on"),
        )
        .where(ACTIVITY.c.at < end)
        .group_by(ACTIVITY.c.placement_id)
    )
    if lender is not None:
        statement = statement.join(PLACEMENT, PLACEMENT.c.placement_id == ACTIVITY.c.placement_id).where(
            PLACEMENT.c.lender == lender
        )
    told = read(connection, statement)
    first = pd.to_datetime(told["first_contact_on"], utc=True).dt.tz_localize(None).dt.normalize()
    return told.assign(first_contact_on=first.astype("datetime64[us]"))[list(CONTACTS)]


def _conduct(connection: Connection, lender: str | None, as_of: date, acknowledge_days: int) -> pd.DataFrame:
    """Counts per agency: files, lines, acknowledgements, complaints, invoice lines, breaks."""
    end = datetime.combine(as_of + timedelta(days=1), time(), UTC)
    frames = [
        read(connection, statement).set_index("agency")
        for statement in (
            _files(lender, end),
            _complaints(lender, as_of),
            _broken(lender, end),
            _invoices(lender),
            _breaks(lender, end),
            _asked_back(RECALL, RECALL.c.confirmed_on, lender, as_of, "recalls"),
            _asked_back(ERASURE, ERASURE.c.erased_at, lender, as_of, "erasures"),
            _late_reports(lender, end),
        )
    ]
    told = pd.concat([*frames, _acknowledgements(connection, lender, end, acknowledge_days)], axis=1)
    return told.reindex(columns=list(CONDUCT)).fillna(0).astype("int64").sort_index()


def _files(lender: str | None, end: datetime) -> Select[Any]:
    files = table_of(InboundFile)
    accepted = files.c.state == "accepted"
    return (
        select(
            files.c.agency,
            func.count().label("files"),
            _count(files.c.state == "refused").label("files_refused"),
            func.sum(case((accepted, files.c.rows), else_=0)).label("lines"),
            func.sum(case((accepted, files.c.rows_refused), else_=0)).label("lines_refused"),
        )
        .where(files.c.state.in_(("accepted", "refused")), files.c.received_at < end, _of(files, lender))
        .group_by(files.c.agency)
    )


def _acknowledgements(connection: Connection, lender: str | None, end: datetime, days: int) -> pd.DataFrame:
    """Deliveries that are due an acknowledgement, and those that came late or not at all."""
    sent = table_of(Transmission)
    told = read(
        connection,
        select(sent.c.agency, sent.c.delivered_at, sent.c.acknowledged_at).where(
            sent.c.kind == "placement", sent.c.delivered_at.is_not(None), sent.c.delivered_at < end, _of(sent, lender)
        ),
    )
    due = told["delivered_at"] + pd.Timedelta(days=days)
    here = told["acknowledged_at"].where(told["acknowledged_at"] < pd.Timestamp(end))
    late = (here.isna() & (due < pd.Timestamp(end))) | (here > due)
    told = told.assign(deliveries=1, acknowledged_late=late.astype("int64"))[here.notna() | late]
    return told.groupby("agency")[["deliveries", "acknowledged_late"]].sum()


def _complaints(lender: str | None, as_of: date) -> Select[Any]:
    complaints = table_of(Complaint)
    statement = select(
        complaints.c.agency,
        func.count().label("complaints"),
        _count(complaints.c.severity == "serious").label("complaints_serious"),
    ).where(complaints.c.received_on <= as_of)
    if lender is not None:
        statement = statement.join(PLACEMENT, PLACEMENT.c.placement_id == complaints.c.placement_id).where(
            PLACEMENT.c.lender == lender
        )
    return statement.group_by(complaints.c.agency)


def _broken(lender: str | None, end: datetime) -> Select[Any]:
    """Breaches that stand, and the serious ones that somebody upheld."""
    found = table_of(Breach)
    return (
        select(
            found.c.agency,
            func.count().label("breaches"),
            _count(and_(found.c.severity == "serious", found.c.state == "upheld")).label("breaches_serious"),
        )
        .where(found.c.state.in_(("open", "upheld")), found.c.at < end, _of(found, lender))
        .group_by(found.c.agency)
    )


def _invoices(lender: str | None) -> Select[Any]:
    claims, breaks = table_of(InvoiceLine), table_of(Break)
    contested = select(breaks.c.invoice_line_id).where(breaks.c.state == "open", breaks.c.invoice_line_id.is_not(None))
    wrong = or_(claims.c.state == "disputed", claims.c.invoice_line_id.in_(contested))
    return (
        select(claims.c.agency, func.count().label("invoice_lines"), _count(wrong).label("invoice_lines_disputed"))
        .where(_of(claims, lender))
        .group_by(claims.c.agency)
    )


def _breaks(lender: str | None, end: datetime) -> Select[Any]:
    breaks = table_of(Break)
    return (
        select(breaks.c.agency, func.count().label("breaks"), _count(breaks.c.state == "open").label("breaks_open"))
        .where(breaks.c.agency.is_not(None), breaks.c.opened_at < end, _of(breaks, lender))
        .group_by(breaks.c.agency)
    )


def _asked_back(table: Table, answered: ColumnElement[Any], lender: str | None, as_of: date, name: str) -> Select[Any]:
    """Recalls or erasures that are answered or due by the day, and those that were answered late or not at all."""
    today, day = literal(as_of, Date()), type_coerce(func.date(answered), Date)
    answer = case((day <= today, day))
    late = or_(answer > table.c.due_on, and_(answer.is_(None), table.c.due_on < today))
    statement = select(table.c.agency, func.count().label(name), _count(late).label(f"{name}_late")).where(
        table.c.requested_on <= today, or_(answer.is_not(None), table.c.due_on < today)
    )
    if lender is not None:
        statement = statement.join(PLACEMENT, PLACEMENT.c.placement_id == table.c.placement_id).where(
            PLACEMENT.c.lender == lender
        )
    return statement.group_by(table.c.agency)


def _late_reports(lender: str | None, end: datetime) -> Select[Any]:
    """How often an agency that held accounts had reported no activity for longer than agreed."""
    told = table_of(ExchangeException)
    return (
        select(told.c.agency, func.count().label("reports_late"))
        .where(told.c.code == "silent_agency", told.c.agency.is_not(None), told.c.opened_at < end, _of(told, lender))
        .group_by(told.c.agency)
    )


def _of(table: Table, lender: str | None) -> ColumnElement[bool]:
    return true() if lender is None else and_(table.c.lender == lender)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))

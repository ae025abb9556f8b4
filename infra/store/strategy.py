"""Strategy in the store: what it looks at, what was proposed, and the stage that every account is in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, literal, select, update

from infra.store import bulk, whereabouts
from infra.store.exchange import PLACEMENTS
from infra.store.placing import OUT
from infra.store.scores import NO_MONEY
from models.errors import UsageError
from models.lives import PROPOSAL, moved
from models.strategy.cascade import BROKEN, RUNNING
from models.strategy.rules import NEW
from models.tables import (
    Account,
    AccountStage,
    Activity,
    InboundFile,
    InstalmentPlan,
    RecallProposal,
    RecallProposalLine,
    RemittanceLine,
    StageMove,
    StrategyRun,
)

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd

ACCOUNTS: Final = bulk.table_of(Account)
ACTIVITIES: Final = bulk.table_of(Activity)
FILES: Final = bulk.table_of(InboundFile)
INSTALMENT_PLANS: Final = bulk.table_of(InstalmentPlan)
LINES: Final = bulk.table_of(RemittanceLine)
MOVES: Final = bulk.table_of(StageMove)
PROPOSALS: Final = bulk.table_of(RecallProposal)
PROPOSAL_LINES: Final = bulk.table_of(RecallProposalLine)
RUNS: Final = bulk.table_of(StrategyRun)
STAGES: Final = bulk.table_of(AccountStage)


# --- what a strategy reads --------------------------------------------------------------------------------------------


def accounts(connection: Connection, lender: str, ids: pd.Series | None = None) -> pd.DataFrame:
    """The lender's accounts (of these ids) with the stage that each is in, as `models.strategy.moves` wants them.

    The stage is that of the newest placement or of the last approved run, whichever is the later.
    """
    statement = _accounts(lender)
    if ids is None:
        return _staged(bulk.read(connection, statement))
    wanted = ids.drop_duplicates().to_frame("account_id")
    with bulk.staged(connection, STAGES, wanted) as stage:
        return _staged(bulk.read(connection, statement.join(stage, stage.c.account_id == ACCOUNTS.c.account_id)))


def _accounts(lender: str) -> Select[Any]:
    newest = (
        select(PLACEMENTS.c.account_id, func.max(PLACEMENTS.c.placement_id).label("placement_id"))
        .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state != "planned")
        .group_by(PLACEMENTS.c.account_id)
        .subquery()
    )
    account = ACCOUNTS.c
    return (
        select(
            account.account_id, account.debtor_id, account.product, account.currency, account.balance_minor,
            account.dpd, account.bucket, account.score_band, account.status, account.rounds, account.version,
            STAGES.c.stage.label("moved_to"), STAGES.c.since.label("moved_on"),
            PLACEMENTS.c.stage.label("placed_in"), PLACEMENTS.c.placed_on,
        )
        .select_from(
            bulk.table_of(Account)
            .outerjoin(STAGES, STAGES.c.account_id == account.account_id)
            .outerjoin(newest, newest.c.account_id == account.account_id)
            .outerjoin(PLACEMENTS, PLACEMENTS.c.placement_id == newest.c.placement_id)
        )
        .where(account.lender == lender)
    )  # fmt: skip


def _staged(rows: pd.DataFrame) -> pd.DataFrame:
    placed = rows["placed_on"].notna() & (rows["moved_on"].isna() | (rows["placed_on"] >= rows["moved_on"]))
    # a stage goes on while one placement follows another in it
    same = placed & (rows["placed_in"] == rows["moved_to"])
    since = rows["moved_on"].where(~placed | same, rows["placed_on"])
    stage = rows["placed_in"].where(placed, rows["moved_to"]).astype("str").fillna(NEW)
    return rows.drop(columns=["moved_to", "moved_on", "placed_in", "placed_on"]).assign(stage=stage, since=since)


def out(connection: Connection, lender: str) -> pd.DataFrame:
    """Accounts with an agency or in another plan, as `models.planning` has them."""
    return bulk.read(connection, whereabouts.out(lender))


def placed(connection: Connection, lender: str, today: date) -> pd.DataFrame:
    """The lender's placements that are out, as `models.strategy.cascade` wants them.

    A payment is a remittance line that counts, or one to the lender; an activity is a contact of an accepted file.
    """
    paid = (
        select(LINES.c.placement_id, func.max(LINES.c.value_date).label("last_paid_on"))
        .where(LINES.c.lender == lender, LINES.c.gross_minor > 0, LINES.c.state.not_in(NO_MONEY))
        .group_by(LINES.c.placement_id)
        .subquery()
    )
    worked = (
        select(ACTIVITIES.c.placement_id, func.max(ACTIVITIES.c.at).label("last_at"))
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITIES.c.placement_id)
        .join(FILES, FILES.c.file_id == ACTIVITIES.c.file_id)
        .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state.in_(OUT), FILES.c.state == "accepted")
        .group_by(ACTIVITIES.c.placement_id)
        .subquery()
    )
    place = PLACEMENTS.c
    rows = bulk.read(
        connection,
        select(
            place.placement_id, place.account_id, place.lender, place.agency, ACCOUNTS.c.product, place.bucket,
            place.stage, place.round, place.placed_on, paid.c.last_paid_on, worked.c.last_at,
            _plan_state(RUNNING, "approved").label("running"), _plan_state(BROKEN, "broken").label("broken"),
        )
        .join(ACCOUNTS, ACCOUNTS.c.account_id == place.account_id)
        .outerjoin(paid, paid.c.placement_id == place.placement_id)
        .outerjoin(worked, worked.c.placement_id == place.placement_id)
        .where(place.lender == lender, place.state.in_(OUT), place.placed_on <= today)
        .order_by(place.placement_id),
    )  # fmt: skip
    return rows.drop(columns=["last_at", "running", "broken"]).assign(
        last_activity_on=rows["last_at"].dt.tz_localize(None).dt.normalize().astype("datetime64[us]"),
        plan=rows["running"].fillna(rows["broken"]),
    )


def _plan_state(word: str, state: str) -> Any:
    """The word where the placement has an instalment plan in that state; null where it has none."""
    return (
        select(literal(word))
        .where(INSTALMENT_PLANS.c.placement_id == PLACEMENTS.c.placement_id, INSTALMENT_PLANS.c.state == state)
        .limit(1)
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )


# --- runs -------------------------------------------------------------------------------------------------------------


def keep_run(connection: Connection, lines: pd.DataFrame, **columns: Any) -> int:
    """The run is proposed, with its moves; the lender's run that was still open has expired. Returns its number."""
    run_id = bulk.reserve(connection, "strategy_run", 1)
    connection.execute(
        update(RUNS)
        .where(RUNS.c.lender == columns["lender"], RUNS.c.state == "proposed")
        .values(state="expired", ended_because=f"run {run_id} looks at newer data", decided_at=columns["created_at"])
    )
    connection.execute(insert(RUNS).values(run_id=run_id, state="proposed", **columns))
    bulk.append(connection, MOVES, lines.assign(run_id=run_id))
    return run_id


def run(connection: Connection, run_id: int) -> Row[Any]:
    """The run. Raises UsageError where there is none."""
    row = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no strategy run {run_id}", fix="`consign strategy runs` shows them")
    return row


def open_run(connection: Connection, lender: str) -> Row[Any] | None:
    """The lender's run that waits for a second person; None where none does."""
    waits = select(RUNS).where(RUNS.c.lender == lender, RUNS.c.state == "proposed")
    return connection.execute(waits.order_by(RUNS.c.run_id.desc()).limit(1)).one_or_none()


def runs(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """The newest two hundred runs, without their summaries."""
    columns = [column for column in RUNS.c if column.name not in {"summary", "plans"}]
    statement = select(*columns).order_by(RUNS.c.run_id.desc()).limit(200)
    return bulk.read(connection, statement if lender is None else statement.where(RUNS.c.lender == lender))


def moves_of(
    connection: Connection, run_id: int, to_stage: str | None = None, limit: int | None = None
) -> pd.DataFrame:
    """The run's moves (to one stage) in rising account id."""
    statement = select(MOVES).where(MOVES.c.run_id == run_id).order_by(MOVES.c.account_id)
    if to_stage is not None:
        statement = statement.where(MOVES.c.to_stage == to_stage)
    return bulk.read(connection, statement if limit is None else statement.limit(limit))


def stages_of(connection: Connection, run_id: int) -> list[tuple[str, str]]:
    """Stage and currency that accounts of the run go to, each pair once, in order."""
    pairs = select(MOVES.c.to_stage, MOVES.c.currency).where(MOVES.c.run_id == run_id).distinct()
    return sorted((str(row.to_stage), str(row.currency)) for row in connection.execute(pairs))


def lenders_with_runs(connection: Connection) -> list[str]:
    """Lenders that a strategy was run for."""
    return list(connection.execute(select(RUNS.c.lender).distinct().order_by(RUNS.c.lender)).scalars())


def decide_run(connection: Connection, row: Row[Any], state: str, by: str, at: datetime, because: str = "") -> None:
    """What became of the run. Raises IllegalMove, also where somebody else was faster."""
    to = moved(f"strategy run {row.run_id}", row.state, state, PROPOSAL)
    done = connection.execute(
        update(RUNS)
        .where(RUNS.c.run_id == row.run_id, RUNS.c.state == row.state)
        .values(state=to, decided_by=by, decided_at=at, ended_because=because or None)
    )
    if done.rowcount != 1:
        moved(f"strategy run {row.run_id}", run(connection, row.run_id).state, state, PROPOSAL)


def put_in_stages(connection: Connection, row: Row[Any], since: date) -> None:
    """Every account of the run is in the stage that it was moved to, since that day; one that stays keeps its day."""
    mine = and_(MOVES.c.run_id == row.run_id, MOVES.c.account_id == STAGES.c.account_id)
    stays = exists().where(mine, MOVES.c.to_stage == STAGES.c.stage)
    goes = exists().where(mine, MOVES.c.to_stage != STAGES.c.stage)
    connection.execute(update(STAGES).where(stays).values(run_id=row.run_id))
    connection.execute(delete(STAGES).where(goes))
    there = select(STAGES.c.account_id).where(STAGES.c.run_id == row.run_id)
    connection.execute(
        insert(STAGES).from_select(
            ["account_id", "lender", "stage", "since", "run_id"],
            select(
                MOVES.c.account_id, literal(row.lender), MOVES.c.to_stage, literal(since), literal(row.run_id)
            ).where(MOVES.c.run_id == row.run_id, MOVES.c.account_id.not_in(there)),
        )
    )  # fmt: skip


def note_plans(connection: Connection, run_id: int, drafted: dict[str, Any]) -> None:
    """Which plan was drafted for which stage of the run, or why there is none."""
    connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(plans=json.dumps(drafted, sort_keys=True)))


def history(connection: Connection, account_id: int) -> pd.DataFrame:
    """What approved runs did with the account, the newest first: run_id, as_of, from, to, rule, why, who approved."""
    return bulk.read(
        connection,
        select(
            MOVES.c.run_id, RUNS.c.strategy, RUNS.c.version, RUNS.c.as_of, MOVES.c.from_stage, MOVES.c.to_stage,
            MOVES.c.days, MOVES.c.rule, MOVES.c.why, RUNS.c.decided_by,
        )
        .join(RUNS, RUNS.c.run_id == MOVES.c.run_id)
        .where(MOVES.c.account_id == account_id, RUNS.c.state == "approved")
        .order_by(MOVES.c.run_id.desc()),
    )  # fmt: skip


def in_stages(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """How many accounts are in each stage by approved runs: lender, stage, accounts, oldest `since`."""
    statement = (
        select(
            STAGES.c.lender, STAGES.c.stage, func.count().label("accounts"), func.min(STAGES.c.since).label("oldest"),
        )
        .group_by(STAGES.c.lender, STAGES.c.stage)
        .order_by(STAGES.c.lender, STAGES.c.stage)
    )  # fmt: skip
    return bulk.read(connection, statement if lender is None else statement.where(STAGES.c.lender == lender))


# --- proposals to recall ----------------------------------------------------------------------------------------------


def keep_proposal(connection: Connection, lines: pd.DataFrame, **columns: Any) -> int:
    """The recalls are proposed; the lender's proposal that was still open has expired. Returns the number."""
    proposal_id = bulk.reserve(connection, "recall_proposal", 1)
    because = f"proposal {proposal_id} looks at newer data"
    connection.execute(
        update(PROPOSALS)
        .where(PROPOSALS.c.lender == columns["lender"], PROPOSALS.c.state == "proposed")
        .values(state="expired", ended_because=because, decided_at=columns["created_at"])
    )
    connection.execute(insert(PROPOSALS).values(proposal_id=proposal_id, state="proposed", **columns))
    names = [column.name for column in PROPOSAL_LINES.c if column.name != "proposal_id"]
    bulk.append(connection, PROPOSAL_LINES, lines[names].assign(proposal_id=proposal_id))
    return proposal_id


def proposal(connection: Connection, proposal_id: int) -> Row[Any]:
    """The proposal. Raises UsageError where there is none."""
    row = connection.execute(select(PROPOSALS).where(PROPOSALS.c.proposal_id == proposal_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no proposal {proposal_id}", fix="`consign strategy recalls` shows them")
    return row


def open_proposal(connection: Connection, lender: str) -> Row[Any] | None:
    """The lender's proposal that waits for a second person; None where none does."""
    waits = select(PROPOSALS).where(PROPOSALS.c.lender == lender, PROPOSALS.c.state == "proposed")
    return connection.execute(waits.order_by(PROPOSALS.c.proposal_id.desc()).limit(1)).one_or_none()


def proposals(connection: Connection, lender: str | None = None) -> pd.DataFrame:
    """The newest two hundred proposals."""
    statement = select(PROPOSALS).order_by(PROPOSALS.c.proposal_id.desc()).limit(200)
    return bulk.read(connection, statement if lender is None else statement.where(PROPOSALS.c.lender == lender))


def proposal_lines(connection: Connection, proposal_id: int) -> pd.DataFrame:
    """The placements of the proposal, in rising id."""
    statement = select(PROPOSAL_LINES).where(PROPOSAL_LINES.c.proposal_id == proposal_id)
    return bulk.read(connection, statement.order_by(PROPOSAL_LINES.c.placement_id))


def decide_proposal(
    connection: Connection, row: Row[Any], state: str, by: str, at: datetime, because: str = ""
) -> None:
    """What became of the proposal. Raises IllegalMove, also where somebody else was faster."""
    to = moved(f"proposal {row.proposal_id}", row.state, state, PROPOSAL)
    done = connection.execute(
        update(PROPOSALS)
        .where(PROPOSALS.c.proposal_id == row.proposal_id, PROPOSALS.c.state == row.state)
        .values(state=to, decided_by=by, decided_at=at, ended_because=because or None)
    )
    if done.rowcount != 1:
        moved(f"proposal {row.proposal_id}", proposal(connection, row.proposal_id).state, state, PROPOSAL)

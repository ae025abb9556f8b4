"""Models of propensity in the store: what one is made of, its versions, and what the one in use says of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, and_, case, delete, exists, func, insert, or_, select, update

from infra.store import bulk, keyset, scores
from infra.store.exchange import AT_AGENCY, PLACEMENTS
from infra.store.keyset import Order
from infra.store.portfolios import ACCOUNTS
from models.conduct.counters import REACHED
from models.tables import Activity, PropensityModel, PropensityScore, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    import pandas as pd
    from sqlalchemy import Row

    from infra.store.keyset import Page

MODELS: Final = bulk.table_of(PropensityModel)
SCORES: Final = bulk.table_of(PropensityScore)
LINES: Final = bulk.table_of(RemittanceLine)
ACTIVITIES: Final = bulk.table_of(Activity)


# --- what a model is made of ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A lender's placements and their money, as models.scoring.inputs has them; and what else is known of each.

    accounts: aligned with the placements: `debtor_id currency product round balance_minor dpd original_minor opened_on
    region day`. ended: as models.propensity.watched.history takes it.
    """

    placements: pd.DataFrame
    lines: pd.DataFrame
    accounts: pd.DataFrame
    ended: pd.DataFrame


def placed(connection: Connection, lender: str, as_of: date) -> Placed:
    """Everything that a model of the lender's is made of, as of the day, by placement."""
    drawn = scores.inputs(connection, lender, as_of, acknowledge_days=0)
    statement = (
        select(PLACEMENTS.c.placement_id, ACCOUNTS.c.original_minor, ACCOUNTS.c.opened_on, ACCOUNTS.c.region)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
        .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state != "planned", PLACEMENTS.c.placed_on <= as_of)
        .order_by(PLACEMENTS.c.placement_id)
    )
    facts = bulk.read(connection, statement)
    placements = drawn.placements.sort_values("placement_id", ignore_index=True)
    columns = ["debtor_id", "currency", "product", "round", "balance_minor", "dpd"]
    rows = placements[columns].assign(
        original_minor=facts["original_minor"], opened_on=facts["opened_on"], region=facts["region"],
        day=days_of(placements["placed_on"]),
    )  # fmt: skip
    return Placed(placements, drawn.lines, rows, ended(connection, lender, as_of))


def days_of(dates: pd.Series[Any]) -> pd.Series[int]:
    """Days since 1970 of dates that are all there."""
    return dates.astype("datetime64[s]").astype("int64") // 86_400


def ended(connection: Connection, lender: str, as_of: date, debtors: Collection[int] | None = None) -> pd.DataFrame:
    """One row per placement of the lender's (of these debtors, or of all) that had ended, with what came of it.

    Columns: debtor_id, ended_on, payments (net of reversals), last_paid_on, contacts, reached; while it lasted.
    """
    over = and_(PLACEMENTS.c.lender == lender, PLACEMENTS.c.ended_on <= as_of)
    if debtors is not None:
        over = and_(over, PLACEMENTS.c.debtor_id.in_(list(debtors)))
    mine = bulk.read(
        connection,
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.debtor_id, PLACEMENTS.c.ended_on)
        .where(over)
        .order_by(PLACEMENTS.c.placement_id),
    )
    paid = bulk.read(
        connection,
        select(
            LINES.c.placement_id,
            func.sum(case((LINES.c.gross_minor > 0, 1), else_=-1)).label("payments"),
            func.max(LINES.c.value_date).label("last_paid_on"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == LINES.c.placement_id)
        .where(over, LINES.c.state.not_in(scores.NO_MONEY), LINES.c.value_date <= PLACEMENTS.c.ended_on)
        .group_by(LINES.c.placement_id),
    ).set_index("placement_id")
    tried = bulk.read(
        connection,
        select(
            ACTIVITIES.c.placement_id,
            func.count().label("contacts"),
            func.sum(case((ACTIVITIES.c.outcome.in_(REACHED), 1), else_=0)).label("reached"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITIES.c.placement_id)
        .where(over)
        .group_by(ACTIVITIES.c.placement_id),
    ).set_index("placement_id")
    told = mine.join(paid, on="placement_id").join(tried, on="placement_id")
    counts = ["payments", "contacts", "reached"]
    told[counts] = told[counts].fillna(0).astype("int64").clip(lower=0)
    return told.drop(columns="placement_id")


# --- versions ---------------------------------------------------------------------------------------------------------


def model(connection: Connection, model_id: int) -> Row[Any] | None:
    """That version; None where there is none."""
    return connection.execute(select(MODELS).where(MODELS.c.model_id == model_id)).one_or_none()


def in_use(connection: Connection, lender: str) -> Row[Any] | None:
    """The lender's version in use; None where none is."""
    return connection.execute(select(MODELS).where(MODELS.c.lender == lender, MODELS.c.state == "in_use")).one_or_none()


def lenders_with_one(connection: Connection) -> list[str]:
    """Lenders who have a model in use, in order."""
    found = select(MODELS.c.lender).where(MODELS.c.state == "in_use").order_by(MODELS.c.lender)
    return list(connection.execute(found).scalars())


def same(
    connection: Connection, lender: str, inputs_sha256: str, horizon_days: int, seed: int, version: str
) -> int | None:
    """The version made of the very same; None where there is none, or it was withdrawn."""
    found = select(func.min(MODELS.c.model_id)).where(
        MODELS.c.lender == lender,
        MODELS.c.inputs_sha256 == inputs_sha256,
        MODELS.c.horizon_days == horizon_days,
        MODELS.c.seed == seed,
        MODELS.c.version == version,
        MODELS.c.state != "withdrawn",
    )
    there: int | None = connection.execute(found).scalar_one()
    return there


def versions(connection: Connection, lender: str | None = None) -> Sequence[Row[Any]]:
    """Every version of the lender, or of all, the newest first."""
    statement = select(MODELS).order_by(MODELS.c.model_id.desc())
    return connection.execute(statement if lender is None else statement.where(MODELS.c.lender == lender)).all()


def page(connection: Connection, lender: str = "", after: str | None = None) -> Page:
    """Versions without their numbers, the newest first; `measured` is JSON."""
    statement = select(*(column for column in MODELS.c if column.name != "numbers"))
    if lender:
        statement = statement.where(MODELS.c.lender == lender)
    return keyset.page(connection, statement, Order((MODELS.c.model_id,), falling=True), after)


def add(connection: Connection, **columns: object) -> None:
    """The version is kept."""
    connection.execute(insert(MODELS).values(**columns))


def note(connection: Connection, model_id: int, **columns: object) -> None:
    """What became of the version; its numbers stay."""
    connection.execute(update(MODELS).where(MODELS.c.model_id == model_id).values(**columns))


# --- accounts ---------------------------------------------------------------------------------------------------------

_OUT = exists().where(PLACEMENTS.c.account_id == ACCOUNTS.c.account_id, PLACEMENTS.c.state.in_(AT_AGENCY))


def accounts(connection: Connection, lender: str, after: int, rows: int) -> pd.DataFrame:
    """The next open accounts of the lender's behind that number, at most so many, by number.

    Columns: account_id, version, score_band, region, out (with an agency, or on the way), and the facts: debtor_id,
    currency, product, round (that the next placement would be), balance_minor, dpd, original_minor, opened_on; and
    written_band and lender_band, as they were noted the last time.
    """
    statement = (
        select(
            ACCOUNTS.c.account_id, ACCOUNTS.c.version, ACCOUNTS.c.score_band, ACCOUNTS.c.region,
            case((_OUT, 1), else_=0).label("out"), ACCOUNTS.c.debtor_id, ACCOUNTS.c.currency, ACCOUNTS.c.product,
            (ACCOUNTS.c.rounds + case((_OUT, 0), else_=1)).label("round"), ACCOUNTS.c.balance_minor, ACCOUNTS.c.dpd,
            ACCOUNTS.c.original_minor, ACCOUNTS.c.opened_on, SCORES.c.written_band, SCORES.c.lender_band,
        )
        .outerjoin(SCORES, SCORES.c.account_id == ACCOUNTS.c.account_id)
        .where(ACCOUNTS.c.lender == lender, ACCOUNTS.c.status == "open", ACCOUNTS.c.account_id > after)
        .order_by(ACCOUNTS.c.account_id)
        .limit(rows)
    )  # fmt: skip
    return bulk.read(connection, statement)


def lender_of(connection: Connection, account_id: int) -> str | None:
    """Whose account it is; None where there is no such account."""
    return connection.execute(select(ACCOUNTS.c.lender).where(ACCOUNTS.c.account_id == account_id)).scalar_one_or_none()


def keep_scores(connection: Connection, lender: str, after: int, last: int, frame: pd.DataFrame) -> None:
    """The frame is all that is said of the lender's accounts behind `after` up to `last`; what was said is gone."""
    span = and_(SCORES.c.lender == lender, SCORES.c.account_id > after, SCORES.c.account_id <= last)
    connection.execute(delete(SCORES).where(span))
    bulk.append(connection, SCORES, frame)


def forget_scores(connection: Connection, lender: str) -> int:
    """Nothing is said of the lender's accounts any more. Returns of how many something was."""
    return connection.execute(delete(SCORES).where(SCORES.c.lender == lender)).rowcount


def set_bands(connection: Connection, frame: pd.DataFrame) -> int:
    """These accounts (`account_id score_band version`) have that band, and plans notice. Returns how many."""
    return bulk.set_columns(connection, ACCOUNTS, frame, ["account_id"])


def put_back(connection: Connection, lender: str) -> int:
    """Where a band of ours stands in an account of the lender's, the lender's own stands again. Returns how many.

    What a later snapshot has brought meanwhile stays.
    """
    changed = connection.execute(
        update(ACCOUNTS)
        .where(
            ACCOUNTS.c.account_id == SCORES.c.account_id,
            SCORES.c.lender == lender,
            SCORES.c.written_band == ACCOUNTS.c.score_band,
        )
        .values(score_band=SCORES.c.lender_band, version=ACCOUNTS.c.version + 1)
    ).rowcount
    connection.execute(
        update(SCORES)
        .where(SCORES.c.lender == lender, or_(SCORES.c.written_band.is_not(None), SCORES.c.lender_band.is_not(None)))
        .values(written_band=None, lender_band=None)
    )
    return changed


def of_accounts(connection: Connection, account_ids: Sequence[int]) -> pd.DataFrame:
    """What is said of these accounts, for whoever they belong to: `account_id model_id scored_on chance share band`."""
    columns = ("account_id", "model_id", "scored_on", "chance", "share", "expected_minor", "band")
    return bulk.read(
        connection,
        select(*(SCORES.c[name] for name in columns))
        .where(SCORES.c.account_id.in_(list(account_ids)))
        .order_by(SCORES.c.account_id),
    )


def accounts_of_placements(connection: Connection, placement_ids: pd.Series[int]) -> pd.Series[int]:
    """The account of each placement, in the order asked for."""
    with bulk.staged(connection, PLACEMENTS, placement_ids.drop_duplicates().to_frame("placement_id")) as stage:
        found = bulk.read(
            connection,
            select(PLACEMENTS.c.placement_id, PLACEMENTS.c.account_id).join(
                stage, stage.c.placement_id == PLACEMENTS.c.placement_id
            ),
        )
    return placement_ids.map(found.set_index("placement_id")["account_id"])

"""The disclosure register: who has been told what about a debtor, why, until when, and what became of it.

Whoever asks gives a reason; the question is on record before the answer, and what was asked for is kept nowhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from sqlalchemy import insert

from infra import audit, exceptions
from infra.exceptions import check_text
from infra.indexes import accounts_of
from infra.store import exchange, trail
from infra.store import register as store
from models.calendar import ends_at
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection

    from infra.wiring import Desk

WHY_AT_LEAST: Final = 10
DAY: Final = timedelta(days=1)
HELD, ASKED, OVERDUE, UNSATISFIED, ERASED = "held", "asked", "overdue", "unsatisfied", "erased"
"""How it stands with the erasure of what an agency was told: not asked for yet, asked for, not certified in time,
certified in a way that does not satisfy, certified and verified."""
COLUMNS: Final = (
    "agency", "kind", "file", "state", "disclosed_at", "delivered_at", "field", "treatment", "value_class", "purpose",
    "basis", "policy", "policy_version", "package_sha256", "sealed_sha256", "erase_by", "erasure", "erasure_due_on",
    "gone_by", "erased_at", "certificate", "certified_by", "verified_at", "finding", "recalled_on", "recall_reason",
    "recall_confirmed_on",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What somebody wants to know, and why; only about one agency, or as it was at a day's end, where that is said."""

    lender: str
    who: str
    """the lender's account number, an ID number or a telephone number; looked up by keyed index and kept nowhere"""
    why: str
    agency: str | None = None
    as_of: date | None = None


@dataclass(frozen=True)
class Answer:
    """What the register says."""

    accounts: tuple[int, ...]
    told: pd.DataFrame
    """one row per file and field, oldest first: COLUMNS, and how many of the debtor's `accounts` the file spoke of"""
    asked_today: int
    """how often whoever asks has asked in 24 hours, this time included"""


def disclosures(desk: Desk, question: Question) -> Answer:
    """Everything that agencies were told about the debtor.

    Raises UsageError for a reason that says nothing, and where nobody is found or no agency has this code.
    """
    accounts, asked = admitted(desk, question)
    with desk.database.read() as connection:
        rows = told(connection, desk, accounts, question)
    return Answer(tuple(accounts), rows, asked)


def admitted(desk: Desk, question: Question) -> tuple[list[int], int]:
    """The debtor's accounts, once the question is on record; and how often its asker has asked in 24 hours.

    Raises UsageError as `disclosures` does; a question about nobody is on record too.
    """
    if len(question.why.strip()) < WHY_AT_LEAST:
        raise UsageError("the reason says nothing", fix="say in a sentence why you must know it: --why")
    check_text(question.why)
    now = desk.now()
    with desk.database.write() as connection:
        if question.agency is not None:
            exchange.agency(connection, question.agency)
        accounts = accounts_of(connection, desk.keyring, question.lender, question.who)
        trail.hold(connection)
        connection.execute(
            insert(store.QUESTIONS).values(
                actor=desk.actor, asked_at=now, why=question.why.strip(), lender=question.lender,
                agency=question.agency, accounts=len(accounts),
            )
        )  # fmt: skip
        asked = store.asked_since(connection, desk.actor, now - DAY)
        if asked > desk.settings.register_per_day:
            exceptions.open_exception(
                connection, desk, "register_excess", agency=None, subject=f"actor:{desk.actor}", detail={"count": asked}
            )
        said: dict[str, audit.Value] = {
            "accounts": len(accounts), "reason_sha256": hashlib.sha256(question.why.strip().encode()).hexdigest(),
            "agency": question.agency, "as_of": question.as_of.isoformat() if question.as_of else None, "count": asked,
        }  # fmt: skip
        audit.record(connection, desk.actor, "disclosures.asked", f"lender:{question.lender}", said, now)
    if not accounts:
        message = "nobody is known by that account, ID or telephone number"
        raise UsageError(message, fix="give it exactly as the lender's file has it, with --lender")
    return accounts, asked


def told(connection: Connection, desk: Desk, accounts: Sequence[int], question: Question) -> pd.DataFrame:
    """The register's rows about the accounts, as the question narrows them: COLUMNS and `accounts`."""
    zone = exchange.lender_timezone(connection, question.lender)
    rows = store.told(connection, accounts)
    held = placed(connection, desk, accounts, question)
    if question.as_of is not None:
        moment = _end_of(question.as_of, zone)
        rows = rows[rows["disclosed_at"] <= moment]
        later = rows["delivered_at"] > moment
        rows = rows.assign(delivered_at=rows["delivered_at"].mask(later), state=rows["state"].mask(later, "sealed"))
    if question.agency is not None:
        rows = rows[rows["agency"] == question.agency]
    # a statement names an account, and the agency holds that under its newest placement there
    newest = held.drop_duplicates(["agency", "account_id"], keep="last")
    owner = rows[["agency", "account_id"]].merge(newest[["agency", "account_id", "placement_id"]], how="left")
    of_row = rows["placement_id"].fillna(owner["placement_id"].set_axis(rows.index)).astype("Int64")
    joined = rows.assign(placement_id=of_row).merge(
        held.drop(columns=["agency", "account_id", "state"]).rename(columns={"erase_by": "placement_erase_by"}),
        on="placement_id",
        how="left",
    )
    erase_by = joined[["erase_by", "placement_erase_by"]].max(axis=1)
    joined = joined.assign(erase_by=erase_by, gone_by=joined["gone_by"].fillna(erase_by))
    joined["erasure"] = joined["erasure"].fillna(HELD)
    columns = list(COLUMNS)
    return joined.groupby(columns, sort=False, dropna=False).size().rename("accounts").reset_index()


def placed(connection: Connection, desk: Desk, accounts: Sequence[int], question: Question) -> pd.DataFrame:
    """The accounts' placements as `infra.store.register.placements` has them, as far as the question's day knew.

    `erasure` says how it stands, `gone_by` by when (or since when) the agency has nothing of it any more.
    """
    zone = exchange.lender_timezone(connection, question.lender)
    rows = store.placements(connection, accounts)
    today = question.as_of or desk.today(zone)
    if question.as_of is not None:
        rows = _known_by(rows, question.as_of, _end_of(question.as_of, zone))
    if question.agency is not None:
        rows = rows[rows["agency"] == question.agency]
    verified, asked = rows["verified_at"].notna(), rows["erasure_requested_on"].notna()
    late = rows["erasure_due_on"] < pd.Timestamp(today)
    erasure = np.select(
        [verified, asked & rows["finding"].notna(), asked & late, asked],
        [ERASED, UNSATISFIED, OVERDUE, ASKED],
        default=HELD,
    )
    erased_on = rows["erased_at"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
    gone_by = rows["erase_by"].mask(asked, rows["erasure_due_on"]).mask(verified, erased_on)
    return rows.assign(erasure=pd.Series(erasure, index=rows.index, dtype="str"), gone_by=gone_by)


def _known_by(rows: pd.DataFrame, day: date, moment: datetime) -> pd.DataFrame:
    """The placements without what happened after that day, its end being `moment`."""
    rows = rows[rows["placed_on"] <= pd.Timestamp(day)]
    certified = rows["certificate_at"] <= moment
    recalled = rows["recalled_on"] <= pd.Timestamp(day)
    confirmed = recalled & (rows["recall_confirmed_on"] <= pd.Timestamp(day))
    asked = rows["erasure_requested_on"] <= pd.Timestamp(day)
    ended = rows["ended_on"] <= pd.Timestamp(day)
    happened = {
        **dict.fromkeys(("recalled_on", "recall_reason", "recall_due_on"), recalled),
        "recall_confirmed_on": confirmed,
        **dict.fromkeys(("erasure_requested_on", "erasure_due_on"), asked),
        **dict.fromkeys(
            ("erased_at", "certified_by", "verified_at", "finding", "certificate", "certificate_sha256",
             "certificate_signer", "certificate_at"),
            certified,
        ),
        **dict.fromkeys(("ended_on", "end_reason"), ended),
    }  # fmt: skip
    return rows.assign(**{name: rows[name].where(when) for name, when in happened.items()})


def _end_of(day: date, zone: str) -> datetime:
    moment: datetime = ends_at(pd.Series([pd.Timestamp(day)]), zone).iloc[0].to_pydatetime()
    return moment

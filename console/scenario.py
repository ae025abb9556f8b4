"""Six simulated months of the whole loop, through the real flows: what `consign demo` shows and the tests run.

Each month: the lenders' snapshots come in, a plan is proposed, approved by a second person and placed; the agencies
acknowledge, work, remit and invoice; the bank's statement comes; everything is reconciled, stated and scored; what is
at its term, paid or on hold is recalled, returned and erased.
"""

from __future__ import annotations

import calendar
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, func, select

from flows.collect import collect
from flows.engine import run
from flows.erase import erase
from flows.intake import intake
from flows.place import place
from flows.plan import approve, draft, submit
from flows.recall import recall
from flows.reconcile import import_statement, reconcile
from flows.score import ScoreReport, score
from flows.statement import state_period
from flows.update import update
from infra import audit
from infra.indexes import ref_index
from infra.sandbox import debtors
from infra.sandbox.bank import BankAccount
from infra.sandbox.world import LENDERS, World, transfers
from infra.store import bulk
from infra.wiring import Desk, seated
from models.planning.spec import PlanSpec
from models.tables import (
    Account,
    Break,
    InboundFile,
    JournalLine,
    Placement,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


MONTHS = 6
PROPOSER, APPROVER = "chen.yu", "li.wei"
FORMATS = {1: "xlsx", 2: "parquet"}
"""of the snapshots, by month; all others come as CSV"""
QUARTER = 3
"""months between two scorings"""
FIRST_COHORT = 0.5
"""of the accounts come in the first month, the rest month by month"""


@dataclass(frozen=True)
class Summary:
    """What six months came to; amounts in minor units of the sandbox's currency."""

    accounts_imported: int
    accounts_placed: int
    placed_minor: int
    files_delivered: int
    files_collected: int
    files_refused: int
    lines_received: int
    lines_refused: int
    lines_matched: int
    breaks_open: int
    recovered_minor: int
    commission_minor: int
    journal_balanced: bool
    audit_verified: bool
    seconds: float

    def json(self) -> dict[str, Any]:
        """It as one JSON object."""
        return asdict(self)


@dataclass
class Story:
    """The months so far."""

    world: World
    accounts: int
    tell: Callable[[str, float], None]
    """told what happens now, and the share of it all that is done"""
    months: int = MONTHS
    lenders: tuple[str, ...] = tuple(sorted(LENDERS))
    """the world's, in order"""
    banks: dict[str, BankAccount] = field(default_factory=dict)
    cohorts: dict[str, pd.DataFrame] = field(default_factory=dict)
    scored: ScoreReport | None = None
    _month_now: int = 0
    _told: float = 0.0

    def run(self) -> Summary:
        """Live the months; then sum up."""
        began = time.monotonic()
        for place_, lender in enumerate(self.lenders):
            self.banks[lender] = BankAccount(f"CN77{place_}0000123456789", "CNY")
            self.cohorts[lender] = debtors.portfolio(
                self.world.seed + place_, self.accounts // len(self.lenders), lender, self.world.start,
                language="zh" if place_ else "en",
            )  # fmt: skip
        for month in range(self.months):
            self._month_now = month
            self._month(month)
        self._answer(self.world.day(self.months, 3))
        self._say("signing the audit head", self.months)
        with self.world.desk.database.write() as connection:
            audit.sign_head(connection, self.world.desk.keyring, self.world.desk.now())
        return replace(summary(self.world.desk), seconds=round(time.monotonic() - began, 1))

    def _month(self, month: int) -> None:
        day = self.world.day(month, 1)
        self._at(day, 9)
        for lender in self.lenders:
            self._say(f"{day:%B}: {lender} hands in its snapshot", month, 0.0)
            source = self._snapshot(lender, month)
            run(intake, source=source, profile=self._profile(lender), lender=lender, as_of=day, threshold="0.01")
        for lender in self.lenders:
            self._say(f"{day:%B}: a plan for {lender}, approved and placed", month, 0.1)
            self._place(lender, month)
        self._say(f"{day:%B}: changed balances are told", month, 0.3)
        run(update)
        self._answer(self.world.day(month, 3))
        self._say(f"{day:%B}: the agencies work, remit and invoice", month, 0.4)
        for on, late in ((20, False), (26, True)):
            self._at(self.world.day(month, on), 20)
            for agency in self.world.agencies.values():
                if bool(agency.traits.late_days) is late:
                    agency.open_mail(self.world.clock.now)
                    agency.work(month, self.world.day(month, on), self.world.clock.now)
        self._collect()
        self._close(month)

    def _answer(self, day: date) -> None:
        """The agencies acknowledge what came, return what was recalled, and certify what they erased."""
        self._at(day, 8)
        self._say(f"{day:%B}: the agencies acknowledge, return and certify", self._month_now, 0.35)
        now = self.world.clock.now
        for agency in self.world.agencies.values():
            agency.open_mail(now)
            agency.acknowledge(day, now)
            agency.give_back(day, now)
            agency.erase(day, now)
            agency.confirm(day, now)
        self._collect()

    def _close(self, month: int) -> None:
        first = self.world.day(month, 1)
        end = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        self._at(end, 22)
        self._say(f"{end:%B}: the bank's statements, reconciled", month, 0.7)
        for lender in self.lenders:
            self._bank(lender, month, end)
        run(reconcile, as_of=end)
        self._say(f"{end:%B}: a statement to each agency", month, 0.8)
        for lender in self.lenders:
            run(state_period, lender=lender, period=f"{end:%Y-%m}")
        self._say(f"{end:%B}: what is paid, on hold or at its term is recalled, what has ended erased", month, 0.85)
        run(recall)
        run(erase)
        if month % QUARTER == QUARTER - 1 or month == self.months - 1:
            self._say(f"{end:%B}: the agencies are scored", month, 0.95)
            self.scored = run(score, as_of=end)

    def _place(self, lender: str, month: int) -> None:
        spec = PlanSpec(
            lender=lender,
            name=f"{lender} {self.world.day(month, 1):%Y-%m}",
            seed=self.world.seed + month,
            term_days=self.world.term_days,
        )
        with self._as(PROPOSER):
            drafted = draft(spec)
            assert drafted.plan_id is not None  # noqa: S101 - a draft that is kept has its number
            submit(drafted.plan_id)
        with self._as(APPROVER):
            approve(drafted.plan_id, drafted.content_sha256 or "")
        with self._as(PROPOSER):
            run(place, plan_id=drafted.plan_id)

    def _snapshot(self, lender: str, month: int) -> Path:
        """The lender's file this month: everything it has handed in so far and a new cohort, as its books stand."""
        whole = self.cohorts[lender]
        share = FIRST_COHORT + (1 - FIRST_COHORT) * month / max(1, self.months - 1)
        known = whole.iloc[: int(len(whole) * share)]
        day = self.world.day(month, 1)
        folder = self.world.desk.folder("portfolios")
        newer = debtors.snapshot(known, day, self._paid(lender, known)) if month else known
        return debtors.write(newer, folder / f"{lender}-{day:%Y-%m}.{FORMATS.get(month, 'csv')}")

    def _paid(self, lender: str, known: pd.DataFrame) -> Mapping[str, int]:
        """What each account has paid so far, by the lender's own number: as the agencies remitted it."""
        lines, accounts = bulk.table_of(RemittanceLine), bulk.table_of(Account)
        with self.world.desk.database.read() as connection:
            paid = bulk.read(
                connection,
                select(accounts.c.ref_index, func.sum(lines.c.gross_minor).label("paid_minor"))
                .join(accounts, accounts.c.account_id == lines.c.account_id)
                .where(lines.c.lender == lender, lines.c.state.not_in(("rejected", "duplicate")))
                .group_by(accounts.c.ref_index),
            )
        refs = known["account_ref"] if "account_ref" in known.columns else known.iloc[:, 0]
        index = pd.Series(refs.to_numpy(), index=ref_index(self.world.desk.keyring, refs).to_numpy())
        found = paid.assign(ref=paid["ref_index"].map(index)).dropna(subset=["ref"])
        return {str(ref): int(minor) for ref, minor in zip(found["ref"], found["paid_minor"], strict=True) if minor > 0}

    def _profile(self, lender: str) -> str:
        return "consign_zh" if "account_ref" not in self.cohorts[lender].columns else "consign"

    def _bank(self, lender: str, month: int, end: date) -> None:
        came = transfers(self.world, lender, end).rename(columns={"payer": "payer_account"})
        path = self.world.desk.folder("bank") / f"{lender}-{end:%Y-%m}.xml"
        self.banks[lender].write(path, came, self.world.day(month, 1), end)
        run(import_statement, path=path, lender=lender, new_account=month == 0)

    def _collect(self) -> None:
        self._say(f"{self.world.clock.now:%B}: their files are collected", self._month_now, 0.5)
        run(collect)

    def _at(self, day: date, hour: int) -> None:
        self.world.clock.turn(day, hour)

    def _as(self, actor: str) -> Any:
        return seated(self.world.desk.acting(actor))

    def _say(self, what: str, month: int, share: float = 0.0) -> None:
        self._told = max(self._told, (month + share) / self.months)  # a bar goes forward only
        self.tell(what, self._told)


def summary(desk: Desk) -> Summary:
    """What the store of a desk adds up to."""
    table = bulk.table_of
    placements, lines, files = table(Placement), table(RemittanceLine), table(InboundFile)
    sent, breaks, journal = table(Transmission), table(Break), table(JournalLine)
    counted = lines.c.state.not_in(("rejected", "duplicate"))
    with desk.database.read() as connection:
        unbalanced = connection.execute(
            select(func.count()).select_from(
                select(journal.c.entry_id)
                .group_by(journal.c.entry_id, journal.c.currency)
                .having(func.sum(journal.c.amount_minor) != 0)
                .subquery()
            )
        ).scalar_one()
        return Summary(
            accounts_imported=_one(connection, select(func.count()).select_from(table(Account))),
            accounts_placed=_one(
                connection,
                select(func.count(placements.c.account_id.distinct())).where(placements.c.state != "planned"),
            ),
            placed_minor=_one(
                connection, select(func.sum(placements.c.balance_minor)).where(placements.c.state != "planned")
            ),
            files_delivered=_one(
                connection, select(func.count()).where(sent.c.state.in_(("delivered", "acknowledged")))
            ),
            files_collected=_one(connection, select(func.count()).where(files.c.state.in_(("accepted", "refused")))),
            files_refused=_one(connection, select(func.count()).where(files.c.state == "refused")),
            lines_received=_one(connection, select(func.sum(files.c.rows)).where(files.c.state == "accepted")),
            lines_refused=_one(connection, select(func.sum(files.c.rows_refused)).where(files.c.state == "accepted")),
            lines_matched=_one(connection, select(func.count()).where(lines.c.state == "matched")),
            breaks_open=_one(connection, select(func.count()).where(breaks.c.state == "open")),
            recovered_minor=_one(connection, select(func.sum(lines.c.gross_minor)).where(counted)),
            commission_minor=_one(connection, select(func.sum(lines.c.due_commission_minor)).where(counted)),
            journal_balanced=unbalanced == 0,
            audit_verified=audit.verify(connection, desk.keyring.audit_publics().values()).ok,
            seconds=0.0,
        )


def _one(connection: Connection, statement: Any) -> int:
    return int(connection.execute(statement).scalar_one() or 0)


def by_agency(desk: Desk) -> pd.DataFrame:
    """Per agency: placements, balance placed, recovered, commission due, lines refused, open breaks."""
    table = bulk.table_of
    placements, lines, breaks = table(Placement), table(RemittanceLine), table(Break)
    with desk.database.read() as connection:
        placed = bulk.read(
            connection,
            select(
                placements.c.agency,
                func.count().label("placed"),
                func.sum(placements.c.balance_minor).label("placed_minor"),
            )
            .where(placements.c.state != "planned")
            .group_by(placements.c.agency),
        )
        money = bulk.read(
            connection,
            select(
                lines.c.agency,
                func.sum(lines.c.gross_minor).label("recovered_minor"),
                func.sum(lines.c.due_commission_minor).label("commission_minor"),
            )
            .where(lines.c.state.not_in(("rejected", "duplicate")))
            .group_by(lines.c.agency),
        )
        open_ = bulk.read(
            connection,
            select(breaks.c.agency, func.count().label("breaks_open"))
            .where(breaks.c.state == "open")
            .group_by(breaks.c.agency),
        )
    whole = (
        placed.merge(money, on="agency", how="left")
        .merge(open_, on="agency", how="left")
        .fillna({"breaks_open": 0, "recovered_minor": 0, "commission_minor": 0})
    )
    whole["liquidation"] = (whole["recovered_minor"] / whole["placed_minor"]).map("{:.1%}".format)
    return whole.astype({"breaks_open": "int64", "recovered_minor": "int64", "commission_minor": "int64"}).assign(
        currency="CNY"
    )


def start_of(today: date, months: int = MONTHS) -> date:
    """The first of the month so many months back: the simulated time ends before today."""
    first = today.replace(day=1)
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
    return first

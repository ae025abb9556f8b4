"""A sandbox in the middle of its work: something of everything waits for somebody, as it would on any morning.

The sandbox's months leave everything done. Here its people do half of the next thing, through the same functions as
the pages, so that every page with an address has something to show.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import func, insert, select, update

from flows import jobs as working
from flows.engine import run
from flows.evaluate import evaluate
from flows.holds import place_hold
from flows.plan import draft, submit
from flows.recall import take_back
from flows.strategy import approve, strategise
from flows.watch import watch
from infra import (
    casework,
    closing,
    complaints,
    conduct,
    consolidation,
    contracts,
    diligence,
    gates,
    jobs,
    jointpayments,
    onboarding,
    policies,
    register,
    reidentification,
    resolving,
    retention,
    rotation,
    strategy,
    subjects,
)
from infra.indexes import linkage_pseudonyms
from infra.packages import account_pseudonyms
from infra.payments import runs
from infra.people import sessions, tokens
from infra.propensity import versions
from infra.register import Question
from infra.sandbox import staff
from infra.store import bulk, exchange, worklist
from infra.store.conduct import ACTIVITY, BREACHES
from infra.store.gates import GATES
from infra.store.worklist import Wanted
from infra.wiring import seated
from keys.keyring import Keyring
from models import packaged
from models.errors import RefusedByPolicy, UsageError
from models.planning.spec import PlanSpec
from models.tables import (
    Account,
    Agency,
    AgencyContract,
    Debtor,
    Instalment,
    InstalmentPlan,
    Placement,
    RecallObjection,
    StrategyRun,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.wiring import Desk

WHY: Final = "the debtor's letter of this morning asks for it"
CLERKS_AGENCY: Final = "quayside"
HORIZON_DAYS: Final = 30
"""Within so many days of placement a payment counts: of half a year, enough placements were watched so long."""
PLACEMENTS: Final = bulk.table_of(Placement)
INSTALMENT_PLANS: Final = bulk.table_of(InstalmentPlan)


@dataclass(frozen=True)
class Known:
    """A placed account, as the people who write to each other about it call it."""

    account_id: int
    agency: str
    lender: str
    pseudonym: str
    number: str
    """the lender's own"""


def pose(desk: Desk) -> None:
    """Something of everything is under way."""
    mine = known(desk)
    for step in (_letters, _complaints, _rules, _held):
        step(desk, mine)
    for act in (
        _over, _plans, _recalls, _strategies, _together, _money, _agreements, _keys, _scores, _foretold, _forecast,
        _house,
    ):  # fmt: skip
        act(desk)


def known(desk: Desk, count: int = 4) -> list[Known]:
    """So many accounts that the clerk's agency works, each of another debtor."""
    with desk.database.read() as connection:
        rows = connection.execute(
            select(func.min(PLACEMENTS.c.account_id).label("account_id"), PLACEMENTS.c.lender)
            .where(PLACEMENTS.c.agency == CLERKS_AGENCY, PLACEMENTS.c.state == "acknowledged")
            .group_by(PLACEMENTS.c.debtor_id, PLACEMENTS.c.lender)
            .order_by("account_id")
            .limit(count)
        ).all()
    key = desk.keyring.pseudonym_key(CLERKS_AGENCY)
    names = account_pseudonyms(key, pd.Series([row.account_id for row in rows]))
    compliance = desk.acting(staff.STAFF["compliance"])
    return [
        Known(
            row.account_id, CLERKS_AGENCY, row.lender, name,
            str(reidentification.show(
                compliance, name, ["account_ref"], WHY, agency=CLERKS_AGENCY, whole=True
            )["account_ref"]),
        )
        for row, name in zip(rows, names, strict=True)
    ]  # fmt: skip


# --- compliance -------------------------------------------------------------------------------------------------------


def _letters(desk: Desk, mine: list[Known]) -> None:
    """Debtors have written: one letter is read, one person is proved, one is refused; the register was asked."""
    compliance = desk.acting(staff.STAFF["compliance"])
    kinds = ("access", "erasure", "restriction")
    letters = [
        subjects.open_request(compliance, one.lender, one.number, kind, ref=f"L-{place}", received_on=desk.today())
        for place, (kind, one) in enumerate(zip(kinds, mine, strict=False), 41)
    ]
    refused, proved = letters[2].request_id, letters[0].request_id
    assert refused is not None
    assert proved is not None
    subjects.refuse(compliance, refused, "identity_not_proved", "two letters to the known address came back")
    subjects.verify(compliance, proved, "passport seen in person")
    register.disclosures(compliance, Question(lender=mine[0].lender, who=mine[0].number, why=WHY))


def _complaints(desk: Desk, mine: list[Known]) -> None:
    """Three complaints: one is new, one is taken, one is closed."""
    compliance = desk.acting(staff.STAFF["compliance"])
    ids: list[int] = []
    for place, (category, severity) in enumerate((("threat", "serious"), ("conduct", "normal"), ("privacy", "normal"))):
        one = mine[place]
        made = complaints.add(
            compliance, one.lender, one.agency, f"C-{117 + place}", account_ref=one.number, category=category,
            severity=severity, received_on=desk.today() - timedelta(days=3 * place),
        )  # fmt: skip
        ids.extend(made.complaint_ids)
    complaints.take(compliance, ids[1])
    complaints.close(compliance, ids[2], "upheld", "the recording was heard: the collector named the employer")


def _rules(desk: Desk, mine: list[Known]) -> None:
    """Contacts in the middle of the night were found; one breach is decided; a gate is to be lifted."""
    compliance = desk.acting(staff.STAFF["compliance"])
    with desk.database.write() as connection:
        early = connection.execute(
            select(ACTIVITY.c.activity_id, ACTIVITY.c.at).order_by(ACTIVITY.c.activity_id).limit(3)
        ).all()
        for row in early:
            connection.execute(
                update(ACTIVITY)
                .where(ACTIVITY.c.activity_id == row.activity_id)
                .values(at=row.at.replace(hour=19, minute=30))
            )
        gate_id = connection.execute(
            insert(GATES)
            .values(
                agency=mine[0].agency, lender=mine[0].lender, pack="cn", gate="complaints", state="closed", measured=9,
                bound=5, since=desk.now(), looked_at=desk.now(), detail="",
            )
            .returning(GATES.c.gate_id)
        ).scalar_one()  # fmt: skip
    conduct.audit_conduct(compliance, everything=True)
    with desk.database.read() as connection:
        first = connection.execute(select(func.min(BREACHES.c.breach_id))).scalar_one()
    conduct.decide(compliance, first, "upheld", "the agency was heard; the dialler's clock was wrong")
    gates.ask(compliance, gate_id, desk.today() + timedelta(days=14), "the dialler is mended; two weeks to prove it")
    text = packaged.text("models", "policies", "cn-default").replace('name = "cn-default"', 'name = "ours"')
    policies.propose_text(compliance, text, "ours.toml")


def _held(desk: Desk, mine: list[Known]) -> None:
    """A debtor is not to be contacted; what a court looks at is not deleted."""
    one, compliance = mine[-1], desk.acting(staff.STAFF["compliance"])
    with seated(compliance):
        place_hold(one.lender, one.number, "dispute", desk.today() + timedelta(days=30))
    retention.hold(compliance, "lender", "case 2026-114 of the city court", lender=one.lender)


def _over(desk: Desk) -> None:
    """What was paid long ago is due to be forgotten; of one lender a legal hold keeps it."""
    today, accounts = desk.today(), bulk.table_of(Account)
    paid = accounts.c.status == "paid"
    with desk.database.write() as connection:
        over = select(accounts.c.account_id).where(paid)
        connection.execute(update(accounts).where(paid).values(last_paid_on=today - timedelta(days=120)))
        connection.execute(
            update(PLACEMENTS).where(PLACEMENTS.c.account_id.in_(over)).values(ended_on=today - timedelta(days=100))
        )


# --- the portfolio and its agencies -----------------------------------------------------------------------------------


def _plans(desk: Desk) -> None:
    """Accounts have come back; one plan for them is a draft, another waits for a second person."""
    manager = desk.acting(staff.STAFF["portfolio_manager"])
    agencies = bulk.table_of(Agency)
    with desk.database.write() as connection:
        for agency, held in connection.execute(
            select(PLACEMENTS.c.agency, func.count())
            .where(PLACEMENTS.c.state == "acknowledged")
            .group_by(PLACEMENTS.c.agency)
        ).all():
            room = held + held // 2
            connection.execute(update(agencies).where(agencies.c.agency == agency).values(capacity_accounts=room))
        named = select(PLACEMENTS.c.lender).distinct().order_by(PLACEMENTS.c.lender)
        lenders = list(connection.execute(named).scalars())
        for lender in lenders:
            back = (
                select(PLACEMENTS.c.placement_id)
                .where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state == "acknowledged")
                .order_by(PLACEMENTS.c.placement_id.desc())
                .limit(max(8, _count(connection, lender) // 5))
            )
            connection.execute(
                update(PLACEMENTS)
                .where(PLACEMENTS.c.placement_id.in_(back))
                .values(state="closed", end_reason="term", ended_on=desk.today())
            )
    with seated(manager):
        for place, lender in enumerate(lenders):
            spec = PlanSpec(lender=lender, name=f"{lender} {desk.today():%Y-%m}-B", seed=20261102, term_days=90)
            plan_id = draft(spec).plan_id
            if place and plan_id is not None:
                submit(plan_id)


def _count(connection: Any, lender: str) -> int:
    return int(
        connection.execute(
            select(func.count()).where(PLACEMENTS.c.lender == lender, PLACEMENTS.c.state == "acknowledged")
        ).scalar_one()
    )


def _recalls(desk: Desk) -> None:
    """A few accounts are taken back; the agency would rather keep one of them."""
    with desk.database.read() as connection:
        some = connection.execute(
            select(PLACEMENTS.c.placement_id)
            .where(PLACEMENTS.c.agency == CLERKS_AGENCY, PLACEMENTS.c.state == "acknowledged")
            .order_by(PLACEMENTS.c.placement_id.desc())
            .limit(3)
        ).scalars()
        placement_ids = list(some)
    with seated(desk.acting(staff.STAFF["portfolio_manager"])):
        take_back(placement_ids, "performance")
    with desk.database.write() as connection:
        connection.execute(
            insert(bulk.table_of(RecallObjection)).values(
                file_id=1, line=1, agency=CLERKS_AGENCY, placement_id=placement_ids[0], reason="payment_promised",
                keep_until=desk.today() + timedelta(days=21), state="open",
            )
        )  # fmt: skip


def _strategies(desk: Desk) -> None:
    """Rules of our own are in force; a run of them is accepted, another waits; an instalment plan is beyond limits."""
    manager = desk.acting(staff.STAFF["portfolio_manager"])
    ours = (
        packaged.text("models.strategy", "shipped", "cn-soft-first")
        .replace('name = "cn-soft-first"', 'name = "ours"\nlenders = ["harbour", "lotus"]')
        .replace("no_activity_days = 30", "no_activity_days = 5")
    )
    strategy.BOOK.propose_text(manager, ours)
    strategy.BOOK.approve(desk.acting(staff.SECOND), "ours@1")
    with seated(manager):
        run(strategise)
    runs_made = bulk.table_of(StrategyRun)
    with desk.database.read() as connection:
        first = connection.execute(
            select(func.min(runs_made.c.run_id)).where(runs_made.c.state == "proposed")
        ).scalar_one()
    with seated(desk.acting(staff.SECOND)):
        approve(first)
    with desk.database.write() as connection:
        one = connection.execute(
            select(PLACEMENTS)
            .where(PLACEMENTS.c.agency == CLERKS_AGENCY, PLACEMENTS.c.state == "acknowledged")
            .limit(1)
        ).one()
        number = 1 + (connection.execute(select(func.max(INSTALMENT_PLANS.c.instalment_plan_id))).scalar_one() or 0)
        part = one.balance_minor // 6
        connection.execute(
            insert(INSTALMENT_PLANS).values(
                instalment_plan_id=number, agency=one.agency, lender=one.lender, plan_ref="PP-2117",
                placement_id=one.placement_id, currency=one.currency, total_minor=part * 6, instalments=6,
                first_due_on=desk.today() + timedelta(days=9), last_due_on=desk.today() + timedelta(days=159),
                state="proposed", file_id=1, proposed_at=desk.now(), limits="cn-default@1", verdict="beyond",
                codes="too_long", ability="medium", willingness="high", balance_minor=one.balance_minor, paid_minor=0,
            )
        )  # fmt: skip
        connection.execute(
            insert(bulk.table_of(Instalment)),
            [
                {"instalment_plan_id": number, "number": at + 1, "due_on": desk.today() + timedelta(days=9 + 30 * at),
                 "amount_minor": part}
                for at in range(6)
            ],
        )  # fmt: skip


def _together(desk: Desk) -> None:
    """Somebody owes both lenders: they are one person to the agency, and what it collected is split."""
    manager, compliance = desk.acting(staff.STAFF["portfolio_manager"]), desk.acting(staff.STAFF["compliance"])
    number_of = pd.DataFrame({"id_number": pd.Series(["11010519491231002X"], dtype="str")})
    debtors, debtor = bulk.table_of(Debtor), 0
    with desk.database.write() as connection:
        for lender in ("harbour", "lotus"):
            mine = select(func.min(PLACEMENTS.c.debtor_id)).where(
                PLACEMENTS.c.lender == lender, PLACEMENTS.c.agency == CLERKS_AGENCY,
                PLACEMENTS.c.state == "acknowledged",
            )  # fmt: skip
            linkage = linkage_pseudonyms(desk.keyring, lender, number_of).iloc[0]
            debtor = connection.execute(mine).scalar_one()
            connection.execute(update(debtors).where(debtors.c.debtor_id == debtor).values(linkage=linkage))
    accounts = bulk.table_of(Account)
    for lender in ("harbour", "lotus"):
        told = consolidation.propose(
            manager, "delta", lender, scope="external", basis="PIPL art. 13(1)(1), agreement of 1 March 2026",
            evidence="register 7/2026", valid_from=desk.today(),
        )  # fmt: skip
        assert told.basis_id is not None
        consolidation.approve(compliance, told.basis_id)
    with desk.database.read() as connection:
        account, owed = connection.execute(
            select(accounts.c.account_id, accounts.c.balance_minor).where(accounts.c.debtor_id == debtor)
        ).first() or (0, 0)
    name = account_pseudonyms(desk.keyring.pseudonym_key(CLERKS_AGENCY), pd.Series([account])).iloc[0]
    with TemporaryDirectory(dir=desk.folder("scratch")) as folder:
        listed = Path(folder) / "joint.csv"
        listed.write_text(
            f"payment_ref,account,currency,amount,paid_on\nP-1,{name},CNY,{owed // 100 + 10}.00,{desk.today()}\n",
            encoding="utf-8",
        )
        jointpayments.take_in(desk.acting(staff.STAFF["finance"]), CLERKS_AGENCY, listed)


def _agreements(desk: Desk) -> None:
    """Finance proposes other terms to one agency; a prospect has just been added."""
    finance = desk.acting(staff.STAFF["finance"])
    table = bulk.table_of(AgencyContract)
    with desk.database.read() as connection:
        row = connection.execute(
            select(table.c.lender, table.c.terms).where(table.c.agency == CLERKS_AGENCY).order_by(table.c.lender)
        ).first()
    assert row is not None
    first = (desk.today().replace(day=1) + timedelta(days=70)).replace(day=1)
    contracts.propose(
        finance, CLERKS_AGENCY, row.lender, row.terms.replace("rate = 0.22", "rate = 0.21"), first,
        "agreed with their director on the telephone, in writing since",
    )  # fmt: skip
    onboarding.add(desk.acting(staff.STAFF["operations"]), "meridian", "Meridian Recoveries")
    kinds = diligence.kinds()
    diligence.add(
        desk.acting(staff.STAFF["compliance"]), CLERKS_AGENCY, min(kinds), kinds=kinds,
        valid_from=desk.today() - timedelta(days=30), valid_until=desk.today() + timedelta(days=335),
        reference="company register, looked up in October",
    )  # fmt: skip


def _keys(desk: Desk) -> None:
    """The clerk has handed in the agency's next key, and it waits."""
    with desk.database.read() as connection:
        suite = exchange.agency(connection, CLERKS_AGENCY).suite
    folder = desk.folder("scratch")
    with TemporaryDirectory(dir=folder) as made:
        theirs = Keyring.create(Path(made) / "keyring.json", key_file=Path(made) / "root.key")
        theirs.new_own_keys(suite, desk.now())
        public = theirs.public_keys(suite, desk.now())
    rotation.trust(desk.acting(staff.CLERK), CLERKS_AGENCY, public["encrypt"], public["verify"], always_wait=True)


def _scores(desk: Desk) -> None:
    """The next cycle is proposed."""
    with seated(desk.acting(staff.STAFF["portfolio_manager"])):
        run(evaluate)


def _foretold(desk: Desk) -> None:
    """Where models are switched on: one is in use and was watched, another one waits for a second person."""
    if desk.settings.propensity == "off":
        return
    manager = desk.acting(staff.STAFF["portfolio_manager"])
    made = [
        versions.fit(manager, "harbour", horizon_days=HORIZON_DAYS, without=without)
        for without in (["months_open"], [])
    ]  # fmt: skip
    used = made[-1].model_id
    versions.approve(desk.acting(staff.SECOND), used)
    jobs.ask(manager, "foretell", {"lender": None})
    jobs.ask(manager, "drift", {"lender": "harbour", "model_id": used})
    working.work_off(desk)


def _forecast(desk: Desk) -> None:
    """What is to come was forecast: of all lenders together, and of one."""
    finance = desk.acting(staff.STAFF["finance"])
    for lender in (None, "harbour"):
        jobs.ask(finance, "forecast", {"lender": lender, "months": 6})
    working.work_off(desk)


# --- money ------------------------------------------------------------------------------------------------------------


def _money(desk: Desk) -> None:
    """Breaks are assigned and commented on, one is to be written off; agencies are to be paid; a month is looked at."""
    finance = desk.acting(staff.STAFF["finance"])
    with desk.database.read() as connection:
        rows = worklist.page(connection, Wanted()).rows
    for row in rows[:2]:
        resolving.assign(finance, row.id, staff.STAFF["finance"])
    resolving.comment(finance, rows[0].id, "the agency was asked for its bank slip")
    _written_off(finance, rows)
    for lender in ("harbour", "lotus"):
        with suppress(UsageError):  # nothing is due to anybody of that lender's
            runs.propose(finance, lender, "CNY", "CN7700000123456789", "102100099996", desk.today())
    period = f"{desk.today().replace(day=1) - timedelta(days=1):%Y-%m}"
    stops = [one.finding for one in closing.check(finance, "harbour", period) if one.stops]
    for finding in stops[:1]:
        with suppress(RefusedByPolicy):  # what nobody can accept
            closing.accept(finance, "harbour", period, finding, "looked at one by one with the agency this morning")


def _written_off(finance: Desk, rows: Sequence[worklist.Row]) -> None:
    """The first break whose line or receipt has a rest waits to be given up."""
    for row in rows:
        with finance.database.read() as connection:
            item = casework.item_of(connection, row.id)
        with suppress(UsageError):
            resolving.propose(
                finance, "write_off", "uneconomic", "", row.id,
                {"line": item.get("line"), "receipt": item.get("receipt")},
            )  # fmt: skip
            return


# --- the house --------------------------------------------------------------------------------------------------------


def _house(desk: Desk) -> None:
    """Jobs are done and waiting, the exchange is watched, a token is made, somebody is signed in elsewhere."""
    with seated(desk):
        run(watch)
    manager = desk.acting(staff.STAFF["portfolio_manager"])
    jobs.ask(manager, "deliver", {"agency": CLERKS_AGENCY})
    working.work_off(desk)
    jobs.ask(desk.acting(staff.STAFF["finance"]), "rehearse", {})
    tokens.make(manager, manager.actor, "month-end spreadsheet", scopes=("plans.see", "recoveries.see"))
    for actor in (staff.STAFF["finance"], staff.SECOND):
        sessions.begin(desk, actor, factors=2, address="10.0.4.17", browser="Firefox 142 on Debian")

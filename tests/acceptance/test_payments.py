"""A quarter of the sandbox, paid: what statements say is what the books owe, the bank is told, and the bank shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from lxml import etree
from sqlalchemy import func, select

from console.scenario import Story
from infra import contracts
from infra.payments import runs
from infra.payments.messages import NAMESPACE
from infra.sandbox.world import AGENCIES, World, open_world
from infra.store import contracts as agreed
from infra.store import payments
from infra.store.bulk import read, table_of
from infra.wiring import Desk, seated
from models.contract.writing import changed
from models.tables import AgencyPayment, CommissionAdjustment, JournalEntry, JournalLine, Statement

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
ENTRY, LINE = table_of(JournalEntry), table_of(JournalLine)
OWN_ACCOUNT = "DE89370400440532013000"
MONTHS = 3


class Paying(Story):
    """The demo's months; after each the agencies are paid, and the bank shows it on its next statement."""

    def _close(self, month: int) -> None:
        super()._close(month)
        for lender in sorted(self.cohorts):
            statements_agree_with_the_books(self.world, lender)
            pay(self.world, lender, self.world.day(month + 1, 5))


def statements_agree_with_the_books(world: World, lender: str) -> None:
    """Each agency's closing balance is what 2100 owes it, less what 1350 has against it."""
    with world.desk.database.read() as connection:
        owed = payments.standing(connection, lender).set_index("agency")["closing_minor"]
        booked = read(
            connection,
            select(LINE.c.agency, func.sum(-LINE.c.amount_minor).label("owed_minor"))
            .join(ENTRY, ENTRY.c.entry_id == LINE.c.entry_id)
            .where(ENTRY.c.lender == lender, LINE.c.ledger.in_(("2100", "1350")))
            .group_by(LINE.c.agency),
        ).set_index("agency")["owed_minor"]
    assert owed.to_dict() == booked.reindex(owed.index, fill_value=0).astype("int64").to_dict()


def pay(world: World, lender: str, day: date) -> None:
    """Everything due is proposed, approved by another, told to the bank, and on its way."""
    if runs.proposed(world.desk, lender, day).empty:
        return
    run_id = runs.propose(world.desk, lender, "CNY", OWN_ACCOUNT, None, day)
    other = replace(world.desk, actor="approver")
    other.__dict__.update(database=world.desk.database, keyring=world.desk.keyring)
    with seated(other):
        assert runs.approve(other, run_id) == "approved"
    out = world.desk.folder("bank") / f"run-{run_id}.xml"
    runs.export(world.desk, run_id, "pain001", out)
    tree = etree.parse(out)
    for transfer in tree.iterfind(f".//{{{NAMESPACE}}}CdtTrfTxInf"):
        amount = transfer.findtext(f".//{{{NAMESPACE}}}InstdAmt") or ""
        reference = transfer.findtext(f".//{{{NAMESPACE}}}EndToEndId") or ""
        next(iter(world.agencies.values())).paid_out.append(
            {"lender": lender, "reference": reference, "amount_minor": -int(amount.replace(".", "")), "currency": "CNY",
             "value_date": day + timedelta(days=1), "payer": None}
        )  # fmt: skip


def agree_on_steps(desk: Desk) -> None:
    """From the second month on one agency is paid by volume, and by case."""
    with desk.database.read() as connection:
        present = agreed.one(connection, "harbour", "quayside", date(2026, 1, 31)).terms
    steps = '[{ from_minor = 1_000_000, rate = "0.27" }]'
    terms = changed(present, {"tier.1.steps": steps, "basis": "mixed", "case_fee_minor": "300"})
    assert contracts.propose(desk, "quayside", "harbour", terms, date(2026, 2, 1), "volume and case fee") is None


def test_a_quarter_of_statements_is_paid_and_the_bank_shows_it(tmp_path: Path) -> None:
    cast = tuple(one for one in AGENCIES if one.code in {"quayside", "dingsheng", "millrace"})
    with open_world(
        tmp_path / "home", seed=20260101, start=date(2026, 1, 1), cast=cast, sftp=False, engine="direct",
        payment_two_approvers=10**12,
    ) as world:  # fmt: skip
        agree_on_steps(world.desk)
        told = Paying(world, 400, lambda _what, _share: None, months=MONTHS).run()
        assert told.journal_balanced
        with world.desk.database.read() as connection:
            paid = read(connection, select(table_of(AgencyPayment)))
            statements = read(connection, select(table_of(Statement)))
            kinds = set(read(connection, select(table_of(CommissionAdjustment)))["kind"])
        assert set(paid["state"]) == {"paid", "sent"}
        last = paid["run_id"].isin(paid.groupby("lender")["run_id"].max())
        assert set(paid.loc[~last, "state"]) == {"paid"}
        assert statements["paid_minor"].sum() == paid.loc[paid["state"] == "paid", "amount_minor"].sum() > 0
        assert "case_fee" in kinds
        # who keeps its commission back is owed nothing
        assert "dingsheng" not in set(paid["agency"])
        # a month under its own terms costs what it cost, and with dearer ones more
        same = contracts.simulate(world.desk, "harbour", "2026-02", lambda _agency, present: present)
        assert set(same["agency"]) >= {"quayside", "millrace"}
        assert (same["difference_minor"] == 0).all()
        dearer = contracts.simulate(
            world.desk, "harbour", "2026-02", lambda _agency, present: changed(present, {"vat_rate": "0.09"})
        )
        assert dearer["difference_minor"].sum() > 0

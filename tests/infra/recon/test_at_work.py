"""The laws of reconciling, under files, statements, returns and runs in any order (stateful)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from infra.sandbox.bank import BankAccount
from models.reconcile.outcome import REASONS
from models.tables import MatchPart, MatchRival

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books

AMOUNTS = st.sampled_from([100, 150, 700, 40_000, 1_000_003, 2_500_007])
ACCOUNTS = {"CNY": st.integers(1, 6), "USD": st.integers(21, 23)}
AS_OF = date(2026, 6, 1)
OPEN_LINE, OPEN_RECEIPT = ["awaiting_cash", "part_matched"], ["unapplied", "part_matched"]


class AtWork(RuleBasedStateMachine):
    """One lender's store; what was sent, so that money can be paid for it, twice, or never."""

    open_books: Callable[[], contextlib.AbstractContextManager[Books]]

    def __init__(self) -> None:
        """A fresh store with accounts in two currencies."""
        super().__init__()
        self.closing = contextlib.ExitStack()
        self.books = self.closing.enter_context(self.open_books())
        self.books.place("alpha", [21, 22, 23], currency="USD")
        self.banks = {"CNY": self.books.account, "USD": BankAccount("LENDER-2", "USD")}
        self.sent: list[dict[str, Any]] = []
        self.day = 0

    def teardown(self) -> None:
        """Close the store."""
        self.closing.close()

    @rule(draw=st.data(), currency=st.sampled_from(["CNY", "CNY", "USD"]), batch=st.sampled_from([None, "ALPHA"]))
    def a_file_comes(self, draw: st.DataObject, currency: str, batch: str | None) -> None:
        """Up to four recoveries, some without an id, in a transfer or alone."""
        number = len(self.sent)
        lines = [
            {"gross_minor": draw.draw(AMOUNTS), "account_id": draw.draw(ACCOUNTS[currency]), "currency": currency,
             "agency_txn_id": draw.draw(st.sampled_from([f"T{number}-{at}", f"T{number}-{at}", None])),
             "batch_ref": batch and f"ALPHA-{number}", "value_date": f"2026-04-{draw.draw(st.integers(1, 9)):02d}"}
            for at in range(draw.draw(st.integers(1, 4)))
        ]  # fmt: skip
        self.sent += lines
        self.books.remit("alpha", lines)

    @precondition(lambda self: any(line["agency_txn_id"] for line in self.sent))
    @rule(draw=st.data(), share=st.sampled_from([1, 2]))
    def a_recovery_bounces(self, draw: st.DataObject, share: int) -> None:
        """The whole of it, or a half, perhaps more often than there was."""
        line = draw.draw(st.sampled_from([line for line in self.sent if line["agency_txn_id"]]))
        back = line | {"gross_minor": -line["gross_minor"] // share, "original_txn_id": line["agency_txn_id"]}
        self.books.remit("alpha", [back | {"agency_txn_id": f"R{len(self.sent)}", "value_date": "2026-04-12"}])

    @precondition(lambda self: self.sent)
    @rule(draw=st.data(), off=st.sampled_from([0, 0, 0, -3, 60, -70]), named=st.booleans())
    def money_comes(self, draw: st.DataObject, off: int, named: bool) -> None:
        """For a line or its transfer, exactly or not, named or not; perhaps for the second time."""
        line = draw.draw(st.sampled_from(self.sent))
        batch = line["batch_ref"]
        of = [one for one in self.sent if batch and one["batch_ref"] == batch] or [line]
        amount = sum(one["gross_minor"] for one in of) + off
        reference = (batch or line["agency_txn_id"]) if named else None
        entry = {"amount_minor": amount, "reference": reference, "value_date": "2026-04-10"}
        self.day += 1
        account = self.banks[line["currency"]]
        self.books.account, before = account, self.books.account
        day = date(2026, 4, 10) + timedelta(days=self.day)
        self.books.bank([entry], day, first=day)
        self.books.account = before

    @rule()
    def it_is_reconciled(self) -> None:
        """And once more, which adds nothing."""
        self.books.reconcile(AS_OF)
        before = self.told()
        self.books.reconcile(AS_OF)
        assert all(one.equals(other) for one, other in zip(before, self.told(), strict=True))
        self.every_law_holds()

    def told(self) -> list[pd.DataFrame]:
        """Every row that reconciling may write."""
        books = self.books
        return [
            books.lines,
            books.receipts,
            books.breaks,
            books.matches,
            books.table(MatchPart),
            books.table(MatchRival),
        ]

    def every_law_holds(self) -> None:
        """What is tied is of one currency; what counts and is not tied is in 1200; what is open says why."""
        books = self.books
        lines, receipts, matches = books.lines, books.receipts, books.matches
        parts = books.table(MatchPart).merge(matches[["match_id", "status", "currency"]], on="match_id")
        sure = parts[parts["status"] == "confirmed"]
        for name, rows, tied in (("line_id", lines, "cash_minor"), ("receipt_id", receipts, "applied_minor")):
            of = sure.dropna(subset=[name]).astype({name: "int64"}).merge(rows, on=name, suffixes=("", "_own"))
            assert (of["currency"] == of["currency_own"]).all()
            sums = of.groupby(name)["amount_minor"].sum()
            kept = rows.set_index(name)[tied]
            assert (sums.reindex(kept.index, fill_value=0) == kept).all()
        counts = lines[lines["posted_at"].notna() & lines["state"].isin(OPEN_LINE)]
        assert books.ledger.get("1200", 0) == (counts["net_minor"] - counts["cash_minor"]).sum()
        for rows, states in ((lines, OPEN_LINE), (receipts, OPEN_RECEIPT)):
            waits = rows["state"].isin(states)
            assert set(rows.loc[waits, "why"]) <= set(REASONS)
            assert rows.loc[~waits & (rows["state"] != "in_break"), "why"].isna().all()


def test_the_laws_hold_whatever_comes_in_whatever_order(
    fresh_books: Callable[[], contextlib.AbstractContextManager[Books]],
) -> None:
    class Here(AtWork):
        open_books = staticmethod(fresh_books)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=3,
            stateful_step_count=6,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            phases=[Phase.generate],  # shrinking and explaining would trace a store at work for minutes
        ),
    )

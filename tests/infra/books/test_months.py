"""Months close in order, stay what they were, and open again by two; whatever is done in between."""

from __future__ import annotations

import contextlib
import threading
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from infra import closing
from infra.closing import MonthStopped
from infra.store import balances, periods
from infra.wiring import seated
from models.errors import RefusedByPolicy, UsageError
from models.tables import AuditEvent, PeriodClosing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.books.conftest import House

APRIL, MAY = date(2026, 4, 3), date(2026, 5, 2)
WHY = "the bank has corrected a statement"


def test_a_closed_month_stays_closed_and_closing_it_again_changes_nothing(house: House) -> None:
    house.bank(100, date(2026, 4, 1), date(2026, 4, 30))
    house.recover(100, APRIL)
    first = house.close("2026-04")
    again = house.close("2026-04")
    assert (first.new, again.new, first.revision, first.entries, first.lines) == (True, False, 1, 2, 4)
    assert first.sha256 == again.sha256
    house.recover(30, APRIL)
    assert house.broken() == []
    assert len(house.table(PeriodClosing)) == 1


def test_two_people_open_the_last_month_again_and_it_closes_with_a_hash_of_its_own(house: House) -> None:
    house.recover(100, APRIL)
    first = house.close("2026-04")
    number = closing.ask_reopening(house.desk, "bank-a", "2026-04", WHY)
    with pytest.raises(RefusedByPolicy, match="ann asked for it"):
        closing.approve_reopening(house.desk, number)
    closing.approve_reopening(house.as_("li.wei"), number)
    with pytest.raises(RefusedByPolicy, match="done"):
        closing.approve_reopening(house.as_("li.wei"), number)
    key = house.recover(30, APRIL)
    assert house.entries.loc[key, "period"] == "2026-04"
    second = house.close("2026-04")
    assert (second.revision, second.entries) == (2, 2)
    assert second.sha256 != first.sha256
    told = closing.listed(house.desk, "bank-a")
    assert [row["state"] for row in told["closings"]] == ["closed", "replaced"]
    assert [row["state"] for row in told["reopenings"]] == ["done"]
    actions = house.table(AuditEvent)["action"].tolist()
    assert [action for action in actions if action.startswith("books.month")] == [
        "books.month_closed", "books.month_reopened", "books.month_closed",
    ]  # fmt: skip


def test_months_close_one_after_the_other_and_open_in_turn(quick_house: House) -> None:
    for day in (date(2026, 2, 3), date(2026, 3, 3), APRIL):
        quick_house.recover(10, day)
    first = quick_house.close("2026-02")
    quick_house.recover(10, date(2026, 1, 3))
    assert first.entries == 1
    with pytest.raises(MonthStopped, match="earlier_month_open"):
        quick_house.close("2026-04")
    quick_house.close("2026-03")
    quick_house.close("2026-04")
    with pytest.raises(RefusedByPolicy, match="2026-04 is closed after"):
        closing.ask_reopening(quick_house.desk, "bank-a", "2026-03", WHY)
    quick_house.reopen("2026-04")
    quick_house.reopen("2026-03")
    with quick_house.database.read() as connection:
        assert periods.closed_through(connection, "bank-a") == "2026-02"
    with pytest.raises(UsageError, match="not closed"):
        closing.ask_reopening(quick_house.desk, "bank-a", "2026-03", WHY)
    with pytest.raises(UsageError, match="closed with a later month"):
        quick_house.close("2026-01")


def test_the_first_closing_takes_in_all_that_was_before(quick_house: House) -> None:
    for day in (date(2025, 11, 3), date(2026, 2, 3), APRIL):
        quick_house.recover(10, day)
    assert quick_house.close("2026-04").entries == 3
    late = quick_house.recover(10, date(2025, 11, 3))
    assert quick_house.entries.loc[late, "period"] == "2026-05"


def test_lenders_close_apart(quick_house: House) -> None:
    quick_house.recover(10, APRIL)
    quick_house.close("2026-04")
    key = quick_house.recover(10, APRIL, lender="bank-b")
    assert quick_house.entries.loc[key, "period"] == "2026-04"


@pytest.mark.parametrize(
    ("finding", "arrange"),
    [
        ("month_not_over", lambda house: house.today(date(2026, 4, 30))),
        ("bank_gap", lambda house: house.bank(0, date(2026, 4, 1), date(2026, 4, 20))),
        ("unapplied", lambda house: house.bank(50, date(2026, 4, 1), date(2026, 4, 30))),
    ],
)
def test_what_stands_in_the_way_is_named_and_nothing_is_closed(
    quick_house: House, finding: str, arrange: Callable[[House], Any]
) -> None:
    quick_house.recover(10, APRIL)
    arrange(quick_house)
    found = {one.finding: one for one in closing.check(quick_house.desk, "bank-a", "2026-04")}
    assert found[finding].stops
    with pytest.raises(MonthStopped, match=finding):
        closing.close(quick_house.desk, "bank-a", "2026-04")
    assert quick_house.table(PeriodClosing).empty


def test_what_was_accepted_holds_for_as_much_as_there_was(quick_house: House) -> None:
    quick_house.bank(50, date(2026, 4, 1), date(2026, 4, 30))
    with seated(quick_house.desk):
        with pytest.raises(UsageError, match="says nothing"):
            closing.accept(quick_house.desk, "bank-a", "2026-04", "unapplied", "ok")
        with pytest.raises(RefusedByPolicy, match="nobody can accept"):
            closing.accept(quick_house.desk, "bank-a", "2026-04", "month_not_over", WHY)
        accepted = closing.accept(quick_house.desk, "bank-a", "2026-04", "unapplied", WHY)
    assert (accepted.stops, accepted.accepted_by) == (False, "ann")
    quick_house.bank(60, date(2026, 4, 1), date(2026, 4, 30))
    found = {one.finding: one for one in closing.check(quick_house.desk, "bank-a", "2026-04")}
    assert found["unapplied"].stops


def test_a_statement_that_is_changed_or_lost_after_the_closing_shows(quick_house: House) -> None:
    file = stated(quick_house)
    quick_house.close("2026-04")
    assert quick_house.broken() == []
    file.write_text("another", encoding="utf-8")
    assert quick_house.broken() == ["2026-04 is what was closed"]
    assert [one.finding for one in closing.check(quick_house.desk, "bank-a", "2026-04") if one.stops] == [
        "statement_files"
    ]


def test_a_line_that_is_changed_past_the_triggers_shows(quick_house: House) -> None:
    import sqlite3

    quick_house.recover(10, APRIL)
    quick_house.close("2026-04")
    with contextlib.closing(sqlite3.connect(str(quick_house.database.url.database), isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER journal_line_refuses_update")
        raw.execute("UPDATE journal_line SET account_id = 9 WHERE ledger = '1100'")
    assert quick_house.broken() == ["2026-04 is what was closed"]


def test_who_posts_while_a_month_is_closed_waits_and_goes_to_the_next(house: House) -> None:
    """On SQLite writers take turns; on PostgreSQL the books are held. Nobody gets into the hashed month either way."""
    house.recover(10, APRIL)
    ready, results = threading.Barrier(9), []

    def posts(number: int) -> None:
        ready.wait()
        results.append(house.recover(1, APRIL, key=f"beside:{number}"))

    threads = [threading.Thread(target=posts, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    ready.wait()
    house.close("2026-04")
    for thread in threads:
        thread.join()
    assert len(results) == 8
    closed = house.table(PeriodClosing)["entries"].sum()
    assert (house.entries["period"] == "2026-04").sum() == closed
    assert house.broken() == []


def stated(house: House) -> Path:
    """A statement of April's has been made; its file."""
    import hashlib

    from infra.store.statements import STATEMENT

    folder = house.desk.folder("statements")
    digests = {}
    for kind in ("csv", "xlsx", "pdf"):
        (folder / f"april.{kind}").write_text(kind, encoding="utf-8")
        digests[kind] = hashlib.sha256(kind.encode()).hexdigest()
    figures = {column.name: 0 for column in STATEMENT.columns if column.name.endswith("_minor")}
    with house.database.write() as connection:
        connection.execute(
            STATEMENT.insert().values(
                statement_id=1, lender="bank-a", agency="alpha", period="2026-04", currency="CNY", lines=0,
                late_lines=0, made_at=house.desk.now(), sha256=digests["csv"], xlsx_sha256=digests["xlsx"],
                pdf_sha256=digests["pdf"], **figures,
                **{f"{kind}_path": f"statements/april.{kind}" for kind in digests},
            )
        )  # fmt: skip
    return folder / "april.csv"


class Months(RuleBasedStateMachine):
    """Anything that people and files do to a lender's books, in any order; what was closed is what it was."""

    open_house: Callable[[], contextlib.AbstractContextManager[House]]

    def __init__(self) -> None:
        super().__init__()
        self.entered = self.open_house()
        self.house = self.entered.__enter__()
        self.house.today(date(2026, 7, 10))
        self.known: dict[str, tuple[str, list[Any]]] = {}
        self.keys: list[str] = []

    def teardown(self) -> None:
        assert self.house.broken() == []
        self.entered.__exit__(None, None, None)

    @property
    def closed(self) -> str | None:
        with self.house.database.read() as connection:
            return periods.closed_through(connection, "bank-a")

    @rule(amount=st.integers(-500, 500).filter(bool), month=st.integers(3, 7), day=st.integers(1, 28))
    def recover(self, amount: int, month: int, day: int) -> None:
        self.keys.append(self.house.recover(amount, date(2026, month, day)))

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        before = len(self.house.entries)
        self.house.recover(1, date(2026, 4, 1), key=data.draw(st.sampled_from(self.keys)))
        assert len(self.house.entries) == before

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        self.house.reverse(data.draw(st.sampled_from(self.keys)))

    @rule(month=st.integers(3, 6))
    def close(self, month: int) -> None:
        period = f"2026-{month:02d}"
        try:
            done = self.house.close(period)
        except (MonthStopped, UsageError):
            return
        self.known[period] = (done.sha256, self.lines(period))

    @precondition(lambda self: self.closed is not None)
    @rule()
    def reopen(self) -> None:
        assert self.closed is not None
        self.known.pop(self.closed)
        self.house.reopen(self.closed)

    def lines(self, period: str) -> list[Any]:
        with self.house.database.read() as connection:
            return [part.to_csv() for part in balances.journal(connection, "bank-a", until=period, by_account=True)]

    @invariant()
    def closed_months_are_what_they_were(self) -> None:
        for period, (_, lines) in self.known.items():
            assert self.lines(period) == lines
        told = closing.listed(self.house.desk)["closings"]
        assert {row["period"]: row["sha256"] for row in told if row["state"] == "closed"} == {
            period: sha256 for period, (sha256, _) in self.known.items()
        }

    @invariant()
    def everything_sums_to_nothing_in_every_month(self) -> None:
        with self.house.database.read() as connection:
            for period in (None, "2026-04", "2026-06"):
                assert balances.trial_balance(connection, "bank-a", period=period)["balance_minor"].sum() == 0


def test_whatever_happens_closed_months_stay_byte_identical(
    houses: Callable[[], contextlib.AbstractContextManager[House]],
) -> None:
    class Here(Months):
        open_house = staticmethod(houses)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=4, stateful_step_count=12, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )  # fmt: skip

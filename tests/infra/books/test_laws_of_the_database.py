"""What the books promise the database keeps by itself: each law is tried by SQL that knows nothing of our code."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from tests.infra.books.conftest import House

ENTRY = """INSERT INTO journal_entry VALUES ({id}, 'k{id}', '{event}', 'bank-a', 'alpha', '2026-04-03', '{period}',
           '{day}', '2026-05-01 00:00:00', {batch}, {reverses})"""
LINE = "INSERT INTO journal_line VALUES ({id}, {entry}, '{ledger}', '{code}', NULL, NULL, '{currency}', {minor})"
SEAL = "INSERT INTO journal_batch VALUES ({batch}, 1, 2, '2026-05-01 00:00:00')"


def entry(id_: int = 901, *, event: str = "cash", period: str = "2026-04", day: str = "2026-04-03", batch: int = 901,
          reverses: str = "NULL") -> str:  # fmt: skip
    return ENTRY.format(id=id_, event=event, period=period, day=day, batch=batch, reverses=reverses)


def line(id_: int, minor: int, *, of: int = 901, ledger: str = "1250", code: str | None = None,
         currency: str = "CNY") -> str:  # fmt: skip
    return LINE.format(id=id_, entry=of, ledger=ledger, code=code or ledger, currency=currency, minor=minor)


def seal(batch: int = 901) -> str:
    return SEAL.format(batch=batch)


def run(house: House, *statements: str) -> None:
    with house.database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture(autouse=True)
def _posted(house: House) -> None:
    """One entry is in the books, so that the chart is known."""
    house.recover(100, date(2026, 4, 3))


REFUSED = {
    "does not sum to 0": (entry(), line(901, 5), line(902, -4, ledger="1200"), seal()),
    "has no lines": (entry(), seal()),
    "crosses currencies": (entry(), line(901, 5), line(902, -5, ledger="1200", currency="USD"), seal()),
    "crosses currencies, each even": (
        entry(), line(901, 5), line(902, -5), line(903, 7, currency="USD"), line(904, -7, currency="USD"), seal(),
    ),
    "exchanges, and is uneven in each": (
        entry(event="exchange"), line(901, 5), line(902, -5, ledger="1290", currency="USD"), seal(),
    ),
    "stands on no account of the chart": (entry(), line(901, 5, code="9999"), line(902, -5), seal()),
    "stands on another ledger's account": (entry(), line(901, 5, ledger="1250", code="1200"), line(902, -5), seal()),
    "stands on a day of another month": (entry(day="2026-05-01"), line(901, 5), line(902, -5), seal()),
    "is sealed before its lines": (entry(), seal(), line(901, 5), line(902, -5)),
    "goes to an entry that is sealed": (line(901, 5, of=1), line(902, -5, of=1)),
    "goes to an entry that is not there": (line(901, 5, of=77),),
    "goes to a batch that is sealed": (entry(batch=1), line(901, 5), line(902, -5)),
    "has a key twice": (entry(), entry(902), "UPDATE journal_entry SET entry_key = 'k901' WHERE entry_id = 902"),
    "is the second mirror of an entry": (
        entry(reverses="1"), line(901, 5), line(902, -5), entry(902, reverses="1"), line(903, 5, of=902),
        line(904, -5, of=902), seal(),
    ),
    "changes an entry": ("UPDATE journal_entry SET period = '2026-03'",),
    "changes a line": ("UPDATE journal_line SET amount_minor = 0",),
    "takes a batch away": ("DELETE FROM journal_batch",),
    "gives a code of the chart another meaning": ("UPDATE ledger_account SET ledger = '1250' WHERE code = '1200'",),
    "takes an account away": ("DELETE FROM ledger_account",),
}  # fmt: skip


TRICKS = (
    "UPDATE accounting_period SET state = 'open'",
    "UPDATE accounting_period SET closing_id = 99",
    "UPDATE accounting_period SET period = '2026-01'",
    "DELETE FROM accounting_period",
    "UPDATE period_closing SET sha256 = 'x'",
    "DELETE FROM period_closing",
    "INSERT INTO accounting_period VALUES ('bank-a', '2026-03', 'open', 7)",
)
"""Ways to get into a closed month without asking anybody."""


def taken(house: House, statements: tuple[str, ...]) -> bool:
    """Whether the database lets this happen."""
    try:
        run(house, *statements)
    except IntegrityError:
        return False
    return True


def test_what_breaks_a_law_is_refused(house: House) -> None:
    before = len(house.entries)
    assert [why for why, statements in REFUSED.items() if taken(house, statements)] == []
    assert len(house.entries) == before
    assert house.broken() == []


def test_a_transaction_with_an_entry_that_nobody_sealed_does_not_end(house: House) -> None:
    with pytest.raises(IntegrityError):
        run(house, entry(), line(901, 5), line(902, -5, ledger="1200"))
    assert "k901" not in house.entries.index


def test_what_balances_and_is_sealed_is_taken_and_an_exchange_in_two_currencies(house: House) -> None:
    run(house, entry(902, batch=902), line(911, 5, of=902), line(912, -5, of=902, ledger="1200"), seal(902))
    run(
        house, entry(event="exchange"), line(901, 716), line(902, -716, ledger="1290"),
        line(903, 100, ledger="1290", currency="USD"), line(904, -100, ledger="1200", currency="USD"), seal(),
    )  # fmt: skip
    assert house.broken() == []


def test_nothing_is_posted_to_a_closed_month_nor_is_it_opened_by_hand(house: House) -> None:
    closing = house.close("2026-04").closing_id
    assert [trick for trick in TRICKS if taken(house, (trick,))] == []
    for asked, approved, state in (("ann", "'ann'", "done"), ("ann", "NULL", "done"), ("ann", "'li'", "waiting")):
        request = (
            "INSERT INTO period_reopening (lender, period, closing_id, why, state, asked_by, asked_at, approved_by)"
            f" VALUES ('bank-a', '2026-04', {closing}, 'w', '{state}', '{asked}', '2026-05-02 00:00:00', {approved})"
        )
        assert not taken(house, (request, "UPDATE accounting_period SET state = 'open'")), (asked, approved, state)
    for period, day in (("2026-04", "2026-04-03"), ("2026-03", "2026-03-03")):
        with pytest.raises(IntegrityError, match="closed"):
            run(house, entry(period=period, day=day), line(901, 5), line(902, -5), seal())
    run(house, entry(period="2026-05", day="2026-05-02"), line(901, 5), line(902, -5), seal())
    assert house.broken() == []

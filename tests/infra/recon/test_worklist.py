"""The worklist of breaks: every row is on one tab, pages follow each other, filters and search find, cards add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from flows.reconcile import reconcile
from infra import reidentification, resolving
from infra.packages import account_pseudonyms
from infra.sandbox.labelled import labelled
from infra.sandbox.planting import bring, open_lender
from infra.sandbox.truth import AS_OF, LENDER
from infra.settings import Settings
from infra.store import worklist
from infra.store.bulk import read, table_of
from infra.store.worklist import Wanted
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.errors import UsageError
from models.reconcile.breaks import ABOUT
from models.reconcile.sides import CHECKS, Nearest, checked, fit, sides
from models.tables import Agency, BankReceipt, Break, Match, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

NOW = datetime(2026, 10, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A month with every break planted, reconciled; one break written off, one write-off that waits, one tied."""
    folder: Path = tmp_path_factory.mktemp("worklist")
    settings = Settings(home=folder / "home", database=f"sqlite:///{folder / 'store.sqlite'}", engine="direct")
    at = Desk(settings, clock=lambda: NOW, actor="ann")
    settings.keyring_path.parent.mkdir(parents=True)
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    SQLModel.metadata.create_all(at.database.engine)
    month = labelled(600)
    open_lender(at, month)
    bring(at, month)
    with seated(at):
        reconcile(LENDER, AS_OF)
    written_off(at)
    yield at
    at.database.close()


def written_off(at: Desk) -> None:
    """Two receipts that nobody explains are given up: one is small enough to be so at once."""
    table = table_of(Break)
    with at.database.read() as connection:
        left = connection.execute(
            select(table.c.break_id, table.c.receipt_id)
            .where(table.c.code == "no_line", table.c.state == "open")
            .order_by(table.c.break_id)
            .limit(2)
        ).all()
    for number, row in enumerate(left):
        about = {"line": None, "receipt": row.receipt_id}
        waits = resolving.propose(at, "write_off", "uneconomic", "", row.break_id, about)
        assert waits.state == "waiting"
        if number == 0:
            for other in ("bo", "cy")[: waits.others]:
                waits = resolving.approve(Desk(at.settings, clock=at.clock, actor=other), waits.resolution_id)
            assert waits.state == "done"


@pytest.fixture
def connection(desk: Desk) -> Iterator[Connection]:
    with desk.database.read() as opened:
        yield opened


def every(connection: Connection, wanted: Wanted, rows: int = 17) -> list[worklist.Row]:
    """All pages of it, one after the other."""
    found: list[worklist.Row] = []
    after = None
    while True:
        page = worklist.page(connection, wanted, after, rows)
        found += page.rows
        if page.after is None:
            return found
        assert len(page.rows) == rows
        after = page.after


def test_every_break_is_on_one_tab_or_waits_for_an_answer(connection: Connection) -> None:
    shown = [row.id for tab in worklist.BREAK_TABS for row in every(connection, Wanted(tab=tab))]
    assert len(shown) == len(set(shown))
    table = table_of(Break)
    hidden = set(connection.execute(select(table.c.break_id)).scalars()) - set(shown)
    waiting = {row.reference for row in every(connection, Wanted(tab="to_approve"))}
    assert len(waiting) == 1
    proposed = every(connection, Wanted(tab="proposed"))
    about = set()
    for row in proposed:
        match = worklist.suggestion(connection, row.id)
        about |= {("line", one["line_id"]) for one in match["lines"]}
        about |= {("receipt", one["receipt_id"]) for one in match["receipts"]}
    for one in connection.execute(select(table).where(table.c.break_id.in_(hidden))):
        is_proposed = {("line", one.line_id), ("receipt", one.receipt_id)} & about
        assert is_proposed or worklist.one(connection, one.break_id).reference in waiting


@pytest.mark.parametrize("tab", worklist.TABS)
def test_each_tab_has_as_many_rows_as_its_count(connection: Connection, tab: worklist.Tab) -> None:
    assert len(every(connection, Wanted(tab=tab))) == worklist.summary(connection).tabs[tab]


@pytest.mark.parametrize("tab", worklist.TABS)
@pytest.mark.parametrize("sort", worklist.SORTS)
def test_pages_follow_each_other_in_order(connection: Connection, tab: worklist.Tab, sort: worklist.Sort) -> None:
    whole = every(connection, Wanted(tab=tab, sort=sort), rows=1000)
    assert every(connection, Wanted(tab=tab, sort=sort), rows=3) == whole
    if tab in worklist.BREAK_TABS:
        size = connection.execute(select(table_of(Break).c.break_id, table_of(Break).c.size_minor)).all()
        sizes = {row.break_id: row.size_minor for row in size}
        keys = [(row.since if sort in {"oldest", "newest"} else sizes[row.id], row.id) for row in whole]
        assert keys == sorted(keys, reverse=sort in {"newest", "largest"})


def test_filters_leave_just_what_was_asked_for(connection: Connection) -> None:
    whole = every(connection, Wanted())
    kinds, agencies = Counter(row.kind for row in whole), Counter(row.agency for row in whole)
    for kind, count in kinds.items():
        found = every(connection, Wanted(kind=kind))
        assert ({row.kind for row in found}, len(found)) == ({kind}, count)
    for agency, count in agencies.items():
        if agency is not None:
            assert len(every(connection, Wanted(agency=agency))) == count
    assert every(connection, Wanted(lender="somebody-else")) == []


@pytest.mark.parametrize("tab", worklist.TABS)
def test_every_filter_works_on_every_tab(connection: Connection, tab: worklist.Tab) -> None:
    for row in every(connection, Wanted(tab=tab), rows=1000)[:3]:
        for wanted in (
            Wanted(tab=tab, agency=row.agency or ""),
            Wanted(tab=tab, kind=row.kind),
            Wanted(tab=tab, text=row.reference),
            Wanted(tab=tab, owner=row.owner or ""),
        ):
            assert row.key in {one.key for one in every(connection, wanted, rows=1000)}


def test_a_reference_is_found_by_its_beginning_and_by_no_middle(connection: Connection) -> None:
    row = next(row for row in every(connection, Wanted()) if len(row.reference) > 6)
    assert row.key in {one.key for one in every(connection, Wanted(text=row.reference[:5]), rows=1000)}
    assert every(connection, Wanted(text="%")) == []
    assert row.key not in {one.key for one in every(connection, Wanted(text=row.reference[1:]), rows=1000)}


def test_a_pseudonym_finds_the_breaks_of_its_account(desk: Desk, connection: Connection) -> None:
    lines, table = table_of(RemittanceLine), table_of(Break)
    one = connection.execute(
        select(lines.c.account_id, lines.c.agency, table.c.break_id)
        .join(table, table.c.line_id == lines.c.line_id)
        .where(table.c.state == "open", table.c.code == "no_receipt", lines.c.account_id.is_not(None))
    ).first()
    assert one is not None
    key = desk.keyring.new_pseudonym_key(one.agency, NOW)
    name = account_pseudonyms(
        key, read(connection, select(lines.c.account_id).where(lines.c.account_id == one.account_id))["account_id"]
    ).iloc[0]
    with desk.database.session() as session:
        session.add(Agency(agency=one.agency, name="Theirs", drop="{}", created_at=NOW))
    accounts = reidentification.accounts_named(desk, str(name))
    assert accounts == (one.account_id,)
    found = every(connection, Wanted(text=str(name), accounts=accounts))
    assert one.break_id in {row.id for row in found}
    assert reidentification.accounts_named(desk, "T000123") == ()


def test_whoever_works_on_a_break_finds_it(desk: Desk, connection: Connection) -> None:
    row = every(connection, Wanted(tab="open"))[0]
    resolving.assign(desk, row.id, "li")
    with desk.database.read() as later:
        found = every(later, Wanted(owner="li"))
    assert [(one.id, one.owner) for one in found] == [(row.id, "li")]


@pytest.mark.parametrize("cursor", ["nonsense", "2026-01-01~1", "~", "W10", "WzEsMl0"])
def test_a_page_that_was_not_handed_out_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(UsageError):
        worklist.page(connection, Wanted(), cursor)


def test_a_tab_or_order_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(UsageError, match="no tab"):
        replace(Wanted(), tab="everything")  # type: ignore[arg-type]  # as an address may say
    with pytest.raises(UsageError, match="no order"):
        replace(Wanted(), sort="random")  # type: ignore[arg-type]  # likewise


def test_the_cards_say_what_the_breaks_sum_to(connection: Connection) -> None:
    found = worklist.summary(connection)
    table = table_of(Break)
    open_ = read(connection, select(table).where(table.c.state == "open"))
    assert found.codes == open_["code"].value_counts().to_dict()
    assert found.net_minor == open_.groupby("currency")["amount_minor"].sum().to_dict()
    assert found.oldest == open_["opened_at"].min()


def test_weeks_sum_to_what_is_tied_and_what_is_awaited(connection: Connection) -> None:
    lines = table_of(RemittanceLine)
    last = connection.execute(select(func.max(lines.c.value_date))).scalar_one()
    found = worklist.weeks(connection, "CNY", last, 60)
    assert len(found) == 60
    assert all(week.begins.weekday() == 0 for week in found)
    states = ("matched", "awaiting_cash", "part_matched", "in_break")
    own = read(connection, select(lines).where(lines.c.currency == "CNY", lines.c.state.in_(states)))
    assert sum(week.matched_minor + week.open_minor for week in found) == own["net_minor"].sum()
    assert sum(week.open_minor for week in found) > 0
    newest = worklist.weeks(connection, "CNY", last, 2)
    assert newest == found[-2:]


def test_recoveries_are_listed_by_state_with_the_newest_first(connection: Connection) -> None:
    lines = table_of(RemittanceLine)
    for state in worklist.LINE_STATES:
        count = connection.execute(select(func.count()).where(lines.c.state == state)).scalar_one()
        first = worklist.recoveries(connection, state, rows=1000)
        assert len(first.rows) == count
        assert [row["value_date"] for row in first.rows] == sorted(
            (row["value_date"] for row in first.rows), reverse=True
        )
    page = worklist.recoveries(connection, "matched", rows=5)
    rest = worklist.recoveries(connection, "matched", rows=5, after=page.after)
    assert {row["line_id"] for row in page.rows}.isdisjoint(row["line_id"] for row in rest.rows)
    with pytest.raises(UsageError, match="no line is ever"):
        worklist.recoveries(connection, "gone")


def test_lists_walk_an_index_and_sort_nothing(desk: Desk) -> None:
    """What a page costs does not grow with the list: SQLite needs no temporary B-tree to order it."""
    with desk.database.read() as connection:
        for tab in worklist.BREAK_TABS:
            for sort in worklist.SORTS:
                plan = planned(connection, Wanted(tab=tab, sort=sort))
                assert "USE TEMP B-TREE" not in plan, (tab, sort, plan)
                assert "SCAN break" not in plan, (tab, sort, plan)
        assert "match_unsettled" in planned(connection, Wanted(tab="proposed"))


def planned(connection: Connection, wanted: Wanted) -> str:
    """How SQLite reads a page: of the last statement that it was sent."""
    from sqlalchemy import event

    sent: list[tuple[str, object]] = []

    def listen(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", listen)
    worklist.page(connection, wanted)
    event.remove(connection, "before_cursor_execute", listen)
    statement, parameters = sent[-1]
    return "\n".join(row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters))  # type: ignore[arg-type]  # as sent


# -- one break, as two figures and a list of what was looked at --------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "amount", "detail", "of_receipt", "agency", "ledger"),
    [
        ("no_receipt", 500, {"lines": 2}, False, 500, 0),
        ("no_line", 500, {}, True, 0, 500),
        ("amount_diff", -20, {"expected_minor": 100, "found_minor": 80}, True, 100, 80),
        ("commission_diff", 5, {"expected_minor": 10, "found_minor": 15}, False, 15, 10),
        ("fee_netted", 10, {"expected_minor": 100, "found_minor": 90}, True, 100, 90),
        ("late_remittance", 700, {}, False, 700, 700),
    ],
)
def test_a_break_is_between_what_the_agency_says_and_what_we_have(
    code: str, amount: int, detail: dict[str, int], of_receipt: bool, agency: int, ledger: int
) -> None:
    found = sides(code, amount, detail, of_receipt=of_receipt)
    assert (found.agency_minor, found.ledger_minor) == (agency, ledger)
    assert found.difference_minor == agency - ledger


@pytest.mark.parametrize("code", ABOUT)
@pytest.mark.parametrize(
    "nearest",
    [
        None,
        Nearest(same_reference=True, off_minor=0, off_days=1),
        Nearest(same_reference=False, off_minor=9, off_days=300),
    ],
)
@pytest.mark.parametrize("has_line", [True, False])
def test_something_always_says_why_it_did_not_match(code: str, nearest: Nearest | None, has_line: bool) -> None:
    found = checked(code, has_line=has_line, agency_known=True, nearest=nearest, tolerance_minor=5)
    assert not all(one.holds for one in found)
    names = [one.name for one in found]
    assert len(names) == len(set(names))
    assert set(names) <= set(CHECKS)


def test_a_candidate_that_agrees_in_everything_fits_wholly() -> None:
    assert fit(1000, 100, 0, 0, same_reference=True) == 100
    assert fit(1000, 0, 2000, 90, same_reference=False) == 0
    assert fit(1000, 0, 0, 0, same_reference=False) == 50


def test_what_is_suggested_is_read_with_its_lines_and_receipts(connection: Connection) -> None:
    match = table_of(Match)
    found = connection.execute(select(match.c.match_id).where(match.c.status == "suggested")).scalars().first()
    assert found is not None
    told = worklist.suggestion(connection, found)
    assert told["lines"]
    assert told["receipts"]
    with pytest.raises(UsageError, match="no match"):
        worklist.suggestion(connection, 10**9)
    assert connection.execute(select(func.count()).select_from(table_of(BankReceipt))).scalar_one()

"""Entries are posted once, in bulk, into the month that is open; what was wrong is undone by its mirror."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from infra.store import balances, ledger
from infra.store.bulk import append
from infra.wiring import seated
from models import postings
from models.chart import ChartInvalid
from models.errors import UsageError
from models.ledger import CurrencyCrossed, Unbalanced
from models.tables import JournalBatch, JournalLine, LedgerAccount, Placement

if TYPE_CHECKING:
    from tests.infra.books.conftest import House

APRIL, MAY = date(2026, 4, 3), date(2026, 5, 2)
LENDERS = ("bank-a", "bank-b")


def own_chart(**codes: str) -> str:
    """The default chart under another name, some of its codes changed."""
    from models import packaged

    text = packaged.text("models", "charts", "default").replace('name = "default"', 'name = "bank-a"', 1)
    for ledger_, code in codes.items():
        text = text.replace(f'code = "{ledger_.removeprefix("l")}"', f'code = "{code}"')
    return text


def test_an_entry_is_posted_once_however_often_it_is_asked_for(quick_house: House) -> None:
    for _ in range(3):
        quick_house.recover(100, APRIL, key="line:1")
    assert list(quick_house.entries.index) == ["line:1"]
    assert quick_house.ledger == {"1100": -100, "1200": 100}
    assert quick_house.table(JournalBatch)[["entries", "lines"]].to_numpy().tolist() == [[1, 2]]


def test_an_entry_that_does_not_balance_or_crosses_currencies_posts_nothing_at_all(quick_house: House) -> None:
    good = postings.receipt(postings.event("receipt", "good", "bank-a", None, APRIL, "CNY"), pd.Series([5]))
    bad = good.assign(entry_key="bad", amount_minor=[5, -4])
    with pytest.raises(Unbalanced, match="bad"):
        quick_house.post(pd.concat([good, bad]))
    crossed = postings.receipt(
        postings.event("receipt", "two", "bank-a", None, APRIL, ["CNY", "USD"]), pd.Series([5, 7])
    )
    with pytest.raises(CurrencyCrossed, match="two"):
        quick_house.post(pd.concat([good, crossed]))
    assert quick_house.entries.empty


def test_a_late_item_keeps_its_value_date_and_counts_in_the_open_month(quick_house: House) -> None:
    early = quick_house.recover(100, APRIL)
    quick_house.close("2026-04")
    quick_house.today(date(2026, 5, 20))
    late, next_ = quick_house.recover(30, APRIL), quick_house.recover(7, MAY)
    found = quick_house.entries[["value_date", "period", "posted_on"]].astype("str")
    assert list(found.loc[early]) == ["2026-04-03", "2026-04", "2026-04-03"]
    assert list(found.loc[late]) == ["2026-04-03", "2026-05", "2026-05-20"]
    assert list(found.loc[next_]) == ["2026-05-02", "2026-05", "2026-05-02"]
    assert quick_house.recover(30, APRIL, lender="bank-b") in quick_house.entries.query("period == '2026-04'").index


def test_a_mirror_leaves_nothing_and_an_entry_has_one(quick_house: House) -> None:
    first, second = quick_house.recover(100, APRIL), quick_house.recover(40, APRIL)
    quick_house.close("2026-04")
    assert quick_house.reverse(first) == 1
    assert quick_house.reverse(first, second) == 1
    assert quick_house.reverse(first, second) == 0
    assert quick_house.ledger == {}
    mirror = quick_house.entries.loc[f"reverse:{first}"]
    assert (str(mirror["value_date"].date()), mirror["period"]) == ("2026-04-03", "2026-05")
    assert mirror["reverses_id"] == quick_house.entries.loc[first, "entry_id"]
    assert quick_house.reverse(f"reverse:{first}") == 1
    assert quick_house.ledger == {"1100": -100, "1200": 100}
    with pytest.raises(UsageError, match="nothing-like-it"):
        quick_house.reverse("nothing-like-it")


def test_money_in_one_currency_pays_another_by_an_exchange_alone(quick_house: House) -> None:
    row = postings.event("exchange", "fx:1", "bank-a", "alpha", APRIL, ["USD", "CNY"])
    quick_house.post(postings.exchange(row, clearing=pd.Series([10_000, 0]), unapplied=pd.Series([0, 71_630])))
    sums = quick_house.table(JournalLine).groupby(["currency", "ledger"])["amount_minor"].sum().to_dict()
    assert sums == {
        ("USD", "1200"): -10_000,
        ("USD", "1290"): 10_000,
        ("CNY", "1250"): 71_630,
        ("CNY", "1290"): -71_630,
    }


@given(st.lists(st.tuples(st.integers(-10_000, 10_000), st.integers(1, 28)), min_size=1, max_size=8), st.integers(1, 8))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_how_often_and_in_which_cuts_events_are_posted_does_not_matter(
    quick_house: House, lines: list[tuple[int, int]], cut: int
) -> None:
    rows = pd.DataFrame(lines, columns=["amount", "day"])
    rows["value_date"] = pd.to_datetime("2026-04-" + rows["day"].astype("str").str.zfill(2)).astype("datetime64[us]")
    rows = rows.assign(agency="alpha", currency="CNY", account_id=rows.index.astype("Int64"))
    journals, source = {}, f"file:{next(quick_house.numbers)}"
    for lender in LENDERS:
        keyed = postings.keyed(rows.assign(lender=lender), "line_accepted", f"{source}:{lender}")
        keyed["entry_key"] += ":" + rows.index.astype("str")
        journals[lender] = postings.line_accepted(keyed, rows["amount"], rows["amount"] * 0)
    quick_house.post(journals["bank-a"])
    keys = list(journals["bank-b"]["entry_key"].unique())
    for number in range(cut):
        quick_house.post(journals["bank-b"][journals["bank-b"]["entry_key"].isin(keys[number::cut])])
    assert quick_house.post(pd.concat(journals.values(), ignore_index=True)) == 0
    sums = {lender: booked_in(quick_house, f":{source}:{lender}") for lender in LENDERS}
    assert sums["bank-a"] == sums["bank-b"]
    quick_house.reverse(*keys)
    assert set(booked_in(quick_house, f":{source}:bank-b")) <= {0}


def booked_in(house: House, source: str) -> list[int]:
    """What entries with this in their key come to, per account of a debtor and ledger."""
    with house.database.read() as connection:
        return list(
            connection.execute(
                text(
                    "SELECT SUM(l.amount_minor) FROM journal_line l JOIN journal_entry e ON e.entry_id = l.entry_id"
                    " WHERE e.entry_key LIKE :like GROUP BY l.ledger, l.account_id ORDER BY l.ledger, l.account_id"
                ),
                {"like": f"%{source}:%"},
            ).scalars()
        )


def test_a_line_keeps_the_code_it_was_posted_under(quick_house: House) -> None:
    quick_house.recover(100, APRIL)
    charts = quick_house.desk.folder("charts")
    (charts / "bank-a.toml").write_text(own_chart(l1200="1122.01"), encoding="utf-8")
    quick_house.desk.settings = quick_house.desk.settings.model_copy(update={"chart": "bank-a"})
    quick_house.recover(30, MAY)
    assert quick_house.table(JournalLine).query("ledger == '1200'")["code"].tolist() == ["1200", "1122.01"]
    with quick_house.database.read() as connection:
        balance = balances.trial_balance(connection, "bank-a").set_index("code")["balance_minor"].to_dict()
    assert balance == {"1100": -130, "1122.01": 30, "1200": 100}


def test_a_code_never_becomes_another_ledger_nor_posts_anything(quick_house: House) -> None:
    quick_house.recover(100, APRIL)
    charts = quick_house.desk.folder("charts")
    (charts / "bank-a.toml").write_text(own_chart(l1200="9", l1250="1200", l9="1250"), encoding="utf-8")
    quick_house.desk.settings = quick_house.desk.settings.model_copy(update={"chart": "bank-a"})
    with pytest.raises(ChartInvalid, match="1200"):
        quick_house.recover(30, MAY)
    assert len(quick_house.entries) == 1
    assert quick_house.table(LedgerAccount).set_index("code").loc["1200", "ledger"] == "1200"


def test_every_balance_can_be_followed_to_its_entries(house: House) -> None:
    for amount, day in ((100, APRIL), (-40, date(2026, 4, 9)), (30, MAY)):
        house.recover(amount, day)
    house.recover(5, MAY, agency="beta", account_id=8)
    house.recover(9, MAY, lender="bank-b")
    with house.database.read() as connection:
        may = balances.trial_balance(connection, "bank-a", agency="alpha", period="2026-05").set_index("ledger")
        early = balances.trial_balance(connection, "bank-a", as_of=date(2026, 4, 5)).set_index("ledger")
        behind = balances.entries(connection, lender="bank-a", agency="alpha", ledger="1200", period="2026-04")
        whole = balances.entry(connection, str(behind["entry_id"].iloc[0]))
    figures = ["opening_minor", "debit_minor", "credit_minor", "balance_minor"]
    assert list(may.loc["1200", figures]) == [60, 30, 0, 90]
    assert list(may.loc["1100", figures]) == [-60, 0, 30, -90]
    assert early["balance_minor"].to_dict() == {"1100": -100, "1200": 100}
    assert (behind["debit_minor"].sum(), behind["credit_minor"].sum()) == (100, 40)
    assert whole["lines"]["amount_minor"].sum() == 0


def test_a_placement_has_a_card_of_its_own_lines(quick_house: House) -> None:
    rows = pd.DataFrame({"placement_id": [1, 2], "placed_on": pd.to_datetime(["2026-03-01", "2026-05-01"])}).assign(
        plan_id=[1, 2], lender="bank-a", agency="alpha", account_id=7, debtor_id=1, round=1, stage="collect",
        segment="s",
        currency="CNY", balance_minor=1_000, dpd=60, bucket="M2", due_back_on=pd.Timestamp(2026, 9, 1), state="placed",
    )  # fmt: skip
    with quick_house.database.write() as connection:
        append(connection, Placement, rows)
    for amount, day in ((100, APRIL), (30, MAY)):
        quick_house.recover(amount, day)
    quick_house.recover(77, MAY, account_id=8)
    with quick_house.database.read() as connection:
        first, second = balances.card(connection, 1), balances.card(connection, 2)
        with pytest.raises(UsageError):
            balances.card(connection, 3)
    assert (first["placed_minor"], first["left_minor"], len(first["lines"])) == (1_000, 900, 1)
    assert (second["left_minor"], second["lines"]["amount_minor"].tolist()) == (970, [-30])


def test_the_chart_in_force_is_checked_without_posting(quick_house: House) -> None:
    from infra import charts

    with seated(quick_house.desk), quick_house.database.read() as connection:
        ledger.check_chart(connection, charts.current())

"""A month settled when it is stated: volume, limits, case fees, clawback; and the running account with the agency."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from flows.statement import state_period
from infra.wiring import seated
from models.tables import CommissionAdjustment, JournalLine, Statement

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books

HEAD = 'currency = "CNY"\nvat_rate = "0.06"\ntail_days = 10\npayer_accounts = ["CN-ALPHA"]\n'
STEPS = '[[tier]]\nrate = "0.10"\nsteps = [{ from_minor = 10_000, rate = "0.20" }]\n'
PLAIN = '[[tier]]\nrate = "0.10"\n'


def agree(books: Books, terms: str, since: date = date(2026, 2, 1)) -> None:
    books.agree("alpha", HEAD + terms, since)


def state(books: Books, period: str = "2026-04") -> dict[str, int]:
    """The statement of the month as a row."""
    with seated(books.desk):
        state_period(books.lender, period)
    found = books.table(Statement).set_index("period").loc[period]
    books.check()
    return {name: int(found[name]) for name in found.index if name.endswith("_minor")}


def adjustments(books: Books) -> list[tuple[str, int, int]]:
    found = books.table(CommissionAdjustment)
    return list(zip(*(found[name].tolist() for name in ("kind", "commission_minor", "vat_minor")), strict=True))


def payable(books: Books) -> int:
    """What the books say the agency is owed (2100), less what it owes (1350)."""
    ledger = books.table(JournalLine).groupby("ledger")["amount_minor"].sum()
    return -int(ledger.get("2100", 0)) - int(ledger.get("1350", 0))


def test_the_volume_of_a_month_is_paid_for_when_it_is_stated_and_the_books_agree(stating: Books) -> None:
    agree(stating, STEPS)
    stating.remit("alpha", [{"gross_minor": 8_000, "account_id": 1}, {"gross_minor": 12_000, "account_id": 2}])
    assert payable(stating) == 2_120
    told = state(stating)
    # 10,000 at 10 % and 10,000 at 20 %, shared among the lines as they were collected
    assert adjustments(stating) == [("volume", 400, 24), ("volume", 600, 36)]
    assert (told["commission_minor"], told["adjusted_commission_minor"], told["closing_minor"]) == (2_000, 1_000, 3_180)
    assert payable(stating) == 3_180


def test_how_the_month_was_cut_into_files_changes_nothing(stating: Books) -> None:
    agree(stating, STEPS)
    lines = [{"gross_minor": gross, "account_id": account} for account, gross in enumerate((8_000, 7_000, 5_001), 1)]
    for line in reversed(lines):
        stating.remit("alpha", [line])
    assert state(stating)["closing_minor"] == payable(stating) == 3_180


def test_a_reversal_in_the_month_counts_in_its_volume_and_leaves_nothing_of_its_original(stating: Books) -> None:
    agree(stating, STEPS)
    stating.remit(
        "alpha",
        [
            {"gross_minor": 15_000, "account_id": 1, "agency_txn_id": "T1"},
            {"gross_minor": 10_000, "account_id": 2},
            {"gross_minor": -15_000, "account_id": 1, "original_txn_id": "T1"},
        ],
    )
    assert state(stating)["closing_minor"] == payable(stating) == 1_060


@pytest.mark.parametrize("parts", [[-12_000], [-5_000, -7_000], [-1, -1, -11_998]])
def test_a_later_reversal_takes_back_what_its_original_was_charged_in_the_end_and_no_more(
    stating: Books, parts: list[int]
) -> None:
    agree(stating, STEPS)
    stating.remit(
        "alpha",
        [{"gross_minor": 8_000, "account_id": 1}, {"gross_minor": 12_000, "account_id": 2, "agency_txn_id": "T2"}],
    )
    state(stating)
    for number, gross in enumerate(parts):
        line = {"gross_minor": gross, "account_id": 2, "original_txn_id": "T2", "value_date": f"2026-05-0{number + 1}"}
        stating.remit("alpha", [line])
    told = state(stating, "2026-05")
    # the other line keeps the rate of its month: a month that is settled stays so
    assert told["closing_minor"] == payable(stating) == 800 + 400 + 72
    back = [commission for kind, commission, _ in adjustments(stating) if kind == "clawback"]
    assert sum(back) == -600
    assert stating.ledger.get("5100") == 1_200


def test_cases_are_paid_for_once_under_the_terms_of_the_day_they_were_placed(stating: Books) -> None:
    agree(stating, 'basis = "mixed"\ncase_fee_minor = 500\n' + PLAIN)
    agree(stating, 'basis = "fixed"\ncase_fee_minor = 900\n', date(2026, 4, 1))
    stating.place("alpha", [21, 22], placed_on="2026-04-03")
    stating.remit("alpha", [{"gross_minor": 1_000, "account_id": 1, "value_date": "2026-03-20"}])
    told = state(stating)
    assert sorted(adjustments(stating)) == [("case_fee", 500, 30)] * 5 + [("case_fee", 900, 54)] * 2
    assert told["closing_minor"] == payable(stating) == 106 + 5 * 530 + 2 * 954
    stating.remit("alpha", [{"gross_minor": 1_000, "account_id": 1, "value_date": "2026-05-02"}])
    assert state(stating, "2026-05")["adjusted_commission_minor"] == 0


def test_a_month_of_cases_alone_is_stated_too(stating: Books) -> None:
    agree(stating, 'basis = "fixed"\ncase_fee_minor = 900\n')
    told = state(stating)
    assert (told["gross_minor"], told["closing_minor"]) == (0, 5 * 954)


def test_a_cap_per_account_holds_over_the_months(stating: Books) -> None:
    agree(stating, "account_cap_minor = 1_500\n" + PLAIN)
    for month in (4, 5):
        stating.remit("alpha", [{"gross_minor": 10_000, "account_id": 1, "value_date": f"2026-0{month}-01"}])
        state(stating, f"2026-0{month}")
    assert payable(stating) == 1_590
    assert adjustments(stating) == [("account_limit", -500, -30)]


def test_vat_on_reverse_charge_is_owed_by_us_and_deducted_by_us(stating: Books) -> None:
    agree(stating, 'vat_treatment = "reverse_charge"\n' + PLAIN)
    stating.remit("alpha", [{"gross_minor": 10_000, "account_id": 1}])
    assert state(stating)["closing_minor"] == payable(stating) == 1_000
    assert (stating.ledger.get("1300"), stating.ledger.get("2300")) == (60, -60)


def test_what_a_net_remitter_kept_is_off_its_account(stating: Books) -> None:
    agree(stating, 'remits = "net"\n' + PLAIN)
    stating.remit(
        "alpha",
        [{"gross_minor": 10_000, "commission_minor": 1_100, "vat_minor": 66, "net_minor": 8_834, "account_id": 1}],
    )
    told = state(stating)
    assert (told["retained_minor"], told["closing_minor"]) == (1_166, -106)
    assert stating.ledger.get("1350") == 106


def test_an_invoice_is_held_against_the_month_once_that_is_settled(stating: Books) -> None:
    agree(stating, "invoice_tolerance_minor = 3\n" + STEPS)
    stating.remit("alpha", [{"gross_minor": 20_000, "account_id": 1, "agency_txn_id": "T1"}])
    claim = {"agency_txn_id": "T1", "account_id": 1, "base_minor": 20_000, "commission_minor": 3_002, "vat_minor": 180}
    stating.invoice("alpha", [claim])
    assert stating.reconcile().invoice_lines_waiting == 1
    state(stating)
    report = stating.reconcile()
    assert (report.invoice_lines_waiting, report.breaks.get("commission_diff", 0)) == (0, 0)

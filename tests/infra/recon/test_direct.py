"""Direct payments: what debtors pay to the lender itself while an agency works (R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from infra.indexes import ref_index
from infra.store.bulk import set_columns, table_of
from keys.keyring import Keyring
from models.tables import Account, InvoiceLine

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books

ENTITLED = """
currency = "CNY"
vat_rate = "0.06"
tail_days = 10
direct_payments = true

[[tier]]
rate = "0.10"
"""


@pytest.fixture
def numbered(quick_books: Books) -> Books:
    """Agency beta is entitled; its accounts 11 to 13 have the numbers 6222000011 to 6222000013 at the lender."""
    books = quick_books
    settings = books.desk.settings
    settings.keyring_path.parent.mkdir(parents=True)
    keyring = Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    books.agree("beta", ENTITLED)
    books.place("beta", [11, 12, 13])
    ids = pd.Series([1, 11, 12, 13])
    index = ref_index(keyring, pd.Series([number(one) for one in ids], dtype="str"))
    with books.database.write() as connection:
        set_columns(
            connection, table_of(Account), pd.DataFrame({"account_id": ids, "ref_index": index}), ["account_id"]
        )
    return books


def number(account: int) -> str:
    return f"62220000{account:02d}"


def paid(account: int, amount: int = 1_000, **more: Any) -> dict[str, Any]:
    return {"amount_minor": amount, "payer_account": "SOMEBODY", "reference": f"LOAN {number(account)} MAY"} | more


def claim(account: int, **more: Any) -> dict[str, Any]:
    return {"account_id": account, "base_minor": 1_000, "commission_minor": 100, "vat_minor": 6} | more


def test_a_payment_to_the_lender_counts_once_and_earns_what_the_contract_gives(numbered: Books) -> None:
    numbered.bank([paid(11)])
    report = numbered.reconcile()
    assert (report.lines, report.receipts, report.breaks) == ({"matched": 1}, {"matched": 1}, {})
    line, receipt = numbered.lines.iloc[0], numbered.receipts.iloc[0]
    assert (line["kind"], line["agency"], line["placement_id"], line["due_commission_minor"]) == (
        "direct",
        "beta",
        11,
        100,
    )
    assert (receipt["account_id"], receipt["placement_id"]) == (11, 11)
    assert numbered.ledger == {"1010": 1_000, "1100": -1_000, "1300": 6, "2100": -106, "5100": 100}
    assert numbered.matches["rule"].tolist() == ["direct"]
    assert numbered.reconcile().matches == 0


def test_one_payment_is_claimed_once(numbered: Books) -> None:
    numbered.bank([paid(11)])
    numbered.reconcile()
    numbered.invoice("beta", [claim(11), claim(11, invoice_no="I-2")])
    report = numbered.reconcile()
    assert report.breaks == {"direct_payment_claim": 1}
    assert numbered.table(InvoiceLine)["state"].tolist() == ["agreed", "received"]


def test_a_claim_on_a_payment_that_nobody_sees_waits_as_a_break_until_it_comes(numbered: Books) -> None:
    numbered.invoice("beta", [claim(12)])
    assert numbered.reconcile().breaks == {"direct_payment_claim": 1}
    numbered.bank([paid(12)])
    assert numbered.reconcile().breaks == {}
    assert numbered.reconcile().breaks == {}


def test_an_agency_that_is_not_entitled_earns_nothing_and_its_claim_is_named(numbered: Books) -> None:
    numbered.bank([paid(1)])
    numbered.invoice("alpha", [claim(1)])
    assert numbered.reconcile().breaks == {"direct_payment_claim": 1}
    assert numbered.ledger == {"1010": 1_000, "1100": -1_000}


def test_money_for_an_account_after_its_tail_or_before_its_placement_is_not_ours(numbered: Books) -> None:
    numbered.place("beta", [14], ended_on=pd.Timestamp(2026, 3, 5), state="closed")
    keyring = numbered.desk.keyring
    index = ref_index(keyring, pd.Series([number(14)], dtype="str"))
    with numbered.database.write() as connection:
        frame = pd.DataFrame({"account_id": [14], "ref_index": index})
        set_columns(connection, table_of(Account), frame, ["account_id"])
    numbered.bank([paid(14), paid(13, value_date="2026-02-27")])
    assert numbered.reconcile().receipts == {"not_ours": 2}
    assert numbered.lines.empty


@pytest.mark.parametrize("reference", ["RENT", f"{number(11)} {number(12)}", None])
def test_a_text_that_names_no_account_or_two_is_nobodys(numbered: Books, reference: str | None) -> None:
    numbered.bank([paid(11, reference=reference)])
    assert numbered.reconcile().breaks == {"no_line": 1}


def test_more_than_was_owed_is_due_to_the_debtor(numbered: Books) -> None:
    numbered.bank([paid(11, 90_000), paid(11, 30_000, value_date="2026-04-03")])
    assert numbered.reconcile().breaks == {"overpayment": 1}
    assert (numbered.ledger["1100"], numbered.ledger["2200"]) == (-100_000, -20_000)

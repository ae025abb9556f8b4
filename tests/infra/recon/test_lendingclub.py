"""Public loans, whose recoveries and fees are published, end in our books at the published figures."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from models.tables import JournalLine

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books

TERMS = """
currency = "USD"
remits = "net"
fees = "per_line"
late_days = 30
payer_accounts = ["US-BETA"]
"""


def cents(cells: pd.Series) -> pd.Series:
    """Dollars to cents, half-up, from the text as published (up to 12 decimals)."""
    return cells.map(lambda text: int(Decimal(text).scaleb(2).quantize(Decimal(1), ROUND_HALF_UP))).astype("int64")


def test_every_loan_ends_at_its_published_recovery_and_fee(quick_books: Books, shared_data: Path) -> None:
    columns = ["loan_status", "funded_amnt", "total_rec_prncp", "recoveries", "collection_recovery_fee"]
    loans = pd.read_csv(shared_data / "loans" / "lendingclub_2007_2010.csv.gz", dtype="str", usecols=columns)
    loans = loans[loans["loan_status"].str.contains("Charged Off")].reset_index(drop=True)
    loans.index += 1_000
    recovered, fee = cents(loans["recoveries"]), cents(loans["collection_recovery_fee"])
    books = quick_books
    books.agree("beta", TERMS)
    balance = cents(loans["funded_amnt"]) - cents(loans["total_rec_prncp"])
    books.place("beta", loans.index.tolist(), currency="USD", balance_minor=balance.to_numpy())
    lines = pd.DataFrame({
        "agency_txn_id": [f"LC{number}" for number in loans.index], "account_id": loans.index, "currency": "USD",
        "gross_minor": recovered, "commission_minor": fee, "net_minor": recovered - fee, "batch_ref": "LC-2026-04",
    })  # fmt: skip
    books.remit("beta", [dict(zip(lines.columns, row, strict=True)) for row in lines.itertuples(index=False)])
    books.account.currency = "USD"
    books.bank([{"amount_minor": int((recovered - fee).sum()), "reference": "LC-2026-04", "payer_account": "US-BETA"}])
    report = books.reconcile(date(2026, 4, 30))

    assert len(loans) == 3_134
    assert report.lines == {"matched": 3_134}
    assert report.breaks == {"overpayment": 83}
    assert report.journal_balanced
    legs = books.table(JournalLine)
    per_loan = legs.pivot_table(
        index="account_id", columns="ledger", values="amount_minor", aggfunc="sum", fill_value=0
    )
    per_loan = per_loan.reindex(loans.index, fill_value=0)
    assert (-(per_loan["1100"] + per_loan["2200"])).tolist() == recovered.tolist()
    assert per_loan["5100"].tolist() == fee.tolist()
    assert (-(per_loan["1100"] + per_loan["2200"])).sum() == 181_586_943
    assert per_loan["5100"].sum() == 36_117_812
    assert ((per_loan["2200"] < 0) == (recovered > balance)).all()
    assert set(books.ledger) == {"1010", "1100", "2200", "5100"}

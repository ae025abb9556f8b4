"""The LendingClub replay, by the commands of its page: 3,134 loans placed, every recovery and fee to the cent."""

from __future__ import annotations

import gzip
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from infra.indexes import ref_index
from keys.keyring import Keyring

CENT = Decimal("0.01")
CHARGED_OFF = {"Charged Off", "Does not meet the credit policy. Status:Charged Off"}
BLOCKS = ("lender", "agencies", "place", "answer", "reconcile", "books", "breaks")


def cents(amount: str) -> int:
    """Rounded half-up to the cent."""
    return int(Decimal(amount or "0").quantize(CENT, ROUND_HALF_UP) * 100)


@pytest.fixture(scope="module")
def loans(shared_data: Path) -> tuple[Path, pd.DataFrame]:
    """The file, and its charged-off loans, read without Consign."""
    path = shared_data / "loans" / "lendingclub_2007_2010.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        table = pd.read_csv(lines, dtype=str, keep_default_na=False)
    return path, table[table["loan_status"].isin(CHARGED_OFF)].reset_index(drop=True)


@pytest.fixture(scope="module")
def done(loans: tuple[Path, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory, page: Any) -> Any:
    """The page's commands have run in an empty folder."""
    return page("lendingclub-replay.md", BLOCKS, tmp_path_factory.mktemp("replay"), LOANS=str(loans[0]))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_loans_recovery_and_fee_is_booked_to_the_cent(done: Any, loans: tuple[Path, pd.DataFrame]) -> None:
    home = done.folder / "var"
    data = loans[1]
    keyring = Keyring.open(home / "keys" / "keyring.json", key_file=home / "keys" / "root.key")
    index = ref_index(keyring, data["loan_key"].astype("str"))
    with create_engine(f"sqlite:///{home / 'consign.sqlite'}").connect() as connection:
        accounts = dict(map(tuple, connection.execute(text("SELECT ref_index, account_id FROM account"))))
        booked = Counter[tuple[str, int]]()
        for ledger, account, minor in connection.execute(
            text("SELECT ledger, account_id, amount_minor FROM journal_line")
        ):
            booked["debt" if ledger in {"1100", "2200"} else ledger, account] += minor
        breaks = Counter(
            map(tuple, connection.execute(text("SELECT code, account_id FROM break WHERE state = 'open'")))
        )
        placed = connection.execute(text("SELECT count(*) FROM placement WHERE state = 'acknowledged'")).scalar_one()
        lines = dict(map(tuple, connection.execute(text("SELECT state, count(*) FROM remittance_line GROUP BY state"))))
    of = [accounts[key] for key in index]
    recoveries = data["recoveries"].map(cents)
    fees = data["collection_recovery_fee"].map(cents)
    owed = [
        cents(str(Decimal(f) - Decimal(p))) for f, p in zip(data["funded_amnt"], data["total_rec_prncp"], strict=True)
    ]

    assert placed == len(accounts) == len(of) == 3134
    assert [-booked["debt", account] for account in of] == list(recoveries)
    assert [booked["5100", account] for account in of] == list(fees)
    assert (sum(recoveries), sum(fees)) == (181_586_943, 36_117_812)
    overpaid = {account for account, paid, was in zip(of, recoveries, owed, strict=True) if paid > was}
    assert len(overpaid) == 83
    assert breaks == Counter({("overpayment", account): 1 for account in overpaid})
    assert lines == {"matched": 3098}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_program_says_so_itself(done: Any) -> None:
    said = done.said["books"]
    stated = {name.strip(): value.strip() for name, value in (line.split("  ", 1) for line in said.splitlines()[1:15])}
    assert stated["recovered"] == "1,815,869.43 USD"
    assert stated["commission"] == "361,178.12 USD"
    assert (stated["loans that differ"], stated["overpayment breaks"], stated["other breaks"]) == ("0", "83", "0")
    assert "overpayment 83" in done.said["reconcile"]
    assert "ok             yes" in done.said["breaks"]

"""Lines through bank statements with one in twenty disturbed: each disturbance found and named, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from flows.reconcile import import_statement, reconcile
from infra.sandbox.bank import BankAccount
from infra.sandbox.disturbing import WAYS, Disturbed, disturbed
from infra.sandbox.replay import published
from infra.settings import Settings
from infra.store.bulk import append, read, table_of
from infra.store.considered import candidates
from infra.store.recon import accept_remittance
from infra.wiring import Desk, seated
from models.tables import (
    Account,
    AgencyContract,
    BankReceipt,
    Break,
    JournalLine,
    Lender,
    Match,
    MatchPart,
    Placement,
    RemittanceLine,
)

pytestmark = pytest.mark.acceptance
NOW = datetime(2026, 8, 1, tzinfo=UTC)
AS_OF = date(2026, 7, 31)
ELSEWHERE = 1
"""The account that is with another agency."""
TERMS = """
currency = "USD"
remits = "net"
fees = "per_line"
late_days = 30
payer_accounts = ["US-{agency}"]
"""


@dataclass
class Done:
    """A disturbed month after it was reconciled."""

    desk: Desk
    month: Disturbed
    lines: pd.DataFrame
    receipts: pd.DataFrame
    breaks: pd.DataFrame
    tied: set[tuple[int, int]]
    bank_minor: int


def paid_alone(gross: np.ndarray, fees: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Remittance lines of the accounts 2, 3 … and the bank entry of each, day by day through April."""
    number = np.arange(len(gross))
    day = pd.Series(np.datetime64("2026-04-01") + (number * 7 % 28).astype("timedelta64[D]")).astype("datetime64[us]")
    lines = pd.DataFrame({
        "label": number, "agency_txn_id": [f"LC-{one:06d}" for one in number], "account_id": number + 2,
        "type": "recovery", "currency": "USD", "gross_minor": gross, "commission_minor": fees, "vat_minor": 0,
        "net_minor": gross - fees, "value_date": day, "batch_ref": None, "original_txn_id": None, "line": number + 1,
    })  # fmt: skip
    text = ["batch_ref", "original_txn_id", "agency_txn_id"]
    lines = lines.astype(dict.fromkeys(text, "str") | {"account_id": "Int64"})
    entries = pd.DataFrame({
        "label": number, "amount_minor": gross - fees, "value_date": day + pd.Timedelta(days=2),
        "reference": lines["agency_txn_id"], "payer_account": "US-beta",
    })  # fmt: skip
    return lines, entries


def reconciled(month: Disturbed, folder: Path) -> Done:
    """The month in a store of its own: one remittance file, and the bank's statements as camt.053, day by day."""
    settings = Settings(home=folder / "home", database=f"sqlite:///{folder / 'store.sqlite'}", engine="direct")
    desk = Desk(settings, clock=lambda: NOW, actor="ann")
    SQLModel.metadata.create_all(desk.database.engine)
    place(desk, month)
    with desk.database.write() as connection:
        accept_remittance(connection, file_id=1, lender="bank", agency="beta", frame=month.lines, now=NOW)
    bank = BankAccount("US-LENDER", "USD")
    where = []
    with seated(desk):
        for number, (day, some) in enumerate(month.entries.groupby("value_date", sort=True)):
            on = pd.Timestamp(str(day)).date()
            path = bank.write(folder / f"{on}.xml", some.assign(booked_on=some["value_date"]), on, on)
            import_statement(path, "bank", new_account=number == 0)
            where.append(some["label"].to_numpy())
        reconcile("bank", AS_OF)
    return read_back(desk, month, np.concatenate(where))


def place(desk: Desk, month: Disturbed) -> None:
    """A lender, two agencies, and every account with beta but the one that is elsewhere."""
    ids = np.arange(1, len(month.lines) + 2)
    with desk.database.session() as session:
        session.add(Lender(lender="bank", name="Bank", created_at=NOW))
        for agency in ("beta", "gamma"):
            session.add(AgencyContract(
                agency=agency, lender="bank", effective_from=date(2026, 1, 1), terms=TERMS.format(agency=agency),
                sha256="0" * 64, created_by="ann", created_at=NOW,
            ))  # fmt: skip
    accounts = pd.DataFrame({"account_id": ids, "ref_index": [f"r{one}" for one in ids]}).assign(
        lender="bank", debtor_id=1, portfolio_id=1, product="loan", currency="USD", balance_minor=10**10, dpd=120,
        bucket="M5", as_of=pd.Timestamp(2026, 3, 1),
    )  # fmt: skip
    placements = pd.DataFrame({"placement_id": ids, "account_id": ids}).assign(
        plan_id=1, lender="bank", agency=np.where(ids == ELSEWHERE, "gamma", "beta"), debtor_id=1, round=1, stage="s",
        segment="s", currency="USD", balance_minor=10**10, dpd=120, bucket="M5", placed_on=pd.Timestamp(2026, 3, 1),
        due_back_on=pd.Timestamp(2026, 12, 1), state="placed",
    )  # fmt: skip
    with desk.database.write() as connection:
        append(connection, Account, accounts)
        append(connection, Placement, placements)


def read_back(desk: Desk, month: Disturbed, came: np.ndarray) -> Done:
    with desk.database.read() as connection:
        rows = [
            read(connection, select(table_of(row)).order_by(*table_of(row).primary_key.columns))
            for row in (RemittanceLine, BankReceipt, Break, Match, MatchPart, JournalLine)
        ]
    lines, receipts, breaks, matches, parts, legs = rows
    lines = lines.merge(month.lines[["line", "label"]], on="line")
    receipts["label"] = came
    of_line, of_receipt = lines.set_index("line_id")["label"], receipts.set_index("receipt_id")["label"]
    breaks = breaks[breaks["state"] == "open"].assign(
        line=breaks["line_id"].map(of_line), receipt=breaks["receipt_id"].map(of_receipt)
    )
    sure = matches.loc[matches["status"] == "confirmed", "match_id"]
    parts = parts[parts["match_id"].isin(sure)]
    both = parts.dropna(subset=["line_id"]).merge(parts.dropna(subset=["receipt_id"]), on="match_id")
    tied = set(zip(both["line_id_x"].map(of_line), both["receipt_id_y"].map(of_receipt), strict=True))
    bank_minor = int(legs.loc[legs["ledger"] == "1010", "amount_minor"].sum())
    return Done(desk, month, lines, receipts, breaks, tied, bank_minor)


def named(done: Done) -> Counter[tuple[str, str, int]]:
    """Every open break: its code, whether of a line or a receipt, and the label of that."""
    row: Any
    found: Counter[tuple[str, str, int]] = Counter()
    for row in done.breaks.itertuples():
        of, label = ("receipt", row.receipt) if pd.notna(row.receipt) else ("line", row.line)
        found[row.code, of, int(label)] += 1
    return found


def wanted(month: Disturbed) -> Counter[tuple[str, str, int]]:
    """Every break that the disturbances ask for."""
    right: list[tuple[str, str, int]] = []
    row: Any
    for row in month.done.itertuples():
        for name in WAYS[row.way]:
            code, of = name.split()
            kind = {"second": "line" if row.way == "merged" else "receipt"}.get(of, of)
            right.append((code, kind, int(getattr(row, of))))
    return Counter(right)


def check(done: Done) -> None:
    """Each disturbance has its name, what was not disturbed is matched, and a mangled reference's line is found."""
    month = done.month
    assert set(month.done["way"]) == set(WAYS)
    assert named(done) == wanted(month)
    touched = {int(label) for name in ("line", "second") for label in month.done[name].dropna()}
    calm = done.lines[~done.lines["label"].isin(touched)]
    assert set(calm["state"]) == {"matched"}
    assert {(label, label) for label in calm["label"]} <= done.tied
    # of two equal entries under one reference either is the second
    second = dict(month.done.loc[month.done["way"] == "doubled", ["second", "line"]].itertuples(index=False, name=None))
    merged = {(row.line, row.receipt) for row in month.done.itertuples()}
    assert {(line, second.get(receipt, receipt)) for line, receipt in done.tied} <= merged | {
        (label, label) for label in done.lines["label"]
    }
    assert done.bank_minor == month.entries["amount_minor"].sum()
    ids = done.lines.set_index("label")["line_id"], done.receipts.set_index("label")["receipt_id"]
    with done.desk.database.read() as connection:
        for label in month.done.loc[month.done["way"] == "mangled", "line"]:
            best = candidates(connection, ("line", int(ids[0][label])), 1)[0]
            assert (best["ids"], best["off_minor"]) == ([int(ids[1][label])], 0)


@pytest.fixture
def month_of() -> Callable[..., Disturbed]:
    def make(gross: Any, fees: Any, seed: int) -> Disturbed:
        return disturbed(*paid_alone(np.asarray(gross), np.asarray(fees)), elsewhere=ELSEWHERE, seed=seed)

    return make


@pytest.mark.parametrize("seed", [1, 2])
def test_one_synthetic_line_in_twenty_is_disturbed_and_each_is_named(
    month_of: Callable[..., Disturbed], tmp_path: Path, seed: int
) -> None:
    gross = np.random.default_rng(seed).integers(2_000, 400_000, 720)
    done = reconciled(month_of(gross, gross // 5, seed), tmp_path)
    assert len(done.month.done) == 36
    check(done)


@pytest.mark.slow
def test_one_published_recovery_in_twenty_is_disturbed_and_each_is_named(
    month_of: Callable[..., Disturbed], shared_data: Path, tmp_path: Path
) -> None:
    loans = published(shared_data / "loans" / "lendingclub_2007_2010.csv.gz")
    loans = loans[loans["recoveries_minor"] > 0]
    done = reconciled(month_of(loans["recoveries_minor"], loans["fees_minor"], 7), tmp_path)
    assert len(done.lines) == 3_098
    assert len(done.month.done) == 155
    check(done)

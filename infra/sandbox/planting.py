"""A labelled month (infra.sandbox.labelled) brought to a lender: contracts, placements, files, statements, invoices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from connectors.bank.statement import KINDS, BankStatementFile
from infra.indexes import ref_index
from infra.sandbox.truth import AGENCIES, LENDER, PLACED_ON, terms
from infra.store.bankfiles import store_statement
from infra.store.bulk import append
from infra.store.recon import accept_invoice, accept_remittance
from models.tables import Account, AgencyContract, Lender, Placement

if TYPE_CHECKING:
    from infra.sandbox.truth import Labelled
    from infra.wiring import Desk


@dataclass(frozen=True)
class Brought:
    """Where the labels went: `label` of each line by file and line, of each receipt by statement and entry."""

    lines: pd.DataFrame
    receipts: pd.DataFrame
    claims: pd.DataFrame


def open_lender(desk: Desk, month: Labelled) -> None:
    """The lender has contracts with every agency, and its accounts are placed."""
    now = desk.now()
    placed = month.placements
    with desk.database.session() as session:
        session.add(Lender(lender=LENDER, name="Labelled", created_at=now))
    contracts = pd.DataFrame({"agency": AGENCIES}).assign(
        lender=LENDER, effective_from=pd.Timestamp(2026, 1, 1), terms=[terms(agency) for agency in AGENCIES],
        sha256="0" * 64, created_by="sandbox", created_at=now,
    )  # fmt: skip
    accounts = pd.DataFrame({"account_id": placed["account_id"]}).assign(
        lender=LENDER, ref_index=ref_index(desk.keyring, placed["ref"].astype("str")), debtor_id=1, portfolio_id=1,
        product="card", currency=placed["currency"], balance_minor=placed["balance_minor"], dpd=60, bucket="M2",
        as_of=pd.Timestamp(PLACED_ON),
    )  # fmt: skip
    began = pd.to_datetime(placed["placed_on"]) if "placed_on" in placed else pd.Series(pd.NaT, placed.index)
    placements = pd.DataFrame({"placement_id": placed["account_id"], "account_id": placed["account_id"]}).assign(
        plan_id=1, lender=LENDER, agency=placed["agency"], debtor_id=1, round=1, stage="collect", segment="s",
        currency=placed["currency"], balance_minor=placed["balance_minor"], dpd=60, bucket="M2",
        placed_on=began.fillna(pd.Timestamp(PLACED_ON)), due_back_on=pd.Timestamp(2026, 12, 31),
        ended_on=pd.to_datetime(placed["ended_on"]),
        state=np.where(placed["ended_on"].isna(), "placed", "closed"),
    )  # fmt: skip
    with desk.database.write() as connection:
        append(connection, AgencyContract, contracts)
        append(connection, Account, accounts)
        append(connection, Placement, placements)


def bring(desk: Desk, month: Labelled, *, files: int = 1, shuffle: int | None = None) -> Brought:
    """Everything has come: each file cut into so many, in the order of the seed `shuffle` (None: as it was made).

    A file that repeats what earlier ones said stays the last; a transaction's lines stay in one file.
    """
    order = np.random.default_rng(shuffle)

    def mixed(frame: pd.DataFrame) -> pd.DataFrame:
        rows = order.permutation(len(frame)) if shuffle is not None else np.arange(len(frame))
        return frame.iloc[rows].reset_index(drop=True)

    lines = mixed(month.lines)
    part = pd.util.hash_array(lines["agency_txn_id"].to_numpy(dtype=object), categorize=False) % files
    lines["file"] = lines["file"] + "-" + pd.Series(part, lines.index).astype("str")
    names = [str(name) for name in lines["file"].unique()]
    names.sort(key=lambda name: "-later" in name)
    went: list[pd.DataFrame] = []
    for number, name in enumerate(names, 1):
        some = lines[lines["file"] == name].reset_index(drop=True)
        some["line"] = np.arange(1, len(some) + 1)
        with desk.database.write() as connection:
            accept_remittance(
                connection, file_id=number, lender=LENDER, agency=str(some["agency"].iloc[0]), frame=some,
                now=desk.now(),
            )  # fmt: skip
        went.append(some.assign(file_id=number)[["file_id", "line", "label"]])
    receipts = _statements(desk, mixed(month.receipts), files)
    claims = mixed(month.claims)
    claims["line"] = np.arange(1, len(claims) + 1)
    invoiced = []
    for number, (agency, some) in enumerate(claims.groupby("agency"), len(names) + 1):
        with desk.database.write() as connection:
            accept_invoice(
                connection, file_id=number, lender=LENDER, agency=str(agency), frame=some, now=desk.now()
            )  # fmt: skip
        invoiced.append(some.assign(file_id=number)[["file_id", "line", "label"]])
    return Brought(pd.concat(went), receipts, pd.concat(invoiced))


def _statements(desk: Desk, entries: pd.DataFrame, files: int) -> pd.DataFrame:
    """The bank's entries are in, in so many statements per currency."""
    went, number = [], 0
    for currency, of in entries.groupby("currency", sort=True):
        for piece in np.array_split(np.arange(len(of)), files):
            number += 1
            some = of.iloc[piece].reset_index(drop=True)
            some = some.assign(entry=np.arange(1, len(some) + 1), booked_on=some["value_date"])
            last = max([date(2026, 4, 1), *some["value_date"].dt.date])
            statement = statement_of(f"{LENDER}-{currency}", str(currency), str(number), last, some)
            with desk.database.write() as connection:
                mark = {"source": f"{number}.xml", "sha256": f"{number:064d}"}
                stored = store_statement(connection, statement, lender=LENDER, now=desk.now(), **mark)
            went.append(some.assign(statement_id=stored.statement_id)[["statement_id", "entry", "label"]])
    return pd.concat(went)


def statement_of(account: str, currency: str, number: str, last: date, entries: pd.DataFrame) -> BankStatementFile:
    """The entries as one statement without balances; what they do not say is empty."""
    usual = {"of_entry": entries["entry"], "is_reversal": False}
    whole = pd.DataFrame({
        name: entries[name] if name in entries else pd.Series(usual.get(name), index=entries.index, dtype=kind)
        for name, kind in KINDS.items()
    })  # fmt: skip
    return BankStatementFile(account, currency, number, None, None, None, date(2026, 4, 1), last, whole.astype(KINDS))

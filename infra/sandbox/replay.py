"""Published loans replayed: simulated agencies remit what is known to have been recovered, and the books are compared.

LendingClub publishes of every charged-off loan what was recovered (`recoveries`) and what the collectors kept of it
(`collection_recovery_fee`), some of it with twelve decimals. Here agencies answer with those figures, each rounded
half-up to the cent; a bank pays what they hand over; `compared` asks the journal whether it ended there, loan by loan.

The agencies are separate parties with keys and folders of their own, and see pseudonyms alone. Which loan is which
pseudonym is looked up on the lender's side, as nobody but the lender can: a real agency knows what a debtor paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from sqlalchemy import func, select

from infra.indexes import ref_index
from infra.packages import account_pseudonyms
from infra.sandbox.agency import SandboxAgency
from infra.sandbox.bank import BankAccount
from infra.sandbox.host import make_directories
from infra.store import bulk, exchange
from keys.keyring import Keyring
from models.errors import UsageError
from models.intake.readings import AmountForm, exact, minor_units
from models.tables import Account, Break, JournalEntry, JournalLine, RemittanceLine

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from infra.wiring import Desk

LINES = bulk.table_of(RemittanceLine)
LENDER_KEY = "lender"
"""Under which name an agency's keyring has the lender's keys."""
CURRENCY = "USD"
CHARGED_OFF = ("Charged Off", "Does not meet the credit policy. Status:Charged Off")
BANK_ACCOUNT = "US-SANDBOX-COLLECTIONS"
DEBTORS_SIDE = ("1100", "2200")
"""What a recovery takes from: the debt, and where more was paid than owed, what is to be given back."""
COMMISSION = "5100"


@dataclass(frozen=True)
class Made:
    """A simulated agency: where its folder is, and the files with the public halves of its keys."""

    agency: str
    suite: str
    root: Path
    encrypt: Path
    verify: Path
    new: bool


@dataclass(frozen=True)
class Replayed:
    """What the agencies sent and the bank stated."""

    agencies: int
    acknowledged: int
    loans: int
    """with a recovery"""
    with_fees: int
    gross_minor: int
    fees_minor: int
    net_minor: int
    currency: str
    bank_statement: Path
    already: bool
    """the files had been sent before, and nothing was sent again"""


@dataclass(frozen=True)
class Compared:
    """The published figures against the journal, loan by loan."""

    loans: int
    with_recoveries: int
    with_fees: int
    recovered_minor: int
    published_recoveries_minor: int
    commission_minor: int
    published_fees_minor: int
    currency: str
    loans_that_differ: int
    overpaid: int
    """loans with more recovered than was owed, by the data"""
    overpayment_breaks: int
    overpayment_breaks_elsewhere: int
    """overpayment breaks on other loans than those"""
    other_breaks: int
    unreconciled_lines: int


def make_agency(desk: Desk, code: str, suite: str) -> Made:
    """A simulated agency is there: a folder below home/sandbox, its own keys, ours in its keyring. Repeatable."""
    root = desk.folder("sandbox") / code
    make_directories(root)
    path, key_file = root / "keys" / "keyring.json", root / "keys" / "root.key"
    new = not path.exists()
    now = desk.now()
    if new:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        theirs = Keyring.create(path, key_file=key_file)
        theirs.new_own_keys(suite, now)
        ours = desk.keyring.public_keys(suite, now)
        theirs.trust(LENDER_KEY, suite, encrypt=ours["encrypt"], verify=ours["verify"], now=now)
    public = Keyring.open(path, key_file=key_file).public_keys(suite, now)
    shown = root / "public"
    shown.mkdir(exist_ok=True)
    encrypt, verify = shown / f"{code}.encrypt", shown / f"{code}.verify"
    encrypt.write_text(public["encrypt"].rstrip() + "\n", encoding="ascii")
    verify.write_text(public["verify"].rstrip() + "\n", encoding="ascii")
    return Made(code, suite, root, encrypt, verify, new)


def lendingclub(desk: Desk, source: Path, lender: str) -> Replayed:
    """Every simulated agency has acknowledged its placements and remitted and invoiced the published recoveries.

    The bank's camt.053 lies in home/sandbox. What has been sent is not sent again. Raises UsageError where nothing of
    the file is placed with a simulated agency.
    """
    placed = _placed(desk, source, lender)
    if placed.empty:
        message = f"no loan of {source.name} is placed with a simulated agency for {lender}"
        raise UsageError(message, fix="make agencies with `consign sandbox agency`, then plan, approve and send")
    today = desk.today(_zone(desk, lender))
    transfers, acknowledged, sent = [], 0, 0
    paid = placed[placed["recoveries_minor"] > 0]
    for code, mine in placed.groupby("agency", sort=True):
        agency = _Answering.of(desk, str(code))
        agency.open_mail(desk.now())
        if not agency.has_sent(lender, "acknowledgement"):
            acknowledged += len(agency.book)
            agency.acknowledge(today, desk.now())
        lines = _lines(agency, mine[mine["recoveries_minor"] > 0], today)
        if lines.empty:
            continue
        if not agency.has_sent(lender, "remittance"):
            agency.remit(lender, lines, today, desk)
            sent += 1
        transfers.append((agency.reference(today), int(lines["net_minor"].sum()), agency.code))
    statement = _bank(desk, lender, transfers, today) if sent else desk.folder("sandbox") / f"{lender}.camt.053.xml"
    return Replayed(
        agencies=placed["agency"].nunique(),
        acknowledged=acknowledged,
        loans=len(paid),
        with_fees=int((paid["fees_minor"] > 0).sum()),
        gross_minor=int(paid["recoveries_minor"].sum()),
        fees_minor=int(paid["fees_minor"].sum()),
        net_minor=int((paid["recoveries_minor"] - paid["fees_minor"]).sum()),
        currency=CURRENCY,
        bank_statement=statement,
        already=not sent,
    )


def compared(desk: Desk, source: Path, lender: str) -> Compared:
    """The journal's recoveries and commission of every loan, against the file's."""
    loans = published(source)
    loans["ref_index"] = ref_index(desk.keyring, loans["loan_key"]).to_numpy()
    accounts, breaks = bulk.table_of(Account), bulk.table_of(Break)
    entries, legs = bulk.table_of(JournalEntry), bulk.table_of(JournalLine)
    with desk.database.read() as connection:
        known = bulk.read(
            connection,
            select(accounts.c.account_id, accounts.c.ref_index, accounts.c.balance_minor).where(
                accounts.c.lender == lender
            ),
        )
        booked = bulk.read(
            connection,
            select(legs.c.account_id, legs.c.ledger, func.sum(legs.c.amount_minor).label("amount_minor"))
            .join(entries, entries.c.entry_id == legs.c.entry_id)
            .where(entries.c.lender == lender, legs.c.ledger.in_((*DEBTORS_SIDE, COMMISSION)))
            .group_by(legs.c.account_id, legs.c.ledger),
        )
        found = bulk.read(
            connection,
            select(breaks.c.code, breaks.c.account_id).where(breaks.c.lender == lender, breaks.c.state == "open"),
        )
        waiting = connection.execute(
            select(func.count()).where(LINES.c.lender == lender, LINES.c.state != "matched")
        ).scalar_one()
    loans = loans.merge(known, on="ref_index", how="left", validate="one_to_one")
    recovered = -booked[booked["ledger"].isin(DEBTORS_SIDE)].groupby("account_id")["amount_minor"].sum()
    commission = booked[booked["ledger"] == COMMISSION].groupby("account_id")["amount_minor"].sum()
    loans["booked_minor"] = loans["account_id"].map(recovered).fillna(0).astype("int64")
    loans["commission_minor"] = loans["account_id"].map(commission).fillna(0).astype("int64")
    differs = (loans["booked_minor"] != loans["recoveries_minor"]) | (loans["commission_minor"] != loans["fees_minor"])
    overpaid = loans.loc[loans["recoveries_minor"] > loans["balance_minor"], "account_id"]
    over = found["code"] == "overpayment"
    return Compared(
        loans=int(loans["account_id"].notna().sum()),
        with_recoveries=int((loans["recoveries_minor"] > 0).sum()),
        with_fees=int((loans["fees_minor"] > 0).sum()),
        recovered_minor=int(recovered.sum()),
        published_recoveries_minor=int(loans["recoveries_minor"].sum()),
        commission_minor=int(commission.sum()),
        published_fees_minor=int(loans["fees_minor"].sum()),
        currency=CURRENCY,
        loans_that_differ=int(differs.sum()),
        overpaid=len(overpaid),
        overpayment_breaks=int(over.sum()),
        overpayment_breaks_elsewhere=int((~found.loc[over, "account_id"].isin(overpaid)).sum()),
        other_breaks=int((~over).sum()),
        unreconciled_lines=int(waiting),
    )


def published(source: Path) -> pd.DataFrame:
    """The charged-off loans: `loan_key`, `recoveries_minor`, `fees_minor` (int64, each rounded half-up to the cent)."""
    if not source.is_file():
        message = f"no file {source}"
        raise UsageError(message, fix="name lendingclub_2007_2010.csv.gz")
    wanted = ["loan_key", "loan_status", "recoveries", "collection_recovery_fee"]
    table = pacsv.read_csv(
        source,
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
    )
    loans = pd.DataFrame(
        {"loan_key": table["loan_key"].to_pandas().astype("str"), "status": table["loan_status"].to_pandas()}
    )
    for column, name in (("recoveries", "recoveries_minor"), ("collection_recovery_fee", "fees_minor")):
        loans[name] = _cents(table[column].combine_chunks())
    return loans[loans["status"].isin(CHARGED_OFF)].drop(columns="status").reset_index(drop=True)


def _cents(cells: pa.Array) -> np.ndarray:
    form = AmountForm(rounding="half_up")
    read = minor_units(exact(cells, form), pa.array([CURRENCY] * len(cells)), form)
    if read.faults:
        message = "the file has recoveries or fees that are no amounts"
        raise UsageError(message, fix="give the file as it was published")
    return np.asarray(read.values.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _placed(desk: Desk, source: Path, lender: str) -> pd.DataFrame:
    """The file's loans that are with simulated agencies: their figures, `agency` and the `account` that it knows."""
    loans = published(source)
    loans["ref_index"] = ref_index(desk.keyring, loans["loan_key"]).to_numpy()
    accounts, placements = bulk.table_of(Account), exchange.PLACEMENTS
    here = sorted(path.parent.parent.name for path in desk.folder("sandbox").glob("*/keys/keyring.json"))
    with desk.database.read() as connection:
        rows = bulk.read(
            connection,
            select(accounts.c.ref_index, placements.c.account_id, placements.c.agency, placements.c.key_generation)
            .join(placements, placements.c.account_id == accounts.c.account_id)
            .where(
                accounts.c.lender == lender, placements.c.agency.in_(here), placements.c.state.in_(exchange.AT_AGENCY)
            ),
        )
    rows = rows.merge(loans, on="ref_index", validate="one_to_one")
    rows["account"] = pd.Series(None, index=rows.index, dtype="str")
    for (agency, generation), part in rows.groupby(["agency", "key_generation"]):
        key = desk.keyring.pseudonym_key(str(agency), str(generation))
        rows.loc[part.index, "account"] = account_pseudonyms(key, part["account_id"]).to_numpy()
    return rows


def _lines(agency: _Answering, paid: pd.DataFrame, day: date) -> pd.DataFrame:
    """Remittance lines of the recoveries on accounts that the agency's own book has."""
    mine = paid[paid["account"].isin(agency.book["account"])].sort_values("account", ignore_index=True)
    return pd.DataFrame({
        "agency_txn_id": [f"{agency.code}-{number:06d}" for number in range(1, len(mine) + 1)],
        "account": mine["account"], "type": "recovery", "currency": CURRENCY,
        "gross_minor": mine["recoveries_minor"], "commission_minor": mine["fees_minor"], "vat_minor": 0,
        "net_minor": mine["recoveries_minor"] - mine["fees_minor"], "value_date": pd.Timestamp(day),
        "batch_ref": agency.reference(day),
    })  # fmt: skip


def _bank(desk: Desk, lender: str, transfers: list[tuple[str, int, str]], day: date) -> Path:
    """One statement of the lender's account, with one credit per agency."""
    entries = pd.DataFrame({
        "amount_minor": pd.Series([minor for _, minor, _ in transfers], dtype="int64"),
        "value_date": pd.Series(pd.Timestamp(day), index=range(len(transfers))),
        "reference": [reference for reference, _, _ in transfers], "payer": [code for _, _, code in transfers],
    })  # fmt: skip
    return BankAccount(BANK_ACCOUNT, CURRENCY).write(
        desk.folder("sandbox") / f"{lender}.camt.053.xml", entries, day, day
    )


def _zone(desk: Desk, lender: str) -> str:
    with desk.database.read() as connection:
        return exchange.lender_timezone(connection, lender)


class _Answering(SandboxAgency):
    """A simulated agency that says what it is told to say."""

    @classmethod
    def of(cls, desk: Desk, code: str) -> _Answering:
        """The agency that `make_agency` made."""
        root = desk.folder("sandbox") / code
        keyring = Keyring.open(root / "keys" / "keyring.json", key_file=root / "keys" / "root.key")
        suite = "age" if keyring.own_keys("age") else "openpgp"
        return cls(code, LENDER_KEY, suite, root, keyring, seed=0)

    def has_sent(self, lender: str, kind: str) -> bool:
        """Whether such a file of it waits, is being taken or was taken."""
        return any(self.outbox.rglob(f"*{lender}.{self.code}.{kind}.*"))

    def reference(self, day: date) -> str:
        """The reference of its bank transfer of the day."""
        return f"{self.code.upper()}-{day:%Y%m%d}"

    def remit(self, lender: str, lines: pd.DataFrame, day: date, desk: Desk) -> None:
        """The invoice over the fees and the remittance lie in its outbox."""
        fees = lines[lines["commission_minor"] > 0]
        self._send("invoice", lender, day, desk.now(), fees.assign(
            invoice_no=f"INV-{self.code}-{day:%Y%m}", base_minor=fees["gross_minor"], period=f"{day:%Y-%m}",
        ))  # fmt: skip
        self._send("remittance", lender, day, desk.now(), lines)

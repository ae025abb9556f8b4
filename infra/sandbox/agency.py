"""A sandbox agency: it opens what the lender sends, works its accounts by a stated stochastic model, and answers.

It has a keyring of its own and sees nothing but its own drop. The model (seeded; per account and month):

- a debtor pays with probability `skill × base(bucket) × 0.85^(months on book)`; base falls from 0.16
  (M1) to 0.03 (M6+);
- a payment is the whole balance one time in six, else a share of it drawn evenly from 8 % to 40 %, whole yuan;
- one payment in 80 is reversed the month after.

These are round figures in the range of published Chinese and US charge-off recoveries; nothing is inferred from them.
It can be told to misbehave (`Traits`), so that what is wrong with a partner can be seen to be found.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from connectors.layouts.package import PackageWriter, read_package
from keys.sealing import open_from, seal_for, suite_named
from models.certification import LENDER
from models.contract import Contract, commission
from models.kinds import FILE_NAME, KINDS, Field, Kind, file_name

if TYPE_CHECKING:
    from pathlib import Path

    from keys.keyring import Keyring

BASE = {"M0": 0.20, "M1": 0.16, "M2": 0.13, "M3": 0.10, "M4": 0.08, "M5": 0.06, "M6": 0.045, "M6+": 0.03}
FADE = 0.85
WHOLE = 1 / 6
REVERSED = 1 / 80
_LEARNT = ("placement", "update", "recall", "erasure_request", "correction")


@dataclass(frozen=True)
class Traits:
    """How this agency departs from the ideal."""

    skill: float = 1.0
    late_days: int = 0
    """files come so many days after they are due"""
    nets_fees: bool = False
    """hands over gross less commission and VAT"""
    bad_lines: float = 0.0
    """share of remittance lines that are malformed or name an unknown account"""
    repeats_file: bool = False
    """sends every remittance file twice, the second time under another name"""
    complaints: float = 0.001
    """complaints per account worked and month"""
    overbills: float = 0.0
    """share of invoice lines with a commission one tenth too high"""


def _empty_book() -> pd.DataFrame:
    return pd.DataFrame({
        "account": pd.Series(dtype="str"), "debtor": pd.Series(dtype="str"), "lender": pd.Series(dtype="str"),
        "currency": pd.Series(dtype="str"), "balance_minor": pd.Series(dtype="int64"), "bucket": pd.Series(dtype="str"),
        "dpd": pd.Series(dtype="int64"), "round": pd.Series(dtype="int64"), "months": pd.Series(dtype="int64"),
        "state": pd.Series(dtype="str"),
    })  # fmt: skip


def _empty_payments() -> pd.DataFrame:
    return pd.DataFrame({
        "account": pd.Series(dtype="str"), "currency": pd.Series(dtype="str"), "lender": pd.Series(dtype="str"),
        "dpd": pd.Series(dtype="int64"), "round": pd.Series(dtype="int64"), "agency_txn_id": pd.Series(dtype="str"),
        "type": pd.Series(dtype="str"), "gross_minor": pd.Series(dtype="int64"),
        "original_txn_id": pd.Series(dtype="str"), "value_date": pd.Series(dtype="datetime64[us]"),
    })  # fmt: skip


@dataclass
class SandboxAgency:
    """One simulated agency, its drop directory, its keyring and its book."""

    code: str
    lender_key_name: str
    suite: str
    root: Path
    """its server's directory: to_agency, from_agency"""
    keyring: Keyring
    seed: int
    traits: Traits = field(default_factory=Traits)
    contracts: dict[str, Contract] = field(default_factory=dict)
    book: pd.DataFrame = field(default_factory=_empty_book)
    paid_out: list[dict[str, object]] = field(default_factory=list)
    """bank transfers made: lender, reference, amount_minor, currency, value_date"""
    files_written: int = 0
    _sequences: dict[tuple[str, str], int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _paid: pd.DataFrame = field(default_factory=_empty_payments)
    _to_return: list[pd.DataFrame] = field(default_factory=list)
    _to_erase: list[pd.DataFrame] = field(default_factory=list)
    _to_confirm: list[pd.DataFrame] = field(default_factory=list)
    _new: list[pd.DataFrame] = field(default_factory=list)
    _previous: dict[tuple[str, str], str] = field(default_factory=dict)
    _transactions: int = 0

    @property
    def inbox(self) -> Path:
        """Where the lender leaves files."""
        return self.root / "to_agency"

    @property
    def outbox(self) -> Path:
        """Where it leaves files for the lender."""
        return self.root / "from_agency"

    def open_mail(self, now: datetime) -> list[str]:
        """Open what the lender newly asks for or tells; the book is up to date. Returns the kinds of all new files.

        Receipts and statements are left sealed: nothing in this agency's work hangs on them. Certifications are taken
        by infra/sandbox/candidate.py.
        """
        kinds = []
        names = [
            p
            for p in self.inbox.iterdir()
            if FILE_NAME.fullmatch(p.name) and p.name not in self._seen and not p.name.startswith(f"{LENDER}.")
        ]
        order = {kind: place for place, kind in enumerate(("key_announcement", *_LEARNT))}
        for path in sorted(names, key=lambda p: (order.get(p.name.split(".")[2], 9), p.name)):
            found = FILE_NAME.fullmatch(path.name)
            if found is None:
                continue
            if found["kind"] in order:
                frame = self._opened(path, now)
                if found["kind"] == "key_announcement":
                    self._trust(frame, now)
                else:
                    self._learn(found["kind"], found["lender"], frame)
            self._seen.add(path.name)
            kinds.append(found["kind"])
        return kinds

    def _opened(self, path: Path, now: datetime) -> pd.DataFrame:
        plain = self.root / f".{path.name}.plain"
        try:
            open_from(self.keyring, self.lender_key_name, self.suite, path, plain, now)
            package = read_package(plain)
        finally:
            plain.unlink(missing_ok=True)
        frame: pd.DataFrame = package.table.to_pandas()
        return frame.replace("", None)

    def _trust(self, announced: pd.DataFrame, now: datetime) -> None:
        """The lender's next key, told of under the one before, counts from the day it says."""
        for key in announced.to_dict("records"):
            self.keyring.trust(
                self.lender_key_name,
                str(key["suite"]),
                encrypt=str(key["encrypt"]),
                verify=str(key["verify"]),
                now=now,
                valid_from=datetime.fromisoformat(str(key["valid_from"])),
                valid_until=datetime.fromisoformat(str(key["valid_until"])),
            )

    def _learn(self, kind: str, lender: str, frame: pd.DataFrame) -> None:
        if kind == "placement":
            new = pd.DataFrame({
                "account": frame["account"], "debtor": frame["debtor"], "lender": lender, "currency": frame["currency"],
                "balance_minor": (frame["balance"].astype(float) * 100).round().astype("int64"),
                "bucket": frame["bucket"], "dpd": frame["dpd"].astype("int64"), "round": frame["round"].astype("int64"),
                "months": 0, "state": "open",
            })  # fmt: skip
            self.book = pd.concat([self.book[~self.book["account"].isin(new["account"])], new], ignore_index=True)
            self._new.append(new)
        elif kind == "recall":
            gone = self.book["account"].isin(frame["account"]) & (self.book["state"] == "open")
            self.book.loc[gone, "state"] = "recalled"
            back = frame[["account", "reason"]].merge(
                self.book[["account", "lender", "currency", "balance_minor"]], on="account"
            )
            self._to_return.append(back.assign(reason="recalled"))
        elif kind == "erasure_request":
            self._to_erase.append(frame[["account"]].assign(lender=lender))
        elif kind == "correction":
            fields = frame.drop(columns="effective_on").melt("account", var_name="field")
            self._to_confirm.append(fields[["account", "field"]].assign(lender=lender))
        elif kind == "update":
            told = frame.set_index("account")["balance"].astype(float).mul(100).round().astype("int64")
            here = self.book["account"].isin(told.index)
            self.book.loc[here, "balance_minor"] = self.book.loc[here, "account"].map(told).astype("int64")

    # -- what it sends -------------------------------------------------------------------------------------------------

    def acknowledge(self, day: date, now: datetime) -> None:
        """Confirm what was placed since the last time, with the balance it booked."""
        for lender, part in _by_lender(self._new):
            self._send("acknowledgement", lender, day, now, part.assign(
                status="booked", booked_balance_minor=part["balance_minor"], booked_on=pd.Timestamp(day), reason=None,
            ))  # fmt: skip
        self._new = []

    def give_back(self, day: date, now: datetime) -> None:
        """Return what was recalled."""
        for lender, part in _by_lender(self._to_return):
            self._send("return", lender, day, now, part.drop_duplicates("account").assign(
                returned_on=pd.Timestamp(day), final_balance_minor=part["balance_minor"],
            ))  # fmt: skip
        self._to_return = []

    def confirm(self, day: date, now: datetime) -> None:
        """Say of every correction told since the last time that it was made."""
        for lender, part in _by_lender(self._to_confirm):
            self._send("correction_confirmation", lender, day, now, part.drop_duplicates(["account", "field"]).assign(
                status="corrected", corrected_on=pd.Timestamp(day),
            ))  # fmt: skip
        self._to_confirm = []

    def erase(self, day: date, now: datetime) -> None:
        """Delete what it was told about the accounts asked for, and certify it."""
        for lender, part in _by_lender(self._to_erase):
            self.book = self.book[~self.book["account"].isin(part["account"])]
            self._send("erasure_certificate", lender, day, now, part.drop_duplicates("account").assign(
                erased_at=f"{day.isoformat()}T18:00:00+08:00", scope="all",
                method="files deleted, database rows overwritten",
                certified_by="data protection officer", retained=None,
            ))  # fmt: skip
        self._to_erase = []

    def work(self, month: int, day: date, now: datetime) -> None:
        """A month of contacts, payments, reversals and complaints, reported and remitted, the money on its way."""
        draw = np.random.default_rng([self.seed, month])
        live = self.book[self.book["state"] == "open"]
        for lender in sorted(live["lender"].unique()):
            mine = live[live["lender"] == lender]
            self._report_contacts(draw, lender, mine, day, now)
            self._remit(draw, lender, mine, day, now)
            self._complain(draw, lender, mine, month, day, now)
        self.book.loc[self.book["state"] == "open", "months"] += 1

    def _report_contacts(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, day: date, now: datetime
    ) -> None:
        times = draw.poisson(1.2, len(mine))
        rows = mine.loc[mine.index.repeat(times), ["account"]].reset_index(drop=True)
        if rows.empty:
            return
        back = draw.integers(0, 20, len(rows))
        minute = draw.integers(9 * 60, 20 * 60, len(rows))
        at = pd.Timestamp(day) - pd.to_timedelta(back, unit="D") + pd.to_timedelta(minute, unit="min")
        outcomes = np.array(["connected", "no_answer", "busy", "promise", "refused", "invalid"])
        rows["at"] = at.strftime("%Y-%m-%dT%H:%M:%S+08:00")
        rows["channel"] = "phone"
        rows["contact_point_ref"] = "p1"
        rows["outcome"] = draw.choice(outcomes, len(rows), p=[0.22, 0.48, 0.1, 0.08, 0.07, 0.05])
        rows["collector_ref"] = [f"c{number}" for number in draw.integers(1, 12, len(rows))]
        self._send("activity", lender, day, now, rows)

    def _remit(self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, day: date, now: datetime) -> None:
        chance = mine["bucket"].map(BASE).astype(float) * self.traits.skill * FADE ** mine["months"].astype(float)
        payers = mine[(draw.random(len(mine)) < chance) & (mine["balance_minor"] > 0)]
        whole = draw.random(len(payers)) < WHOLE
        share = draw.uniform(0.08, 0.40, len(payers))
        amount = np.where(
            whole, payers["balance_minor"], (payers["balance_minor"] * share // 100 * 100).clip(lower=100)
        )
        amount = np.minimum(amount, payers["balance_minor"]).astype("int64")
        numbers = self._transactions + np.arange(1, len(payers) + 1)
        self._transactions += len(payers)
        paid = pd.DataFrame({
            "account": payers["account"].to_numpy(), "currency": payers["currency"].to_numpy(), "lender": lender,
            "dpd": payers["dpd"].to_numpy(), "round": payers["round"].to_numpy(),
            "agency_txn_id": [f"{self.code}-{number:07d}" for number in numbers], "type": "recovery",
            "gross_minor": amount, "original_txn_id": None,
            "value_date": pd.Timestamp(day) - pd.to_timedelta(draw.integers(1, 10, len(payers)), unit="D"),
        })  # fmt: skip
        past = self._paid[(self._paid["lender"] == lender) & (self._paid["type"] == "recovery")]
        undone = past[draw.random(len(past)) < REVERSED]
        self._paid = self._paid.drop(past.index)
        back = undone.assign(
            type="reversal", original_txn_id=undone["agency_txn_id"], agency_txn_id=undone["agency_txn_id"] + "-R",
            gross_minor=-undone["gross_minor"], value_date=pd.Timestamp(day) - pd.Timedelta(days=1),
        )  # fmt: skip
        lines = pd.concat([paid, back[paid.columns]], ignore_index=True) if len(back) else paid
        if lines.empty:
            return
        self._book_payments(lines)
        self._paid = pd.concat([self._paid, paid], ignore_index=True)
        fees = commission(lines, self.contracts[lender])
        lines = lines.assign(due_commission=fees["commission_minor"], due_vat=fees["vat_minor"])
        lines["commission_minor"] = lines["due_commission"] if self.traits.nets_fees else 0
        lines["vat_minor"] = lines["due_vat"] if self.traits.nets_fees else 0
        lines["net_minor"] = lines["gross_minor"] - lines["commission_minor"] - lines["vat_minor"]
        reference = f"{self.code.upper()}-{lender.upper()}-{day:%Y%m%d}"
        lines["batch_ref"] = reference
        self.paid_out.append({
            "lender": lender, "reference": reference, "amount_minor": int(lines["net_minor"].sum()),
            "currency": str(lines["currency"].iloc[0]), "value_date": day + timedelta(days=1 + self.traits.late_days),
            "payer": self.contracts[lender].payer_accounts[0] if self.contracts[lender].payer_accounts else None,
        })  # fmt: skip
        sent = self._spoilt(draw, lines) if self.traits.bad_lines else lines
        name = self._send("remittance", lender, day, now, sent)
        if self.traits.repeats_file and name is not None:
            self._send_again(name, day)
        self._invoice(draw, lender, lines, day, now)

    def _book_payments(self, lines: pd.DataFrame) -> None:
        moved = lines.groupby("account")["gross_minor"].sum()
        here = self.book["account"].isin(moved.index)
        self.book.loc[here, "balance_minor"] -= self.book.loc[here, "account"].map(moved).astype("int64")

    def _spoilt(self, draw: np.random.Generator, lines: pd.DataFrame) -> pd.DataFrame:
        """Some lines name an account nobody has, some break off in the middle of a date."""
        spoil = draw.random(len(lines))
        lines = lines.astype({"account": "object"})
        lines["value_text"] = lines["value_date"].dt.strftime("%Y-%m-%d")
        lines.loc[spoil < self.traits.bad_lines / 2, "account"] = "G" + "0" * 26
        late = (spoil >= self.traits.bad_lines / 2) & (spoil < self.traits.bad_lines)
        lines.loc[late, "value_text"] = lines.loc[late, "value_text"].str.slice(0, 7)
        return lines.assign(value_date=lines["value_text"])

    def _invoice(self, draw: np.random.Generator, lender: str, lines: pd.DataFrame, day: date, now: datetime) -> None:
        too_high = draw.random(len(lines)) < self.traits.overbills
        claimed = lines["due_commission"].where(~too_high, lines["due_commission"] * 11 // 10)
        self._send("invoice", lender, day, now, lines.assign(
            invoice_no=f"INV-{self.code}-{lender}-{day:%Y%m}", base_minor=lines["gross_minor"],
            commission_minor=claimed.astype("int64"), vat_minor=lines["due_vat"], period=f"{day:%Y-%m}",
        ))  # fmt: skip

    def _complain(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, month: int, day: date, now: datetime
    ) -> None:
        who = mine[draw.random(len(mine)) < self.traits.complaints]
        if who.empty:
            return
        self._send("complaint", lender, day, now, pd.DataFrame({
            "complaint_ref": [f"{self.code}-{lender}-{month}-{number}" for number in range(len(who))],
            "account": who["account"].to_numpy(), "received_on": pd.Timestamp(day),
            "category": "conduct", "severity": "normal",
        }))  # fmt: skip

    # -- the envelope --------------------------------------------------------------------------------------------------

    def _send(self, kind: str, lender: str, day: date, now: datetime, frame: pd.DataFrame) -> str | None:
        if frame.empty:
            return None
        described: Kind = KINDS[kind]
        sequence = self._sequences.get((lender, kind), 0) + 1
        self._sequences[lender, kind] = sequence
        suffix = suite_named(self.suite).suffix
        name = file_name(lender, self.code, kind, f"{day:%Y%m%d}", sequence, suffix)
        plain = self.root / f".{name}.plain"
        try:
            with PackageWriter(
                plain, name, described.table, described.fields,
                {"kind": kind, "lender": lender, "agency": self.code, "sequence": sequence,
                 "previous": self._previous.get((lender, kind))},
                described.control,
            ) as writer:  # fmt: skip
                writer.write(_filled(frame, described.fields))
            ready = self.root / f".{name}"
            by = seal_for(self.keyring, self.lender_key_name, self.suite, plain, ready, now)
        finally:
            plain.unlink(missing_ok=True)
        with by.files[0].open("rb") as sealed:
            self._previous[lender, kind] = hashlib.file_digest(sealed, "sha256").hexdigest()
        for made in reversed(by.files):  # sidecars first, then the file they belong to
            made.rename(self.outbox / made.name.removeprefix("."))
        self.files_written += 1
        return name

    def _send_again(self, name: str, day: date) -> None:
        """The same sealed bytes, under the next day's name."""
        again = name.replace(f".{day:%Y%m%d}.", f".{day + timedelta(days=1):%Y%m%d}.")
        for path in self.outbox.glob(f"{name}*"):
            shutil.copyfile(path, self.outbox / path.name.replace(name, again))
        self.files_written += 1


def _filled(frame: pd.DataFrame, fields: tuple[Field, ...]) -> pd.DataFrame:
    """The frame with every column of the kind; those it lacks are empty."""
    missing = {
        one.column: pd.Series(None, index=frame.index, dtype="str") for one in fields if one.column not in frame.columns
    }
    return frame.assign(**missing)


def _by_lender(parts: list[pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    if not parts:
        return []
    return [
        (str(lender), part.reset_index(drop=True))
        for lender, part in pd.concat(parts, ignore_index=True).groupby("lender")
    ]

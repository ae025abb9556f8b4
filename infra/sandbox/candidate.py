"""A simulated agency that takes a certification by itself: it checks what it gets, says what is wrong, errs and mends.

It knows of the lender what any agency knows: keys, the drop, docs/reference/certification.md. It can be told to
misbehave (`Manners`), so that a test sees what a certification finds.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from connectors.layouts.package import MANIFEST, PackageRefused, control_holds, decimal_text, read_package
from keys.errors import OpenRefused
from keys.sealing import open_from, seal_for, suite_named
from models.certification import LENDER
from models.checking import check
from models.kinds import FILE_NAME, KINDS, file_name

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from keys.keyring import Keyring

Lines = list[dict[str, str]]
CURRENCY = "CNY"


@dataclass(frozen=True)
class Manners:
    """How this candidate departs from the ideal."""

    checks: bool = True
    """False: it books whatever it can open, with or without the right signature"""
    fingerprint: str | None = None
    """what it reads back instead of the lender's signing key"""
    balance_off_minor: int = 0
    """what it adds to every balance it books"""
    returns: bool = True


@dataclass
class Candidate:
    """The agency's side: `answer` reads what is new in the drop and leaves its answers there."""

    code: str
    suite: str
    root: Path
    keyring: Keyring
    lender_key_name: str = "lender"
    manners: Manners = field(default_factory=Manners)
    told: pd.DataFrame = field(default_factory=pd.DataFrame)
    """the newest status"""
    receipts: list[pd.DataFrame] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _numbers: dict[str, set[int]] = field(default_factory=dict)
    _sent: dict[str, int] = field(default_factory=dict)
    _refusals: Lines = field(default_factory=list)
    _booked: Lines = field(default_factory=list)
    _did: set[str] = field(default_factory=set)
    _recalled: list[str] = field(default_factory=list)

    def answer(self, day: date, now: datetime) -> list[str]:
        """Everything new in the drop is read and answered. Returns the kinds of the files sent."""
        before = dict(self._sent)
        new = [path for path in (self.root / "to_agency").iterdir() if self._is_new(path.name)]
        placed: Lines = []
        for path in sorted(new, key=lambda one: (one.name.split(".")[2] != "placement", one.name.split(".")[4])):
            self._seen.add(path.name)
            frame = self._read(path, now)
            if frame is not None:
                self._learn(path.name.split(".")[2], frame, placed, day, now)
        self._read_back(day, now)
        if placed:
            self._acknowledge(placed, day, now)
        if self._refusals:
            self._send("refusal", self._refusals, day, now)
            self._refusals = []
        self._work(day, now)
        return [kind for kind, number in self._sent.items() if number != before.get(kind, 0)]

    # -- reading -------------------------------------------------------------------------------------------------------

    def _is_new(self, name: str) -> bool:
        found = FILE_NAME.fullmatch(name)
        return found is not None and found["lender"] == LENDER and name not in self._seen

    def _read(self, path: Path, now: datetime) -> pd.DataFrame | None:
        """The lines of a file that can be taken; None where it is refused, and is noted as such."""
        found = FILE_NAME.fullmatch(path.name)
        assert found is not None  # noqa: S101 - `_is_new` has looked
        fault = self._order(path.name, found["kind"], int(found["sequence"]))
        plain = self.root / f".{path.name}.plain"
        try:
            open_from(self.keyring, self.lender_key_name, self.suite, path, plain, now)
            package = read_package(plain)
        except (OpenRefused, PackageRefused) as refused:
            self._refuse(path, refused.code)
            return None
        finally:
            plain.unlink(missing_ok=True)
        if fault == "sequence_repeat" and self.manners.checks:
            self._refuse(path, fault)
            return None
        if fault == "sequence_gap":
            self._refuse(path, fault)
        kind = KINDS[found["kind"]]
        if kind.control and self.manners.checks:
            sums = check(kind, package.table).sums
            if sums is not None and not control_holds(package.manifest, sums):
                self._refuse(path, "control_sum")
                return None
        frame: pd.DataFrame = package.table.to_pandas().replace("", None)
        return self._lines(path, frame) if found["kind"] == "placement" and self.manners.checks else frame

    def _order(self, name: str, kind: str, number: int) -> str | None:
        del name
        seen = self._numbers.setdefault(kind, set())
        fault = None
        if number in seen:
            fault = "sequence_repeat"
        elif seen and number > max(seen) + 1:
            fault = "sequence_gap"
        seen.add(number)
        return fault

    def _lines(self, path: Path, frame: pd.DataFrame) -> pd.DataFrame:
        other = frame["currency"] != CURRENCY
        again = frame["account"].duplicated()
        for code, column, wrong in (("not_currency", "currency", other), ("repeated", "account", again)):
            for line in frame.index[wrong]:
                self._refuse(path, code, int(line) + 1, column)
        return frame[~other & ~again]

    def _refuse(self, path: Path, code: str, line: int | None = None, column: str = "") -> None:
        sealed = hashlib.sha256(path.read_bytes()).hexdigest()
        self._refusals.append({
            "file": path.name, "sha256": sealed, "at_line": "" if line is None else str(line), "at_column": column,
            "code": code,
        })  # fmt: skip

    def _learn(self, kind: str, frame: pd.DataFrame, placed: Lines, day: date, now: datetime) -> None:
        rows = frame.to_dict("records")
        if kind == "placement":
            placed += [{name: str(row[name]) for name in ("account", "currency", "balance")} for row in rows]
        elif kind == "recall":
            self._give_back([str(row["account"]) for row in rows], day, now)
        elif kind == "erasure_request":
            self._send("erasure_certificate", [
                {"account": str(row["account"]), "erased_at": f"{day}T12:00:00+08:00", "scope": "all",
                 "method": "files deleted", "certified_by": "data protection officer", "retained": ""}
                for row in rows
            ], day, now)  # fmt: skip
        elif kind == "certification":
            self.told = frame
        elif kind == "receipt":
            self.receipts.append(frame)

    # -- answering -----------------------------------------------------------------------------------------------------

    def _once(self, deed: str) -> bool:
        """True the first time."""
        first = deed not in self._did
        self._did.add(deed)
        return first

    def _state(self, step: str) -> str:
        rows = self.told.loc[self.told["step"] == step, "state"] if len(self.told) else self.told
        return str(rows.iloc[0]) if len(rows) else ""

    def _read_back(self, day: date, now: datetime) -> None:
        if not self._once("fingerprint"):
            return
        (key, *_) = self.keyring.trusted_keys(self.lender_key_name, self.suite)
        prints = {"sign": self.manners.fingerprint or key.fingerprint, "encrypt": key.public["encrypt_fingerprint"]}
        self._send("fingerprint", [
            {"whose": "lender", "use": use, "fingerprint": one, "compared_on": str(day), "compared_by": "operations"}
            for use, one in prints.items()
        ], day, now)  # fmt: skip

    def _acknowledge(self, placed: Lines, day: date, now: datetime) -> None:
        lines = [
            {"account": one["account"], "status": "booked", "currency": CURRENCY,
             "booked_balance": self._balance(one["balance"]), "booked_on": str(day), "reason": ""}
            for one in placed
        ]  # fmt: skip
        if self._once("book"):
            self._booked = lines
            self._send("acknowledgement", lines, day, now)
            return
        if not self._once("err"):
            self._send("acknowledgement", lines, day, now)
            return
        # the three mistakes, on purpose
        self._send("acknowledgement", [*lines[:-1], lines[-1] | {"booked_on": "2026-02-30"}], day, now)
        self._send("acknowledgement", lines[-1:], day, now, wrong_sum=True)
        self._send("acknowledgement", lines[:1], day, now, number=1)
        self._send("acknowledgement", lines[-1:], day, now)

    def _balance(self, text: str) -> str:
        minor = round(float(text) * 100) + self.manners.balance_off_minor
        return decimal_text(minor, CURRENCY)

    def _give_back(self, accounts: list[str], day: date, now: datetime) -> None:
        if not self.manners.returns:
            return
        if self._once("object"):
            self._recalled = accounts
            self._send("recall_objection", [
                {"account": accounts[0], "reason": "payment_on_its_way", "keep_until": str(day)}
            ], day, now)  # fmt: skip
            accounts = accounts[1:]
        self._send("return", [
            {"account": one, "reason": "recalled", "returned_on": str(day), "currency": CURRENCY, "final_balance": ""}
            for one in accounts
        ], day, now)  # fmt: skip

    def _work(self, day: date, now: datetime) -> None:
        account = self._booked[-1]["account"] if self._booked else ""
        if self._state("activity") == "open" and self._state("recall_confirmed") == "open" and self._once("work"):
            self._send("activity", [{
                "account": account, "at": f"{day}T10:00:00+08:00", "channel": "phone", "contact_point_ref": "p1",
                "outcome": "connected", "collector_ref": "c1",
            }], day, now)  # fmt: skip
            self._send("complaint", [{
                "complaint_ref": "K-1", "account": account, "received_on": str(day), "category": "conduct",
                "severity": "normal",
            }], day, now)  # fmt: skip
            self._send("plan", [{
                "plan_ref": "P-1", "account": account, "instalment": "1", "due_on": str(day), "currency": CURRENCY,
                "amount": "100.00", "income_band": "",
            }], day, now)  # fmt: skip
            self._send("hold_request", [
                {"account": account, "reason": "vulnerable", "since": str(day), "until": ""}
            ], day, now)  # fmt: skip
        if self._state("invoice") == "open" and self._state("fault_update") in {"open", "done"} and self._once("money"):
            paid = {
                "agency_txn_id": "T-1", "account": account, "type": "recovery", "currency": CURRENCY,
                "gross": "100.00", "commission": "", "vat": "", "net": "100.00", "value_date": str(day),
                "batch_ref": "B-1", "original_txn_id": "",
            }  # fmt: skip
            self._send("remittance", [paid, paid | {"agency_txn_id": "T-2", "net": "99.00"}], day, now)
            back = {"type": "reversal", "gross": "-100.00", "net": "-100.00", "original_txn_id": "T-1"}
            self._send("remittance", [
                paid | {"agency_txn_id": "T-2"}, paid | back | {"agency_txn_id": "T-3"}
            ], day, now)  # fmt: skip
            self._send("invoice", [{
                "invoice_no": "I-1", "agency_txn_id": "T-2", "account": account, "currency": CURRENCY, "base": "100.00",
                "commission": "20.00", "vat": "0.00", "period": f"{day:%Y-%m}",
            }], day, now)  # fmt: skip

    # -- the envelope --------------------------------------------------------------------------------------------------

    def _send(
        self, kind: str, lines: Lines, day: date, now: datetime, *, number: int = 0, wrong_sum: bool = False
    ) -> None:
        if not number:
            number = self._sent[kind] = self._sent.get(kind, 0) + 1
            stamp = f"{day:%Y%m%d}"
        else:
            stamp = "20200101"  # a number used again, under a name of its own
        described = KINDS[kind]
        columns = [one.name for one in described.fields]
        table = (
            pd.DataFrame(lines).reindex(columns=columns).fillna("").to_csv(index=False, lineterminator="\n").encode()
        )
        name = file_name(LENDER, self.code, kind, stamp, number, suite_named(self.suite).suffix)
        manifest: dict[str, Any] = {
            "name": name.partition(".zip")[0],
            "consign": {
                "kind": kind, "lender": LENDER, "agency": self.code, "sequence": number, "previous": None,
                "rows": len(lines), "control": {"field": described.control, "sums": _sums(described.control, lines)},
            },
            "resources": [{
                "name": described.table, "path": f"{described.table}.csv", "encoding": "utf-8",
                "hash": f"sha256:{hashlib.sha256(table).hexdigest()}",
            }],
        }  # fmt: skip
        if wrong_sum:
            manifest["consign"]["control"]["sums"] = {CURRENCY: "1.00"}
        plain, ready = self.root / f".{name}.plain", self.root / f".{name}"
        with zipfile.ZipFile(plain, "w") as archive:
            archive.writestr(MANIFEST, json.dumps(manifest))
            archive.writestr(f"{described.table}.csv", table)
        by = seal_for(self.keyring, self.lender_key_name, self.suite, plain, ready, now)
        plain.unlink()
        for made in reversed(by.files):
            made.rename(self.root / "from_agency" / made.name.removeprefix("."))


def _sums(control: str | None, lines: Lines) -> dict[str, str]:
    if control is None:
        return {}
    minor = sum(round(float(line[control]) * 100) for line in lines)
    return {CURRENCY: decimal_text(minor, CURRENCY)}

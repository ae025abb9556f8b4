"""What the entries of a camt message say: rows with signed amounts, batches taken apart, only what is booked.

The sign comes from `CdtDbtInd`; `RvslInd` is a flag only. A batch is taken apart where its details say their amounts
and sum to the entry, or do so after the charges that the entry says were taken. What is not booked yet is left out, for
no balance has it. Everything is judged over columns, not entry by entry.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bank.scanning import Found, Scanner
from connectors.bank.spelling import TEXT, Flags, Ints, days_of, flags, minor_of, nullable
from connectors.bank.statement import REFERENCE_LIMIT, StatementRefused, framed

NO_PART: Final = -1
CHARGE: Final = -2
CHARGE_TEXT: Final = "charges of the batch"
NO_REFERENCE: Final = ("NOTPROVIDED", "NONREF", "NOT PROVIDED")
CHARGES: Final = ("Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt", "Chrgs/Amt")
"""Of these, the first that is there counts; a total is of all the records."""
WHO: Final = tuple(
    f"RltdPties/{side}Acct/Id/{kind}"
    for side in ("Dbtr", "Cdtr")
    for kind in ("IBAN", "Othr/Id", "PrtryAcct/Id", "BBAN")
)
PART: Final = (
    "Amt", "Amt/@Ccy", "AmtDtls/TxAmt/Amt", "AmtDtls/TxAmt/Amt/@Ccy", "AmtDtls/InstdAmt/Amt",
    "AmtDtls/InstdAmt/Amt/@Ccy", "CdtDbtInd", "Refs/EndToEndId", "RmtInf/Strd/CdtrRefInf/Ref",
    "RmtInf/Strd/CdtrRefInf/CdtrRef", "RmtInf/Ustrd", "AddtlTxInf", "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry",
    "RtrInf/RtrRsn/Cd", *CHARGES, *(f"{path}/@Ccy" for path in CHARGES), *WHO,
)  # fmt: skip
ENTRY: Final = (
    "Amt", "Amt/@Ccy", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm",
    "AcctSvcrRef", "NtryRef", "AddtlNtryInf", "NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId", "Btch/PmtInfId",
    "AmtDtls/InstdAmt/Amt", "AmtDtls/InstdAmt/Amt/@Ccy", *CHARGES, *(f"{path}/@Ccy" for path in CHARGES),
)  # fmt: skip


def scanner() -> Scanner:
    """Finds what counts in entries; in version 1 a transaction has no details around it."""
    return Scanner("Ntry", ("NtryDtls/TxDtls", "TxDtls"), ENTRY, PART)


def judged(entries: Found, parts: Found, owners: Ints, done: int) -> tuple[pd.DataFrame, int]:
    """The booked entries as rows, numbered in the file from `done`; and how many were not booked.

    Raises StatementRefused, naming the entry (from 1) and why.
    """
    booked = flags(pc.is_in(entries.first("Sts", "Sts/Cd"), pa.array(["", "BOOK"], TEXT)))
    amount, sign = _amounts(entries, booked, done)
    day, value = _days(entries, booked, done)
    currency = entries.first("Amt/@Ccy")
    apart, part_amount, taken = _taken_apart(parts, owners, amount, sign, currency, entries)

    rows = _rows(owners, amount, part_amount, taken, booked=booked, apart=apart)
    of_entry = rows["of_entry"]
    said = _said(entries, parts, owners, sign, currency).rows(
        of_entry,
        rows["part"],
        several=(np.bincount(owners, minlength=entries.count) > 1)[of_entry],
        is_part=apart[of_entry],
    )
    told = {
        "of_entry": of_entry + done,
        "amount_minor": rows["amount_minor"],
        "currency": currency.take(pa.array(of_entry)).to_pandas(),
        "booked_on": day.take(of_entry).to_numpy(),
        "value_date": value.take(of_entry).to_numpy(),
        "bank_ref": nullable(entries.first("AcctSvcrRef")).take(pa.array(of_entry)).to_pandas(),
        "is_reversal": flags(pc.is_in(entries.first("RvslInd"), pa.array(["true", "1"], TEXT)))[of_entry],
    }
    return framed(told | said, len(of_entry)), int((~booked).sum())


def _rows(
    owners: Ints, amount: Ints, part_amount: Ints, taken: Ints, *, booked: Flags, apart: Flags
) -> dict[str, Ints]:
    """The rows: `of_entry`, `part` (NO_PART, or CHARGE for what lies between a batch and its parts), `amount_minor`."""
    only = np.full(len(amount), NO_PART)
    only[owners] = np.arange(len(owners))
    only[np.bincount(owners, minlength=len(amount)) != 1] = NO_PART
    whole = np.flatnonzero(booked & ~apart)
    split = np.flatnonzero((apart & booked)[owners])
    charged = np.flatnonzero((taken != 0) & apart & booked)
    of_entry = np.concatenate([whole, owners[split], charged])
    part = np.concatenate([only[whole], split, np.full(len(charged), CHARGE)])
    minor = np.concatenate([amount[whole], part_amount[split], taken[charged]])
    order = np.argsort(of_entry, kind="stable")
    return {"of_entry": of_entry[order], "part": part[order], "amount_minor": minor[order]}


def _refuse(wrong: Flags, done: int, why: str) -> None:
    if wrong.any():
        raise StatementRefused(f"entry {done + int(np.flatnonzero(wrong)[0]) + 1}: {why}")


def _amounts(entries: Found, booked: Flags, done: int) -> tuple[Ints, Ints]:
    """Signed minor units, and the sign of each entry."""
    text, currency = entries.first("Amt"), entries.first("Amt/@Ccy")
    _refuse(flags(pc.equal(currency, "")) & booked, done, "its amount has no currency of three capital letters")
    minor, bad = minor_of(text, currency)
    _refuse(bad & booked, done, "its amount is missing, no number, or has more digits than the currency")
    sign = _sign(entries.first("CdtDbtInd"))
    _refuse((sign == 0) & booked, done, "it does not say whether it is credit or debit")
    return minor * sign, sign


def _days(entries: Found, booked: Flags, done: int) -> tuple[pd.Series, pd.Series]:
    """Booking date and value date; each stands in for the other."""
    days = []
    for name in ("BookgDt", "ValDt"):
        day, bad = days_of(pc.utf8_slice_codeunits(entries.first(f"{name}/Dt", f"{name}/DtTm"), 0, 10))
        _refuse(bad & booked, done, "a date is not written as YYYY-MM-DD, or there is no such day")
        days.append(day)
    booking, value = days[0].fillna(days[1]), days[1].fillna(days[0])
    _refuse(booking.isna().to_numpy() & booked, done, "it has neither a booking date nor a value date")
    return booking, value


def _sign(side: pa.Array) -> Ints:
    """1 for credit, -1 for debit, 0 where it says neither."""
    return flags(pc.equal(side, "CRDT")).astype(np.int64) - flags(pc.equal(side, "DBIT")).astype(np.int64)


def _taken_apart(
    parts: Found, owners: Ints, amount: Ints, sign: Ints, currency: pa.Array, entries: Found
) -> tuple[Flags, Ints, Ints]:
    """Which entries are batches whose parts sum to them, each part's amount, and per entry what charges lie between."""
    several = np.bincount(owners, minlength=len(amount)) > 1
    if not several.any():
        return several, np.zeros(len(owners), dtype=np.int64), np.zeros(len(amount), dtype=np.int64)
    own, booked_as = parts.first("Amt"), parts.first("AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
    has_own = pc.not_equal(own, "")
    text = pc.if_else(has_own, own, booked_as)
    money = pc.if_else(
        has_own,
        parts.first("Amt/@Ccy"),
        parts.first("AmtDtls/TxAmt/Amt/@Ccy", "AmtDtls/InstdAmt/Amt/@Ccy"),
    )
    minor, bad = minor_of(text, currency.take(pa.array(owners)))
    bad |= flags(pc.not_equal(money, currency.take(pa.array(owners))))
    side = _sign(parts.first("CdtDbtInd"))
    signed = minor * np.where(side == 0, sign[owners], side)
    sums, faults = np.zeros(len(amount), dtype=np.int64), np.zeros(len(amount), dtype=np.int64)
    np.add.at(sums, owners, signed)
    np.add.at(faults, owners, bad)
    charges = -pc.fill_null(_charges(entries, currency), 0).to_numpy()
    is_whole, is_net = sums == amount, (sums + charges == amount) & (charges != 0)
    return several & (faults == 0) & (is_whole | is_net), signed, np.where(is_whole, 0, charges)


def _charges(found: Found, currency: pa.Array) -> pa.Array:
    """What was charged per element, in minor units of the account's currency; null where that is not said."""
    total = np.zeros(found.count, dtype=np.int64)
    known = np.zeros(found.count, dtype=bool)
    for path in CHARGES:
        owners, texts = found.every(path)
        if not len(owners):
            continue
        money = found.every(f"{path}/@Ccy")[1]
        minor, bad = minor_of(texts, currency.take(pa.array(owners)))
        usable = ~bad & ~known[owners] & flags(pc.equal(money, currency.take(pa.array(owners))))
        np.add.at(total, owners[usable], minor[usable])
        known[owners[usable]] = True
    return pa.array(total, mask=~known)


def _said(entries: Found, parts: Found, owners: Ints, sign: Ints, currency: pa.Array) -> _Said:
    """What parts and entries say of who paid what for."""
    of_part = currency.take(pa.array(owners))
    return _Said(
        {"reference": _reference(parts), "payer_account": _payer(parts, sign[owners])}
        | {"return_reason": nullable(parts.first("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry", "RtrInf/RtrRsn/Cd"))}
        | {"charges_minor": _charges(parts, of_part)}
        | _instructed(parts),
        {"reference": pc.coalesce(nullable(entries.first("NtryRef")), _cut(entries.first("AddtlNtryInf")))}
        | {"charges_minor": _charges(entries, currency)}
        | _instructed(entries),
        nullable(entries.first("NtryDtls/Btch/PmtInfId", "Btch/PmtInfId", "NtryDtls/Btch/MsgId")),
    )


class _Said:
    """Columns per part and per entry; a row takes its part's word, and its entry's where that has none."""

    def __init__(self, parts: dict[str, pa.Array], entries: dict[str, pa.Array], batch: pa.Array) -> None:
        self.parts = parts
        self.entries = entries
        self.batch = batch

    def rows(self, of_entry: Ints, part: Ints, *, several: Flags, is_part: Flags) -> dict[str, object]:
        """Per row; `several`: its entry has several parts; `is_part`: the row is one of them, or their charges."""
        at = pa.array(part, mask=part < 0)
        own = pa.array(of_entry, mask=is_part)  # what an entry says of all of its parts, no single one has said
        found: dict[str, Any] = {}
        for name, cells in self.parts.items():
            column = cells.take(at)
            if name == "reference":
                column = pc.coalesce(column, self.batch.take(pa.array(of_entry, mask=~several | is_part)))
            if name in self.entries:
                column = pc.coalesce(column, self.entries[name].take(own))
            found[name] = column.to_pandas(types_mapper=_types)
        found["reference"] = found["reference"].mask(part == CHARGE, CHARGE_TEXT)
        return found


def _reference(parts: Found) -> pa.Array:
    """The texts the payer gave, each once; null where there are none."""
    empty = pa.scalar("", TEXT)
    texts: list[pa.Array] = []
    structured = parts.all("RmtInf/Strd/CdtrRefInf/Ref")
    if pc.all(pc.equal(structured, "")).as_py():
        structured = parts.all("RmtInf/Strd/CdtrRefInf/CdtrRef")
    for said in (parts.first("Refs/EndToEndId"), structured, parts.all("RmtInf/Ustrd")):
        text = pc.if_else(pc.is_in(said, pa.array(NO_REFERENCE, TEXT)), empty, said)
        for before in texts:
            text = pc.if_else(pc.equal(text, before), empty, text)
        texts.append(text)
    joined = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*texts, pa.scalar(" ", TEXT)))
    return pc.coalesce(_cut(joined), _cut(parts.first("AddtlTxInf")))


def _cut(text: pa.Array) -> pa.Array:
    return nullable(pc.utf8_slice_codeunits(text, 0, REFERENCE_LIMIT))


def _payer(parts: Found, sign: Ints) -> pa.Array:
    """Where the money came from, or went."""
    debtor, creditor = (parts.first(*(path for path in WHO if f"/{side}Acct" in path)) for side in ("Dbtr", "Cdtr"))
    return nullable(pc.replace_substring(pc.if_else(pa.array(sign > 0), debtor, creditor), " ", ""))


def _instructed(found: Found) -> dict[str, pa.Array]:
    """What was ordered, and in which currency; null where that is not said, or is no amount."""
    text, currency = found.first("AmtDtls/InstdAmt/Amt"), found.first("AmtDtls/InstdAmt/Amt/@Ccy")
    minor, bad = minor_of(text, currency)
    unsaid = bad | flags(pc.equal(currency, ""))
    return {
        "instructed_minor": pa.array(minor, mask=unsaid),
        "instructed_currency": pc.if_else(pa.array(unsaid), pa.scalar(None, TEXT), currency),
    }


def _types(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    return pd.Int64Dtype() if kind == pa.int64() else None

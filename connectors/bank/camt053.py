"""ISO 20022 camt.053 bank-to-customer statements, version 02 and later, read as a stream (R3).

XML from outside is hostile: no document type, no entities, no network, no huge trees, a limit on size. Memory is
bounded by the rows kept. The sign comes from `CdtDbtInd`; `RvslInd` is a flag only. Batched entries are taken apart
where their details say their amounts and sum to the entry. What is not booked yet is left out, for no balance has it.

One compiled XPath draws an entry's texts in C; what they say is judged over columns, not entry by entry.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from lxml import etree

from connectors.bank.statement import COLUMNS, BankStatementFile, StatementRefused
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

TEXT = pa.large_string()
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SIZE_LIMIT = 1 << 30
CHUNK_ENTRIES = 50_000
UNIT = "\ue000"
"""Between an entry's texts: a private-use character. An entry that holds one of its own is refused."""
AMOUNT = r"^(?P<whole>[0-9]{1,15})(?:\.(?P<digits>[0-9]*))?$"
REFERENCE_LIMIT = 280
NO_REFERENCE = ("NOTPROVIDED", "NONREF")
CONTAINERS = {"Rpt": "camt.052, an account report within the day", "Ntfctn": "camt.054, a notification"}

SAID = {
    "end_to_end": "Refs/EndToEndId",
    "structured": "RmtInf/Strd/CdtrRefInf/Ref",
    "free": "RmtInf/Ustrd",
    "debtor_iban": "RltdPties/DbtrAcct/Id/IBAN",
    "debtor_other": "RltdPties/DbtrAcct/Id/Othr/Id",
    "creditor_iban": "RltdPties/CdtrAcct/Id/IBAN",
    "creditor_other": "RltdPties/CdtrAcct/Id/Othr/Id",
}
"""What a transaction (`TxDtls`) says about who paid what for."""
DETAIL = {
    "amount": "Amt",
    "currency": "Amt/@Ccy",
    "other_amount": "AmtDtls/TxAmt/Amt",
    "other_currency": "AmtDtls/TxAmt/Amt/@Ccy",
    "side": "CdtDbtInd",
} | SAID
TRANSACTION = "NtryDtls/TxDtls"
ENTRY = {
    "details": f"count({TRANSACTION})",
    "texts": f"count({TRANSACTION}/RmtInf/Ustrd)",
    "amount": "Amt",
    "currency": "Amt/@Ccy",
    "side": "CdtDbtInd",
    "reversal": "RvslInd",
    "status": "Sts",
    "booked": "BookgDt",
    "valued": "ValDt",
    "bank_ref": "AcctSvcrRef",
    "entry_ref": "NtryRef",
    "entry_text": "AddtlNtryInf",
    "batch_ref": "NtryDtls/Btch/PmtInfId",
} | {name: f"{TRANSACTION}/{path}" for name, path in SAID.items()}
SIMPLE = re.compile(f"(0{UNIT}|1{UNIT}[01]{UNIT})")
"""An entry with at most one transaction and one free text: the XPath has drawn everything."""


def statements(path: Path, size_limit: int = SIZE_LIMIT) -> list[BankStatementFile]:
    """Every statement of the file, each adding up. Raises StatementRefused with the reason."""
    size = path.stat().st_size
    if size > size_limit:
        raise StatementRefused(f"{path.name} is {size} bytes, more than the {size_limit} allowed")
    try:
        found = _parsed(path)
    except etree.XMLSyntaxError as error:
        raise StatementRefused(f"{path.name} is not well-formed XML (line {error.lineno})") from error
    if not found:
        raise StatementRefused(f"{path.name} holds no bank statement", fix="import a camt.053 file")
    return [statement.balanced() for statement in found]


def _parsed(path: Path) -> list[BankStatementFile]:
    found: list[BankStatementFile] = []
    drawing: _Drawing | None = None
    with path.open("rb") as source:
        events = etree.iterparse(
            source,
            events=("end",),
            tag=["{*}Ntry", "{*}Stmt", *("{*}" + name for name in CONTAINERS)],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        for _event, element in events:
            if drawing is None:
                if element.getroottree().docinfo.doctype:
                    raise StatementRefused("the file declares a document type, which statements never do")
                drawing = _Drawing(element.tag.rpartition("}")[0].removeprefix("{"))
            is_entry = element.tag.endswith("Ntry")
            within = element.getparent() if is_entry else element
            if within is None or (container := within.tag.removeprefix(drawing.space)) in CONTAINERS:
                which = CONTAINERS[container] if within is not None else "single entry"
                raise StatementRefused(f"this is a {which}", fix="import the camt.053 of the day instead")
            if is_entry:
                drawing.draw(element)
                previous = element.getprevious()
                if previous is not None and previous.tag == element.tag:
                    within.remove(previous)  # emptied already; without this a million husks stay in the tree
            else:
                found.append(_statement(element, drawing.space, drawing.drawn()))
            element.clear(keep_tail=False)
    return found


class _Drawing:
    """The texts of a statement's entries: drawn one by one while the file streams by, judged in chunks."""

    def __init__(self, namespace: str) -> None:
        """For the file's namespace; a file may have none."""
        self.space = f"{{{namespace}}}" if namespace else ""
        self.names = {"c": namespace} if namespace else None
        self.entry = self._path(_joined(ENTRY.values()))
        self.detail = self._path(_joined(DETAIL.values()))
        self.details_of = self._path(TRANSACTION)
        self.free_of = self._path("RmtInf/Ustrd")
        self.frames: list[pd.DataFrame] = []
        self._begin()

    def _path(self, path: str) -> etree.XPath:
        if self.names is None:
            return etree.XPath(path)
        return etree.XPath(re.sub(r"(?<![@\w])(?=[A-Z])", "c:", path), namespaces=self.names)

    def _begin(self) -> None:
        self.entries: list[str] = []
        self.details: list[str] = []
        self.owners: list[int] = []

    def draw(self, entry: etree._Element) -> None:
        """Take the entry's texts, for it is emptied next."""
        text = str(self.entry(entry))
        if not SIMPLE.match(text):
            for detail in _elements(self.details_of, entry):
                free = " ".join((one.text or "").strip() for one in _elements(self.free_of, detail))
                self.details.append(str(self.detail(detail)) + UNIT + free)
                self.owners.append(len(self.entries))
        self.entries.append(text)
        if len(self.entries) >= CHUNK_ENTRIES:
            self.frames.append(self._judged())

    def drawn(self) -> pd.DataFrame:
        """Every booked entry since the last call, as COLUMNS."""
        frames = [*self.frames, self._judged()]
        self.frames = []
        whole = pd.concat(frames, ignore_index=True)
        whole["entry"] = np.arange(len(whole))
        return whole[list(COLUMNS)]

    def _judged(self) -> pd.DataFrame:
        done = sum(len(frame) for frame in self.frames)
        entries = _columns(self.entries, [*ENTRY])
        details = _columns(self.details, [*DETAIL, "all_free"])
        owners = np.array(self.owners, dtype=np.int64)
        self._begin()
        return _judged(entries, details, owners, done)


def _elements(path: etree.XPath, element: etree._Element) -> list[etree._Element]:
    return cast("list[etree._Element]", path(element))  # noqa: SLF001 - the stubs name the class so


def _joined(paths: Iterable[str]) -> str:
    between = f", '{UNIT}', "
    return f"concat({between.join(paths)})"


def _columns(texts: list[str], names: Sequence[str]) -> dict[str, pa.Array]:
    """The drawn texts as one column per name, without outer space."""
    split = pc.split_pattern(pa.array(texts, TEXT), UNIT)
    if not pc.all(pc.equal(pc.list_value_length(split), len(names)), min_count=0).as_py():
        raise StatementRefused("an entry holds a private-use character, which no bank writes")
    flat = pc.utf8_trim_whitespace(pc.list_flatten(split))
    return {name: flat.take(pa.array(np.arange(at, len(flat), len(names)))) for at, name in enumerate(names)}


def _judged(entries: dict[str, pa.Array], details: dict[str, pa.Array], owners: Ints, done: int) -> pd.DataFrame:
    """Rows of the booked entries, batches taken apart. Raises StatementRefused, naming the entry (from 1)."""
    booked = _flags(pc.is_in(entries["status"], pa.array(["", "BOOK"], TEXT)))
    minor, bad = _minor(entries["amount"], entries["currency"])
    sign = _sign(entries["side"])
    day, value = _days(entries["booked"]), _days(entries["valued"])
    day, value = pc.if_else(pc.equal(day, ""), value, day), pc.if_else(pc.equal(value, ""), day, value)
    for wrong, why in (
        (_flags(pc.equal(entries["currency"], "")), "its amount has no currency"),
        (bad, "its amount is missing, no number, or has more digits than the currency"),
        (sign == 0, "it does not say whether it is credit or debit"),
        (_flags(pc.equal(day, "")), "it has neither a booking date nor a value date"),
    ):
        if (wrong & booked).any():
            raise StatementRefused(f"entry {done + int(np.flatnonzero(wrong & booked)[0]) + 1}: {why}")
    amount = minor * sign
    apart, detail_amount = _taken_apart(entries, details, owners, amount, sign)

    count = np.bincount(owners, minlength=len(amount))
    lone = np.flatnonzero(count[owners] == 1)  # one transaction with several texts: only its detail has them all
    said = _said(entries, sign)
    if len(lone):
        better = _said({name: cells.take(pa.array(lone)) for name, cells in details.items()}, sign[owners[lone]])
        said = said.set_index(np.arange(len(amount)))
        said.loc[owners[lone], ["reference", "payer_account"]] = better.to_numpy()
    several = count > 1
    said.loc[several, "reference"] = _nullable(entries["batch_ref"]).to_numpy()[several]
    said.loc[several, "payer_account"] = None
    for name in ("entry_ref", "entry_text"):
        said["reference"] = said["reference"].fillna(_nullable(entries[name]))

    rows = pd.DataFrame({
        "at": np.arange(len(amount)), "amount_minor": amount, "currency": entries["currency"].to_pandas(),
        "booked_on": day.to_pandas(), "value_date": value.to_pandas(), "bank_ref": _nullable(entries["bank_ref"]),
        "is_reversal": _flags(pc.is_in(entries["reversal"], pa.array(["true", "1"], TEXT))),
    })  # fmt: skip
    rows[["reference", "payer_account"]] = said
    parts = rows.take(owners[apart[owners]])
    parts["amount_minor"] = detail_amount[apart[owners]]
    of_part = _said(details, sign[owners])[apart[owners]]
    parts[["reference", "payer_account"]] = of_part.to_numpy()
    whole = pd.concat([rows[booked & ~apart], parts[booked[parts["at"]]]]).sort_values("at", kind="stable")
    whole = whole.drop(columns="at").assign(entry=0)
    try:
        return whole.astype({
            "booked_on": "datetime64[us]", "value_date": "datetime64[us]", "currency": "str", "reference": "str",
            "payer_account": "str", "bank_ref": "str",
        })  # fmt: skip
    except ValueError as error:
        raise StatementRefused("a date is not written as YYYY-MM-DD") from error


def _taken_apart(
    entries: dict[str, pa.Array], details: dict[str, pa.Array], owners: Ints, amount: Ints, sign: Ints
) -> tuple[Flags, Ints]:
    """Which entries are batches whose details all have amounts in its currency that sum to it; the details' amounts."""
    own = pc.not_equal(details["amount"], "")
    text = pc.if_else(own, details["amount"], details["other_amount"])
    money = pc.if_else(own, details["currency"], details["other_currency"])
    minor, bad = _minor(text, money)
    side = _sign(details["side"])
    signed = minor * np.where(side == 0, sign[owners], side)
    bad |= _flags(pc.not_equal(money, entries["currency"].take(pa.array(owners))))
    sums, faults = np.zeros(len(amount), dtype=np.int64), np.zeros(len(amount), dtype=np.int64)
    np.add.at(sums, owners, signed)
    np.add.at(faults, owners, bad)
    return (np.bincount(owners, minlength=len(amount)) > 1) & (faults == 0) & (sums == amount), signed


def _said(cells: dict[str, pa.Array], sign: Ints) -> pd.DataFrame:
    """`reference`: the texts the payer gave, each once; `payer_account`: where the money came from, or went."""
    empty = pa.scalar("", TEXT)
    texts: list[pa.Array] = []
    for name in ("end_to_end", "structured", "all_free" if "all_free" in cells else "free"):
        text = pc.if_else(pc.is_in(cells[name], pa.array(NO_REFERENCE, TEXT)), empty, cells[name])
        for before in texts:
            text = pc.if_else(pc.equal(text, before), empty, text)
        texts.append(text)
    reference = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*texts, pa.scalar(" ", TEXT)))
    sides = [
        pc.if_else(pc.equal(cells[f"{side}_iban"], ""), cells[f"{side}_other"], cells[f"{side}_iban"])
        for side in ("debtor", "creditor")
    ]
    account = pc.replace_substring(pc.if_else(pa.array(sign > 0), *sides), " ", "")
    return pd.DataFrame({
        "reference": _nullable(pc.utf8_slice_codeunits(reference, 0, REFERENCE_LIMIT)),
        "payer_account": _nullable(account),
    })  # fmt: skip


def _minor(text: pa.Array, currency: pa.Array) -> tuple[Ints, Flags]:
    """Minor units, and which are no amounts: an amount is never negative, nor has digits beyond its currency's."""
    found = pc.extract_regex(text, AMOUNT)
    whole, digits = (pc.fill_null(pc.struct_field(found, name), "") for name in ("whole", "digits"))
    minor, bad = np.zeros(len(text), dtype=np.int64), _flags(pc.is_null(found))
    for code in pc.unique(currency).to_pylist():
        here = pc.equal(currency, code)
        places = exponent(code)
        kept = pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, places), places, "0")
        beyond = pc.utf8_rtrim(pc.utf8_slice_codeunits(digits, places), "0")
        units = pc.binary_join_element_wise(pa.scalar("0", TEXT), whole, kept, pa.scalar("", TEXT))
        of_code = _flags(here)
        minor[of_code] = pc.cast(units, pa.int64()).to_numpy()[of_code]
        bad |= of_code & _flags(pc.not_equal(beyond, ""))
    return minor, bad


def _sign(side: pa.Array) -> Ints:
    """1 for credit, -1 for debit, 0 where it says neither."""
    return _flags(pc.equal(side, "CRDT")).astype(np.int64) - _flags(pc.equal(side, "DBIT")).astype(np.int64)


def _days(moments: pa.Array) -> pa.Array:
    """The first ten characters of each date or date with time."""
    return pc.utf8_slice_codeunits(moments, 0, 10)


def _flags(cells: pa.Array) -> Flags:
    return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=bool)


def _nullable(text: pa.Array) -> pd.Series:
    cells: pd.Series = pc.if_else(pc.equal(text, ""), pa.scalar(None, TEXT), text).to_pandas()
    return cells.astype("str")


def _statement(element: etree._Element, space: str, entries: pd.DataFrame) -> BankStatementFile:
    account = element.find(space + "Acct")
    number = _account(account, space)
    if number is None:
        raise StatementRefused("the statement names no account")
    balances = _balances(element, space)
    opening = balances.get("OPBD") or balances.get("PRCD")
    closing = balances.get("CLBD")
    stated = account.findtext(space + "Ccy") if account is not None else None
    monies = set(entries["currency"].unique()) | {money for _, money in balances.values()} | ({stated} - {None})
    if len(monies) > 1:
        raise StatementRefused(f"one statement in several currencies: {', '.join(sorted(map(str, monies)))}")
    if not monies:
        raise StatementRefused("the statement names no currency")
    sequence = _text(element.find(space + "ElctrncSeqNb")) or ""
    return BankStatementFile(
        account=number,
        currency=str(monies.pop()),
        number=_text(element.find(space + "Id")),
        sequence=int(sequence) if sequence.isdecimal() else None,
        opening_minor=opening[0] if opening else None,
        closing_minor=closing[0] if closing else None,
        from_on=_moment(element.findtext(f"{space}FrToDt/{space}FrDtTm")),
        to_on=_moment(element.findtext(f"{space}FrToDt/{space}ToDtTm")),
        entries=entries,
    )


def _balances(statement: etree._Element, space: str) -> dict[str, tuple[int, str]]:
    """Signed amount and currency by type of balance; of several of a type the first opens and the last closes."""
    found: dict[str, tuple[int, str]] = {}
    for balance in statement.iterfind(space + "Bal"):
        kind = (balance.findtext(f"{space}Tp/{space}CdOrPrtry/{space}Cd") or "").strip()
        amount = balance.find(space + "Amt")
        if (kind in {"OPBD", "PRCD"} and kind in found) or amount is None:
            continue
        currency = amount.get("Ccy") or ""
        minor, bad = _minor(pa.array([_text(amount) or ""], TEXT), pa.array([currency], TEXT))
        sign = _sign(pa.array([balance.findtext(space + "CdtDbtInd", "").strip()], TEXT))
        if bad[0] or sign[0] == 0 or not currency:
            raise StatementRefused(f"the balance {kind} is no amount, or not said to be credit or debit")
        found[kind] = (int(minor[0] * sign[0]), currency)
    return found


def _account(account: etree._Element | None, space: str) -> str | None:
    if account is None:
        return None
    identity = account.findtext(f"{space}Id/{space}IBAN") or account.findtext(f"{space}Id/{space}Othr/{space}Id")
    return identity.strip().replace(" ", "") if identity and identity.strip() else None


def _moment(text: str | None) -> date | None:
    day = (text or "").strip()[:10]
    try:
        return date.fromisoformat(day) if day else None
    except ValueError as error:
        raise StatementRefused("the statement's period is not written as YYYY-MM-DD") from error


def _text(element: etree._Element | None) -> str | None:
    text = (element.text or "").strip() if element is not None else ""
    return text or None

"""ISO 20022 camt.053 bank-to-customer statements, version 02 and later, read as a stream (R3).

XML from outside is hostile: no document type, no entities, no network, no huge trees, a limit on size. Memory is
bounded by one entry. The sign comes from `CdtDbtInd`; `RvslInd` is a flag only. Batched entries are taken apart where
their details say their amounts and sum to the entry. What is not booked yet is left out, for no balance contains it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
from lxml import etree

from connectors.bank.statement import BankStatementFile, StatementRefused
from models.money import exponent

if TYPE_CHECKING:
    from pathlib import Path

SIZE_LIMIT = 1 << 30
AMOUNT = re.compile(r"[0-9]{1,15}(?:\.([0-9]*))?")
NO_REFERENCE = frozenset({"", "NOTPROVIDED", "NONREF"})
REFERENCE_LIMIT = 280
CONTAINERS = {"Rpt": "camt.052, an account report within the day", "Ntfctn": "camt.054, a notification"}

Row = tuple[int, str, str, str, str | None, str | None, str | None, bool]


def statements(path: Path, size_limit: int = SIZE_LIMIT) -> list[BankStatementFile]:
    """Every statement of the file, each adding up. Raises StatementRefused with the reason."""
    size = path.stat().st_size
    if size > size_limit:
        raise StatementRefused(f"{path.name} is {size} bytes, more than the {size_limit} allowed")
    try:
        found = list(_parsed(path))
    except etree.XMLSyntaxError as error:
        raise StatementRefused(f"{path.name} is not well-formed XML (line {error.lineno})") from error
    except UnicodeDecodeError as error:
        raise StatementRefused(f"{path.name} is not in the encoding that it declares") from error
    if not found:
        raise StatementRefused(f"{path.name} holds no bank statement", fix="import a camt.053 file")
    return [statement.balanced() for statement in found]


def _parsed(path: Path) -> list[BankStatementFile]:
    found: list[BankStatementFile] = []
    rows: list[Row] = []
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
        checked = False
        for _event, element in events:
            if not checked:
                if element.getroottree().docinfo.doctype:
                    raise StatementRefused("the file declares a document type, which statements never do")
                checked = True
            prefix, brace, name = element.tag.rpartition("}")
            space = prefix + brace
            within = element.getparent() if name == "Ntry" else element
            container = within.tag.removeprefix(space) if within is not None else ""
            if container in CONTAINERS:
                raise StatementRefused(
                    f"this is a {CONTAINERS[container]}", fix="import the camt.053 of the day instead"
                )
            if name == "Ntry":
                rows.extend(_entry(element, space))
                previous = element.getprevious()
                if within is not None and previous is not None and previous.tag == element.tag:
                    within.remove(previous)  # emptied already; without this a million husks stay in the tree
            else:
                found.append(_statement(element, space, rows))
                rows = []
            element.clear(keep_tail=False)
    return found


def _entry(entry: etree._Element, space: str) -> list[Row]:
    """The rows of one booked entry: one, or one per transaction of a batch."""
    parts: dict[str, etree._Element] = {}
    details: list[etree._Element] = []
    transactions = space + "TxDtls"
    for child in entry:
        if child.tag == space + "NtryDtls":
            details.extend(part for part in child if part.tag == transactions)
        else:
            parts[child.tag] = child
    status = parts.get(space + "Sts")
    if status is not None and (status.findtext(space + "Cd") or status.text or "BOOK").strip() != "BOOK":
        return []
    amount, currency = _amount(parts.get(space + "Amt"))
    sign = _sign(parts.get(space + "CdtDbtInd"))
    booked, valued = _day(parts.get(space + "BookgDt"), space), _day(parts.get(space + "ValDt"), space)
    booked, valued = booked or valued, valued or booked
    if booked is None or valued is None:
        raise StatementRefused("an entry has neither a booking date nor a value date")
    flag = parts.get(space + "RvslInd")
    undoes = flag is not None and (flag.text or "").strip() in {"true", "1"}
    bank_ref = _text(parts.get(space + "AcctSvcrRef"))
    if len(details) > 1 and (taken := _taken_apart(details, space, sign * amount, currency, sign)) is not None:
        return [
            (minor, currency, booked, valued, *_references(detail, space, sign), bank_ref, undoes)
            for minor, detail in zip(taken, details, strict=True)
        ]
    if len(details) == 1:
        reference, payer = _references(details[0], space, sign)
    else:
        batch = entry.findtext(f"{space}NtryDtls/{space}Btch/{space}PmtInfId")
        reference, payer = batch, None
    reference = reference or _text(parts.get(space + "NtryRef")) or _text(parts.get(space + "AddtlNtryInf"))
    return [(sign * amount, currency, booked, valued, reference, payer, bank_ref, undoes)]


def _taken_apart(details: list[etree._Element], space: str, total: int, currency: str, sign: int) -> list[int] | None:
    """Signed amounts of the details, if each has one in the entry's currency and they sum to the entry."""
    amounts = []
    for detail in details:
        stated = detail.find(space + "Amt")
        if stated is None:
            stated = detail.find(f"{space}AmtDtls/{space}TxAmt/{space}Amt")
        if stated is None:
            return None
        minor, money = _amount(stated)
        if money != currency:
            return None
        own = detail.find(space + "CdtDbtInd")
        amounts.append(minor * (sign if own is None else _sign(own)))
    return amounts if sum(amounts) == total else None


def _references(detail: etree._Element, space: str, sign: int) -> tuple[str | None, str | None]:
    """What the payer wrote, and the account the money came from (or went to)."""
    texts: list[str] = []
    payer = None
    account = space + ("DbtrAcct" if sign > 0 else "CdtrAcct")
    for child in detail:
        name = child.tag[len(space) :]
        if name == "Refs":
            texts[:0] = [_text(child.find(space + "EndToEndId")) or ""]
        elif name == "RmtInf":
            for part in child:
                if part.tag == space + "Ustrd":
                    texts.append(_text(part) or "")
                else:
                    texts.append(_text(part.find(f"{space}CdtrRefInf/{space}Ref")) or "")
        elif name == "RltdPties":
            payer = _account(child.find(account), space)
    kept = dict.fromkeys(text for text in texts if text not in NO_REFERENCE)
    return " ".join(kept)[:REFERENCE_LIMIT] or None, payer


def _statement(element: etree._Element, space: str, rows: list[Row]) -> BankStatementFile:
    account = element.find(space + "Acct")
    number = _account(account, space)
    if number is None:
        raise StatementRefused("the statement names no account")
    balances = _balances(element, space)
    opening = balances.get("OPBD") or balances.get("PRCD")
    closing = balances.get("CLBD")
    stated = account.findtext(space + "Ccy") if account is not None else None
    monies = {row[1] for row in rows} | {money for _, money in balances.values()} | ({stated} if stated else set())
    if len(monies) > 1:
        raise StatementRefused(f"one statement in several currencies: {', '.join(sorted(monies))}")
    if not monies:
        raise StatementRefused("the statement names no currency")
    frame = pd.DataFrame(
        rows,
        columns=[
            "amount_minor",
            "currency",
            "booked_on",
            "value_date",
            "reference",
            "payer_account",
            "bank_ref",
            "is_reversal",
        ],
    )
    frame.insert(0, "entry", range(len(frame)))
    frame = frame.astype({
        "amount_minor": "int64", "entry": "int64", "is_reversal": "bool", "currency": "str", "reference": "str",
        "payer_account": "str", "bank_ref": "str", "booked_on": "datetime64[us]", "value_date": "datetime64[us]",
    })  # fmt: skip
    sequence = _text(element.find(space + "ElctrncSeqNb")) or ""
    return BankStatementFile(
        account=number,
        currency=monies.pop(),
        number=_text(element.find(space + "Id")),
        sequence=int(sequence) if sequence.isdecimal() else None,
        opening_minor=opening[0] if opening else None,
        closing_minor=closing[0] if closing else None,
        from_on=_moment(element.findtext(f"{space}FrToDt/{space}FrDtTm")),
        to_on=_moment(element.findtext(f"{space}FrToDt/{space}ToDtTm")),
        entries=frame,
    )


def _balances(statement: etree._Element, space: str) -> dict[str, tuple[int, str]]:
    """Signed amount and currency by type of balance; of several of a type the first opens and the last closes."""
    found: dict[str, tuple[int, str]] = {}
    for balance in statement.iterfind(space + "Bal"):
        kind = (balance.findtext(f"{space}Tp/{space}CdOrPrtry/{space}Cd") or "").strip()
        if kind in {"OPBD", "PRCD"} and kind in found:
            continue
        minor, currency = _amount(balance.find(space + "Amt"))
        found[kind] = (minor * _sign(balance.find(space + "CdtDbtInd")), currency)
    return found


def _account(account: etree._Element | None, space: str) -> str | None:
    if account is None:
        return None
    identity = account.findtext(f"{space}Id/{space}IBAN") or account.findtext(f"{space}Id/{space}Othr/{space}Id")
    return identity.strip().replace(" ", "") if identity and identity.strip() else None


def _amount(element: etree._Element | None) -> tuple[int, str]:
    """Minor units and currency; an amount is never negative, and has no digits beyond its currency's."""
    text = (element.text or "").strip() if element is not None else ""
    currency = (element.get("Ccy") or "") if element is not None else ""
    if not currency:
        raise StatementRefused("an amount has no currency")
    if not AMOUNT.fullmatch(text):
        raise StatementRefused("an amount is missing or not a number")
    whole, _, digits = text.partition(".")
    places = exponent(currency)
    if digits[places:].strip("0"):
        raise StatementRefused(f"an amount in {currency} has more than {places} digits after the point")
    return int(whole + digits[:places].ljust(places, "0")), currency


def _sign(element: etree._Element | None) -> int:
    word = (element.text or "").strip() if element is not None else ""
    if word not in {"CRDT", "DBIT"}:
        raise StatementRefused("an amount does not say whether it is credit or debit")
    return 1 if word == "CRDT" else -1


def _day(element: etree._Element | None, space: str) -> str | None:
    if element is None:
        return None
    text = (element.findtext(space + "Dt") or element.findtext(space + "DtTm") or "").strip()[:10]
    return _checked_day(text) if text else None


def _checked_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise StatementRefused("a date is not written as YYYY-MM-DD") from error
    return text


def _moment(text: str | None) -> date | None:
    day = (text or "").strip()[:10]
    return date.fromisoformat(_checked_day(day)) if day else None


def _text(element: etree._Element | None) -> str | None:
    text = (element.text or "").strip() if element is not None else ""
    return text or None

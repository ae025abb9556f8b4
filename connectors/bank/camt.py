"""ISO 20022 camt.052, .053 and .054, versions 1 to 14, read as a stream (R3).

XML from outside is hostile: no document type, no entities, no network, no huge trees, a limit on size. Memory is
bounded by the rows kept.

libxml2 reads whatever stands around the entries. Runs of entries are taken out of the stream before, a mark in their
place, and a scanner (connectors/bank/scanning.py) draws the texts that count. Where the scanner is not sure, the run
goes to libxml2 like the rest, and what that understands is written out plainly for the scanner: there is one reader of
entries, and it never sees anything but plain XML.
"""

from __future__ import annotations

import re
import secrets
from datetime import date
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from lxml import etree

from connectors.bank.entries import judged, scanner
from connectors.bank.spelling import TEXT, minor_of, number_of
from connectors.bank.statement import COLUMNS, BankStatementFile, StatementRefused, framed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connectors.bank.scanning import Found
    from connectors.bank.spelling import Ints

SIZE_LIMIT: Final = 2 << 30
BLOCK: Final = 4 << 20
RUN_LIMIT: Final = 32 << 20
"""a single entry of more bytes than this is none"""
PLAIN_ENTRIES: Final = 1_000
"""entries that libxml2 read, written out plainly and scanned together"""
LAST_VERSION: Final = 14
FORMS: Final = {"Rpt": "camt.052", "Stmt": "camt.053", "Ntfctn": "camt.054"}
"""What a statement is called in each message."""
_MESSAGE: Final = re.compile(r"camt\.05[234]\.001\.(\d{2})$")
_OPEN: Final = b"<Ntry>"
_CLOSE: Final = b"</Ntry>"
LONGEST_END: Final = len("</Ntfctn>")
_UTF16: Final = frozenset({b"\xff\xfe", b"\xfe\xff"})
_ENCODED: Final = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"'](?!(?:utf-8|us-ascii)[\"'])", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def statements(path: Path, size_limit: int = SIZE_LIMIT) -> list[BankStatementFile]:
    """Every statement, report or notification of the file, each adding up. Raises StatementRefused with the reason."""
    size = path.stat().st_size
    if size > size_limit:
        raise StatementRefused(f"{path.name} is {size} bytes, more than the {size_limit} allowed")
    reading = _Reading()
    try:
        reading.read(path)
    except etree.XMLSyntaxError as error:
        line = (error.lineno or 0) + reading.lines_cut
        raise StatementRefused(f"{path.name} is not well-formed XML (line {line})") from error
    if not reading.found:
        raise StatementRefused(f"{path.name} holds no bank statement", fix="import a camt.053, .052 or .054 file")
    return [statement.balanced() for statement in reading.found]


class _Reading:
    """A file being read: libxml2's part of it, and the entries of the statement that is open."""

    def __init__(self) -> None:
        self.found: list[BankStatementFile] = []
        self.lines_cut = 0
        """lines of the file that libxml2 has not seen"""
        self._mark = secrets.token_hex(8)
        self._runs: list[tuple[Found, Found, Ints]] = []
        """what the runs hold whose marks libxml2 has not come to yet"""
        self._is_known = False
        self._parser = etree.XMLPullParser(
            events=("end",),
            tag=["{*}Ntry", *("{*}" + name for name in FORMS)],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._scanner = scanner()
        self._begin()

    def _begin(self) -> None:
        self._frames: list[pd.DataFrame] = []
        self._plain: list[bytes] = []
        self._entries = 0
        self._pending = 0

    def read(self, path: Path) -> None:
        """Take in the whole file. Raises XMLSyntaxError and StatementRefused."""
        with path.open("rb") as source:
            parts = _Parts(iter(lambda: source.read(BLOCK), b""))
            for part, is_run in parts:
                if not is_run or not self._scanned(part):
                    parts.are_plain &= not is_run
                    self._parser.feed(part)
                self._follow()
        self._parser.close()
        self._follow()

    def _scanned(self, run: bytes) -> bool:
        """Whether the run of entries is held, and a mark stands in its place."""
        texts = self._scanner.scan(run)
        if texts is None:
            return False
        self._runs.append(texts)
        self._parser.feed(f'<Ntry mark="{self._mark}"/>'.encode())
        self.lines_cut += run.count(b"\n")
        return True

    def _follow(self) -> None:
        for _, event in self._parser.read_events():
            element = cast("etree._Element", event)  # noqa: SLF001 - the stubs name the class so
            self._know(element)
            name, within = etree.QName(element).localname, element.getparent()
            if name != "Ntry":
                self._flush()
                self.found.append(_statement(element, FORMS[name], self._drawn(), self._entries, self._pending))
                self._begin()
            elif within is None or etree.QName(within).localname not in FORMS:
                raise StatementRefused("an entry stands outside of any statement")
            else:
                self._take(element)
                previous = element.getprevious()
                if previous is not None and previous.tag == element.tag:
                    within.remove(previous)  # emptied already; without this a million husks stay in the tree
            element.clear()

    def _know(self, element: etree._Element) -> None:
        """The file is of a version that is known. Raises StatementRefused."""
        if self._is_known:
            return
        if element.getroottree().docinfo.internalDTD is not None:
            raise StatementRefused("the file declares a document type, which statements never do")
        space = etree.QName(element).namespace
        if space is not None:
            version = _MESSAGE.search(space)
            if version is None or not 1 <= int(version[1]) <= LAST_VERSION:
                raise StatementRefused(
                    f"the file is no camt.052, .053 or .054 of a version from 1 to {LAST_VERSION}",
                    fix="ask the bank for one of these",
                )
        self._is_known = True

    def _take(self, element: etree._Element) -> None:
        if element.get("mark") == self._mark:
            self._flush()
            self._judge(self._runs.pop(0))
            return
        self._plain.append(_plain(element))
        if len(self._plain) >= PLAIN_ENTRIES:
            self._flush()

    def _flush(self) -> None:
        if not self._plain:
            return
        texts = self._scanner.scan(b"".join(self._plain))
        if texts is None:
            raise StatementRefused(f"from entry {self._entries + 1} on something holds what no entry does")
        self._plain = []
        self._judge(texts)

    def _judge(self, texts: tuple[Found, Found, Ints]) -> None:
        rows, pending = judged(*texts, self._entries)
        self._frames.append(rows)
        self._entries += texts[0].count
        self._pending += pending

    def _drawn(self) -> pd.DataFrame:
        """Every booked entry since the last statement, as COLUMNS."""
        whole = pd.concat([framed({}, 0), *self._frames], ignore_index=True) if self._frames else framed({}, 0)
        whole["entry"] = np.arange(len(whole))
        return whole[list(COLUMNS)]


class _Parts:
    """A file in parts: runs of entries (True), as long as they are plain to see, and what stands between them (False).

    Behind the first comment, section or declaration nothing is plain any more: an entry may stand in a comment.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = next(blocks, b"")
        self._end = b""
        """what closes the statement that is open"""
        self.are_plain = not (b"\0" in self._held[:4] or self._held[:2] in _UTF16 or _ENCODED.search(self._held[:200]))
        """To be set False where a run was not; then the rest is one part after another for libxml2."""

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        more = True
        while more:
            while self.are_plain and (part := self._next()):
                yield part
            block = next(self._blocks, b"")
            more = bool(block)
            if not self.are_plain:
                yield self._held, False
                self._held = b""
            self._held += block
        yield self._held, False

    def _next(self) -> tuple[bytes, bool] | None:
        """The next part that is whole; None where more must be read before that is known."""
        begin = self._held.find(_OPEN)
        if begin != 0:
            # the last bytes stay, for a tag may lie across blocks
            return self._cut(begin if begin > 0 else len(self._held) - LONGEST_END)
        ended = self._held.find(self._end)
        end = self._held.rfind(_CLOSE, 0, ended if ended >= 0 else len(self._held)) + len(_CLOSE)
        if end < len(_CLOSE):
            self.are_plain = ended < 0 and len(self._held) <= RUN_LIMIT
            return None
        run, self._held = self._held[:end], self._held[end:]
        return run, True

    def _cut(self, length: int) -> tuple[bytes, bool] | None:
        part = self._held[: max(length, 0)]
        if b"<!" in part or part.find(b"<?", 8) >= 0:
            self.are_plain = False
        if not part or not self.are_plain:
            return None
        opened = max((part.rfind(f"<{name}".encode()), name) for name in FORMS)
        if opened[0] >= 0:
            self._end = f"</{opened[1]}>".encode()
        if not self._end:
            self.are_plain = False  # an entry outside of a statement: libxml2 shall see it
            return None
        self._held = self._held[len(part) :]
        return part, False


def _plain(element: etree._Element) -> bytes:
    """The element as a scanner reads it: without prefixes and comments, and of the attributes only a currency."""
    name = str(element.tag).rpartition("}")[2]
    currency = element.get("Ccy", "")
    head = f'{name} Ccy="{currency}"' if _CURRENCY.fullmatch(currency) else name
    below = [_plain(child) for child in element.iterchildren(tag=etree.Element)]
    inner = b"".join(below) if below else _escaped("".join(str(text) for text in element.itertext()))
    return b"<%b>%b</%b>" % (head.encode(), inner, name.encode())


def _escaped(text: str) -> bytes:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()


# -- around the entries ------------------------------------------------------------------------------------------------


def _statement(
    element: etree._Element, form: str, entries: pd.DataFrame, count: int, pending: int
) -> BankStatementFile:
    account = _account(element)
    opening, closing = _opening_and_closing(element)
    monies = {currency for _, currency in (*opening, *closing)} | set(entries["currency"].unique())
    stated = _said(element, "Acct", "Ccy")
    monies |= {stated} - {""}
    if len(monies) > 1:
        raise StatementRefused(f"one statement in several currencies: {', '.join(sorted(monies))}")
    currency = next(iter(monies), "")
    _agrees_with_summary(element, entries, count, pending, currency)
    number, page = _said(element, "Id"), _page(element)[0]
    sequence = _said(element, "ElctrncSeqNb") or _said(element, "LglSeqNb")
    return BankStatementFile(
        account=account,
        currency=currency,
        number=(f"{number}/{page}" if page > 1 else number) or None,
        sequence=number_of(sequence),
        opening_minor=opening[0][0] if opening else None,
        closing_minor=closing[0][0] if closing else None,
        from_on=_day(_said(element, "FrToDt", "FrDtTm") or _said(element, "FrToDt", "FrDt")),
        to_on=_day(_said(element, "FrToDt", "ToDtTm") or _said(element, "FrToDt", "ToDt")),
        entries=entries,
        form=form,
        pending=pending,
    )


def _opening_and_closing(element: etree._Element) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Balance and currency at the beginning and at the end, where they are said.

    Of several of a kind the first opens and the last closes. On the pages of a long statement an interim balance stands
    where the booked one does on the first and last.
    """
    page, is_last = _page(element)
    found: list[tuple[str, int, str]] = []
    for balance in _children(element, "Bal"):
        kind = _said(balance, "Tp", "CdOrPrtry", "Cd") or _said(balance, "Tp", "Cd")
        if kind in {"OPBD", "PRCD", "CLBD", "ITBD"}:
            found.append((kind, *_balance(balance, kind)))
    begins = [one for kind in ("OPBD", "PRCD") for one in found if one[0] == kind]
    if not begins and page > 1:
        begins = [one for one in found if one[0] == "ITBD"]
    ends = [one for one in found if one[0] == "CLBD"]
    if not ends and not is_last:
        ends = [one for one in found if one[0] == "ITBD"]
    return [one[1:] for one in begins[:1]], [one[1:] for one in ends[-1:]]


def _balance(balance: etree._Element, kind: str) -> tuple[int, str]:
    amount = next(iter(_children(balance, "Amt")), None)
    currency = amount.get("Ccy", "") if amount is not None else ""
    minor, bad = minor_of(pa.array([_said(balance, "Amt")], TEXT), currency)
    sign = {"CRDT": 1, "DBIT": -1}.get(_said(balance, "CdtDbtInd"))
    if bad[0] or sign is None or not currency:
        raise StatementRefused(f"the balance {kind} is no amount, or not said to be credit or debit")
    return int(minor[0]) * sign, currency


def _agrees_with_summary(
    element: etree._Element, entries: pd.DataFrame, count: int, pending: int, currency: str
) -> None:
    """Raises StatementRefused where the bank's own summary counts or sums its entries otherwise."""
    stated = number_of(_said(element, "TxsSummry", "TtlNtries", "NbOfNtries"))
    if stated not in {None, count}:
        raise StatementRefused(f"the statement says that it has {stated} entries, and has {count}")
    if pending:
        return  # what is not booked is in the bank's sums, and has no amount here
    amounts = entries.groupby("of_entry")["amount_minor"].sum()
    for name, sums in (("TtlCdtNtries", amounts[amounts > 0]), ("TtlDbtNtries", -amounts[amounts < 0])):
        minor, bad = minor_of(pa.array([_said(element, "TxsSummry", name, "Sum")], TEXT), currency)
        if not bad[0] and int(minor[0]) != int(sums.sum()):
            raise StatementRefused(
                f"the statement's own {name} is {int(minor[0])}, its entries sum to {int(sums.sum())}"
            )


def _account(element: etree._Element) -> str:
    for path in (("IBAN",), ("Othr", "Id"), ("PrtryAcct", "Id"), ("BBAN",)):
        number = _said(element, "Acct", "Id", *path).replace(" ", "")
        if number:
            return number
    raise StatementRefused("the statement names no account")


def _page(element: etree._Element) -> tuple[int, bool]:
    """Which page of the statement this is, and whether it is the last; 1 and true where it has none."""
    for name in ("StmtPgntn", "RptPgntn", "NtfctnPgntn"):
        page = number_of(_said(element, name, "PgNb"))
        if page is not None:
            return page, _said(element, name, "LastPgInd") != "false"
    return 1, True


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError as error:
        raise StatementRefused("the statement's period is not written as YYYY-MM-DD") from error


def _children(element: etree._Element, name: str) -> list[etree._Element]:
    return [one for one in element.iterchildren(tag=etree.Element) if etree.QName(one).localname == name]


def _said(element: etree._Element, *path: str) -> str:
    """The text at the first such path, without outer space; empty where there is none."""
    for name in path:
        below = _children(element, name)
        if not below:
            return ""
        element = below[0]
    return (element.text or "").strip()

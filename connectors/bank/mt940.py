"""SWIFT MT940 statements and MT942 reports, as banks write them (R3).

Tags 20, 25, 28C, 60F/M, 61, 86, 62F/M, 90C/D, 34F and NS count; 64, 65 and what is unknown do not. A message ends at
a line `-`, at the envelope's `-}` or at the next tag 20; its pages are statements one after the other, from one interim
balance to the next. A line without a tag goes on with the tag before.

The mark of an entry: `C` credit, `D` debit, `RC` a credit undone (money leaves), `RD` a debit undone. Where both dates
are there the second is the booking's and has no year: the year that brings it nearest to the value date is meant. Some
banks count 30 days in February; the month's last day is meant.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connectors.bank.spelling import TEXT, minor_of, number_of
from connectors.bank.statement import REFERENCE_LIMIT, BankStatementFile, StatementRefused, framed

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT: Final = 4_000
NO_REFERENCE: Final = frozenset({"NONREF", "NOTPROVIDED", "NOT PROVIDED", "EREF", "KREF+", "KREF", "PREF", "MARF", "N"})
"""What stands in the place of a reference where there is none, or where it is to be found in tag 86."""
_TAG: Final = re.compile(r"^\s?:(\d\d[A-Z]?|NS):", re.MULTILINE)
_MESSAGE_END: Final = re.compile(r"\n-[ \t]*(?=\n|\}|$)")
_BALANCE: Final = re.compile(r"([CD])(\d{6})([A-Z]{3})?\s*([\d ]+(?:[,.]\d*)?)")
_ENTRY: Final = re.compile(
    r"(\d{6})(\d{4}| {4})?\s*(R[CD]|[CD])([A-Z])?\s*(\d{1,15}(?:[,.]\d*)?)\s*([A-Z][A-Z0-9 ]{1,3})?([^\n]*)\n?(.*)",
    re.DOTALL,
)
_ACCOUNT_CURRENCY: Final = re.compile(r"(?<=\d)/?(?P<code>[A-Z]{3})$|/(?P<last>[A-Z]{3})$")
_FLOOR: Final = re.compile(r"([A-Z]{3})[CD]?\d")
_SUMMED: Final = re.compile(r"(\d{1,5})([A-Z]{3})(\d+(?:[,.]\d*)?)")
_FIELD: Final = re.compile(r"[?>](\d\d)")
_PURPOSE: Final = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP|RREF|RTRN)\+")
_WORDS: Final = re.compile(r"/(EREF|MARF|REMI|NAME|IBAN|BIC|ISDT|CSID|TRTP|BENM|ORDP|ADDR|PREF|RTRN|ID)/")
_PURPOSE_FIELDS: Final = frozenset({*map(str, range(20, 30)), *map(str, range(60, 64))})
_RETURN: Final = re.compile(r"\b(A[CGM]\d\d|M[DS]\d\d|B[EO]\d\d|RR\d\d|SL01|TM01|DNOR|CNOR|FF\d\d)\b")


@dataclass
class Message:
    """One message as it was read."""

    number: int
    """which of the file's, from 1"""
    account: str = ""
    currency: str = ""
    statement: str = ""
    page: int = 1
    opening: tuple[str, str] | None = None
    """sign and amount as they are written"""
    closing: tuple[str, str] | None = None
    to_on: date | None = None
    is_report: bool = False
    entries: list[Entry] = field(default_factory=list)
    summed: dict[str, tuple[int, str]] = field(default_factory=dict)
    tags: int = 0


@dataclass
class Entry:
    """One tag 61, and the texts that follow it."""

    value: date
    booked: date
    mark: str
    amount: str
    customer: str
    bank: str
    texts: list[str] = field(default_factory=list)


def statements(text: str) -> list[BankStatementFile]:
    """Every statement and report in the text, each adding up. Raises StatementRefused with the reason."""
    return [_statement(message).balanced() for message in messages(text)]


def messages(text: str) -> list[Message]:
    """What each message of the text says, whether it adds up or not. Raises StatementRefused where it is unclear."""
    found = [_read(number, tags) for number, tags in enumerate(_messages(text), 1)]
    if not found:
        raise StatementRefused("the file holds no MT940 statement", fix="import a statement as the bank wrote it")
    return found


def is_mt940(text: str) -> bool:
    """Whether it looks like one: a tag 20 or 25, and one of an entry or of a balance."""
    tags = {found[1][:2] for found in _TAG.finditer(text[:20_000])}
    return bool(tags & {"20", "25"}) and bool(tags & {"60", "61", "62", "28", "86"})


def _messages(text: str) -> Iterator[list[tuple[str, str]]]:
    """The tags of each message with what they hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for part in _MESSAGE_END.split(text):
        marks = list(_TAG.finditer(part))
        if not marks:
            continue
        ends = [mark.start() for mark in marks[1:]] + [len(part)]
        tags: list[tuple[str, str]] = []
        for mark, end in zip(marks, ends, strict=True):
            if mark[1] == "20" and tags:
                yield tags
                tags = []
            tags.append((mark[1], part[mark.end() : end].rstrip()))
        if tags:
            yield tags


def _read(number: int, tags: list[tuple[str, str]]) -> Message:
    message = Message(number)
    last = ""
    for tag, text in tags:
        if len(text) > LINE_LIMIT:
            raise StatementRefused(f"message {number}: its tag {tag} is longer than any may be")
        if tag == "61":
            message.entries.append(_entry(text, number, len(message.entries) + 1))
        elif tag in {"86", "NS"}:
            # behind the closing balance it is of the statement, and behind tag 25 of the account's owner
            if message.entries and last in {"61", "86", "NS"}:
                message.entries[-1].texts.append(text if tag == "86" else _unnumbered(text))
        else:
            _head(message, tag, text)
        last = tag if tag not in {"86", "NS"} or last in {"61", "86", "NS"} else last
        message.tags += 1
    return message


def _head(message: Message, tag: str, text: str) -> None:
    """Take in what a tag says of the whole message."""
    line = text.split("\n", maxsplit=1)[0].strip()
    if tag == "25":
        if message.account:
            raise StatementRefused(f"message {message.number}: it names its account twice (tag 25)")
        found = _ACCOUNT_CURRENCY.search(line)
        if found is not None:
            message.currency = message.currency or found["code"] or found["last"]
        message.account = (line[: found.start()] if found else line).replace(" ", "")
    elif tag in {"28", "28C"}:
        statement, _, page = line.partition("/")
        message.statement = statement.strip()
        message.page = number_of(page) or 1
    elif tag in {"60F", "60M", "62F", "62M"}:
        sign, amount, on = _balance(message, tag, line)
        if tag[1] == "0":
            message.opening = sign, amount
        else:
            message.closing, message.to_on = (sign, amount), on
    elif tag in {"13", "13D"}:
        message.is_report = True
        message.to_on = _day(line[:6])
    elif tag == "34F" and (floor := _FLOOR.match(line)):
        message.is_report, message.currency = True, message.currency or floor[1]
    elif tag in {"90C", "90D"} and (summed := _SUMMED.match(line)):
        message.summed[tag[2]] = (int(summed[1]), summed[3])
        message.currency = message.currency or summed[2]


def _balance(message: Message, tag: str, line: str) -> tuple[str, str, date]:
    found = _BALANCE.match(line)
    day = _day(found[2]) if found else None
    if found is None or day is None:
        raise StatementRefused(f"message {message.number}: its balance :{tag}: is not written as one")
    if found[3]:
        if message.currency and message.opening and found[3] != message.currency:
            raise StatementRefused(
                f"message {message.number}: one statement in several currencies: {message.currency}, {found[3]}"
            )
        message.currency = found[3]
    return found[1], found[4], day


def _entry(text: str, message: int, number: int) -> Entry:
    found = _ENTRY.match(text)
    value = _day(found[1]) if found else None
    if found is None or value is None:
        raise StatementRefused(f"message {message}, entry {number}: its tag 61 is not written as one")
    booked = _booked(value, found[2]) if (found[2] or "").strip() else value
    if booked is None:
        raise StatementRefused(f"message {message}, entry {number}: there is no such booking day")
    customer, _, bank = found[7].partition("//")
    return Entry(value, booked, found[3], found[5], _named(customer), _named(bank), [found[8]] if found[8] else [])


def _named(text: str) -> str:
    name = text.strip()
    return "" if name.upper() in NO_REFERENCE else name


def _day(digits: str) -> date | None:
    """The day of YYMMDD; of February the 30th and 29th, its last. None where it is none."""
    if not digits.isdecimal() or len(digits) != len("YYMMDD"):
        return None
    century = 1900 if int(digits[:2]) >= 80 else 2000  # noqa: PLR2004 - SWIFT's own rule for two digits
    return _of_month(century + int(digits[:2]), int(digits[2:4]), int(digits[4:]))


def _of_month(year: int, month: int, day: int) -> date | None:
    february, longest = 2, 30
    if month == february and 0 < day <= longest:
        day = min(day, monthrange(year, month)[1])
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _booked(value: date, digits: str) -> date | None:
    """The day of MMDD that lies nearest to the value date, over the turn of a year too."""
    days = [_of_month(value.year + more, int(digits[:2]), int(digits[2:])) for more in (-1, 0, 1)]
    known = [day for day in days if day is not None]
    return min(known, key=lambda day: abs((day - value).days)) if known else None


def _unnumbered(text: str) -> str:
    """The purpose's lines of tag NS: 01 to 14, each without its number."""
    lines = [line for line in text.split("\n") if line[:2].isdecimal() and int(line[:2]) <= 14]  # noqa: PLR2004 - so SWIFT numbers them
    return " ".join(line[2:].strip() for line in lines)


# -- what an entry says ------------------------------------------------------------------------------------------------


def _said(entry: Entry) -> tuple[str, str, str]:
    """Reference, payer's account, and why it came back, where tag 86 says so in one of the ways that banks have."""
    flat = [text.replace("\n", "") for text in entry.texts]
    fields = _fields(flat[-1]) if flat and _FIELD.search(flat[-1][:12]) else {}
    account = fields.get("38") or fields.get("31") or ""
    if fields:
        purpose = "".join(text for number, text in sorted(fields.items()) if number in _PURPOSE_FIELDS)
        words = _after(_PURPOSE, purpose)
    else:
        purpose = " ".join(" ".join(text.split()) for text in entry.texts)
        words = _after(_WORDS, purpose)
    told = " ".join(filter(None, (words.get("EREF"), words.get("KREF"), words.get("SVWZ"), words.get("REMI"))))
    if words and not told:
        told = words.get("", "")
    account = account or words.get("IBAN", "")
    reason = _RETURN.search(words.get("RTRN", "")) or (_RETURN.search(purpose) if "RTRN" in words else None)
    pieces = dict.fromkeys(filter(None, (entry.customer, told if words else purpose.strip())))
    reference = " ".join(piece for piece in pieces if piece.upper() not in NO_REFERENCE)
    return reference[:REFERENCE_LIMIT], "".join(account.split()), reason[0] if reason else ""


def _fields(text: str) -> dict[str, str]:
    """What stands behind each `?20` (or `>20`)."""
    pieces = _FIELD.split(text)
    fields: dict[str, str] = {}
    for number, said in zip(pieces[1::2], pieces[2::2], strict=True):
        fields[number] = fields.get(number, "") + said
    return fields


def _after(words: re.Pattern[str], text: str) -> dict[str, str]:
    """What stands behind each of the words; under the empty one what stands before the first. Empty where none is."""
    pieces = words.split(text)
    if len(pieces) == 1:
        return {}
    said = {"": pieces[0].strip()}
    for word, behind in zip(pieces[1::2], pieces[2::2], strict=True):
        value = behind.strip(" /")
        said.setdefault(word, "" if value.upper() in NO_REFERENCE else value)
    return said


# -- as a statement ----------------------------------------------------------------------------------------------------


def _statement(message: Message) -> BankStatementFile:
    if not message.account:
        raise StatementRefused(f"message {message.number}: it names no account (tag 25)")
    if not message.entries and message.opening is None and message.closing is None:
        raise StatementRefused(f"message {message.number}: it has neither entries nor balances")
    if not message.currency:
        raise StatementRefused(f"message {message.number}: it names no currency")
    minor = _minor(message, [entry.amount for entry in message.entries])
    signed = [
        amount if entry.mark in {"C", "RD"} else -amount for amount, entry in zip(minor, message.entries, strict=True)
    ]
    _agrees(message, signed)
    said = [_said(entry) for entry in message.entries]
    texts = {
        name: pa.array([one[at] or None for one in said], TEXT).to_pandas()
        for at, name in enumerate(("reference", "payer_account", "return_reason"))
    }
    columns = {
        "amount_minor": signed,
        "currency": [message.currency] * len(signed),
        "booked_on": [entry.booked for entry in message.entries],
        "value_date": [entry.value for entry in message.entries],
        "bank_ref": pa.array([entry.bank or None for entry in message.entries], TEXT).to_pandas(),
        "is_reversal": [entry.mark[0] == "R" for entry in message.entries],
    }
    is_report = message.is_report and message.opening is None
    number = message.statement if message.statement.strip("0") else ""
    booked = [entry.booked for entry in message.entries]
    return BankStatementFile(
        account=message.account,
        currency=message.currency,
        number=(f"{number}/{message.page}" if message.page > 1 else number) or None,
        sequence=number_of(number),
        opening_minor=_signed_balance(message, message.opening),
        closing_minor=_signed_balance(message, message.closing),
        from_on=min([*booked, message.to_on]) if message.to_on else None,
        to_on=message.to_on,
        entries=framed(columns | texts, len(signed)),
        form="mt942" if is_report else "mt940",
    )


def _minor(message: Message, amounts: list[str]) -> list[int]:
    minor, bad = minor_of(_plain(amounts), message.currency)
    if bad.any():
        raise StatementRefused(
            f"message {message.number}, entry {int(bad.argmax()) + 1}: its amount is no number,"
            f" or has more digits than {message.currency} has"
        )
    return [int(one) for one in minor]


def _plain(amounts: list[str]) -> pa.Array:
    """The amounts with a point and one leading zero: some banks fill up to fifteen digits and more."""
    text = pc.replace_substring(pc.replace_substring(pa.array(amounts, TEXT), " ", ""), ",", ".")
    return pc.binary_join_element_wise(pa.scalar("0", TEXT), pc.utf8_ltrim(text, "0"), pa.scalar("", TEXT))


def _signed_balance(message: Message, balance: tuple[str, str] | None) -> int | None:
    if balance is None:
        return None
    minor, bad = minor_of(_plain([balance[1]]), message.currency)
    if bad[0]:
        raise StatementRefused(f"message {message.number}: a balance is no amount in {message.currency}")
    return int(minor[0]) if balance[0] == "C" else -int(minor[0])


def _agrees(message: Message, signed: list[int]) -> None:
    """Raises StatementRefused where a report counts or sums its entries otherwise (tags 90C and 90D)."""
    for side, (count, amount) in message.summed.items():
        mine = [one for one in signed if (one > 0) == (side == "C")]
        total = _minor(message, [amount])[0]
        if count != len(mine) or total != abs(sum(mine)):
            raise StatementRefused(
                f"message {message.number}: its tag 90{side} says {count} entries of {total} (minor units),"
                f" and there are {len(mine)} of {abs(sum(mine))}"
            )

"""How identifiers look in free text, in Chinese and English, and how sure a text that looks so makes us.

`found` reads one text; `suspicious` says of whole columns which texts are worth reading: those with an at-sign or with
six digits that are separated by little. What stands between digits (spaces, hyphens, dots), full-width digits, those of
other scripts and numbers spelt in Chinese characters change nothing. Sources: GB 11643-1999 (resident ID), E.164 of the
ITU, ISO/IEC 7812 (cards), ISO 13616 (IBAN).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from stdnum import iban, luhn
from stdnum.cn import ric

from models.gate.columns import letters_of, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from models.intake.readings import Mask

Certainty = Literal["proved", "likely", "suspected"]
"""Its check digits hold, or nothing else looks so; its shape or the words beside it say so; it may be."""
CERTAINTIES: Final[tuple[Certainty, ...]] = ("proved", "likely", "suspected")

PATTERNED: Final = ("resident_id", "phone", "card", "email", "iban", "ssn", "passport", "document")
"""The kinds of identifier that are known by their look."""


@dataclass(frozen=True)
class Found:
    """One identifier in a text."""

    kind: str
    certainty: Certainty


# -- reading past how it is written ------------------------------------------------------------------------------------

NUMERALS: Final = "零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖"
DIGITS: Final = letters_of("Nd") + "①-⑨⓪"
"""Whatever stands for a digit, as it stands in a class of a pattern; numerals apart."""
AT: Final = "@＠﹫"
_SPELT: Final = str.maketrans(NUMERALS, "001234567891123456789")
_SPELT_RUN: Final = re.compile(rf"[{NUMERALS}0-9]{{7,}}")
_BETWEEN: Final = rf"[{letters_of('Zs', 'Zl', 'Zp', 'Cf', 'Pd')}\t().·•・_/,，、|*~+：:]{{0,3}}"
_WORTH_READING: Final = rf"[{AT}]|[\[(（【] *[aA][tT] *[\])）】]|(?:[{DIGITS}{NUMERALS}]{_BETWEEN}){{6}}"
_AT: Final = re.compile(r"\s*[\[(【]\s*at\s*[\])】]\s*|\s+@\s*|\s*@\s+", re.IGNORECASE)


def suspicious(texts: pa.Array) -> Mask:
    """Rows whose text may hold an identifier; of every other row `found` would find nothing."""
    return within(texts, _WORTH_READING)


def plain(text: str) -> str:
    """The text with one spelling for each digit, hyphen and space, and without letters that nobody sees."""
    folded = unicodedata.normalize("NFKC", text)
    if not folded.isascii():
        folded = "".join(_one_way(letter) for letter in folded)
        folded = _SPELT_RUN.sub(lambda run: run[0].translate(_SPELT), folded)
    return _AT.sub("@", folded)


def _one_way(letter: str) -> str:
    if letter.isascii():
        return letter
    match unicodedata.category(letter):
        case "Nd":
            return str(unicodedata.digit(letter))
        case "Pd":
            return "-"
        case "Zs" | "Zl" | "Zp":
            return " "
        case "Cf":
            return ""
        case _:
            return letter


# -- what each looks like ----------------------------------------------------------------------------------------------

_S: Final = r"[ \t().·•・_/,、|*~:-]{0,2}"
"""What may stand between two digits of one number."""
_AHEAD: Final = r"(?<![0-9])"
_AFTER: Final = r"(?![0-9])"
_PROVINCES: Final = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")
_RUN: Final = re.compile(rf"[0-9](?:{_S}[0-9])*")
_EIGHTEEN: Final = re.compile(rf"{_AHEAD}(?=((?:[0-9]{_S}){{17}}[0-9Xx])(?![0-9A-Za-z]))")
_FIFTEEN: Final = re.compile(rf"{_AHEAD}(?=((?:[0-9]{_S}){{14}}[0-9]){_AFTER})")
_CARD: Final = re.compile(rf"(?<![0-9A-Za-z])(?=((?:[0-9]{_S}){{12,18}}[0-9]){_AFTER})")
_ISSUERS: Final = re.compile(r"3[47]|30[0-5]|3[689]|35|4|5[1-5]|2[2-7]|6[025]|64[4-9]|81|9[0-9]|50|5[6-8]")
_PIECES_OF_CARDS: Final = frozenset(
    {(4, 6, 5), (4, 6, 4), (6, 10), (6, 13), *((1,) * count for count in range(13, 20))}
)
"""How cards are written, but for groups of four."""
_MOBILE: Final = re.compile(rf"(?<![0-9A-Za-z])(?:(?:\+|00)?86{_S})?(?=(1{_S}[3-9](?:{_S}[0-9]){{9}}){_AFTER})")
_PIECES_OF_MOBILES: Final = frozenset({(11,), (3, 8), (7, 4), (1,) * 11})
"""How mobile numbers are written, but for groups of two to five."""
_WITH_ZERO: Final = re.compile(rf"(?<![0-9A-Za-z])\(?(?=(0{_S}[1-9](?:{_S}[0-9]){{7,10}}){_AFTER}(?!-[0-9]{{6}}))")
_ABROAD: Final = re.compile(
    rf"{_AHEAD}(?:\+|00(?=[ ().-]|[1-9][0-9]{{0,2}}[ ().-]|[1-9][0-9]{{10}}))"
    rf"(?=({_S}[1-9](?:{_S}[0-9]){{6,14}}){_AFTER})"
)
_NORTH_AMERICA: Final = re.compile(
    rf"{_AHEAD}(?:1[ .-]{{1,2}})?(?=(\(?[2-9][0-9]{{2}}(?:\)[ .-]?|[ .-])[0-9]{{3}}[ .-][0-9]{{4}}){_AFTER})"
)
_BY_THE_WORD: Final = re.compile(rf"{_AHEAD}\+?(?=(\(?[0-9](?:{_S}[0-9]){{6,14}}){_AFTER})")
_WHEN: Final = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}([-/. ]?)(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12][0-9]|3[01])(?:[T ]*[0-2][0-9]:?[0-5][0-9]"
    r"(?::?[0-5][0-9](?:\.[0-9]+)?)?(?: ?[+-][01][0-9]:?[0-5][0-9])?)?(?![0-9])"
    r"|(?<![0-9])[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?(?![0-9])"
)
"""A day, with or without a time, and a time: no telephone number."""
_WORDS: Final = re.compile(
    r"(?P<phone>call|phone|\btel|mobile|\bcell|\bdesk|\bfax|office|contact|dial|whatsapp|wechat|text me|reach me"
    r"|电话|手机|联系|致电|拨打|座机|固话|传真|微信|联络)"
    r"|\b(?:contract|order|ref|invoice|case|account|batch|file|loan)|合同|订单|编号|单号|账号|案号|批次|文件|借据|流水",
    re.IGNORECASE,
)
"""Words that make a number a telephone number, and words that make it something else: the nearest one counts."""
_WORDS_BEFORE: Final = 20
_WORDS_AFTER: Final = 8
_EMAIL: Final = re.compile(r"[\w.+%'&-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}))")
_IBAN_BEGINS: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
_IBAN_LENGTHS: Final = range(15, 35)
_SSN: Final = re.compile(r"(?<![0-9-])(?=((?!000|666|9)[0-9]{3}[- .](?!00)[0-9]{2}[- .](?!0000)[0-9]{4})(?![0-9-]))")
_PASSPORT: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[EG][0-9]{8}|E[A-HJ-NP-Z][0-9]{7}|[DSP]E?[0-9]{7,8})(?![A-Za-z0-9])", re.IGNORECASE
)
_MAYBE_PASSPORT: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,2}[0-9]{7,8}(?![A-Za-z0-9])", re.IGNORECASE)
_OTHER_PAPERS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{1,2}[0-9]{6}\([0-9A]\)|[A-Z][1289][0-9]{8}|[A-CEGHJ-PR-TW-Z]{2}(?: ?[0-9]{2}){3} ?[A-D])"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""Hong Kong's identity card, Taiwan's, and the British national insurance number."""
_PAPER_WORDS: Final = re.compile(
    r"(passport|护照|licen[cs]e|驾照|驾驶证|身份证|证件|通行证|identity card|id card|\bid (?:no|number)|\bssn"
    r"|social security|national insurance)[^0-9]{0,24}?"
    r"(?P<paper>[A-Z]{0,3}[0-9](?:[ -]?[0-9]){5,17}[A-Z0-9]{0,2})(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2099
_CENTURY: Final = "19"
_FEW: Final = 2
"""different digits: 0000 0000 0000 0000 is no card, though its sum holds"""


def found(text: str) -> list[Found]:
    """Every kind of identifier in the text, each once, with how sure that is."""
    read = plain(text)
    digits = max((sum(map(str.isdigit, run[0])) for run in _RUN.finditer(read)), default=0)
    best: dict[str, Certainty] = {}
    for fewest, look in _LOOKS:
        for one in look(read) if digits >= fewest else ():
            known = best.get(one.kind)
            if known is None or CERTAINTIES.index(one.certainty) < CERTAINTIES.index(known):
                best[one.kind] = one.certainty
    return [Found(kind, certainty) for kind, certainty in best.items()]


def _resident_ids(text: str) -> Iterator[Found]:
    for number in _numbers(_EIGHTEEN, text, digits="0123456789Xx"):
        digits = number.digits.upper()
        born = _is_day(digits[6:14])
        checked = ric.calc_check_digit(digits) == digits[17]
        if _PROVINCES.match(digits) and born and checked:
            yield Found("resident_id", "proved")
        elif _PROVINCES.match(digits) and born:
            yield Found("resident_id", "likely")
        elif number.in_one_piece:
            called = _nearest(text, number)
            yield Found("resident_id", "suspected" if called is not None and not called["phone"] else "likely")
    for number in _numbers(_FIFTEEN, text):
        if _PROVINCES.match(number.digits) and _is_day(_CENTURY + number.digits[6:12]):
            yield Found("resident_id", "likely")


def _cards(text: str) -> Iterator[Found]:
    for number in _numbers(_CARD, text):
        if number.groups not in _PIECES_OF_CARDS and {*number.groups[:-1]} - {4}:
            continue
        known = _ISSUERS.match(number.digits) is not None
        holds = luhn.is_valid(number.digits) and len(set(number.digits)) > _FEW
        if holds and known:
            yield Found("card", "proved")
        elif holds or (number.in_one_piece and known):
            yield Found("card", "suspected")


def _phones(text: str) -> Iterator[Found]:
    text = _WHEN.sub(lambda when: " " * len(when[0]), text).replace("(0)", "")
    if any(
        number.groups in _PIECES_OF_MOBILES or {*number.groups} <= {2, 3, 4, 5} for number in _numbers(_MOBILE, text)
    ):
        yield Found("phone", "likely")
    if any(True for pattern in (_WITH_ZERO, _ABROAD, _NORTH_AMERICA) for _ in _numbers(pattern, text)):
        yield Found("phone", "likely")
    for number in _numbers(_BY_THE_WORD, text):
        called = _nearest(text, number)
        if called is not None and called["phone"]:
            yield Found("phone", "likely")
            return


def _emails(text: str) -> Iterator[Found]:
    if "@" in text and _EMAIL.search(text):
        yield Found("email", "proved")


def _ibans(text: str) -> Iterator[Found]:
    for one in _IBAN.finditer(text) if _IBAN_BEGINS.search(text) else ():
        letters = re.sub(r"[ -]", "", one[1])
        if any(iban.is_valid(letters[:length]) for length in _IBAN_LENGTHS if length <= len(letters)):
            yield Found("iban", "proved")


def _papers(text: str) -> Iterator[Found]:
    if _SSN.search(text):
        yield Found("ssn", "likely")
    if _PASSPORT.search(text):
        yield Found("passport", "likely")
    elif _MAYBE_PASSPORT.search(text):
        yield Found("passport", "suspected")
    if _OTHER_PAPERS.search(text):
        yield Found("document", "likely")
    named = _PAPER_WORDS.search(text)
    if named:
        yield Found("ssn" if named[1].lower() in {"ssn", "social security"} else "document", "likely")


_LOOKS: Final[tuple[tuple[int, Callable[[str], Iterator[Found]]], ...]] = (
    (15, _resident_ids), (13, _cards), (7, _phones), (0, _emails), (2, _ibans), (6, _papers),
)  # fmt: skip
"""With how many digits in one run, at least, each is worth a look."""


# -- numbers and what stands between their digits ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Number:
    """A number in a text."""

    digits: str
    written: str
    begins: int

    @property
    def groups(self) -> tuple[int, ...]:
        """How many digits stand together, group by group."""
        return tuple(len(part) for part in re.split(r"[^0-9Xx]+", self.written) if part)

    @property
    def in_one_piece(self) -> bool:
        return self.digits == self.written


def _numbers(pattern: re.Pattern[str], text: str, digits: str = "0123456789") -> Iterator[_Number]:
    """What the pattern finds, but for lists of small numbers that only look like one large one."""
    for one in pattern.finditer(text):
        written = one[1]
        number = "".join(letter for letter in written if letter in digits)
        read = _Number(number, written, one.start(1))
        if 1 in read.groups and len({*read.groups}) > 1 and written[-1:].upper() != "X":
            continue
        yield read


@cache
def _is_day(digits: str) -> bool:
    """Whether eight digits are a day of a year in which somebody can have been born."""
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return _FIRST_YEAR <= born.year <= _LAST_YEAR


def _nearest(text: str, number: _Number) -> re.Match[str] | None:
    """The word beside the number that says what it is: the last before it, else the first behind it."""
    ends = number.begins + len(number.written)
    before = list(_WORDS.finditer(text, max(0, number.begins - _WORDS_BEFORE), number.begins))
    return before[-1] if before else _WORDS.search(text, ends, ends + _WORDS_AFTER)

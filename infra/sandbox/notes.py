"""Notes as people write them beside accounts, in Chinese and English: clean ones, and ones with one identifier planted.

Seeded; what is planted belongs to nobody: resident IDs have sequence numbers kept for people over a hundred, mobile
numbers begin with 154, which no carrier holds, cards are of ranges that issuers keep for tests, e-mail addresses and
American telephones are those reserved for examples. A number may be spaced, full-width, or wrong in its last digit,
as numbers in notes are. What is clean is full of other numbers: dates, amounts, references, floors, percentages.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from stdnum import luhn
from stdnum.cn import ric

if TYPE_CHECKING:
    from collections.abc import Sequence

Language = Literal["en", "zh"]

FULL_WIDTH: Final = str.maketrans("0123456789", "０１２３４５６７８９")
DIVISIONS: Final = ("110105", "310115", "440305", "510104", "330106", "420106", "610113", "370202", "210102", "540102")


@dataclass(frozen=True)
class Note:
    """A text, and the kind of identifier that is planted in it (of models.gate.identifiers)."""

    text: str
    kind: str


def planted(seed: int, count: int, language: Language) -> list[Note]:
    """So many notes with one identifier each, all kinds in turn."""
    draw = random.Random(f"{seed} {language}")
    kinds = list(PLANTS)
    notes = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        text = draw.choice(PLANTS[kind])(draw)
        around = draw.choice(_AROUND[language])
        called, days = _CALLED[language][kind], draw.randint(1, 400)
        said = around.format(text=text, called=called, days=days, day=_day(draw), amount=_amount(draw))
        notes.append(Note(said, kind))
    return notes


def clean(seed: int, count: int, language: Language) -> list[str]:
    """So many notes without an identifier."""
    draw = random.Random(f"{seed} clean {language}")
    return [draw.choice(_CLEAN[language])(draw) for _ in range(count)]


# -- identifiers -------------------------------------------------------------------------------------------------------

Plant = Callable[[random.Random], str]


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choice("0123456789") for _ in range(count))


def _birth(draw: random.Random) -> str:
    return f"{draw.randint(1955, 2004)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"


def resident_id(draw: random.Random) -> str:
    """Eighteen characters that could be somebody's, were there people of that sequence number."""
    start = f"{draw.choice(DIVISIONS)}{_birth(draw)}{draw.randint(996, 999)}"
    return start + ric.calc_check_digit(start + "0")


def _wrong_check(draw: random.Random) -> str:
    number = resident_id(draw)
    return number[:17] + draw.choice([letter for letter in "0123456789X" if letter != number[17]])


def _old_id(draw: random.Random) -> str:
    return f"{draw.choice(DIVISIONS)}{_birth(draw)[2:]}{draw.randint(996, 999)}"


def _spaced_id(draw: random.Random) -> str:
    number, between = resident_id(draw), draw.choice(" -")
    return between.join((number[:6], number[6:14], number[14:]))


def _wide_id(draw: random.Random) -> str:
    return resident_id(draw).translate(FULL_WIDTH)


def mobile(draw: random.Random) -> str:
    """A mobile number that no carrier holds."""
    return "154" + _digits(draw, 8)


def _written_mobile(draw: random.Random) -> str:
    number, between = mobile(draw), draw.choice([" ", "-", "."])
    return draw.choice(["", "+86 ", "86-"]) + between.join((number[:3], number[3:7], number[7:]))


def _landline(draw: random.Random) -> str:
    area = draw.choice(["010", "021", "0755", "0571", "(028)", "0531"])
    return f"{area}{draw.choice(['-', ' ', ''])}{draw.choice('5678')}{_digits(draw, 7)}"


def _american(draw: random.Random) -> str:
    return draw.choice(["({}) 555-01{}", "{}-555-01{}", "+1 {} 555 01{}", "{}.555.01{}"]).format(
        draw.choice(["212", "415", "312", "206"]), _digits(draw, 2)
    )


def _british(draw: random.Random) -> str:
    return draw.choice(["+44 7700 900{}", "07700 900{}", "07700900{}", "+44 (0) 20 7946 0{}"]).format(_digits(draw, 3))


def _spelt_mobile(draw: random.Random) -> str:
    return "".join("零一二三四五六七八九"[int(digit)] for digit in mobile(draw))


def _card(draw: random.Random) -> str:
    start = draw.choice([("4000", 15), ("5100", 15), ("622848", 18), ("622202", 15), ("37000", 14)])
    number = start[0] + _digits(draw, start[1] - len(start[0]))
    return number + luhn.calc_check_digit(number)


def _spaced_card(draw: random.Random) -> str:
    number, between = _card(draw), draw.choice([" ", "-"])
    return between.join(number[first : first + 4] for first in range(0, len(number), 4))


def _email(draw: random.Random) -> str:
    name = draw.choice(["li.wei", "zhang_san", "emma", "j.doe+loan", "wang88"])
    at = draw.choice(["@", "@", "＠", " (at) "])
    return f"{name}{draw.randint(1, 99)}{at}{draw.choice(['example.com', 'mail.example.org', 'example.net'])}"


def _iban(draw: random.Random) -> str:
    body = f"{draw.choice(['37040044', '50010517', '10010010'])}{_digits(draw, 10)}"
    check = 98 - int(f"{body}131400") % 97
    number = f"DE{check:02}{body}"
    spaced = draw.random() < 1 / 2
    return " ".join(number[first : first + 4] for first in range(0, len(number), 4)) if spaced else number


def _ssn(draw: random.Random) -> str:
    return f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}"


def _chinese_passport(draw: random.Random) -> str:
    letters = draw.choice(["E", "G", "EA", "EH", "EK"])
    return letters + _digits(draw, 9 - len(letters))


PLANTS: Final[dict[str, Sequence[Plant]]] = {
    "resident_id": (resident_id, resident_id, _wrong_check, _old_id, _spaced_id, _wide_id),
    "phone": (mobile, _written_mobile, _landline, _american, _british, _spelt_mobile),
    "card": (_card, _spaced_card),
    "email": (_email,),
    "iban": (_iban,),
    "ssn": (_ssn,),
    "passport": (_chinese_passport,),
}
"""By kind, how it is written."""

# -- what stands around ------------------------------------------------------------------------------------------------

_CALLED: Final = {
    "en": {
        "resident_id": "ID", "phone": "mobile", "card": "card", "email": "mail", "iban": "IBAN", "ssn": "SSN",
        "passport": "passport",
    },
    "zh": {
        "resident_id": "身份证", "phone": "电话", "card": "卡号", "email": "邮箱", "iban": "账户", "ssn": "社保号",
        "passport": "护照",
    },
}  # fmt: skip

_AROUND: Final = {
    "zh": (
        "客户称{called}{text}，余额{amount}元",
        "{day}回访：{called}：{text}。",
        "备注 {text} 已核实",
        "{text}",
        "逾期{days}天；{text}；承诺{day}还款",
    ),
    "en": (
        "Customer gave {called} {text}, owes {amount}",
        "{day}: new {called}: {text}.",
        "see {text} (verified)",
        "{text}",
        "{days} days past due; {text}; will pay on {day}",
    ),
}

Clean = Callable[[random.Random], str]


def _day(draw: random.Random) -> str:
    return f"{draw.randint(2019, 2027)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"


def _amount(draw: random.Random) -> str:
    return f"{draw.randint(100, 9_999_999) / 100:,.2f}"


_CLEAN: Final[dict[str, Sequence[Clean]]] = {
    "zh": (
        lambda draw: f"{_day(draw)} {draw.randint(8, 21):02}:{draw.randint(0, 59):02} 外呼未接，次日再拨",
        lambda draw: f"逾期{draw.randint(1, 720)}天，余额{_amount(draw)}元，分{draw.choice([3, 6, 12, 24])}期",
        lambda draw: (
            f"合同号HT-{draw.randint(2015, 2026)}-{draw.randint(1, 999_999):06}，产品消费贷{draw.randint(1, 9)}号"
        ),
        lambda draw: f"批次{draw.randint(20240101, 20261231)}第{draw.randint(1, 99_999)}条",
        lambda draw: (
            f"朝阳路{draw.randint(1, 999)}号{draw.randint(1, 30)}栋{draw.randint(101, 3_000)}室，邮编{_digits(draw, 6)}"
        ),
        lambda draw: f"年利率{draw.randint(300, 2_400) / 100}%，罚息{_amount(draw)}，费用{_amount(draw)}",
        lambda draw: f"案件编号{draw.randint(10**7, 10**9)}，第{draw.randint(1, 4)}轮委外",
        lambda draw: (
            f"{draw.randint(2019, 2027)}年{draw.randint(1, 12)}月{draw.randint(1, 28)}日承诺还款{_amount(draw)}"
        ),
        lambda _draw: "客户表示资金困难，申请延期，情绪稳定",
        lambda draw: f"支付流水号{draw.randint(20240101, 20261231)}{_digits(draw, draw.randint(6, 12))}",
        lambda draw: f"订单{draw.randint(10**9, 10**12)}已发货，运单SF{_digits(draw, 13)}",
        lambda draw: f"信用卡普卡 额度{draw.randint(1, 50)}000 账单日{draw.randint(1, 28)}",
    ),
    "en": (
        lambda draw: f"No answer on {_day(draw)} at {draw.randint(8, 20):02}:{draw.randint(0, 59):02}, try again",
        lambda draw: (
            f"{draw.randint(1, 720)} days past due, balance {_amount(draw)}, {draw.choice([3, 6])} instalments"
        ),
        lambda draw: (
            f"Contract {draw.choice('ABCD')}-{draw.randint(2015, 2026)}-{draw.randint(1, 999_999):06}, round 2"
        ),
        lambda draw: f"Invoice INV-{draw.randint(10_000_000, 99_999_999)} over {_amount(draw)} CNY",
        lambda draw: (
            f"{draw.randint(1, 9_999)} Harbour Road, suite {draw.randint(1, 999)}, floor {draw.randint(1, 40)}"
        ),
        lambda draw: f"Rate {draw.randint(300, 2_400) / 100}% p.a., fees {_amount(draw)}, interest {_amount(draw)}",
        lambda draw: f"Order {draw.randint(10**7, 10**9)} shipped {_day(draw)}; ref {draw.randint(1, 9_999):04}-07",
        lambda draw: f"Promised {_amount(draw)} by {_day(draw)}; score band {draw.choice('ABCDE')}",
        lambda draw: f"Order {_digits(draw, 3)}-{_digits(draw, 7)}-{_digits(draw, 7)}, parcel 1Z{_digits(draw, 16)}",
        lambda draw: f"Transaction {draw.randint(20240101, 20261231)}{_digits(draw, draw.randint(4, 8))} settled",
        lambda _draw: "Says the money will come with the next salary; polite; asks for a plan",
        lambda draw: (
            f"Batch {draw.randint(20240101, 20261231)} line {draw.randint(1, 99_999)}, version 1.{draw.randint(0, 20)}"
        ),
    ),
}

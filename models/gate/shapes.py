"""What a column's cells must look like, so that they need not be read: codes, days, pseudonyms, whole identifiers.

A cell that has its column's shape is *proved*: it cannot hold an identifier but the one that the column is for. All
others are read (models.gate.identifiers). Columns of no shape are *free text*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from models.gate.identifiers import AT, DIGITS, NUMERALS
from models.kinds import HOLD_REASONS
from models.treatments import ALL_STARS, DATES, JOINT, PSEUDONYMS, STARS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.kinds import Field
    from models.release import Release, Treatment


@dataclass(frozen=True)
class Shape:
    """How a column is looked at."""

    pattern: str = ""
    """RE2 of a whole cell that is proved; none: every cell is read"""
    few: bool = False
    """whether the column has few different values, which are looked at once each"""
    whole: frozenset[str] = frozenset()
    """kinds of identifier that the column holds by right"""
    free: bool = False
    """free text: compared with who the debtors of the batch are"""
    own_line: bool = False
    """an identity that leaves whole: compared with what else is known of its own debtor"""
    echo: bool = False
    """the agency's own words, said back to it, or words of ours about them: only what is proved stops them"""


_DAY: Final = r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?|-Q[1-4])?"
_INSTANT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z"
PSEUDONYM: Final = r"[GHJKMNPQRSTVWXYZ][0-9A-HJKMNP-TV-Z]{26}"
_NO_NUMBER: Final = rf"[^{DIGITS}{NUMERALS}{AT}()（）【】\[\]]*"
_LETTERS: Final = rf"{_NO_NUMBER}(?:[{NUMERALS}]{_NO_NUMBER}){{0,5}}"
"""A name: no digit, no at-sign, and too few Chinese numerals to spell a number."""
_MOBILE: Final = r"(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"
_PHONE: Final = (
    rf"{_MOBILE}|0[0-9]{{2,3}}[ -]?[0-9]{{7,8}}(?:-[0-9]{{1,5}})?|\+[1-9][0-9 ()-]{{6,16}}"
    r"|[(]?[2-9][0-9]{2}[)]?[ .-]?[0-9]{3}[ .-]?[0-9]{4}"
)
_ID_NUMBER: Final = r"[1-9][0-9]{16}[0-9X]|[1-9][0-9]{14}|[A-Z]{1,2}[0-9]{6,9}[A-Z]?|[0-9]{3}-[0-9]{2}-[0-9]{4}"
_EMAIL: Final = r"[^@ \t\r\n]{1,64}@[^@ \t\r\n]{1,190}"

_CODED: Final = Shape(r"[A-Za-z][A-Za-z_]{0,30}", few=True)
"""A word of our own vocabulary, or of the layout's: never free."""
_DATED: Final = Shape(_DAY, few=True)
_FREE: Final = Shape(free=True)
_FREE_BUT_FEW: Final = Shape(free=True, few=True)
_ECHO: Final = Shape(echo=True)

_RECALLED_FOR: Final = (
    "paid", "term", "request", "performance", "settled", "closed", "withdrawn", "no_activity", "plan_broken",
)  # fmt: skip

_IN_PLACEMENTS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        **dict.fromkeys((*PSEUDONYMS, JOINT), Shape(PSEUDONYM)),
        **dict.fromkeys(DATES, _DATED),
        "currency": Shape("[A-Z]{3}", few=True),
        "bucket": Shape(r"M[0-9]\+?", few=True, free=True),
        "region": Shape(r"[0-9]{2}|[0-9]{4}|[0-9]{6}|[A-Z]{2}", few=True, free=True),
        "product": _FREE_BUT_FEW,
        "stage": Shape(r"reminder|phone|field|legal", few=True, free=True),
        "score_band": Shape(r"[A-Z][A-Z0-9]?[+-]?|[0-9]{1,3}", few=True, free=True),
        "name": Shape(_LETTERS, own_line=True),
        "contact_name": Shape(_LETTERS, own_line=True),
        "id_number": Shape(_ID_NUMBER, whole=frozenset({"resident_id", "ssn", "passport", "document"}), own_line=True),
        "phone": Shape(_PHONE, whole=frozenset({"phone"}), own_line=True),
        "phone_alt": Shape(_PHONE, whole=frozenset({"phone"}), own_line=True),
        "contact_phone": Shape(_PHONE, whole=frozenset({"phone"}), own_line=True),
        "email": Shape(_EMAIL, whole=frozenset({"email"}), own_line=True),
        "address": Shape(own_line=True),
        "employer": Shape(_LETTERS, own_line=True),
    }
)
_ELSEWHERE: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "account": Shape(PSEUDONYM),
        "currency": Shape("[A-Z]{3}", few=True),
        "sha256": Shape("[0-9a-f]{64}"),
        **dict.fromkeys(("file", "table", "column", "fix", "fix_zh", "agency_txn_id", "plan_ref"), _ECHO),
        "codes": Shape(r"[a-z_]{1,30}(?:,[a-z_]{1,30}){0,12}", few=True),
        **dict.fromkeys(("code", "outcome", "type", "state", "level", "step", "by", "scope", "suite"), _CODED),
        "reason": Shape("|".join((*HOLD_REASONS, *_RECALLED_FOR)), free=True, few=True),
        "period": _DATED,
        **dict.fromkeys(
            ("encrypt", "verify"), Shape(r"age1[0-9a-z]{58}|[A-Za-z0-9+/=]{200,}|ssh-[a-z0-9-]+ [A-Za-z0-9+/=]{60,}")
        ),
        **dict.fromkeys(
            ("encrypt_fingerprint", "fingerprint", "follows"),
            Shape(r"SHA256:[A-Za-z0-9+/=]{43,44}|[0-9A-F]{40}|age1[0-9a-z]{58}"),
        ),
        **dict.fromkeys(("valid_from", "valid_until", "follows_until"), Shape(_INSTANT, few=True)),
    }
)


def shapes(fields: Sequence[Field], release: Release | None) -> dict[str, Shape]:
    """By column, how its text is looked at; `release` is what the columns leave under, where they do under one."""
    known = {**_ELSEWHERE, **_IN_PLACEMENTS} if release is not None else {**_IN_PLACEMENTS, **_ELSEWHERE}
    found = {}
    for one in fields:
        how = release.treatments.get(one.name) if release is not None else None
        if how is not None and how.how == "mask":
            found[one.column] = Shape(masked(how, one.name))
        elif how is not None and how.how == "band":
            found[one.column] = Shape("|".join(map(re.escape, how.labels)), few=True)
        elif one.one_of:
            found[one.column] = Shape("|".join(map(re.escape, one.one_of)), few=True)
        else:
            found[one.column] = known.get(one.name, _DATED if one.type in {"date", "yearmonth"} else _FREE)
    return found


def masked(how: Treatment, name: str) -> str:
    """What a cell of a masked field looks like, exactly: RE2 of the whole cell."""
    stars = re.escape(STARS.get(name, ALL_STARS))
    return f"(?s:.{{{how.first}}}{stars}.{{{how.last}}}|{stars})"

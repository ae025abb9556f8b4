"""Plain names of files, read and written by one pattern: `HK_{lender}_{yyyymmdd}_{sequence:03d}.txt`.

A pattern tells what a manifest would: whose file it is, of which day, which number. It is read back by the same
pattern, and a pattern that could be read in two ways is refused when the profile is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from connectors.drops.names import ANY_NAME, why_hostile
from models.kinds import CODE, FILE_NAME, KINDS, file_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.layouts.profiles import Layout

_PART: Final = re.compile(r"\{([a-z]+)(?::0([1-9])d)?\}")
_DAYS: Final = {"yyyymmdd": "%Y%m%d", "yymmdd": "%y%m%d"}
_MOST_DIGITS: Final = 9
_WORD: Final = re.compile(r"[A-Za-z0-9]{1,20}")
PLACES: Final = ("lender", "agency", "yyyymmdd", "yymmdd", "sequence")


@dataclass(frozen=True)
class Named:
    """What a file's name says of it."""

    lender: str
    agency: str
    kind: str
    day: date
    sequence: int


@dataclass(frozen=True)
class Told:
    """What the name of a sealed file says: whose it is, whether it is a plain file, and the sealing suite's suffix."""

    named: Named
    plain: bool
    suffix: str


@dataclass(frozen=True)
class Pattern:
    """One pattern of names, without the sealing suite's suffix.

    lenders: the agency's words for lenders, to our codes; empty where it uses our codes. lender: whose files these
    are where the name does not say it.
    """

    text: str
    lenders: Mapping[str, str]
    lender: str = ""

    def faults(self) -> list[str]:
        """Why the pattern cannot be used; empty where it can."""
        places = [part[1] for part in _PART.finditer(self.text)]
        rest = _PART.sub("", self.text)
        wrong = [f"there is no {{{name}}} (known: {', '.join(PLACES)})" for name in places if name not in PLACES]
        wrong += [f"{{{name}}} is there twice" for name in sorted({n for n in places if places.count(n) > 1})]
        if "{" in rest or "}" in rest:
            wrong.append("a brace is open, or what it holds is unknown (example: {sequence:03d})")
        if "sequence" not in places:
            wrong.append("needs {sequence}: a file without a number cannot be missed")
        if not {"yyyymmdd", "yymmdd"} & set(places):
            wrong.append("needs {yyyymmdd} or {yymmdd}")
        if "lender" not in places and not self.lender:
            wrong.append("needs {lender}, or `lender` beside it")
        wrong += [f"lenders: {word!r} needs 1 to 20 letters and digits" for word in self.lenders if not _fits(word)]
        if len(set(self.lenders.values())) < len(self.lenders):
            wrong.append("lenders: two words for one lender")
        return wrong or [*self._two_ways(), *self._hostile()]

    def write(self, named: Named) -> str:
        """The name. Raises ValueError where the lender has no word."""
        words = {ours: theirs for theirs, ours in self.lenders.items()}
        if self.lenders and named.lender not in words:
            message = f"the layout has no word for lender {named.lender}"
            raise ValueError(message)

        def spelt(part: re.Match[str]) -> str:
            if part[1] in _DAYS:
                return named.day.strftime(_DAYS[part[1]])
            if part[1] == "sequence":
                return f"{named.sequence:0{part[2] or 1}d}"
            return words.get(named.lender, named.lender) if part[1] == "lender" else named.agency

        return _PART.sub(spelt, self.text)

    def speaks_of(self, lender: str) -> bool:
        """Whether its names can say that a file is this lender's."""
        if "{lender}" not in self.text:
            return lender == self.lender
        return not self.lenders or lender in self.lenders.values()

    def read(self, name: str, kind: str, agency: str) -> Named | None:
        """What the name says; None where it is no name of this pattern, or another agency's (empty: any agency's)."""
        found = re.fullmatch(self._regex(), name)
        if found is None:
            return None
        said = found.groupdict()
        try:
            day = next(_day(said[place], place) for place in _DAYS if place in said)
        except ValueError:
            return None
        lender = said.get("lender", self.lender)
        told = Named(self.lenders.get(lender, lender), said.get("agency", agency), kind, day, int(said["sequence"]))
        if (agency and told.agency != agency) or (self.lender and "lender" not in said and told.lender != self.lender):
            return None
        return told if self.write(told) == name else None

    def _regex(self) -> str:
        cut, parts = 0, []
        for part in _PART.finditer(self.text):
            parts += [re.escape(self.text[cut : part.start()]), f"(?P<{part[1]}>{self._of(part[1], part[2])})"]
            cut = part.end()
        return "".join([*parts, re.escape(self.text[cut:])])

    def _of(self, place: str, digits: str | None) -> str:
        if place in _DAYS:
            return "[0-9]{8}" if place == "yyyymmdd" else "[0-9]{6}"
        if place == "sequence":
            return f"[0-9]{{{digits or 1},{_MOST_DIGITS}}}"
        if place == "lender" and self.lenders:
            return "|".join(map(re.escape, self.lenders))
        return CODE

    def _two_ways(self) -> list[str]:
        """Where something of no fixed length is followed by what could belong to it."""
        wrong = []
        parts = list(_PART.finditer(self.text))
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            if part[1] in _DAYS:
                continue
            follows = self.text[part.end() : after.start() if after else None]
            longer = "0123456789" if part[1] == "sequence" else "abcdefghijklmnopqrstuvwxyz0123456789-"
            if part[1] == "lender" and self.lenders:
                longer += longer.upper()
            if (follows and follows[0] in longer) or (not follows and after is not None):
                wrong.append(f"put a mark like _ after {{{part[1]}}}, or the name can be read in two ways")
        return wrong

    def _hostile(self) -> list[str]:
        lender = next(iter(self.lenders.values()), self.lender or "specimen")
        name = self.write(Named(lender, "specimen", "", date(2026, 1, 3), 7))
        if why_hostile(name) or not ANY_NAME.fullmatch(name):
            return ["use letters, digits and . _ - ( ) + = @ only, and begin with a letter or digit"]
        if FILE_NAME.fullmatch(name):
            return ["is a name of our own form: leave `file_name` out to use that"]
        return []


def _fits(word: str) -> bool:
    return _WORD.fullmatch(word) is not None


def _day(text: str, place: str) -> date:
    year, month, day = (int(one) for one in (text[:-4], text[-4:-2], text[-2:]))
    return date(year if place == "yyyymmdd" else 2000 + year, month, day)


SUFFIXES: Final = (".age", ".pgp", "")


def read_name(name: str, agency: str, layout: Layout | None, *, to_agency: bool = False) -> Told | None:
    """What the name of a sealed file says, in our form or in the layout's; None where it is no name of either.

    Our form names any agency; the layout's is this agency's. A name that two kinds could have is a name of none.
    """
    found = FILE_NAME.fullmatch(name)
    if found is not None:
        try:
            day = _day(found["day"], "yyyymmdd")
        except ValueError:
            return None
        kind, plain = found["kind"], found["ending"] != "zip"
        if plain and (layout is None or kind not in layout.kinds or found["ending"] != layout.file.ending):
            return None
        return Told(Named(found["lender"], found["agency"], kind, day, int(found["sequence"])), plain, found["suffix"])
    if layout is None:
        return None
    suffix = next(one for one in SUFFIXES if name.endswith(one))
    told = [
        read
        for form in layout.kinds.values()
        if form.pattern is not None and KINDS[form.kind].to_agency == to_agency
        if (read := form.pattern.read(name.removesuffix(suffix), form.kind, agency)) is not None
    ]
    return Told(told[0], plain=True, suffix=suffix) if len(told) == 1 else None


def write_name(named: Named, layout: Layout | None, suffix: str) -> str:
    """The name of a sealed file: of a package in our form, of a plain file in the layout's where it has one."""
    form = None if layout is None else layout.kinds.get(named.kind)
    day = f"{named.day:%Y%m%d}"
    if layout is None or form is None:
        return file_name(named.lender, named.agency, named.kind, day, named.sequence, suffix)
    if form.pattern is not None and form.pattern.speaks_of(named.lender):
        return form.pattern.write(named) + suffix
    return file_name(named.lender, named.agency, named.kind, day, named.sequence, suffix, layout.file.ending)

"""Whatever a bank sends, read by what it is: camt, MT940 or MT942, or a table by a mapping profile (R3).

What it is shows in its first bytes, whatever its name says; which profile a table is of shows in its header. Where
nothing or more than one thing fits, nothing is guessed: the refusal says what to name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connectors.bank import camt, cells, mt940, tables
from connectors.bank.statement import BankStatementFile, StatementRefused
from connectors.errors import ConnectorError
from connectors.layouts.sniffing import SAID, content_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from connectors.bank.profiles import Places, Profile

TEXT_LIMIT: Final = 256 << 20
_HEAD: Final = 4096
_OFX: Final = (b"OFXHEADER", b"<OFX>", b"<?OFX")


@dataclass(frozen=True)
class Fit:
    """One way to read a table: the profile, where its columns are, how many lines stand above the first row."""

    profile: Profile
    places: Places
    above: int
    encoding: str
    delimiter: str

    @property
    def sense(self) -> tuple[object, ...]:
        """What decides how the table is read, whatever the profile is called."""
        one = self.profile
        spelling = (one.date_formats, one.decimal, one.thousands, one.currency, one.credit_words, one.debit_words)
        places = (tuple(sorted(self.places.roles.items())), self.places.texts)
        return (*places, self.above, self.encoding, self.delimiter, *spelling, one.booked_words, one.ends, one.account)


def read(path: Path, profiles: Sequence[Profile], layout: Profile | None = None) -> list[BankStatementFile]:
    """The statements of the file, each adding up. `layout`: the profile to read a table by, where one is named.

    Raises StatementRefused with the reason, and what to do.
    """
    return [statement.balanced() for statement in drawn(path, profiles, layout)]


def drawn(path: Path, profiles: Sequence[Profile], layout: Profile | None = None) -> list[BankStatementFile]:
    """The same, where a table's own balances contradict its entries too: its `faults` say where."""
    try:
        return _read(path, profiles, layout)
    except StatementRefused:
        raise
    except ConnectorError as refused:  # a workbook that is none, or too large
        raise StatementRefused(
            f"{path.name}: {refused}", fix=refused.fix or "ask the bank for the file again"
        ) from refused


def _read(path: Path, profiles: Sequence[Profile], layout: Profile | None) -> list[BankStatementFile]:
    content = content_of(path)
    if content == "workbook":
        return _table(path, profiles, layout)
    if content not in {"text", "html"}:
        raise StatementRefused(f"{path.name} is {SAID[content]}, no statement", fix=_FIXES.get(content, _FIX))
    with path.open("rb") as source:
        head = source.read(_HEAD)
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    if start.startswith(_OFX) or b"<OFX>" in head:
        raise StatementRefused(
            f"{path.name} is OFX, which is not read: it has no opening balance to check its entries against",
            fix="ask the bank for camt.053 or MT940",
        )
    if layout is None and start[:1] == b"<":
        return camt.statements(path)
    if layout is None and (start[:1] in b"{:" or b":20:" in head or b":61:" in head):
        text = _text(path)
        if mt940.is_mt940(text) or start[:1] in b"{:":
            return mt940.statements(text)
    return _table(path, profiles, layout)


_FIX: Final = "ask the bank for camt.053, MT940, or a table that a layout reads"
_FIXES: Final = {"archive": "unpack it first", "pdf": "a PDF is for people: " + _FIX, "empty": _FIX}


def _text(path: Path) -> str:
    """The whole file as text: UTF-8, or what western banks wrote before it."""
    if path.stat().st_size > TEXT_LIMIT:
        raise StatementRefused(f"{path.name} has more than the {TEXT_LIMIT} bytes allowed for MT940")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def fits(path: Path, profiles: Sequence[Profile]) -> list[Fit]:
    """Every way in which the profiles would read the table; of the encodings of each, the first that is the file's."""
    is_workbook = content_of(path) == "workbook"
    found: list[Fit] = []
    seen: dict[tuple[str, str], list[list[str]]] = {}
    for profile in profiles:
        if profile.width or (profile.format == "xlsx") != is_workbook:
            continue
        found += _fits_of(path, profile, seen)
    return found


def _fits_of(path: Path, profile: Profile, seen: dict[tuple[str, str], list[list[str]]]) -> Iterator[Fit]:
    for encoding in profile.encodings if profile.format == "delimited" else ("",):
        for delimiter in profile.delimiters if profile.format == "delimited" else ("",):
            key = (encoding, delimiter)
            if key not in seen:
                seen[key] = cells.headers(path, *key) if delimiter else cells.sheet_headers(path)
            for above, row in enumerate(seen[key], 1):
                places = profile.placed(row)
                if places is not None:
                    yield Fit(profile, places, above, encoding, delimiter)
                    return


def _table(path: Path, profiles: Sequence[Profile], layout: Profile | None) -> list[BankStatementFile]:
    if layout is not None and layout.width:
        return _bare(path, layout)
    found = fits(path, profiles if layout is None else [layout])
    if not found:
        named = f"the layout {layout.name}" if layout else "no layout"
        raise StatementRefused(
            f"{path.name} is a table that {named} fits: its header is another",
            fix="see what is there with `consign recon layouts list`, and name one with --layout, or write one",
        )
    if len({one.sense for one in found}) > 1:
        names = ", ".join(sorted({one.profile.name for one in found}))
        raise StatementRefused(f"{path.name} fits several layouts: {names}", fix="name the bank's own with --layout")
    one = found[0]
    return tables.read(path, one.profile, one.places, one.above, one.encoding, one.delimiter)


def _bare(path: Path, layout: Profile) -> list[BankStatementFile]:
    """By a profile of a table without a header: the columns are counted."""
    for encoding in layout.encodings:
        for delimiter in layout.delimiters:
            rows = [row for row in cells.headers(path, encoding, delimiter) if any(row)]
            if rows and any(len(row) == layout.width for row in rows):
                return tables.read(path, layout, layout.numbered(), 0, encoding, delimiter)
    raise StatementRefused(f"{path.name} has no lines of {layout.width} columns, as {layout.name} has")

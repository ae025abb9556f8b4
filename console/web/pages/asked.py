"""What an address or a form says: a day, a number, one of a few words. What cannot be read is told, not guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request, UploadFile
from starlette.datastructures import FormData

from models.errors import UsageError
from models.planning.spec import SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import QueryParams

SHARES: Final = frozenset({"share", "min_share", "max_share"})
"""Fields of a plan that are typed as percentages."""
LONGEST_NUMBER = 18
"""Digits: what the store's largest numbers have."""


def day(text: str) -> date | None:
    """The day; None for none. Raises UsageError."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("that is no day", fix="write it as 2026-11-22") from None


def number(text: str) -> int | None:
    """The whole number; None for none. Raises UsageError."""
    if not text:
        return None
    plain = text.strip().removeprefix("#")
    if not plain.isascii() or not plain.isdecimal() or len(plain) > LONGEST_NUMBER:
        raise UsageError("that is no whole number", fix="write digits alone")
    return int(plain)


def one_of(word: str, known: Collection[str]) -> str:
    """The word. Raises UsageError where it is none of those known."""
    if word not in known:
        raise UsageError("that is none of the choices", fix=f"choose one of {', '.join(sorted(known))}")
    return word


def plain(text: str, what: str, most: int = 80) -> str:
    """The text without spaces around it, which a page can show. Raises UsageError."""
    told = text.strip()
    if not told or len(told) > most or not told.isprintable():
        raise UsageError(f"{what} is empty, too long, or has signs that cannot be shown", fix="give a shorter one")
    return told


def not_to_come(told: date | None, today: date) -> date | None:
    """The day, which has come. Raises UsageError."""
    if told is not None and told > today:
        raise UsageError("that day has not come yet", fix="name today or an earlier one")
    return told


async def _form(request: Request) -> FormData:
    return await request.form()


Sent = Annotated[FormData, Depends(_form)]
"""A form whose fields depend on what it is about."""


@dataclass(frozen=True)
class Fields:
    """The fields of a form, as a spec wants them: what is empty is not said."""

    given: FormData | QueryParams

    def text(self, name: str) -> str | None:
        """What was typed; None where nothing was."""
        return str(self.given.get(name, "")).strip() or None

    def whole(self, name: str) -> int | None:
        """A whole number. Raises UsageError."""
        return number(str(self.given.get(name, "")).strip())

    def texts(self, name: str) -> list[str]:
        """Everything that was chosen."""
        return [str(value) for value in self.given.getlist(name) if value]

    def words(self, name: str) -> list[str]:
        """A list that was typed, with commas or spaces between."""
        return str(self.given.get(name, "")).replace(",", " ").replace("、", " ").replace("，", " ").split()

    def share(self, name: str) -> str | None:
        """A percentage as a share. Raises SpecInvalid."""
        told = self.text(name)
        return None if told is None else of_hundred(told)


def of_hundred(value: object) -> str:
    """A percentage as a share: 30 is 0.3. Raises SpecInvalid."""
    try:
        return str(Decimal(str(value).rstrip("%％ ")) / 100)
    except InvalidOperation:
        raise SpecInvalid(f"{value!r} is no percentage", fix="write 30 for thirty in a hundred") from None


def text_of(file: UploadFile | None, at_most: int, *, kind: str) -> str:
    """What a handed-in TOML file says, its lines ended as ours; empty where none was chosen.

    kind: what it is to be, for the message. Raises UsageError for one of more than so many bytes, or no text in UTF-8.
    """
    content = b"" if file is None else file.file.read(at_most + 1)
    if len(content) > at_most:
        raise UsageError(f"the file is too large for a {kind}", fix=f"name a TOML file of up to {at_most >> 10:,} KiB")
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError("the file is no text in UTF-8", fix="save it as UTF-8") from None

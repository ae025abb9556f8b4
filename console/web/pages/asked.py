"""What an address or a form says: a day, a number, one of a few words. What cannot be read is told, not guessed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

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

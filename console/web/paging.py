"""Where a list goes on: the key of the last row shown, as a word of the URL."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def cursor(after: Sequence[Any] | None) -> str:
    """The key as a word of the URL; empty where nothing follows. Numbers, texts, days and instants."""
    if after is None:
        return ""
    told = json.dumps([_told(value) for value in after], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def key(cursor_: str, *types: type) -> tuple[Any, ...] | None:
    """The key that `cursor` wrote: one value of each type; None for the empty word. Raises UsageError."""
    if not cursor_:
        return None
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor_ + "=" * (-len(cursor_) % 4)))
        return tuple(_read(value, type_) for value, type_ in zip(told, types, strict=True))
    except (binascii.Error, ValueError, TypeError, UnicodeError):
        raise UsageError("the list cannot go on from there", fix="begin it again") from None


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _read(value: Any, type_: type) -> Any:
    if type_ is datetime:
        return datetime.fromisoformat(value)
    if type_ is date:
        return date.fromisoformat(value)
    if not isinstance(value, type_) or isinstance(value, bool):
        raise TypeError(type_)
    return value

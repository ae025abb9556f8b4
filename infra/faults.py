"""What went wrong unexpectedly, without a value in it: the error's type and the places it passed, in a private file.

An exception's text and a frame's locals may hold a debtor's values; neither is ever read here.
"""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.errors import ConsignError

ROOMS: Final = ("console", "flows", "infra", "connectors", "keys", "models")
ROOT: Final = Path(__file__).resolve().parent.parent
PRIVATE: Final = 0o600


@dataclass(frozen=True)
class Fault:
    """Where an error was noted: `place` is the last of our own lines it passed."""

    reference: str
    kind: str
    place: str
    path: Path


def record(error: BaseException, step: str, folder: Path | None = None) -> Fault:
    """The fault, written as `<reference>.txt` (0600) into `folder`, default home/faults.

    `step` names what was being done, by code and identifiers only. Raises OSError where nothing can be written.
    """
    if folder is None:
        from infra.settings import settings

        folder = settings().folder("faults")
    moment = datetime.now(UTC)
    reference = _reference(moment)
    path = folder / f"{reference}.txt"
    lines = [f"step: {step}", f"at: {moment.isoformat(timespec='seconds')}", *_said(error), *_told(error)]
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return Fault(reference, kind_of(error), place_of(error), path)


def unwritten(error: BaseException) -> Fault:
    """The fault where nothing can be written: a full disk must not hide the first error."""
    return Fault(_reference(datetime.now(UTC)), kind_of(error), place_of(error), Path(os.devnull))


def kind_of(error: BaseException) -> str:
    """The error's type, with its module where it is not Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def place_of(error: BaseException) -> str:
    """`infra/store/plans.py:88`: the last of our own lines that the error passed; empty where it passed none."""
    ours = [told for frame in _frames(error) if (told := _short(frame)).split("/")[0] in ROOMS]
    return ours[-1] if ours else ""


def _reference(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _said(error: BaseException) -> list[str]:
    """Our own errors' sentences, which by the house's rule hold no debtor's values; nobody else's."""
    return [f"said: {error}", f"fix: {error.fix}"] if isinstance(error, ConsignError) else []


def _told(error: BaseException | None, seen: frozenset[int] = frozenset()) -> list[str]:
    """Type and places of the error, then of what caused it."""
    if error is None or id(error) in seen:
        return []
    lines = [f"error: {kind_of(error)}", *(f"  {_short(frame)} in {frame.name}" for frame in _frames(error))]
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += _told(inner, seen | {id(error)})
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines + _told(before, seen | {id(error)})


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    # lookup_lines and locals stay off: a line of source is ours, but a local is a debtor's
    return list(traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False))


def _short(frame: traceback.FrameSummary) -> str:
    path = Path(frame.filename)
    for root in (ROOT, *map(Path, sys.path)):
        if path.is_absolute() and path != root and root.is_absolute() and path.is_relative_to(root):
            path = path.relative_to(root)
            break
    return f"{path.as_posix()}:{frame.lineno}"

"""Files that people hand in and look at before they count: sealed on arrival, gone when used, or after an hour.

What is handed in may name debtors. It lies below home/uploads under a key of its own, wrapped by the keyring, and is
opened in memory alone. Who handed it in, and what they said with it, is sealed in it too: no job, no log and no
address holds more than its random name.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import string
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, cast

from infra.store import jobs
from keys.files import replacing, write_private
from keys.streams import ScratchStream, SealedStream, destroy_stream, seal_stream
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from infra.wiring import Desk

FOLDER: Final = "uploads"
PREFIX: Final = "upload:"
"""Before an upload's name where a source is named."""
KEPT: Final = timedelta(hours=1)
_LETTERS: Final = 28
"""Of a name, drawn from the alphabet: 131 bits."""
_NAME: Final = re.compile(f"[a-z]{{{_LETTERS}}}")
_SECRET: Final = "uploads"  # noqa: S105 - what the keyring calls it
_LONGEST_NAME: Final = 100


class UploadGone(UsageError):
    """There is no such upload, or no more."""


@dataclass(frozen=True)
class Upload:
    """A file that waits."""

    upload: str
    """its random name"""
    name: str
    """what its owner calls it"""
    by: str
    size: int
    at: datetime
    words: Mapping[str, str]
    """what was said with it"""
    opened: Callable[[], BinaryIO]
    """a fresh reader of its content, in clear"""


def keep(desk: Desk, source: BinaryIO, name: str, words: Mapping[str, str]) -> str:
    """The random name under which the file lies sealed. Raises UsageError for an empty file, or one without a name.

    name: as its owner calls it; a path before it is left out.
    """
    sweep(desk)
    called = plain_name(name)
    upload = fresh_name()
    told = {"name": called, "by": desk.actor, "at": desk.now().isoformat(), "words": dict(words)}
    target = _path(desk, upload)
    with replacing(target) as unfinished, unfinished.open("wb") as into:
        size = seal_stream(_root(desk), upload, json.dumps(told).encode(), source, into)
        if not size:
            raise UsageError("the file is empty", fix="choose another one")
    stamp = desk.now().timestamp()
    os.utime(target, (stamp, stamp))
    return upload


def fresh_name() -> str:
    """A name that nobody guesses, of letters alone.

    It goes to a verb, and a verb refuses as many digits in a row as a phone number has: one in twenty names of 32
    hexadecimal digits has those.
    """
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_LETTERS))


def plain_name(name: str) -> str:
    """The last part of a file's name as its owner has it, without what a terminal or a page might act on."""
    last = PurePath(name.replace("\\", "/")).name
    called = "".join(sign for sign in last if sign.isprintable())[-_LONGEST_NAME:].strip()
    if not called.strip("."):
        raise UsageError("no file was chosen", fix="choose a file, and send it again")
    return called


def found(desk: Desk, upload: str) -> Upload:
    """The upload. Raises UploadGone where there is none, or no more; CellTampered where it is not what was sealed."""
    path = _path(desk, upload)
    try:
        with _reader(desk, upload, path) as stream:
            told, size = json.loads(stream.words), stream.size
    except FileNotFoundError:
        raise UploadGone("that file is no longer here", fix="hand it in again: it is kept for an hour") from None
    opened = cast("Callable[[], BinaryIO]", partial(_buffered, desk, upload, path))
    return Upload(upload, told["name"], told["by"], size, datetime.fromisoformat(told["at"]), told["words"], opened)


def taken_out(upload: Upload, folder: Path) -> Path:
    """The file in clear, in a folder of the caller's that he removes (infra.outbox.scratch)."""
    path = folder / upload.name
    with replacing(path) as unfinished, unfinished.open("wb") as into, upload.opened() as source:
        shutil.copyfileobj(source, into, 1 << 20)
    return path


def _buffered(desk: Desk, upload: str, path: Path) -> io.BufferedReader:
    return io.BufferedReader(_reader(desk, upload, path), 1 << 16)


def _reader(desk: Desk, upload: str, path: Path) -> SealedStream:
    return SealedStream(_root(desk), upload, path)


def drop(desk: Desk, upload: str) -> None:
    """It is gone: its key is overwritten, then the file removed, and what was found in it."""
    _forget(_path(desk, upload))


def _forget(path: Path) -> None:
    destroy_stream(path)
    for ending in (".csv", ".progress"):
        path.with_suffix(ending).unlink(missing_ok=True)


def findings_path(desk: Desk, upload: str) -> Path:
    """Where a CSV with what was found in it lies: lines, fields and codes, never a value."""
    return _path(desk, upload).with_suffix(".csv")


def note(desk: Desk, upload: str, lines: int, fraction: float | None) -> None:
    """So many lines of it were read; beside it, for whoever reads it may have the store to itself meanwhile."""
    text = json.dumps({"lines": lines, "fraction": fraction})
    write_private(_path(desk, upload).with_suffix(".progress"), text.encode())


def noted(desk: Desk, upload: str) -> tuple[int, float | None]:
    """Lines that were read, and the share of the file; 0 and None where nobody has said."""
    try:
        told = json.loads(_path(desk, upload).with_suffix(".progress").read_bytes())
    except FileNotFoundError:
        return 0, None
    return int(told["lines"]), told["fraction"]


def sweep(desk: Desk) -> int:
    """Uploads of more than an hour ago that no job waits for are gone; how many were."""
    before = desk.now() - KEPT
    old = [path for path in desk.folder(FOLDER).glob("*.sealed") if _came(path) < before]
    if not old:
        return 0
    with desk.database.read() as connection:
        wanted = jobs.identifiers_under_way(connection)
    gone = [path for path in old if not any(path.stem in text for text in wanted)]
    for path in gone:
        _forget(path)
    return len(gone)


def receiving(desk: Desk) -> ScratchStream:
    """Where a file goes while it is received: nameless, and unreadable without this object."""
    return ScratchStream(cast("BinaryIO", tempfile.TemporaryFile(dir=desk.folder(FOLDER))))


def _came(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:  # somebody else has removed it
        return datetime.max.replace(tzinfo=UTC)


def _path(desk: Desk, upload: str) -> Path:
    if not _NAME.fullmatch(upload):
        raise UploadGone("that file is no longer here", fix="hand it in again: it is kept for an hour")
    return desk.folder(FOLDER) / f"{upload}.sealed"


def _root(desk: Desk) -> bytes:
    return desk.keyring.secret(_SECRET, now=desk.now())

"""Files that are either whole or not there: written beside their target, made durable, then renamed."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE: Final = 0o600
_MACHINE_FAULTS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)
_LEFTOVER: Final = ".consign-*.part"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a private empty file beside `target` to write; it becomes `target` at the end, or nothing if that raises."""
    unfinished = target.parent / f".consign-{os.getpid()}-{secrets.token_hex(8)}.part"
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
        yield unfinished
        flush(unfinished)
        unfinished.replace(target)
        flush(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_private(target: Path, content: bytes) -> None:
    """Replace `target` by a file that only its owner can read."""
    with replacing(target) as unfinished:
        unfinished.write_bytes(content)


def flush(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def system_fault(said: str, path: Path) -> OSError | None:
    """Return the operating system's fault that a library or program reports in words, or None if it reports none.

    A full disk is not the sender's fault, and must not look like a tampered file.
    """
    numbered = re.search(r"\(os error (\d+)\)", said)
    if numbered:
        return OSError(int(numbered[1]), os.strerror(int(numbered[1])), str(path))
    for number in _MACHINE_FAULTS:
        if os.strerror(number) in said:
            return OSError(number, os.strerror(number), str(path))
    return None


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed processes of this machine left half-written in `folder`, and return it.

    A process that is killed outright cannot tidy up: whoever starts work on a folder of plaintexts calls this first.
    """
    removed = []
    for leftover in sorted(folder.glob(_LEFTOVER)):
        owner = leftover.name.split("-")[1]
        if owner.isdigit() and not _alive(int(owner)):
            with suppress(FileNotFoundError):
                leftover.unlink()
                removed.append(leftover)
    return removed


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def readable_by_others(path: Path) -> bool:
    """Return whether the group or anyone else may read or change the file."""
    return bool(path.stat().st_mode & 0o077)


def overwrite(descriptor: int) -> None:
    """Overwrite a file that no longer has a name; one that still has another name is somebody's backup."""
    found = os.fstat(descriptor)
    if found.st_nlink == 0:
        os.pwrite(descriptor, secrets.token_bytes(found.st_size), 0)
        os.fsync(descriptor)

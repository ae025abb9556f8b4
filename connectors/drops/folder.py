"""A drop in a local or mounted folder that both sides reach."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import time
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from connectors.drops.acts import Block, Found, Kind, NameMissing, NameTaken, Probe, not_as_recorded
from connectors.drops.contract import Drop
from connectors.drops.errors import (
    ChangedWhileRead,
    DirectoryMissing,
    DropUnreachable,
    PermissionRefused,
    RemoteFailed,
    RemoteFull,
    TooLarge,
    Unsupported,
)
from connectors.drops.names import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from connectors.drops.settings import FolderSettings

_BLOCK = 2**20
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_LIBC = ctypes.CDLL(None, use_errno=True)


class FolderDrop(Drop):
    """The contract over a file system."""

    def __init__(self, settings: FolderSettings) -> None:
        super().__init__(settings)
        self._root = settings.root

    def open(self) -> None:
        """Both directories are there."""
        for directory in (self.to_agency, self.from_agency):
            if not (self._root / directory).is_dir():
                raise self._no_directory(directory)

    def close(self) -> None:
        """Nothing is held open."""

    def probe(self) -> Probe:
        """What the file system can do; its rename is tried out."""
        self._forget_trials(time.time())
        free = os.statvfs(self._root)
        return Probe(
            server="folder",
            cipher="",
            extensions=(),
            limits={},
            rename=True,
            rename_never_replaces=self._tried_rename(),
            posix_rename=True,
            fsync=True,
            statvfs=True,
            overwrite=True,
            resume=False,
            case_sensitive=not (self._root / self.to_agency.swapcase()).exists(),
            clock_ahead_seconds=None,
            free_bytes=free.f_frsize * free.f_bavail,
        )

    def _tried_rename(self) -> bool:
        paths = [self._trial_path() for _ in range(2)]
        try:
            for path in paths:
                (self._root / path).write_text(path)
            try:
                self._rename(*paths)
            except NameTaken:
                return (self._root / paths[1]).read_text() == paths[1]
            return False
        finally:
            for path in paths:
                (self._root / path).unlink(missing_ok=True)

    # -- the acts --------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Found | None:
        try:
            with self._explained("looking for", path):
                return _found(path.rpartition("/")[2], (self._root / path).lstat())
        except NameMissing:
            return None

    def _list(self, directory: str) -> list[Found]:
        found = []
        try:
            with self._explained("listing", directory), os.scandir(self._root / directory) as listing:
                for one in islice(listing, self.max_names):
                    with suppress(FileNotFoundError):  # taken since it was listed
                        found.append(_found(one.name, one.stat(follow_symlinks=False)))
        except NameMissing:
            raise self._no_directory(directory) from None
        return found

    def _upload(self, file: Path, path: str, sha256: str) -> None:
        target = self._root / path
        digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW  # never cut: another worker may be publishing that content
        try:
            with (
                self._explained("writing", path),
                file.open("rb") as source,
                os.fdopen(os.open(target, flags, 0o640), "wb") as sink,
            ):
                while block := source.read(_BLOCK):
                    digest.update(block)
                    sink.write(block)
                sink.truncate()
                sink.flush()
                os.fsync(sink.fileno())
                written = os.fstat(sink.fileno()).st_size
                size = os.fstat(source.fileno()).st_size
        except NameMissing:
            raise self._no_directory(self.to_agency) from None
        if digest.hexdigest() != sha256:
            target.unlink(missing_ok=True)
            raise not_as_recorded(file)
        if written != size:
            raise RemoteFailed(
                f"{printable(path)} has {written} bytes after {size} were written; it was not published."
            )

    def _read(self, path: str, cap: int) -> Generator[Block]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link nor a pipe may be put in its place
        with (
            self._explained("reading", path),
            os.fdopen(os.open(self._root / path, flags), "rb", buffering=0) as source,
        ):
            before = os.fstat(source.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise ChangedWhileRead(f"{printable(path)} is not a regular file.")
            if before.st_size > cap:
                raise TooLarge(f"{printable(path)} has {before.st_size} bytes; {cap} are accepted.")
            size = 0
            while size <= before.st_size and (block := source.read(_BLOCK)):
                size += len(block)
                yield block
            after = os.fstat(source.fileno())
            if size != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise ChangedWhileRead(f"{printable(path)} changed while it was read.")

    def _rename(self, source: str, target: str) -> None:
        with self._explained("renaming", source):
            _rename_without_replacing(self._root / source, self._root / target)
            for directory in {(self._root / source).parent, (self._root / target).parent}:
                _sync(directory)

    def _remove(self, path: str) -> None:
        with self._explained("removing", path):
            (self._root / path).unlink()

    def _make_directory(self, path: str) -> None:
        try:
            with self._explained("making", path):
                (self._root / path).mkdir(exist_ok=True)
        except NameMissing:
            raise self._no_directory(self.from_agency) from None

    # -- answers, explained ----------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self, act: str, path: str) -> Iterator[None]:
        where = f"{act} {printable(path)} in {self._root}"
        try:
            yield
        except FileNotFoundError:
            raise NameMissing(f"{printable(path)} is not there.") from None
        except FileExistsError:
            raise NameTaken(f"{printable(path)} is there already.") from None
        except PermissionError:
            fix = "Give this user the right to read, write and rename in the two directories."
            raise PermissionRefused(f"No permission: {where}.", fix=fix) from None
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise RemoteFull(f"No room left: {where}.", fix="Make room; nothing was published.") from None
            if error.errno == errno.ELOOP:
                raise ChangedWhileRead(f"{printable(path)} is a link.") from None
            if error.errno in {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN}:
                raise DropUnreachable(f"The mount does not answer: {where}.", fix="Check the mount.") from None
            raise RemoteFailed(f"The system failed at {where}: {os.strerror(error.errno or 0)}.") from None

    def _no_directory(self, directory: str) -> DirectoryMissing:
        message = f"There is no directory {printable(directory)} in {self._root}."
        return DirectoryMissing(message, fix="Check the directories agreed with the agency, or make them.")


def _found(name: str, status: os.stat_result) -> Found:
    kind: Kind = "file" if stat.S_ISREG(status.st_mode) else "directory" if stat.S_ISDIR(status.st_mode) else "other"
    return Found(name, status.st_size, int(status.st_mtime), kind)


def _rename_without_replacing(source: Path, target: Path) -> None:
    """Rename in one step that fails if `target` exists; by link and unlink where the file system has no such step."""
    done = _LIBC.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if done == 0:
        return
    code = ctypes.get_errno()
    if code not in _NOT_OFFERED:
        raise OSError(code, os.strerror(code), str(source))
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOT_OFFERED | {errno.EPERM}:
            message = "The file system has neither a rename that never replaces nor hard links."
            raise Unsupported(message, fix="Put the folder on a file system that has one of them.") from None
        raise
    source.unlink()


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:  # some mounts cannot sync a directory
            raise
    finally:
        os.close(handle)

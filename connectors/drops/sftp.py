"""A drop on an agency's SFTP server."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from connectors.drops import channel
from connectors.drops.acts import (
    TRIAL,
    Block,
    Found,
    NameMissing,
    NameTaken,
    Probe,
    error_of,
    no_rename,
    not_as_recorded,
)
from connectors.drops.channel import Attributes, Sftp, Status
from connectors.drops.contract import Drop
from connectors.drops.errors import (
    BadAnswer,
    ChangedWhileRead,
    DirectoryMissing,
    ExistsButDifferent,
    PermissionRefused,
    RemoteFailed,
    RemoteFull,
    TooLarge,
    Unsupported,
)
from connectors.drops.names import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from connectors.drops.settings import SftpSettings
    from models.errors import ConsignError

BACK_OFF = 4 * 2**20
"""Before going on with a part: of what a server had acknowledged before a cut, this much may be missing."""
COMPARED = 2**20
"""A part of which less than this remains is begun anew."""
ROOM_ASKED_FROM = 2**20
"""For smaller files the question costs more than the attempt."""
ASKED_AT_ONCE = 256
_MAKE_ROOM = "Ask the agency to make room; nothing was published and the next attempt goes on."
TRIED_AFTER = 8
"""So many renames in one session before it is worth finding out whether they replace."""
READ_AT_ONCE = 4
"""Blocks read from our disk at a time, hashed while they are sent."""
_FULL_BELOW = 2**20
_FULL_WORDS = ("space", "quota", "disk full")


class SftpDrop(Drop):
    """The contract over SFTP. Connects when first needed, and again when the connection was lost."""

    def __init__(self, settings: SftpSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self.renames = settings.renames
        self._session: Sftp | None = None
        self._replaces: bool | None = None
        self._renames = 0

    def open(self) -> None:
        """Connect, check the host key, log in."""
        self._sftp()

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _sftp(self) -> Sftp:
        if self._session is None or not self._session.alive:
            self.close()
            self._session = Sftp(self._settings)
            self._replaces, self._renames = None, 0
            self.login = self._session.login
        return self._session

    def probe(self) -> Probe:
        """What the server says that it can do, and what its rename and its resuming really do."""
        with self._explained("probing", self.to_agency):
            sftp = self._sftp()
            free = sftp.free_bytes(self.to_agency)
            renames, case_sensitive, ahead = self._tried_names()
            return Probe(
                server=sftp.software,
                cipher=sftp.cipher,
                extensions=tuple(sorted(sftp.extensions)),
                limits=dict(sftp.limits),
                rename=renames,
                rename_never_replaces=renames and self._tried_rename(),
                posix_rename="posix-rename@openssh.com" in sftp.extensions,
                fsync="fsync@openssh.com" in sftp.extensions,
                statvfs=free is not None,
                overwrite=self._tried_writing(b"other", 0) == b"other",
                resume=self._tried_writing(b"ning", 5) == b"beginning",
                case_sensitive=case_sensitive,
                clock_ahead_seconds=ahead,
                free_bytes=free,
            )

    def _tried_names(self) -> tuple[bool, bool, int | None]:
        """Whether a file can be renamed, whether names that differ in case differ, and how far ahead its clock is."""
        with self._scratch(b"name") as path:
            now, written = time.time(), self._sftp().attributes(path).mtime
            if written is not None:
                self._forget_trials(written)
            shouted = self._find(path.replace(TRIAL, TRIAL.upper()))
            try:
                self._sftp().rename(path, f"{path}.renamed.part")
            except Status:
                renames = False
            else:
                renames = True
                self._sftp().remove(f"{path}.renamed.part")
        return renames, shouted is None, None if written is None else round(written - now)

    def _tried_rename(self) -> bool:
        """Whether a rename onto an existing file is refused and changes nothing."""
        with self._scratch(b"one") as one, self._scratch(b"two") as two:
            try:
                self._sftp().rename(one, two)
            except Status:
                return self._sftp().span(two, 0, 3) == b"two"
            return False

    def _tried_writing(self, more: bytes, start: int) -> bytes | None:
        """What a file holds after `more` was written into it from `start` on; None if that is refused."""
        with self._scratch(b"begin") as path:
            try:
                self._sftp().write(path, [more], start)
                return self._sftp().span(path, 0, 20)
            except Status:
                return None

    @contextmanager
    def _scratch(self, content: bytes) -> Iterator[str]:
        path = self._trial_path()
        self._sftp().write(path, [content], 0)
        try:
            yield path
        finally:
            with suppress(Status):
                self._sftp().remove(path)

    # -- the acts --------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Found | None:
        try:
            with self._explained("looking for", path):
                attributes = self._sftp().attributes(path)
        except NameMissing:
            return None
        return _found(path, attributes)

    def _list(self, directory: str) -> list[Found]:
        try:
            with self._explained("listing", directory):
                sftp = self._sftp()
                with sftp.within():
                    return sftp.listing(directory, self.max_names)
        except NameMissing:
            raise self._no_directory(directory) from None

    def _upload(self, file: Path, path: str, sha256: str) -> None:
        try:
            self._send(file, path, sha256, self._go_on_at(file, path, file.stat().st_size))
        except PermissionRefused:
            if self._find(path) is None:
                raise
            self._remove(path)  # ProFTPD, as it comes, lets nobody write into a file that is there: begin anew
            self._send(file, path, sha256, 0)

    def _send(self, file: Path, path: str, sha256: str, start: int) -> None:
        """`path` holds all of `file`, whose bytes before `start` are there already."""
        size = file.stat().st_size
        digest = hashlib.sha256()
        try:
            with file.open("rb", buffering=0) as source, self._explained("writing", path, needing=size - start):
                _skip(source, digest, start)
                sftp = self._sftp()
                self._make_sure_of_room(path, size - start)
                with sftp.within():
                    written = sftp.write(path, _blocks(source, digest, sftp.write_bytes), start)
        except NameMissing:
            raise self._no_directory(self.to_agency) from None
        if digest.hexdigest() != sha256:
            with suppress(Status):
                self._sftp().remove(path)
            raise not_as_recorded(file)
        if written is None:
            there = self._find(path)
            written = there.size if there is not None else None
        if written != size:
            if written is not None and written > size:  # an older part was longer: the next try begins anew
                with suppress(Status):
                    self._sftp().remove(path)
            raise RemoteFailed(
                f"{printable(path)} has {written} bytes after {size} were written; it was not published."
            )

    def _make_sure_of_room(self, path: str, needed: int) -> None:
        """There is room for so many bytes, where the server says how much there is; quotas it may not know."""
        if needed < ROOM_ASKED_FROM:
            return
        free = self._sftp().free_bytes(self.to_agency)
        if free is not None and free < needed:
            message = f"{self._settings.host} has room for {free} bytes; {printable(path)} needs {needed}."
            raise RemoteFull(message, fix=_MAKE_ROOM)

    def _find_all(self, paths: Sequence[str]) -> list[Found | None]:
        told: list[Attributes | Status] = []
        with self._understood():
            for at in range(0, len(paths), ASKED_AT_ONCE):
                told += self._sftp().attributes_of(paths[at : at + ASKED_AT_ONCE])
        found: list[Found | None] = []
        for path, one in zip(paths, told, strict=True):
            if isinstance(one, Status):
                error = self._error(one, "looking for", path)
                if not isinstance(error, NameMissing):
                    raise error
                found.append(None)
            else:
                found.append(_found(path, one))
        return found

    def _upload_all(self, files: Sequence[tuple[Path, str, str]]) -> list[ConsignError | None]:
        contents = [file.read_bytes() for file, _path, _sha256 in files]
        errors: list[ConsignError | None] = [
            None if hashlib.sha256(content).hexdigest() == sha256 else not_as_recorded(file)
            for (file, _path, sha256), content in zip(files, contents, strict=True)
        ]
        good = [at for at, error in enumerate(errors) if error is None]
        with self._understood():
            sftp = self._sftp()
            with sftp.within():
                sizes = sftp.write_small([(files[at][1], contents[at]) for at in good])
        for at, size in zip(good, sizes, strict=True):
            if size != len(contents[at]):  # refused, or not whole, or of no stated size: the way of one file says what
                errors[at] = error_of(self._upload, *files[at])
        return errors

    def _rename_all(self, pairs: Sequence[tuple[str, str]]) -> list[ConsignError | None]:
        if not self._never_replaces(len(pairs)):
            return super()._rename_all(pairs)
        with self._understood():
            told = self._sftp().rename_all(pairs)
        return [
            None if status is None else self._rename_error(status, *pair)
            for status, pair in zip(told, pairs, strict=True)
        ]

    def _go_on_at(self, file: Path, path: str, size: int) -> int:
        """Return where to go on with a part: as far as the server holds our bytes, less what a cut may have lost."""
        if size <= BACK_OFF + COMPARED:
            return 0
        there = self._find(path)
        if there is None:
            return 0
        if there.kind != "file":
            raise ExistsButDifferent(f"{printable(path)} is there and is not a regular file.")
        if there.size > size:
            with suppress(NameMissing):
                self._remove(path)
            return 0
        end = there.size - BACK_OFF
        if end < COMPARED:
            return 0
        try:
            return self._agreed(file, path, end)
        except (NameMissing, PermissionRefused, RemoteFailed, ChangedWhileRead, TooLarge):
            return 0  # what cannot be read back is not built upon

    def _agreed(self, file: Path, path: str, end: int) -> int:
        """How many of the first `end` bytes on the server are ours, to a block: all of them are read back."""
        agreed = 0
        with file.open("rb", buffering=0) as source, closing(self._read(path, self.max_bytes)) as theirs:
            for block in theirs:
                wanted = min(len(block), end - agreed)
                if _exactly(source, wanted) != block[:wanted]:
                    break
                agreed += wanted
                if agreed == end:
                    break
        return agreed

    def _read(self, path: str, cap: int) -> Generator[Block]:
        with self._explained("reading", path):
            sftp = self._sftp()
            with sftp.within():
                yield from sftp.read(path, cap)

    def _rename(self, source: str, target: str) -> None:
        if not self._never_replaces() and self._find(target) is not None:
            raise NameTaken(f"{printable(target)} is there already.")
        try:
            with self._understood():
                self._sftp().rename(source, target)
        except Status as status:
            raise self._rename_error(status, source, target) from None

    def _rename_error(self, status: Status, source: str, target: str) -> ConsignError:
        """What a refused rename means: servers tell a taken name and a missing one apart in their own ways, or not."""
        if status.code == channel.FILE_ALREADY_EXISTS or self._find(target) is not None:
            return NameTaken(f"{printable(target)} is there already.")
        if self._find(source) is None:
            return NameMissing(f"{printable(source)} is not there.")
        if status.code == channel.OP_UNSUPPORTED:
            return no_rename(self._settings.host)
        return self._error(status, "renaming", source)

    def _never_replaces(self, renames: int = 1) -> bool:
        """Whether this server's rename was seen, in this session, to refuse a name that is taken.

        Some servers replace, whatever the protocol says: until it is tried, the target is looked for first. Trying
        costs what a few such looks cost, so it is done once there have been a few.
        """
        self._renames += renames
        if self._replaces is None and self._renames > TRIED_AFTER:
            try:
                self._replaces = not self._tried_rename()
            except Status:
                self._replaces = True  # no place to try it: keep looking
        return self._replaces is False

    def _remove(self, path: str) -> None:
        with self._explained("removing", path):
            self._sftp().remove(path)

    def _make_directory(self, path: str) -> None:
        there = self._find(path)
        if there is not None and there.kind == "directory":
            return
        try:
            with self._explained("making", path):
                self._sftp().make_directory(path)
        except NameMissing:
            raise self._no_directory(self.from_agency) from None
        except RemoteFailed:
            there = self._find(path)  # another collector may have been quicker
            if there is None or there.kind != "directory":
                raise

    # -- answers, explained ----------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self, act: str, path: str, needing: int = 0) -> Iterator[None]:
        try:
            with self._understood():
                yield
        except Status as status:
            raise self._error(status, act, path, needing) from None

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except BadAnswer:
            self.close()  # nothing that follows could be matched
            raise

    def _error(self, status: Status, act: str, path: str, needing: int = 0) -> ConsignError:
        """The error that a status other than OK stands for; NameMissing if that is what it says."""
        where = f"{act} {printable(path)} on {self._settings.host}"
        if status.code == channel.NO_SUCH_FILE:
            return NameMissing(f"{printable(path)} is not there.")
        if status.code == channel.PERMISSION_DENIED:
            fix = "Ask the agency for the right to read, write and rename in the two directories."
            return PermissionRefused(f"No permission: {where}.", fix=fix)
        if status.code == channel.OP_UNSUPPORTED:
            return Unsupported(f"The server cannot do it: {where}.", fix="Ask the agency for a server that can.")
        if needing and self._is_full(status, needing):
            return RemoteFull(f"No room left: {where}.", fix=_MAKE_ROOM)
        return RemoteFailed(f"The server failed at {where}: {status.text or 'it does not say why'}.")

    def _is_full(self, status: Status, needing: int) -> bool:
        if any(word in status.text.lower() for word in _FULL_WORDS):
            return True
        free = self._sftp().free_bytes(self.to_agency)
        return free is not None and free < min(needing, _FULL_BELOW)

    def _no_directory(self, directory: str) -> DirectoryMissing:
        message = f"There is no directory {printable(directory)} on {self._settings.host}."
        return DirectoryMissing(message, fix="Check the directories agreed with the agency, or ask it to make them.")


def _found(path: str, attributes: Attributes) -> Found:
    return Found(path.rpartition("/")[2], attributes.size or 0, attributes.mtime or 0, attributes.kind)


def _exactly(source: BinaryIO, length: int) -> bytes:
    """The next so many bytes, or what is left of them."""
    read = bytearray()
    while len(read) < length and (block := source.read(length - len(read))):
        read += block
    return bytes(read)


def _skip(source: BinaryIO, digest: hashlib._Hash, start: int) -> None:
    """`source` stands at `start`, and `digest` has seen what lies before."""
    while (left := start - source.tell()) > 0 and (block := source.read(min(2**20, left))):
        digest.update(block)


def _blocks(source: BinaryIO, digest: hashlib._Hash, size: int) -> Iterator[Block]:
    """Yield the rest of `source` in blocks of `size`, while `digest` sees all of it; of large files, beside sending."""
    with ThreadPoolExecutor(1, "drop-digest") as beside:
        hashed: Future[None] | None = None
        while piece := source.read(READ_AT_ONCE * size):
            if hashed is not None:
                hashed.result()
            if len(piece) < READ_AT_ONCE * size:  # the last, and the only one of a small file: no thread for that
                hashed = None
                digest.update(piece)
            else:
                hashed = beside.submit(digest.update, piece)
            view = memoryview(piece)
            yield from (view[at : at + size] for at in range(0, len(piece), size))
